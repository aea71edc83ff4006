"""The nouns. All are frozen: what a tick is given cannot change under it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Literal

from watchdog.core.kinds import Kind, Severity


class ErrorClass(StrEnum):
    """Whether trying again can help: `transient` yes, `permanent` no."""

    TRANSIENT = "transient"
    PERMANENT = "permanent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class At:
    """Once, at an instant."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Every:
    """An interval that is counted from the end of the previous run."""

    interval: timedelta


CronRules = Literal["croner", "classic", "croniter"]
"""Whose reading of a cron expression holds: croner's, that of cron itself and its kin, or croniter's."""

CronerAuto = Literal["croner-auto"]
"""croner's default mode, which takes seconds, years and nicknames beside its five parts."""

AnyRules = CronRules | CronerAuto


@dataclass(frozen=True, slots=True)
class CronSchedule:
    """A cron expression in a time zone (an IANA name). It has been parsed once, so it is known to be readable.

    `is_zone_assumed`: it names no zone, so it fires in that of its scheduler's host, which is the operator's word.
    """

    expr: str
    zone: str
    rules: AnyRules = "croner"
    is_zone_assumed: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class NoCadence:
    """No cadence is known: the job runs at a boot, at a call, or by a schedule that stands where it cannot be read.

    Late only if its next run is known and has passed; without one nothing is amiss. `text` says what is known.
    """

    text: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A schedule that cannot be read, and why; `text` is what stands there.

    `then`: what its scheduler does with such a job, where that is known.
    """

    reason: str
    text: str
    then: str = ""


Schedule = At | Every | CronSchedule | NoCadence | Unreadable


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """The outcome of a run as the scheduler wrote it down."""

    started_at: datetime
    status: str | None = None
    duration: timedelta | None = None
    error: str | None = None
    error_class: ErrorClass | None = None

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, where its length is known."""
        return None if self.duration is None else self.started_at + self.duration


@dataclass(frozen=True, slots=True)
class RunEnd:
    """One run's end as the bill saw it. Tokens and cost are None where what stands there is not a number.

    `status`: what became of it, in the words of `RecordedRun`, where its scheduler keeps that of each run.
    """

    id: int
    at: datetime
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None = None
    status: str | None = None

    @property
    def is_zero(self) -> bool:
        """The agent ran and no model call was billed."""
        return self.input_tokens == 0 and self.output_tokens == 0


@dataclass(frozen=True, slots=True)
class ZeroStreak:
    """The newest run ends that all had zero tokens. `firsts` are the instants of the streak's first ones."""

    count: int = 0
    firsts: tuple[datetime, ...] = ()
    newest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a job ran in the hour before its newest run's end.

    `since`: when it had run as often as is worth saying. `due`: how many fires its cadence had in that hour; `asked`:
    how many runs somebody had asked for; `retries`: how many more its scheduler may have added after errors.
    """

    runs: int
    since: datetime
    newest: datetime
    due: int
    asked: int = 0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class Spent:
    """What was paid, in US dollars, from an instant on, within an hour."""

    first_at: datetime
    usd: float


@dataclass(frozen=True, slots=True)
class Skips:
    """The newest runs that were all recorded as skipped, for reasons that nobody wanted.

    `first_at` is None where that run is not known any more. `is_parked`: a job that runs once was skipped and set
    aside, so it never runs by itself.
    """

    count: int
    newest_at: datetime
    reason: str | None = None
    first_at: datetime | None = None
    is_parked: bool = False


@dataclass(frozen=True, slots=True)
class Twin:
    """Another job that does the same at the same times: its id and when it was made, where that is known."""

    job_id: str
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What a job has used over its life. None is unknown."""

    runs: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Breaker:
    """When the scheduler gives a job up: after `limit` errors in a row, waiting `backoff` after each one.

    The last pause stands for all later ones. `cron_may_come_sooner`: a cron job takes its next fire if that is
    before the pause is over. `keeps_cadence`: the other way round, a pause that is over waits for the next fire.
    """

    limit: int
    backoff: tuple[timedelta, ...]
    cron_may_come_sooner: bool = True
    keeps_cadence: bool = False


