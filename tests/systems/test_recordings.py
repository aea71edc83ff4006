"""Real databases of a real scheduler, each judged at an instant with the default thresholds."""

import gzip
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import SCHEMA, build
from watchdog.config.file import for_database
from watchdog.core.instants import parse_instant
from watchdog.core.kinds import Severity
from watchdog.core.model import Cause, Finding
from watchdog.engine import Engine

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data" / "recordings.json.gz"
SHARED = ROOT.parent / "shared" / "recordings"
CASES = SHARED / "recordings.yaml"


@cache
def data() -> Any:
    """`columns` of each table, all distinct `rows`, and the `recordings`: their rows as (first, count) in that list."""
    return json.loads(gzip.decompress(DATA.read_bytes()))


def names() -> list[str]:
    return [recording["name"] for recording in data()["recordings"]]


def recording(name: str) -> Any:
    return next(case for case in data()["recordings"] if case["name"] == name)


def table(case: Any, name: str) -> list[dict[str, object]]:
    columns, rows = data()["columns"][name], data()["rows"]
    numbers = [number for first, count in case["tables"][name] for number in range(first, first + count)]
    return [dict(zip(columns, rows[number], strict=True)) for number in numbers]


def rebuilt(name: str, folder: Path, journal: str = "delete") -> Path:
    """The recording as a real file; the prompts are left out, nothing reads them."""
    case = recording(name)
    return build(folder / f"{name}.db", {each: table(case, each) for each in SCHEMA}, journal=journal)


def findings(path: Path, now: datetime) -> tuple[Finding, ...]:
    return Engine(for_database(path)).tick(now).published.findings


def judged(name: str, folder: Path) -> tuple[Finding, ...]:
    return findings(rebuilt(name, folder), parse_instant(recording(name)["now"]))


def one(name: str, folder: Path, kind: str) -> Finding:
    (found,) = [finding for finding in judged(name, folder) if finding.kind == kind]
    return found


def kinds(found: tuple[Finding, ...]) -> list[tuple[str, str | None]]:
    return sorted(((finding.kind.value, finding.job) for finding in found), key=str)


def expected(pairs: list[list[str | None]]) -> list[tuple[str | None, ...]]:
    return sorted((tuple(pair) for pair in pairs), key=str)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize("journal", ["delete", "wal"])
@pytest.mark.parametrize("name", names())
def test_a_recording_gives_exactly_its_findings(name: str, journal: str, tmp_path: Path) -> None:
    found = findings(rebuilt(name, tmp_path, journal), parse_instant(recording(name)["now"]))
    assert kinds(found) == expected(recording(name)["findings"])


@pytest.mark.parametrize("name", names())
def test_a_later_look_at_an_unchanged_recording_says_the_same(name: str, tmp_path: Path) -> None:
    engine = Engine(for_database(rebuilt(name, tmp_path)))
    now = parse_instant(recording(name)["now"])
    first = engine.tick(now).published.findings
    assert engine.tick(now + timedelta(milliseconds=1)).published.findings == first


@pytest.mark.skipif(not CASES.exists(), reason="the folder shared/recordings is not beside this project")
def test_the_recordings_themselves_give_exactly_their_findings() -> None:
    cases = yaml.safe_load(CASES.read_text())
    assert len(cases) >= 26
    for case in cases:
        found = findings(SHARED / case["file"], parse_instant(case["now"]))
        assert kinds(found) == expected([[each["kind"], each["job"]] for each in case["findings"]]), case["file"]


@pytest.mark.skipif(not CASES.exists(), reason="the folder shared/recordings is not beside this project")
def test_the_rebuilt_recordings_say_word_for_word_what_the_recordings_say(tmp_path: Path) -> None:
    for name in names():
        now = parse_instant(recording(name)["now"])
        assert findings(rebuilt(name, tmp_path), now) == findings(SHARED / f"{name}.db", now), name


def test_three_fires_without_tokens_show_within_two_minutes(tmp_path: Path) -> None:
    found = one("incident-0503-three-zero-fires", tmp_path, "zero_tokens")
    assert found.summary == "heartbeat does no work: its last 3 runs since 2026-04-29 05:00:08 UTC used no tokens"
    assert found.since == at("2026-04-29 05:01:54")
    assert found.severity is Severity.WARNING
    assert found.evidence["event_ids"] == [7, 8, 9]
    assert found.evidence["first_zero_at"] == at("2026-04-29 05:00:08")
    assert found.caused_by is None


def test_a_tripped_breaker_says_when_why_and_until_when_the_row_lives(tmp_path: Path) -> None:
    found = one("incident-next-day-2045-silent", tmp_path, "failed")
    assert found.summary == (
        "heartbeat was given up at 2026-04-29 10:00:08 UTC after 10 errors in a row: "
        "Error: 429 rate_limit_error: This request would exceed your organization's rate limit"
    )
    assert found.since == at("2026-04-29 10:00:08")
    assert found.evidence["consecutive_errors"] == 10
    assert found.evidence["error_class"] == "transient"
    assert found.evidence["sweep_at"] == at("2026-05-29")


def test_a_held_slot_is_the_cause_of_the_job_that_waits_for_it(tmp_path: Path) -> None:
    wedged, overdue = judged("slot-wedged-4h15", tmp_path)
    assert wedged.summary == (
        "repo-digest is stuck in the run that started at 2026-06-10 12:15:03 UTC: "
        "it holds the only slot for longer than 4 h 5 min, so nothing else can run"
    )
    assert wedged.since == at("2026-06-10 16:20:03")
    assert wedged.evidence["how"] == "held_slot"
    assert overdue.caused_by == Cause("wedged", wedged.job_id, "repo-digest")
    assert overdue.since == at("2026-06-10 13:17:24.001")
    assert overdue.summary == (
        "inbox-triage has not run since 2026-06-10 11:43:21 UTC: it was due at 2026-06-10 12:17:24 UTC "
        "and waits for the run of repo-digest, which holds the slot since 2026-06-10 12:15:03 UTC"
    )


