"""What a policy may do rests on what is so now, and what it did is called helpful only where work shows it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import command
from tests.support.harness import DAY, HOUR, MINUTE, SECOND, START
from tests.support.recovering import OVERLOADED, REVIVE, ZERO, Rig, in_this_process, rig, said
from watchdog.core.action import State
from watchdog.core.model import Every, Job, RecordedRun, RunEnd, Totals, ZeroStreak
from watchdog.demo.outcome import Outcome
from watchdog.recovery import restart as restart_module
from watchdog.recovery.verify import is_proof
from watchdog.systems.shared.command import Ran

RESTART: dict[str, Any] = {"action": "restart", "run": ["true"], "after": "15m"}
STALLED = {**RESTART, "match": {"kind": "stalled"}}
WEDGED = {**RESTART, "match": {"kind": "wedged"}}
SCHEDULER = {**RESTART, "match": {"scope": "scheduler"}}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    in_this_process(monkeypatch)


def three(it: Rig) -> None:
    for number in range(3):
        it.sim.add(f"job{number}", ("every", 30 * MINUTE))


def staggered(it: Rig, duration: timedelta = MINUTE) -> list[str]:
    """Four jobs that are due one minute apart."""
    it.let(Outcome(duration=duration), *[f"job{number}" for number in range(4)])
    return [it.sim.add(f"job{number}", ("every", (20 + number) * MINUTE)) for number in range(4)]


def restarts_for_real(it: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policy's command restarts the simulated scheduler."""

    def run(*_: object) -> Ran:
        it.sim.restart()
        return Ran()

    monkeypatch.setattr(restart_module, "run", run)


# the rest


def a_night_off(it: Rig) -> None:
    """Two hours with three jobs; then the machine sleeps for eight, and the watchdog comes up alone."""
    three(it)
    it.run(2 * HOUR)
    it.sim.kill()
    it.sleep(8 * HOUR)
    it.reboot()


def test_after_a_night_off_nothing_is_restarted_at_the_first_look(tmp_path: Path) -> None:
    with rig(tmp_path, SCHEDULER) as it:
        a_night_off(it)
        it.run(14 * MINUTE)
        assert it.actions == []
        it.run(2 * MINUTE)
        assert len(it.actions) == 1


def test_a_scheduler_that_comes_up_after_the_watchdog_is_left_alone(tmp_path: Path) -> None:
    with rig(tmp_path, SCHEDULER) as it:
        a_night_off(it)
        it.run(10 * SECOND)
        it.sim.start()
        it.run(3 * HOUR)
        assert it.actions == []


def test_time_that_nobody_lived_through_is_no_rest(tmp_path: Path) -> None:
    with rig(tmp_path, STALLED) as it:
        three(it)
        it.run(2 * HOUR)
        it.sim.kill()
        it.run_until(lambda: it.published.findings)
        it.run(5 * MINUTE)
        it.suspend(8 * HOUR)
        it.run(9 * MINUTE)
        assert it.actions == []
        it.run(20 * MINUTE)
        assert len(it.actions) == 1


def test_a_host_that_slept_with_a_run_in_flight_restarts_nothing(tmp_path: Path) -> None:
    with rig(tmp_path, {**WEDGED, "match": {"kind": "wedged", "scope": "scheduler"}}) as it:
        it.sim.add("job", ("every", 30 * MINUTE))
        it.sim.add("other", ("every", 3 * HOUR))
        it.let(Outcome(duration=5 * MINUTE), "job")
        it.run(29 * MINUTE)
        it.run_until(lambda: it.sim.slot_held)
        it.suspend(8 * HOUR)
        it.run(DAY / 4)
        assert it.actions == []


# once more, the moment before


def test_approved_a_day_later_a_healthy_agent_is_not_restarted(tmp_path: Path) -> None:
    with rig(tmp_path, STALLED, mode="propose") as it:
        three(it)
        it.run(2 * HOUR)
        it.sim.kill()
        it.run(3 * HOUR)
        assert it.states() == [State.PROPOSED]
        it.sim.start()
        it.sleep(20 * HOUR)  # the watchdog is off meanwhile
        it.records.approve(1, it.now, "anna")
        it.reboot()
        it.step()
        assert it.states() == [State.REFUSED]


