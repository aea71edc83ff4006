"""The verbs on watchdogs elsewhere: real ones on loopback, one that is down, one that asks for another token."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from pytest_httpserver import HTTPServer
from rich.console import Console

from tests.conftest import build
from tests.support.command import Running, command, free_port, running, until
from tests.support.site import outage
from watchdog.cli.fleet_tables import incidents_view, recoveries_view, whole_view
from watchdog.core.instants import parse_instant
from watchdog.remote.client import NotAnsweredError, Remote
from watchdog.remote.fleet import Answer, remotes

TOKEN = "a-token-for-tests-only"

CONFIG = """
instance: {name}
sources:
  - {{name: agent, database: {folder}/phantom.db, api: {{url: "http://127.0.0.1:9"}}}}
state: {folder}/state.db
http: {{listen: "127.0.0.1:PORT", token_file: {folder}/token}}
poll: 100ms
notify: {{group_wait: 0s}}
recovery:
  mode: act
  policies: [{{match: {{kind: stranded}}, action: revive}}]
"""


def _watchdog(folder: Path, name: str, job: str, token: str, recovery: tuple[str, str] = ("", "")) -> Path:
    home = folder / name
    home.mkdir()
    rows = outage(job)
    build(home / "phantom.db", {**rows, "scheduled_jobs": rows["scheduled_jobs"][:1]})
    (home / "token").write_text(token + "\n")
    (home / "watchdog.yaml").write_text(CONFIG.format(name=name, folder=home).replace(*recovery))
    return home


def _has_incident(service: Running) -> bool:
    return bool(json.loads(service.get("/api/v1/incidents")[1]).get("incidents"))


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Running]]:
    """Two watchdogs, each beside an agent with a failed job; the second asks for another token."""
    folder = tmp_path_factory.mktemp("fleet")
    with ExitStack() as stack:
        homes = {
            "garden": _watchdog(folder, "garden", "heartbeat", TOKEN),
            "office": _watchdog(folder, "office", "briefing", "another-token-for-tests"),
        }
        found = {name: stack.enter_context(running(home)) for name, home in homes.items()}
        for one in found.values():
            until(partial(_has_incident, one), "it finds the failure")
        yield found


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """The token of the first."""
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


def test_several_are_shown_together(fleet: dict[str, Running]) -> None:
    done = command("incidents", "--url", fleet["garden"].url, "--url", fleet["office"].url, COLUMNS="140")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if "failed" in line}
    assert set(lines) == {"garden", "office"}
    assert "2 of 2 have answered; 0 without an incident" in done.stdout


@pytest.mark.parametrize(("said", "wanted"), [({"headline_since": "2026-06-10T11:00:00Z"}, "1 h"), ({}, "2 h")])
def test_since_when_it_is_what_it_is_called_is_what_the_api_says_and_of_an_older_one_what_its_findings_tell(
    said: dict[str, str], wanted: str
) -> None:
    shared = {"source": "agent", "state": "active", "severity": "critical", "acknowledged_by": None}
    findings = [{"kind": kind, "since": f"2026-06-10T{hour}:00:00Z"} for kind, hour in (("failed", 10), ("failing", 8))]
    incident = {"id": 1, "kind": "failed", "summary": "s", "since": "2026-06-10T08:00:00Z", "findings": findings}
    document = {"instance": "garden", "now": "2026-06-10T12:00:00Z", "incidents": [{**shared, **incident, **said}]}
    screen = Console(file=StringIO(), record=True, width=120)
    screen.print(incidents_view([Answer("http://garden", document)]))
    assert f"{wanted} ago" in screen.export_text()


@pytest.mark.parametrize("sources", [("garden", "garden"), ("garden", "office")])
def test_of_a_watchdog_over_several_schedulers_it_is_said_which_is_meant(sources: tuple[str, str]) -> None:
    shared = {"state": "active", "severity": "critical", "acknowledged_by": None, "kind": "failed", "summary": "s"}
    since = {"since": "2026-06-10T08:00:00Z", "headline_since": "2026-06-10T08:00:00Z"}
    found = [{**shared, **since, "id": place, "source": source} for place, source in enumerate(sources)]
    screen = Console(file=StringIO(), record=True, width=120)
    screen.print(incidents_view([Answer("http://box", {"now": "2026-06-10T12:00:00Z", "incidents": found})]))
    assert ("office" in screen.export_text(clear=False)) == ("Source" in screen.export_text()) == (len({*sources}) > 1)


def _recovery(number: int, job: str, state: str, *steps: str) -> dict[str, object]:
    told = [{"at": "2026-06-10T11:30:00Z", "what": step} for step in steps]
    named = {"id": number, "action": "revive", "source": "agent", "job": job, "why": "failed", "steps": told}
    return {**named, "state": state, "created_at": "2026-06-10T11:30:00Z"}


def _whole(*recoveries: dict[str, object]) -> str:
    findings = [{"kind": "failed", "since": "2026-06-10T11:00:00Z", "summary": "s"}]
    facts: dict[str, object] = {
        "source": "agent",
        "state": "active",
        "severity": "critical",
        "acknowledged_by": None,
        "symptoms": [],
    }
    incident = {"id": 3, "kind": "failed", "summary": "s", "since": "2026-06-10T11:00:00Z", "findings": findings}
    document = {"now": "2026-06-10T12:00:00Z", "incident": {**incident, **facts}, "messages": []}
    screen = Console(file=StringIO(), record=True, width=100)
    screen.print(whole_view({**document, "recoveries": recoveries}))
    return screen.export_text()


def test_what_waits_for_approval_is_not_what_was_done_and_comes_with_its_command() -> None:
    text = _whole(_recovery(7, "news", "proposed", "failed since"))
    assert re.search(r"What waits for approval +\n.*revive news  failed *\n scheduler-watchdog approve\b.* 7\n", text)
    assert "What was done: nothing" in text
    text = _whole(_recovery(7, "news", "proposed"), _recovery(8, "digest", "proposed"))
    assert re.search(r"\n scheduler-watchdog approve\b.* --incident 3\n", text)


def test_what_was_done_ends_with_what_has_come_of_it() -> None:
    text = _whole(_recovery(7, "news", "acted", "set active by SQL"), _recovery(6, "digest", "verified", "begun"))
    done = text.partition("What was done")[2]
    assert re.search(r"set active by SQL.*\n.*so far: done, not verified yet", done)
    assert re.search(r"begun.*\n.*done and verified", done)
    assert "a state of tomorrow" in _whole(_recovery(5, "news", "a state of tomorrow"))


def test_the_recoveries_of_all_are_listed_with_the_numbers_that_are_approved() -> None:
    answers = [
        Answer("http://garden", {"recoveries": [_recovery(7, "news", "proposed", "failed since")]}),
        Answer("http://office", {"recoveries": []}),
        Answer("http://down", problem="it did not answer"),
    ]
    for one in answers[0].document["recoveries"] if answers[0].document else ():
        one |= {"by": "policy", "policy": "bring-back"}
    screen = Console(file=StringIO(), record=True, width=120)
    screen.print(recoveries_view(answers, parse_instant("2026-06-10T12:00:00Z")))
    text = screen.export_text()
    assert re.search(r"http://garden +7 +revive news +30 min ago +waits for approval +bring-back +failed since", text)
    assert "2 of 3 have answered; 1 without a recovery" in text


def test_recoveries_are_asked_for_there(fleet: dict[str, Running]) -> None:
    there = [option for service in fleet.values() for option in ("--url", service.url)]
    done = command("recoveries", *there)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 of 2 have answered" in done.stdout
    document = json.loads(command("recoveries", *there, "--format", "json").stdout)
    assert [one["instance"] for one in document["watchdogs"]] == list(fleet)


def test_what_does_not_answer_is_said_and_the_others_are_shown(fleet: dict[str, Running], tmp_path: Path) -> None:
    listed = tmp_path / "watchdogs"
    down = f"http://127.0.0.1:{free_port()}"
    listed.write_text(f"# ours\n{fleet['garden'].url}\n{down} # switched off\n")
    done = command("incidents", "--urls", listed)
    assert done.returncode == 3
    assert "heartbeat" in done.stdout
    assert done.stderr == f"scheduler-watchdog: {down} did not answer: Connection refused\n"
    document = json.loads(command("incidents", "--urls", listed, "--format", "json").stdout)
    assert [("error" in one, one.get("instance")) for one in document["watchdogs"]] == [(False, "garden"), (True, None)]


def test_why_a_name_is_not_found_is_said_without_what_stood_around_it() -> None:
    with pytest.raises(NotAnsweredError) as caught:
        Remote("http://nobody.invalid:1").get("/incidents")
    assert str(caught.value).startswith("http://nobody.invalid:1 did not answer: ")
    assert not set("()[]") & set(str(caught.value)), caught.value


def test_one_incident_is_shown_whole(fleet: dict[str, Running]) -> None:
    done = command("incidents", "1", "--url", fleet["garden"].url)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Incident 1: heartbeat was given up")
    assert "Who was told: nobody: no channel is named; add one under `channels`" in done.stdout
    assert re.search(r"To do, on its machine\n Bring it back.*\n scheduler-watchdog revive -c ", done.stdout)


def test_an_incident_there_is_taken_on_and_given_back(fleet: dict[str, Running], token: Path) -> None:
    there = ("--url", fleet["garden"].url, "--token-file", token)
    assert command("ack", "1", *there).stdout.startswith("incident 1 is yours: heartbeat was given up")
    assert "is on it" in command("incidents", *there, COLUMNS="140").stdout
    assert command("unack", "1", *there).stdout.startswith("incident 1 is nobody's: ")


def test_a_silence_there_begins_and_ends(fleet: dict[str, Running], token: Path) -> None:
    there = ("--url", fleet["garden"].url, "--token-file", token)
    assert "silence 1: nobody is told of heart* until" in command("silence", "heart*", "--for", "2h", *there).stdout
    slip = command("silence", "hart", "--for", "2h", *there)
    assert (slip.returncode, slip.stdout) == (3, "")
    assert "no job is like 'hart'; is 'heart" in slip.stderr
    assert re.match(r"garden: silence 1: heart\*, until [-\d]+ [:\d]+ UTC, by ", command("silences", *there).stdout)
    assert command("unsilence", "1", *there).stdout == "silence 1 has ended\n"
    assert command("silences", *there).stdout == "garden: nothing is silenced\n"


def test_a_job_is_found_wherever_it_is_watched(fleet: dict[str, Running], token: Path) -> None:
    both = ("--url", fleet["garden"].url, "--url", fleet["office"].url, "--token-file", token)
    assert command("revive", "heartbeat", "--dry-run", *both).stdout.startswith("would revive heartbeat ")
    assert command("revive", "--incident", "1", "--dry-run", *both[:2], *both[4:]).stdout.startswith("would revive")
    assert command("revive", "beat", *both).stderr.endswith("there is no job 'beat' there; is 'heartbeat' meant?\n")
    done = command("revive", "heartbeet", *both)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "scheduler-watchdog: there is no job 'heartbeet' there; is 'heartbeat' meant?\n"


def test_a_job_is_found_also_while_another_watchdog_is_down(fleet: dict[str, Running], token: Path) -> None:
    """Which may have a job of that name too: only what is shown is shown of a name then."""
    down = f"http://127.0.0.1:{free_port()}"
    both = ("--url", fleet["garden"].url, "--url", down, "--token-file", token)
    dead = f"scheduler-watchdog: {down} did not answer: Connection refused\n"
    shown = command("revive", "heartbeat", "--dry-run", *both)
    assert shown.stdout.startswith("would revive heartbeat ")
    assert (shown.returncode, shown.stderr) == (3, dead)
    named = command("revive", "heartbeat", *both)
    assert (named.returncode, named.stdout) == (3, "")
    assert named.stderr.startswith(dead)
    (id_,) = re.findall(
        r"may have a job that is called 'heartbeat' too: give its id, (\S+), for the one at", named.stderr
    )
    assert command("revive", id_, "--dry-run", *both).stdout == shown.stdout
    assert command("revive", "heartbeet", *both).stderr.count("\n") == 2


def test_two_that_are_called_the_same_are_told_apart_by_their_addresses(httpserver: HTTPServer) -> None:
    for path in ("/one", "/two", "/other"):
        called = "other" if path == "/other" else "vm"
        answer = httpserver.expect_request(f"{path}/api/v1/incidents")
        answer.respond_with_json({"instance": called, "silences": []})
    urls = [httpserver.url_for(path) for path in ("/one", "/two", "/other")]
    done = command("silences", *(text for url in urls for text in ("--url", url)))
    said = [f"vm ({urls[0]})", f"vm ({urls[1]})", "other"]
    assert done.stdout.splitlines() == [f"{name}: nothing is silenced" for name in said]


def pasted(text: str, *more: str) -> subprocess.CompletedProcess[str]:
    """What the command comes to that stands there."""
    (typed,) = re.findall(r"scheduler-watchdog (.*)", text)
    return command(*shlex.split(typed), *more)


def test_the_command_of_one_that_carries_nothing_out_runs_on_its_machine(tmp_path: Path, token: Path) -> None:
    """It says there which watchdog is meant; with `--url` besides it was refused."""
    with running(_watchdog(tmp_path, "shed", "heartbeat", TOKEN, ("mode: act", "mode: observe"))) as service:
        until(partial(_has_incident, service), "it finds the failure")
        done = command("revive", "heartbeat", "--url", service.url, "--token-file", token)
        assert done.returncode == 3
        reason, _, advised = done.stderr.partition("; on its machine type: ")
        assert "this watchdog carries nothing out" in reason
        assert pasted(advised, "--dry-run").stdout.startswith("would revive heartbeat ")


def test_what_one_proposes_is_allowed_from_here_by_the_command_that_is_shown(tmp_path: Path, token: Path) -> None:
    changed = ("act\n  policies: [{match: {kind: stranded}", "propose\n  policies: [{after: 1s, match: {kind: failed}")
    with running(_watchdog(tmp_path, "shed", "heartbeat", TOKEN, changed)) as service:
        there = ("--url", service.url, "--token-file", token)
        shown = partial(command, "incidents", "1", *there)
        until(lambda: "What waits for approval" in shown().stdout, "it proposes something")
        waiting = shown().stdout.partition("What waits for approval")[2].partition("What was done")[0]
        assert pasted(waiting).stdout == "approved: revive of heartbeat; the watchdog there does it\n"
        done = command("approve", "--incident", "1", *there)
        assert done.stderr.endswith(f"{service.url}: no recovery of incident 1 waits for approval\n")


def test_a_wrong_token_changes_nothing(fleet: dict[str, Running], token: Path) -> None:
    there = ("--url", fleet["office"].url)
    for given, words in (
        (("--token-file", token), "is not the right one"),
        ((), "asks for a token: give --token-file"),
    ):
        done = command("ack", "1", *there, *given)
        assert (done.returncode, done.stdout) == (3, "")
        assert words in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("ack", "1", "--url", "http://127.0.0.1:9", "--url", "http://127.0.0.1:8"), "numbers are each watchdog's own"),
        (("incidents", "--url", "ftp://box"), "is no address of a watchdog"),
        (("incidents", "--url", "http://u:p@box"), "holds no password"),
        (("incidents", "--url", "http://127.0.0.1:9", "--state", "x.db"), "not both"),
        (("incidents", "--urls", "not-there"), "the file not-there cannot be read"),
        (("ack", "1", "--url", "http://127.0.0.1:9", "--token-file", "not-there"), "the file not-there cannot be read"),
        (("silence", "x", "--url", "http://127.0.0.1:9"), "say for how long"),
    ],
)
def test_what_cannot_be_meant_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    done = command(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (3, "", 1)
    assert words in done.stderr


@pytest.mark.parametrize("content", ["<html>hello</html>", "[]", "", '{"jobs": 1', "\x00"])
def test_another_server_is_not_taken_for_a_watchdog(httpserver: HTTPServer, content: str) -> None:
    httpserver.expect_request("/api/v1/incidents").respond_with_data(content)
    with pytest.raises(NotAnsweredError, match="not as a watchdog does"):
        Remote(httpserver.url_for("")).get("/incidents")


def test_the_token_is_not_carried_elsewhere(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/v1/jobs").respond_with_data(status=302, headers={"Location": "/elsewhere"})
    with pytest.raises(NotAnsweredError):
        Remote(httpserver.url_for(""), TOKEN).get("/jobs")
    assert [request.path for request, _ in httpserver.log] == ["/api/v1/jobs"]


def test_an_address_counts_once() -> None:
    assert [one.url for one in remotes(["box:9846", "http://box:9846/"], [], "")] == ["http://box:9846"]
