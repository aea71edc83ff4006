"""Acting on OpenClaw: through its own command, with the policies, budgets and proofs of every other recovery."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import until
from tests.support.harness import DAY, HOUR, MINUTE, SECOND, START
from tests.support.openclaw_recovering import DOWN, MISMATCH, PAIRING, TIMEOUT, KilledError, Rig, rig
from tests.support.openclaw_stores import LAYOUTS
from watchdog.config.file import Config
from watchdog.core.action import Action, State
from watchdog.core.clock import FollowedClock
from watchdog.core.instants import to_ms
from watchdog.recovery.by_hand import RefusedError, approve, intend, revive
from watchdog.recovery.service import RecoveryService
from watchdog.systems.openclaw import cli as openclaw_cli
from watchdog.systems.openclaw.cli import Replied, reply_of
from watchdog.systems.shared.command import Ran

RUN_DUE = {"match": {"kind": "overdue"}, "action": "run_due", "after": "1m"}
ENABLE = {"match": {"kind": "failed"}, "action": "enable", "after": "1m"}
UNSTICK = {"match": {"kind": "wedged"}, "action": "unstick", "after": "0s"}


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def said(action: Action) -> str:
    return "\n".join(step.what for step in action.steps)


def stuck(it: Rig, id_: str = "digest", since: timedelta = -3 * HOUR) -> None:
    """A marker that nobody clears."""
    it.gateway.begin(id_, START + since)


def given_up(it: Rig, *ids: str, reason: str = "overloaded") -> None:
    """Jobs that the gateway has disabled after ten errors in a row."""
    for id_ in ids:
        it.add(id_)
        it.gateway.jobs[id_]["enabled"] = False
        state = it.gateway.states[id_]
        state |= {"lastRunStatus": "error", "lastErrorReason": reason, "lastError": reason, "consecutiveErrors": 10}
        state |= {"autoDisabled": {"reason": "consecutive-failures", "atMs": to_ms(START - HOUR)}}
        del state["nextRunAtMs"]
    it.gateway.persist()


# it helps, and that is proved


def test_an_overdue_job_is_run_and_proved_by_its_run(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, RUN_DUE, layout=layout) as it:
        it.add("digest", due=-10 * MINUTE)
        it.add("other", due=20 * HOUR)
        it.played.works = False  # its timer is dead; what it is asked for it does
        it.gateway.begin("other", START)
        it.gateway.end("other", START + SECOND, START + 20 * HOUR)
        it.begin()
        it.run(8 * MINUTE)
        assert it.played.asked == [("run", "--due", "digest")]
        assert it.only.state is State.VERIFIED
        assert "the gateway has taken the run on as manual:digest:" in said(it.only)
        assert it.counts == [("run_due", "verified")]


def test_a_disabled_job_is_enabled_and_proved_by_its_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        given_up(it, "digest")
        it.begin()
        it.run(10 * MINUTE)
        assert it.played.asked == [("enable", "digest")]
        assert it.states() == [State.ACTED]
        it.run(30 * MINUTE)
        assert it.states() == [State.VERIFIED]
        assert said(it.only).splitlines()[-1] == "its next run ended ok, with tokens"


PAUSE = {"match": {"kind": "runaway"}, "action": "pause", "after": "0s"}


def running_away(it: Rig, id_: str = "loop") -> None:
    """A job of half an hour that its gateway runs every twenty seconds."""
    it.add(id_, due=SECOND)
    it.played.every, it.played.lasts = 20 * SECOND, 5 * SECOND
    it.begin()


def test_a_runaway_is_switched_off_and_that_it_stands_still_is_the_proof(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, PAUSE, layout=layout) as it:
        running_away(it)
        it.run(10 * MINUTE, by=10 * SECOND)
        assert it.played.asked == [("disable", "loop")]
        assert not it.gateway.jobs["loop"]["enabled"]
        it.run(40 * MINUTE)
        assert (it.only.kind, it.only.state) == ("pause", State.VERIFIED)
        it.run(20 * HOUR, by=10 * MINUTE)
        assert it.played.asked == [("disable", "loop")]  # nobody but a person takes it back
        assert it.found() == {}


def test_a_runaway_whose_gateway_cannot_be_asked_is_told_as_cannot_act(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, PAUSE) as it:
        it.played.complaint = PAIRING
        running_away(it)
        it.run(6 * MINUTE, by=10 * SECOND)
        assert State.UNABLE in it.states()
        assert it.gateway.jobs["loop"]["enabled"]
        assert it.found()["loop"] == "runaway"


def test_a_run_without_tokens_proves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        given_up(it, "digest")
        it.begin()
        it.played.usage = None
        it.run(40 * MINUTE)
        assert it.only.state is State.INEFFECTIVE
        assert any(letter.startswith("Did not help: enable of digest") for letter in it.letters())


def test_a_stuck_marker_is_freed_by_switching_the_job_off_and_on(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK, layout=layout) as it:
        it.add("digest", due=-3 * HOUR)
        stuck(it)
        it.begin()
        it.run(2 * MINUTE)
        assert it.played.asked == [("disable", "digest"), ("enable", "digest")]
        assert it.gateway.jobs["digest"]["enabled"] is True
        assert "runningAtMs" not in it.gateway.states["digest"]
        it.run(40 * MINUTE)
        assert it.only.state is State.VERIFIED


@pytest.mark.parametrize("when", [timedelta(), 5 * MINUTE])
def test_the_end_of_the_run_that_was_stuck_proves_nothing(
    when: timedelta, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Newer releases break it off when the job is switched off; older ones record it whenever it ends."""
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        it.add("digest", due=-3 * HOUR)
        stuck(it)
        it.begin()
        it.run(2 * MINUTE)
        it.run(when)
        it.gateway.states["digest"]["runningAtMs"] = to_ms(START - 3 * HOUR)
        due = it.now + 20 * MINUTE
        it.gateway.end("digest", it.now, due, "error", lastError="interrupted")
        it.run(10 * MINUTE)
        assert it.states() == [State.ACTED]
        it.run(30 * MINUTE)
        assert it.states() == [State.VERIFIED]


