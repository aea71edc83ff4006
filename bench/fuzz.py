"""`python -m bench.fuzz --mutants 20000`: stores of every system with something changed in them, read again and again.

Bytes are flipped, cut out, doubled and cut off; values become odd ones; tables and columns go or change; files become
something else. Each mutant is looked at, judged and shown twice as the service does it, in one process with a thousand
others. What raises, takes longer than a second of the process's own time, or makes it larger than 150 MB ends
the run with the seed that makes it again.
"""

import argparse
import faulthandler
import json
import multiprocessing
import os
import random
import resource
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.conftest import build as build_phantom
from tests.conftest import cost_row, healthy, job_row, session_row
from tests.support.hermes_home import Home, cron
from tests.support.hostile import JOB
from watchdog.config.file import Config
from watchdog.core import logs
from watchdog.detectors.published import Published
from watchdog.engine import Engine
from watchdog.incidents.wire import findings_document, jobs_document
from watchdog.metrics.state_text import StateText
from watchdog.systems.json_file import source as json_source
from watchdog.systems.openclaw import source as openclaw_source

NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
MEMORY = Path("/dev/shm")
"""Where there is such a place: twenty thousand stores on a disk would wait for it."""

DATABASES = (".db", ".sqlite")
SECOND = 1.0
MOST_MB = 150
HANGS_AFTER = 20
"""Seconds on the clock, since others may have the machine; what is too long is measured by the process's own time."""

Section = Mapping[str, Any]
Random = random.Random


# --- the stores


def phantom(folder: Path) -> Section:
    """A Phantom's database with some of everything."""
    rows = healthy()
    rows["scheduled_jobs"] += [job_row("lost", status="failed", consecutive_errors=10), job_row("odd", enabled=0)]
    rows["sessions"] = [*rows.get("sessions", []), session_row("id-lost", "2026-06-10 11:20:00")]
    rows["cost_events"] = [*rows.get("cost_events", []), cost_row("id-lost", "2026-06-10 11:21:00")]
    path = build_phantom(folder / "phantom.db", rows)
    return {"kind": "phantom", "database": str(path)}


def openclaw_file(folder: Path) -> Section:
    """An OpenClaw's folder with a file of jobs, a log and a lock."""
    (folder / "cron" / "runs").mkdir(parents=True)
    jobs = [{**JOB, "id": name, "state": {"nextRunAtMs": 1_781_094_000_000, "lastStatus": "ok"}} for name in "abc"]
    (folder / "cron" / "jobs.json").write_text(json.dumps({"version": 1, "jobs": jobs}))
    line = json.dumps({"ts": 1_781_090_000_000, "jobId": "a", "action": "finished", "status": "ok", "durationMs": 5})
    (folder / "cron" / "runs" / "a.jsonl").write_text(f"{line}\n" * 5)
    (folder / "gateway.lock").write_text(json.dumps({"pid": 7, "createdAt": "2026-06-10T00:00:00Z"}))
    return {"kind": "openclaw", "state_dir": str(folder), "lock": str(folder / "gateway.lock")}


def openclaw_database(folder: Path) -> Section:
    """The newer layout."""
    (folder / "state").mkdir()
    with closing(sqlite3.connect(folder / "state" / "openclaw.sqlite")) as db, db:
        db.execute("CREATE TABLE cron_jobs (store_key, job_id, name, enabled, job_json, state_json, updated_at)")
        for name in "abc":
            values = ("k", name, name, 1, json.dumps({**JOB, "id": name}), json.dumps({"nextRunAtMs": 1}), 1)
            db.execute("INSERT INTO cron_jobs VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        db.execute(
            "CREATE TABLE task_runs (task_id, runtime, source_id, run_id, status, started_at, ended_at, detail_json)"
        )
        db.execute("INSERT INTO task_runs VALUES ('t', 'cron', 'a', 'r', 'done', 1781090000000, 1781090001000, '{}')")
    return {"kind": "openclaw", "state_dir": str(folder)}


