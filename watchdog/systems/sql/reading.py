"""What one read asks of the operator's two queries, whatever the database."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from watchdog.systems.sql.columns import (
    JOB_COLUMNS,
    REQUIRED_OF_JOBS,
    REQUIRED_OF_RUNS,
    RUN_COLUMNS,
    QueryError,
    check_columns,
)
from watchdog.systems.sql.instants import readable
from watchdog.systems.sql.runs import KEPT, Mark, RunKey, RunRow, read_run
from watchdog.systems.sql.section import Sql

Row = Mapping[str, object]

MOST_JOBS = 20_000

OF_ONE_JOB = 100
"""So many of a job's newest runs are read where each job is asked for by itself."""

MOST_ASKED = 500
"""So many runs are fetched one by one, after asking which is each job's newest."""


MOST_IN_A_ROW = 100
"""Of so many jobs it is asked how many runs in a row ended as their newest did."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a query returned."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


class Database(Protocol):
    """Carries out statements: which query each is made from (for errors), the statement, its parameters."""

    def ask(self, query: str, statement: str, values: Mapping[str, object]) -> Rows:
        """The answer. Raises UnreadableError."""

    def attempt(self, query: str, statement: str, values: Mapping[str, object]) -> Rows | None:
        """The answer to what can be done without; None if it takes too long."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read found. `vanished`: runs that had not ended and are no longer there.

    `begins_anew`: what was remembered of runs does not hold any more. `is_purged`: runs that were there are not any
    more. `history_from`: when the oldest run that is there started; None if none is, or it
    does not say. `has_asked`: each job's newest runs were asked for by themselves. `is_whole`: all runs were read.
    `at`: when it was asked, where that may have changed by now.
    """

    jobs: Sequence[Row]
    job_columns: Sequence[str]
    runs: Sequence[RunRow] = ()
    run_columns: Sequence[str] = ()
    vanished: Sequence[RunKey] = ()
    begins_anew: bool = False
    is_purged: bool = False
    history_from: datetime | None = None
    has_asked: bool = False
    is_whole: bool = True
    at: datetime | None = None


class Reader(Protocol):
    """A database that can be asked."""

    def read(self, mark: Mark, now: datetime) -> Reading | None:
        """What is there now; None if that is not to be known yet, or as it was. Raises UnreadableError."""

    def warnings(self) -> list[str]:
        """Ways in which reading could do harm."""


def read_all(database: Database, settings: Sql, mark: Mark) -> Reading:
    """Both queries, within one state of the database. Raises UnreadableError."""
    answer = database.ask("jobs", f"SELECT * FROM ({settings.jobs}\n) AS jobs LIMIT {MOST_JOBS + 1}", {})  # noqa: S608
    columns = _columns(answer)
    check_columns("jobs", columns, JOB_COLUMNS, REQUIRED_OF_JOBS)
    if len(answer.rows) > MOST_JOBS:
        raise QueryError(f"the jobs query returns more than {MOST_JOBS} rows; does it list runs?")
    jobs = [readable(dict(zip(columns, row, strict=True))) for row in answer.rows]
    if settings.runs is None:
        return Reading(jobs, columns)
    runs = _Runs(database, settings.runs, settings.look_back)
    if settings.asks_each_job:
        return Reading(jobs, columns, runs.of_each([job["id"] for job in jobs]), runs.columns, begins_anew=True)
    return runs.after(mark, jobs, columns)


class _Runs:
    """Reads runs by id, never by scan: the query's own condition on the id, its order and a limit."""

    def __init__(self, database: Database, query: str, look_back: int) -> None:
        self._database = database
        self._query = f"({query}\n) AS runs"
        self._most = look_back
        self.columns = _columns(self._ask(f"SELECT * FROM {self._query} LIMIT 0"))  # noqa: S608
        check_columns("runs", self.columns, RUN_COLUMNS, REQUIRED_OF_RUNS)
        self._number = '"order"' if "order" in self.columns else "id"

    def after(self, mark: Mark, jobs: Sequence[Row], job_columns: Sequence[str]) -> Reading:
        found = [] if mark.is_first else self._page(mark.after, self._most)
        is_purged = not mark.is_first and mark.newest not in {run.id for run in found}
        begins_anew = not found or len(found) >= self._most or found[-1].id < mark.newest
        if begins_anew:
            # the newest is gone (emptied, restored), or there are more than is worth following: begin at the new end
            found = self._newest()
        again, vanished = ([], []) if begins_anew else self._again(mark, found)
        is_whole = begins_anew and len(found) < self._most
        asked = self._newest_of_each(found) if (begins_anew and not is_whole) or mark.is_short else None
        return Reading(
            jobs,
            job_columns,
            (*(asked or ()), *again, *found),
            self.columns,
            vanished,
            begins_anew,
            is_purged,
            self._began(found if is_whole else None) if begins_anew or is_purged else None,
            asked is not None,
            is_whole,
        )

    def of_each(self, ids: Sequence[object]) -> list[RunRow]:
        """Each job's newest runs, by the operator's own query for one. What waits pushes out nothing."""
        found: list[RunRow] = []
        for id_ in ids:
            values = {"after": -1, "job_id": id_}
            newest = self._runs(f"{self._descending()} LIMIT {OF_ONE_JOB}", values)
            if any(run.is_waiting for run in newest):
                newest = [*newest[:1], *self._runs(f"{self._descending(self._STARTED)} LIMIT {OF_ONE_JOB}", values)]
            found += newest
        return found

    _STARTED = "WHERE started_at IS NOT NULL"

    def _descending(self, where: str = "") -> str:
        return f"SELECT * FROM {self._query} {where} ORDER BY {self._number} DESC"  # noqa: S608

    def _newest_of_each(self, found: Sequence[RunRow]) -> list[RunRow] | None:
        """Of each job the newest run that has started, and the newest that has ended; None if that takes too long.

        `found`: what was read already.
        """
        last = f"max(CASE WHEN started_at IS NOT NULL THEN {self._number} END)"
        ended = f"max(CASE WHEN ended_at IS NOT NULL THEN {self._number} END)" if "ended_at" in self.columns else "NULL"
        statement = f"SELECT {last}, {ended} FROM {self._query} GROUP BY job_id LIMIT {MOST_JOBS}"  # noqa: S608
        answer = self._database.attempt("runs", statement, {"after": -1, "job_id": None})
        if answer is None:
            return None
        numbers = sorted({int(number) for row in answer.rows for number in row if isinstance(number, int | Decimal)})
        newest = [run for number in numbers[-MOST_ASKED:] for run in self._page(number - 1, 10) if run.id == number]
        known = Counter(run.job_id for run in found if not run.is_open)
        return [*self._before([run for run in newest if known[run.job_id] < KEPT]), *newest]

    def _before(self, newest: Sequence[RunRow]) -> list[RunRow]:
        """What jobs ran before, whose newest run ended in an error or without a token: how many such in a row?"""
        bad = [run for run in newest if run.outcome == "error" or (run.end and run.end.is_zero)]
        ids = list(dict.fromkeys(run.job_id for run in bad))
        if not ids:
            return []
        names = {f"job_id_{number}": id_ for number, id_ in enumerate(ids[:MOST_IN_A_ROW])}
        which = f"CAST(job_id AS text) IN ({', '.join(f':{name}' for name in names)})"
        nth = f"row_number() OVER (PARTITION BY job_id ORDER BY {self._number} DESC)"
        each = f"SELECT runs.*, {nth} AS nth FROM {self._query} WHERE {which}"  # noqa: S608
        statement = f"SELECT * FROM ({each}) AS each WHERE nth <= {KEPT} ORDER BY {self._number}"  # noqa: S608
        answer = self._database.attempt("runs", statement, {"after": -1, "job_id": None, **names})
        return [read_run(dict(zip(self.columns, row, strict=False))) for row in (answer.rows if answer else ())]

    def _began(self, whole: Sequence[RunRow] | None) -> datetime | None:
        """When the oldest run that is there started."""
        oldest = whole if whole is not None else self._page(-1, 10)
        return min((run.started_at for run in oldest if run.started_at), default=None)

    def _again(self, mark: Mark, found: Sequence[RunRow]) -> tuple[list[RunRow], list[RunKey]]:
        """The open runs as they are now, and those that are gone. Mostly a single page holds them all."""
        there = {run.key: run for run in found}
        again: dict[RunKey, RunRow] = {}
        left = [key for key in mark.open_keys if key[0] <= mark.after]
        while left:
            page = self._page(left[0][0] - 1, _PAGE)
            again |= {run.key: run for run in page}
            covered = page[-1].id if len(page) == _PAGE else left[-1][0]
            left = [key for key in left if key[0] > covered]
        vanished = [key for key in mark.open_keys if key not in again and key not in there]
        return [again[key] for key in mark.open_keys if key in again], vanished

    def _page(self, after: int, most: int) -> list[RunRow]:
        statement = f"SELECT * FROM {self._query} ORDER BY {self._number} LIMIT {most}"  # noqa: S608
        return self._runs(statement, {"after": after, "job_id": None})

    def _newest(self) -> list[RunRow]:
        return self._runs(f"{self._descending()} LIMIT {self._most}", {"after": -1, "job_id": None})[::-1]

    def _ask(self, statement: str) -> Rows:
        return self._database.ask("runs", statement, {"after": -1, "job_id": None})

    def _runs(self, statement: str, values: Mapping[str, object]) -> list[RunRow]:
        answer = self._database.ask("runs", statement, values)
        return [read_run(dict(zip(self.columns, row, strict=True))) for row in answer.rows]


_PAGE = 500


def _columns(answer: Rows) -> list[str]:
    return [column.lower() for column in answer.columns]
