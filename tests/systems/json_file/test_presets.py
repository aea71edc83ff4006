"""A store of each preset, made by hand after its source: healthy, late, too long in flight, given up, restarted."""

import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import as_nobody
from tests.support.harness import DAY, HOUR, MINUTE, SECOND
from watchdog.config.settings import Detect
from watchdog.core.fields import keys
from watchdog.core.instants import iso, to_ms
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.json_file.presets import NAMES, facts
from watchdog.systems.json_file.section import JsonFile
from watchdog.systems.json_file.source import JsonSource, open_json
from watchdog.systems.shared.host import Host

NOW = datetime(2026, 6, 10, 12, 20, tzinfo=UTC)

Told = set[tuple[str, str | None]]

Job = Mapping[str, Any]


class Store:
    """One file of a preset, and the source that watches it."""

    def __init__(self, preset: str, folder: Path) -> None:
        given = {"kind": "json", "preset": preset, "folder": str(folder), "timezone": "UTC"}
        self.settings = JsonFile.validated(given)
        self.file = self.settings.store
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.source: JsonSource = open_json(self.settings, Host())

    def write(self, document: object, at: datetime) -> None:
        self.file.write_text(json.dumps(document))
        os.utime(self.file, (at.timestamp(),) * 2)

    def found(self, now: datetime = NOW) -> Told:
        snapshot = self.source.look(now).snapshot
        assert snapshot.problem is None
        return {(finding.kind.value, finding.job) for finding in diagnose(snapshot, now, Detect()).findings}


SESSIONS = "CREATE TABLE sessions (id TEXT, schedule_id TEXT, created_at, updated_at, input_tokens, output_tokens)"


@pytest.fixture
def store(tmp_path: Path) -> Callable[[str], Store]:
    def make(preset: str) -> Store:
        if preset == "goose":
            (tmp_path / "sessions").mkdir()
            with closing(sqlite3.connect(tmp_path / "sessions" / "sessions.db")) as db, db:
                db.execute(SESSIONS)
        return Store(preset, tmp_path)

    return make


def ms(at: datetime | None) -> int | None:
    return None if at is None else to_ms(at)


# picoclaw: each job every half hour


def pico(name: str, last: datetime, following: datetime | None, **more: object) -> Job:
    """A job as picoclaw writes it: what is not known it leaves out."""
    state = {"lastRunAtMs": ms(last), "lastStatus": "ok"} | ({"nextRunAtMs": ms(following)} if following else {})
    return {
        "id": f"id-{name}",
        "name": name,
        "enabled": True,
        "schedule": {"kind": "every", "everyMs": 1_800_000},
        "payload": {"kind": "agent_turn", "message": "m", "deliver": False},
        "state": state,
        "createdAtMs": ms(NOW - 9 * DAY),
        "updatedAtMs": ms(last),
        "deleteAfterRun": False,
    } | more


def pico_file(*jobs: Job) -> object:
    return {"version": 1, "jobs": jobs}


def test_picoclaw_is_healthy_while_a_run_is_in_flight(store: Callable[[str], Store]) -> None:
    pico_store = store("picoclaw")
    idle = pico("idle", NOW - 20 * MINUTE, NOW + 10 * MINUTE)
    pico_store.write(pico_file(pico("busy", NOW - 31 * MINUTE, None), idle), NOW - MINUTE)
    assert pico_store.found() == set()
    (busy,) = [job for job in pico_store.source.look(NOW).snapshot.jobs if job.name == "busy"]
    assert busy.in_flight_since is not None


def test_picoclaw_is_late_when_nothing_runs(store: Callable[[str], Store]) -> None:
    late = store("picoclaw")
    late.write(pico_file(pico("a", NOW - 3 * HOUR, NOW - 150 * MINUTE)), NOW - 3 * HOUR)
    assert late.found() == {("overdue", "a"), ("stalled", None)}


def test_picoclaw_hangs_in_one_job_and_the_others_wait_for_it(store: Callable[[str], Store]) -> None:
    hung = store("picoclaw")
    jobs = [pico("a", NOW - 4 * HOUR, None), pico("b", NOW - 4 * HOUR, None)]
    hung.write(pico_file(*jobs, pico("c", NOW - 225 * MINUTE, NOW - 195 * MINUTE)), NOW - 210 * MINUTE)
    assert hung.found() == {("wedged", "a"), ("overdue", "b"), ("overdue", "c")}


def test_picoclaw_s_lateness_outlives_its_restart(store: Callable[[str], Store]) -> None:
    again = store("picoclaw")
    again.write(pico_file(pico("a", NOW - 5 * HOUR, NOW + 29 * MINUTE)), NOW - MINUTE)
    assert again.found() == {("overdue", "a")}


