"""The installed command in narrow terminals, with few characters, after slips of the pen, and in a storm."""

import json
import os
import re
import shlex
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.support.command import COMMAND, ROOT, Running, command, command_in, free_port, until
from watchdog.cli import tables
from watchdog.config.file import Config
from watchdog.core.model import Every, Job, RecordedRun, Snapshot
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.detectors.diagnosis import Diagnosis
from watchdog.detectors.published import Published, SourceState
from watchdog.engine import Engine
from watchdog.systems.phantom.section import Phantom

BEGIN = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)
NOW = "2026-07-01T18:31:00Z"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight jobs of which six have failed, one called with letters outside Latin-1."""
    path = tmp_path_factory.mktemp("agent") / "phantom.db"
    with Simulator(path, BEGIN) as simulator:
        for number in range(6):
            simulator.add(f"report-{number}", {"kind": "every", "intervalMs": 1_800_000})
        simulator.add("日報 heartbeat", {"kind": "cron", "expr": "0 * * * *", "tz": "Europe/Berlin"})
        simulator.add("price-watch", {"kind": "every", "intervalMs": 900_000})
        simulator.behaviour = lambda name, now: Outcome.failing() if name.startswith("report") else Outcome()
        simulator.run_until(BEGIN + timedelta(hours=9))
    return path


def test_a_storm_is_a_line_with_the_next_step_and_stays_whole_for_programs(database: Path) -> None:
    done = command("check", "--database", database, "--now", NOW)
    first, *rest = done.stdout.splitlines()
    assert first == "CRITICAL: 6 failed | jobs=8 critical=6 warning=0"
    (line,) = rest
    assert line.startswith("CRITICAL failed: 6 jobs were given up: ")
    assert "and 3 more" in line
    step = shlex.split(line.split("to do: once its cause is gone: ")[1], comments=True)
    assert step[:4] == ["scheduler-watchdog", "revive", "--database", str(database)]
    assert len(step) == 5, "it is pasted as it stands, and names one job"
    document = json.loads(command("check", "--database", database, "--now", NOW, "--format", "json").stdout)
    assert len(document["findings"]) == 6


@pytest.mark.parametrize("width", [40, 60, 80, 160])
def test_jobs_shows_the_state_at_any_width(database: Path, width: int) -> None:
    text = command("jobs", "--database", database, "--now", NOW, COLUMNS=str(width)).stdout
    assert "State" in text.splitlines()[0]
    assert text.count("failed") == 6
    assert text.count("active") == 2
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    assert ("Tokens" in text) == (width == 160)


@pytest.fixture(scope="module")
def wordy(tmp_path_factory: pytest.TempPathFactory) -> tuple[Published, datetime]:
    """Jobs with much to say: long schedules, long names, lateness."""
    path, now = tmp_path_factory.mktemp("wordy") / "phantom.db", BEGIN + timedelta(hours=9, seconds=37)
    with Simulator(path, BEGIN) as simulator:
        for name in ("heartbeat", "תזכורת יומית של הצוות", "日本語のジョブ 毎朝の要約", "a" * 200, "very long " * 20):
            simulator.add(name, {"kind": "cron", "expr": "30 7 * * MON-FRI", "tz": "America/New_York"})
        simulator.add("south", {"kind": "cron", "expr": "30 7 * * MON-FRI", "tz": "America/Argentina/Buenos_Aires"})
        simulator.add("failing", {"kind": "every", "intervalMs": 1_800_000})
        simulator.behaviour = lambda name, now: Outcome.failing() if name == "failing" else Outcome()
        simulator.run_until(BEGIN + timedelta(hours=9))
    return Engine(Config(sources=(Phantom(name="agent", database=path),))).tick(now).published, now


def test_no_line_of_the_jobs_is_wider_than_the_terminal(wordy: tuple[Published, datetime]) -> None:
    for width in range(40, 140):
        screen = Console(file=StringIO(), record=True, width=width)
        screen.print(tables.jobs_view(*wordy, width), crop=False)
        lines = screen.export_text().splitlines()
        assert max(cell_len(line) for line in lines) <= width, width
        assert "State" in lines[0]


def test_a_zone_is_broken_between_the_parts_of_its_name(wordy: tuple[Published, datetime]) -> None:
    for width in range(tables.NARROW, 140):
        screen = Console(file=StringIO(), record=True, width=width)
        screen.print(tables.jobs_view(*wordy, width), crop=False)
        text = screen.export_text()
        assert all(part in text for part in ("(America/", "Argentina/", "Buenos_", "Aires)", "New_", "York)")), text


def test_a_name_without_end_takes_a_few_lines(wordy: tuple[Published, datetime]) -> None:
    screen = Console(file=StringIO(), record=True, width=80)
    screen.print(tables.jobs_view(*wordy, 80))
    text = screen.export_text()
    assert text.count("a" * 10) < 8
    assert "a…" in text


def test_of_a_run_in_flight_it_is_not_said_that_it_was_well() -> None:
    """What stands in the row is how the run before it ended."""
    now = BEGIN + timedelta(minutes=1)
    well = Job("j", "digest", Every(timedelta(hours=1)), last_run=RecordedRun(BEGIN, "ok"), last_started_at=BEGIN)
    for job, said in ((well, ["1 min ago, ok"]), (replace(well, in_flight_since=BEGIN), ["running for 1 min"])):
        screen = Console(file=StringIO(), record=True, width=120)
        state = SourceState(Snapshot("agent", "phantom", (job,)), Diagnosis((), None), now, now)
        screen.print(tables.jobs_view(Published((state,)), now, 120))
        text = screen.export_text()
        assert all(words in text for words in ("1 min ago", *said))
        assert (", ok" in text) == (job is well)


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--state", "wrong"], [f"report-{number}" for number in range(6)]),
        (["--state", "FAILED", "--match", "report-[01]"], ["report-0", "report-1"]),
        (["--state", "well"], ["日報 heartbeat", "price-watch"]),
        (["--match", "*-5"], ["report-5"]),
        (["--match", "nothing"], []),
        (["--sort", "name", "--match", "*p*"], ["price-watch", *[f"report-{n}" for n in range(6)]]),
        (["--sort", "state", "--match", "*[0w]*"], ["report-0", "price-watch"]),
    ],
)
def test_jobs_are_chosen_and_sorted(database: Path, arguments: list[str], names: list[str]) -> None:
    done = command("jobs", "--database", database, "--now", NOW, "--format", "json", *arguments)
    found = [job["job"] for job in json.loads(done.stdout)["jobs"]]
    assert [name for name in found if "heartbeat" not in name or "日報 heartbeat" in names] == names


def test_that_no_job_is_such_is_not_that_there_are_none(database: Path) -> None:
    assert command("jobs", "--database", database, "--match", "nothing").stdout == "None of its jobs is such.\n"


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--match", "report"], "No name is 'report'; '*report*' would match 6 jobs"),
        (["--match", "WATCH"], "No name is 'WATCH'; '*WATCH*' would match 1 job"),
        (["--state", "failed", "--match", "report"], "No name is 'report'; '*report*' would match 6 jobs"),
        (["--match", "prize-watch"], "No name is 'prize-watch'; is 'price-watch' meant?"),
    ],
)
def test_a_name_of_which_only_a_part_was_given_says_which_pattern_would_match(
    database: Path, arguments: list[str], hint: str
) -> None:
    done = command("jobs", "--database", database, "--now", NOW, *arguments)
    assert done.stdout.splitlines() == ["None of its jobs is such.", hint]


def test_a_state_that_no_job_has_is_an_error_with_the_nearest(database: Path) -> None:
    done = command("jobs", "--database", database, "--state", "faild")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "scheduler-watchdog: no job is ever 'faild'; is 'failed' meant?\n"
    assert command("jobs", "--database", database, "--state", "zz").stderr.split().count("failed,") == 1


def test_a_shell_completes_the_states() -> None:
    asked = {"COMP_WORDS": "scheduler-watchdog jobs --state over", "COMP_CWORD": "3"}
    given = command(_SCHEDULER_WATCHDOG_COMPLETE="bash_complete", **asked)
    assert given.stdout.split() == ["plain,overdue", "plain,overspend"]


@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C"},
        {"LC_ALL": "POSIX"},
        {"LC_ALL": "xx_XX.UTF-8"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "latin-1"},
        {"PYTHONIOENCODING": "ascii:strict"},
    ],
    ids=str,
)
@pytest.mark.parametrize("verb", ["check", "jobs"])
def test_a_character_set_that_lacks_letters_ends_nothing(database: Path, verb: str, locale: dict[str, str]) -> None:
    done = subprocess.run(
        [str(COMMAND), verb, "--database", str(database), "--now", NOW],
        capture_output=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(database.parent), **locale},
    )
    assert done.returncode == (2 if verb == "check" else 0)
    assert b"failed" in done.stdout
    assert done.stderr == b""


def test_fires_are_shown_in_the_zone_that_is_asked_for() -> None:
    done = command("fires", "30 9 * * *", "--timezone", "Europe/Berlin", "--from", "2026-07-01T00:00:00Z", "-n", "1")
    assert done.stdout.startswith("2026-07-01 09:30 CEST")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "-c", "a", "--database", "b"], "only one of them"),
        (["incidents", "-c", "a", "--database", "b"], "only one of them"),
        (["backtest", "-c", "a", "--database", "b"], "only one of them"),
        (["-v"], "--version"),
        (["run", "--database", "x", "--listen", "nowhere"], "is not an address with a port"),
    ],
)
def test_a_slip_is_answered_with_what_would_be_right(arguments: list[str], words: str) -> None:
    done = command(*arguments)
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


@pytest.mark.parametrize(
    ("verb", "instead"),
    [
        (["check"], " (or --database PATH)"),
        (["incidents"], " (or --database PATH or --state PATH)"),
        (["revive", "one"], " (or --database PATH)"),
        (["backtest"], " (or --database PATH)"),
        (["mcp"], " (or --url URL)"),
        (["validate"], ""),
        (["notify-test"], ""),
    ],
)
def test_without_a_configuration_each_verb_says_where_it_looked_and_what_to_do(
    verb: list[str], instead: str, tmp_path: Path
) -> None:
    without = {name: value for name, value in os.environ.items() if name != "WATCHDOG_CONFIG"}
    why = "scheduler-watchdog: no configuration is named: there is no -c, and WATCHDOG_CONFIG is not set. Give -c "
    said = command_in(tmp_path, without, *verb)
    begin = "; `scheduler-watchdog init` writes one"
    assert (said.returncode, said.stderr) == (3, f"{why}FILE{instead}, or export WATCHDOG_CONFIG=FILE{begin}\n")
    (tmp_path / "watchdog.yaml").touch()
    near = command_in(tmp_path, without, *verb).stderr
    found = f"{tmp_path}/watchdog.yaml"
    assert near == f"{why}watchdog.yaml, which lies here{instead}, or export WATCHDOG_CONFIG={found}\n"


def test_a_file_that_only_the_variable_names_is_missed_by_its_name() -> None:
    said = command("check", WATCHDOG_CONFIG="nowhere.yaml").stderr
    assert said.endswith("nowhere.yaml: cannot be read: No such file or directory; WATCHDOG_CONFIG names it\n")


def test_help_is_a_verb_as_well() -> None:
    assert command("help").stdout == command("--help").stdout
    assert command("help", "jobs").stdout == command("jobs", "-h").stdout


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        ("no-such-host.invalid:9846", "there is no address of the name 'no-such-host.invalid'"),
        ("192.0.2.77:9846", "is no address of this machine"),
        ("127.0.0.1:{taken}", "is another one running?"),
    ],
)
def test_why_an_address_cannot_be_had_is_said(database: Path, tmp_path: Path, listen: str, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        where = listen.format(taken=holder.getsockname()[1])
        done = command("run", "--database", database, "--listen", where, STATE_DIRECTORY=str(tmp_path))
    assert done.returncode == 3
    assert words in done.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def watched(database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A configuration whose service has run, by an address of the command line, and found what is wrong."""
    folder = tmp_path_factory.mktemp("service")
    config = folder / "watchdog.yaml"
    config.write_text(
        f"sources: [{{database: {database}}}]\nstate: {folder}/state.db\nhttp: {{listen: '127.0.0.1:1'}}\n"
    )
    port = free_port()
    arguments = [str(COMMAND), "run", "-c", str(config), "--listen", f"127.0.0.1:{port}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(arguments, stderr=log, text=True)
    service = Running(process, f"http://127.0.0.1:{port}", folder / "log")
    try:
        until(service.findings, "it has looked")
        until(lambda: "failed" in command("incidents", "-c", config).stdout, "an incident is open")
        yield config
    finally:
        service.stop()


def test_a_silence_says_what_it_fits_now_and_what_was_probably_meant(watched: Path) -> None:
    environment = {"WATCHDOG_CONFIG": str(watched)}
    fits = command("silence", "report-*", "--for", "1h", **environment).stdout.splitlines()
    assert re.fullmatch(r"it fits 6 jobs, and \d+ of what is wrong now", fits[1])
    assert re.fullmatch(r"to end it sooner: scheduler-watchdog unsilence \d+", fits[2])
    for match, words in (
        ("kind=faild", "is 'failed' meant?"),
        ("severity=crit", "is no severity"),
        ("job=report", "'job=report'; '*report*' would match 6 jobs (--ahead silences jobs that are to come)"),
        ("report-77", "no job is like 'report-77'; is 'report-"),
    ):
        refused = command("silence", match, "--for", "1h", **environment)
        assert refused.returncode == 3
        assert words in refused.stderr
    assert command("silences", **environment).stdout.count("silence ") == 2, "of those that were refused none was made"


def test_an_incident_is_silenced_by_its_number_and_one_that_is_not_there_is_not(watched: Path) -> None:
    made = command("silence", "incident=1", "--for", "1h", "-c", watched).stdout.splitlines()
    assert re.fullmatch(r"it fits \d+ of what is wrong now", made[1])
    refused = command("silence", "incident=77", "--for", "1h", "-c", watched)
    assert refused.returncode == 3
    assert f"about no incident that is open; `scheduler-watchdog incidents -c {watched}` lists them" in refused.stderr
    for asked in ((), ("1",)):
        assert "open, silenced for 1 h" in command("incidents", *asked, "-c", watched).stdout
    number = made[0].split(":")[0].removeprefix("silence ")
    ended = command("unsilence", number, "98", "-c", watched)
    assert (ended.returncode, ended.stdout) == (3, f"silence {number} has ended\n")
    assert "silenced" not in command("incidents", "1", "-c", watched).stdout
    assert "there is no silence 98" in ended.stderr


def test_a_job_that_is_silenced_by_its_id_is_listed_by_its_name(watched: Path) -> None:
    first = json.loads(command("incidents", "-c", watched, "--format", "json").stdout)["incidents"][0]["findings"][0]
    made = command("silence", f"job_id={first['job_id']}", "--for", "1h", "-c", watched).stdout
    assert f": {first['job']} (job_id={first['job_id']}), until " in command("silences", "-c", watched).stdout
    command("unsilence", made.split(":")[0].removeprefix("silence "), "-c", watched)


def test_who_takes_on_what_is_theirs_is_told_so(watched: Path) -> None:
    command("ack", "1", "-c", watched)
    again = command("ack", "1", "-c", watched)
    assert again.stdout.startswith("incident 1 is yours already: ")
    whole = json.loads(command("incidents", "1", "-c", watched, "--format", "json").stdout)
    assert len(whole["handovers"]) == 1
    command("unack", "1", "-c", watched)


def test_jobs_that_are_to_come_can_be_silenced_by_a_word(watched: Path) -> None:
    made = command("silence", "audit-*", "--for", "1h", "--ahead", "-c", watched).stdout.splitlines()
    assert made[1] == "it fits no job now, and nothing that is wrong now"
    ending = made[2].removeprefix("to end it sooner: scheduler-watchdog ")
    assert f" -c {watched} " in ending, "it can be pasted"
    assert command(*ending.split()).stdout.endswith("has ended\n")


def test_several_incidents_are_taken_on_and_an_unknown_one_is_told(watched: Path) -> None:
    done = command("ack", "-c", watched, "1", "99")
    assert done.returncode == 3
    assert "incident 1 is yours" in done.stdout
    assert "there is no incident 99" in done.stderr


def test_a_state_that_may_not_be_read_is_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    state = folder / ("x" * 300)
    done = command("incidents", "--state", state)
    assert done.returncode == 3
    assert "cannot be used" in done.stderr
    assert "fault of ours" not in done.stderr


def test_validate_tries_addresses_in_the_same_go(tmp_path: Path, database: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(f"sources: [{{database: {database}}}]\npoll: 2\nchannels:\n  ops: slak://a/b/c\n")
    lines = command("validate", "-c", bad).stderr.splitlines()
    assert len(lines) == 2
    assert "line 2: poll: not a duration" in lines[0]
    assert "line 4: channels.ops: no service is called slak://; is slack:// meant?" in lines[1]


def test_validate_says_also_of_what_is_allowed_but_will_not_work_in_which_line_it_stands(tmp_path: Path) -> None:
    file = tmp_path / "watchdog.yaml"
    file.write_text(f"detect:\n  failing: {{errors: 12}}\nsources:\n  - database: {tmp_path}/none.db\n")
    done = command("validate", "-c", file)
    assert (done.returncode, done.stdout.split(" with ")[0]) == (0, f"{file} can be used,")
    hints = [line.removeprefix(f"{file}: ") for line in done.stderr.splitlines()]
    assert hints[0].startswith("line 2: detect.failing.errors: 12 is never reached")
    assert hints[1].startswith("line 4: sources[0].database: ")


def test_validate_says_where_a_job_may_fit_no_owner(tmp_path: Path) -> None:
    (tmp_path / "phantom.db").touch()
    file = tmp_path / "watchdog.yaml"
    begins = f'sources: [{{database: {tmp_path}/phantom.db}}]\nstate: {tmp_path}/s.db\nchannels: {{me: "json://127.0.0.1/x"}}\n'
    file.write_text(f"{begins}owners:\n  - {{match: {{job: heart*}}, notify: [me]}}\n")
    done = command("validate", "-c", file)
    assert "of a job that fits none of them nobody is told; for those add at the end: - notify: [me]" in done.stderr
    file.write_text(f"{file.read_text()}  - notify: [me]\n")
    assert command("validate", "-c", file).stderr == ""


def test_help_says_whole_what_each_verb_does_and_begins_with_the_first_one_to_type() -> None:
    shown = command("help", COLUMNS="60").stdout
    listed = shown.partition("Commands:\n")[2]
    assert listed.split()[0] == "init"
    assert "..." not in listed
    assert max(map(len, shown.splitlines())) <= 60
    assert "who was told and what was done." in " ".join(listed.split())
    assert "<=x<=" not in command("revive", "-h").stdout


def test_what_stands_in_the_image_and_the_unit_names_the_configuration() -> None:
    for path in ("Dockerfile", "config/systemd/scheduler-watchdog.service"):
        assert "WATCHDOG_CONFIG=/etc/" in (ROOT / path).read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_given_its_completion_as_the_page_says(shell: str) -> None:
    assert f"_SCHEDULER_WATCHDOG_COMPLETE={shell}_source" in (ROOT / "docs/terminal.md").read_text()
    if shell != "bash":  # for bash click asks for its version, and that has to be installed
        given = command(_SCHEDULER_WATCHDOG_COMPLETE=f"{shell}_source")
        assert "_SCHEDULER_WATCHDOG_COMPLETE" in given.stdout
        assert given.returncode == 0


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("ack -c FILE ''", r"plain,\d+"),
        ("revive -c FILE --incident ''", r"plain,\d+"),
        ("revive -c FILE report-1", "plain,report-1"),
        ("silence -c FILE report-1", "plain,report-1"),
        ("jobs -c FILE --match report-1", "plain,report-1"),
        ("ack -c nowhere.yaml ''", ""),
        ("ack ''", ""),
        ("revive --url http://127.0.0.1:9 report", ""),
    ],
)
def test_a_shell_completes_what_there_is_and_is_silent_where_nothing_is(watched: Path, words: str, wanted: str) -> None:
    typed = shlex.split(words.replace("FILE", str(watched)))
    place = next(at for at, word in enumerate(typed) if at and word in ("", "report", "report-1"))
    asked = {"COMP_WORDS": shlex.join(["scheduler-watchdog", *filter(None, typed)]), "COMP_CWORD": str(place + 1)}
    given = command(_SCHEDULER_WATCHDOG_COMPLETE="bash_complete", **asked)
    assert re.fullmatch(wanted, given.stdout.partition("\n")[0])
    assert given.stderr == ""
