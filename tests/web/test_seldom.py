"""What strangers can make a library say does not fill the disk that the log is on."""

import logging

import pytest

from watchdog.core.logs import log
from watchdog.web.server import Seldom


def test_of_what_is_said_each_time_one_line_is_left_and_all_else_is_passed_on(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", True)
    library = logging.Logger("theirs")
    library.addFilter(Seldom())
    library.addHandler(caplog.handler)
    for number in range(1000):
        library.warning("Invalid request %d", number)
    library.warning("something else")
    assert caplog.messages == ["Invalid request 0", "something else"]
