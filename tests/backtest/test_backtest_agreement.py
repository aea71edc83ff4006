"""The replay says what the live loop said, when the simulator lived through the same days."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given

from tests.support.amounts import made_up
from tests.support.harness import HOUR, MINUTE, SECOND, Agent
from tests.support.lives import BRISK, HASTY, SLOW, Life, lives
from tests.support.memory_folder import memory_folder
from tests.support.replaying import (
    DEEDS,
    FAULTS,
    Lived,
    Witness,
    found_again,
    lived,
    past_of,
    replayed,
    unlike,
    untold,
    watching,
    witness,
)
from watchdog.backtest.judge import AT_ONCE, Judge
from watchdog.backtest.scene import Scene
from watchdog.config.settings import Detect
from watchdog.core.model import Snapshot
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.detectors.diagnosis import diagnose

AMOUNT = made_up(few=14, many=40)
LIVES = lives(paces=(BRISK, BRISK, SLOW, HASTY), deeds_of=(*DEEDS, *FAULTS))


# days that were lived through


def on(day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant of June 2026."""
    return datetime(2026, 6, day, hour, minute, tzinfo=UTC)


SINCE, UNTIL = on(10, 8), on(14, 12)

PEOPLE = {
    "channels": {"ops": "json://127.0.0.1:9/ops", "boss": "json://127.0.0.1:9/boss"},
    "owners": [
        {
            "match": {"job": "digest*"},
            "notify": ["boss"],
            "quiet_hours": {"from": "22:00", "to": "07:00", "except": "nothing"},
        },
        {"notify": ["ops"], "remind_every": "12h"},
    ],
}

SCHEDULES: dict[str, tuple[object, ...]] = {
    "heartbeat": ("cron", "0 * * * *"),
    "digest": ("every", 2 * HOUR),
    "poll": ("every", 15 * MINUTE),
    "brief": ("cron", "30 8 * * *"),
    "nightly": ("cron", "0 1 * * *"),
}


class Days:
    """Four days of five jobs, one trouble after the other."""

    def __init__(self, sim: Simulator, agent: Agent, watch: Witness, ids: dict[str, str]) -> None:
        self.sim, self.agent, self.watch, self.ids = sim, agent, watch, ids

    def live(self) -> None:
        """All of them."""
        self.outage_up_to_the_breaker_and_revival()
        self.long_run()
        self.dead_timer()
        self.leaked_flag()
        self.pause()
        self.watch.run_until(UNTIL)

    def outage_up_to_the_breaker_and_revival(self) -> None:
        self.watch.run_until(on(11, 5, 30))
        usual = dict(self.agent.usual)
        self.agent.usual = {name: Outcome.failing() for name in self.ids}
        self.watch.run_until(on(11, 20))
        self.agent.usual = usual
        for job_id in self.ids.values():
            self.sim.resume(job_id, force=True)

    def long_run(self) -> None:
        self.watch.run_until(on(12, 0, 50))
        self.agent.then("nightly", Outcome(duration=239 * MINUTE))

    def dead_timer(self) -> None:
        self.watch.run_until(on(12, 10, 20))
        self.sim.drop_timer()
        self.watch.run_until(on(12, 18))
        self.sim.restart(30 * SECOND)

    def leaked_flag(self) -> None:
        self.watch.run_until(on(13, 9, 10))
        self.sim.leak_session(self.ids["heartbeat"])
        self.watch.run_until(on(13, 16, 7))
        self.sim.restart(10 * SECOND)

    def pause(self) -> None:
        self.watch.run_until(on(13, 18))
        self.sim.pause(self.ids["poll"])
        self.watch.run_until(on(13, 19, 1))
        self.sim.resume(self.ids["poll"])


