"""What can be done about Phantom's jobs: those that have failed are revived, and their definitions kept."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from watchdog.config.policies import Policy
from watchdog.config.settings import Detect
from watchdog.core.action import Action
from watchdog.core.instants import say
from watchdog.core.model import At, Job, Schedule, Unreadable
from watchdog.systems.phantom import writing
from watchdog.systems.phantom.rows import RowReader, read_schedule
from watchdog.systems.phantom.section import Phantom
from watchdog.systems.phantom.ways import ASKING, LINGERS, PAUSING, PhantomWays
from watchdog.systems.shared.acting import (
    ActionKind,
    Actor,
    Definition,
    RefusedError,
    Restarts,
    Target,
    how_it_stands,
    unfit_for_a_pause,
    unfit_for_revival,
)
from watchdog.systems.shared.fingerprint import Facts
from watchdog.systems.shared.progress import Progress
from watchdog.systems.shared.sqlite_file import read
from watchdog.systems.shared.unreadable import UnreadableError


class PhantomDefinitions:
    """The whole rows of failed jobs, prompt and all, before the sweep takes them."""

    def failed(self, section: Phantom) -> Sequence[Definition]:
        """Those of all failed jobs. Raises UnreadableError."""
        rows = read(section.database, _failed_rows)[0]
        return [_definition(row) for row in rows if row.get("id") is not None]

    def was_deleted(self, section: Phantom, job_id: str) -> bool:
        """Whether the audit log tells that somebody deleted it."""
        return writing.has_audit(section.database, job_id, "delete")

    def put_back(self, section: Phantom, row: Mapping[str, object]) -> None:
        """Insert the row as it was. Raises ChangedError and CannotWriteError."""
        writing.put_back(section.database, row)


def _failed_rows(connection: sqlite3.Connection) -> list[dict[str, object]]:
    cursor = connection.execute("SELECT * FROM scheduled_jobs WHERE status = 'failed'")
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _definition(row: Mapping[str, object]) -> Definition:
    reader = RowReader(row)
    return Definition(str(row["id"]), reader.text("name") or "", row, reader.sweep_at())


class PhantomActing:
    """Reviving by the API, by SQL, or both; moving a sweep off; pausing."""

    kinds: Mapping[str, ActionKind] = {
        "revive": ActionKind(partial(unfit_for_revival, must_be_on=True), is_by_via=True),
        "preserve": ActionKind(has_canary=False),
        "pause": ActionKind(unfit_for_a_pause, PAUSING, has_canary=False),
    }
    definitions = PhantomDefinitions()

    def find(self, section: Phantom, wanted: str, now: datetime, detect: Detect) -> Mapping[str, Callable[[], Target]]:
        """The rows of this name or id; each raises RefusedError if it cannot be revived."""
        return {str(row["id"]): partial(_target, section, row, now) for row in _named(section, wanted)}

    def seen(self, section: Phantom, job: Job | None, job_id: str) -> Facts | None:
        """What of the row must still be so; None if it has changed since the look, or cannot be read now.

        Of a job that is to be paused that is what it is, and not what it does: it may run every few seconds.
        """
        try:
            row = writing.look(section.database, job_id)
        except UnreadableError:
            return None
        if row and row.get("status") == "failed":
            return writing.fingerprint(row)
        return writing.terms(row) if row and row.get("status") == "active" and job and job.is_planned else None

    def actor(self, section: Phantom, progress: Progress, restarts: Restarts) -> Actor:
        """What does it."""
        return PhantomWays(progress, section, restarts)

    def lingers(self, action: Action, policy: Policy | None) -> timedelta:
        """The API may still do what it was asked by a process of its own."""
        return LINGERS if action.way in ASKING else timedelta()


def _named(section: Phantom, wanted: str) -> list[writing.Row]:
    query = "SELECT id FROM scheduled_jobs WHERE id = ? OR lower(name) = lower(?)"
    ids = [id_ for (id_,) in read(section.database, lambda db: db.execute(query, (wanted, wanted)).fetchall())[0]]
    found = [writing.look(section.database, str(id_)) for id_ in ([wanted] if wanted in ids else ids)]
    return [row for row in found if row is not None]


def _target(section: Phantom, row: writing.Row, now: datetime) -> Target:
    schedule = read_schedule(row.get("schedule_kind"), row.get("schedule_value"), section.timezone)
    _must_be_revivable(row, schedule, now)
    return Target(
        section,
        str(row["id"]),
        str(row["name"]),
        "revive",
        ("api", "pause_resume", "sql") if section.api else ("sql",),
        f"the row is {row['status']} since {row.get('updated_at')} UTC",
        schedule,
        writing.fingerprint(row),
    )


def _must_be_revivable(row: writing.Row, schedule: Schedule, now: datetime) -> None:
    if row["status"] != "failed":
        is_so = how_it_stands(str(row["name"]), str(row["status"]), RowReader(row).quietly("next_run_at"), now)
        raise RefusedError(f"{is_so}; only a failed job can be revived")
    if row.get("enabled", 1) == 0:
        raise RefusedError(f"{row['name']} is switched off and would not run; switch it on first")
    if isinstance(schedule, Unreadable):
        raise RefusedError(f"{row['name']}: its schedule cannot be read: {schedule.reason}")
    if isinstance(schedule, At) and schedule.at <= now:
        raise RefusedError(f"{row['name']} was to run once at {say(schedule.at)}; that is over, so it is not revived")


ACTING = PhantomActing()
