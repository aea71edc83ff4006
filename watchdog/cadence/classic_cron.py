"""When a cron schedule fires by the rules of cron itself (Vixie's, and so that of databases), through croniter.

They differ from croner's above all where day and weekday are both restricted (either one will do), and in a field that
begins with `*` (then both must fit, even in `*/2`). A sixth field in front are seconds, as in cron's kin.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from croniter import croniter

from watchdog.cadence import cron_seconds
from watchdog.cadence.zones import zone_info
from watchdog.core.instants import from_ms, to_ms

__all__ = ["ClassicCron", "parse", "parse_as_croniter"]

MACROS: Final = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_WORDS: Final = frozenset(
    "jan feb mar apr may jun jul aug sep oct nov dec sun mon tue wed thu fri sat l".split()  # noqa: SIM905
)
_ONE: Final = re.compile(r"(?<![\w*])(\w+)-\1(?![\w/])")
_ANY_DAY: Final = {"?": "*"}
"""Kin with seconds write a field without a say so."""
_LONGEST: Final = 400
_HOUR_MS: Final = 3_600_000


class ClassicCron:
    """One expression in one zone, known to be readable. `has_cron_bug`: a field that begins with `*` is no choice."""

    def __init__(self, expr: str, zone: ZoneInfo, *, has_cron_bug: bool = True) -> None:
        self._expr = expr
        self._zone = zone
        self._has_cron_bug = has_cron_bug
        self._known: tuple[int, int] | None = None

    def next(self, after_ms: int) -> int | None:
        """The first fire strictly after, in milliseconds since 1970; None if there is none. Asked for again before that
        fire it is the same."""
        known = self._known
        if known is not None and known[0] <= after_ms < known[1]:
            return known[1]
        fire = self._next(after_ms)
        self._known = (after_ms, fire) if fire is not None else None
        return fire

    def _next(self, after_ms: int) -> int | None:
        try:
            fire = self._around(after_ms).get_next(datetime)
        except (ValueError, OverflowError):
            return None
        # around a clock change croniter may answer an instant that has passed
        return found if (found := to_ms(fire)) > after_ms else self._next(after_ms + _HOUR_MS)

    def at_or_before(self, ms: int) -> int | None:
        """The latest fire that is not after."""
        try:
            fire = self._around(ms + 1).get_prev(datetime)
        except (ValueError, OverflowError):
            return None
        return min(to_ms(fire), ms)

    def _around(self, ms: int) -> croniter:
        return croniter(self._expr, from_ms(ms).astimezone(self._zone), implement_cron_bug=self._has_cron_bug)


@lru_cache(maxsize=2048)
def parse(expr: str, zone: str = "UTC") -> cron_seconds.Minutes:
    """The expression, of five fields or of six, ready to be asked. Raises ValueError with the reason."""
    if cron_seconds.has_seconds(expr):
        return cron_seconds.parse(" ".join(_ANY_DAY.get(field, field) for field in expr.split()), zone, parse)
    # croniter takes `0-0` for the whole week
    text = _ONE.sub(r"\1", " ".join(expr.split()).lower())
    _must_be_classic(text)
    return _read(text, expr, zone, has_cron_bug=True)


@lru_cache(maxsize=2048)
def parse_as_croniter(expr: str, zone: str = "UTC") -> ClassicCron:
    """The expression as croniter reads it when it is called plainly: a sixth field is the second, and day and weekday
    are either one, however they are written. Raises ValueError with the reason."""
    words = [part for part in re.findall(r"[a-z]+", expr.lower()) if part in ("h", "r")]
    if len(expr) > _LONGEST or words or (not expr.startswith("@") and not 5 <= len(expr.split()) <= 7):
        raise ValueError(f"{expr!r:.80} is not a cron expression: it must have five fields, six or seven")
    return _read(expr, expr, zone, has_cron_bug=False)


def _read(text: str, expr: str, zone: str, *, has_cron_bug: bool) -> ClassicCron:
    host = zone_info(zone)
    try:
        croniter(text, datetime(2000, 1, 1, tzinfo=UTC), implement_cron_bug=has_cron_bug)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, AttributeError) as error:
        raise ValueError(f"{expr!r:.80} is not a cron expression: {error!s:.120}") from None
    return ClassicCron(text, host, has_cron_bug=has_cron_bug)


def _must_be_classic(text: str) -> None:
    if text.startswith("@"):
        if text not in MACROS:
            raise ValueError(f"{text!r:.40} is not known; known are {', '.join(MACROS)}")
        return
    if len(text) > _LONGEST or len(text.split()) != 5:
        raise ValueError(
            f"{text!r:.80} is not a cron expression: it must have five fields, or six with seconds in front"
        )
    unknown = sorted(set(re.findall(r"[^\W\d_]+", text)) - _WORDS)
    if unknown:
        raise ValueError(f"{text!r:.80} is not a cron expression: {unknown[0]!r:.20} is not known")
