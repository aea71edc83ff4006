"""`revive`, `restore`, `approve`, `recoveries`: what a person asks for, with the same guards and on the same record."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from logging import NullHandler

from watchdog.clock import WallClock
from watchdog.config import Config, Phantom
from watchdog.incident_verbs import whoami
from watchdog.instants import iso, say
from watchdog.logs import log
from watchdog.model import At, Unreadable
from watchdog.recovery import rows
from watchdog.recovery.action import BY_HAND, Action, State, Step
from watchdog.recovery.hand import Hand
from watchdog.recovery.records import Preserved, Records
from watchdog.schedule import next_fire
from watchdog.sources.phantom_rows import read_schedule
from watchdog.sources.sqlite_file import UnreadableError, read
from watchdog.store import Store
from watchdog.wire import Json


class RefusedError(Exception):
    """It cannot or must not be done; one line that says why."""


def revive(config: Config, store: Store, job: str, dry_run: bool) -> Iterator[str]:
    """Bring a failed job back now; says each step."""
    source, row = _find(config, job)
    _must_be_revivable(source, row)
    ways = ("api", "pause_resume", "sql") if source.api else ("sql",)
    if dry_run:
        yield f"would revive {row['name']}: {' then '.join(ways)}; its next run would be {_next(source, row)}"
        return
    records = Records(store)
    action = records.add(_action(source, row, ways))
    log.addHandler(NullHandler())  # each step is said below; without a handler it would stand on stderr as well
    Hand(config, records, WallClock().stamp).carry_out(action)
    done = next(one for one in records.actions() if one.id == action.id)
    yield from (f"{say(step.at)}  {step.what}" for step in done.steps)
    if done.state is not State.ACTED:
        raise RefusedError(f"{row['name']} was not revived: {done.steps[-1].what}")
    yield f"{row['name']} is active. It is proved only by its next run, {_next(source, row)}; a running watchdog tells."


def intend(config: Config, records: Records, source_name: str, job_id: str, by: str) -> Action:
    """Write a revival down for the hand of the running service, with the guards of `revive`. Raises RefusedError."""
    named = [source for source in config.phantoms if source.name == source_name]
    found = [(source, row) for source in named for row in _matching(source, job_id) if str(row["id"]) == job_id]
    if not found:
        raise RefusedError(f"there is no job with the id {job_id!r} in {source_name}")
    source, row = found[0]
    _must_be_revivable(source, row)
    if any((one.source, one.job_id) == (source.name, job_id) for one in records.under_way()):
        raise RefusedError(f"a recovery of {row['name']} is under way")
    action = _action(source, row, ("api", "pause_resume", "sql") if source.api else ("sql",))
    asked = Step(action.created.at, f"asked for by {by}; the row is {row['status']} since {row.get('updated_at')}")
    return records.add(replace(action, state=State.INTENDED, by=by, steps=(asked,)))


def _action(source: Phantom, row: rows.Row, ways: Sequence[str]) -> Action:
    now = WallClock().stamp()
    return Action(
        id=0,
        created=now,
        policy=BY_HAND,
        kind="revive",
        source=source.name,
        job_id=str(row["id"]),
        job=str(row["name"]),
        circuit=f"{source.name}|{BY_HAND}",
        state=State.BEGUN,  # not `intended`: a running service must not take it up as well
        by=whoami(),
        why="asked for by hand",
        seen=rows.fingerprint(row),
        ways=tuple(ways),
        steps=(Step(now.at, f"asked for by {whoami()}; the row is {row['status']} since {row.get('updated_at')}"),),
    )


def _find(config: Config, job: str) -> tuple[Phantom, rows.Row]:
    """The one job of this name or id."""
    found = [(source, row) for source in config.phantoms for row in _matching(source, job)]
    if not found:
        raise RefusedError(f"there is no job {job!r} (name or id); `scheduler-watchdog jobs` lists them")
    if len(found) > 1:
        raise RefusedError(f"there are {len(found)} jobs {job!r}; give the id")
    return found[0]


def _matching(source: Phantom, job: str) -> list[rows.Row]:
    query = "SELECT id FROM scheduled_jobs WHERE id = ? OR lower(name) = lower(?)"
    try:
        ids = read(source.database, lambda connection: connection.execute(query, (job, job)).fetchall())[0]
        found = [rows.look(source.database, str(id_)) for (id_,) in ids]
    except UnreadableError as error:
        raise RefusedError(str(error)) from error
    return [row for row in found if row is not None]


def _must_be_revivable(source: Phantom, row: rows.Row) -> None:
    if row["status"] != "failed":
        raise RefusedError(f"{row['name']} is {row['status']}; only a failed job can be revived")
    if row.get("enabled", 1) == 0:
        raise RefusedError(f"{row['name']} is switched off and would not run; switch it on first")
    schedule = read_schedule(row.get("schedule_kind"), row.get("schedule_value"), source.timezone)
    if isinstance(schedule, Unreadable):
        raise RefusedError(f"{row['name']}: its schedule cannot be read: {schedule.reason}")
    if isinstance(schedule, At) and schedule.at <= datetime.now(UTC):
        raise RefusedError(f"{row['name']} was to run once at {say(schedule.at)}; that is over, so it is not revived")


def _next(source: Phantom, row: rows.Row) -> str:
    schedule = read_schedule(row.get("schedule_kind"), row.get("schedule_value"), source.timezone)
    fire = next_fire(schedule, datetime.now(UTC))
    return f"at {say(fire)}" if fire else "never"


def restore(config: Config, store: Store, job: str, dry_run: bool) -> Iterator[str]:
    """Put a swept job back as it was."""
    records = Records(store)
    kept = _kept(config, records, job)
    source = next(source for source in config.phantoms if source.name == kept.source)
    if dry_run:
        yield f"would put {kept.name} back as it was on {say(kept.preserved_at)}: {', '.join(kept.row)}"
        return
    try:
        rows.put_back(source.database, kept.row)
    except (rows.ChangedError, rows.CannotWriteError) as error:
        raise RefusedError(f"{kept.name} was not restored: {error}") from error
    records.preserve(replace(kept, restored_at=datetime.now(UTC)))
    yield f"{kept.name} is there again, as it was on {say(kept.preserved_at)}: {kept.row.get('status')}"
    yield f"to bring it back to life: scheduler-watchdog revive {kept.job_id}"


def _kept(config: Config, records: Records, job: str) -> Preserved:
    names = {source.name for source in config.phantoms}
    wanted = [kept for kept in records.preserved() if kept.source in names and job in (kept.job_id, kept.name)]
    if not wanted:
        raise RefusedError(f"no definition of {job!r} is kept; only failed jobs are, from when a watchdog saw them")
    if len(wanted) > 1:
        raise RefusedError(f"{len(wanted)} definitions of {job!r} are kept; give the id")
    return wanted[0]


def approve(store: Store, number: int, at: datetime) -> str:
    """Allow a proposed action; raises ValueError if there is none."""
    records = Records(store)
    action = next((action for action in records.actions() if action.id == number), None)
    if action is None or action.state is not State.PROPOSED:
        raise ValueError(f"no recovery {number} waits for approval; `scheduler-watchdog recoveries` lists them")
    records.approve(number, at, whoami())
    return f"approved: {action.kind} of {action.job or action.source}; the running watchdog does it"


def listed(store: Store) -> list[Action]:
    """All actions, newest first."""
    return list(reversed(Records(store).actions()))


def document(actions: Sequence[Action]) -> dict[str, Json]:
    """The answer for programs."""
    return {"recoveries": [_plain(action) for action in actions]}


def _plain(action: Action) -> dict[str, Json]:
    return {
        "id": action.id,
        "action": action.kind,
        "source": action.source,
        "job_id": action.job_id,
        "job": action.job,
        "state": action.state.value,
        "policy": action.policy,
        "by": action.by,
        "why": action.why,
        "created_at": iso(action.created.at),
        "steps": [{"at": iso(step.at), "what": step.what} for step in action.steps],
    }
