"""What a job's rows and sessions together tell of its runs: which really began, how they ended, which is still open."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.core.error_class import classify
from watchdog.core.model import Interruption, RecordedRun, RepeatedRun, RunEnd, Spent, ZeroStreak
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.hermes.ledger import SAME_RUN, Row, Session
from watchdog.systems.hermes.records import Record
from watchdog.systems.shared.run_ends import REMEMBERED_ENDS, REMEMBERED_ZEROS, Spending
from watchdog.systems.shared.values import ERROR_LENGTH

_BY_SHUTDOWN = ("gateway shutdown", "interpreter shutdown", "scheduler restarted", "cannot schedule new futures")
"""What stands in the error of a run that ended with its gateway."""


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt. `started_at`: when its work really began, None while (or if) it only waited.

    `is_ok`: None for one that is open, or that ended with its gateway. `is_lost`: it ended with its gateway.
    """

    row: Row | None
    session: Session | None
    claimed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    is_ok: bool | None
    is_lost: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its row has no end."""
        return self.row is not None and self.row.is_open

    @property
    def record(self) -> str | None:
        """What names it."""
        return self.row.id if self.row else self.session.id if self.session else None

    @property
    def touched_at(self) -> datetime | None:
        """When it was last known to get on; None if that cannot be seen."""
        if self.session is None:
            return self.started_at
        return self.session.touched_at or self.session.ended_at


def runs_of(record: Record | None, rows: Mapping[int, Row], sessions: Sequence[Session]) -> list[Run]:
    """A job's runs, the oldest first. Those whose rows have been pruned are known by their sessions alone."""
    left = list(sessions)
    found = []
    is_script = record is not None and record.is_script
    for row in sorted(rows.values(), key=lambda row: (row.claimed_at, row.number), reverse=True):
        session = min(left, key=lambda each: abs(each.wall - row.wall), default=None)
        if session is not None and abs(session.wall - row.wall) <= SAME_RUN:
            left.remove(session)
        else:
            session = None
        found.append(_run(row, session, is_script=is_script))
    found += [_by_session(each) for each in left]
    return sorted(found, key=lambda run: run.claimed_at)


def _run(row: Row, session: Session | None, *, is_script: bool) -> Run:
    is_lost = row.status == "unknown" or (row.status == "failed" and _is_by_shutdown(row.error))
    is_ok = None if row.is_open or is_lost else row.status == "completed"
    began = session.started_at if session else None
    if began is None and (is_script or is_ok is not None):
        began = row.started_at
    return Run(row, session, row.claimed_at, began, row.finished_at, is_ok, is_lost)


def _is_by_shutdown(error: str | None) -> bool:
    return error is not None and any(words in error.casefold() for words in _BY_SHUTDOWN)


def _by_session(session: Session) -> Run:
    """A session that is open and has no row is of a process that nobody knows: it tells of a start and no more."""
    return Run(None, session, session.started_at, session.started_at, session.ended_at, None)


@dataclass(frozen=True, slots=True)
class History:
    """What is told of a job by its runs. `newest`: its newest that began; `open`: its open ones, the oldest first.

    `lost`: its newest one, if that ended with its gateway, whether it had begun or not.
    `last_end`: when its newest run that has ended did; `ends`: when all that are known did; `asked`: those that
    somebody asked for; `errors`: how many in a row failed, None where no rows tell; `may_be_more`: no row that is left
    tells of one that worked.
    """

    newest: Run | None = None
    open: tuple[Run, ...] = ()
    last_end: datetime | None = None
    last_run: RecordedRun | None = None
    recent: tuple[RunEnd, ...] = ()
    ends: tuple[datetime, ...] = ()
    asked: tuple[datetime, ...] = ()
    errors: int | None = None
    may_be_more: bool = False
    zeros: ZeroStreak | None = None
    spent: tuple[Spent, ...] = ()
    has_used: bool = False
    twice: RepeatedRun | None = None
    lost: Run | None = None

    @property
    def last_start(self) -> datetime | None:
        """When its newest run really began."""
        return self.newest.started_at if self.newest else None