def test_a_leaked_flag_is_proved_by_the_job_that_ran_meanwhile(tmp_path: Path) -> None:
    found = one("session-wedged-2-cadences", tmp_path, "wedged")
    assert found.summary == (
        "heartbeat has not run since 2026-07-01 09:00 UTC: its busy flag leaked "
        "(price-watch has started 8 times since it was due)"
    )
    assert found.since == at("2026-07-01 12:00")
    assert found.evidence["how"] == "leaked_flag"
    assert found.evidence["other_starts_since_due"] == 8
    assert found.severity is Severity.CRITICAL


def test_a_merely_long_run_is_named_as_what_others_wait_for(tmp_path: Path) -> None:
    found = one("longrun-fourth-night-2h30", tmp_path, "overdue")
    assert found.caused_by is not None
    assert (found.caused_by.kind, found.caused_by.job) == ("in_flight", "deep-research")
    assert found.evidence["deadline"] == at("2026-03-04 03:13:06.001")


def test_a_dead_timer_is_one_stall_with_the_late_jobs_under_it(tmp_path: Path) -> None:
    stalled, *late = judged("stall-dead-timer", tmp_path)
    assert (stalled.kind, stalled.job_id, stalled.job) == ("stalled", None, None)
    assert stalled.summary == (
        "the scheduler stands still: poll was due at 2026-09-10 03:06:57 UTC and 1 more is late, no run is in flight "
        "and nothing has started since 2026-09-10 03:00 UTC (its process is down, or its timer is not armed)"
    )
    assert stalled.since == at("2026-09-10 03:20:57.501")
    listed = stalled.evidence["late_jobs"]
    assert isinstance(listed, list)
    assert set(listed) == {finding.job_id for finding in late}
    assert [finding.caused_by for finding in late] == [Cause("stalled", None, None)] * 2


def test_a_run_that_was_never_written_down_names_its_cost_event(tmp_path: Path) -> None:
    found = one("crash-ran-but-unrecorded", tmp_path, "unrecorded")
    assert found.summary.startswith("daily-summary finished a run at 2026-04-05 08:02:02 UTC")
    assert "a restart runs it again" in found.summary
    assert found.since == at("2026-04-05 08:07:02")
    assert found.evidence["event_id"] == 89


def test_a_slot_that_ran_twice_names_both_runs(tmp_path: Path) -> None:
    found = one("crash-ran-twice", tmp_path, "duplicate")
    assert found.summary == (
        "daily-summary ran twice for 2026-04-05 08:00 UTC: the first run ended at 2026-04-05 08:02:02 UTC, "
        "the second started at 2026-04-05 12:04 UTC"
    )
    assert found.evidence["first_run_tokens"] == 10900


def test_a_rising_storm_says_when_each_breaker_trips_and_whether_waiting_helps(tmp_path: Path) -> None:
    failing = {finding.job: finding for finding in judged("storm-rising", tmp_path) if finding.kind == "failing"}
    heartbeat, watch = failing["heartbeat"], failing["watch"]
    assert heartbeat.summary == (
        "heartbeat has failed 9 times in a row: 1 more error and the scheduler gives it up, "
        "at about 2026-05-05 07:10:05 UTC if nothing changes"
    )
    assert heartbeat.evidence["error_class"] == "transient"
    assert watch.evidence["error_class"] == "permanent"
    # the breaker tripped when it was said to trip, in the recording of that evening
    later = {finding.job: finding for finding in judged("storm-all-failed", tmp_path)}
    for name, finding in failing.items():
        trip, tripped = finding.evidence["breaker_trips_at"], later[name].since
        assert isinstance(trip, datetime)
        assert tripped is not None
        assert abs(trip - tripped) < timedelta(seconds=1)


def test_the_true_sweep_date_is_midnight_and_not_thirty_days(tmp_path: Path) -> None:
    found = [finding for finding in judged("storm-sweep-tonight", tmp_path) if finding.kind == "expiring"]
    assert {finding.severity for finding in found} == {Severity.CRITICAL}
    assert {finding.evidence["sweep_at"] for finding in found} == {at("2026-06-04")}
    assert found[0].summary == ("digest failed and its row is deleted at the first restart after 2026-06-04 00:00 UTC")


def test_a_kind_of_schedule_from_the_future_is_told_with_the_kinds_that_are_known(tmp_path: Path) -> None:
    found = one("quiet-corrupt-row", tmp_path, "invalid")
    assert found.job == "future-kind"
    assert "schedule_kind is 'lunar'; at, every and cron are known" in found.summary


def test_results_that_reach_nobody_say_why(tmp_path: Path) -> None:
    found = one("quiet-zero-and-undelivered", tmp_path, "undelivered")
    assert found.summary == (
        "brief runs, but its last result reached nobody: the delivery failed (slack_returned_null)"
    )
    assert found.since == at("2026-08-01 05:21:02")


def test_a_one_shot_without_a_next_run_is_stranded(tmp_path: Path) -> None:
    found = one("quiet-stranded-one-shot", tmp_path, "stranded")
    assert found.job == "one-shot"
    assert found.since == at("2026-08-01 06:30")
    assert "it never fires" in found.summary
