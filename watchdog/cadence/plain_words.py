"""Schedules and distances in time as a person would say them."""

import re
from datetime import datetime, timedelta
from functools import lru_cache

from watchdog.cadence.schedule import words
from watchdog.core.durations import say_duration
from watchdog.core.instants import say
from watchdog.core.model import CronSchedule, Schedule

INSIDE_A_ZONE = re.compile(r"(?<=[A-Za-z][/_])(?=[A-Za-z])")
"""Where a line may end in the name of a zone, rather than within a word: `America/` and `Argentina/` and `Buenos_`."""

_DIFFERENT_HERE = "?+"
"""What croner reads otherwise than the rest of the world: `0 0 ? * MON` fires every day, `+` means AND."""


def ago(instant: datetime | None, now: datetime, never: str = "never") -> str:
    """`3 h ago`, `in 12 min`, `now`; `never` if there is no instant. Only the largest unit is said."""
    if instant is None:
        return never
    if abs((now - instant).total_seconds()) < 1:
        return "now"
    return f"{rough(now - instant)} ago" if instant < now else f"in {rough(instant - now)}"


def rough(length: timedelta) -> str:
    """A length of time in its largest unit: `3 h`."""
    return " ".join(say_duration(length).split()[:2])


def since(instant: datetime | None, now: datetime) -> str:
    """`since 2026-04-29 10:00 UTC, 3 h ago`; empty if that is not known."""
    return f"since {say(instant)}, {ago(instant, now)}" if instant else ""


@lru_cache(maxsize=2048)
def plainly(schedule: Schedule) -> str:
    """The schedule in words: `At 09:00, only on Monday (Europe/Berlin)`, `every 30 min`."""
    if not isinstance(schedule, CronSchedule) or any(mark in schedule.expr for mark in _DIFFERENT_HERE):
        return words(schedule)
    from cron_descriptor import FormatError, Options, get_description

    options = Options(use_24hour_time_format=True, locale_code="en_US")
    try:
        return f"{get_description(schedule.expr, options)} ({schedule.zone})"
    except (FormatError, ValueError, IndexError, KeyError):
        return words(schedule)
