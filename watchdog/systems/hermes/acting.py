"""What can be done about Hermes' jobs, through its own command."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from watchdog.config.policies import Policy
from watchdog.config.settings import Detect
from watchdog.core.action import Action
from watchdog.core.kinds import Kind
from watchdog.core.model import At, Job, Snapshot
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.hermes.section import Hermes
from watchdog.systems.hermes.source import HermesSource
from watchdog.systems.hermes.ways import HermesWays, seen_of
from watchdog.systems.shared.acting import (
    NOT_DUE,
    ActionKind,
    Actor,
    RefusedError,
    Restarts,
    Target,
    how_it_stands,
    meant,
    unfit_for_a_pause,
)
from watchdog.systems.shared.fingerprint import Facts
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.progress import Progress
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.shared.writer import LiveWriters

RUN_AGAIN = (Kind.OVERDUE, Kind.STRANDED, Kind.INTERRUPTED)
"""What a run helps against."""

RESUMED_WITHIN = timedelta(minutes=2)
"""A one-shot whose time is longer past Hermes does not resume."""


class HermesActing:
    """Running what is due or was broken off, pausing, and resuming."""

    definitions = None

    @property
    def kinds(self) -> Mapping[str, ActionKind]:
        """The steps are what is asked for."""
        return _KINDS

    def find(self, section: Hermes, wanted: str, now: datetime, detect: Detect) -> Mapping[str, Callable[[], Target]]:
        """The jobs of this name or id; each raises RefusedError if nothing helps it, or nothing may be done."""
        snapshot = HermesSource(section, Host(LiveWriters())).look(now).snapshot
        if snapshot.problem is not None:
            raise UnreadableError(snapshot.problem)
        return {job.id: partial(_target, section, snapshot, job, now, detect) for job in meant(snapshot.jobs, wanted)}

    def seen(self, section: Hermes, job: Job | None, job_id: str) -> Facts | None:
        """What the snapshot says of it."""
        return seen_of(job) if job else {}

    def actor(self, section: Hermes, progress: Progress, restarts: Restarts) -> Actor:
        """What does it."""
        return HermesWays(progress, section, _KINDS)

    def lingers(self, action: Action, policy: Policy | None) -> timedelta:
        """The run that was asked for goes on without the watchdog."""
        return policy.deadline if policy else timedelta()


def _target(section: Hermes, snapshot: Snapshot, job: Job, now: datetime, detect: Detect) -> Target:
    findings = diagnose(snapshot, now, detect).findings
    wrong = next((one for one in findings if one.job_id == job.id and one.kind in RUN_AGAIN), None)
    action = "run_due" if wrong else "resume" if job.status == "paused" else ""
    if not action:
        is_so = how_it_stands(job.name, job.state, job.next_run_at, now)
        raise RefusedError(f"{is_so}; only one that is overdue, interrupted or paused is brought back")
    refusal = _KINDS[action].unfit(job, now)
    if refusal:
        raise RefusedError(f"{job.name} is not brought back: {refusal}")
    standing = wrong.summary if wrong else f"{job.name} is paused"
    return Target(section, job.id, job.name, action, _KINDS[action].steps, standing, job.schedule, seen_of(job))


def _unfit_for_a_run(job: Job, at: datetime) -> str | None:
    """`hermes cron run` runs a job at once, in a process of its own, beside whatever else is going on."""
    if not job.is_planned:
        return f"it is {job.state}"
    if job.in_flight_since:
        return "a run of it is in flight, and another would go on beside it"
    if job.waits_for:
        return "a run of it waits already, and would follow"
    if job.interrupted is None and job.next_run_at is not None and job.next_run_at > at:
        return NOT_DUE
    return None


def _unfit_for_resuming(job: Job, at: datetime) -> str | None:
    if job.status != "paused":
        return f"it is {job.state}, and not paused"
    is_past = isinstance(job.schedule, At) and job.schedule.at + RESUMED_WITHIN <= at
    return "a one-shot whose time has passed is never resumed" if is_past else None


Unfit = Callable[[Job, datetime], str | None]


def _of_the_command(unfit: Unfit) -> Unfit:
    """Whatever is asked of a job by the command, whose arguments its id must not be taken for."""

    def why(job: Job, at: datetime) -> str | None:
        profile = job.terms.served_by
        own = job.id.removeprefix(f"{profile}/") if profile else job.id
        if own.startswith("-"):
            return "its id begins with a dash and would be taken for an option"
        if not own or own.startswith("(no id)") or " #" in own or "/" in own:
            return "it has no id of its own"
        return unfit(job, at)

    return why


_KINDS: Mapping[str, ActionKind] = {
    "run_due": ActionKind(_of_the_command(_unfit_for_a_run), ("run_due",), runs_now=True),
    "pause": ActionKind(_of_the_command(unfit_for_a_pause), ("pause",), has_canary=False),
    "resume": ActionKind(_of_the_command(_unfit_for_resuming), ("resume",), has_canary=False),
}

ACTING = HermesActing()
