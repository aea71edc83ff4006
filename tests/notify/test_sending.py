"""What arrives, over a local web server and a local mail server; the clock is virtual, the sending is not."""

import json
import logging
import os
import re
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from tests.conftest import NOW
from tests.support.command import free_port, until
from tests.support.linux import needs_proc
from tests.support.post_office import Mailbox, mail_server, never_done, part
from tests.support.telling import DAY, HOUR, MINUTE, SECOND, Office, configured, failing, finding, job
from watchdog.config.file import Config
from watchdog.core.clock import WallClock
from watchdog.core.message import Entry, State
from watchdog.core.model import Snapshot
from watchdog.core.silences import Silence
from watchdog.detectors.diagnosis import Diagnosis
from watchdog.detectors.published import Published, SourceState
from watchdog.metrics.collection import Metrics
from watchdog.notify import outbox
from watchdog.notify.dispatch import Sender, SenderThread, open_book
from watchdog.notify.outbox import Retry
from watchdog.notify.service import NotificationService, open_store
from watchdog.state.opening import StoreError
from watchdog.state.store import Store

SECRET = "s3cr3t-in-the-path"
HEARD = (failing("heartbeat", since=NOW - HOUR, last_error="529 overloaded"),)


class Post:
    """An office whose messages are sent; `deliver` waits until nothing is under way."""

    def __init__(self, folder: Path, config: Config, now: datetime = NOW) -> None:
        self.path = folder / "state.db"
        self.counts: Counter[tuple[str, str]] = Counter()
        self.office = Office(config, Store(self.path), now)
        self.store = Store(self.path, exclusive=False)
        self.sender = Sender(self.store, open_book(config), self._count)

    def _count(self, channel: str, outcome: str) -> None:
        self.counts[channel, outcome] += 1

    def deliver(self) -> None:
        """Send all that is due."""
        until(lambda: not self.sender.turn(self.office.now), "everything is sent")

    def wait(self, length: timedelta) -> None:
        """So much time goes by, and what is due by then is sent."""
        self.office.wait(length)
        self.deliver()

    def states(self, incident: int = 1) -> list[tuple[str, str, str]]:
        """Target, event and state of each message of an incident."""
        return [(entry.target, entry.event, entry.state.value) for entry in self.store.entries(incident)]

    def entry(self, target: str) -> Entry:
        """The first message for a target."""
        return next(entry for entry in self.store.entries(1) if entry.target == target)

    def close(self) -> None:
        """End what is under way."""
        self.sender.close()
        self.store.close()
        self.office.store.close()


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Callable[..., Post]]:
    """Opens a post on a temporary state file; all are closed after the test."""
    made: list[Post] = []

    def opened(config: Config, now: datetime = NOW) -> Post:
        made.append(Post(tmp_path, config, now))
        return made[-1]

    yield opened
    for each in made:
        each.close()


@pytest.fixture
def web() -> Iterator[HTTPServer]:
    """A web server that takes everything."""
    with HTTPServer("127.0.0.1") as server:
        server.expect_request(re.compile("/.*")).respond_with_data("ok")
        yield server


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, str]]:
    """A mail server, and the address that reaches it."""
    with mail_server() as server:
        yield server


def json_to(web: HTTPServer, path: str) -> str:
    """The address of a target on the web server."""
    return f"json://127.0.0.1:{web.port}/{path}"


def posted(web: HTTPServer, path: str = "/ops") -> list[dict[str, Any]]:
    """What the target was sent, oldest first."""
    return [json.loads(request.data) for request, _ in web.log if request.path == path]


def titles(web: HTTPServer, path: str = "/ops") -> list[str]:
    """The titles of that."""
    return [str(message["title"]) for message in posted(web, path)]


# what is told arrives once


