"""One job on its way through time: what its row said, as far as that is known or follows from what is."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from watchdog.cadence.breaker import after_error
from watchdog.cadence.schedule import next_fire
from watchdog.core.error_class import classify
from watchdog.core.model import At, Job, NoCadence, Pace, RecordedRun, Schedule, Unreadable
from watchdog.systems.shared.past import AS_NOW, CREATED, ERROR, OK, REDATED, Change, JobPast, PastRun, seconds_of
from watchdog.systems.shared.run_ends import Account

_CUT = timedelta(seconds=1)
"""Run ends are cut to the second, and so may be what is reckoned from them."""

_SAYS = {OK: "ok", ERROR: "error"}


class JobThen:
    """Begins before anything is known, and is told what happens, in order of time.

    `due`: what `next_run_at` was. `is_as_now`: the row has not been written since, so that it is known in full.
    `usual`: how long the job's runs take, by the last one whose length is on record. `latest_redate`: a next run up to
    then may be one that a start of the scheduler has set, and not the run before.
    """

    def __init__(self, past: JobPast, *, knows_cadence: bool, latest_redate: datetime) -> None:
        self.past = past
        self.due: datetime | None = None
        self.is_as_now = False
        self.updated_at: datetime | None = None
        self.usual = past.job.last_run.duration if past.job.last_run else None
        self.is_there = not any(change.state == CREATED for change in past.changes)
        self._plain = _plain(past.job)
        self._today = _at_rest(past.job)
        self._knows_cadence = knows_cadence and not isinstance(past.job.schedule, Unreadable)
        self._latest_redate = latest_redate
        self._is_as_planned = False
        self._is_due_known = False
        self._status, self._enabled = _status_of(past.initially)
        self._owed: datetime | None = None
        self._account = Account()
        self._errors = 0
        self._last_run: RecordedRun | None = None
        self._last_started_at: datetime | None = None
        self._in_flight_since: datetime | None = None
        if past.before:
            self.end(past.before, past.before.started_at or past.before.end.at)

    @property
    def is_planned(self) -> bool:
        """Whether the scheduler means to run it."""
        return self.is_there and self._enabled and self._status == "active"

    # what is seen of it

    def seen(self) -> Job:
        """The job as a look at this instant finds it."""
        return self._seen_today() if self.is_as_now else self._seen_then()

    def _told_by_ends(self) -> dict[str, Any]:
        """What follows from its run ends so far, whatever its row says."""
        return {
            "zero_streak": self._account.streak() if self._today.zero_streak is not None else None,
            "pace": self._pace(),
            "spent": self._account.spending.sums,
            "last_paid_at": self._account.last_paid_at,
            "has_used_tokens": self._account.has_used,
        }

    def _pace(self) -> Pace | None:
        """What is known of its pace is that of the hour before its newest run, so it holds from that run's end on."""
        pace, recent = self._today.pace, self._account.recent
        is_reached = pace is not None and bool(recent) and seconds_of(recent[-1].at) >= seconds_of(pace.newest)
        return pace if is_reached else None

    def _seen_today(self) -> Job:
        busy = self._in_flight_since
        return replace(
            self._today,
            next_run_at=self.due,
            terms=replace(self._today.terms, owed_at=self._owed),
            in_flight_since=busy,
            last_started_at=busy or self._today.last_started_at,
            unrecorded_end=None if busy else self._today.unrecorded_end,
            recent=self._account.recent or self._today.recent,
            **self._told_by_ends(),
        )

    def _seen_then(self) -> Job:
        return replace(
            self._plain,
            schedule=self._schedule(),
            enabled=self._enabled,
            status=self._status,
            next_run_at=self.due,
            terms=replace(self._plain.terms, owed_at=self._owed),
            last_run=self._last_run,
            consecutive_errors=self._errors,
            updated_at=self.updated_at,
            sweep_at=self._sweep_at(),
            in_flight_since=self._in_flight_since,
            last_started_at=self._last_started_at,
            recent=self._account.recent,
            **self._told_by_ends(),
        )

    def _schedule(self) -> Schedule:
        """Where it is not known when it was due, nothing may be concluded from there being no such instant."""
        return self._plain.schedule if self._is_due_known else NoCadence("not known for this time")

    def _sweep_at(self) -> datetime | None:
        if self._status != "failed" or self.past.swept_from is None or self.updated_at is None:
            return None
        return self.past.swept_from(self.updated_at)

    # what happens to it

    def change(self, change: Change) -> None:
        """Somebody puts it into another state; or it comes into being, or into its present form."""
        if change.state == AS_NOW:
            self._become_as_now()
        elif change.state == REDATED:
            self.redate(change.at)
        elif change.state == CREATED:
            self.is_there, self.updated_at = True, change.at
            self._plan(change.at)
            self._is_as_planned = True
        elif change.state != self._state:
            self._enter(change)

    @property
    def _state(self) -> str:
        return "disabled" if self._status == "active" and not self._enabled else self._status

    def _enter(self, change: Change) -> None:
        if change.state == "active" and self._status != "active":
            self._errors = 0
            self._plan(change.at)
        self._status, self._enabled = _status_of(change.state)
        self.updated_at, self._is_as_planned, self._owed = change.at, False, None
        if self._status in ("failed", "completed"):
            self.due, self._is_due_known = None, True

    def _become_as_now(self) -> None:
        now = self.past.job
        if not self._is_redated_since(now):
            self.due = now.next_run_at
        self.is_as_now = self.is_there = self._is_due_known = True
        self._status, self._enabled = now.status, now.enabled
        self._errors, self._last_run = now.consecutive_errors or 0, now.last_run
        self.updated_at, self._last_started_at = now.updated_at, self._today.last_started_at

    def _is_redated_since(self, now: Job) -> bool:
        """Whether the row, when it was written, said an earlier time than it does: then a start of the scheduler has
        changed that, which leaves no time stamp."""
        if not (self._is_as_planned and now.is_planned and self._is_due_known and self.due and now.next_run_at):
            return False
        return self.due + _CUT < now.next_run_at <= self._latest_redate

    def redate(self, due: datetime) -> None:
        """The scheduler has started, and has set the past-due job down for then, or as its present row says; its fire
        is owed until it runs."""
        self._owed = self._owed or self.due
        self.due = self.past.job.next_run_at if self.is_as_now else due

    def begin(self, started_at: datetime, seen_at: datetime | None) -> None:
        """A run starts; it shows from `seen_at` on, if it is long enough to show. A job that runs is active."""
        if not self.is_planned:
            self.is_there, self._status, self._enabled, self._errors = True, "active", True, 0
            self.due, self._is_due_known, self.is_as_now = started_at, self._knows_cadence, False
        self._in_flight_since, self._owed = seen_at, None
        self._last_started_at = seen_at or started_at

    def set_down(self, due: datetime) -> None:
        """The scheduler has started, with what kept the job from being served gone: its fire counts from then."""
        self._in_flight_since = self._owed = None
        self.due = due

    def end(self, run: PastRun, started_at: datetime) -> None:
        """A run ends, and its outcome is recorded at once."""
        self.is_as_now, self._is_as_planned = False, True
        self._in_flight_since = self._owed = None
        self._account.add(run.end)
        self.usual = run.duration or self.usual
        self._errors = run.errors
        self._last_started_at, self.updated_at = started_at, run.end.at
        says = "error" if run.errors else _SAYS.get(run.status)
        class_ = classify(run.error[:4000]) if run.error else None
        self._last_run = RecordedRun(started_at, says, self._length(run, started_at), run.error, class_)
        if self._status == "active":
            self._follow(started_at, started_at + run.duration if run.duration else run.end.at)

    def _length(self, run: PastRun, started_at: datetime) -> timedelta | None:
        """How long it took; of one whose start was worked out from the usual length that is at least an estimate."""
        if run.duration is not None or self.usual is None:
            return run.duration
        return max(run.end.at - started_at, timedelta())

    def _follow(self, started_at: datetime, ended_at: datetime) -> None:
        """What the scheduler makes of an outcome: the next fire, or an end."""
        breaker, schedule = self._plain.breaker, self._plain.schedule
        if breaker and self._errors >= breaker.limit and self._knows_cadence:
            self._status, self.due, self._is_due_known = "failed", None, True
        elif not self._knows_cadence:
            self.due, self._is_due_known = None, False
        elif breaker and self._errors:
            self.due = after_error(schedule, breaker, self._errors, started_at, ended_at)
            self._is_due_known = True
        elif isinstance(schedule, At):
            self._status, self.due, self._is_due_known = "completed", None, True
        else:
            self._plan(ended_at)

    def _plan(self, after: datetime) -> None:
        self._is_due_known = self._knows_cadence
        self.due = next_fire(self._plain.schedule, after) if self._knows_cadence else None


OF_ALL_TIMES = ("id", "name", "schedule", "breaker", "delivery_target", "created_by", "terms")
"""What is taken to have been before as its present row says. All else is played over again, or not known of the past:
nothing of today is judged then."""


def _plain(job: Job) -> Job:
    """The job as far as it is taken to have been so at all times."""
    known = {name: getattr(job, name) for name in OF_ALL_TIMES}
    return Job(**{**known, "terms": replace(job.terms, owed_at=None)})


def _at_rest(job: Job) -> Job:
    """The job as it is now, before the run that is in flight."""
    if job.in_flight_since is None:
        return job
    started = job.last_run.started_at if job.last_run else None
    return replace(job, in_flight_since=None, last_started_at=started)


def _status_of(state: str) -> tuple[str, bool]:
    """Status, and whether it is enabled."""
    return ("active", False) if state == "disabled" else (state, True)
