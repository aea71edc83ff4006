"""The committed files of the stack with the real servers on loopback, beside an agent that lives in real time."""

import json
import math
import queue
import re
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.support.alertmanager import Manager
from tests.support.command import BLIND_TO_PROCESSES, PATIENCE, ROOT, Running, free_port, needs, running, until
from tests.support.told import Inbox
from watchdog.demo.story import World

ALERTS = ROOT / "alerts"
SECOND = "1s"
SCRAPE = "2s"
"""A scrape that takes longer counts as none, and ends all that fires: longer than a busy machine makes one take."""

_WATCHDOG = """
sources:
  - {{name: demo, database: {folder}/phantom.db}}
state: {folder}/state.db
http: {{listen: "127.0.0.1:PORT"}}
poll: 100ms
channels: {{hook: "json://127.0.0.1:{hook}/channel"}}
owners:
  - {{name: ops, match: {{job: "heartbeat*"}}, notify: [hook]}}
  - {{match: {{}}, notify: [hook]}}
notify: {{group_wait: 0s}}
"""


def rules_for_a_test(folder: Path, kept: int = 1) -> Path:
    """The committed rules, with three seconds for each minute that they wait: discovery alone takes Prometheus five.

    What ended is `kept` for so many seconds for each minute.
    """
    path = folder / "rules.yaml"
    text = (ALERTS / "prometheus-rules.yaml").read_text()
    text = re.sub(r"^( +for:) (\d+)m$", lambda m: f"{m[1]} {3 * int(m[2])}s", text, flags=re.MULTILINE)
    path.write_text(
        re.sub(r"^( +keep_firing_for:) (\d+)m$", lambda m: f"{m[1]} {kept * int(m[2])}s", text, flags=re.MULTILINE)
    )
    return path


def routes_for_a_test(port: int) -> str:
    """The committed routes and inhibitions, in a hurry; each receiver is an address of the local webhook."""
    config = yaml.safe_load((ALERTS / "alertmanager.yaml").read_text())
    for route in [config["route"], *config["route"]["routes"]]:
        route |= {"group_wait": SECOND, "group_interval": SECOND}
    for receiver in config["receivers"]:
        hook = {"url": f"http://127.0.0.1:{port}/{receiver['name']}", "send_resolved": True}
        name = receiver["name"]
        receiver.clear()
        receiver |= {"name": name, "webhook_configs": [hook]}
    return yaml.safe_dump(config)


class Agent(threading.Thread):
    """The demo's agent, which has lived for twenty hours. Its history is made at once; then it goes with the clock."""

    def __init__(self, path: Path) -> None:
        super().__init__(name="agent", daemon=True)
        self._path = path
        self._orders: queue.Queue[Callable[[World], object]] = queue.Queue()
        self._ending = threading.Event()
        self.is_there = threading.Event()

    def run(self) -> None:
        """The provider refuses the heartbeat's calls until it is given up; the digest's next run never returns."""
        now = datetime.now(UTC)
        world = World(self._path, now - timedelta(hours=20), takes=timedelta(seconds=1))
        with world.simulator as simulator:
            simulator.run_until(now - timedelta(hours=17))
            world.provider_refuses()
            simulator.run_until(now - timedelta(hours=9))
            world.digest_hangs()
            while not self._ending.wait(0.05):
                simulator.run_until(datetime.now(UTC))
                self.is_there.set()
                while not self._orders.empty():
                    self._orders.get()(world)

    def do(self, order: Callable[[World], object]) -> None:
        """Something that happens to it now."""
        self._orders.put(order)

    def stop(self) -> None:
        """End it."""
        self._ending.set()
        self.join(PATIENCE)


class Prometheus:
    """A real server with a configuration; `arguments` go before those that every one has here."""

    def __init__(self, folder: Path, config: Mapping[str, Any], *arguments: str) -> None:
        self._folder = folder
        self._arguments = arguments
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        folder.mkdir(exist_ok=True)
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        self.began = time.time()

    @contextmanager
    def running(self) -> Iterator["Prometheus"]:
        """Started, and ended by its id."""
        command = [
            needs("prometheus"),
            *self._arguments,
            f"--config.file={self._folder}/prometheus.yaml",
            f"--web.listen-address=127.0.0.1:{self.port}",
        ]
        with (self._folder / "prometheus.log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: self._is_ready() or process.poll() is not None, "Prometheus is ready")
            assert process.poll() is None, (self._folder / "prometheus.log").read_text()[-2000:]
            yield self
        finally:
            process.terminate()
            process.wait(PATIENCE)

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=PATIENCE):
                return True
        except OSError:
            return False

    def firing(self) -> set[tuple[str, str, str]]:
        """The alerts that fire: name, host and job."""
        answer = fetch(f"{self.url}/api/v1/alerts")
        alerts = [alert["labels"] for alert in answer["data"]["alerts"] if alert["state"] == "firing"] if answer else []
        return {(labels["alertname"], labels.get("instance", ""), labels.get("job", "")) for labels in alerts}

    def now(self, expression: str, at: datetime | None = None) -> list[tuple[Mapping[str, str], float]]:
        """The labels and the number of each series that an expression has now, or had `at` that time."""
        query = urllib.parse.urlencode({"query": expression} | ({"time": at.timestamp()} if at else {}))
        answer = fetch(f"{self.url}/api/v1/query?{query}")
        return [(each["metric"], float(each["value"][1])) for each in answer["data"]["result"]] if answer else []

    def values(self, expression: str) -> list[float]:
        """All numbers that an expression has had since the start, over all its series."""
        query = {"query": expression, "start": self.began, "end": time.time(), "step": 1}
        answer = fetch(f"{self.url}/api/v1/query_range?{urllib.parse.urlencode(query)}")
        if answer is None:
            return []
        numbers = [float(number) for series in answer["data"]["result"] for _, number in series["values"]]
        return [number for number in numbers if math.isfinite(number)]


