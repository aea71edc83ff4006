"""What `check` says is so, and to be done."""

from datetime import UTC, datetime

import pytest

from tests.support.telling import finding
from watchdog.core.model import Snapshot
from watchdog.detectors.diagnosis import Diagnosis
from watchdog.detectors.published import Published, SourceState
from watchdog.incidents.report import first_line, gathered, to_do

NOW = datetime(2026, 6, 10, 8, tzinfo=UTC)


def test_the_restart_that_the_operator_has_named_is_the_one_that_is_advised() -> None:
    stuck = finding("wedged")
    state = SourceState(
        Snapshot("agent", "phantom", ()), Diagnosis((stuck,), None), NOW, NOW, restart="docker restart x"
    )
    (alike,) = gathered((stuck,))
    assert to_do(alike, Published((state,))) == "restart the agent, with: docker restart x"


@pytest.mark.parametrize(
    ("found", "unproved", "said"),
    [
        (["a"], ["a"], "1 zero_tokens; that job was brought back, critical until its next run ends well"),
        (["a", "b"], ["a"], "2 zero_tokens; 1 of these jobs was brought back, critical until its next run ends well"),
        (
            ["a", "b"],
            ["a", "b"],
            "2 zero_tokens; these jobs were brought back, critical until their next runs end well",
        ),
        (["a"], ["b"], "1 zero_tokens; 1 other job was brought back, critical until its next run ends well"),
        (["a"], ["b", "c"], "1 zero_tokens; 2 other jobs were brought back, critical until their next runs end well"),
        (
            ["a", "b"],
            ["a", "c"],
            "2 zero_tokens; 1 of these jobs and 1 other job were brought back, critical until their next runs end well",
        ),
        ([], ["a"], "1 job was brought back, critical until its next run ends well"),
        ([None], ["a"], "1 zero_tokens; 1 job was brought back, critical until its next run ends well"),
    ],
)
def test_a_job_that_was_brought_back_is_not_counted_as_another_one(
    found: list[str | None], unproved: list[str], said: str
) -> None:
    alive = tuple(finding("zero_tokens", job) for job in found)
    state = SourceState(Snapshot("agent", "phantom", ()), Diagnosis(alive, None), NOW, NOW)
    shown = Published((state,), unproved=tuple(finding("failed", job) for job in unproved))
    assert first_line(shown).startswith(f"CRITICAL: {said} | ")


def test_one_job_with_two_conditions_that_was_brought_back_is_one_job() -> None:
    alive = (finding("zero_tokens", "a"), finding("undelivered", "a"))
    state = SourceState(Snapshot("agent", "phantom", ()), Diagnosis(alive, None), NOW, NOW)
    shown = Published((state,), unproved=(finding("failed", "a"),))
    assert "1 zero_tokens, 1 undelivered; that job was brought back" in first_line(shown)
