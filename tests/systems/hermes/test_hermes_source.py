"""The source `hermes`: what stores of the real gateway give, and what each rule rests on."""

import gzip
import json
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import as_nobody
from tests.support.hermes_home import EXECUTIONS, PID, SESSIONS, START, TICKS, Home, Seen, cron, every
from tests.support.sqlite_writers import without_row_numbers
from watchdog.config.reading import load
from watchdog.config.settings import Detect
from watchdog.config.sources import Section
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Snapshot
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.hermes.gateway import clock_of
from watchdog.systems.hermes.section import Hermes
from watchdog.systems.hermes.source import HermesSource
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.inventory import Inventory
from watchdog.systems.shared.writer import LiveWriters, UnknownWriters, Writers

DATA = Path(__file__).parents[2] / "data" / "hermes" / "recordings.json.gz"
SECOND, MINUTE, HOUR = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours"))

Found = set[tuple[str, str | None]]


class Kept:
    """A memory, as the service lends one."""

    def __init__(self) -> None:
        self.things: dict[str, dict[str, Any]] = {}

    def recall(self, name: str, kind: type[Any]) -> dict[str, Any]:
        return {key: thing for key, thing in self.things.get(name, {}).items() if thing is not None}

    def keep(self, name: str, things: Mapping[str, object]) -> None:
        self.things.setdefault(name, {}).update(things)


@dataclass
class Watch:
    """Looks at a home as the service does, with what it remembers."""

    home: Path
    writers: Writers = field(default_factory=Seen)
    memory: Kept = field(default_factory=Kept)
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.section: Section = Hermes(kind="hermes", home=self.home, **self.options)
        self.inventory = Inventory(lambda name: Kept())
        self.begin()

    def begin(self) -> None:
        """Anew, with what was remembered."""
        self.source = HermesSource(self.section, Host(self.writers, self.memory))  # type: ignore[arg-type]
        self.looked_at: datetime | None = None

    def see(self, now: datetime) -> Snapshot:
        snapshot = self.inventory.see(self.section, self.source.look(now).snapshot, now, self.looked_at)
        self.looked_at = now
        return snapshot

    def findings(self, now: datetime) -> tuple[Finding, ...]:
        return diagnose(self.see(now), now, Detect()).findings

    def found(self, now: datetime) -> Found:
        return {(finding.kind.value, finding.job) for finding in self.findings(now)}

    def the(self, kind: str, now: datetime) -> Finding:
        return next(finding for finding in self.findings(now) if finding.kind.value == kind)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "hermes")


@pytest.fixture
def watch(home: Home) -> Watch:
    return Watch(home.path)


def once(at: datetime) -> dict[str, Any]:
    return {"kind": "once", "run_at": at.isoformat(), "display": "once"}


# stores that real gateways left

MINUTELY = ("ok-1m", "zero-1m", "auth-1m", "empty-1m", "wd-ok-1m", "undeliverable-1m")

RECORDED: Mapping[str, tuple[str, Found]] = {
    "healthy": (
        "two failures are few, two runs without tokens too; a one-shot's run was broken off, one result was lost",
        {("interrupted", "once-2m"), ("undelivered", "undeliverable-1m")},
    ),
    "mixed": (
        "one run hangs for two minutes, the others have waited for half a minute: nothing is late yet",
        {("interrupted", "once-2m"), ("undelivered", "undeliverable-1m")},
    ),
    "wedged-workdir-lock-2min": ("two minutes into a wedge nothing is past its second fire", set()),
    "wedged-workdir-lock-5min": (
        "all but the cause are late behind it, though the heartbeat is fresh and each next run lies ahead",
        {("overdue", name) for name in (*MINUTELY, "hang-1m")},
    ),
    "killed-while-running": (
        "the same, two seconds after the gateway was killed: what had begun is broken off",
        {("interrupted", "wd-hang-1m"), ("interrupted", "once-2m")}
        | {("overdue", name) for name in (*MINUTELY, "hang-1m")},
    ),
    "gateway-down-4min": (
        "stopped, and not back",
        {("stalled", None), ("interrupted", "hang-1m"), ("interrupted", "once-2m")}
        | {("overdue", name) for name in MINUTELY},
    ),
}


@cache
def recordings() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(gzip.decompress(DATA.read_bytes()))
    return found


def recorded(folder: Path, name: str) -> tuple[Path, datetime, Seen]:
    """The home of a recording, when it was looked at, and which processes there were."""
    said, home = recordings()[name], folder / name
    (home / "cron").mkdir(parents=True)
    (home / "cron/jobs.json").write_text(json.dumps(said["jobs"]))
    for beat in ("ticker_heartbeat", "ticker_last_success"):
        (home / "cron" / beat).write_text(said[beat])
    (home / "gateway_state.json").write_text(json.dumps(said["gateway"]))
    for path, schema, table in (
        ("cron/executions.db", EXECUTIONS.format(more=""), "executions"),
        ("state.db", SESSIONS, "sessions"),
    ):
        with closing(sqlite3.connect(home / path)) as db, db:
            db.execute(schema)
            for row in said[table]:
                marks = ", ".join("?" * len(row))
                db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", list(row.values()))
    if not said["alive"]:
        (home / "state.db-shm").touch()  # as a process leaves it that is killed
    pid, ticks = said["pid"], said["gateway"]["start_time"]
    return home, datetime.fromisoformat(said["now"]), Seen({pid: ticks} if said["alive"] else {}, shares=False)


@pytest.mark.parametrize("name", RECORDED)
def test_a_single_look_at_a_recorded_store_tells_what_is_so(name: str, tmp_path: Path) -> None:
    home, now, writers = recorded(tmp_path, name)
    snapshot = HermesSource(Hermes(kind="hermes", home=home), Host(writers)).look(now).snapshot
    found = {(finding.kind.value, finding.job) for finding in diagnose(snapshot, now, Detect()).findings}
    assert found == RECORDED[name][1], RECORDED[name][0]


def test_the_open_session_is_the_cause_and_the_rows_without_one_are_its_victims(tmp_path: Path) -> None:
    home, now, writers = recorded(tmp_path, "wedged-workdir-lock-5min")
    snapshot = HermesSource(Hermes(kind="hermes", home=home), Host(writers)).look(now).snapshot
    late = [finding for finding in diagnose(snapshot, now, Detect()).findings if finding.kind == "overdue"]
    assert {finding.caused_by.job if finding.caused_by else None for finding in late} == {"wd-hang-1m"}


def test_a_recording_of_a_dead_gateway_is_told_by_its_heartbeat_alone_where_no_process_can_be_seen(
    tmp_path: Path,
) -> None:
    home, now, _ = recorded(tmp_path, "gateway-down-4min")
    snapshot = HermesSource(Hermes(kind="hermes", home=home), Host(UnknownWriters())).look(now).snapshot
    findings = diagnose(snapshot, now, Detect()).findings
    assert findings[0].kind == "stalled"
    assert not [job for job in snapshot.jobs if job.in_flight_since]


# late or not

TICK = START + 10 * MINUTE


def test_a_next_run_that_lies_ahead_says_nothing_of_what_is_owed(home: Home, watch: Watch) -> None:
    id_ = home.add("inbox", cron("*/10 * * * *"), next_run_at=home.iso(START + 9 * MINUTE + 20 * SECOND))
    home.ran(id_, START - MINUTE)
    home.beat(TICK)
    assert watch.found(TICK) == set()
    home.change(id_, next_run_at=home.iso(START + 29 * MINUTE + 20 * SECOND))
    for minutes in range(10, 30):
        home.beat(START + minutes * MINUTE)
        assert watch.found(START + minutes * MINUTE) == set()
    home.beat(START + 30 * MINUTE)
    assert watch.found(START + 30 * MINUTE) == {("overdue", "inbox")}


