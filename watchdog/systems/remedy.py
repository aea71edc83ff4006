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

LONGEST = 300
"""Characters of a configured command that a sentence has room for: one that is cut off, or has lost the breaks of its
lines, does something else."""

_UNKNOWN: System[Any] = System()


@dataclass(frozen=True, slots=True)
class How:
    """The command that does what words say: the one that the operator has configured (`known`), or what is usual for
    such a system (`usual`), which is an example: nobody knows how this one is run."""

    known: str = ""
    usual: str = ""

    @property
    def said(self) -> str:
        """As the end of a sentence; empty where there is none."""
        if len(self.known) > LONGEST or not self.known.isprintable():
            return ", with the command that its policy names"
        return f", with: {self.known}" if self.known else f", for example: {self.usual}" if self.usual else ""


NOTHING = How()


@dataclass(frozen=True, slots=True)
class Remedy:
    """What helps, in words and, where there is one, as a command to be typed where the watchdog runs.

    `first`: what has to be done before; `when`: what the command waits for, which the words say already. `otherwise`:
    what helps where that does not. `how`, `otherwise_how`: by what that is done, where it is no command of ours.
    """

    words: str
    command: str = ""
    first: str = ""
    when: str = ""
    otherwise: str = ""
    how: How = NOTHING
    otherwise_how: How = NOTHING

    @property
    def short(self) -> str:
        """In one line: the command rather than the words."""
        first = f"{self.first}, then: " if self.first else f"{self.when}: " if self.when and self.command else ""
        otherwise = f"; or {self.otherwise}{self.otherwise_how.said}" if self.otherwise else ""
        return f"{first}{self.command or f'{self.words}{self.how.said}'}{otherwise}"

    @property
    def pasted(self) -> str:
        """The command that stands by itself beside the sentences."""
        return self.command or self.how.known or self.otherwise_how.known

    @property
    def sentences(self) -> str:
        """The words as sentences, for beside that. A command at an end has no full stop, which would be pasted too."""
        how, otherwise_how = self._beside(self.how), self._beside(self.otherwise_how)
        said = f"{self.first}, then {self.words}{how}" if self.first else f"{self.words}{how}"
        if self.otherwise:
            said += f"{'; or' if how else '. Or'} {self.otherwise}{otherwise_how}"
        ends_in_a_command = otherwise_how if self.otherwise else how
        return f"{said[0].upper()}{said[1:]}{'' if ends_in_a_command else '.'}"

    def _beside(self, how: How) -> str:
        return "" if how.known and how.known == self.pasted else how.said


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
    how the operator has the process restarted, where that is known."""
    if is_a_loop(finding):
        return Remedy(OUT_OF_A_LOOP)
    kind, system = finding.kind, system_named(system_kind)
    if finding.caused_by is not None and finding.caused_by.kind == IN_FLIGHT and finding.caused_by.job:
        run = f"the run of {finding.caused_by.job}"
        return _of_a_run(f"see in the {system.process}'s log what {run} is at, for this waits for it", system, restart)
    general = _general(kind, system)
    if kind is Kind.LONG_RUN:
        return _of_a_run(f"{general} (the {system.process}'s log tells)", system, restart)
    if kind.row.by_restart:
        general = f"{general}{_as_started(restart)}"
    how = How(restart, system.restart) if kind.row.by_restart else NOTHING
    revive = revive_command(finding, system_kind) if finding.caused_by is None else ""
    if revive:
        otherwise = (general, how) if kind.row.by_restart else ("", NOTHING)
        return _brought_back(finding, system.remedies[kind], revive, *otherwise)
    if kind is Kind.OVERDUE:
        return Remedy(f"{general} (the {system.process}'s log tells)", how=How(usual=system.log))
    return Remedy(general, _verb_command(finding), how=how)


def _of_a_run(look: str, system: System[Any], restart: str) -> Remedy:
    """Of a run that may hang: where to see what it is at, and what ends it."""
    end = f"if it hangs, restart the {system.process}{_as_started(restart)}, which ends that run"
    return Remedy(look, otherwise=end, how=How(usual=system.log), otherwise_how=How(restart, system.restart))


def _as_started(restart: str) -> str:
    return "" if restart else " as you started it"


def _brought_back(finding: Finding, words: str, revive: str, otherwise: str, how: How) -> Remedy:
    first = "mend what the error says" if finding.evidence.get("error_class") == "permanent" else ""
    return Remedy(words, revive, first, CAUSE_GONE if CAUSE_GONE in words else "", otherwise, otherwise_how=how)


def revive_command(finding: Finding, kind: str) -> str:
    """The command that brings the job back; empty where there is none."""
    is_known = finding.kind in system_named(kind).remedies and finding.job_id
    return command("revive", finding.job_id or "") if is_known else ""


def _verb_command(finding: Finding) -> str:
    """The command of the table, whatever the system is."""
    verb = finding.kind.row.verb
    return command(verb, finding.job_id) if verb and finding.job_id else ""