@dataclass(frozen=True, slots=True)
class RepeatedRun:
    """A run that had been done already for the same slot: the first one's end, and the start of the second.

    `first_end` is None where nobody saw it: then `first_start` is known. The records are what names the two runs.
    """

    slot: datetime
    first_end: RunEnd | None
    second_start: datetime
    first_start: datetime | None = None
    first_record: str | None = None
    second_record: str | None = None


@dataclass(frozen=True, slots=True)
class Interruption:
    """A run that began and whose outcome was never recorded, though it is not in flight any more.

    `restarted_at`: when its scheduler started again, where that is known. `record`: what names the run. `outlook`: what
    its scheduler will do about it, where that is known; it follows `so`. `times`: so many runs in a row went so, as far
    as was seen; `first_started_at` is the first one's start. `gives_way`: once its next fire is late, that says it all.
    """

    started_at: datetime
    restarted_at: datetime | None = None
    record: str | None = None
    outlook: str = ""
    times: int = 1
    first_started_at: datetime | None = None
    gives_way: bool = False


@dataclass(frozen=True, slots=True)
class Hold:
    """A run that keeps others waiting: whose it is (`job` is None if its row is gone), and since when."""

    job_id: str
    job: str | None
    since: datetime

    @property
    def run(self) -> str:
        """The run, as a part of a sentence."""
        return f"the run of {self.job or 'a deleted job'}"


@dataclass(frozen=True, slots=True)
class Start:
    """A run's start, and the fire that it was for."""

    job_id: str
    job: str | None
    at: datetime
    due: datetime


@dataclass(frozen=True, slots=True)
class Restarts:
    """What starts of a scheduler have come to since a fire of one job was due, of which no run has ended.

    `due`: that fire. `starts`: how often the scheduler has started since, the last time at `newest`; `longest` is how
    long it has lived at the most until it started again. `begun`: how many runs of the job have begun since, the first
    of them at `first_begun_at`, the last at `last_begun_at`.
    """

    due: datetime
    newest: datetime | None = None
    starts: int = 0
    longest: timedelta = timedelta()
    begun: int = 0
    first_begun_at: datetime | None = None
    last_begun_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job's scheduler, or its operator, says of the times of this one job; what is None the cadence decides.

    `owed_at`: the fire that is still to be done, where that is not the next run. `late_after`: how long after it was
    due the scheduler itself would have started it. `grace`: how much later than planned a start may show, for example
    because the source is read only so often. `run_limit`: how long a run may take. `failing_from`: so many errors in a
    row the scheduler itself calls failing. `may_wait_until`: how far ahead the job itself may have put its next run.
    `stands_since`: when its plan appeared, if it was long past due by then, as in a restored backup. `shows_next_run`:
    its next run can be known; without that nothing follows from there being none. `shows_all_runs`: a run of it that is
    not known was none; without that it may have been deleted, or is written down nowhere.
    `served_by`: which of the scheduler's processes runs it, where it has several (see `Snapshot.stands_from`).
    `restarts`: how often its scheduler has started in vain, where that is seen. `has_old_plan`: its next run was worked
    out from the schedule that it had before somebody changed it. `unrecorded_for`: its next run as it stood when its
    unrecorded run ended; a start of the scheduler may have put it off since.
    """

    owed_at: datetime | None = None
    late_after: timedelta | None = None
    grace: timedelta = timedelta()
    run_limit: timedelta | None = None
    failing_from: int | None = None
    may_wait_until: datetime | None = None
    stands_since: datetime | None = None
    shows_next_run: bool = True
    shows_all_runs: bool = True
    served_by: str = ""
    restarts: Restarts | None = None
    has_old_plan: bool = False
    unrecorded_for: datetime | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One job as its row, its session and its run ends say it. None means that it is not written or not readable.

    `terms`: its scheduler's own rules for its times. `passed_over_by`: the start of another job which proves that this
    one, due earlier, was left out, as far as the source knows the order in which its scheduler takes them.
    `waits_for`: the run that keeps this one from beginning, where its scheduler has no one slot and its source knows.
    `may_go_at`: from when on its scheduler itself takes it away with nothing amiss: a one-shot that deletes itself once
    it has run, a completed one that is swept. `goes_by`: by when it would have done so; what is still there then,
    and goes later, went for another reason.
    `pace`: how often it ran lately, where that was often. `spent`: what it has cost in the day before its newest bill,
    where that is known. `last_paid_at`: when a run of it that cost something last ended, where that is known.
    `has_used_tokens`: whether it was ever seen to use any; if not, it may have all the same. `skips`: its newest runs,
    if they were skipped unwanted. `twin`: an older job that it repeats in all that it does.
    `last_end`: the newest of `recent`, worked out once: each look asks for it of each job.
    """

    id: str
    name: str
    schedule: Schedule
    enabled: bool = True
    status: str = "active"
    next_run_at: datetime | None = None
    last_run: RecordedRun | None = None
    consecutive_errors: int | None = None
    breaker: Breaker | None = None
    delivery_status: str | None = None
    delivery_target: str | None = None
    created_by: str | None = None
    updated_at: datetime | None = None
    sweep_at: datetime | None = None
    in_flight_since: datetime | None = None
    last_started_at: datetime | None = None
    unrecorded_end: RunEnd | None = None
    repeated: RepeatedRun | None = None
    recent: Sequence[RunEnd] = ()
    last_end: RunEnd | None = field(init=False, repr=False, compare=False)
    zero_streak: ZeroStreak | None = None
    totals: Totals = Totals()
    problems: tuple[str, ...] = ()
    terms: Terms = Terms()
    interrupted: Interruption | None = None
    passed_over_by: Start | None = None
    waits_for: Hold | None = None
    may_go_at: datetime | None = None
    goes_by: datetime | None = None
    pace: Pace | None = None
    spent: tuple[Spent, ...] = ()
    last_paid_at: datetime | None = None
    has_used_tokens: bool = False
    skips: Skips | None = None
    twin: Twin | None = None

    @property
    def is_planned(self) -> bool:
        """The scheduler means to run it: enabled and active. Anything else is never late."""
        return self.enabled and self.status == "active"

    @property
    def is_unproved(self) -> bool:
        """It is planned, and its newest run was an error: it may be given up, once more, at any run."""
        return self.is_planned and self.last_run is not None and self.last_run.status == "error"

    @property
    def due(self) -> datetime | None:
        """The fire that it has to do next."""
        return self.terms.owed_at or self.next_run_at

    @property
    def state(self) -> str:
        """One word for people and metrics: `active`, `paused`, `completed`, `failed`, `disabled` or `unknown`."""
        if self.status not in STATES:
            return "unknown"
        return "disabled" if self.status == "active" and not self.enabled else self.status

    @property
    def last_outcome(self) -> str:
        """What became of the run that began last, as its scheduler says it; of one in flight nobody knows it yet: what
        is on record is that of the run before. Empty where nothing is said."""
        return (self.last_run.status or "") if self.last_run and not self.in_flight_since else ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "last_end", self.recent[-1] if self.recent else None)


