"""The simulated scheduler keeps the rules of the watched one. Everything is proved by what stands in its file."""

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.memory_folder import memory_folder
from watchdog.demo.outcome import Outcome
from watchdog.demo.schedules import ScheduleError
from watchdog.demo.simulator import Simulator

ROOT = Path(__file__).resolve().parents[2]
RECORDINGS = ROOT.parent / "shared" / "recordings"
START = datetime(2026, 4, 29, 4, 30, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
OVERLOADED = Outcome.failing("Error: 529 overloaded_error: Overloaded")
WRITTEN_BY_RUNS = ("scheduled_jobs", "sessions", "cost_events")
TABLES = (*WRITTEN_BY_RUNS, "scheduler_audit_log")

Row = dict[str, Any]
Make = Callable[..., Simulator]


def ask(path: Path, query: str, *values: object) -> list[Row]:
    """What another process reads from the file."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(query, values).fetchall()]


def job(path: Path, name: str) -> Row:
    (row,) = ask(path, "SELECT * FROM scheduled_jobs WHERE name = ?", name)
    return row


def costs(path: Path, name: str | None = None) -> list[str]:
    """The times of day of the cost events (of one job)."""
    key = "%" if name is None else f"scheduler:sched:{job(path, name)['id']}"
    rows = ask(path, "SELECT created_at FROM cost_events WHERE session_key LIKE ? ORDER BY id", key)
    return [row["created_at"][11:] for row in rows]


def session(path: Path, name: str) -> Row:
    (row,) = ask(path, "SELECT * FROM sessions WHERE session_key = ?", f"scheduler:sched:{job(path, name)['id']}")
    return row


def change(path: Path, statement: str, *values: object) -> None:
    """What somebody writes into the file behind the scheduler's back."""
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def at(text: str, day: datetime = START) -> datetime:
    """`HH:MM[:SS]` on that day."""
    return datetime.fromisoformat(f"{day:%Y-%m-%d}T{text}+00:00")


def always(outcome: Outcome) -> Callable[[str, datetime], Outcome]:
    return lambda _name, _now: outcome


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


@pytest.fixture
def make(path: Path) -> Iterator[Make]:
    """Makes a simulator on `path`, closed at the end."""
    made: list[Simulator] = []

    def build(now: datetime = START, **options: Any) -> Simulator:
        made.append(Simulator(path, now, **options))
        return made[-1]

    yield build
    for simulator in made:
        simulator.close()


# the incident, and the recordings of the real scheduler


def test_it_replays_the_incident_to_the_second(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome.failing()))
    sim.add("heartbeat", ("cron", "0 * * * *", "UTC"), delivery_channel="none")
    sim.run_until(START + 40 * HOUR)
    ladder = ["05:00:08", "05:00:46", "05:01:54", "05:07:02", "05:22:10"]
    assert costs(path) == [*ladder, "06:00:08", "07:00:08", "08:00:08", "09:00:08", "10:00:08"]
    row = job(path, "heartbeat")
    assert (row["status"], row["next_run_at"], row["consecutive_errors"]) == ("failed", None, 10)
    assert (row["last_run_at"], row["updated_at"]) == ("2026-04-29T10:00:00.000Z", "2026-04-29 10:00:08")
    assert {cost["input_tokens"] + cost["output_tokens"] for cost in ask(path, "SELECT * FROM cost_events")} == {0}


def from_recording(name: str) -> Path:
    found = RECORDINGS / f"{name}.db"
    if not found.exists():
        pytest.skip("the recordings of the real scheduler are not beside this repository")
    return found


