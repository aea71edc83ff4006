"""What stands in a Hermes home's `cron/jobs.json`, as typed values (docs/hermes.md, what is read)."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from watchdog.cadence import classic_cron
from watchdog.core.instants import sane
from watchdog.core.model import At, CronSchedule, Every, Schedule, Unreadable
from watchdog.core.redaction import fit_to_leave, one_line
from watchdog.systems.shared.json_document import read_bounded
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.shared.values import ERROR_LENGTH, NAME_LENGTH, quoted, text

PASSED_OVER = "Hermes passes it over at each tick, and says so nowhere"
"""What becomes of a job whose schedule it cannot read."""

LONGEST_INTERVAL = timedelta(days=3650)
MOST_JOBS = 2_000
MOST_FIELDS = 6
"""Of a cron expression; the sixth is the second."""

_BEGINS, _BETWEEN, _ENDS = b'{\n  "jobs": [\n    {\n', b"\n    },\n    {\n", b"\n    }\n  ],\n"
"""How Hermes itself lays the file out: what stands between two jobs stands nowhere within one."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The one zone of all schedules. `is_assumed`: nothing says that it is this one, only its offset is known."""

    zone: str = "UTC"
    is_assumed: bool = False
    host: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Record:
    """One job as the file has it. `claimed_at`: when a one-shot's run was last known to go on, by its own claim.

    `runs_left`: of a job with a limit, how many more it has. `streak`: errors in a row, where Hermes counts them.
    """

    id: str
    name: str
    schedule: Schedule
    enabled: bool = True
    status: str = "active"
    next_run_at: datetime | None = None
    last_run_at: datetime | None = None
    last_status: str | None = None
    last_error: str | None = None
    delivery_error: str | None = None
    deliver: str | None = None
    created_at: datetime | None = None
    runs_left: int | None = None
    workdir: str | None = None
    script: str | None = None
    is_script: bool = False
    claimed_at: datetime | None = None
    will_be_made_up: bool = False
    streak: int | None = None
    problems: tuple[str, ...] = ()

    @property
    def is_planned(self) -> bool:
        """Whether Hermes means to run it."""
        return self.enabled and self.status == "active"


@dataclass
class JobsFile:
    """Reads the file; of one that Hermes has laid out only the jobs that have changed are read out of their text."""

    path: Path
    _known: dict[bytes, Mapping[str, Any]] = field(default_factory=dict)
    _records: dict[int, tuple[Mapping[str, Any], Record]] = field(default_factory=dict)
    _basis: object = None
    updated_at: str | None = None

    def read(self) -> list[Mapping[str, Any]]:
        """The jobs as they stand there. Raises UnreadableError."""
        raw = read_bounded(self.path).removeprefix(b"\xef\xbb\xbf")
        return self._by_parts(raw) or self._as_a_whole(raw)

    def _by_parts(self, raw: bytes) -> list[Mapping[str, Any]] | None:
        ends = raw.rfind(_ENDS)
        if not raw.startswith(_BEGINS) or ends < 0:
            return None
        parts = raw[len(_BEGINS) : ends].split(_BETWEEN)
        try:
            tail = json.loads(b"{" + raw[ends + len(_ENDS) :])
            known = {part: self._known.get(part) or _object(b"{" + part + b"}") for part in parts}
        except (ValueError, RecursionError):
            return None
        self._known = known
        self.updated_at = _said(tail.get("updated_at"))
        return [known[part] for part in parts]

    def _as_a_whole(self, raw: bytes) -> list[Mapping[str, Any]]:
        try:
            found = json.loads(raw, strict=False)
        except (ValueError, RecursionError):
            raise UnreadableError(
                f"{self.path} is not JSON: Hermes cannot read it either, and runs nothing; put it right by hand"
            ) from None
        jobs = found.get("jobs") if isinstance(found, dict) else found
        if not isinstance(jobs, list):
            raise UnreadableError(f"{self.path} holds no list of jobs")
        self.updated_at = _said(found.get("updated_at")) if isinstance(found, dict) else None
        return [job for job in jobs if isinstance(job, dict)]

    def records(self, raw: Iterable[Mapping[str, Any]], clock: Clock) -> list[Record]:
        """Typed; those that have not changed are the same objects as before."""
        before = self._records if self._basis == clock else {}
        self._basis, self._records = clock, {}
        found = []
        for job in raw:
            known = before.get(id(job))
            pair = known if known is not None and known[0] is job else (job, record_of(job, clock))
            self._records[id(job)] = pair
            found.append(pair[1])
        return _with_unique_ids(found)


def _object(raw: bytes) -> Mapping[str, Any]:
    found = json.loads(raw)
    if not isinstance(found, dict):
        raise ValueError("not an object")
    return found


