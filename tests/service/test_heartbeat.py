"""Somebody outside hears when the watchdog falls silent: an address is called while all turns, and only then."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import ValidationError

from tests.conftest import build, healthy
from tests.support.command import PATIENCE, Running, command, running, until
from watchdog.config.heartbeat import Heartbeat
from watchdog.core.clock import Stamp
from watchdog.service.heartbeat import Beats, places
from watchdog.state.store import Store

CHECK = "/ping/5b1e6f0c-6a5f-4f0e-9d6e-0d3c8f1f2a11"
SOME_BEATS = 1.6
"""Seconds in which more than one call would come. It is waited in vain, so a busy machine only makes it weaker."""


class Checks:
    """A server that keeps what is called, as the services do that watch for a silence."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.status = 200
        checks = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                checks.calls.append(self.path)
                self.send_response(checks.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"OK")

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def of(self, path: str) -> int:
        """How often it was called."""
        return self.calls.count(path)

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def checks() -> Iterator[Checks]:
    opened = Checks()
    yield opened
    opened.close()


def configured(folder: Path, checks: Checks, state: Path | None = None, path: str = CHECK) -> None:
    """A healthy agent, and a watchdog that calls once a second."""
    build(folder / "phantom.db", healthy())
    (folder / "watchdog.yaml").write_text(
        f"sources: [{{name: agent, database: {folder}/phantom.db}}]\nstate: {state or folder / 'state.db'}\n"
        'poll: 100ms\nhttp: {listen: "127.0.0.1:PORT"}\n'
        f"heartbeat: {{url: {checks.url}{path}, every: 1s}}\n"
    )


def called_again(checks: Checks, path: str = CHECK) -> None:
    """Wait for the next call."""
    before = checks.of(path)
    until(lambda: checks.of(path) > before, f"{path} is called")


def silent(checks: Checks) -> bool:
    """Whether it is not called any more, once what was under way has come."""
    time.sleep(1)
    before = checks.of(CHECK)
    time.sleep(SOME_BEATS)
    return checks.of(CHECK) == before


def test_it_is_called_at_the_start_and_then_while_all_is_well(tmp_path: Path, checks: Checks) -> None:
    configured(tmp_path, checks)
    with running(tmp_path) as service:
        called_again(checks)
        called_again(checks)
        assert checks.calls[0] == f"{CHECK}/start"
        assert set(checks.calls) == {f"{CHECK}/start", CHECK}
        until(lambda: service.metric("watchdog_heartbeat_last_success_timestamp_seconds"), "the metric is there")
        assert service.stop() == 0
    assert CHECK not in (tmp_path / "log.jsonl").read_text()