def shape(path: Path, *, immutable: bool = False) -> dict[str, list[Row]]:
    """The rows of a file with everything in them that is random (ids, the model) said by the job's name."""
    with closing(sqlite3.connect(f"file:{path}?{'immutable=1' if immutable else 'mode=ro'}", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        tables = {table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")] for table in TABLES}
    names = {f"scheduler:sched:{row['id']}": row["name"] for row in tables["scheduled_jobs"]}
    for row in itertools.chain(*tables.values()):
        row["session_key"] = names.get(row.get("session_key", ""))
        for random in ("id", "sdk_session_id", "conversation_id", "model", "task"):
            row.pop(random, None)
    for totals in tables["sessions"]:
        totals["total_cost_usd"] = round(totals["total_cost_usd"], 6)
    return tables


def slot_story(path: Path) -> Iterator[tuple[str, datetime]]:
    """Four jobs; on the third day a run hangs and holds the slot; a day later somebody restarts the process."""
    day = datetime(2026, 6, 10, tzinfo=UTC)
    fine = Outcome(duration=243 * SECOND)

    def behave(name: str, now: datetime) -> Outcome:
        return Outcome.hanging() if name == "repo-digest" and now == at("12:15", day) else fine

    with Simulator(path, datetime(2026, 6, 8, tzinfo=UTC), behaviour=behave) as sim:
        sim.add("inbox-triage", ("every", 30 * MINUTE), delivery_channel="none")
        sim.add("repo-digest", ("cron", "15 */2 * * *", "Europe/Berlin"), delivery_target="C0ENG")
        sim.add("nightly-report", ("cron", "0 1 * * *", "America/New_York"))
        sim.add("weekly-plan", ("cron", "0 9 * * MON", "UTC"), delivery_target="U0ALICE")
        for name, now in (("slot-healthy", "12:14"), ("slot-busy-10min", "12:25"), ("slot-wedged-4h15", "16:30")):
            sim.run_until(at(now, day))
            yield name, sim.now
        sim.run_until(at("23:16", day + DAY))
        sim.restart()
        sim.run_until(at("00:30", day + 2 * DAY))
        yield "slot-after-restart", sim.now


def storm_story(path: Path) -> Iterator[tuple[str, datetime]]:
    """Five jobs and an outage of the provider, until every breaker has tripped and no timer is armed."""
    day = datetime(2026, 5, 5, tzinfo=UTC)
    refused = "Error: 401 authentication_error: invalid x-api-key"

    def behave(name: str, now: datetime) -> Outcome:
        if now < at("06:00:30", day):
            return Outcome(duration=62 * SECOND)
        return replace(OVERLOADED, duration=5.5 * SECOND, error=refused if name == "watch" else OVERLOADED.error)

    with Simulator(path, day - DAY, behaviour=behave) as sim:
        sim.add("heartbeat", ("cron", "*/10 * * * *", "UTC"), delivery_channel="none")
        sim.add("triage", ("every", 10 * MINUTE))
        sim.add("digest", ("cron", "5 * * * *", "Asia/Kolkata"), delivery_target="C0ENG")
        sim.add("watch", ("every", HOUR), delivery_target="U0BOB")
        sim.add("remind-once", ("at", "2026-05-05T06:20:00Z"))
        stages = [("storm-before", "05:55"), ("storm-rising", "07:05"), ("storm-all-failed", "18:00")]
        for name, now in stages:
            sim.run_until(at(now, day))
            yield name, sim.now
        assert sim.next_event() is None
        sim.run_until(datetime(2026, 5, 27, 12, tzinfo=UTC))
        yield "storm-sweep-8-days-left", sim.now
        sim.run_until(datetime(2026, 6, 3, 23, 50, tzinfo=UTC))
        yield "storm-sweep-tonight", sim.now


def crash_story(path: Path) -> Iterator[tuple[str, datetime]]:
    """A delivery hangs, the outcome of its run is never written, and after a restart the same slot runs again."""
    day = datetime(2026, 4, 5, tzinfo=UTC)
    fine = Outcome(duration=122 * SECOND)

    def behave(name: str, now: datetime) -> Outcome:
        hangs = name == "daily-summary" and at("08:00", day) <= now < at("08:01", day)
        return replace(fine, delivery_hangs=hangs)

    with Simulator(path, day - DAY, behaviour=behave, start_touch=2 * SECOND) as sim:
        sim.add("daily-summary", ("cron", "0 8 * * *", "UTC"))
        sim.add("metrics-sync", ("every", 20 * MINUTE), delivery_channel="none")
        for name, now in (("crash-before", "07:55"), ("crash-ran-but-unrecorded", "08:15")):
            sim.run_until(at(now, day))
            yield name, sim.now
        sim.run_until(at("12:04", day))
        sim.restart()
        sim.run_until(at("12:10", day))
        yield "crash-ran-twice", sim.now


def session_story(path: Path) -> Iterator[tuple[str, datetime]]:
    """One busy flag leaks: that job is skipped, the others fire. (Recorded with timers of no less than a second.)"""
    day = datetime(2026, 7, 1, tzinfo=UTC)
    with Simulator(path, day - DAY, behaviour=always(Outcome(duration=92 * SECOND)), rearm=SECOND) as sim:
        leaking = sim.add("heartbeat", ("cron", "0 * * * *", "UTC"), delivery_channel="none")
        sim.add("price-watch", ("every", 15 * MINUTE), delivery_target="C0PRICES")
        sim.add("housekeeping", ("cron", "5 5 * * *", "UTC"))
        sim.run_until(at("09:30", day))
        yield "session-healthy", sim.now
        sim.leak_session(leaking)
        sim.run_until(at("12:10", day))
        yield "session-wedged-2-cadences", sim.now


def quiet_story(path: Path) -> Iterator[tuple[str, datetime]]:
    """Nothing is loud: zero tokens, undelivered, a stranded one-shot, a row of a kind from the future."""
    day = datetime(2026, 8, 1, tzinfo=UTC)
    fine = Outcome(duration=62 * SECOND)

    def behave(name: str, now: datetime) -> Outcome:
        if now < at("01:50", day) or name not in ("digest", "brief"):
            return fine
        return Outcome.workless() if name == "digest" else replace(fine, delivery="error:slack_returned_null")

    with Simulator(path, day, behaviour=behave, rearm=SECOND) as sim:
        sim.add("digest", ("every", HOUR), delivery_target="C0ENG")
        sim.add("brief", ("cron", "20 * * * *", "UTC"))
        one_shot = sim.add("one-shot", ("at", "2026-08-01T06:00:00Z"))
        sim.add("future-kind", ("every", 2 * HOUR), delivery_channel="none")
        by_owner = sim.add("paused-by-owner", ("every", 10 * MINUTE), delivery_channel="none")
        sim.add("switched-off", ("every", 10 * MINUTE), delivery_channel="none", enabled=False)
        sim.run_until(at("00:30", day))
        sim.pause(by_owner)
        sim.pause(one_shot)
        for name, now in (("quiet-healthy", "01:50"), ("quiet-zero-and-undelivered", "05:50")):
            sim.run_until(at(now, day))
            yield name, sim.now
        sim.run_until(at("06:30", day))
        sim.resume(one_shot)
        sim.run_until(at("06:40", day))
        yield "quiet-stranded-one-shot", sim.now
        change(path, LUNAR)
        sim.run_until(at("09:00", day))
        yield "quiet-corrupt-row", sim.now


def incident_story(path: Path) -> Iterator[tuple[str, datetime]]:
    """The heartbeat of 2026-04-29 errs until its breaker trips, and a day and a half later it is silent still."""
    limited = "Error: 429 rate_limit_error: This request would exceed your organization's rate limit"

    def behave(name: str, now: datetime) -> Outcome:
        if name != "heartbeat":
            return Outcome(duration=304 * SECOND, input_tokens=410_000, output_tokens=9000, cost_usd=0.7)
        if now >= at("05:00"):
            return Outcome.failing(limited)
        return Outcome(duration=1084 * SECOND, input_tokens=6_700_000, output_tokens=78_000, cost_usd=9.4)

    with Simulator(path, at("22:30", START - DAY), behaviour=behave) as sim:
        sim.add("heartbeat", ("cron", "0 * * * *", "UTC"), delivery_channel="none")
        sim.add("housekeeping", ("cron", "7 5 * * *", "UTC"))
        sim.add("community-presence", ("every", 8 * HOUR), delivery_target="C0COMMUNITY")
        sim.add("morning-brief", ("cron", "30 8 * * 1-5", "America/Los_Angeles"), delivery_target="U0OWNER")
        stages = [("0445-healthy", "04:45"), ("0503-three-zero-fires", "05:03:30"), ("1010-breaker-tripped", "10:10")]
        for name, now in stages:
            sim.run_until(at(now))
            yield f"incident-{name}", sim.now
        sim.run_until(at("20:45", START + DAY))
        yield "incident-next-day-2045-silent", sim.now


def long_run_story(path: Path) -> Iterator[tuple[str, datetime]]:
    """A run that takes three hours every night holds the slot."""
    fine = Outcome(input_tokens=9_000_000, output_tokens=200_000)

    def behave(name: str, _now: datetime) -> Outcome:
        return replace(fine, duration=3 * SECOND + (3 * HOUR if name == "deep-research" else MINUTE))

    with Simulator(path, datetime(2026, 2, 27, tzinfo=UTC), behaviour=behave) as sim:
        sim.add("deep-research", ("cron", "0 2 * * *", "UTC"))
        sim.add("triage", ("every", 30 * MINUTE), delivery_channel="none")
        sim.run_until(datetime(2026, 3, 4, 4, 30, tzinfo=UTC))
        yield "longrun-fourth-night-2h30", sim.now


def clock_change_story(path: Path) -> Iterator[tuple[str, datetime]]:
    """Clocks go forward in New York."""
    with Simulator(path, datetime(2026, 3, 1, tzinfo=UTC), behaviour=always(Outcome(duration=31 * SECOND))) as sim:
        for name, expr, zone in (
            ("ny-0230", "30 2 * * *", "America/New_York"),
            ("ny-0130", "30 1 * * *", "America/New_York"),
            ("lh-0215", "15 2 * * *", "Australia/Lord_Howe"),
            ("ldn-hourly", "10 * * * *", "Europe/London"),
            ("first-or-monday", "0 9 1 * MON", "America/Sao_Paulo"),
            ("last-friday", "0 17 * * 5L", "UTC"),
            ("leap-day", "0 0 29 2 *", "UTC"),
        ):
            sim.add(name, ("cron", expr, zone), delivery_channel="none")
        sim.run_until(datetime(2026, 3, 8, 12, tzinfo=UTC))
        yield "dst-ny-after-spring", sim.now


def stall_story(path: Path) -> Iterator[tuple[str, datetime]]:
    """Nothing is in flight, and the timer is not armed."""
    day = datetime(2026, 9, 10, tzinfo=UTC)
    with Simulator(path, day - DAY, behaviour=always(Outcome(duration=42.5 * SECOND))) as sim:
        sim.add("tokyo-open", ("cron", "*/20 9-15 * * 1-5", "Asia/Tokyo"), delivery_target="C0TOKYO")
        sim.add("poll", ("every", 7 * MINUTE), delivery_channel="none")
        sim.add("monthly", ("cron", "0 0 1 * *", "UTC"))
        sim.run_until(at("03:01", day))
        sim.drop_timer()
        sim.run_until(at("04:30", day))
        yield "stall-dead-timer", sim.now


LUNAR = """UPDATE scheduled_jobs SET schedule_kind = 'lunar', schedule_value = '{"phase":"full"}'
    WHERE name = 'future-kind'"""
STORIES_TOLD = [
    slot_story,
    storm_story,
    crash_story,
    session_story,
    quiet_story,
    incident_story,
    long_run_story,
    clock_change_story,
    stall_story,
]


@pytest.mark.parametrize("story", STORIES_TOLD)
def test_it_writes_the_rows_that_the_real_scheduler_wrote(
    path: Path, story: Callable[[Path], Iterator[tuple[str, datetime]]]
) -> None:
    for name, _ in story(path):
        recorded = shape(from_recording(name), immutable=True)
        written = shape(path)
        for table in WRITTEN_BY_RUNS:
            assert written[table] == recorded[table], f"{table} at {name}"


def test_its_tables_have_the_columns_of_the_real_ones(make: Make, path: Path) -> None:
    recorded = from_recording("slot-healthy")
    make()
    for table in TABLES:
        query = f"SELECT * FROM pragma_table_info('{table}')"
        with closing(sqlite3.connect(f"file:{recorded}?immutable=1", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            assert ask(path, query) == [dict(row) for row in connection.execute(query)]


def test_a_held_slot_starves_the_other_jobs_and_a_restart_frees_it(path: Path) -> None:
    seen = {}
    for name, now in slot_story(path):
        seen[name] = (now, job(path, "repo-digest"), job(path, "inbox-triage"), session(path, "repo-digest"))
    _, before, _, _ = seen["slot-healthy"]
    _, busy, _, touched = seen["slot-busy-10min"]
    assert (busy, touched["last_active_at"]) == (before, "2026-06-10 12:15:03")
    _, wedged, starved, _ = seen["slot-wedged-4h15"]
    assert wedged == busy
    assert starved["next_run_at"] == "2026-06-10T12:17:24.001Z"
    _, digest, triage, _ = seen["slot-after-restart"]
    assert (digest["last_run_status"], digest["run_count"] - busy["run_count"]) == ("ok", 2)
    assert triage["run_count"] - starved["run_count"] == 2


# the timer


def test_the_timer_is_armed_for_the_earliest_row_and_at_most_an_hour_ahead(make: Make) -> None:
    sim = make()
    assert sim.next_event() is None
    sim.add("yearly", ("every", 365 * DAY))
    assert sim.next_event() == START + HOUR
    sim.add("soon", ("every", 10 * MINUTE))
    assert sim.next_event() == START + 10 * MINUTE


def test_a_row_revived_by_sql_is_seen_within_the_hour_when_a_timer_is_armed(make: Make, path: Path) -> None:
    sim = make(behaviour=lambda name, _: Outcome.failing() if name == "heartbeat" else Outcome())
    sim.add("heartbeat", ("cron", "0 * * * *"))
    sim.add("yearly", ("every", 365 * DAY))
    sim.run_until(START + DAY)
    assert job(path, "heartbeat")["status"] == "failed"
    revive = "UPDATE scheduled_jobs SET status='active', consecutive_errors=0, next_run_at=? WHERE status='failed'"
    change(path, revive, "2026-04-30T04:35:00.000Z")
    sim.run_until(START + DAY + HOUR)
    assert job(path, "heartbeat")["run_count"] > 10


def test_a_row_revived_by_sql_is_never_seen_when_every_job_had_failed(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome.failing()))
    sim.add("heartbeat", ("cron", "0 * * * *"))
    sim.run_until(START + DAY)
    assert sim.next_event() is None
    revive = "UPDATE scheduled_jobs SET status='active', consecutive_errors=0, next_run_at=?"
    change(path, revive, "2026-04-30T04:35:00.000Z")
    sim.run_until(START + 8 * DAY)
    assert job(path, "heartbeat")["run_count"] == 10
    sim.add("another", ("every", HOUR))
    sim.run_until(sim.now + SECOND * 10)
    assert job(path, "heartbeat")["run_count"] == 11


def test_a_row_that_is_past_due_already_waits_for_the_rearm_only(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(duration=10 * MINUTE)), rearm=2 * SECOND)
    sim.add("long", ("at", at("05:00")))
    sim.add("late", ("at", at("05:01")))
    sim.run_until(at("06:00"))
    assert job(path, "late")["last_run_at"] == "2026-04-29T05:10:02.000Z"


def test_a_lost_timer_stops_everything_until_an_operation_arms_one(make: Make, path: Path) -> None:
    sim = make()
    first = sim.add("poll", ("every", 7 * MINUTE))
    sim.run_until(START + HOUR)
    before = job(path, "poll")
    sim.drop_timer()
    sim.run_until(START + 5 * HOUR)
    assert job(path, "poll") == before
    sim.enable(first)
    sim.run_until(sim.now + 2 * MINUTE)
    assert job(path, "poll")["run_count"] == before["run_count"] + 1


# the slot and the pass


def test_due_rows_run_one_after_another_in_order_of_their_fire(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(duration=10 * MINUTE)))
    sim.add("third", ("at", at("05:02")))
    sim.add("first", ("at", at("05:00")))
    sim.add("second", ("at", at("05:01")))
    sim.run_until(at("05:09:59"))
    assert (costs(path), job(path, "third")["next_run_at"]) == ([], "2026-04-29T05:02:00.000Z")
    sim.run_until(at("06:00"))
    assert costs(path) == ["05:10:00", "05:20:00", "05:30:00"]
    starts = [job(path, name)["last_run_at"][11:] for name in ("first", "second", "third")]
    assert starts == ["05:00:00.000Z", "05:10:00.001Z", "05:20:00.001Z"]


@pytest.mark.parametrize("operation", ["pause", "delete", "disable"])
def test_a_row_is_looked_at_again_before_it_runs(make: Make, path: Path, operation: str) -> None:
    sim = make(behaviour=always(Outcome(duration=10 * MINUTE)))
    sim.add("long", ("at", at("05:00")))
    waiting = sim.add("waiting", ("at", at("05:00")))
    sim.run_until(at("05:05"))
    assert getattr(sim, operation)(waiting).status == 200
    sim.run_until(at("08:00"))
    assert costs(path) == ["05:10:00"]


def test_a_leaked_busy_flag_skips_that_job_silently_and_lets_the_others_fire(make: Make, path: Path) -> None:
    sim = make()
    leaking = sim.add("heartbeat", ("cron", "0 * * * *"))
    sim.add("watch", ("every", 15 * MINUTE))
    sim.run_until(at("04:50"))
    sim.leak_session(leaking)
    sim.run_until(at("12:00"))
    assert (job(path, "heartbeat")["next_run_at"], costs(path, "heartbeat")) == ("2026-04-29T05:00:00.000Z", [])
    assert costs(path, "watch")[:3] == ["04:46:00", "05:02:00", "05:18:00"]
    assert sim.run_now(leaking).answer is not None
    assert costs(path, "heartbeat") == []
    sim.restart()
    sim.run_until(at("12:02"))
    assert costs(path, "heartbeat") == ["12:01:00"]


def test_a_leaked_slot_stops_everything_until_a_restart(make: Make, path: Path) -> None:
    sim = make()
    first = sim.add("watch", ("every", 15 * MINUTE))
    sim.leak_slot()
    sim.run_until(at("09:00"))
    answer = sim.run_now(first).answer
    assert answer is not None
    assert answer.status == 409
    sim.enable(first)
    sim.run_until(at("10:00"))
    assert (costs(path), job(path, "watch")["next_run_at"]) == ([], "2026-04-29T04:45:00.000Z")
    sim.restart()
    sim.run_until(at("10:01:01"))
    assert costs(path) == ["10:01:00"]


def test_a_slot_that_leaks_in_a_run_lets_that_run_end_and_no_other_start(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(duration=10 * MINUTE)))
    sim.add("running", ("at", at("05:00")))
    sim.add("waiting", ("at", at("05:00")))
    sim.run_until(at("05:05"))
    sim.leak_slot()
    sim.run_until(at("12:00"))
    assert (job(path, "running")["status"], costs(path)) == ("completed", ["05:10:00"])


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("lunar", '{"phase":"full"}'),
        ("every", "not json"),
        ("every", '{"intervalMs": 18'),
        ("at", "[]"),
    ],
)
def test_an_unreadable_schedule_is_skipped_on_each_pass(make: Make, path: Path, kind: str, value: str) -> None:
    sim = make()
    sim.add("future", ("every", 10 * MINUTE))
    sim.add("watch", ("every", 15 * MINUTE))
    change(path, "UPDATE scheduled_jobs SET schedule_kind = ?, schedule_value = ? WHERE name = 'future'", kind, value)
    sim.run_until(at("06:00"))
    assert (costs(path, "future"), job(path, "future")["next_run_at"]) == ([], "2026-04-29T04:40:00.000Z")
    assert costs(path, "watch")[:2] == ["04:46:00", "05:02:00"]