def test_an_interval_is_counted_from_the_end_of_its_run(home: Home, watch: Watch) -> None:
    id_ = home.add("research", every(10))
    home.row(id_, START, finished=START + 25 * MINUTE)
    home.session(id_, START, seconds=25 * 60)
    home.change(id_, next_run_at=home.iso(START + 35 * MINUTE))
    at = START + 54 * MINUTE
    home.beat(at)
    assert watch.found(at) == set()
    home.beat(START + 56 * MINUTE)
    assert watch.found(START + 56 * MINUTE) == {("overdue", "research")}


def test_a_run_longer_than_its_cadence_is_in_flight_and_not_late(home: Home, watch: Watch) -> None:
    id_ = home.add("crawler", every(1), next_run_at=home.iso(START + 5 * MINUTE))
    home.row(id_, START, "running")
    session = home.session(id_, START, seconds=None)
    for minutes in range(1, 20):
        at = START + minutes * MINUTE
        home.message(session, at - 5 * SECOND)
        home.beat(at)
        assert watch.found(at) == set()


@pytest.mark.parametrize("seen", [True, False], ids=["while it was watched", "while nobody watched"])
def test_a_job_that_is_resumed_owes_nothing_for_the_time_of_its_pause(home: Home, watch: Watch, seen: bool) -> None:
    id_ = home.add("daily", cron("0 * * * *"), enabled=False, state="paused")
    home.ran(id_, START - 90 * HOUR)
    home.beat(TICK)
    if seen:
        assert watch.found(TICK) == set()
    home.change(id_, enabled=True, state="scheduled", next_run_at=home.iso(START + 59 * MINUTE + 20 * SECOND))
    home.beat(TICK + MINUTE)
    assert watch.found(TICK + MINUTE) == set()


def test_what_was_seen_to_be_owed_stays_so_over_a_restart_of_the_watchdog(home: Home, watch: Watch) -> None:
    due = START + 9 * MINUTE + 20 * SECOND
    id_ = home.add("inbox", cron("*/10 * * * *"), next_run_at=home.iso(due))
    home.ran(id_, START - MINUTE)
    home.beat(TICK)
    watch.see(TICK)
    home.change(id_, next_run_at=home.iso(due + 10 * MINUTE))
    home.beat(TICK + 3 * MINUTE)
    watch.see(TICK + 3 * MINUTE)
    watch.begin()
    at = due + 21 * MINUTE
    home.beat(at)
    assert ("overdue", "inbox") in watch.found(at)


def test_a_single_look_owes_nothing_where_nothing_shows_that_it_was_claimed(home: Home) -> None:
    id_ = home.add("inbox", cron("*/10 * * * *"), next_run_at=home.iso(TICK + 5 * MINUTE))
    home.ran(id_, START - 5 * HOUR)
    home.beat(TICK)
    assert Watch(home.path).found(TICK) == set()


# causes


def wedge(home: Home, **holder: Any) -> tuple[str, str, str]:
    """A run that hangs since the tick, and one that waits behind it; the session that hangs."""
    cause = home.add("builder", every(30), next_run_at=home.iso(TICK + 30 * MINUTE), **holder)
    victim = home.add("inbox", cron("* * * * *"), next_run_at=home.iso(TICK + MINUTE))
    home.ran(victim, TICK - MINUTE)
    home.row(cause, TICK, "running")
    session = home.session(cause, TICK, seconds=None)
    home.row(victim, TICK, "running")
    return cause, victim, session


def test_a_run_without_a_message_for_a_quarter_of_an_hour_is_wedged(home: Home, watch: Watch) -> None:
    _, _, session = wedge(home, workdir=str(home.path))
    home.message(session, TICK + 4 * MINUTE)
    home.beat(TICK + 18 * MINUTE)
    assert watch.found(TICK + 18 * MINUTE) == {("overdue", "inbox")}
    home.beat(TICK + 19 * MINUTE)
    findings = watch.findings(TICK + 19 * MINUTE + SECOND)
    assert [(finding.kind, finding.job) for finding in findings] == [("wedged", "builder"), ("overdue", "inbox")]
    assert findings[1].caused_by is not None
    assert (findings[1].caused_by.kind, findings[1].caused_by.job) == ("wedged", "builder")


def test_a_run_whose_agent_has_others_work_for_it_gets_on_with_their_messages(home: Home, watch: Watch) -> None:
    _, _, session = wedge(home, workdir=str(home.path))
    other = home.follow(session, "20261125_211000_abcdef", TICK + MINUTE, "subagent")
    deeper = home.follow(other, "20261125_211100_abcdef", TICK + 2 * MINUTE, "subagent")
    for minutes in range(5, 35, 5):
        at = TICK + minutes * MINUTE
        home.message(deeper, at - SECOND)
        home.beat(at)
        assert ("wedged", "builder") not in watch.found(at)
    home.beat(TICK + 45 * MINUTE)
    assert ("wedged", "builder") in watch.found(TICK + 45 * MINUTE)


def test_a_run_whose_session_was_closed_to_make_it_shorter_goes_on_in_the_next_one(home: Home, watch: Watch) -> None:
    _, _, session = wedge(home, workdir=str(home.path))
    home.close(session, TICK + 5 * MINUTE, "compression")
    following = home.follow(session, "20261125_211500_abcdef", TICK + 5 * MINUTE)
    for minutes in range(10, 40, 10):
        at = TICK + minutes * MINUTE
        home.message(following, at - SECOND)
        home.beat(at)
        assert ("wedged", "builder") not in watch.found(at)
    home.beat(TICK + 46 * MINUTE)
    assert ("wedged", "builder") in watch.found(TICK + 46 * MINUTE)


def test_of_several_open_runs_the_one_with_a_working_directory_is_the_cause(home: Home, watch: Watch) -> None:
    other = home.add("reader", every(60))
    home.row(other, TICK - 2 * MINUTE, "running")
    home.session(other, TICK - 2 * MINUTE, seconds=None)
    wedge(home, workdir=str(home.path))
    home.beat(TICK + 5 * MINUTE)
    cause = watch.the("overdue", TICK + 5 * MINUTE).caused_by
    assert cause is not None
    assert cause.job == "builder"


def test_a_run_of_another_process_is_no_cause(home: Home, watch: Watch) -> None:
    cause, victim, _ = wedge(home)
    assert isinstance(watch.writers, Seen)
    watch.writers.alive[999] = 5
    home.row(victim, TICK + MINUTE, "claimed", pid=999, process_started_at=5, process_id="another")
    with closing(sqlite3.connect(home.path / "cron/executions.db")) as db, db:
        db.execute("DELETE FROM executions WHERE job_id = ? AND process_id = 'p1'", (victim,))
    home.beat(TICK + 5 * MINUTE)
    assert watch.the("overdue", TICK + 5 * MINUTE).caused_by is None
    assert cause


def test_a_script_that_runs_has_no_session_and_is_in_flight(home: Home, watch: Watch) -> None:
    id_ = home.add("backup", every(2), script="long.sh", no_agent=True)
    home.row(id_, TICK, "running")
    home.beat(TICK + 20 * MINUTE)
    snapshot = watch.see(TICK + 20 * MINUTE)
    assert snapshot.jobs[0].in_flight_since == TICK
    assert watch.found(TICK + 20 * MINUTE) == set()
    home.beat(TICK + 63 * MINUTE)
    assert watch.found(TICK + 63 * MINUTE) == {("wedged", "backup")}


# the gateway


def minutely(home: Home, until: datetime) -> str:
    id_ = home.add("inbox", cron("* * * * *"), next_run_at=home.iso(until + 20 * SECOND))
    home.ran(id_, until)
    home.beat(until)
    return id_


