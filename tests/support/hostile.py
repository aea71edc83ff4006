"""Stores that once stopped, blinded or filled up the service; each is made as real files in a folder of its own."""

import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import build, healthy, job_row

Section = dict[str, Any]

ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"

MIB = 1024 * 1024


@dataclass(frozen=True)
class Hostile:
    """`make` puts it into a folder and gives the section that watches it. `says`: a part of what is told of it; empty
    where all of it can be judged within the bounds."""

    make: Callable[[Path], Section]
    says: str = ""


def _phantom(path: Path) -> Section:
    return {"kind": "phantom", "database": str(path)}


def _openclaw(folder: Path) -> Section:
    return {"kind": "openclaw", "state_dir": str(folder)}


def _run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 1_000_000_000)
        for statement in statements:
            connection.execute(statement)


def _endless_view(folder: Path) -> Section:
    path = build(folder / "phantom.db", healthy(), without=["scheduled_jobs"])
    columns = ", ".join(f"'a' AS {name}" for name in job_row())
    _run(path, f"CREATE VIEW scheduled_jobs AS {ENDLESS} SELECT {columns}, 'active' AS status FROM n WHERE x < 0")
    return _phantom(path)


def _endless_side_table(folder: Path) -> Section:
    path = build(folder / "phantom.db", healthy(), without=["sessions"])
    _run(
        path,
        f"CREATE VIEW sessions AS {ENDLESS} SELECT 'scheduler:sched:' || x AS session_key, x AS last_active_at FROM n",
    )
    return _phantom(path)


def _endless_openclaw_view(folder: Path) -> Section:
    (folder / "state").mkdir()
    view = f"CREATE VIEW cron_jobs AS {ENDLESS} SELECT x AS job_id, '' AS job_json, '' AS state_json FROM n"
    _run(folder / "state" / "openclaw.sqlite", view)
    return _openclaw(folder)


def _pipe_beside(ending: str) -> Callable[[Path], Section]:
    def make(folder: Path) -> Section:
        path = build(folder / "phantom.db", healthy())
        os.mkfifo(f"{path}{ending}")
        return _phantom(path)

    return make


def _pipe_as_database(folder: Path) -> Section:
    os.mkfifo(folder / "phantom.db")
    return _phantom(folder / "phantom.db")


def _jobs_file(folder: Path) -> Path:
    (folder / "cron" / "runs").mkdir(parents=True)
    return folder / "cron" / "jobs.json"


JOB = {"id": "a", "name": "a", "enabled": True, "schedule": {"kind": "every", "everyMs": 3_600_000}, "state": {}}


def _with_jobs(folder: Path, *more: Mapping[str, object]) -> Section:
    _jobs_file(folder).write_text(json.dumps({"version": 1, "jobs": [JOB, *more]}))
    return _openclaw(folder)


def _pipe_as_jobs(folder: Path) -> Section:
    os.mkfifo(_jobs_file(folder))
    return _openclaw(folder)


def _device_as_jobs(folder: Path) -> Section:
    _jobs_file(folder).symlink_to("/dev/zero")
    return _openclaw(folder)


def _pipe_as_log(folder: Path) -> Section:
    section = _with_jobs(folder)
    os.mkfifo(folder / "cron" / "runs" / "a.jsonl")
    return section


def _as_lock(make: Callable[[Path], object]) -> Callable[[Path], Section]:
    def made(folder: Path) -> Section:
        section = _with_jobs(folder)
        make(folder / "gateway.lock")
        return {**section, "lock": str(folder / "gateway.lock")}

    return made


def _values(folder: Path) -> Section:
    _jobs_file(folder).write_bytes(b'{"jobs": [' + b"[]," * (60 * MIB // 3) + b"[]]}")
    return _openclaw(folder)


def _fewer_values(folder: Path) -> Section:
    _jobs_file(folder).write_bytes(b'{"jobs": [' + b"{}," * (2 * MIB) + b"{}]}")
    return _openclaw(folder)


def _many_jobs(folder: Path) -> Section:
    return _with_jobs(folder, *({**JOB, "id": f"j{number}"} for number in range(20_000)))


def _many_rows(folder: Path) -> Section:
    path = build(folder / "phantom.db", healthy())
    columns = ", ".join(name for name in job_row() if name not in ("id", "name"))
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 300000)"
    rows = f"SELECT 'i' || x, 'n' || x, {columns} FROM n, scheduled_jobs WHERE id = 'id-heartbeat'"
    _run(path, f"INSERT INTO scheduled_jobs (id, name, {columns}) {numbers} {rows}")
    return _phantom(path)


def _long_errors(folder: Path) -> Section:
    path = build(folder / "phantom.db", {**healthy(), "scheduled_jobs": [job_row(f"j{n}") for n in range(60)]})
    _run(path, f"UPDATE scheduled_jobs SET last_run_error = hex(zeroblob({4 * MIB}))")
    return _phantom(path)


def _huge_value(folder: Path) -> Section:
    path = build(folder / "phantom.db", {**healthy(), "scheduled_jobs": [job_row("a"), job_row("b")]})
    _run(path, f"UPDATE scheduled_jobs SET last_run_error = hex(zeroblob({40 * MIB})) WHERE name = 'a'")
    return _phantom(path)


def _long_audit(folder: Path) -> Section:
    path = build(folder / "phantom.db", healthy())
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 1000000)"
    _run(path, f"INSERT INTO scheduler_audit_log (job_id, action) {numbers} SELECT 'j' || x, 'run' FROM n")
    return _phantom(path)


