"""The action `command`: the operator's own command for a job, whatever scheduler it belongs to."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from watchdog.config.placeholders import PLACE, unfit
from watchdog.config.policies import Policy
from watchdog.config.sources import Section
from watchdog.core import faults
from watchdog.core.action import Action, State
from watchdog.core.model import Job
from watchdog.core.redaction import fit_to_leave
from watchdog.systems import system_of
from watchdog.systems.opening import look_at
from watchdog.systems.shared.command import facts_of, run
from watchdog.systems.shared.fingerprint import Facts, fingerprint, is_as_seen
from watchdog.systems.shared.progress import REASON, Progress
from watchdog.systems.shared.unreadable import UnreadableError

SOURCE_GRACE = timedelta(minutes=15)
"""How long a command that is about the whole scheduler has until something must have started."""


class OperatorCommand:
    """Runs commands about the jobs of one source."""

    def __init__(self, progress: Progress, source: Section) -> None:
        self._on = progress
        self._source = source

    def carry_out(self, action: Action, policy: Policy) -> None:
        """Run it, if the job is still as it was seen."""
        for state, problem in (
            (State.FAILED, _unsafe(policy.run, action.job_id)),
            (State.REFUSED, self._unlike(action)),
        ):
            if problem:
                self._on.settle(action, state, f"{problem}, so nothing was done")
                return
        action = self._on.begin(replace(action, way="command"))
        ran = run(filled_in(policy.run, action.job_id or ""), facts_of(action), policy.deadline)
        faults.point("command-ended")
        if ran.never_began:
            self._on.settle(action, State.UNABLE, f"cannot act: {fit_to_leave(ran.problem, REASON)}")
        elif ran.problem:
            self._on.settle(action, State.FAILED, f"the command did not work: {fit_to_leave(ran.problem, REASON)}")
        else:
            wait = timedelta() if action.job_id else SOURCE_GRACE
            self._on.acted(action, "the command was run, and ended well", wait)

    def _unlike(self, action: Action) -> str:
        """What has changed since the job was seen; nothing for a command that is about no job."""
        if action.job_id is None:
            return ""
        try:
            job = look_at(self._source, action.job_id, self._on.now().at)
        except UnreadableError as error:
            return str(error)
        if job is None:
            return "the job is gone"
        seen = action.seen if system_of(self._source).tells_all_at_once else _told_at_once(action.seen, job)
        return "" if is_as_seen(job, seen) else "the job is no longer as it was seen"


def _told_at_once(seen: Facts, job: Job) -> Facts:
    """Of what was seen that which a first look at the database tells as well: where a next run is worked out, and runs
    further back than it reads, are known only to who has looked before."""
    there = fingerprint(job)
    kept = {"enabled", "status", *(name for name in ("in_flight_since", "last_run_at") if there[name] is not None)}
    return {name: value for name, value in seen.items() if name in kept}


def filled_in(arguments: Sequence[str], job_id: str) -> tuple[str, ...]:
    """The arguments with the job's id in its places."""
    return tuple(argument.replace(PLACE, job_id) for argument in arguments)


def _unsafe(arguments: Sequence[str], job_id: str | None) -> str:
    if not any(PLACE in argument for argument in arguments):
        return ""
    return unfit(job_id) if job_id is not None else "it is about no job, and the command asks for a job's id"
