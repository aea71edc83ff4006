"""Recoveries as the pages show them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from watchdog.core.action import Action, State
from watchdog.core.command_line import command
from watchdog.web import advice
from watchdog.web.shown import Known, When, one_of_many, when

SHOWN = 10
"""Recoveries of which all is shown: of a storm there is one for each of its jobs."""


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
    source: str = ""


@dataclass(frozen=True, slots=True)
class Deeds:
    """Recoveries. `rest`: how many stand where of those that are not shown; `all`: the command that lists them."""

    shown: tuple[Deed, ...] = ()
    more: int = 0
    rest: str = ""
    all: str = ""


@dataclass(frozen=True, slots=True)
class Recoveries:
    """Those that wait for a person, who must not have to look for them; and the others."""

    waiting: Deeds
    others: Deeds


def recoveries(actions: Sequence[Action], known: Known, now: datetime) -> Recoveries:
    """All of them, in their order."""
    waiting = [action for action in actions if action.state is State.PROPOSED]
    others = [action for action in actions if action.state is not State.PROPOSED]
    return Recoveries(_deeds(waiting, known, now), _deeds(others, known, now))


def _deeds(actions: Sequence[Action], known: Known, now: datetime) -> Deeds:
    shown, rest = actions[:SHOWN], actions[SHOWN:]
    stand = Counter(action.standing for action in rest)
    return Deeds(
        tuple(_deed(action, known, now) for action in shown),
        len(rest),
        ", ".join(f"{count} {words}" for words, count in stand.most_common()),
        advice.whole(command("recoveries"), known.config),
    )


def _deed(action: Action, known: Known, now: datetime) -> Deed:
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
        one_of_many(action.source, known) if action.subject != action.source else "",
    )
