"""`kill -9` between intent, effect and settlement: no action is done twice, and none is forgotten.

A nursery process forks one watchdog after another on the same state file and the same watched database; each turns the
recoverer and the hand as the service does, until it dies. What it asks the scheduler's API is asked in a process of its
own, which outlives it, as it does in the service. `WATCHDOG_RECOVERY_KILLS` sets the number of kills at fault points,
`WATCHDOG_RECOVERY_RANDOM_KILLS` that at random instants.
"""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from tests.support.amounts import amount
from tests.support.command import ROOT, free_port
from tests.support.harness import change, row_of
from watchdog.config.file import Config
from watchdog.core.action import Action, State
from watchdog.core.clock import Stamp
from watchdog.core.model import Finding
from watchdog.demo.simulator import Simulator
from watchdog.demo.web_api import ApiServer
from watchdog.engine import Engine
from watchdog.recovery.executor import Executor
from watchdog.recovery.recoverer import Recoverer
from watchdog.state.records import Records
from watchdog.state.store import Store
from watchdog.systems.phantom import api as phantom_api
from watchdog.systems.phantom import asking
from watchdog.systems.phantom.ways import LINGERS

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
TURN = timedelta(seconds=15)
TOKEN = "sesame-sesame"

KILLS = int(os.environ.get("WATCHDOG_RECOVERY_KILLS", amount(few=26, many=104)))
RANDOM_KILLS = int(os.environ.get("WATCHDOG_RECOVERY_RANDOM_KILLS", amount(few=6, many=48)))

VIA: Mapping[str, tuple[str, ...]] = {
    "sql-1": ("sql",),
    "sql-2": ("sql",),
    "pause": ("pause_resume",),
    "chain": ("api", "pause_resume", "sql"),
    "api": ("api", "pause_resume"),
    "forced": ("api",),
}
"""The jobs that are to be revived, each by its own ways."""

HELPLESS: Mapping[str, tuple[str, ...]] = {"able": (), "stock": ("forced",), "down": ("forced", "api", "pause")}
"""Which of them cannot be: with an API that can do it, with that of a stock build, with none that answers."""

OTHERS = ("wedge", "keep")
"""One that has the agent restarted, and one whose sweep is moved off."""

POINTS: Mapping[str, int] = {
    "before-begun": 7,
    "begun": 7,
    "changing-row": 4,
    "row-changed": 4,
    "row-committed": 4,
    "revived": 5,
    "paused": 2,
    "restarted": 1,
    "acted": 6,
    "saving-action": 20,
    "action-saved": 20,
    "asking-api": 4,
    "api-answered": 4,
}
"""The places at which a watchdog dies, and how often one life passes each at least."""


# the watchdogs, in the nursery


