"""OpenClaw's stores, told apart by what is there and never by a version: two of files, two of SQLite.

`inline`: cron/jobs.json with each job's state in it. `split`: the states in jobs-state.json beside it. `wide` and
`canonical`: tables in state/openclaw.sqlite, with a table of runs or with runs in the task ledger (docs/openclaw.md).
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal

from watchdog.core.kinds import Kind
from watchdog.core.model import Unseen
from watchdog.systems.openclaw.files import Lock, is_there, read_json, read_locks, set_store
from watchdog.systems.openclaw.foreign import whose
from watchdog.systems.openclaw.runs import RunBook
from watchdog.systems.shared import plain_file
from watchdog.systems.shared.bounded import MOST_ROWS, Record, Rows, as_many_as_fit, left_out, rows_of
from watchdog.systems.shared.host import Memory
from watchdog.systems.shared.json_lines import LogTail
from watchdog.systems.shared.sqlite_file import columns_of, is_another_thing
from watchdog.systems.shared.sqlite_file import read as read_sqlite
from watchdog.systems.shared.unchanged import InOrder, Unchanged
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.shared.values import ms_instant, text

Layout = Literal["inline", "split", "wide", "canonical"]

Object = Mapping[str, object]

NEWER = timedelta(minutes=1)
"""By how much the old store must have been written later than the new one to be the one in use again."""


@dataclass(frozen=True, slots=True)
class Row:
    """One job as it is stored. `state` is what the scheduler writes, `definition` what people and agents do."""

    id: str
    definition: Object
    state: Object
    enabled: bool
    updated_at: datetime | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class OpenTask:
    """A run that the task ledger saw begin and did not see end."""

    job_id: str
    started_at: datetime
    record: str


@dataclass(frozen=True, slots=True)
class Gateway:
    """When the gateway last started and, where it says so, when it stopped; `pid` is its process at that start."""

    started_at: datetime | None = None
    stopped_at: datetime | None = None
    pid: int | None = None


@dataclass(frozen=True)
class Reading:
    """What one look read. `owners` are the processes behind runs that the database calls running, by job;
    `has_ledger`: whether runs of jobs are written down in the task ledger at all; `replays`: whether its releases may
    run an interrupted slot again."""

    layout: Layout
    rows: tuple[Row, ...]
    open_tasks: tuple[OpenTask, ...] = ()
    gateway: Gateway = Gateway()
    owners: Mapping[str, int] | None = None
    has_runs: bool = True
    unseen: tuple[Unseen, ...] = ()
    has_ledger: bool = False
    replays: bool = False
    lock: Lock | None = None

    @cached_property
    def _tasks(self) -> Mapping[str, list[OpenTask]]:
        found: dict[str, list[OpenTask]] = {}
        for task in self.open_tasks:
            found.setdefault(task.job_id, []).append(task)
        return found

    def tasks_of(self, job_id: str) -> Sequence[OpenTask]:
        """The job's runs that were begun and not ended."""
        return self._tasks.get(job_id, [])


@dataclass(frozen=True, slots=True)
class Place:
    """Where things lie. Without a state folder only the store itself and what is beside it is known. `usual`: where the
    jobs would lie, had nobody said otherwise."""

    jobs: Path | None
    database: Path | None
    ledger: Path | None
    state_dir: Path | None
    lock: Path | None
    usual: Path | None = None

    @property
    def states(self) -> Path | None:
        """The file of the states in the split layout."""
        return self.jobs.with_name(self.jobs.stem + "-state.json") if self.jobs else None

    @property
    def logs(self) -> Path | None:
        """The folder of the run logs."""
        return self.jobs.parent / "runs" if self.jobs else None


def place_of(state_dir: Path | None, store: Path | None, lock: Path | None) -> Place:
    """Where the parts lie, from the one path that the configuration gives."""
    if state_dir is None and store is not None:
        is_usual = store.parent.name in ("cron", "state")
        state_dir = store.parent.parent if is_usual else None
        if store.suffix in (".sqlite", ".db"):
            jobs = state_dir / "cron" / "jobs.json" if state_dir else None
            return Place(jobs, store, None, state_dir, lock)
        ledger = state_dir / "tasks" / "runs.sqlite" if state_dir else None
        return Place(store, state_dir / "state" / "openclaw.sqlite" if state_dir else None, ledger, state_dir, lock)
    folder = state_dir or Path()
    database = folder / "state" / "openclaw.sqlite"
    usual = folder / "cron" / "jobs.json"
    return Place(set_store(folder) or usual, database, folder / "tasks" / "runs.sqlite", folder, lock, usual)


