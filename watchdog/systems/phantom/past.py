"""The past of a Phantom agent: its cost events, its audit log, its rows as they are now, and the watchdog's own record.

All runs share one slot, and each leaves one cost event at its end (docs/phantom.md).
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from watchdog.core.instants import readable_instant, say
from watchdog.core.model import At, Job
from watchdog.systems.phantom.cost_ledger import job_events
from watchdog.systems.phantom.rows import swept_from
from watchdog.systems.phantom.section import Phantom
from watchdog.systems.phantom.source import LOOK_BACK, PhantomSource
from watchdog.systems.shared.error_counts import Deeds, count_errors
from watchdog.systems.shared.own_record import OwnRecord, own_record
from watchdog.systems.shared.past import (
    AS_NOW,
    CREATED,
    REDATED,
    Change,
    JobPast,
    PastError,
    PastRun,
    RunLog,
    SourcePast,
    gone_owner,
    instant_of,
)
from watchdog.systems.shared.sqlite_file import columns_of, has_row_numbers, read
from watchdog.systems.shared.unreadable import UnreadableError

SHOWS_AFTER = timedelta(seconds=3)
"""About so long after its start a run first shows in the file (docs/phantom.md, in flight)."""

GAPS = (
    "known only of each job's newest run: undelivered, unrecorded, duplicate, invalid",
    "not replayed: acknowledgements; that what was revived is over only once a run has shown it; "
    "unreachable and swept, which leave no trace; a run that never ended, unless it "
    "is in flight now or the watchdog saw it: its time looks like a stall",
    "assumed: schedules as they are now, a run's record written at its end, a restart where runs begin after a silence",
)


@dataclass(frozen=True, slots=True)
class _Audited:
    """One row of the scheduler's audit log."""

    at: datetime
    action: str
    previous: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class _File:
    """What one transaction read: the run ends, the audit log by job, and of each row when it was made and whether the
    sweep takes it. `there` and `gone` are the ids of the jobs, in the order of their owner numbers."""

    begins_at: datetime
    runs: RunLog
    there: tuple[str, ...]
    gone: tuple[str, ...]
    audit: Mapping[str, list[_Audited]]
    rows: Mapping[str, tuple[datetime | None, bool]]


def phantom_past(source: Phantom, state: Path | None, since: datetime, until: datetime) -> SourcePast:
    """The past of one agent from `since` to `until`, with what has to be known of the time before.

    Raises PastError if its file cannot be read.
    """
    begins = since - LOOK_BACK
    look = PhantomSource(source.name, source.database, source.timezone).look(until)
    if look.snapshot.problem:
        raise PastError(f"{source.name} cannot be read: {look.snapshot.problem}")
    own = own_record(state, source.name, begins)
    try:
        file, _ = read(
            source.database, lambda db: _read(db, begins, [job.id for job in look.snapshot.jobs]), longest=None
        )
    except UnreadableError as error:
        raise PastError(f"{source.name} cannot be read: {error}") from error
    _add_what_was_written_down(file, own or OwnRecord())
    jobs = _job_pasts(look.snapshot.jobs, file, own or OwnRecord())
    known_from = (own.known_from if own else None) or until
    records = (*_told_by(file, begins), _own_words(own, state))
    return SourcePast(
        look.snapshot,
        jobs,
        file.runs,
        begins,
        until,
        SHOWS_AFTER,
        _deeds(file, own or OwnRecord()),
        True,
        file.gone,
        records,
        (*_unsure(known_from, until), *GAPS),
        known_from,
    )


# the file


def _read(db: sqlite3.Connection, since: datetime, job_ids: list[str]) -> _File:
    """All run ends since an instant. The jobs that are there are numbered first, then those that are gone."""
    runs, owners = RunLog(), {id_: number for number, id_ in enumerate(job_ids)}
    gone: dict[str, int] = {}
    for job_id, end in job_events(db, since):
        owner = owners.get(job_id)
        if owner is None:
            owner = gone_owner(gone.setdefault(job_id, len(gone)))
        runs.add(owner, PastRun(end))
    return _File(since, runs, tuple(job_ids), tuple(gone), _audit(db), _rows(db))


def _audit(db: sqlite3.Connection) -> dict[str, list[_Audited]]:
    audit: dict[str, list[_Audited]] = defaultdict(list)
    there = set(columns_of(db, "scheduler_audit_log"))
    if there >= {"job_id", "action", "created_at"} and has_row_numbers(db, "scheduler_audit_log"):
        states = ", ".join(name if name in there else "NULL" for name in ("previous_status", "new_status"))
        query = f"SELECT job_id, action, created_at, {states} FROM scheduler_audit_log ORDER BY rowid"  # noqa: S608
        for job_id, action, text, previous, new in db.execute(query):
            at = readable_instant(text)
            if at is not None:
                audit[str(job_id)].append(_Audited(at, str(action), previous, new))
    return audit


def _rows(db: sqlite3.Connection) -> dict[str, tuple[datetime | None, bool]]:
    there = columns_of(db, "scheduled_jobs")
    wanted = ", ".join(name if name in there else "NULL" for name in ("created_at", "delete_after_run"))
    rows = db.execute(f"SELECT id, {wanted} FROM scheduled_jobs").fetchall()  # noqa: S608
    return {str(id_): (readable_instant(created), delete == 0) for id_, created, delete in rows}


