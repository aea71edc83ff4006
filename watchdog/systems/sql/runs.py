"""What is remembered of the runs from look to look: for each job its newest ones, and where to read on."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.core.error_class import classify
from watchdog.core.model import RecordedRun, RunEnd, ZeroStreak
from watchdog.systems.shared.outcomes import FAILED, OK, RUNNING
from watchdog.systems.shared.values import ERROR_LENGTH, Values, quoted, whole
from watchdog.systems.sql.columns import QueryError

KEPT = 20
"""So many of a job's newest runs are remembered one by one; of older ones only how many errors came before."""

OVERLAP = 100
"""At least so many of the newest ids are read again each time: a lower id may be committed after a higher one."""

MOST_OPEN = 500


@dataclass(frozen=True, slots=True)
class Mark:
    """Where to read on: after this id, and besides the runs of these ids, which had not ended. Before the first: -1.

    `newest`: the highest id that was seen.
    """

    after: int = -1
    newest: int = -1
    open_ids: tuple[int, ...] = ()

    @property
    def is_first(self) -> bool:
        """Nothing is known yet."""
        return self.after < 0


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. `outcome` is `ok` or `error`, and None until it has ended."""

    id: int
    job_id: str
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    error: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def is_open(self) -> bool:
        """It has not ended, as far as is written."""
        return self.outcome is None

    @property
    def over_at(self) -> datetime | None:
        """When it ended; its start where only that it ended is written."""
        return None if self.is_open else self.ended_at or self.started_at

    @property
    def end(self) -> RunEnd | None:
        """Its end with its tokens."""
        return RunEnd(self.id, self.over_at, self.input_tokens, self.output_tokens) if self.over_at else None

    @property
    def recorded(self) -> RecordedRun | None:
        """Its outcome, once it has ended."""
        begun = self.started_at or self.over_at
        if self.is_open or begun is None:
            return None
        length = self.ended_at - begun if self.ended_at else None
        return RecordedRun(
            begun,
            self.outcome,
            length if length is not None and length >= timedelta() else None,
            self.error,
            classify(self.error) if self.outcome == "error" else None,
        )


def read_run(row: Mapping[str, object]) -> RunRow:
    """One row of the runs query. What cannot be read of it is left out; raises QueryError without an id."""
    values = Values(row)
    started, ended = values.instant("started_at"), values.instant("ended_at")
    error = values.text("error", ERROR_LENGTH)
    return RunRow(
        run_id(row),
        key(row.get("job_id")),
        started,
        ended,
        _outcome(values.word("status"), error, has_ended=ended is not None, tells_end="ended_at" in row),
        error,
        values.count("input_tokens"),
        values.count("output_tokens"),
    )


def run_id(row: Mapping[str, object]) -> int:
    """The number of a run; raises QueryError if it is none."""
    try:
        return whole(row.get("id"))
    except ValueError:
        shown = quoted(row.get("id"))
        raise QueryError(
            f"the runs query returns the id {shown}; it must be a whole number that grows: runs are read after an id"
        ) from None


def key(value: object) -> str:
    """A job's id as both queries are matched by."""
    return str(value)[:500]


def _outcome(word: str, error: str | None, *, has_ended: bool, tells_end: bool) -> str | None:
    """What became of a run; None if it has not ended. A status that is not known leaves it to the other columns."""
    if word in FAILED:
        return "error"
    if word in OK:
        return "ok"
    is_over = has_ended or not (tells_end or word in RUNNING)
    return ("error" if error else "ok") if is_over else None


