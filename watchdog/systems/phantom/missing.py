"""Which parts of Phantom's database are not there, and what cannot be told without them."""

from collections.abc import Collection, Iterator

from watchdog.core.kinds import Fact, resting_on
from watchdog.core.model import Unseen

_UPDATE = "let the agent start once in a newer version, which adds it"
_WHOLE = "see whether this is the agent's own database, whole"

_COLUMNS = {
    "last_delivery_status": Fact.DELIVERIES,
    "consecutive_errors": Fact.ERRORS_IN_A_ROW,
    "updated_at": Fact.SWEEPS,
    "delete_after_run": Fact.SWEEPS,
}
"""Columns of the jobs' table without which something cannot be judged; the others narrow what is said."""


def what_is_missing(missing: Collection[str]) -> tuple[Unseen, ...]:
    """What cannot be told without it, in the order in which it matters.

    `missing`: tables, columns of `scheduled_jobs`, and `cost_events.cost_usd`, as docs/conditions.md names them.
    """
    return tuple(_missing(missing))


def _missing(missing: Collection[str]) -> Iterator[Unseen]:
    if "cost_events" in missing:
        facts = (Fact.RUN_ENDS, Fact.COSTS, Fact.RUNS_IN_FLIGHT)
        yield _without("there is no table cost_events with the runs' ends", _WHOLE, *facts)
    elif "cost_events.cost_usd" in missing:
        yield _without("cost_events has no column cost_usd", _UPDATE, Fact.COSTS)
    if "sessions" in missing:
        yield _without("there is no table sessions with last_active_at", _WHOLE, Fact.RUNS_IN_FLIGHT)
    if "scheduler_audit_log" in missing:
        yield _without("there is no scheduler_audit_log", _UPDATE, Fact.RUNS_ASKED_FOR)
    for column, fact in _COLUMNS.items():
        if column in missing:
            yield _without(f"scheduled_jobs has no column {column}", _UPDATE, fact)


def _without(what: str, help_: str, *facts: Fact) -> Unseen:
    return Unseen(what, resting_on(facts), help_)
