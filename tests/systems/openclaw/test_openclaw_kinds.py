"""What releases up to 2026.9.6 record beside runs that end well or badly, and what each of it means to an owner.

The states follow what a real 2026.9.6 wrote beside a model server that was shut off, with jobs of every kind.
"""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.openclaw_stores import LAYOUTS, OF_FILES, Gateway, Json, job
from tests.systems.openclaw.test_openclaw import HOUR, MINUTE, NOW, SECOND, Found, findings, healthy, kinds, one, table
from watchdog.cadence import cron_auto
from watchdog.cadence.cron_parser import CronError
from watchdog.config.settings import Detect
from watchdog.core.instants import from_ms, iso, parse_instant, to_ms
from watchdog.core.model import Snapshot
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.openclaw.section import OpenClaw
from watchdog.systems.openclaw.skips import is_busy, is_wanted
from watchdog.systems.openclaw.source import OpenClawSource
from watchdog.systems.shared.host import Health, Host
from watchdog.systems.shared.inventory import Inventory
from watchdog.systems.shared.writer import UNKNOWN, Writer

PREFLIGHT = (
    "This automation uses local/m but the local provider preflight failed at http://127.0.0.1:39201/v1. The candidate "
    "is unavailable for this run; OpenClaw will retry its provider preflight on a later scheduled run."
)
DAY = 24 * HOUR
HALF = 30 * MINUTE


