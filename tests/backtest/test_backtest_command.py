"""`scheduler-watchdog backtest` as people and programs call it."""

import json
import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.support.command import COMMAND, ROOT, command
from tests.support.harness import HOUR, Agent, scheduler
from tests.support.replaying import watching, witness
from tests.systems.test_recordings import rebuilt
from watchdog.demo.outcome import Outcome

RECORDING = ROOT.parent / "shared" / "recordings" / "incident-next-day-2045-silent.db"
INCIDENT = ("--since", "2026-04-28T00:00:00Z", "--until", "2026-04-30T20:45:00Z")


@pytest.fixture
def incident(tmp_path: Path) -> Path:
    """The database of the incident, a day and a half later."""
    return rebuilt("incident-next-day-2045-silent", tmp_path, "wal")


@pytest.fixture
def configured(tmp_path: Path, incident: Path) -> Path:
    """A configuration of it, with somebody to tell."""
    file = tmp_path / "watchdog.yaml"
    facts = {
        "sources": [{"database": str(incident)}],
        "state": str(tmp_path / "state.db"),
        "channels": {"ops": "json://127.0.0.1:9/"},
    }
    file.write_text(yaml.safe_dump(facts))
    return file


def files(folder: Path) -> dict[str, bytes]:
    """All that stands in a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_it_says_what_would_have_been_told_when_to_whom_and_how_often(configured: Path) -> None:
    done = command("backtest", "-c", configured, *INCIDENT)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "Replayed 2026-04-28 00:00:00 to 2026-04-30 20:45:00 UTC (2 d 20 h), 25 runs"
    assert lines[1].startswith("phantom: 4 jobs; 25 cost events since 2026-04-28 23:18:04 UTC")
    assert "only the database is used" in lines[1]
    told = [line for line in lines if "  ops  " in line]
    assert [re.sub(r" since .*", "", line) for line in told] == [
        "2026-04-29 05:02:14  ops  WARNING: heartbeat does no work (no tokens): zero_tokens",
        "2026-04-29 06:02:14  ops  More of it, WARNING: heartbeat keeps failing: failing",
        "2026-04-29 10:00:08  ops  Now CRITICAL: heartbeat was given up: failed",
        "2026-04-30 10:00:08  ops  Still CRITICAL: heartbeat was given up (for 1 d): failed",
    ]
    assert "since 2026-04-29 05:01:54" in told[0]
    assert "gives it up, at about 2026-04-29 10:00:08 UTC" in told[1]
    assert lines[-1].startswith("as configured: 4 messages (ops 4; failed 2, zero_tokens 1, failing 1), 3 conditions")


def test_without_a_channel_it_says_that_nobody_is_told_and_tells_all_the_same(incident: Path) -> None:
    done = command("backtest", "--database", incident, *INCIDENT)
    assert done.returncode == 0
    assert "No channel is configured, so nobody is told" in done.stdout
    assert "2026-04-29 10:00:08  failed heartbeat, to the end" in done.stdout


def test_a_change_is_tried_beside_what_is_configured(configured: Path) -> None:
    done = command("backtest", "-c", configured, *INCIDENT, "--set", "detect.zero_tokens.streak=5")
    first, second = done.stdout.splitlines()[-2:]
    assert first.startswith("as configured: 4 messages")
    assert second.startswith("with detect.zero_tokens.streak=5: 3 messages")
    assert "Only with detect.zero_tokens.streak=5: 1 message" in done.stdout


def test_the_document_for_programs_has_everything(configured: Path) -> None:
    done = command("backtest", "-c", configured, *INCIDENT, "--set", "detect.zero_tokens=off", "--format", "json")
    document = json.loads(done.stdout)
    assert set(document) == {"since", "until", "sources", "replays", "differences"}
    assert (document["since"], document["until"]) == ("2026-04-28T00:00:00Z", "2026-04-30T20:45:00Z")
    (source,) = document["sources"]
    assert (source["name"], source["jobs"], source["jobs_left_out"]) == ("phantom", 4, 0)
    usual, tried = document["replays"]
    assert (usual["name"], tried["name"]) == ("as configured", "with detect.zero_tokens=off")
    opened = usual["messages"][0]
    assert opened["at"] == "2026-04-29T05:02:14Z"
    assert (opened["target"], opened["event"], opened["kind"], opened["job"]) == (
        "ops",
        "opened",
        "zero_tokens",
        "heartbeat",
    )
    assert [(c["kind"], c["since"], c["over_at"]) for c in usual["conditions"]] == [
        ("zero_tokens", "2026-04-29T05:01:54Z", "2026-04-29T10:00:08Z"),
        ("failing", "2026-04-29T05:22:10Z", "2026-04-29T10:00:08Z"),
        ("failed", "2026-04-29T10:00:08Z", None),
    ]
    assert usual["conditions"][1]["evidence"]["breaker_trips_at"] == "2026-04-29T10:00:08Z"
    assert usual["summary"]["by_target"] == {"ops": 4}
    assert [c["kind"] for c in document["differences"]["only_as_configured"]["conditions"]] == ["zero_tokens"]


def test_it_writes_nothing_anywhere(tmp_path: Path) -> None:
    """Not even beside a service that is at work on both files."""
    config = watching(tmp_path, channels={"ops": "json://127.0.0.1:9/"})
    file = tmp_path / "watchdog.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "sources": [{"database": str(tmp_path / "agent.db")}],
                "state": str(config.state),
                "channels": {"ops": "json://127.0.0.1:9/"},
            }
        )
    )
    with scheduler(tmp_path / "agent.db", Agent(usual={"heartbeat": Outcome.failing()})) as sim:
        sim.add("heartbeat", ("cron", "0 * * * *"))
        with witness(sim, config) as watch:
            watch.run_for(20 * HOUR)
            before = files(tmp_path)
            assert {"agent.db-wal", "state.db-wal"} <= set(before)
            until = ("--since", "20h", "--until", "2026-06-11T04:00:00Z")
            done = command("backtest", "-c", file, *until, "--set", "detect.failing=off")
            after = files(tmp_path)
    assert done.returncode == 0
    assert "runs on the watchdog's own record" in done.stdout
    assert "failed heartbeat" in done.stdout
    # the index of a log is where readers say how far they read: it is shared memory, and no data
    assert {name: data for name, data in after.items() if not name.endswith("-shm")} == {
        name: data for name, data in before.items() if not name.endswith("-shm")
    }


def test_files_at_rest_are_left_alone_to_the_byte_and_none_comes_beside_them(configured: Path) -> None:
    before = files(configured.parent)
    assert command("backtest", "-c", configured, *INCIDENT).returncode == 0
    assert files(configured.parent) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "detect.zero_token.streak=5"), "--set: detect.zero_token: unknown key; did you mean zero_tokens?"),
        (("--set", "detect.zero_tokens.streak=0"), "--set: detect.zero_tokens.streak: should be greater than"),
        (("--set", "detect.zero_tokens.streak"), "is not a setting; write it like detect.zero_tokens.streak=5"),
        (("--since", "soon"), "'soon' is not an instant"),
        (("--since", "2026-05-01T00:00:00Z", "--until", "2026-04-01T00:00:00Z"), "there is no time between"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(incident: Path, arguments: tuple[str, ...], words: str) -> None:
    done = command("backtest", "--database", incident, *arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_missing_file_is_an_error_of_one_line(tmp_path: Path) -> None:
    done = command("backtest", "--database", tmp_path / "none.db")
    assert done.returncode == 3
    assert done.stderr == f"scheduler-watchdog: phantom cannot be read: {tmp_path}/none.db is not there\n"
    assert command("backtest").returncode == 3
    assert command("backtest", "-c", tmp_path / "none.yaml").returncode == 3


def test_the_state_of_another_program_is_refused_in_one_line(incident: Path) -> None:
    done = command("backtest", "--database", incident, "--state", incident, *INCIDENT)
    assert done.returncode == 3
    assert "the state file is a database of another program" in done.stderr


@pytest.mark.skipif(not RECORDING.exists(), reason="the folder shared/recordings is not beside this project")
def test_the_recording_itself_is_told_and_left_as_it_was() -> None:
    before = RECORDING.read_bytes()
    done = command("backtest", "--database", RECORDING, *INCIDENT)
    assert "since 2026-04-29 05:01:54, heartbeat does no work" in done.stdout
    assert "2026-04-29 10:00:08  failed heartbeat" in done.stdout
    assert RECORDING.read_bytes() == before


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_no_line_is_wider_than_it(incident: Path, columns: int) -> None:
    leader, follower = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    arguments = [str(COMMAND), "backtest", "--database", str(incident), *INCIDENT]
    with subprocess.Popen(arguments, stdout=follower, stderr=follower, env=environment) as process:
        os.close(follower)
        shown = b"".join(_all_of(leader))
        assert process.wait(60) == 0
    os.close(leader)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", shown.decode()).splitlines()
    assert "2026-04-29 05:02:14  nobody  WARNING: heartbeat does no work (no tokens)" in lines
    assert max(map(len, lines)) <= columns


def _all_of(terminal: int) -> list[bytes]:
    parts: list[bytes] = []
    try:
        while part := os.read(terminal, 4096):
            parts.append(part)
    except OSError:
        return parts  # the other side is closed
    return parts
