"""Every command that is printed anywhere can be pasted as it stands, where it is read."""

import re
import shlex
import subprocess
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.request import Request, urlopen

import click
import pytest

from tests.conftest import NOW, build, job_row
from tests.support.command import COMMAND, PATIENCE, command, running, until
from tests.support.post_office import mail_server, part
from tests.support.telling import Office, configured, finding, job
from watchdog.cli.verbs import cli
from watchdog.config.file import Config
from watchdog.core.command_line import as_asked, pasteable
from watchdog.core.command_line import command as command_of
from watchdog.core.incident import Incident, Member, Told
from watchdog.core.kinds import Kind, Severity
from watchdog.notify.plan import Dispatch, Event
from watchdog.notify.targets import Target
from watchdog.notify.voice import voice_of
from watchdog.notify.words import Message, message
from watchdog.state.store import Store
from watchdog.systems import KINDS

ROOT = Path(__file__).parents[2]
ODD = "-rf $(touch pwned); 'quoted' \"two\""
"""A job's id, as a model might make one."""

_FENCED = re.compile(r"`(scheduler-watchdog [^`\n]+)`")


def all_messages() -> list[Message]:
    """A message of every kind and event, for every system, of one job and of three."""
    return [
        voice_of(_config()).completed(message(_dispatch(kind, event, system, count), NOW), 7)
        for kind in Kind
        for event in Event
        for system in ("", *KINDS)
        for count in (1, 3)
    ]


def _config() -> Config:
    config = configured(notify={"command_prefix": "docker exec watchdog"}, http={"public_url": "https://w.example.org"})
    return config.meant_by("-c", Path("/etc/the watchdog.yaml"))


def _dispatch(kind: Kind, event: Event, system: str, count: int) -> Dispatch:
    about = None if kind in (Kind.STALLED, Kind.UNREACHABLE) else "heartbeat"
    found = [
        finding(kind.value, about and f"{about}-{n}", error_class="transient", last_error="x") for n in range(count)
    ]
    found = [replace(one, job_id=f"{ODD} {n}" if about else None) for n, one in enumerate(found)]
    members = {one.key: Member(one, NOW, began_at=NOW) for one in found}
    incident = Incident(7, "agent", kind.value, "", NOW, NOW, members, Severity.CRITICAL)
    told = Told(NOW, NOW, Severity.CRITICAL)
    return Dispatch(incident, Target("ops"), event, told, Severity.CRITICAL, tuple(members.values()), system=system)


def commands_in(text: str) -> list[str]:
    """The commands of ours in a text, each up to where it ends."""
    return [found.group() for found in re.finditer(r"(?:docker exec watchdog )?scheduler-watchdog [a-z].*", text)]


def parsed(words: list[str]) -> click.Context:
    """What the command line makes of it; raises click.ClickException if it does not stand."""
    verb = cli.commands[words[0]]
    return verb.make_context(words[0], list(words[1:]), resilient_parsing=False)


def _words(line: str) -> list[str]:
    """A shell's words, up to what is a sentence again."""
    words = shlex.split(re.split(r"; or |, for example", line)[0])
    return words[words.index("scheduler-watchdog") + 1 :]


def test_every_command_in_a_message_is_complete_and_stands() -> None:
    checked = set()
    for said in all_messages():
        texts = [said.lead, said.command, *said.jobs, *(text for _, text in said.facts)]
        for line in (found for text in texts for found in commands_in(text)):
            assert line.startswith("docker exec watchdog scheduler-watchdog "), line
            words = _words(line)
            verb = cli.commands[words[0]]
            options = verb.make_parser(click.Context(verb)).parse_args(list(words[1:]))[0]
            assert str(options["config"]) == "/etc/the watchdog.yaml", line
            given = [options[name] for name in ("job", "jobs", "number", "numbers") if options.get(name)]
            assert given, line
            checked.add(words[0])
    assert {"ack", "revive"} <= checked


def test_an_id_that_looks_like_an_option_is_an_argument() -> None:
    words = shlex.split(command_of("revive", "--all", "plain", "it's"))
    assert words == ["scheduler-watchdog", "revive", "--", "--all", "plain", "it's"]
    whole = shlex.split(pasteable(command_of("revive", "--all"), "", "-c 'a b.yaml'"))
    assert whole == ["scheduler-watchdog", "revive", "-c", "a b.yaml", "--", "--all"]


@pytest.mark.parametrize(
    ("given", "printed"),
    [
        (["ack", "-c", "x.yaml", "9"], "scheduler-watchdog incidents -c x.yaml"),
        (["ack", "--config=x y.yaml", "9"], "scheduler-watchdog incidents --config 'x y.yaml'"),
        (["ack", "--state", "s.db", "9"], "scheduler-watchdog incidents --state s.db"),
        (["ack", "9"], "scheduler-watchdog incidents"),
    ],
)
def test_what_a_command_prints_goes_on_with_the_options_that_it_was_given(given: list[str], printed: str) -> None:
    assert as_asked("`scheduler-watchdog incidents` lists them", given) == f"`{printed}` lists them"


