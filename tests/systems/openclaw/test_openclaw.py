"""The source `openclaw`: what real stores give, what the report's sequence gives, and what it never gives."""

import gzip
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import as_nobody
from tests.support.openclaw_stores import LAYOUTS, Gateway, Json, job
from watchdog.config.file import Config, ConfigError
from watchdog.config.reading import load
from watchdog.config.settings import Detect
from watchdog.core.instants import iso, parse_instant, to_ms
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding, Snapshot
from watchdog.detectors.diagnosis import diagnose
from watchdog.engine import Engine
from watchdog.systems import KINDS, system
from watchdog.systems.openclaw.section import OpenClaw
from watchdog.systems.openclaw.source import OpenClawSource

ROOT = Path(__file__).resolve().parents[3]
DATA = ROOT / "tests" / "data" / "openclaw" / "recordings.json.gz"
ANY_SYSTEM = ", ".join(map(repr, KINDS[:-1])) + f" or {KINDS[-1]!r}"
SHARED = ROOT.parent / "shared" / "recordings" / "openclaw"

SECOND, MINUTE, HOUR = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours"))
NOW = datetime(2026, 4, 6, 12, 0, tzinfo=UTC)

Found = list[tuple[str, str | None]]

EXPECTED: Mapping[str, tuple[str, str]] = {
    "2026.4.5/02-healthy": ("", "all is well; `not-delivered` alone, and a job that is switched off, mean nothing"),
    "2026.4.5/04-errors-and-zero-usage": (
        "failing err, zero_tokens nouse, zero_tokens zeta",
        "four errors in a row; four and five ok runs with a model and without usage, after some with",
    ),
    "2026.4.5/06-in-flight": (
        "failing err, zero_tokens nouse, zero_tokens zeta",
        "cj is in flight for seven seconds: nothing is late yet",
    ),
    "2026.4.5/08-killed-in-flight": (
        "failing err, zero_tokens nouse, zero_tokens zeta",
        "the store is that of 06, half a minute on: nobody can tell from it that the process is gone",
    ),
    "2026.4.5/09-restarted-first-second": (
        "failing err, interrupted cj, zero_tokens nouse, zero_tokens zeta",
        "the marker is gone, the ledger has a run without an end, and no run is recorded for it",
    ),
    "2026.4.5/11-restarted-ran-again": (
        "duplicate cj, failing err, zero_tokens nouse, zero_tokens zeta",
        "that slot's second run is recorded",
    ),
    "2026.4.5/13-stopped-overdue": (
        "stalled, duplicate cj, failing err, overdue alpha, overdue cj, overdue mainev, overdue nouse, overdue zeta, "
        "zero_tokens nouse, zero_tokens zeta",
        "two minutes after a stop every recurring job has missed a fire; err is held back by its errors",
    ),
    "2026.4.26/02-healthy": ("", "one error is none yet"),
    "2026.4.26/06-wedged-no-marker": (
        "stalled, failing err, overdue cj, overdue mainCron, overdue mainNext",
        "jobs of 15 and 20 seconds have missed two fires, no marker is set, nothing has started",
    ),
    "2026.4.26/20-wedged-marker-set": (
        "overdue alpha, overdue cj, overdue dis, overdue err, overdue mainev, overdue nouse, overdue once, "
        "overdue onceKeep",
        "all wait for zeta's run, which is within its timeout still",
    ),
    "2026.4.26/21-killed-with-marker": (
        "wedged zeta, overdue alpha, overdue cj, overdue dis, overdue err, overdue mainev, overdue nouse, "
        "overdue once, overdue onceKeep",
        "zeta's marker is older than its timeout of ten minutes and the margin",
    ),
    "2026.4.26/22-restarted-first-second": (
        "wedged zeta, overdue alpha, overdue cj, overdue dis, overdue err, overdue mainev, overdue nouse, "
        "overdue once, overdue onceKeep",
        "the store has not been touched yet; only a lock file would tell of the start",
    ),
    "2026.6.1/02-healthy": ("", "all is well"),
    "2026.6.1/06-in-flight": (
        "failing err, overdue alpha, overdue nouse, overdue zeta, zero_tokens nouse, zero_tokens zeta",
        "they wait for cj's run; mainev has four seconds left",
    ),
    "2026.6.1/08-killed-in-flight": (
        "failing err, overdue alpha, overdue mainev, overdue nouse, overdue zeta, zero_tokens nouse, zero_tokens zeta",
        "the same store, later",
    ),
    "2026.6.1/09-restarted-first-second": (
        "failing err, overdue alpha, overdue mainev, overdue nouse, overdue zeta, zero_tokens nouse, zero_tokens zeta",
        "the same store again: the start has not touched it yet",
    ),
    "2026.6.1/11-restarted-ran-again": (
        "failing err, zero_tokens nouse, zero_tokens zeta",
        "cj's interrupted run is recorded and its slot is not run again; the start put nouse off, and its time comes",
    ),
    "2026.9.6/02-healthy": ("undelivered hook", "the web hook was refused, with an error"),
    "2026.9.6/04-errors-and-zero-usage": (
        "failing err, undelivered hook, zero_tokens nouse, zero_tokens zeta",
        "err's next run is past and held back by its errors: not late",
    ),
    "2026.9.6/06-in-flight": (
        "failing err, undelivered hook, zero_tokens nouse, zero_tokens zeta",
        "two runs in flight side by side keep nobody waiting",
    ),
    "2026.9.6/08-killed-in-flight": (
        "failing err, undelivered hook, zero_tokens nouse, zero_tokens zeta",
        "a killed start is never completed: nothing tells of it",
    ),
    "2026.9.6/09-restarted-first-second": (
        "failing err, interrupted alpha, interrupted cj, undelivered hook, zero_tokens nouse, zero_tokens zeta",
        "the gateway started after both markers were set",
    ),
    "2026.9.6/11-restarted-ran-again": (
        "failing err, undelivered hook, zero_tokens nouse, zero_tokens zeta",
        "both are recorded as interrupted; the others are put off by the start, which has two minutes for them",
    ),
    "2026.9.6/15-auto-disabled": (
        "failed err, overdue alpha, overdue cj, overdue mainev, overdue nouse, overdue zeta, undelivered hook, "
        "zero_tokens nouse, zero_tokens zeta",
        "given up by OpenClaw itself; the others were late before the start and have been put off by it",
    ),
    "2026.9.6/16-catchup-pending": (
        "failed err, overdue alpha, overdue cj, overdue mainev, overdue nouse, overdue zeta, undelivered hook, "
        "zero_tokens nouse, zero_tokens zeta",
        "every next run lies ahead, and no missed one has been made up for",
    ),
}
"""What each recording gives, and why."""


@cache
def recordings() -> list[Any]:
    found: list[Any] = json.loads(gzip.decompress(DATA.read_bytes()))
    return found


def recording(name: str) -> Any:
    return next(each for each in recordings() if each["name"] == name)


def rebuilt(name: str, folder: Path) -> Path:
    """The recording as real files, in place of whatever stood there."""
    case = recording(name)
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in case["files"].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    for path, tables in case["databases"].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(folder / path)) as connection, connection:
            for table, content in tables.items():
                columns = ", ".join(content["columns"])
                connection.execute(f"CREATE TABLE {table} ({columns})")
                places = ", ".join("?" * len(content["columns"]))
                connection.executemany(f"INSERT INTO {table} VALUES ({places})", content["rows"])
    return folder


def config(folder: Path, **changes: Any) -> OpenClaw:
    return OpenClaw(kind="openclaw", **{"state_dir": folder, **changes})


def engine(folder: Path, **changes: Any) -> Engine:
    return Engine(Config(sources=(config(folder, **changes),)))


def source(folder: Path, pause: Callable[[float], object] = lambda _: None, **changes: Any) -> OpenClawSource:
    return OpenClawSource(config(folder, **changes), pause)


def findings(watched: OpenClawSource, now: datetime) -> tuple[Finding, ...]:
    return diagnose(watched.look(now).snapshot, now, Detect()).findings


