"""Alertmanager as a channel, against the real server: what it shows, from when, for how long, and when it drops it."""

import json
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.alertmanager import Manager, ends, manager, starts, watchdog
from tests.support.command import PATIENCE, until
from tests.support.told import Agent, configure, inbox, query, senders, service
from watchdog.core.instants import iso, parse_instant
from watchdog.core.silences import Silence
from watchdog.notify import alertmanager

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
FAILED_AT = datetime(2026, 6, 11, 9, tzinfo=UTC)
"""Where `Agent.fail` puts the failure."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    """One Alertmanager for all tests; each has a source of its own in it."""
    with manager(tmp_path_factory.mktemp("alertmanager")) as running:
        yield running


def in_ms(instant: datetime) -> datetime:
    """The instant as precisely as it is told."""
    return parse_instant(iso(instant))


@pytest.fixture
def now() -> datetime:
    """The instant at which a test's clock starts: Alertmanager judges ends by the real one."""
    return datetime.now(UTC)


def test_a_thousand_jobs_show_in_batches_each_with_its_labels_and_its_own_start(
    server: Manager, tmp_path: Path, now: datetime
) -> None:
    agent = Agent(tmp_path / "phantom.db", 1000)
    agent.fail(*range(999))
    agent.fail(999, at="2026-06-12 10:30:00")
    with watchdog(agent.path, server.url, "thousand", {"team": "night"}) as dog:
        firing = dog.turn(now)
        assert [len(body) for body in alertmanager.bodies(firing)] == [500, 500]
        assert dog.counts == {"sent": 1}
        shown = server.alerts("thousand")
    assert set(shown) == {f"job-{number}" for number in range(1000)}
    assert {starts(alert) for name, alert in shown.items() if name != "job-999"} == {FAILED_AT}
    assert starts(shown["job-999"]) == datetime(2026, 6, 12, 10, 30, tzinfo=UTC)
    assert shown["job-7"]["labels"] == {
        "alertname": "SchedulerJobFailed",
        "instance": "here",
        "owner": "alerts",
        "source": "thousand",
        "kind": "failed",
        "severity": "critical",
        "job_id": "id-7",
        "job": "job-7",
        "source_team": "night",
    }
    assert "job-7 was given up" in shown["job-7"]["annotations"]["summary"]


NAMES = ("WatchdogFailed", "SchedulerJobFailed")


def test_an_alert_that_a_version_before_called_otherwise_ends_under_that_name(now: datetime) -> None:
    called: dict[str, alertmanager.Alert] = {
        name: {"labels": {"alertname": name}, "startsAt": iso(now), "endsAt": iso(now + 60 * MINUTE)} for name in NAMES
    }
    before, firing = {"old": called["WatchdogFailed"]}, {"new": called["SchedulerJobFailed"]}
    posted = alertmanager.posting(before, firing, now)
    assert [(alert["labels"]["alertname"], alert["endsAt"] > iso(now)) for alert in posted.values()] == [
        ("SchedulerJobFailed", True),
        ("WatchdogFailed", False),
    ]
    assert alertmanager.kept(posted).keys() == {"old", "new"}
    assert alertmanager.kept(posted)["old"] is None, "it is forgotten"


def test_what_fires_is_posted_again_long_before_it_would_end(server: Manager, tmp_path: Path, now: datetime) -> None:
    agent = Agent(tmp_path / "phantom.db", 1)
    agent.fail(0)
    began = now - 10 * MINUTE
    with watchdog(agent.path, server.url, "again") as dog:
        dog.turn(began)
        assert server.alerts("again") == {}, "what is not posted again ends by itself"
        for second in range(0, 601, 20):
            dog.turn(began + second * SECOND)
        assert dog.counts == {"sent": 11}
        (alert,) = server.alerts("again").values()
    assert abs(ends(alert) - (now + alertmanager.LASTS)) < SECOND
    assert alertmanager.EVERY * 2 < alertmanager.LASTS


