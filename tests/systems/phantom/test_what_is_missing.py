"""What cannot be told without all of the database: as it is told, and as docs/conditions.md says."""

import re
from pathlib import Path

import pytest

from tests.conftest import NOW, build, healthy
from watchdog.config.settings import Detect
from watchdog.core.kinds import Kind
from watchdog.core.model import Finding
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.phantom.missing import what_is_missing
from watchdog.systems.phantom.rows import COLUMNS
from watchdog.systems.phantom.source import PhantomSource

PAGE = Path(__file__).parents[3] / "docs/conditions.md"
SECTION = PAGE.read_text().partition("## What can be told without everything\n")[2].partition("\n## ")[0]
ROWS = [re.findall(r"`([\w.]+)`", line) for line in SECTION.splitlines() if line.startswith("| `")]
TABLE = {
    name: set(row) - set(names) for row in ROWS if (names := [n for n in row if n not in set(Kind)]) for name in names
}
NAMES = ("cost_events", "cost_events.cost_usd", "sessions", "scheduler_audit_log")


def blind(path: Path, without: str, **detect: object) -> list[Finding]:
    prefix = "" if without in NAMES else "scheduled_jobs."
    snapshot = (
        PhantomSource("agent", build(path / "agent.db", healthy(), without=[prefix + without])).look(NOW).snapshot
    )
    found = diagnose(snapshot, NOW, Detect.validated(detect)).findings
    return [each for each in found if each.kind is Kind.BLIND]


@pytest.mark.parametrize("name", TABLE)
def test_the_page_says_what_each_missing_part_hides(name: str) -> None:
    assert {kind.value for each in what_is_missing([name]) for kind in each.hides} == TABLE[name]


@pytest.mark.parametrize("name", TABLE)
def test_what_the_page_says_is_told_of_a_file_without_it(name: str, tmp_path: Path) -> None:
    (found,) = blind(tmp_path, name, overspend={"job": 5.0})
    assert set(found.evidence["hidden"]) == TABLE[name]  # type: ignore[call-overload]


def test_the_page_has_all_that_can_be_missing() -> None:
    every = [*NAMES, *COLUMNS]
    assert {name for name in every if what_is_missing([name])} == set(TABLE)


def test_without_a_budget_nobody_misses_what_runs_cost(tmp_path: Path) -> None:
    assert not any("overspend" in found.evidence["hidden"] for found in blind(tmp_path, "cost_events.cost_usd"))  # type: ignore[operator]


def test_a_budget_of_some_jobs_is_one(tmp_path: Path) -> None:
    (found,) = blind(tmp_path, "cost_events.cost_usd", jobs=[{"match": "heart*", "overspend": {"job": 1}}])
    assert "overspend" in found.evidence["hidden"]  # type: ignore[operator]
    assert "cost_events has no column cost_usd" in found.summary


def test_a_condition_that_is_on_for_some_jobs_only_is_missed(tmp_path: Path) -> None:
    some = [{"match": "heart*", "failing": "on"}]
    (found,) = blind(tmp_path, "consecutive_errors", failing="off", jobs=some)
    assert found.evidence["hidden"] == ["failing"]