def broken(make: Make, path: Path, kind: str, value: str) -> None:
    """A job whose row somebody broke, five minutes of it after its next fire."""
    sim = make(behaviour=always(Outcome(duration=8 * SECOND)))
    sim.add("watch", ("every", 10 * MINUTE))
    sim.add("other", ("every", 12 * MINUTE))
    change(path, "UPDATE scheduled_jobs SET schedule_kind = ?, schedule_value = ? WHERE name = 'watch'", kind, value)
    sim.run_until(START + 15 * MINUTE)


@pytest.mark.parametrize("value", ['{"intervalMs":0}', '{"intervalMs":-1000}', '{"intervalMs":null}'])
def test_an_interval_that_is_none_runs_back_to_back_and_each_run_is_paid(make: Make, path: Path, value: str) -> None:
    broken(make, path, "every", value)
    assert len(costs(path, "watch")) > 30
    assert job(path, "watch")["run_count"] == len(costs(path, "watch"))
    assert len(costs(path, "other")) == 1


@pytest.mark.parametrize("value", ['{"intervalMs":"60000"}', '{"every":30000}', '{"intervalMs":"soon"}'])
def test_an_interval_that_is_no_number_runs_back_to_back_and_is_never_recorded(
    make: Make, path: Path, value: str
) -> None:
    broken(make, path, "every", value)
    assert len(costs(path, "watch")) > 30
    row = job(path, "watch")
    assert (row["run_count"], row["last_run_at"], row["next_run_at"]) == (0, None, "2026-04-29T04:40:00.000Z")
    assert len(costs(path, "other")) == 1


