"""Lives of a healthy scheduler that is disturbed in every way that harms nobody, with the watchdog beside it.

The turns are the service's own, on a virtual clock; the machine of either may sleep, the process may be frozen,
restarted and redeployed, jobs are run by hand, changed and paused, and the watchdog itself is restarted and reloaded.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.harness import DAY, HOUR, MINUTE, POLL, SECOND, change
from watchdog.config.file import Config
from watchdog.core.model import Finding
from watchdog.demo.outcome import Outcome
from watchdog.demo.process import Behaviour
from watchdog.demo.simulator import Simulator
from watchdog.metrics.collection import Metrics
from watchdog.replay.virtual_clock import VirtualClock
from watchdog.service.turns import Turns
from watchdog.state.store import Store
from watchdog.systems.shared.writer import UnknownWriters, Writer

BEGINS = datetime(2026, 6, 10, 0, 0, tzinfo=UTC)

SIGHTS = ("all", "hidden", "nothing")
"""What the watchdog can see of the scheduler's process: all, that somebody has the file open, or nothing."""

POLICIES: Sequence[Mapping[str, Any]] = (
    {"match": {"kind": "wedged"}, "action": "restart", "run": ["false"]},
    {"match": {"kind": "stalled"}, "action": "restart", "run": ["false"]},
    {"match": {"kind": "failed"}, "action": "revive"},
    {"match": {"kind": "runaway"}, "action": "pause"},
)
"""What acts on what would be grave, after the times that are the default. No thread acts; what is intended is seen."""

AFTER = 20 * SECOND
"""How long after the scheduler moves again its next trace is there at the latest, and seen."""


@dataclass
class SeenProcess(UnknownWriters):
    """What the lock on the log's index would tell of the simulated process."""

    sim: Simulator
    sight: str
    started_at: dict[int, datetime] = field(default_factory=dict)

    def of(self, database: Path) -> Writer:
        """The writer now."""
        life = self.sim.life
        if self.sight == "nothing":
            return Writer()
        if life is None:
            return Writer(alive=False)
        started = self.started_at.setdefault(life, self.sim.now)
        if self.sight == "hidden":
            return Writer(alive=True)
        return Writer(True, self.sim.frozen, 4000 + life, started, life)


class Beside:
    """A simulated scheduler and the watchdog's own turns on one virtual clock, with a state file."""

    def __init__(self, folder: Path, behaviour: Behaviour, sight: str = "all", detect: object = None) -> None:
        self.folder = folder
        self.detect = detect or {}
        self.clock = VirtualClock(BEGINS)
        self.path = folder / "agent.db"
        self.sim = Simulator(self.path, BEGINS, behaviour=behaviour, host_zone="UTC")
        self.seen = SeenProcess(self.sim, sight)
        self.findings: tuple[Finding, ...] = ()
        self.found: set[tuple[str, str | None]] = set()
        self.is_excused_until = BEGINS
        self._intents = 0
        self._seen_as = self._state()

    def watch(self) -> None:
        """The watchdog starts, with the state file that is there."""
        if self.sim.life is not None:  # it did not begin at the first look, which may come late
            self.seen.started_at.setdefault(self.sim.life, self.sim.now)
        self.store = Store(self.folder / "state.db")
        sources = [{"name": "agent", "database": str(self.path)}]
        recovery = {"mode": "act", "policies": list(POLICIES)}
        config = Config.validated({"sources": sources, "detect": self.detect, "recovery": recovery})
        self.turns = Turns(config, self.store, self.clock, Metrics(), lambda published: None, writers=self.seen)

    def close(self) -> None:
        """Give the files back."""
        self.turns.stop()
        self.sim.close()

    # time

    def live(self, length: timedelta) -> Iterator[datetime]:
        """Both go on; hands over after each turn of the watchdog."""
        end = self.clock.at + length
        while (at := self._next_turn(end)) is not None:
            self._go_to(at)
            yield at
        self._go_to(end, turns=False)

    def _next_turn(self, end: datetime) -> datetime | None:
        event = self.sim.next_event()
        wanted = [max(event, self.clock.at) + POLL] if event else []
        if self._state() != self._seen_as:
            wanted.append(self.clock.at + POLL)
        if self.turns.look_again_at:
            wanted.append(max(self.clock.true(self.turns.look_again_at), self.clock.at + 0.1 * SECOND))
        at = min(wanted, default=None)
        return at if at is not None and at <= end else None

    def _go_to(self, at: datetime, *, turns: bool = True) -> None:
        self.turns.idle()
        self.sim.run_until(at)
        self.clock.at = at
        self.turns.idle()
        if turns:
            self.look()

    def _state(self) -> tuple[int | None, bool]:
        return self.sim.life, self.sim.frozen

    def look(self) -> None:
        """One turn."""
        self._seen_as = self._state()
        self.findings = self.turns.turn().published.findings
        self.found |= {(finding.kind.value, finding.job) for finding in self.findings}
        if self.sim.frozen or self.sim.life is None:
            self.is_excused_until = self.clock.at + AFTER

    def has_new_intents(self) -> bool:
        """Whether recovery has meant to do anything since this was asked last."""
        (newest,) = self.store.database.execute("SELECT coalesce(max(id), 0) FROM actions").fetchone()
        had, self._intents = self._intents, newest
        return bool(newest > had)

    @property
    def is_well(self) -> bool:
        """Whether the scheduler moves, and has done so for long enough to show it."""
        return self.clock.at > self.is_excused_until

    def run(self, length: timedelta) -> None:
        """Both go on."""
        for _ in self.live(length):
            pass


