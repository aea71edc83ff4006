"""`revive`, `restore`, `approve`, `recoveries`: what a person asks for, with the same guards and on the same record."""

from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from logging import NullHandler

from watchdog.config.file import Config
from watchdog.config.policies import ANYWHERE
from watchdog.config.sources import Section
from watchdog.core.action import BEING_DONE, BY_HAND, Action, State, Step, spoken_ways
from watchdog.core.clock import Stamp, WallClock
from watchdog.core.command_line import command
from watchdog.core.incident import Incident
from watchdog.core.instants import iso, say
from watchdog.core.logs import log
from watchdog.core.plain_json import Json
from watchdog.incidents.verbs import whoami
from watchdog.recovery.executor import Executor
from watchdog.recovery.known_actions import KnownActions, definitions_of
from watchdog.recovery.target import LISTED, Candidate, NoSuchJobError, find
from watchdog.state.records import Preserved, Records
from watchdog.state.store import Store
from watchdog.systems.opening import snapshot_of
from watchdog.systems.shared.acting import CannotWriteError, ChangedError, RefusedError, Target
from watchdog.systems.shared.progress import TakenError
from watchdog.systems.shared.unreadable import UnreadableError

__all__ = [
    "NoSuchJobError",
    "RefusedError",
    "approve",
    "approve_all",
    "as_one",
    "document",
    "intend",
    "jobs_of",
    "listed",
    "planned",
    "restore",
    "revive",
]

NO_REVIVAL = (*ANYWHERE, "pause")
"""Actions that bring no job back, or are not known to."""

AT_ONCE = timedelta(seconds=1)
"""What is done sooner than this after it was asked for is one act with that, and has one instant with it."""


def revive(config: Config, store: Store, job: str, dry_run: bool) -> Iterator[str]:
    """Bring a job back now; says each step."""
    clock = WallClock().stamp
    now = clock()
    records = Records(store)
    action, next_run, target = _unfinished(config, records, job), "", None
    if action is None:
        target = _found(config, records, job, now)
        next_run = target.next_run(now.at)
        if dry_run:
            yield _plan(target, now.at)
            return
        action = records.add(_action(target, now))
    elif dry_run:
        yield f"would switch {action.job} on again, which recovery {action.id} has switched off"
        return
    log.addHandler(NullHandler())  # each step is said below; without a handler it would stand on stderr as well
    try:
        Executor(config, records, as_one(now, clock)).carry_out(action)
    except TakenError:
        told = "`scheduler-watchdog recoveries` tells what became of it"
        raise RefusedError(f"a running watchdog has gone on with {action.job}; {told}") from None
    done = records.action(action.id) or action
    yield from (f"{say(step.at)}  {step.what}" for step in done.steps if step.what != BEING_DONE)
    if done.state is not State.ACTED:
        raise RefusedError(f"{done.job} was not revived: {done.steps[-1].what}")
    is_ahead = next_run and not _ran_at_once(config, done)
    ahead = f", {next_run}{_held_up(target.source, target.id, clock().at)}" if target and is_ahead else ""
    yield f"{done.job} is active. It is proved only by its next run{ahead}; a running watchdog tells."


def as_one(begun: Stamp, clock: Callable[[], Stamp]) -> Callable[[], Stamp]:
    """A clock for one act: what is done at once is at the instant at which it was asked for, not a second after it."""

    def stamp() -> Stamp:
        now = clock()
        return begun if begun.elapsed(now) < AT_ONCE else now

    return stamp


def _plan(target: Target, at: datetime) -> str:
    verb, how = target.action.replace("_", " "), spoken_ways(target.steps)
    run = f"{target.next_run(at)}{_held_up(target.source, target.id, at)}"
    return f"would {verb} {target.name} {how}; its next run would be {run}"


def _held_up(source: Section, job_id: str, at: datetime) -> str:
    """What its next run waits for besides, as a part of a sentence; empty where nothing holds the scheduler's slot."""
    try:
        holder = snapshot_of(source, at).holder
    except UnreadableError:
        return ""
    if holder is None or holder.job_id == job_id:
        return ""
    return f", but not before {holder.run} ends, which holds the slot since {say(holder.since)}"


def planned(config: Config, source_name: str, job_id: str) -> str:
    """What `intend` would write down for the running service. Raises RefusedError."""
    now = WallClock().stamp()
    return _plan(_target(config, source_name, job_id, now), now.at)


def _found(config: Config, records: Records | None, job: str, now: Stamp, source_name: str | None = None) -> Target:
    """The job; of one that has just been brought back the refusal says so. Raises RefusedError."""
    candidate = find(config, job, now.at, source_name)
    try:
        return candidate.target()
    except RefusedError as error:
        raise RefusedError(f"{error}{_brought_back(records, candidate) if records else ''}") from None


def _brought_back(records: Records, job: Candidate) -> str:
    """When it was, and whether that has helped, as the end of a sentence; empty where it was not."""
    of_it = [one for one in records.actions() if (one.source, one.job_id) == (job.source, job.job_id)]
    mine = [action for action in of_it if action.acted_at and action.kind not in NO_REVIVAL]
    if not mine or mine[-1].acted_at is None or mine[-1].state not in (State.ACTED, State.VERIFIED):
        return ""
    last = "it has run well since" if mine[-1].state is State.VERIFIED else "that run shows whether it has helped"
    return f". It was brought back at {say(mine[-1].acted_at)} (recovery {mine[-1].id}), and {last}"


def _target(config: Config, source_name: str, job_id: str, now: Stamp, records: Records | None = None) -> Target:
    if all(source.name != source_name for source in config.sources):
        raise RefusedError(f"there is no source {source_name!r}")
    target = _found(config, records, job_id, now, source_name)
    if target.id != job_id:
        raise RefusedError(f"there is no job with the id {job_id!r} in {source_name}")
    return target


