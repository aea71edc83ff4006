"""What recovery has to tell is gathered, silenced and graded like all else, and reaches every kind of channel."""

from typing import Any

from tests.support.telling import HOUR, MINUTE, SECOND, Office, configured, finding, job

ROUTER = {"channels": {"router": {"alertmanager": "http://127.0.0.1:9"}}, "owners": [{"notify": ["router"]}]}


def announced(office: Office, title: str, name: str, **more: Any) -> None:
    """Recovery tells something of a job."""
    with office.store.transaction():
        facts = (("To do", "scheduler-watchdog jobs"),)
        office.notifier.announce(finding("failed", name, **more), title, "It was tried.", facts, office.now)


def office(**sections: Any) -> Office:
    """One with three jobs."""
    made = Office(configured(**sections))
    made.jobs = tuple(job(name) for name in ("a", "b", "c"))
    made.find()
    return made


def firing(made: Office) -> list[dict[str, str]]:
    """The labels of what fires at the Alertmanager."""
    alerts = made.notifier.firing(made._published, made.now)["router"]
    return [dict(alert["labels"]) for alert in alerts.values()]


def test_outcomes_of_a_storm_are_one_message_as_grave_as_what_they_are_about() -> None:
    made = office()
    for name in ("a", "b", "c"):
        announced(made, f"Did not work: revive {name}", name)
    made.look()
    made.wait(MINUTE)
    (letter,) = made.letters
    assert letter.title.startswith("Did not work")
    assert all(name in letter.text for name in ("a", "b", "c"))
    (entry,) = made.store.waiting()
    assert entry.message["type"] == "failure"


def test_questions_that_come_one_by_one_for_hours_are_a_few_and_the_next_day_begins_anew() -> None:
    made = office()
    for number in range(36):
        announced(made, f"Proposed: revive {'abc'[number % 3]}", "abc"[number % 3])
        made.look()
        made.wait(8 * MINUTE)
    made.wait(HOUR)
    assert len(made.told) <= 9
    made.wait(10 * HOUR)
    before = len(made.told)
    for name in ("a", "b"):
        announced(made, f"Proposed: revive {name}", name)
        made.look()
        made.wait(11 * MINUTE)
    assert len(made.told) == before + 2


def test_that_it_is_verified_is_a_success() -> None:
    made = office()
    announced(made, "Verified: revive a", "a")
    made.look()
    made.wait(MINUTE)
    (entry,) = made.store.waiting()
    assert entry.message["type"] == "success"


def test_an_owner_who_has_only_an_alertmanager_hears_of_it_for_an_hour() -> None:
    made = office(**ROUTER)
    announced(made, "Needs a person: revive a", "a")
    made.look()
    (labels,) = firing(made)
    assert labels["alertname"] == "WatchdogRecovery"
    assert (labels["severity"], labels["job"], labels["matter"]) == ("critical", "a", "needs_a_person")
    made.restart()
    made.wait(HOUR - SECOND)
    made.look()
    assert len(firing(made)) == 1
    made.wait(2 * SECOND)
    made.look()
    assert firing(made) == []
    assert made.letters == []


def test_what_is_verified_does_not_page_over_an_alertmanager() -> None:
    made = office(**ROUTER)
    announced(made, "Verified: revive a", "a")
    made.look()
    assert [labels["severity"] for labels in firing(made)] == ["info"]


def test_a_silence_holds_it_back_there_too() -> None:
    made = office(**ROUTER)
    made.silence_from_now("a", HOUR)
    announced(made, "Needs a person: revive a", "a")
    made.look()
    assert firing(made) == []
    made.wait(HOUR + SECOND)
    made.look()
    assert len(firing(made)) == 1


def test_a_silence_of_an_incident_holds_back_what_recovery_says_of_its_jobs() -> None:
    made = office(**ROUTER)
    made.find(finding("failed", "a"))
    made.look()
    made.silence_from_now("incident=1", HOUR)
    announced(made, "Needs a person: revive a", "a")
    announced(made, "Needs a person: revive b", "b")
    made.look()
    assert [labels["job"] for labels in firing(made) if labels["alertname"] == "WatchdogRecovery"] == ["b"]


def test_both_kinds_of_channel_of_one_owner_hear_of_it_once() -> None:
    both = {"ops": "json://127.0.0.1:9/ops", "router": {"alertmanager": "http://127.0.0.1:9"}}
    made = office(channels=both, owners=[{"notify": ["router", "ops"]}])
    announced(made, "Needs a person: revive a", "a")
    made.look()
    made.wait(2 * HOUR)
    assert made.told == [("ops", "recovery")]
    assert firing(made) == []


def test_what_recovery_says_names_the_incident_and_is_among_what_its_people_were_told() -> None:
    made = office()
    made.find(finding("failed", "a", error_class="transient"), finding("failed", "b", error_class="permanent"))
    made.look()
    made.wait(MINUTE)
    told = len(made.letters)
    announced(made, "Verified: revive of a", "a")
    made.look()
    made.wait(HOUR)
    announced(made, "Did not help: revive of a", "a")
    announced(made, "Did not help: revive of b", "b")
    made.look()
    made.wait(HOUR)
    one, both = made.letters[told:]
    assert "incident 1 of agent" in one.text
    assert "incidents 1 and 2 of agent" in both.text
    titles = [[entry.message["title"] for entry in made.store.entries(number)] for number in (1, 2)]
    assert titles == [[made.letters[0].title, one.title, both.title], [made.letters[1].title, both.title]]


def test_in_quiet_hours_that_what_is_critical_was_brought_back_is_told_before_its_end() -> None:
    """Its end is told there, since it was critical; and after `Over` it is no news that it is verified."""
    hours = {"from": "00:00", "to": "23:59", "except": "critical"}
    made = office(notify={"quiet_hours": hours})
    made.find(finding("failed", "a"))
    made.wait(MINUTE)
    made.find()
    announced(made, "Verified: revive a", "a")
    announced(made, "Verified: run_due b", "b", severity="warning")
    made.look()
    made.wait(HOUR)
    assert [event for _, event in made.told] == ["opened", "recovery", "resolved"]
    assert "of 2 jobs" not in made.letters[1].title
