"""A scheduler that keeps its jobs in a JSON file, read as the configuration maps it (docs/json.md)."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from watchdog.cadence.schedule import next_fire
from watchdog.core.error_class import classify
from watchdog.core.kinds import Kind
from watchdog.core.model import (
    At,
    Interruption,
    Job,
    NoCadence,
    Process,
    RecordedRun,
    Schedule,
    Snapshot,
    Terms,
    Traits,
    Unreadable,
    Unseen,
)
from watchdog.core.redaction import one_line
from watchdog.systems.base import Look
from watchdog.systems.json_file.busy import SAME_MOMENT, Sight, State, is_lost_one_shot, planned_anew, states
from watchdog.systems.json_file.hidden import Doubts, Shown, ahead, doubts, hidden
from watchdog.systems.json_file.mapping import KEY, holds, value_at
from watchdog.systems.json_file.process import SeenProcess
from watchdog.systems.json_file.records import (
    CallRecords,
    DatabaseRecords,
    FolderRecords,
    LogRecords,
    Records,
)
from watchdog.systems.json_file.runs import (
    KEPT,
    SETTLED,
    Call,
    History,
    Run,
    columns_of,
    job_of,
    outcome_of,
    read_status,
    together,
    with_calls,
)
from watchdog.systems.json_file.schedules import schedule_of
from watchdog.systems.json_file.section import JsonFile, Runs
from watchdog.systems.shared.bounded import MOST_ROWS
from watchdog.systems.shared.host import Host, NoMemory
from watchdog.systems.shared.json_document import read_document
from watchdog.systems.shared.notebook import Notebook
from watchdog.systems.shared.outcomes import PLANNED
from watchdog.systems.shared.paces import Paces
from watchdog.systems.shared.plain_file import marks
from watchdog.systems.shared.sqlite_file import harm
from watchdog.systems.shared.unchanged import Unchanged
from watchdog.systems.shared.unreadable import BELIEVED_AFTER, UnreadableError
from watchdog.systems.shared.values import ERROR_LENGTH, Values

RETRY_AFTER = 0.1
"""Seconds until what was missing or half-written is tried once more."""

RACY = 0.02
"""Seconds: what changed so shortly before a look may change again without a new time stamp."""

ID_LENGTH = 128

EARLY = timedelta(minutes=1)
"""A one-shot may start this much before its time and has been run all the same."""

MISSED_SAVES = 3
"""After so many saves that did not come, and a minute, whoever saves by the clock is not running."""

CATCH_UP = timedelta(minutes=2)
"""How long after its start a scheduler takes to come to what it missed."""

Object = Mapping[str, object]

Plan = tuple[Schedule, bool]


@dataclass(frozen=True, slots=True)
class Note:
    """What was seen of a job and could not be seen again: what was planned, and since when; its next run, and what that
    was worked out from; since when it has had none, and since when it had none until it got one without having run."""

    plan: Plan
    since: datetime | None
    next_run_at: datetime | None = None
    anchor: datetime | None = None
    null_since: datetime | None = None
    broken_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Row:
    """A job as it stands there, with its columns."""

    id: str
    document: Object
    columns: Object
    history: History
    is_twice: bool = False


@dataclass(frozen=True, slots=True)
class _Facts:
    """What was read out of a row, before the others are asked."""

    row: _Row
    values: Values
    schedule: Schedule
    status: str
    is_enabled: bool
    next_run_at: datetime | None
    last_start: datetime | None
    updated_at: datetime | None
    anchor: datetime
    sight: Sight

    @property
    def is_planned(self) -> bool:
        """Whether it is to run."""
        return self.is_enabled and self.status == "active"


class JsonSource:
    """Watches one file of jobs. A look reads nothing if neither the file nor what lies beside it has changed."""

    kind = "json"

    def __init__(self, settings: JsonFile, host: Host) -> None:
        memory = host.memory
        self.name = settings.name
        self._settings = settings
        self._places = [(each, _records(each, settings)) for each in settings.runs if each.inside is None]
        self._records = [records for _, records in self._places]
        calls = settings.model_calls
        self._calls = CallRecords([settings.beside(path) for path in calls.database], calls) if calls else None
        self._memory = memory
        self._notes = Notebook(memory, "plans", Note)
        self._known = dict(self._notes.notes)
        self._restarted_at: datetime | None = memory.recall("restarts", datetime).get("")
        self._has_looked = bool(self._known)
        self._read: Unchanged[tuple[Object, list[Object]]] = Unchanged()
        self._plans: Unchanged[datetime | None] = Unchanged()
        self._runs: Unchanged[tuple[Run, ...]] = Unchanged()
        self._doubts: Unchanged[Doubts] = Unchanged()
        self._jobs: Unchanged[Job] = Unchanged()
        self._facts_of: dict[str, _Facts] = {}
        self._paces = Paces()
        self._process = SeenProcess([settings.beside(path) for path in settings.held_open], host)
        self._process_seen = Process()
        self._seen: object = None
        self._again_at: datetime | None = None
        self._snapshot: Snapshot | None = None
        self._unread_since: datetime | None = None

    def warnings(self) -> list[str]:
        """Whether reading the SQLite files beside it could harm their writer."""
        paths = [each.database.path for each in self._records if isinstance(each, DatabaseRecords)]
        paths += self._calls.paths if self._calls else []
        return [found for path in paths if (found := harm(path))]

    def look(self, now: datetime) -> Look:
        """The state now. No exception comes out of this."""
        began = time.perf_counter()
        seen, process = self._signature(), self._process.look(now, self._written_at, is_busy=self._is_busy)
        is_same = seen == self._seen and (self._again_at is None or now < self._again_at)
        is_same, self._process_seen = is_same and process == self._process_seen, process
        if self._snapshot is not None and is_same:
            return Look(self._snapshot, is_new=False)
        try:
            snapshot = self._assembled(self._document(), now)
            self._seen, self._unread_since = (seen if self._is_settled() else None), None
        except UnreadableError as error:
            if self._snapshot is not None and not self._is_believed(now):
                self._seen = None
                return Look(self._snapshot, is_new=False)
            snapshot = self._unreadable(str(error), now)
        except Exception as error:
            # the file is a stranger's: whatever it holds, the other sources must still be looked at
            snapshot = self._unreadable(f"{type(error).__name__}: {one_line(str(error), 200)}", now)
        is_new = snapshot != self._snapshot
        self._snapshot = snapshot if is_new or self._snapshot is None else self._snapshot
        return Look(self._snapshot, is_new, time.perf_counter() - began)

    @property
    def columns(self) -> list[Object]:
        """What the paths led to at the last look, of each job."""
        return [each.row.columns for each in self._facts_of.values()]

    @property
    def documents(self) -> list[Object]:
        """The jobs as they stood there at the last look."""
        return [each.row.document for each in self._facts_of.values()]

    @property
    def _is_busy(self) -> bool:
        """Whether a run was in flight at the look before."""
        return self._snapshot is not None and any(job.in_flight_since for job in self._snapshot.jobs)

    def _signature(self) -> object:
        beside = [each.signature() for each in self._records]
        return marks(self._settings.store), *beside, self._calls.signature() if self._calls else None

    def _is_settled(self) -> bool:
        return self._written_at is not None and time.time() - self._written_at.timestamp() > RACY

    @property
    def _written_at(self) -> datetime | None:
        found = marks(self._settings.store)
        return datetime.fromtimestamp(found[2] / 1e9, UTC) if found else None

    def _unreadable(self, reason: str, now: datetime) -> Snapshot:
        self._seen = None
        before = self._snapshot
        since = before.problem_since if before and before.problem else self._unread_since or now
        return Snapshot(self.name, self.kind, problem=one_line(reason, 500), problem_since=since)

    def _is_believed(self, now: datetime) -> bool:
        """Whether it could not be read at a look before this one. A single look has no other."""
        self._unread_since = self._unread_since or now
        return isinstance(self._memory, NoMemory) or now >= self._unread_since + BELIEVED_AFTER

    def _document(self) -> object:
        """What stands there; a file that is missing or half-written is tried once more where no look was before."""
        try:
            return read_document(self._settings.store)
        except UnreadableError:
            if self._snapshot is not None and not isinstance(self._memory, NoMemory):
                raise
            time.sleep(RETRY_AFTER)
            return read_document(self._settings.store)

    # one snapshot

    def _assembled(self, document: object, now: datetime) -> Snapshot:
        jobs, unseen = self._listed(document)
        records, unread = self._recorded()
        calls, unheard = self._called()
        self._again_at = None
        rows = self._rows(jobs, records, calls, now)
        unheard += self._uncalled(rows)
        facts = [self._facts(row, now) for row in rows]
        unheard += self._hidden(facts, records, now)
        self._facts_of = {each.row.id: each for each in facts}
        restarted = _newest(self._restart([each.sight for each in facts]), self._process_seen.started_at)
        process = self._process_at(restarted, now, [each.row.history for each in facts])
        self._notes.write(self._known)
        self._has_looked = True
        claims = states(
            [self._claimed(each, facts, restarted, now) for each in facts],
            restarted,
            is_gone=process.is_alive is False,
            one_at_a_time=self._settings.one_at_a_time,
        )
        known = tuple(self._same_job(each, claims.get(each.row.id, State())) for each in facts)
        self._jobs.forget({each.row.id for each in facts})
        self._doubts.forget({each.row.id for each in facts})
        self._paces.forget({each.row.id for each in facts})
        return Snapshot(
            self.name,
            self.kind,
            known,
            traits=self._traits(),
            process=process,
            unseen=(*unseen, *unread, *unheard),
        )

    def _listed(self, document: object) -> tuple[list[Object], list[Unseen]]:
        """The jobs in the document: of a list, or of an object that has them by name."""
        path = self._settings.list
        found = value_at(document, path) if path else document
        if isinstance(found, Mapping) and (not found or _has_objects(found.values())):
            found = [{KEY: key, **value} for key, value in found.items() if isinstance(value, Mapping)]
        if not isinstance(found, list) or (found and not _has_objects(found)):
            where = f"no list of jobs at {path}" if path else "no list of jobs"
            raise UnreadableError(f"{self._settings.store} has {where}: {_where_else(found)}")
        jobs = [job for job in found if isinstance(job, Mapping)]
        skip = self._settings.skip
        jobs = [job for job in jobs if not holds(skip, job)] if skip else jobs
        if len(jobs) <= MOST_ROWS:
            return jobs, []
        note = f"the file lists more than {MOST_ROWS:,} jobs: those after them are not looked at"
        hides = (Kind.OVERDUE, Kind.FAILED, Kind.VANISHED)
        return jobs[:MOST_ROWS], [Unseen(note, hides, "see what fills the list")]

    def _recorded(self) -> tuple[Mapping[str, list[Object]], list[Unseen]]:
        """What is on record of each job's runs beside the jobs."""
        found: dict[str, list[Object]] = {}
        unseen = []
        for each in self._records:
            try:
                for record in each.read():
                    found.setdefault(job_of(record), []).append(record)
            except UnreadableError as error:
                unseen.append(
                    Unseen(
                        one_line(str(error), 300),
                        (Kind.ZERO_TOKENS, Kind.FAILING),
                        "let it be read, or say another query",
                    )
                )
        return found, unseen

    def _inside(self, job: Object) -> list[Object]:
        """What is on record of its runs in the job itself."""
        found: list[Object] = []
        for runs in self._settings.runs:
            listed = value_at(job, runs.inside) if runs.inside else None
            newest = listed[-KEPT:] if isinstance(listed, list) else []
            found += [columns_of(runs.columns, each) for each in newest if isinstance(each, Mapping)]
        return found

    def _called(self) -> tuple[list[Call] | None, list[Unseen]]:
        if self._calls is None:
            return None, []
        try:
            return self._calls.read(), []
        except UnreadableError as error:
            return None, [Unseen(one_line(str(error), 300), (Kind.ZERO_TOKENS,), "let it be read")]

    def _uncalled(self, rows: Sequence[_Row]) -> Iterator[Unseen]:
        """That no call of a model is on record anywhere, though there were runs that made some."""
        settings = self._settings.model_calls
        if self._calls is None or settings is None or settings.needed is None or self._calls.are_kept:
            return
        if any(_is_well(row.history.last_ended) and holds(settings.needed, row.document) for row in rows):
            what = f"there is no record of the calls of its model: {' or '.join(map(str, self._calls.paths))}"
            remedy = "say where it is, model_calls: {database: FILE}, or that none is kept, model_calls: null"
            yield Unseen(what, (Kind.ZERO_TOKENS,), remedy)

    def _hidden(self, facts: Sequence[_Facts], records: Mapping[str, list[Object]], now: datetime) -> Iterator[Unseen]:
        """What of the jobs and their runs cannot be seen, or cannot be meant."""
        jobs = [
            Shown(
                id=one_line(each.row.id, ID_LENGTH),
                ran_at=each.last_start,
                is_due=(due := _first_fire(each.schedule, each.anchor)) is not None and due <= now,
                is_bare=each.next_run_at is None and each.schedule == NoCadence(),
                is_planned=each.is_planned and not each.values.problems,
                doubts=self._doubts_of(each.row, records),
            )
            for each in facts
        ]
        strays = records.keys() - {each.row.id for each in facts}
        yield from hidden(self._settings, jobs, self._places, strays)
        for found in ahead(jobs, now):
            self._look_again(now + timedelta(minutes=1))
            yield found

    def _doubts_of(self, row: _Row, records: Mapping[str, list[Object]]) -> Doubts:
        columns, inside = self._read.get(row.id, row.document, partial(self._columns, row.document))
        known = [*inside, *records.get(row.id, ())]
        return self._doubts.get(row.id, (columns, known), partial(doubts, columns, known))

    def _id(self, job: Object) -> str:
        ways = self._settings.jobs
        found = columns_of({"id": ways.get("id", ways.get("name", ()))}, job).get("id")
        return str(found)[:500] if found is not None else ""

    def _rows(
        self,
        jobs: Iterable[Object],
        records: Mapping[str, list[Object]],
        calls: Sequence[Call] | None,
        now: datetime,
    ) -> list[_Row]:
        rows: dict[str, _Row] = {}
        first: dict[str, str] = {}
        for job in jobs:
            id_ = self._id(job)
            id_ = first.setdefault(_shown(id_), id_)
            if id_ in rows:
                rows[id_] = replace(rows[id_], is_twice=True)
                continue
            columns, inside = self._read.get(id_, job, partial(self._columns, job))
            known = [*inside, *records.get(id_, [])]
            runs = self._runs.get(id_, known, partial(together, id_, known))
            rows[id_] = self._row(_Row(id_, job, columns, History(self._with_calls(job, runs, calls, now))))
        self._read.forget(rows)
        self._runs.forget(rows)
        return list(rows.values())

    def _row(self, row: _Row) -> _Row:
        """The one of the last look, if it is like it."""
        facts = self._facts_of.get(row.id)
        if facts is None or facts.row.columns is not row.columns or facts.row.is_twice:
            return row
        return facts.row if facts.row.history == row.history else row

    def _columns(self, job: Object) -> tuple[Object, list[Object]]:
        return columns_of(self._settings.jobs, job), self._inside(job)

    def _with_calls(
        self, job: Object, runs: tuple[Run, ...], calls: Sequence[Call] | None, now: datetime
    ) -> tuple[Run, ...]:
        settings = self._settings.model_calls
        if calls is None or settings is None or not runs:
            return runs
        newest = runs[-1].ended_at
        if newest is not None and timedelta() <= now - newest < SETTLED:
            self._look_again(newest + SETTLED)
        needs_one = settings.needed is not None and holds(settings.needed, job)
        return with_calls(runs, calls, needs_one=needs_one, now=now)

    def _look_again(self, at: datetime) -> None:
        self._again_at = min(self._again_at or at, at)

    def _facts(self, row: _Row, now: datetime) -> _Facts:
        """What the row says, which is read out of it once; and from when on it counts."""
        known = self._facts_of.get(row.id)
        facts = known if known is not None and known.row is row else self._read_out(row, now)
        sight = facts.sight
        anchor = self._anchor(row.id, (sight.schedule, sight.is_planned), sight.anchor, sight.next_run_at, now)
        return facts if facts.anchor == anchor else replace(facts, anchor=anchor)

    def _read_out(self, row: _Row, anchor: datetime) -> _Facts:
        values = Values(row.columns, ["its id is there more than once"] if row.is_twice else [])
        aside = Values(row.columns)  # what is odd in these columns only narrows what can be told
        schedule = schedule_of(values, self._settings)
        is_enabled, status = values.flag("enabled", default=True), _status(values.word("status"))
        if any(holds(condition, row.document) for condition in self._settings.disabled_by_scheduler):
            status = "failed"
        elif not row.id:
            values.problems.append("it has no id")
        next_run = values.instant("next_run_at")
        last_start = _newest(row.history.last_start, aside.instant("last_run_at"))
        updated = aside.instant("updated_at")
        open_run = row.history.open_run
        stored = _newest(last_start, _ended(row.history), aside.instant("planned_since"), updated)
        claimed = aside.instant("running_since") or (open_run.started_at if open_run else None)
        run_start = _newest(
            *(run.started_at for run in row.history.runs if not run.is_open), _closed_start(aside, claimed)
        )
        is_planned = is_enabled and status == "active"
        sight = Sight(
            row.id, schedule, is_planned, stored, next_run, run_start, claimed, open_run.id if open_run else None
        )
        return _Facts(row, values, schedule, status, is_enabled, next_run, last_start, updated, anchor, sight)

    def _anchor(
        self, id_: str, plan: Plan, stored: datetime | None, next_run: datetime | None, now: datetime
    ) -> datetime:
        """From when on the job's next fire is counted: its last run, or when it was last planned anew.

        A job that was scheduled, changed or switched on while it was watched owes nothing for the time before.
        """
        before = self._known.get(id_)
        if before is not None and before.anchor is not None and before.anchor <= now:
            stored = _newest(stored, before.anchor)  # a backup that was put back takes no work away
        is_as_before = (before is not None and before.plan == plan) or not self._has_looked
        planned_at = (before.since if before else None) if is_as_before else now
        anchor = _newest(stored, planned_at)
        if anchor is None:
            anchor = planned_at = now  # nothing tells since when it has been due
        due = _first_fire(plan[0], anchor)
        self._known[id_] = Note(
            plan, planned_at, next_run, stored, *self._without_next(before, plan, stored, next_run, due, now)
        )
        return anchor

    def _without_next(
        self,
        before: Note | None,
        plan: Plan,
        stored: datetime | None,
        next_run: datetime | None,
        due: datetime | None,
        now: datetime,
    ) -> tuple[datetime | None, datetime | None]:
        """Since when a job has had no next run; and since when it had none until it got one without having run."""
        is_same = before is not None and before.plan == plan and before.anchor == stored
        if next_run is None:
            known = before.null_since if before and is_same else None
            return (known or self._null_since(before, due, now) if plan[1] else None), None
        return None, (before.null_since or before.broken_since) if before and is_same else None

    def _null_since(self, before: Note | None, due: datetime | None, now: datetime) -> datetime | None:
        """When a job lost its next run: between two looks, or when the file was last written. If that was only now it
        says nothing, for a copy is as new as can be: then when the job was due."""
        if before is not None and before.next_run_at is not None:
            return now
        written = self._written_at
        return written if written is not None and timedelta(minutes=1) < now - written else due

    def _restart(self, sights: Sequence[Sight]) -> datetime | None:
        """The scheduler's newest start, as far as plans that were made anew show it. Forgets jobs that are gone."""
        there = {sight.id for sight in sights}
        self._known = {id_: note for id_, note in self._known.items() if id_ in there}
        if self._settings.recomputed_at_start:
            anew = [self._plans.get(each.id, each, partial(planned_anew, each, None)) for each in sights]
            self._plans.forget(there)
            found = _newest(self._restarted_at, *anew)
            if found != self._restarted_at and found is not None:
                self._restarted_at = found
                self._memory.keep("restarts", {"": found})
        return self._restarted_at

    def _claimed(self, facts: _Facts, others: Sequence[_Facts], restarted: datetime | None, now: datetime) -> Sight:
        """What it says of a run of it; where a job without a next run is in flight, since when it has none."""
        sight, note = facts.sight, self._known[facts.sight.id]
        if sight.claimed_at is not None:
            return sight
        if self._settings.unmarked and holds(self._settings.unmarked, facts.row.document):
            return self._unmarked(facts, others, now)
        if not self._settings.null_is_running:
            return sight
        if note.broken_since and restarted and restarted > note.broken_since:
            return replace(sight, claimed_at=note.broken_since)
        if not self._lacks_next(facts) or is_lost_one_shot(facts.schedule, restarted):
            return sight
        if self._settings.one_at_a_time and facts is not next(each for each in others if self._lacks_next(each)):
            return sight  # of those that were claimed together the first runs, and the others wait
        due = _first_fire(facts.schedule, facts.anchor)
        if due is None or due > now:
            return sight
        ran = _newest(*(each.last_start for each in others if each is not facts))
        return replace(sight, claimed_at=_newest(note.null_since or due, ran if ran and ran > due else None))

    def _unmarked(self, facts: _Facts, others: Sequence[_Facts], now: datetime) -> Sight:
        """A job of which nothing shows that it is in flight may be from when it was due, where runs wait for each other
        and none of the others was late by then: that is no proof, but it explains why they stand still."""
        due = facts.next_run_at
        if not facts.is_planned or due is None:
            return facts.sight
        if due > now:
            self._look_again(due)
            return facts.sight
        dues = [each.next_run_at for each in others if each.is_planned and each.next_run_at]
        is_first = self._settings.one_at_a_time and min(dues) >= due - timedelta(minutes=1)
        is_open = any(each.sight.claimed_at for each in others)
        return replace(facts.sight, claimed_at=due) if is_first and not is_open else facts.sight

    def _lacks_next(self, facts: _Facts) -> bool:
        is_odd = isinstance(facts.schedule, Unreadable | NoCadence) or bool(facts.values.problems)
        return facts.is_planned and facts.next_run_at is None and not is_odd

    def _same_job(self, facts: _Facts, state: State) -> Job:
        """The job of the last look if all that it rests on is the same."""
        basis = (facts.row, facts.anchor, facts.status, state, self._restarted_at)
        return self._jobs.get(facts.row.id, basis, partial(self._job, facts, state))

    def _job(self, facts: _Facts, state: State) -> Job:
        row, values, schedule, status = facts.row, facts.values, facts.schedule, facts.status
        run = (
            row.history.last_ended.recorded
            if row.history.last_ended
            else _run_of(Values(row.columns), facts.updated_at)
        )
        next_run, owed = self._due(facts, run)
        is_over = isinstance(schedule, At) and facts.last_start is not None and facts.last_start >= schedule.at - EARLY
        if status == "active" and is_over and next_run is None:
            status = "completed"
        if isinstance(schedule, At) and not facts.is_enabled and status in ("active", "completed") and _has_failed(run):
            status = "failed"  # it ran for nothing, and does not run again
        job = Job(
            id=_shown(row.id),
            name=values.text("name") or (f"job {one_line(row.id, ID_LENGTH)}" if row.id else "a job without a name"),
            schedule=schedule,
            enabled=facts.is_enabled,
            status=status,
            next_run_at=next_run,
            last_run=run,
            consecutive_errors=self._errors(row),
            delivery_status=values.text("delivery_status"),
            delivery_target=values.text("delivery_target"),
            created_by=values.text("created_by"),
            updated_at=facts.updated_at,
            in_flight_since=state.in_flight_since,
            last_started_at=_newest(facts.last_start, state.in_flight_since),
            recent=row.history.ends,
            zero_streak=row.history.zero_streak,
            terms=Terms(owed, None, self._grace, values.duration("max_run") or self._settings.max_run),
            interrupted=self._broken_off(state.interrupted),
            may_go_at=schedule.at if isinstance(schedule, At) else None,
            problems=tuple(dict.fromkeys(values.problems)),
        )
        changed_at = self._known[row.id].since
        return replace(job, pace=self._paces.of(job, [end.at for end in job.recent], changed_at=changed_at))

    def _broken_off(self, broken: Interruption | None) -> Interruption | None:
        """Who plans all jobs anew at its start makes up for none."""
        if broken is None or broken.restarted_at is None or not self._settings.recomputed_at_start:
            return broken
        return replace(broken, outlook="its work was not done, and nobody makes up for it")

    def _due(self, facts: _Facts, run: RecordedRun | None) -> tuple[datetime | None, datetime | None]:
        """The job's next run, and the fire that it owes where that is another one.

        By its work: what was due after its last run is owed until it runs, whatever its scheduler has planned since.
        """
        derived = _first_fire(facts.schedule, facts.anchor)
        written = facts.next_run_at
        if "next_run_at" not in self._settings.jobs or self._settings.advances_before_run:
            is_done = (
                isinstance(facts.schedule, At) and facts.last_start and facts.last_start >= facts.schedule.at - EARLY
            )
            return (None if is_done else derived or written), None
        if written is None:
            waits = self._settings.null_is_running and self._lacks_next(facts)
            return (derived if waits and not is_lost_one_shot(facts.schedule, self._restarted_at) else None), None
        if facts.last_start is not None and facts.last_start >= written - SAME_MOMENT:
            return derived or written, None  # it has run, and that is not written yet
        if written < facts.anchor and facts.anchor != facts.sight.anchor:
            return derived or written, None  # since that was planned it has run, or was changed, as was seen before
        is_held_back = self._settings.backs_off and _has_failed(run)
        if derived is None or written <= derived or is_held_back or isinstance(facts.schedule, At):
            return written, None
        return written, derived

    def _errors(self, row: _Row) -> int | None:
        """Errors in a row, as the scheduler counts them; where it counts runs as ok that were none, as they are."""
        aside = Values(row.columns)
        counted = aside.count("consecutive_errors") or 0
        if not row.history.runs:
            run = _run_of(aside, None)
            return max(counted, 1 if _has_failed(run) else 0)
        return max(counted, row.history.consecutive_errors)

    @property
    def _grace(self) -> timedelta:
        return self._settings.grace + self._settings.saved_every

    def _traits(self) -> Traits:
        settings = self._settings
        beside = any(each.is_there() for each in self._records)
        inside_only = bool(settings.runs) and not self._records
        # a list in the job mostly has runs that are over
        shows = settings.null_is_running or "running_since" in settings.jobs or beside or inside_only
        return Traits(has_one_slot=settings.one_at_a_time, shows_slot=shows, marks_starts=shows, catch_up=CATCH_UP)

    def _process_at(self, restarted: datetime | None, now: datetime, histories: Sequence[History]) -> Process:
        """What is known of the process. Who saves by the clock, and has not for a while, is not running."""
        process = replace(self._process_seen, started_at=restarted)
        if process.is_alive is None and self._process.is_let_go and self._was_written_by_a_caller(histories):
            return replace(process, is_alive=False)
        written, every = self._written_at, self._settings.saved_every
        if not every or written is None or process.is_alive is not None:
            return process
        gone_at = written + (self._settings.gone_after or MISSED_SAVES * every + timedelta(minutes=1))
        if now < gone_at:
            self._look_again(gone_at)
            return process
        return replace(process, is_alive=False, since=gone_at)

    def _was_written_by_a_caller(self, histories: Sequence[History]) -> bool:
        """Whether the jobs were last written at the end of a run that called a model: then whoever wrote them had the
        file of calls open, and nobody has started since."""
        written = self._written_at
        ends = [run.ended_at for history in histories for run in history.runs if run.ended_at and run.has_calls]
        return written is not None and any(abs(written - end) <= SAME_MOMENT for end in ends)


