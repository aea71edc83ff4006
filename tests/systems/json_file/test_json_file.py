"""The source `json`: paths, units, conditions; runs from each place; what is remembered; files that are none."""

import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import as_nobody
from tests.support.harness import DAY, HOUR, MINUTE, SECOND
from watchdog.cadence.schedule import next_fire
from watchdog.config.file import Config, ConfigError
from watchdog.config.reading import load
from watchdog.config.settings import Detect
from watchdog.core.fields import keys
from watchdog.core.instants import iso, say, to_ms
from watchdog.core.model import At, CronSchedule, Every, Job, NoCadence, Snapshot, Unreadable
from watchdog.detectors.diagnosis import diagnose
from watchdog.service.memories import Memories
from watchdog.state.store import Store as State
from watchdog.systems import system
from watchdog.systems.json_file.mapping import read_column, value_at
from watchdog.systems.json_file.section import JsonFile
from watchdog.systems.json_file.source import open_json
from watchdog.systems.shared.host import Host, Memory, NoMemory

NOW = datetime(2026, 6, 10, 12, 20, tzinfo=UTC)

COLUMNS = {"id": "id", "name": "name", "schedule": "when", "last_run_at": "last", "last_run_status": "status"}


def source(folder: Path, memory: Memory | None = None, **more: Any) -> Any:
    given = {"kind": "json", "file": str(folder / "jobs.json"), "jobs": COLUMNS} | more
    return open_json(JsonFile.validated(given), Host(memory=memory or NoMemory()))


def write(folder: Path, document: object, at: datetime = NOW) -> Path:
    file = folder / "jobs.json"
    file.write_text(json.dumps(document))
    os.utime(file, (at.timestamp(),) * 2)
    return file


def look(folder: Path, document: object, now: datetime = NOW, **more: Any) -> Snapshot:
    write(folder, document)
    snapshot: Snapshot = source(folder, **more).look(now).snapshot
    return snapshot


def only(snapshot: Snapshot) -> Job:
    assert snapshot.problem is None
    (job,) = snapshot.jobs
    return job


def told(snapshot: Snapshot, now: datetime = NOW) -> set[tuple[str, str | None]]:
    return {(finding.kind.value, finding.job) for finding in diagnose(snapshot, now, Detect()).findings}


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("*/5 * * * *", CronSchedule("*/5 * * * *", "UTC", "classic")),
        ("30 0 9 * * MON-FRI", CronSchedule("30 0 9 * * MON-FRI", "UTC", "croner")),
        ("@daily", CronSchedule("@daily", "UTC", "classic")),
        ("0 30 9 * * MON *", CronSchedule("0 30 9 * * MON", "UTC", "croner")),
        ("0 30 9 1 1 * 2031", NoCadence("cron 0 30 9 1 1 * 2031")),
        ("every 30m", Every(30 * MINUTE)),
        ("@every 1h30m", Every(90 * MINUTE)),
        ("Every 2 hours", Every(2 * HOUR)),
        ("every hour", Every(HOUR)),
        ("45 minutes", Every(45 * MINUTE)),
        ("2026-06-11T09:00:00+02:00", At(datetime(2026, 6, 11, 7, tzinfo=UTC))),
        (None, NoCadence()),
    ],
)
def test_a_schedule_may_be_one_text_of_any_kind(text: str | None, schedule: object, tmp_path: Path) -> None:
    assert only(look(tmp_path, [{"id": 1, "when": text}])).schedule == schedule


@pytest.mark.parametrize("text", ["@daily", "@Weekly", "0 9 * * 1", "30 0 9 * * MON", "0 30 9 1 1 * 2031"])
def test_what_croner_takes_where_nobody_tells_it_otherwise_is_taken(text: str, tmp_path: Path) -> None:
    job = only(look(tmp_path, [{"id": 1, "when": text}], cron="croner"))
    assert job.schedule == CronSchedule(text, "UTC", "croner-auto")
    assert next_fire(job.schedule, NOW) is not None


@pytest.mark.parametrize("text", ["now and then", "61 * * * *", "* * *", "every so often", 17, ["x"], {"kind": "cron"}])
def test_a_schedule_that_is_none_is_told_of_that_job_alone(text: object, tmp_path: Path) -> None:
    snapshot = look(tmp_path, [{"id": 1, "when": text}, {"id": 2, "when": "@daily"}])
    assert isinstance(snapshot.jobs[0].schedule, Unreadable)
    assert told(snapshot) == {("invalid", "job 1")}


