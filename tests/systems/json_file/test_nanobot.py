"""What a real gateway of nanobot 0.3.5 wrote gives what was true of it."""

import json
import os
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.linux import needs_proc
from tests.support.sqlite_writers import Opener
from tests.systems.json_file.nanobot import lay_out
from watchdog.config.settings import Detect
from watchdog.core.kinds import Kind
from watchdog.core.model import Finding
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.json_file.section import JsonFile
from watchdog.systems.json_file.source import JsonSource, open_json
from watchdog.systems.shared.host import Health, Host
from watchdog.systems.shared.writer import LiveWriters

ALWAYS = {("stranded", "once-past"), ("invalid", "bad-cron"), ("failed", "unbound")}
"""A time that passed while it was down; an expression that it cannot read; a job that it disabled itself."""

NO_MODEL = {("zero_tokens", "zero-30s"), ("zero_tokens", "auth-30s")}
"""Runs that are written down as ok: of one no tokens were reported, of the other each call was answered with 401."""

LATE = {("overdue", "ok-30s"), ("overdue", "zero-30s"), ("overdue", "auth-30s")}

HANGS = ("in_flight", "hang-30s")


def source(workspace: Path, host: Host | None = None, **more: Any) -> JsonSource:
    given = {"kind": "json", "preset": "nanobot", "folder": str(workspace), "timezone": "Europe/Berlin", **more}
    return open_json(JsonFile.validated(given), host or Host())


def findings(workspace: Path, now: datetime) -> tuple[Finding, ...]:
    snapshot = source(workspace).look(now).snapshot
    assert snapshot.problem is None
    assert not snapshot.unseen
    return diagnose(snapshot, now, Detect()).findings


def test_where_no_call_of_its_model_is_on_record_it_says_that_it_cannot_tell_work_from_none(tmp_path: Path) -> None:
    workspace, now = lay_out("healthy", tmp_path)
    (tmp_path / "llm_usage.sqlite3").rename(tmp_path / "elsewhere.sqlite3")
    snapshot = source(workspace).look(now).snapshot
    blind = [finding for finding in diagnose(snapshot, now, Detect()).findings if finding.kind == "blind"]
    assert [finding.evidence["hidden"] for finding in blind] == [["zero_tokens"]]
    assert f"{tmp_path}/llm_usage.sqlite3" in blind[0].summary


@pytest.mark.parametrize(("says", "is_told"), [({"database": "../elsewhere.sqlite3"}, NO_MODEL), (None, set())])
def test_where_its_calls_are_on_record_can_be_said_or_that_none_are_kept(
    says: Any, is_told: set[tuple[str, str]], tmp_path: Path
) -> None:
    workspace, now = lay_out("healthy", tmp_path)
    (tmp_path / "llm_usage.sqlite3").rename(tmp_path / "elsewhere.sqlite3")
    snapshot = source(workspace, model_calls=says).look(now).snapshot
    assert not snapshot.unseen
    assert {each for each in told(diagnose(snapshot, now, Detect()).findings) if each[0] == "zero_tokens"} == is_told


def told(found: tuple[Finding, ...]) -> set[tuple[str, str | None]]:
    return {(finding.kind.value, finding.job) for finding in found}


@pytest.mark.parametrize(
    ("state", "more"),
    [
        ("healthy", set()),
        ("wedged-batch-1min", set()),  # of the runs behind it none is late yet
        ("wedged-batch-3min", LATE),
        ("killed", LATE),  # a second later; no file tells a dead process from one that hangs
        ("restarted", {*LATE, ("interrupted", "hang-30s")}),
    ],
)
def test_each_state_gives_what_is_true(state: str, more: set[tuple[str, str]], tmp_path: Path) -> None:
    assert told(findings(*lay_out(state, tmp_path))) == ALWAYS | NO_MODEL | more


def test_the_run_that_hangs_is_the_cause_of_all_others_that_stand_still(tmp_path: Path) -> None:
    found = findings(*lay_out("wedged-batch-3min", tmp_path))
    late = [finding for finding in found if finding.kind == "overdue"]
    assert {(cause.kind, cause.job) for finding in late if (cause := finding.caused_by)} == {HANGS}
    assert len(late) == 3


def test_a_hang_of_an_hour_is_wedged(tmp_path: Path) -> None:
    workspace, now = lay_out("wedged-batch-3min", tmp_path)
    found = findings(workspace, now + timedelta(hours=1))
    assert ("wedged", "hang-30s") in told(found)
    assert {finding.caused_by.kind for finding in found if finding.caused_by} == {"wedged"}


