"""What `record` leaves behind plays as it was lived, and holds nothing that is somebody's business."""

import gzip
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import COSTS, JOBS, row
from tests.support.command import command
from tests.support.memory_folder import memory_folder
from watchdog.config.file import Config
from watchdog.core.error_class import classify
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding
from watchdog.demo.story import BEGIN, END, EVENTS, World
from watchdog.engine import Engine
from watchdog.replay.case import Seen
from watchdog.replay.command import replay
from watchdog.replay.player import Found
from watchdog.replay.processes import Processes
from watchdog.replay.record import CannotRecordError, record, recordable_of
from watchdog.replay.virtual_clock import VirtualClock
from watchdog.systems.phantom.recorded import recordable
from watchdog.systems.phantom.section import Phantom
from watchdog.systems.shared.pseudonyms import Pseudonyms, error
from watchdog.systems.shared.writer import UnknownWriters, Writer

POLL = timedelta(seconds=30)
Spell = tuple[str, str | None, datetime, str]


def lines_of(case: Path) -> list[dict[str, Any]]:
    """What stands in a case."""
    with gzip.open(case, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def recorded(
    database: Path, case: Path, length: timedelta, live: Callable[[datetime], None], begins: datetime = BEGIN
) -> Path:
    """A case of so long, on a virtual clock; `live` moves the world on."""
    clock = VirtualClock(begins)

    def wait(pause: timedelta) -> bool:
        clock.at += pause
        live(clock.at)
        return True

    record(recordable(database, "UTC"), case, length, POLL, clock, wait)
    return case


# the demo


class Watched:
    """The demo's world, with a watchdog that looks whenever the recorder does."""

    def __init__(self, path: Path) -> None:
        self.world = World(path)
        self._events = list(EVENTS)
        self._engine = Engine(Config(sources=(Phantom(database=path),)))
        self._found: dict[tuple[tuple[str, str, str | None], Severity], Finding] = {}
        self.changes: list[Spell] = []
        self.look(BEGIN)

    def look(self, now: datetime) -> None:
        """The world moves on, and is looked at."""
        while self._events and self._events[0].at <= now:
            event = self._events.pop(0)
            self.world.simulator.run_until(event.at)
            event.act(self.world)
        self.world.simulator.run_until(now)
        found = {(one.key, one.severity): one for one in self._engine.tick(now).published.findings}
        self.changes += [_spell("cleared", one, now) for key, one in self._found.items() if key not in found]
        self.changes += [_spell("found", one, now) for key, one in found.items() if key not in self._found]
        self._found = found


def _spell(event: str, finding: Finding, at: datetime) -> Spell:
    return (finding.kind.value, finding.job, at, event)


def test_the_demo_plays_as_it_was_lived(tmp_path: Path) -> None:
    """The same findings, each at the same look, or at its deadline just before; under other names."""
    watched = Watched(tmp_path / "phantom.db")
    with watched.world.simulator:
        case = recorded(tmp_path / "phantom.db", tmp_path / "a.case.jsonl.gz", END - BEGIN, watched.look)
    played = [_spell(one.event, one.finding, one.at) for one in replay(case, None, None) if isinstance(one, Found)]
    rows = next(line["tables"]["phantom.db"]["scheduled_jobs"]["rows"] for line in lines_of(case) if "tables" in line)
    known = dict(zip((one["name"] for one in rows), watched.world.ids, strict=True))
    again = sorted((kind, known.get(job or ""), event, at) for kind, job, at, event in played)
    lived = sorted((kind, job, event, at) for kind, job, at, event in watched.changes)
    assert len(lived) > 10
    assert [one[:3] for one in again] == [one[:3] for one in lived]
    for there, here in zip(lived, again, strict=True):
        assert timedelta() <= there[3] - here[3] < POLL, (there, here)


def test_the_demos_case_holds_no_name_id_prompt_or_error_text(tmp_path: Path) -> None:
    """Nothing of what the demo calls anything."""
    watched = Watched(tmp_path / "phantom.db")
    with watched.world.simulator:
        case = recorded(tmp_path / "phantom.db", tmp_path / "a", timedelta(hours=8), watched.look)
    text = gzip.decompress(case.read_bytes()).decode()
    with sqlite3.connect(tmp_path / "phantom.db") as connection:
        rows = connection.execute("SELECT id, name, task, description FROM scheduled_jobs").fetchall()
        errors = connection.execute("SELECT last_run_error FROM scheduled_jobs").fetchall()
    connection.close()
    secrets = {value for one in [*rows, *errors] for value in one if value}
    assert len(secrets) > len(rows) * 2
    assert [secret for secret in secrets if secret in text] == []


# what is nobody's business

SHAPES = (
    "{}",
    "429 {}_error: {}",
    "Error: 401 {} invalid api key sk-{}",
    "dropped:{}",
    "error:{}",
    "skipped:{}",
    "{}://{}@{}.example.com/{}",
    '{{"expr": "{} * * * {}", "tz": "Europe/{}"}}',
    '{{"at": "{}", "{}": "{}"}}',
    '{{"intervalMs": "{}", "expr": ["{}"]}}',
    '["{}"]',
    "2026-06-10T08:00:00.000Z{}",
    "{} 2026-06-10 08:00:00",
    "scheduler:sched:{}",
    "sched:{}",
    "C{}",
    "U0{}",
    "owner{}",
    "MON{}",
)

secret = st.text("abcdefghjkpqvwxyz", min_size=7, max_size=12).map(lambda text: f"zq{text}")
hostile = st.builds(
    lambda shape, word: (shape.replace("{{", "{").replace("}}", "}").replace("{}", word), word),
    st.sampled_from(SHAPES),
    secret,
)

AUDIT = """CREATE TABLE scheduler_audit_log (id INTEGER PRIMARY KEY, job_id TEXT, job_name TEXT, action TEXT,
previous_status TEXT, new_status TEXT, actor TEXT, detail TEXT, created_at TEXT)"""
SESSIONS = """CREATE TABLE sessions (id INTEGER PRIMARY KEY, session_key TEXT, sdk_session_id TEXT, channel_id TEXT,
conversation_id TEXT, status TEXT, total_cost_usd REAL, input_tokens INTEGER, output_tokens INTEGER, turn_count INTEGER,
created_at TEXT, last_active_at TEXT, notes TEXT)"""


def _filled(path: Path, values: Iterable[str]) -> None:
    """Every column of every table, but the numbers of rows, holds one of these texts; the first row twice changed."""
    given = iter(values)
    connection = sqlite3.connect(path)
    schemas = {"scheduled_jobs": JOBS, "cost_events": COSTS, "sessions": SESSIONS, "scheduler_audit_log": AUDIT}
    for name, schema in schemas.items():
        connection.execute(schema)
        connection.execute(f"ALTER TABLE {name} ADD COLUMN something_new TEXT")
        columns = [one[1] for one in connection.execute(f"PRAGMA table_info({name})") if one[2] != "INTEGER"]
        texts = [next(given) for _ in columns]
        places = ", ".join("?" * len(columns))
        connection.execute(f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})", texts)
    connection.commit()
    connection.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(hostile, min_size=60, max_size=60))