def kinds(found: tuple[Finding, ...]) -> Found:
    return sorted(((finding.kind.value, finding.job) for finding in found), key=str)


def table(text: str) -> Found:
    pairs = (pair.partition(" ") for pair in text.split(", ") if pair)
    return sorted(((kind, name or None) for kind, _, name in pairs), key=str)


def one(watched: OpenClawSource, now: datetime, kind: str) -> Finding:
    (found,) = [finding for finding in findings(watched, now) if finding.kind == kind]
    return found


def snapshot(watched: OpenClawSource, now: datetime) -> Snapshot:
    found = watched.look(now).snapshot
    assert found.problem is None, found.problem
    return found


def test_every_recording_has_its_row_in_the_table() -> None:
    assert [case["name"] for case in recordings()] == list(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_recording_gives_exactly_its_findings(name: str, tmp_path: Path) -> None:
    tick = engine(rebuilt(name, tmp_path / "state")).tick(parse_instant(recording(name)["now"]))
    assert kinds(tick.published.findings) == table(EXPECTED[name][0]), EXPECTED[name][1]


@pytest.mark.parametrize("version", ["2026.4.5", "2026.4.26", "2026.6.1", "2026.9.6"])
def test_the_same_is_found_by_one_who_has_watched_all_the_time(version: str, tmp_path: Path) -> None:
    names = [name for name in EXPECTED if name.startswith(f"{version}/")]
    watched, last = source(tmp_path / "state"), None
    for name in names:
        now = parse_instant(recording(name)["now"])
        if last is not None and now < last:  # another gateway's recording
            watched = source(tmp_path / "state")
        rebuilt(name, tmp_path / "state")
        assert kinds(findings(watched, now)) == table(EXPECTED[name][0]), name
        last = now


@pytest.mark.skipif(not SHARED.exists(), reason="the folder shared/recordings is not beside this project")
def test_the_recordings_themselves_give_the_same() -> None:
    states = sorted(path.parent for path in SHARED.glob("*/*/state.json"))
    assert len(states) >= len(EXPECTED)
    for folder in states:
        name = f"{folder.parent.name}/{folder.name}"
        if name not in EXPECTED:
            continue
        now = parse_instant(json.loads((folder / "state.json").read_text())["now"])
        assert kinds(engine(folder).tick(now).published.findings) == table(EXPECTED[name][0]), name


def test_a_lock_that_is_younger_than_the_marker_tells_of_the_interruption_at_once(tmp_path: Path) -> None:
    name = "2026.4.26/22-restarted-first-second"
    folder = rebuilt(name, tmp_path / "state")
    lock = folder / "run" / "openclaw-0" / "gateway.83b78728.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text('{"pid": 29900, "createdAt": "2026-11-21T04:38:52.473Z", "configPath": "/x"}')
    found = one(source(folder), parse_instant(recording(name)["now"]), "interrupted")
    assert found.job == "zeta"
    assert found.evidence["restarted_at"] == parse_instant("2026-11-21T04:38:52.473Z")
    assert found.evidence["record"] == "cron:10e4f938-3693-42bc-b019-360acf3a4476:1795234667082"


def test_another_gateways_lock_in_the_same_folder_says_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    gateway = healthy(folder, "inline")
    lock = gateway.lock(NOW - HOUR)
    gateway.begin("poll", NOW)
    lock.write_text(json.dumps({"pid": 1, "createdAt": iso(NOW - HOUR), "configPath": str(folder / "openclaw.json")}))
    other = {"pid": 2, "createdAt": iso(NOW + MINUTE), "configPath": "/elsewhere/openclaw.json"}
    lock.with_name("gateway.other.lock").write_text(json.dumps(other))
    assert kinds(findings(source(folder, lock=lock.parent), NOW + 2 * MINUTE)) == []
    lock.write_text(json.dumps({"pid": 3, "createdAt": iso(NOW + MINUTE), "configPath": str(folder / "openclaw.json")}))
    assert kinds(findings(source(folder, lock=lock.parent), NOW + 2 * MINUTE)) == [("interrupted", "poll")]


# the report's own sequence

DAILY = {"kind": "cron", "expr": "0 8 * * *", "tz": "America/New_York"}


def at(hour: int, minute: int = 0, second: int = 0, *, day: int = 5) -> datetime:
    """A time of day in New York in summer."""
    return datetime(2026, 4, day, hour + 4, minute, second, tzinfo=UTC)


def report(folder: Path, layout: str) -> Gateway:
    """The daily summary, which ran well yesterday and is due at 08:00."""
    gateway = Gateway(folder, layout)
    gateway.boot(at(1, day=3))
    gateway.add(job("daily", DAILY), at(8, day=4), at(1, day=3))
    gateway.begin("daily", at(8, day=4))
    gateway.end("daily", at(8, 0, 42, day=4), at(8))
    return gateway


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "single looks"])
@pytest.mark.parametrize("has_lock", [True, False], ids=["lock", "no lock"])
def test_the_report_is_interrupted_after_the_restart_and_a_duplicate_after_the_second_run(
    has_lock: bool, is_watched: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    gateway = report(folder, "inline")
    lock = gateway.lock(at(1, day=3)) if has_lock else None
    watched = source(folder, lock=lock)

    def seen(now: datetime) -> Found:
        return kinds(findings(watched if is_watched else source(folder, lock=lock), now))

    assert seen(at(7)) == []
    gateway.begin("daily", at(8))
    assert seen(at(8, 1)) == []
    if has_lock:
        gateway.lock(at(12, 4))
    gateway.start_over("daily", at(12, 4), at(8, day=6))
    assert seen(at(12, 4, 1)) == [("interrupted", "daily")]
    gateway.begin("daily", at(12, 6))
    assert seen(at(12, 6, 10)) == [("interrupted", "daily")]
    gateway.end("daily", at(12, 6, 45), at(8, day=6))
    assert seen(at(12, 6, 46)) == [("duplicate", "daily")]
    gateway.begin("daily", at(8, day=6))
    gateway.end("daily", at(8, 0, 40, day=6), at(8, day=7))
    assert seen(at(8, 1, day=6)) == []


def test_the_duplicate_names_both_runs(tmp_path: Path) -> None:
    gateway = report(tmp_path, "inline")
    gateway.begin("daily", at(8))
    gateway.start_over("daily", at(12, 4), at(8, day=6))
    gateway.begin("daily", at(12, 6))
    gateway.end("daily", at(12, 6, 45), at(8, day=6))
    found = one(source(tmp_path), at(12, 7), "duplicate")
    assert found.evidence["slot"] == at(8)
    assert found.evidence["first_run_record"] == f"cron:daily:{to_ms(at(8)) + 9}"
    assert found.evidence["second_run_started_at"] == at(12, 6)
    assert "the first run started at 2026-04-05 12:00 UTC and was never recorded" in found.summary


@pytest.mark.parametrize("layout", ["split", "wide", "canonical"])
def test_later_layouts_record_the_interruption_and_do_not_run_the_slot_again(layout: str, tmp_path: Path) -> None:
    gateway = report(tmp_path, layout)
    watched = source(tmp_path)
    gateway.begin("daily", at(8))
    assert kinds(findings(watched, at(8, 1))) == []
    gateway.boot(at(8, 2))
    early = [("interrupted", "daily")] if layout == "canonical" else []
    assert kinds(findings(watched, at(8, 2, 1))) == early
    gateway.start_over("daily", at(8, 2, 30), at(8, day=6))
    for now in (at(8, 2, 31), at(12, 6), at(7, day=6)):
        for each in (watched, source(tmp_path)):
            found = one(each, now, "interrupted")
            assert "the gateway does not make up for it: it runs next at 2026-04-06 12:00 UTC" in found.summary
            assert kinds(findings(each, now)) == [("interrupted", "daily")]
    gateway.begin("daily", at(8, day=6))
    gateway.end("daily", at(8, 0, 40, day=6), at(8, day=7))
    assert kinds(findings(watched, at(8, 1, day=6))) == []


def test_a_run_by_hand_that_was_interrupted_is_followed_by_no_duplicate(tmp_path: Path) -> None:
    gateway = report(tmp_path, "inline")
    watched = source(tmp_path)
    gateway.begin("daily", at(3))  # five hours before its time
    assert kinds(findings(watched, at(3, 1))) == []
    gateway.start_over("daily", at(3, 2), at(8))
    assert kinds(findings(watched, at(3, 3))) == [("interrupted", "daily")]
    gateway.begin("daily", at(8))
    gateway.end("daily", at(8, 0, 40), at(8, day=6))
    assert kinds(findings(watched, at(8, 1))) == []
    assert kinds(findings(source(tmp_path), at(8, 1))) == []


def test_an_old_release_that_moves_on_and_runs_the_slot_at_its_second_restart_makes_a_duplicate(tmp_path: Path) -> None:
    gateway = report(tmp_path, "inline")
    watched = source(tmp_path, lock=gateway.lock(at(1, day=3)))
    gateway.begin("daily", at(8))
    assert kinds(findings(watched, at(8, 1))) == []
    gateway.lock(at(8, 5))
    gateway.states["daily"]["nextRunAtMs"] = to_ms(at(8, day=6))
    gateway.start_over("daily", at(8, 5), at(8, day=6))
    assert kinds(findings(watched, at(8, 6))) == [("interrupted", "daily")]
    gateway.lock(at(15))
    gateway.begin("daily", at(15, 0, 5))
    gateway.end("daily", at(15, 1), at(8, day=6))
    assert kinds(findings(watched, at(15, 2))) == [("duplicate", "daily")]


def test_an_old_release_that_moves_on_makes_no_duplicate_of_the_next_slot(tmp_path: Path) -> None:
    gateway = report(tmp_path, "inline")
    watched = source(tmp_path)
    gateway.begin("daily", at(8))
    assert kinds(findings(watched, at(8, 1))) == []
    gateway.states["daily"]["nextRunAtMs"] = to_ms(at(8, day=6))
    gateway.start_over("daily", at(8, 5), at(8, day=6))
    assert kinds(findings(watched, at(8, 6))) == [("interrupted", "daily")]
    gateway.begin("daily", at(8, day=6))
    gateway.end("daily", at(8, 1, day=6), at(8, day=7))
    assert kinds(findings(watched, at(8, 2, day=6))) == []


def test_without_the_task_ledger_one_who_saw_the_marker_still_tells(tmp_path: Path) -> None:
    gateway = report(tmp_path, "inline")
    watched = source(tmp_path)

    def seen(now: datetime) -> Found:
        gateway.ledger.unlink()
        return kinds(findings(watched, now))

    gateway.begin("daily", at(8))
    assert seen(at(8, 1)) == []
    gateway.start_over("daily", at(12, 4), at(8, day=6))
    gateway.connect(gateway.ledger).close()
    assert seen(at(12, 4, 1)) == [("interrupted", "daily")]
    gateway.begin("daily", at(12, 6))
    gateway.end("daily", at(12, 6, 45), at(8, day=6), is_log_late=True)
    assert seen(at(12, 6, 46)) == [("duplicate", "daily")]


def test_a_log_line_that_trails_the_store_delays_the_duplicate_and_loses_nothing(tmp_path: Path) -> None:
    gateway = report(tmp_path, "inline")
    watched = source(tmp_path)
    gateway.begin("daily", at(8))
    findings(watched, at(8, 1))
    gateway.start_over("daily", at(12, 4), at(8, day=6))
    findings(watched, at(12, 5))
    gateway.begin("daily", at(12, 6))
    told: list[Found] = []
    gateway.between = lambda: told.append(kinds(findings(watched, at(12, 6, 46))))
    gateway.end("daily", at(12, 6, 45), at(8, day=6), is_log_late=True)
    assert told[-2:] == [[], [("duplicate", "daily")]]


# batches: all markers are set at once, and the runs begin one after another


def batch(folder: Path, layout: str) -> Gateway:
    """Two jobs whose markers are set at NOW; the second one's turn comes twenty seconds later."""
    gateway = healthy(folder, layout)
    gateway.add(job("next", EVERY), NOW - 30 * MINUTE, NOW - HOUR)
    gateway.begin("next", NOW - 29 * MINUTE)
    gateway.end("next", NOW - 28 * MINUTE, NOW)
    gateway.mark(NOW, "poll", "next")
    gateway.run("poll", NOW)
    return gateway


@pytest.mark.parametrize("has_ledger", [True, False], ids=["ledger", "no ledger"])
@pytest.mark.parametrize("layout", ["inline", "split", "wide"])
def test_a_run_that_began_long_after_its_marker_is_one_run(layout: str, has_ledger: bool, tmp_path: Path) -> None:
    gateway = batch(tmp_path, layout)
    watched = source(tmp_path)
    told: list[Found] = []

    def look(now: datetime) -> None:
        if not has_ledger:
            gateway.execute("DELETE FROM task_runs")
        told.append(kinds(findings(watched, now)))

    look(NOW + SECOND)
    gateway.run("next", NOW + 20 * SECOND)
    look(NOW + 21 * SECOND)
    for id_, seconds in (("poll", 20), ("next", 25)):
        gateway.end(id_, NOW + seconds * SECOND, NOW + 30 * MINUTE)
    look(NOW + 26 * SECOND)
    look(NOW + MINUTE)
    assert told == [[]] * 4


@pytest.mark.parametrize("layout", ["inline", "split", "wide"])
def test_a_marker_that_moves_to_the_runs_own_start_is_no_interruption(layout: str, tmp_path: Path) -> None:
    gateway = batch(tmp_path, layout)
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW + SECOND)) == []
    gateway.run("next", NOW + 20 * SECOND)
    gateway.states["next"]["runningAtMs"] = to_ms(NOW + 20 * SECOND)  # some other job's change wrote it out
    gateway.persist()
    assert kinds(findings(watched, NOW + 21 * SECOND)) == []
    assert kinds(findings(source(tmp_path), NOW + 21 * SECOND)) == []


