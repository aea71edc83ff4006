"""OpenClaw, as the rest of the program knows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.core.kinds import Kind
from watchdog.systems.base import BRING_BACK, Source, System
from watchdog.systems.openclaw.section import OpenClaw

if TYPE_CHECKING:
    from watchdog.systems.shared.acting import Acting
    from watchdog.systems.shared.host import Host


class OpenClawSystem(System[OpenClaw]):
    """A gateway whose jobs stand in files or in SQLite, and that is asked by its own command (docs/openclaw.md)."""

    section = OpenClaw
    process = "gateway"
    place = "state_dir"
    is_folder = True
    restart = "openclaw gateway restart"
    log = "openclaw logs --limit 500"
    joins_health = True
    remedies: Mapping[Kind, str] = {
        Kind.FAILED: BRING_BACK,
        Kind.WEDGED: "free it by switching it off and on again; a run that still lives may go on beside the next",
        Kind.OVERDUE: "have it run now, if its scheduler still holds it due",
    }
    usual_places = ("${OPENCLAW_STATE_DIR}", "~/.openclaw")
    marks = ("openclaw.sqlite", "jobs.json")
    commands = ("openclaw",)
    policies = (
        {"match": {"kind": "overdue"}, "action": "run_due", "after": "5m"},
        {"match": {"kind": "failed", "error_class": "transient"}, "action": "enable", "after": "15m"},
    )

    def open(self, section: OpenClaw, host: "Host") -> Source:
        """Its state folder, whichever of the layouts is in use."""
        from watchdog.systems.openclaw.source import OpenClawSource

        return OpenClawSource(section, host=host)

    def folders(self, section: OpenClaw) -> tuple[Path, ...]:
        """Its state folder, or that of its store; and that of the jobs, where its configuration puts them elsewhere."""
        from watchdog.systems.openclaw.store import place_of

        jobs = place_of(section.state_dir, section.store, section.lock).jobs
        first = section.state_dir or (section.store or Path()).parent
        is_elsewhere = section.state_dir is not None and jobs is not None and not jobs.is_relative_to(first)
        return (first, jobs.parent) if is_elsewhere and jobs else (first,)

    def recognised(self, file: Path) -> Mapping[str, object] | None:
        """By its database in `state`, or by what its jobs in `cron` look like."""
        from watchdog.systems.openclaw.recognised import state_dir_of

        folder = state_dir_of(file)
        return {"state_dir": str(folder)} if folder else None

    @property
    def acting(self) -> "Acting[OpenClaw]":
        """Whatever its own command can do."""
        from watchdog.systems.openclaw.acting import ACTING

        return ACTING


SYSTEM = OpenClawSystem()
