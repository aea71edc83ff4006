"""`failing`: a planned job errs again and again: so often that the breaker is about to give it up, or for so long."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from watchdog.cadence.breaker import trips_at
from watchdog.cadence.schedule import deadline, plus
from watchdog.core.fields import Count, Duration
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import At, Breaker, Finding, Job, NoCadence, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.lateness import AFTER_A_RUN
from watchdog.detectors.rules import Rule, RulesForAll

STEP = timedelta(minutes=5)
"""How far the forecast for a job that waits is moved at a time: it would be another at each look else."""


class Failing(Rule):
    """So many errors in a row (one-shots have fewer tries); or nothing but errors for so many cadences and so long.

    `errors`: how many errors in a row. `errors_at`: how many for a job that runs once. `cadences`: over how many of a
    seldom job's fires nothing but errors is enough. `lasting`: and for how long.
    """

    kind = Kind.FAILING

    errors: Count = 5
    errors_at: Count = 2
    cadences: Count = 3
    lasting: Duration = timedelta(hours=24)


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each job at the threshold; says how many errors are left and when the breaker trips."""
    for job in now.doubtful(snapshot.jobs):
        rule = settings.of(job)[Failing]
        wanted = _threshold(job, rule)
        errors = job.consecutive_errors or 0
        if not job.is_planned or errors < 1:
            continue
        too_long = None if errors >= wanted else _too_long(job, errors, rule)
        if errors < wanted and (too_long is None or not now.reached(too_long)):
            continue
        trip = _trip(job, now)
        yield about(
            snapshot,
            job,
            Kind.FAILING,
            Severity.WARNING,
            too_long or _since(job, errors - wanted + 1),
            f"{job.name} has failed {errors} times in a row"
            + _for_how_long(job, errors, too_long)
            + _ahead(job, errors, trip),
            consecutive_errors=errors,
            errors_left=_left(job.breaker, errors) if job.breaker else None,
            breaker_limit=job.breaker.limit if job.breaker else None,
            breaker_trips_at=trip,
            last_error=job.last_run.error if job.last_run else None,
            error_class=job.last_run.error_class if job.last_run else None,
        )


def _threshold(job: Job, rule: Failing) -> int:
    """What the operator says; else from when on the job's own scheduler calls it failing; else the default."""
    name = "errors_at" if isinstance(job.schedule, At) else "errors"
    usual: int = getattr(rule, name)
    return usual if job.terms.failing_from is None or name in rule.said else job.terms.failing_from


def _too_long(job: Job, errors: int, rule: Failing) -> datetime | None:
    """From when on each run has failed for too long, where it is known when the first of them ended."""
    if not rule.cadences <= errors <= len(job.recent) or isinstance(job.schedule, At | NoCadence):
        return None
    first = job.recent[-errors].at
    cadences = deadline(job.schedule, first, rule.cadences, timedelta())
    return max(cadences, plus(first, rule.lasting)) if cadences else None


def _for_how_long(job: Job, errors: int, too_long: datetime | None) -> str:
    return f", since {say(job.recent[-errors].at)} without one that worked" if too_long else ""


def _since(job: Job, back: int) -> datetime | None:
    """When the run ended that made it so many errors, or the oldest that is remembered; else the row's last change."""
    return job.recent[-min(back, len(job.recent))].at if job.recent else job.updated_at


def _trip(job: Job, now: Moment) -> datetime | None:
    """When the breaker trips. A job that waits for the slot is forecast from a start that still lies ahead."""
    due = job.due
    if due is None or job.in_flight_since is not None or not now.reached(due + AFTER_A_RUN):
        return trips_at(job, due) if due else None
    start = due + AFTER_A_RUN
    start += STEP * ((now.at - start) // STEP + 1)
    now.reached(start)
    return trips_at(job, start)


def _left(breaker: Breaker, errors: int) -> int:
    return max(1, breaker.limit - errors)


def _ahead(job: Job, errors: int, trip: datetime | None) -> str:
    if job.breaker is None:
        return ""
    left = _left(job.breaker, errors)
    more = f"{left} more error{'' if left == 1 else 's'} and the scheduler gives it up"
    return f": {more}, at about {say(trip)} if nothing changes" if trip else f": {more}"
