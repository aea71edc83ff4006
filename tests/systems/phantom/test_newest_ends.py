"""Each job's newest run ends are found, however far back, in bounded steps, once."""

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import NOW, build, cost_row, healthy, job_row, session_row
from tests.support.harness import DAY, HOUR, MINUTE, SECOND, START, Agent, scheduler
from watchdog.cli import verbs, watching
from watchdog.config.file import for_database
from watchdog.core.instants import iso
from watchdog.core.kinds import Kind
from watchdog.core.model import Job, RunEnd
from watchdog.demo.outcome import Outcome
from watchdog.engine import Engine
from watchdog.state.store import Store
from watchdog.systems.phantom import cost_ledger
from watchdog.systems.phantom.source import PhantomSource
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.run_ends import Account

T = TypeVar("T")


class Kept:
    """A memory in the state file, written at once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.recalled = 0

    def recall(self, name: str, kind: type[T]) -> dict[str, T]:
        return self.store.remembered("agent", name, kind)

    def keep(self, name: str, things: Mapping[str, object]) -> None:
        self.store.remember("agent", name, things, NOW)


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Strides of five rows."""
    monkeypatch.setattr(cost_ledger, "STRIDE", 5)


def months(path: Path, *, every: int = 30, zero: bool = True, count: int = 5) -> Path:
    """A job that runs once a month, without a token, behind one that runs daily."""
    rows = healthy()
    rows["scheduled_jobs"].append(job_row("rare"))
    rows["sessions"].append(session_row("id-rare", f"{NOW - DAY:%Y-%m-%d %H:%M:%S}"))
    tokens: dict[str, Any] = {"input_tokens": 0, "output_tokens": 0} if zero else {}
    rows["cost_events"] = []
    for days in range(every * count, 0, -1):
        at = f"{NOW - days * DAY:%Y-%m-%d %H:%M:%S}"
        rows["cost_events"].append(cost_row("id-heartbeat", at))
        if days % every == 0:
            rows["cost_events"].append(cost_row("id-rare", at, **tokens))
    return build(path / "agent.db", rows)


def walked(source: PhantomSource, now: datetime = NOW) -> tuple[dict[str, Job], int]:
    """The jobs once there is nothing more to read, and how many looks that took."""
    for looks in range(1, 1000):
        snapshot = source.look(now).snapshot
        if not snapshot.reads_on:
            return {job.name: job for job in snapshot.jobs}, looks
    raise AssertionError("it never ends")


def streak(job: Job) -> int:
    assert job.zero_streak is not None
    return job.zero_streak.count


def test_a_job_that_runs_once_a_month_has_its_streak_at_the_first_look(tmp_path: Path) -> None:
    jobs, looks = walked(PhantomSource("agent", months(tmp_path)))
    assert (streak(jobs["rare"]), looks) == (5, 1)


@pytest.mark.usefixtures("short")
def test_a_long_table_is_walked_back_some_way_at_each_look_though_nothing_changes(tmp_path: Path) -> None:
    source = PhantomSource("agent", months(tmp_path))
    first = source.look(NOW)
    assert first.snapshot.reads_on
    jobs, looks = walked(source)
    assert streak(jobs["rare"]) == 5
    assert 25 < looks < 35
    assert not source.look(NOW).is_new


@pytest.mark.usefixtures("short")
def test_one_look_that_did_not_get_to_the_last_runs_says_that_it_is_blind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "LOOK_FOR", 0.0)
    asked = ["check", "--database", str(months(tmp_path)), "--now", iso(NOW), "--format", "json"]
    answer = CliRunner().invoke(verbs.cli, asked, standalone_mode=False)
    (found,) = [each for each in json.loads(answer.output)["findings"] if each["kind"] == "blind"]
    assert "the last runs of rare lie further back than one look reads" in found["summary"]
    assert found["evidence"]["hidden"] == ["zero_tokens"]


