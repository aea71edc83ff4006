"""Reads a cron expression as croner does in its five-part mode, quirks included (facts about croner 10.0.1).

The outcome is a set of bit masks: bit *n* of `Fields.minutes` says that minute *n* is wanted. The calendar and the
clock are the business of `watchdog.cron`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

LONGEST_FIELD: Final = 256
FIRST_TO_FIFTH: Final = 0b011111
LAST_OF_MONTH: Final = 0b100000
EVERY_WEEK: Final = FIRST_TO_FIFTH | LAST_OF_MONTH


class CronError(ValueError):
    """An expression or zone that the scheduler would refuse: one line with the field, the fault, what is accepted."""


@dataclass(frozen=True)
class Rules:
    """What differs between croner's major versions. Every such quirk is a flag here, and is asked for by name.

    question_mark_is_no_star: `?` turns into `*` only after the test for a bare `*`, so it does not switch off the OR
        between day-of-month and day-of-week: `0 0 ? * MON` fires every day.
    february_overflows: days 29-31 that February lacks are looked for all the same, and continue in March.
    """

    question_mark_is_no_star: bool
    february_overflows: bool


SUPPORTED_RULES: Final = {10: Rules(question_mark_is_no_star=True, february_overflows=True)}


def rules_of(version: int) -> Rules:
    """The rules of croner's major `version`; ValueError for one whose rules are not known."""
    try:
        return SUPPORTED_RULES[version]
    except KeyError:
        known = ", ".join(str(number) for number in SUPPORTED_RULES)
        raise ValueError(f"cron rules of croner {version!r} are not known; supported: {known}") from None


@dataclass(frozen=True, slots=True)
class Fields:
    """A read expression. Masks have bit *n* set for value *n*; months and days of the month start at bit 1.

    weekdays: for Sunday (0) to Saturday (6), its wanted occurrences in the month: bits 0-4 first to fifth, 5 last.
    nearest_weekdays: the days that carry a `W`.
    any_day, any_weekday: the field was a bare `*`, and so has no say.
    both: day-of-month AND day-of-week must match (`+` before day-of-week); otherwise either will do.
    """

    minutes: int
    hours: int
    days: int
    months: int
    weekdays: tuple[int, ...]
    last_day: bool
    last_weekday: bool
    nearest_weekdays: tuple[int, ...]
    any_day: bool
    any_weekday: bool
    both: bool


_COMMON: Final = "*, ?, N, N-M, N-M/STEP, */STEP and lists of these"
_MONTHS: Final = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKDAYS: Final = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_MONTH_NUMBERS: Final = {name: str(number) for number, name in enumerate(_MONTHS, 1)}
# A range that ends in SUN ends on the seventh day, not on the zeroth.
_WEEKDAY_NUMBERS: Final = {"-SUN": "-7"} | {name: str(number) for number, name in enumerate(_WEEKDAYS)}


@dataclass(frozen=True)
class _Field:
    """One of the five: its name in messages, its values, its longest step (`*/60` is still one a field), its names."""

    title: str
    low: int
    high: int
    longest_step: int
    accepted: str
    numbers: Mapping[str, str]
    names: re.Pattern[str] | None

    def refuse(self, problem: str) -> CronError:
        return CronError(f"{self.title}: {problem}; accepted: {self.accepted}")

    def items(self, text: str) -> list[str]:
        """The entries of the list; CronError for a field that is not to be read at all."""
        if len(text) > LONGEST_FIELD:
            raise self.refuse(f"{len(text)} characters long, and more than {LONGEST_FIELD} are not read")
        if not text.isascii():
            raise self.refuse(f"{shorten(text)} has a character that is not ASCII")
        return text.split(",")

    def plain(self, item: str) -> str:
        """`item` in capitals, its names as numbers, and `?` as the `*` that it stands for."""
        item = item.upper().replace("?", "*")
        return item if self.names is None else self.names.sub(lambda name: self.numbers[name[0]], item)


def _field(title: str, low: int, high: int, longest_step: int, accepted: str, numbers: Mapping[str, str]) -> _Field:
    names = re.compile("|".join(numbers)) if numbers else None
    return _Field(title, low, high, longest_step, accepted, numbers, names)


_MINUTE: Final = _field("minute", 0, 59, 60, f"0-59 as {_COMMON}", {})
_HOUR: Final = _field("hour", 0, 23, 24, f"0-23 as {_COMMON}", {})
_DAY: Final = _field(
    "day-of-month",
    1,
    31,
    31,
    f"1-31 as {_COMMON}; L, the last day; LW, the last weekday; 15W, the weekday nearest the 15th",
    {},
)
_MONTH: Final = _field("month", 1, 12, 12, f"1-12 and JAN-DEC as {_COMMON}", _MONTH_NUMBERS)
_WEEKDAY: Final = _field(
    "day-of-week",
    0,
    7,
    7,
    f"0-7 and SUN-SAT as {_COMMON}; 5L or 5#L, the last Friday; 5#2, the second; +5, a Friday that is such a day too",
    _WEEKDAY_NUMBERS,
)

# The blanks of JavaScript, whose trimming the scheduler relies on; Python's own split() knows other ones.
_BLANKS: Final = re.compile("[\t\n\v\f\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+")

