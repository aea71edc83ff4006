"""Does what was decided, one step after another, each written down before and after.

It runs in a thread of its own: a call to the agent, or a command, may take up to its deadline.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

from watchdog.config.file import Config
from watchdog.config.policies import Policy
from watchdog.config.sources import Section
from watchdog.core.action import BY_HAND, Action, State
from watchdog.core.clock import Stamp
from watchdog.core.logs import log
from watchdog.recovery.fresh_look import Judge, unopposed
from watchdog.recovery.known_actions import KnownActions, acting_of
from watchdog.recovery.operator_command import OperatorCommand
from watchdog.recovery.restart import Restarter
from watchdog.state.records import Records
from watchdog.systems.shared.acting import RETRY, Actor
from watchdog.systems.shared.command import ask
from watchdog.systems.shared.progress import Clock, Progress, TakenError

PROBE_DEADLINE = timedelta(seconds=10)

LONGEST = timedelta(minutes=10)
"""No revival by hand takes longer; what was begun before that was left by a command that died."""


class Executor:
    """Carries actions out on the sources of one configuration. `judge` is asked the moment before each is begun."""

    def __init__(self, config: Config, records: Records, clock: Clock, judge: Judge = unopposed) -> None:
        self._records = records
        self._clock = clock
        self._judge = judge
        self._progress = Progress(records, clock)
        self._born: Stamp | None = None
        self._left: frozenset[int] = frozenset()
        self._rests = False
        self.use(config)

    def use(self, config: Config) -> None:
        """From now on this configuration holds."""
        self._sources: dict[str, Section] = {source.name: source for source in config.sources}
        self._known = KnownActions(config.sources)
        self._policies = {
            policy.name or f"policies[{index}]": policy for index, policy in enumerate(config.recovery.policies)
        }
        self._actors: dict[str, Actor] = {}
        # where nothing may be done, a job that was switched off is switched on again all the same
        self._only_ends = bool(config.recovery.why_idle)

    def rest(self) -> None:
        """Begin nothing more: what is under way is ended, and the rest is another executor's."""
        self._rests = True

    def turn(self) -> bool:
        """Do what is intended; whether anything was done. After a restart first make sure of what was begun."""
        begun = [action for action in self._records.under_way() if self._is_to_be_ended(action)]
        if self._born is None:
            self._born, self._left = self._clock(), frozenset(action.id for action in begun)
        for action in begun:
            if self._is_left_over(action, self._born):
                self._left -= {action.id}
                self._unless_taken(self._take_up, action)
        todo = [action for action in self._records.under_way() if self._is_to_do(action)]
        for action in todo:
            if not self._rests:
                self._unless_taken(self.carry_out, action)
        return bool(todo)

    def _is_to_be_ended(self, action: Action) -> bool:
        return action.state is State.BEGUN and (self._known.frees(action) or not self._only_ends)

    def _is_to_do(self, action: Action) -> bool:
        if action.state is not State.INTENDED or (self._only_ends and not self._known.is_half_done(action)):
            return False
        left = action.not_before - self._clock().at if action.not_before else timedelta()
        return not timedelta() < left <= RETRY  # further ahead it is only since the clock was set back

    def _is_left_over(self, action: Action, born: Stamp) -> bool:
        """Whether nobody is at it any more: not the executor before this one, nor this one, nor a person's command."""
        now = self._clock()
        if self._progress.is_at(action) or action.spent.elapsed(now) > LONGEST:
            return True
        if action.id not in self._left:
            return False
        lingers = self._lingers(action)
        return not lingers or born.elapsed(now) > lingers

    def _lingers(self, action: Action) -> timedelta:
        """How long what was asked for may still be under way, or the executor before this one be at it yet."""
        source, policy = self._sources.get(action.source), self._policy(action)
        acting = acting_of(source) if source else None
        asked = acting.lingers(action, policy) if acting and action.kind in acting.kinds else timedelta()
        return asked or (policy.deadline if policy and action.way == "command" else timedelta())

    def _unless_taken(self, do: Callable[[Action], None], action: Action) -> None:
        try:
            do(action)
        except TakenError:
            log.info(f"recovery {action.id} is taken by another hand", extra={"action": "recovery"})

    def carry_out(self, action: Action) -> None:
        """Do one action, to its end or until only the proof is missing. Raises TakenError."""
        self._progress.take(action)
        source, policy = self._sources.get(action.source), self._policy(action)
        if source is None or policy is None:
            what = f"its source or policy is not in the configuration any more{self._may_be_left(action)}"
            self._progress.settle(action, State.FAILED, what)
            return
        probe = "" if self._known.is_half_done(action) else policy.check.http
        if probe and ask({"do": "get", "url": probe}, PROBE_DEADLINE):
            what = f"{urlsplit(probe).netloc} is not well yet, so nothing was done"
            self._progress.settle(action, State.REFUSED, what)
        elif not self._is_opposed(action):
            self._do(action, source, policy)

    def _is_opposed(self, action: Action) -> bool:
        """Whether a look right now speaks against it: then it is over, or waits until that has passed."""
        if action.policy == BY_HAND or self._known.is_half_done(action):
            return False
        objection = self._judge(action)
        if objection is None:
            return False
        if objection.is_passing:
            self._progress.leave(replace(action, not_before=self._clock().at + RETRY))
        else:
            self._progress.settle(action, State.REFUSED, f"{objection.why}, so nothing was done")
        return True

    def _do(self, action: Action, source: Section, policy: Policy) -> None:
        if action.kind == "restart":
            Restarter(self._progress, self._records, source).restart(action, policy)
        elif action.kind == "command":
            OperatorCommand(self._progress, source).carry_out(action, policy)
        elif actor := self._actor(action, source):
            actor.carry_out(action, policy)
        else:
            what = f"{action.kind} is nothing that can be done about a source of kind {source.kind}"
            self._progress.settle(action, State.FAILED, what)

    def _actor(self, action: Action, source: Section) -> Actor | None:
        """What does such an action there; the same one as the last time, for it may have logged in."""
        acting = acting_of(source)
        if acting is None or action.kind not in acting.kinds:
            return None
        if source.name not in self._actors:
            restarts = Restarter(self._progress, self._records, source)
            self._actors[source.name] = acting.actor(source, self._progress, restarts)
        return self._actors[source.name]

    def _policy(self, action: Action) -> Policy | None:
        """The policy that it is done by; what was begun is ended whatever the configuration says now."""
        if action.policy == BY_HAND or self._known.is_half_done(action):
            return self._policies.get(action.policy, Policy(action="revive", canary=False))
        return self._policies.get(action.policy)

    def _take_up(self, action: Action) -> None:
        """The watchdog died in the middle of it. It is done again only if it is known not to have happened."""
        self._progress.take(action)
        source = self._sources.get(action.source)
        if action.way in ("restart", "command") and source is not None:
            what = f"the watchdog ended in the middle of a {action.way}; it is not done twice"
            self._progress.acted(action, what, None)
        elif source is not None and action.job_id is not None and (actor := self._actor(action, source)):
            actor.take_up(action)
        else:
            what = f"the watchdog ended in the middle of it; it is not done twice{self._may_be_left(action)}"
            self._progress.settle(action, State.UNKNOWN, what)

    def _may_be_left(self, action: Action) -> str:
        """Nobody else finds a job that was switched off and not on again."""
        kind = self._known.of(action)
        if kind is None or not kind.left_half_done or action.begun is None:
            return ""
        return f", and {kind.left_half_done.replace('{job_id}', action.job_id or '')}"


def is_left_off(action: Action, known: KnownActions, now: Stamp) -> bool:
    """Whether a job was switched off to free it, and whoever did so is not at it any more."""
    is_abandoned = action.state is State.BEGUN and action.spent.elapsed(now) > LONGEST
    return known.is_half_done(action) or (known.frees(action) and is_abandoned)
