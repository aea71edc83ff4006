"""What people hear of a storm that recovery heals, or tries to: it began, what was done, it is over."""

import os
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import DAY, HOUR, MINUTE, SECOND
from tests.support.recovering import OVERLOADED, REVIVE, Rig, in_this_process, rig
from watchdog.core.action import State
from watchdog.core.message import Entry
from watchdog.demo.outcome import Outcome
from watchdog.recovery.by_hand import revive

OWNERS = [{"match": {"job": "*[02468]"}, "notify": ["ops"]}, {"notify": ["night"]}]
CHANNELS = {"ops": "json://127.0.0.1:9/ops", "night": "json://127.0.0.1:9/night"}
POLICY = {**REVIVE, "match": {"kind": "failed", "error_class": "transient"}}


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


def told(it: Rig, since: int = 0) -> Counter[tuple[str, str]]:
    """How many messages of which event each channel was sent, but for the first so many."""
    entries: list[Entry] = it.store.waiting()[since:]
    return Counter((entry.target, entry.event) for entry in entries)


def test_each_owner_hears_that_it_began_what_was_done_and_that_it_is_over(tmp_path: Path) -> None:
    with rig(tmp_path, POLICY, stock=False) as it:
        it.configure_more(notify={}, owners=OWNERS, channels=CHANNELS)
        it.storm(12)
        it.agent.usual.clear()
        it.run_until(lambda: Counter(it.states())[State.VERIFIED] == 12, within=40 * DAY)
        it.run(HOUR)
        assert it.published.findings == ()
        each = told(it)
        for channel in {target for target, _ in each}:
            assert [each[channel, event] for event in ("opened", "recovery", "resolved")] == [1, 1, 1]
        assert sum(each.values()) == 3 * len(OWNERS)


def test_who_is_well_before_the_next_is_tried_does_not_make_a_message_for_each(tmp_path: Path) -> None:
    """A storm of a thousand is like that: each has shown that it is well while hundreds still wait for their turn."""
    with rig(tmp_path, {**POLICY, "spacing": "1h"}, stock=False) as it:
        it.configure_more(notify={}, owners=OWNERS, channels=CHANNELS)
        it.fail(*(f"job-{number:02}" for number in range(8)))
        it.agent.usual.clear()
        it.run_until(lambda: it.states() == [State.VERIFIED] * 8)
        it.run(DAY)
        each = told(it)
        for channel in ("ops", "night"):
            assert [each[channel, event] for event in ("opened", "recovery", "resolved")] == [1, 1, 1]


@pytest.mark.slow
def test_a_storm_of_hundreds_is_three_messages_for_each_owner(tmp_path: Path) -> None:
    """With WATCHDOG_STORM=1000 a thousand, which takes some ten minutes."""
    names = [f"job-{number:04}" for number in range(int(os.environ.get("WATCHDOG_STORM", "150")))]
    with rig(tmp_path, POLICY, stock=False) as it:
        it.configure_more(notify={}, owners=OWNERS, channels=CHANNELS)
        ids = [it.sim.add(name, _schedule(number)) for number, name in enumerate(names)]
        it.let(OVERLOADED, *names)
        while any(it.row(id_)["status"] != "failed" for id_ in ids):
            it.sleep(HOUR)
        it.let(Outcome(duration=2 * SECOND), *names)
        while Counter(it.states())[State.VERIFIED] < len(names) or it.published.findings:
            it.run(HOUR)
        it.run(DAY + 2 * HOUR)
        each = told(it)
        for channel in ("ops", "night"):
            assert [each[channel, event] for event in ("opened", "recovery", "resolved")] == [1, 1, 1]
        assert sum(each.values()) == 3 * len(OWNERS)


def _schedule(number: int) -> Any:
    minute, zone = number * 7 % 60, "Europe/Berlin"
    kinds: list[Any] = [("every", HOUR), ("every", 2 * HOUR), ("every", 4 * HOUR)]
    kinds += [("cron", f"{minute} * * * *"), ("cron", f"{minute} */2 * * *", zone)]
    return kinds[number % len(kinds)]


def test_an_outage_of_days_costs_one_message_for_each_try(tmp_path: Path) -> None:
    with rig(tmp_path, POLICY, stock=False) as it:
        it.configure_more(notify={}, owners=OWNERS, channels=CHANNELS)
        it.storm(6, OVERLOADED)
        it.run(HOUR)
        before = len(it.store.waiting())
        it.run(3 * DAY)
        each = told(it, before)
        tries = Counter(it.states())[State.INEFFECTIVE]
        assert tries >= 3
        assert {event for _, event in each} <= {"recovery", "reminder"}
        assert sum(number for (_, event), number in each.items() if event == "recovery") <= tries + 2
        assert sum(number for (_, event), number in each.items() if event == "reminder") <= 2 * 3


def test_what_was_tried_and_is_well_is_over_only_once_a_run_has_shown_it(tmp_path: Path) -> None:
    with rig(tmp_path, POLICY, stock=False) as it:
        it.configure_more(notify={}, detect={"long_run": False})
        it.storm(1, OVERLOADED)
        it.let(Outcome(duration=2 * HOUR), "job-00")
        it.run_until(lambda: State.ACTED in it.states())
        it.run(HOUR)
        assert {event for _, event in told(it)} == {"opened"}
        it.run_until(lambda: it.states() == [State.VERIFIED])
        it.run(HOUR)
        assert sum(number for (_, event), number in told(it).items() if event == "resolved") == 1


@pytest.mark.parametrize("later", [MINUTE, 20 * MINUTE, HOUR, 5 * HOUR])
def test_what_is_revived_by_hand_is_told_to_be_over_however_long_after_the_breaker_that_was(
    later: timedelta, tmp_path: Path
) -> None:
    """Until the revival nothing but `failed` is found of it; then what it had before is found again."""
    with rig(tmp_path, stock=False, mode="observe") as it:
        it.configure_more(notify={})
        job_id = it.sim.add("job-00", ("every", 30 * MINUTE))
        it.let(OVERLOADED, "job-00")
        it.run_until(lambda: it.row(job_id)["status"] == "failed")
        it.run(later)
        list(revive(it.config, it.store, job_id, False))
        it.let(Outcome(duration=SECOND), "job-00")
        it.run_until(lambda: it.published.findings == ())
        assert told(it)["ops", "resolved"] == 0
        it.run(6 * MINUTE)
        assert told(it)["ops", "resolved"] == 1
        it.run(3 * HOUR)
        assert (told(it)["ops", "resolved"], told(it)["ops", "back"]) == (1, 0)


def test_a_storm_that_is_brought_back_on_a_slot_that_is_full_is_well_as_soon_as_its_turn_has_come(
    tmp_path: Path,
) -> None:
    """Twelve jobs of half an hour with runs of five minutes: each waits longer for its turn than for its fire."""
    with rig(tmp_path, POLICY, stock=False) as it:
        it.configure_more(notify={}, owners=OWNERS, channels=CHANNELS)
        names = [f"job-{number:02}" for number in range(12)]
        it.fail(*names)
        it.let(Outcome(duration=5 * MINUTE), *names)
        it.run_until(lambda: Counter(it.states())[State.VERIFIED] == 12)
        assert set(it.states()) == {State.VERIFIED}
        it.run(HOUR)
        for channel in ("ops", "night"):
            assert told(it)[channel, "resolved"] == 1
