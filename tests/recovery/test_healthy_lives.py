"""Of a scheduler that is well no policy does anything, whatever happens to it, to its machine and to the watchdog.

`WATCHDOG_EXAMPLES=10000 pytest tests/recovery/test_healthy_lives.py` tries ten thousand lives.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.amounts import amount, made_up, progress
from tests.support.disturbed import POLICIES
from tests.support.harness import DAY, HOUR, MINUTE, SECOND
from tests.support.lives import BRISK, DEEDS, HASTY, Deed, Keeper, Life, lives
from tests.support.memory_folder import memory_folder
from tests.support.recovering import SimulatedWriters
from watchdog.config.file import Config
from watchdog.core.clock import Stamp
from watchdog.detectors.published import Published
from watchdog.metrics.collection import Metrics
from watchdog.service.turns import Turns
from watchdog.state.records import Records
from watchdog.state.store import Store

DISTURBANCES = ("freeze", "suspend", "suspend", "off", "reload", "set-clock", "kill-run")
LONGEST_WAIT = 5 * MINUTE
"""The service polls every two seconds; here it looks at each thing that happens, and at least so often."""


@dataclass
class Machine:
    """The clock of the machine that both run on: `set_by` is what somebody has set it by; the uptime never jumps."""

    keeper: Keeper
    set_by: timedelta = timedelta()

    def now(self) -> datetime:
        return self.keeper.sim.now

    def real(self, length: timedelta) -> timedelta:
        return length

    def stamp(self) -> Stamp:
        return Stamp(self.now(), (self.keeper.sim.now - self.set_by).timestamp(), "boot")


class Household:
    """The scheduler, the machine, and the watchdog's very loop; no thread of it acts, what is intended is enough."""

    def __init__(self, life: Life, folder: Path) -> None:
        self.folder = folder
        self.keeper = Keeper(life, folder / "agent.db")
        self.machine = Machine(self.keeper)
        self._zone = life.night[0]
        self.begin()

    def _config(self, **more: Any) -> Config:
        source = {"name": "phantom", "database": str(self.keeper.path), "timezone": self._zone}
        return Config.validated(
            {
                "sources": [source],
                "state": str(self.folder / "state.db"),
                "recovery": {"mode": "act", "policies": list(POLICIES)},
                **more,
            }
        )

    def begin(self) -> None:
        """The watchdog begins, or begins anew."""
        config, writers = self._config(), SimulatedWriters(self.keeper.sim)
        self.turns = Turns(config, Store(config.state), self.machine, Metrics(), _untold, writers=writers)

    def watch(self, until: datetime) -> None:
        """Both go on until then."""
        while True:
            self.turns.turn()
            sim = self.keeper.sim
            again = self.turns.look_again_at
            wakes = [sim.next_event(), again, sim.now + LONGEST_WAIT]
            wake = max(min(at for at in wakes if at), sim.now) + 2 * SECOND
            if wake >= until:
                sim.run_until(max(until, sim.now))
                self.turns.idle()
                return
            sim.run_until(wake)
            self.turns.idle()

    def disturb(self, what: str, length: timedelta) -> None:
        """One disturbance that is no fault."""
        sim = self.keeper.sim
        if what == "freeze":
            sim.freeze()
            self.watch(sim.now + min(length, 2 * HOUR))
            sim.thaw()
        elif what == "suspend":  # the machine sleeps, with both on it
            sim.skip(length)
        elif what == "off":  # the watchdog alone
            self.turns.stop()
            sim.run_until(sim.now + length)
            self.begin()
        elif what == "reload":
            self.turns.use(self._config(poll=f"{2 + length.seconds % 3}s"))
        elif what == "set-clock":
            by = length if length.seconds % 2 else -length
            self.machine.set_by += by
            sim.skip(by)
        else:
            sim.restart(length / 1000)

    def actions(self) -> list[str]:
        return [f"{one.created.at} {one.kind} {one.job}: {one.why}" for one in Records(self.turns.store).actions()]


def _untold(_: Published) -> None:
    """Nobody listens."""


@contextmanager
def household(life: Life, folder: Path) -> Iterator[Household]:
    made = Household(life, folder)
    with made.keeper.sim:
        try:
            yield made
        finally:
            made.turns.stop()


LENGTHS = st.sampled_from([10 * SECOND, MINUTE, 7 * MINUTE, 31 * MINUTE, 2 * HOUR, 8 * HOUR, DAY]).flatmap(
    lambda length: st.integers(0, 59).map(lambda seconds: length + seconds * SECOND)
)
MISHAPS = st.lists(st.tuples(st.sampled_from(DISTURBANCES), LENGTHS), max_size=8)


FEW, MANY = 6, 100
one_more_life = progress("healthy lives", amount(FEW, MANY))


@made_up(FEW, MANY)
@given(lives(paces=(BRISK, BRISK, HASTY), deeds_of=DEEDS), MISHAPS)
def test_a_healthy_scheduler_sees_no_action(life: Life, mishaps: list[tuple[str, timedelta]]) -> None:
    one_more_life()
    steps: list[Deed | tuple[str, timedelta]] = []
    for index in range(max(len(life.deeds), len(mishaps))):
        steps += [*life.deeds[index : index + 1], *mishaps[index : index + 1]]
    with memory_folder() as folder, household(life, Path(folder)) as it:
        for step in steps:
            if isinstance(step, Deed):
                it.watch(it.keeper.sim.now + step.wait)
                it.keeper.do(step)
            else:
                it.disturb(*step)
        it.watch(it.keeper.sim.now + 3 * HOUR)
        assert it.actions() == []
