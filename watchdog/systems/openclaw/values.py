"""Single values as OpenClaw writes them: milliseconds since 1970, sometimes as text; durations; free text."""

from datetime import datetime, timedelta
from functools import lru_cache

from watchdog.core.instants import FIRST_YEAR, LAST_YEAR, from_ms
from watchdog.core.redaction import fit_to_leave

_LONGEST_MS = 10**11


def number(value: object) -> float | None:
    """A finite number, also where an old release wrote it as text."""
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


def instant(value: object) -> datetime | None:
    """The instant of milliseconds since 1970; None if it is none of the years that a schedule means."""
    ms = number(value)
    if ms is None or ms <= 0:
        return None
    try:
        at = from_ms(int(ms))
    except (OverflowError, ValueError, OSError):
        return None
    return at if FIRST_YEAR <= at.year <= LAST_YEAR else None


def length(value: object) -> timedelta | None:
    """A duration in milliseconds; None if it is negative or beyond three years."""
    ms = number(value)
    return timedelta(milliseconds=int(ms)) if ms is not None and 0 <= ms < _LONGEST_MS else None


def count(value: object) -> int:
    """A whole number, zero or more; zero where there is none."""
    found = number(value)
    return int(found) if found is not None and found > 0 else 0


def text(value: object, limit: int = 200) -> str | None:
    """Bounded text without control characters or credentials; None if there is none."""
    return _fit(value, limit) if isinstance(value, str) and value.strip() else None


@lru_cache(maxsize=4096)
def _fit(value: str, limit: int) -> str:
    """Most texts are the same at every look."""
    return fit_to_leave(value, limit)
