"""OpenClaw, as the rest of the program knows it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from watchdog.core.model import Kind
from watchdog.systems.base import Remedy, Source, System
from watchdog.systems.openclaw.section import OpenClaw
from watchdog.systems.remedy import revive

if TYPE_CHECKING:
    from watchdog.systems.shared.acting import Acting


class OpenClawSystem(System[OpenClaw]):
    """A gateway whose jobs stand in files or in SQLite, and that is asked by its own command (docs/openclaw.md)."""

    section = OpenClaw
    process = "gateway"
    restart = "openclaw gateway restart"
    remedies: Mapping[Kind, Remedy] = {Kind.FAILED: revive, Kind.WEDGED: revive, Kind.OVERDUE: revive}
    usual_places = ("${OPENCLAW_STATE_DIR}", "~/.openclaw")

    def open(self, section: OpenClaw) -> Source:
        """Its state folder, whichever of the layouts is in use."""
        from watchdog.systems.openclaw.source import OpenClawSource

        return OpenClawSource(section)

    @property
    def acting(self) -> "Acting[OpenClaw]":
        """Whatever its own command can do."""
        from watchdog.systems.openclaw.acting import ACTING

        return ACTING


SYSTEM = OpenClawSystem()
