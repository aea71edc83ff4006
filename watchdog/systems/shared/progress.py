"""An action's way on record: begun before anything is done, acted after it, settled when its end is known."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from watchdog.core import faults
from watchdog.core.action import BEING_DONE, Action, State
from watchdog.core.clock import Stamp
from watchdog.core.logs import log

LATEST = timedelta(hours=1)
"""How long a run is waited for where nobody can say when it should begin: no scheduler's timer sleeps longer."""

GRACE = timedelta(minutes=5)
"""How much later than it should a run may begin."""

REASON = 300
"""So much of what another program said is kept."""


class TakenError(Exception):
    """Another executor has gone on with the action since this one looked: it is left to that one."""


Clock = Callable[[], Stamp]


class Kept(Protocol):
    """Where actions are written down."""

    def save(self, action: Action, was: State | None = None) -> bool:
        """Write down what has become of an action; with `was` only if that is still its state. Whether it was done."""


class Progress:
    """Writes down each step. An action is taken in the state in which it was found: who is second gets TakenError."""

    def __init__(self, records: Kept, clock: Clock) -> None:
        self._records = records
        self.now = clock
        self._known: dict[int, State] = {}

    def take(self, action: Action) -> None:
        """From now on this executor is at it."""
        self._known[action.id] = action.state

    def is_at(self, action: Action) -> bool:
        """Whether this executor has taken the action and not settled it."""
        return action.id in self._known

    def begin(self, action: Action) -> Action:
        """Something is done next."""
        faults.point("before-begun")
        now = self.now()
        begun = self.save(action.stepped(now.at, BEING_DONE, state=State.BEGUN, begun=now))
        faults.point("begun")
        return begun

    def begin_again(self, action: Action) -> Action:
        """The same once more, as often as it takes: neither a step of its own nor another attempt."""
        return self.save(replace(action, state=State.BEGUN))

    def leave(self, action: Action) -> None:
        """It is left to whichever executor comes next, this one or another."""
        self.save(action)
        self._known.pop(action.id, None)

    def acted(self, action: Action, what: str, wait: timedelta | None) -> None:
        """It was done; only the proof is missing. `wait`: until when a run should begin, None where nobody can say."""
        now = self.now().at
        heard_by = now + (wait or timedelta()) + GRACE if wait is not None else now + LATEST + GRACE
        self.save(action.stepped(now, what, state=State.ACTED, acted_at=now, heard_by=heard_by))
        _tell(action, "acted", what)
        faults.point("acted")

    def settle(self, action: Action, state: State, what: str) -> None:
        """It is over."""
        now = self.now()
        self.save(action.stepped(now.at, what, state=state, settled=now))
        _tell(action, state.value, what)

    def save(self, action: Action) -> Action:
        """Write down what stands there now. Raises TakenError."""
        if not self._records.save(action, self._known.get(action.id)):
            raise TakenError(action.id)
        self._known[action.id] = action.state
        if action.state not in (State.INTENDED, State.BEGUN):
            del self._known[action.id]
        return action


def _tell(action: Action, outcome: str, what: str) -> None:
    level = log.warning if outcome in ("failed", "unknown", "refused") else log.info
    facts = {"source": action.source, "job_id": action.job_id, "policy": action.policy, "outcome": outcome}
    level(f"{action.kind} of {action.subject}: {what}", extra={"action": "recovery", **facts})
