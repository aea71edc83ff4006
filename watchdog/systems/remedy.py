"""What helps against a finding, by the system that it is about: one scheduler's remedy does nothing for another."""

import shlex
from typing import Any

from watchdog.core.model import Finding
from watchdog.systems import KINDS, system
from watchdog.systems.base import System

_UNKNOWN: System[Any] = System()


def system_named(kind: str) -> System[Any]:
    """How a system is spoken of; one that is not known, for example a later version's, like any scheduler."""
    return system(kind) if kind in KINDS else _UNKNOWN


def restart_words(kind: str) -> str:
    """How to restart it, with an example where there is a usual way."""
    known = system_named(kind)
    return f"restart the {known.process}" + (f", for example: {known.restart}" if known.restart else "")


def revive_command(finding: Finding, kind: str) -> str:
    """The command that brings the job back; empty where there is none."""
    remedy = system_named(kind).remedies.get(finding.kind)
    return remedy(finding) if remedy else ""


def revive(finding: Finding) -> str:
    """The job is brought back."""
    return f"scheduler-watchdog revive {shlex.quote(finding.job_id)}" if finding.job_id else ""