def test_a_run_that_never_comes_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        it.add("digest", due=-3 * HOUR)
        stuck(it)
        it.begin()
        it.played.works = False
        it.run(50 * MINUTE)
        assert it.actions[0].state is State.INEFFECTIVE
        assert "nothing has started" in said(it.actions[0])
        assert any(letter.startswith("Did not help: unstick of digest") for letter in it.letters())


def test_a_run_whose_tokens_are_logged_a_moment_later_is_proof(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE, layout="inline") as it:
        given_up(it, "digest")
        it.begin()
        it.run(30 * MINUTE)

        def look() -> None:
            it.played.now += timedelta(milliseconds=1)
            it.step()

        it.gateway.between = look  # after every single write
        end = it.gateway.end
        monkeypatch.setattr(it.gateway, "end", lambda *what, **more: end(*what, **more, is_log_late=True))
        it.run(5 * MINUTE)
        assert it.states() == [State.VERIFIED]
        assert said(it.only).splitlines()[-1] == "its next run ended ok, with tokens"


def test_a_canary_that_hangs_does_not_keep_the_others_back_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, RUN_DUE) as it:
        it.add("one", due=-10 * MINUTE)
        it.add("two", due=-9 * MINUTE)
        it.played.works = False
        it.begin()
        it.played.lasts = 100 * DAY
        it.run(10 * MINUTE)
        it.played.lasts = 30 * SECOND
        it.run(2 * HOUR, by=MINUTE)
        assert [asked[-1] for asked in it.played.asked][:2] == ["one", "two"]
        assert it.states()[:2] == [State.INEFFECTIVE, State.VERIFIED]
        assert said(it.actions[0]).splitlines()[-1] == "a run of it is stuck"


