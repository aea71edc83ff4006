"""What of a job is remembered when an action is decided, and must still be so when it is done."""

from collections.abc import Mapping

from watchdog.core.instants import iso_or_none
from watchdog.core.model import Job

Facts = Mapping[str, object]


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
