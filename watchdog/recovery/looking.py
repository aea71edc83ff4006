"""A job as its source shows it now, looked at once more just before something is done about it."""

from collections.abc import Mapping
from datetime import datetime

from watchdog.config.file import AnySource
from watchdog.core.instants import iso_or_none
from watchdog.core.model import Job
from watchdog.systems.opening import open_source
from watchdog.systems.shared.sqlite_file import UnreadableError

Facts = Mapping[str, object]


def look_at(source: AnySource, job_id: str, now: datetime) -> Job | None:
    """The job; None if it is gone. Raises UnreadableError."""
    snapshot = open_source(source).look(now).snapshot
    if snapshot.problem is not None:
        raise UnreadableError(snapshot.problem)
    return next((job for job in snapshot.jobs if job.id == job_id), None)


def fingerprint(job: Job) -> Facts:
    """What of a job is remembered and must still be so: all that a single look tells, whatever was seen before."""
    return {
        "enabled": job.enabled,
        "status": job.status,
        "next_run_at": iso_or_none(job.next_run_at),
        "in_flight_since": iso_or_none(job.in_flight_since),
        "last_run_at": iso_or_none(job.last_run.started_at if job.last_run else None),
    }


def is_as_seen(job: Job, seen: Facts) -> bool:
    """Whether all that was remembered of the job is still so."""
    there = fingerprint(job)
    return all(there.get(name) == value for name, value in seen.items())