def test_a_marker_that_is_still_there_is_freed_by_another_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        it.add("digest", due=-3 * HOUR)
        stuck(it)
        it.begin()
        it.played.complaint = TIMEOUT  # it may have been switched off, and was not
        it.run(MINUTE)
        it.played.complaint = ""
        it.run(2 * HOUR, by=MINUTE)
        assert it.states() == [State.INEFFECTIVE, State.VERIFIED]
        assert "runningAtMs" not in it.gateway.states["digest"]


# it cannot act


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        (DOWN, "the gateway is down: gateway closed (1006"),
        ("Gateway not reachable at ws://127.0.0.1:21900 (ETIMEDOUT).\nStart it\n", "the gateway is down: Gateway not"),
        (PAIRING, "does not know this user's device"),
        (f"gateway connect failed: scope upgrade pending\nError: {PAIRING}", "does not know this user's device"),
        ("missing scope: operator.admin\n", "does not accept who asks"),
        (MISMATCH, "does not accept who asks"),
        ("gateway cron.run requires credentials before opening a websocket\nFix: x\n", "does not accept who asks"),
    ],
)
def test_a_gateway_that_cannot_be_asked_is_told_as_cannot_act(
    complaint: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        given_up(it, "digest")
        it.begin()
        it.played.complaint = complaint
        it.run(2 * MINUTE)
        assert it.only.state is State.UNABLE
        assert words in said(it.only)
        (letter,) = it.letters()
        assert letter.startswith("Cannot act: enable of digest")
        assert it.counts == [("enable", "unable")]


def test_who_cannot_be_asked_is_asked_less_and_less_often_and_uses_up_no_attempt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, {**ENABLE, "attempts": {"max": 1, "per": "24h", "pause": "30m"}}) as it:
        given_up(it, "digest")
        it.begin()
        it.played.complaint = DOWN
        it.run(4 * HOUR, by=MINUTE)
        assert 3 <= len(it.actions) <= 4
        gaps = [b.created.at - a.created.at for a, b in pairwise(it.actions)]
        assert all(later >= 1.8 * earlier for earlier, later in pairwise(gaps))
        it.played.complaint = ""
        it.run(8 * HOUR, by=MINUTE)
        assert it.states()[-1] is State.VERIFIED


def test_a_command_that_is_not_there_is_told_with_the_setting_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        monkeypatch.undo()
        monkeypatch.setenv("PATH", str(tmp_path))
        given_up(it, "digest")
        it.begin()
        it.run(2 * MINUTE)
        assert it.only.state is State.UNABLE
        assert "`cli` of the source says how it is called" in said(it.only)


@pytest.mark.parametrize(
    ("order", "said_", "outcome"),
    [
        ("run_due", "", Replied.UNSURE),
        ("run_due", '{"ok": true, "ran": false, "reason": "not-due"}', Replied.REFUSED),
        ("run_due", '{"ok": true, "enqueued": true, "runId": "manual:x:1:1"}', Replied.DONE),
        ("enable", json.dumps({"enabled": True, "message": "x" * 90_000})[-65_536:], Replied.UNSURE),  # cut off
        ("enable", '{"id": "x", "enabled": false}', Replied.REFUSED),
        ("disable", '{"id": "x", "enabled": false}', Replied.DONE),
    ],
)
def test_a_command_that_ends_well_is_believed_only_what_it_says(order: str, said_: str, outcome: Replied) -> None:
    assert reply_of(order, Ran("", said_, "")).outcome is outcome


def test_the_gateway_of_a_store_is_asked_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        by_store = {"state_dir": None, "store": it.gateway.store}
        it.config = it.config.but(sources=(it.config.sources[0].but(**by_store),))
        given_up(it, "digest")
        it.begin()
        it.run(2 * MINUTE)
        (environment,) = it.played.environments
        assert environment["OPENCLAW_STATE_DIR"] == str(it.gateway.folder)


