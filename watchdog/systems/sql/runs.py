"""What is remembered of the runs from look to look: for each job its newest ones, and where to read on."""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise, takewhile

from watchdog.core.error_class import classify
from watchdog.core.model import Interruption, RecordedRun, RunEnd, Skips, ZeroStreak
from watchdog.core.redaction import one_line
from watchdog.systems.shared.outcomes import FAILED, LEFT_OFF, OK, RUNNING, SKIPPED, WAITING, outcome_word
from watchdog.systems.shared.run_ends import HOUR, MOST_IN_AN_HOUR
from watchdog.systems.shared.values import ERROR_LENGTH, Values, quoted, whole
from watchdog.systems.sql.columns import QueryError
from watchdog.systems.sql.instants import readable

KEPT = 20
"""So many of a job's newest ended runs are remembered one by one; of older ones only how many errors came before."""

KEPT_OPEN = 50
"""Of a job's runs that have started and not ended, the oldest and the newest ones up to this are remembered."""

KEPT_WAITING = 200
"""Of a job's runs that wait to be started the oldest, which mostly come first."""

FEW = 10
"""Once so few are left of waiting runs of which some were not remembered, the job is asked for by itself."""

OVERLAP = 100
"""At least so many of the newest ids are read again each time: a lower id may be committed after a higher one."""

MOST_OPEN = 500

ID_LENGTH = 128

FOREVER = datetime.max.replace(tzinfo=UTC)

NOT_MADE_UP = "its work was not finished, and nothing shows that it is made up for"

RunKey = tuple[int, str]
"""What a run is known by: the number that it is read by, and its id where that is another."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where to read on: after this id, and besides the runs of these keys, which had not ended. Before the first: -1.

    `newest`: the highest id that was seen. `is_short`: of some job it is not known which of its runs comes next.
    """

    after: int = -1
    newest: int = -1
    open_keys: tuple[RunKey, ...] = ()
    is_short: bool = False

    @property
    def is_first(self) -> bool:
        """Nothing is known yet."""
        return self.after < 0


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run. `outcome` is `ok`, `error` or `skipped`, and None until it has ended.

    `is_left_off`: its process went away. `untimed`: why nobody can tell when it was, where it has been.
    """

    id: int
    job_id: str
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    error: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    name: str = ""
    is_left_off: bool = False
    untimed: str = ""

    @property
    def key(self) -> RunKey:
        """What it is known by."""
        return self.id, self.name

    @property
    def is_open(self) -> bool:
        """It has not ended, as far as is written."""
        return self.outcome is None

    @property
    def is_waiting(self) -> bool:
        """It has not even started."""
        return self.is_open and self.started_at is None

    @property
    def over_at(self) -> datetime | None:
        """When it ended; its start where only that it ended is written."""
        return None if self.is_open else self.ended_at or self.started_at

    @property
    def end(self) -> RunEnd | None:
        """Its end with its tokens."""
        if self.over_at is None:
            return None
        return RunEnd(self.id, self.over_at, self.input_tokens, self.output_tokens, status=self.outcome)

    @property
    def recorded(self) -> RecordedRun | None:
        """Its outcome, once it has ended."""
        begun = self.started_at or self.over_at
        if self.is_open or begun is None:
            return None
        return RecordedRun(
            begun,
            self.outcome,
            self._length(begun),
            self.error,
            classify(self.error) if self.outcome == "error" else None,
        )

    def _length(self, begun: datetime) -> timedelta | None:
        """How long it took. The end of one that was left off is written by its successor, and says nothing of that."""
        if self.ended_at is None or self.is_left_off or self.ended_at < begun:
            return None
        return self.ended_at - begun


def read_run(row: Mapping[str, object]) -> RunRow:
    """One row of the runs query. What cannot be read of it is left out; raises QueryError without an id."""
    values = Values(readable(row))
    started, ended = values.instant("started_at"), values.instant("ended_at")
    error, word = values.text("error", ERROR_LENGTH), outcome_word(values.word("status"))
    id_, name = run_key(row)
    outcome = _outcome(word, error, has_ended=ended is not None, tells_end="ended_at" in row)
    unread = next(iter(values.problems), "it has neither a start nor an end" if outcome else "")
    has_begun = outcome is not None or word not in WAITING
    return RunRow(
        id_,
        key(row.get("job_id")),
        started if has_begun else None,
        ended,
        outcome,
        error,
        values.count("input_tokens"),
        values.count("output_tokens"),
        name,
        word in LEFT_OFF,
        unread if started is None and ended is None else "",
    )


def run_key(row: Mapping[str, object]) -> RunKey:
    """The number that a run is read by, and its id if that is another; raises QueryError if there is none."""
    column = "order" if "order" in row else "id"
    try:
        number = whole(row.get(column))
    except ValueError:
        shown = quoted(row.get(column))
        other = ' (or return one beside it, as a column "order")' if column == "id" else ""
        raise QueryError(
            f"the runs query returns the {column} {shown}; it must be a whole number that grows: runs are read after "
            f"an id{other}"
        ) from None
    return number, key(row.get("id")) if column == "order" else ""


def key(value: object) -> str:
    """A job's id as both queries are matched by: the columns may be of different types, and padded."""
    if isinstance(value, float | Decimal) and math.isfinite(value) and value == int(value):
        value = int(value)
    return str(value)[:500].strip()


