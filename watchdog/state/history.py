"""The past of each job: its finished runs and its changes of state, kept longer than any snapshot shows them.

A snapshot tells the newest run ends and the last recorded run. What is new in it is written into the state file, in
one transaction a tick, and only when there is something new.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from watchdog.core.changed import unlike
from watchdog.core.instants import iso, parse_instant
from watchdog.core.logs import log
from watchdog.core.model import Job, RecordedRun, Snapshot
from watchdog.detectors.published import Published
from watchdog.state.retention import forget_runs
from watchdog.state.store import Store

KEPT_RUNS = 500
"""Runs, and changes of state, that are kept for each job."""

RUNS_AT_ONCE = 500
"""Runs that are gathered before they are written."""

_ROW_LAG = timedelta(seconds=1)
"""A run end's whole-second time stamp may trail the recorded run's end by this much."""

BROKEN_OFF = "interrupted"
"""The status of a run that never ended: its scheduler went away under it."""

JobKey = tuple[str, str]
"""Source and job id."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run that is over, with what is known of it. `cost_usd` is this run's alone.

    `ended_at` is cut to the second; of one that was broken off it is when its scheduler started again, if it has.
    """

    source: str
    job_id: str
    ended_at: datetime
    started_at: datetime | None = None
    status: str | None = None
    duration: timedelta | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    error: str | None = None

    @property
    def began(self) -> datetime:
        """When it started, or its end where that is not known."""
        return self.started_at or self.ended_at

    @property
    def outcome(self) -> str:
        """What came of it, as far as anything tells: see `OUTCOMES`."""
        if self.status not in (None, "ok"):
            return {BROKEN_OFF: "broken_off", "skipped": "skipped"}.get(self.status, "error")
        if self.input_tokens == 0 and self.output_tokens == 0:
            return "no_tokens"
        return "worked" if self.status else "unknown"


OUTCOMES = ("worked", "no_tokens", "error", "skipped", "broken_off", "unknown")
"""All that can come of a run."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """From when on a job was in a state."""

    at: datetime
    state: str


@dataclass(frozen=True, slots=True)
class Seen:
    """A job as it was last taken over. `base`: its lifetime cost before its newest run, None where that is unknown."""

    job: Job
    base: float | None


@dataclass(slots=True)
class _News:
    """What some jobs show that they did not show before."""

    seen: dict[JobKey, Seen] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    states: dict[JobKey, StateChange] = field(default_factory=dict)


def runs_of(source: str, job: Job) -> tuple[Run, ...]:
    """The finished runs that a snapshot tells of, oldest first; the last recorded run is joined to its own run end."""
    runs = [
        Run(
            source,
            job.id,
            end.at.replace(microsecond=0),
            input_tokens=end.input_tokens,
            output_tokens=end.output_tokens,
            cost_usd=end.cost_usd,
            status=end.status,
        )
        for end in job.recent
    ]
    if job.last_run is None:
        return tuple(runs)
    index = end_of(job.last_run, [run.ended_at for run in runs])
    if index is None:
        ended = (job.last_run.ended_at or job.last_run.started_at).replace(microsecond=0)
        return tuple(sorted([*runs, _recorded(Run(source, job.id, ended), job.last_run)], key=lambda run: run.ended_at))
    before = _in_error(runs[:index], (job.consecutive_errors or 0) - 1)
    return (*before, _recorded(runs[index], job.last_run), *runs[index + 1 :])


def _in_error(runs: Sequence[Run], count: int) -> list[Run]:
    """The newest `count` of the runs ended in an error, as the row's count of errors in a row says."""
    first = len(runs) - max(0, count)
    return [
        replace(run, status="error") if index >= first and run.status is None else run for index, run in enumerate(runs)
    ]


def end_of(recorded: RecordedRun, ends: Sequence[datetime]) -> int | None:
    """Which of a job's run ends is the recorded run's: the first after its start, if its own end is not known.

    Else the one nearest to that: where a run begins in the second in which the one before ended, both lie after its
    start as far as whole seconds tell.
    """
    start, ended = recorded.started_at.replace(microsecond=0), recorded.ended_at
    after = (index for index, end in enumerate(ends) if end >= start)
    if ended is None:
        return next(after, None)
    own = [index for index in after if ends[index] <= ended + _ROW_LAG]
    return min(own, key=lambda index: abs(ends[index] - ended), default=None)


def broken_off(source: str, job: Job) -> Run | None:
    """The run that was seen to begin and that its scheduler did not bring to an end."""
    cut = job.interrupted
    if cut is None:
        return None
    ended = cut.restarted_at or cut.started_at
    length = ended - cut.started_at if cut.restarted_at else None
    return Run(source, job.id, ended.replace(microsecond=0), cut.started_at, BROKEN_OFF, length)


def _recorded(run: Run, recorded: RecordedRun) -> Run:
    return replace(
        run,
        started_at=recorded.started_at,
        status=recorded.status,
        duration=recorded.duration,
        error=recorded.error if recorded.status != "ok" else None,
    )


