"""The simulator lives as the real scheduler did: its rows are held against recorded lives, step by step.

The lives were recorded from the real scheduler on a virtual clock: frozen, killed, started, with jobs that were paused,
resumed and deleted over its API, in flight and while they waited, brought back after a storm, and with rows that
somebody broke. (Of a zone or an expression that is none no life was recorded: tests/demo/test_simulator.py.) Of each:
the jobs as it began, how long each run and its delivery took, what was done to it, and every row that was seen to
change.
"""

import gzip
import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from watchdog.core.instants import parse_instant, to_ms
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.demo.tables import connect

LIVES: Mapping[str, Mapping[str, Any]] = {
    life["name"]: life
    for life in json.loads(gzip.decompress((Path(__file__).parents[1] / "data" / "phantom_lives.json.gz").read_bytes()))
}
COLUMNS = """status, last_run_at, last_run_status, last_run_duration_ms, next_run_at, run_count, last_delivery_status,
    updated_at"""
RECORDED_TIMER = timedelta(seconds=1)
"""In the recordings no timer was shorter. (So a row that is skipped makes all others late by parts of a second: of that
life only the first minutes are carried.)"""


def begin(path: Path, life: Mapping[str, Any]) -> Simulator:
    with closing(connect(path, durable=False)) as connection:
        for row in life["jobs"]:
            names = ", ".join(row)
            marks = ", ".join("?" * len(row))
            statement = f"INSERT INTO scheduled_jobs ({names}, task, created_by) VALUES ({marks}, '', 'agent')"
            connection.execute(statement, list(row.values()))
    runs: Mapping[str, tuple[int, int, str]] = life["runs"]

    def behave(name: str, now: datetime) -> Outcome:
        length, delivery, status = runs.get(f"{name} {to_ms(now)}", (10**8, 0, "ok"))
        return Outcome(
            ok=status == "ok",
            duration=timedelta(milliseconds=length),
            delivery_duration=timedelta(milliseconds=delivery),
        )

    return Simulator(path, parse_instant(life["begins"]), behaviour=behave, rearm=RECORDED_TIMER)


def do(sim: Simulator, path: Path, what: str, about: Any) -> None:
    """What was done to the scheduler at that moment."""
    if what == "sql":
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute(about)
    elif what in ("pause", "resume", "delete", "run"):
        act = sim.run_now if what == "run" else getattr(sim, what)
        act(asked(path, "SELECT id FROM scheduled_jobs WHERE name = ?", about)[0][0])
    else:
        getattr(sim, what)()
        sim.run_until(sim.now)


def asked(path: Path, query: str, *values: object) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return connection.execute(query, values).fetchall()


@pytest.mark.parametrize("name", LIVES, ids=lambda name: name[:3])
def test_it_lives_as_the_real_scheduler_did(name: str, tmp_path: Path) -> None:
    life, path = LIVES[name], tmp_path / "phantom.db"
    with begin(path, life) as sim:
        for at, what, about in life["steps"]:
            sim.run_until(parse_instant(at))
            if what != "row":
                do(sim, path, what, about)
                continue
            job, *wanted = about
            seen = asked(path, f"SELECT {COLUMNS} FROM scheduled_jobs WHERE name = ?", job)
            assert [list(row) for row in seen] == [wanted], f"{job} at {at}"
        sim.run_until(parse_instant(life["ends"]))
        names = {row["id"]: row["name"] for row in life["jobs"]}
        bills = asked(path, "SELECT session_key, created_at FROM cost_events ORDER BY id")
    assert [[names[key.rpartition(":")[2]], at] for key, at in bills] == life["costs"]
