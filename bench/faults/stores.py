"""Stores that hang, flood or break whoever reads them, each beside a good one; some come while it is watched."""

import json
import os
import socket
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

from bench.faults.rig import TOLD_WITHIN, BrokenPromiseError, Promise, Rig, going_on, must, until
from tests.conftest import build, healthy, job_row
from tests.support.hostile import ENDLESS, HOSTILE, JOB, MIB, Hostile, Section

BESIDE = "the good one in time, the bad one told with its reason, SIGTERM in 2 s, under 150 MB"


def _phantom(path: Path) -> Section:
    return {"kind": "phantom", "database": str(path)}


def _openclaw(folder: Path, jobs: str | None = None) -> Section:
    (folder / "cron" / "runs").mkdir(parents=True, exist_ok=True)
    (folder / "cron" / "jobs.json").write_text(jobs or json.dumps({"version": 1, "jobs": [JOB]}))
    return {"kind": "openclaw", "state_dir": str(folder)}


def _sqlite(folder: Path, *statements: str, without: tuple[str, ...] = ()) -> Section:
    path = build(folder / "phantom.db", healthy(), without=list(without))
    with closing(sqlite3.connect(path)) as db, db:
        for statement in statements:
            db.execute(statement)
    return _phantom(path)


def _symlink_loop(folder: Path) -> Section:
    (folder / "phantom.db").symlink_to(folder / "other.db")
    (folder / "other.db").symlink_to(folder / "phantom.db")
    return _phantom(folder / "phantom.db")


def _loop_as_jobs(folder: Path) -> Section:
    section = _openclaw(folder)
    (folder / "cron" / "jobs.json").unlink()
    (folder / "cron" / "jobs.json").symlink_to("jobs.json")
    return section


def _socket_as_database(folder: Path) -> Section:
    with socket.socket(socket.AF_UNIX) as end:
        here = Path.cwd()
        os.chdir(folder)  # the path of a socket must be short
        try:
            end.bind("phantom.db")
        finally:
            os.chdir(here)
    return _phantom(folder / "phantom.db")


def _folder_as_database(folder: Path) -> Section:
    (folder / "phantom.db").mkdir()
    return _phantom(folder / "phantom.db")


def _folder_as_log(folder: Path) -> Section:
    section = _sqlite(folder)
    (folder / "phantom.db-wal").mkdir()
    return section


def _zeros_as_log(folder: Path) -> Section:
    section = _sqlite(folder)
    (folder / "phantom.db-wal").symlink_to("/dev/zero")
    return section


def _zeros_as_run_log(folder: Path) -> Section:
    section = _openclaw(folder)
    (folder / "cron" / "runs" / "a.jsonl").symlink_to("/dev/zero")
    return section


def _deep_json(folder: Path) -> Section:
    return _openclaw(folder, '{"jobs": ' + "[" * 400_000 + "]" * 400_000 + "}")


def _deep_value(folder: Path) -> Section:
    deep = "[" * 200_000 + "]" * 200_000
    return _sqlite(folder, f"UPDATE scheduled_jobs SET schedule_value = '{deep}'")


def _odd_values(folder: Path) -> Section:
    """One row for each column and odd value."""
    odd = (
        "x'ff00'",
        "1e20",
        "-1",
        "-9223372036854775808",
        "9e999",
        "-9e999",
        "'nonsense'",
        "''",
        "NULL",
        "CAST(x'fffe' AS TEXT)",
    )
    columns = list(job_row())
    path = build(folder / "phantom.db", {"scheduled_jobs": []})
    with closing(sqlite3.connect(path)) as db, db:
        loose = ", ".join([*columns, "status", "enabled", "consecutive_errors", "created_at", "delete_after_run"])
        db.execute("DROP TABLE scheduled_jobs")
        db.execute(f"CREATE TABLE scheduled_jobs ({loose})")
        for number, (column, value) in enumerate((column, value) for column in columns for value in odd):
            row = dict(job_row(f"odd-{number}"))
            db.execute(
                f"INSERT INTO scheduled_jobs ({', '.join(row)}, status) VALUES ({', '.join('?' * len(row))}, 'active')",
                list(row.values()),
            )
            db.execute(f"UPDATE scheduled_jobs SET {column} = {value} WHERE name = ?", (f"odd-{number}",))
    return _phantom(path)


