"""What to do about a finding: a sentence, and where there is one the command."""

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from watchdog.config.file import Config
from watchdog.core.command_line import PROGRAM, command, pasteable
from watchdog.core.incident import BROUGHT_BACK, WATCHDOG_FIRST, Incident, head_of
from watchdog.core.instants import say
from watchdog.core.model import Finding
from watchdog.incidents.intention import Deed, Intention
from watchdog.state.history import JobKey
from watchdog.systems.remedy import remedy_of, revive_command

NOBODY: Mapping[JobKey, datetime] = {}


@dataclass(frozen=True, slots=True)
class Advice:
    """`command` is to be typed where the watchdog runs; empty where no command helps."""

    words: str
    command: str = ""

    def pasted(self, config: Config | None) -> "Advice":
        """With the command as it can be pasted where the watchdog's page and messages are read."""
        return replace(self, command=whole(self.command, config))

    def after(self, intention: Intention | Deed | None, now: datetime) -> "Advice":
        """What is left to a person where the watchdog acts by itself."""
        if intention is None:
            return self
        said = intention.said(now)
        return replace(self, words=f"{said[0].upper()}{said[1:]}. {self._behind(WATCHDOG_FIRST)}")

    def _behind(self, before: str) -> str:
        """The words as the end of a sentence that ends in a colon."""
        return f"{before}{self.words[:1].lower()}{self.words[1:]}"

    def once_proved(self) -> "Advice":
        """The same of a job that was brought back: its next run is waited for first."""
        return replace(self, words=self._behind(BROUGHT_BACK))


def advise(finding: Finding, config: Config | None, system: str) -> Advice:
    """What helps against it; `system` is the kind of its source. A restart is the one that the operator configured."""
    remedy = remedy_of(finding, system, config.restart_of(finding.source) if config else "")
    return Advice(remedy.sentences, remedy.pasted)


def of_incident(
    incident: Incident, config: Config | None, system: str, begun: Mapping[JobKey, datetime] = NOBODY
) -> Advice:
    """What helps against what it is about most; of several jobs that can be brought back, one command does all.
    `begun`: since when jobs are being brought back; where all of them are, there is nothing else to do."""
    own = [member.finding for member in incident.own if member.active]
    if doing := being_done(own, system, begun):
        return doing
    head = head_of(incident.own)
    advised = waiting(advise(head, config, system), incident, head)
    return replace(advised, command=revive_all(incident, system) or advised.command)


def waiting(advised: Advice, incident: Incident, finding: Finding) -> Advice:
    """The same, but of a job that was brought back its next run is waited for first."""
    return advised.once_proved() if incident.awaits_proof_of(finding.job_id) else advised


def being_done(findings: Iterable[Finding], system: str, begun: Mapping[JobKey, datetime]) -> Advice | None:
    """That all of these jobs that can be are being brought back; None where one is not."""
    jobs = {(one.source, one.job_id or "") for one in findings if revive_command(one, system)}
    if not jobs or not jobs <= begun.keys():
        return None
    who, run = ("It is", "its next run shows") if len(jobs) == 1 else ("They are", "their next runs show")
    since = say(min(begun[job] for job in jobs))
    return Advice(f"{who} being brought back since {since}; {run} whether that has helped.")


def acknowledge(incident: Incident, config: Config | None) -> str:
    """The command that takes an incident on."""
    return whole(command("ack", str(incident.id)), config)


def silence(finding: Finding, config: Config | None) -> str:
    """The command that keeps quiet about a job for a while."""
    return whole(f"{PROGRAM} silence {shlex.quote(match_of(finding))} --for 2h", config)


def unsilence(number: int, config: Config | None) -> str:
    """The command that ends a silence."""
    return whole(command("unsilence", str(number)), config)


def whole(text: str, config: Config | None) -> str:
    """The command as it can be pasted where the watchdog runs."""
    return pasteable(text, config.notify.command_prefix, config.invocation) if config else text


def match_of(finding: Finding) -> str:
    """What a silence matches to keep quiet about this job or source, whatever marks its name has."""
    return f"job_id={finding.job_id}" if finding.job_id else f"kind={finding.kind.value},source={finding.source}"


def revive_all(incident: Incident, system: str) -> str:
    """The command that brings all jobs of an incident back; empty where there are not several that it helps."""
    found = (member.finding for member in incident.own if member.active and member.finding.caused_by is None)
    jobs = {finding.job_id for finding in found if revive_command(finding, system)}
    return f"{PROGRAM} revive --incident {incident.id}" if len(jobs) > 1 else ""


def silence_all(incident: Incident, config: Config | None) -> str:
    """The command that keeps quiet about an incident for a while, and about what joins it."""
    return whole(f"{PROGRAM} silence {match_of_all(incident)} --for 2h", config)


def match_of_all(incident: Incident) -> str:
    """What a silence matches to keep quiet about an incident."""
    return f"incident={incident.id}"


def approve(number: int, config: Config | None) -> str:
    """The command that allows a proposed recovery."""
    return whole(command("approve", str(number)), config)
