"""A recovery in words."""

from dataclasses import replace
from datetime import UTC, datetime

from watchdog.core.action import SPOKEN, Action, State
from watchdog.core.clock import Stamp

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
ACTION = Action(1, Stamp(NOW), "p", "revive", "agent", "id", "job", "c")


def test_every_state_has_words_of_its_own_that_are_not_its_name() -> None:
    assert len(set(SPOKEN.values())) == len(State)
    assert not {state.value for state in State} & set(SPOKEN.values())


def test_what_was_done_and_can_no_longer_be_verified_is_not_called_not_done() -> None:
    refused = replace(ACTION, state=State.REFUSED)
    assert refused.standing == "not done"
    assert replace(refused, acted_at=NOW).standing == "done, cannot be verified"
