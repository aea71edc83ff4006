"""A stranger's values as typed ones: bounded, without credentials, within the calendar.

`Values` reads those of one row, and notes what is wrong with them. The functions read one value: some raise ValueError,
and those for documents of JSON, in which much may be missing, give None.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeGuard, TypeVar

from watchdog.core.durations import LONGEST, parse_duration
from watchdog.core.instants import FIRST_YEAR, LAST_YEAR, from_ms, parse_instant, sane
from watchdog.core.redaction import fit_to_leave

T = TypeVar("T")

NAME_LENGTH = 200
ERROR_LENGTH = 500

LONGEST_MS = 10**11
"""Three years: longer ones are a slip, and what is added to an instant must stay within the calendar."""

_FROM_MS = 1e11
"""A number from here on is in milliseconds: in seconds it would be an instant after the year 5000."""

_SPOKEN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|sec|second|min|minute|hour|day|week)s?", re.ASCII)
_CLOCK = re.compile(r"(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)", re.ASCII)


@dataclass
class Values:
    """Takes values out of one row and notes what is wrong with them.

    A number is taken as a database gives it: text that holds one is no count, no instant and no length of time.
    """

    row: Mapping[str, object]
    problems: list[str] = field(default_factory=list)

    def text(self, column: str, limit: int = NAME_LENGTH) -> str | None:
        """Bounded text without control characters or credentials; None if there is none."""
        value = self.row.get(column)
        return None if value is None else fit_to_leave(_plain(value), limit) or None

    def word(self, column: str) -> str:
        """A status in lower case; empty if there is none."""
        return (self.text(column, 40) or "").lower().replace(" ", "_").replace("-", "_")

    def count(self, column: str) -> int | None:
        """A whole number, zero or more."""
        return self.read(column, whole, "not a number")

    def flag(self, column: str, *, default: bool) -> bool:
        """Yes or no, as databases write it; the default if it is NULL, not there, or neither."""
        found = self.read(column, _flag, "neither true nor false")
        return default if found is None else found

    def instant(self, column: str) -> datetime | None:
        """An instant: ISO 8601 text (UTC where it names no zone), seconds since 1970, or milliseconds from 10^11 on."""
        return self.read(column, any_instant, "not an instant")

    def duration(self, column: str) -> timedelta | None:
        """A length of time above 0: an interval, a number of seconds, or text like `30s` or `30 seconds`."""
        return self.read(column, _duration, "not a duration")

    def read(self, column: str, reader: Callable[[object], T], what: str) -> T | None:
        """What a reader makes of a value that is there; where it raises, `what` says what the value is not."""
        value = self.row.get(column)
        if value is None:
            return None
        try:
            return reader(value)
        except (ValueError, ArithmeticError):
            self.problems.append(f"{column} is {quoted(value)}, {what}")
            return None


def _plain(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[:4000]).decode("utf-8", "replace")
    return str(value)[:8000] if isinstance(value, str) else str(value)


def whole(value: object) -> int:
    """A whole number, zero or more; raises ValueError."""
    if isinstance(value, int) and value >= 0:
        return int(value)
    if _is_number(value) and math.isfinite(value) and value >= 0 and value % 1 == 0:
        return int(value)
    raise ValueError("not a number")


def _is_number(value: object) -> TypeGuard[float]:
    """Also an exact one (Decimal), as some databases give: known by its name, for what is never met need not be loaded,
    and that would be 0.4 MB."""
    return isinstance(value, int | float) or type(value).__name__ == "Decimal"


_YES = ("t", "true", "y", "yes", "on", "1", "enabled")
_NO = ("f", "false", "n", "no", "off", "0", "disabled")


def _flag(value: object) -> bool:
    if _is_number(value):
        return value != 0
    word = str(value).strip().lower()
    if word not in (*_YES, *_NO):
        raise ValueError("neither")
    return word in _YES


def any_instant(value: object) -> datetime:
    """The instant of a database's own type, of text, or of a number since 1970; raises ValueError."""
    if isinstance(value, datetime):
        return sane(value)
    if isinstance(value, bool):
        raise ValueError("not a number")
    if _is_number(value):
        number = float(value)
        seconds = number / 1000 if number >= _FROM_MS else number
        if not 0 <= seconds < _FROM_MS:
            raise ValueError("out of range")
        return sane(datetime.fromtimestamp(seconds, UTC))
    return parse_instant(str(value).strip())


def _duration(value: object) -> timedelta:
    length = _length(value)
    if not timedelta() < length <= LONGEST:
        raise ValueError("out of range")
    return length


def _length(value: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if _is_number(value) and not isinstance(value, bool):
        return timedelta(seconds=float(value))
    text = str(value).strip().lower()
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = clock.groups()
        return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    if spoken := _SPOKEN.fullmatch(text):
        number, unit = spoken.groups()
        return parse_duration(number + (unit if unit == "ms" else unit[0]))
    return parse_duration(text)


def quoted(value: object) -> str:
    """The value as it stands there, fit for one line."""
    return fit_to_leave(repr(value)[:2000], 60)


# values of JSON


def number(value: object) -> float | None:
    """A finite number, also where somebody wrote it as text."""
    if type(value) is int and -(10**17) < value < 10**17:
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        try:
            value = float(value.strip())
        except ValueError:
            return None
    if isinstance(value, int | float) and abs(value) < 1e18:
        return float(value)
    return None


def ms_instant(value: object) -> datetime | None:
    """The instant of milliseconds since 1970; None if it is none of the years that a schedule means."""
    ms = number(value)
    if ms is None or ms <= 0:
        return None
    try:
        at = from_ms(int(ms))
    except (OverflowError, ValueError, OSError):
        return None
    return at if FIRST_YEAR <= at.year <= LAST_YEAR else None


def ms_length(value: object) -> timedelta | None:
    """A duration in milliseconds; None if it is negative or beyond three years."""
    ms = number(value)
    return timedelta(milliseconds=int(ms)) if ms is not None and 0 <= ms < LONGEST_MS else None


def count(value: object) -> int:
    """A whole number, zero or more; zero where there is none."""
    found = number(value)
    return int(found) if found is not None and found > 0 else 0


def text(value: object, limit: int = NAME_LENGTH) -> str | None:
    """Bounded text without control characters or credentials; None if there is none."""
    return _fit(value, limit) if isinstance(value, str) and value.strip() else None


@lru_cache(maxsize=4096)
def _fit(value: str, limit: int) -> str:
    """Most texts are the same at every look."""
    return fit_to_leave(value, limit)
