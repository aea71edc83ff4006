"""The simulated scheduler and the watchdog's engine side by side on one virtual clock.

`Agent` decides what each run does and keeps the truth about it; `Watch` wakes as the service does and keeps what was
published from when to when; a `Claim` says what should have been, worked out by the test from the truth alone.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from watchdog.config.file import Config
from watchdog.config.settings import Detect
from watchdog.core.clock import SHORTEST_WAIT
from watchdog.core.model import Finding
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.detectors.diagnosis import diagnose
from watchdog.engine import Engine
from watchdog.systems.phantom.section import Phantom
from watchdog.systems.phantom.source import PhantomSource

MS, SECOND, MINUTE, HOUR, DAY = (
    timedelta(**{unit: 1}) for unit in ("milliseconds", "seconds", "minutes", "hours", "days")
)
POLL = 2 * SECOND
TOUCH = 3 * SECOND
"""How long after its start a run first shows in the file."""

START = datetime(2026, 6, 10, 8, tzinfo=UTC)

Calls = tuple[str, str | None]
"""A cause: its kind, and the job's name (its id where the row is gone; None for the scheduler)."""


@dataclass
class Run:
    """The truth about one run. `ended_at` and `let_go_at` (when the slot is free again) are None if it hangs."""

    job: str
    started_at: datetime
    outcome: Outcome

    @property
    def ended_at(self) -> datetime | None:
        return None if self.outcome.hangs else self.started_at + self.outcome.duration

    @property
    def let_go_at(self) -> datetime | None:
        if self.ended_at is None or self.outcome.delivery_hangs:
            return None
        delivers = self.outcome.ok and self.outcome.delivery is not None
        return self.ended_at + (self.outcome.delivery_duration if delivers else timedelta())


@dataclass
class Agent:
    """What the agent does: for each job its usual outcome, after those that are queued for it."""

    usual: dict[str, Outcome] = field(default_factory=dict)
    queued: dict[str, list[Outcome]] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)

    def __call__(self, job: str, now: datetime) -> Outcome:
        waiting = self.queued.get(job)
        outcome = waiting.pop(0) if waiting else self.usual.get(job, Outcome())
        self.runs.append(Run(job, now, outcome))
        return outcome

    def then(self, job: str, *outcomes: Outcome) -> None:
        """What the job's next runs come to."""
        self.queued.setdefault(job, []).extend(outcomes)

    def of(self, job: str) -> list[Run]:
        """The job's runs so far, oldest first."""
        return [run for run in self.runs if run.job == job]

    def last(self, job: str) -> Run:
        """The job's newest run."""
        return self.of(job)[-1]

    def first_after(self, job: str, instant: datetime) -> Run:
        """The job's first run that started at `instant` or later."""
        return next(run for run in self.of(job) if run.started_at >= instant)


def touch_of(run: Run) -> datetime:
    """When the run first shows: whole seconds, as the file has it."""
    return (run.started_at + TOUCH).replace(microsecond=0)


def row_of(path: Path, job_id: str) -> dict[str, object]:
    """The job's row, read with nothing of the watchdog; empty if it is gone."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM scheduled_jobs WHERE id = ?", (job_id,)).fetchone()
    return dict(row) if row else {}


def next_run(path: Path, job_id: str) -> datetime:
    """The row's `next_run_at`."""
    return datetime.fromisoformat(str(row_of(path, job_id)["next_run_at"]))


