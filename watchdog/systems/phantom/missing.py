"""Which parts of Phantom's database are not there, and what cannot be told without them."""

from collections.abc import Collection, Iterator

from watchdog.core.kinds import Kind
from watchdog.core.model import Unseen

_IN_FLIGHT = (Kind.STALLED, Kind.WEDGED, Kind.LONG_RUN, Kind.INTERRUPTED)

_UPDATE = "let the agent start once in a newer version, which adds it"
_WHOLE = "see whether this is the agent's own database, whole"

_RUN_ENDS = (*_IN_FLIGHT, Kind.UNRECORDED, Kind.ZERO_TOKENS, Kind.RUNAWAY, Kind.OVERSPEND, Kind.DUPLICATE)

_COLUMNS = {
    "last_delivery_status": (Kind.UNDELIVERED,),
    "consecutive_errors": (Kind.FAILING,),
    "updated_at": (Kind.EXPIRING, Kind.SWEPT),
    "delete_after_run": (Kind.EXPIRING, Kind.SWEPT),
}
"""Columns of the jobs' table without which something cannot be judged; the others narrow what is said."""


def what_is_missing(missing: Collection[str]) -> tuple[Unseen, ...]:
    """What cannot be told without it, in the order in which it matters.

    `missing`: tables, columns of `scheduled_jobs`, and `cost_events.cost_usd`, as docs/conditions.md names them.
    """
    return tuple(_missing(missing))


def _missing(missing: Collection[str]) -> Iterator[Unseen]:
    if "cost_events" in missing:
        yield Unseen("there is no table cost_events with the runs' ends", _RUN_ENDS, _WHOLE)
    elif "cost_events.cost_usd" in missing:
        yield Unseen("cost_events has no column cost_usd", (Kind.OVERSPEND,), _UPDATE)
    if "sessions" in missing:
        yield Unseen("there is no table sessions with last_active_at", _IN_FLIGHT, _WHOLE)
    if "scheduler_audit_log" in missing:
        yield Unseen("there is no scheduler_audit_log", (Kind.DUPLICATE,), _UPDATE)
    for column, hides in _COLUMNS.items():
        if column in missing:
            yield Unseen(f"scheduled_jobs has no column {column}", hides, _UPDATE)
