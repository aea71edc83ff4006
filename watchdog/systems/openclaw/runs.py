"""What is remembered of OpenClaw's finished runs: who ran when, and whether a model was paid for it."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watchdog.core.model import RunEnd, ZeroStreak
from watchdog.systems.shared.values import ms_instant, ms_length, text

REMEMBERED = 40
"""Finished runs that are kept for each job, newest last."""

REMEMBERED_ZEROS = 32

SAME_RUN = timedelta(seconds=2)
"""The marker, the log and the task ledger write one run's start some milliseconds apart."""


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One finished run. `tokens` is (input, output): None where nothing tells, (0, 0) where a model ran unpaid."""

    started_at: datetime
    ended_at: datetime
    status: str
    tokens: tuple[int, int] | None = None
    error: str | None = None

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
    return FinishedRun(started, max(ended, started), status, _tokens(entry, status), text(entry.get("error"), 500))


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


@dataclass(slots=True)
class _Account:
    runs: deque[FinishedRun] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    was_paid: bool = False
    zeros: int = 0
    first_zeros: list[datetime] = field(default_factory=list)
    newest_zero: datetime | None = None
    version: int = 0

    def add(self, run: FinishedRun) -> None:
        if any(run.started_at == known.started_at for known in self.runs):
            return
        self.runs.append(run)
        self.version += 1
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
    """The finished runs of every job, carried from look to look."""

    def __init__(self) -> None:
        self._accounts: dict[str, _Account] = {}

    def add(self, job_id: str, entry: Mapping[str, object]) -> None:
        """Note one run, if the entry is one and is not known yet."""
        run = read_run(entry)
        if run is not None:
            self._accounts.setdefault(job_id, _Account()).add(run)

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
            self._accounts = {id_: account for id_, account in self._accounts.items() if id_ in there}


def _end(run: FinishedRun) -> RunEnd:
    tokens = run.tokens or (None, None)
    return RunEnd(run.number, run.ended_at, *tokens)
