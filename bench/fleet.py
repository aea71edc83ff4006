"""`python -m bench fleet`: many hosts on the engines that exist, with what falls in the middle of it.

A real Prometheus, two real Alertmanagers as a cluster, and a watchdog for each host beside simulated agents. A model's
provider refuses all agents at once, one Alertmanager is killed in the middle of that, hosts vanish; then the first
comes back, a chat's provider fails all agents at once, and the second is killed before anybody is told.
"""

import http.server
import json
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from bench.database import WORK
from bench.proc import cpu_seconds, memory
from bench.program import POLL_SECONDS, free_port
from watchdog.core.kinds import Kind
from watchdog.demo.simulator import Simulator
from watchdog.demo.stamps import js_iso, sql_stamp

ALERTS = Path(__file__).resolve().parent.parent / "alerts"
OWNERS = ("reports", "inbox")
FAILING, UNDELIVERED = Kind.FAILING.alert, Kind.UNDELIVERED.alert
SCRAPE_SECONDS = 15
GROUP_WAIT, GROUP_INTERVAL = 60, 20
"""Seconds. The wait is longer than the watchdog's own with a look and a post: what began longer ago than that,
Alertmanager tells at once, and what other hosts post later would be a second message."""

LASTS, ABSENT_AFTER = 120, 15
"""Seconds in place of the minutes that an alert lasts and that a host has to be gone: no rule is any other."""

GOSSIPED = 3
"""Seconds from a message to the end of the Alertmanager that sent it. It tells its peers of it five times a second:
one that ends before that has told nobody, and 15 s later the next one tells once more (at least once, by design)."""

QUIET_SECONDS = 16
_LIVED = timedelta(days=7, minutes=10)
_LIMIT = 240.0
_ANOTHER_FLUSH = GROUP_INTERVAL + 10

_WATCHDOG = (
    "import sys; from datetime import timedelta; from watchdog.notify import alertmanager; "
    f"alertmanager.LASTS = timedelta(seconds={LASTS}); "
    "from watchdog.cli.main import main; sys.exit(main())"
)


@dataclass(frozen=True, slots=True)
class Size:
    """How much of it there is."""

    hosts: int = 5
    sources_each: int = 20
    jobs_each: int = 10
    lost: int = 3

    @property
    def sources(self) -> int:
        """All agents."""
        return self.hosts * self.sources_each

    @property
    def jobs(self) -> int:
        """All jobs of all agents."""
        return self.sources * self.jobs_each


@dataclass
class Fleet:
    """What was measured: MB, the share of a core in percent, seconds, and how many messages came."""

    size: Size
    load: float = 0.0
    scrape_mb: float = 0.0
    prometheus_cpu: float = 0.0
    prometheus_mb: float = 0.0
    own_cpu: float = 0.0
    own_mb: float = 0.0
    first: float = float("nan")
    team: int = 0
    owners: dict[str, int] = field(default_factory=dict)
    team_after_kill: int = 0
    team_killed_before: int = 0
    owners_killed_before: dict[str, int] = field(default_factory=dict)
    lost_told: list[float] = field(default_factory=list)
    lost_resolved: int = 0


def measure(say: Callable[[str], None], size: Size = Size(), folder: Path = WORK / "fleet") -> Fleet:
    """The whole life of the lab. Raises TimeoutError where what has to come does not."""
    fleet = Fleet(size, load=_load())
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say(f"{size.hosts} hosts with {size.sources_each} agents of {size.jobs_each} jobs each, load {fleet.load:.1f}")
    with _lab(folder, size) as lab:
        say("all watched; nothing changes")
        _rest(lab, fleet)
        _first_outage(lab, fleet, say)
        _vanish(lab, fleet, say)
        _second_outage(lab, fleet, say)
    shutil.rmtree(folder)
    return fleet


def _load() -> float:
    return float(Path("/proc/loadavg").read_text().split()[0])


def _rest(lab: "Lab", fleet: Fleet) -> None:
    """What it costs while nothing happens, scrapes included."""
    ours, theirs = [dog.pid for dog in lab.dogs], lab.prometheus.pid
    before = sum(map(cpu_seconds, ours)), cpu_seconds(theirs)
    began = time.monotonic()
    time.sleep(QUIET_SECONDS)
    length = time.monotonic() - began
    fleet.own_cpu = (sum(map(cpu_seconds, ours)) - before[0]) / length * 100
    fleet.prometheus_cpu = (cpu_seconds(theirs) - before[1]) / length * 100
    fleet.own_mb = sum(memory(pid).resident for pid in ours)
    fleet.prometheus_mb = memory(theirs).resident
    fleet.scrape_mb = sum(len(dog.get("/metrics")) for dog in lab.dogs) / 1e6


