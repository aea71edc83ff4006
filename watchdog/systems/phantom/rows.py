"""One row of Phantom's `scheduled_jobs` as typed values; whatever cannot be read becomes a problem, never an error."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from watchdog.cadence import cron
from watchdog.cadence.schedule import plus
from watchdog.core.error_class import classify
from watchdog.core.instants import parse_instant, readable_instant, sane
from watchdog.core.model import At, Breaker, CronSchedule, Every, RecordedRun, Schedule, Unreadable
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.shared.values import ERROR_LENGTH, LONGEST_MS, NAME_LENGTH, Values, quoted

COLUMNS = (
    "id",
    "name",
    "enabled",
    "schedule_kind",
    "schedule_value",
    "delivery_target",
    "status",
    "last_run_at",
    "last_run_status",
    "last_run_duration_ms",
    "last_run_error",
    "next_run_at",
    "run_count",
    "consecutive_errors",
    "delete_after_run",
    "created_by",
    "updated_at",
    "last_delivery_status",
)
"""The columns that are read. `task`, the prompt, is not among them and is never read."""

REQUIRED = ("id", "name", "schedule_kind", "schedule_value", "status", "next_run_at")
"""Without these nothing can be told; a missing other one narrows what can be."""

SWEPT_AFTER = timedelta(days=30)

_LADDER = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 300, 900, 3600))
BREAKER = Breaker(limit=10, backoff=_LADDER)
BREAKER_AT = Breaker(limit=3, backoff=_LADDER)


class RowReader(Values):
    """Takes values out of one row of `scheduled_jobs`, and notes what is wrong with them."""

    def instant(self, column: str) -> datetime | None:
        """An instant in either of the two formats."""
        return self.read(column, _instant, "not a date")

    def quietly(self, column: str) -> datetime | None:
        """An instant that only narrows what is told: where it cannot be read nothing is amiss with the job."""
        return readable_instant(self.row.get(column))

    def is_enabled(self) -> bool:
        """Whether the scheduler takes it: it compares with 1. What cannot be read, or is not there, says nothing."""
        return self.count("enabled") in (1, None)

    def schedule(self, zone: str) -> Schedule:
        """The row's schedule; a cron expression without a zone fires in `zone`, the scheduler host's."""
        schedule = read_schedule(self.row.get("schedule_kind"), self.row.get("schedule_value"), zone)
        if isinstance(schedule, Unreadable):
            self.problems.append(f"its schedule cannot be read: {schedule.reason}")
        return schedule

    def last_run(self) -> RecordedRun | None:
        """The last recorded run."""
        started = self.instant("last_run_at")
        length = self.count("last_run_duration_ms")
        error = self.row.get("last_run_error")
        if started is None:
            return None
        return RecordedRun(
            started,
            self.text("last_run_status", 40),
            timedelta(milliseconds=length) if length is not None and length < LONGEST_MS else None,
            self.text("last_run_error", ERROR_LENGTH),
            classify(str(error)[:4000]) if error else None,
        )

    def sweep_at(self) -> datetime | None:
        """From when on a restart deletes the row, if it is a failed one that the sweep takes.

        The sweep compares text: `updated_at` with the ISO text of now − 30 days. Written with a space it sorts before
        the `T` of the same day, so the row goes from 00:00 UTC of its date + 30 days; written with a `T`, at the
        instant itself (docs/phantom.md, the sweep).
        """
        return self._swept_at() if self.row.get("status") == "failed" else None

    def may_go_at(self, schedule: Schedule) -> datetime | None:
        """From when on the row may be gone with nothing amiss: a one-shot has deleted itself, a completed one is swept.

        A one-shot that keeps its row completes by its run, and is swept some weeks later.
        """
        status = self.row.get("status")
        if status == "completed":
            return self._swept_at()
        if status == "failed":
            return None
        if self.row.get("delete_after_run"):
            return schedule.at if isinstance(schedule, At) else self.quietly("next_run_at")
        return plus(schedule.at, SWEPT_AFTER - timedelta(days=1)) if isinstance(schedule, At) else None

    def _swept_at(self) -> datetime | None:
        text = self.row.get("updated_at")
        if self.row.get("delete_after_run") != 0 or not isinstance(text, str):
            return None
        try:
            updated = parse_instant(text)
            return updated + SWEPT_AFTER if text[10:11] == "T" else swept_from(updated)
        except (ValueError, OverflowError):
            return None


def swept_from(updated: datetime) -> datetime:
    """From when on the sweep takes a row that was written with SQLite's own time stamp; see `RowReader.sweep_at`."""
    return datetime(updated.year, updated.month, updated.day, tzinfo=UTC) + SWEPT_AFTER


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("a number says nothing of its unit")
    return parse_instant(value)


def read_schedule(kind: object, value: object, zone: str) -> Schedule:
    """The schedule that a row says; `Unreadable` with the reason if it says none."""
    text = fit_to_leave(f"{kind} {value}", NAME_LENGTH)
    readers = {"at": (_at, ""), "every": (_every, _BACK_TO_BACK), "cron": (_cron, _ONCE_MORE)}
    reader, then = readers.get(kind, (None, "")) if isinstance(kind, str) else (None, "")
    if reader is None:
        return Unreadable(f"schedule_kind is {quoted(kind)}; at, every and cron are known", text, _SKIPPED)
    try:
        parts = json.loads(value) if isinstance(value, str | bytes) else None
    except (ValueError, RecursionError):
        return Unreadable("schedule_value is not JSON", text, _SKIPPED)
    if not isinstance(parts, dict):
        return Unreadable("schedule_value is not a JSON object", text)
    try:
        return reader(parts, zone)
    except ValueError as error:
        return Unreadable(fit_to_leave(str(error), NAME_LENGTH), text, then)


_SKIPPED = "the scheduler skips it on every pass"
_BACK_TO_BACK = "the scheduler runs it back to back, and each run is paid for"
_ONCE_MORE = "the scheduler runs it once more at the most, and then never again"
"""What Phantom does with broken rows (docs/phantom.md)."""


def _at(parts: Mapping[str, object], zone: str) -> Schedule:
    text = parts.get("at")
    if not isinstance(text, str):
        raise ValueError("schedule_value has no text `at`")
    # without a zone it is the scheduler host's time, except that a bare date is UTC (ECMAScript, Date.parse)
    assumed = UTC if len(text) <= 10 else ZoneInfo(zone)
    try:
        return At(sane(datetime.fromisoformat(text), assumed))
    except ValueError as error:
        raise ValueError(f"at is {text!r}: {error}") from None


def _every(parts: Mapping[str, object], zone: str) -> Schedule:
    interval = parts.get("intervalMs")
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0 < interval < LONGEST_MS:
        raise ValueError(f"intervalMs is {quoted(interval)}, not a number above 0")
    return Every(timedelta(milliseconds=interval))


def _cron(parts: Mapping[str, object], zone: str) -> Schedule:
    expr, own_zone = parts.get("expr"), parts.get("tz")
    if not isinstance(expr, str):
        raise ValueError("schedule_value has no text `expr`")
    if own_zone is not None and not isinstance(own_zone, str):
        raise ValueError(f"tz is {quoted(own_zone)}, not the name of a time zone")
    cron.parse(expr, own_zone or zone)
    return CronSchedule(expr, own_zone or zone, is_zone_assumed=own_zone is None)
