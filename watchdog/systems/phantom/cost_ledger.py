"""What is remembered of the cost events: read by id from where the last look stopped, never by scan.

`cost_events` has no index but its key, nothing prunes it, and it may hold millions of rows (docs/phantom.md). The first
look begins some days ago. From there the following looks walk back, some way each, until each job has its newest run
ends; what they found is kept, so that the next process need not walk again.
"""

import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, KeysView, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.core.instants import readable_instant
from watchdog.core.model import RunEnd, Spent, ZeroStreak
from watchdog.systems.shared.host import Memory, NoMemory
from watchdog.systems.shared.packed_ends import PackedEnds
from watchdog.systems.shared.run_ends import DAY, HOUR, Account, Spending
from watchdog.systems.shared.sqlite_file import columns_of

KEY_PREFIX = "scheduler:sched:"
_AFTER_PREFIX = "scheduler:sched;"
"""The first text that sorts after everything with the prefix."""

_MOST = 1e18
"""Beyond this a count of tokens is no count; infinity and NaN are not below it either."""

_DEAREST = 1e9
"""US dollars; what costs more is no cost."""

_LOWEST = -(2**63)
"""The lowest id that there can be."""

STRIDE = 100_000
"""So many ids a look goes back: some ten milliseconds."""

_MOST_NAMED = 10_000
"""Jobs whose keys are named in one query; more are walked for one after another."""

KEPT_ENDS = 5
"""Newest run ends of each job that are kept over a restart one by one: as far back as the fifth error in a row, from
which on a job is `failing`, lies at the ninth, after which it is given up."""

KEPT_GONE = timedelta(days=30)
"""For how long the newest run end of a job whose row is gone is kept: without it its last run seems in flight still."""

_ENDS, _READ, _NOW = "run_ends", "run_ends_read", "now"

Row = tuple[int, str, object, object, object, object]


@dataclass(frozen=True, slots=True)
class KeptEnds:
    """One job's run ends as they are kept over a restart; see `Account`."""

    recent: Sequence[RunEnd]
    zeros: int
    first_zeros: tuple[datetime, ...]
    count: int
    has_used: bool
    last_paid_at: datetime | None = None

    @classmethod
    def of(cls, account: Account) -> "KeptEnds":
        """What is to be kept of it."""
        recent, zeros = account.recent[-KEPT_ENDS:].folded(), account.first_zeros
        return cls(recent, account.zeros, zeros, account.count, account.has_used, account.last_paid_at)

    @property
    def packed(self) -> "KeptEnds":
        """The same in fewer bytes."""
        return replace(self, recent=PackedEnds(self.recent).folded())

    @property
    def account(self) -> Account:
        """What was known of the job."""
        return Account(
            PackedEnds(self.recent),
            zeros=self.zeros,
            first_zeros=self.first_zeros,
            count=self.count,
            has_used=self.has_used,
            last_paid_at=self.last_paid_at,
        )


@dataclass(frozen=True, slots=True)
class KeptUntil:
    """Up to which row the kept run ends go, and since when all are among them that a look by time would find."""

    id: int
    session_key: str
    created_at: str
    begins_at: datetime


