"""For the tests of the backtest: a watchdog that lives beside the simulator and keeps its record, as the service does;
and the replay of what is left of both."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from tests.support.harness import MS, POLL, SECOND, Watch, row_of
from tests.support.lives import MOST_WAKES, Deed, Keeper, Life, Spec
from watchdog.backtest.replay import replay
from watchdog.backtest.verdict import Message, Verdict, message_of
from watchdog.config.file import Config
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.notify.notifier import Notifier
from watchdog.state.history import History
from watchdog.state.store import Store
from watchdog.systems.phantom.past import phantom_past
from watchdog.systems.phantom.section import Phantom
from watchdog.systems.shared.past import SourcePast

TOLERANCE = POLL + 3 * SECOND
"""A change is seen at the next poll; run ends are cut to the second; and a restart shows only by the first run after
it, which is seen after two or three more."""

REPLAYED = ("zero_tokens", "failing", "failed", "expiring", "overdue", "stalled", "wedged", "long_run")
"""The kinds that history tells of. Of the others only a job's newest run can be told."""

Spelt = tuple[str, str | None, datetime, datetime | None]
"""A condition: kind, job, from when to when it was found (None: it still is)."""


class Witness(Watch):
    """A watch that also tells people, and writes what it sees into its state file."""

    def __init__(
        self, sim: Simulator, config: Config, *, poll: timedelta = POLL, phase: timedelta = timedelta()
    ) -> None:
        (source,) = config.sources
        assert isinstance(source, Phantom)
        self.config = config
        self.messages: list[Message] = []
        self._store = Store(config.state)
        self._notifier = Notifier(config, self._store)
        self._history = History(self._store)
        super().__init__(sim, source.database, poll=poll, phase=phase)

    def _wake(self, now: datetime) -> None:
        super()._wake(now)
        published = self.engine.add(())
        self._notifier.turn(published, now)
        self._history.turn(published, now)
        self.messages += [message_of(dispatch, now) for dispatch in self._notifier.dispatched]
        wanted = (published.look_again_at, self._notifier.look_again_at)
        self.look_again_at = min((at for at in wanted if at), default=None)

    def close(self) -> None:
        """Give the state file back."""
        self._store.close()

    def found(self) -> list[Spelt]:
        """Everything that was found, of the kinds that can be replayed."""
        return [(s.kind, s.job, s.seen_at, s.over_at) for s in self.spells() if s.kind in REPLAYED]


@contextmanager
def witness(sim: Simulator, config: Config) -> Iterator[Witness]:
    """One whose state file is closed at the end."""
    watch = Witness(sim, config)
    try:
        yield watch
    finally:
        watch.close()


def watching(folder: Path, **sections: object) -> Config:
    """A configuration of one agent in a folder, with what else is said."""
    facts = {"sources": [{"database": str(folder / "agent.db")}], "state": str(folder / "state.db")}
    return Config.validated({**facts, **sections})


def past_of(config: Config, since: datetime, until: datetime, *, with_record: bool = True) -> SourcePast:
    """What is left of these days."""
    (source,) = config.sources
    assert isinstance(source, Phantom)
    return phantom_past(source, config.state if with_record else None, since, until)


def replayed(config: Config, since: datetime, until: datetime, *, with_record: bool = True) -> Verdict:
    """What the backtest says of these days."""
    return replay([past_of(config, since, until, with_record=with_record)], config, since, until)


def found_again(verdict: Verdict) -> list[Spelt]:
    """The conditions of a replay, as `Witness.found` gives them."""
    return [
        (c.finding.kind.value, c.finding.job or c.finding.job_id, c.found_at, c.over_at)
        for c in verdict.conditions
        if c.finding.kind in REPLAYED
    ]


def unlike(one: Iterable[Spelt], other: Iterable[Spelt], end: datetime) -> list[Spelt]:
    """What lasted long enough to be seen in the one and is not in the other."""
    there = list(other)
    lasting = [spelt for spelt in one if (spelt[3] or end) - spelt[2] > TOLERANCE]
    return [spelt for spelt in lasting if not any(_is_same(spelt, again) for again in there)]


