"""A Hermes home as its releases write it, from a gateway that is played here."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from watchdog.systems.shared.writer import UnknownWriters, Writer

Json = dict[str, Any]

START = datetime(2026, 11, 25, 21, 0, 40, tzinfo=UTC)
"""When the gateway began, and so the second of each minute at which it ticks."""

PID, TICKS = 4711, 100_000

EXECUTIONS = (
    "CREATE TABLE executions (id TEXT PRIMARY KEY, job_id TEXT, source TEXT, process_id TEXT, pid INTEGER, "
    "process_started_at INTEGER, status TEXT, claimed_at TEXT, started_at TEXT, finished_at TEXT, error TEXT{more})"
)
SESSIONS = (
    "CREATE TABLE sessions (id TEXT PRIMARY KEY, source TEXT, model TEXT, parent_session_id TEXT, started_at REAL, "
    "ended_at REAL, end_reason TEXT, message_count INTEGER, input_tokens INTEGER, output_tokens INTEGER, "
    "cache_read_tokens INTEGER, estimated_cost_usd REAL, actual_cost_usd REAL)"
)
CHILDREN = "CREATE INDEX idx_sessions_parent ON sessions (parent_session_id)"
MESSAGES = "CREATE TABLE messages (id INTEGER PRIMARY KEY, session_id TEXT, role TEXT, timestamp REAL)"


def cron(expr: str) -> Json:
    """A schedule by the clock."""
    return {"kind": "cron", "expr": expr, "display": expr}


def every(minutes: int) -> Json:
    """An interval."""
    return {"kind": "interval", "minutes": minutes, "display": f"every {minutes}m"}


@dataclass
class Seen(UnknownWriters):
    """The processes of this machine: which live, and with which start."""

    alive: dict[int, int] = field(default_factory=lambda: {PID: TICKS})
    frozen: set[int] = field(default_factory=set)
    hidden: bool = False
    shares: bool = True

    def of(self, database: Path) -> Writer:
        if self.hidden:
            return Writer(alive=True)
        if not self.alive:
            return Writer(alive=False)
        pid = next(iter(self.alive))
        return Writer(True, pid in self.frozen, pid, None, self.alive[pid])

    def named(self, pid: int, ticks: int | None) -> Writer:
        there = self.alive.get(pid) if not self.hidden else None
        return Writer(there is not None and ticks in (None, there), pid in self.frozen, pid, None, ticks)

    def shares_files(self, pid: int) -> bool:
        return self.shares and not self.hidden


@dataclass
class Home:
    """Its files. `zone` is the one that it writes in; `layout` one of H0 to H4."""

    path: Path
    zone: str = "Europe/Berlin"
    layout: str = "H2"
    jobs: dict[str, Json] = field(default_factory=dict)
    count: int = 0

    def __post_init__(self) -> None:
        (self.path / "cron").mkdir(parents=True)
        (self.path / "state").mkdir()
        if self.layout not in ("H0", "H1"):
            more = ", scheduled_instant TEXT, delivery_outcome TEXT" if self.layout != "H2" else ""
            self._make(self.path / "cron/executions.db", EXECUTIONS.format(more=more))
        if self.layout == "H4":
            self._make(
                self.path / "cron/runtime.db", "CREATE TABLE job_runtime (job_id TEXT PRIMARY KEY, state_json TEXT)"
            )
        self._make(self.path / "state.db", SESSIONS, CHILDREN, MESSAGES)
        self.save()

    def _make(self, path: Path, *schemas: str) -> None:
        with closing(sqlite3.connect(path)) as db, db:
            db.execute("PRAGMA journal_mode = WAL")
            for schema in schemas:
                db.execute(schema)

    def iso(self, at: datetime) -> str:
        """As Hermes writes an instant."""
        return at.astimezone(ZoneInfo(self.zone)).isoformat()

    def add(self, name: str, schedule: Json, **fields: Any) -> str:
        """A job that was made before the gateway began; its id."""
        self.count += 1
        id_ = f"{self.count:012x}"
        usual = {
            "id": id_,
            "name": name,
            "prompt": "…",
            "model": None,
            "script": None,
            "no_agent": False,
            "schedule": schedule,
            "repeat": {"times": 1 if schedule.get("kind") == "once" else None, "completed": 0},
            "enabled": True,
            "state": "scheduled",
            "created_at": self.iso(START - timedelta(days=30)),
            "next_run_at": None,
            "last_run_at": None,
            "last_status": None,
            "last_error": None,
            "last_delivery_error": None,
            "deliver": "local",
            "workdir": None,
        }
        self.jobs[id_] = usual | fields
        self.save()
        return id_

    def change(self, id_: str, **fields: Any) -> None:
        """Some fields of a job."""
        self.jobs[id_] |= fields
        self.save()

    def remove(self, id_: str) -> None:
        """Its record."""
        del self.jobs[id_]
        self.save()

    def save(self) -> None:
        """The file of jobs, as Hermes lays it out."""
        stamp = self.iso(START)
        jobs = list(self.jobs.values())
        if self.layout == "H4":
            own = ("id", "name", "prompt", "schedule", "enabled", "created_at", "script", "no_agent", "workdir")
            with closing(sqlite3.connect(self.path / "cron/runtime.db")) as db, db:
                rows = [(job["id"], json.dumps({k: v for k, v in job.items() if k not in own})) for job in jobs]
                db.execute("DELETE FROM job_runtime")
                db.executemany("INSERT INTO job_runtime VALUES (?, ?)", rows)
            jobs = [{key: job[key] for key in own} for job in jobs]
        text = json.dumps({"jobs": jobs, "updated_at": stamp}, indent=2)
        new = self.path / "cron/.jobs.tmp"
        new.write_text(text)
        new.replace(self.path / "cron/jobs.json")

    def beat(
        self, at: datetime, *, success: datetime | None = None, loop: datetime | None = None, began: datetime = START
    ) -> None:
        """All three heartbeats, or those that are said to be older; of a gateway that began then."""
        if self.layout == "H0":
            return
        (self.path / "cron/ticker_heartbeat").write_text(f"{at.timestamp()}")
        (self.path / "cron/ticker_last_success").write_text(f"{(success or at).timestamp()}")
        if self.layout == "H1":
            return
        loop = loop or at
        beat = {"pid": PID, "updated_at": loop.isoformat(), "monotonic": 1.0, "start_time": began.timestamp()}
        (self.path / "state/gateway.heartbeat").write_text(json.dumps(beat))
        state = {"pid": PID, "start_time": TICKS, "gateway_state": "running", "updated_at": began.isoformat()}
        (self.path / "gateway_state.json").write_text(json.dumps(state))

    def row(
        self,
        job_id: str,
        claimed: datetime,
        status: str = "completed",
        *,
        started: datetime | None = None,
        finished: datetime | None = None,
        **fields: Any,
    ) -> str:
        """An attempt; its id. One that runs, or ended, started when it was claimed."""
        self.count += 1
        id_ = f"row{self.count}"
        begun = None if status == "claimed" else self.iso(started or claimed)
        is_over = status in ("completed", "failed", "unknown")
        usual = {
            "id": id_,
            "job_id": job_id,
            "source": "builtin",
            "process_id": "p1",
            "pid": PID,
            "process_started_at": TICKS,
            "status": status,
            "claimed_at": self.iso(claimed),
            "started_at": begun,
            "finished_at": self.iso(finished or claimed + timedelta(seconds=2)) if is_over else None,
            "error": None,
        }
        self._insert("cron/executions.db", "executions", usual | fields)
        return id_

    def session(
        self,
        job_id: str,
        dispatched: datetime,
        *,
        started: datetime | None = None,
        seconds: float | None = 1,
        **fields: Any,
    ) -> str:
        """What its agent did; `seconds` is None while it goes on. Its id."""
        wall = dispatched.astimezone(ZoneInfo(self.zone))
        began = started or dispatched
        usual = {
            "id": f"cron_{job_id}_{wall:%Y%m%d_%H%M%S}",
            "source": "cron",
            "model": "fake-1",
            "started_at": began.timestamp(),
            "ended_at": None if seconds is None else began.timestamp() + seconds,
            "end_reason": None if seconds is None else "cron_complete",
            "message_count": 1 if seconds is None else 2,
            "input_tokens": 0 if seconds is None else 321,
            "output_tokens": 0 if seconds is None else 12,
            "cache_read_tokens": 0,
            "estimated_cost_usd": None,
            "actual_cost_usd": None,
        }
        row = usual | fields
        self._insert("state.db", "sessions", row)
        self._insert("state.db", "messages", {"session_id": row["id"], "role": "user", "timestamp": began.timestamp()})
        return str(row["id"])

    def close(self, session_id: str, at: datetime, why: str = "cron_complete") -> None:
        """The end of a session."""
        values = (at.timestamp(), why, session_id)
        self._do("state.db", "UPDATE sessions SET ended_at = ?, end_reason = ? WHERE id = ?", values)

    def follow(self, parent: str, id_: str, at: datetime, source: str = "cron") -> str:
        """A session that came of another one: its agent goes on there, or one that works for it. Its id."""
        row = {
            "id": id_,
            "source": source,
            "parent_session_id": parent,
            "started_at": at.timestamp(),
            "model": "fake-1",
        }
        self._insert("state.db", "sessions", row)
        return id_

    def message(self, session_id: str, at: datetime) -> None:
        """A sign that a run gets on."""
        self._insert(
            "state.db", "messages", {"session_id": session_id, "role": "assistant", "timestamp": at.timestamp()}
        )

    def ran(self, job_id: str, at: datetime, **fields: Any) -> None:
        """A run that began and ended well."""
        self.row(job_id, at, **{key: value for key, value in fields.items() if key in ("source", "error", "status")})
        self.session(job_id, at)

    def end(self, row_id: str, at: datetime, status: str = "completed", error: str | None = None) -> None:
        """Of an attempt."""
        values = (status, self.iso(at), error, row_id)
        self._do(
            "cron/executions.db", "UPDATE executions SET status = ?, finished_at = ?, error = ? WHERE id = ?", values
        )

    def prune(self) -> None:
        """As Hermes drops the rows of runs that have ended."""
        self._do("cron/executions.db", "DELETE FROM executions WHERE finished_at IS NOT NULL", ())

    def _insert(self, name: str, table: str, row: Mapping[str, Any]) -> None:
        columns = ", ".join(row)
        self._do(name, f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({', '.join('?' * len(row))})", row.values())

    def _do(self, name: str, statement: str, values: Iterable[Any]) -> None:
        with closing(sqlite3.connect(self.path / name)) as db, db:
            db.execute(statement, tuple(values))
