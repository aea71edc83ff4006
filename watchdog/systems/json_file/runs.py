"""Runs, put together from all that is on record of each; and what follows from a job's newest ones."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from watchdog.core.error_class import classify
from watchdog.core.model import RecordedRun, RunEnd, ZeroStreak
from watchdog.systems.json_file.mapping import Ways, read_column
from watchdog.systems.shared.outcomes import FAILED, OK, SKIPPED, outcome_word
from watchdog.systems.shared.values import ERROR_LENGTH, Values

KEPT = 50
"""So many of a job's newest runs are looked at."""

Outcome = Literal["ok", "error", "skipped"]

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Run:
    """One run. `outcome` is None until it has ended; `error` may stand beside an ok that was none;
    `has_calls`: a model was called in it."""

    id: str
    job_id: str
    started_at: datetime
    ended_at: datetime | None = None
    outcome: Outcome | None = None
    error: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    written_ok: bool = False
    has_calls: bool = False

    @property
    def is_open(self) -> bool:
        """It has not ended, as far as is written."""
        return self.outcome is None

    @property
    def over_at(self) -> datetime | None:
        """When it ended; its start where only that it ended is written."""
        return None if self.is_open else self.ended_at or self.started_at

    @property
    def recorded(self) -> RecordedRun:
        """Its outcome as its scheduler wrote it, with the error that came with it."""
        length = self.ended_at - self.started_at if self.ended_at else None
        return RecordedRun(
            self.started_at,
            "ok" if self.written_ok else self.outcome,
            length if length is not None and length >= timedelta() else None,
            self.error,
            classify(self.error) if self.outcome == "error" else None,
        )


def columns_of(ways: Mapping[Any, Ways], document: object) -> dict[str, object]:
    """The columns that a record has."""
    found = {column: read_column(column, each, document) for column, each in ways.items()}
    return {column: value for column, value in found.items() if value is not None}


def job_of(record: Row) -> str:
    """The id of the job that a record is of."""
    return str(record.get("job_id"))[:500]


def together(job: str, records: Iterable[Row]) -> tuple[Run, ...]:
    """The runs of a job, oldest first: records of one id are of one run, the earlier record going before."""
    rows: dict[str, dict[str, object]] = {}
    for record in records:
        id_ = record.get("id")
        started = record.get("started_at") or record.get("ended_at")
        known = rows.setdefault(str(started if id_ is None else id_)[:500], {})
        known.update({column: value for column, value in record.items() if column not in known})
    runs = (_run(job, id_, row) for id_, row in rows.items())
    return tuple(sorted((run for run in runs if run), key=lambda run: run.started_at)[-KEPT:])


def _run(job: str, id_: str, row: Row) -> Run | None:
    """None for one of which not even its time can be read."""
    values = Values(row)
    started, ended, length = values.instant("started_at"), values.instant("ended_at"), values.duration("duration")
    if started is not None and ended is None and length is not None:
        ended = started + length
    begun = started or (ended - length if ended and length else ended)
    if begun is None:
        return None
    word, error = read_status(values.text("status", ERROR_LENGTH))
    error = values.text("error", ERROR_LENGTH) or error
    outcome = outcome_of(word, error, has_ended=ended is not None)
    return Run(
        id_, job, begun, ended, outcome, error, values.count("input_tokens"), values.count("output_tokens"), word in OK
    )


def read_status(text: str | None) -> tuple[str, str | None]:
    """The word for an outcome, and the error that stands behind it: `error: no route to host`."""
    word, colon, rest = (text or "").partition(":")
    return word.strip().lower().replace(" ", "_").replace("-", "_"), rest.strip() or None if colon else None


def outcome_of(word: str, error: str | None, *, has_ended: bool) -> Outcome | None:
    """What became of a run; None if it has not ended. A word that is not known leaves it to the rest."""
    word = outcome_word(word)
    if word in FAILED:
        return "error"
    if word in OK:
        return "ok"
    if word in SKIPPED:
        return "skipped"
    return ("error" if error else "ok") if has_ended else None


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a model: when, how many tokens were reported, and what went wrong."""

    at: datetime
    tokens: int
    error: str | None


def with_calls(runs: Sequence[Run], calls: Sequence[Call], *, needs_one: bool, now: datetime) -> tuple[Run, ...]:
    """The runs with what their calls of a model used; `calls` are the oldest first. One that is written down as ok, and
    of whose calls none was answered, has failed all the same. `needs_one`: a run without any call used no tokens."""
    return tuple(_with_calls(run, calls, needs_one=needs_one, now=now) for run in runs)


SETTLED = timedelta(seconds=30)
"""So long after a run has ended its calls may still be written down."""


def _with_calls(run: Run, calls: Sequence[Call], *, needs_one: bool, now: datetime) -> Run:
    if run.ended_at is None or not calls or run.started_at < calls[0].at:
        return run  # what was called before the first call that is known is not
    begins = bisect_left(calls, run.started_at, key=lambda call: call.at)
    own = calls[begins : bisect_right(calls, run.ended_at, key=lambda call: call.at)]
    if not own:
        is_known = needs_one and now - run.ended_at >= SETTLED
        return replace(run, input_tokens=0, output_tokens=0) if is_known else run
    answered = [call for call in own if call.error is None]
    found = replace(run, input_tokens=sum(call.tokens for call in own), output_tokens=0, has_calls=True)
    if answered or run.outcome != "ok":
        return found
    return replace(found, outcome="error", error=own[-1].error)


@dataclass(frozen=True, slots=True)
class History:
    """A job's newest runs, oldest first."""

    runs: tuple[Run, ...] = ()

    @property
    def last_start(self) -> datetime | None:
        """When a run of it last started."""
        return self.runs[-1].started_at if self.runs else None

    @property
    def last_ended(self) -> Run | None:
        """The newest run that has ended."""
        return next((run for run in reversed(self.runs) if not run.is_open), None)

    @property
    def open_run(self) -> Run | None:
        """The newest run, if it has not ended. An older one that never ended was lost."""
        return self.runs[-1] if self.runs and self.runs[-1].is_open else None

    @property
    def ends(self) -> tuple[RunEnd, ...]:
        """The ends that are known, the newest last."""
        found = [
            RunEnd(number, run.over_at, run.input_tokens, run.output_tokens, status=run.recorded.status)
            for number, run in enumerate(self.runs)
            if run.over_at is not None
        ]
        return tuple(sorted(found, key=lambda end: (end.at, end.id)))

    @property
    def consecutive_errors(self) -> int:
        """How many of the newest ended runs ended in an error, in a row; one that was skipped is neither."""
        errors = 0
        for run in reversed(self.runs):
            if run.outcome == "ok":
                return errors
            errors += run.outcome == "error"
        return errors

    @property
    def zero_streak(self) -> ZeroStreak | None:
        """The newest runs that ended without a token; None if of no run it is known whether it used any."""
        ends = [end for end in self.ends if end.input_tokens is not None]
        if not ends:
            return None
        firsts: list[datetime] = []
        for end in reversed(ends):
            if not end.is_zero:
                break
            firsts.insert(0, end.at)
        return ZeroStreak(len(firsts), tuple(firsts), firsts[-1]) if firsts else ZeroStreak()