def _ids(kind: str, value: str) -> Callable[[Path], Section]:
    def make(folder: Path) -> Section:
        path = build(folder / "phantom.db", healthy(), without=["cost_events"])
        columns = "session_key, cost_usd, input_tokens, output_tokens, model, created_at"
        row = "'scheduler:sched:id-heartbeat', 0, 1, 1, '', '2026-06-10 11:01:00'"
        _run(
            path,
            f"CREATE TABLE cost_events (id {kind} PRIMARY KEY, {columns})",
            f"INSERT INTO cost_events (id, {columns}) VALUES ({value}, {row})",
        )
        return _phantom(path)

    return make


def _long_line(folder: Path) -> Section:
    section = _with_jobs(folder)
    with (folder / "cron" / "runs" / "a.jsonl").open("wb") as log:
        for _ in range(70):
            log.write(b"x" * MIB)
    return section


def _sql(jobs: str, **more: Any) -> Callable[[Path], Section]:
    def make(folder: Path) -> Section:
        _run(folder / "jobs.db", "CREATE TABLE t (id TEXT)", "INSERT INTO t VALUES ('a')")
        return {"kind": "sql", "database": str(folder / "jobs.db"), "jobs": jobs, **more}

    return make


HOSTILE: Mapping[str, Hostile] = {
    "a view without end as the table of jobs": Hostile(_endless_view, "no table scheduled_jobs"),
    "a view without end as the sessions": Hostile(_endless_side_table),
    "a view without end in a gateway's database": Hostile(_endless_openclaw_view, "there are no jobs"),
    "a pipe as a database": Hostile(_pipe_as_database, "not a file"),
    "a pipe as a rollback journal": Hostile(_pipe_beside("-journal"), "is a pipe"),
    "a pipe as a log": Hostile(_pipe_beside("-wal"), "is a pipe"),
    "a pipe as a log's index": Hostile(_pipe_beside("-shm"), "is a pipe"),
    "a pipe as a file of jobs": Hostile(_pipe_as_jobs, "is a pipe"),
    "a device as a file of jobs": Hostile(_device_as_jobs, "is a device"),
    "a pipe as a run log": Hostile(_pipe_as_log),
    "a pipe as a lock": Hostile(_as_lock(os.mkfifo)),
    "a device as a lock": Hostile(_as_lock(lambda path: path.symlink_to("/dev/zero"))),
    "60 MiB of empty lists": Hostile(_values, "larger than 8 MiB"),
    "6 MiB of empty objects": Hostile(_fewer_values, "far more values"),
    "20,000 jobs in a file": Hostile(_many_jobs, "more than 2,000 jobs"),
    "300,000 rows": Hostile(_many_rows, "more than 2,000 rows"),
    "60 errors of 8 MiB": Hostile(_long_errors),
    "an error of 80 MiB": Hostile(_huge_value),
    "a million rows of an audit log": Hostile(_long_audit),
    "cost events with texts as ids": Hostile(_ids("TEXT", "'6f1c2a04-77aa-4f7e-9f8e-0a3f1f2d4b5c'")),
    "cost events with an id beyond all whole numbers": Hostile(_ids("REAL", "1e20")),
    "a run log's line of 70 MiB": Hostile(_long_line),
    "a query without end": Hostile(
        _sql(f"{ENDLESS} SELECT x AS id, 1 AS every FROM n WHERE x < 0", deadline="1s"), "took longer than 1 s"
    ),
    "a query that returns without end": Hostile(
        _sql(f"{ENDLESS} SELECT x AS id, hex(zeroblob(100000)) AS name, 60 AS every FROM n"), "returns too much"
    ),
}
"""By what is put there."""