def test_picoclaw_s_restart_breaks_off_the_run_in_flight(store: Callable[[str], Store]) -> None:
    again = store("picoclaw")
    again.write(pico_file(pico("a", NOW - 31 * MINUTE, None), pico("b", NOW - 25 * MINUTE, NOW + 5 * MINUTE)), NOW)
    assert again.found() == set()
    later = NOW + MINUTE
    again.write(
        pico_file(pico("a", NOW - 31 * MINUTE, later + 30 * MINUTE), pico("b", NOW, later + 30 * MINUTE)), later
    )
    assert again.found(later + SECOND) == {("interrupted", "a")}


def test_picoclaw_s_one_shot_that_a_start_has_passed_over_is_lost(store: Callable[[str], Store]) -> None:
    lost = store("picoclaw")
    once = pico("once", NOW, None, schedule={"kind": "at", "atMs": ms(NOW - HOUR)}, updatedAtMs=ms(NOW - DAY), state={})
    lost.write(pico_file(once, pico("a", NOW - 2 * HOUR, NOW + 20 * MINUTE)), NOW - 10 * MINUTE)
    assert ("stranded", "once") in lost.found()


def test_picoclaw_s_disabled_job_is_its_owner_s(store: Callable[[str], Store]) -> None:
    off = store("picoclaw")
    off.write(pico_file(pico("a", NOW - 9 * DAY, None, enabled=False)), NOW)
    assert off.found() == set()


# OpenFang and LibreFang: each job every hour


def fang(name: str, last: datetime | None, following: datetime, errors: int = 0, **more: object) -> Job:
    status = None if last is None else "ok" if not errors else "error: no route to host"
    job = {
        "id": f"id-{name}",
        "agent_id": "agent",
        "name": name,
        "enabled": True,
        "schedule": {"kind": "every", "every_secs": 3600},
        "created_at": iso(NOW - 9 * DAY),
        "last_run": iso(last) if last else None,
        "next_run": iso(following),
    }
    meta = {"one_shot": False, "last_status": status, "consecutive_errors": errors, "auto_disabled": False}
    return {"job": job | {k: v for k, v in more.items() if k in job}, **meta} | {
        k: v for k, v in more.items() if k not in job
    }


FANGS = pytest.mark.parametrize("preset", ["openfang", "librefang"])


@FANGS
def test_a_fang_is_healthy_though_its_file_is_minutes_old(preset: str, store: Callable[[str], Store]) -> None:
    healthy = store(preset)
    healthy.write(
        [fang("a", NOW - 62 * MINUTE, NOW - 2 * MINUTE), fang("b", NOW - MINUTE, NOW + HOUR)], NOW - 4 * MINUTE
    )
    assert healthy.found() == set()


@FANGS
def test_a_fang_s_job_is_late_by_its_work_whatever_it_plans(preset: str, store: Callable[[str], Store]) -> None:
    late = store(preset)
    late.write([fang("a", NOW - 4 * HOUR, NOW + 30 * MINUTE), fang("b", NOW - 10 * MINUTE, NOW + 50 * MINUTE)], NOW)
    assert late.found() == {("overdue", "a")}


@FANGS
def test_a_fang_whose_file_is_not_written_any_more_is_down(preset: str, store: Callable[[str], Store]) -> None:
    down = store(preset)
    down.write([fang("a", NOW - 4 * HOUR, NOW - 3 * HOUR)], NOW - 3 * HOUR)
    assert down.found() == {("overdue", "a"), ("stalled", None)}


@FANGS
def test_a_fang_gives_a_job_up_after_five_errors(preset: str, store: Callable[[str], Store]) -> None:
    given_up = store(preset)
    marks = {"auto_disabled": preset == "librefang"}
    tripped = fang("a", NOW - HOUR, NOW + HOUR, errors=5, enabled=False, **marks)
    off = fang("off", NOW - HOUR, NOW + HOUR, enabled=False)
    failing = fang("c", NOW - MINUTE, NOW + HOUR, errors=4)
    given_up.write([tripped, off, failing], NOW)
    assert given_up.found() == {("failed", "a")}
    assert given_up.found(NOW + SECOND) == {("failed", "a")}
    (job,) = [job for job in given_up.source.look(NOW).snapshot.jobs if job.name == "a"]
    assert job.last_run is not None
    assert job.last_run.error == "no route to host"


