"""What is remembered of OpenClaw's finished runs: who ran when, and whether a model was paid for it."""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watchdog.core.model import RunEnd, ZeroStreak
from watchdog.systems.shared.host import Memory, NoMemory
from watchdog.systems.shared.notebook import Notebook
from watchdog.systems.shared.values import ms_instant, ms_length, text

REMEMBERED = 40
"""Finished runs that are kept for each job, newest last."""

REMEMBERED_ZEROS = 32

SAME_RUN = timedelta(seconds=2)
"""The marker, the log and the task ledger write one run's start some milliseconds apart."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One finished run. `tokens` is (input, output): None where nothing tells, (0, 0) where a model ran unpaid.

    `delivered`: whether its result reached somebody; None where nothing tells, or it was to reach nobody.
    `was_asked_for`: somebody had it run by hand.
    """

    started_at: datetime
    ended_at: datetime
    status: str
    tokens: tuple[int, int] | None = None
    error: str | None = None
    delivered: bool | None = None
    was_asked_for: bool = False

    @property
    def number(self) -> int:
        """What names the run in evidence: its start in milliseconds since 1970."""
        return int(self.started_at.timestamp() * 1000)


def read_run(entry: Mapping[str, object]) -> FinishedRun | None:
    """A line of a run log, or what the database keeps of one; None for anything else."""
    started = ms_instant(entry.get("runAtMs"))
    took = ms_length(entry.get("durationMs"))
    ended = started + took if started and took is not None else ms_instant(entry.get("ts"))
    status = text(entry.get("status"), 40)
    if started is None or ended is None or status is None or entry.get("action", "finished") != "finished":
        return None
    why, delivered = text(entry.get("error"), 500), _delivered(entry, status)
    asked = "manual:" in str(entry.get("runId") or "")
    return FinishedRun(started, max(ended, started), status, _tokens(entry, status), why, delivered, asked)


_SILENT = re.compile(r"^\W*(NO_REPLY|HEARTBEAT_OK|ANNOUNCE_SKIP)\b|\b(NO_REPLY|HEARTBEAT_OK)\W*$")
"""How an agent says that there is nothing to say: such an answer is not delivered, as it should be."""


def _delivered(entry: Mapping[str, object], status: str) -> bool | None:
    said = text(entry.get("summary"), 4000)
    if status != "ok" or entry.get("deliverySuppressionReason") or (said and _SILENT.search(said)):
        return None
    if entry.get("deliveryStatus") == "delivered":
        return True
    return False if entry.get("deliveryStatus") == "not-delivered" and not entry.get("deliveryError") else None


def _tokens(entry: Mapping[str, object], status: str) -> tuple[int, int] | None:
    """All-zero usage is never written: an ok run with a model and without usage is one without tokens. A run without
    a model (it timed out, or never got so far) tells nothing."""
    usage = entry.get("usage")
    if isinstance(usage, Mapping):
        counts = [_count(usage.get(name)) for name in ("input_tokens", "output_tokens")]
        total = _count(usage.get("total_tokens"))
        return (counts[0] or (0 if counts[1] else total), counts[1])
    return (0, 0) if status == "ok" and entry.get("model") else None


def _count(value: object) -> int:
    return int(value) if isinstance(value, int | float) and 0 <= value < 1e18 else 0


@dataclass(frozen=True, slots=True)
class Habit:
    """What a job was seen to do, and its store forgets after some days: that it used tokens, and that its results
    arrived; and since when they do not, up to the run that ended at `until`."""

    was_paid: bool = False
    zeros: int = 0
    first_zeros: tuple[datetime, ...] = ()
    newest_zero: datetime | None = None
    was_delivered: bool = False
    lost: int = 0
    until: datetime | None = None