def sql(folder: Path) -> Section:
    """Any scheduler by two queries."""
    with closing(sqlite3.connect(folder / "jobs.db")) as db, db:
        db.execute("CREATE TABLE jobs (id, name, cron, enabled, next)")
        db.execute("CREATE TABLE runs (id INTEGER PRIMARY KEY, job, began, ended, status)")
        db.executemany("INSERT INTO jobs VALUES (?, ?, '0 * * * *', 1, NULL)", [("a", "a"), ("b", "b")])
        db.executemany(
            "INSERT INTO runs (job, began, ended, status) VALUES (?, ?, ?, 'ok')",
            [("a", "2026-06-10 11:00:00", "2026-06-10 11:01:00")] * 5,
        )
    runs = "SELECT id, job AS job_id, began AS started_at, ended AS ended_at, status FROM runs WHERE id > :after"
    return {
        "kind": "sql",
        "database": str(folder / "jobs.db"),
        "jobs": "SELECT id, name, cron, enabled FROM jobs",
        "runs": runs,
        "deadline": "1s",
    }


def json_file(folder: Path) -> Section:
    """A nanobot's workspace with its calls of a model beside it."""
    (folder / "cron" / "runs").mkdir(parents=True)
    made = 1_781_080_000_000
    state: dict[str, object] = {
        "nextRunAtMs": made + 14_000_000,
        "lastRunAtMs": made,
        "lastStatus": "ok",
        "lastError": None,
    }
    state["runHistory"] = [{"runId": "r", "runAtMs": made, "durationMs": 5, "status": "ok", "error": None}]
    schedule = {"kind": "cron", "expr": "0 * * * *", "tz": "UTC", "everyMs": None, "atMs": None}
    payload = {"kind": "agent_turn", "message": "m", "originChatId": "1"}
    common = {"enabled": True, "schedule": schedule, "payload": payload, "createdAtMs": made, "updatedAtMs": made}
    jobs = [{"id": name, "name": name, "state": state, **common} for name in "abc"]
    (folder / "cron" / "jobs.json").write_text(json.dumps({"version": 1, "jobs": jobs}))
    run = {"run_id": f"cron:a:{made}:x", "job_id": "a", "status": "queued", "updated_at_ms": made, "error": None}
    (folder / "cron" / "runs" / "a.json").write_text(json.dumps(run))
    with closing(sqlite3.connect(folder / "llm_usage.sqlite3")) as db, db:
        db.execute(
            "CREATE TABLE llm_calls (id INTEGER PRIMARY KEY, source, started_at_ms, reported_tokens, "
            "error_status_code, finish_reason, error_kind)"
        )
        db.execute("INSERT INTO llm_calls VALUES (1, 'cron', ?, 5, NULL, 'stop', NULL)", (made,))
    return {"kind": "json", "preset": "nanobot", "folder": str(folder)}


def hermes(folder: Path) -> Section:
    """A Hermes home with attempts, sessions, a heartbeat and settings."""
    home = Home(folder, layout="H3")
    for number in range(3):
        id_ = home.add(f"job{number}", cron("*/10 * * * *"), next_run_at=home.iso(NOW + timedelta(minutes=10)))
        home.ran(id_, NOW - timedelta(minutes=10))
        home.row(id_, NOW - timedelta(minutes=1), "running" if number else "failed", error="no such model")
    home.beat(NOW, began=NOW - timedelta(days=1))
    (folder / "config.yaml").write_text("timezone: Europe/Berlin\ncron: {script_timeout_seconds: 60}\n")
    return {"kind": "hermes", "home": str(folder)}


STORES: Mapping[str, Callable[[Path], Section]] = {
    "phantom": phantom,
    "openclaw, files": openclaw_file,
    "openclaw, database": openclaw_database,
    "sql": sql,
    "json, a file": json_file,
    "hermes": hermes,
}


# --- what is changed