def _said(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _with_unique_ids(records: list[Record]) -> list[Record]:
    if len({record.id for record in records}) == len(records):
        return records
    taken: set[str] = set()
    found = []
    for record in records:
        id_, number = record.id, 2
        while id_ in taken:
            id_, number = f"{record.id} #{number}", number + 1
        taken.add(id_)
        found.append(record if id_ == record.id else replace(record, id=id_))
    return found


def record_of(job: Mapping[str, Any], clock: Clock) -> Record:
    """One job. Whatever stands there, it becomes one."""
    problems: list[str] = []
    name = text(job.get("name")) or ""
    id_ = one_line(str(job.get("id") or job.get("job_id") or ""), 128)
    schedule = _schedule(job.get("schedule"), clock)
    if isinstance(schedule, Unreadable):
        problems.append(f"its schedule cannot be read: {schedule.reason}")
    enabled, state = bool(job.get("enabled", True)), job.get("state")
    if enabled and state == "error" and not problems:
        problems.append("Hermes could not work out its next run")
    repeat = job.get("repeat") if isinstance(job.get("repeat"), dict) else {}
    claim = job.get("run_claim")
    script = text(job.get("script"))
    return Record(
        id=id_ or f"(no id) {name}"[:128],
        name=name or f"(job {id_} has no name)",
        schedule=schedule,
        enabled=enabled,
        status=_status(enabled, state),
        next_run_at=instant(job.get("next_run_at"), clock),
        last_run_at=instant(job.get("last_run_at"), clock),
        last_status=_said(job.get("last_status")),
        last_error=text(job.get("last_error"), ERROR_LENGTH),
        delivery_error=_delivery_error(job),
        deliver=_deliver(job.get("deliver")),
        created_at=instant(job.get("created_at"), clock),
        runs_left=_runs_left(repeat),
        workdir=_said(job.get("workdir")) or None,
        script=script,
        is_script=job.get("no_agent") is True and script is not None,
        claimed_at=instant(claim.get("at"), clock) if isinstance(claim, dict) else None,
        will_be_made_up=isinstance(job.get("pending_slot"), dict),
        streak=_whole(job.get("failure_streak")),
        problems=tuple(problems),
    )


def _status(enabled: bool, state: object) -> str:
    """The file's two fields as one word; what it does not know is as if it were not there, as for Hermes."""
    if enabled:
        return "active"
    return "completed" if state == "completed" else "paused" if state in ("paused", None) else "active"


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _runs_left(repeat: Any) -> int | None:
    times, completed = _whole(repeat.get("times")), _whole(repeat.get("completed"))
    return None if times is None else max(0, times - (completed or 0))


def _delivery_error(job: Mapping[str, Any]) -> str | None:
    error = text(job.get("last_delivery_error"), ERROR_LENGTH)
    if error is None and job.get("last_status") == "delivery_failed":
        return text(job.get("last_error"), ERROR_LENGTH) or "no reason given"
    return error


def _deliver(value: object) -> str | None:
    if isinstance(value, list):
        value = ",".join(map(str, value[:10]))
    return text(value)


def instant(value: object, clock: Clock) -> datetime | None:
    """ISO 8601 text; without an offset it is the host's local time, for Hermes too."""
    if not isinstance(value, str) or len(value) < 10:
        return None
    try:
        return sane(datetime.fromisoformat(value), clock.host)
    except (ValueError, OverflowError):
        return None


def _schedule(value: object, clock: Clock) -> Schedule:
    if not isinstance(value, dict):
        return Unreadable("there is none" if value is None else "not an object", quoted(value), PASSED_OVER)
    shown = text(value.get("display")) or fit_to_leave(quoted(value), NAME_LENGTH)
    match value.get("kind"):
        case "cron":
            return _cron(value.get("expr"), shown, clock)
        case "interval":
            minutes = value.get("minutes")
            if isinstance(minutes, int | float) and 1 <= minutes <= LONGEST_INTERVAL / timedelta(minutes=1):
                return Every(timedelta(minutes=float(minutes)))
            return Unreadable(f"`minutes` is {quoted(minutes)}", shown, PASSED_OVER)
        case "once":
            at = instant(value.get("run_at"), clock)
            return At(at) if at else Unreadable(f"`run_at` is {quoted(value.get('run_at'))}", shown, PASSED_OVER)
        case kind:
            return Unreadable(f"`kind` is {quoted(kind)}, and not cron, interval or once", shown, PASSED_OVER)


def _cron(expr: object, shown: str, clock: Clock) -> Schedule:
    if not isinstance(expr, str):
        return Unreadable(f"`expr` is {quoted(expr)}", shown, PASSED_OVER)
    expr = " ".join(expr.split())
    if len(expr.split()) > MOST_FIELDS:
        return Unreadable(f"{quoted(expr)} has more than six fields", shown, PASSED_OVER)
    try:
        classic_cron.parse_as_croniter(expr, clock.zone)
    except ValueError as error:
        return Unreadable(fit_to_leave(str(error), NAME_LENGTH), shown, PASSED_OVER)
    return CronSchedule(expr, clock.zone, "croniter", is_zone_assumed=clock.is_assumed)
