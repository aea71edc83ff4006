"""The moment before an action: the executor's thread has it judged by a look of the loop that began after it asked."""

import threading
from collections.abc import Callable, Container
from dataclasses import dataclass, field

from watchdog.core.action import Action

PATIENCE = 30.0
"""Real seconds beyond two polls after which nobody has looked, and the action waits."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why an action must not be done now. `is_passing`: it may be once this is over; otherwise its cause is gone."""

    why: str
    is_passing: bool = False


Judge = Callable[[Action], Objection | None]
"""Looks again, and says what speaks against an action now."""


def unopposed(action: Action) -> Objection | None:
    """Where nobody looks again, as for what a person asks for: the guards of the action itself must do."""
    return None


@dataclass(slots=True, eq=False)
class _Question:
    action: Action
    answer: Objection | None = Objection("nobody has looked at it again yet", is_passing=True)
    is_answered: threading.Event = field(default_factory=threading.Event)


class FreshLooks:
    """Questions of the executor's thread, answered by the loop."""

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._asked: list[_Question] = []
        self._open: list[_Question] = []
        self._is_closed = False

    def judge(self, action: Action) -> Objection | None:
        """What the next look says; a passing objection if there is none in time. For the executor's thread."""
        question = _Question(action)
        with self._lock:
            if self._is_closed:
                return question.answer
            self._asked.append(question)
        question.is_answered.wait(self._patience)
        return question.answer

    def look_begins(self, under_way: Container[str] = ()) -> None:
        """What was asked until now is answered by the looks that begin; not of sources whose look is `under_way` since
        before. For the loop, as the two below."""
        with self._lock:
            self._open += [one for one in self._asked if one.action.source not in under_way]
            self._asked = [one for one in self._asked if one.action.source in under_way]

    def answer(self, judge: Judge, under_way: Container[str] = (), unread: Container[str] = ()) -> None:
        """The looks are done that are not `under_way`; of what is known to be `unread` nobody waits for one."""
        with self._lock:
            seen = [one for one in self._open if one.action.source not in under_way]
            due = [one for one in (*self._open, *self._asked) if one in seen or one.action.source in unread]
            self._open = [one for one in self._open if one not in due]
            self._asked = [one for one in self._asked if one not in due]
        for question in due:
            question.answer = judge(question.action)
            question.is_answered.set()

    def close(self) -> None:
        """Nobody looks any more: what is asked waits for another executor."""
        with self._lock:
            self._is_closed = True
            waiting = [*self._open, *self._asked]
            self._open, self._asked = [], []
        for question in waiting:
            question.is_answered.set()