ODD: tuple[object, ...] = (
    *(
        None,
        "",
        "x",
        " ",
        "\0",
        "\ufffd" * 100,
        "a" * 100_000,
        b"\xff\xfe",
        b"",
        "[" * 5_000,
        "{}",
        "[]",
        "null",
        "NaN",
    ),
    *(
        0,
        1,
        -1,
        2**31,
        2**63 - 1,
        -(2**63),
        1e20,
        -1e20,
        1e308,
        float("inf"),
        float("-inf"),
        0.1,
        "1e999",
        "-0",
        "9" * 400,
    ),
    *(
        "2026-06-10",
        "2026-06-10T11:00:00Z",
        "9999-12-31T23:59:59Z",
        "0000-00-00",
        "2026-13-45 99:99:99",
        "infinity",
        "now",
    ),
    *(
        '{"expr": "* * * * *"}',
        '{"expr": "0 0 31 2 *"}',
        '{"intervalMs": -1}',
        '{"intervalMs": 1e-9}',
        '{"at": "never"}',
    ),
    *(
        "every",
        "cron",
        "at",
        "failed",
        "active",
        "paused",
        "completed",
        "ok",
        "error",
        "scheduler:sched:",
        "<script>",
        "\ud800",
        '"\\ud800"',
        "🎉",
    ),
)


def bytes_changed(folder: Path, rng: Random) -> None:
    """Some bytes of one file."""
    path = rng.choice(_files(folder))
    data = bytearray(path.read_bytes())
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        at = rng.randrange(len(data) or 1)
        how = rng.randrange(5)
        if how == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            data[at : at + rng.randrange(1, 200)] = rng.randbytes(rng.randrange(200))
        elif how == 2:
            del data[at : at + rng.randrange(1, 500)]
        elif how == 3:
            data[at:at] = data[at : at + rng.randrange(1, 500)] * rng.randrange(1, 5)
        else:
            del data[at + rng.randrange(1, 5000) :]
    path.write_bytes(data)


def header_changed(folder: Path, rng: Random) -> None:
    """Some bytes where a database says what it is."""
    path = rng.choice(_files(folder))
    data = bytearray(path.read_bytes())
    for _ in range(rng.randrange(1, 6)):
        if data:
            data[rng.randrange(min(len(data), 120))] = rng.choice((0, 1, 2, 255, rng.randrange(256)))
    path.write_bytes(data)


def values_changed(folder: Path, rng: Random) -> None:
    """Odd values in a database's rows, or in JSON."""
    path = rng.choice(_files(folder))
    if path.suffix not in DATABASES:
        _json_changed(path, rng)
    elif _can_be_opened(path):
        _rows_changed(path, rng)


def _rows_changed(path: Path, rng: Random) -> None:
    with closing(sqlite3.connect(path)) as db, suppress(sqlite3.Error), db:
        table = rng.choice(_tables(db))
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        for _ in range(rng.randrange(1, 6)):
            with suppress(sqlite3.Error, OverflowError, UnicodeError):
                one = (
                    "" if rng.random() < 0.5 else f"WHERE rowid = (SELECT rowid FROM {table} ORDER BY random() LIMIT 1)"
                )
                db.execute(f"UPDATE {table} SET {rng.choice(columns)} = ? {one}", (rng.choice(ODD),))


def _json_changed(path: Path, rng: Random) -> None:
    def changed(thing: Any) -> Any:
        if rng.random() < 0.15:
            odd = rng.choice(ODD)
            return odd.decode("latin-1") if isinstance(odd, bytes) else odd
        if isinstance(thing, dict):
            return {key: changed(value) for key, value in thing.items() if rng.random() > 0.05}
        if isinstance(thing, list):
            return [changed(each) for each in thing]
        return thing

    lines = path.read_text(errors="replace").splitlines()
    with suppress(ValueError):
        path.write_text("\n".join(json.dumps(changed(json.loads(line))) for line in lines) + "\n")