def test_a_job_that_is_not_due_any_more_is_not_run_and_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, RUN_DUE) as it:
        it.add("digest", due=-10 * MINUTE)
        it.add("other", due=HOUR)
        it.gateway.begin("other", START)
        it.gateway.end("other", START + SECOND, START + 20 * HOUR)
        it.played.works = False
        it.begin()
        monkeypatch.setattr(it.played, "_run", lambda id_: {"ok": True, "ran": False, "reason": "not-due"})
        it.run(6 * MINUTE)
        assert it.only.state is State.FAILED
        assert said(it.only).splitlines()[-1] == "the gateway would not: not-due"


def test_no_answer_is_no_failure_until_no_run_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        given_up(it, "digest")
        it.begin()
        it.played.complaint = TIMEOUT
        it.run(3 * MINUTE)
        assert it.only.state is State.INEFFECTIVE  # the store says that the job is still given up
        assert "no answer came (gateway timeout after 30000ms); it may have been done" in said(it.only)


# never


@pytest.mark.parametrize("reason", ["auth", "billing"])
def test_a_permanent_error_is_left_to_a_person(reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        given_up(it, "digest", reason=reason)
        it.begin()
        it.run(HOUR)
        assert (it.played.asked, it.actions) == ([], [])


def test_a_one_shot_whose_time_has_passed_is_never_enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        given_up(it, "once")
        it.gateway.jobs["once"]["schedule"] = {"kind": "at", "at": "2026-06-10T07:00:00Z"}
        it.gateway.persist()
        it.begin()
        it.run(HOUR)
        assert it.found()["once"] == "failed"
        assert it.played.asked == []


def test_a_one_shot_that_is_stuck_is_not_freed_for_it_would_run_again_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        it.add("once", due=-3 * HOUR)
        it.gateway.jobs["once"]["schedule"] = {"kind": "at", "at": "2026-06-10T05:00:00Z"}
        stuck(it, "once")
        it.begin()
        it.run(HOUR)
        assert it.found()["once"] == "wedged"
        assert it.played.asked == []


def test_a_run_that_was_put_off_is_not_asked_for_until_it_is_due(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, RUN_DUE) as it:
        it.add("digest", due=10 * MINUTE)
        it.begin()
        it.played.works = False
        it.run(11 * MINUTE)
        it.gateway.states["digest"]["nextRunAtMs"] = to_ms(START + 3 * HOUR)
        it.gateway.persist()
        it.run(2 * HOUR, by=MINUTE)
        assert it.found()["digest"] == "overdue"
        assert (it.played.asked, it.letters()) == ([], [])
        it.run(65 * MINUTE)
        assert it.states() == [State.VERIFIED]


def test_a_run_that_may_have_been_delivered_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    policy = {**RUN_DUE, "match": {"kind": "interrupted"}}
    with rig(tmp_path, monkeypatch, policy, layout="inline") as it:
        it.add("digest", due=-10 * MINUTE)
        it.begin()
        it.gateway.begin("digest", START)
        it.played.works = False
        it.step()
        it.gateway.start_over("digest", START + MINUTE, START)
        it.run(20 * MINUTE)
        assert it.found()["digest"] == "interrupted"
        assert it.played.asked == []


def test_an_id_that_begins_with_a_dash_is_never_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        given_up(it, "--token")
        it.begin()
        it.run(HOUR)
        assert (it.played.asked, it.actions) == ([], [])  # nor is it tried every five minutes for ever
        it.played.now = START + 400 * DAY
        with pytest.raises(RefusedError, match="its id begins with a dash"):
            list(revive(it.config, it.store, "--token", False))


def test_a_hostile_name_is_data_in_the_environment_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        given_up(it, "digest")
        it.gateway.jobs["digest"]["name"] = "$(touch /tmp/x); `reboot` --now"
        it.gateway.persist()
        it.begin()
        it.run(2 * MINUTE)
        assert it.played.asked == [("enable", "digest")]
        (environment,) = it.played.environments
        assert environment["WATCHDOG_JOB"] == "$(touch /tmp/x); `reboot` --now"
        assert environment["OPENCLAW_STATE_DIR"] == str(tmp_path / "openclaw")


@pytest.mark.parametrize("mode", ["observe", "propose"])
def test_nothing_is_asked_where_nothing_may_be_done(mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE, UNSTICK, mode=mode) as it:
        given_up(it, "digest")
        it.add("slow", due=-3 * HOUR)
        stuck(it, "slow")
        it.played.works = False
        before = _sums(tmp_path / "openclaw")
        it.begin()
        it.run(HOUR)
        assert it.played.asked == []
        assert _sums(tmp_path / "openclaw") == before
        assert {action.kind for action in it.actions} == ({"enable", "unstick"} if mode == "propose" else set())


def _sums(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_a_proposal_is_carried_out_when_a_person_approves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE, mode="propose") as it:
        given_up(it, "digest")
        it.begin()
        it.run(2 * MINUTE)
        (letter,) = it.letters()
        assert "scheduler-watchdog approve 1" in letter
        approve(it.store, 1, it.now)
        it.run(40 * MINUTE)
        assert it.only.state is State.VERIFIED


def test_a_proposal_does_not_keep_back_what_may_be_done_without_asking_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, ENABLE, mode="propose") as it:
        given_up(it, "digest")
        it.begin()
        it.run(2 * MINUTE)
        assert it.states() == [State.PROPOSED]
        it.config = in_mode(it.config, "act")
        it.begin()
        it.run(10 * MINUTE)
        assert it.played.asked == [("enable", "digest")]
        assert it.states() == [State.REFUSED, State.ACTED]
        assert said(it.actions[0]).splitlines()[-1] == "withdrawn: nobody is asked any more"


