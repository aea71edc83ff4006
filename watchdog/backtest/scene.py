"""A source as it was at an instant: it goes on from one thing that happened to the next.

What is written down nowhere is worked out on the way: when a run started whose start nobody saw, and that the scheduler
was started again after a silence.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from watchdog.backtest.job_then import JobThen
from watchdog.core.model import Departed, Hold, Job, Start
from watchdog.detectors.lateness import AFTER_A_RUN
from watchdog.systems.shared.past import Change, SourcePast, gone_owner
from watchdog.systems.shared.turns import passed_over_by, turn_of, with_turn

REDATED_APART = timedelta(seconds=5)
"""On start the scheduler dates past-due rows anew, so far apart."""

_AFTER_A_DEED = timedelta(seconds=5)
_CUT = timedelta(seconds=1)

_END, _CHANGE, _BROKEN_OFF, _START, _STILL = range(5)
"""What may happen next; of what falls together, in this order."""


class Scene:
    """Everything about one source. `next_at`: when something happens next."""

    def __init__(self, past: SourcePast) -> None:
        self.past = past
        self.departed = Departed()
        self.next_at: datetime | None = None
        self._what = _END
        latest = past.ends_at + len(past.jobs) * REDATED_APART
        self._jobs = [JobThen(job, knows_cadence=past.knows_cadence, latest_redate=latest) for job in past.jobs]
        self._seen = [job.seen() for job in self._jobs]
        self._changes = _in_order(past)
        self._starts = _starts(past)
        self._still = sorted(_unended(past))
        self._restarts = sorted((at, n) for n, job in enumerate(past.jobs) for _, at in job.cut)
        self._end = self._change = self._start = self._stay = self._restart = 0
        self._ended_at: datetime | None = None
        self._turns: tuple[Start, ...] = ()
        self._find_next()

    def jobs(self) -> tuple[Job, ...]:
        """All jobs that are there, with what the starts of the others prove of them."""
        return tuple(self._in_turn(seen) for job, seen in zip(self._jobs, self._seen, strict=True) if job.is_there)

    def _in_turn(self, job: Job) -> Job:
        if not job.is_planned or job.next_run_at is None or job.in_flight_since:
            return job
        stood = max(job.next_run_at, job.updated_at or job.next_run_at)
        proof = passed_over_by(job.id, stood, self._turns)
        return replace(job, passed_over_by=proof) if proof else job

    def go_on(self, until: datetime) -> list[Job]:
        """Everything up to and with an instant happens; the jobs that it changed."""
        touched: set[int] = set()
        while self.next_at is not None and self.next_at <= until:
            touched.update(self._happen())
            self._find_next()
        for owner in touched:
            self._seen[owner] = self._jobs[owner].seen()
        return [self._seen[owner] for owner in sorted(touched) if self._jobs[owner].is_there]

    # what comes next

    def _find_next(self) -> None:
        self.next_at, self._what = min(self._upcoming(), default=(None, _END))

    def _upcoming(self) -> Iterator[tuple[datetime, int]]:
        if self._end < len(self.past.runs):
            yield self.past.runs.ended_at(self._end), _END
        if self._start < len(self._starts):
            seen_at = self._seen_at(self._starts[self._start])
            if seen_at is not None:
                yield seen_at, _START
        if self._change < len(self._changes):
            yield self._changes[self._change][0].at, _CHANGE
        if self._restart < len(self._restarts):
            yield self._restarts[self._restart][0], _BROKEN_OFF
        if self._stay < len(self._still):
            yield self._still[self._stay][0], _STILL

    def _happen(self) -> Iterable[int]:
        if self._what == _END:
            self._end += 1
            return self._end_run(self._end - 1)
        if self._what == _START:
            self._start += 1
            return self._begin_run(self._starts[self._start - 1])
        if self._what == _CHANGE:
            self._change += 1
            change, owner = self._changes[self._change - 1]
            self._jobs[owner].change(change)
            return (owner,)
        if self._what == _BROKEN_OFF:
            self._restart += 1
            return self._break_off(*self._restarts[self._restart - 1])
        self._stay += 1
        at, owner = self._still[self._stay - 1]
        return self._begin(owner, at, at, None)

    # runs

    def _seen_at(self, number: int) -> datetime | None:
        """When a run shows to be in flight; None if it ended before it could."""
        seen_at = self._started_at(number) + self.past.shows_after
        if self.past.shows_after:
            seen_at = seen_at.replace(microsecond=0)
        return seen_at if seen_at < self.past.runs.ended_at(number) else None

    def _started_at(self, number: int) -> datetime:
        """When a run started: as it was written down, or else as late as its job's runs are long, and not before it was
        due and the slot was free."""
        runs = self.past.runs
        known, ended_at, owner = runs.started_at(number), runs.ended_at(number), runs.owners[number]
        if known is not None:
            return min(known, ended_at)
        if owner < 0 or not self.past.now.traits.has_one_slot:
            return ended_at
        job = self._jobs[owner]
        earliest = [ended_at - (job.usual or timedelta()), self._ended_at, job.due if job.is_planned else None]
        return min(ended_at, max(at for at in earliest if at))

    def _begin_run(self, number: int) -> Iterable[int]:
        runs = self.past.runs
        return self._begin(runs.owners[number], self._started_at(number), self._seen_at(number), runs.ended_at(number))

    def _begin(
        self, owner: int, started_at: datetime, seen_at: datetime | None, ended_at: datetime | None
    ) -> Iterable[int]:
        if owner < 0:
            hold = Hold(self.past.gone[gone_owner(owner)], None, seen_at) if seen_at else None
            self.departed = Departed(hold, seen_at, self.departed.last_ended_at)
            return ()
        redated = self._redated(owner, started_at, ended_at)
        self._take_turn(self._jobs[owner], seen_at or started_at)
        self._jobs[owner].begin(started_at, seen_at)
        return (owner, *redated)

    def _take_turn(self, job: JobThen, at: datetime) -> None:
        if not (self.past.now.traits.has_one_slot and self.past.knows_cadence and job.is_planned):
            return
        turn = turn_of(job.past.job.id, job.past.job.name, at, job.due)
        if turn:
            self._turns = with_turn(self._turns, turn)

    def _end_run(self, number: int) -> Iterable[int]:
        run = self.past.runs.run(number)
        owner, started_at = self.past.runs.owners[number], self._started_at(number)
        touched: Iterable[int] = (owner,)
        if self._is_unseen(number):
            touched = self._begin(owner, started_at, None, run.end.at)
        self._ended_at = max(run.end.at, self._ended_at or run.end.at)
        if owner < 0:
            self.departed = Departed(None, None, run.end.at)
            return ()
        self._jobs[owner].end(run, started_at)
        return touched

    def _break_off(self, at: datetime, owner: int) -> Iterable[int]:
        """The scheduler starts again: it lets go of the run, and sets down anew what is late."""
        self._ended_at = at
        late = [owner, *self._waiting(at, owner)]
        for place, number in enumerate(late):
            self._jobs[number].set_down(at + place * REDATED_APART)
        return late

    def _is_unseen(self, number: int) -> bool:
        """Whether the run has ended without having been seen in flight; then its turn among the starts is over."""
        if self._start < len(self._starts) and self._starts[self._start] == number:
            self._start += 1
            return True
        return not self.past.now.traits.has_one_slot and self.past.runs.started_at(number) is None

    def _was_asked_for(self, started_at: datetime, ended_at: datetime | None) -> bool:
        """Whether somebody's deed has set the scheduler's timer going again; a run by hand is noted at its end."""
        return _is_deed_between(self.past.deeds, started_at - _AFTER_A_DEED, (ended_at or started_at) + _CUT)

    def _redated(self, owner: int, started_at: datetime, ended_at: datetime | None) -> list[int]:
        """The other jobs that a start of the scheduler has set down for later.

        That it was started again shows in a run that comes long after its time though the slot was free; or long before
        it, which is one that nobody wrote down and that is done again.
        """
        due = self._jobs[owner].due if self._jobs[owner].is_planned else None
        if due is None or not (self.past.now.traits.has_one_slot and self.past.knows_cadence):
            return []
        known = (min(due, started_at), self._ended_at, self._jobs[owner].updated_at)
        idle_for = started_at - max(at for at in known if at)
        is_out_of_time = idle_for > AFTER_A_RUN or due - started_at > AFTER_A_RUN
        if not is_out_of_time or self._was_asked_for(started_at, ended_at):
            return []
        waiting = self._waiting(started_at, owner)
        for place, number in enumerate(waiting, 1):
            self._jobs[number].redate(started_at + place * REDATED_APART)
        return waiting

    def _waiting(self, at: datetime, owner: int) -> list[int]:
        """The other jobs that are past due at an instant, the longest due first."""
        late = [(due, n) for n, job in enumerate(self._jobs) if n != owner and (due := _past_due(job, at))]
        return [number for _, number in sorted(late)]


def _is_deed_between(deeds: Sequence[datetime], first: datetime, last: datetime) -> bool:
    place = bisect_left(deeds, first)
    return place < len(deeds) and deeds[place] <= last


def _past_due(job: JobThen, at: datetime) -> datetime | None:
    """When a job was due that is past due."""
    return job.due if job.is_planned and job.due is not None and job.due < at else None


def _in_order(past: SourcePast) -> list[tuple[Change, int]]:
    pairs = [(change, number) for number, job in enumerate(past.jobs) for change in job.changes]
    return sorted(pairs, key=lambda pair: pair[0].at)


def _unended(past: SourcePast) -> Iterator[tuple[datetime, int]]:
    """When runs began that are in flight still, or that were broken off, and whose they are."""
    for number, job in enumerate(past.jobs):
        yield from ((began, number) for began, _ in job.cut)
        if job.job.in_flight_since:
            yield job.job.in_flight_since, number


def _starts(past: SourcePast) -> list[int]:
    """The runs in the order of their starts. Where they share one slot that is the order of their ends."""
    runs, numbers = past.runs, range(len(past.runs))
    if past.now.traits.has_one_slot:
        return list(numbers)
    seen = [n for n in numbers if (start := runs.started_at(n)) and start < runs.ended_at(n)]
    return sorted(seen, key=runs.started_ms.__getitem__)