@dataclass(slots=True)
class _Account:
    runs: deque[FinishedRun] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    was_paid: bool = False
    zeros: int = 0
    first_zeros: list[datetime] = field(default_factory=list)
    newest_zero: datetime | None = None
    was_delivered: bool = False
    lost: int = 0
    counted_until: datetime | None = None
    version: int = 0

    @classmethod
    def of(cls, habit: Habit) -> "_Account":
        """As it stood when it was remembered; the runs that it had counted by then do not count again."""
        return cls(
            was_paid=habit.was_paid,
            zeros=habit.zeros,
            first_zeros=list(habit.first_zeros),
            newest_zero=habit.newest_zero,
            was_delivered=habit.was_delivered,
            lost=habit.lost,
            counted_until=habit.until,
        )

    @property
    def habit(self) -> Habit:
        """What is to be remembered of it."""
        if not self.zeros and not self.lost:
            return Habit(was_paid=self.was_paid, was_delivered=self.was_delivered)
        ends = [at for at in (self.counted_until, self.runs[-1].ended_at if self.runs else None) if at]
        zeros = (self.zeros, tuple(self.first_zeros), self.newest_zero)
        return Habit(self.was_paid, *zeros, self.was_delivered, self.lost, max(ends, default=None))

    def add(self, run: FinishedRun) -> None:
        if any(run.started_at == known.started_at for known in self.runs):
            return
        self.runs.append(run)
        self.version += 1
        if self.counted_until is not None and run.ended_at <= self.counted_until:
            return
        self._count_delivery(run)
        self._count_tokens(run)

    def _count_delivery(self, run: FinishedRun) -> None:
        if run.delivered is not None:
            self.was_delivered = self.was_delivered or run.delivered
            self.lost = 0 if run.delivered else self.lost + 1

    def _count_tokens(self, run: FinishedRun) -> None:
        if run.tokens is None:
            return
        if any(run.tokens):
            self.was_paid = True
            self.zeros, self.first_zeros, self.newest_zero = 0, [], None
            return
        self.zeros += 1
        self.newest_zero = run.ended_at
        if len(self.first_zeros) < REMEMBERED_ZEROS:
            self.first_zeros.append(run.ended_at)


class RunBook:
    """The finished runs of every job, carried from look to look; its habits, over a restart of the watchdog too."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._habits = Notebook(memory or NoMemory(), "habits", Habit)
        self._accounts = {id_: _Account.of(habit) for id_, habit in self._habits.notes.items()}
        self._changed: set[str] = set()

    def keep(self) -> None:
        """Note what its store would forget."""
        if self._changed:
            habits = {id_: self._accounts[id_].habit for id_ in self._changed if id_ in self._accounts}
            self._habits.change({id_: habit for id_, habit in habits.items() if habit != Habit()})
            self._changed.clear()

    def add(self, job_id: str, entry: Mapping[str, object]) -> None:
        """Note one run, if the entry is one and is not known yet."""
        run = read_run(entry)
        if run is not None:
            self._accounts.setdefault(job_id, _Account()).add(run)
            self._changed.add(job_id)

    def runs(self, job_id: str) -> tuple[FinishedRun, ...]:
        """The newest finished runs of the job, newest last."""
        account = self._accounts.get(job_id)
        return tuple(account.runs) if account else ()

    def version(self, job_id: str) -> int:
        """A number that changes whenever the job has a new finished run."""
        account = self._accounts.get(job_id)
        return account.version if account else 0

    def ends(self, job_id: str) -> tuple[RunEnd, ...]:
        """The same as the detectors see them."""
        return tuple(_end(run) for run in self.runs(job_id)[-12:])

    def streak(self, job_id: str) -> ZeroStreak:
        """The newest runs without tokens; none for a job that was never seen to use any: its model may not tell."""
        account = self._accounts.get(job_id)
        if account is None or not account.was_paid:
            return ZeroStreak()
        return ZeroStreak(account.zeros, tuple(account.first_zeros), account.newest_zero)

    def lost(self, job_id: str) -> int:
        """How many results in a row reached nobody, for no reason that is given; none for a job of which none was ever
        seen to arrive."""
        account = self._accounts.get(job_id)
        return account.lost if account and account.was_delivered else 0

    def has(self, job_id: str, started_at: datetime) -> bool:
        """Whether the run that began then is among the finished ones: at its start, or within it (one that a batch or
        a start of the gateway kept is written down from its marker on)."""
        account = self._accounts.get(job_id)
        runs = reversed(account.runs) if account else ()  # the newest is asked for most
        return any(
            run.started_at - SAME_RUN <= started_at <= max(run.ended_at, run.started_at + SAME_RUN) for run in runs
        )

    def last_error(self, job_id: str) -> str | None:
        """What the newest run that failed said."""
        account = self._accounts.get(job_id)
        return next((run.error for run in reversed(account.runs) if run.error), None) if account else None

    def forget(self, there: set[str]) -> None:
        """Drop what belongs to jobs that are gone."""
        if len(self._accounts) > 2 * len(there) + 100:
            self._habits.change({id_: None for id_ in self._accounts if id_ not in there})
            self._accounts = {id_: account for id_, account in self._accounts.items() if id_ in there}


def _end(run: FinishedRun) -> RunEnd:
    used, written = run.tokens or (None, None)
    return RunEnd(run.number, run.ended_at, used, written, status=run.status)
