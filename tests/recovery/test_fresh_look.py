"""Just before an action is done it is judged by a look that began after that was asked for, and by no older one."""

from collections.abc import Collection
from pathlib import Path

import pytest

from tests.conftest import NOW
from tests.support.disturbed import Beside
from tests.support.harness import Agent
from watchdog.core.action import Action
from watchdog.core.clock import Stamp
from watchdog.recovery.fresh_look import FreshLooks
from watchdog.recovery.recoverer import Recoverer


def _asked(*sources: str) -> FreshLooks:
    """Of an action at each. Whoever asked does not wait here."""
    looks = FreshLooks(patience=0)
    for source in sources:
        objection = looks.judge(Action(0, Stamp(NOW), "p", "restart", source, None, None, "c"))
        assert objection is not None
        assert objection.is_passing
    return looks


def _answered(looks: FreshLooks, under_way: Collection[str] = (), unread: Collection[str] = ()) -> list[str]:
    found: list[str] = []
    looks.answer(lambda action: found.append(action.source), under_way, unread)
    return found


def test_a_look_that_began_before_and_comes_back_later_answers_nothing() -> None:
    looks = _asked("slow", "quick")
    looks.look_begins(under_way={"slow"})
    assert _answered(looks) == ["quick"]
    looks.look_begins()
    assert _answered(looks, under_way={"slow"}) == []
    assert _answered(looks) == ["slow"]
    assert _answered(looks) == []


def test_of_what_cannot_be_read_nobody_waits_for_a_look() -> None:
    looks = _asked("hangs", "quick", "hangs")
    looks.look_begins(under_way={"hangs"})
    assert _answered(looks, {"hangs"}, unread={"hangs"}) == ["quick", "hangs", "hangs"]
    assert _answered(looks, unread={"hangs"}) == []


def test_a_turn_that_only_takes_late_looks_answers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks, judged = _asked("agent"), list[str]()
    monkeypatch.setattr("watchdog.recovery.service.FreshLooks", lambda *_: looks)
    monkeypatch.setattr(Recoverer, "objection", lambda _, action, **__: judged.append(action.source))
    both = Beside(tmp_path, Agent(), "nothing")
    both.watch()
    both.turns.turn(only_collect=True)
    assert judged == []
    both.look()
    assert judged == ["agent"]
    both.close()
