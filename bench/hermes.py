"""What a tick costs on a Hermes home: a thousand jobs, a thousand rows of runs, a hundred thousand sessions; played."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

from tests.support.hermes_home import PID, START, TICKS, Home, cron, every
from watchdog.config.file import Config
from watchdog.engine import Engine
from watchdog.systems.hermes.section import Hermes

JOBS, SESSIONS_EACH = 1000, 100
CHANGES = 40
QUIET_TICKS = 500
_SECOND, _MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@dataclass
class Figures:
    """CPU in milliseconds. `beats`: the ticks at which only a heartbeat has come."""

    first: float = 0.0
    quiet: float = 0.0
    changed: list[float] = field(default_factory=list)
    beats: list[float] = field(default_factory=list)


def measure(say: Callable[[str], None]) -> Figures:
    """On one home."""
    say(f"Hermes, {JOBS:,} jobs and {JOBS * SESSIONS_EACH:,} sessions")
    with TemporaryDirectory() as folder:
        return _measured(_home(Path(folder) / "hermes"))


def _measured(home: Home) -> Figures:
    figures = Figures()
    engine = Engine(Config(sources=(Hermes(kind="hermes", home=home.path, timezone=home.zone),)))
    ids = list(home.jobs)
    figures.first = _cpu(engine, START)
    for number in range(CHANGES):
        at = START + _MINUTE + number * _SECOND
        home.change(ids[number], next_run_at=home.iso(at + 60 * _MINUTE), last_run_at=home.iso(at))
        home.ran(ids[number], at)
        figures.changed.append(_cpu(engine, at))
    for number in range(CHANGES):
        at = START + 2 * _MINUTE + number * _SECOND
        home.beat(at)
        figures.beats.append(_cpu(engine, at))
    at = START + 3 * _MINUTE
    engine.tick(at)
    began = time.process_time()
    for _ in range(QUIET_TICKS):
        engine.tick(at)
    figures.quiet = (time.process_time() - began) * 1000 / QUIET_TICKS
    return figures


def _cpu(engine: Engine, at: object) -> float:
    began = time.process_time()
    engine.tick(at)  # type: ignore[arg-type]
    return (time.process_time() - began) * 1000


def _home(path: Path) -> Home:
    home = Home(path)
    save, home.save = home.save, lambda: None  # type: ignore[method-assign]
    for number in range(JOBS):
        schedule = cron(f"{number % 60} * * * *") if number % 2 else every(60)
        ran = home.iso(START - 10 * _MINUTE)
        home.add(
            f"job-{number}",
            schedule,
            prompt="x" * 300,
            next_run_at=home.iso(START + 50 * _MINUTE),
            last_run_at=ran,
            last_status="ok",
        )
    home.save = save  # type: ignore[method-assign]
    home.save()
    _fill(home)
    home.beat(START)
    return home


def _fill(home: Home) -> None:
    ran, zone = START - 10 * _MINUTE, ZoneInfo(home.zone)
    rows = [
        (f"r{id_}", id_, "builtin", "p1", PID, TICKS, "completed", *[home.iso(ran)] * 2, home.iso(ran + _SECOND))
        for id_ in home.jobs
    ]
    with closing(sqlite3.connect(home.path / "cron/executions.db")) as db, db:
        db.executemany("INSERT INTO executions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL)", rows)
    with closing(sqlite3.connect(home.path / "state.db")) as db, db:
        for back in range(SESSIONS_EACH):
            at = ran - back * 60 * _MINUTE
            name, began = f"{at.astimezone(zone):%Y%m%d_%H%M%S}", at.timestamp()
            db.executemany(
                "INSERT INTO sessions VALUES "
                "(?, 'cron', 'fake-1', NULL, ?, ?, 'cron_complete', 2, 321, 12, 0, NULL, NULL)",
                [(f"cron_{id_}_{name}", began, began + 1) for id_ in home.jobs],
            )
