"""What `check` says is to be done."""

from datetime import UTC, datetime

from tests.support.telling import finding
from watchdog.core.model import Snapshot
from watchdog.detectors.diagnosis import Diagnosis
from watchdog.detectors.published import Published, SourceState
from watchdog.incidents.report import gathered, to_do

NOW = datetime(2026, 6, 10, 8, tzinfo=UTC)


def test_the_restart_that_the_operator_has_named_is_the_one_that_is_advised() -> None:
    stuck = finding("wedged")
    state = SourceState(
        Snapshot("agent", "phantom", ()), Diagnosis((stuck,), None), NOW, NOW, restart="docker restart x"
    )
    (alike,) = gathered((stuck,))
    assert to_do(alike, Published((state,))) == "restart the agent, for example: docker restart x"
