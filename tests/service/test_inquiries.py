"""Health addresses are asked beside the loop, and only while something is late; what they tell reaches the findings."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from tests.support.amounts import made_up
from tests.support.command import until
from tests.support.disturbed import BEGINS, Beside, Disturbed
from tests.support.harness import DAY, HOUR, MINUTE, SECOND, Agent
from tests.support.memory_folder import memory_folder
from watchdog.config.file import Config
from watchdog.core.children import Result
from watchdog.core.clock import Stamp
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Every, Finding, Job, RunEnd, Snapshot
from watchdog.core.moment import Gap
from watchdog.demo.outcome import Outcome
from watchdog.detectors.diagnosis import Diagnosis
from watchdog.detectors.published import SourceState
from watchdog.metrics.collection import Metrics
from watchdog.service import inquiries
from watchdog.service.inquiries import ASKED_EVERY, EvenTime, Inquiries, Inquiry, is_late
from watchdog.service.turns import Turns
from watchdog.state.store import Store
from watchdog.systems.phantom.section import Phantom
from watchdog.systems.shared.host import Health

NOW = BEGINS


class Asked(Beside):
    """A simulated scheduler with a health address, and the watchdog beside it."""

    def __init__(self, folder: Path, agent: Agent, address: str, sight: str) -> None:
        self.address = address
        super().__init__(folder, agent, sight)
        self.watch()

    def watch(self) -> None:
        self.store = Store(self.folder / "state.db")
        sources = [{"name": "agent", "database": str(self.path), "health": self.address}]
        config = Config.validated({"sources": sources})
        self.turns = Turns(config, self.store, self.clock, Metrics(), lambda published: None, writers=self.seen)

    def until(self, is_so: Callable[[], Any], what: str) -> None:
        """Turn after turn, a poll apart, with time for the answers to come back."""

        def turned() -> Any:
            self._go_to(self.clock.at + SECOND)
            return is_so()

        until(turned, what)

    def words(self, kind: Kind) -> str:
        return next((finding.summary for finding in self.findings if finding.kind is kind), "")


Begin = Callable[..., Asked]


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def begin(tmp_path: Path, agent: Agent) -> Iterator[Begin]:
    begun: list[Asked] = []

    def start(address: str, sight: str = "nothing") -> Asked:
        begun.append(Asked(tmp_path, agent, address, sight))
        return begun[-1]

    yield start
    for both in begun:
        both.close()


def _closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/health"


def test_nothing_is_asked_while_all_is_well(begin: Begin, agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[object] = []
    monkeypatch.setattr(inquiries, "Child", lambda *order: starts.append(order))
    both = begin("http://127.0.0.1:1/health")
    both.sim.add("hourly", ("every", HOUR))
    both.sim.add("quick", ("every", 10 * MINUTE))
    agent.usual["hourly"] = Outcome(duration=9 * MINUTE)
    both.run(6 * HOUR)
    both.sim.kill()
    both.run(30 * SECOND)
    both.sim.start()
    both.run(6 * HOUR)
    assert not both.found
    assert not starts


def test_a_scheduler_whose_address_refuses_is_down(begin: Begin) -> None:
    both = begin(_closed())
    both.sim.add("quick", ("every", 5 * MINUTE))
    both.run(HOUR)
    both.sim.kill()
    both.run(20 * MINUTE)
    both.until(lambda: "its process is down: its health address refuses" in both.words(Kind.STALLED), "it is down")


def test_one_whose_address_answers_is_up_and_its_timer_is_not_armed(begin: Begin, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/health").respond_with_json({"status": "ok", "uptime": 7200.5})
    both = begin(httpserver.url_for("/health"))
    both.sim.add("quick", ("every", 5 * MINUTE))
    both.run(HOUR)
    both.sim.freeze()
    both.run(20 * MINUTE)
    words = "UTC and answers at its health address, so its timer is not armed"
    both.until(lambda: words in both.words(Kind.STALLED), "it is up")


def test_a_killed_run_is_over_by_the_uptime_where_nothing_else_tells_it(
    begin: Begin, agent: Agent, httpserver: HTTPServer
) -> None:
    both = begin(httpserver.url_for("/health"))
    agent.usual["slow"] = Outcome.hanging()
    both.sim.add("slow", ("every", HOUR))
    both.sim.add("quick", ("every", 30 * MINUTE))
    both.run(HOUR + 10 * MINUTE)
    both.sim.freeze()  # as good as a scheduler that came back and has armed no timer
    both.run(2 * HOUR)
    assert both.words(Kind.OVERDUE)
    httpserver.expect_request("/health").respond_with_json({"status": "ok", "uptime": 3600})
    both.until(lambda: both.words(Kind.INTERRUPTED), "the run is over")
    assert not both.words(Kind.LONG_RUN)


def test_an_address_that_somebody_else_answers_changes_nothing(begin: Begin, httpserver: HTTPServer) -> None:
    httpserver.expect_request("/health").respond_with_data("<html>", content_type="text/html")
    both = begin(httpserver.url_for("/health"))
    both.sim.add("quick", ("every", 5 * MINUTE))
    both.run(HOUR)
    both.sim.freeze()
    both.run(20 * MINUTE)
    before = both.words(Kind.STALLED)
    both.until(lambda: len(httpserver.log) > 1, "it is asked twice")
    both.run(SECOND)
    assert both.words(Kind.STALLED) == before


class Answered(Disturbed):
    """A healthy life whose address tells the truth at once, beside whatever else can be seen of the process."""

    def watch(self) -> None:
        with patch.object(Inquiries, "of", lambda asked, source: self.told):
            super().watch()

    def told(self) -> Health:
        life = self.sim.life
        if life is None:
            return Health("refused", self.clock.now())
        if self.sim.frozen:
            return Health("mute", self.clock.now())
        seen = self.seen.started_at.setdefault(life, self.sim.now)
        return Health("alive", self.clock.now(), seen - 10 * SECOND)


@made_up(few=10, many=100, is_seed=True)
@given(st.integers(0, 2**32))
def test_no_critical_finding_on_a_healthy_scheduler_whose_address_tells_the_truth(seed: int) -> None:
    with memory_folder() as folder:
        life = Answered(seed, Path(folder))
        try:
            for _ in range(life.dice.randint(1, 6)):
                for _ in chain(life.live(life.dice.choice([MINUTE, 20 * MINUTE, 2 * HOUR, 7 * HOUR])), life.disturb()):
                    _is_calm(life)
            for _ in life.live(3 * HOUR):
                _is_calm(life)
        finally:
            life.close()


def _is_calm(life: Disturbed) -> None:
    grave = [f.summary for f in life.findings if f.severity is Severity.CRITICAL]
    assert not (grave and life.is_well), f"{life.clock.at}: {grave} after {life.disturbances}"


# one address, asked again and again


LATE = Job("late", "late", Every(HOUR), next_run_at=NOW - 3 * HOUR)


def _state(*kinds: Kind, job: Job = LATE, deadline: datetime | None = None) -> SourceState:
    found = tuple(Finding("agent", kind, Severity.WARNING, "late", "late", NOW, "late") for kind in kinds)
    deadlines = {} if deadline is None else {job.id: deadline}
    return SourceState(Snapshot("agent", "phantom", (job,)), Diagnosis(found, None), NOW, NOW, deadlines)


def _inquiry(address: str) -> Inquiry:
    return Inquiry(Phantom.validated({"database": "agent.db", "health": address}))


def _ask(asked: Inquiry, now: datetime, even_since: datetime | None = None, state: SourceState | None = None) -> None:
    """Ask, and wait for the answer."""
    state = state or _state(Kind.OVERDUE)
    asked.turn(state, now, even_since)
    assert asked.is_asking

    def has_answered() -> bool:
        asked.turn(state, now, even_since)
        return not asked.is_asking

    until(has_answered, "it has answered")


@pytest.mark.parametrize("kind", [Kind.OVERDUE, Kind.STALLED, Kind.WEDGED, Kind.UNRECORDED])
def test_what_is_late_is_a_reason_to_ask(kind: Kind) -> None:
    assert is_late(_state(kind), NOW)


def test_a_deadline_that_has_passed_is_a_reason_unless_the_job_runs() -> None:
    assert is_late(_state(deadline=NOW), NOW)
    assert not is_late(_state(deadline=NOW + SECOND), NOW)
    assert not is_late(_state(deadline=NOW, job=replace(LATE, in_flight_since=NOW - HOUR)), NOW)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in inquiries.LATE])
def test_what_is_wrong_and_not_late_is_none(kind: Kind) -> None:
    assert not is_late(_state(kind), NOW)


def test_it_is_asked_no_more_often_than_every_fifteen_seconds() -> None:
    asked = _inquiry(_closed())
    _ask(asked, NOW)
    asked.turn(_state(Kind.OVERDUE), NOW + ASKED_EVERY - SECOND, None)
    assert not asked.is_asking
    asked.turn(_state(Kind.OVERDUE), NOW + ASKED_EVERY, None)
    assert asked.is_asking
    asked.end()


def test_one_refusal_may_be_a_start_and_a_second_is_proof() -> None:
    asked = _inquiry(_closed())
    _ask(asked, NOW)
    assert asked.told.says is None
    _ask(asked, NOW + ASKED_EVERY)
    assert asked.told.says == "refused"


def test_refusals_with_a_time_between_in_which_all_was_well_are_no_second() -> None:
    asked = _inquiry(_closed())
    _ask(asked, NOW)
    _ask(asked, NOW + HOUR)
    assert asked.told.says is None


def test_a_scheduler_whose_jobs_run_while_its_address_refuses_has_another_address() -> None:
    asked = _inquiry(_closed())
    _ask(asked, NOW)
    _ask(asked, NOW + ASKED_EVERY)
    assert asked.told.says == "refused"
    runs = _state(Kind.OVERDUE, job=replace(LATE, recent=(RunEnd(1, NOW + 20 * SECOND, 5, 5),)))
    asked.turn(runs, NOW + 21 * SECOND, None)
    assert asked.told.says is None
    for later in (HOUR, HOUR + ASKED_EVERY, HOUR + 2 * ASKED_EVERY):
        _ask(asked, NOW + later)
        assert asked.told.says is None


def test_an_address_that_has_answered_before_is_believed_again_the_next_time(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/health").respond_with_json({"status": "ok", "uptime": 60})
    asked = _inquiry(httpserver.url_for("/health"))
    _ask(asked, NOW)
    assert asked.told.says == "alive"
    asked._order = {**asked._order, "url": _closed()}
    _ask(asked, NOW + ASKED_EVERY)
    started = _state(Kind.OVERDUE, job=replace(LATE, last_started_at=NOW + 25 * SECOND))
    _ask(asked, NOW + 2 * ASKED_EVERY, state=started)
    assert asked.told.says is None
    _ask(asked, NOW + HOUR)
    _ask(asked, NOW + HOUR + ASKED_EVERY)
    assert asked.told.says == "refused"


def test_an_uptime_tells_the_start_which_then_stays_the_same(httpserver: HTTPServer) -> None:
    httpserver.expect_oneshot_request("/health").respond_with_json({"status": "ok", "uptime": 600})
    httpserver.expect_oneshot_request("/health").respond_with_json({"status": "ok", "uptime": 618.7})
    httpserver.expect_oneshot_request("/health").respond_with_json({"status": "ok", "uptime": 2})
    asked = _inquiry(httpserver.url_for("/health"))
    _ask(asked, NOW)
    first = asked.told.started_at
    assert first == NOW - 601 * SECOND
    _ask(asked, NOW + ASKED_EVERY)
    assert asked.told.started_at == first
    _ask(asked, NOW + 2 * ASKED_EVERY)
    assert asked.told.started_at == NOW + 27 * SECOND


def test_what_an_uptime_says_of_a_time_before_a_sleep_is_not_believed(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/health").respond_with_json({"status": "ok", "uptime": 600})
    asked = _inquiry(httpserver.url_for("/health"))
    _ask(asked, NOW, even_since=NOW - 5 * MINUTE)
    assert (asked.told.says, asked.told.started_at) == ("alive", None)


def _stamp(after: timedelta, ahead: timedelta = 0 * SECOND, slept: timedelta = 0 * SECOND) -> Stamp:
    return Stamp(NOW + after + ahead, 100 + after.total_seconds(), "boot", slept.total_seconds())


def test_a_clock_runs_evenly_until_it_is_set_or_the_machine_sleeps() -> None:
    even = EvenTime(_stamp(timedelta()))
    even.turn(_stamp(HOUR), ())
    assert even.since is None
    even.turn(_stamp(2 * HOUR, ahead=5 * SECOND), ())
    assert even.since == NOW + 2 * HOUR + 5 * SECOND
    even.turn(_stamp(3 * HOUR, ahead=5 * SECOND, slept=HOUR), ())
    assert even.since == NOW + 3 * HOUR + 5 * SECOND
    even.turn(_stamp(DAY, ahead=5 * SECOND, slept=HOUR), (Gap(NOW + 4 * HOUR, NOW + 5 * HOUR),))
    assert even.since == NOW + 5 * HOUR


def test_of_a_machine_that_has_slept_nobody_knows_when() -> None:
    assert EvenTime(_stamp(HOUR, slept=MINUTE)).since == NOW + HOUR


def test_what_the_process_cannot_do_proves_nothing() -> None:
    """It was cut off, or ended without a word."""
    asked = _inquiry("http://127.0.0.1:1/")
    asked._asked_at = NOW
    asked._take(Result(False, "it was cut off"), None)
    assert asked.told.says is None


def test_a_reload_that_changes_something_else_keeps_what_was_told(begin: Begin) -> None:
    both = begin(_closed())
    section = both.turns.config.sources[0]
    asked = Inquiries([section], both.clock.stamp())
    before = asked._asked["agent"][1]
    asked.use([section.but(labels={"team": "home"})])
    assert asked._asked["agent"][1] is before
    asked.use([section.but(health="http://127.0.0.1:2/health")])
    assert asked._asked["agent"][1] is not before
    asked.use([section.but(health=None)])
    assert asked.of("agent") is None