def _odd_bills(folder: Path) -> Section:
    path = build(folder / "phantom.db", healthy(), without=["cost_events"])
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "CREATE TABLE cost_events (id, session_key, cost_usd, input_tokens, output_tokens, model, created_at)"
        )
        for odd in ("NULL", "-5", "1e20", "9e999", "x'00'", "'text'"):
            for column in ("id", "session_key", "cost_usd", "input_tokens", "created_at"):
                values = {
                    "id": "7",
                    "session_key": "'scheduler:sched:id-heartbeat'",
                    "cost_usd": "0.1",
                    "input_tokens": "9",
                }
                values |= {"output_tokens": "9", "model": "'m'", "created_at": "'2026-06-10 11:01:00'", column: odd}
                db.execute(f"INSERT INTO cost_events VALUES ({', '.join(values.values())})")
    return _phantom(path)


def _without_rowid(folder: Path) -> Section:
    path = build(folder / "phantom.db", healthy(), without=["scheduled_jobs"])
    columns = ", ".join(name for name in job_row() if name != "id")
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            f"CREATE TABLE scheduled_jobs (id TEXT PRIMARY KEY, {columns}, status, enabled DEFAULT 1) WITHOUT ROWID"
        )
        db.execute("INSERT INTO scheduled_jobs (id, name, status) VALUES ('a', 'a', 'active')")
    return _phantom(path)


def _dear_column(folder: Path) -> Section:
    """Each row's error is worked out anew, and is huge."""
    path = build(folder / "phantom.db", healthy(), without=["scheduled_jobs"])
    columns = ", ".join(name for name in job_row() if name not in ("id", "last_run_error"))
    dear = f"last_run_error TEXT GENERATED ALWAYS AS (hex(zeroblob({20 * MIB}))) VIRTUAL"
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(f"CREATE TABLE scheduled_jobs (id TEXT PRIMARY KEY, {columns}, status, enabled DEFAULT 1, {dear})")
        for number in range(5):
            db.execute("INSERT INTO scheduled_jobs (id, name, status) VALUES (?, ?, 'active')", (f"a{number}", "a"))
    return _phantom(path)


def _missing_module(folder: Path) -> Section:
    path = build(folder / "phantom.db", healthy(), without=["scheduled_jobs"])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        sql = "CREATE VIRTUAL TABLE scheduled_jobs USING not_there(id, name)"
        db.execute("INSERT INTO sqlite_master VALUES ('table', 'scheduled_jobs', 'scheduled_jobs', 0, ?)", (sql,))
    return _phantom(path)


def _many_tables(folder: Path) -> Section:
    return _sqlite(folder, *(f"CREATE TABLE t{number} (a, b, c)" for number in range(1_000)))


def _lists_of_jobs(folder: Path) -> Section:
    text = json.dumps(
        {"version": 1, "jobs": [[], {}, None, 7, "x", {"id": 5}, {"id": "a" * 100_000}, {"id": "b", "schedule": 9}]}
    )
    return _openclaw(folder, text)


def _numbers_without_end(folder: Path) -> Section:
    return _openclaw(folder, '{"version": 1, "jobs": [{"id": "a", "createdAtMs": ' + "9" * 1_000_000 + "}]}")


def _not_a_number(folder: Path) -> Section:
    return _openclaw(
        folder, '{"version": 1, "jobs": [{"id": "a", "state": {"nextRunAtMs": NaN, "lastRunAtMs": -1e999}}]}'
    )


def _bad_header(folder: Path) -> Section:
    section = _sqlite(folder)
    with (folder / "phantom.db").open("r+b") as file:
        file.seek(16)
        file.write(os.urandom(84))
    return section


def _endless_runs(folder: Path) -> Section:
    with closing(sqlite3.connect(folder / "jobs.db")) as db, db:
        db.execute("CREATE TABLE t (id TEXT)")
    columns = "x AS id, 'a' AS job_id, x AS started_at, x AS ended_at, 'ok' AS status"
    runs = f"{ENDLESS} SELECT {columns} FROM n WHERE x > :after"
    jobs, enough = "SELECT 'a' AS id, 60 AS every", "30s"  # on a busy machine too: what it returns is cut, not its time
    return {"kind": "sql", "database": str(folder / "jobs.db"), "jobs": jobs, "runs": runs, "deadline": enough}


def _bytes_as_jobs(raw: bytes) -> Callable[[Path], Section]:
    def make(folder: Path) -> Section:
        section = _openclaw(folder)
        (folder / "cron" / "jobs.json").write_bytes(raw)
        return section

    return make


