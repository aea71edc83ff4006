"""The scheduler's circuit breaker: when it will trip if every run from now on fails."""

from datetime import datetime, timedelta

from watchdog.cadence.schedule import next_fire
from watchdog.core.model import Breaker, CronSchedule, Job, Schedule


def trips_at(job: Job, start: datetime) -> datetime | None:
    """The end of the run that makes the last allowed error, if the next run begins at `start`; None without a breaker.

    Assumes that runs keep failing as fast as the last one did, and that nothing else holds the slot.
    """
    if job.breaker is None:
        return None
    duration = job.last_run.duration if job.last_run and job.last_run.duration else timedelta()
    fire = start
    for errors in range((job.consecutive_errors or 0) + 1, job.breaker.limit):
        fire = after_error(job.schedule, job.breaker, errors, fire, fire + duration)
    return fire + duration


def after_error(schedule: Schedule, breaker: Breaker, errors: int, fire: datetime, ended: datetime) -> datetime:
    """When the scheduler tries again after so many errors in a row, the last of a run from `fire` to `ended`."""
    retry = ended + breaker.backoff[min(errors, len(breaker.backoff)) - 1]
    if breaker.keeps_cadence:
        natural = next_fire(schedule, fire)
        return max(natural, retry) if natural else retry
    if breaker.cron_may_come_sooner and isinstance(schedule, CronSchedule):
        natural = next_fire(schedule, ended)
        return min(natural, retry) if natural else retry
    return retry
