"""A short-lived process that asks somebody who answers without end."""

import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from watchdog.core.children import call

MESSAGE = {"title": "a title", "text": "a text", "type": "failure"}


class Endless(BaseHTTPRequestHandler):
    """Takes everything, and does not stop to answer."""

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(500 if "fails" in self.path else 200)
        self.end_headers()
        with suppress(OSError):
            while True:
                self.wfile.write(b"x" * 1_000_000)

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def endless() -> Iterator[str]:
    """Its host and port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Endless)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def asked(module: str, **order: Any) -> tuple[bool, str]:
    said = call(module, order, timedelta(seconds=60))
    return said["ok"], said["error"]


def test_of_an_answer_without_end_no_more_is_read_than_is_needed(endless: str) -> None:
    assert asked("watchdog.core.child", do="get", url=f"http://{endless}/") == (True, "")
    assert asked("watchdog.notify.child", do="post", url=f"http://{endless}/", body=[]) == (True, "")
    is_well, why = asked("watchdog.notify.child", do="post", url=f"http://{endless}/fails", body=[])
    assert not is_well
    assert why.startswith(f"{endless} answered 500: xxx")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nothing bounds a process's memory")
def test_a_library_that_reads_all_of_it_takes_no_more_memory_than_it_may(endless: str) -> None:
    is_well, why = asked("watchdog.notify.child", do="send", address=f"json://{endless}/", message=MESSAGE)
    assert not is_well
    assert why == "it took more memory than it may: is the answer without end?"
