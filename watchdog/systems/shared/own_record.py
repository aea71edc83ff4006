"""What the watchdog's own state file remembers of a source: runs and changes of state.

The file is read as somebody else's would be, so that a service which runs on it is not disturbed.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from watchdog.core.instants import iso, parse_instant
from watchdog.core.model import RunEnd
from watchdog.state.history import BROKEN_OFF
from watchdog.systems.shared.past import Change, PastError, PastRun, outcome_of, seconds_of
from watchdog.systems.shared.sqlite_file import read
from watchdog.systems.shared.unreadable import UnreadableError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class OwnRecord:
    """Of each job: its runs by the second in which they ended, its last run before those, its changes of state.

    `cut`: of those that were broken off, when they began and when their scheduler started again.
    """

    runs: dict[str, dict[int, PastRun]] = field(default_factory=dict)
    before: dict[str, PastRun] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    cut: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)

    @property
    def known_from(self) -> datetime | None:
        """When the first run ended that the watchdog saw recorded."""
        ends = (run.end.at for runs in self.runs.values() for run in runs.values() if run.started_at and run.status)
        return min(ends, default=None)

    @property
    def begins_at(self) -> datetime | None:
        """When the first of the runs ended."""
        return min((next(iter(runs.values())).end.at for runs in self.runs.values()), default=None)


def own_record(path: Path | None, source: str, since: datetime) -> OwnRecord | None:
    """What is on record of a source, its runs since an instant; None if there is no state file."""
    if path is None or not path.exists():
        return None
    return read_state(path, lambda db: _record(db, source, since))


def read_state(path: Path, query: Callable[[sqlite3.Connection], T]) -> T:
    """What a query finds in a state file. Raises PastError if it cannot be read."""
    try:
        return read(path, query, longest=None)[0]
    except UnreadableError as error:
        raise PastError(f"the state file {error}") from error


def tables_of(db: sqlite3.Connection) -> set[str]:
    """The tables of a state file. Raises PastError if it is none."""
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()}
    if "incidents" not in tables:
        raise PastError("the state file is a database of another program; say which with -c or --state")
    return tables


def _record(db: sqlite3.Connection, source: str, since: datetime) -> OwnRecord:
    if not {"runs", "job_states"} <= tables_of(db):
        return OwnRecord()
    runs: dict[str, dict[int, PastRun]] = {}
    for job_id, run in _runs(db.execute(f"{_RUNS} AND ended_at >= ? ORDER BY job_id, ended_at", (source, iso(since)))):
        runs.setdefault(job_id, {})[seconds_of(run.end.at)] = run
    before = dict(_runs(db.execute(_BEFORE, (source, iso(since)))))
    changes: dict[str, list[Change]] = {}
    for job_id, at, state in db.execute(_STATES, (source,)):
        changes.setdefault(job_id, []).append(Change(parse_instant(at), state))
    cut: dict[str, list[tuple[datetime, datetime]]] = {}
    for job_id, began, ended in db.execute(_CUT, (source, iso(since))):
        cut.setdefault(job_id, []).append((parse_instant(began), parse_instant(ended)))
    return OwnRecord(runs, before, changes, cut)


_FACTS = "ended_at, started_at, status, duration_seconds, input_tokens, output_tokens, error"
_ENDED = f"source = ? AND (status IS NULL OR status != '{BROKEN_OFF}')"
_RUNS = f"SELECT job_id, {_FACTS} FROM runs WHERE {_ENDED}"  # noqa: S608
_BEFORE = (
    "SELECT job_id, max(ended_at), started_at, status, duration_seconds, input_tokens, output_tokens, error "  # noqa: S608
    f"FROM runs WHERE {_ENDED} AND ended_at < ? GROUP BY job_id"
)
_CUT = (
    f"SELECT job_id, started_at, ended_at FROM runs WHERE source = ? AND status = '{BROKEN_OFF}' "  # noqa: S608
    "AND ended_at >= ? AND duration_seconds IS NOT NULL ORDER BY ended_at"
)
_STATES = "SELECT job_id, at, state FROM job_states WHERE source = ? ORDER BY job_id, at"


def _runs(rows: sqlite3.Cursor) -> Iterator[tuple[str, PastRun]]:
    for job_id, ended, started, status, seconds, input_tokens, output_tokens, error in rows:
        yield (
            job_id,
            PastRun(
                RunEnd(0, parse_instant(ended), input_tokens, output_tokens),
                parse_instant(started) if started else None,
                timedelta(seconds=seconds) if seconds is not None else None,
                outcome_of(status),
                error=error,
            ),
        )