# what it comes to


def _add_what_was_written_down(file: _File, own: OwnRecord) -> None:
    """The runs' starts, lengths and outcomes, where the watchdog was there to see them."""
    runs = file.runs
    of_owner = {owner: own.runs.get(id_, {}) for owner, id_ in enumerate(file.there)}
    of_owner |= {gone_owner(place): own.runs.get(id_, {}) for place, id_ in enumerate(file.gone)}
    for number, (owner, second) in enumerate(zip(runs.owners, runs.ended, strict=True)):
        known = of_owner[owner].get(second)
        if known is not None:
            runs.know(number, known)


def _job_pasts(jobs: Iterable[Job], file: _File, own: OwnRecord) -> tuple[JobPast, ...]:
    numbers = file.runs.by_owner()
    return tuple(_job_past(job, numbers[place], file, own) for place, job in enumerate(jobs))


def _job_past(job: Job, numbers: list[int], file: _File, own: OwnRecord) -> JobPast:
    created, is_swept = file.rows.get(job.id, (None, False))
    if created and created < file.begins_at:
        created = None  # it may have run since without a trace among those that were read
    audited = file.audit.get(job.id, [])
    asked = [Change(row.at, state) for row in audited if (state := _state_after(row))]
    changes = sorted([*asked, *own.changes.get(job.id, [])], key=lambda change: change.at)
    states = [_state_before(audited, changes), *(change.state for change in changes)]
    resets = [
        change.at
        for before, change in zip(states, changes, strict=False)
        if change.state == "active" and before in ("paused", "failed")
    ]
    by_hand = {row.at for row in audited if row.action == "run"}
    count_errors(file.runs, numbers, job, Deeds(resets, by_hand))
    newest = file.runs.ended_at(numbers[-1]) if numbers else None
    known = _with_ends(changes, created, job, newest, own)
    return JobPast(
        job, known, states[0], own.before.get(job.id), swept_from if is_swept else None, tuple(own.cut.get(job.id, ()))
    )


def _state_after(row: _Audited) -> str | None:
    """The state that a row of the audit log tells of, if it tells of one."""
    usual = {"pause": "paused", "resume": "active"}.get(row.action)
    return row.new or usual if usual else None


def _state_before(audited: list[_Audited], changes: list[Change]) -> str:
    """What the job was before the first change that is known; active unless the audit log says otherwise."""
    first = next((row for row in audited if row.action in ("pause", "resume")), None)
    if first is None or not first.previous or (changes and changes[0].at < first.at):
        return "active"
    return first.previous


def _deeds(file: _File, own: OwnRecord) -> tuple[datetime, ...]:
    """When people did something that sets the scheduler's timer going: of some only the job's state tells."""
    deeds = [created for created, _ in file.rows.values() if created]
    deeds += [row.at for rows in file.audit.values() for row in rows]
    return tuple(sorted([*deeds, *(change.at for changes in own.changes.values() for change in changes)]))


def _with_ends(
    changes: list[Change], created: datetime | None, job: Job, newest: datetime | None, own: OwnRecord
) -> tuple[Change, ...]:
    """From when on the job was there, and from when on it is as its row says.

    A hand that leaves the row's time stamp as it was is known only by the watchdog's own record.
    """
    noticed = [change.at for change in own.changes.get(job.id, [])[-1:]]
    settled = max([at for at in (job.updated_at, newest, *noticed) if at], default=None)
    kept = [change for change in changes if settled is None or change.at < settled]
    kept += _held_back(job, newest, settled)
    first = [Change(created, CREATED)] if created else []
    last = [Change(settled, AS_NOW)] if settled else []
    if settled and job.next_run_at and job.next_run_at > settled:
        last.append(Change(job.next_run_at, REDATED))
    return (*first, *kept, *last)


def _held_back(job: Job, newest: datetime | None, settled: datetime | None) -> list[Change]:
    """A one-shot that is active, has no next run and did not run at its time was paused then."""
    if not isinstance(job.schedule, At) or not job.is_planned or job.next_run_at or not settled:
        return []
    is_past = job.schedule.at < settled and (newest is None or newest < job.schedule.at)
    return [Change(job.schedule.at, "paused")] if is_past else []


# in words


def _told_by(file: _File, begins: datetime) -> tuple[str, ...]:
    runs = file.runs
    events = _many(len(runs), "cost event") + (f" since {say(instant_of(runs.ended[0]))}" if len(runs) else "")
    rows = sum(len(rows) for rows in file.audit.values())
    return (events, f"{_many(rows, 'row')} of the audit log", "the jobs' rows as they are now")


def _unsure(known_from: datetime, until: datetime) -> tuple[str, ...]:
    when = "" if known_from >= until else f" before {say(known_from)}"
    return (
        f"not certain{when}, and marked so: overdue, stalled and wedged. Phantom keeps how a job's newest run ended, "
        "and nobody wrote the others down: a pause after errors, or a run that hung, looks like these",
    )


def _own_words(own: OwnRecord | None, state: Path | None) -> str:
    if own is None:
        return f"only the database is used, for the watchdog's own record is not there ({state})"
    count = sum(map(len, own.runs.values()))
    begins = own.begins_at
    return f"{_many(count, 'run')} on the watchdog's own record" + (f" since {say(begins)}" if begins else "")


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
