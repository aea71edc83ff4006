"""`stranded`: a planned job without a next run, or with one that its schedule does not explain. It looks healthy."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from watchdog.cadence.schedule import CLOCK_CHANGE_GRACE, clear_of_clock_changes, next_fire, plus, words
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import At, CronSchedule, Every, Finding, Job, NoCadence, Snapshot, Unreadable
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import RulesForAll

LONGEST_PAUSE = timedelta(hours=1)
"""How long a scheduler that is not known better holds back a job after an error."""

OLD_PLAN = timedelta(days=8)
"""How far ahead a plan may lie that was made before the schedule was changed by hand: a weekly one's."""

ANY_ZONE = timedelta(hours=26)
"""How far the clocks of two places on earth lie apart at the most."""


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each job that is active and enabled and has no next run, or one too far ahead."""
    for job in now.doubtful(snapshot.jobs):
        is_known = job.terms.shows_next_run and not isinstance(job.schedule, NoCadence | Unreadable)
        if not job.is_planned or job.problems or not is_known:
            continue
        if job.next_run_at is None:
            yield _found(snapshot, job, "is active but has no next run, so it never fires")
        elif (limit := _ahead_of(job, job.next_run_at, now)) is not None:
            what = f"fires next at {say(job.next_run_at)}: its schedule would have it fire by {say(limit)}"
            yield _found(snapshot, job, f"{what}, so it is silent until then", limit)


def _found(snapshot: Snapshot, job: Job, what: str, limit: datetime | None = None) -> Finding:
    return about(
        snapshot,
        job,
        Kind.STRANDED,
        Severity.CRITICAL,
        job.updated_at,
        f"{job.name} {what} (schedule: {words(job.schedule)})",
        schedule=words(job.schedule),
        next_run_at=job.next_run_at,
        fires_by=limit,
        last_run_at=job.last_started_at,
        updated_at=job.updated_at,
    )


def _ahead_of(job: Job, next_run: datetime, now: Moment) -> datetime | None:
    """The latest fire that the schedule allows from now on, if the next run lies further ahead and nothing explains it.

    A pause after an error does, clocks that change, and one that was put back; and where a cron expression names no
    zone, any zone's clock.
    """
    at = now.at + now.put_back
    if next_run <= at or not now.reached(clear_of_clock_changes(job.schedule, now.at)):
        return None
    if job.terms.may_wait_until is not None and next_run <= job.terms.may_wait_until:
        return None
    slack = CLOCK_CHANGE_GRACE + _pause(job) + (OLD_PLAN if _has_old_plan(job) else timedelta())
    latest, changes_at = _latest_fire(job, at)
    if latest is None or next_run <= plus(latest, slack):
        return None
    now.reached((changes_at or next_run - (latest - at) - slack) - now.put_back)
    return latest


def is_too_far_ahead(job: Job, now: Moment) -> bool:
    """Whether its next run lies further ahead than its schedule alone allows by the clock as it stands."""
    latest, changes_at = _latest_fire(job, now.at)
    if latest is None or job.next_run_at is None or job.next_run_at <= latest:
        return False
    return not now.reached(changes_at or job.next_run_at - (latest - now.at))


def _latest_fire(job: Job, now: datetime) -> tuple[datetime | None, datetime | None]:
    """The latest fire that may be the next one, and when that becomes another one; None where it moves with `now`."""
    match job.schedule:
        case At(at):
            return max(at, now), None
        case Every(interval):
            return plus(now, interval), None
        case CronSchedule(is_zone_assumed=True):
            fire = next_fire(job.schedule, plus(now, ANY_ZONE))
            return (plus(fire, ANY_ZONE), fire - ANY_ZONE) if fire else (None, None)
        case CronSchedule():
            fire = next_fire(job.schedule, now)
            return fire, fire
    return None, None


def _has_old_plan(job: Job) -> bool:
    """Whether somebody has changed the row since its run: a plan made for its earlier schedule may stand still."""
    if job.terms.has_old_plan:
        return True
    if job.last_run is None or job.updated_at is None:
        return job.updated_at is not None
    return job.updated_at > (job.last_run.ended_at or job.last_run.started_at) + timedelta(minutes=1)


def _pause(job: Job) -> timedelta:
    """For how long its errors may hold it back."""
    if job.consecutive_errors == 0 and not (job.last_run and job.last_run.status == "error"):
        return timedelta()
    return max(job.breaker.backoff, default=LONGEST_PAUSE) if job.breaker else LONGEST_PAUSE