@FANGS
def test_a_fang_s_restart_leaves_what_is_owed_owed(preset: str, store: Callable[[str], Store]) -> None:
    again = store(preset)
    again.write([fang("a", NOW - 5 * HOUR, NOW - 4 * HOUR)], NOW - 5 * HOUR)
    assert ("overdue", "a") in again.found()
    again.write([fang("a", NOW - 5 * HOUR, NOW + HOUR)], NOW)
    assert again.found(NOW + SECOND) == {("overdue", "a")}
    again.write([fang("a", NOW + 2 * SECOND, NOW + HOUR)], NOW + 3 * SECOND)
    assert again.found(NOW + 4 * SECOND) == set()


def test_openfang_counts_weekdays_from_one_for_sunday(store: Callable[[str], Store]) -> None:
    weekdays = store("openfang")
    schedule = {"kind": "cron", "expr": "0 9 * * 1-5", "tz": None}
    friday = datetime(2026, 6, 12, 12, 0, tzinfo=UTC)
    weekdays.write([fang("a", friday - 27 * HOUR, friday + DAY, schedule=schedule)], friday)
    (job,) = weekdays.source.look(friday).snapshot.jobs
    assert job.next_run_at == datetime(2026, 6, 14, 9, tzinfo=UTC)


def test_what_openfang_does_with_an_expression_that_it_cannot_read_is_told(store: Callable[[str], Store]) -> None:
    odd = store("openfang")
    odd.write([fang("a", NOW, NOW, schedule={"kind": "cron", "expr": "61 * * * *", "tz": None})], NOW)
    (finding,) = diagnose(odd.source.look(NOW).snapshot, NOW, Detect()).findings
    assert finding.kind == "invalid"
    assert finding.summary.endswith("its scheduler runs it every hour instead")


# goose: each job at the full hour


def goose(name: str, last: datetime | None, running: bool = False, **more: object) -> Job:
    return {
        "id": name,
        "source": f"/recipes/{name}.yaml",
        "cron": "0 0 * * * *",
        "last_run": iso(last) if last else None,
        "currently_running": running,
        "paused": False,
        "current_session_id": None,
        "process_start_time": iso(last) if running and last else None,
    } | more


HOURLY = NOW.replace(minute=0)


def test_goose_is_healthy(store: Callable[[str], Store]) -> None:
    healthy = store("goose")
    jobs = [goose("a", HOURLY), goose("b", HOURLY, running=True), goose("old", HOURLY, cron="0 * * * *")]
    healthy.write([*jobs, goose("off", HOURLY - 9 * DAY, paused=True)], HOURLY)
    assert healthy.found() == set()


def test_goose_is_late(store: Callable[[str], Store]) -> None:
    late = store("goose")
    late.write([goose("a", HOURLY - 4 * HOUR)], HOURLY - 4 * HOUR)
    assert late.found() == {("overdue", "a"), ("stalled", None)}


def test_goose_is_in_flight_too_long(store: Callable[[str], Store]) -> None:
    long = store("goose")
    long.write([goose("a", HOURLY - 5 * HOUR, running=True), goose("b", HOURLY)], HOURLY)
    assert long.found() == {("wedged", "a")}


def test_goose_s_runs_without_tokens_are_told(store: Callable[[str], Store], tmp_path: Path) -> None:
    zero = store("goose")
    zero.write([goose("a", HOURLY), goose("b", HOURLY)], HOURLY)
    with closing(sqlite3.connect(tmp_path / "sessions" / "sessions.db", isolation_level=None)) as connection:
        for hours in range(4):
            at = (HOURLY - hours * HOUR).strftime("%Y-%m-%d %H:%M:%S")
            connection.execute("INSERT INTO sessions VALUES (?, 'a', ?, ?, 0, 0)", (f"a{hours}", at, at))
            connection.execute("INSERT INTO sessions VALUES (?, 'b', ?, ?, 900, 30)", (f"b{hours}", at, at))
    assert zero.found() == {("zero_tokens", "a")}


def test_goose_s_marker_that_a_restart_left_is_void_once_the_job_has_run(store: Callable[[str], Store]) -> None:
    again = store("goose")
    again.write([goose("a", HOURLY - 3 * HOUR, running=True)], HOURLY - 3 * HOUR)
    assert ("long_run", "a") in again.found()
    again.write([goose("a", HOURLY)], HOURLY)
    assert again.found(NOW + SECOND) == set()


# Agent Zero: each task at the full hour