@pytest.mark.parametrize(
    ("value", "unit"),
    [
        (1781094000, None),
        (1781094000123, None),
        (1781094000123456, None),
        (1781094000123456789, None),
        ("1781094000", "s"),
        ("1781094000123", "ms"),
        (29684900, "min"),
        ("2026-06-10T12:20:00Z", None),
        ("2026-06-10T14:20:00.123456789+02:00", None),
        ("2026-06-10 12:20:00", "ms"),
    ],
)
def test_an_instant_is_read_in_any_unit(value: object, unit: str | None, tmp_path: Path) -> None:
    ways = {"path": "last", **({"unit": unit} if unit else {})}
    job = only(look(tmp_path, [{"id": 1, "last": value}], jobs={"id": "id", "last_run_at": ways}))
    assert job.last_started_at is not None
    assert abs(job.last_started_at - NOW) < SECOND


def test_a_path_goes_through_lists_and_names() -> None:
    document = {"a": [{"b": 1}, {"b": 2}], "c.d": 3}
    assert [value_at(document, path) for path in ("a.0.b", "a.-1.b", "a.2.b", "a.b", "x", "a.0.b.c")] == [
        1,
        2,
        None,
        None,
        None,
        None,
    ]


def test_the_first_way_that_leads_to_a_value_is_taken() -> None:
    section = JsonFile.validated(
        {
            "kind": "json",
            "file": "/x/jobs.json",
            "jobs": {
                "id": ["uuid", "id"],
                "cron": {"join": ["m", "h", "d"], "when": {"kind": ["cron", "crontab"]}},
                "status": {"path": "off", "words": {True: "paused", False: "active"}},
            },
        }
    )
    read = {name: section.jobs[name] for name in ("id", "cron", "status")}
    document = {"id": 7, "uuid": None, "kind": "Crontab", "m": 0, "h": 9, "d": "*", "off": True}
    assert {name: read_column(name, ways, document) for name, ways in read.items()} == {
        "id": 7,
        "cron": "0 9 *",
        "status": "paused",
    }
    assert read_column("cron", read["cron"], document | {"kind": "every"}) is None


@pytest.mark.parametrize("shape", ["list", "named", "deep"])
def test_the_list_may_lie_anywhere_and_be_an_object_of_named_jobs(shape: str, tmp_path: Path) -> None:
    job = {"id": "a", "when": "@daily"}
    document: Any = {"list": [job], "named": {"a": {"when": "@daily"}}, "deep": {"x": {"y": [job]}}}[shape]
    more: Mapping[str, Mapping[str, Any]] = {
        "list": {},
        "named": {"jobs": {**COLUMNS, "id": "@key"}},
        "deep": {"list": "x.y"},
    }
    assert only(look(tmp_path, document, **more[shape])).id == "a"


@pytest.mark.parametrize(
    ("document", "more"),
    [({"jobs": {"a": 1}}, {"list": "tasks"}), ("text", {}), ({"jobs": 7}, {"list": "jobs"}), (None, {})],
)
def test_a_file_without_such_a_list_is_told(document: object, more: Mapping[str, Any], tmp_path: Path) -> None:
    problem = look(tmp_path, document, **more).problem
    assert problem is not None
    assert "no list of jobs" in problem


def test_a_status_that_carries_its_error_and_the_scheduler_s_own_giving_up(tmp_path: Path) -> None:
    jobs = [
        {"id": "a", "when": "@daily", "last": iso(NOW - HOUR), "status": "error: no route to host", "n": 6},
        {"id": "b", "when": "@daily", "last": iso(NOW - HOUR), "status": "failed", "n": 2},
        {"id": "c", "when": "@daily", "last": iso(NOW - HOUR), "status": "ok", "n": None},
    ]
    columns = {**COLUMNS, "consecutive_errors": "n"}
    snapshot = look(tmp_path, jobs, jobs=columns, disabled_by_scheduler=[{"n": ">= 6", "status": "error*"}])
    assert told(snapshot) == {("failed", "job a")}
    assert [job.last_run and (job.last_run.status, job.last_run.error) for job in snapshot.jobs] == [
        ("error", "no route to host"),
        ("error", None),
        ("ok", None),
    ]


# runs