def _unfinished(config: Config, records: Records, job: str) -> Action | None:
    """What was switched off for this job and not yet on again: that comes first."""
    sources = {source.name for source in config.sources}
    known = KnownActions(config.sources)
    mine = [action for action in records.under_way() if job in (action.job_id, action.job) and action.source in sources]
    return next((action for action in mine if known.is_half_done(action)), None)


def _ran_at_once(config: Config, action: Action) -> bool:
    kind = KnownActions(config.sources).of(action)
    return kind is not None and kind.runs_now


def intend(config: Config, records: Records, source_name: str, job_id: str, by: str, at: datetime) -> Action:
    """Write a revival down for the running service, with the guards of `revive`. `at`: the service's own instant.
    Raises RefusedError."""
    now = replace(WallClock().stamp(), at=at)
    target = _target(config, source_name, job_id, now, records)
    if any((one.source, one.job_id) == (source_name, job_id) for one in records.under_way()):
        raise RefusedError(f"a recovery of {target.name} is under way")
    action = _action(target, now)
    asked = Step(now.at, f"asked for by {by}; {target.standing}")
    return records.add(replace(action, state=State.INTENDED, by=by, steps=(asked,)))


def _action(target: Target, now: Stamp) -> Action:
    return Action(
        id=0,
        created=now,
        policy=BY_HAND,
        kind=target.action,
        source=target.source.name,
        job_id=target.id,
        job=target.name,
        circuit=f"{target.source.name}|{BY_HAND}",
        state=State.BEGUN,  # not `intended`: a running service must not take it up as well
        by=whoami(),
        why="asked for by hand",
        seen=target.seen,
        ways=target.steps,
        steps=(Step(now.at, f"asked for by {whoami()}; {target.standing}"),),
    )


def restore(config: Config, store: Store, job: str, dry_run: bool) -> Iterator[str]:
    """Put a swept job back as it was."""
    records = Records(store)
    swept = {source.name: (source, found) for source in config.sources if (found := definitions_of(source))}
    kept = _kept(swept, records, job)
    source, definitions = swept[kept.source]
    if dry_run:
        yield f"would put {kept.name} back as it was on {say(kept.preserved_at)}: {', '.join(kept.row)}"
        return
    try:
        definitions.put_back(source, kept.row)
    except (ChangedError, CannotWriteError) as error:
        raise RefusedError(f"{kept.name} was not restored: {error}") from error
    records.preserve(replace(kept, restored_at=datetime.now(UTC)))
    yield f"{kept.name} is there again, as it was on {say(kept.preserved_at)}: {kept.row.get('status')}"
    if kept.sweep_at is not None and kept.sweep_at <= datetime.now(UTC):
        due = f"its sweep has been due since {say(kept.sweep_at)}"
        yield f"{due}: the next restart deletes it again unless it lives by then"
    yield f"to bring it back to life: {command('revive', kept.job_id)}"


def _kept(names: Container[str], records: Records, job: str) -> Preserved:
    wanted = [kept for kept in records.preserved() if kept.source in names and job in (kept.job_id, kept.name)]
    if not wanted:
        raise RefusedError(f"no definition of {job!r} is kept; only failed jobs are, from when a watchdog saw them")
    if len(wanted) > 1:
        which = ", ".join(f"{kept.job_id} ({kept.source})" for kept in wanted[:LISTED])
        raise RefusedError(f"{len(wanted)} definitions of {job!r} are kept; give the id: {which}")
    return wanted[0]


def approve(store: Store, number: int, at: datetime) -> str:
    """Allow a proposed action; raises ValueError if there is none."""
    records = Records(store)
    action = records.action(number)
    if action is None or action.state is not State.PROPOSED:
        raise ValueError(f"no recovery {number} waits for approval; `scheduler-watchdog recoveries` lists them")
    records.approve(number, at, whoami())
    return f"approved: {action.kind} of {action.subject}; the running watchdog does it"


def approve_all(store: Store, at: datetime, incident: int | None = None) -> Iterator[str]:
    """Allow all that is proposed, or all for an incident; raises ValueError if nothing is."""
    proposed = Records(store).proposed()
    if incident is not None:
        about = {(member.finding.source, member.finding.job_id) for member in _open(store, incident).own}
        proposed = [action for action in proposed if (action.source, action.job_id) in about]
    if not proposed:
        raise ValueError(f"no recovery {f'of incident {incident} ' if incident else ''}waits for approval")
    yield from (approve(store, action.id, at) for action in proposed)


def _open(store: Store, number: int) -> Incident:
    """An open incident; raises ValueError if it is not there or over."""
    incident = store.ledger().incidents.get(number)
    if incident is None or not incident.is_open:
        raise ValueError(f"there is no open incident {number}; `scheduler-watchdog incidents` lists them")
    return incident


def jobs_of(store: Store, number: int) -> list[str]:
    """The ids of the jobs that an open incident is about; raises ValueError if there are none."""
    incident = _open(store, number)
    ids = dict.fromkeys(member.finding.job_id for member in incident.own if member.active)
    found = [job_id for job_id in ids if job_id is not None]
    if not found:
        is_well = any(member.finding.job_id for member in incident.own)
        what = "is clear: none of its jobs has to be brought back" if is_well else "is about no job"
        raise ValueError(f"incident {number} {what}")
    return found


def listed(store: Store) -> list[Action]:
    """All actions, newest first."""
    records = Records(store)
    return list(reversed(records.approved(records.actions())))


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