def test_whatever_stands_in_a_store_its_recording_does_not_hold_it(texts: list[tuple[str, str]]) -> None:
    """In any column, known or not, also one that is deleted later; and the case can be played."""
    with memory_folder() as folder:
        store, case = Path(folder) / "phantom.db", Path(folder) / "case"
        _filled(store, (text for text, _ in texts))
        before = iter([_emptied, _nothing, _nothing])
        recorded(store, case, 2 * POLL, lambda now: next(before)(store))
        held = gzip.decompress(case.read_bytes()).decode().lower()
        assert [word for _, word in texts if word in held] == []
        list(replay(case, None, None))


def _emptied(store: Path) -> None:
    with sqlite3.connect(store) as connection:
        connection.execute("DELETE FROM scheduled_jobs")
    connection.close()


def _nothing(store: Path) -> None:
    return


CODES = ("401", "404", "429", "500", "503", "ECONNRESET", "overloaded_error", "user 5123")
PHRASES = (
    "rate limit",
    "timed out",
    "billing",
    "invalid api key",
    "retry after 30s",
    "payment required",
    "the",
    "Error:",
)


@given(st.lists(st.sampled_from(CODES) | st.sampled_from(PHRASES) | st.text(max_size=12), max_size=8).map(" ".join))
def test_an_error_text_keeps_its_class_and_nothing_else(text: str) -> None:
    """What is diagnosed by it stays the same."""
    names = Pseudonyms()
    said = error(text, names)
    assert classify(str(said)) is classify(text)
    assert error(text, names) == said
    assert error(text + " other", names) != said