def test_an_approval_is_for_the_cause_that_it_was_given_for(tmp_path: Path) -> None:
    with rig(tmp_path, SCHEDULER, mode="propose") as it:
        three(it)
        it.run(2 * HOUR)
        it.sim.kill()
        it.run(3 * HOUR)
        assert it.states() == [State.PROPOSED]
        it.records.save(replace(it.only, about="unrecorded"))  # as if it had been proposed for that
        it.records.approve(1, it.now, "anna")
        it.step()
        assert it.states()[0] is State.REFUSED
        assert "its cause is another one now (stalled)" in said(it.actions[0])


def test_what_a_person_approves_while_it_is_so_is_done_at_once(tmp_path: Path) -> None:
    with rig(tmp_path, STALLED, mode="propose") as it:
        three(it)
        it.run(2 * HOUR)
        it.sim.kill()
        it.run(3 * HOUR)
        it.records.approve(1, it.now, "anna")
        it.reboot()
        it.step()
        assert it.states() == [State.ACTED]


def test_a_cause_that_goes_between_intent_and_act_is_refused(tmp_path: Path) -> None:
    with rig(tmp_path, {**STALLED, "after": "0s"}) as it:
        three(it)
        it.run(2 * HOUR)
        it.sim.kill()
        it.sleep(3 * HOUR)
        it.recoverer.turn(it.engine.tick(it.now).published, it.stamp())
        assert it.states() == [State.INTENDED]
        it.sim.start()
        it.sleep(50 * SECOND)
        it.hand.turn()
        assert it.states() == [State.REFUSED]
        assert "nothing was done" in said(it.only)


def test_a_source_that_cannot_be_read_keeps_an_action_waiting(tmp_path: Path) -> None:
    with rig(tmp_path, {**STALLED, "after": "0s"}) as it:
        three(it)
        it.run(2 * HOUR)
        it.sim.kill()
        it.sleep(3 * HOUR)
        it.recoverer.turn(it.engine.tick(it.now).published, it.stamp())
        aside = it.path.rename(tmp_path / "aside.db")
        it.hand.turn()
        assert it.states() == [State.INTENDED]
        aside.rename(it.path)
        it.sleep(2 * MINUTE)
        it.hand.turn()
        assert it.states() == [State.ACTED]


# what a restart would harm


def test_the_queue_after_a_stall_is_not_restarted(tmp_path: Path) -> None:
    with rig(tmp_path, WEDGED) as it:
        staggered(it, 5 * MINUTE)
        other = it.sim.add("x", ("every", 24 * HOUR))
        it.run(65 * MINUTE)
        it.sim.drop_timer()
        it.run(3 * HOUR)
        it.sim.pause(other)
        it.sim.resume(other)  # arms the timer
        it.run(HOUR)
        assert it.actions == []


def test_the_queue_of_a_frozen_agent_that_goes_on_is_not_restarted(tmp_path: Path) -> None:
    with rig(tmp_path, WEDGED, STALLED) as it:
        staggered(it, 5 * MINUTE)
        it.run(65 * MINUTE)
        it.sim.freeze()
        it.run(2 * HOUR)
        assert it.published.findings
        it.sim.thaw()
        it.run(HOUR)
        assert it.actions == []


def test_a_leaked_flag_is_no_reason_to_end_the_run_of_another(tmp_path: Path) -> None:
    with rig(tmp_path, {**WEDGED, "after": "0s"}) as it:
        stuck, _, _, _ = staggered(it)
        it.let(Outcome(duration=3 * HOUR), "job1")
        it.sim.leak_session(stuck)
        it.run_until(lambda: it.actions)
        assert not it.sim.slot_held
        assert it.states() == [State.ACTED]


def test_a_restart_that_a_long_run_keeps_back_is_told_to_a_person(tmp_path: Path) -> None:
    with rig(tmp_path, {**WEDGED, "after": "0s"}) as it:
        stuck, *_ = staggered(it)
        it.run(15 * MINUTE)
        it.sim.leak_session(stuck)
        it.run_until(lambda: it.sim.now.minute == 23 and it.sim.now.hour == 8)
        it.let(Outcome(duration=2 * HOUR), "job1", "job2", "job3")
        it.run(6 * HOUR)
        ended = [step.what for action in it.actions for step in action.steps if "the restart ends the run" in step.what]
        assert ended == []
        assert any("it would end the run of job" in told for told in it.letters("Needs a person: phantom"))