def _first_outage(lab: "Lab", fleet: Fleet, say: Callable[[str], None]) -> None:
    began = time.time()
    say("the model's provider refuses all agents at once")
    lab.each(_refused)
    _until(lambda: all(lab.told(who, FAILING) for who in ("team", *OWNERS)), "the outage is told")
    fleet.first = lab.hooks.first("team", FAILING) - began
    fleet.team = lab.told("team", FAILING)
    fleet.owners = {who: lab.told(who, FAILING) for who in OWNERS}
    say(f"told after {fleet.first:.0f} s; the Alertmanager that told is killed")
    time.sleep(GOSSIPED)
    lab.managers[0].kill()


def _vanish(lab: "Lab", fleet: Fleet, say: Callable[[str], None]) -> None:
    """Hosts go one by one while their jobs fail; what they posted last ends while nobody can have mended it."""
    gone: dict[str, float] = {}
    for dog in lab.dogs[: fleet.size.lost]:
        gone[dog.name] = time.time()
        say(f"{dog.name} vanishes")
        dog.kill()
        time.sleep(5)
    _until(lambda: all(lab.hooks.lost_at(name, at) for name, at in gone.items()), "the lost hosts are told")
    fleet.lost_told = [lab.hooks.lost_at(name, at) - at for name, at in gone.items()]
    say(f"told after {', '.join(f'{seconds:.0f}' for seconds in fleet.lost_told)} s; what they had posted ends")
    time.sleep(max(0.0, max(gone.values()) + LASTS + _ANOTHER_FLUSH - time.time()))
    fleet.lost_resolved = lab.hooks.resolved(gone)
    fleet.team_after_kill = lab.told("team", FAILING)


def _second_outage(lab: "Lab", fleet: Fleet, say: Callable[[str], None]) -> None:
    lab.managers[0].start()
    _until(lambda: _have_met(lab.managers), "the Alertmanagers have met")
    say("it is back; the chat's provider fails all agents at once, and the other one is killed before it is told")
    lab.each(_undelivered)
    _until(lambda: lab.managers[0].knows(UNDELIVERED), "it is posted")
    lab.managers[1].kill()
    _until(lambda: all(lab.told(who, UNDELIVERED) for who in ("team", *OWNERS)), "it is told")
    time.sleep(_ANOTHER_FLUSH)
    fleet.team_killed_before = lab.told("team", UNDELIVERED)
    fleet.owners_killed_before = {who: lab.told(who, UNDELIVERED) for who in OWNERS}
    fleet.team_after_kill = lab.told("team", FAILING)


def _until(is_so: Callable[[], Any], what: str) -> None:
    end = time.monotonic() + _LIMIT
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {_LIMIT:.0f} s in vain until {what}")
        time.sleep(0.2)


# what happens to an agent


def _refused(connection: sqlite3.Connection, now: int) -> None:
    """Each job's newest run has just failed, as the ones before it; it is billed, whatever came of it."""
    bill = """INSERT INTO cost_events (session_key, cost_usd, input_tokens, output_tokens, model, created_at)
        SELECT 'scheduler:sched:' || id, 0.001, 90, 0, 'model', ? FROM scheduled_jobs"""
    row = """UPDATE scheduled_jobs SET last_run_at = ?, last_run_status = 'error', last_run_error = ?, updated_at = ?,
        consecutive_errors = max(5, consecutive_errors + 1), run_count = run_count + 1,
        next_run_at = strftime('%Y-%m-%dT%H:%M:%fZ', ? / 1000.0
            + json_extract(schedule_value, '$.intervalMs') / 1000, 'unixepoch')"""
    connection.execute(bill, (sql_stamp(now),))
    connection.execute("UPDATE sessions SET last_active_at = ?", (sql_stamp(now),))
    connection.execute(row, (js_iso(now - 2000), "Error: 529 overloaded_error", sql_stamp(now), now))


def _undelivered(connection: sqlite3.Connection, now: int) -> None:
    """One more run of each, whose result reaches nobody."""
    _refused(connection, now)
    connection.execute("UPDATE scheduled_jobs SET last_delivery_status = 'error: channel_not_found'")


# the servers