def test_a_gateway_that_is_dead_stands_still_once_a_job_is_late(home: Home, watch: Watch) -> None:
    minutely(home, TICK)
    assert watch.found(TICK) == set()
    assert isinstance(watch.writers, Seen)
    watch.writers.alive.clear()
    assert watch.found(TICK + 90 * SECOND) == set()
    found = watch.findings(TICK + 4 * MINUTE)
    assert [(finding.kind, finding.job) for finding in found] == [("stalled", None), ("overdue", "inbox")]
    assert "its process is down" in found[0].summary


@pytest.mark.parametrize("is_dead", [True, False], ids=["a dead process", "one that is up and ticks no more"])
def test_a_gateway_that_stands_still_is_told_with_the_first_fire_that_it_misses(
    home: Home, watch: Watch, is_dead: bool
) -> None:
    """A nightly job would be late by its own cadence two nights later."""
    due = TICK.replace(hour=4, minute=30, second=0) + 24 * HOUR - HOUR
    id_ = home.add("nightly", cron("30 4 * * *"), next_run_at=home.iso(due))
    home.ran(id_, due - 24 * HOUR)
    home.beat(TICK)
    assert isinstance(watch.writers, Seen)
    if is_dead:
        watch.writers.alive.clear()
    for at in (TICK, TICK + HOUR, due, due + 9 * MINUTE):
        assert watch.found(at) == set()
    assert watch.found(due + 10 * MINUTE) == {("stalled", None)}
    assert "nightly was due at" in watch.the("stalled", due + 11 * MINUTE).summary
    home.ran(id_, due + 12 * MINUTE)
    home.beat(due + 12 * MINUTE)
    assert watch.found(due + 12 * MINUTE) == set()


def test_a_frozen_one_stands_still(home: Home, watch: Watch) -> None:
    minutely(home, TICK)
    assert isinstance(watch.writers, Seen)
    watch.writers.frozen.add(PID)
    assert ("stalled", None) in watch.found(TICK + 4 * MINUTE)
    assert "frozen" in watch.the("stalled", TICK + 4 * MINUTE).summary


def test_a_run_that_stood_still_with_its_gateway_is_not_stuck_before_it_had_time_to_get_on(
    home: Home, watch: Watch
) -> None:
    id_ = home.add("report", every(60), next_run_at=home.iso(TICK + HOUR))
    home.row(id_, TICK, "running")
    session = home.session(id_, TICK, seconds=None)
    home.beat(TICK)
    assert watch.found(TICK) == set()
    assert isinstance(watch.writers, Seen)
    watch.writers.frozen.add(PID)
    assert watch.found(TICK + SECOND) == set()
    assert watch.found(TICK + 3 * MINUTE) == set()
    for minutes in (4, 10, 20):
        assert watch.found(TICK + minutes * MINUTE) == {("stalled", None)}
    watch.writers.frozen.clear()
    moves = TICK + 20 * MINUTE
    home.beat(moves)
    assert watch.found(moves) == set()
    watch.begin()
    home.beat(moves + 14 * MINUTE)
    assert watch.found(moves + 14 * MINUTE) <= {("long_run", "report")}
    home.beat(moves + 15 * MINUTE)
    assert ("wedged", "report") in watch.found(moves + 15 * MINUTE)
    home.message(session, moves + 15 * MINUTE)
    assert ("wedged", "report") not in watch.found(moves + 16 * MINUTE)


@pytest.mark.parametrize(
    ("beats", "words"),
    [
        ({"success": TICK}, "each fails"),
        ({"ticker": TICK}, "its ticker has stopped"),
    ],
    ids=["every tick fails", "the ticker's thread is dead"],
)
def test_each_way_in_which_ticks_stop_is_told_in_its_own_words(
    home: Home, watch: Watch, beats: dict[str, datetime], words: str
) -> None:
    minutely(home, TICK)
    watch.see(TICK)
    at = TICK + 5 * MINUTE
    for now in (at - MINUTE, at):
        home.beat(beats.get("ticker", now), success=beats.get("success", beats.get("ticker")), loop=now)
        watch.see(now)
    stalled = watch.the("stalled", at + SECOND)
    assert words in stalled.summary
    assert stalled.severity is Severity.CRITICAL


def test_a_gateway_that_waits_for_a_run_before_it_ends_stands_still(home: Home, watch: Watch) -> None:
    minutely(home, TICK)
    hung = home.add("hung", every(60))
    home.row(hung, TICK, "running")
    home.session(hung, TICK, seconds=None)
    assert "the run of hung has not ended" in watch.the("stalled", TICK + 5 * MINUTE).summary


def test_ticks_from_a_crontab_leave_no_heartbeat_and_are_well(home: Home, watch: Watch) -> None:
    id_ = home.add("inbox", cron("* * * * *"))
    assert isinstance(watch.writers, Seen)
    watch.writers.alive.clear()
    for minutes in range(10):
        at = START + minutes * MINUTE
        home.row(id_, at, pid=5000 + minutes, process_started_at=minutes, process_id=f"p{minutes}")
        home.session(id_, at)
        home.change(id_, next_run_at=home.iso(at + 20 * SECOND))
        assert watch.found(at + 30 * SECOND) == set()


def test_another_process_that_ticks_is_as_good_as_the_gateway(home: Home, watch: Watch) -> None:
    """The desktop's own backend: it beats, and the number that the gateway left is of a dead process."""
    id_ = minutely(home, TICK)
    assert isinstance(watch.writers, Seen)
    watch.writers.alive = {4999: 7}
    for minutes in range(1, 12):
        at = TICK + minutes * MINUTE
        home.row(id_, at, pid=4999, process_started_at=7, process_id="desktop")
        home.session(id_, at)
        (home.path / "cron/ticker_heartbeat").write_text(str(at.timestamp()))
        (home.path / "cron/ticker_last_success").write_text(str(at.timestamp()))
        assert watch.found(at + 30 * SECOND) == set()


def test_a_start_gets_a_minute_for_what_falls_late_while_it_begins(home: Home, watch: Watch) -> None:
    id_ = home.add("inbox", every(10), next_run_at=home.iso(TICK + 10 * MINUTE))
    home.ran(id_, TICK)
    home.beat(TICK)
    watch.see(TICK)
    began = TICK + 29 * MINUTE + 50 * SECOND
    home.beat(began, began=began)
    assert watch.found(began + 45 * SECOND) == set()
    assert ("overdue", "inbox") in watch.found(began + 80 * SECOND)


def test_a_clock_that_stands_apart_does_not_make_a_heartbeat_old(home: Home, watch: Watch) -> None:
    id_ = minutely(home, TICK)
    for minutes in range(1, 10):
        at = TICK + minutes * MINUTE
        home.ran(id_, at)
        home.beat(at - 4 * MINUTE)
        watch.see(at)
    snapshot = watch.see(TICK + 9 * MINUTE + SECOND)
    assert snapshot.stands_from[""] > TICK + 9 * MINUTE + SECOND


# who lives


def test_a_run_of_a_dead_process_is_interrupted_at_once_and_nothing_is_wedged(home: Home, watch: Watch) -> None:
    id_ = home.add("report", every(60), next_run_at=home.iso(TICK + HOUR))
    home.row(id_, TICK - HOUR, "running", pid=4000, process_started_at=3)
    home.session(id_, TICK - HOUR, seconds=None)
    home.beat(TICK)
    assert watch.found(TICK) == {("interrupted", "report")}
    assert "it is not made up" in watch.the("interrupted", TICK).summary


