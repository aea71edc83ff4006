"""The simulated scheduler with its web API, and all of the watchdog that recovers, on one virtual clock.

A `Rig` goes from wake to wake as the service does: what the scheduler did, a tick, the recoverer, the notifier, the
hand. Calls of the API go over HTTP to the simulator's server; to be quick they are made in this process, by the same
code, unless a test is about cutting them off.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import HOUR, MINUTE, SECOND, START, Agent, row_of
from tests.support.recovered import Recovered
from tests.support.written import written
from watchdog.config.file import Config
from watchdog.core import child
from watchdog.core.action import Action
from watchdog.core.clock import Stamp
from watchdog.core.model import Finding
from watchdog.core.moment import Gap
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.demo.web_api import ApiServer
from watchdog.demo.web_routes import TokenKind
from watchdog.detectors.published import Published
from watchdog.engine import Engine, open_sources
from watchdog.notify.notifier import Notifier
from watchdog.recovery.executor import Executor
from watchdog.recovery.fresh_look import Objection
from watchdog.recovery.recoverer import Recoverer
from watchdog.state.records import Preserved, Records
from watchdog.state.store import Store
from watchdog.systems.phantom import api as phantom_api
from watchdog.systems.phantom import asking
from watchdog.systems.shared import command as command_module
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.writer import UnknownWriters, Writer

TOKEN = "sesame-sesame"
STEP = MINUTE
"""The grid of the wakes; what is written between two of them is seen at the later one."""

REVIVE: Mapping[str, Any] = {"match": {"kind": "failed"}, "action": "revive"}

ZERO, OVERLOADED, DENIED = Outcome.workless(), Outcome.failing(), Outcome.failing("Error: 401 invalid api key")


def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders to the short-lived process are done here; a failure is what its `main` would make of it."""

    def call(order: Mapping[str, Any], deadline: timedelta) -> Mapping[str, Any]:
        assert deadline > timedelta()
        try:
            return {"phantom": asking.phantom, "get": child.get}[order["do"]](order)
        except Exception as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    monkeypatch.setattr(phantom_api, "run_child", call)
    monkeypatch.setattr(command_module, "run_child", call)


class SimulatedWriters(UnknownWriters):
    """What is seen of the simulated process from outside, as the locks tell it of a real one."""

    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    def of(self, database: Path) -> Writer:
        """The process as it is now."""
        life = self._sim.life
        if life is None:
            return Writer(alive=False)
        return Writer(True, self._sim.frozen, life, self._sim.started_at, life)