def test_a_trouble_is_told_reminded_of_escalated_and_ended_once_each_over_web_and_mail(
    web: HTTPServer, mail: tuple[Mailbox, str], post: Callable[..., Post]
) -> None:
    mailbox, address = mail
    owner = {"notify": ["ops"], "escalate": {"after": "30m", "notify": ["boss"]}}
    made = post(configured(channels={"ops": json_to(web, "ops"), "boss": address}, owners=[owner]))
    made.office.find(*HEARD)
    made.wait(MINUTE)
    assert titles(web) == ["WARNING: heartbeat keeps failing"]
    assert "Error: 529 overloaded (transient)" in posted(web)[0]["message"]
    made.wait(30 * MINUTE)
    made.wait(DAY)
    made.office.find()
    made.wait(5 * MINUTE)
    made.wait(DAY)
    assert titles(web) == [
        "WARNING: heartbeat keeps failing",
        "Still WARNING: heartbeat keeps failing (for 1 d 1 h)",
        "Over: heartbeat keeps failing (for 1 d 1 h)",
    ]
    assert [mail["Subject"] for mail in mailbox.mails] == [
        "Not acknowledged, WARNING: heartbeat keeps failing",
        "Still WARNING: heartbeat keeps failing (for 1 d 1 h)",
        "Over: heartbeat keeps failing (for 1 d 1 h)",
    ]
    assert "<b>Error:</b> 529 overloaded (transient)" in part(mailbox.mails[0], "html")
    assert "scheduler-watchdog ack 1" in part(mailbox.mails[0], "plain")
    assert [message["type"] for message in posted(web)] == ["warning", "warning", "success"]
    assert made.store.waiting() == []
    assert made.counts == {("ops", "sent"): 3, ("boss", "sent"): 3}


def test_a_silence_and_quiet_hours_hold_the_message_back_and_then_it_arrives_once(
    web: HTTPServer, post: Callable[..., Post]
) -> None:
    night = {"from": "22:00", "to": "07:00"}
    owners = [{"match": {"job": "night*"}, "notify": ["boss"], "quiet_hours": night}, {"notify": ["ops"]}]
    channels = {"ops": json_to(web, "ops"), "boss": json_to(web, "boss")}
    evening = datetime(2026, 6, 10, 23, tzinfo=UTC)
    made = post(configured(channels=channels, owners=owners), evening)
    made.office.silence_from_now("heartbeat", HOUR)
    made.office.find(*HEARD, finding("undelivered", "nightly"))
    made.wait(30 * MINUTE)
    assert web.log == []
    made.wait(HOUR)
    made.wait(10 * HOUR)
    assert titles(web) == ["WARNING: heartbeat keeps failing"]
    assert titles(web, "/boss") == ["WARNING: nightly reaches nobody"]
    assert [entry.created_at for entry in made.store.entries(2)] == [datetime(2026, 6, 11, 7, tzinfo=UTC)]


def test_a_storm_of_a_thousand_jobs_arrives_as_one_message_for_each_owner_and_cause(
    web: HTTPServer, post: Callable[..., Post]
) -> None:
    owners = [{"match": {"job": "a-*"}, "notify": ["boss"]}, {"notify": ["ops"]}]
    channels = {"ops": json_to(web, "ops"), "boss": json_to(web, "boss")}
    made = post(configured(channels=channels, owners=owners))
    made.office.find(*(failing(f"{'ab'[number % 2]}-{number:03}") for number in range(1000)))
    made.wait(HOUR)
    assert titles(web) == ["WARNING: 500 jobs keep failing: b-001 and 499 more"]
    assert titles(web, "/boss") == ["WARNING: 500 jobs keep failing: a-000 and 499 more"]


def test_a_job_that_flaps_for_a_day_is_heard_of_three_times(web: HTTPServer, post: Callable[..., Post]) -> None:
    made = post(configured(channels={"ops": json_to(web, "ops")}))
    for number in range(24):
        made.office.find(*(HEARD if number % 2 == 0 else ()))
        made.wait(HOUR)
    assert [title.split(":")[0] for title in titles(web)] == ["WARNING", "Over", "Back again, WARNING"]


def test_a_jobs_own_target_is_its_address(web: HTTPServer, post: Callable[..., Post]) -> None:
    owner = {"notify": [json_to(web, f"{SECRET}/{{delivery_target}}")]}
    made = post(configured(owners=[owner]))
    made.office.jobs = (job("heartbeat", delivery_target="U1/../x?y=#z"),)
    made.office.find(*HEARD)
    made.wait(MINUTE)
    assert [request.path for request, _ in web.log] == [f"/{SECRET}/U1/../x?y=#z"]
    ((shown, outcome),) = made.counts
    assert (shown.startswith("template:"), outcome) == (True, "sent")


# targets that fail


def _children() -> list[Path]:
    """The processes that this one has started."""
    lists = Path(f"/proc/{os.getpid()}/task").glob("*/children")
    return [Path(f"/proc/{pid}") for each in lists for pid in each.read_text().split()]


