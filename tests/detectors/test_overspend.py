"""What jobs have cost within a day, against what they may."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.conftest import NOW, build, cost_row, healthy, job_row
from tests.support.harness import DAY, HOUR, MINUTE, SECOND, START, Agent, Watch, scheduler
from watchdog.config.file import Config
from watchdog.config.settings import Detect
from watchdog.core.model import Every, Finding, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.demo.outcome import Outcome
from watchdog.detectors import overspend
from watchdog.detectors.diagnosis import diagnose
from watchdog.engine import Engine
from watchdog.systems.phantom.source import PhantomSource
from watchdog.systems.shared.run_ends import Spending


def judged(snapshot: Snapshot, at: datetime, **budget: float) -> list[Finding]:
    settings = Detect.validated({"overspend": budget})
    return list(overspend.detect(snapshot, Moment(at), settings))


def brief(findings: list[Finding]) -> list[tuple[str | None, str]]:
    return [(finding.job, finding.severity.value) for finding in findings]


def spent(path: Path, *bills: tuple[str, timedelta, object]) -> Snapshot:
    """A look at a file with these bills: whose, how long before now, and how much."""
    rows = healthy()
    rows["scheduled_jobs"].append(job_row("digest"))
    rows["cost_events"] = [
        cost_row(f"id-{name}", f"{NOW - ago:%Y-%m-%d %H:%M:%S}", cost_usd=usd)
        for name, ago, usd in sorted(bills, key=lambda bill: -bill[1])
    ]
    return PhantomSource("agent", build(path / "agent.db", rows)).look(NOW).snapshot


def test_without_a_budget_nothing_is_too_much(tmp_path: Path) -> None:
    assert judged(spent(tmp_path, ("digest", HOUR, 1e6)), NOW) == []


@pytest.mark.parametrize(
    ("usd", "severity"), [(5.0, None), (5.01, "warning"), (10.0, "warning"), (10.01, "critical"), (900, "critical")]
)
def test_over_the_budget_is_a_warning_and_over_twice_of_it_critical(
    usd: float, severity: str | None, tmp_path: Path
) -> None:
    look = spent(tmp_path, ("digest", 3 * HOUR, usd - 1), ("digest", HOUR, 1.0), ("heartbeat", HOUR, 4.0))
    assert brief(judged(look, NOW, job=5.0)) == ([("digest", severity)] if severity else [])


def test_all_jobs_together_have_a_budget_of_their_own_those_that_are_gone_too(tmp_path: Path) -> None:
    look = spent(tmp_path, ("digest", 3 * HOUR, 3.0), ("heartbeat", HOUR, 2.0), ("deleted", HOUR, 4.0))
    (found,) = judged(look, NOW, source=8.5, job=8.5)
    assert (found.job, found.job_id, found.severity) == (None, None, "warning")
    since = f"{NOW - HOUR:%Y-%m-%d %H:%M} UTC"
    assert found.summary == (
        f"the jobs of agent have cost $9.00 within a day, since {since}; their budget is $8.50; "
        "mostly digest $3.00, heartbeat $2.00"
    )
    assert judged(look, NOW, source=9.0) == []


def test_what_was_paid_over_a_day_ago_does_not_count(tmp_path: Path) -> None:
    look = spent(tmp_path, ("digest", DAY + HOUR, 100.0), ("digest", DAY - MINUTE, 6.0))
    (found,) = judged(look, NOW, job=5.0)
    assert found.evidence["usd"] == 6.0
    assert judged(look, NOW + MINUTE, job=5.0) == []


@pytest.mark.parametrize("usd", ["much", -3.0, float("inf"), 1e300, b"\x00"])
def test_a_cost_that_is_none_is_not_added_up(usd: object, tmp_path: Path) -> None:
    look = spent(tmp_path, ("digest", 2 * HOUR, usd), ("digest", HOUR, 1.0))
    assert [each.usd for job in look.jobs for each in job.spent] == [1.0]


def test_a_file_without_costs_tells_nothing(tmp_path: Path) -> None:
    build(tmp_path / "agent.db", healthy(), without=["cost_events.cost_usd"])
    look = PhantomSource("agent", tmp_path / "agent.db").look(NOW).snapshot
    assert look.spent == ()
    assert judged(look, NOW, source=0.01, job=0.01) == []


def test_a_job_may_have_a_budget_of_its_own(tmp_path: Path) -> None:
    look = spent(tmp_path, ("digest", HOUR, 8.0), ("heartbeat", HOUR, 8.0))
    document = {"overspend": {"job": 5.0}, "jobs": [{"match": "dig*", "overspend": {"job": 9.0}}]}
    found = diagnose(look, NOW, Detect.validated(document)).findings
    assert [finding.job for finding in found if finding.kind == "overspend"] == ["heartbeat"]


@pytest.mark.parametrize("budget", [0, -1, "much", float("nan")])
def test_a_budget_is_an_amount(budget: object) -> None:
    with pytest.raises(ValidationError):
        Config.validated({"sources": [{"database": "/p.db"}], "detect": {"overspend": {"job": budget}}})


def test_it_is_told_with_the_run_that_was_too_much_and_over_once_enough_is_a_day_old(tmp_path: Path) -> None:
    agent = Agent({"digest": Outcome(cost_usd=2.0)})
    with scheduler(tmp_path / "agent.db", agent, START) as sim:
        sim.add("digest", ("cron", "0 9-14 * * *", "UTC"))
        watch = Watch(sim, tmp_path / "agent.db")
        source = {"name": "phantom", "database": str(tmp_path / "agent.db")}
        budget = {"overspend": {"job": 5.0}}
        watch.engine = Engine(Config.validated({"sources": [source], "detect": budget}))
        watch.run_for(5 * HOUR)
        agent.usual["digest"] = Outcome(cost_usd=0.01)
        watch.run_for(2 * DAY)
    spells = [spell for spell in watch.spells() if spell.kind == "overspend"]
    runs = agent.of("digest")
    assert [spell.job for spell in spells] == ["digest"]
    ended = runs[2].ended_at
    assert ended is not None
    assert timedelta() <= spells[0].seen_at - ended <= 4 * SECOND
    over_at = spells[0].over_at
    assert over_at is not None
    assert paid_by(agent, over_at) <= 5.0 < paid_by(agent, over_at - 3 * SECOND)


def paid_by(agent: Agent, at: datetime) -> float:
    """The truth about the day before an instant."""
    return sum(run.outcome.cost_usd for run in agent.of("digest") if run.ended_at and at - DAY < run.ended_at <= at)


@given(st.lists(st.tuples(st.integers(0, 3 * 3600), st.integers(1, 500)), max_size=80))
def test_the_sums_are_never_more_than_was_paid_and_never_less_than_in_the_last_23_hours(
    bills: list[tuple[int, int]],
) -> None:
    spending, at, paid = Spending(), START, []
    for pause, cents in bills:
        at += timedelta(seconds=pause)
        paid.append((at, cents))
        spending.add(at, cents / 100)
        kept = [each for each in spending.sums if each.first_at > at - DAY]
        total = round(sum(each.usd for each in kept) * 100)
        assert total <= sum(cents for when, cents in paid if when > at - DAY)
        assert total >= sum(cents for when, cents in paid if when > at - 23 * HOUR)
        assert len(spending.sums) <= 26


def test_a_paused_job_is_not_told_any_more() -> None:
    spending = Spending()
    spending.add(NOW - HOUR, 50.0)
    job = Job("a", "a", Every(HOUR), status="paused", spent=tuple(spending.sums))
    assert judged(Snapshot("agent", "phantom", (job,)), NOW, job=1.0) == []
