"""Plays a case: what the running service would have found, told and done, on the case's own clock.

The turns are the service's, the sources read real files, and messages end where a channel would begin. Where the
service would poll and find nothing new, no turn is taken.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from watchdog.config.file import Config
from watchdog.core.children import Result
from watchdog.core.kinds import Severity
from watchdog.core.message import Entry
from watchdog.core.model import Finding
from watchdog.detectors.published import Published
from watchdog.metrics.collection import Metrics
from watchdog.notify.dispatch import Sender, open_book
from watchdog.replay.case import Case, Step
from watchdog.replay.processes import Processes
from watchdog.replay.stage import Stage
from watchdog.replay.virtual_clock import VirtualClock
from watchdog.service.turns import Turns
from watchdog.state.store import Store


@dataclass(frozen=True, slots=True)
class Found:
    """A finding that has become true, or no longer is (`found`, `cleared`)."""

    at: datetime
    event: str
    finding: Finding


@dataclass(frozen=True, slots=True)
class Told:
    """A message as it was handed to a channel."""

    at: datetime
    to: str
    what: str
    severity: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Would:
    """An action that recovery would have taken."""

    at: datetime
    action: str
    finding: Finding


Change = Found | Told | Would


@dataclass(frozen=True, slots=True)
class Deed:
    """What a person does at an instant: it may write the state file, or give another configuration."""

    at: datetime
    do: Callable[[Store, datetime], Config | None]


AT_LEAST_EVERY = timedelta(seconds=30)
"""The service looks at each poll: a source may say something else though nothing has been written and nothing is due,
such as of a file that has stayed half-written."""


class Sent:
    """A delivery that is over at once, and well."""

    is_slow = False

    def outcome(self) -> Result | None:
        """It was taken."""
        return Result(True)

    def forget(self) -> None:
        """There is nothing to forget."""

    def leave(self) -> None:
        """There is nothing under way."""


_SEVERITIES = {"failure": "critical", "warning": "warning", "success": "over"}
_EVENTS = {"resolved": "over"}


class Player:
    """One case, played once."""

    def __init__(self, case: Case, config: Config, folder: Path, deeds: Sequence[Deed] = ()) -> None:
        self._case = case
        self._deeds = sorted(deeds, key=lambda deed: deed.at)
        self._clock = VirtualClock(case.begins)
        self._stage = Stage(folder, case.path)
        self._processes = Processes()
        self._changes: list[Change] = []
        self._findings: dict[tuple[tuple[str, str, str | None], Severity], Finding] = {}
        self._store = _quick(Store(config.state))
        # a person's commands come from another process: what it writes is noticed, as theirs is
        self._by_hand = _quick(Store(config.state, exclusive=False))
        self._turns = Turns(
            _harmless(config),
            self._store,
            self._clock,
            Metrics(),
            self._compare,
            would=self._would,
            writers=self._processes,
        )
        self._sender = Sender(self._store, open_book(config), deliver=self._deliver)
        self._is_asleep = False
        self._look_at: datetime | None = None
        self._stuck: datetime | None = None

    def play(self) -> Iterator[Change]:
        """Everything that changes, in order. Raises CaseError where the case cannot be played on."""
        try:
            for at, steps, deeds in self._instants():
                if at > self._case.ends:
                    break
                yield from self._live_until(at)
                self._move_to(at)
                yield from self._happen(steps, deeds)
            yield from self._live_until(self._case.ends + timedelta(microseconds=1))
        finally:
            self._close()

    def _instants(self) -> Iterator[tuple[datetime, list[Step], list[Deed]]]:
        """The steps and deeds by their instant; what lies before the beginning is there when it begins."""
        begins, deeds = self._case.begins, list(self._deeds)
        at, together = begins, list[Step]()
        for step in self._case.steps:
            if step.at > at:
                yield from _with_deeds(at, together, deeds, step.at)
                at, together = step.at, []
            together.append(step)
        yield from _with_deeds(at, together, deeds, None)

    def _happen(self, steps: Sequence[Step], deeds: Sequence[Deed]) -> Iterator[Change]:
        for step in steps:
            self._take(step)
        for deed in deeds:
            config = deed.do(self._by_hand, self._clock.now())
            if config is not None:
                self._turns.use(_harmless(config))
                self._sender.use(open_book(config))
        if not self._is_asleep:
            yield from self._turn()
            self._look_at = self._clock.at + self._turns.config.poll

    def _take(self, step: Step) -> None:
        self._stage.apply(step)
        self._processes.take(step.processes)
        if step.ahead_s is not None:
            self._clock.ahead = timedelta(seconds=step.ahead_s)
        if step.asleep is not None:
            self._is_asleep = step.asleep

    def _live_until(self, end: datetime) -> Iterator[Change]:
        """The turns before an instant: the poll after a change, every deadline, and twice a minute."""
        while not self._is_asleep and (next_ := self._next_turn()) < end:
            self._move_to(next_)
            self._look_at = None
            yield from self._turn()

    def _next_turn(self) -> datetime:
        deadline = self._turns.look_again_at
        soon = [self._clock.at + AT_LEAST_EVERY]
        soon += [self._look_at] if self._look_at else []
        if deadline is not None:
            at = self._clock.true(deadline)
            if at > self._clock.at:
                soon.append(at)
            elif deadline != self._stuck:
                # asked for again though it has passed: the service would look at its next poll
                self._stuck = deadline
                soon.append(self._clock.at + self._turns.config.poll)
        return min(soon)

    def _move_to(self, at: datetime) -> None:
        self._clock.at = max(at, self._clock.at)
        if not self._is_asleep:
            self._turns.idle()

    def _turn(self) -> Iterator[Change]:
        self._turns.turn()
        # the one round hands over, the next one sees that it was taken
        while self._store.waiting() and self._sender.turn(self._clock.now()):
            pass
        changes, self._changes = self._changes, []
        yield from changes

    def _compare(self, published: Published) -> None:
        """What has become true since the last turn, and what no longer is; another severity is another finding."""
        now = {(finding.key, finding.severity): finding for finding in published.findings}
        for key in [key for key in self._findings if key not in now]:
            self._changes.append(Found(self._clock.at, "cleared", self._findings[key]))
        self._changes += [Found(self._clock.at, "found", now[key]) for key in now if key not in self._findings]
        self._findings = now

    def _would(self, action: str, finding: Finding) -> None:
        self._changes.append(Would(self._clock.at, action, finding))

    def _deliver(self, entry: Entry, address: str, deadline: timedelta, record: Path | None) -> Sent:
        message = entry.message
        severity = _SEVERITIES.get(message.get("type", ""), "info")
        what = _EVENTS.get(entry.event, entry.event)
        told = Told(self._clock.at, entry.target, what, severity, message["title"], message["text"])
        self._changes.append(told)
        return Sent()

    def _close(self) -> None:
        self._turns.stop()
        self._by_hand.close()
        self._stage.close()


def _with_deeds(
    at: datetime, steps: list[Step], deeds: list[Deed], until: datetime | None
) -> Iterator[tuple[datetime, list[Step], list[Deed]]]:
    """These steps with the deeds of the same instant, then the deeds before the next steps, each at its own."""
    done = [deed for deed in deeds if deed.at <= at]
    yield at, steps, done
    del deeds[: len(done)]
    while deeds and (until is None or deeds[0].at < until):
        deed = deeds.pop(0)
        yield deed.at, [], [deed]


def _harmless(config: Config) -> Config:
    """Nothing is done in a replay: what recovery would do is said instead."""
    if config.recovery.mode != "act":
        return config
    return config.but(recovery=config.recovery.but(mode="observe"))


def _quick(store: Store) -> Store:
    """No power cut is to be survived."""
    store.database.execute("PRAGMA synchronous = OFF")
    return store