def test_the_number_of_a_process_that_lives_again_with_another_start_is_a_dead_one(home: Home, watch: Watch) -> None:
    id_ = home.add("report", every(60), next_run_at=home.iso(TICK + HOUR))
    home.row(id_, TICK - 20 * MINUTE, "running", process_started_at=TICKS - 50)
    home.session(id_, TICK - 20 * MINUTE, seconds=None)
    home.beat(TICK)
    assert watch.found(TICK) == {("interrupted", "report")}


def test_the_numbers_of_a_container_say_nothing_here(home: Home) -> None:
    """A process of that number is not here; whether it lives there nobody can see but by the heartbeats."""
    id_ = home.add("report", every(60), next_run_at=home.iso(TICK + HOUR))
    home.row(id_, TICK - 5 * MINUTE, "running", pid=7, process_started_at=12)
    home.session(id_, TICK - 5 * MINUTE, seconds=None)
    home.beat(TICK)
    watch = Watch(home.path, Seen(hidden=True))
    assert watch.see(TICK).jobs[0].in_flight_since is not None
    assert watch.found(TICK) == set()


def test_a_copy_that_nobody_ever_had_open_proves_no_process_dead(home: Home) -> None:
    """As `check` sees a store that was brought from elsewhere, or whose gateway runs in a container."""
    id_ = home.add("report", every(60), next_run_at=home.iso(TICK + HOUR))
    home.row(id_, TICK - 20 * MINUTE, "running", pid=2**22 - 5, process_started_at=1)
    home.session(id_, TICK - 20 * MINUTE, seconds=None)
    home.beat(TICK)
    watch = Watch(home.path, LiveWriters())
    assert watch.see(TICK).jobs[0].in_flight_since is not None
    assert watch.found(TICK) == set(), "and it is not stuck for certain either"


def test_a_fire_that_was_thrown_away_unbegun_is_told_where_the_next_is_far(home: Home, watch: Watch) -> None:
    for name, schedule in (("daily", cron("10 22 * * *")), ("often", every(10))):
        id_ = home.add(name, schedule, next_run_at=home.iso(TICK + 8 * MINUTE))
        home.ran(id_, TICK - 20 * HOUR)
        home.row(id_, TICK, "unknown", finished=TICK + MINUTE)
    home.beat(TICK + 2 * MINUTE)
    assert watch.found(TICK + 2 * MINUTE) == {("interrupted", "daily")}


def test_the_interruption_is_over_with_the_next_real_start(home: Home, watch: Watch) -> None:
    id_ = home.add("report", every(10), next_run_at=home.iso(TICK + 10 * MINUTE))
    row = home.row(id_, TICK, "running")
    home.session(id_, TICK, seconds=None)
    home.end(row, TICK + 2 * MINUTE, "unknown", "Scheduler restarted after this execution's owner exited")
    home.beat(TICK + 2 * MINUTE)
    assert watch.found(TICK + 2 * MINUTE) == {("interrupted", "report")}
    home.ran(id_, TICK + 10 * MINUTE)
    home.beat(TICK + 10 * MINUTE)
    assert watch.found(TICK + 10 * MINUTE + 5 * SECOND) == set()


def test_an_operators_own_run_that_was_killed_is_no_trouble_of_a_job_that_goes_on(home: Home, watch: Watch) -> None:
    id_ = home.add("nightly", cron("30 4 * * *"), next_run_at=home.iso(TICK + 5 * HOUR))
    home.row(id_, TICK, "running", source="direct", pid=4000, process_started_at=3)
    home.session(id_, TICK, seconds=None)
    home.beat(TICK + 50 * MINUTE)
    assert watch.found(TICK + 50 * MINUTE) == set()


# one-shots


def lost(home: Home) -> str:
    """A one-shot whose run went with its gateway; the number of its job."""
    id_ = home.add("remind", once(TICK), next_run_at=home.iso(TICK), repeat={"times": 1, "completed": 1})
    home.change(id_, run_claim={"at": home.iso(TICK + MINUTE), "by": "host:4000"})
    home.row(id_, TICK, "unknown", pid=4000, process_started_at=3, finished=TICK + 2 * MINUTE)
    home.session(id_, TICK, seconds=None)
    home.beat(TICK + 2 * MINUTE)
    return id_


def test_a_one_shot_whose_only_run_was_broken_off_will_never_run(home: Home, watch: Watch) -> None:
    lost(home)
    findings = watch.findings(TICK + 3 * MINUTE)
    assert {(finding.kind.value, finding.severity.value) for finding in findings} >= {("interrupted", "warning")}
    assert "will never run" in watch.the("interrupted", TICK + 3 * MINUTE).summary


def test_one_whose_gateway_died_under_it_and_stays_away_is_told_with_that(home: Home, watch: Watch) -> None:
    lost(home)
    assert watch.found(TICK + 3 * MINUTE) == {("interrupted", "remind")}
    assert isinstance(watch.writers, Seen)
    watch.writers.alive.clear()
    found = {(finding.kind.value, finding.job) for at in (4, 8) for finding in watch.findings(TICK + at * MINUTE)}
    assert found == {("interrupted", "remind"), ("stalled", None)}
    assert "the run of remind" in watch.the("stalled", TICK + 9 * MINUTE).summary


def test_it_is_told_still_when_hermes_has_dropped_it_unrun(home: Home, watch: Watch) -> None:
    id_ = lost(home)
    watch.see(TICK + 3 * MINUTE)
    home.remove(id_)
    at = TICK + 32 * MINUTE
    home.beat(at)
    assert ("interrupted", "remind") in watch.found(at)
    watch.begin()
    assert ("interrupted", "remind") in watch.found(at + HOUR)
    assert watch.found(at + timedelta(days=8)) == set()


def test_it_is_not_told_when_somebody_has_removed_it(home: Home, watch: Watch) -> None:
    id_ = lost(home)
    watch.see(TICK + 3 * MINUTE)
    home.remove(id_)
    home.beat(TICK + 5 * MINUTE)
    assert watch.found(TICK + 5 * MINUTE) == set()


def test_a_one_shot_in_flight_whose_record_is_taken_at_a_stop_is_told_once_its_run_is_broken_off(
    home: Home, watch: Watch
) -> None:
    id_ = home.add("remind", once(TICK), next_run_at=home.iso(TICK), repeat={"times": 1, "completed": 1})
    row = home.row(id_, TICK, "running")
    home.session(id_, TICK, seconds=None)
    home.beat(TICK + MINUTE)
    watch.see(TICK + MINUTE)
    home.remove(id_)
    assert watch.found(TICK + 2 * MINUTE) == set()
    home.end(row, TICK + 5 * MINUTE, "failed", "Interrupted by gateway shutdown before the run finished")
    assert ("interrupted", "remind") in watch.found(TICK + 6 * MINUTE)


@pytest.mark.parametrize("status", ["completed", "failed"])
def test_one_that_has_run_is_taken_away_with_nothing_amiss(home: Home, watch: Watch, status: str) -> None:
    id_ = home.add("remind", once(TICK), next_run_at=home.iso(TICK))
    home.beat(TICK)
    watch.see(TICK)
    row = home.row(id_, TICK, "running")
    home.session(id_, TICK)
    watch.see(TICK + SECOND)
    home.remove(id_)
    watch.see(TICK + 2 * SECOND)
    home.end(row, TICK + 3 * SECOND, status)
    for minutes in (1, 5, 60):
        home.beat(TICK + minutes * MINUTE)
        assert watch.found(TICK + minutes * MINUTE) == set()


def test_one_without_a_next_run_whose_time_has_passed_never_runs(home: Home, watch: Watch) -> None:
    home.add("remind", once(TICK - HOUR))
    home.beat(TICK)
    assert watch.found(TICK) == set()
    home.beat(TICK + 130 * SECOND)
    assert watch.found(TICK + 130 * SECOND) == {("stranded", "remind")}