def test_one_look_goes_on_until_it_knows_the_last_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost_ledger, "STRIDE", 20)
    asked = ["check", "--database", str(months(tmp_path)), "--now", iso(NOW), "--format", "json"]
    answer = CliRunner().invoke(verbs.cli, asked, standalone_mode=False)
    kinds = {(each["kind"], each["job"]) for each in json.loads(answer.output)["findings"]}
    assert ("zero_tokens", "rare") in kinds
    assert ("blind", None) not in kinds


@pytest.mark.usefixtures("short")
def test_the_running_service_is_not_blind_while_it_reads_on(tmp_path: Path) -> None:
    engine = Engine(for_database(months(tmp_path)))
    published = engine.tick(NOW).published
    assert published.sources[0].snapshot.unread
    assert not [found for found in published.findings if found.kind is Kind.BLIND]


@pytest.mark.usefixtures("short")
def test_the_walk_ends_where_nothing_older_would_change_anything(tmp_path: Path) -> None:
    _, looks = walked(PhantomSource("agent", months(tmp_path, every=10, zero=False, count=40)))
    assert looks < 8


@pytest.mark.usefixtures("short")
def test_runs_that_end_meanwhile_are_added_in_front(tmp_path: Path) -> None:
    path = months(tmp_path)
    source = PhantomSource("agent", path)
    source.look(NOW)
    with closing(sqlite3.connect(path)) as connection, connection:
        row = cost_row("id-rare", f"{NOW:%Y-%m-%d %H:%M:%S}", input_tokens=0, output_tokens=0)
        connection.execute(f"INSERT INTO cost_events ({', '.join(row)}) VALUES (?, ?, ?, ?, ?)", [*row.values()])
    jobs, _ = walked(source, NOW + MINUTE)
    assert streak(jobs["rare"]) == 6
    ids = [end.id for end in jobs["rare"].recent]
    assert ids == sorted(ids)


@pytest.mark.usefixtures("short")
def test_a_restart_does_not_walk_again(tmp_path: Path) -> None:
    path = months(tmp_path)
    memory = Kept(Store(None))
    before, looks = walked(PhantomSource("agent", path, host=Host(memory=memory)))
    assert looks > 20
    after, looks = walked(PhantomSource("agent", path, host=Host(memory=memory)), NOW + HOUR)
    assert looks == 1
    assert asdict(after["rare"])["zero_streak"] == asdict(before["rare"])["zero_streak"]


def test_since_when_a_job_fails_is_known_after_a_restart_too(tmp_path: Path) -> None:
    path = tmp_path / "phantom.db"
    with scheduler(path, Agent({"heartbeat": Outcome.failing()})) as sim:
        sim.add("heartbeat", {"kind": "every", "intervalMs": 600_000})
        sim.run_until(START + 5 * HOUR)
    memory, config = Kept(Store(None)), for_database(path)

    def since(host: Host) -> tuple[int, datetime | None]:
        source = PhantomSource("phantom", path, host=host)
        (found,) = [
            finding
            for finding in Engine(config, [source]).tick(START + 5 * HOUR).published.findings
            if finding.kind is Kind.FAILING
        ]
        return int(str(found.evidence["consecutive_errors"])), found.since

    errors, before = since(Host(memory=memory))
    assert errors == 9
    assert before is not None
    assert before < START + HOUR
    assert since(Host(memory=memory)) == (errors, before)


@pytest.mark.usefixtures("short")
def test_after_a_long_absence_only_what_lies_between_is_walked(tmp_path: Path) -> None:
    memory = Kept(Store(None))
    path = months(tmp_path)
    walked(PhantomSource("agent", path, host=Host(memory=memory)))
    with closing(sqlite3.connect(path)) as connection, connection:
        for days in range(1, 61):
            name, tokens = ("id-rare", 0) if days == 30 else ("id-heartbeat", 9)
            row = cost_row(name, f"{NOW + days * DAY:%Y-%m-%d %H:%M:%S}", input_tokens=tokens, output_tokens=tokens)
            connection.execute(f"INSERT INTO cost_events ({', '.join(row)}) VALUES (?, ?, ?, ?, ?)", [*row.values()])
    jobs, looks = walked(PhantomSource("agent", path, host=Host(memory=memory)), NOW + 60 * DAY)
    assert streak(jobs["rare"]) == 6
    assert 5 < looks < 15


