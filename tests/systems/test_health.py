"""What a scheduler's health address proves, by itself and beside the lock on its store."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_httpserver import HTTPServer

from watchdog.core.children import call
from watchdog.core.model import HealthAnswer, Process
from watchdog.systems.shared.asking_health import health, told_by
from watchdog.systems.shared.health import FRESH, Hearing, agreed
from watchdog.systems.shared.host import Health, Host, NoMemory

NOW = datetime(2026, 6, 10, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PHANTOM = {"status": "ok", "uptime": 3600, "scheduler": {"total": 4, "active": 3}}


def _ask(url: str, **more: object) -> dict[str, Any]:
    return health({"url": url, "keys": ["status", "uptime"], **more})


@contextmanager
def _listening(say: bytes = b"") -> Iterator[str]:
    """A socket that takes connections; on each it says this over and over, a byte at a time, or nothing."""
    ended = threading.Event()

    def serve() -> None:
        while not ended.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while say and not ended.wait(0.05):
                    try:
                        connection.sendall(say)
                    except OSError:
                        break
                ended.wait(0 if say else 5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/health"
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def _closed() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/health"


# what an address says


def test_the_scheduler_s_own_answer_is_a_sign_of_life(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/health").respond_with_json(PHANTOM)
    said = _ask(httpserver.url_for("/health"))
    assert (said["says"], said["uptime"]) == ("alive", 3600.0)


def test_a_scheduler_that_says_itself_that_it_is_not_well_is_alive(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/health").respond_with_json({**PHANTOM, "status": "degraded"}, status=503)
    assert _ask(httpserver.url_for("/health"))["says"] == "alive"


def test_a_refused_connection_is_told_as_such() -> None:
    assert _ask(_closed())["says"] == "refused"


def test_a_socket_that_accepts_and_says_nothing_is_mute() -> None:
    with _listening() as url:
        assert _ask(url, read=0.1)["says"] == "mute"


@pytest.mark.parametrize("say", [b"H", b"HTTP/1.1 200 OK\r\nX: "])
def test_one_that_drips_is_cut_off_and_proves_nothing(say: bytes) -> None:
    order = {"do": "health", "keys": ["status", "uptime"]}
    with _listening(say) as url:
        said = call("watchdog.systems.shared.asking_health", {**order, "url": url}, 2 * SECOND)
    assert not said["ok"]
    assert "says" not in said


def test_a_redirect_is_not_followed_and_proves_nothing(httpserver: HTTPServer) -> None:
    target = httpserver.url_for("/login")
    httpserver.expect_request("/health").respond_with_data("", status=302, headers={"Location": target})
    httpserver.expect_request("/login").respond_with_json(PHANTOM)
    said = _ask(httpserver.url_for("/health"))
    assert not said["ok"]
    assert [request.path for request, _ in httpserver.log] == ["/health"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, "<html>Sign in</html>"),
        (200, json.dumps({"status": "ok"})),
        (200, json.dumps({"uptime": 5})),
        (200, json.dumps({"status": 200, "uptime": 5})),
        (200, json.dumps([PHANTOM])),
        (200, '{"status": "ok", "uptime": NaN}'),
        (200, '{"status": "ok", "uptime": true}'),
        (200, '{"status": "ok", "uptime": -1}'),
        (200, '{"status": "ok", "uptime": 1e300}'),
        (200, json.dumps({**PHANTOM, "more": "x" * 70_000})),
        (404, json.dumps(PHANTOM)),
        (502, json.dumps(PHANTOM)),
        (200, "[" * 50_000),
    ],
)
def test_what_is_not_the_scheduler_s_answer_proves_nothing(httpserver: HTTPServer, status: int, body: str) -> None:
    httpserver.expect_request("/health").respond_with_data(body, status=status, content_type="application/json")
    order = {"do": "health", "url": httpserver.url_for("/health"), "keys": ["status", "uptime"]}
    try:
        said = health(order)
    except RecursionError:
        return  # what the process then says is that it broke off
    assert not said["ok"]
    assert "says" not in said


def test_a_connection_that_is_closed_at_once_proves_nothing() -> None:
    """As a published port of a container does in which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: listener.accept()[0].close())
        thread.start()
        said = call(
            "watchdog.systems.shared.asking_health",
            {"do": "health", "url": f"http://127.0.0.1:{listener.getsockname()[1]}/", "keys": ["status"]},
            20 * SECOND,
        )
        thread.join()
    assert "says" not in said