# what the runs were worth


def test_failures_are_counted_by_the_rows_and_ends_with_the_gateway_are_none(home: Home, watch: Watch) -> None:
    id_ = home.add("inbox", every(10), next_run_at=home.iso(TICK + 10 * MINUTE))
    for minutes, status in ((10, "completed"), *((m, "failed") for m in range(20, 60, 10)), (61, "unknown")):
        home.row(id_, TICK - 2 * HOUR + minutes * MINUTE, status, error="HTTP 401" if status == "failed" else None)
    home.beat(TICK)
    snapshot = watch.see(TICK)
    assert snapshot.jobs[0].consecutive_errors == 4
    home.row(id_, TICK - MINUTE, "failed", error="HTTP 401: invalid key")
    home.beat(TICK + SECOND)
    finding = watch.the("failing", TICK + SECOND)
    assert finding.evidence["error_class"] == "permanent"


def test_errors_in_a_row_are_not_forgotten_with_the_rows_that_hermes_drops(home: Home, watch: Watch) -> None:
    """It keeps those of a thousand runs of all jobs, which may be less than a day's."""
    id_ = home.add("daily", cron("0 4 * * *"))
    for day in range(6):
        at = TICK + timedelta(days=day)
        home.prune()
        home.row(id_, at, "failed", error="HTTP 401")
        home.change(
            id_,
            last_run_at=home.iso(at),
            last_status="error",
            last_error="HTTP 401",
            next_run_at=home.iso(at + 24 * HOUR),
        )
        home.beat(at + MINUTE)
        assert watch.see(at + MINUTE).jobs[0].consecutive_errors == day + 1
        watch.begin()
    at += MINUTE
    home.change(id_, last_run_at=home.iso(at), last_error="Gateway shutdown killed the job's tool subprocess")
    assert watch.see(at + SECOND).jobs[0].consecutive_errors == 6
    home.prune()
    home.change(id_, last_run_at=home.iso(at + MINUTE), last_status="ok", last_error=None)
    watch.begin()
    assert watch.see(at + MINUTE + SECOND).jobs[0].consecutive_errors == 0


def test_zero_tokens_say_nothing_of_a_model_that_never_counts_any(home: Home, watch: Watch) -> None:
    local = home.add("local", every(10), next_run_at=home.iso(TICK + 10 * MINUTE))
    paid = home.add("paid", every(10), next_run_at=home.iso(TICK + 10 * MINUTE))
    for minutes in range(40, 0, -10):
        at = TICK - minutes * MINUTE
        home.row(local, at)
        home.session(local, at, model="llama", input_tokens=0, output_tokens=0)
        home.row(paid, at)
        used = 300 if minutes == 40 else 0
        home.session(paid, at, input_tokens=used, output_tokens=used)
    home.beat(TICK)
    assert watch.found(TICK) == {("zero_tokens", "paid")}


def test_a_script_never_has_tokens_and_a_run_that_was_skipped_has_no_session(home: Home, watch: Watch) -> None:
    used = home.add("used", every(10), next_run_at=home.iso(TICK + 10 * MINUTE))
    home.ran(used, TICK - 5 * MINUTE)
    script = home.add("script", every(10), script="x.sh", no_agent=True, next_run_at=home.iso(TICK + 10 * MINUTE))
    woken = home.add("woken", every(10), script="wake.sh", next_run_at=home.iso(TICK + 10 * MINUTE))
    for minutes in range(50, 0, -10):
        home.row(script, TICK - minutes * MINUTE)
        home.row(woken, TICK - minutes * MINUTE)
    home.beat(TICK)
    assert watch.found(TICK) == set()


def test_what_a_run_has_cost_is_known_by_its_session(home: Home, watch: Watch) -> None:
    id_ = home.add("dear", every(10), next_run_at=home.iso(TICK + 10 * MINUTE))
    home.row(id_, TICK - MINUTE)
    home.session(id_, TICK - MINUTE, estimated_cost_usd=0.5, actual_cost_usd=0.4)
    home.beat(TICK)
    assert [spent.usd for spent in watch.see(TICK).jobs[0].spent] == [0.4]


def test_a_result_that_reached_nobody_is_told_though_the_run_is_ok(home: Home, watch: Watch) -> None:
    home.add(
        "to-chat",
        every(10),
        next_run_at=home.iso(TICK + 10 * MINUTE),
        last_status="ok",
        last_run_at=home.iso(TICK - MINUTE),
        last_delivery_error="platform 'telegram' not configured",
    )
    home.beat(TICK)
    assert watch.found(TICK) == {("undelivered", "to-chat")}


def test_many_more_runs_than_are_due_are_a_runaway_unless_somebody_asked(home: Home, watch: Watch) -> None:
    wild = home.add("wild", every(30), next_run_at=home.iso(TICK + 10 * MINUTE))
    asked = home.add("asked", every(30), next_run_at=home.iso(TICK + 10 * MINUTE))
    for minutes in range(24, 0, -2):
        home.ran(wild, TICK - minutes * MINUTE)
        home.ran(asked, TICK - minutes * MINUTE, source="direct")
    home.beat(TICK)
    assert watch.found(TICK) == {("runaway", "wild")}


def test_what_a_job_ran_before_its_schedule_was_changed_is_no_runaway_after_a_restart_either(
    home: Home, watch: Watch
) -> None:
    id_ = home.add("slowed", every(1), next_run_at=home.iso(TICK + MINUTE))
    for minutes in range(40, 0, -1):
        home.ran(id_, TICK - minutes * MINUTE)
    home.beat(TICK)
    assert watch.found(TICK) == set()
    home.change(id_, schedule=every(10), next_run_at=home.iso(TICK + 10 * MINUTE))
    assert watch.found(TICK + 2 * SECOND) == set()
    for minutes in (0, 10):
        watch.begin()
        home.beat(TICK + minutes * MINUTE)
        assert watch.found(TICK + minutes * MINUTE + 5 * SECOND) == set()
        home.ran(id_, TICK + 10 * MINUTE + SECOND)


def test_the_hourly_fire_done_twice_is_told_where_rows_say_for_which_fire_they_were(tmp_path: Path) -> None:
    home = Home(tmp_path / "h3", layout="H3")
    id_ = home.add("report", cron("0 * * * *"), next_run_at=home.iso(TICK + HOUR))
    for seconds in (0, 30):
        home.row(id_, TICK + seconds * SECOND, scheduled_instant=(TICK - 40 * SECOND).isoformat())
        home.session(id_, TICK + seconds * SECOND)
    home.beat(TICK + MINUTE)
    assert Watch(home.path).found(TICK + MINUTE) == {("duplicate", "report")}


# the file of jobs

BROKEN = {
    "no object": "every day",
    "nothing": None,
    "an unknown kind": {"kind": "weekly"},
    "a bad expression": cron("61 * * * *"),
    "seven fields": cron("0 0 * * * * 2030"),
    "no minutes": {"kind": "interval", "minutes": 0},
    "no time": {"kind": "once", "run_at": "soon"},
}


@pytest.mark.parametrize("schedule", BROKEN.values(), ids=BROKEN)
def test_a_schedule_that_hermes_passes_over_is_invalid(home: Home, watch: Watch, schedule: Any) -> None:
    home.add("odd", every(10))
    home.change("000000000001", schedule=schedule)
    home.beat(TICK)
    finding = watch.the("invalid", TICK)
    assert "Hermes passes it over" in finding.summary