@needs_proc
def test_no_target_delays_another_or_a_tick_whatever_it_does(
    web: HTTPServer, post: Callable[..., Post], caplog: pytest.LogCaptureFixture
) -> None:
    web.clear()
    web.expect_request("/ops").respond_with_data("ok")
    web.expect_request("/broken").respond_with_data("no", status=500)
    web.expect_request("/moved").respond_with_data("", status=302, headers={"Location": "/ops"})
    with never_done() as hanging, never_done(drip=b"H") as dripping:
        channels = {
            "hangs": f"json://127.0.0.1:{hanging}/{SECRET}?rto=60",
            "drips": f"json://127.0.0.1:{dripping}/{SECRET}",
            "refuses": f"json://127.0.0.1:{free_port()}/{SECRET}",
            "broken": json_to(web, "broken"),
            "moved": json_to(web, "moved"),
            "ops": json_to(web, "ops"),
        }
        made = post(configured(channels=channels, owners=[], notify={"deadline": "12s"}))
        made.office.find(*HEARD)
        made.office.wait(MINUTE)

        def good_is_sent() -> bool:
            made.sender.turn(made.office.now)
            return made.entry("ops").state is State.SENT

        until(good_is_sent, "the good one is sent")
        for _ in range(50):
            made.office.look()
        made.sender.turn(made.office.now)
        assert [made.entry(name).state for name in ("hangs", "drips")] == [State.SENDING] * 2
        commands = [(child / "cmdline").read_bytes().split(b"\0") for child in _children()]
        sending = [command for command in commands if b"watchdog.notify.child" in command]
        assert len(sending) >= 2
        assert all(command[1:] == [b"-P", b"-m", b"watchdog.notify.child", b""] for command in sending)
        made.deliver()
    errors = {name: made.entry(name).error or "" for name in channels}
    assert errors["hangs"] == errors["drips"] == "it took longer than 12 s and was cut off"
    assert "onnection error" in errors["refuses"]
    assert "error=500" in errors["broken"].replace("Internal Server Error, ", "")
    assert "error=302" in errors["moved"]
    assert errors["ops"] == ""
    assert len(posted(web)) == 1
    assert made.counts == {("ops", "sent"): 1} | {(name, "failed"): 1 for name in channels if name != "ops"}
    assert SECRET not in caplog.text
    made.store.close()
    made.office.store.close()
    for file in filter(Path.is_file, made.path.parent.rglob("*")):
        assert SECRET.encode() not in file.read_bytes()


def test_a_failed_message_is_tried_again_later_and_keeps_its_place(web: HTTPServer, post: Callable[..., Post]) -> None:
    web.clear()
    web.expect_ordered_request("/ops").respond_with_data("no", status=503)
    for _ in range(3):
        web.expect_ordered_request("/ops").respond_with_data("ok")
    made = post(configured(channels={"ops": json_to(web, "ops")}))
    made.office.find(*HEARD)
    made.wait(20 * SECOND)
    first = made.entry("ops")
    assert (first.state, first.attempts) == (State.WAITING, 1)
    pause = first.not_before - made.office.now
    assert timedelta(seconds=11) <= pause <= timedelta(seconds=19)
    made.office.find(failing("heartbeat", severity="critical"), finding("undelivered", "other"))
    made.deliver()
    assert made.states() == [("ops", "opened", "waiting"), ("ops", "worse", "waiting")]
    made.wait(20 * SECOND)
    assert [title for title in titles(web) if "heartbeat" in title] == [
        "WARNING: heartbeat keeps failing",
        "WARNING: heartbeat keeps failing",
        "Now CRITICAL: heartbeat keeps failing",
    ]
    opened, worse = made.store.entries(1)
    assert opened.attempts == 2
    assert opened.settled_at
    assert worse.started_at
    assert opened.settled_at <= worse.started_at


def test_what_another_incident_has_to_say_overtakes_what_waits_to_be_tried_again(
    web: HTTPServer, post: Callable[..., Post]
) -> None:
    web.clear()
    web.expect_oneshot_request("/ops").respond_with_data("no", status=503)
    web.expect_request("/ops").respond_with_data("ok")
    made = post(configured(channels={"ops": json_to(web, "ops")}))
    made.office.find(*HEARD)
    made.wait(20 * SECOND)
    made.office.find(*HEARD, finding("undelivered", "other"))
    made.office.now += SECOND
    with made.office.store.transaction():
        made.office.store.add_entries([_entry("ops", "another", incident=9)])
    made.deliver()
    assert (made.states(), made.states(9)) == ([("ops", "opened", "waiting")], [("ops", "opened", "sent")])


