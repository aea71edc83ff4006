"""The standard columns that the operator's two queries return, and their values as typed ones (docs/sql.md)."""

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from watchdog.core.durations import LONGEST, parse_duration
from watchdog.core.instants import parse_instant, sane
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.shared.sqlite_file import UnreadableError

T = TypeVar("T")


class QueryError(UnreadableError):
    """The database answers, and what the operator wrote is at fault: a query, a column, the address."""


JOB_COLUMNS = (
    "id",
    "name",
    "enabled",
    "status",
    "cron",
    "every",
    "at",
    "timezone",
    "next_run_at",
    "last_run_at",
    "last_run_status",
    "last_run_error",
    "consecutive_errors",
    "max_run",
    "planned_since",
    "updated_at",
    "created_by",
    "delivery_target",
    "delivery_status",
)
RUN_COLUMNS = ("id", "job_id", "started_at", "ended_at", "status", "error", "input_tokens", "output_tokens")

REQUIRED_OF_JOBS = ("id",)
REQUIRED_OF_RUNS = ("id", "job_id", "started_at")

NAME_LENGTH = 200
ERROR_LENGTH = 500

OK = frozenset(("ok", "success", "succeeded", "successful", "completed", "complete", "done", "finished", "executed"))
_BROKEN_OFF = ("timeout", "timed_out", "aborted", "killed", "lost", "dead", "cancelled", "canceled", "missed")
FAILED = frozenset(("failed", "failure", "fail", "error", "errored", "crashed", *_BROKEN_OFF))
RUNNING = frozenset(("running", "started", "starting", "connecting", "sending", "in_progress", "processing", "active"))
"""What schedulers call a run that ended well, one that ended badly, and one that has not ended."""

_FROM_MS = 1e11
"""A number from here on is in milliseconds: in seconds it would be an instant after the year 5000."""

_SPOKEN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w|sec|second|min|minute|hour|day|week)s?", re.ASCII)
_CLOCK = re.compile(r"(\d+):([0-5]\d):([0-5]\d(?:\.\d+)?)", re.ASCII)


def check_columns(query: str, given: Sequence[str], known: Sequence[str], required: Sequence[str]) -> None:
    """Raises QueryError, which names what the query returns that is not known, twice there, or missing."""
    for column in given:
        if column not in known:
            near = difflib.get_close_matches(column, known, 1)
            meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise QueryError(f"the {query} query returns a column {column!r:.60}, which is not known; {meant}")
        if given.count(column) > 1:
            raise QueryError(f"the {query} query returns the column {column} more than once")
    missing = [column for column in required if column not in given]
    if missing:
        raise QueryError(f"the {query} query returns no column {', '.join(missing)}; it must")


@dataclass
class Values:
    """Takes values out of one row and notes what is wrong with them."""

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
        return self._read(column, count, "not a number")

    def flag(self, column: str, *, default: bool) -> bool:
        """Yes or no, as databases write it; the default if it is NULL, not there, or neither."""
        found = self._read(column, _flag, "neither true nor false")
        return default if found is None else found

    def instant(self, column: str) -> datetime | None:
        """An instant: ISO 8601 text (UTC where it names no zone), seconds since 1970, or milliseconds from 10^11 on."""
        return self._read(column, _instant, "not an instant")

    def duration(self, column: str) -> timedelta | None:
        """A length of time above 0: an interval, a number of seconds, or text like `30s` or `30 seconds`."""
        return self._read(column, _duration, "not a duration")

    def _read(self, column: str, reader: Callable[[object], T], what: str) -> T | None:
        value = self.row.get(column)
        if value is None:
            return None
        try:
            return reader(value)
        except (ValueError, ArithmeticError):
            self.problems.append(f"{column} is {fit_to_leave(repr(value)[:2000], 60)}, {what}")
            return None


def _plain(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value[:4000]).decode("utf-8", "replace")
    return str(value)[:8000] if isinstance(value, str) else str(value)


def count(value: object) -> int:
    """A whole number, zero or more; raises ValueError."""
    if isinstance(value, int) and value >= 0:
        return int(value)
    if isinstance(value, float | Decimal) and math.isfinite(value) and value >= 0 and value % 1 == 0:
        return int(value)
    raise ValueError("not a number")


_YES = ("t", "true", "y", "yes", "on", "1", "enabled")
_NO = ("f", "false", "n", "no", "off", "0", "disabled")


def _flag(value: object) -> bool:
    if isinstance(value, int | float | Decimal):
        return value != 0
    word = str(value).strip().lower()
    if word not in (*_YES, *_NO):
        raise ValueError("neither")
    return word in _YES


def _instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return sane(value)
    if isinstance(value, bool):
        raise ValueError("not a number")
    if isinstance(value, int | float | Decimal):
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
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return timedelta(seconds=float(value))
    text = str(value).strip().lower()
    if clock := _CLOCK.fullmatch(text):
        hours, minutes, seconds = clock.groups()
        return timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    if spoken := _SPOKEN.fullmatch(text):
        number, unit = spoken.groups()
        return parse_duration(number + (unit if unit == "ms" else unit[0]))
    return parse_duration(text)