def change(path: Path, statement: str, *values: object) -> None:
    """What somebody writes into the file behind the scheduler's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


@dataclass(frozen=True)
class Spell:
    """One finding from the wake that found it to the wake that no longer did, with each cause it was filed under."""

    kind: str
    job: str | None
    seen_at: datetime
    over_at: datetime | None
    causes: tuple[Calls | None, ...]
    first: Finding

    def __str__(self) -> str:
        return f"{self.kind} {self.job} {self.seen_at} .. {self.over_at} {self.causes}"


@dataclass(frozen=True)
class Claim:
    """That something is so from `since` to `until`, under these causes one after the other (None: under none).

    `latest`: where the words leave the end open, the latest instant at which it may still be told. `says`: since when
    the finding itself says that it is so, if that is not `since`.
    """

    kind: str
    job: str | None
    since: datetime
    until: datetime | None = None
    causes: tuple[Calls | None, ...] = (None,)
    latest: datetime | None = None
    says: datetime | None = None


def findings_of(path: Path, now: datetime, detect: Detect | None = None) -> tuple[Finding, ...]:
    """What a single look tells, with no memory of earlier ones: the `check` command."""
    return diagnose(PhantomSource("phantom", path).look(now).snapshot, now, detect or Detect()).findings


class Watch:
    """The engine on the simulator's clock.

    It wakes at each poll that finds something written and at each `look_again_at`; polls that find nothing new are
    left out, for the engine does nothing at one. `poll` may be made tiny, to judge at each event itself.
    """

    def __init__(self, sim: Simulator, path: Path, *, poll: timedelta = POLL, phase: timedelta = timedelta()) -> None:
        self.sim = sim
        self.path = path
        self.poll = poll
        self.wakes = 0
        self.engine = Engine(Config(sources=(Phantom(name="phantom", database=path),)))
        self.findings: tuple[Finding, ...] = ()
        self.history: list[tuple[datetime, tuple[Finding, ...]]] = []
        self.look_again_at: datetime | None = None
        sim.run_until(sim.now + phase)
        self._wake(sim.now)

    def run_for(self, length: timedelta) -> None:
        """See `run_until`."""
        self.run_until(self.sim.now + length)

    def run_until(self, instant: datetime) -> None:
        """Both go on to `instant`. What was done by hand before the call is seen at the next poll."""
        for _ in self.each_wake(instant):
            pass

    def each_wake(self, instant: datetime) -> Iterator[datetime]:
        """The same, handing over after each wake."""
        may_be_changed = True
        while (wake := self._next_wake(may_be_changed)) is not None and wake <= instant:
            self.sim.run_until(wake)
            self._wake(wake)
            may_be_changed = False
            yield wake
        self.sim.run_until(instant)

    def _next_wake(self, may_be_changed: bool) -> datetime | None:
        event = self.sim.now if may_be_changed else self.sim.next_event()
        wakes = [self._poll_from(event)] if event else []
        if self.look_again_at:
            wakes.append(self._deadline_wake(self.look_again_at))
        # a restart's downtime may have gone by without the watch
        return max(min(wakes), self.sim.now) if wakes else None

    def _poll_from(self, event: datetime) -> datetime:
        """The first poll that sees what is written at `event`."""
        polls = -((self._last - event) // self.poll)
        return self._last + max(1, polls) * self.poll

    def _deadline_wake(self, deadline: datetime) -> datetime:
        """The service's wait: until the deadline, at least the shortest wait after the poll before it."""
        polls = max(0, (deadline - self._last) // self.poll)
        return max(deadline, self._last + polls * self.poll + SHORTEST_WAIT)

    def _wake(self, now: datetime) -> None:
        published = self.engine.tick(now).published
        self._last = now
        self.wakes += 1
        self.look_again_at = published.look_again_at
        self.findings = published.findings
        self.snapshot = published.sources[0].snapshot
        if not self.history or self.history[-1][1] != self.findings:
            self.history.append((now, self.findings))

    # what came of it

    def now_found(self) -> set[tuple[str, str | None]]:
        """The kinds and jobs of the findings of the last wake."""
        return {(finding.kind.value, finding.job or finding.job_id) for finding in self.findings}

    def get(self, kind: str, job: str | None) -> Finding:
        """The finding of that kind about that job, as last published."""
        (found,) = [f for f in self.findings if (f.kind.value, f.job or f.job_id) == (kind, job)]
        return found

    def spells(self) -> list[Spell]:
        """Everything that was found, in order of its first wake."""
        keys = {finding.key for _, findings in self.history for finding in findings}
        spells = [spell for key in keys for spell in self._spells_of(key)]
        return sorted(spells, key=lambda spell: (spell.seen_at, spell.kind, spell.job or ""))

    def _spells_of(self, key: tuple[str, str, str | None]) -> Iterator[Spell]:
        opened: tuple[datetime, list[Finding]] | None = None
        for at, findings in self.history:
            found = next((finding for finding in findings if finding.key == key), None)
            if found and opened:
                opened[1].append(found)
            elif found:
                opened = (at, [found])
            elif opened:
                yield _spell(opened, at)
                opened = None
        if opened:
            yield _spell(opened, None)

    def told(self, claims: Iterable[Claim], besides: Collection[str] = ()) -> None:
        """Asserts that exactly the claims were found, in time and under their causes; kinds `besides` do not count."""
        spells = [spell for spell in self.spells() if spell.kind not in besides]
        for claim, spell in self.in_time(claims, spells):
            assert spell.causes == claim.causes, f"{claim.kind} {claim.job}"

    def in_time(self, claims: Iterable[Claim], spells: Iterable[Spell]) -> list[tuple[Claim, Spell]]:
        """Asserts that the spells are those claimed: each within poll + 1 s of becoming true and of its end."""
        wanted = sorted(claims, key=lambda claim: (claim.kind, claim.job or "", claim.since))
        found = sorted(spells, key=lambda spell: (spell.kind, spell.job or "", spell.seen_at))
        assert [(claim.kind, claim.job) for claim in wanted] == [(spell.kind, spell.job) for spell in found]
        for claim, spell in zip(wanted, found, strict=True):
            self._is_in_time((claim.since, claim.since), spell.seen_at, f"{spell} begins")
            assert (claim.until is None) == (spell.over_at is None), f"{spell} ends"
            if claim.until and spell.over_at:
                self._is_in_time((claim.until, claim.latest or claim.until), spell.over_at, f"{spell} ends")
            true_at, since = claim.says or claim.since, spell.first.since
            assert since, f"{spell} does not say since when"
            assert _is_second_of(true_at, since), f"{spell} says since {since}, not {true_at}"
        return list(zip(wanted, found, strict=True))

    def _is_in_time(self, true_at: tuple[datetime, datetime], seen_at: datetime, what: str) -> None:
        # most of the file's time stamps are cut to the second, so a deadline may come that much sooner
        earliest, latest = true_at[0].replace(microsecond=0), true_at[1] + self.poll + SECOND
        assert earliest <= seen_at <= latest, f"seen at {seen_at}, true at {true_at[0]}: {what}"


def _is_second_of(true_at: datetime, told: datetime) -> bool:
    """Whether it is the same instant, but for the cutting of the file's time stamps."""
    return true_at.replace(microsecond=0) <= told <= true_at + SECOND


def _spell(opened: tuple[datetime, list[Finding]], over_at: datetime | None) -> Spell:
    seen_at, findings = opened
    causes: list[Calls | None] = []
    for finding in findings:
        cause = finding.caused_by
        calls = (cause.kind, cause.job or cause.job_id) if cause else None
        if not causes or causes[-1] != calls:
            causes.append(calls)
    first = findings[0]
    return Spell(first.kind.value, first.job or first.job_id, seen_at, over_at, tuple(causes), first)


@contextmanager
def scheduler(path: Path, agent: Agent, now: datetime = START, **options: object) -> Iterator[Simulator]:
    """A simulator on `path` that is closed at the end."""
    with Simulator(path, now, behaviour=agent, **options) as sim:  # type: ignore[arg-type]
        yield sim
