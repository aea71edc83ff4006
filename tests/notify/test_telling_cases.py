"""Cases in which telling once went wrong; each docstring says how."""

import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.conftest import NOW, build, job_row
from tests.support.command import command, free_port, running, until
from tests.support.post_office import never_done
from tests.support.telling import HOUR, MINUTE, SECOND, Office, configured, failing, finding
from watchdog.config.file import ConfigError
from watchdog.config.reading import load
from watchdog.core.message import State
from watchdog.core.model import Snapshot
from watchdog.detectors.diagnosis import Diagnosis
from watchdog.detectors.published import Published, SourceState
from watchdog.metrics.collection import Metrics
from watchdog.notify.dispatch import AT_ONCE, Sender, open_book
from watchdog.notify.service import NotificationService
from watchdog.replay.virtual_clock import VirtualClock
from watchdog.state.store import Store


def test_ending_a_silence_by_something_that_is_no_number_says_what_to_do(tmp_path: Path) -> None:
    """It says: invalid literal for int() with base 10."""
    Store(tmp_path / "state.db").close()
    done = command("silence", "heart*", "--end", "--state", tmp_path / "state.db")
    assert done.returncode == 3
    assert "int()" not in done.stderr
    assert "number" in done.stderr


def test_a_number_too_large_for_the_state_file_is_no_fault_of_ours(tmp_path: Path) -> None:
    """It says: OverflowError: Python int too large to convert to SQLite INTEGER (this is a fault of ours)."""
    Store(tmp_path / "state.db").close()
    done = command("silence", "9" * 30, "--end", "--state", tmp_path / "state.db")
    assert done.returncode == 3
    assert "fault of ours" not in done.stderr


def test_a_placeholder_that_nothing_fills_is_an_error_of_the_configuration(tmp_path: Path) -> None:
    """Nobody would ever be told through this address; `targets.FILLED_IN` is there for the check, and is not used."""
    path = tmp_path / "watchdog.yaml"
    path.write_text(
        json.dumps({"sources": [{"database": "x.db"}], "owners": [{"notify": ["slack://a/b/c/@{deliverytarget}"]}]})
    )
    with pytest.raises(ConfigError, match="deliverytarget"):
        load(path)


def test_validate_knows_addresses_that_stand_with_an_owner(tmp_path: Path) -> None:
    """It checks those under `channels` only, and so does `notify-test`."""
    path = tmp_path / "watchdog.yaml"
    path.write_text(json.dumps({"sources": [{"database": "x.db"}], "owners": [{"notify": ["nosuch://{job}/x"]}]}))
    assert command("validate", "-c", path).returncode == 3


CONFIG = """
sources:
  - {{name: agent, database: {folder}/phantom.db}}
state: {folder}/state.db
http: {{listen: "127.0.0.1:PORT"}}
poll: 50ms
channels:
  gone: json://127.0.0.1:{nobody}/gone
notify: {{group_wait: 0s, hold: 0s, give_up_after: 0s}}
"""


