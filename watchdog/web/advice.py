"""What to do about a finding: a sentence, and where there is one the command."""

import shlex
from dataclasses import dataclass

from watchdog.config.file import Config
from watchdog.config.policies import is_like
from watchdog.core.incident import Incident
from watchdog.core.model import Finding
from watchdog.systems.remedy import remedy_of


@dataclass(frozen=True, slots=True)
class Advice:
    """`command` is to be typed where the watchdog runs; empty where no command helps."""

    words: str
    command: str = ""


def advise(finding: Finding, config: Config | None, system: str) -> Advice:
    """What helps against it; `system` is the kind of its source. A restart is the one that the operator configured."""
    remedy = remedy_of(finding, system)
    restart = _restart(config, finding.source) if finding.kind.row.by_restart else ""
    return Advice(remedy.sentences, remedy.command or restart)


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
