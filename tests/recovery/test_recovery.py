"""Bringing jobs back by policy, against the simulated scheduler through its web API and its file."""

import json
import os
import re
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Response

from tests.conftest import NOW, build, job_row, session_row
from tests.support.command import command, until
from tests.support.harness import DAY, HOUR, MINUTE, SECOND, change
from tests.support.linux import needs_proc
from tests.support.recovering import DENIED, OVERLOADED, REVIVE, TOKEN, ZERO, Rig, in_this_process, rig, said
from tests.support.site import outage
from tests.systems.test_recordings import SHARED, rebuilt, recording
from watchdog.config.file import Config
from watchdog.core.action import BEING_DONE, Action, State
from watchdog.core.clock import Stamp, WallClock
from watchdog.core.instants import parse_instant, say
from watchdog.core.model import Every, Job, RecordedRun, Snapshot
from watchdog.core.moment import Moment
from watchdog.demo.operations import Answer
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.engine import Engine
from watchdog.recovery.by_hand import RefusedError, as_one, jobs_of, planned, restore, revive
from watchdog.recovery.executor import Executor
from watchdog.recovery.recoverer import Recoverer
from watchdog.recovery.service import RecoveryService
from watchdog.recovery.verify import Scene, verdict
from watchdog.state import records as records_module
from watchdog.state.records import Records
from watchdog.state.store import Store
from watchdog.systems.phantom import api as phantom_api
from watchdog.systems.phantom import ways as phantom_ways
from watchdog.systems.phantom.section import Phantom
from watchdog.web.advice import of_incident

TRANSIENT = {**REVIVE, "match": {"kind": "failed", "error_class": "transient"}}
WELL = Outcome()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


# a storm


def test_an_outage_over_twenty_jobs_ends_with_one_canary_and_then_all_the_rest(tmp_path: Path) -> None:
    with rig(tmp_path, TRANSIENT, stock=False) as it:
        ids = it.storm(20)
        it.agent.usual.clear()
        it.run(10 * HOUR)
        assert it.states() == [State.VERIFIED] * 20
        canary, *followers = it.actions
        assert [action.is_canary for action in it.actions] == [True] + [False] * 19
        assert canary.settled is not None
        assert all(follower.created.at >= canary.settled.at for follower in followers)
        starts = [action.created.at for action in it.actions]
        assert min(late - soon for soon, late in pairwise(starts[1:])) >= MINUTE
        assert {action.job_id for action in it.actions} == set(ids)
        assert [it.row(id_)["status"] for id_ in ids] == ["active"] * 20
        assert len(it.letters("Verified: revive of 20 jobs")) == 1


@pytest.mark.parametrize(("count", "why"), [(1, "its policy allows it"), (2, "it goes first, as the canary")])
def test_only_of_several_one_is_said_to_go_first(count: int, why: str, tmp_path: Path) -> None:
    with rig(tmp_path, TRANSIENT, stock=False) as it:
        it.storm(count)
        it.run_until(lambda: it.actions != [])
        assert (it.actions[0].why, it.actions[0].is_canary) == (f"failed: {why}", True)


