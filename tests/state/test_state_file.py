"""The state file over versions and years: what an older one wrote is all there, what a newer one wrote is left as it
is, and what is over goes."""

import contextlib
import json
import os
import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench.state_file import END, Turns, Year, configuration, fill, finding
from tests.support.command import command
from tests.support.telling import Office
from tests.support.telling import finding as found
from watchdog.core.action import Action, State, Step
from watchdog.core.clock import Stamp
from watchdog.core.incident import Handover, Ledger, Told
from watchdog.core.kinds import Kind, Severity
from watchdog.core.message import Entry
from watchdog.core.message import State as Sending
from watchdog.core.model import Cause
from watchdog.core.moment import Moment
from watchdog.core.silences import Silence
from watchdog.incidents.ledger import Timing, update
from watchdog.state import opening, retention, schema
from watchdog.state.history import Run, StateChange, load_runs, load_states, save
from watchdog.state.opening import StoreError
from watchdog.state.records import Preserved, Records
from watchdog.state.store import Store

OLD = (Path(__file__).parent.parent / "data" / "state-1.sql").read_text()
"""What the version of format 1 wrote, by its own code, on the morning of the tenth of June."""

NOW = datetime(2026, 6, 10, 9, tzinfo=UTC)
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A state file of format 1."""
    made = tmp_path / "state.db"
    with closing(sqlite3.connect(made)) as db:
        db.executescript(OLD)
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new one."""
    with closing(Store(tmp_path / "state.db")) as made:
        yield made


