"""What a scheduler cannot run as it stands."""

from dataclasses import replace

import pytest

from tests.conftest import NOW
from watchdog.config.settings import Detect
from watchdog.core.model import Finding, Job, Snapshot, Unreadable
from watchdog.detectors.diagnosis import diagnose

JOB = Job("a", "a", Unreadable("no such day", "0 0 31 2 *", "its scheduler skips it"))


def found(job: Job) -> tuple[Finding, ...]:
    return diagnose(Snapshot("agent", "any", (job,)), NOW, Detect()).findings


@pytest.mark.parametrize("problems", [(), ("enabled is 'x', neither true nor false",)])
def test_a_schedule_that_cannot_be_read_is_told_whatever_its_source_has_noted(problems: tuple[str, ...]) -> None:
    (told,) = found(replace(JOB, problems=problems))
    assert (told.kind, told.severity) == ("invalid", "critical")
    assert told.evidence["problems"] == list(problems or ("its schedule cannot be read: no such day",))
    assert told.summary.endswith("; its scheduler skips it")


@pytest.mark.parametrize("state", [{"status": "paused"}, {"status": "completed"}, {"enabled": False}])
def test_what_nobody_means_to_run_may_be_unreadable(state: dict[str, object]) -> None:
    assert found(replace(JOB, **state)) == ()  # type: ignore[arg-type]
