"""What came up beside the kill and Alertmanager tests; each test failed on the product as it was found."""

import json
import os
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.alertmanager import Manager, ends, manager, starts, watchdog
from tests.support.command import PATIENCE, until
from tests.support.told import Agent, Inbox, configure, inbox, outbox, query, senders, service
from watchdog.config.file import Channel
from watchdog.core.fields import Secret
from watchdog.core.instants import iso
from watchdog.core.message import Entry, State
from watchdog.notify import dispatch
from watchdog.notify.alert_poster import AlertPoster
from watchdog.notify.alertmanager import LASTS
from watchdog.notify.dispatch import Book, Sender, SenderThread
from watchdog.notify.outbox import Retry
from watchdog.state.store import Store


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Manager]:
    with manager(tmp_path) as running:
        yield running


@pytest.fixture
def post() -> Iterator[Inbox]:
    with inbox() as opened:
        yield opened


def _posted(post: Inbox) -> list[dict[str, str]]:
    return [alert for _, body in list(post.posts) for alert in body]


def _ended(post: Inbox) -> list[dict[str, str]]:
    """Alerts that were posted as over, though their job was failed all the time."""
    soon = datetime.now(UTC) + timedelta(minutes=1)
    return [alert for alert in _posted(post) if ends(alert) < soon]


def _alerts_to(folder: Path, post: Inbox) -> None:
    configure(folder, {"alerts": json.dumps({"alertmanager": f"http://127.0.0.1:{post.port}"})})


def test_restarted_it_never_tells_alertmanager_that_what_still_fires_is_over(tmp_path: Path, post: Inbox) -> None:
    Agent(tmp_path / "phantom.db", 1).fail(0)
    _alerts_to(tmp_path, post)
    ended: list[dict[str, str]] = []
    for _ in range(4):
        post.posts.clear()
        with service(tmp_path):
            until(lambda: post.posts and _are_over(tmp_path) == [False], "the alert is posted, and remembered so")
        ended += _ended(post)
    assert ended == []


def _are_over(folder: Path) -> list[bool]:
    return ["over" in json.loads(row["document"]) for row in query(folder, "SELECT document FROM alerts")]


def test_before_the_first_look_nothing_is_known_and_no_alert_is_ended(tmp_path: Path, post: Inbox) -> None:
    now = datetime.now(UTC)
    rounds: list[int] = []
    alert = {"labels": {"alertname": "A"}, "startsAt": iso(now), "endsAt": iso(now + timedelta(minutes=5))}
    with closing(Store(tmp_path / "state.db")) as store:
        store.save_alerts("alerts", {"print": alert})
        url = f"http://127.0.0.1:{post.port}"
        poster = AlertPoster("alerts", [url], store, timedelta(seconds=10), lambda channel, outcome: None)
        sender = Sender(store, Book({}, {}, Retry()))

        def clock() -> datetime:
            rounds.append(len(rounds))
            return now

        thread = SenderThread(sender, {"alerts": poster}, clock)
        thread.start()

        def turned() -> bool:
            thread.wake()
            return len(rounds) > 2

        until(turned, "some rounds are over")
        thread.stop()
        assert store.alerts("alerts") == {"print": alert}