class Rig(Recovered):
    """Scheduler and watchdog. `wall`: how far the watchdog's clock is off; `uptime` never jumps."""

    def __init__(self, folder: Path, sim: Simulator, api: ApiServer, agent: Agent, **recovery: Any) -> None:
        self.folder, self.path, self.sim, self.api, self.agent = folder, folder / "phantom.db", sim, api, agent
        self.token_file = folder / "token"
        self.token_file.write_text(TOKEN)
        self.wall = timedelta()
        self.writers = SimulatedWriters(sim)
        self.gaps: tuple[Gap, ...] = ()
        self.with_api = bool(recovery.pop("with_api", True))
        self._more: dict[str, Any] = {}
        self.config = self._configured(recovery)
        self.store = Store(folder / "state.db")
        self.counts: list[tuple[str, str]] = []
        self.published = Published(())
        self.reboot()

    def _configured(self, recovery: Mapping[str, Any]) -> Config:
        source: dict[str, Any] = {"name": "phantom", "database": str(self.path)}
        if self.with_api:
            source["api"] = {"url": self.api.url, "token_file": str(self.token_file)}
        document = {
            "sources": [source],
            "state": str(self.folder / "state.db"),
            "channels": {"ops": "json://127.0.0.1:9/ops"},
            # what is to be told is read where it happens; how it is gathered has tests of its own
            "notify": {"group_wait": "0s", "gather": "0s"},
            "recovery": {"mode": "act", **recovery},
            **self._more,
        }
        (self.folder / "watchdog.yaml").write_text(json.dumps(document))
        return Config.validated(document)

    def reboot(self) -> None:
        """The watchdog ends, and begins anew with the same state file."""
        self.records = Records(self.store)
        self.engine = Engine(self.config, open_sources(self.config, self._host))
        self.notifier = Notifier(self.config, self.store)
        self.recoverer = Recoverer(self.config, self.records, self._announce, lambda *what: self.counts.append(what))
        self.hand = Executor(self.config, Records(self.store), self.stamp, self._judge)
        self.slept = timedelta()
        self._again_at: datetime | None = None
        # nobody can be told of anything before the notifier has seen what was published
        self.notifier.turn(self.engine.tick(self.now).published, self.now)

    def _host(self, source: str) -> Host:
        return Host(self.writers)

    def configure_more(self, **sections: Any) -> None:
        """More sections, taken as at a reload."""
        self._more = sections
        self.reconfigure(**written(self.config.recovery))

    def reconfigure(self, **recovery: Any) -> None:
        """Another configuration, taken as at a reload."""
        self.config = self._configured(recovery)
        self.engine = self.engine.reconfigured(self.config, self._host)
        self.notifier.use(self.config)
        self.recoverer.use(self.config)
        self.hand.use(self.config)

    def _announce(
        self, finding: Finding, title: str, lead: str, facts: tuple[tuple[str, str], ...], action: Action | None = None
    ) -> None:
        self.notifier.announce(finding, title, lead, facts, self.now, action)

    def _judge(self, action: Action) -> Objection | None:
        """The loop's next look, for the hand."""
        published = self.engine.tick(self.now, self.gaps).published
        self.recoverer.turn(published, self.stamp(), self.slept)
        return self.recoverer.objection(action, published, self.stamp())

    # time

    @property
    def now(self) -> datetime:
        """The watchdog's clock."""
        return self.sim.now + self.wall

    def stamp(self) -> Stamp:
        """What the machine's clocks say."""
        return Stamp(self.now, (self.sim.now - START).total_seconds() + 1000, "boot")

    def sleep(self, length: timedelta) -> None:
        """Time in which no watchdog runs."""
        with self.api.lock:
            self.sim.run_until(self.sim.now + length)

    def suspend(self, length: timedelta) -> None:
        """The machine with both on it sleeps: the scheduler's timers stand still, and nobody looks."""
        began = self.now
        self.sim.skip(length)
        self.gaps += (Gap(began, self.now),)
        self.slept += length

    def step(self) -> None:
        """One turn of the service and of the hand, and of the service again for as long as the hand had to do."""
        while True:
            published = self.engine.tick(self.now, self.gaps).published
            turn = self.recoverer.turn(published, self.stamp(), self.slept)
            self.published = self.engine.add(turn.findings, turn.to_follow)
            self.notifier.turn(self.published, self.now)
            wanted = (published.look_again_at, turn.look_again_at, self.notifier.look_again_at)
            self._again_at = min(filter(None, wanted), default=None)
            if not self.hand.turn():
                return

    def run(self, length: timedelta) -> None:
        """So much time goes by, with the watchdog at work."""
        end = self.sim.now + length
        self.step()
        while (wake := self._next_wake()) is not None and wake <= end:
            self.sleep(wake - self.sim.now)
            self.step()
        self.sleep(end - self.sim.now)

    def _next_wake(self) -> datetime | None:
        event = self.sim.next_event()
        again = self._again_at - self.wall if self._again_at else None
        soonest = min(filter(None, (event, again)), default=None)
        if soonest is None:
            return None
        passed = max(timedelta(), soonest - self.sim.now)
        return max(self.sim.now + SECOND, self.sim.now + -(-passed // STEP) * STEP)

    def run_until(self, is_so: Any, within: timedelta = 100 * HOUR) -> None:
        """Until it is so, looked at every minute."""
        end = self.sim.now + within
        while not is_so():
            assert self.sim.now < end, "it has not come to that"
            self.run(MINUTE)

    # jobs

    def fail(self, *names: str, schedule: Any = ("every", 30 * MINUTE), outcome: Outcome = OVERLOADED) -> list[str]:
        """New jobs that fail until the scheduler gives them up; their ids. What they do then is left as it is."""
        ids = [self.sim.add(name, schedule) for name in names]
        self.let(outcome, *names)
        self._until_failed(ids)
        return ids

    def _until_failed(self, ids: Sequence[str]) -> None:
        while any(self.row(id_)["status"] != "failed" for id_ in ids):
            event = self.sim.next_event()
            assert event is not None
            self.sleep(max(event - self.sim.now, MINUTE))

    def let(self, outcome: Outcome, *names: str) -> None:
        """What the runs of these jobs come to from now on."""
        self.agent.usual.update(dict.fromkeys(names, outcome))

    def storm(self, count: int, outcome: Outcome = OVERLOADED) -> list[str]:
        """So many jobs on mixed schedules that all failed for one reason; their ids."""
        kinds: list[Any] = [("every", 20 * MINUTE), ("cron", "*/15 * * * *"), ("every", 50 * MINUTE)]
        kinds += [("cron", "7 * * * *"), ("cron", "0 */2 * * *", "Europe/Berlin")]
        names = [f"job-{number:02}" for number in range(count)]
        ids = [self.sim.add(name, kinds[number % len(kinds)]) for number, name in enumerate(names)]
        self.let(outcome, *names)
        self._until_failed(ids)
        return ids

    def row(self, job_id: str) -> dict[str, object]:
        """The job's row now."""
        return row_of(self.path, job_id)

    def runs(self, since: datetime) -> list[str]:
        """The jobs whose runs began since."""
        return [run.job for run in self.agent.runs if run.started_at > since]

    # what came of it

    def kept(self) -> dict[str, Preserved]:
        """The definitions that are kept, by job."""
        return {kept.name: kept for kept in self.records.preserved()}

    def swept(self) -> list[Finding]:
        """The findings of recovery's own."""
        return [finding for finding in self.published.findings if finding.kind == "swept"]


def said(action: Action) -> str:
    """All of an action's steps."""
    return "\n".join(step.what for step in action.steps)


@contextmanager
def rig(
    folder: Path,
    *policies: Mapping[str, Any],
    stock: bool = True,
    start: datetime = START,
    token_kind: TokenKind = "lasting",
    **more: Any,
) -> Iterator[Rig]:
    """A rig that is closed at the end. `token_kind`: how long the token of the API lasts."""
    agent = Agent()
    with ExitStack() as stack:
        sim = stack.enter_context(Simulator(folder / "phantom.db", start, behaviour=agent, stock=stock))
        api = stack.enter_context(ApiServer(sim, TOKEN, kind=token_kind))
        made = Rig(folder, sim, api, agent, policies=list(policies), **more)
        stack.callback(made.store.close)
        yield made
