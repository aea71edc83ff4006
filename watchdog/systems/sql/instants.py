"""The ways in which databases and programs write an instant, made one that everybody else reads."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

INSTANTS = frozenset(
    (
        "at",
        "next_run_at",
        "running_since",
        "last_run_at",
        "planned_since",
        "planned_until",
        "updated_at",
        "started_at",
        "ended_at",
    )
)
"""The columns of both queries that hold one."""

_RAN = frozenset(("started_at", "ended_at", "last_run_at"))

_DAY = re.compile(r"\d{4}-\d\d-\d\d")

_NONE = frozenset(("", "null", "none", "nil", "never"))
"""What some write where there is none; the years before 1971, which begin with a zero of theirs, mean the same."""

_FIRST_YEAR = 1971

_NUMBER = re.compile(r"\s*\d{1,20}(\.\d*)?\s*")
_ZONE = re.compile(r"(?<=\d)\s*(?:UTC|GMT|[zZ])\s*$")
_NAMED_ZONE = re.compile(r"\[[\w/+-]+\]\s*$")
_GO = re.compile(r"(.*\d [+-]\d{4}) [A-Z+-][\w+-]*( m=.*)?")
"""`2026-06-10 14:00:00.1 +0200 CEST m=+0.01`, as Go prints it."""

_DATE = re.compile(r"\s*(\d{4})[-/](\d\d)[-/](\d\d)")

_DIGITS = (19710101000000, 29991231235959)
"""`20260610120000` is written out. As milliseconds it would be five hundred years ahead, and more."""

_UNITS = ((10**17, 10**6), (10**14, 10**3))
"""From how much on a number is nanoseconds or microseconds, and how many of these are a millisecond."""


def readable(row: Mapping[str, object]) -> Mapping[str, object]:
    """The row with its instants as all of the program reads them; what cannot be read stays as it is."""
    return {column: _of(column, value) if column in INSTANTS else value for column, value in row.items()}


def _of(column: str, value: object) -> object:
    """A day alone is no instant at which something ran: what is due by the hour would be late at once."""
    found = _instant(value)
    is_a_day = column in _RAN and isinstance(found, str) and _DAY.fullmatch(found) is not None
    return f"{found} without a time" if is_a_day else found


def _instant(value: object) -> object:
    if isinstance(value, bytes | bytearray | memoryview):
        value = bytes(value[:200]).decode("utf-8", "replace")
    if isinstance(value, str):
        value = _of_text(value[:200])
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _of_number(value)
    return None if isinstance(value, datetime) and value.year < _FIRST_YEAR else value


def _of_number(value: float | Decimal) -> object:
    """Seconds or milliseconds, as they are read elsewhere; None for a zero."""
    if value == 0:
        return None
    if _DIGITS[0] <= value <= _DIGITS[1]:
        return f"{int(value) // 10**6}T{int(value) % 10**6:06}"
    return next((int(value) // unit for least, unit in _UNITS if value >= least), value)


def _of_text(text: str) -> object:
    shown = text.strip()
    if shown.lower() in _NONE:
        return None
    if _NUMBER.fullmatch(shown):
        return Decimal(shown) if "." in shown else int(shown)
    go = _GO.fullmatch(shown)
    plain = go[1] if go else _ZONE.sub("+00:00", _NAMED_ZONE.sub("", shown))
    date = _DATE.match(plain)
    if date is None:
        return _of_mail(shown) or text
    if int(date[1]) < _FIRST_YEAR:
        return None
    return f"{date[1]}-{date[2]}-{date[3]}{plain[date.end() :].replace(' +', '+').replace(' -', '-')}"


def _of_mail(text: str) -> str | None:
    """`Wed, 10 Jun 2026 12:00:00 GMT`, as the header of a letter has it."""
    from email.utils import parsedate_to_datetime  # half a MB, for what next to nobody writes

    try:
        found = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).isoformat()