class Disturbed(Beside):
    """One life, made up from a seed. `disturbances` tells what was done, for whoever reads a failure."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.dice = random.Random(seed)
        super().__init__(folder, self._behaves, self.dice.choice(SIGHTS))
        self.lengths: dict[str, timedelta] = {}
        self.hangs: set[str] = set()
        self.jobs = [self._add() for _ in range(self.dice.randint(1, 7))]
        self.disturbances = [f"sight {self.seen.sight}"]
        self.watch()
        self.look()

    def _behaves(self, name: str, now: datetime) -> Outcome:
        if name in self.hangs:
            return Outcome.hanging()
        length = self.lengths.get(name, 20 * SECOND) * self.dice.uniform(0.5, 1.5)
        slow = self.dice.random() < 0.2
        return Outcome(duration=length, delivery_duration=self.dice.choice([SECOND, 45 * SECOND]) if slow else SECOND)

    def _add(self) -> str:
        name = f"job-{len(self.lengths)}"
        self.lengths[name] = self.dice.choice([4 * SECOND, 20 * SECOND, MINUTE, 3 * MINUTE, 9 * MINUTE])
        every = self.dice.choice([5 * MINUTE, 20 * MINUTE, HOUR, 61.5 * MINUTE, 3 * HOUR, DAY])
        crons = ["*/10 * * * *", "*/15 * * * *", "0 * * * *", "30 */2 * * *", "0 9 * * *", "5 9 * * MON-FRI"]
        is_cron = self.dice.random() < 0.6
        return self.sim.add(name, ("cron", self.dice.choice(crons), "UTC") if is_cron else ("every", every))

    # what harms nobody

    def disturb(self) -> Iterator[datetime]:
        """One of the things that are done to a scheduler or to the watchdog."""
        deeds = [self._freeze, self._both_sleep, self._watchdog_sleeps, self._restart, self._host_off, self._by_hand]
        deeds += [self._edit, self._pause, self._reload, self._restart_watchdog, self._delete, self._add_one]
        deed = self.dice.choice(deeds)
        self.disturbances.append(f"{self.clock.at:%d %H:%M:%S} {deed.__name__}")
        yield from deed()

    def _span(self) -> timedelta:
        return self.dice.choice([9 * SECOND, 50 * SECOND, 7 * MINUTE, HOUR, 95 * MINUTE, 5 * HOUR, 14 * HOUR])

    def _freeze(self) -> Iterator[datetime]:
        self.sim.freeze()
        yield from self.live(self._span())
        self.look()
        self.sim.thaw()

    def _both_sleep(self) -> Iterator[datetime]:
        self.sim.freeze()
        self._pass_unwatched(self._span())
        self.sim.thaw()
        self.look()
        yield self.clock.at

    def _watchdog_sleeps(self) -> Iterator[datetime]:
        self._pass_unwatched(self._span())
        self.look()
        yield self.clock.at

    def _pass_unwatched(self, length: timedelta) -> None:
        self.turns.idle()
        self.sim.run_until(self.clock.at + length)
        self.clock.at += length

    def _restart(self) -> Iterator[datetime]:
        self.sim.kill()
        yield from self.live(self.dice.choice([2, 7, 30, 100]) * SECOND)
        self.sim.start()

    def _host_off(self) -> Iterator[datetime]:
        self.sim.kill()
        yield from self.live(self._span())
        self.look()
        self.sim.start()

    def _by_hand(self) -> Iterator[datetime]:
        self.sim.run_now(self.dice.choice(self.jobs))
        if self.dice.random() < 0.5:  # asked for in chat: no audit row
            change(self.path, "DELETE FROM scheduler_audit_log WHERE action = 'run'")
        yield from self.live(self.dice.choice([10 * SECOND, 2 * MINUTE, 10 * MINUTE]))

    def _edit(self) -> Iterator[datetime]:
        job, minutes = self.dice.choice(self.jobs), self.dice.choice([5, 30, 240])
        statement = (
            "UPDATE scheduled_jobs SET schedule_kind = 'every', schedule_value = ?, updated_at = ? "
            "WHERE id = ? AND status = 'active'"
        )
        change(self.path, statement, f'{{"intervalMs": {minutes * 60_000}}}', f"{self.clock.at:%Y-%m-%d %H:%M:%S}", job)
        yield from self.live(self.dice.choice([SECOND, HOUR]))

    def _pause(self) -> Iterator[datetime]:
        job = self.dice.choice(self.jobs)
        (off, on) = self.dice.choice([(self.sim.pause, self.sim.resume), (self.sim.disable, self.sim.enable)])
        off(job)
        yield from self.live(self._span())
        on(job)

    def _delete(self) -> Iterator[datetime]:
        if len(self.jobs) > 1:
            self.sim.delete(self.jobs.pop(self.dice.randrange(len(self.jobs))))
        yield from self.live(SECOND)

    def _add_one(self) -> Iterator[datetime]:
        self.jobs.append(self._add())
        yield from self.live(SECOND)

    def _reload(self) -> Iterator[datetime]:
        self.turns.use(self.turns.config)
        yield from self.live(self.dice.choice([SECOND, MINUTE]))

    def _restart_watchdog(self) -> Iterator[datetime]:
        self.turns.stop()
        self.sim.run_until(self.clock.at + (length := self._span()))
        self.clock.at += length
        self.watch()
        self.look()
        yield self.clock.at