def _nursery() -> None:
    """One watchdog for each line that is read; says how it ended."""
    for line in sys.stdin:
        order = json.loads(line)
        reads, writes = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.dup2(writes, ASKING)
            os.close(writes)
            _live(order)
        os.close(writes)
        _asked.append(reads)
        for pipe in _asked[:-KEPT]:
            os.close(pipe)
        del _asked[:-KEPT]
        if order["kill_after"] is not None:
            time.sleep(order["kill_after"])
            os.kill(pid, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


_asked: list[int] = []
"""The ends of pipes that are open at the other end as long as a watchdog, or what asks the API for it, is alive."""

KEPT = 8
"""How many of them are remembered: more than one world has lives."""

ASKING = 300
"""The other end, where a process that asks leaves it open."""


def _live(order: Mapping[str, Any]) -> None:
    """The whole life of a watchdog; does not return."""
    code = 1
    try:
        os.environ["WATCHDOG_FAULT"] = order["fault"]
        with patch.object(phantom_api, "run_child", _in_a_process_of_its_own):
            _turns(Path(order["folder"]), datetime.fromisoformat(order["now"]), order["turns"])
        code = 0
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def _turns(folder: Path, now: datetime, turns: int) -> None:
    config = Config.validated(json.loads((folder / "watchdog.json").read_text()))
    store = Store(folder / "state.db")
    store.database.execute("CREATE TABLE IF NOT EXISTS letters (title TEXT)")

    def stamp() -> Stamp:
        return Stamp(now, (now - NOW).total_seconds() + 1000, "boot")

    def announce(finding: Finding, title: str, *_: object) -> None:
        store.database.execute("INSERT INTO letters (title) VALUES (?)", (title,))

    engine = Engine(config)
    recoverer = Recoverer(config, Records(store), announce, lambda *_: None)
    hand = Executor(config, Records(store), stamp)
    for turn in range(turns):
        if turn * TURN > LINGERS:
            _wait_for_questions()
        recoverer.turn(engine.tick(now).published, stamp())
        hand.turn()
        now += TURN


def _wait_for_questions() -> None:
    """Until all that was asked for watchdogs before has been answered: this clock is faster than the machine's."""
    for pipe in _asked:
        os.read(pipe, 1)


def _in_a_process_of_its_own(order: Mapping[str, Any], deadline: timedelta) -> Mapping[str, Any]:
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.environ["WATCHDOG_FAULT"] = ""
        os.setsid()
        os.dup2(2, 1)  # the nursery's answers are not its own
        os.closerange(3, writes)  # the state file's lock among them, which ends with the watchdog
        os.closerange(writes + 1, 256)
        try:
            os.write(writes, json.dumps(_ask(order)).encode())
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as answers:
        said: Mapping[str, Any] = json.loads(answers.read())
    os.waitpid(pid, 0)
    assert deadline > timedelta()
    return said


def _ask(order: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        return asking.phantom(dict(order))
    except Exception as error:
        return {"ok": False, "error": f"{type(error).__name__}: {error}"}


class Nursery:
    """Where watchdogs are started and outlived."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def life(self, folder: Path, now: datetime, *, fault: str = "", kill_after: float | None = None) -> bool:
        """One watchdog from its start to its death, or to its end after three turns; whether it was killed."""
        order = {"folder": str(folder), "now": now.isoformat(), "fault": fault, "kill_after": kill_after, "turns": 3}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        assert code in (0, -signal.SIGKILL), f"the watchdog with the fault {fault!r} failed; its error is above"
        return code != 0


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    """One for all tests here."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.recovery.test_recovery_kills"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield Nursery(process)
    process.communicate()


# the world in which they live


class World:
    """A scheduler whose jobs have all failed, each to be helped in another way, and what has been done to them."""

    def __init__(self, folder: Path, sim: Simulator, url: str, api: str) -> None:
        self.folder, self.path, self.api = folder, folder / "phantom.db", api
        self.now = NOW
        self.ids = {name: sim.add(name, ("cron", "30 * * * *", "UTC")) for name in (*VIA, *OTHERS)}
        self.kills = 0
        change(
            self.path,
            "UPDATE scheduled_jobs SET status = 'failed', next_run_at = NULL, consecutive_errors = 10, run_count = 10, "
            "last_run_at = '2026-06-10T11:00:00.123Z', last_run_status = 'error', last_run_duration_ms = 60000, "
            "last_run_error = 'Error: 529 overloaded', updated_at = '2026-06-10 11:01:00'",
        )
        change(self.path, "CREATE TABLE history (id INTEGER PRIMARY KEY, job TEXT, before TEXT, after TEXT)")
        change(
            self.path,
            "CREATE TRIGGER remember AFTER UPDATE OF status, updated_at ON scheduled_jobs BEGIN "
            "INSERT INTO history (job, before, after) VALUES (old.name, old.status, new.status); END",
        )
        self._configure(url)

    def _configure(self, url: str) -> None:
        (self.folder / "token").write_text(TOKEN)
        limits = {"after": "0s", "attempts": {"max": 1, "per": "24h"}}
        policies: list[dict[str, Any]] = [
            {"match": {"job": name}, "action": "revive", "via": list(via), "canary": False, **limits}
            for name, via in VIA.items()
        ]
        command = f'echo "$WATCHDOG_ACTION" >> "{self.folder}/restarts"'
        policies.append({"match": {"job": "wedge"}, "action": "restart", "run": ["/bin/sh", "-c", command], **limits})
        policies.append({"match": {"job": "keep"}, "action": "preserve", "postpone": True, **limits})
        api = {"url": url, "token_file": str(self.folder / "token")}
        document = {
            "sources": [{"name": "phantom", "database": str(self.path), "api": api}],
            "recovery": {"mode": "act", "policies": policies},
        }
        (self.folder / "watchdog.json").write_text(json.dumps(document))

    def live(self, nursery: Nursery, fault: str = "", kill_after: float | None = None) -> bool:
        """One more watchdog; whether it was killed."""
        was_killed = nursery.life(self.folder, self.now, fault=fault, kill_after=kill_after)
        self.now += timedelta(minutes=1)
        self.kills += was_killed
        return was_killed

    def run_jobs(self) -> None:
        """Every job that is active runs, well and with tokens."""
        at = self.now.strftime("%Y-%m-%d %H:%M:%S")
        for name, job_id in self.ids.items():
            key = f"scheduler:sched:{job_id}"
            if self.row(name)["status"] != "active":
                continue
            change(
                self.path,
                "INSERT INTO sessions (session_key, channel_id, conversation_id, last_active_at) "
                "VALUES (?, 'scheduler', ?, ?)",
                key,
                f"sched:{job_id}",
                at,
            )
            change(
                self.path,
                "INSERT INTO cost_events (session_key, cost_usd, input_tokens, output_tokens, model, created_at) "
                "VALUES (?, 0.01, 1000, 50, 'm', ?)",
                key,
                at,
            )
            change(
                self.path,
                "UPDATE scheduled_jobs SET last_run_at = ?, last_run_status = 'ok', last_run_error = NULL, "
                "run_count = run_count + 1 WHERE id = ?",
                self.now.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                job_id,
            )
        self.now += timedelta(minutes=1)

    def row(self, name: str) -> Mapping[str, object]:
        """A job's row."""
        return row_of(self.path, self.ids[name])

    def history(self, name: str) -> list[tuple[str, str]]:
        """The changes of a job's status and date."""
        query = "SELECT before, after FROM history WHERE job = ? ORDER BY id"
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query, (name,)).fetchall()

    def restarts(self) -> Counter[int]:
        """How often the agent was restarted for each action."""
        marks = self.folder / "restarts"
        return Counter(map(int, marks.read_text().split())) if marks.exists() else Counter()

    def actions(self) -> list[Action]:
        """All on record."""
        store = Store(self.folder / "state.db")
        try:
            return list(Records(store).actions())
        finally:
            store.close()

    def letters(self) -> Counter[str]:
        """How often each title was announced."""
        with closing(sqlite3.connect(self.folder / "state.db")) as connection:
            return Counter(title for (title,) in connection.execute("SELECT title FROM letters"))

    def check(self) -> None:
        """Everything was done once, and is settled, and told once."""
        actions = {action.job or "": action for action in self.actions()}
        assert len(actions) == len(self.actions()) == len(self.ids), "something was intended twice, or never"
        for name in VIA:
            if name in HELPLESS[self.api]:
                self._is_as_it_was(name, actions[name])
            else:
                self._was_revived_once(name, actions[name])
        self._was_restarted_once(actions["wedge"])
        self._was_postponed_once(actions["keep"])

    def _was_revived_once(self, name: str, action: Action) -> None:
        assert self.row(name)["status"] == "active", (name, action)
        brought = [pair for pair in self.history(name) if "active" in pair]
        assert brought == [("failed", "active")] or self.history(name) == [("failed", "paused"), ("paused", "active")]
        assert action.state is State.VERIFIED, action
        assert self.letters()[f"Verified: revive of {name}"] == 1

    def _is_as_it_was(self, name: str, action: Action) -> None:
        row = self.row(name)
        assert (row["status"], row["updated_at"]) == ("failed", "2026-06-10 11:01:00"), (name, action)
        assert not [pair for pair in self.history(name) if "active" in pair]
        assert action.state is State.FAILED, action

    def _was_restarted_once(self, action: Action) -> None:
        done = self.restarts()
        assert set(done) <= {action.id}
        is_unsure = any("not done twice" in step.what for step in action.steps)
        assert done[action.id] == 1 or (is_unsure and not done)
        assert action.state is State.VERIFIED, action
        assert self.letters()["Verified: restart of phantom"] == 1

    def _was_postponed_once(self, action: Action) -> None:
        assert self.history("keep") == [("failed", "failed")]
        assert action.state is State.VERIFIED, action


@contextmanager
def world(folder: Path, api: str) -> Iterator[World]:
    """In a folder of its own, with the scheduler's API over HTTP."""
    folder.mkdir()
    with Simulator(folder / "phantom.db", NOW, stock=api != "able") as sim, ApiServer(sim, TOKEN) as server:
        yield World(folder, sim, f"http://127.0.0.1:{free_port()}" if api == "down" else server.url, api)


def _to_its_end(here: World, nursery: Nursery) -> None:
    """Nobody dies any more."""
    assert not here.live(nursery)
    here.run_jobs()
    assert not here.live(nursery)
    here.check()


def test_it_does_everything_once_while_nobody_dies(tmp_path: Path, nursery: Nursery) -> None:
    for api in HELPLESS:
        with world(tmp_path / api, api) as here:
            _to_its_end(here, nursery)
            assert here.history("chain")[0] == ("failed", "active" if api == "able" else "paused")


@pytest.mark.deep
def test_nothing_is_done_twice_and_nothing_is_forgotten_wherever_it_is_killed(tmp_path: Path, nursery: Nursery) -> None:
    chance = random.Random(11)
    deaths: Counter[str] = Counter()
    for number in range(10 * KILLS):
        if deaths.total() >= KILLS:
            break
        with world(tmp_path / str(number), tuple(HELPLESS)[number % 3]) as here:
            for _ in range(chance.choice((1, 1, 2, 3))):
                point = min(POINTS, key=lambda point: (deaths[point], chance.random()))
                deaths[point] += here.live(nursery, fault=f"{point}:{chance.randint(1, POINTS[point])}")
            assert not here.live(nursery)
            here.run_jobs()
            settling = chance.choice(("saving-action", "action-saved"))
            deaths[settling] += here.live(nursery, fault=f"{settling}:{chance.randint(1, len(here.ids))}")
            assert not here.live(nursery)
            here.check()
    assert deaths.total() >= KILLS
    assert set(POINTS) <= set(deaths)
    print(f"{deaths.total()} kills: {dict(deaths)}")


@pytest.mark.deep
def test_nothing_is_done_twice_and_nothing_is_forgotten_whenever_it_is_killed(tmp_path: Path, nursery: Nursery) -> None:
    chance = random.Random(12)
    kills = 0
    for number in range(10 * RANDOM_KILLS):
        if kills >= RANDOM_KILLS:
            break
        with world(tmp_path / str(number), tuple(HELPLESS)[number % 3]) as here:
            for _ in range(3):
                here.live(nursery, kill_after=chance.uniform(0, 0.15))
            _to_its_end(here, nursery)
            kills += here.kills
    assert kills >= RANDOM_KILLS
    print(f"{kills} kills at random instants")


if __name__ == "__main__":
    _nursery()