_LONE = r'"a\ud800"'
"""Half a sign, as JSON may have it and UTF-8 may not."""


def _hermes(folder: Path, jobs: bytes = b'{"jobs": []}') -> Section:
    (folder / "cron").mkdir()
    (folder / "cron" / "jobs.json").write_bytes(jobs)
    return {"kind": "hermes", "home": str(folder)}


def _large_settings(folder: Path) -> Section:
    (folder / "config.yaml").write_bytes(b"a: [1, 2]\n" * 700_000)
    return _hermes(folder)


def _endless_attempts(folder: Path) -> Section:
    section = _hermes(folder)
    columns = "x AS id, 'a' AS job_id, 'builtin' AS source, 'running' AS status, x AS claimed_at"
    for path, name in (("cron/executions.db", "executions"), ("state.db", "sessions")):
        with closing(sqlite3.connect(folder / path)) as db, db:
            db.execute(f"CREATE VIEW {name} AS {ENDLESS} SELECT {columns} FROM n")
    return section


def _many_profiles(folder: Path) -> Section:
    for number in range(2_000):
        (folder / "profiles" / f"p{number}" / "cron").mkdir(parents=True)
    return _hermes(folder)


def _many_run_files(folder: Path) -> Section:
    """As an agent leaves one for each run, for years."""
    section = _run_files(folder)
    for number in range(20_000):
        (folder / "cron" / "runs" / f"{number}.json").write_bytes(b'{"job_id": "a", "status": "ok"}')
    return section


def _large_run_files(folder: Path) -> Section:
    section = _run_files(folder)
    for number in range(500):
        (folder / "cron" / "runs" / f"{number}.json").write_bytes(b"[" + b"[]," * 80_000 + b"[]]")
    return section


def _run_files(folder: Path) -> Section:
    (folder / "cron" / "runs").mkdir(parents=True)
    (folder / "cron" / "jobs.json").write_text(json.dumps({"version": 1, "jobs": [JOB]}))
    return {"kind": "json", "preset": "nanobot", "folder": str(folder)}


def _sparse(ending: str) -> Callable[[Path], Section]:
    def make(folder: Path) -> Section:
        section = _sqlite(folder, "PRAGMA journal_mode = WAL")
        with Path(f"{section['database']}{ending}").open("ab") as file:
            file.truncate(5 << 30)
        return section

    return make


def _unknown_collation(folder: Path) -> Section:
    path = build(folder / "phantom.db", healthy(), without=["scheduled_jobs"])
    columns = ", ".join(name for name in job_row() if name != "id")
    with closing(sqlite3.connect(path)) as db:
        db.create_collation("theirs", lambda a, b: (a > b) - (a < b))
        db.execute(f"CREATE TABLE scheduled_jobs (id TEXT PRIMARY KEY COLLATE theirs, {columns}, status) WITHOUT ROWID")
    return _phantom(path)


def _of_another_system(folder: Path) -> Section:
    with closing(sqlite3.connect(folder / "phantom.db")) as db, db:
        db.execute("CREATE TABLE cron_jobs (store_key, job_id, name, enabled, job_json, state_json, updated_at)")
    return _phantom(folder / "phantom.db")


def _wide_table(folder: Path) -> Section:
    return _sqlite(folder, *(f"ALTER TABLE scheduled_jobs ADD COLUMN c{number}" for number in range(1_900)))


def _sql(jobs: str) -> Callable[[Path], Section]:
    def make(folder: Path) -> Section:
        with closing(sqlite3.connect(folder / "jobs.db")) as db, db:
            db.execute("CREATE TABLE t (id)")
            db.executemany("INSERT INTO t VALUES (?)", [("a",), (b"\xff\0",), (1e300,), (-(2**63),), (None,), ("",)])
        return {"kind": "sql", "database": str(folder / "jobs.db"), "jobs": jobs}

    return make


