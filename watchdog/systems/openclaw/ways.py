"""Bringing an OpenClaw job back through the gateway's own command; its files are never written.

Only `run --due` is used, never a forced run: the gateway itself then refuses what is not due, or is running.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

from watchdog.config.policies import Policy
from watchdog.core import faults
from watchdog.core.action import Action, State
from watchdog.core.model import Job
from watchdog.systems.openclaw.cli import Replied, Reply, ask
from watchdog.systems.openclaw.section import OpenClaw
from watchdog.systems.opening import look_at
from watchdog.systems.shared.acting import RETRY, ActionKind, ChangedError
from watchdog.systems.shared.command import facts_of
from watchdog.systems.shared.fingerprint import is_as_seen
from watchdog.systems.shared.progress import Progress
from watchdog.systems.shared.unreadable import UnreadableError

_NOT_ON = "not switched on again"


class OpenClawWays:
    """Acts on the jobs of one gateway."""

    def __init__(self, progress: Progress, source: OpenClaw, kinds: Mapping[str, ActionKind]) -> None:
        self._on = progress
        self._source = source
        self._kinds = kinds

    def _is_half_done(self, action: Action) -> bool:
        return self._kinds[action.kind].is_half_done(action)

    def carry_out(self, action: Action, policy: Policy) -> None:
        """Do what is left of the action."""
        deadline = policy.deadline
        if self._is_half_done(action):
            self._switch_on(action, deadline)
            return
        try:
            self._must_be_as_seen(action)
        except ChangedError as error:
            self._on.settle(action, State.REFUSED, f"{error}, so nothing was done")
        except UnreadableError as error:
            self._on.settle(action, State.UNABLE, f"cannot act: {error}")
        else:
            self._go_on(action, deadline)

    def _must_be_as_seen(self, action: Action) -> None:
        if (action.job_id or "").startswith("-"):
            raise ChangedError("the job's id begins with a dash and would be taken for an option")
        job = self._look(action)
        if job is None:
            raise ChangedError("the job is gone")
        if not _is_as_seen(job, action):
            raise ChangedError("the job is no longer as it was seen")

    def _look(self, action: Action) -> Job | None:
        return look_at(self._source, action.job_id or "", self._on.now().at)

    def _go_on(self, action: Action, deadline: timedelta) -> None:
        while action.ways:
            way, begin = action.ways[0], self._on.begin_again if self._is_half_done(action) else self._on.begin
            action = begin(replace(action, way=way, ways=action.ways[1:], not_before=None))
            reply = ask(self._source, way, action.job_id or "", facts_of(action), deadline)
            faults.point(f"{way}-answered")
            if reply.outcome is not Replied.DONE:
                self._not_done(action, way, reply)
                return
            action = action.stepped(self._on.now().at, reply.what)
        self._acted(action, action.steps[-1].what)

    def _acted(self, action: Action, what: str) -> None:
        """Only the proof is missing: if none comes there is no other way to try."""
        self._on.acted(replace(action, ways=()), what, timedelta())

    def _not_done(self, action: Action, way: str, reply: Reply) -> None:
        if way == "enable" and reply.outcome is Replied.REFUSED and self._is_gone(action):
            self._on.settle(action, State.UNKNOWN, "the job is gone, so there is nothing to switch on")
        elif action.kind == "unstick" and (way == "enable" or self._may_be_off(action, reply)):
            self._try_again(action, reply.what)
        elif reply.outcome is Replied.UNSURE:
            self._acted(action, reply.what)
        else:
            states = {Replied.RUNNING: State.REFUSED, Replied.UNABLE: State.UNABLE}
            self._on.settle(action, states.get(reply.outcome, State.FAILED), reply.what)

    # a job that was switched off

    def _may_be_off(self, action: Action, reply: Reply) -> bool:
        """A gateway that went away before it answered may have done it."""
        try:
            job = self._look(action)
        except UnreadableError:
            return reply.outcome in (Replied.UNSURE, Replied.UNABLE)
        return reply.outcome is Replied.UNSURE or (job is not None and not job.enabled)

    def _is_gone(self, action: Action) -> bool:
        try:
            return self._look(action) is None
        except UnreadableError:
            return False

    def _switch_on(self, action: Action, deadline: timedelta) -> None:
        """The second half of freeing a marker. Whatever else happens, the job must not stay switched off."""
        try:
            job = self._look(action)
        except UnreadableError:
            job = None  # asking does no harm, and a job that is gone is told of by the gateway
        if job is not None and job.enabled:
            self._acted(action, "the job is switched on again")
        else:
            self._go_on(action, deadline)

    def _try_again(self, action: Action, why: str) -> None:
        """Until it works; of the reasons why it did not only the newest stands there."""
        now, what = self._on.now().at, f"{_NOT_ON}: {why}"
        if not action.steps or action.steps[-1].what != what:
            is_newer = bool(action.steps) and action.steps[-1].what.startswith(_NOT_ON)
            kept = action.steps[:-1] if is_newer else action.steps
            action = replace(action, steps=kept).stepped(now, what)
        self._on.leave(replace(action, state=State.INTENDED, ways=("enable",), way="", not_before=now + RETRY))

    # after a crash

    def take_up(self, action: Action) -> None:
        """The watchdog died in the middle of it."""
        try:
            job = self._look(action)
        except UnreadableError as error:
            self._take_up_unseen(action, str(error))
            return
        is_off = job is not None and not job.enabled
        if action.kind == "unstick" and (is_off or job is None or action.way == "enable"):
            self._try_again(action, "the watchdog ended in the middle of it")
        elif action.kind != "run_due" and job is not None and _is_as_seen(job, action):
            what = "the job is as it was: nothing had been done"
            again = action.stepped(self._on.now().at, what, state=State.INTENDED, way="")
            self._on.leave(replace(again, ways=self._kinds[action.kind].steps))
        else:
            what = "the watchdog ended in the middle of it; whether it was done will show"
            self._acted(action, what)

    def _take_up_unseen(self, action: Action, problem: str) -> None:
        if action.kind == "unstick":
            self._try_again(action, problem)
        else:
            self._on.settle(action, State.UNKNOWN, f"the watchdog ended in the middle of it, and now {problem}")


def _is_as_seen(job: Job, action: Action) -> bool:
    """A job that is to be paused may run every few seconds: of it only counts that it is planned still."""
    return job.is_planned if action.kind == "pause" else is_as_seen(job, action.seen)
