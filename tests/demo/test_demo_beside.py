"""The demo beside a watchdog that is at work."""

import socket
from contextlib import closing, suppress

import pytest

from tests.support.command import command


@pytest.mark.slow
def test_it_takes_a_free_port_where_the_usual_one_is_taken_and_the_one_that_was_asked_for() -> None:
    with closing(socket.socket()) as usual, closing(socket.socket()) as other:
        with suppress(OSError):  # taken by another: as good
            usual.bind(("127.0.0.1", 9846))
            usual.listen()
        done = command("demo", "--seconds", "5")
        assert done.returncode == 0
        assert "http://127.0.0.1:" in done.stdout
        assert "http://127.0.0.1:9846/" not in done.stdout
        other.bind(("127.0.0.1", 0))
        other.listen()
        done = command("demo", "--seconds", "5", "--port", str(other.getsockname()[1]))
        assert done.returncode == 3
        assert "cannot listen" in done.stderr