def test_another_file_in_its_place_is_read_from_the_start_and_the_same_one_is_not(tmp_path: Path) -> None:
    path = months(tmp_path)
    source = PhantomSource("agent", path)
    assert streak(walked(source)[0]["rare"]) == 5
    path.rename(tmp_path / "away.db")
    assert source.look(NOW + SECOND).snapshot.problem
    assert source.look(NOW + 2 * SECOND).snapshot.problem
    (tmp_path / "away.db").rename(path)
    assert streak(walked(source, NOW + 3 * SECOND)[0]["rare"]) == 5
    path.unlink()
    (tmp_path / "other").mkdir()
    months(tmp_path / "other", count=2).rename(path)
    assert streak(walked(source, NOW + 4 * SECOND)[0]["rare"]) == 2


def test_what_is_kept_of_another_file_is_not_believed(tmp_path: Path) -> None:
    memory = Kept(Store(None))
    path = months(tmp_path)
    walked(PhantomSource("agent", path, host=Host(memory=memory)))
    path.unlink()
    (tmp_path / "other").mkdir()
    months(tmp_path / "other", count=3).rename(path)
    jobs, _ = walked(PhantomSource("agent", path, host=Host(memory=memory)))
    assert streak(jobs["rare"]) == 3


@pytest.mark.usefixtures("short")
def test_a_job_that_has_never_run_is_not_looked_for(tmp_path: Path) -> None:
    rows = healthy()
    rows["scheduled_jobs"].append(job_row("new", last_run_at=None, last_run_status=None, last_run_duration_ms=None))
    rows["cost_events"] = [
        cost_row("id-heartbeat", f"{NOW - days * DAY:%Y-%m-%d %H:%M:%S}") for days in range(300, 0, -1)
    ]
    _, looks = walked(PhantomSource("agent", build(tmp_path / "agent.db", rows)))
    assert looks == 1


def free(path: Path, days: int = 60, **session: object) -> Path:
    """A job that runs every three hours, and was last paid for so many days ago."""
    rows = healthy()
    rows["scheduled_jobs"] = [job_row("free")]
    rows["sessions"] = [session_row("id-free", "2026-06-10 11:01:00", **{"total_cost_usd": 3.5, **session})]
    paid_at = NOW - days * DAY
    rows["cost_events"] = [
        cost_row("id-free", f"{paid_at + hours * HOUR:%Y-%m-%d %H:%M:%S}", cost_usd=0.0 if hours else 0.5)
        for hours in range(0, days * 24, 3)
    ]
    return build(path / "agent.db", rows)


def test_the_newest_run_that_was_paid_for_is_found_at_the_first_look(tmp_path: Path) -> None:
    jobs, looks = walked(PhantomSource("agent", free(tmp_path)))
    assert (jobs["free"].last_paid_at, looks) == (NOW - 60 * DAY, 1)


@pytest.mark.usefixtures("short")
def test_the_newest_run_that_was_paid_for_is_found_however_far_back_and_once(tmp_path: Path) -> None:
    memory = Kept(Store(None))
    path = free(tmp_path)
    for expected in (range(50, 120), range(1, 2)):
        jobs, looks = walked(PhantomSource("agent", path, host=Host(memory=memory)))
        assert jobs["free"].last_paid_at == NOW - 60 * DAY
        assert looks in expected


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("cost", [0.0, "much"])
def test_where_nothing_says_that_a_job_was_ever_paid_for_it_is_not_looked_for(cost: object, tmp_path: Path) -> None:
    jobs, looks = walked(PhantomSource("agent", free(tmp_path, total_cost_usd=cost)))
    assert jobs["free"].last_paid_at is None
    assert looks < 5