def task(name: str, state: str, updated: datetime, last: datetime | None, **more: object) -> Job:
    schedule = {"minute": "0", "hour": "*", "day": "*", "month": "*", "weekday": "*", "timezone": "UTC"}
    return {
        "uuid": f"id-{name}",
        "state": state,
        "name": name,
        "system_prompt": "",
        "prompt": "p",
        "type": "scheduled",
        "schedule": schedule,
        "created_at": iso(NOW - 9 * DAY),
        "updated_at": iso(updated),
        "last_run": iso(last) if last else None,
        "last_result": None,
    } | more


def test_agent_zero_is_healthy(store: Callable[[str], Store]) -> None:
    healthy = store("agent-zero")
    tasks = [
        task("a", "idle", HOURLY, HOURLY),
        task("b", "running", HOURLY, HOURLY - HOUR),
        task("off", "disabled", NOW - 3 * DAY, NOW - 3 * DAY),
        task("by hand", "idle", NOW - 3 * DAY, NOW - 3 * DAY, type="adhoc", schedule=None),
        task("plan", "idle", NOW - DAY, None, type="planned", plan={"todo": [iso(NOW + HOUR)], "done": []}),
    ]
    healthy.write({"tasks": tasks}, HOURLY)
    assert healthy.found() == set()


def test_agent_zero_is_late(store: Callable[[str], Store]) -> None:
    late = store("agent-zero")
    missed = task("plan", "idle", NOW - DAY, None, type="planned", plan={"todo": [iso(NOW - HOUR)], "done": []})
    late.write({"tasks": [task("a", "idle", HOURLY - 4 * HOUR, HOURLY - 4 * HOUR), missed]}, HOURLY - 4 * HOUR)
    assert late.found() == {("overdue", "a"), ("overdue", "plan"), ("stalled", None)}


def test_agent_zero_s_task_that_runs_for_hours_never_runs_again(store: Callable[[str], Store]) -> None:
    wedged = store("agent-zero")
    wedged.write(
        {"tasks": [task("a", "running", HOURLY - 3 * HOUR, HOURLY - 4 * HOUR), task("b", "idle", HOURLY, HOURLY)]},
        HOURLY,
    )
    assert wedged.found() == {("wedged", "a")}


def test_agent_zero_s_first_error_ends_a_task(store: Callable[[str], Store]) -> None:
    ended = store("agent-zero")
    ended.write({"tasks": [task("a", "error", HOURLY, HOURLY, last_result="ERROR: 401 Unauthorized")]}, HOURLY)
    assert ended.found() == {("failed", "a")}
    (job,) = ended.source.look(NOW).snapshot.jobs
    assert job.last_run is not None
    assert job.last_run.error == "ERROR: 401 Unauthorized"


def test_agent_zero_s_running_outlives_a_restart_and_is_told_until_somebody_sets_it_back(
    store: Callable[[str], Store],
) -> None:
    again = store("agent-zero")
    again.write({"tasks": [task("a", "running", NOW - DAY, NOW - 2 * DAY)]}, NOW)
    assert again.found() == {("wedged", "a")}
    again.write({"tasks": [task("a", "idle", NOW, NOW - 2 * DAY)]}, NOW)
    assert again.found(NOW + SECOND) == set()


# all


@pytest.mark.parametrize("preset", NAMES)
def test_a_preset_says_only_what_a_section_knows_and_an_operator_can_say_otherwise(preset: str, tmp_path: Path) -> None:
    given = {"kind": "json", "preset": preset, "folder": str(tmp_path), "max_run": "17m", "jobs": {"name": "title"}}
    section = JsonFile.validated(given)
    assert section.name == preset
    assert section.max_run == timedelta(minutes=17)
    assert section.jobs["name"][0].path == "title"
    assert "id" in section.jobs
    assert set(facts(preset)) <= set(keys(JsonFile))


@pytest.mark.parametrize("preset", NAMES)
def test_a_file_may_be_given_in_the_place_of_the_folder(preset: str, tmp_path: Path) -> None:
    usual = JsonFile.validated({"kind": "json", "preset": preset, "folder": str(tmp_path)})
    by_file = JsonFile.validated({"kind": "json", "preset": preset, "file": str(usual.store)})
    assert by_file.store == usual.store
    assert by_file.beside(Path("x")) == usual.beside(Path("x"))


@pytest.mark.parametrize("preset", NAMES)
def test_a_folder_that_may_not_be_looked_into_is_told_in_one_line(preset: str, reachable: Path) -> None:
    (reachable / "closed").mkdir(mode=0o700)
    watched = open_json(JsonFile.validated({"kind": "json", "preset": preset, "folder": reachable / "closed"}), Host())
    told = as_nobody(lambda: watched.look(NOW).snapshot.problem)
    assert told.startswith(f"{reachable}/closed/")
    assert told.endswith("may not be read by user 65534")
