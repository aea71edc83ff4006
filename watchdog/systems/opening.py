"""From what the configuration names to what reads it, and to a look at one of its jobs."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from watchdog.config.file import Config
from watchdog.config.sources import Section
from watchdog.core.model import Job, Snapshot
from watchdog.systems import system_of
from watchdog.systems.base import Source
from watchdog.systems.shared.health import heard
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.unreadable import UnreadableError

if TYPE_CHECKING:
    from watchdog.config.yaml_file import Problem


def open_source(source: Section, host: Host | None = None) -> Source:
    """What reads a source; without a host nothing is known of processes, and nothing is remembered."""
    host, system = host or Host(), system_of(source)
    opened: Source = system.open(source, host)
    return opened if system.joins_health else heard(opened, host)


def snapshot_of(source: Section, now: datetime) -> Snapshot:
    """What a first look shows. Raises UnreadableError."""
    snapshot = open_source(source).look(now).snapshot
    if snapshot.problem is not None:
        raise UnreadableError(snapshot.problem)
    return snapshot


def look_at(source: Section, job_id: str, now: datetime) -> Job | None:
    """The job as its source shows it now; None if it is gone. Raises UnreadableError."""
    return next((job for job in snapshot_of(source, now).jobs if job.id == job_id), None)


def try_out(config: Config, now: datetime) -> tuple[list[Problem], list[Problem]]:
    """Ask each source once: what is wrong with the configuration, and which sources could not be asked."""
    wrong: list[Problem] = []
    unasked: list[Problem] = []
    for index, source in enumerate(config.sources):
        trial = system_of(source).try_out(source, now)
        wrong += [(f"sources[{index}]", problem) for problem in trial.wrong]
        unasked += [(f"sources[{index}]", reason) for reason in trial.unasked]
    return wrong, unasked
