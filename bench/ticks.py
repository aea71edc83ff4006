"""What a tick costs, measured inside one process: `python -m bench.ticks EVENTS` prints the figures as JSON.

The loop's own calls are timed with the process's CPU clock: `Engine.tick`, then `Metrics.ticked` and the formatting of
what has changed, as at a scrape. The scheduler's runs come from a process of its own, at the instants at which the jobs
are due, and each tick is handed the instant of the commit that it follows.
"""

import json
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import datetime

from bench.database import Database, fresh
from bench.history import RUN_MS, Plan
from bench.writer import Writer
from watchdog.config.file import for_database
from watchdog.core.instants import from_ms
from watchdog.engine import Engine
from watchdog.metrics.collection import Metrics

RUNS = 150
QUIET_TICKS = 2000
SETTLED = 10.5
"""Seconds after which the time stamps of a file and its log are believed."""


@dataclass
class Figures:
    """CPU in milliseconds; wall time too for the first read, which a person waits for."""

    first_cpu: float = 0.0
    first_wall: float = 0.0
    first_render: float = 0.0
    quiet: float = 0.0
    changed: list[float] = field(default_factory=list)
    rendered: list[float] = field(default_factory=list)
    findings: int = 0
    peak_mb: float = 0.0
    metrics_kb: float = 0.0


class Loop:
    """The service's loop without its clock and its pauses."""

    def __init__(self, database: Database) -> None:
        self.engine = Engine(for_database(database.path))
        self.metrics = Metrics()

    def turn(self, now: datetime) -> tuple[float, float]:
        """CPU seconds of the tick, and of taking it over into the metrics and formatting it."""
        began = time.process_time()
        tick = self.engine.tick(now)
        ticked = time.process_time()
        self.metrics.ticked(tick, now, ticked - began)
        self.metrics.of_the_state()
        return ticked - began, time.process_time() - ticked


def measure(database: Database) -> Figures:
    """All figures of one file."""
    loop, figures = Loop(database), Figures()
    plans = database.due_first()
    with Writer(database.path) as writer:
        _run(writer, plans[0], database)
        _first(loop, figures, from_ms(plans[0].next_ms + RUN_MS))
        for plan in plans[1 : RUNS + 1]:
            _changed(loop, figures, writer, plan, database)
        _quiet(loop, figures, from_ms(plan.next_ms + RUN_MS))
    figures.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures.metrics_kb = len(loop.metrics.text()) / 1024
    return figures


def _first(loop: Loop, figures: Figures, now: datetime) -> None:
    began = time.perf_counter()
    cpu, render = loop.turn(now)
    figures.first_wall = (time.perf_counter() - began - render) * 1000
    figures.first_cpu, figures.first_render = cpu * 1000, render * 1000


def _changed(loop: Loop, figures: Figures, writer: Writer, plan: Plan, database: Database) -> None:
    """Two ticks: one that sees the run in flight, one that sees it over."""
    start, end = plan.next_ms, plan.next_ms + RUN_MS
    writer.start_run(plan.slot, start)
    _note(figures, loop.turn(from_ms(start)))
    writer.end_run(plan.slot, end, plan.next_ms + database.history.period_ms)
    _note(figures, loop.turn(from_ms(end)))


def _note(figures: Figures, seconds: tuple[float, float]) -> None:
    figures.changed.append(seconds[0] * 1000)
    figures.rendered.append(seconds[1] * 1000)


def _run(writer: Writer, plan: Plan, database: Database) -> None:
    writer.start_run(plan.slot, plan.next_ms)
    writer.end_run(plan.slot, plan.next_ms + RUN_MS, plan.next_ms + database.history.period_ms)


def _quiet(loop: Loop, figures: Figures, now: datetime) -> None:
    time.sleep(SETTLED)
    loop.turn(now)
    began = time.process_time()
    for _ in range(QUIET_TICKS):
        loop.turn(now)
    figures.quiet = (time.process_time() - began) * 1000 / QUIET_TICKS
    figures.findings = len(loop.engine.tick(now).published.findings)


if __name__ == "__main__":
    print(json.dumps(asdict(measure(fresh(int(sys.argv[1]))))))
