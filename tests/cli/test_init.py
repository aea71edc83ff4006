"""`init` as a process: what it finds, what it writes, whom it tells, and what it says where nothing is there."""

import json
import os
import plistlib
import pty
import re
import shutil
import socket
import sqlite3
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_httpserver import HTTPServer

from tests.conftest import SCHEMA, as_nobody
from tests.support.command import COMMAND, command, command_in, free_port, running, until
from tests.support.hermes_home import START, cron, every
from tests.support.hermes_home import Home as Hermes
from tests.support.linux import needs_proc
from tests.systems.json_file.nanobot import lay_out
from tests.systems.json_file.test_presets import NOW, fang, goose, pico, pico_file, task
from tests.test_portable import assert_launchd_takes
from watchdog.systems import discovery, system
from watchdog.systems.discovery import Search, note_stranger, search
from watchdog.systems.json_file.section import JsonFile
from watchdog.systems.shared.processes import Process

OPENCLAW_JOB = {
    "id": "j1",
    "name": "report",
    "enabled": True,
    "schedule": {"kind": "every", "everyMs": 3_600_000},
    "sessionTarget": "isolated",
    "wakeMode": "now",
    "payload": {"kind": "agentTurn", "message": "m"},
    "state": {},
}


def make_phantom(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for table, columns in SCHEMA.items():
            connection.execute(
                f"CREATE TABLE {table} ({', '.join(f'{name} {kind}' for name, kind in columns.items())})"
            )
    return path


def make_json(path: Path, document: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


def make_openclaw(folder: Path) -> Path:
    return make_json(folder / "cron" / "jobs.json", {"version": 1, "jobs": [OPENCLAW_JOB]})


def init(home: Path, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it in a home, without a terminal."""
    usual = {name: value for name, value in os.environ.items() if not name.startswith(("OPENCLAW", "HERMES", "XDG"))}
    return command_in(home, usual | {"HOME": str(home)} | environment, "init", *arguments)


def written(home: Path) -> list[Mapping[str, Any]]:
    """The sources of the file that it wrote."""
    sources: list[Mapping[str, Any]] = yaml.safe_load((home / "watchdog.yaml").read_text())["sources"]
    return sources


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_what_lies_about_in_a_home_is_found_told_of_and_watched(home: Path, httpserver: HTTPServer) -> None:
    make_phantom(home / "agents" / "phantom" / "data" / "phantom.db")
    make_openclaw(home / ".openclaw")
    (home / ".nanobot").mkdir()
    lay_out("healthy", home / ".nanobot")
    Hermes(home / ".hermes").add("mail", every(30))
    Hermes(home / ".hermes" / "profiles" / "work").add("report", cron("0 9 * * *"))
    httpserver.expect_request("/").respond_with_data("")
    done = init(home, "--notify", f"json://127.0.0.1:{httpserver.port}")
    assert done.returncode == 0, done.stdout + done.stderr
    (request, _), *_ = httpserver.log
    assert "Test: the scheduler watchdog can reach you" in request.get_data(as_text=True)
    assert "a test message was sent" in done.stdout
    assert f"found nanobot: {home}/.nanobot/workspace, 11 jobs, can be read without harm" in done.stdout
    assert f"found hermes: {home}/.hermes, 2 jobs, can be read without harm" in done.stdout
    assert sorted(source["kind"] for source in written(home)) == ["hermes", "json", "openclaw", "phantom"]
    file = home / "watchdog.yaml"
    valid = command("validate", "-c", file)
    assert (valid.returncode, valid.stderr) == (0, "")
    # by its name alone, as messages have it, a shell finds it only there
    is_found = shutil.which("scheduler-watchdog") == str(COMMAND)
    assert (f"export PATH={COMMAND.parent}:$PATH" in done.stdout) is not is_found
    file.write_text(re.sub(r'listen: "127.0.0.1:\d+"', 'listen: "127.0.0.1:PORT"', file.read_text()))
    with running(home, HOME=str(home)) as service:
        sources = until(lambda: json.loads(service.get("/api/v1/findings")[1])["sources"], "the sources are there")
        assert {source["kind"]: source["ok"] for source in sources} == dict.fromkeys(
            ("phantom", "openclaw", "hermes", "json"), True
        )


def test_a_nanobot_that_works_elsewhere_is_watched_with_what_it_keeps_in_its_own_folder(home: Path) -> None:
    lay_out("healthy", home)
    (home / ".nanobot").mkdir()
    (home / "llm_usage.sqlite3").rename(home / ".nanobot" / "llm_usage.sqlite3")
    (home / ".nanobot" / "config.json").write_text('{"agents": {"defaults": {"workspace": "~/workspace"}}}')
    assert init(home).returncode == 0
    (source,) = written(home)
    assert source["model_calls"] == {"database": f"{home}/.nanobot/llm_usage.sqlite3"}
    valid = command("validate", "-c", home / "watchdog.yaml")
    assert (valid.returncode, valid.stderr) == (0, "")


def test_in_a_bare_home_it_says_so_in_three_lines_and_writes_nothing(home: Path) -> None:
    done = init(home, "--notify", "json://127.0.0.1:9")
    assert done.returncode == 3
    assert len(done.stdout.splitlines()) == 3
    assert str(home) in done.stdout
    assert done.stderr == ""
    assert list(home.iterdir()) == []


def test_a_file_that_is_there_is_left_as_it_is_without_force(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    (home / "watchdog.yaml").write_text("mine\n")
    done = init(home)
    assert done.returncode == 3
    assert done.stderr.startswith(f"scheduler-watchdog: {home}/watchdog.yaml is there already; --force")
    assert (home / "watchdog.yaml").read_text() == "mine\n"
    assert init(home, "--force").returncode == 0
    assert [source["kind"] for source in written(home)] == ["openclaw"]
    assert (home / "watchdog.yaml.before").read_text() == "mine\n"


def test_its_page_gets_a_port_that_nobody_has(home: Path) -> None:
    """As beside `demo --live`, or another watchdog."""
    make_openclaw(home / ".openclaw")
    with closing(socket.socket()) as taken:
        try:
            taken.bind(("127.0.0.1", 9846))
        except OSError:
            pytest.skip("another program has the usual port, and may give it back at any time")
        taken.listen()
        done = init(home)
    (address,) = re.findall(r"http://(127\.0\.0\.1:\d+)/", done.stdout)
    assert not address.endswith(":9846")
    assert f'listen: "{address}"' in (home / "watchdog.yaml").read_text()


def states(*files: Path) -> list[Path]:
    """The state file that each configuration names."""
    return [Path(yaml.safe_load(file.read_text())["state"]) for file in files]


def test_a_second_configuration_gets_a_memory_of_its_own_also_while_the_first_does_not_run(home: Path) -> None:
    """With that of the first it took its incidents for its own, and told them as over."""
    make_openclaw(home / ".openclaw")
    assert init(home).returncode == 0
    (first,) = states(home / "watchdog.yaml")
    first.parent.mkdir(parents=True)
    first.write_bytes(b"")  # a watchdog has run with it
    (home / "other").mkdir()
    done = init(home, "-o", "other/watchdog.yaml")
    assert f"{first} is there already, another configuration's memory: this one gets watchdog-2.db" in done.stdout
    assert states(home / "other" / "watchdog.yaml") == [first.with_name("watchdog-2.db")]
    first.with_name("watchdog-2.db").write_bytes(b"")
    for output, state in ((".", "watchdog.db"), ("other", "watchdog-2.db")):  # each again has what it has had
        assert init(home, "--force", "-o", f"{output}/watchdog.yaml").returncode == 0
        assert states(home / output / "watchdog.yaml") == [first.with_name(state)]


def test_a_configuration_that_is_written_anew_elsewhere_begins_a_memory_there(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    assert init(home, "--state-dir", "one").returncode == 0
    (home / "one").mkdir()
    (home / "one" / "watchdog.db").write_bytes(b"")
    assert init(home, "--force").returncode == 0
    assert states(home / "watchdog.yaml") == [home / "one" / "watchdog.db"]
    assert init(home, "--force", "--state-dir", "two").returncode == 0
    assert states(home / "watchdog.yaml") == [home / "two" / "watchdog.db"]


def test_a_unit_is_written_for_the_file_that_is_there_and_that_stays_as_it_is(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    assert init(home).returncode == 0
    mine = f"{(home / 'watchdog.yaml').read_text()}# mine\n"
    (home / "watchdog.yaml").write_text(mine)
    done = init(home, "--systemd")
    assert done.returncode == 0, done.stderr
    assert f"{home}/watchdog.yaml stays as it is" in done.stdout
    assert (home / "watchdog.yaml").read_text() == mine
    assert f"{home}/watchdog.yaml" in (home / "scheduler-watchdog.service").read_text()


def test_without_an_address_it_is_written_and_says_that_nobody_is_told(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    done = init(home)
    assert done.returncode == 0
    assert "nobody is told yet" in done.stdout
    # pasted as it stands it is found, also where the environment that it is installed in is not in PATH
    name = "scheduler-watchdog" if shutil.which("scheduler-watchdog") == str(COMMAND) else str(COMMAND)
    assert f"now: {name} run -c " in done.stdout
    assert stat.S_IMODE((home / "watchdog.yaml").stat().st_mode) == 0o600


def test_an_address_that_is_none_is_told_and_nothing_is_written(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    done = init(home, "--notify", "slak://token")
    assert done.returncode == 3
    assert "--notify" in done.stderr
    assert "slak" in done.stderr
    none = init(home, "--notify", "foo")
    assert "--notify: it is no address; write one like ntfys://topic, " in none.stderr
    assert not (home / "watchdog.yaml").exists()


def test_an_address_where_nobody_listens_is_told_and_the_file_stays(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    done = init(home, "--notify", f"json://127.0.0.1:{free_port()}")
    assert done.returncode == 3
    assert "the test message was not sent" in done.stdout
    (line,) = (line for line in done.stdout.splitlines() if "is written all the same" in line)
    assert line.endswith(f" notify-test -c {home}/watchdog.yaml"), "and how to try again"
    assert command("validate", "-c", home / "watchdog.yaml").returncode == 0


PRESETS = {
    "nanobot": (".nanobot/workspace/cron/jobs.json", None),
    "picoclaw": (".picoclaw/workspace/cron/jobs.json", pico_file(pico("a", NOW, NOW))),
    "openfang": (".openfang/cron_jobs.json", [{k: v for k, v in fang("a", NOW, NOW).items() if k != "auto_disabled"}]),
    "librefang": (".librefang/data/cron_jobs.json", [fang("a", NOW, NOW)]),
    "goose": (".local/share/goose/schedule.json", [goose("a", NOW)]),
    "agent-zero": ("agent-zero/usr/scheduler/tasks.json", {"tasks": [task("a", "idle", NOW, NOW)]}),
}


def test_every_preset_is_known_by_what_its_jobs_look_like(home: Path) -> None:
    for name, (path, document) in PRESETS.items():
        if document is None:
            (home / f".{name}").mkdir()
            lay_out("healthy", home / f".{name}")
        else:
            make_json(home / path, document)
    make_json(home / "project" / "jobs.json", {"jobs": [{"id": 1, "cmd": "x"}]})
    make_json(home / "project" / "tasks.json", {"version": "2.0.0", "tasks": [{"label": "build"}]})
    done = init(home)
    assert done.returncode == 0, done.stderr
    found = {source["preset"]: home / source["folder"] / PRESETS[source["preset"]][0] for source in written(home)}
    assert set(found) == set(PRESETS)
    assert command("validate", "-c", home / "watchdog.yaml").returncode == 0


def test_what_moved_is_found_by_its_variable_by_a_path_or_in_a_file_of_compose(home: Path, tmp_path: Path) -> None:
    make_openclaw(tmp_path / "elsewhere")
    make_phantom(tmp_path / "volume" / "any-name.db")
    make_phantom(tmp_path / "mounted" / "phantom.db")
    compose = {"services": {"agent": {"image": "x", "volumes": [f"{tmp_path}/mounted:/data", "named:/x", 7, {}]}}}
    make_json(home / "stack" / "compose.yaml", compose)
    done = init(home, "--path", tmp_path / "volume", OPENCLAW_STATE_DIR=str(tmp_path / "elsewhere"))
    assert done.returncode == 0, done.stderr
    places = {source.get("database") or source.get("state_dir") for source in written(home)}
    assert places == {
        str(tmp_path / "elsewhere"),
        str(tmp_path / "volume" / "any-name.db"),
        str(tmp_path / "mounted" / "phantom.db"),
    }
    assert [source["name"] for source in written(home)] == ["phantom", "openclaw", "phantom-2"]


def test_a_path_that_goes_back_up_is_written_straight(home: Path, tmp_path: Path) -> None:
    made = make_phantom(tmp_path / "agent" / "phantom.db")
    (tmp_path / "beside").mkdir()
    done = init(home, "--path", tmp_path / "beside" / ".." / "agent")
    assert done.returncode == 0, done.stderr
    assert [source["database"] for source in written(home)] == [str(made)]


def test_what_cannot_be_read_is_left_out_and_said(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    (home / "phantom").mkdir()
    (home / "phantom" / "phantom.db").write_bytes(b"not a database at all" * 90)
    done = init(home)
    assert done.returncode == 0
    assert "found phantom, which cannot be read" in done.stdout
    assert [source["kind"] for source in written(home)] == ["openclaw"]
    assert "# Found, and left out: " in (home / "watchdog.yaml").read_text()


def test_the_files_of_a_service_are_written_on_request(home: Path) -> None:
    make_phantom(home / "data" / "phantom.db")
    done = init(home, "--systemd", "--compose", "-o", "conf/watchdog.yaml")
    assert done.returncode == 3
    (home / "conf").mkdir()
    done = init(home, "--systemd", "--compose", "-o", "conf/watchdog.yaml", "--state-dir", "state")
    assert done.returncode == 0, done.stderr
    unit = (home / "conf" / "scheduler-watchdog.service").read_text()
    assert f"ExecStart={COMMAND} run -c {home}/conf/watchdog.yaml" in unit
    compose = yaml.safe_load((home / "conf" / "scheduler-watchdog.compose.yaml").read_text())
    mounted = compose["services"]["scheduler-watchdog"]["volumes"]
    assert f"{home}/data:{home}/data:ro" in mounted
    assert f"{home}/state:{home}/state" in mounted
    assert "systemctl" in done.stdout


def test_an_agent_for_launchd_is_written_on_request(home: Path) -> None:
    make_phantom(home / "data" / "phantom.db")
    done = init(home, "--launchd", "-o", "a & <b>.yaml")
    assert done.returncode == 0, done.stderr
    plist = (home / "scheduler-watchdog.plist").read_bytes()
    assert_launchd_takes(plist)
    assert plistlib.loads(plist)["ProgramArguments"] == [str(COMMAND), "run", "-c", f"{home}/a & <b>.yaml"]
    assert "launchctl bootstrap" in done.stdout


def test_odd_names_of_folders_cannot_break_out_of_the_file(home: Path) -> None:
    make_phantom(home / 'a: "b" #c' / "{x}, [y]" / "phantom.db")
    assert init(home).returncode == 0
    (source,) = written(home)
    assert source["database"] == str(home / 'a: "b" #c' / "{x}, [y]" / "phantom.db")


@pytest.mark.parametrize("layout", ["H0", "H1", "H2", "H3", "H4"])
def test_a_hermes_home_is_known_by_its_content_wherever_it_lies(home: Path, layout: str) -> None:
    """A profile's home that lies in no other is one of its own."""
    made = Hermes(home / "volumes" / "agent" / "profiles" / "one", layout=layout)
    made.add("mail", every(30), **({} if layout == "H4" else {"schedule_display": "every 30m"}))
    made.beat(START)
    done = init(home)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(source["kind"], source["home"]) for source in written(home)] == [("hermes", str(made.path))]


def test_a_profile_is_watched_with_the_home_that_it_is_of(home: Path) -> None:
    Hermes(home / "elsewhere" / "h").beat(START)
    Hermes(home / "elsewhere" / "h" / "profiles" / "work").add("report", cron("0 9 * * *"))
    done = init(home, "--path", home / "elsewhere" / "h" / "profiles" / "work")
    assert done.returncode == 0, done.stdout + done.stderr
    assert [source["home"] for source in written(home)] == [str(home / "elsewhere" / "h")]


def test_the_variable_of_a_profiles_gateway_makes_no_second_source_of_it(home: Path) -> None:
    Hermes(home / ".hermes").add("mail", every(30))
    work = Hermes(home / ".hermes" / "profiles" / "work")
    work.add("report", cron("0 9 * * *"))
    init(home, HERMES_HOME=str(work.path))
    assert [source["home"] for source in written(home)] == [str(home / ".hermes")]


def test_where_hermes_own_variable_points_it_is_found(home: Path, tmp_path: Path) -> None:
    Hermes(tmp_path / "far").add("mail", every(30))
    done = init(home, HERMES_HOME=str(tmp_path / "far"))
    assert [source["home"] for source in written(home)] == [str(tmp_path / "far")], done.stdout


def test_a_pipe_and_a_link_that_goes_round_hold_nothing_up(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    (home / "round").symlink_to(home)
    (home / "cron").mkdir()
    os.mkfifo(home / "cron" / "jobs.json")
    os.mkfifo(home / "phantom.db")
    assert init(home).returncode == 0
    assert [source["kind"] for source in written(home)] == ["openclaw"]


@needs_proc
def test_of_a_process_only_the_variables_that_name_a_place_are_looked_at(home: Path, tmp_path: Path) -> None:
    make_openclaw(tmp_path / "by-process")
    environment = {"HOME": str(home), "OPENCLAW_STATE_DIR": str(tmp_path / "by-process"), "PATH": os.environ["PATH"]}
    gateway = subprocess.Popen(["sleep", "60"], executable="/bin/sleep", env=environment, cwd=tmp_path)
    try:
        assert init(home).returncode == 3
    finally:
        gateway.kill()
        gateway.wait()
    gateway = subprocess.Popen(["openclaw gateway", "60"], executable="/bin/sleep", env=environment, cwd="/")
    try:
        done = init(home)
    finally:
        gateway.kill()
        gateway.wait()
    assert done.returncode == 0, done.stdout + done.stderr
    assert [source["state_dir"] for source in written(home)] == [str(tmp_path / "by-process")]


def test_a_path_that_no_configuration_can_name_is_said_and_left_out(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    make_phantom(home / "${HOME}" / "phantom.db")
    make_phantom(Path(os.fsdecode(os.fsencode(home) + b"/caf\xe9")) / "phantom.db")
    done = init(home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("cannot be read") == 2
    assert [source["kind"] for source in written(home)] == ["openclaw"]
    assert command("validate", "-c", home / "watchdog.yaml").returncode == 0


def test_on_a_terminal_it_asks_for_one_address_and_again_if_that_is_none(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    leader, follower = pty.openpty()
    with (
        closing_of(leader),
        subprocess.Popen(
            [str(COMMAND), "init"],
            stdin=follower,
            stdout=follower,
            stderr=follower,
            cwd=home,
            env=os.environ | {"HOME": str(home)},
            start_new_session=True,
        ) as process,
    ):
        os.close(follower)
        shown = ""
        for answer in ("slak://x", "", "y"):
            shown += read_until(leader, (": ", "]: "))
            os.write(leader, f"{answer}\n".encode())
        assert process.wait(90) == 0
    assert "Whom shall it tell?" in shown
    assert "slak" in shown
    assert "channels" not in yaml.safe_load((home / "watchdog.yaml").read_text())
    assert (home / "scheduler-watchdog.service").exists()


@contextmanager
def closing_of(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def read_until(descriptor: int, ends: tuple[str, ...]) -> str:
    """What a terminal shows up to a question."""
    text = ""
    while not text.endswith(ends):
        text += os.read(descriptor, 4096).decode()
    return text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    home.chmod(0o500)
    done = init(home)
    home.chmod(0o700)
    assert done.returncode == 3
    assert "watchdog.yaml cannot be written" in done.stderr


def test_a_copy_of_a_store_is_left_out_and_said(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    copy = make_openclaw(home / "backups" / "openclaw-old")
    os.utime(copy, (1_700_000_000,) * 2)
    os.utime(copy.parent.parent, (1_700_000_000,) * 2)
    done = init(home)
    assert done.returncode == 0
    assert "which is left alone: it looks like an older copy of" in done.stdout
    assert [source["state_dir"] for source in written(home)] == [str(home / ".openclaw")]


def as_bot(folder: Path, workspace: Path | str) -> Path:
    """A nanobot's own folder, whose configuration names a workspace."""
    return make_json(folder / "config.json", {"agents": {"defaults": {"workspace": str(workspace)}}})


def test_a_workspace_that_only_the_bots_configuration_names_is_found_with_its_calls(home: Path, tmp_path: Path) -> None:
    lay_out("healthy", tmp_path / "far")
    as_bot(home / ".nanobot-second", tmp_path / "far" / "workspace")
    (tmp_path / "far" / "llm_usage.sqlite3").rename(home / ".nanobot-second" / "llm_usage.sqlite3")
    assert init(home).returncode == 0
    (source,) = written(home)
    assert source["folder"] == str(tmp_path / "far" / "workspace")
    assert source["model_calls"] == {"database": f"{home}/.nanobot-second/llm_usage.sqlite3"}


def test_a_home_that_is_a_link_is_found_and_what_has_two_names_is_watched_once(home: Path, tmp_path: Path) -> None:
    lay_out("healthy", tmp_path / "disk" / "bot")
    (home / ".nanobot").symlink_to(tmp_path / "disk" / "bot")
    Hermes(home / "agents" / "hermes").add("mail", every(30))
    (home / ".hermes").symlink_to(home / "agents" / "hermes")
    done = init(home)
    assert done.returncode == 0, done.stderr
    places = [source.get("folder") or source["home"] for source in written(home)]
    assert places == [f"{home}/.hermes", f"{home}/.nanobot/workspace"]
    assert "copy" not in done.stdout


def test_two_bots_with_nothing_but_the_jobs_that_every_one_has_are_no_copies_of_each_other(home: Path) -> None:
    for name in ("one", "two"):
        lay_out("healthy", home / name)
        path = home / name / "workspace" / "cron" / "jobs.json"
        jobs = json.loads(path.read_text())["jobs"][:2]
        own = [{**job, "id": id_, "name": id_} for job, id_ in zip(jobs, ("dream", "heartbeat"), strict=True)]
        make_json(path, {"version": 1, "jobs": own})
    assert init(home).returncode == 0
    assert [source["name"] for source in written(home)] == ["nanobot", "nanobot-2"]


def test_compose_is_read_as_compose_reads_it(home: Path, tmp_path: Path) -> None:
    for number, place in enumerate(("by-dotenv", "by-default", "by-device", "stack/beside")):
        Hermes(tmp_path / place).add("mail", every(30), id=f"{number:012x}")
    stack = tmp_path / "stack"
    volumes = [
        "${DATA}:/a",
        "${NOWHERE:-../by-default}:/b:ro",
        "named:/c",
        "./beside:/d",
        "${}:/e",
        "$:/f",
        "${UNSET}:/g",
    ]
    named = {"named": {"driver_opts": {"type": "none", "o": "bind", "device": "${DEVICE}"}}}
    make_json(stack / "compose.yaml", {"services": {"x": {"volumes": volumes}}, "volumes": named})
    (stack / ".env").write_text(f"# where\nexport DATA='{tmp_path}/by-dotenv'\nDEVICE={tmp_path}/by-device\n")
    done = init(home, "--path", stack / "compose.yaml")
    assert done.returncode == 0, done.stderr
    assert {source["home"] for source in written(home)} == {
        str(tmp_path / place) for place in ("by-dotenv", "by-default", "by-device", "stack/beside")
    }


def test_files_of_a_service_name_odd_folders_as_their_readers_read_them(home: Path) -> None:
    odd = home / 'a 100% "$b" : c'
    make_openclaw(odd)
    assert init(home, "-o", odd / "w.yaml", "--systemd", "--compose", "--state-dir", odd / "state").returncode == 0
    unit = (odd / "scheduler-watchdog.service").read_text()
    assert f'{home}/a 100%% \\"$$b\\" : c/w.yaml"' in unit
    (service,) = yaml.safe_load((odd / "scheduler-watchdog.compose.yaml").read_text())["services"].values()
    config, state, store = service["volumes"]
    escaped = str(odd).replace("$", "$$")
    assert service["command"][2] == config["source"] == f"{escaped}/w.yaml"
    assert state == {"type": "bind", "source": f"{escaped}/state", "target": f"{escaped}/state"}
    assert store == {"type": "bind", "source": escaped, "target": escaped, "read_only": True}


def test_a_container_is_never_given_the_root_of_the_machine() -> None:
    section = JsonFile.validated({"kind": "json", "preset": "nanobot", "folder": "/workspace"})
    assert system("json").folders(section) == (Path("/workspace"),)
    beside = {"folder": "/runs/each", "columns": {"job_id": "a", "started_at": "b"}}
    own = {"kind": "json", "file": "/jobs/j.json", "jobs": {"id": "id"}, "runs": [beside]}
    assert system("json").folders(JsonFile.validated(own)) == (Path("/jobs"), Path("/runs/each"))


def test_a_path_to_nothing_is_told_at_once_and_one_where_nothing_lies_afterwards(home: Path, tmp_path: Path) -> None:
    make_openclaw(home / ".openclaw")
    done = init(home, "--path", tmp_path / "nowhere")
    assert (done.returncode, done.stderr) == (
        3,
        f"scheduler-watchdog: --path {tmp_path}/nowhere: No such file or directory\n",
    )
    (tmp_path / "bare").mkdir()
    done = init(home, "--path", tmp_path / "bare")
    assert done.returncode == 0
    assert f"nothing to watch was found at {tmp_path}/bare" in done.stdout


def test_a_variable_of_hermes_that_is_not_whole_is_meant_from_where_it_runs(home: Path, tmp_path: Path) -> None:
    Hermes(home / "sub" / "h~1").add("mail", every(30))
    done = init(home, HERMES_HOME="sub/h~1")
    assert [source["home"] for source in written(home)] == [f"{home}/sub/h~1"], done.stdout


def test_presets_are_found_by_their_own_variables(home: Path, tmp_path: Path) -> None:
    make_json(tmp_path / "moved" / "cron_jobs.json", PRESETS["openfang"][1])
    done = init(home, OPENFANG_HOME=str(tmp_path / "moved"))
    assert done.returncode == 0, done.stdout
    assert [source["folder"] for source in written(home)] == [str(tmp_path / "moved")]


def test_a_folder_in_the_place_of_the_file_is_told_with_what_to_say(home: Path) -> None:
    make_openclaw(home / ".openclaw")
    done = init(home, "-o", home, "--force")
    assert (done.returncode, done.stderr) == (
        3,
        f"scheduler-watchdog: {home} is a folder: name a file in it, -o {home}/watchdog.yaml\n",
    )


def test_what_this_user_may_not_look_into_is_said_and_stops_nothing(
    reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path, home = reachable, reachable / "home"
    monkeypatch.chdir(reachable)  # the folder in which it is called is looked into, too
    Hermes(tmp_path / "closed" / "hermes").add("mail", every(30))
    make_json(home / "hermes-old" / "x.json", {})
    for folder in (home / "hermes-old", tmp_path / "closed"):
        folder.chmod(0o700)
    now = datetime.now(UTC)
    as_found = search([], {"HERMES_HOME": str(tmp_path / "closed" / "hermes")}, home, now)
    assert [found.says["home"] for found in as_found.found] == [str(tmp_path / "closed" / "hermes")]

    def closed() -> list[str]:
        os.chdir(home)
        found = search([], {"HERMES_HOME": str(tmp_path / "closed" / "hermes")}, home, now)
        return [str(path) for path in found.closed if path.is_relative_to(tmp_path)]

    home.chmod(0o755)
    assert as_nobody(closed) == [str(tmp_path / "closed"), str(home / "hermes-old")]


def test_an_agent_of_another_user_is_said_with_its_user(home: Path) -> None:
    others = Process(77, 1, datetime.now(UTC), line="/usr/bin/python3 /opt/hermes/bin/hermes gateway", user=54_321)
    mere_words = replace(others, pid=78, line="vim hermes.md")
    searched = Search({}, home)
    for process in (others, mere_words, replace(others, pid=79)):
        note_stranger(searched, process)
    assert searched.strangers == ["hermes of user 54321"]


def test_what_there_is_no_time_to_look_through_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "PATIENCE", -1.0)
    assert home in search([], {}, home, datetime.now(UTC)).cut_short
