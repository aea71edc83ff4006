"""Connections that ask much at once, oddly, or read nothing."""

import errno
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress

import pytest
from waitress.channel import ClientDisconnected

from tests.support.command import PATIENCE, until
from watchdog.config.file import Address
from watchdog.web import bounded
from watchdog.web.bounded import BoundedChannel, BoundedServer, Unsent
from watchdog.web.server import Server, bind
from watchdog.web.wsgi import Environ, Start

BIG = b"x" * (8 << 20)
"""More than the kernel takes for one who reads nothing."""


class Asked:
    """An application that notes what it is asked for; `/slow` is answered once `go_on` is set."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.go_on = threading.Event()

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        self.paths.append(path)
        if path == "/slow":
            self.go_on.wait(PATIENCE)
        body = BIG if path == "/big" else path.encode()
        if path == "/known":
            start("304 Not Modified", [])
            return []
        start("200 OK", [("Content-Length", str(len(body)))])
        return [body]


Connect = Callable[[], socket.socket]


@contextmanager
def _serving(app: Asked) -> Iterator[tuple[Server, Connect]]:
    listener = bind(Address(host="127.0.0.1", port=0))
    server = Server(app, listener)
    server.start()
    with ExitStack() as strangers:

        def connect() -> socket.socket:
            stranger = strangers.enter_context(socket.socket())
            stranger.settimeout(PATIENCE)
            stranger.connect(listener.getsockname())
            return stranger

        try:
            yield server, connect
        finally:
            app.go_on.set()
            server.stop()


def _question(path: str, *headers: str) -> bytes:
    return "\r\n".join((f"GET {path} HTTP/1.1", "Host: x", *headers, "\r\n")).encode()


def _answered(stranger: socket.socket, text: bytes) -> bytes:
    """What came until this was said, at the end of what came."""
    said = bytearray()
    while not said.endswith(text):
        more = stranger.recv(1 << 20)
        if not more:
            break
        said += more
    return bytes(said)


def test_of_many_questions_in_one_go_the_next_is_answered_once_the_answer_before_has_been_read() -> None:
    app = Asked()
    with _serving(app) as (_, connect):
        greedy = connect()
        greedy.sendall(_question("/big") * 3 + _question("/end"))
        until(lambda: app.paths, "the first one is answered")
        others = connect()
        for _ in range(9):
            others.sendall(_question("/other"))
            assert b"/other" in _answered(others, b"/other")
        assert app.paths.count("/big") == 1
        assert _answered(greedy, b"/end").count(b"HTTP/1.1 200") == 4
        assert app.paths.count("/big") == 3


def test_an_answer_leaves_while_the_next_one_is_made() -> None:
    app = Asked()
    with _serving(app) as (_, connect):
        stranger = connect()
        stranger.sendall(_question("/first") + _question("/slow"))
        assert b"/first" in _answered(stranger, b"/first")
        app.go_on.set()
        assert b"/slow" in _answered(stranger, b"/slow")


def test_while_all_who_are_there_read_nothing_somebody_else_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "most_connections", lambda: 8)
    app = Asked()
    with _serving(app) as (_, connect):
        slow = [connect() for _ in range(8)]
        for each in slow:
            each.sendall(_question("/big") * 2)
        until(lambda: len(app.paths) == 8, "all have an answer that they do not read")
        for _ in range(3):
            other = connect()
            other.sendall(_question("/healthz"))
            assert b"/healthz" in _answered(other, b"/healthz")


def test_of_many_who_read_nothing_the_first_leave_so_that_their_answers_do_not_fill_the_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bounded, "MOST_UNREAD", 3 * len(BIG))
    app = Asked()
    with _serving(app) as (_, connect):
        slow = [connect() for _ in range(6)]
        for each in slow:
            before = len(app.paths)
            each.sendall(_question("/big"))
            until(lambda before=before: len(app.paths) > before, "it is answered")  # type: ignore[misc]
        with suppress(ConnectionResetError):
            assert len(_answered(slow[0], b"until it ends")) < len(BIG)
        assert _answered(slow[-1], BIG).endswith(BIG)


def test_what_is_quick_is_answered_while_every_thread_makes_something_slow() -> None:
    app = Asked()
    with _serving(app) as (_, connect):
        for _ in range(12):
            connect().sendall(_question("/slow"))
        until(lambda: app.paths.count("/slow") == 4, "all threads are busy")
        other = connect()
        other.sendall(_question("/metrics"))
        assert b"/metrics" in _answered(other, b"/metrics")


def test_who_knows_the_answer_already_is_told_so_over_the_same_connection() -> None:
    with _serving(Asked()) as (_, connect):
        stranger = connect()
        stranger.sendall(_question("/known") + _question("/known", "Connection: close"))
        said = _answered(stranger, b"until it ends")
        assert [part[:3] for part in said.split(b"HTTP/1.1 ")[1:]] == [b"304", b"304"]
        assert said.count(b"Connection: close") == 1


def test_urgent_data_ends_a_connection() -> None:
    with _serving(Asked()) as (_, connect):
        stranger = connect()
        stranger.send(b"!", socket.MSG_OOB)
        with suppress(ConnectionResetError):
            assert stranger.recv(1) == b""


def test_who_says_no_more_after_a_question_still_gets_the_answer() -> None:
    with _serving(Asked()) as (_, connect):
        stranger = connect()
        stranger.sendall(_question("/big"))
        stranger.shutdown(socket.SHUT_WR)
        got = 0
        while more := stranger.recv(1 << 20):
            got += len(more)
        assert got > len(BIG)


def test_one_who_is_gone_before_its_rubbish_is_refused_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    write_soon = BoundedChannel.write_soon
    gone: list[BoundedChannel] = []

    def is_gone(self: BoundedChannel, data: bytes) -> int:
        if not gone:
            gone.append(self)
            raise ClientDisconnected
        return int(write_soon(self, data))

    monkeypatch.setattr(BoundedChannel, "write_soon", is_gone)
    with _serving(Asked()) as (_, connect):
        stranger = connect()
        stranger.sendall(b"hello\r\n\r\n")
        assert stranger.recv(1) == b""
    assert not caplog.messages


def test_one_who_is_gone_before_being_taken_on_does_not_end_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    is_gone = [True]

    def set_options(self: BoundedServer, connection: socket.socket) -> None:
        if is_gone.pop() if is_gone else False:
            raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(BoundedServer, "set_socket_options", set_options)
    with _serving(Asked()) as (_, connect):
        assert connect().recv(1) == b""
        other = connect()
        other.sendall(_question("/next"))
        assert b"/next" in _answered(other, b"/next")


def test_one_who_expects_to_be_told_to_go_on_and_has_nothing_to_send_is_answered() -> None:
    with _serving(Asked()) as (_, connect):
        stranger = connect()
        stranger.sendall(_question("/page", "Expect: 100-continue"))
        assert b"/page" in _answered(stranger, b"/page")


@pytest.mark.parametrize(
    "sent",
    [
        b"POST / HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 4, 5\r\n\r\nabcde",
    ],
)
def test_where_a_body_may_end_in_two_places_nothing_behind_it_is_taken_for_a_question(sent: bytes) -> None:
    app = Asked()
    with _serving(app) as (_, connect):
        stranger = connect()
        stranger.sendall(sent + _question("/behind"))
        said = b""
        while more := stranger.recv(65536):
            said += more
        assert said.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400", b"HTTP/1.1 501"))
        assert app.paths == []


def test_a_thread_that_is_done_after_the_end_writes_to_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[BoundedServer] = []
    readable = BoundedServer.readable

    def noted(self: BoundedServer) -> bool:
        seen.append(self)
        return readable(self)

    monkeypatch.setattr(BoundedServer, "readable", noted)
    with _serving(Asked()) as (server, connect):
        connect().sendall(_question("/first"))
        until(lambda: seen, "the loop turns")
        server.stop()
        seen[0].pull_trigger()


def test_what_waits_to_be_sent_is_no_copy_and_is_given_back_part_by_part() -> None:
    first, second = b"a" * 1000, b"b" * 10
    unsent = Unsent()
    unsent.append(first)
    unsent.append(second)
    assert unsent.get(600).obj is first
    unsent.skip(600)
    assert (len(unsent), unsent.kept, bytes(unsent.get(600))) == (410, 1010, first[600:])
    unsent.skip(400)
    assert (len(unsent), unsent.kept, bytes(unsent.get(600))) == (10, 10, second)
    unsent.close()
    assert (len(unsent), unsent.kept) == (0, 0)
