"""What a system says of the actions that can be done to its jobs, and what recovery lends it for doing them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from watchdog.cadence.schedule import next_fire
from watchdog.config.policies import Policy
from watchdog.config.settings import Detect
from watchdog.config.sources import Section
from watchdog.core.action import Action, State
from watchdog.core.command_line import PROGRAM
from watchdog.core.instants import say
from watchdog.core.model import At, Job, Schedule
from watchdog.systems.shared.fingerprint import Facts
from watchdog.systems.shared.progress import Progress

C = TypeVar("C", bound=Section, contravariant=True)

RETRY = timedelta(minutes=1)
"""How soon what must be ended is tried again."""

NOT_DUE = "its scheduler has put it off, and runs nothing before it is due"


class RefusedError(Exception):
    """It cannot or must not be done; one line that says why."""


class ChangedError(Exception):
    """The job is no longer as it was seen, so nothing was done."""


class CannotWriteError(Exception):
    """The store cannot be written; one line that says why."""


class NoRestartLeftError(Exception):
    """As many restarts as are allowed have been tried."""


@dataclass(frozen=True, slots=True)
class ActionKind:
    """One thing that can be done to a job.

    `unfit`: why a job is in no state for it, whoever asks; None if it is. `steps`: what is done, in order, where the
    policy's `via` does not say that (`is_by_via`). `has_canary`: of many jobs one can go first. `runs_now`: it has the
    job run at once, if that is due; so it relieves each late job of a scheduler that stands still. `frees`: it ends a
    run that is stuck by two steps, the second of which must be done whatever happens; `left_half_done` says what may be
    left otherwise, with `{job_id}`.
    """

    unfit: Callable[[Job, datetime], str | None] = lambda job, at: None
    steps: tuple[str, ...] = ()
    is_by_via: bool = False
    has_canary: bool = True
    runs_now: bool = False
    frees: bool = False
    left_half_done: str = ""

    def steps_of(self, policy: Policy) -> tuple[str, ...]:
        """What is to be tried, in order."""
        return tuple(policy.ways) if self.is_by_via else self.steps

    def is_half_done(self, action: Action) -> bool:
        """Whether the first of two steps was done, and the second must be done yet."""
        return self.frees and action.state is State.INTENDED and action.ways == self.steps[-1:]


def meant(jobs: Sequence[Job], wanted: str) -> Sequence[Job]:
    """The jobs of this id or name. Whoever gives an id means that job, whatever the others are called."""
    named = [job for job in jobs if job.name.casefold() == wanted.casefold()]
    return [job for job in jobs if job.id == wanted] or named


@dataclass(frozen=True, slots=True)
class Target:
    """The job that a person wants brought back.

    `action`: what helps; `steps`: how; `standing`: how the job stands now; `seen`: what must still be so when it is
    done.
    """

    source: Section
    id: str
    name: str
    action: str
    steps: tuple[str, ...]
    standing: str
    schedule: Schedule
    seen: Facts

    def next_run(self, now: datetime) -> str:
        """When it would run if it were brought back now."""
        fire = next_fire(self.schedule, now)
        return f"at {say(fire)}" if fire else "never"


@dataclass(frozen=True, slots=True)
class Definition:
    """A failed job's whole row, and when it will be swept."""

    job_id: str
    name: str
    row: Mapping[str, object]
    sweep_at: datetime | None


class Definitions(Protocol[C]):
    """The definitions of jobs, where the scheduler itself deletes those that have failed."""

    def failed(self, section: C) -> Sequence[Definition]:
        """Those of all failed jobs. Raises UnreadableError."""

    def was_deleted(self, section: C, job_id: str) -> bool:
        """Whether somebody deleted the job, so that it was not swept."""

    def put_back(self, section: C, row: Mapping[str, object]) -> None:
        """Insert a job as it was. Raises ChangedError if its id or name is in use, and CannotWriteError."""


class Restarts(Protocol):
    """Restarts the scheduler as the policy says, for an action that comes to that."""

    def must_have_left(self, action: Action, policy: Policy) -> None:
        """Raises NoRestartLeftError if as many as are allowed have been tried."""

    def restart(self, action: Action, policy: Policy) -> None:
        """Do it, and write down what came of it."""


class Actor(Protocol):
    """Acts on the jobs of one source, step by step, each written down before and after."""

    def carry_out(self, action: Action, policy: Policy) -> None:
        """Do the action, or what is left of it, to its end or until only the proof is missing."""

    def take_up(self, action: Action) -> None:
        """The watchdog died in the middle of it: it is done again only if it is known not to have happened."""


class Acting(Protocol[C]):
    """What can be done about the jobs of one system."""

    @property
    def kinds(self) -> Mapping[str, ActionKind]:
        """The actions, by what a policy calls them."""

    @property
    def definitions(self) -> Definitions[C] | None:
        """Where its failed jobs are swept, how they are kept and put back."""

    def find(self, section: C, wanted: str, now: datetime, detect: Detect) -> Mapping[str, Callable[[], Target]]:
        """The jobs of this name or id, by their ids; each may raise RefusedError. Raises UnreadableError."""

    def seen(self, section: C, job: Job | None, job_id: str) -> Facts | None:
        """What must still be so when an action is done that is decided now; None if that cannot be told, or if the
        job is no longer as it was found."""

    def actor(self, section: C, progress: Progress, restarts: Restarts) -> Actor:
        """What does it."""

    def lingers(self, action: Action, policy: Policy | None) -> timedelta:
        """How long a watchdog that has ended may still be heard of: what it asked may be done until then."""


def how_it_stands(name: str, state: str, next_run_at: datetime | None, now: datetime) -> str:
    """How a job stands that is not to be brought back, as the beginning of a sentence."""
    if state != "active" or next_run_at is None:
        return f"{name} is {state}"
    if next_run_at > now:
        return f"{name} is {state}, and its next run is at {say(next_run_at)}"
    return f"{name} is {state}, and due since {say(next_run_at)} (if something keeps it, `{PROGRAM} check` says what)"


def unfit_for_revival(job: Job, at: datetime, *, must_be_on: bool) -> str | None:
    """Why a job cannot be brought back that its scheduler has given up; None if it can."""
    if job.status != "failed":
        return "only a failed job can be revived"
    if must_be_on and not job.enabled:
        return "a job that is switched off would not run"
    is_past = isinstance(job.schedule, At) and job.schedule.at <= at
    return "a one-shot whose time has passed is never revived" if is_past else None


def unfit_for_a_pause(job: Job, at: datetime) -> str | None:
    """Why a job cannot be paused; None if it can."""
    return None if job.is_planned else f"it is {job.state}, and does not run"