def test_a_verb_without_that_option_is_left_as_it_is() -> None:
    assert as_asked("scheduler-watchdog jobs", ["revive", "--state", "s.db", "x"]) == "scheduler-watchdog jobs"


def test_the_error_of_a_command_names_one_that_runs(tmp_path: Path) -> None:
    """It was: there is no incident 9; `scheduler-watchdog incidents` lists them, which asks which watchdog is meant."""
    build(tmp_path / "phantom.db", {"scheduled_jobs": [job_row("heartbeat")]})
    config = tmp_path / "watchdog.yaml"
    config.write_text(f"sources: [{{database: {tmp_path}/phantom.db}}]\nstate: {tmp_path}/state.db\n")
    Store(tmp_path / "state.db").close()
    done = command("ack", "-c", config, "9")
    (line,) = _FENCED.findall(done.stderr)
    assert command(*shlex.split(line)[1:]).returncode == 0


@pytest.mark.parametrize("page", sorted((ROOT / "alerts" / "runbooks").glob("*.md")), ids=lambda page: page.stem)
def test_every_command_in_a_runbook_stands(page: Path) -> None:
    filled = {"JOB": "job", "ID": "1", "NAME": "job", "FILE": "watchdog.yaml", "PATH": "phantom.db"}
    for line in _FENCED.findall(page.read_text()):
        words = [filled.get(word, word.replace("NAME", "job")) for word in shlex.split(line)[1:]]
        assert parsed(words), line


def test_the_office_tells_with_complete_commands() -> None:
    office = Office(_config())
    office.jobs = (job("a"),)
    office.find(finding("failed", "a", error_class="transient"))
    office.wait(office.config.notify.group_wait)
    (letter,) = office.letters
    assert "docker exec watchdog scheduler-watchdog revive -c '/etc/the watchdog.yaml' id-a" in letter.text
    assert "https://w.example.org/#incident-1" in letter.text


def _storm(count: int, **sections: object) -> list[str]:
    """What is to be done about so many jobs that were given up at once, by message."""
    office = Office(configured(**sections))
    names = [f"{'ab'[number % 2]}-{number:02}-3cd13208-6bd7-59a1-9fba-684eb71163f2" for number in range(count)]
    office.jobs = tuple(job(name) for name in names)
    office.find(*(finding("failed", name, error_class="transient") for name in names))
    office.wait(office.config.notify.group_wait)
    return [
        found for letter in office.letters for found in re.findall(r"To do: once its cause is gone: (.*)", letter.text)
    ]


def test_a_storm_is_brought_back_by_its_incident_where_all_of_it_is_theirs() -> None:
    assert _storm(40) == ["scheduler-watchdog revive --incident 1"]


def test_who_shares_a_storm_brings_back_their_own_by_ids_of_which_none_is_cut() -> None:
    owners = [{"match": {"job": "a-*"}, "notify": ["ops"]}, {"notify": ["boss"]}]
    for line, letter in zip(_storm(80, owners=owners), "ab", strict=True):
        verb, *ids = shlex.split(line)[1:]
        assert verb == "revive"
        assert len(ids) > 3
        assert all(re.fullmatch(rf"id-{letter}-\d\d-3cd13208-6bd7-59a1-9fba-684eb71163f2", one) for one in ids)


def test_every_command_of_a_watchdog_in_another_place_runs_where_its_mail_and_its_page_are_read(tmp_path: Path) -> None:
    """Where they are read there is no such program: only what `command_prefix` enters has it, as a container has."""
    folder = tmp_path / "the watchdog's"
    folder.mkdir()
    row = job_row("inbox", id=ODD, status="failed", consecutive_errors=10, last_run_error="Error: 429 rate_limit_error")
    build(folder / "phantom.db", {"scheduled_jobs": [row]})
    enter = tmp_path / "enter"
    enter.write_text(f'#!/bin/sh\nPATH="{COMMAND.parent}:$PATH" exec "$@"\n')
    enter.chmod(0o755)
    with mail_server() as (mailbox, address):
        (folder / "watchdog.yaml").write_text(
            f'sources: [{{database: "{folder}/phantom.db"}}]\nstate: "{folder}/state.db"\n'
            f"http: {{listen: '127.0.0.1:PORT'}}\nchannels: {{mail: '{address}'}}\n"
            f"notify: {{command_prefix: '{enter}', group_wait: 1s}}\n"
        )
        with running(folder) as service:
            (mail,) = until(lambda: mailbox.mails, "the mail has come")
            page = urlopen(Request(service.url, headers={"Accept": "text/html"}), timeout=PATIENCE).read().decode()
            read = [part(mail, "plain"), *(unescape(code) for code in re.findall("<code>(.*?)</code>", page))]
            printed = dict.fromkeys(line.strip() for text in read for line in re.findall(rf"{enter} .*", text))
            done = [_pasted(line, tmp_path) for line in printed]
    assert [(one.returncode, one.stderr) for one in done] == [(0, "")] * len(printed)
    assert {shlex.split(line)[2] for line in printed} >= {"ack", "revive"}
    assert not (tmp_path / "pwned").exists()


def _pasted(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    plain = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(["sh", "-c", line], cwd=folder, env=plain, capture_output=True, text=True, check=False)
