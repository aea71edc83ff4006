"""What strangers can make a library say does not fill the disk that the log is on."""

import logging
from pathlib import Path

import pytest

from tests.support.site import serving
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


def test_of_one_who_has_no_token_ten_attempts_a_minute_are_told_and_that_it_guesses(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log, "propagate", True)
    with serving(tmp_path) as site:
        for _ in range(100):
            assert site.client.get("/api/v1/audit").status_code == 401
        assert len([line for line in caplog.messages if line.startswith("refused")]) == 10
        for _ in range(100):
            site.client.get("/api/v1/audit", headers={"Authorization": "Bearer wrong"})
    refused = [line for line in caplog.messages if line.startswith("refused")]
    assert len(refused) == 11
    assert "is not heard for a minute" in refused[-1]
