"""Recoveries as the pages show them."""

from dataclasses import dataclass
from datetime import datetime

from watchdog.core.action import Action, State
from watchdog.web import advice
from watchdog.web.shown import Known, When, when


@dataclass(frozen=True, slots=True)
class Deed:
    """A recovery. `standing`: its state in words."""

    id: int
    title: str
    state: str
    standing: str
    by: str
    why: str
    when: When
    steps: tuple[tuple[When, str], ...]
    approve: str


def deed(action: Action, known: Known, now: datetime) -> Deed:
    """A recovery as the pages show it. `approve`: the command that allows it, where it waits for that."""
    return Deed(
        action.id,
        f"{action.kind} {action.subject}",
        action.state.value,
        action.standing,
        action.policy if action.by == "policy" else action.by,
        action.why,
        when(action.created.at, now),
        tuple((when(step.at, now), step.what) for step in action.steps[-30:]),
        advice.approve(action.id, known.config) if action.state is State.PROPOSED else "",
    )