class StoreReader:
    """Reads the store that is in use, and what of it is remembered: the finished runs."""

    def __init__(self, place: Place, memory: Memory | None = None) -> None:
        self.place = place
        self.book = RunBook(memory)
        self._tail = LogTail()
        self._rows: Unchanged[Row] = Unchanged()
        self._listed: InOrder[Row] = InOrder()
        self._read_until: dict[str, int] = {}
        self._ran_in_database: set[str] = set()
        self._ran_in_files: set[str] = set()
        self._has_seen_jobs = False
        self._newest_lock: Lock | None = None

    def read(self) -> Reading:
        """The state now. Raises UnreadableError with the reason."""
        place = self.place
        newer = self._database(place.database) if place.database and is_there(place.database) else None
        has_old = place.jobs is not None and is_there(place.jobs)
        if newer is None:
            if has_old:
                reading = self._files()
            elif self._is_brand_new():
                reading = Reading("canonical", (), has_runs=False)
            else:
                raise UnreadableError(self._nothing())
        else:
            reading = self._beside(newer) if has_old else newer
            if not has_old:
                self._ran_in_database.clear()
        newest = self._lock()
        known = reading.gateway.started_at
        if newest and (known is None or newest.created_at > known + timedelta(seconds=10)):
            reading = replace(reading, gateway=Gateway(newest.created_at, None, newest.pid))
        self._rows.forget({row.id for row in reading.rows})
        self._has_seen_jobs = self._has_seen_jobs or bool(reading.rows)
        return replace(reading, lock=newest)

    def _is_brand_new(self) -> bool:
        """Whether a gateway has been set up here that has not had any job yet: it makes its store with the first."""
        folder = self.place.state_dir
        if folder is None or self._has_seen_jobs:
            return False
        return any(is_there(folder / name) for name in ("openclaw.json", "state/openclaw.sqlite"))

    def _lock(self) -> Lock | None:
        """The newest lock that was ever seen. Whoever held one before is gone, and stays so when this one is let go."""
        seen = read_locks(self.place.lock, self.place.state_dir)
        known = [*seen, *([self._newest_lock] if self._newest_lock else [])]
        self._newest_lock = max(known, key=lambda lock: lock.created_at, default=None)
        return self._newest_lock

    def _nothing(self) -> str:
        place = self.place
        if place.state_dir is not None and not is_there(place.state_dir):
            return f"{place.state_dir} is not there: is it OpenClaw's state folder?"
        there = " nor ".join(str(path) for path in (place.jobs, place.database) if path)
        return f"there are no jobs: neither {there} is there"

    # the layouts of files

    def _files(self, *, is_live: bool = True) -> Reading:
        """The jobs of the files. The ledger is read first: a run that shows there has its marker already. The logs of
        a store that is not in use say nothing of now."""
        jobs, states = self.place.jobs, self.place.states
        if jobs is None or states is None:
            raise UnreadableError(self._nothing())
        tasks, has_ledger, unseen = self._ledger()
        is_split = is_there(states)
        kept = _states(read_json(states), states) if is_split else {}
        listed = _list(read_json(jobs), jobs)
        if len(listed) > MOST_ROWS:
            note = f"{jobs} has more than {MOST_ROWS:,} jobs: those after them are not looked at"
            unseen += left_out(Rows([], (note,)))
            listed = listed[:MOST_ROWS]
        rows = self._file_rows(listed, kept)
        has_runs = self._logs(rows) if is_live else False
        unseen += self._closed_logs() if is_live else ()
        layout: Layout = "split" if is_split else "inline"
        return Reading(layout, rows, tasks, Gateway(), None, has_runs, unseen, has_ledger, _replays(kept))

    def _file_rows(self, listed: Sequence[object], states: Object) -> tuple[Row, ...]:
        """Those of which nothing has changed are the same objects as at the last look, so that what follows is the same
        too."""
        ids = [_id_of(value) for value in listed]
        # false equals 0, and only one of them switches a job off
        bases = [*zip(listed, map(states.get, ids), map(_is_enabled, listed), strict=True)]
        self._listed.renew(range(len(listed)), bases, lambda at, _: self._file_row(listed[at], at, states))
        return tuple(self._listed.results)

    def _file_row(self, value: object, number: int, states: Object) -> Row:
        row = _file_row(value, number, states)
        return self._rows.get(row.id, row, lambda: row)

    def _ledger(self) -> tuple[tuple[OpenTask, ...], bool, tuple[Unseen, ...]]:
        path = self.place.ledger
        if path is None or not is_there(path):
            return (), False, ()
        try:
            (tasks, knows_runs), _ = read_sqlite(path, lambda each: (_open_tasks(each), _knows_runs(each)))
        except UnreadableError as error:
            what = f"the task ledger cannot be read: {error}"
            return (), False, (Unseen(what, (Kind.INTERRUPTED, Kind.DUPLICATE), "see what is wrong with that file"),)
        return tasks, knows_runs, ()

    def _logs(self, rows: Iterable[Row]) -> bool:
        folder = self.place.logs
        if folder is None or not is_there(folder) or not os.access(folder, os.X_OK):
            return False
        for row in rows:
            if row.id and "/" not in row.id and "\0" not in row.id:
                entries, _ = self._tail.read(folder / f"{row.id}.jsonl")
                for entry in entries:
                    self.book.add(row.id, entry)
        return True

    def _closed_logs(self) -> tuple[Unseen, ...]:
        """That this user may not read them."""
        folder = self.place.logs
        is_closed = folder is not None and is_there(folder) and not os.access(folder, os.X_OK)
        closed = folder if is_closed else min(self._tail.refused, default=None)
        if closed is None:
            return ()
        hides = (Kind.ZERO_TOKENS, Kind.RUNAWAY)
        return (Unseen(plain_file.may_not(closed), hides, "run the watchdog as the gateway's user"),)

    # the layouts of SQLite

    def _database(self, path: Path) -> Reading | None:
        reading, _ = read_sqlite(path, self._query)
        return reading

    def _query(self, connection: sqlite3.Connection) -> Reading | None:
        columns = columns_of(connection, "cron_jobs")
        if not columns:
            if is_another_thing(connection, "cron_jobs"):
                raise UnreadableError("there are no jobs: cron_jobs is not a table; is this OpenClaw's database?")
            return None
        missing = [name for name in ("job_id", "job_json", "state_json") if name not in columns]
        if missing:
            raise UnreadableError(
                f"the table cron_jobs has no column {', '.join(missing)}: is this OpenClaw's database?"
            )
        wanted = [name for name in _JOB_COLUMNS if name in columns]
        found = rows_of(connection, "cron_jobs", wanted, longest=LONGEST_JOB)
        rows, others = self._of_one_store([dict(zip(wanted, row, strict=True)) for row in found.rows])
        if columns_of(connection, "cron_run_logs"):
            self._run_logs(connection)
            layout: Layout = "wide"
        else:
            self._task_details(connection)
            layout = "canonical"
        gateway, owners = _gateway(connection), _owners(connection)
        tasks, knows_runs = _open_tasks(connection), _knows_runs(connection)
        unseen = (*left_out(found), *others)
        return Reading(layout, rows, tasks, gateway, owners, unseen=unseen, has_ledger=knows_runs)

    def _of_one_store(self, found: Sequence[dict[str, object]]) -> tuple[tuple[Row, ...], tuple[Unseen, ...]]:
        """The rows of the store that the gateway reads: one database may keep those of an earlier place beside it."""
        by_store: dict[object, list[Row]] = {}
        for each in found:
            by_store.setdefault(each.get("store_key"), []).append(self._table_row(each))
        if len(by_store) < 2:
            return tuple(row for rows in by_store.values() for row in rows), ()
        places = {str(self.place.jobs), str(self.place.usual)}
        key = max(by_store, key=lambda each: (str(each) in places, _newest_stamp(by_store[each])))
        known = {row.id for row in by_store[key]}
        left = [row for other, rows in by_store.items() if other != key for row in rows]
        lost = [row for row in left if row.enabled and row.id not in known]
        return tuple(by_store[key]), _elsewhere(lost)

    def _table_row(self, row: dict[str, object]) -> Row:
        return self._rows.get(str(row.get("job_id")), row, lambda: _table_row(row))

    def _run_logs(self, connection: sqlite3.Connection) -> None:
        for job_id, entry_json, ts in self._new(connection, "cron_run_logs", "job_id, entry_json, ts", "ts", "1"):
            self._add(job_id, entry_json, ts)

    def _task_details(self, connection: sqlite3.Connection) -> None:
        if {"runtime", "source_id", "detail_json", "ended_at", "run_id"} <= set(columns_of(connection, "task_runs")):
            what = "source_id, detail_json, ended_at, run_id"
            for job_id, detail, ended, run_id in self._new(connection, "task_runs", what, "ended_at", _OF_JOBS):
                self._add(job_id, detail, ended, run_id)

    def _new(self, connection: sqlite3.Connection, table: str, what: str, when: str, only: str) -> list[Record]:
        """The rows that were written since the last look, and some before: several may bear one time stamp."""
        after = self._read_until.get(table, 0) - 60_000
        newest = f"SELECT {what} FROM {table} WHERE {only} AND {when} > ? ORDER BY {when} DESC LIMIT 20000"  # noqa: S608
        found = as_many_as_fit(connection.execute(newest, (after,))).rows
        stamps = [row[2] for row in found if isinstance(row[2], int)]
        self._read_until[table] = max(stamps, default=0)
        return found[::-1]

    def _add(self, job_id: object, entry: object, at: object, run_id: object = None) -> None:
        value = _object(entry)
        if isinstance(job_id, str) and value.get("kind", "cron-run") == "cron-run":
            self._ran_in_database.add(job_id)
            self.book.add(job_id, {"ts": at, "runId": run_id, **value})

    # an old store beside the new one

    def _beside(self, newer: Reading) -> Reading:
        """The new store with what only the old one has, or the old one if that is the one that is written to."""
        jobs = self.place.jobs
        try:
            older = self._files(is_live=False)
        except UnreadableError as error:
            lost = Unseen(f"an old store lies beside the database: {error}", (Kind.VANISHED, Kind.INVALID), _DOCTOR)
            return replace(newer, unseen=(*newer.unseen, lost))
        if not older.rows:
            return newer
        latest = (_written(newer), _written(older))
        if newer.rows and latest[0] and latest[1] and latest[1] > latest[0] + NEWER:
            return self._downgraded(newer, older)
        known = {row.id for row in newer.rows} | {task.job_id for task in newer.open_tasks}
        self._ran_in_database &= {row.id for row in older.rows}
        only_old = [row for row in older.rows if row.id not in known | self._ran_in_database]
        left = tuple(
            replace(row, state={}, problem=_left_behind(jobs)) for row in only_old if row.enabled and _is_lasting(row)
        )
        return replace(newer, rows=(*newer.rows, *left))

    def _downgraded(self, newer: Reading, older: Reading) -> Reading:
        """The old store, which is in use again, with what only the new one has; but not what was seen in both."""
        here = {row.id for row in older.rows}
        self._ran_in_files |= here
        left = tuple(
            replace(row, state={}, problem=_left_ahead(self.place.database))
            for row in newer.rows
            if row.id not in self._ran_in_files and row.enabled and _is_lasting(row)
        )
        return replace(older, rows=(*older.rows, *left), has_runs=self._logs(older.rows))


