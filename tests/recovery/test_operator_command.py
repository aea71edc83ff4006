"""The action `command`: the operator's own program for a job of any scheduler, here one in an SQLite file."""

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from watchdog.config.file import Config, ConfigError
from watchdog.config.reading import load
from watchdog.core.action import Action, State
from watchdog.core.clock import Stamp
from watchdog.core.instants import iso
from watchdog.core.model import Finding
from watchdog.engine import Engine
from watchdog.recovery import operator_command
from watchdog.recovery.executor import Executor
from watchdog.recovery.fresh_look import Objection
from watchdog.recovery.recoverer import Recoverer
from watchdog.state.records import Records
from watchdog.state.store import Store
from watchdog.systems.shared import command

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
SCHEMA = """
CREATE TABLE jobs (id, name, status, every, next_run_at);
CREATE TABLE runs (id INTEGER PRIMARY KEY, job_id, started_at, ended_at, status, error);
"""
PROGRAM = """
import os, sqlite3, sys
wanted, path, said, job = sys.argv[1:5]
open(said, "a").write(repr((sys.argv[4:], os.environ["WATCHDOG_JOB"])) + "\\n")
if wanted == "fail":
    sys.exit("the server said no")
if wanted == "help":
    connection = sqlite3.connect(path)
    connection.execute("UPDATE jobs SET status = 'active' WHERE id = ?", (job,))
    connection.commit()
"""