@pytest.fixture(scope="module")
def days(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    """The four days, lived through once."""
    folder = tmp_path_factory.mktemp("days")
    config = watching(folder, **PEOPLE)
    agent = Agent(usual={"heartbeat": Outcome(duration=90 * SECOND), "nightly": Outcome(duration=10 * MINUTE)})
    with Simulator(folder / "agent.db", SINCE, behaviour=agent, stock=False) as sim:
        ids = {name: sim.add(name, schedule) for name, schedule in SCHEDULES.items()}
        with witness(sim, config) as watch:
            Days(sim, agent, watch, ids).live()
            return Lived(config, SINCE, UNTIL, watch.found(), watch.messages)


def test_the_days_have_all_that_they_are_meant_to_have(days: Lived) -> None:
    kinds = {kind for kind, _, _, _ in days.found}
    assert kinds == {"zero_tokens", "failing", "failed", "long_run", "overdue", "stalled", "wedged"}
    assert {message.event for message in days.messages} >= {"opened", "worse", "joined", "reminder", "resolved"}
    assert {message.target for message in days.messages} == {"ops", "boss"}


def test_it_tells_the_same_messages_to_the_same_people_at_the_same_instants(days: Lived) -> None:
    again = replayed(days.config, SINCE, UNTIL)
    assert len(days.messages) == 22
    assert untold(days.messages, again.messages) == []
    assert untold(again.messages, days.messages) == []


def test_it_finds_the_same_conditions_from_and_to_the_same_instants(days: Lived) -> None:
    again = found_again(replayed(days.config, SINCE, UNTIL))
    assert unlike(days.found, again, UNTIL) == []
    assert unlike(again, days.found, UNTIL) == []


def test_a_part_of_the_days_is_told_as_by_a_watchdog_that_was_started_then(days: Lived) -> None:
    verdict = replayed(days.config, on(11, 16), on(11, 19))
    assert {(c.finding.kind.value, c.finding.job) for c in verdict.conditions} == {
        ("failed", job) for job in ("heartbeat", "digest", "poll", "brief")
    }
    assert {(m.at, m.event, m.target) for m in verdict.messages} == {
        (on(11, 16) + 20 * SECOND, "opened", target) for target in ("ops", "boss")
    }


def test_without_a_state_file_the_pauses_of_the_breaker_tell_the_errors_of_the_past(days: Lived) -> None:
    """The rows were revived since, and say nothing of the outage any more."""
    again = found_again(replayed(days.config, SINCE, UNTIL, with_record=False))
    errors = [spelt for spelt in days.found if spelt[0] in ("zero_tokens", "failing", "failed")]
    outage = [spelt for spelt in errors if spelt[3] and spelt[3] < on(11, 20)]
    assert len(outage) == 8
    assert unlike(outage, again, UNTIL) == []
    assert {("failed", job) for job in ("heartbeat", "digest", "poll", "brief")} <= {spelt[:2] for spelt in again}


def test_a_change_of_a_threshold_changes_what_is_told(days: Lived) -> None:
    config = days.config.but(detect=Detect.validated({"long_run": {"floor": "5h"}}))
    kinds = {condition.finding.kind.value for condition in replayed(config, SINCE, UNTIL).conditions}
    assert "long_run" not in kinds
    assert "overdue" in kinds


def test_one_wedged_job_among_many_is_found_as_soon_as_in_life(tmp_path: Path) -> None:
    config = watching(tmp_path)
    agent = Agent()
    with Simulator(tmp_path / "agent.db", SINCE, behaviour=agent) as sim:
        for number in range(AT_ONCE + 10):
            name = f"job-{number:02}"
            agent.usual[name] = Outcome(duration=4 * SECOND)
            job_id = sim.add(name, ("cron", f"{number % 60} * * * *"))
        with witness(sim, config) as watch:
            watch.run_for(2 * HOUR)
            sim.leak_session(job_id)
            watch.run_for(4 * HOUR)
    again = found_again(replayed(config, SINCE, SINCE + 6 * HOUR))
    assert [spelt[:2] for spelt in again] == [("wedged", name)]
    assert unlike(watch.found(), again, SINCE + 6 * HOUR) == []


# made-up lives


@AMOUNT
@given(LIVES)
def test_it_agrees_with_what_was_found_and_told_in_any_life(life: Life) -> None:
    with memory_folder() as folder:
        led = lived(life, Path(folder))
        verdict = replayed(led.config, led.since, led.until)
    again = found_again(verdict)
    assert unlike(led.found, again, led.until) == []
    assert unlike(again, led.found, led.until) == []
    assert untold(led.messages, verdict.messages) == []
    assert untold(verdict.messages, led.messages) == []


@AMOUNT
@given(LIVES)
def test_without_a_state_file_it_agrees_on_what_the_newest_runs_tell(life: Life) -> None:
    """Of a streak that lasts to the end the row and the bills tell all."""
    with memory_folder() as folder:
        led = lived(life, Path(folder))
        verdict = replayed(led.config, led.since, led.until, with_record=False)
    wanted = ("zero_tokens", "failing", "failed", "expiring")
    lasting = [spelt for spelt in led.found if spelt[0] in wanted and spelt[3] is None]
    again = [spelt for spelt in found_again(verdict) if spelt[0] in wanted and spelt[3] is None]
    assert unlike(lasting, again, led.until) == []
    assert unlike(again, lasting, led.until) == []


@AMOUNT
@given(LIVES)
def test_judging_only_what_has_changed_comes_to_the_same_as_judging_all(life: Life) -> None:
    with memory_folder() as folder:
        led = lived(life, Path(folder))
        scene = Scene(past_of(led.config, led.since, led.until))
    judge = Judge(scene.past.now, Detect())
    at = led.since
    while at <= led.until:
        judge.turn(scene, scene.go_on(at), at)
        whole = Snapshot(scene.past.name, scene.past.now.kind, scene.jobs(), departed=scene.departed)
        assert judge.findings == diagnose(whole, at, Detect()).findings
        following = [instant for instant in (scene.next_at, judge.look_again_at) if instant]
        if not following:
            return
        at = min(following)