def test_a_hand_that_is_replaced_begins_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, {**ENABLE, "canary": False}) as it:
        given_up(it, "one", "two")
        it.begin()
        run = it.played.run

        def asked(*what: Any) -> Any:
            it.hand.rest()  # the configuration is read again while the first is asked for
            return run(*what)

        monkeypatch.setattr(openclaw_cli, "run", asked)
        it.run(5 * MINUTE)
        assert len(it.played.asked) == 1
        assert it.states() == [State.ACTED, State.INTENDED]


def test_a_job_that_somebody_changed_meanwhile_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        it.add("digest", due=-3 * HOUR)
        stuck(it)
        it.begin()
        it.recoverer.turn(it.engine.tick(it.now).published, it.stamp())
        assert it.states() == [State.INTENDED]
        it.gateway.end("digest", it.now, it.now + HOUR)  # the run has ended after all
        it.hand.turn()
        assert it.played.asked == []
        assert it.only.state is State.REFUSED
        assert "no longer as it was seen" in said(it.only)


def test_after_a_storm_one_goes_first_and_the_others_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        ids = [f"job-{number}" for number in range(6)]
        given_up(it, *ids)
        it.begin()
        it.run(29 * MINUTE, by=MINUTE)
        assert len(it.played.asked) == 1
        it.run(HOUR, by=MINUTE)
        assert sorted(asked[-1] for asked in it.played.asked) == ids
        assert it.states() == [State.VERIFIED] * 6


# switched off, and not on again


def test_a_job_that_cannot_be_switched_on_again_is_told_and_tried_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        it.add("digest", due=-3 * HOUR)
        stuck(it)
        it.begin()
        switch = it.played._switch

        def gone(id_: str, *, is_on: bool) -> Any:
            done = switch(id_, is_on=is_on)
            it.played.complaint = DOWN
            return done

        monkeypatch.setattr(it.played, "_switch", gone)
        it.run(4 * MINUTE)
        assert it.gateway.jobs["digest"]["enabled"] is False
        (finding,) = [finding for finding in it.published.findings if finding.kind == "failed"]
        assert "was switched off" in finding.summary
        assert "the gateway is down" in finding.summary
        assert len([asked for asked in it.played.asked if asked[0] == "enable"]) >= 3
        assert len(it.only.steps) < 8  # why it does not work is written down once
        monkeypatch.setattr(it.played, "_switch", switch)
        it.played.complaint = ""
        it.run(2 * MINUTE)
        assert it.gateway.jobs["digest"]["enabled"] is True
        assert it.found() == {}
        it.run(40 * MINUTE)
        assert it.only.state is State.VERIFIED