_ITEM: Final = re.compile(r"(?:(\*)|([0-9]+)(?:-([0-9]+))?)(?:/([0-9]+))?")


def read_fields(expr: str, rules: Rules) -> Fields:
    """`expr` read by `rules`; CronError where the scheduler would refuse it."""
    minute, hour, day, month, weekday = _split(expr)
    both = weekday.startswith("+")
    weekday = weekday.removeprefix("+")
    stars = ("*",) if rules.question_mark_is_no_star else ("*", "?")
    days, last_day, last_weekday, nearest = _read_days(day)
    return Fields(
        minutes=_read_list(_MINUTE, minute),
        hours=_read_list(_HOUR, hour),
        days=days,
        months=_read_list(_MONTH, month),
        weekdays=_read_weekdays(weekday),
        last_day=last_day,
        last_weekday=last_weekday,
        nearest_weekdays=nearest,
        any_day=_without_l(day) in stars,
        any_weekday=weekday in stars,
        both=both,
    )


def shorten(text: str) -> str:
    """`text` quoted for a one-line message, however long it is and whatever is in it."""
    quoted = ascii(text[:60])
    return quoted if len(text) <= 60 and len(quoted) <= 60 else quoted[:56] + "...'"


def _split(expr: str) -> list[str]:
    parts = [part for part in _BLANKS.split(expr) if part]
    if len(parts) != 5:
        order = "minute hour day-of-month month day-of-week"
        raise CronError(f"expression {shorten(expr)}: {len(parts)} fields; accepted: five ({order})")
    return parts


def _read_list(field: _Field, text: str) -> int:
    mask = 0
    for item in field.items(text):
        mask |= _read_item(field, field.plain(item), item)
    return mask


def _read_item(field: _Field, plain: str, item: str) -> int:
    """One entry of a list (`5`, `1-5`, `1-5/2`, `*`, `*/2`) as a mask; `item` is what was written, for the message."""
    match = _ITEM.fullmatch(plain)
    if match is None:
        raise field.refuse(f"{shorten(item)} is not understood" if item else "an entry of the list is empty")
    star, low, high, step = match.groups()
    if star is None and high is None and step is not None:
        raise field.refuse(f"{shorten(item)} steps from a single value; write it as {low}-{field.high}/{step}")
    first = field.low if star else int(low)
    last = field.high if star else int(high or low)
    return _span(field, item, first, last, 1 if step is None else int(step))


def _span(field: _Field, item: str, first: int, last: int, step: int) -> int:
    if first < field.low or last > field.high:
        raise field.refuse(f"{shorten(item)} is outside {field.low}-{field.high}")
    if first > last:
        raise field.refuse(f"{shorten(item)} runs backwards; write it as two ranges")
    if not 1 <= step <= field.longest_step:
        raise field.refuse(f"{shorten(item)} has a step outside 1-{field.longest_step}")
    return sum(1 << value for value in range(first, last + 1, step))


def _read_days(text: str) -> tuple[int, bool, bool, tuple[int, ...]]:
    """Day of month: (mask, last day, last weekday, days with a `W`).

    croner takes each `L` out, wherever it stands, and adds the last day to what is left: `15L` is the 15th and the
    last. Only then may an entry be empty. `LW` is the last weekday only where it is the whole field.
    """
    if text.upper() == "LW":
        return 0, False, True, ()
    has_last = "L" in text.upper()
    mask = 0
    nearest: list[int] = []
    for item in _DAY.items(text):
        plain = _without_l(_DAY.plain(item))
        if plain.endswith("W") and plain[:-1].isdigit():
            nearest.append(_read_item(_DAY, plain[:-1], item).bit_length() - 1)
        elif plain or not has_last:
            mask |= _read_item(_DAY, plain, item)
    return mask, has_last, False, tuple(nearest)


def _without_l(days: str) -> str:
    return days.replace("L", "").replace("l", "")


@lru_cache(maxsize=1024)
def _read_weekdays(text: str) -> tuple[int, ...]:
    """Day of week: for each weekday from Sunday on, its wanted occurrences in the month."""
    weeks = [0] * 8
    for item in _WEEKDAY.items(text):
        plain, occurrences = _read_occurrences(item)
        mask = _read_item(_WEEKDAY, plain, item)
        for weekday in range(8):
            if mask >> weekday & 1:
                weeks[weekday] |= occurrences
    return (weeks[0] | weeks[7], *weeks[1:7])


def _read_occurrences(item: str) -> tuple[str, int]:
    """`5#2` as (`5`, second), `5L` and `5#L` as (`5`, last), `5` as (`5`, every one)."""
    base, mark, which = _WEEKDAY.plain(item).partition("#")
    if not mark:
        if not base.endswith("L"):
            return base, EVERY_WEEK
        base, which = base[:-1], "L"
    if base == "*":
        raise _WEEKDAY.refuse(f"{shorten(item)} names no weekday")
    if which == "L":
        return base, LAST_OF_MONTH
    if which.isdigit() and 1 <= int(which) <= 5:
        return base, 1 << int(which) - 1
    raise _WEEKDAY.refuse(f"{shorten(item)} asks for an occurrence other than 1-5 and L")