def _newest_stamp(rows: Iterable[Row]) -> float:
    return max((row.updated_at.timestamp() for row in rows if row.updated_at), default=0.0)


def _elsewhere(rows: Sequence[Row]) -> tuple[Unseen, ...]:
    if not rows:
        return ()
    names = ", ".join(text(row.definition.get("name"), 60) or row.id for row in rows[:5])
    more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
    what = f"its database keeps jobs of another place that the gateway does not read: {names}{more}"
    return (Unseen(what, (Kind.OVERDUE,), "make them anew, or delete them with a gateway that is set to that place"),)


_DOCTOR = "openclaw doctor --fix moves what is in it"


def _left_behind(jobs: Path | None) -> str:
    return f"it stands only in the old store {jobs}, which the gateway no longer reads; openclaw doctor --fix moves it"


def _left_ahead(database: Path | None) -> str:
    return (
        f"it stands only in the newer store {database}, which the gateway, an older release by now, does not read; "
        "a newer release does"
    )


def _is_lasting(row: Row) -> bool:
    """Not a one-shot: those are deleted once they have run, and so may be missing from the new store rightly."""
    schedule = row.definition.get("schedule")
    return not isinstance(schedule, Mapping) or schedule.get("kind") != "at"


def _written(reading: Reading) -> datetime | None:
    known = [row.updated_at for row in reading.rows if row.updated_at]
    known += [at for at in (reading.gateway.started_at, reading.gateway.stopped_at) if at]
    return max(known, default=None)