def _is_same(one: Spelt, other: Spelt) -> bool:
    return one[:2] == other[:2] and _is_close(one[2], other[2]) and _is_close(one[3], other[3])


def _is_close(one: datetime | None, other: datetime | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= TOLERANCE


def untold(messages: Iterable[Message], again: Iterable[Message]) -> list[Message]:
    """The messages of the one that the other has not: same event, kind, job and target at about the same instant."""
    rest = list(again)
    left = []
    for message in messages:
        same = next((other for other in rest if _is_told(message, other)), None)
        if same is None:
            left.append(message)
        else:
            rest.remove(same)
    return left


def _is_told(one: Message, other: Message) -> bool:
    facts = [(m.target, m.event, m.about.kind, m.about.job_id, m.jobs) for m in (one, other)]
    return facts[0] == facts[1] and abs(one.at - other.at) <= TOLERANCE


# made-up lives, without what leaves no trace


DEEDS = ("pause", "resume", "disable", "enable", "run", "chat", "restart", "add", "one-shot")
FAULTS = ("fail", "fail", "workless", "leak", "leak-slot", "drop-timer", "kill", "start")
"""Left out of the lives, for nothing that remains tells of them: a run that hangs or is lost (it has no end, or no
record), a deleted job, a schedule that is edited or broken, a result that reaches nobody. Each is named in the output
as not replayed, or as assumed."""


class PlainKeeper(Keeper):
    """One whose deeds leave a trace.

    A delivery takes no time, for how long one took is written nowhere; no job deletes itself; nothing is switched on or
    resumed that is, which does no more than touch the row or set the timer going; and no slot leaks while nothing runs,
    so that a start of the scheduler is followed by a run.
    """

    def _add(self, spec: Spec, outcome: Outcome) -> None:
        if spec[0] == "at" and isinstance(spec[1], datetime) and spec[1] <= self.sim.now:
            return
        name = f"job-{len(self.ids)}"
        self.agent.usual[name] = replace(outcome, delivery_duration=timedelta())
        self.ids.append((name, self.sim.add(name, spec), spec))

    def do(self, deed: Deed) -> None:
        """Nobody stops the scheduler in the middle of a run, for such a run has no end."""
        if deed.what not in ("kill", "restart") or not self.sim.slot_held:
            super().do(deed)

    def _harm(self, what: str, number: int) -> None:
        if what != "leak-slot" or self.sim.life:
            super()._harm(what, number)

    def _do_to_a_job(self, what: str, name: str, job_id: str, spec: Spec) -> None:
        row = row_of(self.path, job_id)
        is_on, is_paused = row.get("enabled") == 1, row.get("status") == "paused"
        if what in ("enable", "disable") and (row.get("status") != "active" or is_on == (what == "enable")):
            return
        if what in ("pause", "resume") and is_paused == (what == "pause"):
            return
        super()._do_to_a_job(what, name, job_id, spec)


@dataclass(frozen=True)
class Lived:
    """A life that was led: how it was configured, from when to when, and what the watchdog found and told meanwhile."""

    config: Config
    since: datetime
    until: datetime
    found: list[Spelt]
    messages: list[Message]


def lived(life: Life, folder: Path) -> Lived:
    """Leads a life with a watchdog beside it, which writes down what it sees."""
    config = watching(folder, channels={"ops": "json://127.0.0.1:9/"}, notify={"remind_every": "6h"})
    keeper = PlainKeeper(life, folder / "agent.db")
    with keeper.sim:
        since = keeper.sim.now + life.phase
        end = keeper.sim.now + life.pace.length
        watch = Witness(keeper.sim, config, poll=life.poll, phase=life.phase)
        try:
            _lead(keeper, watch, end)
        finally:
            watch.close()
        # what was done at the very end nobody has looked at yet
        return Lived(config, since, keeper.sim.now - MS, watch.found(), watch.messages)


def _lead(keeper: PlainKeeper, watch: Witness, end: datetime) -> None:
    for deed in (*keeper.life.deeds, None):
        until = min(end, keeper.sim.now + deed.wait) if deed else end
        for _ in watch.each_wake(until) if until > keeper.sim.now else ():
            if watch.wakes > MOST_WAKES:
                return
        if deed and until < end:
            keeper.do(deed)