def half_done(it: Rig, point: str = "after disable") -> None:
    """The watchdog dies when it has switched the job off, and is started again."""
    it.add("digest", due=-3 * HOUR)
    stuck(it)
    it.begin()
    it.played.killed_at = point
    with pytest.raises(KilledError):
        it.run(10 * MINUTE)
    it.begin()


def in_mode(config: Config, mode: str) -> Config:
    return config.but(recovery=config.recovery.but(mode=mode))


def test_a_job_that_is_on_again_and_does_not_run_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        half_done(it, "after enable")
        it.played.works = False
        it.run(HOUR)
        assert it.states() == [State.INEFFECTIVE]
        assert "nothing has started" in said(it.only)
        assert len(it.only.steps) < 8


def test_a_job_that_recovery_switched_off_is_no_failed_job_for_another_policy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = {"match": {"kind": "failed"}, "action": "command", "run": ["true"], "after": "0s"}
    with rig(tmp_path, monkeypatch, UNSTICK, command) as it:
        half_done(it)
        it.played.complaint = DOWN
        it.run(10 * MINUTE)
        assert it.found() == {"digest": "failed"}
        assert it.only.kind == "unstick"


def test_a_job_that_was_deleted_while_it_was_off_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        half_done(it)
        it.played.complaint = DOWN
        it.run(2 * MINUTE)
        del it.gateway.jobs["digest"], it.gateway.states["digest"]
        it.gateway.persist()
        it.run(5 * MINUTE)
        assert it.states() == [State.INTENDED]  # a store that is being mended looks the same: the gateway must say so
        it.played.complaint = ""
        it.run(5 * MINUTE)
        assert it.states() == [State.UNKNOWN]
        assert "the job is gone" in said(it.only)
        assert it.found() == {"digest": "vanished"}  # nobody has put on record that it was deleted


def test_a_store_that_cannot_be_read_when_the_gateway_goes_away_does_not_hide_that_the_job_is_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK, layout="inline") as it:
        it.add("digest", due=-3 * HOUR)
        stuck(it)
        it.begin()
        run = it.played.run

        def crashing(arguments: Any, environment: Any, deadline: timedelta) -> Ran:
            answer = run(arguments, environment, deadline)
            if arguments[2] != "disable":
                return answer
            it.gateway.store.write_text("{")
            return Ran("openclaw ended with 1: x", "", DOWN)

        monkeypatch.setattr(openclaw_cli, "run", crashing)
        it.run(MINUTE)
        it.gateway.persist()
        it.run(5 * MINUTE)
        assert it.gateway.jobs["digest"]["enabled"] is True


def test_a_clock_that_is_set_back_does_not_keep_a_job_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        half_done(it)
        it.played.complaint = DOWN
        it.run(2 * MINUTE)
        it.played.complaint = ""
        it.played.now -= DAY
        it.run(MINUTE)
        assert it.gateway.jobs["digest"]["enabled"] is True


def test_of_reasons_that_always_differ_only_the_newest_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        half_done(it)
        for number in range(20):
            it.played.complaint = f"Error: pairing required: device is not approved yet (requestId: {number})"
            it.run(2 * MINUTE)
        assert len(it.only.steps) < 6
        assert said(it.only).splitlines()[-1].endswith("(requestId: 19)")