@pytest.mark.parametrize("usd", ["much", -3.0, float("inf"), 1e300, b"\x00"])
def test_a_cost_that_is_none_was_not_paid(usd: object, tmp_path: Path) -> None:
    rows = healthy()
    rows["cost_events"] = [cost_row("id-heartbeat", "2026-06-10 11:01:00", cost_usd=usd)]
    (job,) = PhantomSource("agent", build(tmp_path / "agent.db", rows)).look(NOW).snapshot.jobs
    assert job.last_paid_at is None


@given(st.lists(st.sampled_from([None, 0.0, 0.5])), st.integers(0, 30))
def test_the_newest_that_was_paid_is_the_newest_however_it_is_read(costs: list[float | None], cut: int) -> None:
    ends = [RunEnd(number, START + number * HOUR, 9, 9, usd) for number, usd in enumerate(costs)]
    older, account = Account(), Account()
    for each in ends:
        (older if each.id < cut else account).append(each)
    account.join(older)
    assert account.last_paid_at == max((each.at for each in ends if each.cost_usd), default=None)


def test_a_job_once_seen_to_use_tokens_is_known_to(tmp_path: Path) -> None:
    memory = Kept(Store(None))
    path = tmp_path / "agent.db"
    agent = Agent({"worker": Outcome(), "script": Outcome.workless()})
    with scheduler(path, agent, START) as sim:
        for name in agent.usual:
            sim.add(name, ("every", HOUR))
        sim.run_until(START + 3 * HOUR)
        jobs, _ = walked(PhantomSource("agent", path, host=Host(memory=memory)), sim.now)
        assert [jobs[name].has_used_tokens for name in ("worker", "script")] == [True, False]
        agent.usual["worker"] = Outcome.workless()
        sim.run_until(START + 60 * HOUR)
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("UPDATE sessions SET input_tokens = 0, output_tokens = 0")
        jobs, _ = walked(PhantomSource("agent", path, host=Host(memory=memory)), sim.now)
        assert [jobs[name].has_used_tokens for name in ("worker", "script")] == [True, False]


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.booleans(), st.integers(0, 40)), min_size=1, max_size=120),
    st.integers(1, 30),
    st.lists(st.integers(0, 120), max_size=3),
)
def test_however_it_is_walked_and_restarted_it_comes_to_what_all_rows_say(
    tmp_path_factory: pytest.TempPathFactory, events: list[tuple[str, bool, int]], stride: int, restarts: list[int]
) -> None:
    path = tmp_path_factory.mktemp("walk") / "agent.db"
    rows = healthy()
    rows["scheduled_jobs"] = [job_row(name) for name in "abc"]
    rows["sessions"] = []
    rows["cost_events"] = []
    build(path, rows)
    memory, at, written = Kept(Store(None)), NOW, []
    source = PhantomSource("agent", path, host=Host(memory=memory))
    with pytest.MonkeyPatch.context() as patch, closing(sqlite3.connect(path)) as connection:
        patch.setattr(cost_ledger, "STRIDE", stride)
        for number, (name, is_zero, hours) in enumerate(events):
            at += hours * HOUR
            row = cost_row(
                f"id-{name}", f"{at:%Y-%m-%d %H:%M:%S}", **({"input_tokens": 0, "output_tokens": 0} if is_zero else {})
            )
            with connection:
                connection.execute(
                    f"INSERT INTO cost_events ({', '.join(row)}) VALUES (?, ?, ?, ?, ?)", [*row.values()]
                )
            written.append((name, is_zero))
            if number in restarts:
                source = PhantomSource("agent", path, host=Host(memory=memory))
                source.look(at)
    jobs, _ = walked(source, at)
    for name in "abc":
        own = [is_zero for owner, is_zero in written if owner == name]
        zeros = next((place for place, is_zero in enumerate(reversed(own)) if not is_zero), len(own))
        assert min(streak(jobs[name]), 32) == min(zeros, 32)
