"""One process that watches a thousand schedulers: what it costs while nothing changes, and while they run in turn.

`python -m bench sources` measures this part alone and puts its table into docs/benchmark.md.
"""

import shutil
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import cycle
from pathlib import Path

from bench import scraper
from bench.database import WORK, remove
from bench.proc import Memory, cpu_seconds, memory
from bench.program import POLL_SECONDS, Running, Subject, free_port
from watchdog.demo.simulator import Simulator
from watchdog.demo.stamps import js_iso, sql_stamp

SOURCES = 1000
JOBS_EACH = 10
QUIET_SECONDS = 16
BUSY_SECONDS = 20
SCRAPES = 100
FOLDER = WORK / "sources"
_LIVED = timedelta(days=7)
_SETTLE = 12.0
_LIMIT = 120.0


@dataclass
class Crowd:
    """What was measured: seconds to the first full answer, CPU in ms for each poll, MB, and ms for each scrape."""

    first: float | None = None
    quiet_cpu: float = 0.0
    busy_cpu: float = 0.0
    at_end: Memory = field(default_factory=lambda: Memory(0, 0, 0))
    scrapes: list[float] = field(default_factory=list)
    text_mb: float = 0.0


def measure(say: Callable[[str], None]) -> Crowd:
    """All figures."""
    say(f"{SOURCES:,} databases with {JOBS_EACH} jobs each")
    with _databases() as paths, Running(_subject(paths)) as running:
        crowd = Crowd(first=running.wait_for_jobs(SOURCES * JOBS_EACH, _LIMIT))
        say(f"nothing changes for {QUIET_SECONDS} s")
        time.sleep(_SETTLE)
        crowd.quiet_cpu = _cpu_per_poll(running, lambda: time.sleep(QUIET_SECONDS))
        say(f"a run of one of them each second for {BUSY_SECONDS} s")
        crowd.busy_cpu = _cpu_per_poll(running, lambda: _live(paths))
        say(f"{SCRAPES} scrapes")
        crowd.scrapes = scraper.from_outside(running.subject.port, SCRAPES)
        crowd.text_mb = len(running.text()) / 1e6
        crowd.at_end = memory(running.pid)
    return crowd


@contextmanager
def _databases() -> Iterator[list[Path]]:
    """The same week of an agent's life in so many files."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    first, now = FOLDER / "0000.db", datetime.now(UTC)
    with Simulator(first, now - _LIVED) as simulator:
        for number in range(JOBS_EACH):
            simulator.add(f"job-{number}", {"kind": "every", "intervalMs": 3_600_000 * (1 + number % 4)})
        simulator.run_until(now)
    paths = [FOLDER / f"{number:04}.db" for number in range(SOURCES)]
    for path in paths[1:]:
        shutil.copyfile(first, path)
    try:
        yield paths
    finally:
        shutil.rmtree(FOLDER)


def _subject(paths: list[Path]) -> Subject:
    port, config = free_port(), FOLDER / "watchdog.yaml"
    remove(FOLDER / "state.db")
    sources = "".join(f"  - {{name: agent-{path.stem}, database: '{path}'}}\n" for path in paths)
    own = f"state: '{FOLDER / 'state.db'}'\nhttp: {{listen: '127.0.0.1:{port}'}}\npoll: {POLL_SECONDS}s\n"
    config.write_text(f"sources:\n{sources}{own}")
    command = [str(Path(sys.executable).with_name("scheduler-watchdog")), "run", "-c", str(config)]
    return Subject("scheduler-watchdog", f"{SOURCES:,} sources", command, port, "watchdog_job_info{", "")


def _cpu_per_poll(running: Running, meanwhile: Callable[[], None]) -> float:
    before, began = cpu_seconds(running.pid), time.monotonic()
    meanwhile()
    return (cpu_seconds(running.pid) - before) * 1000 * POLL_SECONDS / (time.monotonic() - began)


def _live(paths: list[Path]) -> None:
    turns = cycle(paths)
    began = time.monotonic()
    for second in range(BUSY_SECONDS):
        _run(next(turns))
        time.sleep(max(0.0, began + second + 1 - time.monotonic()))


def _run(path: Path) -> None:
    """A run that has just ended, in one commit: the bill, the session's touch, the row."""
    now = int(time.time() * 1000)
    with closing(sqlite3.connect(path)) as connection, connection:
        job, interval = connection.execute(
            "SELECT id, json_extract(schedule_value, '$.intervalMs') FROM scheduled_jobs ORDER BY next_run_at LIMIT 1"
        ).fetchone()
        key = f"scheduler:sched:{job}"
        bill = "INSERT INTO cost_events (session_key, cost_usd, input_tokens, output_tokens, model, created_at)"
        connection.execute(f"{bill} VALUES (?, 0.01, 900, 90, 'model', ?)", (key, sql_stamp(now)))
        connection.execute("UPDATE sessions SET last_active_at = ? WHERE session_key = ?", (sql_stamp(now), key))
        row = "UPDATE scheduled_jobs SET last_run_at = ?, next_run_at = ?, updated_at = ?, run_count = run_count + 1"
        values = (js_iso(now - 5000), js_iso(now + interval), sql_stamp(now), job)
        connection.execute(f"{row} WHERE id = ?", values)
