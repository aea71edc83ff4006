"""The replay: the watchdog's own loop on a virtual clock that goes from one thing that happens to the next.

It wakes as the service does, at each change and at each deadline, and has the notifier decide who is told. Nothing is
written anywhere and nothing is sent.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from watchdog.backtest.judge import Judge
from watchdog.backtest.scene import Scene
from watchdog.backtest.verdict import NOBODY, Condition, Message, Verdict, message_of
from watchdog.config.file import Config, Owner
from watchdog.core.clock import SHORTEST_WAIT
from watchdog.core.model import Finding
from watchdog.core.silences import Silence
from watchdog.detectors.diagnosis import Diagnosis
from watchdog.detectors.published import Published, SourceState
from watchdog.notify.notifier import Notifier
from watchdog.state.store import Store
from watchdog.systems.shared.past import SourcePast

Key = tuple[str, str, str | None]

Progress = Callable[[datetime], None]
"""Told how far the replay has come."""


def replay(
    pasts: Sequence[SourcePast],
    config: Config,
    since: datetime,
    until: datetime,
    silences: Iterable[Silence] = (),
    name: str = "as configured",
    progress: Progress = lambda at: None,
) -> Verdict:
    """What would have been told from `since` to `until` by a watchdog that was started at `since`."""
    store = Store(None)
    try:
        held = [silence for silence in silences if silence.starts_at < until and silence.ends_at > since]
        for silence in held:
            store.add_silence(silence)
        loop = _Loop(pasts, config, store, since)
        at: datetime | None = since
        while at is not None and at <= until:
            loop.wake(at)
            progress(at)
            at = loop.next_wake
        runs = sum(_runs_in(past, since, until) for past in pasts)
        return Verdict(name, tuple(loop.messages), loop.conditions(), runs, len(held))
    finally:
        store.close()


def _runs_in(past: SourcePast, since: datetime, until: datetime) -> int:
    return sum(since <= past.runs.ended_at(number) <= until for number in range(len(past.runs)))


class _Loop:
    """Engine and notifier, as the service turns them."""

    def __init__(self, pasts: Sequence[SourcePast], config: Config, store: Store, since: datetime) -> None:
        self.messages: list[Message] = []
        self._scenes = [(Scene(past), Judge(past.now, config.detect)) for past in pasts]
        self._notifier = Notifier(_with_somebody(config), store)
        self._published = Published(())
        self._open: dict[Key, Condition] = {}
        self._over: list[Condition] = []
        self._at = since
        for scene, judge in self._scenes:
            scene.go_on(since)
            judge.turn(scene, scene.jobs(), since)
        self._publish(since)

    @property
    def next_wake(self) -> datetime | None:
        """The next instant at which something may be otherwise."""
        wanted = [self._notifier.look_again_at]
        for scene, judge in self._scenes:
            wanted += [scene.next_at, judge.look_again_at]
        soonest = min((at for at in wanted if at is not None), default=None)
        return soonest if soonest is None or soonest > self._at else self._at + SHORTEST_WAIT

    def wake(self, now: datetime) -> None:
        """Look, judge, and see who is told."""
        self._at = now
        changes = [judge.turn(scene, scene.go_on(now), now) for scene, judge in self._scenes]
        if any(changes):
            self._publish(now)
        again_at = self._notifier.look_again_at
        if any(changes) or again_at is None or now >= again_at:
            self._notifier.turn(self._published, now)
            self.messages += [
                message_of(dispatch, now, is_certain=self._is_certain(dispatch.headline))
                for dispatch in self._notifier.dispatched
            ]
            self._note_incidents()

    def _publish(self, now: datetime) -> None:
        # of the snapshot the notifier needs no more than whose job it is, which the past does not tell otherwise
        states = tuple(SourceState(s.past.now, Diagnosis(j.findings, None), now, now) for s, j in self._scenes)
        self._published = Published(states, self._published.version + 1)
        found = {finding.key: finding for finding in self._published.findings}
        for key in [key for key in self._open if key not in found]:
            self._over.append(replace(self._open.pop(key), over_at=now))
        for key, finding in found.items():
            if key not in self._open:
                self._open[key] = Condition(finding, now, is_certain=self._is_certain(finding))

    def _is_certain(self, finding: Finding) -> bool:
        return all(scene.past.is_certain(finding) for scene, _ in self._scenes if scene.past.name == finding.source)

    def _note_incidents(self) -> None:
        """Which incident each condition was first filed under."""
        waiting = [key for key, condition in self._open.items() if condition.incident is None]
        homes = {key: incident.id for incident in self._notifier.ledger.open for key in incident.members if waiting}
        for key in waiting:
            self._open[key] = replace(self._open[key], incident=homes.get(key))

    def conditions(self) -> tuple[Condition, ...]:
        """Everything that was so, in the order in which it was found."""
        return tuple(sorted([*self._over, *self._open.values()], key=_found_order))


def _found_order(condition: Condition) -> tuple[datetime, datetime, str, str]:
    finding: Finding = condition.finding
    return (condition.found_at, finding.since or condition.found_at, finding.kind.value, finding.job or "")


def _with_somebody(config: Config) -> Config:
    """Without any channel one is made up, so that it can be seen what it would be told."""
    if config.people:
        return config
    return config.but(owners=(Owner(notify=(NOBODY,)),))
