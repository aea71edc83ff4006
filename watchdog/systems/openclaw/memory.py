"""What OpenClaw does not write down and only somebody who looked before can know: slots, and markers that are gone.

The scheduled slot of a run is in no record. While a job waits its slot is its `nextRunAtMs`; so the slots are the next
runs that were seen. Each look hands in what stands there now and gets back what that means.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.cadence.schedule import fire_at_or_before, next_fire
from watchdog.core.model import At, CronSchedule, Every, Interruption, RecordedRun, RepeatedRun, Schedule
from watchdog.systems.openclaw.runs import SAME_RUN, RunBook
from watchdog.systems.openclaw.store import Gateway, OpenTask
from watchdog.systems.shared.host import Memory as Kept
from watchdog.systems.shared.notebook import Notebook

ON_TIME = timedelta(minutes=2)
"""A run that began so soon after a fire was that fire's run, and not somebody's by hand."""

AFTER_A_START = timedelta(minutes=10)
"""A run before its time so soon after the gateway's start is a replay, and not somebody's by hand."""

RECORDED = 8
"""Recorded runs of each job that are remembered: a run without an end stays in the ledger for minutes, or for good."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A run without an outcome. `slot`: the fire that it was for; `awaited`: the next run while it was lost."""

    started_at: datetime
    record: str | None = None
    slot: datetime | None = None
    awaited: datetime | None = None


@dataclass(frozen=True, slots=True)
class Sight:
    """What one look saw of one job. `evaluated_at`: when the condition that it watches for was last looked at."""

    id: str
    schedule: Schedule
    identity: str
    enabled: bool
    next_run_at: datetime | None
    marker: datetime | None
    last_run: RecordedRun | None
    changed_at: datetime | None = None
    evaluated_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Meaning:
    """What it means in the light of what was seen before."""

    in_flight_since: datetime | None = None
    interrupted: Interruption | None = None
    repeated: RepeatedRun | None = None
    missed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What was concluded of the gateway."""

    restarted_by: datetime


@dataclass(slots=True)
class Known:
    """A job as it was last seen, and what that means."""

    sight: Sight
    marker_slot: datetime | None = None
    lost: Lost | None = None
    repeated: RepeatedRun | None = None
    missed: datetime | None = None
    recorded: tuple[RecordedRun, ...] = ()

    @property
    def is_remarkable(self) -> bool:
        """Whether it says what another first look could not tell."""
        return bool(self.sight.marker or self.lost or self.repeated or self.missed)


class Memory:
    """Carried from look to look, and what could not be seen again over a restart of the watchdog.

    `restarted_by`: an instant by which the gateway had restarted, as far as was seen.
    """

    def __init__(self, memory: Kept) -> None:
        self._notes = Notebook(memory, "slots", Known)
        self._gateway = Notebook(memory, "gateway", Seen)
        self._known = dict(self._notes.notes)
        self.restarted_by = self._gateway.notes["now"].restarted_by if "now" in self._gateway.notes else None

    def keep(self) -> None:
        """Note what only this look has seen: markers and their slots, runs that were lost, done twice or missed."""
        self._notes.write({id_: known for id_, known in self._known.items() if known.is_remarkable})
        if self.restarted_by is not None:
            self._gateway.write({"now": Seen(self.restarted_by)})

    def see(
        self,
        sight: Sight,
        tasks: Iterable[OpenTask],
        book: RunBook,
        gateway: Gateway,
        now: datetime,
        *,
        replays: bool,
        is_orphan: bool,
        has_runs: bool,
        has_ledger: bool,
    ) -> Meaning:
        """What a job's state means now. `replays`: whether this layout's releases run an interrupted slot again;
        `is_orphan`: whether the marker's process is known to be gone; `has_runs`: whether finished runs can be read;
        `has_ledger`: whether every run that began shows in `tasks` until it has ended."""
        before = self._known.get(sight.id)
        known = Known(sight, before.marker_slot if before else None, recorded=_with(before, sight.last_run))
        in_flight = None if is_orphan else sight.marker
        if sight.marker:
            same = before and before.sight.marker == sight.marker
            known.marker_slot = before.marker_slot if same and before else sight.next_run_at
        lost = self._lost(sight, before, tasks, book, gateway, is_orphan=is_orphan, has_ledger=has_ledger)
        if lost and before and before.sight.marker and sight.marker is None:
            self.restarted_by = now
        is_over = lost is not None and _is_after(sight.last_run, lost.started_at)
        is_told = not has_runs or sight.last_run is None or book.has(sight.id, sight.last_run.started_at)
        if lost and not (is_over and is_told):
            # the log may trail the state by a moment; until it tells, the lost run is kept and not spoken of
            known.lost = lost if is_over else replace(lost, awaited=sight.next_run_at)
        was_seen = has_runs or bool(before and before.lost)
        second = lost if is_over and is_told and was_seen else None
        known.repeated = self._repeated(sight, before, second, book, gateway, replays=replays)
        known.missed = _missed(sight, before, now)
        self._known[sight.id] = known
        moved = known.missed if known.missed != sight.next_run_at else None
        return Meaning(in_flight, None if is_over else _said(known.lost, gateway), known.repeated, moved)

    def forget(self, there: set[str]) -> None:
        """Drop what belongs to jobs that are gone."""
        if len(self._known) > len(there):
            self._known = {id_: known for id_, known in self._known.items() if id_ in there}

    def _lost(
        self,
        sight: Sight,
        before: Known | None,
        tasks: Iterable[OpenTask],
        book: RunBook,
        gateway: Gateway,
        *,
        is_orphan: bool,
        has_ledger: bool,
    ) -> Lost | None:
        """The newest run that began and of which there is no outcome, if there is one; it may have been run again.

        A marker alone is no proof that the run began: those of a batch are all set at its start. The ledger tells.
        """
        found = [before.lost] if before and before.lost else []
        if not has_ledger:
            found += _by_marker(sight, before, gateway, is_orphan=is_orphan)
        for task in tasks:
            if _may_be_lost(task, sight, is_orphan=is_orphan):
                slot = _slot_seen(sight, before, task.started_at)
                found.append(Lost(task.started_at, task.record, _slot_before(slot, task.started_at)))
        unrecorded = [
            lost
            for lost in found
            if not book.has(sight.id, lost.started_at)
            and not any(_is_within(run, lost.started_at) for run in _with(before, sight.last_run))
            and _was_cut_off(lost.started_at, gateway)
            and not _was_taken_away(sight, before, lost.started_at, gateway)
        ]
        return _merged(unrecorded)

    def _repeated(
        self,
        sight: Sight,
        before: Known | None,
        lost: Lost | None,
        book: RunBook,
        gateway: Gateway,
        *,
        replays: bool,
    ) -> RepeatedRun | None:
        """The lost run's slot run a second time, as long as that second run is the last one."""
        last = sight.last_run
        if before and before.repeated:
            return before.repeated if last and last.started_at == before.repeated.second_start else None
        if lost is None or last is None or last.status == "skipped" or _ran_between(sight, lost, book):
            return None
        slot = lost.slot or _natural_slot(sight, lost.started_at, book)
        if slot is None or not _is_replay(lost, slot, last.started_at, gateway, replays=replays):
            return None
        record = f"{sight.id} at {int(last.started_at.timestamp() * 1000)} ms"
        return RepeatedRun(slot, None, last.started_at, lost.started_at, lost.record, record)