class Rig:
    """A scheduler's file, a program that helps or does not, and the watchdog at an instant."""

    def __init__(self, folder: Path, does: str, **policy: Any) -> None:
        self.path, self.said, self.now = folder / "jobs.db", folder / "said", NOW
        with closing(sqlite3.connect(self.path)) as connection:
            connection.executescript(SCHEMA)
        program = folder / "program.py"
        program.write_text(PROGRAM)
        run = [sys.executable, str(program), does, str(self.path), str(self.said), "{job_id}"]
        action = {"match": {"kind": "failed"}, "action": "command", "run": run, "after": "0s", **policy}
        runs = "SELECT id, job_id, started_at, ended_at, status, error FROM runs WHERE id > :after"
        source = {"kind": "sql", "name": "jobs", "database": str(self.path), "runs": runs}
        source["jobs"] = "SELECT id, name, status, every, next_run_at FROM jobs"
        self.config = Config.validated(
            {"sources": [source], "state": str(folder / "s.db"), "recovery": {"mode": "act", "policies": [action]}}
        )
        self.store = Store(folder / "s.db")
        self.records = Records(self.store)
        self.told: list[str] = []
        self.use(self.config)

    def use(self, config: Config) -> None:
        self.config = config
        self.engine = Engine(config)
        self.recoverer = Recoverer(config, self.records, self._tell, lambda *_: None)
        self.hand = Executor(config, Records(self.store), self.stamp, self._judge)

    def _judge(self, action: Action) -> Objection | None:
        return self.recoverer.objection(action, self.engine.tick(self.now).published, self.stamp())

    def _tell(self, finding: Finding, title: str, lead: str, facts: object, action: Action | None = None) -> None:
        self.told.append(title)

    def stamp(self) -> Stamp:
        return Stamp(self.now, (self.now - NOW).total_seconds(), "boot")

    def do(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute(statement, values)

    def job(self, id_: str, name: str = "digest", status: str = "failed") -> None:
        self.do("INSERT INTO jobs VALUES (?, ?, ?, 3600, ?)", id_, name, status, iso(NOW + HOUR))

    def ran(self, id_: str, status: str = "ok") -> None:
        """A run of the job that began a minute ago and has just ended."""
        values = (id_, iso(self.now - MINUTE), iso(self.now), status)
        self.do("INSERT INTO runs (job_id, started_at, ended_at, status) VALUES (?, ?, ?, ?)", *values)

    def step(self, length: timedelta = MINUTE) -> None:
        self.now += length
        self.recoverer.turn(self.engine.tick(self.now).published, self.stamp())
        self.hand.turn()

    @property
    def only(self) -> Action:
        (action,) = self.records.actions()
        return action

    @property
    def state(self) -> str:
        return self.only.state.value

    @property
    def calls(self) -> list[str]:
        return self.said.read_text().splitlines() if self.said.exists() else []


@pytest.fixture
def rigs(tmp_path: Path) -> Iterator[Any]:
    made: list[Rig] = []

    def make(does: str, **policy: Any) -> Rig:
        made.append(Rig(tmp_path, does, **policy))
        return made[-1]

    yield make
    for rig in made:
        rig.store.close()


def last(action: Action) -> str:
    return action.steps[-1].what


def test_a_command_that_helped_is_proved_by_the_next_run(rigs: Any) -> None:
    rig = rigs("help")
    rig.job("7", "it's $(hot)")
    rig.step()
    assert rig.calls == [repr((["7"], "it's $(hot)"))]
    assert rig.state == "acted"
    rig.step(2 * MINUTE)
    rig.ran("7")
    rig.step()
    assert rig.state == "verified"
    assert last(rig.only).startswith("its next run ended ok")


def test_a_run_that_fails_again_proves_the_opposite(rigs: Any) -> None:
    rig = rigs("help")
    rig.job("7")
    rig.step()
    rig.step(2 * MINUTE)
    rig.ran("7", "failed")
    rig.step()
    assert rig.only.state is State.INEFFECTIVE


def test_what_is_still_so_after_its_time_was_in_vain(rigs: Any) -> None:
    rig = rigs("nothing")
    rig.job("7")
    rig.step()
    rig.step(4 * MINUTE)
    assert rig.only.state is State.ACTED
    rig.step(2 * MINUTE)
    assert (rig.only.state, last(rig.only)) == (State.INEFFECTIVE, "it is still failed")
    rig.step()
    assert rig.told == ["Did not help: command of digest"]


def test_what_is_over_without_a_run_is_no_proof(rigs: Any) -> None:
    rig = rigs("help")
    rig.job("7")
    rig.job("8", "other", "active")
    rig.ran("8")
    rig.step()
    rig.step(2 * HOUR)
    assert rig.only.state is State.UNKNOWN
    assert last(rig.only) == "it is over, and no run has been recorded since; there is no proof"


def test_a_command_that_fails_is_told_with_its_last_words(rigs: Any) -> None:
    rig = rigs("fail")
    rig.job("7")
    rig.step()
    assert rig.only.state is State.FAILED
    assert last(rig.only).endswith("ended with 1: the server said no")


def test_a_program_that_is_not_there_is_told_as_cannot_act(rigs: Any) -> None:
    rig = rigs("help", run=["/nowhere/program", "{job_id}"])
    rig.job("7")
    rig.step()
    assert rig.only.state is State.UNABLE
    assert last(rig.only).startswith("cannot act: /nowhere/program: ")


def test_an_id_that_would_be_an_option_stays_out_of_the_command(rigs: Any) -> None:
    rig = rigs("help")
    rig.job("--all")
    rig.step()
    assert (rig.only.state, rig.calls) == (State.FAILED, [])


def test_a_job_that_changed_since_it_was_seen_is_left_alone(rigs: Any) -> None:
    rig = rigs("help")
    rig.job("7")
    rig.now += MINUTE
    rig.recoverer.turn(rig.engine.tick(rig.now).published, rig.stamp())
    rig.do("UPDATE jobs SET status = 'paused'")
    rig.hand.turn()
    assert (rig.only.state, rig.calls) == (State.REFUSED, [])


def test_a_crash_in_the_middle_does_not_repeat_it(rigs: Any) -> None:
    rig = rigs("help")
    rig.job("7")
    rig.now += MINUTE
    rig.recoverer.turn(rig.engine.tick(rig.now).published, rig.stamp())
    rig.records.save(rig.only.stepped(rig.now, "begun", state=State.BEGUN, begun=rig.stamp(), way="command"))
    rig.step()
    assert rig.state == "begun"  # it may still be running
    rig.step(2 * MINUTE)
    assert (rig.only.state, rig.calls) == (State.ACTED, [])


def test_a_run_that_is_still_going_on_is_waited_for(rigs: Any) -> None:
    rig = rigs("nothing")
    rig.job("7")
    rig.step()
    rig.step(2 * MINUTE)
    rig.do("INSERT INTO runs (job_id, started_at) VALUES ('7', ?)", iso(rig.now))
    for _ in range(4):
        rig.step(20 * MINUTE)
        assert rig.state == "acted"
    rig.do("UPDATE runs SET ended_at = ?, status = 'ok'", iso(rig.now))
    rig.do("UPDATE jobs SET status = 'active'")
    rig.step()
    assert rig.state == "verified"


def test_a_next_run_that_is_worked_out_is_no_change_of_the_job(rigs: Any) -> None:
    """The first look counts from when it was; a look of its own counts from another instant."""
    rig = rigs("nothing", match={"kind": "overdue"})
    (source,) = rig.config.sources
    jobs = source.but(jobs="SELECT id, name, status, every FROM jobs")
    rig.use(rig.config.but(sources=(jobs,)))
    rig.job("7", status="active")
    rig.job("8", "other", "active")
    for _ in range(40):
        rig.ran("8")
        rig.step(10 * MINUTE)
    assert len(rig.calls) >= 1
    assert State.REFUSED not in {action.state for action in rig.records.actions()}


def test_a_configuration_that_is_read_again_meanwhile_does_not_hide_how_it_ended(
    rigs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig = rigs("fail")
    rig.job("7")
    run = command.run

    def beside(*what: Any) -> Any:
        Executor(rig.config, Records(rig.store), rig.stamp).turn()
        return run(*what)

    monkeypatch.setattr(operator_command, "run", beside)
    rig.step()
    assert rig.state == "failed"
    assert last(rig.only).endswith("the server said no")


def test_of_several_jobs_one_goes_first(rigs: Any) -> None:
    rig = rigs("help")
    for id_ in ("7", "8", "9"):
        rig.job(id_, f"job-{id_}")
    rig.step()
    rig.step()
    assert len(rig.calls) == 1
    rig.ran(rig.only.job_id)
    for _ in range(6):
        rig.step()
    assert len(rig.calls) == 3


# what the configuration says of it

PHANTOM = "sources: [{name: agent, database: /data/phantom.db}]\n"
CLAW = "sources: [{kind: openclaw, name: claw, state_dir: /data}]\n"
BOTH = "sources: [{name: agent, database: /d/p.db}, {kind: openclaw, name: claw, state_dir: /data}]\n"


def problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "watchdog.yaml"
    file.write_text(text)
    try:
        load(file)
    except ConfigError as error:
        return [problem.removeprefix(f"{file}: ") for problem in error.problems]
    return []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PHANTOM + "recovery: {policies: [{action: run_due}]}", "an action for a source of kind openclaw"),
        (
            CLAW + "recovery: {policies: [{action: revive}]}",
            "where it can be run_due, enable, unstick, pause, command or restart",
        ),
        (BOTH + "recovery: {policies: [{match: {source: AGENT}, action: enable}]}", "agent is of kind phantom"),
        (CLAW + "recovery: {policies: [{action: command}]}", 'a command needs `run: ["program", "an argument"'),
        (CLAW.replace("/data", "/data, cli: []") + "", "sources[0].cli: "),
        (CLAW + "recovery: {policies: [{action: unstuck}]}", "recovery.policies[0].action: "),
    ],
)
def test_an_action_that_nothing_can_do_is_an_error(text: str, said: str, tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, text)
    assert said in problem


def test_of_a_mixed_house_each_policy_is_for_the_sources_it_fits(tmp_path: Path) -> None:
    policies = [{"match": {"kind": "failed"}, "action": action} for action in ("revive", "enable")]
    assert problems(tmp_path, BOTH + f"recovery: {{policies: {json.dumps(policies)}}}") == []
