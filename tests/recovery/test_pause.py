"""A job that runs away is paused by policy, once, and nothing but a person takes that back."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NOW
from tests.support.harness import HOUR, MINUTE, SECOND, change
from tests.support.recovering import Rig, in_this_process, rig, said
from watchdog.core.action import Action, State
from watchdog.core.clock import Stamp
from watchdog.core.model import Every, Job, RunEnd, Snapshot
from watchdog.core.moment import Moment
from watchdog.demo.outcome import Outcome
from watchdog.recovery.verify import Scene, verdict

PAUSE: dict[str, Any] = {"match": {"kind": "runaway"}, "action": "pause", "after": "0s"}
SHORT = Outcome(duration=8 * SECOND)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


def break_loose(it: Rig, name: str = "loop", value: str = '{"intervalMs": 0}') -> str:
    """A job whose interval is broken, so that it runs back to back from its next fire on."""
    job_id = it.sim.add(name, ("every", 10 * MINUTE))
    it.agent.usual[name] = SHORT
    it.run(11 * MINUTE)
    change(it.path, "UPDATE scheduled_jobs SET schedule_value = ? WHERE id = ?", value, job_id)
    return job_id


def audited(it: Rig, job_id: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(it.path)) as connection:
        query = "SELECT action, previous_status, new_status FROM scheduler_audit_log WHERE job_id = ?"
        return connection.execute(query, (job_id,)).fetchall()


@pytest.mark.parametrize(("with_api", "way"), [(True, "the API paused it"), (False, "paused by SQL")])
@pytest.mark.parametrize("value", ['{"intervalMs": 0}', '{"every": 30000}'], ids=["recorded", "never recorded"])
def test_a_runaway_is_paused_and_that_it_stands_still_is_the_proof(
    with_api: bool, way: str, value: str, tmp_path: Path
) -> None:
    with rig(tmp_path, PAUSE, with_api=with_api) as it:
        job_id = break_loose(it, value=value)
        it.sim.add("other", ("every", 7 * MINUTE))
        it.run(40 * MINUTE)
        assert (it.only.kind, it.only.state) == ("pause", State.VERIFIED)
        assert way in said(it.only)
        assert it.row(job_id)["status"] == "paused"
        assert len(it.agent.of("loop")) <= 16
        assert audited(it, job_id)[-1] == ("pause", "active", "paused")
        it.run(10 * HOUR)
        assert it.row(job_id)["status"] == "paused"
        assert len(it.actions) == 1


def test_each_runaway_is_paused_and_none_waits_for_another(tmp_path: Path) -> None:
    with rig(tmp_path, PAUSE) as it:
        ids = [break_loose(it, name) for name in ("one", "two")]
        it.run(HOUR)
        assert [it.row(id_)["status"] for id_ in ids] == ["paused", "paused"]
        assert it.states() == [State.VERIFIED] * 2


def test_where_the_api_does_not_answer_the_row_is_paused_by_sql(tmp_path: Path) -> None:
    with rig(tmp_path, PAUSE) as it:
        job_id = break_loose(it)
        it.token_file.write_text("wrong")
        it.run(40 * MINUTE)
        assert "API it did not work" in said(it.only)
        assert (it.only.state, it.row(job_id)["status"]) == (State.VERIFIED, "paused")


def test_a_schedule_that_was_mended_meanwhile_is_left_alone(tmp_path: Path) -> None:
    with rig(tmp_path, PAUSE, mode="propose") as it:
        job_id = break_loose(it)
        it.run_until(lambda: it.actions)
        change(it.path, "UPDATE scheduled_jobs SET schedule_value = ? WHERE id = ?", '{"intervalMs": 600000}', job_id)
        it.records.approve(it.only.id, it.now, "anna")
        it.run(10 * MINUTE)
        assert it.row(job_id)["status"] == "active"
        assert it.states() == [State.REFUSED]


def test_a_job_over_its_budget_is_paused_and_all_together_are_not(tmp_path: Path) -> None:
    policy = {**PAUSE, "match": {"kind": "overspend"}}
    with rig(tmp_path, policy) as it:
        it.config = it.config.but(detect=type(it.config.detect).validated({"overspend": {"job": 5.0, "source": 6.0}}))
        it.reboot()
        dear, cheap = it.sim.add("dear", ("every", 10 * MINUTE)), it.sim.add("cheap", ("every", 10 * MINUTE))
        it.agent.usual["dear"] = Outcome(duration=8 * SECOND, cost_usd=2.0)
        it.agent.usual["cheap"] = Outcome(duration=8 * SECOND, cost_usd=0.3)
        it.run(2 * HOUR)
        assert [it.row(id_)["status"] for id_ in (dear, cheap)] == ["paused", "active"]
        assert [action.job for action in it.actions] == ["dear"]


# the proof


PAUSED = Job("id", "loop", Every(HOUR), status="paused")


def end(at: datetime) -> RunEnd:
    return RunEnd(1, at, 9, 9)


@pytest.mark.parametrize(
    ("job", "state"),
    [
        (PAUSED, State.VERIFIED),
        (replace(PAUSED, status="active", enabled=False), State.VERIFIED),
        (replace(PAUSED, recent=(end(NOW - SECOND),)), State.VERIFIED),
        (replace(PAUSED, recent=(end(NOW + MINUTE),)), State.VERIFIED),  # the run that had begun
        (replace(PAUSED, in_flight_since=NOW - MINUTE), State.VERIFIED),
        (replace(PAUSED, recent=(end(NOW + MINUTE), end(NOW + 2 * MINUTE))), State.INEFFECTIVE),
        (replace(PAUSED, in_flight_since=NOW + MINUTE), State.INEFFECTIVE),
        (replace(PAUSED, status="active"), State.INEFFECTIVE),
        (None, State.UNKNOWN),
    ],
)
def test_only_a_job_that_stands_still_is_proof_of_a_pause(job: Job | None, state: State) -> None:
    heard_by = NOW + 5 * MINUTE
    action = Action(
        1, Stamp(NOW), "p", "pause", "agent", "id", "loop", "c", State.ACTED, acted_at=NOW, heard_by=heard_by
    )
    snapshot = Snapshot("agent", "phantom", (job,) if job else ())
    found = verdict(action, Scene(job, snapshot, (), Moment(heard_by)))
    assert found is not None
    assert found.state is state
    if state is State.VERIFIED:
        assert verdict(action, Scene(job, snapshot, (), Moment(heard_by - SECOND))) is None
