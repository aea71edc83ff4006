"""Counters that a restored backup, a look that fails, or a reload do not set back; and the fires that nobody served."""

import shutil
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.support.harness import DAY, HOUR, MINUTE, SECOND, START, Agent, scheduler
from watchdog.config.file import for_database
from watchdog.core.model import At, CronSchedule, Every, Job, Totals
from watchdog.demo.outcome import Outcome
from watchdog.detectors.missed import AT_ONCE, MissedFires
from watchdog.engine import Engine
from watchdog.metrics.collection import Metrics
from watchdog.metrics.counts import Counts

KEY = ("agent", "id")


class Scraped:
    """An engine with its metrics on a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = Engine(for_database(path))
        self.metrics = Metrics()

    def at(self, now: datetime, family: str) -> float:
        """The sum of a family's samples after a tick at that instant."""
        self.metrics.ticked(self.engine.tick(now), now, 0.0)
        lines = self.metrics.text().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"watchdog_job_{family}{{"))


def restore(backup: Path, path: Path) -> None:
    for ending in ("-wal", "-shm"):
        Path(f"{path}{ending}").unlink(missing_ok=True)
    shutil.copy(backup, path)


def test_a_restored_backup_sets_no_counter_back_and_adds_nothing(tmp_path: Path) -> None:
    path, backup = tmp_path / "agent.db", tmp_path / "backup.db"
    families = ("tokens_total", "cost_usd_total", "runs_total", "missed_fires_total")
    with scheduler(path, Agent(), START) as sim:
        sim.add("a", ("every", 10 * MINUTE))
        sim.run_until(START + 20 * HOUR)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        sim.run_until(START + 21 * HOUR)
        scraped, now = Scraped(path), sim.now
        before = {family: scraped.at(now, family) for family in families}
    restore(backup, path)
    assert {family: scraped.at(now + SECOND, family) for family in families} == {**before, "missed_fires_total": 5.0}
    with scheduler(path, Agent(), now + MINUTE) as sim:
        sim.run_until(now + 2 * MINUTE + 30 * SECOND)
        after = {family: scraped.at(sim.now, family) for family in families}
    one_run = {"tokens_total": 10_900, "cost_usd_total": 0.5, "runs_total": 1}
    assert {family: round(after[family] - before[family], 6) for family in one_run} == one_run


def test_what_comes_and_goes_between_two_scrapes_is_counted(tmp_path: Path) -> None:
    """Fires that are missed, and made up for; and a backup that is restored, all unseen by who scrapes seldom."""
    path, backup = tmp_path / "agent.db", tmp_path / "backup.db"
    families = ("tokens_total", "runs_total", "missed_fires_total")
    with scheduler(path, Agent(), START) as sim:
        sim.add("a", ("every", 10 * MINUTE))
        sim.add("b", ("every", 20 * MINUTE))
        sim.run_until(START + 20 * HOUR)
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
        often, seldom = Scraped(path), Scraped(path)
        seen = [[scraped.at(sim.now, family) for family in families] for scraped in (often, seldom)]
        assert seen[0] == seen[1]
        for now in (sim.now + HOUR, sim.now + 3 * HOUR):
            often.at(now, "runs_total")
            seldom.metrics.ticked(seldom.engine.tick(now), now, 0.0)
    with scheduler(path, Agent(), START + 24 * HOUR) as sim:
        sim.run_until(START + 25 * HOUR)
        now = sim.now
        often.at(now, "runs_total")
        seldom.metrics.ticked(seldom.engine.tick(now), now, 0.0)
    restore(backup, path)
    later = now + HOUR
    seen = [[scraped.at(later, family) for family in families] for scraped in (often, seldom)]
    assert seen[0] == seen[1]
    assert seen[0][2] > 20