def _entry(target: str, title: str, incident: int = 1) -> Entry:
    message = {"type": "info", "title": title, "text": title, "markdown": title, "html": title}
    return Entry(NOW, incident, "opened", target, message, NOW)


def test_giving_up_is_counted_and_logged_and_does_not_hold_up_what_comes_after(
    web: HTTPServer, post: Callable[..., Post], caplog: pytest.LogCaptureFixture
) -> None:
    web.clear()
    for _ in range(4):
        web.expect_oneshot_request("/ops").respond_with_data("no", status=500)
    web.expect_request("/ops").respond_with_data("ok")
    made = post(configured(channels={"ops": json_to(web, "ops")}, notify={"give_up_after": "1m"}))
    made.office.find(*HEARD)
    with caplog.at_level(logging.INFO, "watchdog"):
        for _ in range(4):
            made.wait(2 * MINUTE)
    assert made.states() == [("ops", "opened", "given_up")]
    assert made.counts == {("ops", "failed"): 3, ("ops", "given_up"): 1}
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert (record.__dict__["action"], record.__dict__["attempts"]) == ("notify_given_up", 4)
    made.office.find()
    made.wait(5 * MINUTE)
    assert made.states()[-1] == ("ops", "resolved", "sent")


def test_a_first_failure_after_a_day_off_is_tried_again(web: HTTPServer, post: Callable[..., Post]) -> None:
    web.clear()
    for _ in range(2):
        web.expect_oneshot_request("/ops").respond_with_data("no", status=500)
    web.expect_request("/ops").respond_with_data("ok")
    made = post(configured(channels={"ops": json_to(web, "ops")}))
    made.office.find(*HEARD)
    made.wait(MINUTE)
    made.office.now += 30 * HOUR
    for _ in range(3):
        made.deliver()
        made.office.now += MINUTE
    assert made.states() == [("ops", "opened", "sent")]


def test_an_address_that_cannot_be_had_is_given_up_at_once(post: Callable[..., Post]) -> None:
    made = post(configured(channels={"ops": f"slack://{SECRET}/not/right", "boss": "json://127.0.0.1:9/x"}))
    made.office.find(*HEARD)
    with made.office.store.transaction():
        made.office.store.add_entries([_entry("retired", "to nobody", incident=9)])
    made.wait(MINUTE)
    assert made.states(9) == [("retired", "opened", "given_up")]
    assert [entry.error for entry in made.store.entries(9)] == ["it is not in the configuration any more"]
    assert made.states() == [("ops", "opened", "given_up")]
    assert SECRET not in (made.entry("ops").error or SECRET)


