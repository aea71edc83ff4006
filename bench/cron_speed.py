"""Times chains of twelve fires, reading the expression included, against croniter: `python bench/cron_speed.py`.

Every valid case of the table of the scheduler's own answers is timed, best of three; those that croniter refuses or
cannot finish are left out, and counted. Exits 1 if ours is slower in any case, by more than timing can tell.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import NamedTuple
from zoneinfo import ZoneInfo

from croniter import croniter

from watchdog.cadence.cron import parse

ROOT = Path(__file__).resolve().parent.parent
TABLES = (ROOT.parent / "shared" / "cron" / "fires.jsonl.gz", ROOT / "tests" / "data" / "cron_fires.jsonl.gz")
FIRES = 12
ROUNDS = 3
NOISE = 1.1


class Case(NamedTuple):
    """One question of the table."""

    expr: str
    tz: str
    after_ms: int


class Timing(NamedTuple):
    """Seconds for one case."""

    case: Case
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """How many times as long ours takes; under 1 is faster."""
        return self.ours / self.theirs


def read_cases() -> list[Case]:
    """The valid cases of the first table that is there."""
    table = next(path for path in TABLES if path.exists())
    with gzip.open(table, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Case(row["expr"], row["tz"], row["after_ms"]) for row in rows if "fires_ms" in row]


def ours(case: Case) -> None:
    parse.cache_clear()
    list(islice(parse(case.expr, case.tz).fires(case.after_ms), FIRES))


def theirs(case: Case) -> None:
    start = datetime.fromtimestamp(case.after_ms / 1000, ZoneInfo(case.tz))
    schedule = croniter(case.expr, start)
    for _ in range(FIRES):
        schedule.get_next(float)


def best_of(rounds: int, chain: Callable[[Case], None], case: Case) -> float:
    times = []
    for _ in range(rounds):
        start = perf_counter()
        chain(case)
        times.append(perf_counter() - start)
    return min(times)


def time_case(case: Case) -> Timing | None:
    """Both timings, or None where croniter has no answer."""
    try:
        reference = best_of(ROUNDS, theirs, case)
    except (ValueError, KeyError, IndexError):
        return None
    return Timing(case, best_of(ROUNDS, ours, case), reference)


def report(timings: list[Timing], refused: int) -> bool:
    """Prints the figures; True if no case is slower than croniter's by more than noise."""
    worst = max(timings, key=lambda timing: timing.ratio)
    slower = [timing for timing in timings if timing.ratio > NOISE]
    print(f"cases {len(timings)}, left out because croniter refuses them {refused}, {FIRES} fires each")
    ours_us, theirs_us = (median(times) * 1e6 for times in zip(*((t.ours, t.theirs) for t in timings), strict=True))
    print(f"median us: ours {ours_us:.0f}, croniter {theirs_us:.0f}")
    print(f"ours / croniter: median {median(t.ratio for t in timings):.3f}, worst {worst.ratio:.3f} ({worst.case})")
    print(f"slower than croniter: {len(slower)}")
    return not slower


def main() -> int:
    cases = read_cases()
    timings = [timing for timing in map(time_case, cases) if timing is not None]
    return 0 if report(timings, len(cases) - len(timings)) else 1


if __name__ == "__main__":
    sys.exit(main())