def test_a_log_tells_of_a_run_in_flight_and_of_its_end(tmp_path: Path) -> None:
    log = tmp_path / "runs.jsonl"
    runs = {
        "log": str(log),
        "columns": {
            "id": "run",
            "job_id": "job",
            "started_at": {"path": "at", "when": {"event": "start"}},
            "ended_at": {"path": "at", "when": {"event": "end"}},
            "status": "status",
            "error": "error",
        },
    }
    begun = {"run": "r1", "job": "a", "event": "start", "at": iso(NOW - HOUR)}
    log.write_text(json.dumps(begun) + "\nnot a line of JSON\n")
    write(tmp_path, [{"id": "a", "when": "@hourly"}])
    watched = source(tmp_path, runs=[runs])
    assert only(watched.look(NOW).snapshot).in_flight_since == NOW - HOUR
    with log.open("a") as file:
        file.write(json.dumps({"run": "r1", "job": "a", "event": "end", "at": iso(NOW), "status": "error"}) + "\n")
    job = only(watched.look(NOW + SECOND).snapshot)
    assert job.in_flight_since is None
    assert job.last_run is not None
    assert (job.last_run.status, job.last_run.duration, job.consecutive_errors) == ("error", HOUR, 1)


def test_a_database_beside_the_file_tells_of_runs(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "runs.db", isolation_level=None)) as connection:
        connection.execute("CREATE TABLE run (job, began, ended, tokens)")
        for hours in range(3):
            connection.execute("INSERT INTO run VALUES ('a', ?, ?, 0)", (to_ms(NOW - hours * HOUR),) * 2)
    query = "SELECT job AS job_id, began AS started_at, ended AS ended_at, tokens AS input_tokens, 0 AS output_tokens"
    runs = {"database": str(tmp_path / "runs.db"), "query": f"{query} FROM run ORDER BY began DESC"}
    assert told(look(tmp_path, [{"id": "a", "when": "@hourly"}], runs=[runs])) == {("zero_tokens", "job a")}
    bad = {**runs, "query": "SELECT none AS job_id FROM run"}
    (unseen,) = look(tmp_path, [{"id": "a", "when": "@hourly"}], runs=[bad]).unseen
    assert "no such column: none" in unseen.what


def folder_runs(tmp_path: Path) -> Mapping[str, Any]:
    columns = {"id": "id", "job_id": "job", "started_at": "began", "ended_at": "ended", "status": "status"}
    return {"folder": str(tmp_path / "runs"), "columns": columns}


def record(folder: Path, number: int, began: datetime, ended: datetime | None) -> None:
    (folder / "runs").mkdir(exist_ok=True)
    run = {"id": number, "job": "a", "began": iso(began), "ended": iso(ended) if ended else None}
    (folder / "runs" / f"{number}.json").write_text(json.dumps(run))


def test_of_a_folder_that_nobody_tidies_only_the_newest_runs_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchdog.systems.json_file.records.MOST_FILES", 20)
    for number in range(60):
        record(tmp_path, number, NOW - (61 - number) * HOUR, NOW - (61 - number) * HOUR)
        os.utime(tmp_path / "runs" / f"{number}.json", (number, number))
    (tmp_path / "runs" / "half.json").write_text('{"id": 99, "jo')
    job = only(look(tmp_path, [{"id": "a", "when": "@hourly"}], runs=[folder_runs(tmp_path)]))
    assert job.last_started_at == NOW - 2 * HOUR
    assert len(job.recent) <= 20


def test_the_file_of_a_run_in_flight_is_read_again_and_one_that_is_new(tmp_path: Path) -> None:
    write(tmp_path, [{"id": "a", "when": "@hourly"}], NOW - HOUR)
    record(tmp_path, 1, NOW - MINUTE, None)
    watched = source(tmp_path, runs=[folder_runs(tmp_path)])
    assert only(watched.look(NOW).snapshot).in_flight_since == NOW - MINUTE
    record(tmp_path, 1, NOW - MINUTE, NOW)
    assert only(watched.look(NOW + SECOND).snapshot).in_flight_since is None
    record(tmp_path, 2, NOW + SECOND, None)
    assert only(watched.look(NOW + 2 * SECOND).snapshot).in_flight_since == NOW + SECOND