def test_a_message_is_not_lost_when_no_process_can_be_started(
    web: HTTPServer, post: Callable[..., Post], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = post(configured(channels={"ops": json_to(web, "ops")}))
    made.office.find(*HEARD)
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/nowhere/python")
        made.wait(MINUTE)
    assert made.states() == [("ops", "opened", "waiting")]
    assert "no process could be started" in (made.entry("ops").error or "")
    made.wait(MINUTE)
    assert titles(web) == ["WARNING: heartbeat keeps failing"]


def test_what_was_being_sent_when_the_watchdog_died_is_sent_once_more(
    web: HTTPServer, post: Callable[..., Post]
) -> None:
    made = post(configured(channels={"ops": json_to(web, "ops")}))
    made.office.find(*HEARD)
    made.office.wait(MINUTE)
    made.store.save_entry(outbox.started(made.entry("ops"), made.office.now))
    for _ in range(2):
        made.sender = Sender(made.store, open_book(made.office.config))
        made.deliver()
    assert len(posted(web)) == 1
    assert (made.entry("ops").state, made.entry("ops").crashes, made.entry("ops").attempts) == (State.SENT, 1, 2)


@given(st.integers(1, 100), st.floats(0, 1))
def test_pauses_double_up_to_the_longest_and_are_spread(attempts: int, jitter: float) -> None:
    retry = Retry(first=15 * SECOND, longest=30 * MINUTE)
    entry = Entry(NOW, 1, "opened", "ops", {}, NOW, attempts=attempts)
    pause = outbox.failed(entry, NOW, "no", retry, jitter).not_before - NOW
    plain = min(15 * SECOND * 2 ** min(attempts - 1, 20), 30 * MINUTE)
    assert 0.75 * plain <= pause <= 1.25 * plain
    earliest, latest = (outbox.failed(entry, NOW, "no", retry, spread).not_before for spread in (0.0, 1.0))
    assert earliest < latest


def test_jitter_differs_from_one_message_to_the_next() -> None:
    assert len({outbox.some_jitter() for _ in range(100)}) > 90
    assert all(0 <= outbox.some_jitter() <= 1 for _ in range(100))


# the thread, and the state file


def test_the_thread_sends_what_is_written_down_and_ends_when_it_is_told_to(
    web: HTTPServer, post: Callable[..., Post]
) -> None:
    made = post(configured(channels={"ops": json_to(web, "ops")}))
    thread = SenderThread(made.sender, {}, lambda: made.office.now)
    thread.start()
    made.office.find(*HEARD)
    made.office.wait(MINUTE)
    thread.wake()
    until(lambda: titles(web), "it arrives")
    thread.stop()
    assert not thread.is_alive()


@contextmanager
def service_in(folder: Path, **sections: Any) -> Iterator[NotificationService]:
    """A notification service with its own state file, as the service has one."""
    config = configured(state=folder / "state.db", **sections)
    store = open_store(config)
    service = NotificationService(config, store, Metrics(), WallClock())
    try:
        yield service
    finally:
        service.stop()
        store.close()


def test_a_state_file_that_cannot_be_written_ends_nothing_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = SourceState(Snapshot("agent", "phantom"), Diagnosis(HEARD, None), NOW, NOW)
    published = Published((state,), 1)
    with service_in(tmp_path) as service, closing(sqlite3.connect(tmp_path / "state.db")) as other:
        other.execute("ALTER TABLE incidents RENAME TO elsewhere")
        for _ in range(3):
            service.turn(published, NOW)
        other.execute("ALTER TABLE elsewhere RENAME TO incidents")
        service._store.look_after()  # as the loop does before each turn: what was told from memory goes into the file
        service.turn(published, NOW)
        assert other.execute("SELECT count(*) FROM incidents").fetchall() == [(1,)]
        assert [incident.id for incident in service.incidents] == [1]
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 1


def test_where_somebody_is_to_be_told_a_state_file_is_needed(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nowhere = tmp_path / "file" / "below"
    inline = {"channels": {}, "owners": [{"notify": ["json://127.0.0.1:9/x"]}]}
    with pytest.raises(StoreError, match="cannot be used"), service_in(nowhere):
        pass
    with pytest.raises(StoreError, match="cannot be used"), service_in(nowhere, **inline):
        pass
    with service_in(nowhere, channels={}, owners=[]) as service:
        service.turn(Published(()), NOW)
        assert service.incidents == ()


def test_a_start_waits_for_what_the_one_before_left_holding_the_lock(tmp_path: Path) -> None:
    program = "import fcntl, sys; f = open(sys.argv[1], 'ab'); fcntl.flock(f, 2); print(flush=True); sys.stdin.read(1)"
    held = [sys.executable, "-c", program, str(tmp_path / "state.db.lock")]
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin
        assert other.stdout
        other.stdout.readline()
        threading.Timer(0.2, other.stdin.close).start()
        Store(tmp_path / "state.db").close()


@pytest.mark.parametrize("lock", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_reload_while_somebody_writes_to_the_state_file_ends_nothing(tmp_path: Path, lock: str) -> None:
    with (
        service_in(tmp_path) as service,
        closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other,
    ):
        service.start()
        other.execute(f"BEGIN {lock}")
        service.use(configured(state=tmp_path / "state.db"))
        other.execute("ROLLBACK")
        service.turn(Published(()), NOW)


def test_two_watchdogs_do_not_share_a_state_file_and_the_command_line_does(tmp_path: Path) -> None:
    with service_in(tmp_path):
        with pytest.raises(StoreError, match="a watchdog runs with it already"), service_in(tmp_path):
            pass
        beside = Store(tmp_path / "state.db", exclusive=False)
        assert beside.add_silence(Silence(0, "x", NOW, NOW + HOUR)) == 1
        beside.close()