def structure_changed(folder: Path, rng: Random) -> None:
    """Tables and columns that go, come and become something else."""
    databases = [path for path in _files(folder) if path.suffix in DATABASES and _can_be_opened(path)]
    if not databases:
        return values_changed(folder, rng)
    with closing(sqlite3.connect(rng.choice(databases), isolation_level=None)) as db, suppress(sqlite3.Error):
        table = rng.choice(_tables(db))
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        column = rng.choice(columns)
        endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        statements = (
            [f"DROP TABLE {table}"],
            [f"ALTER TABLE {table} DROP COLUMN {column}"],
            [f"ALTER TABLE {table} RENAME COLUMN {column} TO odd"],
            [f"ALTER TABLE {table} RENAME TO was", f"CREATE VIEW {table} AS SELECT * FROM was"],
            [f"ALTER TABLE {table} RENAME TO was", f"CREATE VIEW {table} AS {endless} SELECT was.* FROM n, was"],
            [f"ALTER TABLE {table} RENAME TO was", f"CREATE TABLE {table} AS SELECT * FROM was"],
            [f"INSERT INTO {table} SELECT * FROM {table}"] * 4,
            [
                f"ALTER TABLE {table} RENAME TO was",
                f"CREATE TABLE {table} ({', '.join([f'{columns[0]} PRIMARY KEY', *columns[1:]])}) WITHOUT ROWID",
                f"INSERT INTO {table} SELECT * FROM was",
            ],
            [f"ALTER TABLE {table} ADD COLUMN odd GENERATED ALWAYS AS (hex(zeroblob(1000000))) VIRTUAL"],
            [f"ALTER TABLE {table} RENAME COLUMN {columns[0]} TO rowid"],
            [f"DELETE FROM {table}"],
            [f"CREATE TRIGGER odd AFTER UPDATE ON {table} BEGIN SELECT raise(ABORT, 'no'); END"],
            ["PRAGMA journal_mode = WAL", f"UPDATE {table} SET {column} = {column}"],
            ["PRAGMA encoding = 'UTF-16'", "VACUUM"],
            ["PRAGMA user_version = 99", "PRAGMA application_id = 7"],
        )
        for statement in rng.choice(statements):
            db.execute(statement)
    return None


def kind_changed(folder: Path, rng: Random) -> None:
    """A file, or one that SQLite would open beside it, is something else."""
    path = rng.choice(_files(folder))
    if path.suffix in DATABASES and rng.random() < 0.5:
        path = Path(f"{path}{rng.choice(('-wal', '-shm', '-journal'))}")
    path.unlink(missing_ok=True)
    makes: tuple[Callable[[], object], ...] = (
        lambda: os.mkfifo(path),
        lambda: path.mkdir(),
        lambda: path.symlink_to("/dev/zero"),
        lambda: path.symlink_to(path.name),
        lambda: path.symlink_to("/nowhere"),
        lambda: path.symlink_to("/dev/null"),
        lambda: path.write_bytes(b""),
        lambda: path.write_bytes(rng.randbytes(5000)),
        lambda: path.write_bytes(bytes(70_000)),
        lambda: None,
    )
    rng.choice(makes)()


CHANGES = (
    bytes_changed,
    bytes_changed,
    header_changed,
    values_changed,
    values_changed,
    structure_changed,
    kind_changed,
)


def _can_be_opened(path: Path) -> bool:
    """Whether the one who changes it would not hang in what stands beside it."""
    beside = [Path(f"{path}{ending}") for ending in ("-wal", "-shm", "-journal")]
    return all(each.is_file() and not each.is_symlink() for each in beside if os.path.lexists(each))


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def _tables(db: sqlite3.Connection) -> list[str]:
    return [
        name
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    ]


# --- what must hold


def judged(section: Section, rng: Random, mutate: Callable[[], None]) -> float:
    """Look at a mutant twice, with one more change in between; the most seconds of its own time that a look took."""
    engine = Engine(Config.validated({"sources": [{"name": "a", **section}]}))
    worst = 0.0
    for step in range(2):
        began = time.process_time()
        published: Published = engine.tick(NOW + timedelta(minutes=step)).published
        shown(published, NOW)
        worst = max(worst, time.process_time() - began)
        must_be_clean(published)
        if step == 0 and rng.random() < 0.5:
            mutate()
    engine.end()
    return worst


