"""What can be done about OpenClaw's jobs, through the gateway's own command."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial

from watchdog.config.policies import Policy
from watchdog.config.settings import Detect
from watchdog.core.action import Action
from watchdog.core.kinds import Kind
from watchdog.core.model import At, Job, Snapshot
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.openclaw.section import OpenClaw
from watchdog.systems.openclaw.ways import OpenClawWays
from watchdog.systems.opening import snapshot_of
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
    unfit_for_revival,
)
from watchdog.systems.shared.fingerprint import Facts, fingerprint
from watchdog.systems.shared.progress import Progress

_HELPS = {Kind.FAILED: "enable", Kind.WEDGED: "unstick", Kind.OVERDUE: "run_due"}
"""What helps a job of which this is so."""


class OpenClawActing:
    """Running what is due, switching on, freeing by switching off and on, and switching off."""

    @property
    def kinds(self) -> Mapping[str, ActionKind]:
        """The steps are what is asked for, one after another. A job that was switched off to free it must be switched
        on again."""
        return _KINDS

    definitions = None

    def find(self, section: OpenClaw, wanted: str, now: datetime, detect: Detect) -> Mapping[str, Callable[[], Target]]:
        """The jobs of this name or id; each raises RefusedError if nothing helps it, or nothing may be done."""
        snapshot = snapshot_of(section, now)
        return {job.id: partial(_target, section, snapshot, job, now, detect) for job in meant(snapshot.jobs, wanted)}

    def seen(self, section: OpenClaw, job: Job | None, job_id: str) -> Facts | None:
        """What the snapshot says of it."""
        return fingerprint(job) if job else {}

    def actor(self, section: OpenClaw, progress: Progress, restarts: Restarts) -> Actor:
        """What does it."""
        return OpenClawWays(progress, section, _KINDS)

    def lingers(self, action: Action, policy: Policy | None) -> timedelta:
        """The command may still be running."""
        return policy.deadline if policy else timedelta()


def _target(section: OpenClaw, snapshot: Snapshot, job: Job, now: datetime, detect: Detect) -> Target:
    wrong = [one for one in diagnose(snapshot, now, detect).findings if one.job_id == job.id and one.kind in _HELPS]
    if not wrong:
        is_so = how_it_stands(job.name, job.state, job.next_run_at, now)
        raise RefusedError(f"{is_so}; only one that is given up, stuck or overdue is brought back")
    action = _HELPS[wrong[0].kind]
    refusal = _KINDS[action].unfit(job, now)
    if refusal:
        raise RefusedError(f"{job.name} is not brought back: {refusal}")
    steps = _KINDS[action].steps
    return Target(section, job.id, job.name, action, steps, wrong[0].summary, job.schedule, fingerprint(job))


def _unfit_for_a_run(job: Job, at: datetime) -> str | None:
    if job.in_flight_since:
        return "a run of it is in flight"
    if job.next_run_at is not None and job.next_run_at > at:
        return NOT_DUE
    is_open = job.interrupted is not None and not job.interrupted.outlook
    return "its last run was broken off, and may have been delivered: it needs a person" if is_open else None


def _unfit_for_freeing(job: Job, at: datetime) -> str | None:
    if not job.in_flight_since:
        return "no run of it is in flight"
    # switched on again it would be due at once, while the run that is stuck may have been delivered
    is_past = isinstance(job.schedule, At) and job.schedule.at <= at
    return "a one-shot whose time has passed would run again at once: it needs a person" if is_past else None


Unfit = Callable[[Job, datetime], str | None]


def _of_the_command(unfit: Unfit, *, is_planned: bool = True) -> Unfit:
    """Whatever is asked of a job by the command, whose arguments its id must not be taken for."""

    def why(job: Job, at: datetime) -> str | None:
        if job.id.startswith("-"):
            return "its id begins with a dash and would be taken for an option"
        return f"it is {job.state}" if is_planned and not job.is_planned else unfit(job, at)

    return why


_KINDS: Mapping[str, ActionKind] = {
    "run_due": ActionKind(_of_the_command(_unfit_for_a_run), ("run_due",), runs_now=True),
    "enable": ActionKind(_of_the_command(partial(unfit_for_revival, must_be_on=False), is_planned=False), ("enable",)),
    "unstick": ActionKind(
        _of_the_command(_unfit_for_freeing),
        ("disable", "enable"),
        frees=True,
        left_half_done="the job may be switched off still: openclaw cron enable -- {job_id}",
    ),
    "pause": ActionKind(_of_the_command(unfit_for_a_pause), ("disable",), has_canary=False),
}

ACTING = OpenClawActing()