def test_a_script_that_is_missing_is_told_before_the_run_that_would_fail(home: Home, watch: Watch) -> None:
    id_ = home.add(
        "nightly", cron("30 4 * * *"), script="back.sh", no_agent=True, next_run_at=home.iso(TICK + 8 * HOUR)
    )
    home.beat(TICK)
    assert watch.found(TICK) == set(), "nothing can be said where no script can be seen"
    (home.path / "scripts").mkdir()
    home.beat(TICK + 2 * MINUTE)
    assert watch.found(TICK + 2 * MINUTE) == set()
    home.beat(TICK + 4 * MINUTE)
    assert watch.found(TICK + 4 * MINUTE) == {("invalid", "nightly")}
    (home.path / "scripts/back.sh").write_text("true")
    home.beat(TICK + 6 * MINUTE)
    assert watch.found(TICK + 6 * MINUTE) == set()
    assert id_


@pytest.mark.parametrize("sees", [True, False], ids=["the gateway's files", "another container's"])
def test_a_working_directory_that_is_missing_is_told_where_it_would_be_seen(home: Home, sees: bool) -> None:
    home.add("build", cron("30 4 * * *"), workdir="/srv/nowhere", next_run_at=home.iso(TICK + 8 * HOUR))
    watch = Watch(home.path, Seen(hidden=not sees))
    for minutes in (0, 2):
        home.beat(TICK + minutes * MINUTE)
        found = watch.found(TICK + minutes * MINUTE)
    assert found == ({("invalid", "build")} if sees else set())


def test_a_recurring_job_without_a_next_run_is_given_two_ticks(home: Home, watch: Watch) -> None:
    id_ = home.add("null", every(10))
    home.ran(id_, TICK - MINUTE)
    for seconds in (0, 60, 120):
        home.beat(TICK + seconds * SECOND)
        assert watch.found(TICK + seconds * SECOND) == set()
    home.beat(TICK + 126 * SECOND)
    assert watch.found(TICK + 126 * SECOND) == {("stranded", "null")}


def test_paused_and_completed_jobs_are_quiet_whatever_stands_there(home: Home, watch: Watch) -> None:
    home.add("paused", every(1), enabled=False, state="paused", last_status="error", last_delivery_error="x")
    home.add("done", once(TICK - HOUR), enabled=False, state="completed")
    home.add("gone", {"kind": "weekly"}, enabled=False, state="paused", script="no.sh")
    home.add("null", every(1), enabled=None, state="paused", next_run_at=home.iso(TICK - HOUR))
    home.beat(TICK)
    assert watch.found(TICK) == set()
    assert [job.state for job in watch.see(TICK).jobs] == ["paused", "completed", "paused", "paused"]


@pytest.mark.parametrize(
    "text", ["{", "", "[1", '{"jobs": 3}', "\0\0\0"], ids=["cut", "empty", "list", "number", "zeros"]
)
def test_a_file_that_cannot_be_read_is_believed_at_the_second_look(home: Home, watch: Watch, text: str) -> None:
    minutely(home, TICK)
    assert watch.found(TICK) == set()
    (home.path / "cron/jobs.json").write_text(text)
    assert watch.found(TICK + 2 * SECOND) == set()
    assert watch.found(TICK + 8 * SECOND) == {("unreachable", None)}
    home.save()
    assert watch.found(TICK + 10 * SECOND) == set()


def test_what_hermes_reads_is_read(home: Home, watch: Watch) -> None:
    """A bare list, a mark of the byte order, control characters, other indents."""
    minutely(home, TICK)
    jobs = list(home.jobs.values())
    for text in (
        json.dumps(jobs),
        "\ufeff" + json.dumps({"jobs": jobs}, indent=2),
        json.dumps({"jobs": [jobs[0] | {"prompt": "a|b"}]}).replace("|", "\n\t"),
        json.dumps({"jobs": jobs}, indent=4),
    ):
        (home.path / "cron/jobs.json").write_text(text)
        assert [job.name for job in watch.see(TICK + SECOND).jobs] == ["inbox"]


def test_a_store_that_is_not_there_is_told_by_a_single_look_at_once(tmp_path: Path) -> None:
    look = HermesSource(Hermes(kind="hermes", home=tmp_path / "nowhere")).look(TICK)
    assert look.snapshot.problem is not None