def test_a_run_of_another_job_proves_that_an_earlier_one_is_over_only_where_they_wait_for_each_other(
    tmp_path: Path,
) -> None:
    jobs = [
        {"id": "a", "when": "@hourly", "since": iso(NOW - HOUR)},
        {"id": "b", "when": "@hourly", "last": iso(NOW - MINUTE), "status": "ok"},
    ]
    columns = {**COLUMNS, "running_since": "since"}
    beside = look(tmp_path, jobs, jobs=columns)
    waiting = look(tmp_path, jobs, jobs=columns, one_at_a_time=True)
    assert [job.in_flight_since for job in beside.jobs] == [NOW - HOUR, None]
    assert [job.in_flight_since for job in waiting.jobs] == [None, None]
    assert waiting.jobs[0].interrupted is not None


# what is remembered


def kept_look(folder: Path, document: object, now: datetime, **more: Any) -> set[tuple[str, str | None]]:
    """What one life of the watchdog finds, which then ends."""
    write(folder, document, now)
    with closing(State(folder / "state.db")) as state:
        memories = Memories(state)
        found = told(source(folder, memories.of("s"), **more).look(now).snapshot, now)
        memories.write(now)
    return found


def test_a_job_that_was_switched_on_or_planned_anew_owes_nothing_for_the_time_before(tmp_path: Path) -> None:
    old = {"id": "a", "when": "0 3 * * *", "last": iso(NOW - 9 * DAY), "status": "ok", "on": False}
    columns = {**COLUMNS, "enabled": "on"}
    assert kept_look(tmp_path, [old], NOW, jobs=columns) == set()
    assert kept_look(tmp_path, [old | {"on": True}], NOW + MINUTE, jobs=columns) == set()
    assert kept_look(tmp_path, [old | {"on": True}], NOW + HOUR, jobs=columns) == set()
    assert kept_look(tmp_path, [old | {"on": True}], NOW + 3 * DAY, jobs=columns) == {("overdue", "job a")}
    anew = [old | {"on": True, "when": "0 5 * * *"}]
    assert kept_look(tmp_path, anew, NOW + 3 * DAY + MINUTE, jobs=columns) == set()


def test_a_job_that_is_new_and_never_ran_is_counted_from_its_first_sight(tmp_path: Path) -> None:
    job = {"id": "a", "when": "every 10m"}
    assert kept_look(tmp_path, [job], NOW) == set()
    assert kept_look(tmp_path, [job], NOW + 20 * MINUTE) == set()
    assert kept_look(tmp_path, [job], NOW + 40 * MINUTE) == {("overdue", "job a")}


def test_a_backup_that_was_put_back_makes_no_job_late_whose_work_was_done_since(tmp_path: Path) -> None:
    more = {"jobs": {**COLUMNS, "next_run_at": "next"}, "one_at_a_time": True, "recomputed_at_start": True}
    job = {"id": "a", "when": "every 1h", "status": "ok"}
    day = job | {"last": iso(NOW - DAY), "next": iso(NOW - 23 * HOUR)}
    done = job | {"last": iso(NOW - MINUTE), "next": iso(NOW + 59 * MINUTE)}
    assert kept_look(tmp_path, [done], NOW, **more) == set()
    assert kept_look(tmp_path, [day], NOW + MINUTE, **more) == set()
    assert kept_look(tmp_path, [day], NOW + 2 * HOUR, **more) == set()
    assert kept_look(tmp_path, [day], NOW + 3 * HOUR + MINUTE, **more) >= {("overdue", "job a")}


class Remembers:
    """A service's memory."""

    def recall(self, name: str, kind: object) -> dict[str, Any]:
        return {}

    def keep(self, name: str, things: Mapping[str, object]) -> None:
        return


def test_a_file_that_is_being_written_is_no_finding_until_a_second_look_finds_it_so(tmp_path: Path) -> None:
    file = write(tmp_path, [{"id": "a"}])
    watched = source(tmp_path, Remembers())
    assert only(watched.look(NOW).snapshot).id == "a"
    for minutes, text in enumerate(("", '[{"id": "a', None)):
        began = NOW + minutes * MINUTE
        file.unlink() if text is None else file.write_text(text)
        assert only(watched.look(began + 2 * SECOND).snapshot).id == "a"
        assert only(watched.look(began + 6 * SECOND).snapshot).id == "a"
        found = watched.look(began + 7 * SECOND).snapshot
        assert found.problem is not None
        assert found.problem_since == began + 2 * SECOND
        write(tmp_path, [{"id": "a"}], began)
        assert only(watched.look(began + 8 * SECOND).snapshot).id == "a"


