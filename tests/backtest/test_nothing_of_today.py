"""What only a job's present row, session and bills say is not judged in its past."""

from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path

from tests.conftest import NOW, build, cost_row, healthy, job_row
from tests.support.harness import DAY, HOUR, MINUTE
from tests.support.replaying import replayed
from watchdog.backtest.job_then import OF_ALL_TIMES, JobThen
from watchdog.config.file import Config
from watchdog.core.model import (
    Every,
    Hold,
    Interruption,
    Job,
    Pace,
    RecordedRun,
    RepeatedRun,
    RunEnd,
    Skips,
    Spent,
    Start,
    Terms,
    Totals,
    Twin,
    ZeroStreak,
)
from watchdog.systems.shared.past import JobPast, PastRun

PLAYED = {
    "enabled",
    "status",
    "next_run_at",
    "last_run",
    "consecutive_errors",
    "updated_at",
    "sweep_at",
    "in_flight_since",
    "last_started_at",
    "recent",
    "last_end",
    "zero_streak",
    "pace",
    "spent",
    "last_paid_at",
    "has_used_tokens",
}
"""What follows, for any instant, from what is on record up to then."""

OF_TODAY = {
    "delivery_status",
    "unrecorded_end",
    "repeated",
    "totals",
    "problems",
    "interrupted",
    "passed_over_by",
    "may_go_at",
    "goes_by",
    "waits_for",
    "skips",
    "twin",
}
"""What is known of the present only."""

END = RunEnd(9, NOW - HOUR, 5, 5, 4.5)
JOB = Job(
    "id-a",
    "a",
    Every(HOUR),
    last_run=RecordedRun(NOW - HOUR, "error", MINUTE, "down"),
    consecutive_errors=7,
    delivery_status="dropped:no_channel",
    delivery_target="#ops",
    created_by="anna",
    updated_at=NOW - HOUR,
    sweep_at=NOW + DAY,
    in_flight_since=NOW - MINUTE,
    last_started_at=NOW - MINUTE,
    unrecorded_end=END,
    repeated=RepeatedRun(NOW - HOUR, END, NOW - HOUR),
    recent=(END,),
    zero_streak=ZeroStreak(3, (NOW - HOUR,), NOW - HOUR),
    totals=Totals(9, 9, 9, 9.0),
    problems=("enabled is 'x', neither true nor false",),
    terms=Terms(owed_at=NOW - DAY, grace=MINUTE),
    interrupted=Interruption(NOW - HOUR),
    passed_over_by=Start("id-b", "b", NOW - HOUR, NOW - HOUR),
    may_go_at=NOW - HOUR,
    goes_by=NOW + HOUR,
    waits_for=Hold("id-b", "b", NOW - HOUR),
    skips=Skips(3, NOW - HOUR, "no model answers"),
    twin=Twin("id-b"),
    pace=Pace(60, NOW - 2 * HOUR, END.at, 1),
    spent=(Spent(NOW - 2 * HOUR, 9.0),),
    last_paid_at=NOW - HOUR,
    has_used_tokens=True,
)


def then() -> JobThen:
    return JobThen(JobPast(JOB), knows_cadence=True, latest_redate=NOW)


def test_each_field_of_a_job_is_of_all_times_or_played_again_or_of_today() -> None:
    assert sorted([*OF_ALL_TIMES, *PLAYED, *OF_TODAY]) == sorted(field.name for field in fields(Job))


def test_before_anything_has_happened_only_what_is_of_all_times_is_known() -> None:
    seen = then().seen()
    told = {field.name for field in fields(Job) if getattr(seen, field.name) == getattr(JOB, field.name)}
    # without a due time nothing may be concluded from there being none
    assert told == set(OF_ALL_TIMES) - {"schedule", "terms"} | {"enabled", "status", "next_run_at"}
    assert seen.terms == replace(JOB.terms, owed_at=None)


def test_what_its_bills_tell_is_known_once_they_are_played() -> None:
    job = then()
    early = replace(END, id=1, at=NOW - 30 * DAY, cost_usd=0.5)
    job.end(PastRun(early), early.at)
    seen = job.seen()
    assert seen.spent == (Spent(early.at, 0.5),)
    assert (seen.last_paid_at, seen.has_used_tokens, seen.pace) == (early.at, True, None)
    job.end(PastRun(END), END.at)
    seen = job.seen()
    assert (seen.spent, seen.last_paid_at, seen.pace) == ((Spent(END.at, 4.5),), END.at, JOB.pace)


def costly(folder: Path, *bills: tuple[timedelta, float]) -> Config:
    """An hourly job with these bills, so long ago, over a budget of 5 dollars."""
    rows = healthy()
    rows["scheduled_jobs"] = [
        job_row("hourly", last_run_at="2026-06-10T11:00:00.000Z", created_at="2026-05-01 00:00:00")
    ]
    paid = dict(bills)
    rows["cost_events"] = [
        cost_row("id-hourly", f"{NOW - hours * HOUR:%Y-%m-%d %H:%M:%S}", cost_usd=paid.get(hours * HOUR, 0.01))
        for hours in range(24 * 20, 0, -1)
    ]
    path = build(folder / "agent.db", rows)
    return Config.validated(
        {"sources": [{"database": str(path)}], "state": str(folder / "s.db"), "detect": {"overspend": {"job": 5.0}}}
    )


def test_what_was_paid_lately_is_not_judged_a_week_before(tmp_path: Path) -> None:
    verdict = replayed(costly(tmp_path, (2 * HOUR, 4.5), (HOUR, 4.5)), NOW - 8 * DAY, NOW)
    (found,) = (each for each in verdict.conditions if each.finding.kind == "overspend")
    assert found.finding.since == NOW - HOUR
    assert found.over_at is None


def test_what_was_paid_a_week_ago_is_told_then_and_over_a_day_later(tmp_path: Path) -> None:
    verdict = replayed(costly(tmp_path, (7 * DAY, 9.0)), NOW - 10 * DAY, NOW)
    (found,) = (each for each in verdict.conditions if each.finding.kind == "overspend")
    assert (found.finding.since, found.over_at) == (NOW - 7 * DAY, NOW - 6 * DAY)


def test_what_all_jobs_have_cost_lately_is_not_judged_before(tmp_path: Path) -> None:
    config = costly(tmp_path, (2 * HOUR, 4.5), (HOUR, 4.5))
    detect = config.detect.validated({"overspend": {"source": 5.0}})
    verdict = replayed(config.but(detect=detect), NOW - 8 * DAY, NOW)
    assert [each.finding.kind for each in verdict.conditions] == []