@pytest.mark.parametrize(
    "value", ['{"expr":"61 * * * *"}', '{"expr":"0 * * * *","tz":"Mars/Olympus"}', '{"expr":7}', "{}"]
)
def test_a_rule_or_a_zone_that_is_none_runs_once_more_and_is_stranded(make: Make, path: Path, value: str) -> None:
    broken(make, path, "cron", value)
    row = job(path, "watch")
    assert (costs(path, "watch"), row["run_count"], row["status"]) == (["04:40:08"], 1, "active")
    assert row["next_run_at"] is None


# frozen


def test_a_frozen_process_does_nothing_and_makes_up_for_it_in_the_order_of_due_times(make: Make, path: Path) -> None:
    sim = make()
    for name, minutes in (("third", 30), ("first", 10), ("second", 20)):
        sim.add(name, ("every", minutes * MINUTE))
    sim.freeze()
    sim.run_until(START + 2 * HOUR)
    assert (costs(path), sim.next_event(), sim.life) == ([], None, 1)
    with pytest.raises(TimeoutError, match="thaw"):
        sim.health()
    sim.thaw()
    sim.run_until(START + 2 * HOUR + 4 * MINUTE)
    assert [costs(path, name)[0] for name in ("first", "second", "third")] == ["06:31:00", "06:32:00", "06:33:00"]


def test_a_run_that_was_answered_while_frozen_ends_well_when_it_thaws_however_late(make: Make, path: Path) -> None:
    sim = make()
    sim.add("watch", ("every", 10 * MINUTE))
    sim.run_until(at("04:40:30"))
    sim.freeze()
    sim.run_until(at("12:00"))
    sim.thaw()
    sim.run_until(at("12:00"))
    row = job(path, "watch")
    assert (row["last_run_status"], row["last_run_duration_ms"]) == ("ok", 26_400_000)


def test_a_kill_or_a_start_ends_a_freeze(make: Make, path: Path) -> None:
    sim = make()
    sim.add("watch", ("every", 10 * MINUTE))
    sim.freeze()
    sim.restart(downtime=HOUR)
    sim.run_until(at("06:00"))
    assert len(costs(path)) > 1