@pytest.mark.parametrize("point", ["after disable", "before enable"])
@pytest.mark.parametrize("recovery", [{"mode": "observe"}, {"policies": ()}])
def test_what_was_switched_off_is_switched_on_even_where_nothing_may_be_done_any_more(
    recovery: dict[str, Any], point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK, ENABLE) as it:
        half_done(it, point)
        given_up(it, "other")
        config = it.config.but(recovery=it.config.recovery.but(**recovery))
        clock = FollowedClock(lambda: it.now, 1)
        station = RecoveryService(config, it.store, it._announce, lambda *_: None, clock)
        station.start()
        try:
            it.played.now += 11 * MINUTE  # nobody is at it any more
            station.turn(it.engine.tick(it.now).published)
            until(lambda: it.states() == [State.INTENDED], "it is taken up")
            it.played.now += 2 * MINUTE
            station.turn(it.engine.tick(it.now).published)
            until(lambda: it.gateway.jobs["digest"]["enabled"], "the job is switched on again")
        finally:
            station.stop()
        assert {asked[-1] for asked in it.played.asked} == {"digest"}


def test_a_source_that_is_gone_is_told_with_the_job_that_was_left_switched_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        half_done(it)
        it.played.complaint = DOWN
        it.run(2 * MINUTE)
        renamed = it.config.sources[0].but(name="another")
        it.config = it.config.but(sources=(renamed,))
        it.begin()
        it.run(3 * MINUTE)
        (letter,) = it.letters()
        assert "the job may be switched off still: openclaw cron enable -- digest" in letter


POINTS = {
    "run_due": ("before run", "after run"),
    "enable": ("before enable", "after enable"),
    "unstick": ("before disable", "after disable", "before enable", "after enable"),
}


def _points() -> Iterator[tuple[str, str]]:
    return ((kind, point) for kind, points in POINTS.items() for point in points)