def shown(id_: str) -> str:
    """A job's id as it leaves."""
    return one_line(id_, ID_LENGTH) or "(no id)"


def _outcome(word: str, error: str | None, *, has_ended: bool, tells_end: bool) -> str | None:
    """What became of a run; None if it has not ended. A status that is not known leaves it to the other columns."""
    if word in FAILED:
        return "error"
    if word in OK:
        return "ok"
    if word in SKIPPED:
        return "skipped"
    is_over = has_ended or not (tells_end or word in RUNNING | WAITING)
    return ("error" if error else "ok") if is_over else None


def _key(run: RunRow) -> RunKey:
    return run.key


class JobRuns:
    """One job's newest runs: those that have ended, those in flight, and those that wait. None pushes out another kind.

    `overlaps`: several may be in flight, and each row says truly whether its run is. What was seen to have ended holds
    though its row is gone, until the rows themselves tell of that time again.
    """

    def __init__(self, *, overlaps: bool = False) -> None:
        self._overlaps = overlaps
        self._ended: list[RunRow] = []
        self._open: list[RunRow] = []
        self._waiting: list[RunRow] = []
        self._errors_before = 0
        self._is_cut = False
        self._purged: list[RunRow] = []
        self._purged_errors = 0
        self._lately: list[datetime] = []
        self._before: datetime | None = None
        self.lacks_waiting = False

    def outlive(self, before: "JobRuns") -> None:
        """Its rows are gone, or numbered anew; this is what was known by them."""
        self._purged = before._known[-KEPT:]
        self._purged_errors = max(0, before.consecutive_errors - len(self._purged))

    @property
    def _known(self) -> list[RunRow]:
        """The newest that have ended, the newest last, those first whose rows are gone. Where there are rows of their
        time again, as a restored backup has them, these alone say what was."""
        if not self._purged:
            return self._ended
        until = _newest_until((run.over_at for run in self._purged), FOREVER)
        is_retold = until is not None and any(run.over_at and run.over_at <= until for run in self._ended)
        return self._ended if is_retold else [*self._purged, *self._ended]

    def put(self, run: RunRow) -> None:
        """Take in a run that is new, or that has changed."""
        if run.is_waiting:
            self._wait(run)
            return
        self._waiting = [known for known in self._waiting if known.key != run.key] if self._waiting else []
        if run.is_open:
            _put(self._open, run)
            if len(self._open) > KEPT_OPEN:
                del self._open[KEPT_OPEN // 2]
            return
        self._open = [known for known in self._open if known.key != run.key] if self._open else []
        self._end(run)

    def _wait(self, run: RunRow) -> None:
        _put(self._waiting, run)
        if len(self._waiting) > KEPT_WAITING:
            self._waiting.pop()
            self.lacks_waiting = True

    def _end(self, run: RunRow) -> None:
        if self._is_cut and self._ended and run.key < self._ended[0].key:
            return
        if not _put(self._ended, run):
            return
        if run.over_at is not None:
            insort(self._lately, run.over_at)
            old = max(bisect_right(self._lately, self._lately[-1] - HOUR), len(self._lately) - MOST_IN_AN_HOUR)
            self._before = self._lately[old - 1] if old else self._before
            del self._lately[:old]
        if len(self._ended) > KEPT:
            self._errors_before = self._errors_before if self._is_cut else self._errors_purged()
            self._is_cut, self._purged = True, []
            oldest = self._ended.pop(0)
            self._errors_before = 0 if oldest.outcome == "ok" else self._errors_before + (oldest.outcome == "error")

    def drop(self, run: RunKey) -> None:
        """It is no longer there."""
        for runs in (self._open, self._waiting):
            runs[:] = [known for known in runs if known.key != run]

    @property
    def open_keys(self) -> list[RunKey]:
        """Those in flight, and after them those that wait, the oldest first."""
        flying = self._open if self._overlaps else self._open[-1:]
        return [run.key for run in (*flying, *self._waiting)]

    @property
    def untimed(self) -> str:
        """Why nobody can tell when it ran last; empty where somebody can."""
        newest = max((runs[-1] for runs in (self._ended, self._open, self._waiting) if runs), key=_key, default=None)
        return newest.untimed if newest else ""

    @property
    def is_queued(self) -> bool:
        """A run of it has been made and waits to be started."""
        return bool(self._waiting)

    @property
    def is_short(self) -> bool:
        """Which of its runs is in flight may not be known: of those that waited not all could be remembered."""
        return self.lacks_waiting and (len(self._waiting) < FEW or not self._open)

    @property
    def in_flight_since(self) -> datetime | None:
        """Since when a run of it is in flight. Of one that cannot overlap itself only the newest can be: an older one
        that never ended was lost, for a later one has started."""
        if not self._open:
            return None
        if self._overlaps:
            return min(run.started_at for run in self._open if run.started_at)
        newest = self._open[-1]
        started = [run for run in self._ended if run.started_at]
        return None if started and started[-1].key > newest.key else newest.started_at

    @property
    def last_start(self) -> datetime | None:
        """When a run of it last started."""
        return max((run.started_at for run in (*self._known, *self._open) if run.started_at), default=None)

    def last_trace(self, until: datetime) -> tuple[datetime | None, datetime | None]:
        """When a run of it last started, and ended, as far as that is not after an instant: such a one is a slip."""
        starts = (run.started_at for run in (*self._known, *self._open))
        ends = (run.over_at for run in self._known)
        return _newest_until(starts, until), _newest_until(ends, until)

    @property
    def last_recorded(self) -> RecordedRun | None:
        """The newest run that has ended."""
        return next((run.recorded for run in reversed(self._known) if run.recorded), None)

    @property
    def left_off(self) -> Interruption | None:
        """Its newest run, if its process went away under it."""
        known = self._known
        if not known or self._open or not known[-1].is_left_off:
            return None
        newest = known[-1]
        begun = newest.started_at or newest.over_at
        return Interruption(begun, None, newest.name or str(newest.id), NOT_MADE_UP) if begun else None

    @property
    def ends(self) -> tuple[RunEnd, ...]:
        """The ends that are remembered, the newest last."""
        return tuple(sorted((run.end for run in self._known if run.end), key=lambda end: (end.at, end.id)))

    @property
    def lately(self) -> list[datetime]:
        """When its runs of the hour before the newest end ended."""
        return self._lately

    @property
    def silence(self) -> tuple[datetime, datetime] | None:
        """The longest time without an end before one of these."""
        ends = [*([self._before] if self._before else []), *self._lately]
        return max(pairwise(ends), key=lambda pair: pair[1] - pair[0], default=None)

    @property
    def consecutive_errors(self) -> int:
        """How many of the newest ended runs ended in an error, in a row."""
        errors = _errors(self._ended)
        if any(run.outcome == "ok" for run in self._ended):
            return errors
        return errors + self._errors_before + self._errors_purged()

    def _errors_purged(self) -> int:
        """How many of those whose rows are gone did so, up to the newest of them."""
        if not self._purged or self._known is self._ended:
            return 0
        errors = _errors(self._purged)
        return errors if any(run.outcome == "ok" for run in self._purged) else errors + self._purged_errors

    @property
    def skips(self) -> Skips | None:
        """Its newest runs, if they were skipped."""
        newest = list(takewhile(lambda run: run.outcome == "skipped", reversed(self._known)))
        ends = [run.over_at for run in newest if run.over_at]
        return Skips(len(newest), ends[0], newest[0].error, ends[-1]) if ends else None

    @property
    def zero_streak(self) -> ZeroStreak:
        """The newest runs that ended with 0 tokens in and out."""
        firsts: list[datetime] = []
        for end in reversed(self.ends):
            if not end.is_zero:
                break
            firsts.insert(0, end.at)
        return ZeroStreak(len(firsts), tuple(firsts), firsts[-1]) if firsts else ZeroStreak()


def _errors(runs: Sequence[RunRow]) -> int:
    """How many of the newest ended in an error, in a row. One that was skipped is neither an error nor a success."""
    since = takewhile(lambda run: run.outcome != "ok", reversed(runs))
    return sum(run.outcome == "error" for run in since)


def _newest_until(instants: Iterable[datetime | None], until: datetime) -> datetime | None:
    return max((at for at in instants if at and at <= until), default=None)


def _put(runs: list[RunRow], run: RunRow) -> bool:
    """Put a run into its place, or instead of what was known of it; whether it is new."""
    at = bisect_left(runs, run.key, key=_key)
    if at < len(runs) and runs[at].key == run.key:
        runs[at] = run
        return False
    runs.insert(at, run)
    return True


class Runs:
    """All jobs' histories. Of jobs that are gone only their last signs of life are kept."""

    def __init__(self, *, overlap: bool = False) -> None:
        self._overlap = overlap
        self._histories: dict[str, JobRuns] = {}
        self._newest_ids: list[int] = []
        self.begin_anew()

    def begin_anew(self, *, is_flood: bool = False) -> None:
        """Rows that were known are gone: what they told holds. In a flood more has happened than is worth following."""
        known = {} if is_flood and self._newest_ids else self._histories
        self._histories = {id_: JobRuns(overlaps=self._overlap) for id_ in known}
        for id_, history in self._histories.items():
            history.outlive(known[id_])
        self._newest_ids = []
        self.gone_start: datetime | None = None
        self.gone_end: datetime | None = None
        self.gone_id = ""

    @property
    def mark(self) -> Mark:
        """Where to read on. What is in flight comes before what waits, if not all can be read again."""
        if not self._newest_ids:
            return Mark()
        after = self._newest_ids[0] - 1 if len(self._newest_ids) == OVERLAP else 0
        keys = [history.open_keys for history in self._histories.values()]
        by_rank = [*(each for some in keys for each in some[:1]), *(each for some in keys for each in some[1:])]
        is_short = any(history.is_short for history in self._histories.values())
        return Mark(after, self._newest_ids[-1], tuple(sorted(by_rank[:MOST_OPEN])), is_short)

    @property
    def has_any(self) -> bool:
        """Whether any of the jobs is known to have run."""
        return any(history.last_start for history in self._histories.values())

    def of(self, job_id: str) -> JobRuns:
        """A job's runs; none if none is known."""
        return self._histories.get(job_id) or JobRuns()

    def take(self, runs: Iterable[RunRow], vanished: Iterable[RunKey], job_ids: set[str] | None) -> None:
        """Remember what a read found, and which open runs it did not find any more.

        `job_ids`: which jobs are there; None if that cannot be seen.
        """
        for lost in vanished:
            for history in self._histories.values():
                history.drop(lost)
        ids = set(self._newest_ids)
        for run in runs:
            ids.add(run.id)
            self._histories.setdefault(run.job_id, JobRuns(overlaps=self._overlap)).put(run)
        self._newest_ids = sorted(ids)[-OVERLAP:]
        self._part_with([id_ for id_ in self._histories if job_ids is not None and id_ not in job_ids])

    def asked(self) -> None:
        """What each job ran last has been asked for by itself."""
        for history in self._histories.values():
            history.lacks_waiting = history.lacks_waiting and history.is_queued

    def doubt(self) -> None:
        """Not all runs were read: there may be more of those that wait."""
        for history in self._histories.values():
            history.lacks_waiting = history.lacks_waiting or history.is_queued

    def _part_with(self, gone: Iterable[str]) -> None:
        for id_ in gone:
            history, self.gone_id = self._histories.pop(id_), id_
            starts, ends = [self.gone_start, history.last_start], [self.gone_end, *(end.at for end in history.ends)]
            self.gone_start = max((at for at in starts if at), default=None)
            self.gone_end = max((at for at in ends if at), default=None)