def test_a_skipped_row_that_is_mended_is_seen_within_a_minute(make: Make, path: Path) -> None:
    sim = make()
    sim.add("future", ("every", 10 * MINUTE))
    change(path, "UPDATE scheduled_jobs SET schedule_kind = 'lunar'")
    sim.run_until(at("08:00"))
    change(path, "UPDATE scheduled_jobs SET schedule_kind = 'every'")
    sim.run_until(at("08:02"))
    assert len(costs(path)) == 1


# a run and its stages


def test_a_run_shows_its_stages_to_another_process(make: Make, path: Path) -> None:
    outcome = Outcome(duration=5 * MINUTE, delivery_duration=2 * MINUTE)
    sim = make(behaviour=always(outcome), durable=True)
    sim.add("digest", ("every", 10 * MINUTE))
    sim.run_until(at("04:40:02"))
    assert session(path, "digest")["last_active_at"] == "2026-04-29 04:40:00"
    sim.run_until(at("04:40:03"))
    assert session(path, "digest")["last_active_at"] == "2026-04-29 04:40:03"
    sim.run_until(at("04:45"))
    assert (session(path, "digest")["last_active_at"], costs(path)) == ("2026-04-29 04:45:00", ["04:45:00"])
    assert (job(path, "digest")["run_count"], job(path, "digest")["updated_at"]) == (0, "2026-04-29 04:30:00")
    sim.run_until(at("04:47"))
    row = job(path, "digest")
    assert (row["run_count"], row["updated_at"]) == (1, "2026-04-29 04:47:00")
    assert (row["last_run_at"], row["last_run_duration_ms"]) == ("2026-04-29T04:40:00.000Z", 300_000)
    assert row["next_run_at"] == "2026-04-29T04:55:00.000Z"


def test_durable_changes_are_seen_while_they_happen_and_others_when_the_turn_is_over(path: Path) -> None:
    for durable, seen_inside in ((True, 1), (False, 0)):
        file = path.with_name(f"durable-{durable}.db")
        seen: list[int] = []

        def look(_name: str, _now: datetime, file: Path = file, seen: list[int] = seen) -> Outcome:
            seen.append(len(ask(file, "SELECT id FROM cost_events")))
            return Outcome()

        with Simulator(file, START, behaviour=look, durable=durable) as sim:
            sim.add("watch", ("every", 10 * MINUTE))
            sim.run_until(START + 22 * MINUTE)
            assert len(ask(file, "SELECT id FROM cost_events")) == 2
        assert seen == [0, seen_inside]


def test_instants_are_written_in_the_two_formats(make: Make, path: Path) -> None:
    sim = make(
        now=START + timedelta(milliseconds=789), behaviour=always(Outcome(duration=timedelta(milliseconds=1500)))
    )
    sim.add("watch", ("every", 10 * MINUTE))
    sim.run_until(START + 11 * MINUTE)
    row = job(path, "watch")
    assert (row["last_run_at"], row["next_run_at"]) == ("2026-04-29T04:40:00.789Z", "2026-04-29T04:50:02.289Z")
    assert (row["created_at"], row["updated_at"]) == ("2026-04-29 04:30:00", "2026-04-29 04:40:02")
    assert session(path, "watch")["last_active_at"] == "2026-04-29 04:40:02"


def test_an_interval_counts_from_the_end_and_cron_asks_from_the_end(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(duration=70 * MINUTE)))
    sim.add("hourly", ("cron", "0 * * * *"))
    sim.run_until(at("06:15"))
    assert job(path, "hourly")["next_run_at"] == "2026-04-29T07:00:00.000Z"
    sim.add("interval", ("every", 20 * MINUTE))
    sim.run_until(at("07:50"))
    assert job(path, "interval")["next_run_at"] == "2026-04-29T08:05:00.000Z"


def test_a_cron_job_without_a_zone_has_the_hosts(make: Make, path: Path) -> None:
    sim = make(host_zone="Asia/Kolkata")
    sim.add("host", ("cron", "0 12 * * *"))
    sim.add("own", ("cron", "0 12 * * *", "UTC"))
    assert job(path, "host")["next_run_at"] == "2026-04-29T06:30:00.000Z"
    assert job(path, "own")["next_run_at"] == "2026-04-29T12:00:00.000Z"


def test_an_expression_that_never_fires_leaves_no_next_run(make: Make, path: Path) -> None:
    sim = make()
    sim.add("never", ("cron", "0 0 30 2 *"))
    assert (job(path, "never")["status"], job(path, "never")["next_run_at"], sim.next_event()) == ("active", None, None)


def test_session_totals_accumulate_and_each_run_is_billed_once(make: Make, path: Path) -> None:
    runs = iter([Outcome(), Outcome.failing(), Outcome(input_tokens=7, output_tokens=3, cost_usd=0.25)])
    sim = make(behaviour=lambda _name, _now: next(runs))
    sim.add("watch", ("every", 30 * MINUTE))
    sim.run_until(at("05:50"))
    totals = session(path, "watch")
    assert len(costs(path)) == totals["turn_count"] == job(path, "watch")["run_count"] == 3
    spent = (totals["input_tokens"], totals["output_tokens"], totals["total_cost_usd"])
    assert spent == (10_007, 903, 0.75)


def test_a_chat_is_billed_under_its_own_key(make: Make, path: Path) -> None:
    sim = make()
    sim.chat("U0OWNER")
    assert ask(path, "SELECT session_key, output_tokens FROM cost_events") == [
        {"session_key": "slack:U0OWNER", "output_tokens": 900}
    ]


def test_deliveries_say_what_became_of_them(make: Make, path: Path) -> None:
    said = ["delivered", "dropped:no_owner", "error:slack_returned_null", None]
    answers = iter([*[Outcome(delivery=text) for text in said], Outcome.failing(duration=MINUTE)])
    sim = make(behaviour=lambda _name, _now: next(answers))
    sim.add("brief", ("cron", "0 * * * *"))
    seen = []
    for hour in range(5):
        sim.run_until(at("05:01") + hour * HOUR)
        seen.append(job(path, "brief")["last_delivery_status"])
    assert seen == ["delivered", "dropped:no_owner", "error:slack_returned_null", *["error:slack_returned_null"] * 2]


def test_a_job_without_a_channel_delivers_nothing_and_says_so(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(delivery_hangs=True)))
    sim.add("quiet", ("every", HOUR), delivery_channel="none")
    sim.run_until(START + 2 * HOUR)
    assert job(path, "quiet")["last_delivery_status"] == "skipped:channel_none"