HELD_SLOT = {**WEDGED, "match": {"kind": "wedged", "scope": "scheduler"}, "attempts": {"max": 1, "per": "1h"}}


@pytest.mark.parametrize("change", ["pause", "disable", "delete"])
def test_a_run_that_its_owner_ended_by_a_restart_is_no_reason_for_another(change: str, tmp_path: Path) -> None:
    with rig(tmp_path, HELD_SLOT) as it:
        runaway = it.sim.add("runaway", ("every", HOUR))
        it.sim.add("daily", ("every", DAY))
        it.let(Outcome.hanging(), "runaway")
        it.run(90 * MINUTE)
        getattr(it.sim, change)(runaway)
        it.run(MINUTE)
        it.sim.restart(10 * SECOND)
        it.run(20 * HOUR)
        assert (it.actions, it.letters()) == ([], [])


def test_a_run_by_hand_that_a_deploy_killed_is_no_reason_for_a_restart(tmp_path: Path) -> None:
    with rig(tmp_path, HELD_SLOT) as it:
        daily = it.sim.add("daily", ("cron", "0 9 * * *"))
        it.run(4 * HOUR)
        it.let(Outcome(duration=5 * MINUTE), "daily")
        it.sim.run_now(daily)
        it.run(2 * MINUTE)
        it.sim.restart(10 * SECOND)
        it.run(15 * HOUR)
        assert it.actions == []


def crash(it: Rig, times: int) -> None:
    """Its process comes to the middle of a run, goes down, and is started again."""
    for _ in range(times):
        it.run(80 * SECOND)
        it.sim.kill()
        it.run(2 * SECOND)
        it.sim.start()


def in_a_loop(it: Rig) -> None:
    """Crashes for two hours, and is found to."""
    it.let(Outcome(duration=5 * MINUTE), "report")
    it.sim.add("report", ("every", 20 * MINUTE))
    it.run(20 * MINUTE + 5 * SECOND)
    crash(it, 90)
    (stall,) = (found for found in it.published.findings if found.kind == "stalled")
    starts = stall.evidence["starts_in_vain"]
    assert isinstance(starts, int)
    assert starts > 20


@pytest.mark.parametrize("mode", ["act", "propose"])
@pytest.mark.parametrize("policy", [STALLED, SCHEDULER], ids=["by-kind", "by-scope"])
def test_a_scheduler_that_crashes_again_and_again_is_not_restarted_and_a_person_hears_of_it_once(
    mode: str, policy: dict[str, Any], tmp_path: Path
) -> None:
    with rig(tmp_path, policy, mode=mode) as it:
        in_a_loop(it)
        assert it.actions == []
        (told,) = it.letters("Needs a person: phantom")
        assert "a restart would only break off one more" in told
        assert "find in its own log what ends it, and pause the job whose run does" in told
        assert "restart the agent by hand" not in told
        it.run(2 * HOUR)
        assert it.published.findings == ()
        assert (it.actions, len(it.letters("Needs a person"))) == ([], 1)


def test_a_scheduler_that_goes_down_for_good_after_a_loop_is_restarted(tmp_path: Path) -> None:
    with rig(tmp_path, STALLED) as it:
        in_a_loop(it)
        it.run(80 * SECOND)
        it.sim.kill()
        it.run(3 * HOUR)
        assert it.states()[:1] in ([State.ACTED], [State.INEFFECTIVE])


def test_a_restart_that_was_proposed_before_the_loop_is_not_done_in_it(tmp_path: Path) -> None:
    with rig(tmp_path, STALLED, mode="propose") as it:
        it.let(Outcome(duration=5 * MINUTE), "report")
        it.sim.add("report", ("every", 20 * MINUTE))
        it.run(HOUR)
        it.sim.kill()
        it.run(2 * HOUR)
        assert it.states() == [State.PROPOSED]
        it.sim.start()
        crash(it, 40)
        assert it.states()[0] in (State.PROPOSED, State.REFUSED)
        if it.states()[0] is State.PROPOSED:
            it.records.approve(1, it.now, "anna")
        crash(it, 2)
        assert State.ACTED not in it.states()


# the proof of a restart