def test_a_watchdog_that_stands_still_is_silent_and_one_that_goes_on_is_heard(tmp_path: Path, checks: Checks) -> None:
    configured(tmp_path, checks)
    with running(tmp_path) as service:
        called_again(checks)
        service.process.send_signal(signal.SIGSTOP)
        assert silent(checks)
        service.process.send_signal(signal.SIGCONT)
        called_again(checks)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of two megabytes."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "small", str(folder)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("no disk can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(path: Path) -> None:
    """Write until there is no room left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass


def test_while_the_state_is_on_a_full_disk_the_service_says_that_it_fails(tmp_path: Path, checks: Checks) -> None:
    with small_disk(tmp_path / "disk") as disk:
        configured(tmp_path, checks, disk / "state.db")
        with running(tmp_path):
            called_again(checks)
            filler = disk / "filler"
            _fill(filler)
            called_again(checks, f"{CHECK}/fail")
            assert silent(checks)
            filler.unlink()
            called_again(checks)


HANGING = (
    sys.executable,
    "-c",
    "import os, sys, time\n"
    "from watchdog.systems.phantom import source\n"
    "look = source.PhantomSource.look\n"
    "def hang(self, now):\n"
    "    while os.path.exists(os.environ['HANG']): time.sleep(0.05)\n"
    "    return look(self, now)\n"
    "source.PhantomSource.look = hang\n"
    "from watchdog.cli.main import main\n"
    "sys.exit(main())",
)


def test_while_a_source_hangs_the_service_says_that_it_fails(tmp_path: Path, checks: Checks) -> None:
    configured(tmp_path, checks)
    with running(tmp_path, command=HANGING, HANG=str(tmp_path / "hang")):
        called_again(checks)
        (tmp_path / "hang").touch()
        called_again(checks, f"{CHECK}/fail")
        assert silent(checks)
        (tmp_path / "hang").unlink()
        called_again(checks)


def test_a_service_without_a_word_for_it_is_left_alone_while_a_source_hangs(tmp_path: Path, checks: Checks) -> None:
    configured(tmp_path, checks, path="/a-token")
    (tmp_path / "hang").touch()
    with running(tmp_path, command=HANGING, HANG=str(tmp_path / "hang")):
        time.sleep(SOME_BEATS)
        assert checks.calls == []
        (tmp_path / "hang").unlink()
        called_again(checks, "/a-token")


def test_its_own_failure_is_one_line_in_the_log_and_no_message(tmp_path: Path, checks: Checks) -> None:
    configured(tmp_path, checks)
    checks.status = 500
    with running(tmp_path) as service:
        called_again(checks)
        called_again(checks)
        checks.status = 200
        until(lambda: _said(service, "taken again"), "it is said that it goes on")
        assert len(_said(service, "was not taken")) == 1
        assert service.metric("watchdog_outbox_messages") == {"": 0.0}
        assert service.get("/healthz")[0] == 200


def _said(service: Running, words: str) -> list[str]:
    return [line["message"] for line in service.log() if words in line["message"]]


def test_a_reload_with_the_same_address_goes_on_and_another_is_called_at_once(tmp_path: Path, checks: Checks) -> None:
    configured(tmp_path, checks)
    with running(tmp_path) as service:
        called_again(checks)
        service.process.send_signal(signal.SIGHUP)
        called_again(checks)
        assert checks.of(f"{CHECK}/start") == 1
        config = tmp_path / "watchdog.yaml"
        config.write_text(config.read_text().replace(CHECK, "/another"))
        service.process.send_signal(signal.SIGHUP)
        called_again(checks, "/another")


# what the address tells


@pytest.mark.parametrize(
    "address",
    [
        f"https://hc-ping.com{CHECK.removeprefix('/ping')}",
        "https://hc-ping.com/a-ping-key/watchdog",
        f"https://checks.example.org{CHECK}",
        "https://example.org/healthchecks/ping/a-ping-key/watchdog/",
        "https://example.org/ping/a-ping-key/watchdog?rid=7",
    ],
)
def test_a_healthchecks_address_is_told_of_starts_and_failures(address: str) -> None:
    ways = places(address)
    assert ways.well == address
    paths = [urlsplit(way or "").path for way in (ways.start, ways.failed)]
    path = urlsplit(address).path.rstrip("/")
    assert paths == [f"{path}/start", f"{path}/fail"]
    assert urlsplit(ways.failed or "").query == urlsplit(address).query


def test_a_push_address_of_uptime_kuma_is_told_the_status_and_why() -> None:
    address = "https://kuma.example.org/api/push/T0k?status=up&msg=OK&ping="
    ways = places(address, "the disk is full & more")
    assert parse_qs(urlsplit(ways.well).query)["status"] == ["up"]
    failed = parse_qs(urlsplit(ways.failed or "").query)
    assert failed == {"status": ["down"], "msg": ["the disk is full & more"]}


def test_cronitor_is_told_the_state() -> None:
    failed = urlsplit(places("https://cronitor.link/p/KEY/watchdog", "why").failed or "")
    assert parse_qs(failed.query) == {"state": ["fail"], "message": ["why"]}


@pytest.mark.parametrize("address", ["https://nosnch.in/c2354d53d2", "https://example.org/", "http://[::1]:80/x?y=z"])
def test_any_other_address_is_called_as_it_stands_and_otherwise_left_alone(address: str) -> None:
    ways = places(address)
    assert (ways.well, ways.start, ways.failed) == (address, None, None)


# the configuration


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({}, "give one of url and url_file"),
        ({"url": "ftp://secret.example.org/x"}, "must be an http"),
        ({"url": "not an address at all"}, "must be an http"),
        ({"url": "http://[half/x"}, "must be an http"),
        ({"url": "https://example.org/secret", "every": "0s"}, "must lie between"),
        ({"url": "https://example.org/secret", "evry": "1m"}, "unexpected"),
    ],
)
def test_what_cannot_be_called_is_an_error_that_does_not_show_the_address(said: dict[str, str], what: str) -> None:
    with pytest.raises(ValidationError) as raised:
        Heartbeat.validated(said)
    told = str(raised.value.errors(include_input=False, include_url=False, include_context=False))
    assert what in told
    assert "secret" not in told


def test_a_file_with_something_else_in_it_is_found_by_validate(tmp_path: Path) -> None:
    (tmp_path / "ping").write_text("s3cr3t-and-no-address\n")
    config = tmp_path / "watchdog.yaml"
    config.write_text(f"sources: [{{database: x.db}}]\nheartbeat: {{url_file: {tmp_path / 'ping'}}}\n")
    done = command("validate", "-c", config)
    assert done.returncode == 3
    assert "heartbeat" in done.stderr
    assert "s3cr3t" not in done.stdout + done.stderr


def test_the_address_is_read_from_its_file_at_each_call(tmp_path: Path, checks: Checks) -> None:
    place = tmp_path / "ping"
    place.write_text(f"{checks.url}/one\n")
    with_file = Heartbeat(url_file=place, every=timedelta(minutes=1))
    taken: list[datetime] = []
    store = Store(None)
    beats = Beats(with_file, store, taken.append)
    _beat(beats, 0, taken)
    place.write_text(f"{checks.url}/two\n")
    _beat(beats, 60, taken)
    place.unlink()
    beats.turn("", _stamp(120))
    assert checks.calls == ["/one", "/two"]
    store.close()


def _stamp(seconds: float) -> Stamp:
    return Stamp(datetime(2026, 6, 10, 9, tzinfo=UTC) + timedelta(seconds=seconds), 1000 + seconds, "this")


def _beat(beats: Beats, seconds: float, taken: list[datetime]) -> None:
    """Turn until one more call was taken."""
    before, end = len(taken), time.monotonic() + PATIENCE
    while len(taken) == before and time.monotonic() < end:
        beats.turn("", _stamp(seconds))
        time.sleep(0.01)


def test_a_step_of_the_clock_neither_stops_nor_hurries_it(checks: Checks) -> None:
    """It goes by the machine's seconds since boot."""
    taken: list[datetime] = []
    store = Store(None)
    beats = Beats(Heartbeat.validated({"url": f"{checks.url}/x", "every": "1m"}), store, taken.append)
    _beat(beats, 0, taken)
    for ahead in (timedelta(days=2), timedelta(days=-2)):
        now = _stamp(30)
        beats.turn("", Stamp(now.at + ahead, now.uptime, now.boot))
        assert beats.wait(Stamp(now.at + ahead, now.uptime, now.boot)) == timedelta(seconds=30)
    assert len(checks.calls) == 1
    store.close()
