"""Expressions of six parts, which begin with seconds: the other five parts give the minutes."""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from watchdog.cadence import cron
from watchdog.cadence.cron_parser import CronError, shorten

_ITEM = re.compile(r"(?:(\*)|(\d{1,2})(?:-(\d{1,2}))?)(?:/(\d{1,2}))?")
_MINUTE = 60_000


def has_seconds(expr: str) -> bool:
    """Whether the expression has six parts."""
    return len(expr.split()) == 6


class Minutes(Protocol):
    """When an expression of five parts fires, in milliseconds since 1970."""

    def next(self, after_ms: int) -> int | None:
        """The first fire strictly after."""

    def at_or_before(self, ms: int) -> int | None:
        """The latest fire that is not after."""


@dataclass(frozen=True, slots=True)
class SecondsCron:
    """A six-part expression in a zone. Instants are milliseconds since 1970."""

    seconds: tuple[int, ...]
    minutes: Minutes

    def next(self, after_ms: int) -> int | None:
        """The first fire strictly after."""
        minute = after_ms - after_ms % _MINUTE
        if self.minutes.at_or_before(minute) == minute:
            at = bisect_right(self.seconds, after_ms % _MINUTE // 1000)
            if at < len(self.seconds):
                return minute + self.seconds[at] * 1000
        later = self.minutes.next(minute)
        return None if later is None else later + self.seconds[0] * 1000

    def at_or_before(self, ms: int) -> int | None:
        """The latest fire that is not after."""
        minute = self.minutes.at_or_before(ms)
        if minute is None:
            return None
        at = bisect_left(self.seconds, min((ms - minute) // 1000, 59) + 1)
        if at:
            return minute + self.seconds[at - 1] * 1000
        earlier = self.minutes.at_or_before(minute - 1)
        return None if earlier is None else earlier + self.seconds[-1] * 1000


@lru_cache(maxsize=1024)
def parse(expr: str, zone: str, read: Callable[[str, str], Minutes] = cron.parse) -> SecondsCron:
    """`expr` in `zone`, its minutes by `read`: croner's rules, or others. ValueError where it cannot be read."""
    first, *rest = expr.split()
    return SecondsCron(_seconds(first, expr), read(" ".join(rest), zone))


def _seconds(field: str, expr: str) -> tuple[int, ...]:
    wanted: set[int] = set()
    for item in field.split(","):
        found = _ITEM.fullmatch(item)
        if found is None:
            raise CronError(f"expression {shorten(expr)}: its seconds {shorten(item)} cannot be read")
        star, low, high, step = found.groups()
        first = 0 if star else int(low)
        last = int(high) if high else 59 if star or step else first
        if first > last or last > 59 or step == "0":
            raise CronError(f"expression {shorten(expr)}: its seconds {shorten(item)} are not within 0-59")
        wanted.update(range(first, last + 1, int(step or 1)))
    return tuple(sorted(wanted))