STATES = ("active", "paused", "completed", "failed", "disabled", "unknown")


@dataclass(frozen=True, slots=True)
class Departed:
    """What is known of jobs that are no longer there; a run of such a one can still hold the slot.

    `deleted`: when a delete of a job was last put on record, by its id. `ran`: the newest trace of a run of each job
    that is not there, as far as is remembered.
    """

    in_flight: Hold | None = None
    last_started_at: datetime | None = None
    last_ended_at: datetime | None = None
    deleted: Mapping[str, datetime] = field(default_factory=dict)
    ran: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gone:
    """A job that was there and is not any more, and nothing on record says why.

    `since`: the first look that did not show it; `seen_at`: the last one known to have. `sweep_at`: from when on its
    failed row was due for the sweep. `among`: how many jobs there were before it and those that went with it.
    `unserved_at`: the fire that it had not been run for, where its end would otherwise be taken for a one-shot's.
    """

    job_id: str
    name: str
    schedule: str
    status: str
    since: datetime
    seen_at: datetime
    among: int
    sweep_at: datetime | None = None
    unserved_at: datetime | None = None

    @property
    def is_swept(self) -> bool:
        """Whether it was a failed row whose time had come."""
        return self.status == "failed" and self.sweep_at is not None and self.sweep_at <= self.since


