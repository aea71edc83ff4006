"""What several test files share: a database as the watched scheduler writes it, and a writer in another process."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import settings

from tests.support.amounts import MANY
from tests.support.command import loaded

for profile in ("few", MANY):
    settings.register_profile(profile, deadline=None, derandomize="WATCHDOG_EXAMPLES" not in os.environ)
settings.load_profile("few")

os.environ.pop("COLUMNS", None)
"""How wide the terminal of whoever runs the tests is, which xdist tells its workers, is nothing to the program."""

LONGEST = (
    # by the minute: gateways that live in real time
    "systems/hermes/test_hermes_gateway.py",
    "systems/hermes/test_hermes_gateway_acting.py",
    "systems/openclaw/test_openclaw_gateway.py",
    "test_fleet_lab.py",
    # by the half minute, and most of it waits for servers
    "notify/test_alertmanager_cluster.py",
    "web/test_browser.py",
    "alerts/test_stack.py",
    "replay/test_timelines.py",
    "alerts/test_fleet.py",
    "service/test_heartbeat.py",
    "notify/test_sending.py",
    "recovery/test_recovery.py",
    "systems/sql/test_sql_source.py",
    "systems/sql/test_pg_cron_hidden.py",
    "notify/test_kills.py",
    "recovery/test_recovery_kills.py",
    "recovery/test_recovery_races.py",
    "web/test_openapi.py",
    "web/test_guard.py",
    "service/test_service.py",
    "replay/test_record.py",
    "notify/test_alertmanager.py",
    "notify/test_sending_crashes.py",
    "incidents/test_incident_verbs.py",
)
"""The files that take longest, the longest first, so that none begins when all others are over."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers, a file goes to the first that is free, in the order of the files."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


def pytest_sessionfinish() -> None:
    """The process out of which the commands came is ended, if any was tried."""
    if loaded.cache_info().currsize:
        loaded().close()


NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)

Row = Mapping[str, object]

SCHEMA: Mapping[str, Mapping[str, str]] = {
    "scheduled_jobs": {
        "id": "TEXT PRIMARY KEY",
        "name": "TEXT NOT NULL",
        "description": "TEXT",
        "enabled": "INTEGER NOT NULL DEFAULT 1",
        "schedule_kind": "TEXT NOT NULL",
        "schedule_value": "TEXT NOT NULL",
        "task": "TEXT NOT NULL DEFAULT ''",
        "delivery_channel": "TEXT DEFAULT 'slack'",
        "delivery_target": "TEXT DEFAULT 'owner'",
        "status": "TEXT NOT NULL DEFAULT 'active'",
        "last_run_at": "TEXT",
        "last_run_status": "TEXT",
        "last_run_duration_ms": "INTEGER",
        "last_run_error": "TEXT",
        "next_run_at": "TEXT",
        "run_count": "INTEGER NOT NULL DEFAULT 0",
        "consecutive_errors": "INTEGER NOT NULL DEFAULT 0",
        "delete_after_run": "INTEGER NOT NULL DEFAULT 0",
        "created_at": "TEXT NOT NULL DEFAULT '2026-06-01 00:00:00'",
        "created_by": "TEXT DEFAULT 'agent'",
        "updated_at": "TEXT NOT NULL DEFAULT '2026-06-01 00:00:00'",
        "last_delivery_status": "TEXT",
    },
    "sessions": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "session_key": "TEXT UNIQUE NOT NULL",
        "sdk_session_id": "TEXT",
        "channel_id": "TEXT NOT NULL DEFAULT 'scheduler'",
        "conversation_id": "TEXT NOT NULL DEFAULT ''",
        "status": "TEXT NOT NULL DEFAULT 'active'",
        "total_cost_usd": "REAL NOT NULL DEFAULT 0",
        "input_tokens": "INTEGER NOT NULL DEFAULT 0",
        "output_tokens": "INTEGER NOT NULL DEFAULT 0",
        "turn_count": "INTEGER NOT NULL DEFAULT 0",
        "created_at": "TEXT NOT NULL DEFAULT '2026-06-01 00:00:00'",
        "last_active_at": "TEXT NOT NULL DEFAULT '2026-06-01 00:00:00'",
    },
    "cost_events": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "session_key": "TEXT NOT NULL",
        "cost_usd": "REAL NOT NULL DEFAULT 0",
        "input_tokens": "INTEGER NOT NULL DEFAULT 0",
        "output_tokens": "INTEGER NOT NULL DEFAULT 0",
        "model": "TEXT NOT NULL DEFAULT ''",
        "created_at": "TEXT NOT NULL DEFAULT '2026-06-01 00:00:00'",
    },
    "scheduler_audit_log": {
        "id": "INTEGER PRIMARY KEY AUTOINCREMENT",
        "job_id": "TEXT NOT NULL",
        "job_name": "TEXT",
        "action": "TEXT NOT NULL",
        "previous_status": "TEXT",
        "new_status": "TEXT",
        "actor": "TEXT NOT NULL DEFAULT 'user'",
        "detail": "TEXT",
        "created_at": "TEXT NOT NULL DEFAULT '2026-06-01 00:00:00'",
    },
}


