"""Acting on Hermes: through its own command, of which nothing is believed but what its ledger and its file show."""

import json
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import PATIENCE, until
from tests.support.hermes_home import Home, every
from watchdog.config.file import Config
from watchdog.config.policies import Policy
from watchdog.config.settings import Detect
from watchdog.core.action import Action, State
from watchdog.core.clock import WallClock
from watchdog.recovery.by_hand import RefusedError, revive
from watchdog.recovery.executor import Executor
from watchdog.state.records import Records
from watchdog.state.store import Store
from watchdog.systems.hermes import cli as hermes_cli
from watchdog.systems.hermes.acting import ACTING
from watchdog.systems.hermes.section import Hermes
from watchdog.systems.hermes.ways import look, seen_of

MINUTE = timedelta(minutes=1)

PROGRAM = '''#!{python}
"""Hermes' own command, played: it changes the files of its home, and ends well whatever comes of it."""
import json, os, sqlite3, sys, time
from datetime import datetime, UTC
home, arguments = os.environ["HERMES_HOME"], sys.argv[1:]
with open(os.path.join({folder!r}, "asked"), "a") as file:
    file.write(json.dumps([home, arguments]) + "\\n")
mode = open(os.path.join({folder!r}, "mode")).read()
order, id_ = arguments[arguments.index("cron") + 1], arguments[arguments.index("cron") + 2]
path = os.path.join(home, "cron/jobs.json")
document = json.load(open(path))
job = next((each for each in document["jobs"] if each["id"] == id_), None)
def save():
    open(path + ".tmp", "w").write(json.dumps(document, indent=2))
    os.replace(path + ".tmp", path)
def do(statement, *values):
    with sqlite3.connect(os.path.join(home, "cron/executions.db")) as db:
        db.execute(statement, values)
if mode == "refuse" or job is None:
    print("Failed: not now")
    sys.exit(0)
if order in ("pause", "resume"):
    job["enabled"], job["state"] = order == "resume", "scheduled" if order == "resume" else "paused"
    save()
elif order == "edit":
    job["repeat"]["times"] = 2
    save()
elif job["schedule"]["kind"] == "once" and job["repeat"]["completed"] >= job["repeat"]["times"]:
    document["jobs"].remove(job)  # as the real one does: dropped, and nothing has run
    save()
    print("Ran now: failed")
else:
    now = datetime.now(UTC).isoformat()
    do("INSERT INTO executions VALUES ('asked', ?, 'direct', 'cli', ?, NULL, 'running', ?, ?, NULL, NULL)", id_,
       os.getpid(), now, now)
    while mode == "slow" and not os.path.exists(os.path.join({folder!r}, "go")):
        time.sleep(0.02)
    ended = datetime.now(UTC).isoformat()
    if job["schedule"]["kind"] == "once":
        document["jobs"].remove(job)
        save()
    do("UPDATE executions SET status = ?, finished_at = ?, error = ? WHERE id = 'asked'",
       "failed" if mode == "fail" else "completed", ended, "HTTP 401" if mode == "fail" else None)
'''