def news(before: Seen | None, source: str, job: Job) -> tuple[Seen, tuple[Run, ...]]:
    """What a job shows that it did not show before, and what to remember of it.

    Where nothing else tells it, a run's own cost is what the job's lifetime cost has grown by since before its one new
    run.
    """
    cut = broken_off(source, job)
    left_off = () if cut is None or (before and cut == broken_off(source, before.job)) else (cut,)
    if before is None:
        return Seen(job, None), (*runs_of(source, job), *left_off)
    if _past(job) == _past(before.job):
        return Seen(job, before.base), left_off
    known = {run.ended_at: run for run in runs_of(source, before.job)}
    runs = runs_of(source, job)
    count = sum(run.ended_at not in known for run in runs)
    base = before.base if not count else before.job.totals.cost_usd if count == 1 else None
    known_to_be_counted = _is_each_counted(before.job, job, [run.ended_at for run in runs])
    new = [
        run
        for run in runs
        if run != known.get(run.ended_at) and (known_to_be_counted or not _is_counted_late(run, known))
    ]
    if runs:
        newest = runs[-1]
        if newest.cost_usd is None:
            newest = replace(newest, cost_usd=_grown(base, job.totals.cost_usd))
        has_cost_changed = job.totals.cost_usd != before.job.totals.cost_usd
        is_new = runs[-1] in new
        new = [run for run in new if run is not runs[-1]]
        if is_new or (has_cost_changed and newest.cost_usd):
            new.append(newest)
    return Seen(job, base), (*new, *left_off)


def _is_counted_late(run: Run, known: Mapping[datetime, Run]) -> bool:
    """Whether only the count of errors tells of it now, and it was seen before: then it is one that nobody recorded."""
    before = known.get(run.ended_at)
    return before is not None and before.status is None and run.status == "error" and run.started_at is None


def _is_each_counted(before: Job, job: Job, ends: Sequence[datetime]) -> bool:
    """Whether the count of errors has grown by as many as there are runs since the one that was recorded last: each of
    them was an error then, also one whose end was billed at that look and recorded after it."""
    if before.last_run is None or job.last_run is None:
        return False
    first, last = end_of(before.last_run, ends), end_of(job.last_run, ends)
    grown = (job.consecutive_errors or 0) - (before.consecutive_errors or 0)
    return first is not None and last is not None and 0 < grown == last - first


def _past(job: Job) -> object:
    """All of a job that its past is told from."""
    return (job.recent, job.last_run, job.consecutive_errors, job.totals.cost_usd)


def _grown(before: float | None, now: float | None) -> float | None:
    return round(now - before, 6) if before is not None and now is not None and now >= before else None


