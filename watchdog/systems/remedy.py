"""What helps against a finding, by the system that it is about: one scheduler's remedy does nothing for another.

The general remedies stand in the table of kinds, a system's own in its object. Messages, the page and the API give what
is said here.
"""

from dataclasses import dataclass
from typing import Any

from watchdog.core.command_line import command
from watchdog.core.kinds import Kind
from watchdog.core.model import IN_FLIGHT, Finding
from watchdog.systems import KINDS, system
from watchdog.systems.base import CAUSE_GONE, System

OUT_OF_A_LOOP = "find in its own log what ends it, and pause the job whose run does; a restart does not help"
"""What helps where a scheduler starts again and again and ends no run."""

_UNKNOWN: System[Any] = System()


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps, in words and, where there is one, as a command to be typed where the watchdog runs.

    `first`: what has to be done before; `when`: what the command waits for, which the words say already. `otherwise`:
    what helps where the command does not. `example`: how the process is usually restarted, where that is what helps.
    """

    words: str
    command: str = ""
    first: str = ""
    when: str = ""
    otherwise: str = ""
    example: str = ""

    @property
    def short(self) -> str:
        """In one line: the command rather than the words."""
        first = f"{self.first}, then: " if self.first else f"{self.when}: " if self.when and self.command else ""
        otherwise = f"; or {self.otherwise}" if self.otherwise else ""
        example = f", for example: {self.example}" if self.example else ""
        return f"{first}{self.command or self.words}{otherwise}{example}"

    @property
    def sentences(self) -> str:
        """The words as sentences, for beside the command."""
        first = f"{self.first}, then " if self.first else ""
        otherwise = f". Or {self.otherwise}" if self.otherwise else ""
        said = f"{first}{self.words}{otherwise}."
        return f"{said[0].upper()}{said[1:]}"


def is_a_loop(finding: Finding) -> bool:
    """Whether it is that a scheduler starts again and again and ends no run."""
    return bool(finding.evidence.get("starts_in_vain"))


def system_named(kind: str) -> System[Any]:
    """How a system is spoken of; one that is not known, for example a later version's, like any scheduler."""
    return system(kind) if kind in KINDS else _UNKNOWN


def remedy(kind: Kind, system_kind: str) -> str:
    """What helps against this kind of finding with any job of this system: its own remedy, or the general one."""
    system = system_named(system_kind)
    return system.remedies.get(kind) or _general(kind, system)


def _general(kind: Kind, system: System[Any]) -> str:
    return kind.row.remedy.format(process=system.process)


def remedy_of(finding: Finding, system_kind: str, restart: str = "") -> Remedy:
    """What helps against this finding. What waits for something else is not helped by being brought back. `restart`:
    how the operator has the process restarted, else it is as usual."""
    if is_a_loop(finding):
        return Remedy(OUT_OF_A_LOOP)
    if finding.caused_by is not None and finding.caused_by.kind == IN_FLIGHT and finding.caused_by.job:
        return Remedy(f"see what the run of {finding.caused_by.job} is at: until it ends nothing else runs")
    kind, system = finding.kind, system_named(system_kind)
    general = _general(kind, system)
    example = (restart or system.restart) if kind.row.by_restart else ""
    revive = revive_command(finding, system_kind) if finding.caused_by is None else ""
    if not revive:
        return Remedy(general, _verb_command(finding), example=example)
    first = "mend what the error says" if finding.evidence.get("error_class") == "permanent" else ""
    otherwise = general if kind.row.by_restart else ""
    words = system.remedies[kind]
    return Remedy(words, revive, first, CAUSE_GONE if CAUSE_GONE in words else "", otherwise, example)


def revive_command(finding: Finding, kind: str) -> str:
    """The command that brings the job back; empty where there is none."""
    is_known = finding.kind in system_named(kind).remedies and finding.job_id
    return command("revive", finding.job_id or "") if is_known else ""


def _verb_command(finding: Finding) -> str:
    """The command of the table, whatever the system is."""
    verb = finding.kind.row.verb
    return command(verb, finding.job_id) if verb and finding.job_id else ""
