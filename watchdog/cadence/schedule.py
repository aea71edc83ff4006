"""Cadence: when a schedule fires, and from when on a fire that did not come is late."""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol

from watchdog.cadence import cron, cron_auto, cron_seconds
from watchdog.core.durations import say_duration
from watchdog.core.instants import from_ms, say, to_ms
from watchdog.core.model import At, CronSchedule, Every, NoCadence, Schedule, Unreadable

LATEST = datetime(9999, 12, 31, tzinfo=UTC)

CLOCK_CHANGE_GRACE = timedelta(minutes=65)
"""Around a clock change the scheduler's own arithmetic may answer an instant in the past, for up to an hour;
nothing is called late on the strength of arithmetic within this much of one."""


@lru_cache(maxsize=256)
def next_fire(schedule: Schedule, after: datetime) -> datetime | None:
    """The first fire strictly after `after`; for `every` one interval later. None if there is none."""
    match schedule:
        case At(at):
            return at if at > after else None
        case Every(interval):
            return plus(after, interval)
        case CronSchedule():
            answer = _arithmetic(schedule).next(to_ms(after))
            return None if answer is None else from_ms(answer)
        case NoCadence() | Unreadable():
            return None


@lru_cache(maxsize=1024)
def fires_between(schedule: Schedule, begins: datetime, most: int) -> tuple[datetime, ...]:
    """The fires of a cron expression, or the one of a one-shot, in the hour from `begins` on; `most` at the most."""
    if not isinstance(schedule, At | CronSchedule):
        return ()
    fires: list[datetime] = []
    fire = next_fire(schedule, begins - timedelta(milliseconds=1))
    while fire is not None and fire < begins + timedelta(hours=1) and len(fires) < most:
        fires.append(fire)
        fire = next_fire(schedule, fire)
    return tuple(fires)


LONGEST_COUNT = timedelta(days=2)


def fires_within(schedule: Schedule, begins: datetime, ends: datetime) -> int:
    """How many fires a schedule has after an instant and before another; counted within two days."""
    if isinstance(schedule, Every):
        return (ends - begins) // schedule.interval
    begins = max(begins, ends - LONGEST_COUNT)
    hours = -(-(ends - begins) // timedelta(hours=1))
    fires = (fires_between(schedule, begins + hour * timedelta(hours=1), 3600) for hour in range(hours))
    return sum(begins < fire < ends for some in fires for fire in some)


class _Arithmetic(Protocol):
    """When a cron expression fires, in milliseconds since 1970."""

    def next(self, after_ms: int) -> int | None:
        """The first fire strictly after."""

    def at_or_before(self, ms: int) -> int | None:
        """The latest fire that is not after."""


def _arithmetic(schedule: CronSchedule) -> _Arithmetic:
    if schedule.rules == "croner":
        if cron_seconds.has_seconds(schedule.expr):
            return cron_seconds.parse(schedule.expr, schedule.zone)
        return cron.parse(schedule.expr, schedule.zone)
    if schedule.rules == "croner-auto":
        return cron_auto.parse(schedule.expr, schedule.zone)
    from watchdog.cadence import classic_cron  # with croniter, which few need

    read = classic_cron.parse if schedule.rules == "classic" else classic_cron.parse_as_croniter
    return read(schedule.expr, schedule.zone)


@lru_cache(maxsize=2048)
def deadline(
    schedule: Schedule, due: datetime, cadences: int, at_grace: timedelta, grace: timedelta = timedelta()
) -> datetime | None:
    """When a job that was due at `due` and has not run becomes overdue: the `cadences`-th fire after it, and `grace`.

    A one-shot, and a schedule with no further fires, has `at_grace` instead. None if the schedule cannot be read.
    """
    if isinstance(schedule, Unreadable):
        return None
    if isinstance(schedule, At | NoCadence):
        return plus(due, max(at_grace, grace))
    limit: datetime | None = due
    for _ in range(cadences):
        limit = next_fire(schedule, limit) if limit else None
    if limit is None:
        return plus(due, max(at_grace, grace))
    return plus(clear_of_clock_changes(schedule, limit), grace)


def clear_of_clock_changes(schedule: Schedule, limit: datetime) -> datetime:
    """The instant; near a change of the clocks in the schedule's zone, when the grace after that is over."""
    if not isinstance(schedule, CronSchedule):
        return limit
    around = to_ms(CLOCK_CHANGE_GRACE + _EPOCH)
    at = to_ms(limit)
    changes = cron.clock_changes(schedule.zone, at - around, at + around)
    return max([limit, *(from_ms(change) + CLOCK_CHANGE_GRACE for change in changes)])


def near_clock_change(schedule: Schedule, at: datetime) -> bool:
    """Whether the schedule's zone changes its clocks within the grace of `at`."""
    if not isinstance(schedule, CronSchedule):
        return False
    return clear_of_clock_changes(schedule, at) != at


def fire_at_or_before(schedule: CronSchedule, at: datetime) -> datetime | None:
    """The slot that a run which started at `at` belongs to: the latest fire that is not after it."""
    answer = _arithmetic(schedule).at_or_before(to_ms(at))
    return None if answer is None else from_ms(answer)


def words(schedule: Schedule) -> str:
    """The schedule for people: `every 30 min`, `cron 0 9 * * MON (Europe/Berlin)`, `once at 2026-05-05 06:20 UTC`."""
    match schedule:
        case At(at):
            return f"once at {say(at)}"
        case Every(interval):
            return f"every {say_duration(interval)}"
        case CronSchedule(expr, zone):
            return f"cron {expr} ({zone})"
        case NoCadence(text):
            return text or "no cadence is known"
        case Unreadable(text=text):
            return f"unreadable: {text}"


def plus(instant: datetime, length: timedelta) -> datetime:
    """The sum, within the calendar."""
    try:
        return instant + length
    except OverflowError:
        return LATEST


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