def test_a_look_that_fails_forgets_no_counter(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with scheduler(path, Agent(), START) as sim:
        sim.add("a", ("every", 10 * MINUTE))
        sim.run_until(START + 20 * HOUR)
        now = sim.now
    scraped = Scraped(path)
    before = scraped.at(now, "tokens_total")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE sessions SET input_tokens = 5, output_tokens = 5")
    assert scraped.at(now + SECOND, "tokens_total") == before
    path.rename(tmp_path / "away.db")
    assert scraped.at(now + 2 * SECOND, "tokens_total") == 0  # no samples
    (tmp_path / "away.db").rename(path)
    assert scraped.at(now + 3 * SECOND, "tokens_total") == before


def test_each_fire_that_goes_by_while_one_is_owed_is_missed(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    agent = Agent()
    with scheduler(path, agent, START) as sim:
        sim.add("a", ("cron", "0 * * * *", "UTC"))
        scraped = Scraped(path)
        sim.run_until(START + 2.5 * HOUR)
        assert scraped.at(sim.now, "missed_fires_total") == 0
        sim.kill()
        seen = []
        for _ in range(4):
            sim.run_until(sim.now + HOUR)
            seen.append(scraped.at(sim.now, "missed_fires_total"))
        assert seen == [0, 1, 2, 3]  # 11:00 is owed at 11:30; 12:00, 13:00 and 14:00 went by
        sim.start()
        sim.run_until(sim.now + 2 * MINUTE)
        assert scraped.at(sim.now, "missed_fires_total") == 3
        sim.run_until(sim.now + DAY)
        assert scraped.at(sim.now, "missed_fires_total") == 3


def test_a_fire_that_goes_by_under_a_run_of_its_own_is_missed_by_a_clock_and_not_by_an_interval(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    for kind, missed in ((("cron", "*/10 * * * *", "UTC"), 2), (("every", 10 * MINUTE), 0)):
        path.unlink(missing_ok=True)
        with scheduler(path, Agent({"a": Outcome(duration=25 * MINUTE)}), START) as sim:
            sim.add("a", kind)
            scraped = Scraped(path)
            for _ in range(34):
                sim.run_until(sim.now + MINUTE)
                count = scraped.at(sim.now, "missed_fires_total")
            assert count == missed, kind


def test_the_loop_looks_again_when_the_next_fire_of_a_late_job_goes_by(tmp_path: Path) -> None:
    path = tmp_path / "agent.db"
    with scheduler(path, Agent(), START) as sim:
        sim.add("a", ("every", 10 * MINUTE))
        sim.drop_timer()
        sim.run_until(START + 45 * MINUTE)
        engine = Engine(for_database(path))
        engine.tick(sim.now)
        again = engine.published.look_again_at
    assert again is not None
    assert again <= START + 50 * MINUTE


def test_years_of_missed_fires_are_counted_bit_by_bit() -> None:
    missed, now = MissedFires(), START
    job = Job("a", "a", CronSchedule("* * * * *", "UTC"), next_run_at=START - 8 * DAY)
    counts = [missed.count([job], now)[0]["a"] for _ in range(3)]
    assert counts == [AT_ONCE, 8 * 24 * 60, 8 * 24 * 60]


def test_a_one_shot_and_a_paused_job_miss_nothing() -> None:
    late = START - DAY
    jobs = [
        Job("a", "a", At(late), next_run_at=late),
        Job("b", "b", Every(HOUR), next_run_at=late, status="paused"),
        Job("c", "c", Every(HOUR), next_run_at=START + HOUR),
    ]
    assert MissedFires().count(jobs[:2], START) == ({}, None)
    assert MissedFires().count(jobs, START) == ({}, START + 2 * HOUR)


@given(st.lists(st.one_of(st.none(), st.integers(0, 1000)), max_size=30))
def test_a_counter_never_falls_and_grows_by_what_the_number_grows(numbers: list[int | None]) -> None:
    counts, before, raw = Counts(), None, None
    for number in numbers:
        shown = counts.totals(KEY, Totals(runs=number)).runs
        if number is not None:
            grown = 0 if raw is None else max(0, number - raw)
            assert shown == (number if before is None else before + grown)
            before, raw = shown, number
        assert shown == before


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 20)), max_size=30))
def test_missed_fires_never_fall(seen: list[tuple[int, int]]) -> None:
    counts, before = Counts(), 0
    for due, fires in seen:
        now = counts.missed(KEY, START + due * HOUR, fires)
        assert now >= before
        before = now


def test_of_jobs_that_are_gone_only_so_many_are_remembered() -> None:
    counts = Counts()
    for number in range(11_000):
        counts.totals(("agent", str(number)), Totals(runs=7))
    counts.forget({("agent", "0")})
    assert counts.totals(("agent", "0"), Totals(runs=3)).runs == 7
    assert counts.totals(("agent", "10999"), Totals(runs=3)).runs == 7
    assert counts.totals(("agent", "1"), Totals(runs=3)).runs == 3