def test_one_alert_that_is_refused_does_not_keep_the_others_from_alertmanager(server: Manager, tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent.db", 600)
    agent.fail(*range(600))
    agent.fail(0, at="2099-01-01 00:00:00")
    with watchdog(agent.path, server.url, "refused") as dog:
        dog.turn(datetime.now(UTC))
        assert len(server.alerts("refused")) >= 599


def test_a_start_in_the_future_is_no_reason_for_alertmanager_to_refuse_it(server: Manager, tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent.db", 1)
    now = datetime.now(UTC)
    agent.fail(0, at=(now + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S"))
    with watchdog(agent.path, server.url, "future") as dog:
        dog.turn(now)
        assert dog.counts == {"sent": 1}
        assert all(starts(alert) <= now for alert in server.alerts("future").values())


def test_a_label_of_any_name_reaches_alertmanager(server: Manager, tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent.db", 1)
    agent.fail(0)
    with watchdog(agent.path, server.url, "labels", {"on-call team": "night"}) as dog:
        dog.turn(datetime.now(UTC))
        assert dog.counts == {"sent": 1}
        (alert,) = server.alerts("labels").values()
    assert "night" in alert["labels"].values()


def test_a_sending_process_ends_by_itself_when_the_service_was_killed_and_the_target_hangs(
    tmp_path: Path, post: Inbox
) -> None:
    Agent(tmp_path / "phantom.db", 1).fail(0)
    # json:// gives up reading after 4 s by itself; a target that takes bytes for ever, or drips them, does not
    drip = Drip()
    left: list[int] = []
    try:
        configure(tmp_path, {"ops": f"json://127.0.0.1:{drip.port}/ops"}, deadline="2s")
        with service(tmp_path) as process:
            until(lambda: drip.taken and senders(tmp_path), "the message is under way")
            left = senders(tmp_path)
            process.kill()
            process.wait(PATIENCE)
        until(lambda: not set(left) & set(senders(tmp_path)), "it has ended, as its deadline of 2 s is long over")
    finally:
        drip.close()
        for number in left:
            _end(tmp_path, number)


def _end(folder: Path, number: int) -> None:
    if number in senders(folder):
        os.kill(number, signal.SIGKILL)


class Drip:
    """A server that answers a byte every half second, and never comes to an end."""

    def __init__(self) -> None:
        self.taken = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._drip)
        self._thread.start()

    def _drip(self) -> None:
        connections = []
        self._listener.settimeout(0.2)
        while not self._ending.wait(0.3):
            try:
                connection, _ = self._listener.accept()
                connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
                connections.append(connection)
                self.taken = True
            except TimeoutError:
                pass
            for connection in connections:
                try:
                    connection.sendall(b"a")
                except OSError:
                    continue
        for connection in connections:
            connection.close()

    def close(self) -> None:
        """End it."""
        self._ending.set()
        self._thread.join(PATIENCE)
        self._listener.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_an_orderly_stop_or_a_reload_sends_nothing_twice(tmp_path: Path, post: Inbox, how: signal.Signals) -> None:
    Agent(tmp_path / "phantom.db", 1).fail(0)
    configure(tmp_path, {"ops": f"json://127.0.0.1:{post.port}/ops"})
    post.answer.clear()
    with service(tmp_path) as process:
        until(lambda: post.posts, "the message is under way")
        process.send_signal(how)
        threading.Timer(0.3, post.answer.set).start()  # what is a moment for a target
        if how is signal.SIGTERM:
            assert process.wait(PATIENCE) == 0
        else:
            until(lambda: _states(tmp_path) == ["sent"], "it is settled")
    with service(tmp_path):
        until(lambda: _states(tmp_path) == ["sent"], "it is settled")
    assert list(post.letters().values()) == [1]


def test_a_message_over_which_it_dies_again_and_again_comes_twice_at_most(tmp_path: Path, post: Inbox) -> None:
    Agent(tmp_path / "phantom.db", 1).fail(0)
    configure(tmp_path, {"ops": f"json://127.0.0.1:{post.port}/ops"})
    for _ in range(3):
        _run_until_it_dies_or_settles(tmp_path, "before-settle:1")
    with service(tmp_path):
        until(lambda: _states(tmp_path) == ["sent"], "it is settled")
    (copies,) = post.letters().values()
    assert copies <= 2


def _run_until_it_dies_or_settles(folder: Path, fault: str) -> None:
    with service(folder, fault) as process:
        until(lambda: process.poll() is not None or _states(folder) == ["sent"], "it ends")


def _states(folder: Path) -> list[str]:
    return [row["state"] for row in outbox(folder)]


NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)


@dataclass
class Sending:
    """The sender on a clock that the test holds, with one channel."""

    store: Store
    sender: Sender

    def write(self, not_before: datetime = NOW) -> None:
        """A message to be sent."""
        message = {"type": "warning", "title": "WARNING: job-1 fails", "text": "incident 1 of agent"}
        self.store.add_entries([Entry(NOW, 1, "opened", "ops", message, not_before)])

    def rounds(self, now: datetime) -> None:
        """Turn until nothing is under way."""
        until(lambda: not self._turn(now), "nothing is under way")

    def _turn(self, now: datetime) -> bool:
        """As its thread does: what goes wrong in a round is told, and the next round tries again."""
        try:
            return self.sender.turn(now)
        except (OSError, sqlite3.Error):
            return True

    def states(self) -> list[str]:
        """What has become of the messages."""
        return [entry.state.value for entry in self.store.entries(1)]


@pytest.fixture
def sending(tmp_path: Path, post: Inbox) -> Iterator[Sending]:
    store = Store(tmp_path / "state.db")
    book = Book({"ops": Channel(url=Secret(f"json://127.0.0.1:{post.port}/ops"))}, {}, Retry())
    yield Sending(store, Sender(store, book))
    store.close()


def test_a_process_that_cannot_be_started_leaves_no_message_behind(
    sending: Sending, post: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        monkeypatch.undo()
        raise BlockingIOError(11, "Resource temporarily unavailable")

    sending.write()
    monkeypatch.setattr(dispatch, "Child", refuse)
    sending.rounds(NOW)
    sending.rounds(NOW + timedelta(hours=1))
    assert sending.states() == ["sent"]
    assert list(post.letters().values()) == [1]


def test_an_outcome_that_could_not_be_written_down_is_written_later(
    sending: Sending, post: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = sending.store.save_entry

    def busy(entry: Entry) -> None:
        if entry.state is State.SENDING:
            save(entry)
        else:
            monkeypatch.undo()
            raise sqlite3.OperationalError("database is locked")

    sending.write()
    monkeypatch.setattr(sending.store, "save_entry", busy)
    sending.rounds(NOW)
    sending.rounds(NOW + timedelta(hours=1))
    assert sending.states() == ["sent"]
    assert list(post.letters().values()) == [1]


def test_a_clock_that_is_put_back_a_day_holds_no_message_back_for_a_day(sending: Sending, post: Inbox) -> None:
    sending.write(not_before=NOW + timedelta(days=1))
    sending.rounds(NOW + timedelta(hours=1))
    assert sending.states() == ["sent"]


def test_a_clock_that_is_put_back_does_not_let_alerts_run_out(tmp_path: Path, post: Inbox) -> None:
    agent = Agent(tmp_path / "agent.db", 1)
    agent.fail(0)
    with watchdog(agent.path, f"http://127.0.0.1:{post.port}") as dog:
        dog.turn(NOW + timedelta(days=30, hours=1))
        dog.turn(NOW + timedelta(days=30))
        last = NOW + timedelta(days=30, minutes=2)
        dog.turn(last)
    assert last < ends(_posted(post)[-1]) <= last + LASTS


def test_a_state_file_that_is_locked_for_a_while_ends_neither_the_watching_nor_the_telling(
    tmp_path: Path, post: Inbox
) -> None:
    agent = Agent(tmp_path / "phantom.db", 2)
    agent.fail(0)
    configure(tmp_path, {"ops": f"json://127.0.0.1:{post.port}/ops"})
    with service(tmp_path) as process:
        until(lambda: _states(tmp_path) == ["sent"], "it watches and tells")
        with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            agent.lose(1)
            until(lambda: process.poll() is not None or _log_says(tmp_path, "locked"), "the lock is felt")
            other.execute("ROLLBACK")
        assert process.poll() is None, f"it ended with {process.returncode}"
        until(lambda: list(post.letters().values()) == [1, 1], "the message comes after all")


def _log_says(folder: Path, words: str) -> bool:
    return words.encode() in (folder / "service.log").read_bytes()