class Kept:
    """What a source keeps over a restart of the watchdog."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, Any]] = {}

    def recall(self, name: str, kind: type[Any]) -> dict[str, Any]:
        return dict(self.things.get(name, {}))

    def keep(self, name: str, things: Mapping[str, object]) -> None:
        kept = self.things.setdefault(name, {})
        kept.update(things)
        for key in [key for key, value in kept.items() if value is None]:
            del kept[key]


@dataclass
class Seen:
    """What asking for processes gives."""

    now: Writer = UNKNOWN
    by_pid: dict[tuple[int, int | None], Writer] = field(default_factory=dict)

    def of(self, database: Path) -> Writer:
        return self.now

    def named(self, pid: int, ticks: int | None) -> Writer:
        return self.by_pid.get((pid, ticks), Writer(alive=False, pid=pid, ticks=ticks))

    def shares_files(self, pid: int) -> bool:
        return True


def source(folder: Path, host: Host | None = None, **changes: Any) -> OpenClawSource:
    section = OpenClaw(kind="openclaw", **{"state_dir": folder, **changes})
    return OpenClawSource(section, lambda _: None, host)


def runs(gateway: Gateway, *ends: tuple[str, str | None], id_: str = "poll", begins: datetime = NOW) -> datetime:
    """One run after another, half an hour apart; when the last one ended."""
    at = begins
    for status, reason in ends:
        gateway.begin(id_, at)
        said: dict[str, Any] = {"lastError": reason} if reason else {}
        gateway.end(id_, at + SECOND, at + HALF, status, **said)
        at += HALF
    return at - HALF + SECOND


# skipped runs


@pytest.mark.parametrize("layout", LAYOUTS)
def test_three_runs_in_a_row_that_were_skipped_unwanted_are_told(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    watched = source(tmp_path)
    first = NOW + SECOND
    for number in range(1, 5):
        ended = runs(gateway, ("skipped", PREFLIGHT), begins=NOW + (number - 1) * HALF)
        for each in (watched, source(tmp_path)):
            assert kinds(findings(each, ended + SECOND)) == ([("skipping", "poll")] if number > 2 else []), number
    found = one(watched, ended + SECOND, "skipping")
    assert (found.evidence["skipped"], found.since) == (4, first)
    assert "its last 4 runs since 2026-04-06 12:00:01 UTC were skipped: This automation uses local/m" in found.summary
    ended = runs(gateway, ("ok", None), begins=NOW + 4 * HALF)
    assert kinds(findings(watched, ended + SECOND)) == []


@pytest.mark.parametrize(
    "reason",
    [
        "quiet-hours",
        "heartbeat skipped: quiet-hours",
        "empty-heartbeat-file",
        "heartbeat skipped: empty-heartbeat-file",
        "HEARTBEAT.md is effectively empty",
        "disabled",
        "heartbeat skipped: disabled",
        "heartbeats disabled",
        "alerts-disabled",
        "outside active hours",
        "no tasks due",
        "heartbeat skipped: no-route",
        "queued manual run skipped: trigger condition not met",
        "stream batch source no longer current",
    ],
)
def test_a_skip_that_somebody_has_asked_for_is_none(reason: str, tmp_path: Path) -> None:
    assert is_wanted(reason)
    gateway = healthy(tmp_path, "canonical")
    ended = runs(gateway, *[("skipped", reason)] * 12)
    assert kinds(findings(source(tmp_path), ended + SECOND)) == []


@pytest.mark.parametrize(
    "reason",
    [
        PREFLIGHT,
        None,
        "main job requires non-empty systemEvent text",
        'isolated job requires payload.kind="agentTurn" or "command"',
        "heartbeat skipped: unknown-account",
        "handler-unavailable",
        "cron: agent selection required",
        "Inline API key for provider x is temporarily disabled after a billing failure",
        "ollama at http://10.0.0.2:11434 is unreachable",
    ],
)
def test_any_other_skip_is_no_success(reason: str | None, tmp_path: Path) -> None:
    assert not is_wanted(reason)
    gateway = healthy(tmp_path, "canonical")
    ended = runs(gateway, *[("skipped", reason)] * 3)
    assert kinds(findings(source(tmp_path), ended + SECOND)) == [("skipping", "poll")]


def test_wanted_skips_between_say_nothing_either_way(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    night = [("skipped", "heartbeat skipped: quiet-hours")] * 4
    ended = runs(gateway, ("skipped", PREFLIGHT), *night, ("skipped", PREFLIGHT), *night, ("skipped", PREFLIGHT))
    assert one(source(tmp_path), ended + SECOND, "skipping").evidence["skipped"] == 3
    ended = runs(gateway, *night, begins=ended + HALF)
    assert kinds(findings(source(tmp_path), ended + SECOND)) == [("skipping", "poll")]


def test_runs_that_failed_in_between_did_no_work_either(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    ended = runs(gateway, ("error", "fetch failed"), ("skipped", PREFLIGHT), ("error", "fetch failed"))
    assert kinds(findings(source(tmp_path), ended + SECOND)) == [("skipping", "poll")]
    ended = runs(gateway, *[("error", "fetch failed")] * 2, begins=ended + HALF)
    assert kinds(findings(source(tmp_path), ended + SECOND)) == [("failing", "poll")]


def test_a_busy_session_is_patiently_waited_for_and_not_for_ever(tmp_path: Path) -> None:
    assert is_busy("heartbeat skipped: requests-in-flight")
    gateway = healthy(tmp_path, "wide")
    ended = runs(gateway, *[("skipped", "requests-in-flight")] * 9)
    assert kinds(findings(source(tmp_path), ended + SECOND)) == []
    ended = runs(gateway, ("skipped", "requests-in-flight"), begins=ended + HALF)
    assert kinds(findings(source(tmp_path), ended + SECOND)) == [("skipping", "poll")]


def test_where_no_log_is_left_the_stores_own_count_tells(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    ended = runs(gateway, *[("skipped", PREFLIGHT)] * 5)
    gateway.execute("DELETE FROM task_runs")
    found = one(source(tmp_path), ended + SECOND, "skipping")
    assert (found.evidence["skipped"], found.since) == (5, ended)


def test_the_threshold_of_one_job_can_be_another(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    ended = runs(gateway, *[("skipped", PREFLIGHT)] * 4)
    seen = source(tmp_path).look(ended).snapshot
    patient = Detect.validated({"jobs": [{"match": "poll", "skipping": {"streak": 6}}]})
    assert diagnose(seen, ended, patient).findings == ()


ONCE = {"kind": "at", "at": "2026-04-06T12:00:00.000Z"}


@pytest.mark.parametrize("reason", [PREFLIGHT, "disabled", "quiet-hours"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_one_shot_that_was_skipped_and_set_aside_has_not_run(layout: str, reason: str, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, layout)
    gateway.boot(NOW - HOUR)
    gateway.add(job("once", ONCE), NOW, NOW - HOUR)
    gateway.begin("once", NOW)
    gateway.jobs["once"]["enabled"] = False
    gateway.end("once", NOW + SECOND, None, "skipped", lastError=reason)
    watched = source(tmp_path)
    found = one(watched, NOW + MINUTE, "skipping")
    assert kinds(findings(watched, NOW + MINUTE)) == [("skipping", "once")]
    assert found.summary.startswith("once has not run: it was skipped at 2026-04-06 12:00:01 UTC and set aside: ")
    assert watched.look(NOW + MINUTE).snapshot.jobs[0].state == "disabled"
    gateway.jobs["once"] |= {"enabled": True, "schedule": {"kind": "at", "at": iso(NOW + DAY)}}
    gateway.states["once"]["nextRunAtMs"] = to_ms(NOW + DAY)
    gateway.updated["once"] = to_ms(NOW + 2 * MINUTE)
    gateway.persist()
    assert kinds(findings(watched, NOW + 3 * MINUTE)) == []


def test_a_one_shot_that_is_tried_again_is_waited_for(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "canonical")
    gateway.add(job("once", ONCE), NOW, NOW - HOUR)
    gateway.begin("once", NOW)
    gateway.end("once", NOW + SECOND, NOW + MINUTE, "skipped", lastError="disabled")
    assert kinds(findings(source(tmp_path), NOW + 2 * SECOND)) == []


def test_a_one_shot_that_is_skipped_without_end_is_told(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "inline")  # releases of early 2026 leave it on, and run it again at once
    gateway.add(job("once", ONCE), NOW, NOW - HOUR)
    for number in range(4):
        at = NOW + number * SECOND
        gateway.begin("once", at)
        gateway.end("once", at, NOW, "skipped", lastError="empty-heartbeat-file")
    assert ("skipping", "once") in kinds(findings(source(tmp_path), NOW + 5 * SECOND))


# jobs that wait for something

ON_EXIT = {"kind": "on-exit", "command": "sleep 3600"}
STREAM = {"kind": "stream", "command": ["tail", "-f", "x"], "mode": "line"}


@pytest.mark.parametrize("schedule", [ON_EXIT, STREAM], ids=["on-exit", "stream"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_job_that_waits_for_something_has_no_next_run_and_is_well(
    layout: str, schedule: Json, tmp_path: Path
) -> None:
    gateway = Gateway(tmp_path, layout)
    gateway.add(job("wait", schedule), None, NOW)
    gateway.persist()
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW + DAY)) == []
    gateway.begin("wait", NOW + DAY)
    assert kinds(findings(watched, NOW + DAY + MINUTE)) == []
    gateway.jobs["wait"]["enabled"] = schedule is STREAM
    gateway.end("wait", NOW + DAY + 2 * MINUTE, None)
    for each in (watched, source(tmp_path)):
        assert kinds(findings(each, NOW + 9 * DAY)) == []
    assert watched.look(NOW + 9 * DAY).snapshot.jobs[0].state == ("active" if schedule is STREAM else "completed")


def test_a_payload_that_hangs_is_wedged_for_such_a_job_too(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "canonical")
    gateway.boot(NOW - HOUR)
    gateway.add(job("wait", STREAM), None, NOW)
    gateway.begin("wait", NOW)
    assert kinds(findings(source(tmp_path), NOW + 21 * MINUTE))[-1] == ("wedged", "wait")


def test_a_stream_may_follow_as_many_events_as_come(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "canonical")
    gateway.add(job("feed", STREAM), None, NOW)
    for number in range(40):
        gateway.begin("feed", NOW + number * MINUTE)
        gateway.end("feed", NOW + number * MINUTE + 5 * SECOND, None)
    assert kinds(findings(source(tmp_path), NOW + 41 * MINUTE)) == []


def test_a_stream_whose_command_is_not_started_any_more_was_given_up(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "canonical")
    gateway.add(job("feed", STREAM), None, NOW)
    gateway.states["feed"] |= {"streamStatus": "error", "streamError": "exit 1", "streamRestartExhausted": True}
    gateway.persist()
    assert kinds(findings(source(tmp_path), NOW + MINUTE)) == [("failed", "feed")]


def test_an_exit_whose_payload_failed_or_was_skipped_is_told(tmp_path: Path) -> None:
    for status, kind in (("error", "failed"), ("skipped", "skipping")):
        gateway = Gateway(tmp_path / status, "canonical")
        gateway.add(job("wait", ON_EXIT, enabled=False), None, NOW)
        gateway.begin("wait", NOW)
        gateway.end("wait", NOW + MINUTE, None, status, lastError=PREFLIGHT)
        assert kinds(findings(source(tmp_path / status), NOW + 2 * MINUTE)) == [(kind, "wait")]
        gateway.updated["wait"] = to_ms(NOW + HOUR)  # somebody has switched it off since
        gateway.persist()
        left = [] if status == "error" else [(kind, "wait")]
        assert kinds(findings(source(tmp_path / status), NOW + 2 * HOUR)) == left


# a job that watches a condition


@pytest.mark.parametrize("layout", ["wide", "canonical"])
def test_a_condition_that_was_looked_at_and_did_not_hold_is_all_that_was_due(layout: str, tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, layout)
    gateway.add(job("watch", EVERY_35, trigger={"script": "json({fire: false})"}), NOW, NOW - MINUTE)
    gateway.persist()
    watched = source(tmp_path)
    for number in range(20):
        at = NOW + number * 35 * SECOND
        assert kinds(findings(watched, at)) == []
        gateway.states["watch"] |= {"lastTriggerEvalAtMs": to_ms(at) + 400, "nextRunAtMs": to_ms(at + 35 * SECOND)}
        gateway.updated["watch"] = to_ms(at) + 400
        gateway.persist()
        assert kinds(findings(watched, at + SECOND)) == []
        assert kinds(findings(source(tmp_path), at + SECOND)) == []
    assert ("overdue", "watch") in kinds(findings(watched, at + 3 * MINUTE))


EVERY_35 = {"kind": "every", "everyMs": 35_000}


# pacing


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_job_that_paces_itself_is_due_when_it_says(layout: str, tmp_path: Path) -> None:
    pacing = {"min": "15m", "max": "4h"}
    gateway = healthy(tmp_path, layout, {"kind": "every", "everyMs": 300_000}, pacing=pacing)
    watched = source(tmp_path)
    gateway.begin("poll", NOW)
    paced = NOW + 3 * HOUR
    gateway.end("poll", NOW + MINUTE, paced, pacedNextRunAtMs=to_ms(paced))
    for now in (NOW + 2 * MINUTE, NOW + HOUR, paced + MINUTE):
        for each in (watched, source(tmp_path)):
            assert kinds(findings(each, now)) == [], now
    assert ("overdue", "poll") in kinds(findings(watched, paced + 2 * MINUTE))


@pytest.mark.parametrize(
    ("ahead", "more", "expected"),
    [
        (3 * HOUR, {}, ""),  # a release, or a script, that does not write the deadline down beside
        (5 * HOUR, {}, "overdue poll, stranded poll"),
        (5 * HOUR, {"pacedNextRunAtMs": to_ms(NOW + MINUTE)}, "overdue poll, stranded poll"),
    ],
)
def test_what_a_job_may_wait_is_what_its_definition_allows(
    ahead: timedelta, more: Json, expected: str, tmp_path: Path
) -> None:
    gateway = healthy(tmp_path, "canonical", {"kind": "every", "everyMs": 300_000}, pacing={"min": "1m", "max": "4h"})
    gateway.begin("poll", NOW)
    gateway.end("poll", NOW + MINUTE, NOW + ahead, **more)
    found = kinds(findings(source(tmp_path), NOW + 20 * MINUTE))
    assert set(found) <= set(table(expected))
    assert bool(found) is bool(expected)


def test_a_loop_that_goes_as_fast_as_it_may_runs_away_from_nobody(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical", {"kind": "every", "everyMs": 3_600_000}, pacing={"min": "1m", "max": "1h"})
    for number in range(40):
        at = NOW + number * MINUTE
        gateway.begin("poll", at)
        gateway.end("poll", at + SECOND, at + MINUTE, pacedNextRunAtMs=to_ms(at + MINUTE))
    assert kinds(findings(source(tmp_path), at + 2 * SECOND)) == []


def test_runs_that_somebody_asked_for_and_skipped_ones_are_no_runaway(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical", {"kind": "every", "everyMs": 3_600_000})
    for number in range(30):
        at = NOW + number * MINUTE
        gateway.begin("poll", at)
        gateway.end("poll", at + SECOND, NOW + HOUR, more={"runId": f"manual:poll:{number}"})
    assert kinds(findings(source(tmp_path), at + MINUTE)) == []


# croner's default mode


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(
    ("expr", "ahead"),
    [
        ("@daily", 12 * HOUR),
        ("@DAILY", 12 * HOUR),
        (" @Midnight ", 12 * HOUR),
        ("@hourly", HOUR),
        ("@weekly", 6 * DAY - 12 * HOUR),
        ("@monthly", 24 * DAY + 12 * HOUR),
        ("@yearly", 269 * DAY + 12 * HOUR),
        ("@annually", 269 * DAY + 12 * HOUR),
        ("0 0 4 * * * 2027", 269 * DAY + 16 * HOUR),
        ("*/10 * * * * *", 10 * SECOND),
    ],
)
def test_nicknames_seconds_and_years_are_read_as_the_gateway_plans_them(
    expr: str, ahead: timedelta, layout: str, tmp_path: Path
) -> None:
    gateway = healthy(tmp_path, layout, {"kind": "cron", "expr": expr, "tz": "UTC"})
    gateway.begin("poll", NOW)
    gateway.end("poll", NOW + SECOND, NOW + ahead)
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW + 2 * SECOND)) == []
    assert cron_auto.parse(expr, "UTC").next(to_ms(NOW)) == to_ms(NOW + ahead)
    assert ("overdue", "poll") in kinds(findings(watched, NOW + ahead + 62 * SECOND))
    gateway.states["poll"]["nextRunAtMs"] = to_ms(NOW + ahead + 400 * DAY)
    gateway.updated["poll"] = to_ms(NOW + MINUTE)
    gateway.persist()
    assert ("stranded", "poll") in kinds(findings(source(tmp_path), NOW + 2 * MINUTE))


@pytest.mark.parametrize(
    "expr", ["@reboot", "@never", "@", "* * * *", "0 0 4 * * * 0", "0 0 4 * * * 2027 9", "61 * * * *"]
)
def test_what_croner_refuses_is_invalid(expr: str, tmp_path: Path) -> None:
    healthy(tmp_path, "canonical", {"kind": "cron", "expr": expr})
    assert ("invalid", "poll") in kinds(findings(source(tmp_path), NOW))
    with pytest.raises(CronError):
        cron_auto.parse(expr, "UTC")


@pytest.mark.parametrize(
    ("expr", "zone", "after", "fires"),
    [
        # as croner 10.0.1 answers
        ("0 0 4 * * * 2027", "Europe/Berlin", "2026-11-26T00:00:00Z", ["2027-01-01T03:00:00Z", "2027-01-02T03:00:00Z"]),
        (
            "0 30 23 31 12 * 2026,2028",
            "America/New_York",
            "2026-12-31T00:00:00Z",
            ["2027-01-01T04:30:00Z", "2029-01-01T04:30:00Z"],
        ),
        ("0 0 0 29 2 * 2027-2031", "UTC", "2026-01-01T00:00:00Z", ["2028-02-29T00:00:00Z", None]),
        ("0 0 12 1 1 * */100", "UTC", "2026-01-01T00:00:00Z", ["2101-01-01T12:00:00Z", "2201-01-01T12:00:00Z"]),
        ("0 0 4 * * * 2020", "UTC", "2026-01-01T00:00:00Z", [None]),
    ],
)
def test_years_bound_what_fires(expr: str, zone: str, after: str, fires: list[str | None]) -> None:
    plan, at = cron_auto.parse(expr, zone), to_ms(parse_instant(after))
    for expected in fires:
        found = plan.next(at)
        assert (iso(from_ms(found)) if found is not None else None) == expected
        if found is not None:
            assert plan.at_or_before(found) == found
            at = found


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.integers(2020, 2040), st.integers(0, 400), st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"]))
def test_a_year_is_that_of_the_zone_and_both_ways_agree(year: int, days: int, zone: str) -> None:
    plan = cron_auto.parse(f"0 15 7 * * * {year}-{year + 1}", zone)
    at = to_ms(parse_instant(f"{year}-01-01T00:00:00Z")) + days * 86_400_000
    fire = plan.next(at)
    if fire is not None:
        assert plan.at_or_before(fire + 1) == fire
        assert plan.next(fire - 1) == fire
    last = plan.at_or_before(at)
    assert last is None or (last <= at and (plan.next(last) or at + 1) > at)


# whether its process is there


def alive(pid: int = 4711, started: datetime = NOW - DAY, **changes: Any) -> Writer:
    return Writer(**{"alive": True, "stopped": False, "pid": pid, "started_at": started, "ticks": pid * 10, **changes})


def in_flight(folder: Path, layout: str) -> Gateway:
    """A job in mid-run since NOW and another that is due in a day."""
    gateway = healthy(folder, layout)
    gateway.add(job("other", EVERY_DAY), NOW + DAY, NOW - HOUR)
    gateway.begin("poll", NOW)
    return gateway


EVERY_DAY = {"kind": "every", "everyMs": 86_400_000}


def watch(watched: OpenClawSource, begins: datetime, lasts: timedelta) -> dict[tuple[str, str | None], datetime]:
    """What is found, and when first, by one who looks every two seconds."""
    found: dict[tuple[str, str | None], datetime] = {}
    at = begins
    while at <= begins + lasts:
        for each in kinds(findings(watched, at)):
            found.setdefault(each, at)
        at += 2 * SECOND
    return found


def locked(gateway: Gateway, folder: Path, ticks: int = 47110) -> Path:
    lock = gateway.lock(NOW - DAY)
    held = {"pid": 4711, "createdAt": iso(NOW - DAY), "configPath": "/x", "startTime": ticks}
    lock.write_text(json.dumps(held))
    return lock


@pytest.mark.parametrize("fate", ["killed", "frozen"])
@pytest.mark.parametrize("layout", ["inline", "split", "canonical"])
def test_a_gateway_that_dies_or_freezes_in_mid_run_is_told_within_minutes(
    layout: str, fate: str, tmp_path: Path
) -> None:
    seen = Seen(alive(), {(4711, 47110): alive()})
    folder = tmp_path / "state"
    lock = locked(in_flight(folder, layout), folder)
    watched = source(folder, Host(writers=seen), lock=lock)
    assert watch(watched, NOW + SECOND, MINUTE) == {}
    last = Writer(alive=False) if fate == "killed" else alive(stopped=True)
    seen.now = last
    seen.by_pid = {} if fate == "killed" else {(4711, 47110): last}
    found = watch(watched, NOW + MINUTE, 5 * MINUTE)
    assert found[("stalled", None)] <= NOW + MINUTE + 124 * SECOND
    assert set(found) <= {("stalled", None), ("overdue", "poll"), ("interrupted", "poll")}
    said = one(watched, NOW + 6 * MINUTE, "stalled").summary
    assert ("its process is down" if fate == "killed" else "its process is frozen") in said
    assert "poll" in said


@pytest.mark.parametrize("layout", ["inline", "canonical"])
def test_a_gateway_that_is_replaced_in_mid_run_is_no_stall(layout: str, tmp_path: Path) -> None:
    seen = Seen(alive(), {(4711, 47110): alive()})
    folder = tmp_path / "state"
    gateway = in_flight(folder, layout)
    lock = locked(gateway, folder)
    watched = source(folder, Host(writers=seen), lock=lock)
    assert watch(watched, NOW + SECOND, MINUTE) == {}
    seen.now, seen.by_pid = Writer(alive=False), {}
    assert set(watch(watched, NOW + MINUTE, 80 * SECOND)) <= {("interrupted", "poll"), ("overdue", "poll")}
    back = NOW + 141 * SECOND
    seen.now, seen.by_pid = alive(5000, back), {(5000, 50000): alive(5000, back)}
    lock.write_text(json.dumps({"pid": 5000, "createdAt": iso(back), "configPath": "/x", "startTime": 50000}))
    gateway.boot(back)
    gateway.start_over("poll", back + 5 * SECOND, NOW + HALF)
    assert ("stalled", None) not in watch(watched, back + 6 * SECOND, 10 * MINUTE)


def test_one_look_at_a_gateway_that_is_known_to_be_gone_tells_it_at_once(tmp_path: Path) -> None:
    in_flight(tmp_path, "canonical")
    Path(f"{tmp_path}/state/openclaw.sqlite-shm").write_bytes(b"")
    watched = source(tmp_path, Host(writers=Seen(Writer(alive=False))))
    assert ("stalled", None) in kinds(findings(watched, NOW + 2 * MINUTE))


@pytest.mark.parametrize("layout", ["inline", "split"])
def test_a_pid_of_another_container_proves_nothing(layout: str, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    lock = locked(in_flight(folder, layout), folder)
    watched = source(folder, Host(writers=Seen()), lock=lock)
    assert watch(watched, NOW + SECOND, 10 * MINUTE) == {}


def test_where_the_process_cannot_be_asked_the_due_times_of_the_others_tell(tmp_path: Path) -> None:
    gateway = in_flight(tmp_path, "canonical")
    gateway.states["other"]["nextRunAtMs"] = to_ms(NOW + 5 * MINUTE)
    gateway.persist()
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW + 6 * MINUTE)) == []
    assert kinds(findings(watched, NOW + 7 * MINUTE)) == [("overdue", "other"), ("stalled", None)]


def test_with_all_workers_busy_a_late_job_waits_for_its_turn(tmp_path: Path) -> None:
    gateway = in_flight(tmp_path, "canonical")
    gateway.states["other"]["nextRunAtMs"] = to_ms(NOW + 5 * MINUTE)
    for number in range(7):
        gateway.add(job(f"busy{number}", EVERY_DAY), NOW, NOW - HOUR)
        gateway.begin(f"busy{number}", NOW)
    assert kinds(findings(source(tmp_path), NOW + 7 * MINUTE)) == [("overdue", "other")]


def test_an_address_that_refuses_tells_that_the_run_in_flight_is_over(tmp_path: Path) -> None:
    in_flight(tmp_path, "inline")
    told = Health()
    host = Host(health=lambda: told)
    watched = source(tmp_path, host)
    assert watch(watched, NOW + SECOND, MINUTE) == {}
    found: dict[tuple[str, str | None], datetime] = {}
    at = NOW + MINUTE
    while at < NOW + 6 * MINUTE:
        told = Health("refused", at)
        for each in kinds(findings(watched, at)):
            found.setdefault(each, at)
        at += 2 * SECOND
    assert found[("stalled", None)] <= NOW + 4 * MINUTE


def test_a_manual_run_that_a_restart_killed_is_not_in_flight_any_more(tmp_path: Path) -> None:
    seen = Seen(by_pid={(4711, 47110): alive()})
    folder = tmp_path / "state"
    gateway = healthy(folder, "inline")
    lock = locked(gateway, folder)
    watched = source(folder, Host(writers=seen), lock=lock)
    gateway.begin("poll", NOW - 10 * MINUTE)  # by hand, before its time
    assert watched.look(NOW - 9 * MINUTE).snapshot.jobs[0].in_flight_since
    seen.by_pid = {}
    assert watched.look(NOW - 8 * MINUTE).snapshot.jobs[0].in_flight_since is None


# interruptions, deliveries and what is remembered


@pytest.mark.parametrize("layout", ["split", "wide", "canonical"])
def test_a_day_that_a_restart_has_cost_stands_until_the_job_has_run(layout: str, tmp_path: Path) -> None:
    daily = {"kind": "cron", "expr": "0 12 * * *", "tz": "UTC"}
    gateway = healthy(tmp_path, layout, daily)
    watched = source(tmp_path)
    gateway.begin("poll", NOW)
    gateway.boot(NOW + MINUTE)
    gateway.start_over("poll", NOW + 2 * MINUTE, NOW + DAY)
    for hours in (1, 12, 23):
        for each in (watched, source(tmp_path)):
            assert kinds(findings(each, NOW + hours * HOUR)) == [("interrupted", "poll")]
    late = kinds(findings(watched, NOW + DAY + 5 * MINUTE))  # by now the next day's is owed
    assert set(late) == {("overdue", "poll"), ("stalled", None)}
    gateway.begin("poll", NOW + DAY + 6 * MINUTE)
    gateway.end("poll", NOW + DAY + 7 * MINUTE, NOW + 2 * DAY)
    assert kinds(findings(watched, NOW + DAY + 8 * MINUTE)) == []


def test_an_interruption_that_is_tried_again_says_so(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical", {"kind": "cron", "expr": "0 12 * * *", "tz": "UTC"})
    gateway.begin("poll", NOW)
    gateway.boot(NOW + MINUTE)
    gateway.start_over("poll", NOW + 2 * MINUTE, NOW + 3 * MINUTE)
    assert (
        "it is tried again at 2026-04-06 12:03 UTC" in one(source(tmp_path), NOW + 150 * SECOND, "interrupted").summary
    )


def lost(gateway: Gateway, number: int, **more: Any) -> datetime:
    at = NOW + number * HALF
    gateway.begin("poll", at)
    gateway.end("poll", at + SECOND, at + HALF, lastDeliveryStatus="not-delivered", **more)
    return at + 2 * SECOND


@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_that_reach_nobody_again_and_again_are_lost(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    gateway.begin("poll", NOW - 20 * MINUTE)
    gateway.end("poll", NOW - 19 * MINUTE, NOW, lastDeliveryStatus="delivered")
    watched = source(tmp_path)
    for number in range(4):
        now = lost(gateway, number)
        assert kinds(findings(watched, now)) == ([("undelivered", "poll")] if number >= 2 else [])
    gateway.begin("poll", NOW + 4 * HALF)
    gateway.end("poll", NOW + 4 * HALF + SECOND, NOW + 5 * HALF, lastDeliveryStatus="delivered")
    assert kinds(findings(watched, NOW + 4 * HALF + MINUTE)) == []


@pytest.mark.parametrize(
    ("changes", "more"),
    [
        ({"delivery": {"mode": "none"}}, {}),
        ({"delivery": {}}, {}),
        ({}, {"deliverySuppressionReason": "silent", "more": {"deliverySuppressionReason": "silent"}}),
        ({}, {"more": {"summary": "NO_REPLY"}}),
        ({}, {"more": {"summary": "HEARTBEAT_OK"}}),
    ],
)
def test_who_chooses_to_be_silent_is_not_lost(changes: Json, more: Json, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical", **changes)
    gateway.begin("poll", NOW - 20 * MINUTE)
    gateway.end("poll", NOW - 19 * MINUTE, NOW, lastDeliveryStatus="delivered")
    for number in range(5):
        now = lost(gateway, number, **more)
    assert kinds(findings(source(tmp_path), now)) == []


def test_a_job_of_which_nothing_ever_arrived_is_left_alone(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "inline")
    for number in range(5):
        now = lost(gateway, number)
    assert kinds(findings(source(tmp_path), now)) == []


@pytest.mark.parametrize("layout", ["wide", "canonical"])
def test_that_a_job_once_used_tokens_is_remembered_longer_than_its_store_does(layout: str, tmp_path: Path) -> None:
    kept = Kept()
    gateway = healthy(tmp_path, layout, {"kind": "every", "everyMs": 604_800_000})
    gateway.states["poll"]["nextRunAtMs"] = to_ms(NOW + 7 * DAY)
    gateway.persist()
    source(tmp_path, Host(memory=kept)).look(NOW)
    for week in range(1, 4):
        at = NOW + week * 7 * DAY
        # seven days of runs are kept there
        gateway.execute("DELETE FROM task_runs WHERE started_at < ?", to_ms(at - 6 * DAY))
        if layout == "wide":
            gateway.execute("DELETE FROM cron_run_logs WHERE ts < ?", to_ms(at - 6 * DAY))
        gateway.begin("poll", at)
        gateway.end("poll", at + SECOND, at + 7 * DAY, usage=None)
        for _ in range(2):  # the watchdog is restarted each week, and then once more
            found = kinds(findings(source(tmp_path, Host(memory=kept)), at + MINUTE))
            assert found == ([("zero_tokens", "poll")] if week == 3 else [])


# stores


def side_by_side(folder: Path, layout: str = "canonical") -> tuple[Gateway, Gateway]:
    newer = Gateway(folder, layout)
    older = healthy(folder, "inline")
    return newer, older


def test_after_a_downgrade_what_only_the_newer_store_has_is_told(tmp_path: Path) -> None:
    newer = healthy(tmp_path, "canonical")
    for name in ("a", "b", "c"):
        newer.add(job(name, EVERY_DAY), NOW + DAY, NOW - HOUR)
    newer.persist()
    older = healthy(tmp_path, "inline")
    older.begin("poll", NOW)
    older.end("poll", NOW + MINUTE, NOW + HALF)
    found = findings(source(tmp_path), NOW + 2 * MINUTE)
    assert kinds(found) == table("invalid a, invalid b, invalid c")
    assert "stands only in the newer store" in found[0].summary


def test_jobs_of_another_place_in_one_database_are_not_the_gateways(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    old = to_ms(NOW - 30 * DAY)
    for id_ in ("poll", "gone"):
        shown, state = json.dumps(job(id_, EVERY_DAY)), json.dumps({"nextRunAtMs": old})
        values = ("/old/jobs.json", id_, id_, 1, shown, state, old, old)
        gateway.execute("INSERT INTO cron_jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *values)
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW - MINUTE)) == [("blind", None)]
    assert "jobs of another place that the gateway does not read: gone" in findings(watched, NOW - MINUTE)[0].summary
    assert [each.id for each in watched.look(NOW).snapshot.jobs] == ["poll"]


def test_jobs_that_an_update_has_doubled_are_told_once_each(tmp_path: Path) -> None:
    for layout in LAYOUTS:
        gateway = healthy(tmp_path / layout, layout)
        twin = {**gateway.jobs["poll"], "id": "poll2", "createdAtMs": to_ms(NOW - MINUTE)}
        twin["schedule"] = {**twin["schedule"], "anchorMs": 5}
        gateway.jobs["poll"]["agentId"] = "main"  # which the copies lose
        gateway.add(twin, NOW, NOW - MINUTE)
        gateway.persist()
        watched = source(tmp_path / layout)
        found = findings(watched, NOW - SECOND)
        assert kinds(found) == [("duplicate", "poll")]
        assert (found[0].job_id, found[0].evidence["twin_job_id"]) == ("poll2", "poll")
        gateway.jobs["poll2"]["enabled"] = False
        gateway.persist()
        assert kinds(findings(watched, NOW - SECOND)) == []


def test_jobs_that_differ_in_what_they_do_are_no_twins(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    others: tuple[Json, ...] = (
        {"payload": {"kind": "agentTurn", "message": "other"}},
        {"delivery": {"mode": "announce", "to": "-200"}},
        {"schedule": {"kind": "every", "everyMs": 5_000_000}},
        {"agentId": "b"},
        {"name": "poll too"},
    )
    for number, changes in enumerate(others):
        gateway.add({**gateway.jobs["poll"], "id": f"j{number}", **changes}, NOW, NOW - MINUTE)
    gateway.persist()
    assert "duplicate" not in {kind for kind, _ in kinds(findings(source(tmp_path), NOW - SECOND))}


@pytest.mark.parametrize("layout", OF_FILES)
def test_a_store_that_was_edited_by_hand_is_read_as_the_gateway_reads_it(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    path = tmp_path / "cron" / "jobs.json"
    text = path.read_text()
    path.write_text("// the morning jobs\n" + text.replace('"version"', "version").rstrip("}\n ") + ",\n/* end */}\n")
    assert "version: 1" in path.read_text()
    watched = source(tmp_path)
    assert [each.id for each in watched.look(NOW).snapshot.jobs] == ["poll"]
    path.write_text(path.read_text()[:-60])
    assert "it is half-written or damaged" in str(source(tmp_path).look(NOW).snapshot.problem)
    del gateway


HERMES = {
    "jobs": [
        {
            "id": "8749fb188958",
            "name": "ok",
            "prompt": "Say hello.",
            "schedule": {"kind": "interval", "minutes": 1, "display": "every 1m"},
            "schedule_display": "every 1m",
            "enabled": True,
            "state": "scheduled",
            "next_run_at": "2026-11-25T22:19:44+01:00",
            "last_run_at": None,
        }
    ],
    "updated_at": "2026-11-25T22:19:00+01:00",
}
NANOBOT = {
    "version": 1,
    "jobs": [
        {
            "id": "87f8ed59",
            "name": "ok",
            "enabled": True,
            "schedule": {"kind": "every", "atMs": None, "everyMs": 30000, "expr": None, "tz": None},
            "payload": {"kind": "agent_turn", "message": "Tick.", "deliver": False, "channel": None, "to": None},
            "state": {"nextRunAtMs": 1795641647209, "lastStatus": "ok", "runHistory": []},
        }
    ],
}


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (HERMES, "it is Hermes' (kind: hermes"),
        ({"jobs": [], "updated_at": "2026-11-25T22:19:00+01:00"}, "it is Hermes' (kind: hermes"),
        (NANOBOT, "it is nanobot's or picoclaw's (kind: json"),
        ([{"job": {"id": "1"}, "one_shot": False}], "it is OpenFang's or LibreFang's (kind: json"),
    ],
)
def test_another_agents_store_is_named_as_what_it_is(store: Any, said: str, tmp_path: Path) -> None:
    path = tmp_path / "cron" / "jobs.json"
    path.parent.mkdir()
    path.write_text(json.dumps(store))
    for watched in (source(tmp_path), source(tmp_path, state_dir=None, store=path)):
        found = one(watched, NOW, "unreachable")
        assert f"{path} is not OpenClaw's store: {said}" in found.summary


def test_an_empty_store_of_its_own_is_no_other_agents(tmp_path: Path) -> None:
    path = tmp_path / "cron" / "jobs.json"
    path.parent.mkdir()
    path.write_text('{"version": 1, "jobs": []}')
    assert kinds(findings(source(tmp_path), NOW)) == []


@pytest.mark.parametrize("has_database", [True, False])
def test_a_gateway_that_has_had_no_job_yet_is_well(has_database: bool, tmp_path: Path) -> None:
    (tmp_path / "openclaw.json").write_text("{}")
    if has_database:
        (tmp_path / "state").mkdir()
        with closing(sqlite3.connect(tmp_path / "state" / "openclaw.sqlite")) as connection:
            connection.execute("CREATE TABLE schema_meta (x)")
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW)) == []
    gateway = healthy(tmp_path, "canonical" if has_database else "inline")
    assert [each.id for each in watched.look(NOW).snapshot.jobs] == ["poll"]
    gateway.store.unlink()
    assert kinds(findings(watched, NOW + SECOND)) == [("unreachable", None)]


def test_a_store_without_the_logs_of_its_runs_says_what_it_hides(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "inline")
    store = tmp_path / "alone.json"
    store.write_bytes(gateway.store.read_bytes())
    watched = source(tmp_path, state_dir=None, store=store)
    assert kinds(findings(watched, NOW)) == [("blind", None)]
    assert "zero_tokens and runaway cannot be judged" in findings(watched, NOW)[0].summary


# late around a start, and behind a short batch


def test_a_job_that_was_late_before_a_start_stays_late_until_it_has_run(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    watched = source(tmp_path)
    assert ("overdue", "poll") in kinds(findings(watched, NOW + 65 * SECOND))
    gateway.boot(NOW + 70 * SECOND)
    for at in (71, 90, 150, 200):
        assert kinds(findings(watched, NOW + at * SECOND)) == [("overdue", "poll")], at
    gateway.begin("poll", NOW + 210 * SECOND)
    gateway.end("poll", NOW + 215 * SECOND, NOW + HALF)
    assert kinds(findings(watched, NOW + 216 * SECOND)) == []


def test_a_job_that_came_due_while_it_was_replaced_is_given_the_start(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW + 30 * SECOND)) == []
    gateway.boot(NOW + 40 * SECOND)
    for at in (41, 100, 200):
        assert kinds(findings(watched, NOW + at * SECOND)) == [], at


def test_a_job_that_fires_every_second_waits_for_a_batch_of_three(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "inline", {"kind": "every", "everyMs": 1000})
    gateway.begin("poll", NOW - SECOND)
    gateway.end("poll", NOW - SECOND, NOW)
    gateway.add(job("slow", EVERY_DAY), NOW, NOW - HOUR)
    gateway.begin("slow", NOW)
    for tenths in range(0, 60, 5):
        assert kinds(findings(source(tmp_path), NOW + tenths * SECOND / 10)) == []
    assert ("overdue", "poll") in kinds(findings(source(tmp_path), NOW + 30 * SECOND))


def seen_by_inventory(snapshot: Snapshot, inventory: Inventory, now: datetime, folder: Path) -> Found:
    section = OpenClaw(kind="openclaw", state_dir=folder)
    return kinds(diagnose(inventory.see(section, snapshot, now, now - SECOND), now, Detect()).findings)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_jobs_that_an_upgrade_has_dropped_are_told_by_who_knew_them(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    for number in range(9):
        gateway.add(job(f"j{number}", EVERY_DAY), NOW + DAY, NOW - HOUR)
    gateway.persist()
    watched, inventory = source(tmp_path), Inventory()
    assert seen_by_inventory(watched.look(NOW).snapshot, inventory, NOW, tmp_path) == []
    for number in range(9):
        del gateway.jobs[f"j{number}"]
    gateway.persist()
    at = NOW + 10 * SECOND
    seen_by_inventory(watched.look(at).snapshot, inventory, at, tmp_path)
    at += 2 * MINUTE
    found = seen_by_inventory(watched.look(at - 100 * SECOND).snapshot, inventory, at, tmp_path)
    assert [kind for kind, _ in found].count("vanished") == 9