def test_a_home_in_which_no_job_was_made_yet_has_none(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("model: x\n")
    look = HermesSource(Hermes(kind="hermes", home=tmp_path)).look(TICK)
    assert look.snapshot.problem is None
    assert look.snapshot.jobs == ()


# jobs that are gone


def test_a_job_whose_results_went_with_it_was_deleted(home: Home, watch: Watch) -> None:
    ids = [home.add(f"job-{n}", every(10), next_run_at=home.iso(TICK + 9 * MINUTE)) for n in range(4)]
    for id_ in ids:
        home.ran(id_, TICK - MINUTE)
        (home.path / "cron/output" / id_).mkdir(parents=True)
    home.beat(TICK)
    watch.see(TICK)
    (home.path / "cron/output" / ids[0]).rmdir()
    home.remove(ids[0])
    home.remove(ids[1])
    home.beat(TICK + 2 * MINUTE)
    watch.see(TICK + 2 * MINUTE)
    assert watch.found(TICK + 4 * MINUTE) == {("vanished", "job-1")}


def test_the_last_of_so_many_runs_takes_the_job_away(home: Home, watch: Watch) -> None:
    keep = home.add("keep", every(10), next_run_at=home.iso(TICK + 9 * MINUTE))
    id_ = home.add("thrice", every(1), repeat={"times": 3, "completed": 2}, next_run_at=home.iso(TICK + MINUTE))
    for each in (keep, id_):
        home.ran(each, TICK - MINUTE)
        (home.path / "cron/output" / each).mkdir(parents=True)
    home.beat(TICK)
    watch.see(TICK)
    home.ran(id_, TICK + MINUTE)
    home.remove(id_)
    for minutes in (2, 4):
        home.beat(TICK + minutes * MINUTE)
        assert watch.found(TICK + minutes * MINUTE) == set()


# layouts, profiles, zones


@pytest.mark.parametrize("layout", ["H0", "H1", "H2", "H3", "H4"])
def test_each_layout_is_told_by_what_stands_there(tmp_path: Path, layout: str) -> None:
    home = Home(tmp_path / "home", layout=layout)
    id_ = home.add("inbox", every(10), last_run_at=home.iso(TICK - MINUTE), last_status="ok")
    home.change(id_, next_run_at=home.iso(TICK + 9 * MINUTE))
    if layout not in ("H0", "H1"):
        home.ran(id_, TICK - MINUTE)
    home.beat(TICK)
    watch = Watch(home.path)
    assert watch.found(TICK) == ({("blind", None)} if layout in ("H0", "H1") else set())
    at = TICK + 31 * MINUTE
    assert {kind for kind, _ in watch.found(at)} >= {"stalled", "overdue"}


@pytest.mark.parametrize("layout", ["H0", "H1"])
def test_without_a_ledger_errors_are_counted_as_they_come(tmp_path: Path, layout: str) -> None:
    home = Home(tmp_path / "home", layout=layout)
    id_ = home.add("inbox", every(10))
    watch = Watch(home.path)
    for number in range(6):
        at = TICK + number * 10 * MINUTE
        home.beat(at)
        home.change(
            id_,
            last_run_at=home.iso(at),
            last_status="error",
            last_error="HTTP 500",
            next_run_at=home.iso(at + 10 * MINUTE),
        )
        watch.see(at)
        watch.see(at + 5 * SECOND)
    assert ("failing", "inbox") in watch.found(at + 10 * SECOND)


@pytest.mark.parametrize("layout", ["H0", "H1"])
def test_without_a_ledger_an_open_session_is_a_run_in_flight(tmp_path: Path, layout: str) -> None:
    home = Home(tmp_path / "home", layout=layout)
    id_ = home.add("long", every(1), last_run_at=home.iso(TICK - MINUTE), last_status="ok", next_run_at=home.iso(TICK))
    home.session(id_, TICK, seconds=None)
    watch = Watch(home.path)
    home.beat(TICK + 8 * MINUTE)
    assert watch.found(TICK + 8 * MINUTE) == {("blind", None)}
    home.beat(TICK + 7 * HOUR)
    assert ("overdue", "long") in watch.found(TICK + 7 * HOUR)


@pytest.mark.parametrize("layout", ["H0", "H1"])
def test_without_a_ledger_runs_that_come_while_it_is_watched_are_seen_by_their_sessions(
    tmp_path: Path, layout: str
) -> None:
    home = Home(tmp_path / "home", layout=layout)
    long, free = (home.add(name, every(2), next_run_at=home.iso(TICK + 2 * MINUTE)) for name in ("long", "free"))
    watch, blind = Watch(home.path), ("blind", None)
    home.session(free, TICK - 2 * MINUTE)
    for minutes in range(0, 9, 2):
        at = TICK + minutes * MINUTE
        if not minutes:
            home.session(long, at, seconds=None)
        else:
            home.session(free, at, input_tokens=0, output_tokens=0)
            home.change(free, last_run_at=home.iso(at), last_status="ok", next_run_at=home.iso(at + 2 * MINUTE))
        home.beat(at)
        assert watch.found(at + 5 * SECOND) <= {blind, ("zero_tokens", "free")}
    assert watch.found(at + 5 * SECOND) == {blind, ("zero_tokens", "free")}


def test_without_a_ledger_a_session_that_a_restart_left_open_is_no_run_in_flight(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", layout="H1")
    id_ = home.add("often", every(5), last_run_at=home.iso(TICK - MINUTE), last_status="ok", next_run_at=home.iso(TICK))
    home.session(id_, TICK, seconds=None)
    home.beat(TICK)
    watch = Watch(home.path)
    assert watch.see(TICK + MINUTE).jobs[0].in_flight_since == TICK
    began = TICK + 2 * MINUTE
    home.beat(began)
    state = {"pid": PID + 1, "start_time": TICKS + 1, "gateway_state": "running", "updated_at": began.isoformat()}
    (home.path / "gateway_state.json").write_text(json.dumps(state))
    assert watch.see(began + MINUTE).jobs[0].in_flight_since is None


def test_a_file_of_far_more_values_than_jobs_have_is_not_read(home: Home, watch: Watch) -> None:
    minutely(home, TICK)
    (home.path / "cron/jobs.json").write_bytes(b'{"jobs": [' + b"{}," * 2_000_000 + b"{}]}")
    watch.see(TICK)
    assert "far more values than a store does" in str(watch.see(TICK + 14 * SECOND).problem)


@pytest.mark.parametrize(
    "text", ['timezone: !!bool ""', "timezone: 2026-13-45", "a: 1\n" * 50_000, "[" * 100_000, "\0"]
)
def test_settings_that_cannot_be_read_are_as_none(text: str, home: Home, watch: Watch) -> None:
    minutely(home, TICK)
    (home.path / "config.yaml").write_text(text)
    assert watch.see(TICK).problem is None


def test_rows_without_numbers_are_not_read_and_that_is_told(home: Home, watch: Watch) -> None:
    minutely(home, TICK)
    without_row_numbers(home.path / "cron/executions.db", "executions")
    assert watch.see(TICK).problem is None
    watch = Watch(home.path)
    home.beat(TICK + 2 * SECOND)
    watch.found(TICK + 2 * SECOND)
    assert watch.found(TICK + 14 * SECOND) == {("blind", None)}


def test_a_database_that_its_writer_holds_for_a_moment_is_no_finding(home: Home, watch: Watch) -> None:
    minutely(home, TICK)
    assert watch.found(TICK) == set()
    good = (home.path / "cron/executions.db").read_bytes()
    (home.path / "cron/executions.db").write_bytes(b"x" * 5000)
    assert watch.found(TICK + 2 * SECOND) == set()
    assert watch.found(TICK + 14 * SECOND) == {("blind", None)}
    (home.path / "cron/executions.db").write_bytes(good)
    assert watch.found(TICK + 16 * SECOND) == set()


def test_more_jobs_than_are_looked_at_are_told(home: Home, watch: Watch) -> None:
    one = home.jobs[minutely(home, TICK)]
    home.jobs = {f"{number:012x}": one | {"id": f"{number:012x}"} for number in range(2100)}
    home.save()
    home.beat(TICK)
    assert ("blind", None) in watch.found(TICK)
    assert len(watch.see(TICK).jobs) == 2000


def test_rows_of_jobs_that_are_gone_do_not_pile_up(home: Home, watch: Watch) -> None:
    minutely(home, TICK)
    watch.see(TICK)
    for number in range(300):
        home.row(f"gone-{number}", TICK)
    home.beat(TICK + SECOND)
    watch.see(TICK + SECOND)
    assert len(watch.source._main._ledger.rows) <= 101


def test_a_count_that_hermes_keeps_itself_is_taken(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", layout="H4")
    home.add("inbox", every(10), next_run_at=home.iso(TICK + MINUTE), failure_streak=7)
    home.beat(TICK)
    assert ("failing", "inbox") in Watch(home.path).found(TICK)


def test_profiles_are_found_by_themselves_and_each_has_its_own_gateway(home: Home, watch: Watch) -> None:
    minutely(home, TICK)
    work = Home(home.path / "profiles" / "work")
    id_ = work.add("report", cron("* * * * *"), next_run_at=work.iso(TICK + 20 * SECOND))
    work.ran(id_, TICK - 10 * MINUTE)
    work.beat(TICK - 10 * MINUTE)
    (home.path / "profiles" / "empty").mkdir()
    findings = watch.findings(TICK + 30 * SECOND)
    assert {job.name for job in watch.see(TICK + 30 * SECOND).jobs} == {"inbox", "work/report"}
    assert not findings
    home.ran("000000000001", TICK + 4 * MINUTE)
    home.beat(TICK + 4 * MINUTE)
    stalled = watch.the("stalled", TICK + 4 * MINUTE)
    assert stalled.evidence["late_jobs"] == [f"work/{id_}"]
    assert {(f.kind.value, f.job) for f in watch.findings(TICK + 4 * MINUTE)} == {
        ("stalled", None),
        ("overdue", "work/report"),
    }


def test_profiles_may_be_left_out(home: Home) -> None:
    minutely(home, TICK)
    Home(home.path / "profiles" / "work").add("report", every(1))
    assert [job.name for job in Watch(home.path, options={"profiles": False}).see(TICK).jobs] == ["inbox"]


@pytest.mark.parametrize(
    ("given", "configured", "written", "zone"),
    [
        ("Europe/Paris", "Europe/Berlin", "2026-11-25T22:00:00+01:00", "Europe/Paris"),
        ("Asia/Tokyo", "Europe/Berlin", None, "Asia/Tokyo"),
        ("Asia/Tokyo", "Europe/Berlin", "2026-11-25T22:00:00+01:00", "Europe/Berlin"),
        (None, "Europe/Berlin", "2026-11-25T22:00:00+01:00", "Europe/Berlin"),
        (None, "Europe/Berlin", "2026-11-25T22:00:00-05:00", "Etc/GMT+5"),
        (None, None, "2026-11-25T22:00:00+05:30", "Asia/Calcutta"),
        (None, "nonsense", None, None),
    ],
    ids=[
        "the operator's",
        "nothing is written yet",
        "a profile has another",
        "the configured",
        "another by the environment",
        "a half hour's",
        "none is known",
    ],
)
def test_the_zone_is_the_one_that_hermes_writes_in(
    given: str | None, configured: str | None, written: str | None, zone: str | None
) -> None:
    clock = clock_of(given, configured, written)
    assert zone is None or clock.zone == zone


def test_one_zone_holds_for_all_schedules(tmp_path: Path) -> None:
    home = Home(tmp_path / "home", zone="America/New_York")
    (home.path / "config.yaml").write_text("timezone: America/New_York\n")
    nine = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)
    id_ = home.add("nine", cron("0 9 * * *"), next_run_at=home.iso(nine))
    home.ran(id_, nine - 24 * HOUR + 40 * SECOND)
    home.beat(nine - HOUR)
    watch = Watch(home.path)
    watch.see(nine - HOUR)
    home.ran(id_, nine + 40 * SECOND)
    home.change(id_, next_run_at=None)
    assert watch.see(nine + MINUTE).jobs[0].next_run_at == nine + 24 * HOUR


def test_the_example_is_valid() -> None:
    found = load(Path(__file__).parents[3] / "config" / "hermes.yaml", {})
    assert isinstance(found.sources[0], Hermes)


# whatever stands there

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3),
    max_leaves=6,
)
FIELDS = ("id", "name", "schedule", "repeat", "enabled", "state", "next_run_at", "last_run_at", "run_claim", "deliver")