def test_what_a_job_ran_before_its_schedule_was_changed_is_no_runaway_after_a_restart_of_the_watchdog(
    tmp_path: Path,
) -> None:
    ends = [{"at": iso(NOW - minutes * MINUTE), "status": "ok"} for minutes in range(30, 0, -1)]
    runs = [{"inside": "runs", "columns": {"started_at": "at", "ended_at": "at", "status": "status"}}]
    job = {"id": "a", "when": "every 1m", "runs": ends}
    assert kept_look(tmp_path, [job], NOW, runs=runs) == set()
    slowed = job | {"when": "every 20m"}
    assert kept_look(tmp_path, [slowed], NOW + SECOND, runs=runs) == set()
    assert kept_look(tmp_path, [slowed], NOW + MINUTE, runs=runs) == set()
    again = slowed | {"runs": [*ends, {"at": iso(NOW + 20 * MINUTE), "status": "ok"}]}
    assert kept_look(tmp_path, [again], NOW + 21 * MINUTE, runs=runs) == set()


def test_a_start_that_was_seen_stays_known_over_a_restart_of_the_watchdog(tmp_path: Path) -> None:
    columns = {**COLUMNS, "next_run_at": "next", "running_since": "since"}
    hangs = {"id": "a", "when": "every 10m", "since": iso(NOW - 5 * MINUTE), "next": iso(NOW - 5 * MINUTE)}
    other = {"id": "b", "when": "every 10m", "last": iso(NOW - 9 * MINUTE), "status": "ok", "next": iso(NOW + MINUTE)}
    more: Mapping[str, Any] = {"jobs": columns, "one_at_a_time": True, "recomputed_at_start": True, "grace": "5m"}
    assert kept_look(tmp_path, [hangs, other], NOW, **more) == set()
    anew = {"next": iso(NOW + 11 * MINUTE)}
    again = [hangs | anew, other | anew]
    assert kept_look(tmp_path, again, NOW + MINUTE, **more) == {("interrupted", "job a")}
    gone = [hangs | anew]
    assert kept_look(tmp_path, gone, NOW + 2 * MINUTE, **more) == {("interrupted", "job a")}


def test_a_backup_that_was_put_back_takes_no_work_away(tmp_path: Path) -> None:
    job = {"id": "a", "when": "every 10m", "last": iso(NOW - MINUTE), "status": "ok"}
    assert kept_look(tmp_path, [job], NOW) == set()
    assert kept_look(tmp_path, [job | {"last": iso(NOW - DAY)}], NOW + MINUTE) == set()
    assert kept_look(tmp_path, [job | {"last": iso(NOW - DAY)}], NOW + HOUR) == {("overdue", "job a")}


def test_nothing_is_read_where_nothing_has_changed(tmp_path: Path) -> None:
    write(tmp_path, [{"id": "a", "when": "@hourly"}], NOW - HOUR)
    watched = source(tmp_path)
    first = watched.look(NOW)
    second = watched.look(NOW + SECOND)
    assert (first.is_new, second.is_new, second.seconds) == (True, False, None)
    assert second.snapshot is first.snapshot


# files that are none, values that no scheduler writes


@pytest.mark.parametrize("make", ["absent", "folder", "pipe", "empty", "half", "huge", "device", "deep"])
def test_what_is_no_store_is_told_in_one_line_and_never_waited_for(make: str, tmp_path: Path) -> None:
    file = tmp_path / "jobs.json"
    if make == "folder":
        file.mkdir()
    elif make == "pipe":
        os.mkfifo(file)
    elif make == "device":
        file.symlink_to("/dev/zero")
    elif make != "absent":
        texts = {"empty": "", "half": '[{"id": 1', "huge": "[" + "1," * 5_000_000 + "1]", "deep": "[" * 100_000}
        file.write_text(texts[make])
    snapshot = source(tmp_path).look(NOW).snapshot
    assert snapshot.problem is not None
    assert "\n" not in snapshot.problem
    assert str(file) in snapshot.problem


def test_a_file_that_came_back_is_read_again(tmp_path: Path) -> None:
    watched = source(tmp_path)
    assert watched.look(NOW).snapshot.problem_since == NOW
    assert watched.look(NOW + SECOND).snapshot.problem_since == NOW
    write(tmp_path, [{"id": "a"}])
    assert watched.look(NOW + 2 * SECOND).snapshot.problem is None