def test_a_name_that_does_not_resolve_proves_nothing() -> None:
    assert "says" not in _ask("http://no-such-host.invalid:3100/health")


def test_a_system_whose_answer_has_no_uptime_is_alive_and_tells_no_start() -> None:
    said = told_by(b'{"ok": true, "status": "live"}', ["status"])
    assert (said["says"], said["uptime"]) == ("alive", None)


# beside the lock

KNOWN = st.sampled_from([True, False, None])
SAYS: st.SearchStrategy[HealthAnswer | None] = st.sampled_from(["alive", "mute", "refused", None])


def _gravity(is_alive: bool | None, is_frozen: bool | None) -> int:
    return 2 if is_alive is False else 1 if is_frozen else 0


@given(KNOWN, KNOWN, SAYS)
def test_an_answer_never_makes_worse_what_the_lock_proves(
    is_alive: bool | None, is_frozen: bool | None, says: HealthAnswer | None
) -> None:
    alive, frozen = agreed(is_alive, is_frozen, says)
    if is_alive is not None and is_frozen is not None:
        assert _gravity(alive, frozen) <= _gravity(is_alive, is_frozen)
    if says == "alive":
        assert _gravity(alive, frozen) == 0
    if says is None:
        assert (alive, frozen) == (is_alive, is_frozen)


@pytest.mark.parametrize(
    ("lock", "says", "both"),
    [
        ((None, None), "refused", (False, None)),
        ((None, None), "mute", (None, True)),
        ((None, None), "alive", (True, False)),
        ((True, None), "mute", (True, True)),
        ((True, False), "mute", (True, False)),
        ((True, False), "refused", (True, False)),
        ((False, None), "refused", (False, None)),
        ((False, None), "alive", (None, False)),
        ((True, True), "alive", (True, None)),
    ],
)
def test_agreement_strengthens_and_of_a_contradiction_the_less_grave_holds(
    lock: tuple[bool | None, bool | None], says: HealthAnswer, both: tuple[bool | None, bool | None]
) -> None:
    assert agreed(*lock, says) == both


class _Kept(NoMemory):
    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def recall(self, name: str, kind: type[Any]) -> dict[str, Any]:
        return {key: thing for key, thing in self.kept.items() if thing is not None}

    def keep(self, name: str, things: Any) -> None:
        self.kept.update(things)


def test_an_answer_tells_nothing_once_it_is_old() -> None:
    hearing = Hearing(Host(health=lambda: Health("refused", NOW)))
    assert hearing.joined(Process(), NOW + FRESH).is_alive is False
    assert hearing.joined(Process(), NOW + FRESH + SECOND).is_alive is None
    assert hearing.joined(Process(), NOW - SECOND).is_alive is None


def test_what_an_uptime_told_outlives_the_answer_and_the_watchdog() -> None:
    memory, started = _Kept(), NOW - timedelta(hours=1)
    hearing = Hearing(Host(memory=memory, health=lambda: Health("alive", NOW, started)))
    assert hearing.joined(Process(), NOW).started_at == started
    later = Hearing(Host(memory=memory, health=Health))
    assert later.joined(Process(), NOW + timedelta(days=1)).started_at == started


def test_a_start_that_was_told_while_the_clock_stood_ahead_is_forgotten() -> None:
    memory, ahead = _Kept(), NOW + timedelta(days=1)
    hearing = Hearing(Host(memory=memory, health=lambda: Health("alive", ahead, ahead - SECOND)))
    assert hearing.joined(Process(), ahead).started_at == ahead - SECOND
    assert hearing.joined(Process(), NOW).started_at is None
    assert Hearing(Host(memory=memory, health=Health)).joined(Process(), ahead + timedelta(days=1)).started_at is None


def test_since_when_a_process_is_down_stays_while_the_address_goes_on_to_refuse() -> None:
    told = [NOW]
    hearing = Hearing(Host(health=lambda: Health("refused", told[0])))
    assert hearing.joined(Process(), NOW).since == NOW
    told[0] = NOW + 30 * SECOND
    assert hearing.joined(Process(), NOW + 31 * SECOND).since == NOW


def test_a_source_without_an_address_knows_what_it_knew() -> None:
    process = Process(is_alive=True, started_at=NOW)
    assert Hearing(Host()).joined(process, NOW) is process