OWN: Mapping[str, Hostile] = {
    "a loop of links as a database": Hostile(_symlink_loop, "cannot be read"),
    "a loop of links as a file of jobs": Hostile(_loop_as_jobs, "cannot be read"),
    "a socket as a database": Hostile(_socket_as_database, "not a file"),
    "a folder as a database": Hostile(_folder_as_database, "is a folder"),
    "a folder as a log": Hostile(_folder_as_log, "is a folder"),
    "an endless device as a log": Hostile(_zeros_as_log, "is a device"),
    "an endless device as a run log": Hostile(_zeros_as_run_log),
    "JSON 400,000 deep": Hostile(_deep_json, "cannot be read"),
    "a schedule 200,000 deep": Hostile(_deep_value, "not JSON"),
    "an odd value in every column": Hostile(_odd_values),
    "odd values in all bills": Hostile(_odd_bills),
    "a table without row numbers": Hostile(_without_rowid),
    "a column worked out to 40 MiB": Hostile(_dear_column),
    "a virtual table without its module": Hostile(_missing_module, "cannot be read"),
    "a thousand tables": Hostile(_many_tables),
    "jobs that are no jobs": Hostile(_lists_of_jobs),
    "a number of a million digits": Hostile(_numbers_without_end, "cannot be read"),
    "numbers that are none": Hostile(_not_a_number),
    "text that is not UTF-8": Hostile(_bytes_as_jobs(b'{"version": 1, "jobs": [{"id": "\xff\xfe"}]}')),
    "a NUL in a text": Hostile(_bytes_as_jobs(b'{"version": 1, "jobs": [{"id": "\0"}]}')),
    "half a sign in an id, a name and an error": Hostile(
        _bytes_as_jobs(f'{{"jobs": [{{"id": {_LONE}, "name": {_LONE}, "state": {{"lastError": {_LONE}}}}}]}}'.encode())
    ),
    "jobs in UTF-16": Hostile(_bytes_as_jobs(json.dumps({"version": 1, "jobs": [JOB]}).encode("utf-16"))),
    "a damaged header": Hostile(_bad_header, "cannot be read"),
    "runs without end": Hostile(_endless_runs),
    "a Hermes file of empty objects": Hostile(
        lambda folder: _hermes(folder, b'{"jobs": [' + b"{}," * (2 * MIB) + b"{}]}"), "far more values"
    ),
    "Hermes settings of 7 MB": Hostile(_large_settings),
    "views without end as Hermes' attempts and sessions": Hostile(_endless_attempts),
    "2,000 profiles of Hermes": Hostile(_many_profiles),
    "20,000 files of runs": Hostile(_many_run_files),
    "500 files of runs with empty lists": Hostile(_large_run_files),
    "a log of 5 GiB without anything in it": Hostile(_sparse("-wal")),
    "a database with 5 GiB of nothing at its end": Hostile(_sparse("")),
    "an order of texts that nobody knows": Hostile(_unknown_collation, "cannot be read"),
    "another system's database": Hostile(_of_another_system, "no table scheduled_jobs"),
    "a table of 1,900 columns": Hostile(_wide_table),
    "a query's odd ids": Hostile(_sql("SELECT id, id AS name, 60 AS every FROM t")),
    "a query's endless names": Hostile(
        _sql("SELECT 'a' AS id, hex(zeroblob(8000000)) AS name, 60 AS every"), "values over"
    ),
}
"""Forms beside those that the tests know."""


AT_ONCE = 5
"""Hostile stores beside one good one, so that the lab takes minutes and not hours."""


def _attack(some: Mapping[str, Hostile]) -> Promise:
    def attack(rig: Rig) -> None:
        rig.configure(*_sections(rig, some.values()))
        rig.start()
        rig.must_tell("meanwhile")
        for number, (what, hostile) in enumerate(some.items()):
            _must_be_told(rig, f"bad-{number}", what, hostile.says)
        rig.must_be_well()
        rig.notes.append(f"{rig.peak_mb():.0f} MB")
        rig.must_have_told_once("meanwhile")
        rig.must_end()

    return attack


def _sections(rig: Rig, some: Iterable[Hostile]) -> list[Section]:
    sections = []
    for number, hostile in enumerate(some):
        folder = rig.folder / f"bad-{number}"
        folder.mkdir()
        sections.append({"name": f"bad-{number}", **hostile.make(folder)})
    os.sync()  # the service is not to wait for what was written here
    return sections


def _must_be_told(rig: Rig, source: str, what: str, says: str) -> None:
    """Its reason, or, where there is nothing to tell, that it can be read."""

    def is_right() -> bool:
        return says in rig.said_of(source) if says else not rig.findings(source, "unreachable")

    try:
        until(is_right, f"{what} is told with {says!r}", TOLD_WITHIN)
    except BrokenPromiseError as error:
        raise BrokenPromiseError(f"{error}, but {rig.said_of(source)[:200]!r}") from None