def test_a_restart_is_proved_by_a_run_that_ended_and_not_by_a_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, STALLED) as it:
        restarts_for_real(it, monkeypatch)
        it.sim.add("job", ("every", 30 * MINUTE))
        it.run(2 * HOUR)
        it.sim.kill()
        it.let(Outcome(duration=40 * MINUTE), "job")
        it.run_until(lambda: it.states() == [State.ACTED])
        it.run(30 * MINUTE)
        assert it.states() == [State.ACTED]
        it.run(20 * MINUTE)
        assert it.states() == [State.VERIFIED]
        assert "a run has ended since" in it.letters("Verified: restart of phantom")[0]


def test_a_restart_after_which_the_first_run_hangs_is_not_called_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, {**WEDGED, "attempts": {"max": 1, "per": "7d"}}) as it:
        restarts_for_real(it, monkeypatch)
        it.sim.add("job", ("every", 30 * MINUTE))
        it.let(Outcome.hanging(), "job")
        it.run(2 * DAY)
        assert it.states() == [State.INEFFECTIVE]


def test_a_restart_that_helped_waits_for_the_next_run_where_none_is_due_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, {**WEDGED, "match": {"kind": "wedged", "scope": "scheduler"}}) as it:
        restarts_for_real(it, monkeypatch)
        hourly = it.sim.add("hourly", ("every", HOUR))
        it.sim.add("slow", ("every", 12 * HOUR))
        it.let(Outcome.hanging(), "hourly")
        it.run(62 * MINUTE)
        it.sim.disable(hourly)  # the owner leaves the rest to the watchdog
        it.run(10 * HOUR)
        assert it.states() == [State.ACTED]
        it.run(2 * HOUR)
        assert it.states() == [State.VERIFIED]


# canaries


