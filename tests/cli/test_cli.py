"""The installed command: what it prints, where, and with which exit code."""

import json
import os
import re
import subprocess
import venv
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.conftest import build, job_row
from tests.support.command import COMMAND, ROOT, command
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator

BEGIN = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Two jobs; one has failed."""
    path = tmp_path / "phantom.db"
    with Simulator(path, BEGIN) as simulator:
        simulator.add("price-watch", {"kind": "every", "intervalMs": 900_000})
        simulator.add("heartbeat", {"kind": "cron", "expr": "0 * * * *", "tz": "Europe/Berlin"})
        simulator.run_until(BEGIN + timedelta(hours=1))
        simulator.behaviour = lambda name, now: Outcome.failing() if name == "heartbeat" else Outcome()
        simulator.run_until(BEGIN + timedelta(hours=9))
    return path


NOW = "2026-07-01T18:31:00Z"


def test_check_exits_as_monitoring_plugins_do(tmp_path: Path, database: Path) -> None:
    assert command("check", "--database", database, "--now", "2026-07-01T18:31:00Z").returncode == 2
    well = tmp_path / "well.db"
    with Simulator(well, BEGIN) as simulator:
        simulator.add("heartbeat", {"kind": "every", "intervalMs": 3_600_000})
    done = command("check", "--database", well, "--now", "2026-07-01T09:31:00Z")
    assert (done.returncode, done.stdout) == (0, "OK: 1 job is well | jobs=1 critical=0 warning=0\n")
    assert command("check", "--database", tmp_path / "none.db").returncode == 2
    assert command("check").returncode == 3


def test_whichever_streams_are_closed_it_ends_as_ever(database: Path) -> None:
    check = [str(COMMAND), "check", "--database", str(database), "--now", NOW]
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        assert subprocess.run(["sh", "-c", f'exec "$@" {closed}', "sh", *check], check=False).returncode == 2


def test_check_says_the_verdict_first_and_then_a_line_a_finding(database: Path) -> None:
    first, *rest = command("check", "--database", database, "--now", NOW).stdout.splitlines()
    assert first == "CRITICAL: 1 failed | jobs=2 critical=1 warning=0"
    assert len(rest) == 1
    assert rest[0].startswith("CRITICAL failed: heartbeat was given up at 2026-07-01")
    assert "529 overloaded_error" in rest[0]


def test_check_as_json_has_the_agreed_shape(database: Path) -> None:
    done = command("check", "--database", database, "--now", NOW, "--format", "json")
    document = json.loads(done.stdout)
    assert set(document) == {"now", "sources", "findings"}
    assert document["now"] == NOW
    assert document["sources"] == [{"name": "phantom", "kind": "phantom", "ok": True, "jobs": 2}]
    (finding,) = document["findings"]
    wanted = {"source", "kind", "severity", "job_id", "job", "since", "summary", "evidence", "caused_by"}
    assert set(finding) == wanted
    assert (finding["kind"], finding["job"], finding["caused_by"]) == ("failed", "heartbeat", None)
    assert finding["evidence"]["error_class"] == "transient"
    assert finding["since"].endswith("Z")


def test_check_changes_nothing(database: Path) -> None:
    before = {path.name: path.read_bytes() for path in database.parent.iterdir()}
    command("check", "--database", database, "--now", NOW)
    assert {path.name: path.read_bytes() for path in database.parent.iterdir()} == before


def test_jobs_shows_each_job_in_words(database: Path) -> None:
    text = command("jobs", "--database", database, "--now", NOW).stdout
    assert "Every hour (Europe/Berlin)" in text
    assert "every 15 min" in text
    assert "failed" in text
    document = json.loads(command("jobs", "--database", database, "--now", NOW, "--format", "json").stdout)
    assert [job["job"] for job in document["jobs"]] == ["price-watch", "heartbeat"]
    assert document["jobs"][1]["findings"] == ["failed"]


def test_colour_is_only_for_a_terminal(database: Path) -> None:
    assert "\x1b[" not in command("jobs", "--database", database, "--now", NOW).stdout
    script = f"{COMMAND} check --database {database} --now {NOW}"
    on_terminal = subprocess.run(
        ["script", "-qec", script, "/dev/null"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert "\x1b[1;31mCRITICAL: 1 failed" in on_terminal.stdout


def test_names_from_the_database_are_never_markup(tmp_path: Path) -> None:
    path = tmp_path / "phantom.db"
    with Simulator(path, BEGIN) as simulator:
        simulator.add("[red]x[/red] \x1b[31mred\x1b[0m \u202egnp", {"kind": "every", "intervalMs": 900_000})
    text = command("jobs", "--database", path, "--now", "2026-07-01T09:31:00Z").stdout
    assert "[red]x[/red]" in text
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "--database", "x", "-c", "y"], "-c FILE and --database PATH each say which watchdog is meant"),
        (["check", "--database", "x", "--now", "soon"], "'soon' is not an instant"),
        (["check", "-c", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["chek"], "Did you mean 'check'?"),
        (["check", "--databse", "x"], "--databse"),
        (["fires", "61 * * * *"], "minute"),
        (["fires", "0 * * * *", "--timezone", "Mars/Base"], "Mars/Base"),
        (["fires", "0 * * * *", "-n", "0"], "-n"),
        (["fires", "0", "9", "*", "*", "1"], "in quotes, like: scheduler-watchdog fires '0 9 * * 1'"),
        (["fires", "0", "9", "README.md", "docs", "src", "README.md", "docs", "src", "1"], "in quotes, like: "),
    ],
)
def test_errors_are_one_line_on_stderr_with_exit_code_3(arguments: list[str], words: str) -> None:
    done = command(*arguments)
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


def test_debug_shows_the_traceback() -> None:
    assert "Traceback" not in command("check").stderr
    assert "Traceback" in command("--debug", "check").stderr
    assert "Traceback" in command("check", "--debug").stderr


def test_validate_tells_all_errors_in_one_go(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("sources: [{kind: phantom, databse: x}]\npoll: 2\ndetect: {zero_tokens: {streak: 0}}\n")
    done = command("validate", "-c", bad)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 4
    assert "did you mean database?" in done.stderr


def test_a_variable_that_is_not_set_is_one_error(tmp_path: Path) -> None:
    """The address with a hole in it was told as another."""
    file = tmp_path / "watchdog.yaml"
    file.write_text(f"sources: [{{database: {tmp_path}/p.db}}]\nchannels: {{ops: 'slack://${{UNSET_TOKEN}}/#ops'}}\n")
    line = f"scheduler-watchdog: {file}: line 2: channels.ops: the environment variable UNSET_TOKEN is not set\n"
    assert command("validate", "-c", file).stderr == line


def test_validate_warns_of_a_name_that_no_job_has(tmp_path: Path) -> None:
    file, store = tmp_path / "watchdog.yaml", tmp_path / "phantom.db"
    build(store, {"scheduled_jobs": [job_row("heartbeat")]})
    file.write_text(
        f"sources: [{{name: agent, database: {store}}}]\nstate: {tmp_path}/state.db\n"
        "channels: {me: 'json://127.0.0.1:9'}\n"
        "owners: [{match: {job: hartbeat}, notify: [me]}, {notify: [me]}]\n"
    )
    done = command("validate", "-c", file)
    assert (done.returncode, done.stdout) == (0, f"{file} can be used, with 1 warning: watches agent\n")
    assert done.stderr == (
        f"{file}: line 4: owners[0].match.job: no job is like 'hartbeat' now; is 'heartbeat' meant?\n"
    )
    store.write_bytes(b"no database at all, by its first bytes")
    assert command("validate", "-c", file).stdout == f"{file} is good: watches agent\n"


def test_the_example_configuration_is_good() -> None:
    done = command("validate", "-c", ROOT / "config" / "watchdog.yaml")
    assert (done.returncode, said_but_of_its_store(done.stderr)) == (0, [])


def said_but_of_its_store(errors: str) -> list[str]:
    """What is said of the example, but that the store and the programs which it names are not on this machine."""
    not_there = r"/data/phantom.db is not there now|\.run: (/usr/local/bin/resend is no program|no program docker is)"
    return [line for line in errors.splitlines() if not re.search(not_there, line)]


def test_fires_shows_what_the_scheduler_would_do() -> None:
    done = command("fires", "30 2 * * *", "--timezone", "America/New_York", "--from", "2026-03-07T12:00:00Z", "-n", "2")
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [
        "2026-03-08 03:30 EDT",
        "2026-03-09 02:30 EDT",
    ]
    assert command("fires", "0 0 30 2 *").stdout == "never\n"
    document = json.loads(
        command("fires", "0 0 1 1 *", "--from", "2026-01-01T00:00:00Z", "-n", "1", "--format", "json").stdout
    )
    assert document["fires"] == ["2027-01-01T00:00:00Z"]


def test_fires_answers_lines_and_a_bad_one_does_not_end_it() -> None:
    asked = [
        '{"expr": "0 * * * *", "tz": "UTC", "after_ms": 0, "n": 2}',
        '{"expr": "* * *"}',
        "not json",
        "[]",
        '{"expr": "0 0 30 2 *", "n": 3}',
    ]
    answers = [json.loads(line) for line in command("fires", "-", stdin="\n".join(asked)).stdout.splitlines()]
    assert answers[0] == {"fires_ms": [3_600_000, 7_200_000]}
    assert all(set(answer) == {"error"} for answer in answers[1:4])
    assert answers[4] == {"fires_ms": []}


def test_it_stops_with_a_clear_word_where_its_namesake_is_installed(tmp_path: Path) -> None:
    """The other package that is imported as `watchdog`, as pip would leave it: its metadata in site-packages."""
    metadata = tmp_path / "watchdog-6.0.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: watchdog\nVersion: 6.0.0\n")
    done = subprocess.run(
        [COMMAND, "check", "--database", "x"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert "watchdog 6.0.0" in done.stderr
    assert "pipx install" in done.stderr


@pytest.mark.slow
def test_the_images_steps_work_in_a_plain_environment(tmp_path: Path) -> None:
    """No container engine is needed for this: what the Dockerfile copies is installed and run as it does."""
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    source = tmp_path / "src"
    source.mkdir()
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line and "config/" not in line:
            *names, _ = line.split()[1:]
            for name in names:
                subprocess.run(["cp", "-r", str(ROOT / name), str(source)], check=True)
    home = tmp_path / "opt"
    venv.create(home, with_pip=True)
    installed = subprocess.run(
        [home / "bin" / "pip", "install", "--quiet", "--no-compile", "-c", "constraints.txt", ".[postgres]"],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"},
    )
    assert installed.returncode == 0, installed.stderr
    assert '-c constraints.txt ".[postgres]"' in "\n".join(lines)
    assert subprocess.run([home / "bin" / "python", "-c", "import psycopg"], check=False).returncode == 0
    assert (
        subprocess.run([home / "bin" / "python", "-m", "compileall", "-q", home / "lib"], check=False).returncode == 0
    )
    example = tmp_path / "watchdog.yaml"
    example.write_bytes((ROOT / "config" / "watchdog.yaml").read_bytes())
    (entry,) = (json.loads(line.removeprefix("ENTRYPOINT ")) for line in lines if line.startswith("ENTRYPOINT"))
    done = subprocess.run(
        [home / "bin" / entry[0], "validate", "-c", example], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


def test_what_the_example_shows_in_comments_is_good_too(tmp_path: Path) -> None:
    secret = tmp_path / "address"
    secret.write_text("mailtos://user:password@example.com\n")
    text = (ROOT / "config" / "watchdog.yaml").read_text().replace("/run/secrets/mail_address", str(secret))
    start = text.index("# channels:")
    shown = re.sub(r"(?m)^# ?(?= {2}|channels:|owners:|notify:)", "", text[start:])
    (tmp_path / "all.yaml").write_text(text[:start] + shown)
    token = "xoxb-1234-1234-4ddbc191d40ee098cbaae6f3523ada2d"
    done = command("validate", "-c", tmp_path / "all.yaml", SLACK_TOKEN=token)
    assert (done.returncode, said_but_of_its_store(done.stderr)) == (0, [])
    assert "escalate" in shown
    assert "policies" in shown


def test_what_nobody_knows_what_to_do_with_is_answered_with_the_help_that_says_what_it_takes() -> None:
    for said, where in (
        (("jobs", "heartbeat"), "jobs"),
        (("validate", "watchdog.yaml"), "validate"),
        (("frob",), ""),
    ):
        done = command(*said)
        assert done.returncode == 3
        assert f"(`{' '.join(filter(None, ['scheduler-watchdog', where]))} --help` says what it takes)" in done.stderr
