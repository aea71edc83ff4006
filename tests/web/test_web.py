"""What the web answers, from what was last published."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from httpx2 import Client

from tests.support.site import client_of
from watchdog.config.file import for_database
from watchdog.detectors.published import Published
from watchdog.engine import Engine
from watchdog.web.app import build
from watchdog.web.published_state import PublishedState

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def published_state() -> PublishedState:
    """Nothing has been posted yet."""
    return PublishedState(timedelta(seconds=2))


@pytest.fixture
def client(published_state: PublishedState) -> Client:
    """A client of the application."""
    return client_of(build(published_state, lambda: b"watchdog_up 1\n", lambda posting: "OK"))


def test_before_the_first_look_it_is_neither_healthy_nor_ready(client: Client) -> None:
    for path in ("/", "/healthz", "/readyz", "/api/v1/jobs", "/api/v1/findings"):
        assert client.get(path).status_code == 503


def test_it_is_healthy_while_the_loop_turns_and_not_when_it_has_been_still_for_three_intervals(
    published_state: PublishedState, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("watchdog.web.published_state.time.monotonic", lambda: clock[0])
    published_state.post(Published(()), NOW)
    clock[0] += 5.9
    assert client.get("/healthz").status_code == 200
    clock[0] += 0.2
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.text == "the loop stands still: its last tick was 6 s ago\n"


def test_it_is_ready_only_when_every_source_has_been_read(
    published_state: PublishedState, client: Client, tmp_path: Path
) -> None:
    engine = Engine(for_database(tmp_path / "none.db"))
    published_state.post(engine.tick(NOW).published, NOW)
    assert client.get("/healthz").status_code == 200
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "none.db is not there" in answer.text


def test_nothing_can_be_changed(published_state: PublishedState, client: Client) -> None:
    published_state.post(Published(()), NOW)
    for path in ("/", "/metrics", "/healthz", "/readyz", "/api/v1/jobs", "/api/v1/findings"):
        assert client.get(path).status_code == 200
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert client.request(method, path).status_code == 405


def test_answers_are_not_kept_nor_guessed_at(published_state: PublishedState, client: Client) -> None:
    published_state.post(Published(()), NOW)
    headers = client.get("/api/v1/jobs").headers
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
