"""A real Alertmanager on loopback, and the watchdog's side of it on a clock that the test holds."""

import json
import re
import subprocess
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.command import PATIENCE, free_port, needs, until
from tests.support.told import Inbox
from watchdog.config.file import Channel, Config, Notify, Owner
from watchdog.core.instants import parse_instant
from watchdog.engine import Engine
from watchdog.notify.alert_poster import AlertPoster
from watchdog.notify.alertmanager import Alert
from watchdog.notify.notifier import Notifier
from watchdog.state.store import Store
from watchdog.systems.phantom.section import Phantom

_CONFIG = """
route: {{receiver: hook, group_by: ['...'], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: hook
    webhook_configs: [{{url: "http://127.0.0.1:{port}/hook", send_resolved: true}}]
"""


_ONE_MESSAGE = """
route: {{receiver: hook, group_by: [alertname], group_wait: 5s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: hook
    webhook_configs: [{{url: "http://127.0.0.1:{port}/hook", send_resolved: true}}]
"""
"""Routes that make one message of all that fires alike, wherever it does."""


class Manager:
    """The real server. It may be stopped and started again; its port and its storage stay.

    With `peers`, the ports at which the members of a cluster meet, it is one of them: the one at the first.
    """

    def __init__(self, folder: Path, hooks: Inbox, peers: Sequence[int] = ()) -> None:
        self._program = needs("prometheus-alertmanager")
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._hooks = hooks
        self._cluster = _meeting(peers) if peers else ["--cluster.listen-address="]
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
                    *self._cluster,
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

    def kill(self) -> None:
        """End it without a word to the others."""
        if self._process is not None:
            self._process.kill()
        self.stop()

    def metric(self, name: str) -> float:
        """The sum of a metric's samples; 0 while it does not answer."""
        lines = (self._get("/metrics") or "").splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[ {{]", line))

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


def _meeting(peers: Sequence[int]) -> list[str]:
    """In more of a hurry than over a network, and not so much that a busy machine makes them speak at once."""
    others = [f"--cluster.peer=127.0.0.1:{port}" for port in peers[1:]]
    pace = ["--cluster.peer-timeout=4s", "--cluster.gossip-interval=100ms", "--cluster.pushpull-interval=5s"]
    return [f"--cluster.listen-address=127.0.0.1:{peers[0]}", *others, *pace]


@dataclass(frozen=True)
class Cluster:
    """Two members that know each other, and where they tell."""

    members: tuple[Manager, Manager]
    hooks: Inbox

    @property
    def urls(self) -> list[str]:
        """Both addresses."""
        return [member.url for member in self.members]

    def told(self) -> list[tuple[str, frozenset[str]]]:
        """Each message: whether it is firing or resolved, and the jobs that it says so of."""
        bodies = [body for _, body in list(self.hooks.posts)]
        return [(body["status"], _jobs(body, body["status"])) for body in bodies]

    def ended(self) -> list[Mapping[str, Any]]:
        """Each alert of which it was told that it is over."""
        sent = [alert for _, body in list(self.hooks.posts) for alert in body["alerts"]]
        return [alert for alert in sent if alert["status"] == "resolved"]

    def have_decided(self, *members: Manager) -> None:
        """Wait until each of these (all) has asked twice more what was sent already: what it then had to send, it did,
        for it sends before it asks again."""
        asked = {member: member.metric(_ASKED) for member in members or self.members}
        until(lambda: all(member.metric(_ASKED) >= before + 2 for member, before in asked.items()), "all have decided")

    def meet(self) -> None:
        """Wait until each knows the other."""
        until(
            lambda: all(member.metric("alertmanager_cluster_members") == 2 for member in self.members), "they have met"
        )


_ASKED = "alertmanager_nflog_queries_total"


def _jobs(body: Mapping[str, Any], status: str) -> frozenset[str]:
    return frozenset(alert["labels"].get("job", "") for alert in body["alerts"] if alert["status"] == status)


@contextmanager
def cluster(folder: Path, routes: str = _ONE_MESSAGE) -> Iterator[Cluster]:
    """Both run and have met; ended with what they tell."""
    hooks = Inbox()
    ports = [free_port(), free_port()]
    members = []
    try:
        for name, peers in (("one", ports), ("two", ports[::-1])):
            (folder / name).mkdir()
            members.append(Manager(folder / name, hooks, peers))
            (folder / name / "alertmanager.yml").write_text(routes.format(port=hooks.port))
            members[-1].start()
        both = Cluster((members[0], members[1]), hooks)
        both.meet()
        yield both
    finally:
        for member in members:
            member.kill()
        hooks.close()


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

    def __init__(
        self,
        database: Path,
        url: str | Sequence[str],
        source: str,
        labels: Mapping[str, str] | None = None,
        instance: str = "here",
        owners: Sequence[Owner] = (),
    ) -> None:
        nothing = timedelta()
        urls = (url,) if isinstance(url, str) else tuple(url)
        self.config = Config(
            sources=(Phantom(name=source, database=database, labels=labels or {}),),
            channels={"alerts": Channel(alertmanager=urls)},
            instance=instance,
            owners=tuple(owners),
            notify=Notify(group_wait=nothing, hold=nothing),
        )
        self.store = Store(database.with_suffix(".state"))
        self.counts: Counter[str] = Counter()
        self._engine = Engine(self.config)
        self._notifier = Notifier(self.config, self.store)
        self._poster = AlertPoster("alerts", urls, self.store, timedelta(seconds=15), self._count)

    def _count(self, channel: str, outcome: str) -> None:
        self.counts[outcome] += 1

    def turn(self, now: datetime) -> Mapping[str, Alert]:
        """Look, judge, and post all that is due; what fires."""
        published = self._engine.tick(now).published
        self._notifier.turn(published, now)
        firing = self._notifier.firing(published, now)["alerts"]
        until(lambda: not self._poster.turn(firing, now), "the post is over")
        return firing

    def begin(self, now: datetime) -> bool:
        """Look, judge, and go on with posting without waiting for it; always true."""
        published = self._engine.tick(now).published
        self._notifier.turn(published, now)
        self._poster.turn(self._notifier.firing(published, now)["alerts"], now)
        return True

    @staticmethod
    def posted(hooks: Inbox) -> list[frozenset[str]]:
        """The jobs of each post that came there."""
        return [frozenset(alert["labels"]["job"] for alert in body) for _, body in list(hooks.posts)]

    def remembered(self) -> Mapping[str, Alert]:
        """The alerts whose end is still to be told."""
        return self.store.alerts("alerts")

    def close(self) -> None:
        """Give all back."""
        self._poster.close()
        self.store.close()


@contextmanager
def watchdog(
    database: Path,
    url: str | Sequence[str],
    source: str = "agent",
    labels: Mapping[str, str] | None = None,
    instance: str = "here",
    owners: Sequence[Owner] = (),
) -> Iterator[Watchdog]:
    """A watchdog that is closed at the end. One that is opened again on the same database goes on with its state."""
    opened = Watchdog(database, url, source, labels, instance, owners)
    try:
        yield opened
    finally:
        opened.close()
