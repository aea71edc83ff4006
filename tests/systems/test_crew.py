"""Sources share the threads in which they are looked at, and none waits for one that hangs."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from tests.support.command import until
from watchdog.systems.shared import crew
from watchdog.systems.shared.crew import Crew


class Hangs:
    """Work that hangs until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.at_it = 0

    def __call__(self) -> None:
        self.at_it += 1
        self.let_go.wait()


@pytest.fixture
def hangs() -> Iterator[Hangs]:
    work = Hangs()
    yield work
    work.let_go.set()


def _done(done: list[int], number: int) -> Callable[[], None]:
    return lambda: done.append(number)


class Threads:
    """Those that have come since."""

    def __init__(self) -> None:
        self._before = set(threading.enumerate())

    def __len__(self) -> int:
        return len(set(threading.enumerate()) - self._before)


def _seen_to(own: Crew, is_so: bool) -> bool:
    """As whoever waits does it."""
    own.see_to_it()
    return is_so


def test_a_thousand_looks_are_done_in_few_threads() -> None:
    own, done, threads = Crew(hands=3), list[int](), Threads()
    for number in range(1000):
        own.order(_done(done, number))
    until(lambda: len(done) == 1000, "all are done")
    assert sorted(done) == [*range(1000)]
    assert len(threads) <= 3


@pytest.mark.parametrize("count", [2, 3, 20])
def test_what_hangs_holds_up_nothing_however_much_it_is(
    hangs: Hangs, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.setattr(crew, "LATE", 0.01)
    own, done = Crew(hands=2), list[int]()
    for number in range(2 * count):
        own.order(hangs if number < count else _done(done, number))
    until(lambda: _seen_to(own, len(done) == count), "the others are done")
    assert hangs.at_it == count


def test_what_was_late_before_waits_for_nobody_and_nobody_for_it(hangs: Hangs) -> None:
    own, done = Crew(hands=1), list[int]()
    for _ in range(5):
        own.order(hangs, is_slow=True)
    own.order(_done(done, 1))
    until(lambda: done == [1], "it is done")
    until(lambda: hangs.at_it == 5, "all hang")
    own.order(hangs)
    own.order(_done(done, 2), is_slow=True)
    until(lambda: done == [1, 2], "it is done beside")


def test_threads_that_took_the_place_of_hanging_ones_end_when_those_come_back(
    hangs: Hangs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crew, "LATE", 0.01)
    monkeypatch.setattr(crew, "_LINGERS", 0.05)
    own, done, threads = Crew(hands=2), list[int](), Threads()
    for _ in range(10):
        own.order(hangs)
    until(lambda: _seen_to(own, hangs.at_it == 10), "all hang")
    assert len(threads) >= 10
    hangs.let_go.set()
    until(lambda: len(threads) <= 2, "no more are left than there are hands")
    until(lambda: len(threads) == 0, "nobody stays where there is nothing to do")
    own.order(_done(done, 1))
    until(lambda: done == [1], "there is somebody again")


def test_what_waits_behind_others_is_begun_though_nobody_asks_again(
    hangs: Hangs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the next poll, which may be an hour away."""
    monkeypatch.setattr(crew, "LATE", 0.05)
    monkeypatch.setattr(crew, "_WATCHES", 0.01)
    own, done = Crew(hands=2), list[int]()
    for number in range(20):
        own.order(hangs if number < 10 else _done(done, number))
    own.see_to_it()
    until(lambda: len(done) == 10, "the others are done")


@pytest.mark.parametrize(("works", "hands"), [(0.0, crew.MOST_HANDS), (1.0, 2)])
def test_where_looks_wait_for_a_slow_disk_more_are_under_way_than_where_they_wait_for_each_other(
    hangs: Hangs, monkeypatch: pytest.MonkeyPatch, works: float, hands: int
) -> None:
    """`works`: seconds of the processor for each second that passes."""
    asked = list[float]()

    def worked() -> float:
        asked.append(time.monotonic())
        return works * asked[-1]

    monkeypatch.setattr(crew, "LATE", 3600)
    monkeypatch.setattr(crew, "_WATCHES", 0.01)
    monkeypatch.setattr("watchdog.systems.shared.crew.time.process_time", worked)
    own = Crew(hands=2)
    for _ in range(20):
        own.order(hangs)
    own.see_to_it()
    until(lambda: len(asked) > 20 and hangs.at_it >= hands, "it was seen to ten times")
    assert hangs.at_it == hands


def test_where_the_system_grants_no_thread_those_that_there_are_do_it_and_later_more(
    hangs: Hangs, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refused(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    own, done, start = Crew(hands=1), list[int](), threading.Thread.start
    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", refused)
        own.order(_done(done, 1))
        own.order(_done(done, 2), is_slow=True)
        own.see_to_it()
    assert done == []
    assert threading.Thread.start is start
    own.see_to_it()
    until(lambda: sorted(done) == [1, 2], "both are done")
    with monkeypatch.context() as short:
        short.setattr(threading.Thread, "start", refused)
        own.order(_done(done, 3), is_slow=True)
    until(lambda: sorted(done) == [1, 2, 3], "it is done by who is there")
    assert [record.message for record in caplog.records] == [
        "the system grants no further thread, so sources wait for each other: raise the limit of tasks"
    ]
