"""A storm of findings is in the log, and does not fill the disk that the log is on."""

from dataclasses import replace

from tests.support.telling import failing
from watchdog.core.kinds import Severity
from watchdog.service.diary import MOST_LOGGED, told_one_by_one


def test_a_storm_is_logged_by_a_few_of_each_kind_and_how_many_more_there_are() -> None:
    storm = [failing(f"job-{number}") for number in range(2_000)]
    shown = list(told_one_by_one(storm))
    assert [finding.job_id for finding, _ in shown] == [finding.job_id for finding in storm[:MOST_LOGGED]]
    assert [more for _, more in shown] == [0] * (MOST_LOGGED - 1) + [2_000 - MOST_LOGGED]


def test_a_grave_one_is_not_lost_among_lesser_ones() -> None:
    storm = [replace(failing(f"job-{number}"), severity=Severity.WARNING) for number in range(100)]
    grave = replace(failing("grave"), severity=Severity.CRITICAL)
    assert grave in [finding for finding, _ in told_one_by_one([*storm, grave])]


def test_few_are_all_logged() -> None:
    few = [failing("a"), failing("b")]
    assert list(told_one_by_one(few)) == [(few[0], 0), (few[1], 0)]
    assert list(told_one_by_one([])) == []
