"""What is published while the configuration is read again."""

import logging
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.harness import HOUR, SECOND, START
from tests.support.written import written
from watchdog.config.file import Config
from watchdog.core.logs import log
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.detectors.published import Published
from watchdog.engine import Engine
from watchdog.service.diary import Diary
from watchdog.systems.base import Look
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.looking import InTurn

NOW = START + 8 * HOUR


class Late(InTurn):
    """A look that comes back in a later tick, as one in a thread of its own may."""

    is_under_way = False

    def answer(self, now: datetime) -> Look | None:
        return None if Late.is_under_way else super().answer(now)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Of an agent whose only job was given up."""
    with Simulator(tmp_path / "phantom.db", START, behaviour=lambda *_: Outcome.failing()) as simulator:
        simulator.add("heartbeat", {"kind": "every", "intervalMs": 600_000})
        simulator.run_until(NOW)
    return Config.validated({"sources": [{"name": "agent", "database": str(tmp_path / "phantom.db")}]})


def _kinds(published: Published) -> list[str]:
    return [finding.kind.value for finding in published.findings]


def _another(config: Config, **sections: object) -> Config:
    return Config.validated(written(config) | sections)


def test_what_was_found_stands_until_the_source_has_been_looked_at_again(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(config, looked_at_by=Late)
    before = engine.tick(NOW).published
    assert _kinds(before) == ["failed"]
    monkeypatch.setattr(Late, "is_under_way", True)
    engine = engine.reconfigured(_another(config, detect={"zero_tokens": {"streak": 5}}), lambda name: Host())
    assert engine.has_looked
    during = engine.tick(NOW + SECOND).published
    assert _kinds(during) == ["failed"]
    assert during.version > before.version


def test_the_new_rules_judge_what_is_looked_at_next_though_nothing_has_changed_there(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(config, looked_at_by=Late)
    engine.tick(NOW)
    monkeypatch.setattr(Late, "is_under_way", True)
    engine = engine.reconfigured(_another(config, detect={"failed": "off"}), lambda name: Host())
    assert _kinds(engine.tick(NOW + SECOND).published) == ["failed"]
    monkeypatch.setattr(Late, "is_under_way", False)
    assert "failed" not in _kinds(engine.tick(NOW + 2 * SECOND).published)


def test_a_source_that_is_described_otherwise_is_looked_at_from_the_beginning(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Engine(config, looked_at_by=Late)
    engine.tick(NOW)
    monkeypatch.setattr(Late, "is_under_way", True)
    section = written(config)["sources"][0]
    engine = engine.reconfigured(_another(config, sources=[section | {"labels": {"team": "a"}}]), lambda name: Host())
    assert _kinds(engine.tick(NOW + SECOND).published) == []
    assert not engine.has_looked


def test_the_log_calls_nothing_over_that_is_only_yet_to_be_looked_at_anew(
    config: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    said: list[tuple[str, str]] = []
    diary = Diary(lambda action, finding: said.append((action, finding.kind.value)))
    engine = Engine(config, looked_at_by=Late)
    diary.write(engine.tick(NOW).published)
    monkeypatch.setattr(Late, "is_under_way", True)
    section = written(config)["sources"][0]
    engine = engine.reconfigured(_another(config, sources=[section | {"labels": {"team": "a"}}]), lambda name: Host())
    diary.write(engine.tick(NOW + SECOND).published)
    monkeypatch.setattr(Late, "is_under_way", False)
    with caplog.at_level(logging.INFO, log.name):
        diary.write(engine.tick(NOW + 2 * SECOND).published)
    assert said == [("found", "failed")]
    assert "can be read again" not in caplog.text


def test_the_log_says_what_is_over(config: Config) -> None:
    said: list[tuple[str, str]] = []
    diary = Diary(lambda action, finding: said.append((action, finding.kind.value)))
    diary.write(Engine(config).tick(NOW).published)
    diary.write(Engine(_another(config, detect={"failed": "off"})).tick(NOW).published)
    assert said[0] == ("found", "failed")
    assert said[-1] == ("cleared", "failed")