def test_a_run_that_was_killed_late_in_its_batch_is_told_and_one_that_never_began_is_not(tmp_path: Path) -> None:
    gateway = batch(tmp_path, "inline")
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW + SECOND)) == []
    for id_ in ("poll", "next"):
        gateway.start_over(id_, NOW + 40 * SECOND, NOW)
    assert kinds(findings(watched, NOW + 40 * SECOND)) == [("interrupted", "poll")]
    gateway.mark(NOW + 41 * SECOND, "poll", "next")
    gateway.run("poll", NOW + 41 * SECOND)
    gateway.run("next", NOW + 50 * SECOND)
    for id_, seconds in (("poll", 50), ("next", 59)):
        gateway.end(id_, NOW + seconds * SECOND, NOW + 30 * MINUTE)
    assert kinds(findings(watched, NOW + MINUTE)) == [("duplicate", "poll")]
    assert kinds(findings(source(tmp_path), NOW + MINUTE)) == [("duplicate", "poll")]


def test_a_replay_of_a_run_that_began_late_in_its_batch_is_of_the_slot_that_it_waited_for(tmp_path: Path) -> None:
    gateway = batch(tmp_path, "inline")
    watched = source(tmp_path)
    gateway.run("next", NOW + 20 * SECOND)
    assert kinds(findings(watched, NOW + 21 * SECOND)) == []
    gateway.end("poll", NOW + 20 * SECOND, NOW + 30 * MINUTE)
    gateway.start_over("next", NOW + 40 * SECOND, NOW)
    assert kinds(findings(watched, NOW + 40 * SECOND)) == [("interrupted", "next")]
    gateway.begin("next", NOW + 41 * SECOND)
    gateway.end("next", NOW + 50 * SECOND, NOW + 30 * MINUTE)
    found = one(watched, NOW + MINUTE, "duplicate")
    assert (found.job, found.evidence["slot"]) == ("next", NOW)


