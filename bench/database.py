"""Databases like those of a busy agent: 1,000 jobs with long prompts, a year of cost events. Built once and kept."""

import json
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from bench import history as h
from bench.history import History, Plan
from watchdog.demo.stamps import js_iso, sql_stamp
from watchdog.demo.tables import connect

WORK = Path(__file__).resolve().parent / "work"
TASK = "Look through the inbox, sum up what is new, and post it where the team reads. " * 132
"""The prompt: 10 KiB, in the row before the columns that matter."""
BATCH = 250_000
FAILED_EACH, PAUSED_EACH = 110, 90

Told = Callable[[int, int], None]
"""Called with what is done and what there is to do."""

_EVENTS = """WITH RECURSIVE number(i) AS (SELECT :first UNION ALL SELECT i + 1 FROM number WHERE i + 1 < :end)
INSERT INTO cost_events (session_key, cost_usd, input_tokens, output_tokens, model, created_at)
SELECT key.session_key,
    iif(key.slot < :zero_jobs AND i >= :zeros_from, 0, 0.01 + i * 7919 % 1000 / 2000.0),
    iif(key.slot < :zero_jobs AND i >= :zeros_from, 0, 1000 + i * 7919 % 60000),
    iif(key.slot < :zero_jobs AND i >= :zeros_from, 0, 100 + i * 104729 % 4000),
    'model-large',
    datetime((:start + i * :period / (:share * :runners)) / 1000, 'unixepoch')
FROM number JOIN bench_keys AS key ON key.slot =
    iif(i % :share = 0, i / :share % :runners, :jobs + i * 7919 % :chats)
ORDER BY i"""

_JOB = """INSERT OR REPLACE INTO scheduled_jobs (id, name, description, schedule_kind, schedule_value, task,
    delivery_channel, delivery_target, status, last_run_at, last_run_status, last_run_duration_ms, last_run_error,
    next_run_at, run_count, consecutive_errors, created_at, created_by, updated_at, last_delivery_status)
    VALUES (?, ?, ?, ?, ?, ?, 'slack', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'agent', ?, 'delivered')"""
_SESSION = """INSERT OR REPLACE INTO sessions (session_key, channel_id, conversation_id, total_cost_usd, input_tokens,
    output_tokens, turn_count, created_at, last_active_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"""


@dataclass(frozen=True, slots=True)
class Database:
    """A file whose history reaches to `now_ms`; closed as by a clean stop."""

    path: Path
    history: History
    now_ms: int

    def due_first(self) -> list[Plan]:
        """The jobs that the scheduler runs, the one that is due first at the front."""
        found = h.plans(self.history, self.history.count_at(self.now_ms))
        return sorted((plan for plan in found if is_running(plan.slot)), key=lambda plan: plan.next_ms)


def fresh(events: int, told: Told = lambda done, of: None) -> Database:
    """A copy of the kept history, continued to the present."""
    base, history = _base(events, told)
    database = Database(WORK / f"live-{events}.db", history, int(time.time() * 1000))
    remove(database.path)
    shutil.copyfile(base, database.path)
    _continue(database.path, history, events, database.now_ms, told)
    return database