def _said(lost: Lost | None, gateway: Gateway) -> Interruption | None:
    if lost is None:
        return None
    restarted = gateway.started_at if gateway.started_at and gateway.started_at > lost.started_at else None
    return Interruption(lost.started_at, restarted, lost.record)


def _is_same(one: datetime | None, other: datetime) -> bool:
    return one is not None and abs(one - other) <= SAME_RUN


def _is_within(run: RecordedRun, at: datetime) -> bool:
    """Whether the recorded run is the one that began then. A start of the gateway records an interrupted run from its
    marker on, and in a batch the run itself may have begun much later than that."""
    return run is not None and (
        _is_same(run.started_at, at) or run.started_at <= at <= (run.ended_at or run.started_at)
    )


def _with(before: Known | None, run: RecordedRun | None) -> tuple[RecordedRun, ...]:
    """The runs that were seen recorded, newest last: an interrupted one may get no line in the log."""
    known = before.recorded if before else ()
    return known if run is None or run in known else (*known, run)[-RECORDED:]


def _is_after(run: RecordedRun | None, at: datetime) -> bool:
    return run is not None and run.started_at > at - SAME_RUN


def _slot_before(next_run_at: datetime | None, started: datetime) -> datetime | None:
    """The slot that a run is for: the next run that was due when it began. One that lay ahead is another's, and the run
    was somebody's by hand."""
    return next_run_at if next_run_at and next_run_at <= started + SAME_RUN else None


def _by_marker(sight: Sight, before: Known | None, gateway: Gateway, *, is_orphan: bool) -> list[Lost]:
    """The run of a marker that nobody owns, or that is gone. One that is gone beside an outcome had that outcome: it
    may have begun some time after its marker, unless the gateway is known to have started in between."""
    if sight.marker and is_orphan:
        return [Lost(sight.marker, None, _slot_before(sight.next_run_at, sight.marker))]
    marker = before.sight.marker if before and not before.lost else None
    if before is None or marker is None or sight.marker == marker:
        return []
    if gateway.started_at is None and sight.marker is None and _is_after(sight.last_run, marker):
        return []
    return [Lost(marker, None, _slot_before(before.marker_slot, marker))]