def test_ids_that_are_missing_or_there_twice_are_told(tmp_path: Path) -> None:
    snapshot = look(tmp_path, [{"id": "a"}, {"id": "a"}, {"name": "x"}, 7, None])
    assert told(snapshot) == {("invalid", "job a"), ("invalid", "x")}


def test_ids_that_are_shown_alike_are_one_id(tmp_path: Path) -> None:
    """An id becomes a label, of so many characters on one line; what is kept of a job is found by it."""
    long = "x" * 200
    snapshot = look(tmp_path, [{"id": f"{long}a"}, {"id": "a b"}, {"id": f"{long}b"}, {"id": "a\nb"}])
    assert len({job.id for job in snapshot.jobs}) == len(snapshot.jobs) == 2
    assert all(job.problems for job in snapshot.jobs)


def test_of_endless_jobs_the_first_are_looked_at_and_the_rest_is_told(tmp_path: Path) -> None:
    snapshot = look(tmp_path, [{"id": number, "when": "@daily"} for number in range(2_500)])
    assert len(snapshot.jobs) == 2_000
    assert ("blind", None) in told(snapshot)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["@daily", "every 1m", "ok"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "when", "0"]), inner, max_size=3),
    max_leaves=8,
)

EVERY_COLUMN = {name: name for name in keys(JsonFile)["jobs"].annotation.__args__[0].__args__}


@given(jobs=st.lists(st.dictionaries(st.sampled_from(sorted(EVERY_COLUMN)), VALUES, max_size=12), max_size=4))
def test_no_contents_stop_a_look(jobs: list[Mapping[str, object]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("odd")
    more: Mapping[str, Any] = {
        "null_is_running": True,
        "recomputed_at_start": True,
        "one_at_a_time": True,
        "saved_every": "5m",
    }
    runs = [{"inside": "name", "columns": {"id": "a", "started_at": "when", "status": "0"}}]
    snapshot = look(folder, jobs, jobs=EVERY_COLUMN, runs=runs, **more)
    assert snapshot.problem is None
    diagnose(snapshot, NOW, Detect())


# the section


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "give file"),
        ({"file": "/x.json"}, "jobs: give id"),
        ({"file": "x.json", "jobs": {"id": "id"}}, "give folder"),
        ({"file": "/x.json", "jobs": {"idd": "id"}}, "sources[0].jobs.idd"),
        ({"file": "/x.json", "jobs": {"id": {"pth": "id"}}}, "sources[0].jobs.id[0].pth: unknown key"),
        ({"file": "/x.json", "jobs": {"id": {"path": "id", "join": ["a"]}}}, "one of path and join"),
        (
            {"file": "/x.json", "jobs": {"id": "id"}, "runs": [{"columns": {}}]},
            "one of inside, folder, log and database",
        ),
        ({"preset": "nanobott", "folder": "/x"}, "nanobot"),
    ],
)
def test_what_is_wrong_with_a_section_is_told_with_its_place(
    given: Mapping[str, Any], says: str, tmp_path: Path
) -> None:
    file = tmp_path / "w.yaml"
    file.write_text(json.dumps({"sources": [{"kind": "json", "name": "x", **given}]}))
    with pytest.raises(ConfigError) as error:
        load(file)
    assert any(says in problem for problem in error.value.problems), error.value.problems


def test_a_home_may_be_written_as_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = Config.validated({"sources": [{"kind": "json", "preset": "nanobot", "folder": "~/.nanobot/workspace"}]})
    section = config.sources[0]
    assert isinstance(section, JsonFile)
    assert section.store == tmp_path / ".nanobot/workspace/cron/jobs.json"


def test_the_shipped_example_is_good() -> None:
    example = Path(__file__).parents[3] / "config" / "json.yaml"
    assert [source.kind for source in load(example, {}).sources] == ["json", "json"]
    assert timedelta(hours=2) in [getattr(source, "max_run", None) for source in load(example, {}).sources]


HOUR_AGO = NOW - timedelta(hours=1)

JOB = {"id": "a", "when": "*/30 * * * *", "last": HOUR_AGO.isoformat()}