def test_a_provider_that_is_still_down_costs_one_canary_for_each_growing_pause(tmp_path: Path) -> None:
    attempts = {"max": 4, "per": "7d", "pause": "2h", "factor": 2}
    with rig(tmp_path, {**TRANSIENT, "attempts": attempts}, stock=False) as it:
        ids = it.storm(20)
        before = it.sim.now
        it.run(20 * HOUR)
        canaries = it.actions
        assert [canary.state for canary in canaries] == [State.INEFFECTIVE] * 4
        assert all(canary.is_canary for canary in canaries)
        touched = {canary.job_id for canary in canaries}
        assert all(it.row(id_)["status"] == "failed" for id_ in set(ids) - touched)
        assert set(it.runs(before)) == {canary.job for canary in canaries}
        pairs = pairwise(canaries)
        assert [(late.created.at - soon.settled.at) // HOUR for soon, late in pairs if soon.settled] == [2, 4, 8]


def test_a_person_is_told_once_and_it_half_opens_again_after_the_rest(tmp_path: Path) -> None:
    attempts = {"max": 2, "per": "12h", "pause": "10m", "factor": 1}
    with rig(tmp_path, {**TRANSIENT, "attempts": attempts}, stock=False) as it:
        it.storm(6)
        began = it.sim.now
        it.run(6 * HOUR)
        assert it.states() == [State.INEFFECTIVE] * 2
        (told,) = it.letters("Needs a person")
        assert "2 attempts in 12 h are used up" in told
        assert "scheduler-watchdog revive " in told
        it.run(7 * HOUR)
        third = it.actions[2]
        assert third.created.at - it.actions[0].created.at >= 12 * HOUR
        assert third.created.at - began < 13 * HOUR
        it.run(24 * HOUR)
        assert len(it.letters("Needs a person")) == 1
        assert it.counts.count(("revive", "exhausted")) == 1


def test_it_is_told_again_after_something_had_helped(tmp_path: Path) -> None:
    attempts = {"max": 1, "per": "24h", "pause": "10m", "factor": 1}
    with rig(tmp_path, {**TRANSIENT, "attempts": attempts}, stock=False) as it:
        it.storm(3)
        it.run(4 * HOUR)
        it.agent.usual.clear()
        it.run(30 * HOUR)
        assert it.states().count(State.VERIFIED) >= 2
        it.let(OVERLOADED, *(f"job-{number:02}" for number in range(3)))
        it.run(60 * HOUR)
        assert len(it.letters("Needs a person")) == 2


def test_a_permanent_error_is_never_retried_by_itself(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.storm(3, DENIED)
        before = it.sim.now
        it.run(3 * DAY)
        assert (it.actions, it.runs(before)) == ([], [])


@pytest.mark.parametrize(
    ("error", "wanted", "is_tried"),
    [
        ("Error: 529 overloaded_error", "transient", True),
        ("the moon was in the way", "transient", False),
        ("the moon was in the way", "unknown", True),
        ("Error: 529 overloaded_error", "unknown", False),
    ],
)
def test_a_policy_for_a_class_of_errors_is_for_no_other(
    error: str, wanted: str, is_tried: bool, tmp_path: Path
) -> None:
    with rig(tmp_path, {**REVIVE, "match": {"error_class": wanted, "kind": "failed"}}, stock=False) as it:
        it.fail("one", outcome=Outcome.failing(error))
        it.run(HOUR / 2)
        assert bool(it.actions) is is_tried


PASSING = (
    "Rate limit reached for gpt-4o on tokens per min (TPM): Limit 30000. Please try again in 1.4s. You can increase "
    "your rate limit by adding a payment method at https://platform.openai.com/account/billing."
)
LASTING = (
    "API key not valid. Please pass a valid API key.",
    "An API error occurred: invalid_auth",
    "This organization has been disabled.",
)


@pytest.mark.parametrize(("text", "is_revived"), [(PASSING, True), *((text, False) for text in LASTING)])
def test_what_an_error_says_decides_and_not_the_advice_that_comes_with_it(
    text: str, is_revived: bool, tmp_path: Path
) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.sim.add("base", ("every", 30 * MINUTE))
        it.fail("a", outcome=Outcome.failing(text))
        it.let(Outcome(), "a")
        it.run(5 * HOUR)
        assert it.states() == ([State.VERIFIED] if is_revived else [])


def test_the_first_policy_that_matches_decides(tmp_path: Path) -> None:
    none = {"match": {"job": "PRIVATE-*"}, "action": "none"}
    with rig(tmp_path, none, {**REVIVE, "canary": False}, stock=False) as it:
        it.fail("private-mail", "news")
        it.run(HOUR / 2)
        assert [action.job for action in it.actions] == ["news"]
        assert it.only.policy == "policies[1]"


def test_a_cause_must_have_rested(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "after": "2h"}, stock=False) as it:
        (job_id,) = it.fail("one")
        failed_at = it.sim.now
        it.run(3 * HOUR)
        assert timedelta() <= it.only.created.at - failed_at - 2 * HOUR <= 2 * MINUTE
        assert it.row(job_id)["status"] == "active"


def test_a_new_storm_after_a_proved_one_needs_a_canary_of_its_own(tmp_path: Path) -> None:
    with rig(tmp_path, TRANSIENT, stock=False) as it:
        ids = it.storm(4)
        it.agent.usual.clear()
        it.run(6 * HOUR)
        assert it.states() == [State.VERIFIED] * 4
        it.let(OVERLOADED, *(f"job-{number:02}" for number in range(4)))
        while any(it.row(id_)["status"] != "failed" for id_ in ids):
            it.sleep(MINUTE)
        it.run(HOUR / 2)
        fresh = it.actions[4:]
        assert [action.is_canary for action in fresh] == [True]


def test_a_follower_that_fails_opens_the_circuit_again(tmp_path: Path) -> None:
    policy = {**TRANSIENT, "spacing": "1h", "attempts": {"max": 5, "per": "24h", "pause": "3h", "factor": 1}}
    with rig(tmp_path, policy, stock=False) as it:
        it.storm(5)
        it.run_until(lambda: it.actions)
        it.let(WELL, str(it.only.job))
        it.run_until(lambda: len(it.actions) == 2)
        it.run_until(lambda: it.states() == [State.VERIFIED, State.INEFFECTIVE])
        opened = it.sim.now
        it.agent.usual = {str(it.actions[1].job): OVERLOADED}  # by its own retries it does not come back either
        it.run(2 * HOUR)
        assert len(it.actions) == 2
        it.run(2 * HOUR)
        third = it.actions[2]
        assert third.is_canary
        assert third.created.at - opened >= 2 * HOUR


# each way


WAYS: list[tuple[bool, list[str], str, str]] = [
    (False, ["api"], "api", "the API resumed it"),
    (True, ["api", "pause_resume"], "pause_resume", "left the job failed: this build cannot revive"),
    (True, ["pause_resume", "sql"], "pause_resume", "paused by SQL and resumed by the API"),
    (True, ["sql"], "sql", "set active by SQL"),
]


@pytest.mark.parametrize(("stock", "via", "taken", "words"), WAYS)
def test_each_way_brings_a_job_back(stock: bool, via: list[str], taken: str, words: str, tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": via}, stock=stock) as it:
        it.sim.add("healthy", ("every", 10 * MINUTE))  # so that a timer is armed
        (job_id,) = it.fail("one")
        it.agent.usual.clear()
        it.run(3 * HOUR)
        assert it.states() == [State.VERIFIED]
        assert it.only.way == taken
        assert words in said(it.only)
        row = it.row(job_id)
        assert (row["status"], row["consecutive_errors"], row["last_run_status"]) == ("active", 0, "ok")


def _audit(it: Rig, job_id: str) -> list[tuple[object, ...]]:
    query = "SELECT action, previous_status, new_status, actor FROM scheduler_audit_log WHERE job_id = ? ORDER BY id"
    with closing(sqlite3.connect(it.path)) as connection:
        return connection.execute(query, (job_id,)).fetchall()


def test_the_next_run_set_by_sql_is_the_schedules_own_and_is_audited(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": ["sql"]}, with_api=False) as it:
        (job_id,) = it.fail("one", schedule=("cron", "30 9 * * *", "Europe/Berlin"))
        it.run(HOUR / 2)
        assert str(it.row(job_id)["next_run_at"]).endswith("T07:30:00.000Z")
        assert _audit(it, job_id) == [("revive", "failed", "active", "scheduler-watchdog")]


def test_that_there_is_no_api_is_no_fault_where_nobody_has_asked_for_it(tmp_path: Path) -> None:
    """By SQL alone, as by hand; and it says when the job runs: at the next fire, or when the timer has fired."""
    usual = {key: said_ for key, said_ in REVIVE.items() if key != "via"}
    with rig(tmp_path, usual, with_api=False) as it:
        it.sim.add("healthy", ("every", 10 * MINUTE))
        it.fail("one", schedule=("cron", "30 9 * * *", "Europe/Berlin"))
        it.run(HOUR / 2)
        told = said(it.only)
        assert it.only.way == "sql"
        assert "it did not work" not in told
        assert " 07:30 UTC; the scheduler's timer fires before, so it runs then" in told


def test_a_row_that_is_due_before_the_timer_says_by_when_that_fires(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": ["sql"]}, with_api=False) as it:
        it.sim.add("healthy", ("every", 10 * MINUTE))
        it.fail("one")
        it.run(HOUR / 2)
        assert it.only.acted_at is not None
        by = say(it.only.acted_at + HOUR)
        assert f"it runs then, or later where the scheduler's timer fires only later, by {by} at the latest" in said(
            it.only
        )


def test_sql_works_where_there_is_no_audit_log(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": ["sql"]}, with_api=False) as it:
        (job_id,) = it.fail("one")
        change(it.path, "DROP TABLE scheduler_audit_log")
        it.run(HOUR / 2)
        assert it.row(job_id)["status"] == "active"


def test_the_api_that_dies_after_the_pause_leaves_the_row_exactly_as_it_was(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": ["pause_resume"]}) as it:
        (job_id,) = it.fail("one")
        before = it.row(job_id)
        it.sim.kill()
        it.run(HOUR / 2)
        assert it.states() == [State.FAILED]
        assert it.row(job_id) == before
        assert [entry[:3] for entry in _audit(it, job_id)] == [
            ("revive", "failed", "paused"),
            ("revive_undone", "paused", "failed"),
        ]
        (told,) = it.letters("Did not work: revive of one")
        assert "resume through its scheduler's API it did not work" in told


def test_where_the_api_is_down_the_next_way_is_taken(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": ["api", "pause_resume", "sql"]}) as it:
        (job_id,) = it.fail("one")
        it.sim.kill()
        it.run(HOUR / 2)
        assert it.only.way == "sql"
        assert it.row(job_id)["status"] == "active"


@pytest.mark.parametrize(
    ("behaviour", "words"), [("500", "answered with 500"), ("redirect", "answered with 307"), ("hang", "cut off")]
)
def test_a_misbehaving_api_is_cut_off_and_told(
    behaviour: Any, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # the real short-lived process
    monkeypatch.setattr(phantom_ways, "API_DEADLINE", 1.5 * SECOND)
    with rig(tmp_path, {**REVIVE, "via": ["api"]}, stock=False) as it:
        (job_id,) = it.fail("one")
        it.api.misbehave = behaviour
        before = it.row(job_id)
        it.run(HOUR / 2)
        assert it.states() == [State.FAILED]
        assert it.row(job_id) == before
        (told,) = it.letters("Did not work")
        assert words in told


def test_an_api_that_drips_is_cut_off_and_the_next_way_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(phantom_ways, "API_DEADLINE", 1.5 * SECOND)
    with rig(tmp_path, {**REVIVE, "via": ["api", "sql"]}, stock=False) as it:
        (job_id,) = it.fail("one")
        it.api.misbehave = "drip"
        it.run(HOUR / 2)
        assert it.only.way == "sql"
        assert "it took longer than 2 s and was cut off" in said(it.only)
        assert it.row(job_id)["status"] == "active"


@pytest.mark.parametrize("behaviour", ["500", "redirect", "garbage"])
@pytest.mark.parametrize(("stock", "via"), [(False, "api"), (True, "pause_resume")])
def test_a_resume_that_was_done_and_answered_badly_is_seen_in_the_row(
    stock: bool, via: str, behaviour: Any, tmp_path: Path
) -> None:
    with rig(tmp_path, {**REVIVE, "via": [via, "sql"], "canary": False}, stock=stock) as it:
        it.fail("one")
        it.agent.usual.clear()
        it.run(HOUR)  # from now on there is a cookie
        (job_id,) = it.fail("two")
        it.agent.usual.clear()
        it.api.misbehave = behaviour
        it.run(2 * HOUR)
        second = it.actions[-1]
        assert (second.job, second.state, second.way) == ("two", State.VERIFIED, via)
        assert "but its row is active now" in said(second)
        assert it.row(job_id)["status"] == "active"


def test_a_wrong_token_is_told_and_a_right_one_is_read_afresh(tmp_path: Path) -> None:
    policy = {**REVIVE, "via": ["api"], "attempts": {"max": 3, "per": "24h", "pause": "30m", "factor": 1}}
    with rig(tmp_path, policy, stock=False) as it:
        it.fail("one")
        it.agent.usual.clear()
        it.token_file.write_text("wrong-wrong")
        it.run(HOUR / 2)
        assert "answered with 401: is the token right?" in said(it.only)
        assert "wrong-wrong" not in "".join([said(it.only), *it.letters()])
        it.token_file.write_text(TOKEN)
        it.run(2 * HOUR)
        assert it.states() == [State.FAILED, State.VERIFIED]


def test_a_cookie_that_is_gone_after_a_restart_is_renewed(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": ["api"], "canary": False}, stock=False) as it:
        it.fail("one")
        it.run(HOUR / 2)
        it.sim.restart()
        it.fail("two")
        it.run(HOUR / 2)
        assert [action.job for action in it.actions if action.acted_at] == ["one", "two"]
        paths = [(path.rpartition("/")[2], status) for _, path, status in it.api.requests]
        assert paths == [("login", 200), ("resume", 200), ("resume", 401), ("login", 200), ("resume", 200)]


# heard, or not


@pytest.mark.parametrize("further", ["api", "pause_resume", "restart"])
def test_with_every_job_failed_sql_is_not_heard_and_the_next_way_is_taken(further: str, tmp_path: Path) -> None:
    restarted = tmp_path / "restarted"
    policy = {**REVIVE, "via": ["sql", further], "run": ["touch", str(restarted)]}
    with rig(tmp_path, policy) as it:
        (job_id,) = it.fail("one")
        it.agent.usual.clear()
        it.run(50 * MINUTE)
        assert it.states() == [State.ACTED]
        assert it.row(job_id)["status"] == "active"
        it.run(10 * MINUTE)
        assert "nothing has started: the scheduler has not heard of it; it is tried another way" in said(it.only)
        assert it.only.way == further
        if further == "restart":
            assert restarted.exists()
            it.sim.restart()
        it.run(HOUR)
        assert it.states() == [State.VERIFIED]
        assert it.row(job_id)["last_run_status"] == "ok"


def test_sql_as_the_only_way_is_ineffective_where_nobody_hears_it(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": ["sql"]}) as it:
        it.fail("one")
        it.run(2 * HOUR)
        assert it.states() == [State.INEFFECTIVE]
        (told,) = it.letters("Did not help: revive of one")
        assert "the scheduler has not heard of it" in told


def test_an_armed_timer_gets_its_hour_to_hear_of_it(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": ["sql"]}) as it:
        it.sim.add("daily", ("cron", "0 7 * * *"))
        (job_id,) = it.fail("one", schedule=("every", 10 * MINUTE))
        it.agent.usual.clear()
        it.run(3 * HOUR)
        assert it.states() == [State.VERIFIED]
        assert it.row(job_id)["last_run_status"] == "ok"


def test_a_job_set_active_and_paused_by_the_api_is_put_back_to_active_when_the_resume_fails(tmp_path: Path) -> None:
    """Otherwise it would stay paused, where nobody looks for it."""
    with rig(tmp_path, {**REVIVE, "via": ["sql", "pause_resume"]}) as it:
        (job_id,) = it.fail("one")
        it.run(50 * MINUTE)
        resume = it.sim.resume
        it.sim.resume = lambda *_, **__: resume("nobody")  # type: ignore[method-assign]
        it.run(HOUR)
        assert it.states() == [State.FAILED]
        assert it.row(job_id)["status"] == "active"


def test_a_job_that_could_not_be_put_back_is_told_and_no_other_way_is_tried(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": ["pause_resume", "sql"]}) as it:
        (job_id,) = it.fail("one")

        def edited(*_: object, **__: object) -> Answer:
            change(it.path, "UPDATE scheduled_jobs SET updated_at = '2026-06-10 23:00:00'")
            return Answer(500)

        it.sim.resume = edited  # type: ignore[method-assign]
        it.run(HOUR)
        assert it.states() == [State.FAILED]
        assert it.row(job_id)["status"] == "paused"
        (told,) = it.letters("Did not work: revive of one")
        assert "look at it, and resume it by hand if it is still paused" in told


def test_where_no_process_can_be_started_the_next_way_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    monkeypatch.setattr(phantom_api, "run_child", none_left)
    with rig(tmp_path, {**REVIVE, "via": ["api", "sql"]}, stock=False) as it:
        it.fail("one")
        it.run(HOUR / 2)
        assert it.only.way == "sql"
        assert "API it did not work: the API cannot be asked: Resource temporarily unavailable" in said(it.only)


# never


def test_a_completed_job_is_never_revived(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "match": {}}) as it:
        job_id = it.sim.add("once", ("at", it.now + HOUR))
        it.run(2 * DAY)
        assert it.row(job_id)["status"] == "completed"
        assert it.actions == []
        with pytest.raises(RefusedError, match="once is completed; only a failed job can be revived"):
            list(revive(it.config, it.store, "once", False))


def test_a_one_shot_in_the_past_is_never_revived(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE) as it:
        (job_id,) = it.fail("once", schedule=("at", it.now + HOUR))
        before = it.row(job_id)
        it.run(2 * DAY)
        assert it.actions == []
        with pytest.raises(RefusedError, match=r"once was to run once at .*; that is over, so it is not revived"):
            list(revive(it.config, it.store, "once", False))
        assert it.row(job_id) == before


def test_a_one_shot_whose_time_passes_before_it_is_approved_is_left_alone(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False, mode="propose") as it:
        (job_id,) = it.fail("once", schedule=("every", 20 * MINUTE))
        soon = (it.now + HOUR).isoformat()
        change(it.path, "UPDATE scheduled_jobs SET schedule_kind = 'at', schedule_value = ?", f'{{"at": "{soon}"}}')
        it.run(HOUR / 2)
        it.sleep(HOUR)  # nobody looks; the proposal is still there
        before = it.row(job_id)
        it.records.approve(it.only.id, it.now, "anna")
        it.recoverer._take_approvals(it.stamp())
        it.hand.turn()
        assert it.states() == [State.REFUSED]
        assert "that is over, so nothing was done" in said(it.only)
        assert it.row(job_id) == before


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE scheduled_jobs SET status = 'paused'", "no longer as it was seen"),
        ("UPDATE scheduled_jobs SET schedule_value = '{\"intervalMs\": 7000}'", "no longer as it was seen"),
        ("UPDATE scheduled_jobs SET enabled = 0", "no longer as it was seen"),
        ("DELETE FROM scheduled_jobs", "the row is gone"),
    ],
)
def test_what_somebody_changed_meanwhile_is_left_as_it_is(statement: str, words: str, tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        (job_id,) = it.fail("one")
        it.hand.turn = lambda: False  # type: ignore[method-assign]
        it.run(HOUR / 2)
        assert it.states() == [State.INTENDED]
        change(it.path, statement)
        before = it.row(job_id)
        Executor.turn(it.hand)
        assert it.states() == [State.REFUSED]
        assert words in said(it.only)
        assert it.row(job_id) == before
        assert it.api.requests == []


def test_a_job_that_is_paused_between_the_look_and_the_intent_is_not_revived(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "after": "0s"}, stock=False) as it:
        (job_id,) = it.fail("one")
        published = it.engine.tick(it.now).published
        change(it.path, "UPDATE scheduled_jobs SET status = 'paused'")
        it.recoverer.turn(published, it.stamp())
        assert it.actions == []
        assert it.row(job_id)["status"] == "paused"


def test_a_job_that_is_switched_off_is_not_revived(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        (job_id,) = it.fail("one")
        it.sim.disable(job_id)
        it.run(DAY)
        assert it.actions == []


# proof


@pytest.mark.parametrize(
    ("outcome", "state", "words"),
    [
        (WELL, State.VERIFIED, "its next run ended ok, with tokens"),
        (ZERO, State.INEFFECTIVE, "its next run was recorded as ok, and used no tokens"),
        (OVERLOADED, State.INEFFECTIVE, "its next run ended in an error: Error: 529 overloaded_error"),
    ],
)
def test_only_a_new_recorded_run_with_tokens_is_proof(
    outcome: Outcome, state: State, words: str, tmp_path: Path
) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.fail("one")
        it.let(outcome, "one")
        it.run(20 * MINUTE)
        assert it.states() == [State.ACTED]
        it.run(HOUR)
        assert it.only.state is state
        title = "Verified" if state is State.VERIFIED else "Did not help"
        (told,) = it.letters(f"{title}: revive of one")
        assert words in told
        for step in it.only.steps:
            assert step.what.split(";")[0] in told or step.what == BEING_DONE
        assert it.counts == [("revive", state.value)]


def test_a_clock_that_is_set_back_does_not_hide_the_proof(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.wall = 10 * MINUTE
        it.fail("one", schedule=("every", 5 * MINUTE))
        it.agent.usual.clear()
        it.run_until(lambda: it.actions and it.only.acted_at)
        it.wall = timedelta()
        it.run(HOUR)
        assert it.states() == [State.VERIFIED]


def test_a_run_in_flight_is_waited_for(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.fail("one")
        it.let(Outcome(duration=3 * HOUR), "one")
        it.run(3 * HOUR)
        assert it.states() == [State.ACTED]
        it.run(HOUR)
        assert it.states() == [State.VERIFIED]


def test_a_job_that_is_gone_before_its_proof_is_not_called_a_failure(tmp_path: Path) -> None:
    """A one-shot that deletes itself when it has run."""
    with rig(tmp_path, REVIVE, stock=False) as it:
        (job_id,) = it.fail("once")
        soon = (it.now + HOUR).isoformat()
        change(
            it.path,
            "UPDATE scheduled_jobs SET schedule_kind = 'at', delete_after_run = 1, schedule_value = ? WHERE id = ?",
            f'{{"at": "{soon}"}}',
            job_id,
        )
        it.agent.usual.clear()
        it.run(3 * HOUR)
        assert it.row(job_id) == {}
        assert it.states() == [State.UNKNOWN]
        assert "there is no proof" in it.letters("Not certain: revive of once")[0]
        assert it.swept() == []


def test_where_tokens_are_not_written_anywhere_the_proof_says_so() -> None:
    action = Action(1, Stamp(NOW), "p", "revive", "phantom", "id", "one", "c", State.ACTED, acted_at=NOW)
    run = RecordedRun(NOW + HOUR, "ok")
    job = Job("id", "one", Every(HOUR), last_run=run, zero_streak=None)
    found = verdict(action, Scene(job, Snapshot("phantom", "phantom", (job,)), (), Moment(NOW + HOUR)))
    assert found is not None
    assert found.state is State.VERIFIED
    assert "its tokens are not written anywhere" in found.what


def test_a_job_that_somebody_pauses_before_its_run_is_neither_proof_nor_failure(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        (job_id,) = it.fail("one")
        it.run(20 * MINUTE)
        it.sim.pause(job_id)
        it.run(HOUR)
        assert it.states() == [State.REFUSED]
        assert "somebody has made it paused" in said(it.only)


# restart


WEDGED: dict[str, Any] = {"match": {"kind": "wedged", "scope": "scheduler"}, "action": "restart", "after": "0s"}
_TOUCH = 'import os, sys; open(sys.argv[1], "a").write(os.environ["WATCHDOG_JOB"] + "\\n")'
_FAMILY = "import subprocess, sys, time; subprocess.Popen(['sleep', sys.argv[1]]); time.sleep(float(sys.argv[1]))"


def _wedge(it: Rig, name: str = "stuck") -> str:
    """A run that never comes back holds the slot until the limit is over."""
    job_id = it.sim.add(name, ("every", HOUR))
    it.agent.then(name, Outcome.hanging())
    it.run(HOUR + 245 * MINUTE)
    return job_id


def _writes(path: Path) -> list[str]:
    return [sys.executable, "-c", _TOUCH, str(path)]


@pytest.mark.parametrize("name", ["; rm -rf .", "$(touch pwned)", "`id` && 'x' \"y\" | z"])
def test_a_restart_gets_the_jobs_name_as_data_and_never_as_a_word(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    with rig(tmp_path, {**WEDGED, "run": _writes(out)}) as it:
        _wedge(it, name)
        it.run(5 * MINUTE)
        assert out.read_text() == f"{name}\n"
        assert not (tmp_path / "pwned").exists()
        it.sim.restart()
        it.run(30 * MINUTE)
        assert it.states() == [State.VERIFIED]
        assert "a run has ended since, and the cause is gone" in said(it.only)
        assert "the restart ends the run of " in said(it.only)


def test_a_restart_that_does_not_help_is_told(tmp_path: Path) -> None:
    with rig(tmp_path, {**WEDGED, "run": ["true"], "attempts": {"max": 1, "per": "24h"}}) as it:
        _wedge(it)
        it.run(HOUR)
        assert it.states() == [State.INEFFECTIVE]
        (told,) = it.letters("Did not help: restart of phantom")
        assert "the cause is still there" in told


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ([sys.executable, "-c", "import sys; sys.exit('no such container: phantom')"], "no such container: phantom"),
        (["false"], "false ended with 1: no reason given"),
        (["/nowhere/restart-it"], "/nowhere/restart-it"),
    ],
)
def test_a_command_that_fails_says_why(run: list[str], words: str, tmp_path: Path) -> None:
    with rig(tmp_path, {**WEDGED, "run": run}) as it:
        _wedge(it)
        it.run(5 * MINUTE)
        assert it.states() == [State.FAILED]
        (told,) = it.letters("Did not work: restart of phantom")
        assert words in told


@needs_proc
def test_a_command_is_ended_at_its_deadline_with_all_of_its_processes(tmp_path: Path) -> None:
    mark = f"80000.{time.monotonic_ns()}"  # seconds that nobody else sleeps
    with rig(tmp_path, {**WEDGED, "run": [sys.executable, "-c", _FAMILY, mark], "deadline": "1s"}) as it:
        _wedge(it)
        it.run(5 * MINUTE)
        assert "took longer than 1 s and was ended" in said(it.only)
        until(lambda: not _processes_with(mark), "its processes are gone")


def _processes_with(word: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            if entry.name.isdigit() and word.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                found.append(entry.name)
    return found


@needs_proc
def test_what_a_command_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    mark = f"600.{time.monotonic_ns()}"  # seconds that nobody else sleeps
    leaves = "import subprocess, sys; subprocess.Popen(['sleep', sys.argv[1]])"
    with rig(tmp_path, {**WEDGED, "run": [sys.executable, "-c", leaves, mark], "deadline": "60s"}) as it:
        _wedge(it)
        it.run(5 * MINUTE)
        assert it.states() == [State.ACTED]
        (left,) = _processes_with(mark)
        os.kill(int(left), signal.SIGKILL)


@pytest.mark.parametrize(("answer", "state"), [(204, State.ACTED), (503, State.FAILED), (302, State.FAILED)])
def test_a_restart_by_a_call(answer: int, state: State, httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/restart", method="PUT").respond_with_data(status=answer)
    call = {"url": httpserver.url_for("/restart"), "method": "PUT"}
    with rig(tmp_path, {**WEDGED, "call": call}) as it:
        _wedge(it)
        it.run(5 * MINUTE)
        assert it.only.state is state
        assert len(httpserver.log) == 1


def _times(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_restarts_latch_at_their_limit_and_half_open_after_the_rest(tmp_path: Path) -> None:
    out = tmp_path / "out"
    attempts = {"max": 2, "per": "6h", "pause": "10m", "factor": 1}
    with rig(tmp_path, {**WEDGED, "run": _writes(out), "attempts": attempts}) as it:
        _wedge(it)
        it.run(5 * HOUR)
        assert _times(out) == 2
        (told,) = it.letters("Needs a person: phantom")
        assert "restart the agent by hand" in told
        it.run(80 * MINUTE)
        assert _times(out) == 3
        it.run(16 * HOUR)
        assert _times(out) == 4  # the day's limit
        it.run(24 * HOUR)
        assert _times(out) == 8
        assert len(it.letters("Needs a person: phantom")) == 1


@pytest.mark.parametrize("jump", [DAY, 400 * DAY, -DAY, -400 * DAY])
def test_no_jump_of_the_clock_and_no_restart_of_the_watchdog_makes_a_restart_loop(
    jump: timedelta, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    attempts = {"max": 1, "per": "1h", "pause": "1m", "factor": 1}
    with rig(tmp_path, {**WEDGED, "run": _writes(out), "attempts": attempts}) as it:
        _wedge(it)
        it.run(5 * MINUTE)
        assert _times(out) == 1
        for _ in range(6):
            it.wall += jump
            it.reboot()
            it.run(5 * MINUTE)
        assert _times(out) == 1
        it.wall = timedelta()
        it.reboot()
        it.run(DAY)
        assert 2 <= _times(out) <= 5


def test_restarts_of_all_policies_count_against_one_limit(tmp_path: Path) -> None:
    """Three jobs that nobody hears, each of which may come to a restart, and a wedge beside them."""
    out = tmp_path / "out"
    more = {"run": _writes(out), "attempts": {"max": 9, "per": "24h", "pause": "1m", "factor": 1, "per_day": 2}}
    one = {**REVIVE, "via": ["sql", "restart"], "canary": False, "after": "0s", **more}
    with rig(tmp_path, one) as it:
        it.fail(*"abcdef", schedule=("every", 10 * MINUTE))
        it.run(6 * HOUR)
        assert _times(out) == 2
        assert "its 2 restarts in 1 d are used up" in "".join(map(said, it.actions))


def test_before_a_restart_what_it_would_destroy_is_kept_and_told(tmp_path: Path) -> None:
    with rig(tmp_path, {**WEDGED, "run": ["true"]}) as it:
        (old,) = it.fail("old")
        it.sim.add("mail", ("every", HOUR))
        change(it.path, "UPDATE scheduled_jobs SET updated_at = '2026-05-01 10:00:00' WHERE id = ?", old)
        it.agent.then("mail", Outcome(delivery_hangs=True))
        policy = {**WEDGED, "match": {"kind": "unrecorded"}, "run": ["true"], "attempts": {"max": 1, "per": "24h"}}
        it.reconfigure(policies=[policy])
        it.run(2 * HOUR)
        assert "the restart sweeps old, due since 2026-05-31 00:00 UTC; its definition is kept: " in said(it.only)
        assert f"scheduler-watchdog restore {old}" in said(it.only)
        assert "the restart runs mail again: its run that ended at " in said(it.only)
        assert it.kept()["old"].row == it.row(old)
        (told,) = it.letters("restart of phantom")
        assert "the restart sweeps old" in told


def test_a_proposed_restart_says_what_it_would_destroy(tmp_path: Path) -> None:
    with rig(tmp_path, {**WEDGED, "run": ["true"]}, mode="propose") as it:
        (old,) = it.fail("old")
        change(it.path, "UPDATE scheduled_jobs SET updated_at = '2026-05-01 10:00:00' WHERE id = ?", old)
        _wedge(it)
        it.run(5 * MINUTE)
        (told,) = it.letters("Proposed: restart phantom")
        assert "the restart sweeps old, due since 2026-05-31 00:00 UTC" in told
        assert "the restart ends the run of stuck" in told
        assert f"scheduler-watchdog approve {it.only.id}" in told


def test_a_revival_that_came_to_a_restart_uses_up_no_other_budget_of_its_job(tmp_path: Path) -> None:
    attempts = {"max": 9, "per": "24h", "pause": "1m", "factor": 1, "per_day": 1}
    policy = {**REVIVE, "via": ["sql", "restart"], "run": ["true"], "after": "0s", "attempts": attempts}
    with rig(tmp_path, policy) as it:
        (job_id,) = it.fail("one", schedule=("every", 10 * MINUTE))
        for _ in range(3):
            it.run(2 * HOUR)
            change(it.path, "UPDATE scheduled_jobs SET status = 'failed' WHERE id = ?", job_id)
        it.run(HOUR)
        assert len(it.actions) >= 3
        assert sum("restart" in (action.kind, action.way) for action in it.actions) == 1


# modes


def _file(path: Path) -> list[tuple[bytes, int]]:
    there = [path.with_name(path.name + end) for end in ("", "-wal")]
    return [(one.read_bytes(), one.stat().st_mtime_ns) for one in there if one.exists()]


def test_observe_says_once_what_it_would_do_and_never_changes_a_byte(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "watchdog")
    expiring = {"match": {"kind": "expiring"}, "action": "preserve", "postpone": True}
    with rig(tmp_path, {**REVIVE, "match": {"kind": "failed"}}, expiring, mode="observe", stock=False) as it:
        names = [f"job-{number}" for number in range(5)]
        for name in names:
            it.sim.add(name, ("every", 20 * MINUTE))
        it.let(OVERLOADED, *names)
        end = it.sim.now + 3 * DAY
        while it.sim.now < end:
            it.sleep(10 * MINUTE)
            before = _file(it.path)
            it.step()
            assert _file(it.path) == before
        said_so = [record.getMessage() for record in caplog.records if "would" in record.getMessage()]
        assert len(said_so) == 1
        assert said_so[0].startswith("would revive job-")
        assert it.actions == []
        assert it.api.requests == []
        assert {it.row(kept.job_id)["name"] for kept in it.kept().values()} == set(names)


def test_observe_says_it_again_for_the_next_outage(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "watchdog")
    with rig(tmp_path, REVIVE, mode="observe", stock=False) as it:
        for _ in range(2):
            (job_id,) = it.fail(f"job-{it.sim.now:%d-%H-%M}")
            it.run(HOUR)
            it.sim.delete(job_id)
            it.run(HOUR)
        assert len([record for record in caplog.records if "would revive" in record.getMessage()]) == 2


def test_what_is_proposed_is_done_when_a_person_approves_it(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, mode="propose", stock=False) as it:
        (job_id,) = it.fail("one")
        before = it.row(job_id)
        it.agent.usual.clear()
        it.run(6 * HOUR)
        assert it.states() == [State.PROPOSED]
        assert (it.row(job_id), it.api.requests) == (before, [])
        (told,) = it.letters("Proposed: revive one")
        assert f"scheduler-watchdog approve {it.only.id}" in told
        done = command("approve", "--state", tmp_path / "state.db", str(it.only.id))
        assert (done.returncode, done.stderr) == (0, "")
        assert "approved: revive of one" in done.stdout
        it.run(HOUR)
        assert it.states() == [State.VERIFIED]
        assert "approved by " in said(it.only)
        again = command("approve", "--state", tmp_path / "state.db", str(it.only.id))
        assert (again.returncode, len(again.stderr.splitlines())) == (3, 1)


def test_a_proposal_whose_cause_is_gone_is_withdrawn(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, mode="propose", stock=False) as it:
        (job_id,) = it.fail("one")
        it.run(HOUR / 2)
        it.sim.resume(job_id, force=True)
        it.run(MINUTE)
        assert it.states() == [State.REFUSED]
        it.run(10 * HOUR)  # it failed again
        assert it.states() == [State.REFUSED, State.PROPOSED]


def test_what_has_become_of_it_is_told_once_over_restarts_of_the_watchdog(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.fail("one")
        it.agent.usual.clear()
        it.run(20 * MINUTE)
        it.reboot()
        it.run(HOUR)
        for _ in range(3):
            it.reboot()
            it.run(HOUR)
        assert len(it.letters()) == 1
        assert it.counts == [("revive", "verified")]


def test_a_step_with_nothing_new_and_nothing_due_does_nothing(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE) as it:
        it.fail("one", outcome=DENIED)
        it.run(HOUR)
        published = it.engine.tick(it.now).published
        first = it.recoverer.turn(published, it.stamp())
        assert it.recoverer.turn(published, it.stamp()) is first


def test_a_state_file_that_cannot_be_written_does_not_end_the_loop(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be written is kept in memory meanwhile, and that is said once."""
    with rig(tmp_path, REVIVE, mode="observe") as it:
        it.fail("one")
        it.run(HOUR)
        station = RecoveryService(it.config, it.store, it._announce, lambda *_: None, WallClock())
        it.store.database.execute("ALTER TABLE actions RENAME TO gone")
        published = it.engine.tick(it.now).published
        assert station.turn(published) == station.turn(published) == ()
        words = [
            record.getMessage() for record in caplog.records if "goes on in memory until it can" in record.getMessage()
        ]
        assert len(words) == 1


# probes


def test_a_probe_that_is_not_well_keeps_the_canary_back(httpserver: HTTPServer, tmp_path: Path) -> None:
    status = {"now": 503}
    httpserver.expect_request("/status").respond_with_handler(lambda _: Response(status=status["now"]))
    check = {"http": httpserver.url_for("/status")}
    attempts = {"max": 1, "per": "24h"}
    with rig(tmp_path, {**REVIVE, "check": check, "attempts": attempts}, stock=False) as it:
        (job_id,) = it.fail("one")
        before = it.row(job_id)
        it.agent.usual.clear()
        it.run(2 * HOUR)
        assert set(it.states()) == {State.REFUSED}
        assert len(httpserver.log) <= 24  # no more often than every five minutes
        assert (it.row(job_id), it.letters()) == (before, [])
        status["now"] = 200
        it.run(2 * HOUR)
        assert it.states()[-1] is State.VERIFIED


def test_it_waits_until_another_job_has_succeeded(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "check": {"other_succeeded": True}}, stock=False) as it:
        it.sim.add("other", ("every", 50 * MINUTE))
        it.let(OVERLOADED, "other")
        it.fail("one", schedule=("every", 10 * MINUTE))
        it.sim.add("healthy", ("cron", "0 22 * * *"))
        it.run(4 * HOUR)
        assert it.actions == []
        it.run(6 * HOUR)
        (action,) = [action for action in it.actions if action.job == "one"]
        assert action.created.at.hour == 22


def test_a_refusal_by_the_probe_does_not_shorten_the_pauses(httpserver: HTTPServer, tmp_path: Path) -> None:
    answers = [200, 503, 200, 503, 200, *[503] * 500]
    httpserver.expect_request("/status").respond_with_handler(lambda _: Response(status=answers.pop(0)))
    attempts = {"max": 9, "per": "7d", "pause": "1h", "factor": 2}
    check = {"http": httpserver.url_for("/status")}
    with rig(tmp_path, {**REVIVE, "check": check, "attempts": attempts}, stock=False) as it:
        it.storm(4)
        it.run(8 * HOUR)
        tried = [action for action in it.actions if action.state is State.INEFFECTIVE]
        assert [(late.created.at - soon.created.at) // HOUR for soon, late in pairwise(tried)] == [1, 2]


def test_what_was_in_vain_in_an_earlier_outage_does_not_lengthen_the_pauses_of_the_next(tmp_path: Path) -> None:
    attempts = {"max": 9, "per": "24h", "pause": "1h", "factor": 4}
    with rig(tmp_path, {**REVIVE, "attempts": attempts}, stock=False) as it:
        it.storm(3)
        it.run(6 * HOUR)
        assert it.states() == [State.INEFFECTIVE] * 3
        it.agent.usual.clear()
        it.run(4 * DAY)
        assert it.states()[-1] is State.VERIFIED
        it.let(OVERLOADED, *(f"job-{number:02}" for number in range(3)))
        it.run(DAY)
        fresh = [action for action in it.actions if action.created.at > it.now - DAY]
        assert fresh[1].created.at - fresh[0].created.at < 12 * HOUR


# budgets


def test_budgets_hold_over_restarts_of_the_watchdog(tmp_path: Path) -> None:
    attempts = {"max": 2, "per": "24h", "pause": "1h", "factor": 1}
    with rig(tmp_path, {**REVIVE, "attempts": attempts}, stock=False) as it:
        it.storm(4)
        for _ in range(40):
            it.reboot()
            it.run(30 * MINUTE)
        assert it.states() == [State.INEFFECTIVE] * 2
        assert len(it.letters("Needs a person")) == 1


@pytest.mark.parametrize("jump", [2 * DAY, 400 * DAY])
def test_a_clock_that_jumps_ahead_does_not_renew_a_budget(jump: timedelta, tmp_path: Path) -> None:
    attempts = {"max": 1, "per": "24h", "pause": "1h", "factor": 1}
    with rig(tmp_path, {**REVIVE, "attempts": attempts}, stock=False) as it:
        it.storm(3)
        it.run(HOUR)
        assert it.states() == [State.INEFFECTIVE]
        it.wall = jump
        it.run(12 * HOUR)
        assert len(it.actions) == 1


def test_a_clock_that_was_set_back_by_a_year_does_not_lock_a_budget_for_a_year(tmp_path: Path) -> None:
    attempts = {"max": 1, "per": "24h", "pause": "1h", "factor": 1}
    with rig(tmp_path, {**REVIVE, "attempts": attempts}, stock=False) as it:
        it.wall = 365 * DAY
        it.storm(3)
        it.run(HOUR)
        assert len(it.actions) == 1
        it.wall = timedelta()
        it.run(30 * HOUR)
        assert len(it.actions) == 2


def test_refusals_do_not_push_attempts_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records_module, "REMEMBERED", 10)
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.fail("one")
        it.run(HOUR)
        attempt = it.only
        for _ in range(30):
            it.records.add(replace(attempt, state=State.REFUSED))
        assert attempt.id in [action.id for action in it.records.actions()]


# definitions


def test_the_whole_row_is_kept_as_soon_as_a_job_has_failed(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        (job_id,) = it.fail("one")
        it.run(MINUTE)
        kept = it.kept()["one"]
        assert kept.row == it.row(job_id)
        assert kept.row["task"] == "a task"
        assert kept.sweep_at is not None
        assert kept.sweep_at - it.now > 29 * DAY


def test_a_policy_may_postpone_the_sweep(tmp_path: Path) -> None:
    policy = {"match": {"kind": "expiring"}, "action": "preserve", "postpone": True}
    with rig(tmp_path, policy) as it:
        (job_id,) = it.fail("one")
        it.run(22 * DAY)
        assert it.states() == []
        it.run(2 * DAY)
        assert it.states() == [State.VERIFIED]
        assert "its sweep was moved off by thirty days" in said(it.only)
        assert str(it.row(job_id)["updated_at"]) >= "2026-07-03"
        it.run(10 * DAY)
        it.sim.restart()
        assert it.row(job_id)["status"] == "failed"


def test_a_failed_row_that_is_swept_is_told_with_the_command_that_restores_it(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        (job_id,) = it.fail("one")
        before = it.row(job_id)
        it.run(31 * DAY)
        it.sim.restart()
        it.run(HOUR)
        (found,) = it.swept()
        assert found.job == "one"
        assert f"scheduler-watchdog restore {job_id}" in found.summary
        messages = [entry.message["text"] for entry in it.store.waiting()]
        assert any(f"scheduler-watchdog restore {job_id}" in text for text in messages)
        restored = command("restore", "-c", tmp_path / "watchdog.yaml", "one")
        assert (restored.returncode, restored.stderr) == (0, "")
        assert it.row(job_id) == before
        it.run(HOUR)
        assert it.swept() == []


def test_a_failed_job_that_is_deleted_by_hand_is_not_told_as_swept(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        (job_id,) = it.fail("one")
        it.run(HOUR)
        it.sim.delete(job_id)
        it.run(HOUR)
        assert it.swept() == []


def test_a_job_that_lives_again_and_is_then_deleted_is_not_told_as_swept(tmp_path: Path) -> None:
    """The agent's own tool deletes without a word in the audit log; so does a one-shot that deletes itself."""
    with rig(tmp_path, stock=False) as it:
        (job_id,) = it.fail("one")
        it.run(HOUR)
        it.sim.resume(job_id, force=True)
        it.run(MINUTE)
        change(it.path, "DELETE FROM scheduled_jobs")
        it.run(HOUR)
        assert it.swept() == []


def test_the_sweep_of_the_recording_is_told_for_the_right_instant_and_every_job_can_be_restored(
    tmp_path: Path,
) -> None:
    _swept_and_restored(rebuilt("storm-sweep-tonight", tmp_path), tmp_path)


@pytest.mark.skipif(not SHARED.exists(), reason="the folder shared/recordings is not beside this project")
def test_the_sweep_of_the_recording_itself_can_be_undone_too(tmp_path: Path) -> None:
    path = tmp_path / "storm.db"
    path.write_bytes((SHARED / "storm-sweep-tonight.db").read_bytes())
    _swept_and_restored(path, tmp_path)


def _swept_and_restored(path: Path, folder: Path) -> None:
    now, midnight = parse_instant(recording("storm-sweep-tonight")["now"]), datetime(2026, 6, 4, tzinfo=UTC)
    config = Config.validated({"sources": [{"database": str(path)}], "state": str(folder / "state.db")})
    query = "SELECT * FROM scheduled_jobs WHERE status = 'failed' ORDER BY id"
    with closing(sqlite3.connect(path)) as connection, closing(Store(folder / "state.db")) as store:
        connection.row_factory = sqlite3.Row
        before = [dict(row) for row in connection.execute(query)]
        engine, recoverer = Engine(config), Recoverer(config, Records(store), lambda *_: None, lambda *_: None)
        published = engine.tick(now).published
        recoverer.turn(published, Stamp(now))
        told = {finding.evidence["sweep_at"] for finding in published.findings if finding.kind == "expiring"}
        assert told == {midnight}
        with Simulator(path, midnight - SECOND):
            assert len(connection.execute(query).fetchall()) == len(before)
        with Simulator(path, midnight + SECOND):
            assert connection.execute(query).fetchall() == []
        later = midnight + 2 * SECOND
        found = recoverer.turn(engine.tick(later).published, Stamp(later)).findings
        assert {finding.job_id for finding in found} == {str(row["id"]) for row in before}
        for row in before:
            list(restore(config, store, str(row["id"]), False))
        assert [dict(row) for row in connection.execute(query)] == before


# by hand


def _told(*arguments: str | Path) -> tuple[int, str, list[str]]:
    done = command(*arguments)
    return done.returncode, done.stdout, done.stderr.splitlines()


def test_a_run_that_holds_the_slot_is_named_where_the_next_run_of_what_is_revived_is_promised(tmp_path: Path) -> None:
    rows = outage("news")
    rows["scheduled_jobs"].append(job_row("busy", next_run_at="2026-06-10T11:59:00.000Z"))
    rows["sessions"].append(session_row("id-busy", "2026-06-10 11:59:03"))
    path = build(tmp_path / "phantom.db", rows)
    config, store = Config(sources=(Phantom(name="agent", database=path),)), Store(None)
    held = ", but not before the run of busy ends, which holds the slot since 2026-06-10 11:59:03 UTC"
    with closing(store):
        assert planned(config, "agent", "id-news").endswith(held)
        assert list(revive(config, store, "news", False))[-1].endswith(f"{held}; a running watchdog tells.")


def test_jobs_of_one_name_are_told_apart_and_not_told_what_was_done_about_each_other(tmp_path: Path) -> None:
    sources = []
    for name in ("one", "two"):
        rows = outage()
        rows["scheduled_jobs"][0]["id"] = f"id-{name}"
        sources.append(Phantom(name=name, database=build(tmp_path / f"{name}.db", rows)))
    config, store = Config(sources=tuple(sources)), Store(None)
    both = "there are 2 jobs 'heartbeat'; give the id: id-one (one), id-two (two)"
    with closing(store):
        list(revive(config, store, "id-one", False))
        with pytest.raises(RefusedError, match=f"^{re.escape(both)}$"):
            list(revive(config, store, "heartbeat", True))
        with pytest.raises(RefusedError, match="It was brought back at"):
            list(revive(config, store, "id-one", True))
        (done,) = Records(store).actions()
        Records(store).add(replace(done, kind="restart", source="two", job_id="id-inbox", job="inbox"))
        with pytest.raises(RefusedError, match=r"only a failed job can be revived$"):
            list(revive(Config(sources=config.sources[1:]), store, "inbox", True))


def test_by_hand_a_dry_run_changes_nothing_and_the_real_one_is_verified_by_the_service(tmp_path: Path) -> None:
    later = datetime.now(UTC) + HOUR
    with rig(tmp_path, mode="observe", stock=False) as it:
        (job_id,) = it.fail("one")
        before, config = _file(it.path), tmp_path / "watchdog.yaml"
        code, out, err = _told("revive", "-c", config, "one", "--dry-run")
        assert (code, err, it.actions, _file(it.path)) == (0, [], [], before)
        assert out.startswith(
            "would revive one through its scheduler's API, else by a pause, and a resume through its scheduler's API, "
            "else by writing the job's row in its scheduler's database; its next run would be at "
        )
        it.sim.run_until(later)  # the command goes by the machine's clock
        code, out, err = _told("revive", "-c", config, job_id)
        assert (code, err) == (0, [])
        assert "the API resumed it, and says that it is active" in out
        it.agent.usual.clear()
        it.run(2 * HOUR)
        assert it.states() == [State.VERIFIED]
        assert it.letters("Verified: revive of one")
        assert "done and verified" in _told("recoveries", "--state", tmp_path / "state.db")[1]
        code, out, err = _told("recoveries", "--state", tmp_path / "state.db", "--format", "json")
        (plain,) = json.loads(out)["recoveries"]
        assert (plain["job"], plain["state"], plain["policy"]) == ("one", "verified", "by hand")
        assert plain["why"] == "asked for by hand"
        assert [step["what"] for step in plain["steps"]][1:3] == ["trying it through its scheduler's API", "being done"]
        code, out, err = _told("revive", "-c", config, "one")
        assert (code, out, len(err)) == (3, "", 1)
        assert re.search(
            r"one is active, and its next run is at .*It was brought back at .* and it has run well", err[0]
        )


class _Ticking(WallClock):
    """A clock that goes on by a tenth of a second each time it is asked, from just before a new second."""

    def __init__(self, begun: datetime) -> None:
        self._next = begun.replace(microsecond=750_000)

    def stamp(self) -> Stamp:
        at, self._next = self._next, self._next + SECOND / 10
        return Stamp(at)


def test_by_hand_what_is_asked_for_and_done_at_once_has_one_instant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, mode="observe", with_api=False) as it:
        it.fail("one")
        begun, clock = it.now, _Ticking(it.now)
        monkeypatch.setattr("watchdog.recovery.by_hand.WallClock", lambda: clock)
        *steps, last = revive(it.config, it.store, "one", False)
        assert len(steps) == 3
        assert {line.split("  ")[0] for line in steps} == {say(begun.replace(microsecond=0))}
        assert last.startswith("one is active. ")
        assert {step.at for step in it.only.steps} == {it.only.created.at} == {it.only.acted_at}


def test_what_takes_longer_has_instants_of_its_own() -> None:
    begun = Stamp(NOW)
    seen = iter([NOW, NOW + SECOND / 2, NOW + SECOND, NOW + 9 * SECOND])
    clock = as_one(begun, lambda: Stamp(next(seen)))
    assert [clock().at for _ in range(4)] == [NOW, NOW, NOW + SECOND, NOW + 9 * SECOND]


def test_by_hand_errors_are_one_line_with_exit_code_3(tmp_path: Path) -> None:
    with rig(tmp_path, mode="observe") as it:
        it.sim.add("well", ("every", HOUR))
        (failed,) = it.fail("one")
        it.run(MINUTE)
        config = tmp_path / "watchdog.yaml"
        wrong: list[tuple[str, str, str]] = [
            ("revive", "nobody", "there is no job 'nobody' (name or id); `scheduler-watchdog jobs"),
            ("revive", "wel", "there is no job 'wel'; is 'well' meant?"),
            ("revive", "el", "there is no job 'el'; is 'well' meant?"),
            (
                "revive",
                "well",
                "well is active, and due since 2026-06-10 14:05 UTC (if something keeps it, `scheduler-watchdog check",
            ),
            ("restore", "nobody", "no definition of 'nobody' is kept"),
            ("restore", "one", "is there already"),
            ("approve", "7", "no recovery 7 waits for approval"),
        ]
        before = it.row(failed)
        for verb, what, words in wrong:
            code, out, err = _told(verb, "-c", config, what)
            assert (code, out, len(err)) == (3, "", 1)
            assert words in err[0]
        assert it.row(failed) == before


def test_by_hand_a_job_that_only_its_own_scheduler_can_bring_back_is_not_called_unknown(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as database, database:
        database.execute("CREATE TABLE jobs (id, name)")
        database.execute("INSERT INTO jobs VALUES (1, 'report')")
    section = {"kind": "sql", "name": "pg", "database": str(tmp_path / "jobs.db"), "jobs": "SELECT id, name FROM jobs"}
    config = tmp_path / "watchdog.yaml"
    config.write_text(json.dumps({"sources": [section], "state": str(tmp_path / "state.db")}))
    code, out, (line,) = _told("revive", "-c", config, "report")
    assert (code, out) == (3, "")
    assert line.endswith("nothing can be done about report of pg from here: its scheduler's own tools can")
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as database, database:
        database.execute("INSERT INTO jobs VALUES (2, 'report-a'), (3, 'report-b')")
    for word in ("report-", "report-*"):
        _, _, (line,) = _told("revive", "-c", config, word)
        assert line.endswith(f"there is no job {word!r}; give the whole name: 'report-a', 'report-b'"), line
    _, _, (line,) = _told("revive", "-c", config, "raport")
    assert line.endswith("there is no job 'raport'; is 'report' meant?")


def test_restoring_with_a_dry_run_says_what_would_come_back(tmp_path: Path) -> None:
    with rig(tmp_path, mode="observe") as it:
        (job_id,) = it.fail("one")
        it.run(MINUTE)
        change(it.path, "DELETE FROM scheduled_jobs")
        code, out, err = _told("restore", "-c", tmp_path / "watchdog.yaml", "one", "--dry-run")
        assert (code, err, it.row(job_id)) == (0, [], {})
        assert out.startswith("would put one back as it was on 2026-06-10")


def test_by_hand_a_job_that_cannot_be_revived_says_each_step(tmp_path: Path) -> None:
    with rig(tmp_path, mode="observe", with_api=False) as it:
        it.fail("one")
        locked = sqlite3.connect(it.path, isolation_level=None)
        locked.execute("BEGIN IMMEDIATE")
        try:
            code, out, err = _told("revive", "-c", tmp_path / "watchdog.yaml", "one")
        finally:
            locked.close()
        assert (code, len(err)) == (3, 1)
        assert "one was not revived: nothing that may be tried has worked" in err[0]
        assert "is locked" in out


def test_of_a_job_that_was_brought_back_its_next_run_is_waited_for_before_anything_else(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.fail("one")
        it.agent.usual.clear()
        it.run_until(lambda: State.ACTED in it.states())
        it.run(MINUTE)
        advised = of_incident(it.store.ledger().incidents[1], it.config, "phantom")
        assert advised.words.startswith("It was brought back, and its next run shows whether that has helped.")
        it.run_until(lambda: State.VERIFIED in it.states())
        it.run(MINUTE)
        assert "brought back" not in of_incident(it.store.ledger().incidents[1], it.config, "phantom").words
        with pytest.raises(ValueError, match="incident 1 is clear: none of its jobs has to be brought back"):
            jobs_of(it.store, 1)


def test_what_a_scheduler_that_is_gone_has_not_begun_is_left_open_for_a_day(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.fail("one")
        it.agent.usual.clear()
        it.run_until(lambda: State.ACTED in it.states())
        it.sim.kill()
        it.run(20 * HOUR)
        assert it.states() == [State.ACTED]
        it.run(5 * HOUR)
        assert it.states() == [State.FAILED]


def test_what_a_scheduler_that_was_gone_or_that_slept_has_not_begun_is_no_failure(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.fail("one")
        it.agent.usual.clear()
        it.run_until(lambda: State.ACTED in it.states())
        it.sim.kill()
        it.run(5 * HOUR)
        it.sim.start()
        it.suspend(3 * HOUR)
        it.run(HOUR)
        assert it.states() == [State.VERIFIED]


def test_a_revival_by_hand_that_nobody_hears_is_told_in_mode_observe_too(tmp_path: Path) -> None:
    with rig(tmp_path, mode="observe", stock=False, with_api=False) as it:
        it.fail("one")
        it.sim.drop_timer()
        list(revive(it.config, it.store, "one", False))
        it.sim.run_until(max(it.sim.now, datetime.now(UTC)))
        it.run(2 * HOUR)
        assert it.states() == [State.INEFFECTIVE]
        assert it.letters("Did not help: revive of one")