@dataclass
class Rig:
    """A home whose gateway is dead for ten minutes, its command, and what acts on it."""

    folder: Path
    home: Home
    store: Store
    cli: tuple[str, ...]

    def __post_init__(self) -> None:
        self.now = datetime.now(UTC)
        self.home.beat(self.now - 10 * MINUTE, began=self.now - 60 * MINUTE)

    @property
    def section(self) -> Hermes:
        return Hermes(kind="hermes", home=self.home.path, cli=self.cli)

    @property
    def config(self) -> Config:
        return Config(sources=(self.section,), state=self.folder / "state.db")

    def late(self, name: str = "inbox", home: Home | None = None, **fields: Any) -> str:
        """A job that is due since nine minutes."""
        home = home or self.home
        id_ = home.add(name, every(1), next_run_at=home.iso(self.now - 9 * MINUTE), **fields)
        home.ran(id_, self.now - 10 * MINUTE)
        return id_

    def mode(self, mode: str) -> None:
        (self.folder / "mode").write_text(mode)

    @property
    def asked(self) -> list[list[str]]:
        return [arguments for _, arguments in self.calls]

    @property
    def calls(self) -> list[tuple[str, list[str]]]:
        path = self.folder / "asked"
        return [tuple(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def revive(self, job: str) -> str:
        return "\n".join(revive(self.config, self.store, job, dry_run=False))

    def act(self, kind: str, job_id: str, deadline: timedelta = 20 * timedelta(seconds=1), **changes: Any) -> Action:
        """What a policy would do; the action as it stands then."""
        records = Records(self.store)
        job = look(self.section, job_id, datetime.now(UTC))
        assert job is not None
        stamp, seen = WallClock().stamp(), changes.pop("seen", seen_of(job))
        action = records.add(Action(0, stamp, "p", kind, "hermes", job_id, job.name, "c", seen=seen, ways=(kind,)))
        executor = Executor(self.config, records, WallClock().stamp)
        policy = Policy(action=kind, deadline=deadline)  # type: ignore[arg-type]
        ACTING.actor(self.section, executor._progress, None).carry_out(action, policy)  # type: ignore[arg-type]
        found = records.action(action.id)
        assert found is not None
        return found


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    program = tmp_path / "hermes-cli"
    program.write_text(PROGRAM.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (tmp_path / "mode").write_text("well")
    store = Store(tmp_path / "state.db")
    yield Rig(tmp_path, Home(tmp_path / "home", zone="UTC"), store, (str(program),))
    store.close()


def said(action: Action) -> str:
    return "\n".join(step.what for step in action.steps)


def test_a_late_job_is_run_and_the_ledger_is_what_tells(rig: Rig) -> None:
    id_ = rig.late()
    action = rig.act("run_due", id_)
    assert rig.asked == [["cron", "run", id_]]
    assert action.state is State.ACTED
    assert "the ledger has its run as completed" in said(action)


def test_a_refusal_that_ends_well_is_not_believed(rig: Rig) -> None:
    id_ = rig.late()
    rig.mode("refuse")
    action = rig.act("run_due", id_)
    assert action.state is State.REFUSED
    assert said(action).endswith("no run has begun; Hermes said: Failed: not now")


def test_a_job_is_never_run_beside_a_run_of_it_or_one_that_waits(rig: Rig) -> None:
    id_ = rig.late()
    rig.home.beat(rig.now)
    rig.home.row(id_, rig.now - MINUTE, "running", pid=1, process_started_at=None)
    rig.home.session(id_, rig.now - MINUTE, seconds=None)
    job = look(rig.section, id_, rig.now)
    assert job is not None
    assert ACTING.kinds["run_due"].unfit(job, rig.now) == "a run of it is in flight, and another would go on beside it"
    with pytest.raises(RefusedError):
        rig.revive("inbox")
    assert rig.asked == []


def test_a_job_that_has_run_since_it_was_seen_is_left_alone(rig: Rig) -> None:
    id_ = rig.late()
    job = look(rig.section, id_, rig.now)
    assert job is not None
    rig.home.ran(id_, rig.now - MINUTE)
    assert rig.act("run_due", id_, seen=seen_of(job)).state is State.REFUSED
    assert rig.asked == []


def test_a_one_shot_whose_only_run_is_used_up_is_given_one_more_first(rig: Rig) -> None:
    at = rig.now - 20 * MINUTE
    once = {"kind": "once", "run_at": at.isoformat(), "display": "once"}
    id_ = rig.home.add("remind", once, next_run_at=rig.home.iso(at), repeat={"times": 1, "completed": 1})
    rig.home.row(id_, at, "unknown", finished=at + MINUTE)
    rig.home.session(id_, at, seconds=None)
    action = rig.act("run_due", id_)
    assert rig.asked == [["cron", "edit", id_, "--repeat", "2"], ["cron", "run", id_]]
    assert action.state is State.VERIFIED, said(action)


def test_without_one_more_it_is_not_asked_for(rig: Rig) -> None:
    at = rig.now - 20 * MINUTE
    once = {"kind": "once", "run_at": at.isoformat(), "display": "once"}
    id_ = rig.home.add("remind", once, next_run_at=rig.home.iso(at), repeat={"times": 1, "completed": 1})
    rig.home.row(id_, at, "unknown", finished=at + MINUTE)
    rig.home.session(id_, at, seconds=None)
    rig.mode("refuse")
    action = rig.act("run_due", id_)
    assert [arguments[1] for arguments in rig.asked] == ["edit"]
    assert action.state is State.FAILED
    assert id_ in rig.home.path.joinpath("cron/jobs.json").read_text()


def test_a_run_that_takes_long_is_left_to_itself_and_not_ended(rig: Rig) -> None:
    id_ = rig.late()
    rig.mode("slow")
    action = rig.act("run_due", id_, deadline=timedelta(seconds=4))
    assert action.state is State.ACTED
    assert "it runs, as asked in the ledger" in said(action)

    def has_ended() -> bool:
        job = look(rig.section, id_, datetime.now(UTC))
        return job is not None and job.last_run is not None and job.last_run.started_at > rig.now

    assert not has_ended()
    (rig.folder / "go").touch()
    until(has_ended, "the run ends by itself")
    for left in hermes_cli._LEFT_ALONE:
        left.wait(PATIENCE)


@pytest.mark.parametrize("mode", ["well", "refuse"])
def test_a_pause_is_believed_by_the_file_alone(rig: Rig, mode: str) -> None:
    id_ = rig.late()
    rig.mode(mode)
    action = rig.act("pause", id_)
    assert rig.asked == [["cron", "pause", id_]]
    assert action.state is (State.ACTED if mode == "well" else State.FAILED)


def test_a_paused_job_is_resumed_by_hand(rig: Rig) -> None:
    id_ = rig.late(enabled=False, state="paused")
    rig.revive("inbox")
    assert rig.asked == [["cron", "resume", id_]]
    with pytest.raises(RefusedError):
        rig.revive("nobody")


def test_a_command_that_is_not_there_is_told_as_cannot_act(rig: Rig) -> None:
    id_ = rig.late()
    rig.cli = (str(rig.folder / "nowhere"),)
    for kind in ("run_due", "pause"):
        action = rig.act(kind, id_)
        assert action.state is State.UNABLE
        assert "`cli` of the source says how it is called" in said(action)


def test_each_profile_is_asked_in_its_own_home(rig: Rig) -> None:
    work = Home(rig.home.path / "profiles/work", zone="UTC")
    work.beat(rig.now - 10 * MINUTE)
    id_ = rig.late("report", work)
    action = rig.act("run_due", f"work/{id_}")
    assert action.state is State.ACTED
    assert rig.calls == [(str(work.path), ["cron", "run", id_])]
    far = Hermes(kind="hermes", home=rig.home.path, cli=("docker", "exec", "hermes", "hermes"))
    asked = hermes_cli.arguments_of(far, "run_due", "work", id_)
    assert asked == ["docker", "exec", "hermes", "hermes", "-p", "work", "cron", "run", id_]


@pytest.mark.parametrize("id_", ["-x", "(no id) inbox", "abc #2", "work/abc"])
def test_what_is_no_id_of_hermes_is_never_an_argument(rig: Rig, id_: str) -> None:
    rig.home.add("inbox", every(1), next_run_at=rig.home.iso(rig.now - 9 * MINUTE))
    rig.home.change("000000000001", id=id_)
    for kind in ACTING.kinds.values():
        job = look(rig.section, id_, rig.now)
        assert job is not None
        assert kind.unfit(job, rig.now) is not None


def test_after_a_kill_in_the_middle_a_run_is_not_asked_for_again(rig: Rig) -> None:
    id_ = rig.late()
    records = Records(rig.store)
    job = look(rig.section, id_, rig.now)
    assert job is not None
    stamp = WallClock().stamp()
    action = records.add(
        Action(0, stamp, "p", "run_due", "hermes", id_, "inbox", "c", state=State.BEGUN, seen=seen_of(job))
    )
    executor = Executor(rig.config, records, WallClock().stamp)
    executor._progress.take(action)
    ACTING.actor(rig.section, executor._progress, None).take_up(action)  # type: ignore[arg-type]
    found = records.action(action.id)
    assert found is not None
    assert found.state is State.ACTED
    assert rig.asked == []


def test_nothing_ever_asks_for_what_ends_the_gateways_of_other_homes() -> None:
    section = Hermes(kind="hermes", home=Path("/nowhere"))
    for order in ("run_due", "repeat", "pause", "resume"):
        assert hermes_cli.arguments_of(section, order, "", "abc")[:2] == ["hermes", "cron"]
    assert set(hermes_cli._ORDERS) == {"run_due", "repeat", "pause", "resume"}


def test_what_a_person_asks_for_needs_something_wrong(rig: Rig) -> None:
    rig.home.add("well", every(60), next_run_at=rig.home.iso(rig.now + 30 * MINUTE))
    rig.home.beat(rig.now)
    with pytest.raises(RefusedError, match="only one that is overdue, interrupted or paused is brought back"):
        next(iter(ACTING.find(rig.section, "well", rig.now, Detect()).values()))()
