"""What helps against a finding, by the system that it is about: one scheduler's remedy does nothing for another."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass

from watchdog.core.model import Finding, Kind


@dataclass(frozen=True, slots=True)
class System:
    """How one system is spoken of. `revives`: the kinds of finding against which `scheduler-watchdog revive` helps."""

    process: str = "scheduler"
    restart: str = ""
    aborts: str = ""
    revives: tuple[Kind, ...] = ()


_SYSTEMS: Mapping[str, System] = {
    "phantom": System("agent", "docker restart phantom", "240 min", (Kind.FAILED, Kind.EXPIRING)),
    "openclaw": System("gateway", "openclaw gateway restart", "", (Kind.FAILED, Kind.WEDGED, Kind.OVERDUE)),
}


def system_of(kind: str) -> System:
    """The system of a source of this kind."""
    return _SYSTEMS.get(kind, System())


def restart_words(kind: str) -> str:
    """How to restart it, with an example where there is a usual way."""
    system = system_of(kind)
    return f"restart the {system.process}" + (f", for example: {system.restart}" if system.restart else "")


def revive_command(finding: Finding, kind: str) -> str:
    """The command that brings the job back; empty where there is none."""
    is_known = finding.kind in system_of(kind).revives and finding.job_id
    return f"scheduler-watchdog revive {shlex.quote(finding.job_id or '')}" if is_known else ""