def shown(published: Published, now: datetime) -> None:
    """What the API and the metrics make of it, which others must be able to read."""
    for document in (jobs_document(published, now), findings_document(published, now)):
        json.dumps(document, allow_nan=False, ensure_ascii=False).encode()
    StateText().render(published)


def must_be_clean(published: Published) -> None:
    """Nothing broke off, and all that is said fits into a line."""
    for finding in published.findings:
        if "broke off" in finding.summary:
            raise AssertionError(finding.summary)
        if "\n" in finding.summary or len(finding.summary) > 2000:
            raise AssertionError(f"not one line: {finding.summary[:300]!r}")


class Stock:
    """The stores as they are before anything is changed: made once, and put where each mutant is made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._place = folder / "store"
        self._made: dict[str, Section] = {}

    def fresh(self, name: str) -> tuple[Section, Path]:
        """The section and the folder of a store that is whole."""
        kept = self._folder / name
        shutil.rmtree(self._place, ignore_errors=True)
        if name not in self._made:
            self._place.mkdir()
            self._made[name] = STORES[name](self._place)
            shutil.copytree(self._place, kept)
        else:
            shutil.copytree(kept, self._place)
        return self._made[name], self._place


def one(seed: int, stock: Stock) -> float:
    """The mutant of a seed."""
    rng = random.Random(seed)
    section, folder = stock.fresh(rng.choice(list(STORES)))

    def mutate() -> None:
        with suppress(OSError, IndexError, UnicodeError):  # what was changed before may not be read by this one
            rng.choice(CHANGES)(folder, rng)

    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        mutate()
    faulthandler.dump_traceback_later(HANGS_AFTER, exit=True)
    allowed = float(str(section.get("deadline", "0s")).removesuffix("s"))  # the operator's own
    try:
        return judged(section, rng, mutate) - allowed
    finally:
        faulthandler.cancel_dump_traceback_later()


def some(first: int, count: int) -> tuple[list[str], float, float]:
    """So many in one process: what was wrong, the longest look, and the most MB."""
    logs.set_up(debug=False)
    # nobody is writing here: what is half-written now stays so
    openclaw_source.RETRY_AFTER = json_source.RETRY_AFTER = 0.0

    wrong, worst = [], 0.0
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        stock = Stock(Path(folder))
        for seed in range(first, first + count):
            try:
                took = one(seed, stock)
            except Exception as error:
                wrong.append(f"seed {seed}: {type(error).__name__}: {str(error)[:200]}")
                continue
            worst = max(worst, took)
            if took > SECOND:
                wrong.append(f"seed {seed}: {took:.1f} s")
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    if largest > MOST_MB:
        wrong.append(f"seeds {first} to {first + count}: {largest:.0f} MB")
    return wrong, worst, largest


def main() -> int:
    """All of them, in processes of a thousand each."""
    parser = argparse.ArgumentParser(prog="python -m bench.fuzz", description=__doc__)
    parser.add_argument("--mutants", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1, help="of the first")
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 1) // 2))
    options = parser.parse_args()
    each = min(1000, options.mutants)
    parts = [(first, each) for first in range(options.seed, options.seed + options.mutants, each)]
    began = time.monotonic()
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context, max_tasks_per_child=1) as pool:
        found = list(pool.map(some, *zip(*parts, strict=True)))
    wrong = [line for lines, _, _ in found for line in lines]
    print("\n".join(wrong[:50]))
    print(
        f"{options.mutants:,} mutants of {len(STORES)} kinds of stores in {time.monotonic() - began:.0f} s: "
        f"{len(wrong)} wrong, "
        f"the longest look {max(worst for _, worst, _ in found):.2f} s of its own time, "
        f"the largest process {max(mb for _, _, mb in found):.0f} MB"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