class CostLedger:
    """The run ends of every scheduled job. Carried from look to look, and in part from process to process.

    `beginnings`: how often it has begun to read, as where a backup was put back: its `versions` begin anew then.
    """

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory or NoMemory()
        self._accounts: dict[str, Account] = {}
        self._spending = Spending()
        self._anchor: tuple[int, object, object] | None = None
        self._unread_until: int | None = None
        self._older: tuple[int, dict[str, Account]] | None = None
        # asked for once, and not by the thread that looks
        self._kept_until = self._memory.recall(_READ, KeptUntil).get(_NOW)
        self._kept_ends = {id_: ends.packed for id_, ends in self._memory.recall(_ENDS, KeptEnds).items()}
        self._kept_at: datetime | None = None
        self.begins_at: datetime | None = None
        self.beginnings = 0

    def read(self, connection: sqlite3.Connection, since: datetime, latest: datetime) -> None:
        """Add what is new. The first time, and when the table is not the one that was read before, begin at `since`.

        What is dated later than `latest` is passed over: the scheduler's clock stood ahead when it was written.
        """
        newest = connection.execute(_NEWEST).fetchall()
        if newest and newest[0] == self._anchor:
            return
        after = self._read_until(connection)
        is_first = after is None
        known_until = noted_from = after if after is not None else self._begin(connection, since)
        if after is None:
            # of what is known already the last hour and the last day are looked at again
            noted_from = last_id_before(connection, latest - DAY - HOUR)
            after = min(known_until, noted_from)
        events = _events(_columns(connection))
        rows = connection.execute(events, (after, KEY_PREFIX, _AFTER_PREFIX))
        # a week of rows is not held at once; an error on the way leaves no anchor, and the next look begins anew
        for row in rows if is_first else rows.fetchall():
            self._add(row, known_until, noted_from, latest)
        self._anchor = newest[0] if newest else None

    def _read_until(self, connection: sqlite3.Connection) -> int | None:
        """The last id that was read; None if that row is no longer the same (a restored backup)."""
        if self._anchor is None:
            return None
        found = connection.execute(_ONE, (self._anchor[0],)).fetchall()
        return self._anchor[0] if found == [self._anchor] else None

    def _begin(self, connection: sqlite3.Connection, since: datetime) -> int:
        """Forget everything, take up what an earlier process has kept, and say up to which id all is known then."""
        self._anchor = self._older = self._kept_at = None
        self.beginnings += 1
        self._spending = Spending()
        first = last_id_before(connection, since)
        kept = self._kept(connection)
        accounts = {job_id: ends.account for job_id, ends in self._kept_ends.items()} if kept else {}
        if kept and kept.id >= first:
            self._accounts, self.begins_at, self._unread_until = accounts, kept.begins_at, None
            return kept.id
        self._accounts, self.begins_at, self._unread_until = {}, since, first
        self._older = (kept.id, accounts) if kept else None
        return first

    def _kept(self, connection: sqlite3.Connection) -> KeptUntil | None:
        """Up to where an earlier process has read, if this is that file still."""
        kept = self._kept_until
        if kept is None:
            return None
        found = connection.execute(_ONE, (kept.id,)).fetchall()
        return kept if found == [(kept.id, kept.session_key, kept.created_at)] else None

    def _add(self, row: Row, known_until: int, noted_from: int, latest: datetime) -> None:
        found = _job_event(row)
        if found is None or found[1].at > latest:
            return
        job_id, end = found
        account = self._accounts.get(job_id)
        if account is None:
            account = self._accounts[job_id] = Account()
        if end.id > known_until:
            account.append(end)
        if end.id > noted_from:
            account.note(end)
            if end.cost_usd:
                self._spending.add(end.at, end.cost_usd)

    # what lies further back

    @property
    def reads_on(self) -> bool:
        """Whether some job's newest run ends may lie further back than has been read."""
        return self._unread_until is not None

    def has_decided(self, job_id: str, runs: int | None) -> bool:
        """Whether what is known of a job says how many of its newest run ends had no tokens; it has had so many."""
        account = self.of(job_id)
        return account.has_enough or account.zeros < account.count or (runs is not None and account.count >= runs)

    def walk_back(
        self, connection: sqlite3.Connection, there: Iterable[str], latest: datetime, paid: Collection[str] = ()
    ) -> None:
        """Go some way back for those of the jobs that are there whose newest run ends are not known yet; for those that
        have `paid` once, as far as the newest that was."""
        until = self._unread_until
        if until is None:
            return
        wanted = [id_ for id_ in there if self._lacks(id_, paid)][:_MOST_NAMED]
        ends_at = self._older[0] if self._older else None
        begins = max(until - STRIDE, _LOWEST if ends_at is None else ends_at)
        found = self._ends_within(connection, begins, until, wanted, latest) if wanted else {}
        self._unread_until = _newest_id_until(connection, begins) if wanted else None
        self._join(found)
        if self._unread_until is None or self._unread_until == ends_at:
            self._unread_until = None
            self._join(self._older[1] if self._older else {})
            self._older = None

    def _lacks(self, job_id: str, paid: Collection[str]) -> bool:
        account = self._account(job_id)
        return not account.has_enough or (job_id in paid and account.last_paid_at is None)

    def _account(self, job_id: str) -> Account:
        return self._accounts.setdefault(job_id, Account())

    def _ends_within(
        self, connection: sqlite3.Connection, begins: int, until: int, wanted: Collection[str], latest: datetime
    ) -> dict[str, Account]:
        found: dict[str, Account] = {}
        query = _events_of(_columns(connection), len(wanted))
        for row in connection.execute(query, (begins, until, *(KEY_PREFIX + id_ for id_ in wanted))).fetchall():
            event = _job_event(row)
            if event is not None and event[1].at <= latest:
                found.setdefault(event[0], Account()).add(event[1])
        return found

    def _join(self, older: dict[str, Account]) -> None:
        for job_id, account in older.items():
            if account.count:
                self._account(job_id).join(account)

    def keep(self, there: Collection[str], now: datetime) -> None:
        """Once a day have what is known outlive this process, as soon as it is all that there is to know."""
        is_due = self._kept_at is None or not timedelta() <= now - self._kept_at < DAY
        anchor = self._anchor
        if not is_due or anchor is None or self.reads_on or self.begins_at is None:
            return
        self._kept_at = now
        id_, key, created_at = anchor
        if not isinstance(key, str) or not isinstance(created_at, str):
            return
        worth = (
            id_ for id_, account in self._accounts.items() if id_ in there or _ended_since(account, now - KEPT_GONE)
        )
        kept = {job_id: KeptEnds.of(self._accounts[job_id]) for job_id in worth}
        gone = {job_id: None for job_id in self._kept_ends if job_id not in kept}
        self._kept_ends, self._kept_until = kept, KeptUntil(id_, key, created_at, self.begins_at)
        self._memory.keep(_ENDS, {**kept, **gone})
        self._memory.keep(_READ, {_NOW: self._kept_until})

    # what is known

    def job_ids(self) -> KeysView[str]:
        """Every job of which something is remembered."""
        return self._accounts.keys()

    @property
    def newest_end_at(self) -> datetime | None:
        """When the newest run end of all was."""
        return max((end.at for account in self._accounts.values() if (end := account.recent.newest)), default=None)

    def of(self, job_id: str) -> Account:
        """What is remembered of one job; it is not to be changed."""
        return self._accounts.get(job_id) or Account()

    def versions(self, job_ids: Iterable[str]) -> list[int]:
        """For each job a number that changes whenever it has a new run end."""
        accounts = self._accounts
        return [account.version if (account := accounts.get(job_id)) else 0 for job_id in job_ids]

    def recent(self, job_id: str) -> Sequence[RunEnd]:
        """The newest run ends of the job, newest last."""
        account = self._accounts.get(job_id)
        return account.recent if account else ()

    def streak(self, job_id: str) -> ZeroStreak:
        """The job's newest run ends that had no tokens."""
        account = self._accounts.get(job_id)
        return account.streak() if account else ZeroStreak()

    def last_end(self, job_id: str) -> RunEnd | None:
        """The job's newest run end."""
        account = self._accounts.get(job_id)
        return account.recent.newest if account else None

    @property
    def spent(self) -> tuple[Spent, ...]:
        """What all jobs together have cost in the day before the newest bill."""
        return self._spending.sums