def test_a_hung_run_that_honours_the_abort_is_an_error_after_the_limit(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome.hanging(honours_abort=True)))
    sim.add("stuck", ("every", HOUR))
    sim.run_until(at("05:30") + 4 * HOUR - SECOND)
    assert costs(path) == []
    sim.run_until(at("05:30") + 4 * HOUR)
    row = job(path, "stuck")
    assert (row["last_run_status"], row["last_run_duration_ms"], costs(path)) == ("error", 240 * 60_000, ["09:30:00"])
    assert row["next_run_at"] == "2026-04-29T09:30:30.000Z"


def test_a_run_that_only_takes_too_long_is_aborted_too(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(duration=2 * HOUR)), timeout=HOUR)
    sim.add("slow", ("at", at("05:00")))
    sim.run_until(at("06:00"))
    assert (job(path, "slow")["last_run_error"], costs(path)) == ("Error: aborted after 60 minutes", ["06:00:00"])


def test_a_hung_run_that_ignores_the_abort_holds_the_slot_for_ever(make: Make, path: Path) -> None:
    sim = make(behaviour=lambda name, _: Outcome.hanging() if name == "stuck" else Outcome())
    sim.add("stuck", ("at", at("05:00")))
    sim.add("starved", ("cron", "0 * * * *"))
    sim.run_until(START + 30 * DAY)
    assert (costs(path), sim.next_event()) == ([], None)
    assert session(path, "stuck")["last_active_at"] == "2026-04-29 05:00:03"
    assert job(path, "starved")["next_run_at"] == "2026-04-29T05:00:00.000Z"


# errors, the breaker, one-shots


def fires_after_errors(path: Path) -> list[float]:
    """The seconds from each end of a run to the next start, where the runs take 8 s."""
    ends = [datetime.fromisoformat(row["created_at"]) for row in ask(path, "SELECT created_at FROM cost_events")]
    return [(later - end).total_seconds() - 8 for end, later in itertools.pairwise(ends)]


@pytest.mark.parametrize("interval", [MINUTE, 8 * HOUR])
def test_an_interval_job_backs_off_whatever_its_interval(make: Make, path: Path, interval: timedelta) -> None:
    sim = make(behaviour=always(Outcome.failing()))
    sim.add("watch", ("every", interval))
    sim.run_until(START + 2 * DAY)
    assert fires_after_errors(path) == [30, 60, 300, 900, *[3600] * 5]
    row = job(path, "watch")
    assert (row["status"], row["next_run_at"], row["run_count"]) == ("failed", None, 10)


def test_a_one_shot_fails_for_good_at_its_third_error(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome.failing()))
    sim.add("remind", ("at", at("05:00")), delete_after_run=True)
    sim.run_until(START + DAY)
    assert fires_after_errors(path) == [30, 60]
    row = job(path, "remind")
    assert (row["status"], row["next_run_at"], row["consecutive_errors"]) == ("failed", None, 3)


def test_a_one_shot_that_works_is_completed_or_deletes_itself(make: Make, path: Path) -> None:
    sim = make()
    sim.add("stays", ("at", at("05:00")))
    sim.add("goes", ("at", at("05:00")), delete_after_run=True)
    sim.run_until(at("06:00"))
    (row,) = ask(path, "SELECT * FROM scheduled_jobs")
    assert (row["name"], row["status"], row["next_run_at"]) == ("stays", "completed", None)
    assert len(costs(path)) == 2


def test_one_good_run_forgets_the_errors(make: Make, path: Path) -> None:
    sim = make(behaviour=lambda _, now: Outcome() if now >= at("07:00") else Outcome.failing())
    sim.add("watch", ("cron", "0 * * * *"))
    sim.run_until(at("06:59"))
    assert (job(path, "watch")["consecutive_errors"], job(path, "watch")["last_run_error"]) == (
        6,
        "Error: 529 overloaded_error",
    )
    sim.run_until(at("07:01"))
    row = job(path, "watch")
    assert (row["consecutive_errors"], row["last_run_error"], row["last_run_status"]) == (0, None, "ok")
    assert row["next_run_at"] == "2026-04-29T08:00:00.000Z"


def test_an_error_without_words_gets_some(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(ok=False)))
    sim.add("watch", ("at", at("05:00")))
    sim.run_until(at("05:01"))
    assert job(path, "watch")["last_run_error"] == "Error: the agent failed"


# start, kill, sweep


def test_a_start_redates_past_due_rows_five_seconds_apart(make: Make, path: Path) -> None:
    sim = make()
    for minute in (7, 5, 6):
        sim.add(f"m{minute}", ("every", minute * MINUTE))
    sim.add("later", ("every", 9 * HOUR))
    sim.kill()
    assert sim.next_event() is None
    sim.run_until(at("08:00"))
    assert costs(path) == []
    sim.start()
    fires = {name: job(path, name)["next_run_at"][11:] for name in ("m5", "m6", "m7", "later")}
    assert fires == {"m5": "08:00:00.000Z", "m6": "08:00:05.000Z", "m7": "08:00:10.000Z", "later": "13:30:00.000Z"}


def test_a_start_leaves_failed_paused_and_disabled_rows(make: Make, path: Path) -> None:
    sim = make(behaviour=lambda name, _: Outcome.failing() if name == "fails" else Outcome())
    sim.add("fails", ("at", at("05:00")))
    sim.pause(sim.add("paused", ("at", at("05:00"))))
    sim.disable(sim.add("disabled", ("at", at("05:00"))))
    sim.run_until(at("06:00"))
    before = ask(path, "SELECT * FROM scheduled_jobs")
    sim.restart(HOUR)
    sim.run_until(at("09:00"))
    assert ask(path, "SELECT * FROM scheduled_jobs") == before


def test_a_killed_run_leaves_no_cost_and_runs_again(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(duration=10 * MINUTE)))
    sim.add("digest", ("every", HOUR))
    sim.run_until(at("05:35"))
    sim.restart(2 * MINUTE)
    assert (costs(path), session(path, "digest")["last_active_at"]) == ([], "2026-04-29 05:30:03")
    sim.run_until(at("06:00"))
    assert (costs(path), job(path, "digest")["run_count"]) == (["05:47:00"], 1)


def test_a_run_that_was_not_recorded_holds_the_slot_and_runs_again_after_a_restart(make: Make, path: Path) -> None:
    hangs = iter([True, False])
    sim = make(behaviour=lambda _name, _now: Outcome(delivery_hangs=next(hangs)))
    sim.add("digest", ("cron", "0 8 * * *"))
    sim.add("other", ("cron", "0 9 * * *"))
    sim.run_until(at("10:00"))
    assert (costs(path), job(path, "digest")["run_count"]) == (["08:01:00"], 0)
    sim.pause(job(path, "other")["id"])
    sim.restart()
    sim.run_until(at("11:00"))
    assert (costs(path), job(path, "digest")["run_count"]) == (["08:01:00", "10:01:00"], 1)