def test_the_same_is_called_the_same_wherever_it_stands(tmp_path: Path) -> None:
    """A job's id in its row, in its run ends, in its session."""
    store = tmp_path / "phantom.db"
    _store(store, row("secret"))
    with sqlite3.connect(store) as connection:
        key = "scheduler:sched:id-secret"
        connection.execute(
            "INSERT INTO cost_events (session_key, created_at) VALUES (?, '2026-06-10 08:00:02')", (key,)
        )
    connection.close()
    case = recorded(store, tmp_path / "case", POLL, lambda now: None)
    tables = lines_of(case)[1]["tables"]["phantom.db"]
    (job,), (end,) = tables["scheduled_jobs"]["rows"], tables["cost_events"]["rows"]
    assert end["session_key"] == f"scheduler:sched:{job['id']}"


def _store(path: Path, *rows: Mapping[str, object]) -> None:
    connection = sqlite3.connect(path)
    connection.execute(JOBS)
    connection.execute(COSTS)
    for one in rows:
        places = ", ".join("?" * len(one))
        connection.execute(f"INSERT INTO scheduled_jobs ({', '.join(one)}) VALUES ({places})", list(one.values()))
    connection.commit()
    connection.close()


# what is seen


def test_a_file_that_is_replaced_or_gone_a_sleep_and_a_set_clock_are_all_in_the_case(tmp_path: Path) -> None:
    """Each as its own step."""
    store, other = tmp_path / "phantom.db", tmp_path / "other.db"
    _store(store, row("a"))
    _store(other, row("b"))
    clock = VirtualClock(BEGIN)
    deeds: list[Callable[[], object]] = [
        lambda: other.replace(store),
        store.unlink,
        lambda: setattr(clock, "at", clock.at + timedelta(hours=8)),
        lambda: setattr(clock, "ahead", timedelta(minutes=10)),
    ]

    def wait(pause: timedelta) -> bool:
        clock.at += pause
        if deeds:
            deeds.pop(0)()
        return True

    case = tmp_path / "case"
    record(recordable(store, "UTC"), case, timedelta(hours=8) + 6 * POLL, POLL, clock, wait)
    steps = [sorted(set(line) - {"at"}) for line in lines_of(case)[1:]]
    assert steps == [["tables"], ["tables"], ["remove"], ["asleep"], ["asleep"], ["clock"]]
    assert lines_of(case)[-1]["clock"] == {"ahead_s": 600.0}
    list(replay(case, None, None))


def test_recording_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    """Not a byte, not a file beside it."""
    store = tmp_path / "agent" / "phantom.db"
    store.parent.mkdir()
    _store(store, row("a"))
    before = store.read_bytes()
    recorded(store, tmp_path / "case", 3 * POLL, lambda now: None)
    assert store.read_bytes() == before
    assert [path.name for path in store.parent.iterdir()] == ["phantom.db"]


# the command