class Hooks:
    """Where Alertmanager's receivers lead: what came, when, and to whom."""

    def __init__(self) -> None:
        self.posts: list[tuple[float, str, Mapping[str, Any]]] = []
        hooks = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                hooks.posts.append((time.time(), self.path.strip("/"), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()

    def of(self, receiver: str, alert: str) -> list[float]:
        """When a receiver was told that this fires."""
        return [
            at
            for at, to, body in list(self.posts)
            if to == receiver and body["status"] == "firing" and body["groupLabels"].get("alertname") == alert
        ]

    def first(self, receiver: str, alert: str) -> float:
        """When it was told first."""
        return min(self.of(receiver, alert))

    def lost_at(self, host: str, since: float) -> float:
        """When somebody was told that the host is gone; 0 as long as nobody was."""
        told = [(at, body) for at, to, body in list(self.posts) if to == "hosts" and at >= since]
        return next((at for at, body in told if body["groupLabels"].get("instance") == host), 0.0)

    def resolved(self, gone: Mapping[str, float]) -> int:
        """How many alerts of hosts that are gone somebody was told to be over, since each went."""
        alerts = [(at, alert) for at, _, body in list(self.posts) for alert in body["alerts"]]
        return sum(
            alert["status"] == "resolved" and at >= gone.get(alert["labels"].get("instance", ""), float("inf"))
            for at, alert in alerts
        )


class Server:
    """A program on a port of the loopback address; its log goes to a file."""

    def __init__(self, name: str, port: int, command: Sequence[str], folder: Path) -> None:
        self.name = name
        self.port = port
        self._command = command
        self._log = folder / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of its process, which runs."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Begin; whoever needs it waits for its answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def get(self, path: str) -> str:
        """What it answers; empty while it does not."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def kill(self) -> None:
        """End it without a word."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        lines = self.get("/metrics").splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if re.match(rf"{name}[ {{]", line))

    def knows(self, alert: str) -> bool:
        """Whether an Alertmanager has been posted such alerts."""
        return len(json.loads(self.get(f"/api/v2/alerts?filter=alertname%3D{alert}") or "[]")) > 0


@dataclass
class Lab:
    """All that runs. `managers`: first the one that tells, as long as it lives."""

    databases: list[Path]
    dogs: list[Server]
    managers: tuple[Server, Server]
    prometheus: Server
    hooks: Hooks

    def told(self, receiver: str, alert: str) -> int:
        """How many messages a receiver got about what fires."""
        return len(self.hooks.of(receiver, alert))

    def each(self, change: Callable[[sqlite3.Connection, int], None]) -> None:
        """The same happens to all agents, each in one commit."""
        for path in self.databases:
            with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
                change(connection, int(time.time() * 1000))


@contextmanager
def _lab(folder: Path, size: Size) -> Iterator[Lab]:
    with ExitStack() as ends:
        hooks = Hooks()
        ends.callback(hooks.close)
        managers = _managers(folder, hooks.port)
        databases = _databases(folder, size)
        dogs = [_dog(folder, host, databases, size, managers) for host in range(size.hosts)]
        prometheus = _prometheus(folder, dogs, managers)
        for server in (*managers, *dogs):
            server.start()
            ends.callback(server.kill)
        _until(lambda: _seen(dogs) == size.jobs, "all jobs are seen")
        _until(lambda: _have_met(managers), "the Alertmanagers have met")
        prometheus.start()
        ends.callback(prometheus.kill)
        _until(lambda: _scraped(prometheus) == size.hosts, "Prometheus scrapes all")
        teller, other = sorted(managers, key=lambda manager: manager.metric("alertmanager_peer_position"))
        yield Lab(databases, dogs, (teller, other), prometheus, hooks)


def _have_met(managers: Sequence[Server]) -> bool:
    return all(manager.metric("alertmanager_cluster_members") == len(managers) for manager in managers)


def _seen(dogs: Sequence[Server]) -> int:
    return sum(dog.get("/metrics").count("\nwatchdog_job_info{") for dog in dogs)


def _scraped(prometheus: Server) -> int:
    answer = prometheus.get("/api/v1/query?query=sum(up)")
    found = json.loads(answer)["data"]["result"] if answer else []
    return int(found[0]["value"][1]) if found else 0


def _databases(folder: Path, size: Size) -> list[Path]:
    """The same week of an agent's life in so many files; half the jobs are one owner's, half the other's."""
    first, now = folder / "first.db", datetime.now(UTC)
    with Simulator(first, now - _LIVED) as simulator:
        for number in range(size.jobs_each):
            name = f"{OWNERS[number % 2]}-{number}"
            simulator.add(name, {"kind": "every", "intervalMs": 3_600_000 * (1 + number % 4)})
        simulator.run_until(now)
    paths = [folder / f"agent-{number:04}.db" for number in range(size.sources)]
    for path in paths:
        shutil.copyfile(first, path)
    return paths


def _dog(folder: Path, host: int, databases: list[Path], size: Size, managers: Sequence[Server]) -> Server:
    name, port = f"host-{host:03}", free_port()
    own = databases[host * size.sources_each : (host + 1) * size.sources_each]
    config = {
        "instance": name,
        "sources": [{"name": f"agent-{place}", "database": str(path)} for place, path in enumerate(own)],
        "state": str(folder / f"{name}.state"),
        "http": {"listen": f"127.0.0.1:{port}"},
        "poll": f"{POLL_SECONDS}s",
        "channels": {"router": {"alertmanager": [f"http://127.0.0.1:{manager.port}" for manager in managers]}},
        "owners": [{"name": owner, "match": {"job": f"{owner}-*"}, "notify": ["router"]} for owner in OWNERS],
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    return Server(name, port, [sys.executable, "-c", _WATCHDOG, "run", "-c", str(path)], folder)


def _managers(folder: Path, hooks: int) -> tuple[Server, Server]:
    """A cluster of two with the committed inhibitions, and routes for a team and for each owner."""
    config = folder / "alertmanager.yaml"
    config.write_text(yaml.safe_dump(_routes(hooks)))
    meeting = [free_port(), free_port()]
    made = []
    for place, own in enumerate(meeting):
        name, port = f"alertmanager-{place}", free_port()
        command = [
            _program("prometheus-alertmanager"),
            f"--config.file={config}",
            f"--storage.path={folder / name}",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--cluster.listen-address=127.0.0.1:{own}",
            f"--cluster.peer=127.0.0.1:{meeting[1 - place]}",
        ]
        made.append(Server(name, port, command, folder))
    return made[0], made[1]


def _routes(hooks: int) -> dict[str, Any]:
    owners = [{"matchers": [f'owner="{owner}"'], "receiver": owner, "continue": True} for owner in OWNERS]
    gone = {"matchers": ['alertname="WatchdogAbsent"'], "receiver": "hosts", "group_by": ["instance"]}
    receivers = ["team", "hosts", *OWNERS]
    return {
        "route": {
            "receiver": "nobody",
            "group_by": ["alertname"],
            "group_wait": f"{GROUP_WAIT}s",
            "group_interval": f"{GROUP_INTERVAL}s",
            "repeat_interval": "24h",
            "routes": [
                {**gone, "group_wait": "0s"},
                {"matchers": ['source!=""'], "receiver": "team", "continue": True},
                *owners,
            ],
        },
        "inhibit_rules": yaml.safe_load((ALERTS / "alertmanager.yaml").read_text())["inhibit_rules"],
        "receivers": [
            {"name": "nobody"},
            *(
                {"name": name, "webhook_configs": [{"url": f"http://127.0.0.1:{hooks}/{name}", "send_resolved": True}]}
                for name in receivers
            ),
        ],
    }


def _prometheus(folder: Path, dogs: Sequence[Server], managers: Sequence[Server]) -> Server:
    """With the committed rules about the watchdogs themselves: what is about jobs they post."""
    rules = yaml.safe_load((ALERTS / "prometheus-rules.yaml").read_text())
    rules["groups"] = [group for group in rules["groups"] if group["name"] == "scheduler-watchdog-itself"]
    for rule in rules["groups"][0]["rules"]:
        if rule.get("alert") == "WatchdogAbsent":
            rule["for"] = f"{ABSENT_AFTER}s"
    (folder / "rules.yaml").write_text(yaml.safe_dump(rules))
    targets = [{"targets": [f"127.0.0.1:{dog.port}"], "labels": {"instance": dog.name}} for dog in dogs]
    config = {
        "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "evaluation_interval": "5s"},
        "rule_files": [str(folder / "rules.yaml")],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{one.port}" for one in managers]}]}]
        },
        "scrape_configs": [{"job_name": "scheduler-watchdog", "static_configs": targets}],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        _program("prometheus"),
        f"--config.file={folder / 'prometheus.yaml'}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    return Server("prometheus", port, command, folder)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed: apt-get install prometheus prometheus-alertmanager")
    return found