def test_the_sweep_compares_text_and_so_goes_by_the_day(make: Make, path: Path) -> None:
    sim = make(behaviour=lambda name, _: Outcome() if name == "done" else Outcome.failing())
    sim.add("done", ("at", at("05:00")))
    sim.add("failed", ("at", at("05:00")))
    sim.add("kept", ("at", at("05:00")), delete_after_run=True)
    sim.run_until(at("23:59:59") + 29 * DAY)
    sim.restart()
    assert [row["name"] for row in ask(path, "SELECT name FROM scheduled_jobs")] == ["done", "failed", "kept"]
    sim.restart(SECOND)
    assert sim.now - at("05:02") < 30 * DAY
    assert [row["name"] for row in ask(path, "SELECT name FROM scheduled_jobs")] == ["kept"]


def test_only_a_start_sweeps(make: Make, path: Path) -> None:
    sim = make()
    sim.add("done", ("at", at("05:00")))
    sim.add("watch", ("every", DAY))
    sim.run_until(START + 90 * DAY)
    assert job(path, "done")["status"] == "completed"


def test_it_carries_on_with_a_file_that_is_there(path: Path) -> None:
    with Simulator(path, START) as sim:
        sim.add("watch", ("every", 10 * MINUTE))
        sim.run_until(START + HOUR)
    runs = job(path, "watch")["run_count"]
    with Simulator(path, START + 2 * HOUR) as sim:
        sim.run_until(START + 2 * HOUR + 2 * MINUTE)
        sim.add("new", ("every", HOUR))
    assert job(path, "watch")["run_count"] == runs + 1


def test_nobody_answers_while_it_is_down(make: Make) -> None:
    sim = make()
    first = sim.add("watch", ("every", HOUR))
    sim.kill()
    for asked in (sim.health, lambda: sim.pause(first), lambda: sim.run_now(first), lambda: sim.add("b", ("every", 1))):
        with pytest.raises(ConnectionRefusedError):
            asked()


def test_time_only_moves_forward(make: Make) -> None:
    with pytest.raises(ValueError, match="only moves forward"):
        make().run_until(START - SECOND)


# the web API


def audit(path: Path) -> list[tuple[str | None, ...]]:
    rows = ask(path, "SELECT * FROM scheduler_audit_log ORDER BY id")
    return [(row["job_name"], row["action"], row["previous_status"], row["new_status"]) for row in rows]


def test_pause_and_resume_are_audited_and_resume_asks_for_a_new_fire(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome.failing()))
    watch = sim.add("watch", ("every", HOUR))
    sim.run_until(at("05:35"))
    assert sim.pause(watch).body["job"] == {key: value for key, value in job(path, "watch").items() if key != "task"}
    paused = job(path, "watch")
    kept = (paused["status"], paused["next_run_at"], paused["consecutive_errors"])
    assert kept == ("paused", "2026-04-29T05:36:54.000Z", 3)
    sim.run_until(at("08:00"))
    assert sim.resume(watch).status == 200
    row = job(path, "watch")
    assert (row["status"], row["next_run_at"], row["consecutive_errors"]) == ("active", "2026-04-29T09:00:00.000Z", 0)
    assert audit(path) == [("watch", "pause", "active", "paused"), ("watch", "resume", "paused", "active")]


def test_a_paused_one_shot_resumed_after_its_time_is_stranded(make: Make, path: Path) -> None:
    sim = make()
    late = sim.add("late", ("at", at("05:00")))
    sim.pause(late)
    sim.run_until(at("06:30"))
    sim.resume(late)
    sim.run_until(START + 7 * DAY)
    row = job(path, "late")
    assert (row["status"], row["next_run_at"], row["run_count"]) == ("active", None, 0)
    assert row["updated_at"] == "2026-04-29 06:30:00"


def failed_job(sim: Simulator) -> str:
    sim.behaviour = always(Outcome.failing())
    job_id = sim.add("heartbeat", ("cron", "0 * * * *"))
    sim.run_until(START + 10 * HOUR)
    sim.behaviour = always(Outcome())
    return job_id


@pytest.mark.parametrize("force", [True, False])
def test_a_stock_build_answers_200_and_leaves_a_failed_job_failed(make: Make, path: Path, force: bool) -> None:
    sim = make(stock=True)
    failed = failed_job(sim)
    before = job(path, "heartbeat")
    answer = sim.resume(failed, force=force)
    assert answer.status == 200
    assert isinstance(answer.body["job"], dict)
    assert answer.body["job"]["status"] == "failed"
    assert (job(path, "heartbeat"), sim.next_event()) == (before, None)
    assert audit(path) == [("heartbeat", "resume", "failed", "failed")]


def test_a_failed_job_that_is_paused_stays_failed_and_the_audit_says_so(make: Make, path: Path) -> None:
    sim = make(stock=True)
    failed = failed_job(sim)
    before = job(path, "heartbeat")
    assert sim.pause(failed).status == 200
    assert job(path, "heartbeat") == before
    assert audit(path) == [("heartbeat", "pause", "failed", "failed")]


def test_a_build_with_force_revives_a_failed_job_and_refuses_without(make: Make, path: Path) -> None:
    sim = make(stock=False)
    failed = failed_job(sim)
    assert sim.resume(failed).status == 409
    assert job(path, "heartbeat")["status"] == "failed"
    assert sim.resume(failed, force=True).status == 200
    sim.run_until(at("15:02"))
    row = job(path, "heartbeat")
    assert (row["status"], row["consecutive_errors"], row["last_run_status"]) == ("active", 0, "ok")
    assert audit(path) == [("heartbeat", "resume", "failed", "active")]


def test_failed_by_sql_to_paused_then_resumed_runs_on_a_stock_build(make: Make, path: Path) -> None:
    sim = make(stock=True)
    failed = failed_job(sim)
    change(path, "UPDATE scheduled_jobs SET status = 'paused' WHERE status = 'failed'")
    sim.resume(failed)
    sim.run_until(at("15:02"))
    assert (job(path, "heartbeat")["status"], job(path, "heartbeat")["last_run_status"]) == ("active", "ok")


@pytest.mark.parametrize("stock", [True, False])
def test_completed_is_never_revived(make: Make, path: Path, stock: bool) -> None:
    sim = make(stock=stock)
    done = sim.add("done", ("at", at("05:00")))
    sim.run_until(at("06:00"))
    before = job(path, "done")
    sim.resume(done, force=True)
    sim.pause(done)
    assert job(path, "done") == before


def test_a_manual_run_is_answered_when_it_is_recorded(make: Make, path: Path) -> None:
    sim = make()
    watch = sim.add("watch", ("every", HOUR))
    other = sim.add("other", ("every", HOUR))
    call = sim.run_now(watch)
    refused = sim.run_now(other).answer
    assert (call.answer, refused.status if refused else None) == (None, 409)
    sim.run_until(START + MINUTE)
    assert call.answer is not None
    assert (call.answer.status, costs(path)) == (200, ["04:31:00"])
    assert (job(path, "watch")["next_run_at"], job(path, "watch")["run_count"]) == ("2026-04-29T05:31:00.000Z", 1)
    assert audit(path) == [("watch", "run", "active", "active")]