def _shown(id_: str) -> str:
    return one_line(id_, ID_LENGTH) or "(no id)"


def _has_objects(values: Iterable[object]) -> bool:
    return any(isinstance(value, Mapping) for value in values)


def _where_else(found: object) -> str:
    """What to say for the list, where one lies in what was found."""
    lists = found.items() if isinstance(found, Mapping) else ()
    name = next((key for key, value in lists if isinstance(value, list) and _has_objects(value)), None)
    return f"say list: {one_line(str(name), 60)}" if name else "is it the file, and of this kind?"


def _first_fire(schedule: Schedule, anchor: datetime) -> datetime | None:
    """The first fire after a job last ran, or was planned."""
    return schedule.at if isinstance(schedule, At) else next_fire(schedule, anchor)


def _records(settings: Runs, section: JsonFile) -> Records:
    if settings.folder is not None:
        return FolderRecords(section.beside(settings.folder), settings)
    if settings.log is not None:
        return LogRecords(section.beside(settings.log), settings)
    return DatabaseRecords(section.beside(settings.database or Path()), settings)


def _newest(*instants: datetime | None) -> datetime | None:
    return max((instant for instant in instants if instant), default=None)


def _is_well(run: Run | None) -> bool:
    return run is not None and run.outcome == "ok"


