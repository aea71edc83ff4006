"""The job that a person wants brought back: where it is, what can be done about it, and why not."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from watchdog.cadence.schedule import next_fire
from watchdog.config.file import AnySource, Config, OpenClaw, Phantom
from watchdog.config.settings import Detect
from watchdog.core.instants import say
from watchdog.core.kinds import Kind
from watchdog.core.model import At, Job, Schedule, Snapshot, Unreadable
from watchdog.detectors.diagnosis import diagnose
from watchdog.recovery import rows
from watchdog.recovery.decide import unfit
from watchdog.recovery.looking import fingerprint
from watchdog.systems.openclaw.ways import STEPS
from watchdog.systems.opening import open_source
from watchdog.systems.phantom.rows import read_schedule
from watchdog.systems.shared.sqlite_file import UnreadableError, read


class RefusedError(Exception):
    """It cannot or must not be done; one line that says why."""


@dataclass(frozen=True, slots=True)
class Patient:
    """`kind`: the action that helps; `ways`: its steps; `standing`: how the job stands now; `seen`: what must still be
    so when it is done."""

    source: AnySource
    id: str
    name: str
    kind: str
    ways: tuple[str, ...]
    standing: str
    schedule: Schedule
    seen: Mapping[str, object]

    def next_run(self, now: datetime) -> str:
        """When it would run if it were brought back now."""
        fire = next_fire(self.schedule, now)
        return f"at {say(fire)}" if fire else "never"


def find(config: Config, wanted: str, now: datetime, source_name: str | None = None) -> Patient:
    """The one job of this name or id, if something can be done about it. Raises RefusedError."""
    found: list[Callable[[], Patient]] = []
    problems = []
    for source in config.sources:
        if source_name in (None, source.name):
            try:
                found += _named(source, wanted, now, config.detect)
            except UnreadableError as error:
                problems.append(str(error))
    if not found:
        none = f"there is no job {wanted!r} (name or id); `scheduler-watchdog jobs` lists them"
        raise RefusedError(problems[0] if problems else none)
    if len(found) > 1:
        raise RefusedError(f"there are {len(found)} jobs {wanted!r}; give the id")
    return found[0]()


def _named(source: AnySource, wanted: str, now: datetime, detect: Detect) -> list[Callable[[], Patient]]:
    if isinstance(source, Phantom):
        return [partial(_of_row, source, row, now) for row in _rows(source, wanted)]
    if isinstance(source, OpenClaw):
        snapshot = _snapshot(source, now)
        named = [job for job in snapshot.jobs if job.name.casefold() == wanted.casefold()]
        # whoever gives an id means that job, whatever the others are called
        meant = [job for job in snapshot.jobs if job.id == wanted] or named
        return [partial(_of_job, source, snapshot, job, now, detect) for job in meant]
    return []


# Phantom


def _rows(source: Phantom, wanted: str) -> list[rows.Row]:
    query = "SELECT id FROM scheduled_jobs WHERE id = ? OR lower(name) = lower(?)"
    ids = [id_ for (id_,) in read(source.database, lambda db: db.execute(query, (wanted, wanted)).fetchall())[0]]
    found = [rows.look(source.database, str(id_)) for id_ in ([wanted] if wanted in ids else ids)]
    return [row for row in found if row is not None]


def _of_row(source: Phantom, row: rows.Row, now: datetime) -> Patient:
    schedule = read_schedule(row.get("schedule_kind"), row.get("schedule_value"), source.timezone)
    _must_be_revivable(row, schedule, now)
    return Patient(
        source,
        str(row["id"]),
        str(row["name"]),
        "revive",
        ("api", "pause_resume", "sql") if source.api else ("sql",),
        f"the row is {row['status']} since {row.get('updated_at')}",
        schedule,
        rows.fingerprint(row),
    )


def _must_be_revivable(row: rows.Row, schedule: Schedule, now: datetime) -> None:
    if row["status"] != "failed":
        raise RefusedError(f"{row['name']} is {row['status']}; only a failed job can be revived")
    if row.get("enabled", 1) == 0:
        raise RefusedError(f"{row['name']} is switched off and would not run; switch it on first")
    if isinstance(schedule, Unreadable):
        raise RefusedError(f"{row['name']}: its schedule cannot be read: {schedule.reason}")
    if isinstance(schedule, At) and schedule.at <= now:
        raise RefusedError(f"{row['name']} was to run once at {say(schedule.at)}; that is over, so it is not revived")


# OpenClaw

_HELPS = {Kind.FAILED: "enable", Kind.WEDGED: "unstick", Kind.OVERDUE: "run_due"}
"""What helps a job of which this is so."""


def _snapshot(source: OpenClaw, now: datetime) -> Snapshot:
    snapshot = open_source(source).look(now).snapshot
    if snapshot.problem is not None:
        raise UnreadableError(snapshot.problem)
    return snapshot


def _of_job(source: OpenClaw, snapshot: Snapshot, job: Job, now: datetime, detect: Detect) -> Patient:
    wrong = [one for one in diagnose(snapshot, now, detect).findings if one.job_id == job.id and one.kind in _HELPS]
    if not wrong:
        raise RefusedError(f"{job.name} is {job.state}, and neither given up, stuck nor overdue")
    action = _HELPS[wrong[0].kind]
    refusal = unfit(action, job, now)
    if refusal:
        raise RefusedError(f"{job.name} is not brought back: {refusal}")
    return Patient(source, job.id, job.name, action, STEPS[action], wrong[0].summary, job.schedule, fingerprint(job))