def remove(path: Path) -> None:
    """The file, and what SQLite lays beside it."""
    for ending in ("", "-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)


def _base(events: int, told: Told) -> tuple[Path, History]:
    path, notes = WORK / f"base-{events}.db", WORK / f"base-{events}.json"
    if not (path.exists() and notes.exists()):
        WORK.mkdir(exist_ok=True)
        remove(path)
        history = History.until(events, int(time.time() * 1000))
        _continue(path, history, 0, history.at(events), told)
        notes.write_text(json.dumps(asdict(history)))
    return path, History(**json.loads(notes.read_text()))


def _continue(path: Path, history: History, have: int, until_ms: int, told: Told) -> None:
    """Write the cost events from number `have` on, and every row as it is then."""
    connection = connect(path, durable=False)
    connection.execute("PRAGMA foreign_keys = OFF")
    count = history.count_at(until_ms)
    _write_events(connection, history, have, count, told)
    with _committed(connection):
        _write_rows(connection, history, count)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.close()


def _write_events(connection: sqlite3.Connection, history: History, have: int, count: int, told: Told) -> None:
    connection.execute("CREATE TEMP TABLE bench_keys (slot INTEGER PRIMARY KEY, session_key TEXT NOT NULL)")
    keys = [(slot, h.session_key(slot)) for slot in range(h.JOBS + h.CHATS)]
    connection.executemany("INSERT INTO bench_keys VALUES (?, ?)", keys)
    numbers = {"start": history.start_ms, "period": history.period_ms, "zeros_from": history.zeros_from}
    shape = {"share": h.SHARE, "runners": h.RUNNERS, "jobs": h.JOBS, "chats": h.CHATS, "zero_jobs": h.ZERO_JOBS}
    for first in range(have, count, BATCH):
        end = min(first + BATCH, count)
        connection.execute(_EVENTS, {"first": first, "end": end, **numbers, **shape})
        told(end, count)


def _write_rows(connection: sqlite3.Connection, history: History, count: int) -> None:
    runs = count // (h.SHARE * h.RUNNERS)
    all_plans = list(h.plans(history, count))
    began = sql_stamp(history.start_ms)
    connection.executemany(_JOB, [_row(plan, runs, began) for plan in all_plans])
    connection.executemany(_JOB, [_probe(slot, history.at(count)) for slot in range(h.RUNNERS, h.JOBS)])
    connection.executemany(_SESSION, [_session(plan, runs, began) for plan in all_plans])
    now = sql_stamp(history.at(count))
    chats = [(h.session_key(slot), "slack", f"C{slot}", 1.0, 1000, 100, 9, began, now) for slot in _chat_slots()]
    connection.executemany(_SESSION, chats)


def _chat_slots() -> range:
    return range(h.JOBS, h.JOBS + h.CHATS)


def _row(plan: Plan, runs: int, began: str) -> tuple[object, ...]:
    status, errors = _state(plan.slot)
    error = "Error: 529 overloaded_error" if errors else None
    due = js_iso(plan.next_ms) if status == "active" else None
    return (
        *(h.job_id(plan.slot), f"job-{plan.slot:04d}", "", plan.kind, plan.value, TASK, f"C{plan.slot % 40:08d}"),
        *(status, js_iso(plan.start_ms), "error" if errors else "ok", h.RUN_MS, error),
        *(due, runs, errors, began, sql_stamp(plan.last_end_ms)),
    )


def _state(slot: int) -> tuple[str, int]:
    """Most jobs are well; a few have failed or are paused."""
    if slot % FAILED_EACH == FAILED_EACH - 1:
        return "failed", 10
    return ("paused" if slot % PAUSED_EACH == PAUSED_EACH - 1 else "active"), 0


def is_running(slot: int) -> bool:
    """Whether the scheduler runs the job."""
    return _state(slot)[0] == "active"


def _probe(slot: int, now_ms: int) -> tuple[object, ...]:
    due = js_iso(now_ms + 30 * 24 * h.HOUR_MS)
    value, stamp = json.dumps({"at": due}), sql_stamp(now_ms - h.HOUR_MS)
    return (
        *(h.job_id(slot), f"probe-{slot:04d}", "", "at", value, TASK, "owner"),
        *("active", None, None, None, None, due, 0, 0, stamp, stamp),
    )


def _session(plan: Plan, runs: int, began: str) -> tuple[object, ...]:
    key = h.session_key(plan.slot)
    return (key, "scheduler", f"sched:{h.job_id(plan.slot)}", runs * 0.26, runs * 31_000, runs * 2_100, runs, began,
            sql_stamp(plan.last_end_ms))  # fmt: skip


@contextmanager
def _committed(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    yield
    connection.execute("COMMIT")
