"""When a job fires next: the schedules of a row, the backoff after an error, and the breaker."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from watchdog.cadence import cron
from watchdog.core.instants import to_ms
from watchdog.demo.stamps import js_iso, read_stamp

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
BACKOFF = (30 * SECOND, MINUTE, 5 * MINUTE, 15 * MINUTE, 60 * MINUTE)
BREAKER = 10
BREAKER_AT = 3


class ScheduleError(ValueError):
    """A schedule that cannot be read; says what is wrong and what is accepted."""


class UnwritableError(ScheduleError):
    """The scheduler fails to write the row after a run, because its next fire is no instant."""


@dataclass(frozen=True, slots=True)
class At:
    """Once, at an instant."""

    at_ms: int

    def next_fire(self, after_ms: int) -> int | None:
        """Its instant while that lies ahead; None afterwards."""
        return self.at_ms if self.at_ms > after_ms else None


@dataclass(frozen=True, slots=True)
class Every:
    """An interval, counted from the end of the previous run."""

    interval_ms: int

    def next_fire(self, after_ms: int) -> int | None:
        """One interval on."""
        return after_ms + self.interval_ms


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields in a time zone."""

    rule: cron.Cron

    def next_fire(self, after_ms: int) -> int | None:
        """The first fire after; None where the expression never fires."""
        return self.rule.next(after_ms)


@dataclass(frozen=True, slots=True)
class Unending:
    """An interval that is no number: the next fire is no instant, and a row with it cannot be written."""

    def next_fire(self, after_ms: int) -> int | None:
        """Raises UnwritableError."""
        raise UnwritableError("the next fire is no instant; set intervalMs to a number")


@dataclass(frozen=True, slots=True)
class Never:
    """A rule or a zone that cannot be read: no next fire."""

    def next_fire(self, after_ms: int) -> int | None:
        """None."""
        return None


Schedule = At | Every | Cron | Unending | Never
ScheduleSpec = Mapping[str, object] | tuple[object, ...]


def encode(spec: ScheduleSpec) -> tuple[str, str]:
    """`(schedule_kind, schedule_value)` of a schedule as callers write it.

    `("every", ms or timedelta)`, `("at", datetime or text)`, `("cron", expr)`, `("cron", expr, zone)`, or a mapping
    with `kind` beside the row's own JSON keys. Raises ScheduleError for any other kind.
    """
    fields = _fields_of_tuple(spec) if isinstance(spec, tuple) else dict(spec)
    kind = fields.pop("kind", None)
    if kind not in ("at", "every", "cron"):
        raise ScheduleError(f"schedule: kind {kind!r} is unknown; use at, every or cron")
    return str(kind), json.dumps({key: _plain(value) for key, value in fields.items()}, separators=(",", ":"))


def _fields_of_tuple(spec: tuple[object, ...]) -> dict[str, object]:
    kind, *values = spec
    keys = {"at": ("at",), "every": ("intervalMs",), "cron": ("expr", "tz")}.get(str(kind), ())
    return {"kind": kind, **dict(zip(keys, values, strict=False))}


def _plain(value: object) -> object:
    if isinstance(value, timedelta):
        return value // timedelta(milliseconds=1)
    return js_iso(to_ms(value)) if isinstance(value, datetime) else value


@lru_cache(maxsize=4096)
def decode(kind: str, value: str, host_zone: str) -> Schedule:
    """The schedule of a row; a cron job without a zone has the scheduler host's. Raises ScheduleError."""
    try:
        fields = json.loads(value)
        if kind == "every":
            return _every(fields["intervalMs"])
        if kind == "at":
            return _at(fields["at"], host_zone)
        if kind == "cron":
            return Cron(cron.parse(fields["expr"], fields.get("tz") or host_zone))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ScheduleError(f"schedule: {kind} {value} cannot be read: {error}") from error
    raise ScheduleError(f"schedule: kind {kind!r} is unknown; use at, every or cron")


def as_it_runs(kind: str, value: str, host_zone: str) -> Schedule:
    """The schedule of a row as a pass takes it: broken rows run as well (facts: how it runs).

    Raises ScheduleError where the row is skipped: its value is no JSON object, or its kind is unknown.
    """
    try:
        return decode(kind, value, host_zone)
    except ScheduleError:
        return _broken(kind, value)


def _broken(kind: str, value: str) -> Schedule:
    try:
        fields = json.loads(value)
    except ValueError as error:
        raise ScheduleError(f"schedule: {value} is not JSON") from error
    if not isinstance(fields, dict) or kind not in ("at", "every", "cron"):
        raise ScheduleError(f"schedule: {kind} {value} is skipped")
    if kind == "at":
        return At(0)
    if kind == "cron":
        return Never()
    interval = fields.get("intervalMs", "")
    return Unending() if isinstance(interval, str) else Every(int(interval or 0))


def _every(interval_ms: object) -> Every:
    if not isinstance(interval_ms, int) or isinstance(interval_ms, bool) or interval_ms <= 0:
        raise ValueError(f"intervalMs is {interval_ms!r}; use whole milliseconds above 0")
    return Every(interval_ms)


def _at(text: str, host_zone: str) -> At:
    at_ms = read_stamp(text, host_zone)
    if at_ms is None:
        raise ValueError(f"at is {text!r}; use an ISO 8601 instant")
    return At(at_ms)


def trips(schedule: Schedule, errors: int) -> bool:
    """Whether the breaker trips at this many consecutive errors: the 10th, for a one-shot the 3rd."""
    return errors >= (BREAKER_AT if isinstance(schedule, At) else BREAKER)


def next_try(schedule: Schedule, errors: int, end_ms: int) -> int:
    """The next fire after the given number of consecutive errors, the last of which ended at `end_ms`.

    The backoff, even where the interval is shorter; a cron job takes its next fire if that is sooner.
    """
    retry = end_ms + BACKOFF[min(errors, len(BACKOFF)) - 1]
    fire = schedule.next_fire(end_ms) if isinstance(schedule, Cron) else None
    return retry if fire is None else min(retry, fire)