def test_the_command_records_a_live_store_and_says_how_it_is_played(tmp_path: Path) -> None:
    """And writes over nothing that is there."""
    _store(tmp_path / "phantom.db", row("a"))
    case = tmp_path / "my case.gz"
    done = command("record", "--database", tmp_path / "phantom.db", "-o", case, "--for", "1s")
    assert done.returncode == 0, done.stderr
    assert f"play it with: scheduler-watchdog replay '{case}'" in done.stdout
    assert command("replay", case).returncode == 0
    again = command("record", "--database", tmp_path / "phantom.db", "-o", case, "--for", "1s")
    assert again.returncode == 3
    assert again.stderr.splitlines()[-1] == f"scheduler-watchdog: {case} is there already: give another name with -o"


def _config(*sources: Mapping[str, Any]) -> Config:
    return Config.validated({"sources": list(sources)})


def test_which_source_is_meant_has_to_be_clear(tmp_path: Path) -> None:
    """One line that says what can be recorded."""
    one, other = ({"name": name, "database": f"{name}.db"} for name in ("one", "other"))
    sql = {"kind": "sql", "name": "mine", "dsn": "postgres://x/y", "jobs": "SELECT 1"}
    assert recordable_of(_config(one, sql), None).database == Path("one.db")
    assert recordable_of(_config(one, other), "other").database == Path("other.db")
    for config, name, said in (
        (_config(one, other), None, "--source one or other"),
        (_config(one), "two", "there is no source 'two'; known: one"),
        (_config(sql), None, "a source of kind sql cannot be recorded"),
    ):
        with pytest.raises(CannotRecordError, match=said):
            recordable_of(config, name)


def test_a_store_that_is_not_there_is_said_not_to_be(tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(CannotRecordError, match="is not there"):
        recorded(tmp_path / "absent.db", tmp_path / "case", POLL, lambda now: None)
    assert not (tmp_path / "case").exists()


# the process


class Told(UnknownWriters):
    """A process that is frozen, dies, and is followed by another, as its locks would tell."""

    def __init__(self, told: list[Writer]) -> None:
        self.told = told

    def of(self, database: Path) -> Writer:
        return self.told.pop(0) if len(self.told) > 1 else self.told[0]


def test_what_is_seen_of_the_process_is_recorded_and_played(tmp_path: Path) -> None:
    store = tmp_path / "agent.db"
    with closing(sqlite3.connect(store)) as db, db:
        db.execute("CREATE TABLE scheduled_jobs (id TEXT PRIMARY KEY, name TEXT)")
    first, second = Writer(True, False, 4711, BEGIN, 9), Writer(True, False, 815, BEGIN + 3 * POLL, 31)
    told = [Writer(), first, first, replace(first, stopped=True), Writer(alive=False), second, second]
    clock = VirtualClock(BEGIN)

    def wait(pause: timedelta) -> bool:
        clock.at += pause
        return True

    case = tmp_path / "process.case.jsonl.gz"
    record(recordable(store, "UTC"), case, 5 * POLL, POLL, clock, wait, Told(told))
    steps = [line["processes"] for line in lines_of(case) if "processes" in line]
    began, again = (f"{at:%Y-%m-%dT%H:%M:%S}.000Z" for at in (BEGIN, BEGIN + 3 * POLL))
    assert steps == [
        {"1": {"alive": True, "stopped": False, "started": began}},
        {"1": {"alive": True, "stopped": True, "started": began}},
        {"1": {"alive": False}},
        {"2": {"alive": True, "stopped": False, "started": again}},
    ]
    assert "4711" not in str(lines_of(case))
    played = Processes()
    seen = []
    for line in lines_of(case)[1:]:
        if "processes" in line:
            played.take({pid: Seen(**process) for pid, process in line["processes"].items()})
            seen.append((played.of(store).alive, played.of(store).stopped))
    assert seen == [(True, False), (True, True), (False, None), (True, False)]
