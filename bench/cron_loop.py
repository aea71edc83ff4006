"""What a person would write: cron starts `sqlite3` each minute with the queries that tell what is late or does no work.

`python -m bench cron-loop` measures this part alone and puts its table into docs/benchmark.md.
"""

import resource
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.database import fresh
from bench.query_exporter import EXACT, RANGED, Variant

EVENTS = 10_000_000
EVERY_SECONDS = 60
TIMES = 5

_LATE = """SELECT id, name FROM scheduled_jobs WHERE enabled = 1 AND status = 'active'
    AND unixepoch(next_run_at) < unixepoch() - 3600 OR status = 'failed';"""


@dataclass(frozen=True, slots=True)
class Loop:
    """One way to write it: CPU and seconds of each run."""

    name: str
    words: str
    cpu_ms: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    @property
    def cpu(self) -> float:
        """Of a run, in ms."""
        return median(self.cpu_ms)


def measure(say: Callable[[str], None]) -> list[Loop]:
    """Both ways to ask for the jobs without tokens, on the file of ten million cost events."""
    path = fresh(EVENTS).path
    return [_measured(path, variant, say) for variant in (EXACT, RANGED)]


def _measured(path: Path, variant: Variant, say: Callable[[str], None]) -> Loop:
    say(f"sqlite3 from cron, {variant.name}")
    loop = Loop(variant.name, variant.words)
    zero = f"SELECT job_id FROM ({variant.zero_sql}) WHERE job_zero_tokens;"
    for _ in range(TIMES):
        began, before = time.monotonic(), _children_cpu()
        subprocess.run(["sqlite3", "-readonly", str(path), _LATE + zero], check=True, stdout=subprocess.DEVNULL)
        loop.seconds.append(time.monotonic() - began)
        loop.cpu_ms.append(1000 * (_children_cpu() - before))
    return loop


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