def unseen_of(folder: Path, jobs: object, ways: Mapping[str, Any] | None = None, **more: Any) -> list[str]:
    """What a look is told cannot be seen; `ways`: to columns besides."""
    usual = {"id": "id", "schedule": "when", "last_run_at": "last"}
    snapshot = look(folder, jobs, jobs={**usual, **(ways or {})}, **more)
    assert snapshot.problem is None
    return [each.what for each in snapshot.unseen]


@pytest.mark.parametrize(
    ("job", "ways", "what"),
    [
        ({"when": None}, {}, "of 1 job none has anything where its schedule should be"),
        ({"last": "yesterday"}, {}, "when 1 job ran last cannot be read: last_run_at is 'yesterday', not an instant"),
        ({"last": 83_211.5}, {}, "when 1 job ran last cannot be read: last_run_at is '83211.5', not an instant"),
        ({"is": "armed"}, {"status": "is"}, "the status 'armed' of 1 job is not known, so they are taken for paused"),
        ({"out": "kaputt"}, {"last_run_status": "out"}, "what became of runs of 1 job is called 'kaputt'"),
        ({"out": False}, {"last_run_status": "out"}, "what became of runs of 1 job is called False"),
        (
            {"last": (NOW + timedelta(hours=2)).replace(tzinfo=None).isoformat()},
            {},
            f"the last run of 1 job lies ahead, at {say(NOW + timedelta(hours=2))}, written without a zone",
        ),
    ],
)
def test_a_path_or_a_word_that_is_not_right_is_told_and_not_taken_for_all_is_well(
    job: Mapping[str, object], ways: Mapping[str, Any], what: str, tmp_path: Path
) -> None:
    assert unseen_of(tmp_path, [{**JOB, **job}], ways) == [what]


@pytest.mark.parametrize("word", ["scheduled", "waiting", "queued", "ready", "on"])
def test_a_job_that_is_called_planned_in_other_words_is_late_as_any(word: str, tmp_path: Path) -> None:
    late = {**JOB, "is": word, "last": (NOW - timedelta(days=2)).isoformat()}
    ways = {"id": "id", "schedule": "when", "last_run_at": "last", "status": "is"}
    assert ("overdue", "job a") in told(look(tmp_path, [late], jobs=ways))


def test_a_run_that_failed_in_more_words_has_failed(tmp_path: Path) -> None:
    ways = {"id": "id", "last_run_at": "last", "last_run_status": "out", "last_run_error": "why"}
    snapshot = look(tmp_path, [{**JOB, "out": "failed (exit code 1)", "why": "x"}], jobs=ways)
    assert snapshot.jobs[0].last_run is not None
    assert snapshot.jobs[0].last_run.status == "error"


@pytest.mark.parametrize(("unit", "number"), [("ms", NOW.timestamp()), ("s", NOW.timestamp() * 1000)])
def test_a_unit_that_cannot_be_meant_makes_no_job_late_for_decades(unit: str, number: float, tmp_path: Path) -> None:
    ways = {"id": "id", "schedule": "when", "last_run_at": {"path": "last", "unit": unit}}
    snapshot = look(tmp_path, [{**JOB, "last": number}], jobs=ways)
    assert snapshot.jobs[0].last_started_at == NOW.replace(microsecond=0)
    assert told(snapshot) == set()


def test_a_zero_that_is_written_out_is_no_instant(tmp_path: Path) -> None:
    ways = {"id": "id", "schedule": "when", "last_run_at": "last", "next_run_at": "next"}
    snapshot = look(tmp_path, [{**JOB, "next": NOW.isoformat(), "last": "0001-01-01T00:00:00Z"}], jobs=ways)
    assert snapshot.unseen == ()
    assert snapshot.jobs[0].last_started_at is None


def test_text_without_a_zone_is_read_in_the_one_that_is_said_with_it(tmp_path: Path) -> None:
    local = HOUR_AGO.astimezone(ZoneInfo("Asia/Tokyo")).replace(tzinfo=None).isoformat()
    ways = {"id": "id", "schedule": "when", "last_run_at": {"path": "last", "zone": "Asia/Tokyo"}}
    snapshot = look(tmp_path, [{**JOB, "last": local}], jobs=ways)
    assert snapshot.jobs[0].last_started_at == HOUR_AGO