def asked(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What stands in a file, read without the product."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(query).fetchall()


def told_of(path: Path, *statements: str) -> None:
    """What another version does to a file."""
    with closing(sqlite3.connect(path)) as db:
        for statement in statements:
            db.execute(statement)
        db.commit()


# from an older version


def test_of_an_older_file_every_incident_is_there_with_its_members_and_its_cause(path: Path) -> None:
    with closing(Store(path)) as store:
        old, errors, stalled, news = store.ledger().incidents.values()
    assert (old.is_open, errors.is_active, stalled.is_active, news.is_active) == (False, True, True, False)
    assert [member.finding.job for member in errors.members.values()] == ["digest", "triage"]
    assert errors.members["phantom", "failed", "id-digest"].finding.evidence["errors"] == 10
    (symptom,) = stalled.symptoms
    assert (symptom.finding.caused_by, symptom.first_seen) == (Cause("stalled", None, None), NOW - 20 * MINUTE)
    assert stalled.headline.evidence["late_by"] == 3300
    assert news.clear_since == NOW - 5 * MINUTE


def test_of_an_older_file_all_that_people_said_and_were_told_is_there(path: Path) -> None:
    with closing(Store(path)) as store:
        told = store.told()
        assert told[1, "ops"] == Told(NOW - 30 * HOUR, NOW - 28 * HOUR, Severity.WARNING, 0, 2, is_over=True)
        assert told.keys() == {(1, "ops"), (2, "ops"), (2, "mail:maria"), (3, "ops")}
        assert store.acknowledgements()[2] == (NOW - 30 * MINUTE, "maria")
        assert [silence.match for silence in store.silences(NOW)] == ["kind=overdue,job=heartbeat*"]
        assert store.alerts("am")["f1"]["startsAt"] == "2026-06-10T08:40:00Z"
        assert [entry.by for entry in store.audit(10)] == ["maria (API)"]


def test_of_an_older_file_what_was_to_be_sent_still_is(path: Path) -> None:
    with closing(Store(path)) as store:
        waiting = store.waiting()
        states = [(entry.id, entry.state, entry.attempts, entry.event) for entry in waiting]
        assert states == [
            (3, Sending.WAITING, 1, "opened"),
            (4, Sending.SENDING, 1, "opened"),
            (6, Sending.WAITING, 0, "worse"),
            (7, Sending.WAITING, 0, "recovery"),
        ]
        assert waiting[0].error == "connection refused"
        assert waiting[0].message["title"] == "CRITICAL: opened"
        assert [entry.state for entry in store.entries(1)] == [Sending.SENT, Sending.SENT]


def test_of_an_older_file_every_recovery_is_there_in_its_state_and_is_told_of_if_it_was_not(path: Path) -> None:
    with closing(Store(path)) as store:
        records = Records(store)
        actions = records.actions()
        assert [action.state for action in actions] == list(State)
        begun = actions[2]
        assert (begun.seen["payload"], begun.ways, begun.way) == (b"\x00\xff", ("sql",), "api")
        assert (begun.begun, begun.not_before) == (Stamp(NOW - 50 * MINUTE, 1000.5 - 3000, "boot-1"), NOW + MINUTE)
        assert begun.steps[0] == Step(NOW - HOUR, "failed since 2026-06-10 08:00 UTC")
        assert [action.state for action in records.under_way()] == [State.INTENDED, State.BEGUN, State.ACTED]
        assert [action.job for action in records.proposed()] == ["job-0"]
        told = {State.VERIFIED, State.INEFFECTIVE}
        assert {action.state for action in records.unreported()} == set(list(State)[4:]) - told
        assert records.approvals() == {1: "maria"}
        assert records.told("used_up|") == {"used_up|phantom|bring-back|transient|5"}
        assert [one.id for one in records.of_job("phantom", "revive", "id-4")] == [5]
        assert len(records.of_circuit("phantom|bring-back|transient", "revive")) == 10


def test_of_an_older_file_definitions_and_the_past_are_there(path: Path) -> None:
    with closing(Store(path)) as store:
        kept = {one.job_id: one for one in Records(store).preserved()}
        assert kept["id-digest"].row == {"id": "id-digest", "name": "digest", "blob": b"\x01\x02", "n": None}
        assert kept["id-gone"].gone_at == NOW - 10 * DAY
        assert [run.status for run in load_runs(store.database, "phantom", "id-heartbeat", 10)] == ["ok", "error", "ok"]
        assert load_states(store.database, "phantom", "id-digest") == [StateChange(NOW - 2 * HOUR, "failed")]


def test_an_incident_of_an_older_file_goes_on_where_it_was(path: Path) -> None:
    with closing(Store(path)) as store:
        before = store.ledger()
        found = [member.finding for number in (2, 3) for member in before.incidents[number].members.values()]
        after = update(before, found, frozenset(), Moment(NOW), Timing())
        store.save_incidents(after.incidents.values())
        again = store.ledger()
    assert again == after
    assert [incident.id for incident in again.open] == [2, 3]


def test_of_an_older_file_who_is_on_an_incident_stands_in_its_history(path: Path) -> None:
    with closing(Store(path)) as store:
        assert store.handovers(2) == [Handover(NOW - 30 * MINUTE, "maria", is_taken=True)]
        assert store.unacknowledge(2, NOW, "jo")
        assert store.handovers(2) == [Handover(NOW, "jo", is_taken=False)]


def test_a_copy_is_kept_of_what_an_older_version_wrote(path: Path) -> None:
    Store(path).close()
    (copy,) = path.parent.glob("*.before-*")
    assert (copy.name, copy.stat().st_mode & 0o777) == (f"state.db.before-{schema.VERSION}", 0o600)
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("SELECT count(*) FROM actions").fetchone() == (10,)
        assert {"revision", "reported_at"}.isdisjoint(row[1] for row in db.execute("PRAGMA table_info(actions)"))
    assert asked(path, "PRAGMA user_version") == [(schema.VERSION,)]


def test_a_file_of_this_version_is_neither_copied_nor_changed_by_opening_it(path: Path) -> None:
    Store(path).close()
    for copy in path.parent.glob("*.before-*"):
        copy.unlink()
    before = path.read_bytes()
    Store(path).close()
    assert (path.read_bytes(), list(path.parent.glob("*.before-*"))) == (before, [])


def test_a_file_without_the_tables_of_parts_that_never_ran_is_brought_up_to_date_too(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    begin = schema.FIRST[: schema.FIRST.index("CREATE TABLE IF NOT EXISTS actions")]
    with closing(sqlite3.connect(path)) as db:
        db.executescript(f"{begin} PRAGMA user_version = 1;")
    with closing(Store(path)) as store:
        assert Records(store).actions() == []


def test_a_damaged_document_keeps_no_file_from_being_opened(path: Path) -> None:
    told_of(path, "UPDATE actions SET document = '{broken' WHERE id = 3")
    told_of(path, "UPDATE incidents SET document = '[' WHERE id = 2")
    with closing(Store(path)) as store:
        assert len(Records(store).actions()) == 9
        assert list(store.ledger().incidents) == [1, 3, 4]
        assert store.ledger().next_id == 5


def test_an_incident_of_a_kind_that_is_not_known_keeps_nobody_from_being_told_of_others(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(Store(path)) as store:
        office = Office(store=store)
        office.find(found("failed", "a"), found("wedged", "b"))
        office.wait(MINUTE)
    told_of(path, 'UPDATE incidents SET document = replace(document, \'"kind":"failed"\', \'"kind":"starved"\')')
    told_of(path, 'UPDATE incidents SET document = replace(document, \'"kind": "failed"\', \'"kind": "starved"\')')
    assert "starved" in str(asked(path, "SELECT document FROM incidents"))
    with closing(Store(path)) as store:
        office = Office(store=store)
        office.now += HOUR
        office.find(found("wedged", "b"), found("stalled", None))
        office.wait(MINUTE)
        assert any("stands still" in letter.title for letter in office.letters)


def _killed_after(path: Path, instructions: int) -> bool:
    """Bring the file up to date in a process that dies on the way; whether it did."""
    child = os.fork()
    if child == 0:
        db = opening.opened(path)
        db.set_progress_handler(lambda: os.kill(os.getpid(), signal.SIGKILL), instructions)
        opening.bring_up_to_date(db, path)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_process_that_dies_while_it_brings_a_file_up_to_date_leaves_the_old_one(path: Path) -> None:
    instructions, kills = 100, 0
    while _killed_after(path, instructions):
        assert asked(path, "PRAGMA user_version") == [(1,)]
        assert asked(path, "SELECT count(*) FROM actions") == [(10,)]
        assert asked(path, "PRAGMA integrity_check") == [("ok",)]
        instructions, kills = instructions * 2, kills + 1
    assert kills >= 3, "it did not die on the way"
    with closing(Store(path)) as store:
        assert len(Records(store).actions()) == 10
    assert not list(path.parent.glob("*.part"))


def _in_a_process_without_room(path: Path, room: int) -> int:
    """What a process comes to that can write no file longer than so many bytes."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))
    try:
        store = Store(path)
        is_whole = len(store.ledger().incidents) == 4 and len(store.waiting()) == 4 and len(store.told()) == 4
        with store.transaction():
            store.acknowledge(4, NOW, "jo")
        os._exit(0 if is_whole else 1)
    finally:
        os._exit(2)


def test_where_there_is_no_room_the_old_file_is_used_as_it_is_and_brought_up_to_date_later(path: Path) -> None:
    assert _in_a_process_without_room(path, path.stat().st_size // 2) == 0
    assert asked(path, "PRAGMA user_version") == [(1,)]
    assert not list(path.parent.glob("*.part"))
    with closing(Store(path)) as store:
        assert store.acknowledgements()[4] == (NOW, "jo")
    assert asked(path, "PRAGMA user_version") == [(schema.VERSION,)]


def test_a_service_that_had_no_room_brings_the_file_up_to_date_before_it_writes(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(db: sqlite3.Connection, path: Path | None) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(opening, "bring_up_to_date", full)
        store = Store(path)
    with closing(store):
        assert len(store.ledger().incidents) == 4
        with store.transaction():
            store.acknowledge(4, NOW, "jo")
        assert len(Records(store).actions()) == 10


def test_a_command_leaves_a_file_as_it_is_on_which_an_older_service_runs(path: Path) -> None:
    lock = opening.locked(path)
    try:
        with closing(Store(path, exclusive=False)) as store:
            store.add_silence(Silence(0, "job=x", NOW, NOW + HOUR))
            store.acknowledge(3, NOW, "jo")
            assert store.handovers(3) == [Handover(NOW, "jo", is_taken=True)]
        assert asked(path, "PRAGMA user_version") == [(1,)]
    finally:
        lock.close()
    with closing(Store(path, exclusive=False)) as store:
        assert [silence.match for silence in store.silences(NOW)][-1] == "job=x"
    assert asked(path, "PRAGMA user_version") == [(schema.VERSION,)]


# from a newer version


OVERSPEND = json.dumps(
    {
        "finding": {
            "source": "phantom",
            "kind": "oversleep",
            "severity": "warning",
            "job_id": "id-x",
            "job": "x",
            "since": None,
            "summary": "x costs",
            "evidence": {},
            "caused_by": None,
        },
        "first_seen": "2026-06-10T08:00:00Z",
        "under": False,
        "ended_at": None,
        "budget": 5,
    }
)
"""A member of a kind that nobody knows yet."""

NEWER = (
    f"PRAGMA user_version = {schema.VERSION + 7}",
    "CREATE TABLE audiences (name TEXT PRIMARY KEY, document TEXT NOT NULL)",
    "INSERT INTO audiences VALUES ('ops', '{}')",
    "ALTER TABLE incidents ADD COLUMN team TEXT NOT NULL DEFAULT 'all'",
    "UPDATE incidents SET team = 'night' WHERE id = 2",
    "UPDATE incidents SET document = json_set(document, '$.rank', 7, '$.members[0].votes', json('[1]'), "
    "'$.members[0].finding.proof', 'two looks') WHERE id = 2",
    f"UPDATE incidents SET document = json_insert(document, '$.members[#]', json('{OVERSPEND}')) WHERE id = 2",
    "UPDATE incidents SET document = json_set(document, '$.members[0].finding.kind', 'oversleep') WHERE id = 4",
    "UPDATE told SET document = json_set(document, '$.severity', 'fatal') WHERE incident_id = 3",
    "UPDATE told SET document = json_set(document, '$.sets', json('[\"ops\"]')) WHERE incident_id = 3",
    "UPDATE outbox SET state = 'digested' WHERE id = 3",
    "UPDATE outbox SET event = 'predicted' WHERE id = 6",
    "UPDATE actions SET state = 'rehearsed', document = json_set(document, '$.state', 'rehearsed') WHERE id = 2",
    "UPDATE actions SET document = json_set(document, '$.cost', 3, '$.about', 'oversleep') WHERE id = 3",
    "INSERT INTO silences (match, starts_at, ends_at, by) VALUES ('team=night', '2026-06-10T08:00:00Z', "
    "'2026-06-11T08:00:00Z', 'jo')",
)


@pytest.fixture
def newer(path: Path) -> Path:
    """A file that a version to come has written into."""
    with closing(Store(path)) as store:  # in today's form
        store.save_incidents(store.ledger().incidents.values())
        records = Records(store)
        for action in records.actions():
            records.save(action)
    told_of(path, *NEWER)
    return path


def test_a_newer_file_is_read_as_far_as_it_goes(newer: Path) -> None:
    with closing(Store(newer)) as store:
        ledger = store.ledger()
        assert list(ledger.incidents) == [1, 2, 3]
        assert ledger.next_id == 5
        assert [member.finding.job for member in ledger.incidents[2].members.values()] == ["digest", "triage"]
        assert store.told()[3, "ops"].severity is Severity.CRITICAL
        assert [(entry.id, entry.event) for entry in store.waiting()] == [
            (4, "opened"),
            (6, "predicted"),
            (7, "recovery"),
        ]
        assert [entry.id for entry in store.untold()] == [4, 5, 6, 7]
        assert [entry.id for entry in store.entries(2)] == [4]
        assert [action.id for action in Records(store).under_way()] == [3, 4]
        night = store.silences(NOW)[-1]
        assert night.match == "team=night"
        assert not night.fits(finding(1, NOW))


def test_what_a_newer_version_wrote_is_still_there_after_this_one_has_written(newer: Path) -> None:
    with closing(Store(newer)) as store:
        ledger = store.ledger()
        found = [member.finding for member in ledger.incidents[2].members.values()][:1]
        after = update(ledger, found, frozenset(), Moment(NOW), Timing())
        with store.transaction():
            store.save_incidents(after.incidents.values())
            told = store.told()
            store.save_told({(3, "ops"): replace(told[3, "ops"], count=9, severity=Severity.CRITICAL)})
            store.tidy(NOW)
        records = Records(store)
        records.save(records.under_way()[0].stepped(NOW, "gone on with"))
        later = update(after, found, frozenset(), Moment(NOW + HOUR), Timing())
        store.save_incidents(later.incidents.values())
    (document,) = (json.loads(text) for (text,) in asked(newer, "SELECT document FROM incidents WHERE id = 2"))
    first, second, foreign = document["members"]
    assert (document["rank"], document["changed_at"]) == (7, "2026-06-10T09:00:00Z")
    assert (first["votes"], first["finding"]["proof"]) == ([1], "two looks")
    assert second["ended_at"] == "2026-06-10T09:00:00Z"
    assert (foreign["finding"]["kind"], foreign["budget"]) == ("oversleep", 5)
    assert asked(newer, "SELECT team FROM incidents WHERE id = 2") == [("night",)]
    assert asked(newer, "SELECT json_extract(document, '$.members[0].finding.kind') FROM incidents WHERE id = 4") == [
        ("oversleep",)
    ]
    assert asked(newer, "SELECT json_extract(document, '$.sets[0]') FROM told WHERE incident_id = 3") == [("ops",)]
    assert asked(newer, "SELECT json_extract(document, '$.cost') FROM actions WHERE id = 3") == [(3,)]
    assert asked(newer, "SELECT state FROM actions WHERE id = 2") == [("rehearsed",)]
    assert asked(newer, "SELECT state FROM outbox WHERE id = 3") == [("digested",)]
    assert asked(newer, "SELECT * FROM audiences") == [("ops", "{}")]
    assert asked(newer, "PRAGMA user_version") == [(schema.VERSION + 7,)]
    assert [copy.name for copy in newer.parent.glob("*.before-*")] == [f"state.db.before-{schema.VERSION}"]


@pytest.mark.parametrize(
    "verb", [("incidents", "--all"), ("recoveries",), ("ack", "2"), ("silence", "x", "--for", "2h")]
)
def test_every_command_works_on_a_newer_file(newer: Path, verb: tuple[str, ...]) -> None:
    done = command(*verb, "--state", newer)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_newer_file_from_which_something_has_gone_is_refused_and_left_alone(path: Path) -> None:
    Store(path).close()
    told_of(path, "ALTER TABLE alerts RENAME COLUMN document TO body", f"PRAGMA user_version = {schema.VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StoreError, match=r"a newer version of the watchdog \(format \d+\) has changed alerts"):
        Store(path)
    assert path.read_bytes() == before


# a year of use


SMALL = Year(incidents=1500, actions=9000, messages=12_000)
LARGE = ("incidents", "actions", "outbox", "told", "acknowledgements", "silences", "told_once", "memory")


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A file with much past in it."""
    path = tmp_path_factory.mktemp("year") / "state.db"
    with closing(Store(path)) as store:
        fill(store, SMALL)
    return path.read_bytes()


@pytest.fixture
def turns(year: bytes, tmp_path: Path) -> Iterator[Turns]:
    """The notifier and recovery on it."""
    path = tmp_path / "state.db"
    path.write_bytes(year)
    with closing(Store(path)) as store:
        yield Turns(store, configuration(path))


SCANS = tuple(f"SCAN {table} |" for table in ("actions", "outbox", "incidents", "silences"))
"""How SQLite says that it goes through all rows. Through an index it does so only up to a LIMIT."""

BOUNDS = ("LIMIT", "state IN", "state = 'proposed'", "id =")
"""What keeps the number of documents that are read small, however many there are."""


def _plans(db: sqlite3.Connection, statements: list[str]) -> list[str]:
    """How the statements find their rows, in SQLite's words."""
    asking = [text for text in statements if text.split()[0] in ("SELECT", "INSERT", "UPDATE", "DELETE")]
    return [f"{row[3]} | {text[:200]}" for text in asking for row in db.execute(f"EXPLAIN QUERY PLAN {text}")]


def test_a_turn_on_a_year_of_use_looks_through_no_table_and_reads_few_documents(turns: Turns) -> None:
    """But for once an hour, when what is over is looked for."""
    for minute in range(3):
        turns.turn(END + minute * MINUTE, 20)
    turns.turn(END + 2 * HOUR, 20)
    statements: list[str] = []
    turns.store.database.set_trace_callback(statements.append)
    turns.turn(END + 2 * HOUR + MINUTE, 21)
    turns.turn(END + 2 * HOUR + 2 * MINUTE, 20)
    turns.store.database.set_trace_callback(None)
    looked_through = [plan for plan in _plans(turns.store.database, statements) if plan.startswith(SCANS)]
    assert looked_through == []
    reading = [text for text in statements if "document FROM actions" in text]
    assert [text for text in reading if not any(bound in text for bound in BOUNDS)] == []
    assert len(reading) < 30


def test_what_is_over_is_read_again_only_for_whom_something_has_changed(store: Store) -> None:
    records = Records(store)
    first = Action(0, Stamp(NOW), "p", "revive", "s", "a", "a", "s|p|x", State.VERIFIED, settled=Stamp(NOW))
    records.add(first)
    records.add(replace(first, job_id="b", circuit="s|p|y"))
    kept = records.of_job("s", "revive", "a"), records.of_circuit("s|p|x", "revive")
    with store.transaction():
        records.add(replace(first, job_id="b", circuit="s|p|y", state=State.FAILED))
    again = records.of_job("s", "revive", "a"), records.of_circuit("s|p|x", "revive")
    assert [one is other for one, other in zip(kept, again, strict=True)] == [True, True]
    assert len(records.of_job("s", "revive", "b")) == 2
    Records(store).save(replace(kept[0][0], state=State.INEFFECTIVE))
    assert [one.state for one in records.of_job("s", "revive", "a")] == [State.INEFFECTIVE]


class _TakenBackError(Exception):
    """What ends a transaction."""


def test_what_was_taken_back_is_not_remembered(store: Store) -> None:
    records = Records(store)
    action = Action(0, Stamp(NOW), "p", "revive", "s", "a", "a", "s|p|x")
    assert records.of_job("s", "revive", "a") == []
    with contextlib.suppress(_TakenBackError), store.transaction():
        records.add(action)
        assert len(records.of_job("s", "revive", "a")) == 1
        raise _TakenBackError
    assert records.of_job("s", "revive", "a") == []
    records.add(replace(action, state=State.BEGUN))
    assert [one.state for one in records.of_job("s", "revive", "a")] == [State.BEGUN]


def test_a_year_of_use_shrinks_to_what_is_kept_a_little_at_a_turn_and_stops_growing(turns: Turns) -> None:
    db = turns.store.database
    for minute in range(80):
        turns.turn(END + minute * MINUTE, 2 + minute % 2)
    counts = {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in LARGE}
    assert counts["incidents"] <= retention.KEPT_INCIDENTS + 10
    assert counts["outbox"] <= retention.KEPT_MESSAGES + 10
    assert counts["actions"] <= 2 * retention.KEPT_ACTIONS + 10
    (before,) = db.execute("PRAGMA page_count").fetchone()
    with turns.store.transaction():
        turns.store.add_entries(
            Entry(END, 1, "opened", "ops", {"title": "t", "text": "x" * 300}, END) for _ in range(1000)
        )
    (after,) = db.execute("PRAGMA page_count").fetchone()
    assert after == before


# what is kept, and for how long


OVER = ("silences", "alerts", "acknowledgements", "handovers", "approvals", "told", "told_once", "preserved", "memory")


def _old_rows(store: Store, at: datetime) -> set[str]:
    """Something that is over, in every table from which it goes by its age; which those are."""
    records = Records(store)
    store.add_silence(Silence(0, "job=x", at, at + HOUR))
    store.save_alerts("gone", {"f": {"startsAt": "2020-01-01T00:00:00Z", "endsAt": f"{at:%Y-%m-%dT%H:%M:%SZ}"}})
    store.acknowledge(999, at, "jo")
    records.approve(999, at, "jo")
    store.save_told({(999, "ops"): Told(at, at, Severity.WARNING)})
    records.tell_once("used_up|x", at)
    records.preserve(Preserved("s", "a", "a", {"id": "a"}, at, gone_at=at))
    store.remember("s", "marks", {"a": "x"}, at)
    save(store.database, [Run("s", "a", at)], {("s", "a"): StateChange(at, "failed")})
    return {*OVER, "runs", "job_states"}


def test_of_every_table_what_is_old_goes(store: Store) -> None:
    names = {name for (name,) in store.database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    old = _old_rows(store, NOW - retention.KEPT_FOR - DAY)
    by_count = {"incidents", "outbox", "actions", "web_audit"}
    assert names - {"sqlite_sequence"} == old | by_count, "a table has no rule by which it stops growing"
    with store.transaction():
        store.tidy(NOW)
        retention.forget_runs(store.database, NOW)
    left = {table: store.database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in old}
    assert left == dict.fromkeys(left, 0)


def test_what_is_young_or_not_over_is_kept(store: Store) -> None:
    store.save_incidents(_opened().incidents.values())
    old = NOW - 2 * retention.KEPT_FOR
    store.save_told({(1, "ops"): Told(old, old, Severity.WARNING)})
    store.acknowledge(1, old, "jo")
    records = Records(store)
    proposed = records.add(Action(0, Stamp(old), "p", "revive", "s", "a", "a", "s|p|x", State.PROPOSED))
    records.approve(proposed.id, old, "jo")
    store.add_entries([Entry(old, 1, "opened", "ops", {"title": "t"}, old)])
    store.add_silence(Silence(0, "job=x", old, NOW + HOUR))
    store.remember("s", "marks", {"a": "x"}, NOW - DAY)
    save(store.database, [Run("s", "a", NOW)], {("s", "a"): StateChange(old, "paused")})
    with store.transaction():
        store.tidy(NOW)
        retention.forget_runs(store.database, NOW)
    assert (len(store.told()), len(store.acknowledgements()), len(records.approvals())) == (1, 1, 1)
    assert (len(store.waiting()), len(store.silences(NOW)), len(records.proposed())) == (1, 1, 1)
    assert store.remembered("s", "marks", str) == {"a": "x"}
    assert load_states(store.database, "s", "a") == [StateChange(old, "paused")]


def test_a_silence_that_ended_within_this_second_has_ended(store: Store) -> None:
    """Its end is written without a fraction, and text by text that comes after any instant with one."""
    number = store.add_silence(Silence(0, "job=x", NOW - HOUR, NOW))
    assert not store.end_silence(number, NOW + timedelta(milliseconds=200))


def _opened() -> Ledger:
    return update(Ledger(), [finding(1, NOW)], frozenset(), Moment(NOW), Timing())


def test_recoveries_that_nobody_was_told_of_or_that_are_not_over_outlast_any_number_of_others(
    store: Store,
) -> None:
    records = Records(store)
    first = Action(0, Stamp(NOW), "p", "revive", "s", "a", "a", "s|p|x", State.ACTED)
    untold = records.add(replace(first, state=State.VERIFIED, settled=Stamp(NOW)))
    under_way = records.add(first)
    with store.transaction():
        for _ in range(retention.KEPT_ACTIONS + 20):
            records.reported(records.add(replace(first, state=State.FAILED, settled=Stamp(NOW))), NOW)
        store.tidy(NOW)
    assert [one.id for one in records.unreported()] == [untold.id]
    assert [one.id for one in records.under_way()] == [under_way.id]
    assert store.database.execute("SELECT count(*) FROM actions").fetchone() == (retention.KEPT_ACTIONS + 2,)


# what a source remembers


@dataclass(frozen=True)
class Mark:
    """Something of one's own."""

    at: datetime
    kind: Kind
    length: timedelta | None = None


def test_what_a_source_remembers_comes_back_as_what_it_was(store: Store) -> None:
    mark = Mark(NOW, Kind.OVERDUE, 90 * MINUTE)
    store.remember("agent", "marks", {"a": mark, "b": Mark(NOW, Kind.FAILED)}, NOW)
    store.remember("agent", "used", {"a": True}, NOW)
    store.remember("other", "marks", {"a": mark}, NOW)
    assert store.remembered("agent", "marks", Mark) == {"a": mark, "b": Mark(NOW, Kind.FAILED)}
    store.remember("agent", "marks", {"a": None, "c": mark}, NOW)
    assert store.remembered("agent", "marks", Mark).keys() == {"b", "c"}
    assert store.remembered("agent", "used", bool) == {"a": True}


def test_what_a_newer_version_remembers_otherwise_is_left_out_and_left_alone(store: Store) -> None:
    store.remember("agent", "marks", {"a": {"at": "soon"}, "b": Mark(NOW, Kind.FAILED)}, NOW)
    assert store.remembered("agent", "marks", Mark).keys() == {"b"}
    assert store.remembered("agent", "marks", dict)["a"] == {"at": "soon"}
