"""Which parts of Phantom's database are not there, and what cannot be told without them."""

from collections.abc import Iterator

from watchdog.core.kinds import Kind
from watchdog.core.model import Unseen

_IN_FLIGHT = (Kind.STALLED, Kind.WEDGED, Kind.LONG_RUN, Kind.INTERRUPTED)

_UPDATE = "let the agent start once in a newer version, which adds it"
_WHOLE = "see whether this is the agent's own database, whole"

_COLUMNS = {
    "last_delivery_status": (Kind.UNDELIVERED,),
    "consecutive_errors": (Kind.FAILING,),
    "updated_at": (Kind.EXPIRING, Kind.SWEPT),
    "delete_after_run": (Kind.EXPIRING, Kind.SWEPT),
}
"""Columns of the jobs' table without which something cannot be judged; the others narrow what is said."""


def what_is_missing(columns: tuple[str, ...], no_sessions: bool, no_costs: bool, no_audit: bool) -> tuple[Unseen, ...]:
    """What is not there, in the order in which it matters."""
    return tuple(_missing(columns, no_sessions, no_costs, no_audit))


def _missing(columns: tuple[str, ...], no_sessions: bool, no_costs: bool, no_audit: bool) -> Iterator[Unseen]:
    if no_costs:
        hides = (*_IN_FLIGHT, Kind.UNRECORDED, Kind.ZERO_TOKENS, Kind.DUPLICATE)
        yield Unseen("there is no table cost_events with the runs' ends", hides, _WHOLE)
    if no_sessions:
        yield Unseen("there is no table sessions with last_active_at", _IN_FLIGHT, _WHOLE)
    if no_audit:
        yield Unseen("there is no scheduler_audit_log", (Kind.DUPLICATE,), _UPDATE)
    for column in columns:
        if column in _COLUMNS:
            yield Unseen(f"scheduled_jobs has no column {column}", _COLUMNS[column], _UPDATE)