def test_a_weekly_canary_does_not_keep_an_hourly_job_waiting(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.sim.add("base", ("every", 30 * MINUTE))
        weekly = it.sim.add("weekly", ("every", 7 * DAY))
        it.let(OVERLOADED, "weekly")
        it.sleep(7 * DAY + 12 * HOUR)
        assert it.row(weekly)["status"] == "failed"
        it.run(HOUR)
        it.let(Outcome(), "weekly")
        (hourly,) = it.fail("hourly", schedule=("every", 30 * MINUTE))
        it.let(Outcome(), "hourly")
        it.run(2 * HOUR)
        assert it.row(hourly)["status"] == "active"
        assert it.states() == [State.ACTED, State.VERIFIED]


def test_a_canary_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.sim.add("base", ("every", 30 * MINUTE))
        ids = it.fail("monday", "tuesday", schedule=("cron", "0 0 1 1 *"))
        it.agent.usual.clear()
        it.run(6 * HOUR)
        assert len(it.actions) == 1
        it.run(HOUR)
        assert {it.row(id_)["status"] for id_ in ids} == {"active"}


def test_a_canary_that_the_schedulers_own_retry_brings_back_is_the_proof(tmp_path: Path) -> None:
    policy = {**REVIVE, "attempts": {"max": 5, "per": "24h", "pause": "12h", "factor": 1}}
    with rig(tmp_path, policy, stock=False) as it:
        ids = it.storm(5)
        it.run_until(lambda: it.states() == [State.INEFFECTIVE])
        it.agent.usual.clear()  # its retry comes within a minute or so
        it.run(3 * HOUR)
        assert {it.row(id_)["status"] for id_ in ids} == {"active"}


# tokens


def test_a_job_that_was_ever_seen_to_use_tokens_is_not_proved_without_them(tmp_path: Path) -> None:
    run = RecordedRun(START + HOUR, "ok", MINUTE)
    end = RunEnd(9, START + HOUR + MINUTE, 0, 0)
    totals = Totals(runs=40, input_tokens=0, output_tokens=0)  # its session was begun anew
    job = Job("1", "beta", Every(HOUR), last_run=run, recent=(end,), zero_streak=ZeroStreak(1, (end.at,), end.at))
    assert is_proof(replace(job, totals=totals), run, counts_tokens=True)
    assert not is_proof(replace(job, totals=totals, has_used_tokens=True), run, counts_tokens=True)


def test_a_job_that_never_used_tokens_is_proved_by_an_ok_run(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        it.sim.add("backup", ("every", 30 * MINUTE))
        it.let(ZERO, "backup")
        it.run(3 * HOUR)
        it.let(OVERLOADED, "backup")
        it.sleep(12 * HOUR)
        it.let(ZERO, "backup")
        it.run(5 * HOUR)
        assert it.states() == [State.VERIFIED]
        assert "it was never seen to use tokens" in said(it.only)


def test_a_job_whose_tokens_are_not_judged_is_proved_by_an_ok_run(tmp_path: Path) -> None:
    with rig(tmp_path, REVIVE, stock=False) as it:
        job = {"match": "backup", "zero_tokens": "off"}
        it.configure_more(detect={"jobs": [job]})
        it.sim.add("backup", ("every", 30 * MINUTE))
        it.run(3 * HOUR)  # with tokens
        it.let(OVERLOADED, "backup")
        it.sleep(12 * HOUR)
        it.let(ZERO, "backup")
        it.run(5 * HOUR)
        assert it.states() == [State.VERIFIED]


# what is told


def test_what_a_circuit_has_used_up_is_told_of_all_its_jobs(tmp_path: Path) -> None:
    policy = {**REVIVE, "attempts": {"max": 1, "per": "24h", "pause": "1m", "factor": 1}}
    with rig(tmp_path, policy, stock=False) as it:
        it.storm(5)
        it.run(4 * HOUR)
        (told,) = it.letters("Needs a person")
        tried = it.only.job  # active again, and failing
        assert told.startswith("Needs a person: 4 jobs\n4 jobs were given up: ")
        assert [f"job-{n:02}" for n in range(5) if f"job-{n:02}" not in told] == [tried]


def test_a_restart_is_the_agents_whichever_job_it_is_for(tmp_path: Path) -> None:
    with rig(tmp_path, {**WEDGED, "attempts": {"max": 1, "per": "7d"}}) as it:
        it.sim.add("beta", ("every", 30 * MINUTE))
        it.let(Outcome.hanging(), "beta")
        it.run(DAY)
        titles = [told.partition("\n")[0] for told in it.letters()]
        assert titles == ["Did not help: restart of phantom", "Needs a person: phantom"]


# the API's login


def test_where_via_is_left_out_a_login_that_has_ended_does_not_end_revivals(tmp_path: Path) -> None:
    policy = {**REVIVE, "run": ["true"]}
    with rig(tmp_path, policy, stock=False, token_kind="bootstrap") as it:
        it.sim.add("base", ("every", 30 * MINUTE))
        for name in ("one", "two"):
            it.fail(name, schedule=("every", 10 * MINUTE))
            it.agent.usual.clear()
            it.run(2 * HOUR)
            it.sim.restart()  # ends the session; the token is used up
        assert it.states() == [State.VERIFIED] * 2


def test_a_login_that_is_refused_says_why_and_what_helps_in_one_line(tmp_path: Path) -> None:
    with rig(tmp_path, {**REVIVE, "via": ["api"]}, stock=False, token_kind="bootstrap") as it:
        it.sleep(HOUR)  # longer than such a token lives
        it.fail("one")
        it.run(HOUR)
        (step,) = [step.what for step in it.actions[0].steps if "401" in step.what]
        assert "Each works once, and a session ends after 7 days and with every restart" in step
        assert "let `via` end with sql" in step


@pytest.mark.parametrize(("via", "is_warned"), [(["api", "pause_resume"], True), (["api", "sql"], False)])
def test_validate_warns_of_policies_that_live_only_as_long_as_a_login(
    via: list[str], is_warned: bool, tmp_path: Path
) -> None:
    with rig(tmp_path, {**REVIVE, "via": via}):
        done = command("validate", "-c", tmp_path / "watchdog.yaml")
        assert done.returncode == 0
        assert ("recovery.policies[0].via: only ways through the API" in done.stderr) is is_warned


# the sweep


def test_restoring_a_row_past_its_sweep_says_that_the_next_restart_takes_it_again(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        (job_id,) = it.fail("one")
        it.run(31 * DAY)
        it.sim.restart()
        it.run(HOUR)
        restored = command("restore", "-c", tmp_path / "watchdog.yaml", job_id)
        assert "the next restart deletes it again unless it lives by then" in restored.stdout