def _list(value: object, path: Path) -> list[object]:
    foreign = whose(value)
    if foreign is not None:
        raise UnreadableError(f"{path} is not OpenClaw's store: it is {foreign}")
    found = value.get("jobs") if isinstance(value, dict) else value
    if not isinstance(found, list):
        raise UnreadableError(f"{path} has no list of jobs: is it OpenClaw's store?")
    return found


def _states(value: object, path: Path) -> Object:
    found = value.get("jobs") if isinstance(value, dict) else None
    if not isinstance(found, dict):
        raise UnreadableError(f"{path} has no states of jobs: is it OpenClaw's?")
    return found


def _replays(states: Object) -> bool:
    """Whether these files are of a release that runs an interrupted slot again: those that record the interruption
    instead write a `scheduleIdentity` with every state."""
    return not any(_mapping(kept).get("scheduleIdentity") for kept in states.values())


def _id_of(value: object) -> str:
    id_ = (value.get("id") or value.get("jobId")) if isinstance(value, dict) else ""
    return id_ if isinstance(id_, str) else ""


def _is_enabled(value: object) -> bool:
    return not (isinstance(value, dict) and value.get("enabled") is False)


def _file_row(value: object, number: int, states: Object) -> Row:
    if not isinstance(value, dict):
        return Row("", {}, {}, True, None, f"entry {number + 1} of its list is not a job")
    id_ = _id_of(value)
    kept = _mapping(states.get(id_))
    state = _mapping(kept.get("state")) or _mapping(value.get("state"))
    updated = ms_instant(kept.get("updatedAtMs")) or ms_instant(value.get("updatedAtMs"))
    return Row(id_, value, state, _is_enabled(value), updated)


