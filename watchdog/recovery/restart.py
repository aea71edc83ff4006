"""Restarting a scheduler by the command or the call that the operator configured, after what that destroys is kept."""

from dataclasses import replace
from datetime import timedelta

from watchdog.config.policies import Policy
from watchdog.config.sources import Section
from watchdog.core import faults
from watchdog.core.action import Action, State
from watchdog.core.logs import log
from watchdog.core.redaction import fit_to_leave
from watchdog.recovery.before_restart import consequences
from watchdog.recovery.decide import spent_within, used_up
from watchdog.recovery.preserving import preserve_failed
from watchdog.state.records import Records
from watchdog.systems.opening import snapshot_of
from watchdog.systems.shared.acting import NoRestartLeftError
from watchdog.systems.shared.command import ask, facts_of, run
from watchdog.systems.shared.progress import REASON, Progress
from watchdog.systems.shared.unreadable import UnreadableError


class Restarter:
    """Restarts one source's scheduler."""

    def __init__(self, progress: Progress, records: Records, source: Section) -> None:
        self._on = progress
        self._records = records
        self._source = source

    def must_have_left(self, action: Action, policy: Policy) -> None:
        """A restart to have one job heard counts as much as any other of this scheduler: see `Attempts.per_day`."""
        now, attempts = self._on.now(), policy.attempts
        others = self._records.restarts(action.source)
        done = [other for other in others if other.begun and other.id != action.id]
        for most, window in attempts.budgets(are_restarts=True):
            if len(spent_within(done, window, now)) >= most:
                raise NoRestartLeftError(used_up(most, "restart", window))

    def restart(self, action: Action, policy: Policy) -> None:
        """By a command without a shell, or by a call. The job's facts are in environment variables, as data."""
        try:
            action = self._warned(action)
        except UnreadableError as error:
            self._on.settle(
                action, State.FAILED, f"not restarted, for nobody can tell what that would destroy: {error}"
            )
            return
        action = self._on.begin(replace(action, way="restart"))
        if policy.run:
            problem = run(policy.run, facts_of(action), policy.deadline).problem
        elif policy.call:
            order = {"do": "get", "url": policy.call.url, "method": policy.call.method}
            problem = ask(order, policy.deadline)
        else:
            problem = "no `run` and no `call` is configured"
        faults.point("restarted")
        if problem:
            self._on.settle(action, State.FAILED, f"the restart did not work: {fit_to_leave(problem, REASON)}")
        else:
            self._on.acted(action, "the agent was restarted", timedelta(minutes=15))

    def _warned(self, action: Action) -> Action:
        """What a restart destroys is kept before, and told."""
        now = self._on.now().at
        preserve_failed(self._records, self._source, now)
        snapshot = snapshot_of(self._source, now)
        for sentence in consequences(snapshot, now):
            log.warning(sentence, extra={"action": "restart_ahead", "source": self._source.name})
            action = action.stepped(now, sentence)
        return action
