"""Hermes Agent, as the rest of the program knows it."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.core.kinds import Kind
from watchdog.systems.base import Source, System
from watchdog.systems.hermes.section import Hermes

if TYPE_CHECKING:
    from watchdog.systems.shared.acting import Acting
    from watchdog.systems.shared.host import Host

_RUN = "have it run now, in a process of its own beside the gateway"


class HermesSystem(System[Hermes]):
    """An agent whose gateway keeps its jobs in files of its home folder, and that is asked by its own command."""

    section = Hermes
    process = "gateway"
    # never by `hermes gateway restart`: it ends the gateways of other homes, too
    restart = (
        f"launchctl kickstart -k gui/{os.getuid()}/ai.hermes.gateway"
        if sys.platform == "darwin"
        else "systemctl --user restart hermes-gateway"
    )
    log = "tail -n 200 ~/.hermes/logs/agent.log"
    remedies: Mapping[Kind, str] = {Kind.OVERDUE: _RUN, Kind.INTERRUPTED: _RUN, Kind.STRANDED: _RUN}
    place = "home"
    is_folder = True
    usual_places = ("${HERMES_HOME}", "~/.hermes")
    marks = ("jobs.json", "executions.db")
    commands = ("hermes",)
    policies = ({"match": {"kind": "overdue"}, "action": "run_due", "after": "5m"},)
    joins_health = True

    def open(self, section: Hermes, host: "Host") -> Source:
        """Its home folder, whichever of the layouts is in use, and the profiles in it."""
        from watchdog.systems.hermes.source import HermesSource

        return HermesSource(section, host)

    def recognised(self, file: Path) -> Mapping[str, object] | None:
        """By what lies beside its `cron`, or by what its jobs look like."""
        from watchdog.systems.hermes.recognised import home_of

        home = home_of(file)
        return {"home": str(home)} if home else None

    def whole(self, place: Path) -> Path:
        """A profile's gateway knows only its own home."""
        from watchdog.systems.hermes.recognised import whole_home

        return whole_home(place)

    @property
    def acting(self) -> "Acting[Hermes]":
        """Whatever its own command can do."""
        from watchdog.systems.hermes.acting import ACTING

        return ACTING


SYSTEM = HermesSystem()