def test_what_falls_due_in_a_manual_run_runs_after_it(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(duration=20 * MINUTE)))
    watch = sim.add("watch", ("every", 2 * HOUR))
    sim.add("due", ("at", at("04:35")))
    sim.run_now(watch)
    sim.run_until(at("05:30"))
    assert (costs(path), job(path, "due")["last_run_at"]) == (["04:50:00", "05:10:00"], "2026-04-29T04:50:00.001Z")


def test_a_manual_run_of_a_paused_or_unknown_job_is_refused(make: Make) -> None:
    sim = make()
    paused = sim.add("watch", ("every", HOUR))
    sim.pause(paused)
    answers = [sim.run_now(paused).answer, sim.run_now("nobody").answer, sim.pause("nobody"), sim.resume("nobody")]
    assert [answer.status for answer in answers if answer] == [409, 404, 404, 404]


def test_a_call_is_lost_with_the_process(make: Make) -> None:
    sim = make()
    call = sim.run_now(sim.add("watch", ("every", HOUR)))
    sim.restart()
    sim.run_until(START + HOUR)
    assert call.answer is None


def test_a_job_made_by_a_person_is_audited_and_one_made_by_the_agent_is_not(make: Make, path: Path) -> None:
    sim = make()
    sim.add("by-agent", ("every", HOUR))
    sim.add("by-person", ("every", HOUR), created_by="user")
    assert audit(path) == [("by-person", "create", None, "active")]


def test_a_deleted_job_leaves_its_costs_and_an_audit_row(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(duration=10 * MINUTE)))
    watch = sim.add("watch", ("every", HOUR))
    sim.run_until(at("05:35"))
    sim.delete(watch)
    sim.run_until(at("06:00"))
    assert (ask(path, "SELECT * FROM scheduled_jobs"), costs(path)) == ([], ["05:40:00"])
    assert audit(path) == [("watch", "delete", "active", None)]


def test_a_job_paused_in_its_own_run_stays_paused(make: Make, path: Path) -> None:
    sim = make(behaviour=always(Outcome(duration=10 * MINUTE)))
    watch = sim.add("watch", ("every", HOUR))
    sim.run_until(at("05:35"))
    sim.pause(watch)
    sim.run_until(at("09:00"))
    assert (job(path, "watch")["status"], costs(path)) == ("paused", ["05:40:00"])


def test_health_counts_the_jobs(make: Make) -> None:
    sim = make()
    failed_job(sim)
    sim.add("watch", ("every", 30 * MINUTE))
    sim.pause(sim.add("paused", ("every", HOUR)))
    answer = sim.health()
    assert (answer.body["status"], answer.body["uptime"]) == ("ok", 36_000)
    counts = {"total": 3, "active": 1, "paused": 1, "completed": 0, "failed": 1}
    assert answer.body["scheduler"] == {**counts, "nextFireAt": "2026-04-29T15:00:00Z", "recentFailures": 1}


@pytest.mark.parametrize("schedule", [("lunar",), ("every", 0), ("every",), ("cron", "@daily"), ("at", "soon"), {}])
def test_a_schedule_that_cannot_be_read_is_refused(make: Make, path: Path, schedule: tuple[object, ...]) -> None:
    with pytest.raises(ScheduleError, match="schedule: "):
        make().add("odd", schedule)
    assert ask(path, "SELECT * FROM scheduled_jobs") == []


def test_a_name_is_used_once(make: Make) -> None:
    sim = make()
    sim.add("Watch", {"kind": "every", "intervalMs": 1000})
    with pytest.raises(ValueError, match="in use"):
        sim.add("watch", ("every", HOUR))


# properties

OUTCOMES = st.one_of(
    st.builds(Outcome, duration=st.integers(0, 7200).map(lambda n: n * SECOND)),
    st.builds(Outcome, delivery_duration=st.integers(0, 600).map(lambda n: n * SECOND), delivery=st.just("error:x")),
    st.builds(Outcome.failing, duration=st.integers(1, 60).map(lambda n: n * SECOND)),
    st.just(Outcome.hanging(honours_abort=True)),
    st.just(Outcome.workless()),
)
SCHEDULES = st.one_of(
    st.tuples(st.just("every"), st.integers(1, 600).map(lambda n: n * MINUTE)),
    st.tuples(st.just("cron"), st.sampled_from(["0 * * * *", "*/10 * * * *", "30 2 * * *", "15 */2 * * MON"])),
    st.tuples(st.just("at"), st.integers(1, 4000).map(lambda n: START + n * MINUTE)),
)
Story = tuple[list[tuple[object, ...]], list[Outcome]]
STORIES = st.tuples(st.lists(SCHEDULES, min_size=1, max_size=5), st.lists(OUTCOMES, min_size=1, max_size=12))
LENGTH = 3 * DAY


def play(
    path: Path, story: Story, cuts: list[int], log: list[tuple[str, datetime]] | None = None
) -> dict[str, list[Row]]:
    """Runs the story, stopping at the given minutes, and returns the whole file."""
    schedules, outcomes = story
    following = itertools.cycle(outcomes)

    def behave(name: str, now: datetime) -> Outcome:
        if log is not None:
            log.append((name, now))
        return next(following)

    with Simulator(path, START, behaviour=behave) as sim:
        for place, schedule in enumerate(schedules):
            sim.add(f"job-{place}", schedule)
        for cut in sorted(cuts):
            sim.run_until(START + cut * MINUTE)
        sim.run_until(START + LENGTH)
    return {table: ask(path, f"SELECT * FROM {table}") for table in TABLES}


@settings(max_examples=25, deadline=None, derandomize=True)
@given(story=STORIES, cuts=st.lists(st.integers(0, LENGTH // MINUTE), max_size=8))
def test_the_file_does_not_depend_on_where_time_stops_on_its_way(story: Story, cuts: list[int]) -> None:
    with memory_folder() as folder:
        assert play(Path(folder, "a.db"), story, []) == play(Path(folder, "b.db"), story, cuts)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(story=STORIES)
def test_rows_always_agree_with_each_other(story: Story) -> None:
    log: list[tuple[str, datetime]] = []
    with memory_folder() as folder:
        tables = play(Path(folder, "a.db"), story, [], log)
    billed = [row["session_key"] for row in tables["cost_events"]]
    for row in tables["scheduled_jobs"]:
        runs = billed.count(f"scheduler:sched:{row['id']}")
        assert runs - row["run_count"] in (0, 1)
        assert sum(name == row["name"] for name, _ in log) - runs in (0, 1)
        limit = 3 if row["schedule_kind"] == "at" else 10
        assert (row["status"] == "failed") == (row["consecutive_errors"] >= limit)
        assert (row["next_run_at"] is None) == (row["status"] != "active")
    ends = [datetime.fromisoformat(row["created_at"] + "+00:00") for row in tables["cost_events"]]
    starts = [now for _, now in log]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