def test_a_restart_hides_no_lateness(tmp_path: Path) -> None:
    found = findings(*lay_out("restarted", tmp_path))
    (zero,) = [finding for finding in found if (finding.kind, finding.job) == ("overdue", "zero-30s")]
    assert "put off to 2026-11-25 21:24:30 UTC" in zero.summary
    assert zero.caused_by is None
    (broken,) = [finding for finding in found if finding.kind == "interrupted"]
    assert "nobody makes up for it" in broken.summary


def test_a_run_on_record_beside_the_jobs_counts_though_they_do_not_know_of_it_yet(tmp_path: Path) -> None:
    workspace, now = lay_out("wedged-batch-3min", tmp_path)
    (job,) = [job for job in source(workspace).look(now).snapshot.jobs if job.name == "ok-30s"]
    assert job.last_started_at is not None
    assert job.last_started_at.isoformat() == "2026-11-25T21:20:47.232000+00:00"


def test_an_answer_of_401_that_is_written_down_as_ok_is_told_with_its_reason(tmp_path: Path) -> None:
    found = findings(*lay_out("healthy", tmp_path))
    (auth,) = [finding for finding in found if finding.job == "auth-30s"]
    assert auth.evidence["last_run_status"] == "ok"
    assert auth.evidence["last_error"] == "HTTP 401 from the model's provider"
    assert auth.evidence["error_class"] == "permanent"
    assert "HTTP 401" in auth.summary


