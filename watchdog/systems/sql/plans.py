"""What was seen of each job from look to look, over restarts too: since when it has been planned as it is, when it last
ran, and what was deleted before anybody looked. From this follows what a job owes."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.cadence.schedule import fire_at_or_before, next_fire
from watchdog.core.model import At, CronSchedule, Every, Schedule
from watchdog.systems.shared.host import Memory
from watchdog.systems.shared.notebook import Notebook

AT_THE_LATEST = timedelta(minutes=10)
"""A one-shot that was first seen later than this after its time may have run, and its run be deleted since."""

AHEAD = timedelta(minutes=1)
"""An instant further ahead than this is a slip, and is not remembered."""

NOTED_EVERY = timedelta(minutes=1)
"""So exactly it is noted when a job last ran, for one of every second must not have the state written every second."""

LOOK_NOTED_EVERY = timedelta(minutes=5)

_LOOKS, _LOOKED, _PASSED = "looks", "looked", "passed"

Plan = tuple[Schedule, bool]
"""What decides when a job is due: its schedule, and whether it is to run at all."""


@dataclass(frozen=True, slots=True)
class Planned:
    """What was planned, schedule and whether it is to run, and since when as far as that was seen.

    `started_at`, `ended_at`: of the newest run that was seen, which its row need not outlive. `next_run_at`: what the
    job's own row said.
    """

    plan: Plan
    since: datetime | None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    next_run_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """What ran between two instants was deleted before it was seen."""

    after: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one job now: when its newest run started and ended, and what its row says is not owed."""

    started_at: datetime | None
    ended_at: datetime | None
    seen_start: datetime | None
    excuses: tuple[datetime | None, ...]


