"""What a tick costs on an OpenClaw gateway's state folder, in each of the four layouts; the gateway is played."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.openclaw_stores import LAYOUTS, Gateway, job
from watchdog.config.file import Config
from watchdog.core.instants import to_ms
from watchdog.engine import Engine
from watchdog.systems.openclaw.section import OpenClaw

JOBS = 1000
CHANGES = 40
QUIET_TICKS = 500
NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)


@dataclass
class Layout:
    """CPU in milliseconds."""

    name: str
    first: float = 0.0
    quiet: float = 0.0
    changed: list[float] = field(default_factory=list)


def measure(say: Callable[[str], None]) -> list[Layout]:
    """Each layout, one after another."""
    found = []
    for name in LAYOUTS:
        say(f"OpenClaw, the layout {name}")
        with TemporaryDirectory() as folder:
            found.append(_layout(name, Path(folder)))
    return found


def _layout(name: str, folder: Path) -> Layout:
    gateway, figures = _gateway(name, folder), Layout(name)
    engine = Engine(Config(sources=(OpenClaw(kind="openclaw", state_dir=folder),)))
    figures.first = _cpu(engine, NOW)
    for number in range(CHANGES):
        at = NOW + number * timedelta(seconds=1)
        gateway.begin(f"job-{number}", at)
        figures.changed.append(_cpu(engine, at))
    time.sleep(4)  # until then all is read again, whatever its time stamps say
    engine.tick(NOW + _MINUTE)
    began = time.process_time()
    for _ in range(QUIET_TICKS):
        engine.tick(NOW + _MINUTE)
    figures.quiet = (time.process_time() - began) * 1000 / QUIET_TICKS
    return figures


def _cpu(engine: Engine, at: datetime) -> float:
    began = time.process_time()
    engine.tick(at)
    return (time.process_time() - began) * 1000


def _gateway(layout: str, folder: Path) -> Gateway:
    gateway = Gateway(folder, layout)
    ran = {"lastRunAtMs": to_ms(NOW - 30 * _MINUTE), "lastRunStatus": "ok", "lastDurationMs": 1000}
    for number in range(JOBS):
        cron = {"kind": "cron", "expr": f"{number % 60} * * * *"}
        schedule = cron if number % 2 else {"kind": "every", "everyMs": 3_600_000}
        gateway.add(job(f"job-{number}", schedule), NOW + (number % 60 + 2) * _MINUTE, NOW - 30 * _MINUTE)
        gateway.states[f"job-{number}"] |= ran
    gateway.persist()
    return gateway