def test_after_five_such_runs_it_is_failing_too(tmp_path: Path) -> None:
    workspace, now = lay_out("healthy", tmp_path)
    jobs = workspace / "cron" / "jobs.json"
    document = json.loads(jobs.read_text())
    (auth,) = [job for job in document["jobs"] if job["name"] == "auth-30s"]
    begun = int(now.timestamp() * 1000) - 1000
    auth["state"]["runHistory"].append({"runAtMs": begun, "status": "ok", "durationMs": 90, "runId": "r5"})
    jobs.write_text(json.dumps(document))
    with closing(sqlite3.connect(tmp_path / "llm_usage.sqlite3", isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO llm_calls (id, started_at_ms, source, error_status_code) VALUES (99, ?, 'cron', 401)",
            (begun + 10,),
        )
    assert ("failing", "auth-30s") in told(findings(workspace, now))


def test_a_run_without_any_call_of_the_model_did_no_work_unless_the_job_needs_none(tmp_path: Path) -> None:
    workspace, now = lay_out("healthy", tmp_path)
    with closing(sqlite3.connect(tmp_path / "llm_usage.sqlite3", isolation_level=None)) as connection:
        connection.execute("DELETE FROM llm_calls WHERE reported_tokens > 0 AND id > 1")
    assert ("zero_tokens", "ok-30s") in told(findings(workspace, now + timedelta(minutes=1)))
    jobs = workspace / "cron" / "jobs.json"
    jobs.write_text(jobs.read_text().replace("agent_turn", "system_event"))
    assert ("zero_tokens", "ok-30s") not in told(findings(workspace, now + timedelta(minutes=1)))


def test_a_record_of_calls_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    workspace, now = lay_out("healthy", tmp_path)
    (tmp_path / "llm_usage.sqlite3").write_bytes(b"no database at all, and longer than its header is" * 20)
    snapshot = source(workspace).look(now).snapshot
    assert ("blind", None) in told(diagnose(snapshot, now, Detect()).findings)


def test_a_one_shot_that_ran_without_an_answer_is_lost(tmp_path: Path) -> None:
    workspace, now = lay_out("healthy", tmp_path)
    with closing(sqlite3.connect(tmp_path / "llm_usage.sqlite3", isolation_level=None)) as connection:
        connection.execute("UPDATE llm_calls SET error_status_code = 529, reported_tokens = NULL WHERE id = 7")
    assert ("failed", "once-future") in told(findings(workspace, now))


def test_a_job_of_its_own_that_leaves_no_record_explains_why_the_others_wait_and_proves_nothing(tmp_path: Path) -> None:
    workspace, now = lay_out("healthy", tmp_path)
    jobs = workspace / "cron" / "jobs.json"
    document = json.loads(jobs.read_text())
    dream, others = document["jobs"][-2], document["jobs"][:3]
    assert dream["name"] == "dream"
    dream["state"]["nextRunAtMs"] = others[0]["state"]["nextRunAtMs"]
    jobs.write_text(json.dumps(document))
    found = findings(workspace, now + timedelta(minutes=10))
    assert told(found) >= LATE
    assert ("stalled", None) not in told(found)
    assert {cause.job for finding in found if (cause := finding.caused_by)} == {"dream"}
    dream["state"]["nextRunAtMs"] += 300_000
    jobs.write_text(json.dumps(document))
    assert ("stalled", None) in told(findings(workspace, now + timedelta(minutes=10)))  # they stood still before it


@needs_proc
def test_a_process_that_ends_in_a_run_is_down_and_the_run_was_broken_off(tmp_path: Path) -> None:
    workspace, now = lay_out("wedged-batch-3min", tmp_path)
    calls = tmp_path / "llm_usage.sqlite3"
    with closing(sqlite3.connect(calls, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    watched = source(workspace, Host(LiveWriters()))
    assert watched.look(now).snapshot.process.is_alive is None  # it opens the file with its first call
    gateway = Opener(str(calls))
    gateway.ask("SELECT count(*) FROM llm_calls")
    up = watched.look(now + timedelta(seconds=1)).snapshot
    assert up.process.is_alive is True
    gateway.kill()
    down = watched.look(now + timedelta(seconds=2)).snapshot
    assert down.process.is_alive is False
    soon = now + timedelta(seconds=2)
    assert ("interrupted", "hang-30s") in told(diagnose(down, soon, Detect()).findings)
    later = now + timedelta(minutes=3)
    found = diagnose(watched.look(later).snapshot, later, Detect()).findings
    assert told(found) >= {("stalled", None), *LATE}
    (stall,) = [finding for finding in found if finding.kind == "stalled"]
    assert "its process is down" in stall.summary
    jobs = workspace / "cron" / "jobs.json"
    os.utime(jobs, (later.timestamp(),) * 2)
    assert watched.look(later).snapshot.process.is_alive is None  # somebody writes again


@needs_proc
def test_a_run_that_began_before_its_process_is_over(tmp_path: Path) -> None:
    workspace, now = lay_out("wedged-batch-3min", tmp_path)
    calls = tmp_path / "llm_usage.sqlite3"
    with closing(sqlite3.connect(calls, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    gateway = Opener(str(calls))
    gateway.ask("SELECT count(*) FROM llm_calls")
    try:
        snapshot = source(workspace, Host(LiveWriters())).look(now).snapshot
    finally:
        gateway.kill()
    (hangs,) = [job for job in snapshot.jobs if job.name == "hang-30s"]
    assert hangs.in_flight_since is None
    assert hangs.interrupted is not None


def test_a_health_address_that_refuses_the_connection_ends_a_run(tmp_path: Path) -> None:
    workspace, now = lay_out("wedged-batch-3min", tmp_path)
    refused = Health("refused", now)
    watched = source(workspace, Host(health=lambda: refused))
    assert ("interrupted", "hang-30s") in told(diagnose(watched.look(now).snapshot, now, Detect()).findings)


def test_a_release_that_records_no_runs_proves_no_stall(tmp_path: Path) -> None:
    workspace, now = lay_out("wedged-batch-3min", tmp_path)
    for file in (workspace / "cron" / "runs").iterdir():
        file.unlink()
    (workspace / "cron" / "runs").rmdir()
    snapshot = source(workspace).look(now).snapshot
    found = told(diagnose(snapshot, now, Detect()).findings)
    assert found >= LATE | {("blind", None)}
    assert ("stalled", None) not in found
    (unseen,) = snapshot.unseen
    assert unseen.what == f"there is no record of runs: {workspace}/cron/runs"
    assert Kind.ZERO_TOKENS not in unseen.hides  # what it did is in the jobs' own history
    jobs = workspace / "cron" / "jobs.json"
    document = json.loads(jobs.read_text())
    for job in document["jobs"]:
        job["state"].pop("runHistory", None)
    jobs.write_text(json.dumps(document))
    (unseen,) = source(workspace).look(now).snapshot.unseen
    assert Kind.ZERO_TOKENS in unseen.hides


@needs_proc
def test_one_look_tells_a_gateway_that_was_killed_in_a_run(tmp_path: Path) -> None:
    workspace, now = lay_out("wedged-batch-3min", tmp_path)
    calls = tmp_path / "llm_usage.sqlite3"
    with closing(sqlite3.connect(calls, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    gateway = Opener(str(calls))
    gateway.ask("UPDATE llm_calls SET source = source")
    gateway.kill()
    assert told_live(workspace, now) >= {("interrupted", "hang-30s"), ("stalled", None)}
    os.utime(workspace / "cron" / "jobs.json", (now.timestamp() - 60,) * 2)
    assert ("stalled", None) not in told_live(workspace, now)  # a start may have written them, and called nobody yet


def told_live(workspace: Path, now: datetime) -> set[tuple[str, str | None]]:
    """What one look finds where processes can be seen."""
    snapshot = source(workspace, Host(LiveWriters())).look(now).snapshot
    return told(diagnose(snapshot, now, Detect()).findings)
