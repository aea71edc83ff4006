"""Where the watchdog will act by itself, those who are told read what it will do and when; and what it cannot do is not
promised."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.harness import MINUTE, SECOND
from tests.support.recovering import DENIED, OVERLOADED, REVIVE, Rig, in_this_process, rig
from watchdog.core.action import State
from watchdog.core.instants import say
from watchdog.demo.outcome import Outcome
from watchdog.web import whole

NAMED = {**REVIVE, "name": "bring back", "after": "15m"}


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


def given_up(it: Rig, *names: str, outcome: Outcome = OVERLOADED) -> None:
    """Jobs that fail until they are given up, while the watchdog looks."""
    ids = [it.sim.add(name, ("every", 30 * MINUTE)) for name in names]
    it.let(outcome, *names)
    it.run_until(lambda: all(it.row(id_)["status"] == "failed" for id_ in ids))
    it.run(SECOND)


def told(it: Rig) -> str:
    """The text of the newest message about an incident."""
    return [entry.message["text"] for entry in it.store.waiting() if entry.event != "recovery"][-1]


def to_do(it: Rig) -> str:
    """What `incidents ID` says to do."""
    return str(whole.stored(it.store, 1, it.now, it.config)["to_do"]["words"])


def test_the_message_and_the_incident_say_what_is_done_and_when_and_it_is_done_then(tmp_path: Path) -> None:
    with rig(tmp_path, NAMED, stock=False) as it:
        given_up(it, "one")
        (member,) = (m for m in it.notifier.ledger.incidents[1].members.values() if m.finding.kind == "failed")
        at = member.began + 15 * MINUTE
        promise = f"the watchdog revives one by itself at {say(at)}, unless something speaks against it"
        assert f"Will be done: {promise} (policy bring back)" in told(it)
        assert "If that does not help: " in told(it)
        assert "If nobody acts" not in told(it)
        assert to_do(it).startswith(f"T{promise[1:]} (policy bring back). Nothing yet; ")
        it.run_until(lambda: it.states() != [])
        assert timedelta() <= it.only.created.at - at <= 2 * MINUTE
        assert "by itself" not in to_do(it)


def test_of_a_storm_one_goes_first(tmp_path: Path) -> None:
    with rig(tmp_path, NAMED, stock=False) as it:
        it.configure_more(notify={})
        given_up(it, "one", "two")
        assert "he watchdog revives one of these jobs by itself at " in to_do(it)
        assert ", and the others once that has helped (policy bring back)" in to_do(it)


@pytest.mark.parametrize(
    ("policy", "outcome", "more"),
    [
        (NAMED, OVERLOADED, {"mode": "observe"}),
        (NAMED, OVERLOADED, {"mode": "propose"}),
        (NAMED, DENIED, {}),
        ({**NAMED, "match": {"kind": "failed", "job": "other"}}, OVERLOADED, {}),
        ({"match": {"kind": "failed"}, "action": "none"}, OVERLOADED, {}),
    ],
    ids=["observe", "propose", "a lasting error", "another job", "none"],
)
def test_what_it_will_not_do_is_not_promised(policy: Any, outcome: Outcome, more: Any, tmp_path: Path) -> None:
    with rig(tmp_path, policy, stock=False, **more) as it:
        given_up(it, "one", outcome=outcome)
        assert "by itself at" not in told(it)
        assert "If nobody acts: " in told(it)
        assert "by itself at" not in to_do(it)


def test_nor_is_one_more_attempt_where_its_budget_is_used_up(tmp_path: Path) -> None:
    policy = {**NAMED, "after": "0s", "attempts": {"max": 1}}
    with rig(tmp_path, policy, stock=False) as it:
        given_up(it, "one")
        it.run_until(lambda: it.states() == [State.INEFFECTIVE])
        it.run(MINUTE)
        assert "by itself" not in to_do(it)
