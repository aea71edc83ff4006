"""How far two machines' clocks stand apart is measured by what is newly dated, not by old dates or a passing step."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.harness import DAY, HOUR, MINUTE, SECOND, START
from watchdog.state.store import Store
from watchdog.systems.shared.clocks import TOLERATED, Clocks

T = TypeVar("T")


class Kept:
    """A memory that outlives the process."""

    def __init__(self) -> None:
        self.store = Store(None)

    def recall(self, name: str, kind: type[T]) -> dict[str, T]:
        return self.store.remembered("agent", name, kind)

    def keep(self, name: str, things: Mapping[str, object]) -> None:
        self.store.remember("agent", name, things, START)


class Both:
    """A scheduler that dates a row now and then, and somebody who looks two seconds later."""

    def __init__(self, memory: Kept | None = None) -> None:
        self.memory = memory or Kept()
        self.begin()
        self.at = START
        self.newest = START

    def begin(self) -> None:
        self.clocks = Clocks(self.memory, "agent")

    def run(self, ahead: timedelta, runs: int = 5, pause: timedelta = 10 * MINUTE) -> None:
        """`ahead`: how far the watchdog's clock is."""
        for _ in range(runs):
            self.at += pause
            self.clocks.looked(self.at + ahead)
            self.newest = self.at + SECOND
            self.at += 2 * SECOND
            self.clocks.see({"job": self.newest}, self.at + ahead)


@given(st.integers(-86_300, 86_300).map(lambda seconds: timedelta(seconds=seconds)))
def test_what_is_taken_is_right_within_the_looks_and_nothing_where_that_is_tolerable(ahead: timedelta) -> None:
    both = Both()
    both.run(ahead)
    if abs(ahead) <= TOLERATED - 5 * SECOND:
        assert both.clocks.ahead == timedelta()
    elif abs(ahead) > TOLERATED + 5 * SECOND:
        assert abs(both.clocks.ahead - ahead) <= 4 * SECOND


def test_a_clock_that_is_set_for_a_while_changes_nothing() -> None:
    both = Both()
    both.run(timedelta())
    both.run(2 * HOUR, runs=4)
    assert both.clocks.ahead == timedelta()
    both.run(timedelta())
    assert both.clocks.ahead == timedelta()


def test_a_clock_that_stays_apart_is_believed_in_the_end_and_put_right_again() -> None:
    both = Both()
    both.run(timedelta())
    both.run(2 * HOUR, runs=12)
    assert abs(both.clocks.ahead - 2 * HOUR) <= 4 * SECOND
    both.run(timedelta(), runs=12)
    assert both.clocks.ahead == timedelta()


def test_what_was_measured_holds_in_the_next_process() -> None:
    both = Both()
    both.run(-20 * MINUTE)
    both.begin()
    assert abs(both.clocks.ahead + 20 * MINUTE) <= 4 * SECOND


def test_a_clock_that_is_wrong_by_a_year_is_not_followed() -> None:
    both = Both()
    both.run(365 * DAY, runs=12)
    assert both.clocks.ahead == timedelta()


@pytest.mark.parametrize("dated", [START - DAY, START + DAY])
def test_dates_that_stand_still_and_looks_far_apart_tell_nothing(dated: datetime) -> None:
    clocks = Clocks(Kept(), "agent")
    for number in range(10):
        clocks.see({"job": dated, "new": START + number * HOUR}, START + number * HOUR + 40 * MINUTE)
    assert clocks.ahead == timedelta()
