"""A job's id comes from a model: it is data in a command, never a part of it."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.config.file import ConfigError
from watchdog.config.placeholders import PLACE, misplaced, unfit
from watchdog.config.reading import load


@pytest.mark.parametrize(
    "run",
    [
        ["sh", "-c", "echo {job_id}"],
        ["sh", "-c", "{job_id}"],
        ["/bin/bash", "-lc", "{job_id}"],
        ["env", "A=b", "sh", "-c", "{job_id}"],
        ["docker", "exec", "agent", "sh", "-c", "resend {job_id}"],
        ["docker", "exec", "agent", "{job_id}"],
        ["python3", "-c", "{job_id}"],
        ["python3", "{job_id}"],
        ["node", "--eval={job_id}"],
        ["perl", "-e", "{job_id}"],
        ["su", "agent", "-c", "{job_id}"],
        ["{job_id}"],
        ["/usr/bin/{job_id}"],
        ["sudo", "-n", "{job_id}"],
        ["timeout", "5s", "{job_id}"],
        ["nice", "-n", "5", "env", "X=1", "{job_id}"],
        ["xargs", "-n1", "rm", "{job_id}"],
        ["ssh", "host", "{job_id}"],
        ["ssh", "host", "resend {job_id}"],
        ["ssh", "host", "resend", "{job_id}"],
        ["rm", "-rf", "/var/jobs/{job_id}"],
        ["resend", "the job {job_id}"],
        ["resend", "{job_id}.json"],
        ["resend", "{job_id}{job_id}"],
        ["resend", "--file=/var/{job_id}"],
    ],
)
def test_where_an_id_could_become_code_a_program_or_a_path_the_configuration_is_refused(
    run: Sequence[str], tmp_path: Path
) -> None:
    assert misplaced(run)
    file = tmp_path / "watchdog.yaml"
    policy = f"{{match: {{kind: failed}}, action: command, run: {list(run)}}}"
    file.write_text(f"sources: [{{database: /data/phantom.db}}]\nrecovery: {{policies: [{policy}]}}\n")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert any("WATCHDOG_JOB_ID" in problem for problem in caught.value.problems)


@pytest.mark.parametrize(
    "run",
    [
        ["/usr/local/bin/resend", "{job_id}"],
        ["resend", "--job={job_id}", "--now"],
        ["resend", "--job", "{job_id}"],
        ["sudo", "/usr/local/bin/resend", "{job_id}"],
        ["docker", "exec", "-e", "JOB={job_id}", "agent", "resend"],
        ["docker", "exec", "agent", "resend", "{job_id}"],
        ["docker", "restart", "{job_id}"],
        ["sh", "/opt/resend.sh", "{job_id}"],
        ["sh", "-c", 'resend "$WATCHDOG_JOB_ID"'],
        ["python3", "-m", "resend", "{job_id}"],
        ["openclaw", "cron", "run", "--", "{job_id}"],
    ],
)
def test_where_it_is_an_argument_it_is_taken(run: Sequence[str]) -> None:
    assert misplaced(run) == []


@pytest.mark.parametrize(
    "job_id", ["", "-rf", "--help", "a b", "a;b", "$(id)", "a/b", "../x", "..", ".", "a\nb", "é", "a'b", "a%b"]
)
def test_an_id_that_is_more_than_a_name_is_not_put_into_a_command(job_id: str) -> None:
    assert unfit(job_id)


@pytest.mark.parametrize(
    "job_id", ["6f1c2a04-77aa-4f7e-9f8e-0a3f1f2d4b5c", "sched:nightly", "me@host", "a..b", "v1.2_3"]
)
def test_the_ids_that_schedulers_make_are_put_into_commands(job_id: str) -> None:
    assert unfit(job_id) == ""


@pytest.mark.deep
@given(st.text(max_size=20))
def test_whatever_may_be_put_into_a_command_means_itself_to_a_shell(job_id: str) -> None:
    if unfit(job_id):
        return
    shell = shutil.which("sh")
    assert shell
    said = subprocess.run([shell, "-c", f"printf %s {job_id}"], capture_output=True, text=True, check=True)
    assert said.stdout == job_id
    assert PLACE not in job_id
