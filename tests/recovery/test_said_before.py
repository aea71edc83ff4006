"""Where the watchdog will act by itself, those who are told read what it will do and when; and what it cannot do is not
promised."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOW
from tests.support.harness import MINUTE, SECOND
from tests.support.recovering import DENIED, OVERLOADED, REVIVE, Rig, in_this_process, rig
from tests.support.telling import HOUR, Diary, Office, configured, finding
from watchdog.core.action import Action, State
from watchdog.core.clock import Stamp
from watchdog.core.instants import say
from watchdog.demo.outcome import Outcome
from watchdog.incidents.intention import about_to_or_done
from watchdog.state.records import Records
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


def test_who_is_told_only_after_it_was_done_reads_that_it_was() -> None:
    """The message waits for others, and the policy does not: it asked for what had just been done."""
    restart = {"name": "again", "match": {"kind": "stalled"}, "action": "restart", "run": ["restart-it"]}
    office = Office(configured(recovery={"mode": "act", "policies": [restart]}))
    stall = finding("stalled", None, summary="it stands still", since=NOW - HOUR)
    office.find(stall, finding("overdue", under=stall, since=NOW - MINUTE))
    done = Action(0, Stamp(NOW), "again", "restart", "agent", None, None, "c", State.ACTED, acted_at=NOW)
    Records(office.store).add(done)
    office.wait(MINUTE)
    for letter in office.letters:
        assert f"Since: {say(NOW - HOUR)}" in letter.text
        assert (
            f"Was done: restart agent at {say(NOW)} (recovery 1, policy again): done, not verified yet" in letter.text
        )
        assert "To do: Nothing yet; if what the watchdog does has not helped: " in letter.text
        assert "If nobody acts" not in letter.text
    assert office.letters


@pytest.mark.parametrize(
    ("kind", "source", "age", "is_said"),
    [
        ("stalled", "agent", 1, True),
        ("stalled", "other", 1, False),
        ("stalled", "agent", -1, False),
        ("failed", "agent", 1, False),
    ],
)
def test_a_restart_is_said_of_what_it_helps_against(kind: str, source: str, age: int, *, is_said: bool) -> None:
    diary = Diary()
    (incident,) = diary.look(finding(kind, None if kind == "stalled" else "heartbeat"))
    at = NOW + age * MINUTE
    done = Action(3, Stamp(at), "again", "restart", source, None, None, "c", State.ACTED, acted_at=at)
    found = about_to_or_done(incident, incident.headline, None, [done], NOW + 2 * MINUTE)
    said = f"restart agent at {say(at)} (recovery 3, policy again): done, not verified yet"
    assert (found.said(NOW) if found else "") == (said if is_said else "")