def test_what_is_over_is_dropped_at_once_and_passed_on_with_its_first_start(
    server: Manager, tmp_path: Path, now: datetime
) -> None:
    agent = Agent(tmp_path / "phantom.db", 2)
    agent.fail(0, 1)
    with watchdog(agent.path, server.url, "over") as dog:
        dog.turn(now - 2 * MINUTE)
        until(lambda: len(server.hooked("over")) == 2, "both are passed on")
        agent.fail(0, at="2026-06-12 11:00:00")
        dog.turn(now - MINUTE)
        assert {starts(alert) for alert in dog.remembered().values()} == {FAILED_AT}, "its words moved, not its start"
        agent.mend(0)
        dog.turn(now)
        assert set(server.alerts("over")) == {"job-1"}
        assert [alert["labels"]["job"] for alert in dog.remembered().values()] == ["job-1"]
    told = until(lambda: [a for a in server.hooked("over") if a["status"] == "resolved"], "the end is passed on")
    assert [(alert["labels"]["job"], starts(alert)) for alert in told] == [("job-0", FAILED_AT)]


def test_what_is_silenced_does_not_fire_and_fires_again_when_the_silence_ends(
    server: Manager, tmp_path: Path, now: datetime
) -> None:
    agent = Agent(tmp_path / "phantom.db", 2)
    agent.fail(0, 1)
    with watchdog(agent.path, server.url, "silent") as dog:
        dog.turn(now - 3 * MINUTE)
        dog.store.add_silence(Silence(0, "job-0", now - 2 * MINUTE, now - MINUTE))
        dog.turn(now - 2 * MINUTE)
        assert set(server.alerts("silent")) == {"job-1"}
        dog.turn(now)
        assert set(server.alerts("silent")) == {"job-0", "job-1"}


def test_while_it_is_down_nothing_is_forgotten_and_all_is_posted_when_it_is_back(tmp_path: Path, now: datetime) -> None:
    agent = Agent(tmp_path / "phantom.db", 3)
    agent.fail(0, 1)
    with manager(tmp_path) as server, watchdog(agent.path, server.url, "down") as dog:
        dog.turn(now - 60 * SECOND)
        assert set(server.alerts("down")) == {"job-0", "job-1"}
        until(lambda: len(server.hooked("down")) == 2, "both are passed on")
        server.stop()
        agent.mend(0)
        dog.turn(now - 50 * SECOND)
        agent.fail(2)
        dog.turn(now - 40 * SECOND)
        dog.turn(now - 38 * SECOND)
        assert dog.counts == {"sent": 1, "failed": 2}
        (over,) = [alert for alert in dog.remembered().values() if alert["labels"]["job"] == "job-0"]
        assert (starts(over), ends(over)) == (FAILED_AT, in_ms(now - 50 * SECOND)), "its end is kept until it is told"
        server.start()
        dog.turn(now - 20 * SECOND)
        assert dog.counts == {"sent": 2, "failed": 2}
        shown = server.alerts("down")
        assert set(shown) == {"job-1", "job-2"}
        assert {starts(alert) for alert in shown.values()} == {FAILED_AT}
        assert {alert["labels"]["job"] for alert in dog.remembered().values()} == {"job-1", "job-2"}


@pytest.mark.parametrize("status", [500, 302, 307])
def test_any_answer_but_yes_is_a_failure_that_is_tried_again(tmp_path: Path, now: datetime, status: int) -> None:
    agent = Agent(tmp_path / "phantom.db", 1)
    agent.fail(0)
    with inbox() as post, watchdog(agent.path, f"http://127.0.0.1:{post.port}/under/") as dog:
        post.status = status
        dog.turn(now)
        dog.turn(now + 14 * SECOND)
        assert dog.counts == {"failed": 1}
        post.status = 200
        dog.turn(now + 15 * SECOND)
        assert dog.counts == {"failed": 1, "sent": 1}
        assert [path for path, _ in post.posts] == ["/under/api/v2/alerts"] * 2