@pytest.fixture
def given_up(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The incident in the API of a service that has given up telling of it, and that somebody has acknowledged."""
    later = (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    row = job_row("gone", next_run_at=later, delete_after_run=1, status="failed")
    build(tmp_path / "phantom.db", {"scheduled_jobs": [row]})
    config = tmp_path / "watchdog.yaml"
    config.write_text(CONFIG.format(folder=tmp_path, nobody=free_port()))
    with running(tmp_path) as service:
        until(lambda: service.metric("watchdog_notifications_total"), "it was tried")
        assert command("ack", "1", "-c", config, LOGNAME="anna").returncode == 0
        (incident,) = json.loads(service.get("/api/v1/incidents")[1])["incidents"]
        yield incident


def test_giving_up_and_acknowledgements_show_in_the_api(given_up: dict[str, Any]) -> None:
    """`/api/v1/incidents` knows nothing of messages, and never says who has taken an incident on."""
    assert "given_up" in json.dumps(given_up)
    assert given_up["acknowledged_by"] == "anna"


def test_a_job_that_joins_a_storm_which_was_told_is_not_silent_until_the_reminder() -> None:
    """A job that is given up within the hour after another one, with the same class of error, is told to nobody who
    heard of the first: not for up to a day, and if one more joins each hour, only as a number in the reminder."""
    office = Office()
    first = finding("failed", "invoices", error_class="permanent")
    office.find(first)
    office.wait(50 * MINUTE)
    office.find(first, finding("failed", "backups", error_class="permanent"))
    office.wait(60 * MINUTE)
    assert any("backups" in letter.title + letter.text for letter in office.letters)


def test_more_targets_that_hang_than_processes_delay_no_other(tmp_path: Path) -> None:
    """With eight that hang, the ninth waits for a deadline, 30 s by default, and again at each of their retries."""
    with HTTPServer("127.0.0.1") as web, never_done() as hanging:
        web.expect_request("/ops").respond_with_data("ok")
        channels = {f"hangs-{number}": f"json://127.0.0.1:{hanging}/?rto=90" for number in range(AT_ONCE)}
        channels["ops"] = f"json://127.0.0.1:{web.port}/ops"
        office = Office(
            configured(channels=channels, owners=[], notify={"deadline": "90s"}), Store(tmp_path / "state.db")
        )
        office.find(failing("heartbeat", since=NOW))
        office.wait(MINUTE)
        sender = Sender(office.store, open_book(office.config))
        try:
            until(lambda: _all_tried(sender, office), "eight are under way")
            until(lambda: _is_told(sender, office), "the ninth is told")
            assert sum(entry.state is State.SENDING for entry in office.store.entries(1)) == AT_ONCE
        finally:
            sender.close()
            office.store.close()


def _all_tried(sender: Sender, office: Office) -> bool:
    sender.turn(office.now)
    return sum(entry.state is State.SENDING for entry in office.store.entries(1)) >= AT_ONCE


def _is_told(sender: Sender, office: Office) -> bool:
    sender.turn(office.now)
    return any(entry.target == "ops" and entry.state is State.SENT for entry in office.store.entries(1))


def test_alertmanager_and_a_second_channel_escalate_together() -> None:
    """What goes to Alertmanager only is never noted as told, so its escalation never comes."""
    channels = {"alerts": {"alertmanager": "http://127.0.0.1:9"}, "boss": "json://127.0.0.1:9/x"}
    owner = {"notify": ["alerts"], "escalate": {"after": "30m", "notify": ["boss"]}}
    office = Office(configured(channels=channels, owners=[owner]))
    office.find(finding("wedged"))
    office.wait(60 * MINUTE)
    assert office.told == [("boss", "escalated")]


def test_what_cannot_be_written_down_is_tried_again_at_each_look_and_no_sooner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loop was asked to look again at an instant that had passed: it turned as fast as it could."""

    def full(*_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    store, clock = Store(tmp_path / "state.db"), VirtualClock(NOW)
    service = NotificationService(configured(), store, Metrics(), clock)
    snapshot = Snapshot("agent", "phantom", ())
    published = Published((SourceState(snapshot, Diagnosis((finding("failed"),), None), NOW, NOW),), 1)
    service.turn(published, NOW)
    assert service.look_again_at is not None
    with monkeypatch.context() as patched:
        patched.setattr(store, "add_entries", full)
        for seconds in (21, 22, 23):
            service.turn(published, NOW + seconds * SECOND)
            assert service.look_again_at is None or service.look_again_at > NOW + seconds * SECOND
    service.turn(published, NOW + MINUTE)
    assert [entry.event for entry in store.waiting()] == ["opened"]
    store.close()


ROUTER = {"ops": "json://127.0.0.1:9/ops", "boss": {"alertmanager": "http://127.0.0.1:9"}}
CALLS_THE_ROUTER = {"notify": ["ops"], "escalate": {"after": "30m", "notify": ["boss"]}}


def _called() -> Office:
    return Office(configured(channels=ROUTER, owners=[CALLS_THE_ROUTER]))


def _fires(office: Office) -> list[str]:
    firing = office.notifier.firing(office._published, office.now)["boss"]
    return sorted(alert["labels"]["kind"] for alert in firing.values())


def test_an_alertmanager_that_is_called_when_nobody_takes_it_on_is_called_then_and_no_sooner() -> None:
    """It fired at once, whatever `after` said."""
    office = _called()
    office.find(finding("wedged"), finding("overdue", "report", under=("wedged", "heartbeat")))
    office.wait(29 * MINUTE)
    assert _fires(office) == []
    office.wait(2 * MINUTE)
    assert _fires(office) == ["overdue", "wedged"]
    office.acknowledge()
    office.wait(HOUR)
    assert _fires(office) == ["overdue", "wedged"], "whoever was called sees how it ends"
    office.find()
    office.wait(10 * MINUTE)
    assert _fires(office) == []


def test_an_alertmanager_is_not_called_for_what_somebody_takes_on_in_time() -> None:
    office = _called()
    office.find(finding("wedged"))
    office.wait(20 * MINUTE)
    office.acknowledge()
    office.wait(5 * HOUR)
    assert _fires(office) == []


def test_an_alertmanager_that_was_called_is_called_again_only_when_it_is_time_again() -> None:
    office = _called()
    office.find(finding("wedged"))
    office.wait(HOUR)
    office.find()
    office.wait(10 * MINUTE)
    office.find(finding("wedged"))
    office.wait(20 * MINUTE)
    assert _fires(office) == []
    office.wait(10 * MINUTE + 21 * SECOND)
    assert _fires(office) == ["wedged"]


def test_a_restart_of_the_watchdog_does_not_forget_that_an_alertmanager_was_called() -> None:
    office = _called()
    office.find(finding("wedged"))
    office.wait(HOUR)
    office.restart()
    office.look()
    assert _fires(office) == ["wedged"]
