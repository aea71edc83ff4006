"""The simulated scheduler's process: one clock, one armed timer, one slot, one run at a time.

It is a discrete-event simulation. Time moves only in `run_until`; what is to happen lies in a heap of
(instant, action) beside the one timer. What the watched process holds in memory is held here in plain attributes and is
lost in `kill`; everything else is in the file and is read afresh each time, so a row changed by another hand is
seen when the watched scheduler would see it. The rules are those of the facts, section "How it runs".
"""

import heapq
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

from watchdog.core.instants import from_ms, to_ms
from watchdog.demo.outcome import Outcome
from watchdog.demo.rows import Job, Record, Rows
from watchdog.demo.schedules import (
    HOUR,
    MINUTE,
    SECOND,
    Schedule,
    ScheduleError,
    UnwritableError,
    as_it_runs,
    next_try,
    trips,
)
from watchdog.demo.schedules import At as OneShot
from watchdog.demo.stamps import read_stamp

Behaviour = Callable[[str, datetime], Outcome]
RUN_LIMIT = timedelta(minutes=240)
START_TOUCH = timedelta(seconds=3)
REARM = timedelta(milliseconds=1)
REDATE_STEP_MS = 5 * SECOND
MISSING_ERROR = "Error: the agent failed"


def all_is_well(_name: str, _now: datetime) -> Outcome:
    """The behaviour of an agent whose every run works."""
    return Outcome()


@dataclass(slots=True)
class Run:
    """A run in flight. `over` is called, with whether the row was written, when it has let go of the slot."""

    job: Job
    schedule: Schedule
    session: str
    start_ms: int
    outcome: Outcome
    over: Callable[[], None]
    end_ms: int = 0


def _ms(length: timedelta) -> int:
    return length // timedelta(milliseconds=1)