def of_the_stack(folder: Path, target: str, manager: str, kept: int = 1) -> Mapping[str, Any]:
    """The committed configuration at other addresses, and in a hurry."""
    config = yaml.safe_load((ROOT / "config/stack/prometheus.yaml").read_text())
    config["global"] = {"scrape_interval": SCRAPE, "evaluation_interval": SECOND, "scrape_timeout": SCRAPE}
    config["rule_files"] = [str(rules_for_a_test(folder, kept))]
    config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [manager]
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    return dict(config)


def storing(folder: Path) -> Sequence[str]:
    """Where a server keeps its series. What fires before it has found its Alertmanager is sent again at once."""
    return [f"--storage.tsdb.path={folder}/tsdb", f"--rules.alert.resend-delay={SECOND}"]


def fetch(url: str) -> Any:
    """The JSON of an answer; None while there is none. What the server refuses is an error."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 503:
            return None
        raise AssertionError(f"{url}: {error.read().decode()}") from error
    except OSError:
        return None


@contextmanager
def posted(folder: Path, labels: Sequence[Mapping[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """A real Alertmanager with the committed inhibitions, to which these alerts are posted; what it holds back."""
    hooks = Inbox()
    manager = Manager(folder, hooks)
    (folder / "alertmanager.yml").write_text(routes_for_a_test(hooks.port))
    manager.start()
    try:
        body = json.dumps([{"labels": each} for each in labels]).encode()
        headers = {"Content-Type": "application/json"}
        urllib.request.urlopen(
            urllib.request.Request(f"{manager.url}/api/v2/alerts", body, headers), timeout=PATIENCE
        ).close()
        until(lambda: hooks.posts, "what is not held back is told")
        alerts = until(lambda: fetch(f"{manager.url}/api/v2/alerts"), "Alertmanager shows the alerts")
        assert len(alerts) == len(labels)
        held = [alert["labels"] for alert in alerts if alert["status"]["inhibitedBy"]]
        yield sorted((each["alertname"], each.get("source", "")) for each in held)
    finally:
        manager.stop()
        hooks.close()


def told(hooks: Inbox, status: str) -> set[tuple[str, str, str]]:
    """Receiver, alert and job of all that a webhook was told to be `firing` or `resolved`."""
    posts = [(path.strip("/"), body) for path, body in list(hooks.posts) if path != "/channel"]
    return {
        (receiver, alert["labels"]["alertname"], alert["labels"].get("job", ""))
        for receiver, body in posts
        for alert in body["alerts"]
        if alert["status"] == status
    }


@dataclass
class Stack:
    """All of it, running. `waited`: the jobs that were late under a cause during the outage, with the cause's kind."""

    agent: Agent
    watchdog: Running
    prometheus: Prometheus
    manager: Manager
    hooks: Inbox
    waited: set[tuple[str, str]] = field(default_factory=set)

    def told(self, status: str) -> set[tuple[str, str, str]]:
        """Receiver, alert and job of all that the webhook was told to be `firing` or `resolved`."""
        return told(self.hooks, status)

    def alerts(self) -> list[Mapping[str, Any]]:
        """What Alertmanager knows."""
        return list(fetch(f"{self.manager.url}/api/v2/alerts") or [])

    def firing(self) -> set[str]:
        """The alerts that fire."""
        return {alert["labels"]["alertname"] for alert in self.alerts()}

    def waiting(self) -> set[tuple[str, str]]:
        """The jobs that are late, and the kind of what holds them up."""
        named = "instance_source_job_id:watchdog_job_info:named"
        found = self.prometheus.now(f"watchdog_job_held_up * on (instance, source, job_id) group_left (job) {named}")
        return {(labels["job"], labels["cause"]) for labels, _ in found}


@contextmanager
def stack(folder: Path) -> Iterator[Stack]:
    """Agent, watchdog, Prometheus, Alertmanager and a webhook."""
    with ExitStack() as all_of_it:
        hooks = Inbox()
        all_of_it.callback(hooks.close)
        manager = Manager(folder, hooks)
        (folder / "alertmanager.yml").write_text(routes_for_a_test(hooks.port))
        manager.start()
        all_of_it.callback(manager.stop)
        agent = Agent(folder / "phantom.db")
        agent.start()
        all_of_it.callback(agent.stop)
        until(agent.is_there.is_set, "the agent has reached the present")
        (folder / "watchdog.yaml").write_text(_WATCHDOG.format(folder=folder, hook=hooks.port))
        watchdog = all_of_it.enter_context(running(folder, command=BLIND_TO_PROCESSES))
        config = of_the_stack(folder, watchdog.url.removeprefix("http://"), manager.url.removeprefix("http://"))
        server = Prometheus(folder, config, *storing(folder))
        all_of_it.enter_context(server.running())
        yield Stack(agent, watchdog, server, manager, hooks)
