"""`failing`: a planned job errs again and again, and the breaker is about to give it up."""

from collections.abc import Iterator
from datetime import datetime

from watchdog.breaker import trips_at
from watchdog.detectors.about import about
from watchdog.instants import say
from watchdog.model import At, Finding, Job, Kind, Severity, Snapshot
from watchdog.moment import Moment
from watchdog.settings import Detect, Failing


def detect(snapshot: Snapshot, now: Moment, settings: Detect) -> Iterator[Finding]:
    """One finding for each job at the threshold; says how many errors are left and when the breaker trips."""
    for job in snapshot.jobs:
        wanted = _threshold(job, settings.of(job).failing)
        if not job.is_planned or job.consecutive_errors < wanted:
            continue
        trip = trips_at(job)
        yield about(
            snapshot,
            job,
            Kind.FAILING,
            Severity.WARNING,
            _since(job, wanted),
            f"{job.name} has failed {job.consecutive_errors} times in a row{_ahead(job, trip)}",
            consecutive_errors=job.consecutive_errors,
            errors_left=job.breaker.limit - job.consecutive_errors if job.breaker else None,
            breaker_limit=job.breaker.limit if job.breaker else None,
            breaker_trips_at=trip,
            last_error=job.last_run.error if job.last_run else None,
            error_class=job.last_run.error_class if job.last_run else None,
        )


def _threshold(job: Job, rule: Failing) -> int:
    return rule.errors_at if isinstance(job.schedule, At) else rule.errors


def _since(job: Job, wanted: int) -> datetime | None:
    """The end of the run that made it so many errors, if it is still remembered; the last change of the row else."""
    back = job.consecutive_errors - wanted + 1
    return job.recent[-back].at if back <= len(job.recent) else job.updated_at


def _ahead(job: Job, trip: datetime | None) -> str:
    if job.breaker is None:
        return ""
    left = job.breaker.limit - job.consecutive_errors
    more = f"{left} more error{'' if left == 1 else 's'} and the scheduler gives it up"
    return f": {more}, at about {say(trip)} if nothing changes" if trip else f": {more}"