class Process:
    """The scheduler itself, from start to kill. Instants are aware UTC outside, epoch milliseconds inside."""

    def __init__(
        self,
        path: Path,
        now: datetime,
        *,
        host_zone: str = "UTC",
        behaviour: Behaviour = all_is_well,
        durable: bool = False,
        timeout: timedelta = RUN_LIMIT,
        start_touch: timedelta = START_TOUCH,
        rearm: timedelta = REARM,
    ) -> None:
        self.behaviour = behaviour
        self._host_zone = host_zone
        self._durable = durable
        self._timeout = timeout
        self._start_touch_ms = _ms(start_touch)
        self._rearm_ms = max(1, _ms(rearm))
        self._now = to_ms(now)
        self._order = count()
        self._lives = 0
        self._rows = Rows(path, durable=durable)
        self._forget()
        self.start()

    # time

    @property
    def now(self) -> datetime:
        """The virtual instant."""
        return from_ms(self._now)

    def next_event(self) -> datetime | None:
        """When the process next does something by itself; None if never."""
        at_ms = self._next_ms()
        return None if at_ms is None else from_ms(at_ms)

    def run_until(self, instant: datetime) -> None:
        """Everything that happens up to and including `instant`, which is `now` afterwards.

        Raises ValueError for an instant in the past. Unless `durable`, all of it is one transaction: other
        connections see it when this returns.
        """
        target = to_ms(instant)
        if target < self._now:
            raise ValueError(f"run_until: {instant} is before now, {self.now}; time only moves forward")
        if self._durable:
            self._turn(target)
        else:
            with self._rows.transaction():
                self._turn(target)

    def _turn(self, target: int) -> None:
        while (at_ms := self._next_ms()) is not None and at_ms <= target:
            # what was due while the process was frozen comes when it moves again, in its order
            self._now = max(self._now, at_ms)
            if self._events and self._events[0][0] == at_ms:
                heapq.heappop(self._events)[2]()
            else:
                self._timer_fires()
        self._now = target

    def _next_ms(self) -> int | None:
        if self.frozen:
            return None
        if not self._events:
            return self._timer
        at_ms = self._events[0][0]
        return at_ms if self._timer is None else min(at_ms, self._timer)

    def _after(self, delay_ms: int, action: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self._now + delay_ms, next(self._order), action))

    # life

    @property
    def life(self) -> int | None:
        """Which of the process's lives this is, counted from 1; None while it is down."""
        return self._lives if self._alive else None

    @property
    def started_at(self) -> datetime | None:
        """When it was last started; None while it is down."""
        return from_ms(self._started_ms) if self._alive else None

    def _forget(self) -> None:
        """What the process holds in memory, and loses when it ends."""
        self._alive = False
        self.frozen = False
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._timer: int | None = None
        self._executing = False
        self._slot_leaked = False
        self._busy: set[str] = set()
        self._leaked: set[str] = set()
        self._queue: deque[str] = deque()
        self._fruitless = 0
        self._started_ms = 0

    def start(self) -> None:
        """Starts the process: past-due rows are re-dated five seconds apart, old terminal rows swept, the timer armed.

        The first of them is due at once: in the recordings the first run after a start begins 1 ms in. Does nothing
        to a process that runs.
        """
        if self._alive:
            return
        self._alive = True
        self._lives += 1
        self._started_ms = self._now
        with self._rows.transaction():
            self._rows.sweep(self._now)
            for place, job_id in enumerate(self._rows.due(self._now)):
                self._rows.redate(job_id, self._now + place * REDATE_STEP_MS)
        self._arm()

    def kill(self) -> None:
        """Ends the process where it stands: the run in flight is lost, and nothing more is written.

        The connection stays open, so that the WAL is left beside the file as a killed writer leaves it.
        """
        self._forget()

    def freeze(self) -> None:
        """Stops the process where it stands, as SIGSTOP, a paused container or a sleeping host do; nothing is lost."""
        self.frozen = self._alive

    def thaw(self) -> None:
        """Lets it go on: all that was due meanwhile happens now, a run that has had its answer ends well."""
        self.frozen = False

    def skip(self, length: timedelta) -> None:
        """The clock goes on by so much, and no timer does: the machine has slept, or its clock was set."""
        self._now += _ms(length)
        self._events = [(at + _ms(length), order, action) for at, order, action in self._events]
        self._timer = None if self._timer is None else self._timer + _ms(length)

    def restart(self, downtime: timedelta = timedelta()) -> None:
        """Kills the process and starts it again after `downtime`."""
        self.kill()
        self.run_until(self.now + downtime)
        self.start()

    def close(self) -> None:
        """Ends the simulation; the file is left as by a clean stop."""
        self.kill()
        self._rows.close()

    # the timer

    def _wake(self) -> None:
        """Arms the timer anew, as every operation of the API does."""
        self._fruitless = 0
        self._arm()

    def _arm(self) -> None:
        """One timer for the earliest `next_run_at`, at most an hour ahead; without such a row none at all."""
        earliest = self._rows.earliest()
        if earliest is None:
            self._timer = None
            return
        due = read_stamp(earliest, self._host_zone)
        if due is not None and due > self._now:
            self._timer = min(due, self._now + HOUR)
        else:
            self._timer = self._spin() if self._fruitless else self._now + self._rearm_ms

    def _spin(self) -> int:
        """When to look again while the earliest row is past due and is skipped.

        The watched scheduler looks again every millisecond, for as long as it lasts. That leaves no trace, so here the
        pause grows from one second to a minute, and never goes past the next row that can run.
        """
        pause = min(SECOND << min(self._fruitless - 1, 10), MINUTE)
        following = self._rows.earliest(self._now)
        due = None if following is None else read_stamp(following, self._host_zone)
        return self._now + pause if due is None or due <= self._now else min(self._now + pause, due)

    def _timer_fires(self) -> None:
        """A pass: the rows due now, one after another. With the slot held it is given up, and nothing arms again."""
        self._timer = None
        if self.slot_held:
            return
        self._executing = True
        self._fruitless += 1
        self._queue.extend(self._rows.due(self._now))
        self._continue_pass()

    def _continue_pass(self) -> None:
        while self._queue:
            job = self._rows.job(self._queue.popleft())
            if job is not None and job.runnable and self._begin(job, self._continue_pass):
                return
        self._executing = False
        self._arm()

    # a run

    @property
    def slot_held(self) -> bool:
        """Whether a pass or a run has the slot, or a leaked flag says so."""
        return self._executing or self._slot_leaked

    def _begin(self, job: Job, over: Callable[[], None]) -> bool:
        """Starts a run; False if the job is skipped: its busy flag is set, or its schedule cannot be read."""
        if job.id in self._busy or job.id in self._leaked:
            return False
        try:
            schedule = as_it_runs(job.kind, job.value, self._host_zone)
        except ScheduleError:
            return False
        self._fruitless = 0
        self._busy.add(job.id)
        session = self._rows.open_session("scheduler", f"sched:{job.id}", self._now)
        outcome = self.behaviour(job.name, self.now)
        self._plan(Run(job, schedule, session, self._now, outcome, over))
        return True

    def _plan(self, run: Run) -> None:
        length = self._length(run.outcome)
        if length is None or self._start_touch_ms < length:
            self._after(self._start_touch_ms, partial(self._answer_start, run))
        if length is not None:
            self._after(length, partial(self._end, run))

    def _length(self, outcome: Outcome) -> int | None:
        """How long the run takes until it ends or is aborted, in ms; None if it does neither."""
        if outcome.hangs:
            return _ms(self._timeout) if outcome.honours_abort else None
        return _ms(min(outcome.duration, self._timeout))

    def _answer_start(self, run: Run) -> None:
        self._rows.touch_session(run.session, self._now)

    def _end(self, run: Run) -> None:
        """The agent's part is over: billed, whatever came of it. The row still says nothing of it."""
        run.end_ms = self._now
        run.outcome = self._settle(run.outcome)
        self._rows.bill(run.session, run.outcome, self._now)
        self._busy.discard(run.job.id)
        delivers = run.outcome.ok and run.outcome.delivery is not None and run.job.channel != "none"
        if not delivers:
            self._record(run)
        elif not run.outcome.delivery_hangs:
            self._after(_ms(run.outcome.delivery_duration), partial(self._record, run))

    def _settle(self, outcome: Outcome) -> Outcome:
        """The outcome, with an error in it where the run was aborted or failed without a word."""
        if outcome.hangs or outcome.duration > self._timeout:
            minutes = self._timeout // timedelta(minutes=1)
            return replace(outcome, ok=False, error=f"Error: aborted after {minutes} minutes")
        if outcome.ok:
            return replace(outcome, error=None) if outcome.error else outcome
        return outcome if outcome.error else replace(outcome, error=MISSING_ERROR)

    def _record(self, run: Run) -> None:
        """Writes the outcome into the row, and lets go of the slot."""
        job = self._rows.job(run.job.id)
        if job is not None:
            with suppress(UnwritableError):
                self._write_outcome(run, job)
        run.over()

    def _write_outcome(self, run: Run, job: Job) -> None:
        if run.outcome.ok and isinstance(run.schedule, OneShot) and job.delete_after_run:
            self._rows.delete(job.id)
            return
        errors = 0 if run.outcome.ok else job.errors + 1
        next_ms, status = self._what_follows(run, errors)
        length = run.end_ms - run.start_ms
        delivery = self._delivery_status(run)
        said = Record(
            job.id, run.start_ms, run.outcome.ok, length, run.outcome.error, errors, next_ms, status, delivery
        )
        self._rows.record(said, self._now)

    def _what_follows(self, run: Run, errors: int) -> tuple[int | None, str | None]:
        """The next fire, asked from the end of the run, and the status if it becomes a terminal one."""
        if trips(run.schedule, errors):
            return None, "failed"
        if errors:
            return next_try(run.schedule, errors, run.end_ms), None
        if isinstance(run.schedule, OneShot):
            return None, "completed"
        return run.schedule.next_fire(run.end_ms), None

    def _delivery_status(self, run: Run) -> str | None:
        """What `last_delivery_status` becomes; None leaves it: after an error, and where the answer was empty."""
        if not run.outcome.ok or run.outcome.delivery is None:
            return None
        return "skipped:channel_none" if run.job.channel == "none" else run.outcome.delivery