HOSTILE = {
    0: 'say "hi" \\ and {{ .Labels }} and {job="x",kind!~".*"}',
    1: "two\nlines\r\n\tand a NUL\0, and \u202ebackwards\u2066",
    2: "<!channel> <@U123> @here <script>alert(1)</script>",
    3: "é世界🦊",
    4: "x" * 1_000_000,
    5: "token=sk-ant-REDACTED0123456789",
    6: "' OR 1=1; DROP TABLE alerts; --",
    7: "   ",
}


def test_hostile_names_and_errors_are_plain_values_of_bounded_length(
    server: Manager, tmp_path: Path, now: datetime
) -> None:
    agent = Agent(tmp_path / "phantom.db", len(HOSTILE), HOSTILE)
    for number, name in HOSTILE.items():
        agent.fail(number, error=f"401 {name}")
    with watchdog(agent.path, server.url, "hostile", {"note": "a\nnote " * 1000}) as dog:
        dog.turn(now)
        assert dog.counts == {"sent": 1}
    shown = {alert["labels"]["job_id"]: alert for alert in server.alerts("hostile").values()}
    assert set(shown) == {f"id-{number}" for number in HOSTILE}
    labels = {value for alert in shown.values() for value in alert["labels"].values()}
    texts = labels | {value for alert in shown.values() for value in alert["annotations"].values()}
    assert all(len(label) <= 200 for label in labels)
    assert all(len(text) < 1500 for text in texts)
    assert not [text for text in texts if any(mark in text for mark in "\n\r\t\0\u202e\u2066")]
    assert not [text for text in texts if "0123456789" in text]
    assert shown["id-0"]["labels"]["job"] == HOSTILE[0]
    assert shown["id-3"]["labels"]["job"] == HOSTILE[3]


def _alerts_config(folder: Path, url: str, source: str) -> None:
    config = configure(folder, {"alerts": json.dumps({"alertmanager": url})})
    config.write_text(config.read_text().replace("name: agent", f"name: {source}"))


def test_the_service_killed_while_they_fire_still_tells_their_end_when_it_is_back(
    server: Manager, tmp_path: Path
) -> None:
    agent = Agent(tmp_path / "phantom.db", 2)
    agent.fail(0, 1)
    _alerts_config(tmp_path, server.url, "killed")
    with service(tmp_path):
        until(lambda: len(server.alerts("killed")) == 2, "both show")
        until(lambda: len(server.hooked("killed")) == 2, "both are passed on")
    agent.mend(0)
    with service(tmp_path) as process:
        until(lambda: set(server.alerts("killed")) == {"job-1"}, "the one that is over is dropped")
        agent.mend(1)
        until(lambda: server.alerts("killed") == {}, "the other is dropped too")
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    told = until(lambda: _resolved(server, "killed", 2), "both ends are passed on")
    assert set(told) == {("job-0", FAILED_AT), ("job-1", FAILED_AT)}


def _resolved(server: Manager, source: str, number: int) -> list[tuple[str, datetime]]:
    told = [(a["labels"]["job"], starts(a)) for a in server.hooked(source) if a["status"] == "resolved"]
    return told if len(set(told)) >= number else []


POINTS = ("alerts-written", "alerts-handed-over", "alerts-before-settle", "alerts-settled")


def test_killed_at_every_point_of_a_post_it_leaves_no_alert_behind(server: Manager, tmp_path: Path) -> None:
    agent = Agent(tmp_path / "phantom.db", len(POINTS))
    _alerts_config(tmp_path, server.url, "points")
    for number, point in enumerate(POINTS):
        agent.fail(number)
        with service(tmp_path, f"{point}:1") as process:
            assert process.wait(PATIENCE) == -signal.SIGKILL
        # what it has handed over outlives it, and comes before the end that the next one tells
        until(lambda: not senders(tmp_path), f"what was handed over at {point} is posted")
        agent.mend(number)
        with service(tmp_path):
            until(lambda: _is_forgotten(tmp_path), f"the end is told after {point}")
        assert server.alerts("points") == {}


def _is_forgotten(folder: Path) -> bool:
    """Whether the service has nothing more to tell Alertmanager."""
    is_over = not query(folder, "SELECT 1 FROM incidents WHERE is_open = 1")
    return is_over and not query(folder, "SELECT 1 FROM alerts")
