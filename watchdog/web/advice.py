"""What to do about a finding: a sentence, and where there is one the command."""

import shlex
from dataclasses import dataclass

from watchdog.config import Config
from watchdog.incidents import Incident
from watchdog.model import Finding, Kind


@dataclass(frozen=True, slots=True)
class Advice:
    """`command` is to be typed where the watchdog runs; empty where no command helps."""

    words: str
    command: str = ""


_WORDS = {
    Kind.OVERDUE: "See whether the agent runs, and what it is busy with.",
    Kind.LONG_RUN: "Wait for its end; until then no other job runs.",
    Kind.ZERO_TOKENS: "See why no model answers: the key, the quota, the provider.",
    Kind.FAILING: "Mend what the error says before the scheduler gives the job up.",
    Kind.STRANDED: "Give the job a new time through the agent, or delete it.",
    Kind.INVALID: "Mend the job's schedule through the agent, or delete the job.",
    Kind.UNDELIVERED: "Mend the job's delivery target or the channel.",
    Kind.UNRECORDED: "Before a restart, pause the job if it must not run again.",
    Kind.INTERRUPTED: "See what the interrupted run had done already; it may run again.",
    Kind.DUPLICATE: "See whether the work that was done twice must be undone.",
    Kind.UNREACHABLE: "Make the database readable for the watchdog.",
}
_REVIVE = (Kind.FAILED, Kind.EXPIRING)
_RESTART = (Kind.WEDGED, Kind.STALLED)


def advise(finding: Finding, config: Config | None) -> Advice:
    """What helps against it."""
    if finding.kind in _REVIVE and finding.job_id:
        words = "Bring it back once its cause is gone."
        return Advice(words, f"scheduler-watchdog revive {shlex.quote(finding.job_id)}")
    if finding.kind is Kind.SWEPT and finding.job_id:
        return Advice("Put the job back as it was.", f"scheduler-watchdog restore {shlex.quote(finding.job_id)}")
    if finding.kind in _RESTART:
        return Advice("Restart the agent; nothing else frees it.", _restart(config))
    return Advice(_WORDS.get(finding.kind, ""))


def _restart(config: Config | None) -> str:
    """The restart that the configuration names."""
    policies = config.recovery.policies if config else ()
    return next((shlex.join(policy.run) for policy in policies if policy.action == "restart" and policy.run), "")


def acknowledge(incident: Incident) -> str:
    """The command that takes an incident on."""
    return f"scheduler-watchdog ack {incident.id}"


def silence(finding: Finding) -> str:
    """The command that keeps quiet about a job for a while."""
    return f"scheduler-watchdog silence {shlex.quote(match_of(finding))} --for 2h"


def match_of(finding: Finding) -> str:
    """What a silence matches to keep quiet about this job or source, whatever marks its name has."""
    return f"job_id={finding.job_id}" if finding.job_id else f"kind={finding.kind.value},source={finding.source}"
