"""The standard columns that the operator's two queries return (docs/sql.md)."""

from collections.abc import Sequence

from watchdog.systems.shared.unreadable import UnreadableError


class QueryError(UnreadableError):
    """The database answers, and what the operator wrote is at fault: a query, a column, the address."""


class TooSlowError(UnreadableError):
    """The database answers, and not in time."""


JOB_COLUMNS = (
    "id",
    "name",
    "enabled",
    "status",
    "cron",
    "every",
    "at",
    "timezone",
    "next_run_at",
    "running_since",
    "runs_unseen",
    "last_run_at",
    "last_run_status",
    "last_run_error",
    "consecutive_errors",
    "max_run",
    "planned_since",
    "planned_until",
    "updated_at",
    "created_by",
    "delivery_target",
    "delivery_status",
)
RUN_COLUMNS = ("id", "order", "job_id", "started_at", "ended_at", "status", "error", "input_tokens", "output_tokens")

REQUIRED_OF_JOBS = ("id",)
REQUIRED_OF_RUNS = ("id", "job_id", "started_at")


def check_columns(query: str, given: Sequence[str], known: Sequence[str], required: Sequence[str]) -> None:
    """Raises QueryError, which names what the query returns that is not known, twice there, or missing."""
    for column in given:
        if column not in known:
            import difflib  # for a mistake only

            near = difflib.get_close_matches(column, known, 1)
            meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise QueryError(f"the {query} query returns a column {column!r:.60}, which is not known; {meant}")
        if given.count(column) > 1:
            raise QueryError(f"the {query} query returns the column {column} more than once")
    missing = [column for column in required if column not in given]
    if missing:
        raise QueryError(f"the {query} query returns no column {', '.join(missing)}; it must")
