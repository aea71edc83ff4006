"""How long what stands in the state file is kept. Every table has its rule, so that the file stops growing: what is
deleted leaves room in it that is used again.

What is open, on its way or not told yet is never forgotten, however old it is.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.core.instants import iso

KEPT_INCIDENTS = 1000
"""Resolved incidents that are kept for looking back, with who was told of them and who took them on."""

KEPT_MESSAGES = 10 * KEPT_INCIDENTS
"""Newest messages; what is older and settled goes."""

KEPT_HANDOVERS = 10 * KEPT_INCIDENTS
"""Newest times that somebody took an incident on or gave it back."""

KEPT_ACTIONS = 4000
"""Newest recoveries, and as many where nothing was done. Room for three attempts at each of a thousand jobs."""

KEPT_AUDIT = 10_000
"""Changes over HTTP; what is older goes when one more is written down."""

KEPT_FOR = timedelta(days=400)
"""For what is kept by its age."""

ALERTS_KEPT_FOR = timedelta(days=30)
"""For what was last posted to an Alertmanager that is not posted to any more."""

BATCH = 50
"""Rows of a table that go at a time: a surplus that was left by an older version goes over some turns."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Rows of a table that may go. `where` may name `:before`, so long ago as `kept_for` says."""

    table: str
    key: str
    where: str
    kept_for: timedelta = KEPT_FOR


SURPLUS = (
    Rule("incidents", "id", f"is_open = 0 AND id <= (SELECT max(id) - {KEPT_INCIDENTS} FROM incidents)"),
    Rule(
        "outbox",
        "id",
        f"state NOT IN ('waiting', 'sending') AND id <= (SELECT max(id) - {KEPT_MESSAGES} FROM outbox)",
    ),
    Rule("handovers", "id", f"id <= (SELECT max(id) - {KEPT_HANDOVERS} FROM handovers)"),
)
"""What there is too much of, looked for at every write."""

_BEYOND = (
    "reported_at IS NOT NULL AND state {0} 'refused' AND id < "
    f"(SELECT id FROM actions WHERE state {{0}} 'refused' ORDER BY id DESC LIMIT 1 OFFSET {KEPT_ACTIONS - 1})"
)

OLD = (
    Rule("told", "incident_id", "incident_id NOT IN (SELECT id FROM incidents)"),
    Rule("acknowledgements", "incident_id", "incident_id NOT IN (SELECT id FROM incidents)"),
    Rule("handovers", "id", "incident_id NOT IN (SELECT id FROM incidents)"),
    Rule("actions", "id", _BEYOND.format("=")),
    Rule("actions", "id", _BEYOND.format("<>")),
    Rule("approvals", "action_id", "action_id NOT IN (SELECT id FROM actions)"),
    Rule("silences", "id", "ends_at < :before"),
    Rule(
        "alerts",
        "channel, fingerprint",
        "iif(json_valid(document), json_extract(document, '$.endsAt'), '') < :before",
        ALERTS_KEPT_FOR,
    ),
    Rule(
        "preserved",
        "source, job_id",
        "max(preserved_at, coalesce(gone_at, ''), coalesce(restored_at, '')) < :before",
    ),
    Rule("told_once", "key", "at < :before"),
    Rule("memory", "source, name, key", "updated_at < :before"),
)
"""What is too old, or belongs to something that is gone; looked for now and then."""


def forget_surplus(db: sqlite3.Connection) -> None:
    """Forget some of what there is too much of."""
    for rule in SURPLUS:
        _forget(db, rule, {})


def forget_old(db: sqlite3.Connection, now: datetime) -> bool:
    """Forget some of what is too old; whether that was all of it."""
    counts = [_forget(db, rule, {"before": iso(now - rule.kept_for)}) for rule in OLD]
    return max(counts) < BATCH


def forget_runs(db: sqlite3.Connection, now: datetime) -> None:
    """Forget old runs, and the old states of jobs that have changed since or are gone."""
    before = {"before": iso(now - KEPT_FOR)}
    db.execute("DELETE FROM runs WHERE ended_at < :before", before)
    db.execute(
        "DELETE FROM job_states AS old WHERE at < :before AND (EXISTS (SELECT 1 FROM job_states AS new "
        "WHERE new.source = old.source AND new.job_id = old.job_id AND new.at > old.at) OR NOT EXISTS "
        "(SELECT 1 FROM runs WHERE runs.source = old.source AND runs.job_id = old.job_id))",
        before,
    )


def _forget(db: sqlite3.Connection, rule: Rule, values: dict[str, str]) -> int:
    chosen = f"SELECT {rule.key} FROM {rule.table} WHERE {rule.where} LIMIT {BATCH}"
    return db.execute(f"DELETE FROM {rule.table} WHERE ({rule.key}) IN ({chosen})", values).rowcount
