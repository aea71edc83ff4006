"""What was asked for over the scheduler's API, as its audit log tells: read anew when its newest row is another one."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from watchdog.core.instants import readable_instant
from watchdog.systems.shared.sqlite_file import columns_of, has_row_numbers

NEWEST_AUDITED = 20_000
"""Rows of the audit log that are looked at, from its end: nothing prunes it, and older ones concern no slot of now."""

_NEWEST = "SELECT rowid, action, job_id, created_at FROM scheduler_audit_log ORDER BY rowid DESC LIMIT 1"

_AUDITED = (
    "SELECT action, job_id, max(created_at) FROM scheduler_audit_log WHERE action IN ('run', 'delete') "
    "AND rowid > (SELECT max(rowid) FROM scheduler_audit_log) - ? GROUP BY action, job_id"
)

_ASKED = (
    "SELECT job_id, created_at FROM scheduler_audit_log WHERE action = 'run' AND created_at >= ? "
    "ORDER BY created_at LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class Audit:
    """What was asked for, by job: when a run of it was last, its deletion was, and all runs since `begins` were."""

    runs: Mapping[str, datetime]
    deletes: Mapping[str, datetime]
    asked: Mapping[str, tuple[datetime, ...]]
    begins: datetime

    def asked_since(self, since: datetime) -> dict[str, tuple[datetime, ...]]:
        """When runs of each job were asked for since an instant."""
        lately = {job_id: tuple(at for at in asked if at >= since) for job_id, asked in self.asked.items()}
        return {job_id: asked for job_id, asked in lately.items() if asked}


class AuditLog:
    """Carried from look to look."""

    def __init__(self) -> None:
        self._newest: tuple[Any, ...] | None = None
        self._audit: Audit | None = None

    def read(self, connection: sqlite3.Connection, since: datetime) -> Audit | None:
        """What it tells, of the runs that were asked for since an instant all; None if there is none to tell."""
        if not {"job_id", "action", "created_at"} <= set(columns_of(connection, "scheduler_audit_log")):
            return None
        if not has_row_numbers(connection, "scheduler_audit_log"):
            return None  # its newest rows cannot be told from the rest
        newest = connection.execute(_NEWEST).fetchall()
        row = newest[0] if newest else None
        if self._audit is None or row != self._newest or since < self._audit.begins:
            self._audit = _read(connection, since)
            self._newest = row
        return self._audit


def _read(connection: sqlite3.Connection, since: datetime) -> Audit:
    rows = connection.execute(_AUDITED, (NEWEST_AUDITED,)).fetchall()
    stamps = [(action, str(job_id), at) for action, job_id, text in rows if (at := readable_instant(text))]
    runs = {job_id: at for action, job_id, at in stamps if action == "run"}
    deletes = {job_id: at for action, job_id, at in stamps if action == "delete"}
    return Audit(runs, deletes, _asked(connection, since), since)


def _asked(connection: sqlite3.Connection, since: datetime) -> dict[str, tuple[datetime, ...]]:
    rows = connection.execute(_ASKED, (since.strftime("%Y-%m-%d %H:%M:%S"), NEWEST_AUDITED)).fetchall()
    found: dict[str, tuple[datetime, ...]] = {}
    for job_id, text in rows:
        at = readable_instant(text)
        if at is not None:
            found[str(job_id)] = (*found.get(str(job_id), ()), at)
    return found
