"""What to do about a finding: a sentence, and where there is one the command."""

import shlex
from dataclasses import dataclass

from watchdog.config.file import Config
from watchdog.config.policies import is_like
from watchdog.core.incident import Incident
from watchdog.core.model import Finding, Kind
from watchdog.systems.remedy import restart_words, revive_command


@dataclass(frozen=True, slots=True)
class Advice:
    """`command` is to be typed where the watchdog runs; empty where no command helps."""

    words: str
    command: str = ""


_WORDS = {
    Kind.OVERDUE: "See whether its scheduler runs, and what it is busy with.",
    Kind.LONG_RUN: "Wait for its end, or see what it hangs in.",
    Kind.ZERO_TOKENS: "See why no model answers: the key, the quota, the provider.",
    Kind.FAILING: "Mend what the error says before the scheduler gives the job up.",
    Kind.STRANDED: "Give the job a new time where it is made, or delete it.",
    Kind.INVALID: "Mend the job's schedule where it is made, or delete the job.",
    Kind.UNDELIVERED: "Mend the job's delivery target or the channel.",
    Kind.UNRECORDED: "Before a restart, pause the job if it must not run again.",
    Kind.INTERRUPTED: "See what the interrupted run had done already; it may run again.",
    Kind.DUPLICATE: "See whether the work that was done twice must be undone.",
    Kind.FAILED: "See what its last error says; its scheduler will not run it again by itself.",
    Kind.UNREACHABLE: "Make what it is read from readable for the watchdog.",
}
_REVIVED = {
    Kind.FAILED: "Bring it back once its cause is gone.",
    Kind.EXPIRING: "Bring it back once its cause is gone.",
    Kind.WEDGED: "Free it: it is switched off and on again. A run that still lives may go on beside the next.",
    Kind.OVERDUE: "Have it run now, if its scheduler still holds it due.",
}
_RESTART = (Kind.WEDGED, Kind.STALLED)


def advise(finding: Finding, config: Config | None, system: str) -> Advice:
    """What helps against it; `system` is the kind of its source."""
    revive = revive_command(finding, system)
    if revive and finding.caused_by is None:
        return Advice(_REVIVED[finding.kind], revive)
    if finding.kind is Kind.SWEPT and finding.job_id:
        return Advice("Put the job back as it was.", f"scheduler-watchdog restore {shlex.quote(finding.job_id)}")
    if finding.kind in _RESTART:
        words = restart_words(system).partition(",")[0]
        return Advice(f"{words[0].upper()}{words[1:]}; nothing else frees it.", _restart(config, finding.source))
    return Advice(_WORDS.get(finding.kind, ""))


def _restart(config: Config | None, source: str) -> str:
    """The restart that the configuration names for this source."""
    policies = [policy for policy in config.recovery.policies if policy.action == "restart"] if config else []
    fitting = [policy for policy in policies if is_like(source, policy.match.source or "*")]
    return next((shlex.join(policy.run) for policy in fitting if policy.run), "")


def acknowledge(incident: Incident) -> str:
    """The command that takes an incident on."""
    return f"scheduler-watchdog ack {incident.id}"


def silence(finding: Finding) -> str:
    """The command that keeps quiet about a job for a while."""
    return f"scheduler-watchdog silence {shlex.quote(match_of(finding))} --for 2h"


def match_of(finding: Finding) -> str:
    """What a silence matches to keep quiet about this job or source, whatever marks its name has."""
    return f"job_id={finding.job_id}" if finding.job_id else f"kind={finding.kind.value},source={finding.source}"
