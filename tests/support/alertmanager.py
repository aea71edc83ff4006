"""A real Alertmanager on loopback, and the watchdog's side of it on a clock that the test holds."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.command import PATIENCE, free_port, needs, until
from tests.support.told import Inbox
from watchdog.config.file import Channel, Config, Notify
from watchdog.core.instants import parse_instant
from watchdog.engine import Engine
from watchdog.notify.alertmanager import Alert
from watchdog.notify.dispatch import AlertPoster
from watchdog.notify.notifier import Notifier
from watchdog.state.store import Store
from watchdog.systems.phantom.section import Phantom

_CONFIG = """
route: {{receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: hook
    webhook_configs: [{{url: "http://127.0.0.1:{port}/hook", send_resolved: true}}]
"""


class Manager:
    """The real server. It may be stopped and started again; its port and its storage stay."""

    def __init__(self, folder: Path, hooks: Inbox) -> None:
        self._program = needs("prometheus-alertmanager")
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._hooks = hooks
        self.url = f"http://127.0.0.1:{self._port}"
        (folder / "alertmanager.yml").write_text(_CONFIG.format(port=hooks.port))

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        with (self._folder / "alertmanager.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._program,
                    f"--config.file={self._folder}/alertmanager.yml",
                    f"--storage.path={self._folder}/storage",
                    f"--web.listen-address=127.0.0.1:{self._port}",
                    "--cluster.listen-address=",
                ],
                stderr=log,
                stdout=log,
            )
        until(lambda: self._get("/-/ready") is not None, "Alertmanager is ready")

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def alerts(self, source: str) -> dict[str, dict[str, Any]]:
        """What it shows of a source, by job."""
        matcher = urllib.parse.quote(f'source="{source}"')
        answer = self._get(f"/api/v2/alerts?filter={matcher}")
        assert answer is not None, "Alertmanager does not answer"
        shown = json.loads(answer)
        by_job = {alert["labels"].get("job", ""): alert for alert in shown}
        assert len(by_job) == len(shown), "a job has two alerts"
        return by_job

    def hooked(self, source: str) -> list[dict[str, Any]]:
        """What it passed on of a source, each alert as it was then."""
        sent = [alert for _, body in list(self._hooks.posts) for alert in body["alerts"]]
        return [alert for alert in sent if alert["labels"]["source"] == source]

    def _get(self, path: str) -> str | None:
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
                return str(answer.read().decode())
        except OSError:
            return None


@contextmanager
def manager(folder: Path) -> Iterator[Manager]:
    """One that runs, ended with what it tells."""
    hooks = Inbox()
    try:
        running = Manager(folder, hooks)
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        hooks.close()


def starts(alert: Mapping[str, Any]) -> datetime:
    """When it says that it began."""
    return parse_instant(alert["startsAt"])


def ends(alert: Mapping[str, Any]) -> datetime:
    """When it says that it ends."""
    return parse_instant(alert["endsAt"])


class Watchdog:
    """The engine, the incidents and the poster, turned by hand on the test's clock."""

    def __init__(self, database: Path, url: str, source: str, labels: Mapping[str, str] | None = None) -> None:
        nothing = timedelta()
        self.config = Config(
            sources=(Phantom(name=source, database=database, labels=labels or {}),),
            channels={"alerts": Channel(alertmanager=url)},
            notify=Notify(group_wait=nothing, hold=nothing),
        )
        self.store = Store(database.with_suffix(".state"))
        self.counts: Counter[str] = Counter()
        self._engine = Engine(self.config)
        self._notifier = Notifier(self.config, self.store)
        self._poster = AlertPoster("alerts", url, self.store, timedelta(seconds=15), self._count)

    def _count(self, channel: str, outcome: str) -> None:
        self.counts[outcome] += 1

    def turn(self, now: datetime) -> Mapping[str, Alert]:
        """Look, judge, and post all that is due; what fires."""
        published = self._engine.tick(now).published
        self._notifier.turn(published, now)
        firing = self._notifier.firing(published, now)["alerts"]
        until(lambda: not self._poster.turn(firing, now), "the post is over")
        return firing

    def remembered(self) -> Mapping[str, Alert]:
        """The alerts whose end is still to be told."""
        return self.store.alerts("alerts")

    def close(self) -> None:
        """Give all back."""
        self._poster.close()
        self.store.close()


@contextmanager
def watchdog(
    database: Path, url: str, source: str = "agent", labels: Mapping[str, str] | None = None
) -> Iterator[Watchdog]:
    """A watchdog that is closed at the end. One that is opened again on the same database goes on with its state."""
    opened = Watchdog(database, url, source, labels)
    try:
        yield opened
    finally:
        opened.close()