@pytest.mark.parametrize(
    ("document", "more", "why"),
    [
        ({"version": 1, "jobs": [JOB]}, {"list": None}, "has no list of jobs: say list: jobs"),
        ({"jobs": ["a", "b"]}, {}, "has no list of jobs at jobs: is it the file, and of this kind?"),
    ],
)
def test_a_list_that_was_forgotten_or_holds_no_jobs_is_not_taken_for_an_empty_one(
    document: Mapping[str, object], more: Mapping[str, Any], why: str, tmp_path: Path
) -> None:
    write(tmp_path, document)
    problem = source(tmp_path, list=more.get("list", "jobs")).look(NOW).snapshot.problem
    assert problem is not None
    assert problem.endswith(why)


@pytest.mark.parametrize("place", ["folder", "log", "database"])
def test_a_record_of_runs_that_is_not_there_is_told_once_a_job_has_run(place: str, tmp_path: Path) -> None:
    columns = {} if place == "database" else {"columns": {"job_id": "job", "started_at": "at"}}
    query = {"query": "SELECT 1 AS job_id, 2 AS started_at"} if place == "database" else {}
    runs = [{place: "elsewhere", **columns, **query}]
    assert unseen_of(tmp_path, [JOB], runs=runs) == [f"there is no record of runs: {tmp_path}/elsewhere"]
    assert unseen_of(tmp_path, [{**JOB, "last": None}], runs=runs) == []


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ({"job": "a", "begin": HOUR_AGO.isoformat()}, "in {} no run says when it began or ended"),
        (
            {"job": "x", "at": HOUR_AGO.isoformat()},
            "runs are on record, and none is of a job: a job_id is 'x', an id of jobs 'a'",
        ),
    ],
)
def test_records_that_no_job_can_be_told_from_are_told(line: object, what: str, tmp_path: Path) -> None:
    log = tmp_path / "runs.jsonl"
    log.write_text(f"{json.dumps(line)}\n")
    runs = [{"log": "runs.jsonl", "columns": {"job_id": "job", "started_at": "at"}}]
    assert unseen_of(tmp_path, [{**JOB, "last": None}], runs=runs) == [what.format(log)]


def test_records_that_this_user_may_not_read_are_told(reachable: Path) -> None:
    tmp_path = reachable
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs.jsonl").write_text("{}\n")
    columns = {"job_id": "job", "started_at": "at"}
    write(tmp_path, [JOB])
    (tmp_path / "jobs.json").chmod(0o644)
    (tmp_path / "runs").chmod(0o700)
    (tmp_path / "runs.jsonl").chmod(0o600)
    runs = [{"folder": "runs", "columns": columns}, {"log": "runs.jsonl", "columns": columns}]
    watched = source(tmp_path, runs=runs)
    assert as_nobody(lambda: [each.what for each in watched.look(NOW).snapshot.unseen]) == [
        f"{tmp_path}/runs may not be read by user 65534",
        f"{tmp_path}/runs.jsonl may not be read by user 65534",
    ]


def tried(folder: Path, listed: object, **more: Any) -> tuple[str, ...]:
    """What `validate` is told of a section."""
    write(folder, listed)
    section = JsonFile.validated({"kind": "json", "file": str(folder / "jobs.json"), **more})
    return system("json").try_out(section, NOW).unasked


def test_what_of_its_paths_leads_nowhere_is_told_when_it_is_validated(tmp_path: Path) -> None:
    ways = {"id": "id", "schedule": "when", "next_run_at": "nextRun", "last_run_at": "state.last"}
    runs = [{"inside": "history", "columns": {"started_at": "at"}}]
    assert tried(tmp_path, [JOB], jobs=ways, runs=runs, held_open="usage.db") == (
        "no job has anything at the path of next_run_at (nextRun), last_run_at (state.last)",
        "no job has anything at runs.inside (history)",
        f"held_open: {tmp_path}/usage.db is not there, so its process is not told by it",
    )
    assert tried(tmp_path, [{**JOB, "ms": 600_000}], jobs={"id": "id", "every": "ms", "last_run_at": "last"}) == (
        "every: 600000 is taken for 6 d 22 h; say its unit, s or ms",
    )
    assert tried(tmp_path, [JOB], jobs={"id": "id", "last_run_at": "last"}) == (
        "lateness cannot be told: jobs has neither next_run_at nor one of at, cron, every, schedule",
    )
    assert tried(tmp_path, [], jobs={"id": "id"}) == ("it lists no job, so its paths were tried on none",)
    assert tried(tmp_path, [JOB], jobs={"id": "id", "schedule": "when", "last_run_at": "last"}) == ()