def _ended(history: History) -> datetime | None:
    return history.last_ended.over_at if history.last_ended else None


def _closed_start(values: Values, claimed: datetime | None) -> datetime | None:
    """The last run's start, unless it is the one that is claimed to be in flight."""
    started = values.instant("last_run_at")
    return None if started is not None and claimed is not None and started >= claimed else started


def _status(word: str) -> str:
    return "active" if not word or word in PLANNED else word


def _has_failed(run: RecordedRun | None) -> bool:
    return run is not None and (run.status == "error" or run.error_class is not None)


def _run_of(values: Values, updated_at: datetime | None) -> RecordedRun | None:
    """The last run as the job's own row says it; an error without a run is of when it was written."""
    word, error = read_status(values.text("last_run_status", ERROR_LENGTH))
    error = values.text("last_run_error", ERROR_LENGTH) or error
    outcome = outcome_of(word, error, has_ended=True)
    started = values.instant("last_run_at") or (updated_at if error else None)
    if started is None:
        return None
    return RecordedRun(
        started,
        outcome if word or error else None,
        values.duration("last_run_duration"),
        error,
        classify(error) if error and outcome == "error" else None,
    )


def open_json(settings: JsonFile, host: Host) -> JsonSource:
    """The source that a configuration describes."""
    return JsonSource(settings, host)