class History:
    """Takes over what each tick published. Without a state file nothing is kept."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[JobKey, Seen] = {}
        self._states: dict[JobKey, str] = {}
        self._snapshots: dict[str, Snapshot] = {}
        self._tidied_at: datetime | None = None
        self._problem = ""
        if store.path is not None:
            self._states = {
                (source, job_id): state
                for source, job_id, _, state in store.database.execute(
                    "SELECT source, job_id, max(at), state FROM job_states GROUP BY source, job_id"
                )
            }

    def turn(self, published: Published, now: datetime) -> bool:
        """Write down what is new; whether anything was. A state file that cannot be written is tried again."""
        if self._store.path is None:
            return False
        try:
            has_written = self._take_over(published, now)
        except sqlite3.Error as error:
            if str(error) != self._problem:
                log.error(f"the history cannot be written: {error}; it is tried again", extra={"action": "state"})
            self._problem = str(error)
            return False
        self._problem = ""
        return has_written

    def _take_over(self, published: Published, now: datetime) -> bool:
        changed = [
            state.snapshot
            for state in published.sources
            if not state.snapshot.problem and self._snapshots.get(state.snapshot.source) is not state.snapshot
        ]
        if not changed:
            return False
        seen: dict[JobKey, Seen] = {}
        states: dict[JobKey, str] = {}
        with ExitStack() as written:
            has_news = False
            for part in self._news(changed, now):
                seen |= part.seen
                states |= {key: change.state for key, change in part.states.items()}
                if part.runs or part.states:
                    if not has_news:
                        written.enter_context(self._store.transaction())
                    has_news = True
                    save(self._store.database, part.runs, part.states)
            if has_news:
                self._tidy(now)
        self._snapshots |= {snapshot.source: snapshot for snapshot in changed}
        self._states |= states
        self._seen |= seen
        self._forget_the_gone(published)
        return has_news

    def _news(self, snapshots: Iterable[Snapshot], now: datetime) -> Iterator["_News"]:
        """What is new of all jobs, some at a time: of a thousand at once it would be megabytes."""
        part = _News()
        for snapshot in snapshots:
            known = self._snapshots.get(snapshot.source)
            for job in (snapshot.jobs[place] for place in unlike(known.jobs if known else (), snapshot.jobs)):
                key = (snapshot.source, job.id)
                before = self._seen.get(key)
                if before is None or before.job is not job:
                    part.seen[key], new = news(before, snapshot.source, job)
                    part.runs += new
                    if job.state != self._states.get(key, "active"):
                        # of what is so at the first look nobody knows a fire since its last run that was due
                        is_first = before is None and key not in self._states
                        seen_at = min(new[-1].ended_at, now) if is_first and new else now
                        part.states[key] = StateChange(_since(job, before, seen_at, now), job.state)
                if len(part.runs) >= RUNS_AT_ONCE:
                    yield part
                    part = _News()
        yield part

    def _tidy(self, now: datetime) -> None:
        self._store.tidy(now)
        if self._tidied_at is None or now - self._tidied_at >= timedelta(days=1):
            forget_runs(self._store.database, now)
            self._tidied_at = now

    def _forget_the_gone(self, published: Published) -> None:
        there = published.jobs
        if len(self._seen) > len(there) and not any(state.snapshot.problem for state in published.sources):
            self._seen = {key: seen for key, seen in self._seen.items() if key in there}


def _since(job: Job, before: Seen | None, seen_at: datetime, now: datetime) -> datetime:
    """A row's time stamp tells when its state changed, unless it lies in the future, or a hand that changed the state
    left the stamp as it was: then it is that of an earlier change, which must not be written over."""
    is_old = before is not None and before.job.updated_at == job.updated_at
    return job.updated_at if job.updated_at and job.updated_at <= now and not is_old else seen_at


# the tables


def save(db: sqlite3.Connection, runs: Iterable[Run], states: Mapping[JobKey, StateChange]) -> None:
    """Write runs and changes of state down; of a run that is there already what is newly known is added."""
    runs = list(runs)
    db.executemany(_UPSERT, (_row(run) for run in runs))
    db.executemany(
        "INSERT OR REPLACE INTO job_states (source, job_id, at, state) VALUES (?, ?, ?, ?)",
        [(*key, iso(change.at), change.state) for key, change in states.items()],
    )
    for key in {(run.source, run.job_id) for run in runs}:
        _trim(db, "runs", "ended_at", key)
    for key in states:
        _trim(db, "job_states", "at", key)


_UPSERT = """
INSERT INTO runs (source, job_id, ended_at, started_at, status, duration_seconds, input_tokens, output_tokens, cost_usd,
    error) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (source, job_id, ended_at) DO UPDATE SET started_at = coalesce(excluded.started_at, started_at),
    status = coalesce(excluded.status, status),
    duration_seconds = coalesce(excluded.duration_seconds, duration_seconds),
    input_tokens = coalesce(excluded.input_tokens, input_tokens),
    output_tokens = coalesce(excluded.output_tokens, output_tokens), cost_usd = coalesce(excluded.cost_usd, cost_usd),
    error = coalesce(excluded.error, error)
"""


def _trim(db: sqlite3.Connection, table: str, column: str, key: JobKey) -> None:
    db.execute(
        f"DELETE FROM {table} WHERE source = ? AND job_id = ? AND {column} <= (SELECT {column} FROM {table} "
        f"WHERE source = ? AND job_id = ? ORDER BY {column} DESC LIMIT 1 OFFSET ?)",
        (*key, *key, KEPT_RUNS),
    )


def load_runs(
    db: sqlite3.Connection, source: str, job_id: str, limit: int, before: datetime | None = None
) -> list[Run]:
    """The newest runs of a job that ended before an instant, oldest first."""
    rows = db.execute(
        "SELECT source, job_id, ended_at, started_at, status, duration_seconds, input_tokens, output_tokens, cost_usd, "
        "error FROM runs WHERE source = ? AND job_id = ? AND ended_at < ? ORDER BY ended_at DESC LIMIT ?",
        (source, job_id, iso(before) if before else "9999", limit),
    ).fetchall()
    return [_run(row) for row in reversed(rows)]


def load_states(db: sqlite3.Connection, source: str, job_id: str) -> list[StateChange]:
    """The changes of a job's state, oldest first."""
    rows = db.execute(
        "SELECT at, state FROM job_states WHERE source = ? AND job_id = ? ORDER BY at", (source, job_id)
    ).fetchall()
    return [StateChange(parse_instant(at), state) for at, state in rows]


def _row(run: Run) -> tuple[object, ...]:
    return (
        run.source,
        run.job_id,
        iso(run.ended_at),
        iso(run.started_at) if run.started_at else None,
        run.status,
        run.duration.total_seconds() if run.duration is not None else None,
        _storable(run.input_tokens),
        _storable(run.output_tokens),
        run.cost_usd,
        run.error,
    )


def _storable(count: int | None) -> int | None:
    return count if count is None or abs(count) < 2**63 else None


def _run(row: tuple[Any, ...]) -> Run:
    source, job_id, ended, started, status, seconds, input_tokens, output_tokens, cost, error = row
    return Run(
        source,
        job_id,
        parse_instant(ended),
        parse_instant(started) if started else None,
        status,
        timedelta(seconds=seconds) if seconds is not None else None,
        input_tokens,
        output_tokens,
        cost,
        error,
    )