def _slot_seen(sight: Sight, before: Known | None, started: datetime) -> datetime | None:
    """The slot of the marker that the run began under, so far as it was seen."""
    for marker, slot in ((sight.marker, sight.next_run_at), *_marker_before(before)):
        if marker and marker <= started + SAME_RUN:
            return slot
    return None


def _marker_before(before: Known | None) -> list[tuple[datetime | None, datetime | None]]:
    return [(before.sight.marker, before.marker_slot)] if before else []


def _was_taken_away(sight: Sight, before: Known | None, started: datetime, gateway: Gateway) -> bool:
    """Whether somebody who changed the job since took the marker: switching it off frees it, and the run goes on. One
    that was seen to go without a change was taken by a start."""
    was_lost = before is not None and before.lost is not None and _is_same(before.lost.started_at, started)
    if was_lost or (before and before.sight.marker and before.sight.changed_at == sight.changed_at):
        return False
    if gateway.started_at is not None or sight.changed_at is None or _is_after(sight.last_run, started):
        return False
    has_moved = sight.next_run_at is not None and sight.next_run_at > started + SAME_RUN
    return sight.marker is None and sight.changed_at > started + SAME_RUN and (has_moved or not sight.enabled)


def _may_be_lost(task: OpenTask, sight: Sight, *, is_orphan: bool) -> bool:
    """Whether the task's run is not the one that the job's marker stands for, nor one that began inside it."""
    if task.job_id != sight.id:
        return False
    return sight.marker is None or is_orphan or sight.marker > task.started_at + SAME_RUN


def _was_cut_off(started: datetime, gateway: Gateway) -> bool:
    """Whether the gateway is not known to have been the same one ever since."""
    if gateway.started_at is None:
        return True
    return gateway.started_at > started or bool(gateway.stopped_at and gateway.stopped_at >= started)


def _merged(found: list[Lost]) -> Lost | None:
    """The newest; of two traces of one run each gives what it knows."""
    if not found:
        return None
    newest = max(found, key=lambda lost: lost.started_at)
    for other in found:
        if _is_same(other.started_at, newest.started_at):
            newest = Lost(
                min(newest.started_at, other.started_at),
                newest.record or other.record,
                newest.slot or other.slot,
                newest.awaited or other.awaited,
            )
    return newest


def _ran_between(sight: Sight, lost: Lost, book: RunBook) -> bool:
    """Whether the job had another run between the lost one and the last: then the last is not its repetition."""
    last = sight.last_run
    if last is None:
        return True
    runs = book.runs(sight.id)
    return any(lost.started_at + SAME_RUN < run.started_at < last.started_at - SAME_RUN for run in runs)


def _natural_slot(sight: Sight, started: datetime, book: RunBook) -> datetime | None:
    """The fire that a run of an unknown slot was for, by its schedule; None if it fits none, as by hand."""
    schedule = sight.schedule
    slot: datetime | None = None
    if isinstance(schedule, At):
        slot = schedule.at
    elif isinstance(schedule, CronSchedule):
        slot = fire_at_or_before(schedule, started)
    elif isinstance(schedule, Every):
        earlier = [run.started_at for run in book.runs(sight.id) if run.started_at < started - SAME_RUN]
        slot = next_fire(schedule, max(earlier)) if earlier else started
    return slot if slot and -SAME_RUN <= started - slot <= ON_TIME else None


def _is_replay(lost: Lost, slot: datetime, second: datetime, gateway: Gateway, *, replays: bool) -> bool:
    """Whether the second run was for the lost run's slot too.

    If the next run was seen after the run was lost, that is the second run's slot; one that began before it, just after
    a start of the gateway, made up for the old one. If nobody looked meanwhile it is what these releases do.
    """
    if lost.awaited is None:
        return replays
    if lost.awaited <= slot + SAME_RUN:
        return True
    started = gateway.started_at
    return second < lost.awaited - SAME_RUN and started is not None and started <= second <= started + AFTER_A_START


def _missed(sight: Sight, before: Known | None, now: datetime) -> datetime | None:
    """The oldest fire that was seen to pass without a run, until the job runs or somebody changes it."""
    if before is None or before.sight.identity != sight.identity or not sight.enabled:
        return None
    owed = before.missed or before.sight.next_run_at
    if owed is None or owed > now or sight.marker is not None:
        return None
    last = sight.last_run
    served = (last and (last.ended_at or last.started_at), sight.evaluated_at)
    if any(at and at > owed - SAME_RUN for at in served):
        return None
    return owed if sight.next_run_at is None or sight.next_run_at >= owed else None
