"""What is remembered of each job from look to look: since when it is as it is, and which fire it owes.

A next run that stands in the file says nothing: Hermes moves it on before a run, and also where it then begins none. So
what a job owes is counted from its own runs, and from when it was last seen to be planned anew.
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.cadence.schedule import fire_at_or_before, next_fire
from watchdog.core.model import At, CronSchedule, Every, Schedule
from watchdog.systems.hermes.records import Record
from watchdog.systems.hermes.runs import History, Run

SERVED_WITHIN = timedelta(seconds=90)
"""A tick and its own length: what is not served by then was seen to be owed."""

MENDED_WITHIN = timedelta(seconds=125)
"""Two ticks: by then Hermes has given a next run to a job that had none."""

A_TICK_OFF = timedelta(seconds=5)
"""How far what Hermes has worked out as the next run may lie from what is worked out here."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A job as it was last seen. `floor`: nothing that was due before it is owed; None: nothing is known of that.

    `is_owed`: a fire was seen to go by. `null_since`: since when it has had no next run. `errors`, `counted_at`: by the
    file, the errors in a row, and the run that was counted last. `has_run`: it has left a folder.
    """

    name: str
    schedule: Schedule
    is_planned: bool
    floor: datetime | None = None
    changed_at: datetime | None = None
    is_owed: bool = False
    null_since: datetime | None = None
    errors: int = 0
    counted_at: datetime | None = None
    has_run: bool = False
    claimed_at: datetime | None = None
    gone_at: datetime | None = None
    lost: str | None = None
    lost_at: datetime | None = None


def plan_of(
    record: Record,
    history: History,
    before: Plan | None,
    now: datetime,
    *,
    was_watched: bool,
    ticks_fail: bool,
    lost: str | None = None,
) -> tuple[Plan, datetime | None]:
    """The plan now, and the fire that is owed next; None if none is. `was_watched`: this process saw it a poll ago.

    `lost`: what names its newest run, if that was broken off: until then its fires were swallowed.
    """
    is_same = before is not None and (before.schedule, before.is_planned) == (record.schedule, record.is_planned)
    if before is not None and is_same and (was_watched or _owes_still(before, record, history)):
        floor, changed_at = before.floor, before.changed_at
    elif before is not None and not is_same and was_watched:
        floor, changed_at = _planned_at(record.schedule, now), now
    else:
        floor = _first_floor(record, history, now, ticks_fail=ticks_fail)
        changed_at = before.changed_at if before is not None and is_same else None
    lost_at = None if lost is None else before.lost_at if before and before.lost == lost else now
    if lost_at is not None and not isinstance(record.schedule, At):
        floor = max(floor or lost_at, _planned_at(record.schedule, lost_at))
    owed = owed_by(record, history, floor)
    is_open = any(run.started_at for run in history.open)
    is_null = record.is_planned and record.next_run_at is None
    plan = Plan(
        record.name,
        record.schedule,
        record.is_planned,
        floor,
        changed_at,
        record.is_planned and not is_open and owed is not None and now >= owed + SERVED_WITHIN,
        ((before.null_since if before else None) or now) if is_null else None,
        has_run=bool(record.last_run_at or history.newest or (before and before.has_run)),
        claimed_at=record.claimed_at or (before.claimed_at if before else None),
        lost=lost,
        lost_at=lost_at,
    )
    return _counted(plan, record, before), owed


def _owes_still(before: Plan, record: Record, history: History) -> bool:
    owed = owed_by(record, history, before.floor)
    return before.is_owed and owed is not None and (history.last_start is None or history.last_start < owed)


def _planned_at(schedule: Schedule, now: datetime) -> datetime:
    return now + schedule.interval if isinstance(schedule, Every) else now


def _first_floor(record: Record, history: History, now: datetime, *, ticks_fail: bool) -> datetime | None:
    """What a first look can tell to be owed: what a run was claimed for that has not begun, and what the file has due.
    Beyond that the job may have been paused, changed or made anew, and nothing tells when."""
    waiting = [run for run in history.open if run.started_at is None]
    if waiting:
        return _claimed_for(record.schedule, waiting[0])
    if ticks_fail and not isinstance(record.schedule, At):
        return None
    return record.next_run_at


def _claimed_for(schedule: Schedule, run: Run) -> datetime:
    fire = fire_at_or_before(schedule, run.claimed_at) if isinstance(schedule, CronSchedule) else None
    return fire or run.claimed_at


def last_end(record: Record, history: History) -> datetime | None:
    """When its last run ended. The file's own word is taken where no run is on record: at an orderly stop Hermes writes
    one for jobs that only waited, too."""
    if history.last_end is not None or history.newest is not None:
        return history.last_end
    return None if _is_by_shutdown(record) else record.last_run_at


def _is_by_shutdown(record: Record) -> bool:
    return "shutdown" in (record.last_error or "").casefold()


def owed_by(record: Record, history: History, floor: datetime | None) -> datetime | None:
    """The first fire after its last run, or after it was made; or after `floor`."""
    schedule = record.schedule
    if isinstance(schedule, At):
        return record.next_run_at
    base = last_end(record, history) or record.created_at
    fire = next_fire(schedule, base) if base else floor or record.next_run_at
    if fire is not None and floor is not None and fire < floor:
        is_cron = isinstance(schedule, CronSchedule)
        fire = next_fire(schedule, floor - timedelta(microseconds=1)) if is_cron else floor
    stored = record.next_run_at
    return stored if fire and stored and abs(stored - fire) <= A_TICK_OFF else fire


def _counted(plan: Plan, record: Record, before: Plan | None) -> Plan:
    """With one more error, or none, for each run that the file has told of since."""
    if record.last_run_at is None or _is_by_shutdown(record):
        return replace(plan, errors=before.errors, counted_at=before.counted_at) if before else plan
    if before is not None and before.counted_at is not None and record.last_run_at <= before.counted_at:
        return replace(plan, errors=before.errors, counted_at=before.counted_at)
    failed = record.last_status not in (None, "ok", "delivery_failed")
    errors = (before.errors if before else 0) + 1 if failed else 0
    return replace(plan, errors=errors, counted_at=record.last_run_at)


def deleted(gone: dict[str, Plan], among: int, *, has_folder: Collection[str] | None) -> set[str]:
    """Which of the jobs that are gone since the last look somebody deleted: that takes a job's results with it.
    `has_folder`: those that have theirs still; None where no folder of any job can be seen.

    Of a job that has never run nothing tells. It was deleted if it went alone, and went with the others otherwise.
    """
    if has_folder is not None:
        sure = {id_ for id_, plan in gone.items() if plan.has_run and id_ not in has_folder}
    else:
        sure = set()
    unsure = {id_ for id_ in gone if id_ not in sure and (has_folder is None or id_ not in has_folder)}
    lost = len(gone) - len(sure)
    is_mass = lost > 1 and 2 * lost >= among
    is_with_lost = lost > len(unsure)
    return sure if is_mass or (is_with_lost and len(gone) > 1) else sure | unsure