class Plans:
    """All jobs of one source. `passed_at`: when the scheduler is last known to have moved a job on."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._notes = Notebook(memory, "plans", Planned)
        self._plans = dict(self._notes.notes)
        self._has_looked = bool(self._plans)
        looks = memory.recall(_LOOKS, datetime)
        self._looked_at, self.passed_at = looks.get(_LOOKED), looks.get(_PASSED)
        self._look_noted_at = self._looked_at
        self._history_from: datetime | None = None
        self._gap: Gap | None = None
        self.lost: dict[str, Gap] = {}

    @property
    def ids(self) -> Collection[str]:
        """The jobs that are known."""
        return self._plans.keys()

    def none_has_run_since(self, at: datetime | None) -> bool:
        """Whether no job is known to have run, and all were planned before this."""
        since = [plan.since for plan in self._plans.values() if plan.since]
        return (
            at is not None and not any(p.started_at for p in self._plans.values()) and any(at > each for each in since)
        )

    def looked(self, now: datetime) -> None:
        """Until now, what ran would have been seen."""
        self._looked_at = now
        if self._look_noted_at is None or not timedelta() <= now - self._look_noted_at < LOOK_NOTED_EVERY:
            self._look_noted_at = now
            self._memory.keep(_LOOKS, {_LOOKED: now})

    def keep(self, ids: Collection[str]) -> None:
        """The look has ended; these jobs are there."""
        self._plans = {id_: plan for id_, plan in self._plans.items() if id_ in ids}
        self.lost = {id_: gap for id_, gap in self.lost.items() if id_ in ids}
        self._notes.write(self._plans)
        self._has_looked = True

    def history(self, since: datetime | None, now: datetime, *, is_first: bool, is_purged: bool) -> None:
        """How far back runs are kept now; nothing of what ran before that, and after the last look, can be known.

        On a first look runs that were seen before, by an earlier watchdog, tell that there had been any.
        """
        self._history_from, self._gap, until = since, None, since or now
        had_runs = is_purged or (is_first and any(plan.started_at for plan in self._plans.values()))
        if had_runs and self._looked_at is not None and self._looked_at < until <= now:
            self._gap = Gap(self._looked_at, until)

    def unchanged_history(self) -> None:
        """All runs since the last look are there."""
        self._gap = None

    def last_start(self, id_: str) -> datetime | None:
        """When a job was last seen to have started."""
        return self._plans[id_].started_at if id_ in self._plans else None

    def anchor(self, id_: str, plan: Plan, known: Known, now: datetime) -> datetime:
        """From when on the job's next fire is counted: its last run, or when it was last planned anew.

        A job that was scheduled, changed or switched on while it was watched owes nothing for the time before; nor does
        one of which no run is known, for the time before it was first seen: its runs may be deleted. What its row says
        is only ever what is *not* owed.
        """
        before = self._plans.get(id_, Planned(plan, None))
        is_as_before = before.plan == plan and (id_ in self._plans or not self._has_looked)
        since = before.since if is_as_before or not self._has_looked else now
        ended = _newest(known.ended_at, before.ended_at)
        if known.started_at is None and ended is None and since is None:
            since = now
        anchor = _newest(known.started_at, ended, since, *known.excuses) or now
        if self._is_lost(id_, plan, anchor, known):
            since = anchor = self.lost[id_].until
        self._plans[id_] = replace(
            before,
            plan=plan,
            since=since,
            started_at=_noted(before.started_at, known.started_at, now),
            ended_at=_noted(before.ended_at, ended, now),
        )
        return anchor

    def _is_lost(self, id_: str, plan: Plan, anchor: datetime, known: Known) -> bool:
        """Whether the job was due while nobody looked, and what ran then is deleted: nobody can know whether it did."""
        lost = self.lost.get(id_)
        if lost and known.seen_start and known.seen_start >= lost.until:
            del self.lost[id_]
        if self._gap is None or not plan[1] or isinstance(plan[0], At):
            return False
        due = next_fire(plan[0], anchor)
        if due is None or not self._gap.after < due <= self._gap.until:
            return False
        self.lost[id_] = self._gap
        return True

    def may_have_run(self, id_: str, at: datetime) -> bool:
        """Whether a one-shot of which no run is known may have run all the same, before it was first seen."""
        since = self._plans[id_].since
        reaches_back = self._history_from is not None and self._history_from <= at
        return since is not None and since > at + AT_THE_LATEST and not reaches_back

    def next_run(self, id_: str, due: datetime | None, schedule: Schedule, now: datetime) -> None:
        """What the job's row says. One that has moved on from a fire that had come is a sign of life of its scheduler;
        so is one that lies ahead of a fire that has come."""
        noted = self._plans[id_]
        if noted.next_run_at != due:
            self._plans[id_] = replace(noted, next_run_at=due)
        if due is None:
            return
        has_moved = noted.next_run_at is not None and noted.next_run_at <= now and due > noted.next_run_at
        self._pass(now if has_moved else _fire_before(schedule, due, now))

    def _pass(self, at: datetime | None) -> None:
        if at is None or (self.passed_at is not None and at <= self.passed_at):
            return
        if self.passed_at is None or at - self.passed_at >= NOTED_EVERY:
            self._memory.keep(_LOOKS, {_PASSED: at})
        self.passed_at = at


def _noted(noted: datetime | None, at: datetime | None, now: datetime) -> datetime | None:
    """What is noted of an instant: not one that lies ahead, and not each second anew."""
    if at is None or at > now + AHEAD or (noted is not None and at - noted < NOTED_EVERY):
        return noted
    return at


def _fire_before(schedule: Schedule, due: datetime, now: datetime) -> datetime | None:
    """The fire that the scheduler has moved on from, if its next one lies ahead."""
    if due <= now:
        return None
    if isinstance(schedule, Every):
        return min(due - schedule.interval, now)
    return fire_at_or_before(schedule, now) if isinstance(schedule, CronSchedule) else None


def _newest(*instants: datetime | None) -> datetime | None:
    return max((instant for instant in instants if instant), default=None)