@pytest.mark.parametrize(("kind", "point"), list(_points()))
def test_a_crash_neither_repeats_a_run_nor_leaves_a_job_switched_off(
    kind: str, point: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {"run_due": RUN_DUE, "enable": ENABLE, "unstick": UNSTICK}[kind]
    with rig(tmp_path, monkeypatch, policy) as it:
        if kind == "enable":
            given_up(it, "digest")
        else:
            it.add("digest", due=-3 * HOUR if kind == "unstick" else -10 * MINUTE)
        if kind == "unstick":
            stuck(it)
        it.add("other", due=HOUR)
        it.begin()
        it.played.killed_at = point
        it.played.works = kind != "run_due"
        with pytest.raises(KilledError):
            it.run(10 * MINUTE)
        it.begin()  # the watchdog is started again
        it.run(20 * MINUTE if kind == "run_due" else 50 * MINUTE)
        assert it.gateway.jobs["digest"]["enabled"] is True
        runs = [asked for asked in it.played.asked if asked == ("run", "--due", "digest")]
        assert len(runs) <= 1 or point == "before run"  # again only after nothing had come of it
        assert it.actions[0].state in (State.VERIFIED, State.INEFFECTIVE)
        if point != "before run":
            assert it.actions[0].state is State.VERIFIED


def test_what_was_switched_off_is_switched_on_even_if_its_policy_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        it.add("digest", due=-3 * HOUR)
        stuck(it)
        it.begin()
        it.played.killed_at = "after disable"
        with pytest.raises(KilledError):
            it.run(10 * MINUTE)
        recovery = it.config.recovery.but(policies=(it.config.recovery.policies[0],)[:0])
        it.config = it.config.but(recovery=recovery)
        it.begin()
        it.run(5 * MINUTE)
        assert it.gateway.jobs["digest"]["enabled"] is True


# by hand


@pytest.mark.parametrize(
    ("what", "asked"),
    [("given up", ["enable"]), ("stuck", ["disable", "enable"]), ("overdue", ["run"])],
)
def test_a_person_brings_a_job_back_by_one_command(
    what: str, asked: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        it.begin()
        _make(it, what)
        planned = list(revive(it.config, it.store, "digest", True))
        assert planned[0].startswith("would ")
        assert it.played.asked == []
        told = list(revive(it.config, it.store, "DIGEST", False))
        assert [order[0] for order in it.played.asked] == asked
        assert told[-1].startswith("digest is active. It is proved only by its next run")


def _make(it: Rig, what: str) -> None:
    """As seen by the clock of a person, who asks now."""
    if what == "given up":
        given_up(it, "digest")
    else:
        it.add("digest", due=-10 * DAY)
    if what == "stuck":
        stuck(it)
    it.played.now = START + 400 * DAY


def test_a_person_is_told_why_there_is_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        it.add("digest", enabled=False)
        it.begin()
        with pytest.raises(
            RefusedError, match="digest is disabled; only one that is given up, stuck or overdue is brought back"
        ):
            list(revive(it.config, it.store, "digest", False))
        with pytest.raises(RefusedError, match="there is no job 'nobody'"):
            list(revive(it.config, it.store, "nobody", False))


def test_a_person_can_finish_what_was_left_half_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        it.add("digest", due=-3 * HOUR)
        stuck(it)
        it.begin()
        it.played.killed_at = "before enable"
        with pytest.raises(KilledError):
            it.run(10 * MINUTE)
        it.begin()
        it.played.complaint = DOWN
        it.run(2 * MINUTE)
        it.played.complaint = ""
        assert next(revive(it.config, it.store, "digest", True)).startswith("would switch digest on again")
        list(revive(it.config, it.store, "digest", False))
        assert it.gateway.jobs["digest"]["enabled"] is True


def test_a_person_and_the_running_watchdog_do_not_get_in_each_others_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        half_done(it)
        it.played.complaint = DOWN
        it.run(2 * MINUTE)
        it.played.complaint = ""
        switch = it.played._switch

        def beside(id_: str, *, is_on: bool) -> Any:
            it.hand.turn()
            return switch(id_, is_on=is_on)

        monkeypatch.setattr(it.played, "_switch", beside)
        assert list(revive(it.config, it.store, "digest", False))[-1].startswith("digest is active")
        assert it.only.state is State.ACTED


def test_who_comes_second_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        half_done(it)
        it.played.complaint = DOWN
        it.run(2 * MINUTE)
        it.played.complaint = ""
        switch = it.played._switch

        def late(id_: str, *, is_on: bool) -> Any:
            it.records.save(replace(it.only, state=State.INTENDED))  # after ten minutes it counts as left behind
            return switch(id_, is_on=is_on)

        monkeypatch.setattr(it.played, "_switch", late)
        with pytest.raises(RefusedError, match="a running watchdog has gone on with digest"):
            list(revive(it.config, it.store, "digest", False))


def test_an_id_means_its_job_whatever_another_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, ENABLE) as it:
        given_up(it, "digest")
        it.add("other", name="digest")
        it.played.now = START + 400 * DAY
        it.begin()
        assert next(revive(it.config, it.store, "digest", True)).startswith("would enable digest")


def test_the_page_can_ask_for_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path, monkeypatch, UNSTICK) as it:
        given_up(it, "digest")
        it.begin()
        it.step()
        with it.store.transaction():
            action = intend(it.config, it.records, "claw", "digest", "ann (token)", it.played.now)
        assert (action.kind, action.state, action.by) == ("enable", State.INTENDED, "ann (token)")
        it.run(2 * MINUTE)
        assert it.played.asked == [("enable", "digest")]


@pytest.mark.parametrize(("layout", "again"), [("inline", ", and may run it again from its start"), ("canonical", "")])
def test_a_restart_of_the_gateway_says_what_it_costs(
    layout: str, again: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = {"match": {"kind": "wedged"}, "action": "restart", "run": ["true"], "after": "1m"}
    with rig(tmp_path, monkeypatch, policy, layout=layout) as it:
        it.add("digest", due=-3 * HOUR)
        stuck(it)
        it.begin()
        it.run(2 * MINUTE)
        assert it.states() == [State.ACTED]
        assert f"the restart ends the run of digest that is in flight since 2026-06-10 05:00 UTC{again}" in said(
            it.only
        )
