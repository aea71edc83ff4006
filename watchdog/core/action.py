"""One recovery, from the intent to the proof. It is written down before anything is done, and after every step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from watchdog.core.clock import Stamp

BY_HAND = "by hand"
"""The policy of what a person asked for."""


class State(StrEnum):
    """Where a recovery is on its way."""

    PROPOSED = "proposed"
    INTENDED = "intended"
    BEGUN = "begun"
    ACTED = "acted"
    VERIFIED = "verified"
    INEFFECTIVE = "ineffective"
    REFUSED = "refused"
    FAILED = "failed"
    UNABLE = "unable"
    UNKNOWN = "unknown"


SPOKEN = {
    State.PROPOSED: "waits for approval",
    State.INTENDED: "about to be done",
    State.BEGUN: "being done",
    State.ACTED: "done, not verified yet",
    State.VERIFIED: "done and verified",
    State.INEFFECTIVE: "did not help",
    State.REFUSED: "not done",
    State.FAILED: "did not work",
    State.UNABLE: "could not be done",
    State.UNKNOWN: "not certain",
}
"""The states for people, who do not know what comes after what."""


_WAYS = {
    "api": "through its scheduler's API",
    "pause_resume": "by a pause, and a resume through its scheduler's API",
    "sql": "by writing the job's row in its scheduler's database",
    "restart": "by restarting the agent",
}
"""How something can be done, one way or the other."""

BEING_DONE = "being done"
"""The step that says that it is done next."""


def spoken_ways(ways: Sequence[str]) -> str:
    """How it is tried, as part of a sentence: each way where the one before it did not work, or the commands of its
    scheduler's own one after the other."""
    if all(way in _WAYS for way in ways):
        return ", else ".join(_WAYS[way] for way in ways)
    return f"by its scheduler's own command: {', then '.join(ways)}".replace("_", " ")


UNDER_WAY = (State.INTENDED, State.BEGUN, State.ACTED)
"""Not settled: nothing else of the same kind is begun meanwhile."""

UNHELPFUL = (State.INEFFECTIVE, State.FAILED, State.UNABLE, State.UNKNOWN)
"""Settled without having helped. `refused` is not among them: nothing was done. `unable` is: who cannot be asked is
asked less and less often."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that was done or seen."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Action:
    """`seen`: the row as it was looked at, which must still be so. `ways`: what is still to be tried, in order.

    `heard_by`: until when a run must have begun. `circuit` names what it shares its luck with: jobs of one source
    and policy that failed in the same way. `begun`: when it was last begun, which is what budgets count from. `about`:
    the kind of the finding that it is for. `not_before`: when what is left of it is tried again.
    """

    id: int
    created: Stamp
    policy: str
    kind: str
    source: str
    job_id: str | None
    job: str | None
    circuit: str
    state: State = State.INTENDED
    by: str = "policy"
    why: str = ""
    seen: Mapping[str, object] = field(default_factory=dict)
    ways: tuple[str, ...] = ()
    way: str = ""
    is_canary: bool = False
    acted_at: datetime | None = None
    heard_by: datetime | None = None
    begun: Stamp | None = None
    settled: Stamp | None = None
    about: str = ""
    not_before: datetime | None = None
    steps: tuple[Step, ...] = ()

    def stepped(self, at: datetime, what: str, **changes: object) -> "Action":
        """The action with one more step on record."""
        return replace(self, steps=(*self.steps, Step(at, what)), **changes)  # type: ignore[arg-type]

    @property
    def spent(self) -> Stamp:
        """From when on it counts against a budget."""
        return self.begun or self.created

    @property
    def subject(self) -> str:
        """What it is done to, for people: a restart is the agent's, whichever job it is for."""
        return self.source if self.kind == "restart" else self.job or self.source

    @property
    def standing(self) -> str:
        """Its state for people."""
        is_left = self.state is State.REFUSED and self.acted_at is not None
        return "done, cannot be verified" if is_left else SPOKEN[self.state]

    @property
    def is_under_way(self) -> bool:
        """Neither settled nor waiting for a person."""
        return self.state in UNDER_WAY