@settings(max_examples=60, deadline=None)
@given(job=st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, ANYTHING)), later=st.integers(0, 10**7))
def test_whatever_stands_in_a_record_the_look_comes_to_an_end(
    tmp_path_factory: pytest.TempPathFactory, job: dict[str, Any], later: int
) -> None:
    folder = tmp_path_factory.mktemp("home")
    (folder / "cron").mkdir()
    good = {"id": "a" * 12, "name": "good", "schedule": every(10), "next_run_at": TICK.isoformat()}
    (folder / "cron/jobs.json").write_text(json.dumps({"jobs": [job, good]}))
    found = Watch(folder).see(TICK + later * SECOND)
    assert found.problem is None
    assert "good" in {each.name for each in found.jobs}


@settings(max_examples=40, deadline=None)
@given(
    values=st.dictionaries(
        st.sampled_from(["source", "claimed_at", "started_at", "finished_at", "pid", "error"]), ANYTHING
    )
)
def test_whatever_stands_in_the_ledger_the_look_comes_to_an_end(
    tmp_path_factory: pytest.TempPathFactory, values: dict[str, Any]
) -> None:
    home = Home(tmp_path_factory.mktemp("home") / "hermes")
    id_ = home.add("good", every(10))
    plain = {key: value for key, value in values.items() if not isinstance(value, list | dict)}
    try:
        home.row(id_, TICK, "running", **plain)
    except (OverflowError, UnicodeEncodeError):
        return
    assert Watch(home.path).see(TICK).problem is None


def test_a_look_at_which_nothing_has_changed_is_not_new(home: Home, watch: Watch) -> None:
    minutely(home, TICK)
    assert watch.source.look(TICK).is_new
    assert not watch.source.look(TICK + SECOND).is_new


Make = Callable[[Path], None]


def _pipe(path: Path) -> None:
    import os

    os.mkfifo(path)


@pytest.mark.parametrize(
    "make", [_pipe, Path.mkdir, lambda path: path.symlink_to("/dev/zero")], ids=["pipe", "folder", "device"]
)
@pytest.mark.parametrize("name", ["cron/executions.db", "state.db", "cron/ticker_heartbeat", "config.yaml"])
def test_nothing_but_a_file_is_opened(home: Home, watch: Watch, name: str, make: Make) -> None:
    minutely(home, TICK)
    path = home.path / name
    path.unlink(missing_ok=True)
    make(path)
    assert watch.see(TICK).problem is None


def _seen_by_nobody(home: Path, *closed: Path) -> tuple[str | None, list[str], list[str]]:
    """What a user without rights is told: of the whole, of which jobs, and what is hidden. `closed`: from that user."""
    for path in (*home.rglob("*"), home):
        path.chmod(0o755 if path.is_dir() else 0o666)
    for path in closed:
        path.chmod(0o700 if path.is_dir() else 0o600)

    def look() -> tuple[str | None, list[str], list[str]]:
        snapshot = HermesSource(Hermes(kind="hermes", home=home)).look(START + timedelta(minutes=20)).snapshot
        return snapshot.problem, [job.id for job in snapshot.jobs], [each.what for each in snapshot.unseen]

    look()  # what it imports this user may not reach
    problem, ids, hidden = as_nobody(look)
    return problem, ids, hidden


def test_a_profile_that_may_not_be_looked_into_is_told_and_hides_no_other(reachable: Path) -> None:
    home = Home(reachable / "h")
    mine = home.add("mail", every(30))
    theirs = Home(home.path / "profiles" / "theirs")
    theirs.add("mail", every(30))
    problem, ids, hidden = _seen_by_nobody(home.path, theirs.path)
    assert (problem, ids) == (None, [mine])
    assert hidden == [
        f"the jobs of the profile theirs ({theirs.path}/cron/jobs.json may not be read by user 65534)",
    ]
    problem, ids, hidden = _seen_by_nobody(home.path, theirs.path.parent)
    assert (problem, ids) == (None, [mine])
    assert hidden == [f"the jobs of its profiles ({theirs.path.parent} may not be read by user 65534)"]


def test_a_home_that_may_not_be_looked_into_is_told_as_a_whole(reachable: Path) -> None:
    home = Home(reachable / "h")
    home.add("mail", every(30))
    problem, ids, _ = _seen_by_nobody(home.path, home.path)
    assert (problem, ids) == (f"{home.path}/cron/jobs.json may not be read by user 65534", [])


def test_scripts_and_working_directories_that_may_not_be_looked_at_are_not_missed(reachable: Path) -> None:
    home = Home(reachable / "h")
    (home.path / "scripts" / "deep").mkdir(parents=True)
    home.add("mail", every(30), script="deep/mail.py", no_agent=True, workdir=f"{home.path}/scripts/deep/there")
    problem, ids, _ = _seen_by_nobody(home.path, home.path / "scripts" / "deep")
    assert (problem, len(ids)) == (None, 1)
    (job,) = HermesSource(Hermes(kind="hermes", home=home.path)).look(START).snapshot.jobs
    assert len(job.problems) == 2


def test_a_ledger_that_may_not_be_read_is_told_as_one_that_is_there(reachable: Path) -> None:
    home = Home(reachable / "h")
    job = home.add("mail", every(30), last_run_at=home.iso(START), last_status="ok")
    home.ran(job, START)
    _, _, hidden = _seen_by_nobody(home.path, home.path / "cron" / "executions.db")
    assert [what.partition(": run")[0] for what in hidden] == [
        f"the ledger of runs cannot be read ({home.path}/cron/executions.db may not be read by user 65534",
    ]


@pytest.mark.parametrize("layout", ["H0", "H1", "H2"])
def test_without_sessions_it_says_that_work_cannot_be_told_from_none(layout: str, tmp_path: Path) -> None:
    home = Home(tmp_path / "h", layout=layout)
    job = home.add("mail", every(30), last_run_at=home.iso(START), last_status="ok")
    if layout == "H2":
        home.row(job, START)
    for file in home.path.glob("state.db*"):
        file.unlink()
    snapshot = HermesSource(Hermes(kind="hermes", home=home.path)).look(START + timedelta(minutes=20)).snapshot
    assert f"the sessions cannot be read ({home.path}/state.db is not there)" in [each.what for each in snapshot.unseen]
    assert any(Kind.ZERO_TOKENS in each.hides for each in snapshot.unseen)
