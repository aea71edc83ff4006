"""The agent to practise on: what a newcomer waits for comes within minutes, and what helps is heard."""

import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.command import command
from watchdog.config.file import Config
from watchdog.config.reading import load
from watchdog.core.model import Finding
from watchdog.demo.live import TOKEN, Agent, configuration, database, token_file
from watchdog.engine import Engine
from watchdog.recovery.by_hand import revive
from watchdog.state.store import Store

NOW = datetime.now(UTC)
"""A revival by hand goes by the machine's clock."""

MINUTE = timedelta(minutes=1)


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """It has lived until now."""
    return Agent(database(tmp_path), NOW)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Its watchdog's."""
    token_file(tmp_path).write_text(TOKEN)
    file = tmp_path / "watchdog.yaml"
    file.write_text(configuration(tmp_path, 9846, 9))
    return load(file)


def found(config: Config, agent: Agent) -> dict[str, Finding]:
    """What is wrong, by condition."""
    return {str(one.kind): one for one in Engine(config).tick(agent.simulator.now).published.findings}


def test_the_job_that_fails_is_given_up_within_two_minutes_and_works_once_the_provider_answers(
    agent: Agent, config: Config
) -> None:
    assert set(found(config, agent)) == {"failing"}
    agent.simulator.run_until(NOW + 2 * MINUTE)
    assert found(config, agent)["failed"].job == "inbox-triage"
    agent.errs.clear()
    with closing(Store(config.state)) as store:
        list(revive(config, store, "inbox-triage", False))
    agent.simulator.run_until(NOW + 5 * MINUTE)
    assert found(config, agent) == {}


@pytest.mark.slow
def test_it_says_what_can_be_tried_and_its_folder_stays(tmp_path: Path) -> None:
    done = command("demo", "--live", "--seconds", "6", TMPDIR=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    (folder,) = tmp_path.glob("watchdog-demo-*")
    assert f"All of it stays in {folder} until you delete it: rm -r {folder}" in done.stdout
    assert "message   WARNING: inbox-triage keeps failing" in done.stdout
    assert "/restart  # restart the agent by hand" in done.stdout
    tried = re.findall(r"^  scheduler-watchdog (check|incidents) (-c \S+)  #", done.stdout, re.MULTILINE)
    assert [command(verb, *which.split()).returncode for verb, which in tried] == [1, 0]
