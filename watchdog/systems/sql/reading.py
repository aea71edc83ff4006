"""What one read asks of the operator's two queries, whatever the database."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from watchdog.systems.sql.columns import (
    JOB_COLUMNS,
    REQUIRED_OF_JOBS,
    REQUIRED_OF_RUNS,
    RUN_COLUMNS,
    QueryError,
    check_columns,
)
from watchdog.systems.sql.runs import Mark, RunRow, read_run
from watchdog.systems.sql.section import Sql

Row = Mapping[str, object]

MOST_JOBS = 20_000


@dataclass(frozen=True, slots=True)
class Rows:
    """What a query returned."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]


Ask = Callable[[str, str, Mapping[str, int]], Rows]
"""Carries out a statement: which query it is made from (for errors), the statement, its parameters."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read found. `vanished`: runs that had not ended and are no longer there.

    `begins_anew`: what was remembered of runs does not hold any more.
    """

    jobs: Sequence[Row]
    job_columns: Sequence[str]
    runs: Sequence[RunRow] = ()
    run_columns: Sequence[str] = ()
    vanished: Sequence[int] = ()
    begins_anew: bool = False


class Reader(Protocol):
    """A database that can be asked."""

    def read(self, mark: Mark, now: datetime) -> Reading | None:
        """What is there now; None if that is not to be known yet, or as it was. Raises UnreadableError."""

    def warnings(self) -> list[str]:
        """Ways in which reading could do harm."""


def read_all(ask: Ask, settings: Sql, mark: Mark) -> Reading:
    """Both queries, within one state of the database. Raises UnreadableError."""
    answer = ask("jobs", f"SELECT * FROM ({settings.jobs}\n) AS jobs LIMIT {MOST_JOBS + 1}", {})  # noqa: S608
    columns = _columns(answer)
    check_columns("jobs", columns, JOB_COLUMNS, REQUIRED_OF_JOBS)
    if len(answer.rows) > MOST_JOBS:
        raise QueryError(f"the jobs query returns more than {MOST_JOBS} rows; does it list runs?")
    jobs = [dict(zip(columns, row, strict=True)) for row in answer.rows]
    if settings.runs is None:
        return Reading(jobs, columns)
    return _Runs(ask, settings.runs, settings.look_back).after(mark, jobs, columns)


class _Runs:
    """Reads runs by id, never by scan: the query's own condition on the id, its order and a limit."""

    def __init__(self, ask: Ask, query: str, look_back: int) -> None:
        self._ask = ask
        self._query = f"({query}\n) AS runs"
        self._most = look_back
        self._columns: Sequence[str] = ()

    def after(self, mark: Mark, jobs: Sequence[Row], job_columns: Sequence[str]) -> Reading:
        found = [] if mark.is_first else self._page(mark.after, self._most)
        begins_anew = not found or len(found) >= self._most or found[-1].id < mark.newest
        if begins_anew:
            # the newest is gone (emptied, restored), or there are more than is worth following: begin at the new end
            found = self._newest()
        again, vanished = ([], []) if begins_anew else self._again(mark.open_ids)
        return Reading(jobs, job_columns, (*again, *found), self._columns, vanished, begins_anew)

    def _again(self, ids: Sequence[int]) -> tuple[list[RunRow], list[int]]:
        """The runs of these ids as they are now, and those that are gone. Mostly a single page holds them all."""
        found: dict[int, RunRow] = {}
        left = list(ids)
        while left:
            page = self._page(left[0] - 1, _PAGE)
            found |= {run.id: run for run in page}
            covered = page[-1].id if len(page) == _PAGE else left[-1]
            left = [id_ for id_ in left if id_ > covered]
        return [found[id_] for id_ in ids if id_ in found], [id_ for id_ in ids if id_ not in found]

    def _page(self, after: int, most: int) -> list[RunRow]:
        return self._runs(f"SELECT * FROM {self._query} ORDER BY id LIMIT {most}", after)  # noqa: S608

    def _newest(self) -> list[RunRow]:
        return self._runs(f"SELECT * FROM {self._query} ORDER BY id DESC LIMIT {self._most}", -1)[::-1]  # noqa: S608

    def _runs(self, statement: str, after: int) -> list[RunRow]:
        answer = self._ask("runs", statement, {"after": after})
        self._columns = _columns(answer)
        check_columns("runs", self._columns, RUN_COLUMNS, REQUIRED_OF_RUNS)
        return [read_run(dict(zip(self._columns, row, strict=True))) for row in answer.rows]


_PAGE = 500


def _columns(answer: Rows) -> list[str]:
    return [column.lower() for column in answer.columns]
