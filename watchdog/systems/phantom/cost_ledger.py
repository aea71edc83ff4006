"""What is remembered of the cost events: read by id from where the last look stopped, never by scan.

`cost_events` has no index but its key, nothing prunes it, and it may hold millions of rows (docs/phantom.md).
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from watchdog.core.instants import readable_instant
from watchdog.core.model import RunEnd, ZeroStreak
from watchdog.systems.shared.run_ends import Account
from watchdog.systems.shared.sqlite_file import columns_of

KEY_PREFIX = "scheduler:sched:"
_AFTER_PREFIX = "scheduler:sched;"
"""The first text that sorts after everything with the prefix."""

_MOST = 1e18
"""Beyond this a count of tokens is no count; infinity and NaN are not below it either."""

Row = tuple[int, str, object, object, object]


class CostLedger:
    """The run ends of every scheduled job, as far back as the first look went. Carried from look to look."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}
        self._anchor: tuple[int, object, object] | None = None
        self.begins_at: datetime | None = None

    def read(self, connection: sqlite3.Connection, since: datetime, latest: datetime) -> None:
        """Add what is new. The first time, and when the table is not the one that was read before, begin at `since`.

        What is dated later than `latest` is passed over: the scheduler's clock stood ahead when it was written.
        """
        after = self._read_until(connection)
        is_first = after is None
        if is_first:
            self._accounts.clear()
            self._anchor = None
            after = last_id_before(connection, since)
            self.begins_at = since
        newest = connection.execute(_NEWEST).fetchall()
        events = _events(_columns(connection))
        rows = connection.execute(events, (after, KEY_PREFIX, _AFTER_PREFIX))
        # a week of rows is not held at once; an error on the way leaves no anchor, and the next look begins anew
        for row in rows if is_first else rows.fetchall():
            self._add(row, latest)
        self._anchor = newest[0] if newest else None

    def _read_until(self, connection: sqlite3.Connection) -> int | None:
        """The last id that was read; None if that row is no longer the same (a restored backup)."""
        if self._anchor is None:
            return None
        found = connection.execute(_ONE, (self._anchor[0],)).fetchall()
        return self._anchor[0] if found == [self._anchor] else None

    def _add(self, row: Row, latest: datetime) -> None:
        found = _job_event(row)
        if found is not None and found[1].at <= latest:
            job_id, end = found
            self._accounts.setdefault(job_id, Account()).add(end)

    def job_ids(self) -> Iterable[str]:
        """Every job of which a run end is remembered."""
        return self._accounts

    def version(self, job_id: str) -> int:
        """A number that changes whenever the job has a new run end."""
        account = self._accounts.get(job_id)
        return account.version if account else 0

    def recent(self, job_id: str) -> tuple[RunEnd, ...]:
        """The newest run ends of the job, newest last."""
        account = self._accounts.get(job_id)
        return tuple(account.recent) if account else ()

    def streak(self, job_id: str) -> ZeroStreak:
        """The job's newest run ends that had no tokens."""
        account = self._accounts.get(job_id)
        return account.streak() if account else ZeroStreak()

    def last_end(self, job_id: str) -> RunEnd | None:
        """The job's newest run end."""
        account = self._accounts.get(job_id)
        return account.recent[-1] if account else None


def job_events(connection: sqlite3.Connection, since: datetime) -> Iterator[tuple[str, RunEnd]]:
    """The run ends since an instant with the ids of their jobs, found by bisection; none without such a table."""
    if not has_run_ends(connection):
        return
    after = last_id_before(connection, since)
    rows = connection.execute(_events(_columns(connection)), (after, KEY_PREFIX, _AFTER_PREFIX))
    yield from (found for row in rows if (found := _job_event(row)))


def _job_event(row: Row) -> tuple[str, RunEnd] | None:
    id_, key, input_tokens, output_tokens, created_at = row
    at = readable_instant(created_at)
    return (key[len(KEY_PREFIX) :], RunEnd(id_, at, _count(input_tokens), _count(output_tokens))) if at else None


NEEDED = {"id", "session_key", "created_at"}
"""Without these columns run ends cannot be told; without those of the tokens only what they used cannot."""


def _columns(connection: sqlite3.Connection) -> set[str]:
    return set(columns_of(connection, "cost_events"))


def has_run_ends(connection: sqlite3.Connection) -> bool:
    """Whether the file tells when runs ended."""
    return _columns(connection) >= NEEDED and _has_whole_ids(connection)


def _has_whole_ids(connection: sqlite3.Connection) -> bool:
    """Whether its rows can be followed by their ids: not where those are texts, or no whole numbers."""
    (types,) = connection.execute(_ID_TYPES).fetchall()
    return set(types) <= {"integer", "null"}


_ID_TYPES = "SELECT typeof((SELECT min(id) FROM cost_events)), typeof((SELECT max(id) FROM cost_events))"


def _events(there: set[str]) -> str:
    tokens = ", ".join(name if name in there else f"NULL AS {name}" for name in ("input_tokens", "output_tokens"))
    return (
        f"SELECT id, session_key, {tokens}, created_at FROM cost_events "  # noqa: S608
        "WHERE id > ? AND session_key >= ? AND session_key < ? ORDER BY id"
    )


_NEWEST = "SELECT id, session_key, created_at FROM cost_events ORDER BY id DESC LIMIT 1"
_ONE = "SELECT id, session_key, created_at FROM cost_events WHERE id = ?"
_CREATED = "SELECT created_at FROM cost_events WHERE id >= ? ORDER BY id LIMIT 16"
_ENDED = (
    "SELECT 1 FROM cost_events WHERE id > ? AND id <= ? AND session_key = ? AND typeof(created_at) = 'text' LIMIT 1"
)


def has_end_between(connection: sqlite3.Connection, job_id: str, since: datetime, until: datetime) -> bool:
    """Whether a run of the job ended in that short time, however long ago it was; found by bisection."""
    ids = (last_id_before(connection, since), last_id_before(connection, until))
    return bool(connection.execute(_ENDED, (*ids, KEY_PREFIX + job_id)).fetchall())


_BOUNDS = "SELECT (SELECT min(id) FROM cost_events), (SELECT max(id) FROM cost_events)"
"""In one query each, since SQLite takes the short way to only one of the two in a statement."""


def last_id_before(connection: sqlite3.Connection, since: datetime) -> int:
    """The last id whose cost event was created before `since`; ids grow with time.

    Halves the range of ids, so it looks at some two dozen of ten million rows.
    """
    (bounds,) = connection.execute(_BOUNDS).fetchall()
    low, high = bounds
    if low is None:
        return 0
    first = _bisect(low, high, lambda id_: _created_from(connection, id_, since))
    return max(first - 1, -(2**63))


def _bisect(low: int, high: int, is_late_enough: Callable[[int], bool]) -> int:
    """The first id that is late enough; the one after `high` if none is."""
    while low <= high:
        middle = (low + high) // 2
        if is_late_enough(middle):
            high = middle - 1
        else:
            low = middle + 1
    return low


def _created_from(connection: sqlite3.Connection, id_: int, since: datetime) -> bool:
    """Whether the first readable row from this id on was created at `since` or later."""
    rows = connection.execute(
        "SELECT created_at FROM cost_events WHERE id >= ? ORDER BY id LIMIT 16", (id_,)
    ).fetchall()
    at = next((at for row in rows if (at := readable_instant(row[0]))), None)
    return at is None or at >= since


def _count(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) and abs(value) < _MOST else None