def history_of(
    record: Record | None, runs: Sequence[Run], counted: Collection[str | None], *, has_rows: bool
) -> History:
    """All of it, of the runs oldest first. `counted`: the models that were ever seen to count tokens."""
    began = [run for run in runs if run.started_at]
    ended = [run for run in runs if run.ended_at and run.started_at and not run.is_open]
    told = [run for run in ended if run.is_ok is not None or run.row is None]
    is_agent = record is not None and not record.is_script
    return History(
        newest=max(began, key=lambda run: run.started_at or run.claimed_at, default=None),
        open=tuple(run for run in runs if run.is_open),
        last_end=max((run.ended_at for run in ended if run.ended_at and not run.is_lost), default=None),
        last_run=_recorded([run for run in told if run.is_ok is not None]),
        recent=tuple(_end(run) for run in told[-REMEMBERED_ENDS:]),
        ends=tuple(run.ended_at for run in told if run.ended_at),
        asked=tuple(run.ended_at for run in told if run.ended_at and run.row and run.row.is_direct),
        errors=_errors(runs) if has_rows else None,
        may_be_more=not any(run.is_ok for run in runs),
        zeros=_zeros(told, counted) if is_agent else None,
        spent=_spent(told),
        has_used=any(run.session and (run.session.input_tokens or run.session.output_tokens) for run in runs),
        twice=_twice(told),
        lost=runs[-1] if runs and runs[-1].is_lost else None,
    )


def _end(run: Run) -> RunEnd:
    session, at = run.session, run.ended_at or run.claimed_at
    number = run.row.number if run.row else 0
    status = None if run.is_ok is None else _word(run)
    if session is None:
        return RunEnd(number, at, None, None, status=status)
    return RunEnd(number, at, session.input_tokens, session.output_tokens, session.cost_usd, status)


def _word(run: Run) -> str:
    return "ok" if run.is_ok else "error"


def _recorded(told: Sequence[Run]) -> RecordedRun | None:
    if not told:
        return None
    run = told[-1]
    started = run.started_at or run.claimed_at
    error = fit_to_leave(run.row.error, ERROR_LENGTH) if run.row and run.row.error and not run.is_ok else None
    length = max(timedelta(), run.ended_at - started) if run.ended_at else None
    return RecordedRun(started, _word(run), length, error, classify(error) if error else None)


def _errors(runs: Iterable[Run]) -> int:
    """Failed ones in a row; those that ended with their gateway count neither way."""
    errors = 0
    for run in runs:
        if run.is_ok is not None:
            errors = 0 if run.is_ok else errors + 1
    return errors


def _zeros(told: Sequence[Run], counted: Collection[str | None]) -> ZeroStreak:
    """The newest runs that ended well, had an answer and no token. Where its model never counts any it says nothing."""
    firsts: list[datetime] = []
    for run in reversed(told):
        if run.session is None or run.is_ok is False or run.session.messages < 2:
            continue
        if not run.session.is_zero or not _counts(run.session.model, counted):
            break
        firsts.append(run.ended_at or run.claimed_at)
    firsts.reverse()
    return ZeroStreak(len(firsts), tuple(firsts[:REMEMBERED_ZEROS]), firsts[-1] if firsts else None)


def _counts(model: str | None, counted: Collection[str | None]) -> bool:
    return model in counted if model is not None else bool(counted)


def _spent(told: Iterable[Run]) -> tuple[Spent, ...]:
    spending = Spending()
    for run in told:
        if run.session and run.session.cost_usd and run.ended_at:
            spending.add(run.ended_at, run.session.cost_usd)
    return spending.sums


def _twice(told: Sequence[Run]) -> RepeatedRun | None:
    """The newest run, if another had ended well for the very fire that it was for. Only newer releases say which."""
    done = [run for run in told if run.is_ok and run.row and run.row.slot and not run.row.is_direct]
    if len(done) < 2 or done[-1] is not told[-1]:
        return None
    first, second = done[-2:]
    if first.row is None or second.row is None or second.row.slot is None or first.row.slot != second.row.slot:
        return None
    return RepeatedRun(
        second.row.slot,
        _end(first),
        second.started_at or second.claimed_at,
        first.started_at,
        first.record,
        second.record,
    )


def interruption_of(run: Run, outlook: str) -> Interruption:
    """Of a run that began, and ended with its gateway. The start of the next one marks its row."""
    is_found = run.row is not None and run.row.status == "unknown"
    return Interruption(
        run.started_at or run.claimed_at,
        run.ended_at if is_found else None,
        run.record,
        outlook,
        gives_way=bool(outlook),
    )