def _ended_since(account: Account, instant: datetime) -> bool:
    newest = account.recent.newest
    return newest is not None and newest.at >= instant


def job_events(connection: sqlite3.Connection, since: datetime) -> Iterator[tuple[str, RunEnd]]:
    """The run ends since an instant with the ids of their jobs, found by bisection; none without such a table."""
    if not has_run_ends(connection):
        return
    after = last_id_before(connection, since)
    rows = connection.execute(_events(_columns(connection)), (after, KEY_PREFIX, _AFTER_PREFIX))
    yield from (found for row in rows if (found := _job_event(row)))


def _job_event(row: Row) -> tuple[str, RunEnd] | None:
    id_, key, input_tokens, output_tokens, created_at, cost = row
    at = readable_instant(created_at)
    if at is None:
        return None
    return key[len(KEY_PREFIX) :], RunEnd(int(id_), at, _count(input_tokens), _count(output_tokens), _usd(cost))


NEEDED = {"id", "session_key", "created_at"}
"""Without these columns run ends cannot be told; without those of the tokens only what they used cannot."""


def _columns(connection: sqlite3.Connection) -> set[str]:
    return set(columns_of(connection, "cost_events"))


def has_run_ends(connection: sqlite3.Connection) -> bool:
    """Whether the file tells when runs ended."""
    return _columns(connection) >= NEEDED and _has_whole_ids(connection)


def has_prices(connection: sqlite3.Connection) -> bool:
    """Whether the file tells what runs have cost."""
    return "cost_usd" in _columns(connection)


def _has_whole_ids(connection: sqlite3.Connection) -> bool:
    """Whether its rows can be followed by their ids: not where those are texts, or no whole numbers."""
    (types,) = connection.execute(_ID_TYPES).fetchall()
    return set(types) <= {"integer", "null"}


_ID_TYPES = "SELECT typeof((SELECT min(id) FROM cost_events)), typeof((SELECT max(id) FROM cost_events))"


def _events(there: set[str]) -> str:
    return f"{_selected(there)} WHERE id > ? AND session_key >= ? AND session_key < ? ORDER BY id"


def _events_of(there: set[str], count: int) -> str:
    """Those of so many keys between two ids. The unary plus keeps SQLite from an index that somebody has added."""
    return f"{_selected(there)} WHERE id > ? AND id <= ? AND +session_key IN ({', '.join('?' * count)}) ORDER BY id"


def _selected(there: set[str]) -> str:
    names = ("id", "session_key", "input_tokens", "output_tokens", "created_at", "cost_usd")
    columns = ", ".join(name if name in there else f"NULL AS {name}" for name in names)
    return f"SELECT {columns} FROM cost_events"  # noqa: S608


def _newest_id_until(connection: sqlite3.Connection, id_: int) -> int | None:
    """The newest row up to an id; None if there is none. So a gap in the ids, however wide, is one step."""
    ((newest,),) = connection.execute("SELECT max(id) FROM cost_events WHERE id <= ?", (id_,)).fetchall()
    return None if newest is None else int(newest)


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
    return max(first - 1, _LOWEST)


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


def _usd(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and 0 <= value < _DEAREST else None
