"""A watchdog in a container sees the agent's folder mounted read-only: it says so where it is asked to write there."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import build, healthy, job_row
from tests.support.command import COMMAND
from watchdog.state.store import Store

POLICIES = "recovery: {mode: propose, policies: [{match: {kind: failed}, action: revive, via: [sql]}]}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A watchdog of a job that was given up."""
    (tmp_path / "data").mkdir()
    build(tmp_path / "data" / "phantom.db", {**healthy(), "scheduled_jobs": [job_row("lost", status="failed")]})
    Store(tmp_path / "state.db").close()
    path = tmp_path / "watchdog.yaml"
    path.write_text(f"sources: [{{database: {tmp_path}/data/phantom.db}}]\nstate: {tmp_path}/state.db\n{POLICIES}")
    return path


def mounted(config: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command where the agent's folder is mounted read-only, as in the shipped Compose file."""
    inside = ["unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -o bind,ro "$0" "$0" && exec "$@"']
    words = [*inside, str(config.parent / "data"), *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


@pytest.fixture(autouse=True)
def _can_mount(config: Path) -> None:
    try:
        refused = mounted(config, "true").stderr
    except FileNotFoundError as error:
        refused = str(error)
    if refused:
        pytest.skip(f"nothing can be mounted here: {refused}")


def test_who_revives_hears_that_it_is_mounted_read_only_and_what_to_do(config: Path) -> None:
    done = mounted(config, COMMAND, "revive", "-c", config, "lost")
    assert done.returncode == 3
    assert f"{config.parent}/data/phantom.db is mounted read-only here: take `:ro` off its mount" in done.stdout


def test_a_policy_that_could_write_nothing_is_found_by_validate(config: Path) -> None:
    done = mounted(config, COMMAND, "validate", "-c", config)
    assert done.returncode == 0
    assert f"recovery.policies[0].via: `sql` writes {config.parent}/data/phantom.db" in done.stderr
    allowed = subprocess.run([COMMAND, "validate", "-c", config], capture_output=True, text=True, check=False)
    assert (allowed.returncode, allowed.stderr) == (0, "")


def test_where_it_is_only_told_of_no_policy_has_to_write(config: Path) -> None:
    config.write_text(config.read_text().replace("mode: propose", "mode: observe"))
    assert mounted(config, COMMAND, "validate", "-c", config).stderr == ""
    assert os.access(config.parent / "data", os.W_OK)
