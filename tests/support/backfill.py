"""What two hosts exposed in the past, in a real Prometheus: nothing waits for a scrape, and every number is known."""

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.support.command import needs
from tests.support.stack import Prometheus
from watchdog.config.file import Config
from watchdog.core.incident import Incident
from watchdog.demo.story import World
from watchdog.engine import Engine
from watchdog.metrics.collection import Metrics
from watchdog.systems.phantom.section import Phantom

BEGIN = datetime(2026, 4, 29, 9, 0, tzinfo=UTC)
END = datetime(2026, 4, 29, 10, 30, tzinfo=UTC)
EVERY = timedelta(minutes=1)
HOLE = (datetime(2026, 4, 29, 9, 30, tzinfo=UTC), datetime(2026, 4, 29, 9, 50, tzinfo=UTC))
"""The second host cannot be reached meanwhile."""

_LINE = re.compile(r"^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$")


HOSTS: Mapping[str, Sequence[str]] = {
    "a:9846": ("heartbeat",),
    "b:9846": ("heartbeat", "inbox-triage", "price-watch"),
}
"""Whose calls the provider refuses from 04:40 on."""


def exposed(folder: Path, host: str) -> Iterator[str]:
    """The host's lines in the order of time: what its watchdog says of a source called phantom, as it is stored."""
    path = folder / f"{host[0]}.db"
    engine = Engine(Config(sources=(Phantom(database=path),)))
    metrics = Metrics()
    world = World(path)
    with world.simulator as simulator:
        simulator.run_until(datetime(2026, 4, 29, 4, 40, tzinfo=UTC))
        world.errs.update(HOSTS[host])
        simulator.run_until(BEGIN)
        world.digest_hangs()
        now = BEGIN
        while now <= END:
            simulator.run_until(now)
            metrics.ticked(engine.tick(now), now, 0.1)
            metrics.notified("ops", "sent")
            metrics.recovered("revive", "verified")
            metrics.counted(_NO_INCIDENTS, 1, now - EVERY)
            away = host == "b:9846" and HOLE[0] <= now < HOLE[1]
            text = "" if away else metrics.text().decode()
            yield from _stored(f"up {0 if away else 1}\n{text}", host, now)
            now += EVERY


_NO_INCIDENTS: tuple[Incident, ...] = ()


def _stored(text: str, host: str, now: datetime) -> Iterator[str]:
    for line in text.splitlines():
        found = _LINE.match(line)
        if found:
            name, labels, number = found.groups()
            own = re.sub(r"(^|,)job=", r"\1exported_job=", labels or "")
            target = f'instance="{host}",job="scheduler-watchdog"'
            yield f"{name}{{{','.join(filter(None, (own, target)))}}} {number} {now.timestamp()}"


@contextmanager
def two_hosts(folder: Path) -> Iterator[Prometheus]:
    """A real server that has all of it."""
    lines = [line for host in HOSTS for line in exposed(folder, host)]
    (folder / "metrics.txt").write_text("\n".join([*lines, "# EOF\n"]))
    blocks = ("tsdb", "create-blocks-from", "openmetrics", "--quiet", folder / "metrics.txt", folder / "tsdb")
    done = subprocess.run([needs("promtool"), *map(str, blocks)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    keep = ("--storage.tsdb.retention.time=100y", f"--storage.tsdb.path={folder}/tsdb")
    with Prometheus(folder / "server", {"global": {"evaluation_interval": "1m"}}, *keep).running() as server:
        yield server