_OF_JOBS = "runtime = 'cron'"

LONGEST_JOB = 256 * 1024
"""Bytes of a job as JSON, its prompt among it; a longer one is cut, and so cannot be read."""

_JOB_COLUMNS = (
    "store_key",
    "job_id",
    "name",
    "enabled",
    "job_json",
    "state_json",
    "updated_at",
    "runtime_updated_at_ms",
)


def _table_row(row: Object) -> Row:
    definition, state = _object(row.get("job_json")), _object(row.get("state_json"))
    problem = None if definition else "its row has no readable job_json"
    definition = {"name": row.get("name"), **definition}
    stamps = [at for name in ("updated_at", "runtime_updated_at_ms") if (at := ms_instant(row.get(name)))]
    enabled = row["enabled"] != 0 if row.get("enabled") is not None else definition.get("enabled") is not False
    return Row(text(row.get("job_id"), 200) or "", definition, state, enabled, max(stamps, default=None), problem)


def _mapping(value: object) -> Object:
    return value if isinstance(value, dict) else {}


def _object(value: object) -> Object:
    try:
        return _mapping(json.loads(value)) if isinstance(value, str | bytes) else {}
    except (ValueError, RecursionError):
        return {}


def _open_tasks(connection: sqlite3.Connection) -> tuple[OpenTask, ...]:
    """Runs of jobs that were begun and not ended. A row without an end is no proof of a run in flight: after a crash
    it stays for minutes."""
    if not {"runtime", "source_id", "run_id", "status", "started_at"} <= set(columns_of(connection, "task_runs")):
        return ()
    rows = connection.execute(
        "SELECT source_id, run_id, started_at FROM task_runs "
        "WHERE runtime = 'cron' AND status IN ('running', 'lost') ORDER BY started_at DESC LIMIT 1000"
    ).fetchall()
    return tuple(
        OpenTask(job_id, at, text(run_id) or "")
        for job_id, run_id, started in rows
        if isinstance(job_id, str) and (at := ms_instant(started))
    )


def _knows_runs(connection: sqlite3.Connection) -> bool:
    """Whether there is any run of a job in the ledger: releases before 2026.3.31 write none."""
    if "runtime" not in columns_of(connection, "task_runs"):
        return False
    return connection.execute("SELECT 1 FROM task_runs WHERE runtime = 'cron' LIMIT 1").fetchone() is not None


def _gateway(connection: sqlite3.Connection) -> Gateway:
    there = set(columns_of(connection, "gateway_boot_lifecycle"))
    if not {"pid", "started_at_ms", "completed_at_ms"} <= there:
        return Gateway()
    rows = connection.execute(
        "SELECT started_at_ms, completed_at_ms, pid FROM gateway_boot_lifecycle ORDER BY started_at_ms DESC LIMIT 1"
    ).fetchall()
    if not rows:
        return Gateway()
    started, stopped, pid = rows[0]
    return Gateway(ms_instant(started), ms_instant(stopped), pid if isinstance(pid, int) else None)


def _owners(connection: sqlite3.Connection) -> Mapping[str, int] | None:
    if not {"job_id", "status", "owner_pid"} <= set(columns_of(connection, "cron_run_receipts")):
        return None
    rows = connection.execute("SELECT job_id, owner_pid FROM cron_run_receipts WHERE status = 'running'").fetchall()
    return {job_id: pid for job_id, pid in rows if isinstance(job_id, str) and isinstance(pid, int)}