def job_row(name: str = "heartbeat", **changes: object) -> dict[str, object]:
    """The row of a job that is well at NOW: it ran at 11:00 and is due at 13:00."""
    row: dict[str, object] = {
        "id": f"id-{name}",
        "name": name,
        "schedule_kind": "cron",
        "schedule_value": '{"expr": "0 * * * *", "tz": "UTC"}',
        "last_run_at": "2026-06-10T11:00:00.123Z",
        "last_run_status": "ok",
        "last_run_duration_ms": 60_000,
        "next_run_at": "2026-06-10T13:00:00.000Z",
        "run_count": 7,
        "updated_at": "2026-06-10 11:01:00",
        "last_delivery_status": "delivered",
    }
    return {**row, **changes}


def session_row(job_id: str, touched: str, **changes: object) -> dict[str, object]:
    """The session of a job, touched then."""
    return {"session_key": f"scheduler:sched:{job_id}", "last_active_at": touched, **changes}


def cost_row(job_id: str, ended: str, **changes: object) -> dict[str, object]:
    """A run end of a job, with tokens."""
    row = {"session_key": f"scheduler:sched:{job_id}", "cost_usd": 0.01, "input_tokens": 1000, "output_tokens": 50}
    return {**row, "created_at": ended, **changes}


def healthy() -> dict[str, list[dict[str, object]]]:
    """The rows of a scheduler whose one job is well at NOW."""
    return {
        "scheduled_jobs": [job_row()],
        "sessions": [session_row("id-heartbeat", "2026-06-10 11:01:00", turn_count=7, input_tokens=7000)],
        "cost_events": [cost_row("id-heartbeat", f"2026-06-10 {hour:02}:01:00") for hour in range(5, 12)],
        "scheduler_audit_log": [],
    }


def build(
    path: Path,
    rows: Mapping[str, Sequence[Row]],
    *,
    journal: str = "delete",
    without: Collection[str] = (),
    untyped: bool = False,
) -> Path:
    """A database file with these rows, closed cleanly.

    `without` names what an older scheduler had not: `table` or `table.column`. `untyped` columns take any value.
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {journal}").fetchone()
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for table, columns in SCHEMA.items():
            if table not in without:
                kept = {name: kind for name, kind in columns.items() if f"{table}.{name}" not in without}
                create(connection, table, kept, untyped=untyped)
                insert(connection, table, kept, rows.get(table, ()))
        connection.execute("COMMIT")
    return path


def create(connection: sqlite3.Connection, table: str, columns: Mapping[str, str], *, untyped: bool = False) -> None:
    """One table."""
    words = [f"{name} {_without_type(kind) if untyped else kind}" for name, kind in columns.items()]
    connection.execute(f"CREATE TABLE {table} ({', '.join(words)})")


def _without_type(kind: str) -> str:
    """A column that takes any value, NULL too; the number of a row and defaults stay."""
    default = kind.partition(" DEFAULT ")[2]
    return kind if kind.startswith("INTEGER PRIMARY KEY") else default and f"DEFAULT {default}"


def insert(connection: sqlite3.Connection, table: str, columns: Collection[str], rows: Sequence[Row]) -> None:
    """Rows, each with those of its values that there are columns for."""
    for row in rows:
        names = [name for name in row if name in columns]
        marks = ", ".join("?" * len(names))
        connection.execute(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})", [row[name] for name in names])


_WRITER = """
import json, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
for line in sys.stdin:
    try:
        answer = {"rows": connection.execute(*json.loads(line)).fetchall()}
    except sqlite3.Error as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
connection.close()
"""


class Writer:
    """The scheduler's side: a process of its own that keeps one connection open. Locks count only between processes."""

    def __init__(self, path: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, statement: str, *values: object) -> list[list[Any]]:
        """One statement, which commits by itself unless a transaction is open; what SQLite refuses is an error."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([statement, values]) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        assert "error" not in answer, f"{statement}: {answer['error']}"
        rows: list[list[Any]] = answer["rows"]
        return rows

    def stop(self) -> None:
        """A clean stop: SQLite copies the log back and deletes it, if nobody else has the file open."""
        self._process.communicate()

    def kill(self) -> None:
        """What a crash leaves behind."""
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def start_writer() -> Iterator[Callable[[Path], Writer]]:
    """Starts a writer on a file; all are gone after the test."""
    started: list[Writer] = []

    def start(path: Path) -> Writer:
        started.append(Writer(path))
        return started[-1]

    yield start
    for writer in started:
        writer.kill()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Where a test puts the scheduler's file: alone in a folder of its own, under a name that asks for quoting."""
    folder = tmp_path / "agent data"
    folder.mkdir()
    return folder / "phantom #1?.db"


NOBODY = 65534


def as_nobody(act: Callable[[], object]) -> Any:
    """What `act` gives when a user without rights calls it; the tests often run as root, whom no permission binds.

    A fork, because that user may not even reach the interpreter. Whatever `act` imports has to be imported before.
    """
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    reads, writes = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writes, "w") as out:
            try:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                out.write(json.dumps({"answer": act()}))
            except BaseException as error:
                out.write(json.dumps({"error": repr(error)}))
            out.flush()
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as answers:
        answer = json.loads(answers.read())
    os.waitpid(child, 0)
    assert "error" not in answer, answer["error"]
    return answer["answer"]


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that any user can get at; pytest's own are for one user only."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