@dataclass(frozen=True, slots=True)
class Expected:
    """What the operator says must be there: a name pattern. `since`: since when nothing of this name has been seen
    where that is known; a single look knows nothing of the kind."""

    pattern: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Unseen:
    """Something that cannot be seen: what, which conditions cannot be judged without it, and what helps.

    `job_ids`: of which jobs, where that is known; None among them stands for the scheduler.
    """

    what: str
    hides: tuple[Kind, ...]
    help: str
    job_ids: frozenset[str | None] = frozenset()

    def hides_it(self, kind: str, job_id: str | None) -> bool:
        """Whether it is known that nobody can tell if this is so."""
        return kind in self.hides and job_id in self.job_ids


@dataclass(frozen=True, slots=True)
class Traits:
    """How a scheduler works, as far as what its runs prove about other jobs depends on it.

    `has_one_slot`: a run keeps all others waiting; without that no run explains another job's lateness. `workers`: how
    many runs it has in flight at the most, where there is more than one slot and that is known. `shows_slot`:
    this look can tell who holds the slot; without that neither a stall nor a leaked flag can be told from a long run.
    `marks_starts`: each start is written down at once, so no job can be busy without it. `catch_up`: how long after its
    start the scheduler takes to come to what it missed. `replays`: a start may run again what it interrupted.
    `longest_timer`: how far ahead it arms its timer at the most, where that stands still while the machine sleeps.
    `shows_passes`: runs cannot be seen, but each pass of the scheduler moves the next run of all that is due on.
    `is_sure`: it does so at once; otherwise a single one that stands may wait for its run to end. `may_hide_jobs`:
    permissions decide which jobs are shown, so that one that is not there any more need not be gone. `may_be_away`: for
    how long its process may be gone, or stand still, with a run in flight before that alone means anything.
    """

    has_one_slot: bool = True
    workers: int | None = None
    shows_slot: bool = True
    marks_starts: bool = False
    catch_up: timedelta = timedelta()
    replays: bool = False
    longest_timer: timedelta = timedelta()
    shows_passes: bool = False
    is_sure: bool = False
    may_hide_jobs: bool = False
    may_be_away: timedelta = timedelta(minutes=2)


HealthAnswer = Literal["alive", "mute", "refused"]
"""What asking a scheduler's health address has shown: it answers; the connection is taken, and no answer comes; nobody
listens there."""


@dataclass(frozen=True, slots=True)
class Process:
    """The scheduler's process as seen from outside; what cannot be seen is None.

    `is_frozen`: it is there and does not run (stopped, or its container is paused). `started_at`: its newest start.
    `since`: from when on it has been seen to be alive, gone or frozen as it is now. `let_go_at`: when it was
    last seen to end with a run that held the slot. `health`: what its health address told, where it was asked. `ails`:
    what is wrong with it in its source's own words, where that can tell more than these.
    """

    is_alive: bool | None = None
    is_frozen: bool | None = None
    started_at: datetime | None = None
    since: datetime | None = None
    let_go_at: datetime | None = None
    health: HealthAnswer | None = None
    ails: str = ""