@pytest.mark.parametrize("has_lock", [True, False], ids=["lock", "no lock"])
@pytest.mark.parametrize("layout", ["split", "wide"])
def test_an_interruption_that_is_recorded_from_the_marker_on_covers_a_run_that_began_late_in_its_batch(
    layout: str, has_lock: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "state"
    gateway = batch(folder, layout)
    lock = gateway.lock(NOW - HOUR) if has_lock else None
    watched = source(folder, lock=lock)
    gateway.end("poll", NOW + 20 * SECOND, NOW + 30 * MINUTE)
    gateway.run("next", NOW + 20 * SECOND)
    assert kinds(findings(watched, NOW + 21 * SECOND)) == []
    if has_lock:
        gateway.lock(NOW + 40 * SECOND)
    early = [("interrupted", "next")] if has_lock else []
    assert kinds(findings(watched, NOW + 41 * SECOND)) == early
    gateway.start_over("next", NOW + 50 * SECOND, NOW + 30 * MINUTE)  # the ledger's row stays as it is
    for each in (watched, source(folder, lock=lock)):
        assert kinds(findings(each, NOW + 51 * SECOND)) == [("interrupted", "next")]
        assert "does not make up for it" in one(each, NOW + 51 * SECOND, "interrupted").summary


@pytest.mark.parametrize("is_watched", [True, False], ids=["watched", "single looks"])
@pytest.mark.parametrize("layout", ["split", "wide"])
def test_two_interruptions_in_a_row_that_are_recorded_are_no_duplicate(
    layout: str, is_watched: bool, tmp_path: Path
) -> None:
    gateway = batch(tmp_path, layout)
    gateway.names_schedules = True
    gateway.run("next", NOW + 20 * SECOND)
    watched = source(tmp_path)

    def seen(now: datetime) -> Found:
        return kinds(findings(watched if is_watched else source(tmp_path), now))

    assert seen(NOW + 21 * SECOND) == []
    for minutes in (1, 4):
        now = NOW + minutes * MINUTE
        for id_ in ("poll", "next"):
            gateway.start_over(id_, now, now + 2 * MINUTE, is_logged=False)
        assert seen(now + SECOND) == [("interrupted", "next"), ("interrupted", "poll")]
        gateway.begin("next", now + 2 * MINUTE)
        gateway.mark(now + 2 * MINUTE, "poll")
        assert seen(now + 2 * MINUTE + SECOND) == []
    gateway.end("next", NOW + 7 * MINUTE, NOW + 37 * MINUTE)
    assert seen(NOW + 7 * MINUTE) == []


def test_a_marked_run_that_never_began_is_not_overdue_until_the_start_has_had_its_time(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    gateway = healthy(folder, "split")
    lock = gateway.lock(NOW - HOUR)
    gateway.mark(NOW + 10 * MINUTE, "poll")  # late already: it waited for another job's run
    watched = source(folder, lock=lock)
    assert kinds(findings(watched, NOW + 11 * MINUTE)) == []
    gateway.lock(NOW + 12 * MINUTE)
    for each in (watched, source(folder, lock=lock)):
        assert kinds(findings(each, NOW + 12 * MINUTE + SECOND)) == []
        assert ("overdue", "poll") in kinds(findings(each, NOW + 16 * MINUTE))


@pytest.mark.parametrize("layout", ["inline", "split", "wide"])
def test_a_job_that_was_switched_off_and_on_in_mid_run_is_not_interrupted(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    watched = source(tmp_path)
    gateway.begin("poll", NOW)
    assert kinds(findings(watched, NOW + SECOND)) == []
    marker = gateway.states["poll"].pop("runningAtMs")
    for seconds, enabled, next_run in ((5, False, None), (9, True, NOW + 30 * MINUTE)):
        gateway.jobs["poll"]["enabled"] = enabled
        gateway.states["poll"]["nextRunAtMs"] = to_ms(next_run) if next_run else None
        gateway.updated["poll"] = to_ms(NOW + seconds * SECOND)
        gateway.persist()
        for each in (watched, source(tmp_path)):
            assert kinds(findings(each, NOW + (seconds + 1) * SECOND)) == []
    gateway.states["poll"]["runningAtMs"] = marker  # the run goes on, and its outcome is written
    gateway.end("poll", NOW + 40 * SECOND, NOW + 30 * MINUTE)
    assert kinds(findings(watched, NOW + 41 * SECOND)) == []


def test_a_run_that_was_killed_after_its_job_was_changed_is_interrupted(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "inline")
    watched = source(tmp_path)
    gateway.begin("poll", NOW)
    assert kinds(findings(watched, NOW + SECOND)) == []
    gateway.jobs["poll"]["schedule"] = {"kind": "every", "everyMs": 7_200_000}
    gateway.states["poll"]["nextRunAtMs"] = to_ms(NOW + 2 * HOUR)
    gateway.updated["poll"] = to_ms(NOW + 5 * SECOND)
    gateway.persist()
    assert kinds(findings(watched, NOW + 6 * SECOND)) == []
    gateway.start_over("poll", NOW + 20 * SECOND, NOW + 2 * HOUR)
    for seconds in (20, 60):
        assert kinds(findings(watched, NOW + seconds * SECOND)) == [("interrupted", "poll")]


def test_a_missed_fire_is_that_of_the_last_runs_cadence_whoever_looks(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    put_off = {"startupCatchupAtMs": to_ms(NOW + 3 * MINUTE), "nextRunAtMs": to_ms(NOW + 3 * MINUTE)}
    gateway.states["poll"] |= put_off
    gateway.persist()
    watched = source(tmp_path)  # it sees the job only after the first start
    found = findings(watched, NOW + 4 * MINUTE + 3 * SECOND)
    assert ("overdue", "poll") in kinds(found)
    gateway.boot(NOW + 4 * MINUTE + 5 * SECOND)
    gateway.states["poll"] |= {name: at + 210_000 for name, at in put_off.items()}
    gateway.persist()
    for each in (watched, source(tmp_path)):
        late = one(each, NOW + 4 * MINUTE + 10 * SECOND, "overdue")
        assert late.evidence["due_at"] == NOW


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_fire_that_the_pause_after_an_error_lets_pass_is_not_owed(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout, {"kind": "cron", "expr": "*/30 * * * * *"})
    gateway.begin("poll", NOW)
    gateway.end("poll", NOW + 48 * SECOND, NOW + 90 * SECOND, "error")  # 12:01:00 lies in the pause till 12:01:18
    found = findings(source(tmp_path), NOW + 122 * SECOND)
    assert kinds(found) == [("overdue", "poll"), ("stalled", None)]
    assert {finding.since for finding in found} == {NOW + 122 * SECOND}
    assert "put off" not in found[0].summary + found[1].summary


def test_a_one_shot_that_was_put_off_twice_is_late_for_its_own_time(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path, "canonical")
    gateway.boot(NOW + 5 * MINUTE)
    gateway.add(job("once", {"kind": "at", "at": iso(NOW)}), NOW + 2 * MINUTE, NOW - HOUR)
    gateway.persist()
    assert kinds(findings(source(tmp_path), NOW + 150 * SECOND)) == []
    gateway.states["once"]["nextRunAtMs"] = to_ms(NOW + 7 * MINUTE)
    gateway.persist()
    late = one(source(tmp_path), NOW + 6 * MINUTE, "overdue")
    assert (late.evidence["due_at"], late.since) == (NOW, NOW + 212 * SECOND)


def test_a_lock_that_is_let_go_again_has_ended_the_gateway_before_it_all_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    gateway = healthy(folder, "canonical")
    gateway.begin("poll", NOW)
    watched = source(folder, lock=gateway.lock(NOW - HOUR))
    assert kinds(findings(watched, NOW + SECOND)) == []
    gateway.pid += 1
    lock = gateway.lock(NOW + MINUTE)  # a repair of the stopped gateway takes it for a moment
    assert kinds(findings(watched, NOW + MINUTE)) == [("interrupted", "poll")]
    lock.unlink()
    assert kinds(findings(watched, NOW + MINUTE + SECOND)) == [("interrupted", "poll")]


def test_the_lock_is_found_wherever_a_newer_gateway_keeps_it(tmp_path: Path) -> None:
    for where in ("run", "tmp"):
        folder = tmp_path / where
        gateway = healthy(folder, "wide")
        gateway.begin("poll", NOW)
        lock = folder / where / "openclaw-0" / "gateway.0c293b69.lock"
        lock.parent.mkdir(parents=True)
        lock.write_text(json.dumps({"pid": 9, "createdAt": iso(NOW + MINUTE), "configPath": "/x"}))
        assert kinds(findings(source(folder), NOW + MINUTE + SECOND)) == [("interrupted", "poll")]


def test_a_marker_that_somebody_cleared_by_hand_is_no_interruption_where_the_lock_tells(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    gateway = report(folder, "inline")
    watched = source(folder, lock=gateway.lock(at(1, day=3)))
    gateway.begin("daily", at(8))
    assert kinds(findings(watched, at(8, 1))) == []
    gateway.states["daily"]["nextRunAtMs"] = to_ms(at(8, day=6))
    gateway.start_over("daily", at(8, 2), at(8, day=6))
    assert "interrupted" not in [kind for kind, _ in kinds(findings(watched, at(8, 3)))]


# single conditions

EVERY = {"kind": "every", "everyMs": 1_800_000}


def healthy(folder: Path, layout: str, schedule: Json | None = None, **changes: Any) -> Gateway:
    """One job that ran at 11:30 and is due at NOW."""
    gateway = Gateway(folder, layout)
    gateway.boot(NOW - HOUR)
    gateway.add(job("poll", schedule or EVERY, **changes), NOW - 30 * MINUTE, NOW - HOUR)
    gateway.begin("poll", NOW - 30 * MINUTE)
    gateway.end("poll", NOW - 29 * MINUTE, NOW)
    return gateway


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_job_is_overdue_once_the_gateways_longest_sleep_has_passed(layout: str, tmp_path: Path) -> None:
    healthy(tmp_path, layout)
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW + 61 * SECOND)) == []
    found = findings(watched, NOW + 62 * SECOND)
    assert kinds(found) == [("overdue", "poll"), ("stalled", None)]
    assert {finding.since for finding in found} == {NOW + 62 * SECOND}


def test_the_grace_can_be_set(tmp_path: Path) -> None:
    healthy(tmp_path, "inline")
    watched = source(tmp_path, grace=timedelta(minutes=5))
    assert kinds(findings(watched, NOW + 5 * MINUTE)) == []
    assert ("overdue", "poll") in kinds(findings(watched, NOW + 5 * MINUTE + 2 * SECOND))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_it_keeps_quiet_while_the_jobs_own_marker_is_set(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    gateway.begin("poll", NOW)
    assert kinds(findings(source(tmp_path), NOW + 14 * MINUTE)) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_marker_beyond_the_timeout_and_a_margin_is_wedged(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    gateway.begin("poll", NOW)
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW + 20 * MINUTE - SECOND)) == []
    found = one(watched, NOW + 20 * MINUTE, "wedged")
    assert found.severity is Severity.CRITICAL
    assert found.evidence["run_limit"] == 20 * MINUTE


def test_a_job_without_a_timeout_has_hours(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "inline", payload={"kind": "agentTurn", "timeoutSeconds": 0})
    gateway.begin("poll", NOW)
    assert kinds(findings(source(tmp_path), NOW + 3 * HOUR)) == [("long_run", "poll")]
    assert kinds(findings(source(tmp_path), NOW + 4 * HOUR)) == [("wedged", "poll")]


def test_jobs_of_one_batch_share_their_time_where_a_pass_runs_them_one_after_another(tmp_path: Path) -> None:
    for layout, expected in (("inline", []), ("canonical", [("wedged", "other"), ("wedged", "poll")])):
        folder = tmp_path / layout
        gateway = healthy(folder, layout)
        gateway.add(job("other", EVERY), NOW, NOW - HOUR)
        for id_ in ("poll", "other"):
            gateway.begin(id_, NOW)
        assert kinds(findings(source(folder), NOW + 29 * MINUTE)) == expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_job_behind_another_run_names_it_where_runs_exclude_each_other(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    gateway.add(job("long", EVERY), NOW - MINUTE, NOW - HOUR)
    gateway.begin("long", NOW - MINUTE)
    found = one(source(tmp_path), NOW + 5 * MINUTE, "overdue")
    assert found.job == "poll"
    assert (found.caused_by.job if found.caused_by else None) == ("long" if layout != "canonical" else None)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_errors_count_from_three_and_a_later_release_gives_up_at_ten(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    gateway.states["poll"] |= {
        "consecutiveErrors": 3,
        "lastRunStatus": "error",
        "lastErrorReason": "rate_limit",
        "nextRunAtMs": to_ms(NOW + HOUR),
    }
    gateway.persist()
    found = one(source(tmp_path), NOW, "failing")
    assert found.evidence["error_class"] == "transient"
    assert found.evidence.get("errors_left") == (7 if layout == "canonical" else None)
    own = diagnose(source(tmp_path).look(NOW).snapshot, NOW, Detect.validated({"failing": {"errors": 5}}))
    assert own.findings == ()


def test_error_backoff_keeps_a_past_next_run_from_being_late(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    gateway.begin("poll", NOW + 5 * MINUTE)
    gateway.end("poll", NOW + 6 * MINUTE, NOW, "error", None, consecutiveErrors=2)
    assert kinds(findings(source(tmp_path), NOW + 7 * MINUTE)) == []
    assert ("overdue", "poll") in kinds(findings(source(tmp_path), NOW + 9 * MINUTE))


@pytest.mark.parametrize(
    ("changes", "state", "expected"),
    [
        ({"enabled": False}, {"autoDisabled": {"reason": "consecutive-failures", "atMs": 1775476800000}}, "failed"),
        ({"enabled": False}, {"scheduleErrorCount": 3, "lastError": "schedule error: x"}, "failed"),
        (
            {"enabled": False, "schedule": {"kind": "at", "at": "2026-04-06T11:00Z"}},
            {"lastRunStatus": "error"},
            "failed",
        ),
        ({"enabled": False, "schedule": {"kind": "at", "at": "2026-04-06T11:00Z"}}, {"lastRunStatus": "ok"}, ""),
        ({"enabled": False}, {"lastRunStatus": "error"}, ""),
        ({}, {"nextRunAtMs": None}, "stranded"),
        ({"schedule": {"kind": "cron", "expr": "61 * * * *"}}, {}, "invalid"),
        ({"schedule": {"kind": "lunar"}}, {"nextRunAtMs": None}, "invalid"),
        ({"schedule": {"kind": "lunar"}}, {}, ""),
        ({"schedule": {"cron": "*/5 * * * *"}}, {}, ""),
        ({"schedule": {"kind": "cron", "expr": "*/15 * * * * *"}}, {}, ""),
        ({}, {"lastDeliveryStatus": "not-delivered", "lastDeliveryError": "chat not found"}, "undelivered"),
        ({}, {"lastDeliveryStatus": "not-delivered"}, ""),
        ({"delivery": {"mode": "none"}}, {"lastDeliveryStatus": "not-delivered", "lastDeliveryError": "x"}, ""),
        (
            {},
            {"lastDeliveryStatus": "not-delivered", "lastDeliveryError": "x", "deliverySuppressionReason": "silent"},
            "",
        ),
        ({"payload": {"kind": "somethingNew"}}, {}, ""),
    ],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_state_means_the_same_in_every_layout(
    layout: str, changes: Json, state: Json, expected: str, tmp_path: Path
) -> None:
    gateway = healthy(tmp_path, layout)
    gateway.jobs["poll"] |= changes
    gateway.states["poll"] |= {"nextRunAtMs": to_ms(NOW + MINUTE), **state}
    gateway.updated["poll"] = to_ms(NOW)
    gateway.persist()
    assert kinds(findings(source(tmp_path), NOW)) == table(f"{expected} poll" if expected else "")


@pytest.mark.parametrize(
    ("payload", "first", "later", "expected"),
    [
        ("agentTurn", {"total_tokens": 5}, None, ["zero_tokens"]),
        ("agentTurn", None, None, []),
        ("systemEvent", {"total_tokens": 5}, None, []),
        ("agentTurn", {"total_tokens": 5}, {"total_tokens": 9}, []),
    ],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_runs_without_usage_are_told_of_a_job_that_once_had_some(
    layout: str, payload: str, first: Json | None, later: Json | None, expected: list[str], tmp_path: Path
) -> None:
    gateway = healthy(tmp_path, layout, payload={"kind": payload})
    watched = source(tmp_path)
    (tmp_path / "cron" / "runs" / "poll.jsonl").unlink(missing_ok=True)
    if not gateway.is_files:
        with closing(gateway.connect(gateway.ledger)) as connection:
            connection.execute("DELETE FROM task_runs")
            connection.execute(f"DELETE FROM {'cron_run_logs' if layout == 'wide' else 'cron_run_receipts'}")
    for number, usage in enumerate((first, later, later, later)):
        begun = NOW + number * 30 * MINUTE
        gateway.begin("poll", begun)
        gateway.end("poll", begun + MINUTE, begun + 30 * MINUTE, usage=usage)
        assert kinds(findings(watched, begun + 2 * MINUTE)) == [] or number == 3
    assert [kind for kind, _ in kinds(findings(watched, NOW + 92 * MINUTE))] == expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missed_run_that_was_put_off_stays_late_until_it_is_done(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    watched = source(tmp_path)
    assert ("overdue", "poll") in kinds(findings(watched, NOW + 5 * MINUTE))
    gateway.boot(NOW + 6 * MINUTE)
    gateway.states["poll"]["nextRunAtMs"] = to_ms(NOW + 8 * MINUTE)
    gateway.persist()
    found = findings(watched, NOW + 7 * MINUTE)
    assert kinds(found) == [("overdue", "poll")]
    assert "put off" in found[0].summary
    gateway.begin("poll", NOW + 8 * MINUTE)
    assert kinds(findings(watched, NOW + 8 * MINUTE)) == []
    gateway.end("poll", NOW + 9 * MINUTE, NOW + 38 * MINUTE)
    assert kinds(findings(watched, NOW + 9 * MINUTE)) == []


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_job_that_was_switched_off_and_on_owes_nothing(layout: str, tmp_path: Path) -> None:
    gateway = healthy(tmp_path, layout)
    watched = source(tmp_path)
    for enabled, next_run in ((False, None), (True, NOW + HOUR)):
        gateway.jobs["poll"]["enabled"] = enabled
        gateway.states["poll"]["nextRunAtMs"] = to_ms(next_run) if next_run else None
        gateway.updated["poll"] = to_ms(NOW + 3 * MINUTE)
        gateway.persist()
        assert kinds(findings(watched, NOW + 3 * MINUTE)) == []


@pytest.mark.parametrize("layout", ["inline", "split"])
def test_a_job_whose_switch_reads_false_instead_of_0_has_been_switched_off(layout: str, tmp_path: Path) -> None:
    """The gateway takes only `false` for off; to Python the two are equal."""
    gateway, watched = healthy(tmp_path, layout), source(tmp_path)
    shown = []
    for enabled in (0, False, 0):
        gateway.jobs["poll"]["enabled"] = enabled
        gateway.persist()
        shown += [each.enabled for each in snapshot(watched, NOW).jobs]
    assert shown == [True, False, True]


def test_jobs_that_the_gateway_made_for_itself_can_be_told_apart(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "canonical")
    gateway.add(job("heartbeat-main", EVERY, declarationKey="heartbeat:main"), NOW + HOUR, NOW)
    gateway.persist()
    jobs = snapshot(source(tmp_path), NOW).jobs
    assert [each.created_by for each in jobs] == [None, "openclaw"]


# old and new stores side by side


def test_a_job_that_the_new_store_does_not_have_is_told(tmp_path: Path) -> None:
    newer = healthy(tmp_path, "canonical")
    older = healthy(tmp_path, "inline")
    older.add(job("forgotten", EVERY), NOW, NOW - HOUR)
    older.add(job("once", {"kind": "at", "at": "2026-04-06T11:00Z"}), None, NOW - HOUR)
    older.add(job("off", EVERY, enabled=False), None, NOW - HOUR)
    older.persist()
    newer.begin("poll", NOW)
    newer.end("poll", NOW + MINUTE, NOW + 30 * MINUTE)
    watched = source(tmp_path)
    found = findings(watched, NOW + 2 * MINUTE)
    assert kinds(found) == [("invalid", "forgotten")]
    assert "stands only in the old store" in found[0].summary


@pytest.mark.parametrize("layout", ["wide", "canonical"])
def test_jobs_that_an_upgrade_left_behind_are_told_to_one_who_saw_them_run(layout: str, tmp_path: Path) -> None:
    healthy(tmp_path, "inline")
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW)) == []
    newer = Gateway(tmp_path, layout)
    newer.boot(NOW + SECOND)
    newer.persist()
    for each in (watched, source(tmp_path)):
        assert kinds(findings(each, NOW + 2 * SECOND)) == [("invalid", "poll")]


@pytest.mark.parametrize("layout", ["wide", "canonical"])
def test_a_job_that_ran_in_the_new_store_and_was_removed_there_is_not_left_behind(layout: str, tmp_path: Path) -> None:
    healthy(tmp_path, "inline")
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW)) == []
    newer = healthy(tmp_path, layout)
    newer.begin("poll", NOW)
    newer.end("poll", NOW + SECOND, NOW + 30 * MINUTE)
    del newer.jobs["poll"]
    newer.persist()
    for each in (watched, source(tmp_path)):
        assert kinds(findings(each, NOW + 2 * SECOND)) == []


def test_files_that_are_written_after_the_database_are_in_use_again(tmp_path: Path) -> None:
    healthy(tmp_path, "canonical")
    older = healthy(tmp_path, "inline")
    older.begin("poll", NOW)
    older.end("poll", NOW + MINUTE, NOW + 30 * MINUTE)
    watched = source(tmp_path)
    assert kinds(findings(watched, NOW + 2 * MINUTE)) == []
    assert snapshot(watched, NOW).jobs[0].next_run_at == NOW + 30 * MINUTE


def test_a_database_without_jobs_leaves_the_files_in_use(tmp_path: Path) -> None:
    healthy(tmp_path, "split")
    (tmp_path / "state").mkdir()
    with closing(sqlite3.connect(tmp_path / "state" / "openclaw.sqlite")) as connection:
        connection.execute("CREATE TABLE schema_meta (x)")
    assert [each.id for each in snapshot(source(tmp_path), NOW).jobs] == ["poll"]


# reading


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nothing_is_read_while_nothing_changes(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway = healthy(tmp_path, layout)
    old = datetime.now(UTC).timestamp() - 60
    for path in [path for path in tmp_path.rglob("*") if path.is_file()] + [tmp_path / "cron" / "runs"]:
        if path.exists():
            os.utime(path, (old, old))
    watched = source(tmp_path)
    first = watched.look(NOW)
    monkeypatch.setattr(watched._store, "read", lambda: pytest.fail("it was read"))
    second = watched.look(NOW + SECOND)
    assert (first.is_new, second.is_new, second.seconds) == (True, False, None)
    monkeypatch.undo()
    gateway.begin("poll", NOW)
    assert watched.look(NOW + 2 * SECOND).is_new


@pytest.mark.parametrize("layout", LAYOUTS)
def test_reading_leaves_no_trace(layout: str, tmp_path: Path) -> None:
    healthy(tmp_path, layout)

    def listing() -> list[tuple[str, int, int]]:
        return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))

    before = listing()
    assert snapshot(source(tmp_path), NOW).jobs
    assert listing() == before


@pytest.mark.parametrize(
    ("layout", "name"), [("inline", "jobs.json"), ("split", "jobs.json"), ("split", "jobs-state.json")]
)
def test_a_half_written_file_is_tried_once_more(layout: str, name: str, tmp_path: Path) -> None:
    healthy(tmp_path, layout)
    path = tmp_path / "cron" / name
    whole = path.read_bytes()
    for torn in (whole[: len(whole) // 2], b""):
        path.write_bytes(torn)
        assert source(tmp_path, pause=lambda _: path.write_bytes(whole)).look(NOW).snapshot.problem is None
        path.write_bytes(torn)
        problem = source(tmp_path).look(NOW).snapshot.problem
        assert problem is not None
        assert str(path) in problem
    path.unlink()
    assert source(tmp_path, pause=lambda _: path.write_bytes(whole)).look(NOW).snapshot.problem is None


def test_a_store_that_is_not_there_is_unreachable_and_recovers(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    watched = source(folder)
    found = one(watched, NOW, "unreachable")
    assert found.summary == f"openclaw cannot be read: {folder} is not there: is it OpenClaw's state folder?"
    folder.mkdir()
    assert "there are no jobs: neither" in one(watched, NOW + SECOND, "unreachable").summary
    assert one(watched, NOW + SECOND, "unreachable").since == NOW
    healthy(folder, "inline")
    assert kinds(findings(watched, NOW)) == []


@pytest.mark.parametrize("layout", ["inline", "canonical"])
def test_another_user_than_the_gateways_is_told_so(layout: str, reachable: Path) -> None:
    gateway = healthy(reachable, layout)
    gateway.store.chmod(0o600)
    gateway.store.parent.chmod(0o755)
    reachable.chmod(0o755)
    problem = as_nobody(lambda: source(reachable).look(NOW).snapshot.problem)
    assert "may not be read by user 65534" in problem
    assert "run the watchdog as the" in problem
    gateway.store.parent.chmod(0o700)
    assert "may not be read by user 65534" in as_nobody(lambda: source(reachable).look(NOW).snapshot.problem)


def test_run_logs_are_followed_over_rotation_and_torn_lines(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "inline")
    watched = source(tmp_path)
    path = tmp_path / "cron" / "runs" / "poll.jsonl"

    def line(number: int) -> str:
        run = {"action": "finished", "status": "ok", "runAtMs": to_ms(NOW + number * MINUTE), "durationMs": 5, "ts": 1}
        return json.dumps({**run, "model": "m", "usage": {"total_tokens": number + 1}}) + "\n"

    def numbers() -> list[int]:
        gateway.updated["poll"] += 1
        gateway.persist()
        starts = [to_ms(end.at) for end in snapshot(watched, NOW).jobs[0].recent]
        return [(start - to_ms(NOW)) // 60_000 for start in starts if start > to_ms(NOW)]

    with path.open("a") as file:
        file.write(line(0) + line(1)[:20])
    assert numbers() == [0]
    with path.open("a") as file:
        file.write(line(1)[20:] + "not json\n" + line(2))
    assert numbers() == [0, 1, 2]
    kept = path.with_name("poll.jsonl.tmp")
    kept.write_text(line(2) + line(3))
    kept.replace(path)
    assert numbers() == [0, 1, 2, 3]
    path.write_text(line(4))
    assert numbers() == [0, 1, 2, 3, 4]


def test_only_the_end_of_a_large_log_is_read_at_first(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "inline")
    path = tmp_path / "cron" / "runs" / "poll.jsonl"
    entry = {"action": "finished", "status": "ok", "durationMs": 5, "model": "m", "summary": "x" * 400}
    lines = [json.dumps({**entry, "runAtMs": to_ms(NOW) + number}) for number in range(4000)]
    path.write_text("\n".join(lines) + "\n")
    assert path.stat().st_size > 2_000_000
    gateway.persist()
    assert snapshot(source(tmp_path), NOW).jobs[0].recent[-1].id == to_ms(NOW) + 3999


def test_a_broken_ledger_narrows_what_can_be_told_and_stops_nothing(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "inline")
    gateway.ledger.write_bytes(b"not a database" * 200)
    found = snapshot(source(tmp_path), NOW)
    assert len(found.jobs) == 1
    assert "the task ledger cannot be read" in found.unseen[0].what


def test_the_store_alone_can_be_named(tmp_path: Path) -> None:
    gateway = healthy(tmp_path, "inline")
    moved = tmp_path / "elsewhere" / "my-jobs.json"
    shutil.copytree(gateway.store.parent, moved.parent)
    moved.with_name("jobs.json").rename(moved)
    for layout, path in (("inline", moved), ("inline", gateway.store)):
        watched = source(tmp_path, state_dir=None, store=path)
        assert [len(each.recent) for each in snapshot(watched, NOW).jobs] == [1], layout
    other = healthy(tmp_path / "sqlite", "wide")
    assert len(snapshot(source(tmp_path, state_dir=None, store=other.store), NOW).jobs[0].recent) == 1


def test_old_rows_without_ids_names_or_sense_are_jobs_all_the_same(tmp_path: Path) -> None:
    rows = [
        {
            "jobId": "a",
            "name": "old",
            "schedule": {"cron": "0 * * * *"},
            "state": {"nextRunAtMs": str(to_ms(NOW + HOUR))},
        },
        {"name": "nameless", "schedule": {"kind": "at", "atMs": to_ms(NOW + HOUR)}, "state": {"nextRunAtMs": 1e99}},
        "nonsense",
        {"id": "a", "schedule": 5},
    ]
    (tmp_path / "cron").mkdir()
    (tmp_path / "cron" / "jobs.json").write_text(json.dumps(rows))
    jobs = snapshot(source(tmp_path), NOW).jobs
    assert [each.id for each in jobs] == ["a", "(no id)", "(no id) #2", "a #2"]
    assert [bool(each.problems) for each in jobs] == [False, False, True, True]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{kind: openclaw}", "sources[0]: give one of state_dir"),
        ("{kind: openclaw, state_dir: /a, store: /b}", "sources[0]: give one of state_dir"),
        ("{kind: openclaw, state_dir: /a, stor: /b}", "sources[0].stor: unknown key; did you mean store?"),
        ("{kind: openclaw, state_dir: /a, grace: fast}", "sources[0].grace: "),
        ("{kind: openclaww, state_dir: /a}", f"sources[0].kind: should be {ANY_SYSTEM}"),
    ],
)
def test_errors_of_the_configuration_name_their_place(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "watchdog.yaml"
    path.write_text(f"sources:\n  - {text}\n")
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert any(problem in line for line in raised.value.problems), raised.value.problems


def test_the_example_is_valid() -> None:
    found = load(ROOT / "config" / "openclaw.yaml", {})
    assert isinstance(found.sources[0], OpenClaw)


# properties

Step = tuple[int, int, bool, int]


def _steps() -> st.SearchStrategy[list[Step]]:
    """Which job runs, for how many seconds, whether its log line comes late, and after which write one looks."""
    step = st.tuples(st.integers(0, 2), st.integers(1, 25), st.booleans(), st.integers(0, 9))
    return st.lists(step, min_size=1, max_size=8)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_healthy_history_gives_no_finding_whenever_one_looks(
    layout: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(_steps())
    def holds(steps: list[Step]) -> None:
        _live(tmp_path_factory.mktemp("lives"), layout, steps)

    holds()


def _live(folder: Path, layout: str, steps: list[Step]) -> None:
    """Runs that are on time and well; somebody looks between any two writes, and at a file that is half-written."""
    now, writes, looks_at = NOW, 0, 0
    watched = source(folder)

    def between() -> None:
        nonlocal writes
        writes += 1
        if writes % 3 != looks_at % 3:
            return
        if gateway.is_files and writes % 2:
            _torn_look(watched, gateway.store, now)
        found = findings(watched, now)
        assert found == (), (writes, found)
        assert findings(source(folder), now) == (), "by somebody who looks for the first time"

    gateway = Gateway(folder, layout)
    gateway.boot(now - HOUR)
    for number in range(3):
        gateway.add(job(f"job-{number}", {"kind": "every", "everyMs": 60_000}), now, now - HOUR)
    gateway.persist()
    gateway.between = between
    for number, seconds, is_late, turn in steps:
        looks_at = turn
        id_ = f"job-{number}"
        gateway.begin(id_, now)
        began, now = now, now + seconds * SECOND
        gateway.end(id_, now, began + MINUTE, is_log_late=is_late)
        for other in gateway.jobs:  # nobody else falls due meanwhile
            gateway.states[other]["nextRunAtMs"] = max(gateway.states[other]["nextRunAtMs"], to_ms(now))


def _torn_look(watched: OpenClawSource, path: Path, now: datetime) -> None:
    """A look in the middle of a write that is not by rename: the second try finds the whole file."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    watched._pause = lambda _: path.write_bytes(whole)
    assert watched.look(now).snapshot.problem is None


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_killed_run_is_all_that_is_told_of_a_killed_gateway(
    layout: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    @settings(max_examples=10, deadline=None, derandomize=True, database=None)
    @given(st.booleans(), st.integers(3, 20))  # no gateway starts within two seconds
    def holds(is_late: bool, seconds: int) -> None:
        folder = tmp_path_factory.mktemp("killed")
        gateway = healthy(folder, layout)
        gateway.add(job("other", EVERY), NOW + HOUR, NOW - HOUR)
        gateway.persist()
        watched, now = source(folder), NOW
        told: set[tuple[str, str | None]] = set()
        gateway.between = lambda: told.update(kinds(findings(watched, now)))
        gateway.begin("poll", now)
        now += seconds * SECOND
        gateway.boot(now)
        gateway.start_over("poll", now, NOW + 30 * MINUTE)
        if layout == "inline":
            gateway.begin("poll", now)
            now += SECOND
            gateway.end("poll", now, NOW + 30 * MINUTE, is_log_late=is_late)
        findings(watched, now)
        expected = {"interrupted", "duplicate"} if layout == "inline" else {"interrupted"}
        assert {kind for kind, _ in told} <= expected
        assert {name for _, name in told} <= {"poll"}
        last = kinds(findings(watched, now))
        assert last == [("duplicate" if layout == "inline" else "interrupted", "poll")]

    holds()


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_whatever_stands_there_never_crashes(layout: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    keys = st.sampled_from(["nextRunAtMs", "runningAtMs", "lastRunAtMs", "lastDurationMs", "consecutiveErrors"])
    more = st.sampled_from(["lastRunStatus", "autoDisabled", "startupCatchupAtMs", "lastDeliveryError", "lastError"])
    parts = st.sampled_from(["schedule", "payload", "delivery", "name", "enabled", "sessionTarget", "id"])
    folder = tmp_path_factory.mktemp("odd")
    gateway = healthy(folder, layout)
    watched = source(folder)

    @settings(max_examples=30, deadline=None, derandomize=True, database=None)
    @given(st.dictionaries(keys | more, _VALUES, max_size=4), st.dictionaries(parts, _VALUES, max_size=2), _VALUES)
    def holds(state: Json, definition: Json, entry: Any) -> None:
        gateway.jobs["poll"] = {**job("poll", EVERY), **definition, "name": "poll", "enabled": True}
        gateway.states["poll"] = state
        gateway.persist()
        gateway.log("poll", entry if isinstance(entry, dict) and "ts" in entry else {"ts": 1, "runAtMs": entry})
        for each in (watched, source(folder)):
            found = each.look(NOW).snapshot
            assert found.problem is None
            diagnose(found, NOW, Detect())

    holds()


class _Anew:
    """Keeps nothing from look to look."""

    def get(self, key: str, basis: object, make: Callable[[], Any]) -> Any:
        return make()

    def forget(self, there: object) -> None:
        return


OPERATIONS = ("begin", "end", "fail", "boot", "edit", "disable", "enable", "lose", "nothing")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_kept_from_look_to_look_is_what_would_be_worked_out_anew(
    layout: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    operation = st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 2), st.integers(1, 400))

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.lists(operation, min_size=1, max_size=14))
    def holds(operations: list[tuple[str, int, int]]) -> None:
        folder = tmp_path_factory.mktemp("twice")
        keeps, works_out = source(folder), source(folder)
        works_out._facts_of = works_out._jobs = works_out._store._rows = _Anew()  # type: ignore[assignment]
        gateway = Gateway(folder, layout)
        gateway.boot(NOW - HOUR)
        for number in range(3):
            gateway.add(job(f"job-{number}", {"kind": "every", "everyMs": 60_000}), NOW, NOW - HOUR)
        now = NOW
        for what, number, seconds in operations:
            _operate(gateway, what, f"job-{number}", now)
            assert keeps.look(now).snapshot == works_out.look(now).snapshot
            now += seconds * SECOND

    holds()


def _operate(gateway: Gateway, what: str, id_: str, now: datetime) -> None:
    state = gateway.states[id_]
    if what == "begin" and "runningAtMs" not in state:
        gateway.begin(id_, now)
    elif what in ("end", "fail") and "runningAtMs" in state:
        gateway.end(id_, now, now + MINUTE, "ok" if what == "end" else "error")
    elif what == "boot":
        gateway.boot(now)
    elif what == "lose":
        state.pop("runningAtMs", None)
    elif what == "edit":
        gateway.jobs[id_]["schedule"] = {"kind": "every", "everyMs": 60_000 + to_ms(now) % 7 * 1000}
    elif what in ("disable", "enable"):
        gateway.jobs[id_]["enabled"] = what == "enable"
    gateway.persist()


def _with_a_job(folder: Path, name: str, layout: str = "inline") -> Gateway:
    made = Gateway(folder, layout)
    made.add(job(name, {"kind": "every", "everyMs": 3_600_000}), NOW + HOUR, NOW - HOUR)
    made.states[name] |= {"lastRunAtMs": to_ms(NOW - HOUR), "lastStatus": "ok", "lastDurationMs": 1000}
    made.persist()
    return made


@pytest.mark.parametrize("how", ["{home}/moved/cron/jobs.json", "~/moved/cron/jobs.json"])
def test_jobs_that_its_configuration_puts_elsewhere_are_read_there(how: str, tmp_path: Path) -> None:
    _with_a_job(tmp_path / ".openclaw", "left-behind")
    _with_a_job(tmp_path / "moved", "in-use")
    named = how.format(home=tmp_path)
    (tmp_path / ".openclaw" / "openclaw.json").write_text(f"{{ // by hand\n cron: {{store: '{named}',}}, }}")
    found = snapshot(source(tmp_path / ".openclaw"), NOW)
    assert [each.name for each in found.jobs] == ["in-use"]
    folders = system("openclaw").folders(config(tmp_path / ".openclaw"))
    assert folders == (tmp_path / ".openclaw", tmp_path / "moved" / "cron")


@pytest.mark.parametrize("said", ["[]", "{cron: 7}", "{cron: {store: 'cron/x.json'}}", "{cron: {store: '\\0'}}", "{"])
def test_a_configuration_that_puts_them_nowhere_leaves_them_where_they_are(said: str, tmp_path: Path) -> None:
    _with_a_job(tmp_path, "usual")
    (tmp_path / "openclaw.json").write_text(said)
    assert [each.name for each in snapshot(source(tmp_path), NOW).jobs] == ["usual"]


@pytest.mark.parametrize("closed", ["cron/runs", "cron/runs/report.jsonl"])
def test_logs_of_runs_that_may_not_be_read_are_told(closed: str, reachable: Path) -> None:
    _with_a_job(reachable / "state", "report")
    log = reachable / "state" / "cron" / "runs" / "report.jsonl"
    log.parent.mkdir(exist_ok=True)
    log.write_text("{}\n")
    for path in (reachable / "state").rglob("*"):
        path.chmod(0o755)
    (reachable / "state" / closed).chmod(0o700)
    watched = source(reachable / "state")

    def hidden() -> list[str]:
        return [each.what for each in snapshot(watched, NOW).unseen]

    source(reachable / "state").look(NOW)  # what it imports that user may not reach
    assert as_nobody(hidden) == [f"{reachable}/state/{closed} may not be read by user 65534"]