def _in_parts(stores: Mapping[str, Hostile]) -> Iterator[Mapping[str, Hostile]]:
    names = list(stores)
    for first in range(0, len(names), AT_ONCE):
        yield {name: stores[name] for name in names[first : first + AT_ONCE]}


# --- put there while it is watched


def _good(folder: Path) -> Path:
    return build(folder / "phantom.db", healthy())


def _view_swapped_in(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=5)) as db, db:
        db.execute("ALTER TABLE scheduled_jobs RENAME TO was_jobs")
        db.execute(f"CREATE VIEW scheduled_jobs AS {ENDLESS} SELECT was_jobs.* FROM n, was_jobs WHERE x < 0")


def _pipe_swapped_in(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _zeros_swapped_in(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def _swapped(put: Callable[[Path], None], says: str) -> Promise:
    def attack(rig: Rig) -> None:
        folder = rig.folder / "bad"
        folder.mkdir()
        path = _good(folder)
        rig.configure({"name": "bad", **_phantom(path)})
        rig.start()
        put(path)
        rig.must_tell("meanwhile")
        _must_be_told(rig, "bad", "what was put there", says)
        rig.must_be_well()
        rig.must_end()

    return attack


def _renamed_while_read(rig: Rig) -> None:
    folder = rig.folder / "bad"
    folder.mkdir()
    path = _good(folder)
    db = sqlite3.connect(path, timeout=5, check_same_thread=False, isolation_level=None)

    def rename() -> None:
        db.execute("ALTER TABLE scheduled_jobs RENAME TO away")
        db.execute("ALTER TABLE away RENAME TO scheduled_jobs")

    rig.configure({"name": "bad", **_phantom(path)})
    with closing(db), going_on(rename, every=0.01):
        rig.start()
        rig.must_tell("meanwhile")
        rig.must_be_well()
        rig.must_end()


def _log_that_grows(rig: Rig) -> None:
    folder = rig.folder / "bad"
    folder.mkdir()
    section = _openclaw(folder)
    line = json.dumps({"ts": 1775000000000, "jobId": "a", "action": "finished", "status": "ok"}) + "\n"
    log = folder / "cron" / "runs" / "a.jsonl"
    with log.open("a") as file:

        def grow() -> None:
            if log.stat().st_size < 500 * MIB:
                file.write(line * 2000)
                file.flush()

        rig.configure({"name": "bad", **section})
        with going_on(grow, every=0.01):
            rig.start()
            rig.must_tell("meanwhile")
            rig.must_be_well()
            rig.must_end()
    must(log.stat().st_size > MIB, "the log did not grow")


def _all_at_once(rig: Rig) -> None:
    stores = (*HOSTILE.values(), *OWN.values())
    # of the others nobody is told here: messages to one target go one after the other, and take half a second each
    rig.configure(*_sections(rig, stores), owners=[{"match": {"source": "good"}, "notify": ["ops"]}])
    rig.start()
    rig.must_tell("meanwhile")
    rig.must_be_well(most_mb=MOST_MB_TOGETHER)
    rig.notes.append(f"{rig.peak_mb():.0f} MB")
    rig.must_have_told_once("meanwhile")
    rig.must_end()


MOST_MB_TOGETHER = 300
"""Each look is bounded, and sixty of them take more than one."""

SINGLE: Mapping[str, tuple[str, Promise]] = {
    f"store: {name}": (BESIDE, _attack({name: hostile})) for name, hostile in {**HOSTILE, **OWN}.items()
}
"""Each hostile store by itself, where it is asked for which of several it was."""

FAULTS: dict[str, tuple[str, Promise]] = {
    **{f"stores: {'; '.join(some)}": (BESIDE, _attack(some)) for some in _in_parts({**HOSTILE, **OWN})},
    "store: a view without end, put there while it is watched": (BESIDE, _swapped(_view_swapped_in, "no table")),
    "store: a pipe, put there while it is watched": (BESIDE, _swapped(_pipe_swapped_in, "not a file")),
    "store: an endless device, put there while it is watched": (BESIDE, _swapped(_zeros_swapped_in, "not a file")),
    "store: a table that is renamed all the time": (BESIDE, _renamed_while_read),
    "store: a log that grows by 20 MB a second": (BESIDE, _log_that_grows),
    "store: all of these at once": (
        "the good one in time, SIGTERM in 2 s, under 300 MB",
        _all_at_once,
    ),
}