@dataclass(frozen=True)
class Snapshot:
    """What one look at one scheduler found. `problem`: why it could not be read (then there are no jobs).

    `gone` and `expected` come from what the watchdog remembers and what its operator says, not from the look.
    `spent`: what all its jobs together have cost in the day before the newest bill, those too that are gone by now.
    `reads_on`: not all that is kept of the past has been read yet, and the next look goes on; `unread`: what cannot be
    seen if no look follows. `clock_ahead`: by how much this machine's clock stands before the scheduler's, by which it
    is judged. `passed_at`: when the scheduler is last known to have made a pass, where its runs do not tell.
    `stands_from`: of a scheduler that gives signs of life of its own, from when on it counts as standing still unless
    it gives another before; by `Terms.served_by`.
    """

    source: str
    kind: str
    jobs: tuple[Job, ...] = ()
    problem: str | None = None
    problem_since: datetime | None = None
    departed: Departed = Departed()
    traits: Traits = Traits()
    process: Process = Process()
    unseen: tuple[Unseen, ...] = ()
    gone: tuple[Gone, ...] = ()
    expected: tuple[Expected, ...] = ()
    spent: tuple[Spent, ...] = ()
    reads_on: bool = False
    unread: tuple[Unseen, ...] = ()
    clock_ahead: timedelta = timedelta()
    passed_at: datetime | None = None
    stands_from: Mapping[str, datetime] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> Mapping[str, Job]:
        """Its jobs by their ids."""
        return {job.id: job for job in self.jobs}

    @cached_property
    def holder(self) -> Hold | None:
        """The run that holds the one slot: in flight, or ended and not yet written down (it may be delivering)."""
        if not self.traits.has_one_slot:
            return None
        holds = [Hold(job.id, job.name, job.in_flight_since) for job in self.jobs if job.in_flight_since]
        if not holds and self.departed.in_flight:
            return self.departed.in_flight
        if not holds:
            holds = [Hold(job.id, job.name, end.at) for job in self.jobs if (end := self._end_that_holds(job))]
        return max(holds, key=lambda hold: hold.since, default=None)

    def _end_that_holds(self, job: Job) -> RunEnd | None:
        """The job's unrecorded end, unless another run or the process has started since: then the slot was let go."""
        if job.unrecorded_end is None or self.process.is_alive is False:
            return None
        later = (self.last_other_start(job.id), self.process.started_at)
        return None if any(at and at > job.unrecorded_end.at for at in later) else job.unrecorded_end

    def keeps_waiting(self, job: Job, now: datetime) -> Hold | None:
        """The run of another job that one whose fire has passed waits for; None where none does, or it runs itself."""
        if not job.is_planned or job.in_flight_since or job.next_run_at is None or job.next_run_at >= now:
            return None
        holder = job.waits_for or self.holder
        return None if holder is None or holder.job_id == job.id else holder

    def last_other_start(self, job_id: str) -> datetime | None:
        """When the newest run of any other job started."""
        return next((at for at, owner in self._latest_starts if owner != job_id), None)

    def last_other_end(self, job_id: str) -> datetime | None:
        """When the newest run of any other job ended."""
        return next((at for at, owner in self._latest_ends if owner != job_id), None)

    def last_ended_of_others(self, job_id: str) -> Hold | None:
        """The other job whose run ended last, and when; its id is empty if its row is gone."""
        marks = ((at, owner) for at, owner in self._latest_ends if owner != job_id)
        return next((Hold(owner or "", self._names.get(owner or ""), at) for at, owner in marks), None)

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return {job.id: job.name for job in self.jobs}

    @cached_property
    def _latest_starts(self) -> list[tuple[datetime, str | None]]:
        starts = [(job.last_started_at, job.id) for job in self.jobs if job.last_started_at]
        return _two_newest([*starts, (self.departed.last_started_at, None)])

    @cached_property
    def _latest_ends(self) -> list[tuple[datetime, str | None]]:
        ends = [(job.last_end.at, job.id) for job in self.jobs if job.last_end]
        # the slot is let go of only when the row is written, which a slow delivery puts off
        written = [(job.updated_at, job.id) for job in self.jobs]
        return _two_newest([*ends, *written, (self.departed.last_ended_at, None)])


def _two_newest(marks: Iterable[tuple[datetime | None, str | None]]) -> list[tuple[datetime, str | None]]:
    """The newest mark, and the newest that belongs to another job."""
    known = sorted(((at, owner) for at, owner in marks if at), key=lambda mark: mark[0], reverse=True)
    other = next((mark for mark in known if mark[1] != known[0][1]), None)
    return [*known[:1], *([other] if other else [])]


Evidence = Mapping[str, object]


IN_FLIGHT = "in_flight"
"""Stands for the kind of a cause that is a run, and no fault."""


@dataclass(frozen=True, slots=True)
class Cause:
    """What a symptom is filed under: another finding's kind and job, or `IN_FLIGHT` for a run."""

    kind: str
    job_id: str | None
    job: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """What is so. `since` is the instant at which the condition became true, where that is known.

    `job_id` and `job` are None for a finding about the scheduler or the source. `evidence` names what it rests on:
    instants (datetime), counts, durations (timedelta) and texts.
    """

    source: str
    kind: Kind
    severity: Severity
    job_id: str | None
    job: str | None
    since: datetime | None
    summary: str
    evidence: Evidence = field(default_factory=dict)
    caused_by: Cause | None = None

    @property
    def key(self) -> tuple[str, str, str | None]:
        """What makes two findings of different ticks the same one."""
        return (self.source, self.kind.value, self.job_id)
