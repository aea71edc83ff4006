"""`stalled`: jobs are late, nothing holds the slot, nothing has started: the process is down or no timer is armed."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from watchdog.core.fields import Duration
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Job, Process, Restarts, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.lateness import (
    A_LOOP,
    cut_off_since,
    due_at,
    is_unserved,
    late_since,
    missed_since,
    restarts_in_vain,
)
from watchdog.detectors.rules import Rule, RulesForAll


class Stalled(Rule):
    """`started_after`: another job's start this long after the due time proves that the scheduler turns."""

    kind = Kind.STALLED

    started_after: Duration = timedelta(minutes=5)


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """At most one finding, about the scheduler; `evidence["late_jobs"]` lists the ids of the jobs that show it."""
    jobs = now.doubtful(snapshot.jobs)
    late = [(since, job) for job in jobs if (since := _unserved_since(job, snapshot, now, settings))]
    if not late or not _is_proof(late, snapshot, now):
        return
    since = min(since for since, _ in late)
    oldest = min((job for _, job in late), key=_began_to_owe)
    newest = _last_start(snapshot, {job.terms.served_by for _, job in late})
    loop = _loop(late, snapshot, now, settings)
    yield Finding(
        snapshot.source,
        Kind.STALLED,
        Severity.CRITICAL,
        None,
        None,
        since,
        f"the scheduler {_state(loop)}: {_what(late, oldest)}{_quiet(snapshot, newest, loop)} "
        f"({_cause(snapshot, loop)})",
        {
            **({"starts_in_vain": loop.starts} if loop else {}),
            "late_jobs": [job.id for _, job in late],
            "first_due_at": _began_to_owe(oldest),
            **({"last_start": newest} if newest else {}),
        },
    )


def _is_proof(late: list[tuple[datetime, Job]], snapshot: Snapshot, now: Moment) -> bool:
    """Whether the late jobs show more than that something is wrong with them. Where runs cannot be seen a single one
    does only if its scheduler moves what is due on at once, and nothing else that is due is still in time.
    """
    if not snapshot.traits.shows_passes or snapshot.process.is_alive is False or len(late) > 1:
        return True
    ((_, only),) = late
    others = (job for job in snapshot.jobs if job.is_planned and job.id != only.id)
    return snapshot.traits.is_sure and not any(job.next_run_at and job.next_run_at <= now.at for job in others)


def _loop(late: list[tuple[datetime, Job]], snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Restarts | None:
    """How often the scheduler has started in vain, if that is what the late jobs show."""
    loops = [job.terms.restarts for _, job in late if restarts_in_vain(job, snapshot, now, settings.of(job))]
    return max((loop for loop in loops if loop), key=lambda loop: loop.starts, default=None)


def _state(loop: Restarts | None) -> str:
    return "starts again and again" if loop else "stands still"


def _quiet(snapshot: Snapshot, newest: datetime | None, loop: Restarts | None) -> str:
    """What shows that nothing is done."""
    if loop:
        return ", and no run has ended since"
    if snapshot.traits.shows_passes:
        signs = [at for at in (newest, snapshot.passed_at) if at]
        return f", and no job has moved on{f' since {say(max(signs))}' if signs else ''}"
    running = next((f"the run of {job.name} has not ended" for job in snapshot.jobs if job.in_flight_since), None)
    started = f"nothing has started since {say(newest)}" if newest else _never(snapshot)
    return f", {running or 'no run is in flight'} and {started}"


def _never(snapshot: Snapshot) -> str:
    if all(job.terms.shows_all_runs for job in snapshot.jobs):
        return "nothing has ever started"
    return "no run of any job has been seen"


def _cause(snapshot: Snapshot, loop: Restarts | None) -> str:
    process = snapshot.process
    if process.ails:
        return process.ails
    if loop:
        newest = f", the last time at {say(loop.newest)}" if loop.newest else ""
        return f"its process has started {loop.starts} times since then{newest}: it crashes, or is restarted, each time"
    if process.is_alive is False:
        refused = process.health == "refused"
        return f"its process is down{': its health address refuses the connection' if refused else ''}"
    if process.is_frozen and process.health == "mute":
        return "its process is frozen or blocked: its health address does not answer"
    if process.is_frozen:
        return "its process is frozen"
    if process.is_alive and process.health == "mute":
        return "its process is up and blocked: its health address does not answer"
    if process.is_alive:
        return f"its process is up{_seen(process)}, so its timer is not armed, or a run hangs before it shows"
    return "its process is down, or its timer is not armed"


def _seen(process: Process) -> str:
    if process.health != "alive":
        return ""
    since = f" since {say(process.started_at)}" if process.started_at else ""
    return f"{since} and answers at its health address"


def _unserved_since(job: Job, snapshot: Snapshot, now: Moment, settings: RulesForAll) -> datetime | None:
    rules = settings.of(job)
    rule = rules[Stalled]
    # of a job whose lateness nobody minds, while that of others is minded, nothing follows
    is_minded = rules.is_on(Kind.OVERDUE) or not settings.is_on(Kind.OVERDUE)
    if not rule.on or not is_minded:
        return None
    deadline = late_since(job, now, rules)
    if deadline and is_unserved(job, snapshot, now, rule.started_after):
        return deadline
    return (
        restarts_in_vain(job, snapshot, now, rules)
        or cut_off_since(job, snapshot, now)
        or missed_since(job, snapshot, now)
    )


def _what(late: list[tuple[datetime, Job]], oldest: Job) -> str:
    others = len(late) - 1
    more = f" and {others} more {'is' if others == 1 else 'are'} late" if others else ""
    if oldest.in_flight_since and not oldest.terms.restarts:
        return f"the run of {oldest.name} since {say(oldest.in_flight_since)} does not go on{more}"
    if oldest.interrupted and oldest.interrupted.started_at == _began_to_owe(oldest):
        return f"the run of {oldest.name} since {say(oldest.interrupted.started_at)} was broken off{more}"
    return f"{oldest.name} was due at {say(_began_to_owe(oldest))}{more}"


def _began_to_owe(job: Job) -> datetime:
    """When the late job was due; of a run that was cut off, when it began."""
    if job.terms.restarts and job.terms.restarts.starts >= A_LOOP:
        return job.terms.restarts.due
    if job.in_flight_since:
        return job.in_flight_since
    broken = job.interrupted
    if broken and (job.due is None or (not broken.outlook and job.due > broken.started_at)):
        return broken.started_at
    return due_at(job)


def _last_start(snapshot: Snapshot, served_by: set[str]) -> datetime | None:
    jobs = [job for job in snapshot.jobs if job.terms.served_by in served_by]
    starts = [job.last_started_at for job in jobs if job.last_started_at]
    return max(starts, default=snapshot.departed.last_started_at)
