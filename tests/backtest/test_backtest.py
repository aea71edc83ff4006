"""The backtest's parts: the recordings' pasts, errors told by the pauses, settings that are tried, thin records."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import build, cost_row, job_row, session_row
from tests.support.harness import HOUR, MINUTE, SECOND, Agent, change
from tests.support.replaying import past_of, replayed, watching, witness
from tests.support.telling import finding
from tests.systems.test_recordings import names, rebuilt, recording
from watchdog.backtest.recorded_past import recorded_past
from watchdog.backtest.replay import replay
from watchdog.backtest.report import lines
from watchdog.backtest.settings_change import SettingError, changed, setting
from watchdog.backtest.verdict import Condition, Verdict
from watchdog.config.file import Config, for_database
from watchdog.core.instants import parse_instant
from watchdog.core.model import CronSchedule, Job, RecordedRun, RunEnd
from watchdog.core.silences import Silence
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.state.history import Run, save
from watchdog.state.store import Store
from watchdog.systems.phantom.rows import BREAKER
from watchdog.systems.shared.error_counts import Deeds, count_errors
from watchdog.systems.shared.past import ERROR, OK, UNKNOWN, PastError, PastRun, RunLog

NIGHT = datetime(2026, 4, 28, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def of(name: str, folder: Path, since: timedelta = timedelta(days=40)) -> Verdict:
    """The replay of a recording, up to the instant that it is of."""
    now = parse_instant(recording(name)["now"])
    config = for_database(rebuilt(name, folder)).but(state=folder / "none.db")
    return replayed(config, now - since, now)


def told(verdict: Verdict) -> list[tuple[str, str, str]]:
    return [(f"{c.finding.kind} {c.finding.job}", f"{c.finding.since}", f"{c.over_at}") for c in verdict.conditions]


# real databases


OUTAGE = [
    ("zero_tokens heartbeat", "2026-04-29 05:01:54+00:00", "2026-04-29 10:00:08+00:00"),
    ("failing heartbeat", "2026-04-29 05:22:10+00:00", "2026-04-29 10:00:08+00:00"),
]


@pytest.mark.parametrize("name", ["incident-1010-breaker-tripped", "incident-next-day-2045-silent"])
def test_the_incident_is_told_from_its_third_run_without_tokens_to_its_end(name: str, tmp_path: Path) -> None:
    verdict = of(name, tmp_path)
    assert told(verdict) == [*OUTAGE, ("failed heartbeat", "2026-04-29 10:00:08+00:00", "None")]
    failing = verdict.conditions[1].finding
    assert failing.evidence["breaker_trips_at"] == at("2026-04-29 10:00:08")
    assert "5 more errors and the scheduler gives it up, at about 2026-04-29 10:00:08 UTC" in failing.summary
    messages = [(str(message.at), message.event, message.about.kind.value) for message in verdict.messages]
    assert messages[:3] == [
        ("2026-04-29 05:02:14+00:00", "opened", "zero_tokens"),
        ("2026-04-29 06:02:14+00:00", "joined", "failing"),
        ("2026-04-29 10:00:08+00:00", "worse", "failed"),
    ]


def test_an_outage_is_told_after_the_job_was_revived_and_its_row_says_nothing_of_it(tmp_path: Path) -> None:
    verdict = of("incident-recovered", tmp_path)
    assert told(verdict)[:2] == OUTAGE
    failed = verdict.conditions[2]
    assert (failed.finding.kind, failed.finding.since) == ("failed", at("2026-04-29 10:00:08"))
    assert failed.over_at == at("2026-04-30 21:07:03")
    assert verdict.messages[-1].event == "resolved"


@pytest.mark.parametrize("name", names())
def test_a_recording_ends_with_exactly_its_findings(name: str, tmp_path: Path) -> None:
    still = [c.finding for c in of(name, tmp_path).conditions if c.over_at is None]
    found = sorted(((f.kind.value, f.job) for f in still), key=str)
    assert found == sorted((tuple(pair) for pair in recording(name)["findings"]), key=str)


@pytest.mark.parametrize("name", [name for name in names() if not recording(name)["findings"]])
def test_nothing_is_told_of_a_past_without_trouble(name: str, tmp_path: Path) -> None:
    known = {"incident-recovered", "slot-after-restart"}
    assert (of(name, tmp_path).conditions == ()) == (name not in known)


def test_a_run_done_again_after_a_restart_does_not_look_like_a_leaked_flag_of_those_that_wait(tmp_path: Path) -> None:
    assert [what for what, _, _ in told(of("crash-ran-twice", tmp_path))] == [
        "overdue metrics-sync",
        "stalled None",
        "duplicate daily-summary",
    ]


def test_every_night_that_a_long_run_kept_others_waiting_is_told(tmp_path: Path) -> None:
    late = [c for c in of("longrun-fourth-night-2h30", tmp_path).conditions if c.finding.kind == "overdue"]
    assert len(late) == 6
    assert all(c.finding.caused_by and c.finding.caused_by.job == "deep-research" for c in late)


# which runs ended in an error


def log_of(*ends: str, tokens: int = 0) -> RunLog:
    runs = RunLog()
    for number, end in enumerate(ends):
        runs.add(0, PastRun(RunEnd(number, at(f"2026-04-29 {end}"), tokens, tokens)))
    return runs


def errors_of(runs: RunLog, deeds: Deeds | None = None, **facts: object) -> list[int]:
    job = Job("a", "a", CronSchedule("0 * * * *", "UTC"), breaker=BREAKER, **facts)  # type: ignore[arg-type]
    count_errors(runs, range(len(runs)), job, deeds or Deeds())
    return list(runs.errors)


RETRIES = ("05:00:08", "05:00:46", "05:01:54", "06:00:08", "07:00:08")


def test_a_run_that_was_tried_again_before_its_time_ended_in_an_error() -> None:
    assert errors_of(log_of("04:00:08", "05:00:08", "05:00:46", "06:00:08")) == [0, 1, 0, 0]


def test_pauses_that_grow_as_the_breakers_do_are_errors_in_a_row() -> None:
    assert errors_of(log_of(*RETRIES)) == [1, 2, 0, 0, 0]
    ladder = ("05:00:08", "05:00:46", "05:01:54", "05:07:02", "05:22:10", "06:00:08")
    assert errors_of(log_of(*ladder)) == [1, 2, 3, 4, 5, 0]


def test_a_run_by_hand_is_no_retry() -> None:
    by_hand = Deeds(by_hand={at("2026-04-29 05:00:46")})
    assert errors_of(log_of("04:00:08", "05:00:08", "05:00:46", "06:00:08"), by_hand) == [0, 0, 0, 0]


def test_a_run_that_used_tokens_is_not_called_an_error_by_its_pause() -> None:
    assert errors_of(log_of(*RETRIES, tokens=5)) == [0, 0, 0, 0, 0]


def test_what_is_on_record_goes_before_what_the_pauses_say() -> None:
    runs = log_of(*RETRIES)
    runs.statuses[0], runs.statuses[4] = OK, ERROR
    assert errors_of(runs) == [0, 1, 0, 0, 1]
    assert runs.statuses[1] == UNKNOWN


def test_the_rows_count_tells_of_its_newest_runs_whatever_they_used() -> None:
    last = RecordedRun(at("2026-04-29 07:00"), "error", 8 * SECOND)
    runs = log_of("04:00:08", "05:00:08", "06:00:08", "07:00:08", tokens=5)
    assert errors_of(runs, last_run=last, consecutive_errors=3) == [0, 1, 2, 3]


def test_a_revival_sets_the_count_back() -> None:
    runs = log_of("04:00:08", "05:00:08", "06:00:08")
    for number in range(3):
        runs.statuses[number] = ERROR
    assert errors_of(runs, Deeds(reset=[at("2026-04-29 05:30")])) == [1, 2, 1]


# a watchdog's own record


def test_a_revival_that_leaves_the_time_stamp_is_on_record_beside_the_failure(tmp_path: Path) -> None:
    """Of the two, the record of the second must not take the place of the first."""
    config = watching(tmp_path)
    begin = datetime(2026, 6, 10, 8, tzinfo=UTC)
    agent = Agent(usual={"heartbeat": Outcome.failing()})
    with Simulator(tmp_path / "agent.db", begin, behaviour=agent) as sim:
        sim.add("heartbeat", ("cron", "0 * * * *"))
        with witness(sim, config) as watch:
            watch.run_for(12 * HOUR)
            agent.usual = {}
            change(
                tmp_path / "agent.db",
                "UPDATE scheduled_jobs SET status = 'active', consecutive_errors = 0, next_run_at = ?",
                "2026-06-10T20:30:00.000Z",
            )
            watch.run_for(3 * HOUR)
    (failed,) = [c for c in replayed(config, begin, begin + 15 * HOUR).conditions if c.finding.kind == "failed"]
    assert failed.over_at is not None
    assert abs(failed.over_at - (begin + 12 * HOUR)) < 5 * SECOND


def test_a_run_that_the_watchdog_saw_hang_is_told_as_that_and_not_as_a_stall(tmp_path: Path) -> None:
    config = watching(tmp_path)
    begin = datetime(2026, 6, 10, 8, tzinfo=UTC)
    agent = Agent()
    with Simulator(tmp_path / "agent.db", begin, behaviour=agent) as sim:
        sim.add("digest", ("every", 50 * MINUTE))
        sim.add("triage", ("every", 7 * MINUTE))
        with witness(sim, config) as watch:
            watch.run_for(3 * HOUR)
            agent.then("digest", Outcome.hanging())
            watch.run_for(6 * HOUR)
            sim.restart()
            watch.run_for(2 * HOUR)
    past = past_of(config, begin, sim.now)
    found = replay([past], config, begin, sim.now).conditions
    assert [c.finding.kind.value for c in found if not c.finding.caused_by] == ["long_run", "wedged"]
    assert all(c.is_certain and c.over_at for c in found)
    unknown = past_of(config, begin, sim.now, with_record=False)
    (stall,) = [c for c in replay([unknown], config, begin, sim.now).conditions if c.finding.kind == "stalled"]
    assert not stall.is_certain
    assert "not certain, and marked so: overdue, stalled and wedged" in unknown.gaps[0]


def test_a_state_file_that_is_another_programs_is_refused(tmp_path: Path) -> None:
    config = for_database(rebuilt("quiet-healthy", tmp_path))
    with pytest.raises(PastError, match="database of another program"):
        replayed(config.but(state=tmp_path / "quiet-healthy.db"), NIGHT, NIGHT + HOUR)


def test_what_was_silenced_then_is_told_to_nobody(tmp_path: Path) -> None:
    now = parse_instant(recording("incident-1010-breaker-tripped")["now"])
    config = for_database(rebuilt("incident-1010-breaker-tripped", tmp_path))
    past = past_of(config, NIGHT, now, with_record=False)
    quiet = Silence(1, "heartbeat", NIGHT, at("2026-04-29 09:00"), "anna")
    before = Silence(2, "heartbeat", NIGHT - 2 * HOUR, NIGHT - HOUR, "anna")
    found = replay([past], config, NIGHT, now, [quiet, before])
    assert [(str(m.at), m.event) for m in found.messages][:1] == [("2026-04-29 09:00:00+00:00", "opened")]
    said = [str(line) for line in lines([past], [found], NIGHT, now)]
    assert "1 silence of that time holds here, too: nobody is told of what was silenced." in said
    unsilenced = lines([past], [replay([past], config, NIGHT, now)], NIGHT, now)
    assert not any("here, too" in str(line) for line in unsilenced)


# jobs that are gone, and other schedulers


def record(path: Path, runs: list[Run]) -> None:
    """A state file with these runs on record."""
    store = Store(path)

    save(store.database, runs, {})
    store.close()


def test_jobs_that_are_gone_are_left_out_but_their_runs_held_the_slot(tmp_path: Path) -> None:
    rows = {
        "scheduled_jobs": [job_row("here", last_run_at="2026-06-10T11:00:00.000Z", updated_at="2026-06-10 11:01:00")],
        "sessions": [session_row("id-here", "2026-06-10 11:01:00"), session_row("id-gone", "2026-06-10 10:59:00")],
        "cost_events": [
            cost_row("id-here", "2026-06-10 06:01:00"),
            cost_row("id-gone", "2026-06-10 10:59:59"),
            cost_row("id-here", "2026-06-10 11:01:00"),
        ],
        "scheduler_audit_log": [],
    }
    path = build(tmp_path / "agent.db", rows)
    ended, started = at("2026-06-10 10:59:59"), at("2026-06-10 06:30")
    record(tmp_path / "state.db", [Run("phantom", "id-gone", ended, started, "ok", ended - started)])
    config = watching(tmp_path, sources=[{"database": str(path)}])
    verdict = replayed(config, at("2026-06-10 06:00"), at("2026-06-10 11:30"))
    assert [(c.finding.kind.value, c.finding.job) for c in verdict.conditions] == [
        ("overdue", "here"),
        ("wedged", None),
    ]
    assert all(c.over_at and c.over_at <= at("2026-06-10 11:00:03") for c in verdict.conditions)


SQL_JOBS = "SELECT id, name, cron, enabled FROM jobs"
SQL_RUNS = "SELECT id, job_id, started_at, ended_at, status FROM runs WHERE id > :after"


@pytest.fixture
def other(tmp_path: Path) -> Config:
    """Another scheduler, whose own table of runs is empty by now."""
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as db:
        db.execute("CREATE TABLE jobs (id TEXT, name TEXT, cron TEXT, enabled INTEGER)")
        db.execute("CREATE TABLE runs (id INTEGER, job_id TEXT, started_at TEXT, ended_at TEXT, status TEXT)")
        db.execute("INSERT INTO jobs VALUES ('a', 'report', '0 * * * *', 1)")
        db.commit()
    source = {"kind": "sql", "name": "jobs", "database": str(tmp_path / "jobs.db"), "jobs": SQL_JOBS, "runs": SQL_RUNS}
    return Config.validated({"sources": [source], "state": str(tmp_path / "state.db")})


def test_another_scheduler_is_replayed_from_what_the_watchdog_wrote_down(other: Config) -> None:
    starts = [NIGHT + hours * HOUR for hours in range(12)]
    runs = [
        Run("jobs", "a", start + MINUTE, start, "ok" if number < 4 else "error", MINUTE, error="429 rate limit")
        for number, start in enumerate(starts)
    ]
    record(other.state, runs)
    past = recorded_past(other.sources[0], other.state, NIGHT, NIGHT + 12 * HOUR)
    verdict = replay([past], other, NIGHT, NIGHT + 12 * HOUR)
    failing = [c for c in verdict.conditions if c.finding.kind == "failing"]
    assert [c.found_at for c in failing] == [NIGHT + 8 * HOUR + MINUTE]
    assert past.records[0] == "only 12 runs are on record, from 2026-04-28 00:01 UTC"


def test_another_scheduler_of_which_nothing_is_on_record_says_so_and_tells_nothing(other: Config) -> None:
    past = recorded_past(other.sources[0], other.state, NIGHT, NIGHT + HOUR)
    assert past.records[0] == "no run is on record"
    assert replay([past], other, NIGHT, NIGHT + HOUR).conditions == ()


# settings that are tried


def test_a_setting_is_put_where_its_path_says_and_the_rest_is_left() -> None:
    before = {"detect": {"zero_tokens": {"streak": 3, "on": True}}, "owners": [{"notify": ["a"]}]}
    wanted = [setting("detect.zero_tokens.streak=5"), setting("owners[0].remind_every=12h"), setting("poll=5s")]
    assert changed(before, wanted) == {
        "detect": {"zero_tokens": {"streak": 5, "on": True}},
        "owners": [{"notify": ["a"], "remind_every": "12h"}],
        "poll": "5s",
    }
    assert before["detect"] == {"zero_tokens": {"streak": 3, "on": True}}


def test_a_settings_value_is_yaml() -> None:
    assert setting("detect.zero_tokens=off").value is False
    assert setting("a={b: [1, 2]}").value == {"b": [1, 2]}
    on = changed({"detect": {"failed": False}}, [setting("detect.failed.on=true")])
    assert on == {"detect": {"failed": {"on": True}}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("detect.zero_tokens.streak", "is not a setting; write it like"),
        ("=5", "is not a setting"),
        ("a..b=5", "is not a setting"),
        ("owners[2].name=x", r"there is no \[2\]; the list there has 1 entries"),
        ("detect[0]=x", "the list there has 0 entries"),
        ("a={b", "not YAML"),
    ],
)
def test_a_setting_that_cannot_be_made_is_told_in_one_line(text: str, words: str) -> None:
    with pytest.raises(SettingError, match=words) as caught:
        changed({"owners": [{}], "detect": {}}, [setting(text)])
    assert "\n" not in str(caught.value)


# what is compared


def test_a_message_that_both_replays_have_is_no_difference(tmp_path: Path) -> None:
    verdict = of("incident-1010-breaker-tripped", tmp_path)
    assert verdict.without(verdict) == []
    fewer = Verdict("fewer", verdict.messages[1:], verdict.conditions[1:])
    assert verdict.without(fewer) == [verdict.messages[0]]
    assert fewer.without(verdict) == []
    only: list[Condition] = verdict.unlike(fewer)
    assert only == [verdict.conditions[0]]


def test_what_is_found_again_is_so_since_then_and_not_since_the_first_of_it() -> None:
    found = finding("zero_tokens", since=NIGHT)
    first = Condition(found, NIGHT + MINUTE, NIGHT + HOUR)
    again = Condition(found, NIGHT + 2 * HOUR, NIGHT + 3 * HOUR)
    said = [str(line) for line in lines([], [Verdict("default", (), (first, again))], NIGHT, NIGHT + 4 * HOUR)]
    begun = [line.split("  ")[0] for line in said if "zero_tokens heartbeat" in line]
    assert begun == ["2026-04-28 00:00:00", "2026-04-28 02:00:00"]