class JobRuns:
    """One job's newest runs, in the order of their ids."""

    def __init__(self) -> None:
        self._runs: list[RunRow] = []
        self._errors_before = 0
        self._is_cut = False

    def put(self, run: RunRow) -> None:
        """Take in a run that is new, or that has changed."""
        at = bisect_left(self._runs, run.id, key=lambda known: known.id)
        if at < len(self._runs) and self._runs[at].id == run.id:
            self._runs[at] = run
        elif at > 0 or not self._is_cut:
            self._runs.insert(at, run)
            self._trim()

    def drop(self, run_id: int) -> None:
        """It is no longer there."""
        self._runs = [run for run in self._runs if run.id != run_id]

    def _trim(self) -> None:
        if len(self._runs) > KEPT:
            oldest = self._runs.pop(0)
            self._is_cut = True
            if not oldest.is_open:
                self._errors_before = self._errors_before + 1 if oldest.outcome == "error" else 0

    @property
    def open_ids(self) -> list[int]:
        """Those of the newest runs that have not ended: the newest of all, and any that has not even started."""
        open_ = [run.id for run in self._runs if run.is_open and run.started_at is None]
        newest = self._newest_started
        return sorted({*open_, *([newest.id] if newest and newest.is_open else [])})

    @property
    def _newest_started(self) -> RunRow | None:
        return next((run for run in reversed(self._runs) if run.started_at), None)

    @property
    def in_flight_since(self) -> datetime | None:
        """Since when its newest run is in flight. An older one that never ended was lost: a later one has started."""
        newest = self._newest_started
        return newest.started_at if newest and newest.is_open else None

    @property
    def last_start(self) -> datetime | None:
        """When a run of it last started."""
        return max((run.started_at for run in self._runs if run.started_at), default=None)

    @property
    def last_recorded(self) -> RecordedRun | None:
        """The newest run that has ended."""
        return next((run.recorded for run in reversed(self._runs) if run.recorded), None)

    @property
    def ends(self) -> tuple[RunEnd, ...]:
        """The ends that are remembered, the newest last."""
        return tuple(sorted((run.end for run in self._runs if run.end), key=lambda end: (end.at, end.id)))

    @property
    def consecutive_errors(self) -> int:
        """How many of the newest ended runs ended in an error, in a row."""
        errors = 0
        for run in reversed(self._runs):
            if run.outcome == "ok":
                return errors
            errors += run.outcome == "error"
        return errors + self._errors_before

    @property
    def zero_streak(self) -> ZeroStreak:
        """The newest runs that ended with 0 tokens in and out."""
        firsts: list[datetime] = []
        for end in reversed(self.ends):
            if not end.is_zero:
                break
            firsts.insert(0, end.at)
        return ZeroStreak(len(firsts), tuple(firsts), firsts[-1]) if firsts else ZeroStreak()


class Runs:
    """All jobs' histories. Of jobs that are gone only their last signs of life are kept."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Another database, or an older state of it, has taken its place."""
        self._histories: dict[str, JobRuns] = {}
        self._newest_ids: list[int] = []
        self.gone_start: datetime | None = None
        self.gone_end: datetime | None = None

    @property
    def mark(self) -> Mark:
        """Where to read on."""
        if not self._newest_ids:
            return Mark()
        after = self._newest_ids[0] - 1 if len(self._newest_ids) == OVERLAP else 0
        open_ids = sorted(id_ for history in self._histories.values() for id_ in history.open_ids if id_ <= after)
        return Mark(after, self._newest_ids[-1], tuple(open_ids[-MOST_OPEN:]))

    def of(self, job_id: str) -> JobRuns:
        """A job's runs; none if none is known."""
        return self._histories.get(job_id) or JobRuns()

    def take(self, runs: Iterable[RunRow], vanished: Iterable[int], job_ids: set[str]) -> None:
        """Remember what a read found, and which open runs it did not find any more."""
        lost = set(vanished)
        for history in self._histories.values() if lost else ():
            for id_ in lost.intersection(history.open_ids):
                history.drop(id_)
        ids = set(self._newest_ids)
        for run in runs:
            ids.add(run.id)
            self._histories.setdefault(run.job_id, JobRuns()).put(run)
        self._newest_ids = sorted(ids)[-OVERLAP:]
        self._part_with([id_ for id_ in self._histories if id_ not in job_ids])

    def _part_with(self, gone: Iterable[str]) -> None:
        for id_ in gone:
            history = self._histories.pop(id_)
            starts, ends = [self.gone_start, history.last_start], [self.gone_end, *(end.at for end in history.ends)]
            self.gone_start = max((at for at in starts if at), default=None)
            self.gone_end = max((at for at in ends if at), default=None)
