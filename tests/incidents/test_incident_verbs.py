"""The verbs about incidents, as the installed command: alone, and beside a service that runs."""

import json
import platform
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer

from tests.conftest import NOW, build, job_row
from tests.support.command import Running, command, free_port, running, until
from tests.support.post_office import mail_server
from tests.support.telling import HOUR, MINUTE, Diary, configured, failing, finding
from watchdog.core.action import Action, State
from watchdog.core.clock import Stamp
from watchdog.core.instants import parse_instant, say
from watchdog.core.silences import Silence
from watchdog.incidents.silencing import no_such_job
from watchdog.state.records import Records
from watchdog.state.store import Store
from watchdog.web import whole


def stored(diary: Diary, path: Path) -> Path:
    """What the diary has, as a state file."""
    store = Store(path)
    with store.transaction():
        store.save_incidents(diary.ledger.incidents.values())
    store.close()
    return path


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state file with an incident that is over, one that is open, and a stall with a symptom."""
    diary = Diary()
    diary.look(failing("old"))
    diary.look(after=MINUTE)
    diary.look(after=5 * MINUTE)
    stall = finding("stalled", None, summary="nothing has run for 3 h")
    diary.look(
        finding("failed", summary="heartbeat was given up", error_class="permanent"),
        stall,
        finding("overdue", "triage", under=stall),
        after=HOUR,
    )
    return stored(diary, tmp_path / "state.db")


def document(state: Path, *arguments: str) -> dict[str, Any]:
    """The answer for programs."""
    done = command("incidents", "--state", state, "--format", "json", *arguments)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def error_of(*arguments: str | Path) -> str:
    """The one line that a refused command says."""
    done = command(*arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (3, "", 1), done.stderr
    return done.stderr.removeprefix("scheduler-watchdog: ").rstrip()


# alone


def test_incidents_lists_the_open_ones_newest_first_and_all_on_demand(state: Path) -> None:
    lines = command("incidents", "--state", state).stdout.splitlines()
    assert [line.split()[:2] for line in lines if re.match(r"\s+\d", line)] == [["3", "stalled"], ["2", "failed"]]
    assert "nothing has run for 3 h (1 late because of it)" in "".join(lines)
    with_over = command("incidents", "--state", state, "--all").stdout
    assert re.search(r"1 +failing .* over \d+ d", with_over)


def test_an_incident_whole_says_what_to_do_while_it_lasts(state: Path, tmp_path: Path) -> None:
    restart = "{match: {kind: stalled}, action: restart, run: [docker, restart, phantom]}"
    config = tmp_path / "watchdog.yaml"
    config.write_text(
        f"sources: [{{name: agent, database: {tmp_path}/phantom.db}}]\nstate: {state}\n"
        f"notify: {{command_prefix: enter}}\nrecovery: {{policies: [{restart}]}}\n"
    )
    shown = {n: command("incidents", str(n), "-c", config, COLUMNS="70").stdout.splitlines() for n in (1, 2, 3)}
    assert "To do" not in shown[1]
    assert shown[2][shown[2].index("To do") + 1].startswith(" Mend what the error says, then bring it back")
    assert f" scheduler-watchdog revive -c {config} id-heartbeat" in shown[2]
    assert " docker restart phantom" in shown[3]


def test_an_incident_that_quiet_hours_hold_back_says_until_when() -> None:
    diary = Diary()
    (incident,) = diary.look(failing("heartbeat"))
    hours = {"from": "11:00", "to": "13:00", "timezone": "UTC", "except": "critical"}
    config = configured(notify={"quiet_hours": hours})
    assert whole.why_nobody(incident, config, NOW) == "quiet hours hold it back until 2026-06-10 13:00 UTC"
    assert whole.why_nobody(incident, config, NOW + HOUR) == ""
    assert whole.why_nobody(incident, configured(), NOW) == ""


@pytest.mark.parametrize(
    ("owners", "number", "nobody"),
    [
        (
            "[{match: {job: triage}, notify: [me]}]",
            2,
            "nobody: no owner is for this job; add one under `owners` in the configuration, like: "
            '- {match: {job: "heartbeat"}, notify: [me]}',
        ),
        ("[{match: {job: triage}, notify: [me]}, {match: {job: HEART*}, notify: [me]}]", 2, "nobody yet"),
        ("[{match: {created_by: ann}, notify: [me]}]", 2, "nobody yet"),  # who made it is not known here
        ("[{match: {job: triage}, notify: [me]}]", 3, "nobody yet"),  # the scheduler's, which all owners hear of
        ("[]", 2, "nobody yet"),
    ],
)
def test_an_incident_that_no_owner_is_for_says_so_and_what_to_do(
    owners: str, number: int, nobody: str, state: Path, tmp_path: Path
) -> None:
    config = tmp_path / "watchdog.yaml"
    about = f"sources: [{{name: agent, database: {tmp_path}/phantom.db}}]\nstate: {state}\n"
    config.write_text(f"{about}channels: {{me: 'json://127.0.0.1:9'}}\nowners: {owners}\n")
    assert f"Who was told: {nobody}\n" in command("incidents", str(number), "-c", config).stdout
    config.write_text(about)
    told = command("incidents", str(number), "-c", config).stdout
    assert "Who was told: nobody: no channel is named; add one under `channels` in the configuration\n" in told


def test_an_incident_whole_brings_several_jobs_back_at_once(tmp_path: Path) -> None:
    diary = Diary()
    diary.look(*(finding("failed", name, error_class="transient") for name in "abc"))
    store = Store(tmp_path / "state.db")
    with store.transaction():
        store.save_incidents(diary.ledger.incidents.values())
    store.close()
    config = tmp_path / "watchdog.yaml"
    config.write_text(f"sources: [{{name: agent, database: {tmp_path}/phantom.db}}]\nstate: {tmp_path}/state.db\n")
    done = command("incidents", "1", "-c", config, "--format", "json")
    assert json.loads(done.stdout)["to_do"]["command"] == f"scheduler-watchdog revive -c {config} --incident 1"


def test_a_command_in_an_incident_is_complete_and_in_one_piece(tmp_path: Path) -> None:
    id_ = "3af4cf1c-fd66-5ebf-b637-3fd5a8377574"
    diary = Diary()
    kept = (
        f"{'a long name ' * 9}had failed, and its row is gone; its definition is kept: scheduler-watchdog restore {id_}"
    )
    diary.look(finding("swept", "a", summary=kept))
    path = stored(diary, tmp_path / "state.db")
    whole = f"scheduler-watchdog restore --state {path} {id_}"
    assert whole in command("incidents", "1", "--state", path, COLUMNS="80").stdout
    assert whole in " ".join(command("incidents", "--state", path, COLUMNS="400").stdout.split())


def test_incidents_for_programs_has_the_agreed_shape(state: Path) -> None:
    stalled, failed, over = document(state, "--all")["incidents"]
    assert [incident["id"] for incident in document(state)["incidents"]] == [3, 2]
    assert [incident["state"] for incident in (stalled, failed, over)] == ["active", "active", "resolved"]
    assert [symptom["job"] for symptom in stalled["symptoms"]] == ["triage"]
    assert (failed["job"], failed["severity"], failed["acknowledged_by"]) == ("heartbeat", "critical", None)
    assert failed["opened_at"] == "2026-06-10T13:06:00Z"
    assert over["resolved_at"] == "2026-06-10T12:06:00Z"


def test_what_was_late_because_of_it_is_told_also_once_it_is_over(tmp_path: Path) -> None:
    diary = Diary()
    stall = finding("stalled", None, summary="nothing has run for 3 h")
    diary.look(stall, finding("overdue", "triage", under=stall, summary="triage waits"))
    diary.look(after=HOUR)
    diary.look(after=6 * MINUTE)
    path = stored(diary, tmp_path / "state.db")
    (over,) = document(path, "--all")["incidents"]
    assert over["state"] == "resolved"
    assert [[one["kind"] for one in over[which]] for which in ("findings", "symptoms")] == [["stalled"], ["overdue"]]
    assert "triage waits" in command("incidents", "1", "--state", path).stdout


def test_what_it_was_about_before_is_told_while_something_else_of_it_is_so(tmp_path: Path) -> None:
    """Without it its first message was earlier than all that was shown of it."""
    diary = Diary()
    diary.look(failing("news"))
    diary.look(finding("failed", "news", summary="news was given up"), after=HOUR)
    path = stored(diary, tmp_path / "state.db")
    (now,) = document(path)["incidents"]
    assert [one["kind"] for one in now["findings"]] == ["failed"]
    assert [(one["kind"], one["ended_at"]) for one in now["no_longer"]] == [("failing", "2026-06-10T13:00:00Z")]
    shown = command("incidents", "1", "--state", path, COLUMNS="140").stdout
    assert re.search(r"No longer so *\n.*failing +until 2026-06-10 13:00", shown)


def test_an_acknowledged_incident_is_somebodys(state: Path) -> None:
    done = command("ack", "2", "--state", state, LOGNAME="anna")
    assert (done.returncode, done.stdout) == (0, "incident 2 is yours: heartbeat was given up\n")
    assert "anna is on it" in command("incidents", "--state", state).stdout
    assert [incident["acknowledged_by"] for incident in document(state)["incidents"]] == [None, "anna"]


def test_who_is_on_what_is_clear_is_said_too(tmp_path: Path) -> None:
    diary = Diary()
    diary.look(failing("news"))
    diary.look(after=MINUTE)
    path = stored(diary, tmp_path / "state.db")
    assert command("ack", "1", "--state", path, LOGNAME="anna").returncode == 0
    listed = " ".join(command("incidents", "--state", path, COLUMNS="200").stdout.split())
    assert re.search(r"clear[^;]*; anna is on it", listed)
    assert "; anna is on it" in " ".join(command("incidents", "1", "--state", path, COLUMNS="200").stdout.split())


def test_an_incident_shown_whole_says_who_took_it_on_and_gave_it_back(state: Path) -> None:
    whole = ("incidents", "2", "--state", state)
    assert "Who took it on" not in command(*whole).stdout
    for verb, who in (("ack", "anna"), ("unack", "jo"), ("ack", "anna")):
        assert command(verb, "2", "--state", state, LOGNAME=who).returncode == 0
    lines = [line.split()[3:] for line in command(*whole).stdout.partition("Who took it on")[2].splitlines()[1:4]]
    assert lines == [["anna", "took", "it", "on"], ["jo", "gave", "it", "back"], ["anna", "took", "it", "on"]]
    handovers = json.loads(command(*whole, "--format", "json").stdout)["handovers"]
    assert [(one["by"], one["what"]) for one in handovers] == [
        ("anna", "taken_on"),
        ("jo", "given_back"),
        ("anna", "taken_on"),
    ]


@pytest.mark.parametrize(
    ("verb", "listed_by"),
    [("ack", "incidents"), ("unack", "incidents"), ("unsilence", "silences"), ("approve", "recoveries")],
)
def test_a_name_in_the_place_of_a_number_is_told_where_the_numbers_stand(
    state: Path, verb: str, listed_by: str
) -> None:
    said = error_of(verb, "heartbeat", "--state", state)
    assert f"'heartbeat' is not a number; `scheduler-watchdog {listed_by} --state {state}` lists them" in said


def test_a_silence_is_listed_until_it_is_ended(state: Path) -> None:
    done = command("silence", "kind=failed,job=heart*", "--for", "2h30m", "--state", state, LOGNAME="anna")
    begins = r"silence 1: nobody is told of kind=failed,job=heart\* until (.* UTC)\n"
    said = re.match(begins, done.stdout)  # how much that is now is said below it
    assert said, done.stdout + done.stderr
    (silence,) = document(state)["silences"]
    assert (silence["id"], silence["match"], silence["by"]) == (1, "kind=failed,job=heart*", "anna")
    remaining = parse_instant(silence["ends_at"]) - datetime.now(UTC)
    assert timedelta(hours=2, minutes=28) < remaining <= timedelta(hours=2, minutes=30)
    assert "Silence 1: kind=failed,job=heart*, until" in command("incidents", "--state", state).stdout
    assert command("silence", "1", "--end", "--state", state).stdout == "silence 1 has ended\n"
    assert document(state)["silences"] == []


@pytest.mark.parametrize(
    ("match", "wanted"),
    [
        ("job=heartbeat,foo=1", "no job is like 'job=heartbeat,foo=1'; 'foo' cannot be matched; job, kind, source,"),
        ("heartbeat, colour=red", "no job is like 'heartbeat, colour=red'; 'colour' cannot be matched; job, kind,"),
        ("kind=overdue,job=hart", "no job is like 'kind=overdue,job=hart'; is 'heartbeat' meant?"),
    ],
)
def test_a_condition_that_there_is_not_is_told_where_no_job_is_called_so(match: str, wanted: str) -> None:
    assert no_such_job(match, ["heartbeat"]).startswith(wanted)


def test_what_cannot_be_done_is_said_in_one_line(state: Path, tmp_path: Path) -> None:
    assert error_of("ack", "99", "--state", state) == (
        f"there is no incident 99; `scheduler-watchdog incidents --state {state}` lists them"
    )
    assert error_of("ack", "1", "--state", state) == "incident 1 is over already"
    assert error_of("silence", "x", "--state", state) == "say for how long: --for 2h"
    assert "not a duration: '2'" in error_of("silence", "x", "--for", "2", "--state", state)
    assert "'colour' cannot be matched; job, kind," in error_of("silence", "colour=x", "--for", "2h", "--state", state)
    assert "say what to silence" in error_of("silence", " , ", "--for", "2h", "--state", state)
    assert error_of("silence", "7", "--end", "--state", state) == "there is no silence 7 that has not ended"
    assert "no watchdog has run with it" in error_of("incidents", "--state", tmp_path / "none.db")


def test_the_watched_database_is_no_state_file_and_stays_as_it_was(tmp_path: Path) -> None:
    path = build(tmp_path / "phantom.db", {"scheduled_jobs": [job_row()]})
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    assert "it is a database of another program" in error_of("silence", "x", "--for", "2h", "--state", path)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


# beside a service


CONFIG = """
sources:
  - {{name: agent, database: {folder}/phantom.db}}
state: {folder}/state.db
http: {{listen: "127.0.0.1:PORT"}}
poll: 50ms
channels:
  ops: json://127.0.0.1:{port}/ops
  gone: json://127.0.0.1:{nobody}/gone
owners:
  - {{match: {{job: "reminded*"}}, notify: [ops], remind_every: 1s}}
  - {{match: {{job: "gone*"}}, notify: [gone]}}
  - {{notify: [ops]}}
notify: {{group_wait: 0s, gather: 0s, hold: 0s, give_up_after: 0s}}
"""
JOBS = ("reminded-a", "reminded-b", "silenced", "loud", "gone")


@pytest.fixture
def web() -> Iterator[HTTPServer]:
    """A web server that takes everything."""
    with HTTPServer("127.0.0.1") as server:
        server.expect_request(re.compile("/.*")).respond_with_data("ok")
        yield server


@pytest.fixture
def service(tmp_path: Path, web: HTTPServer) -> Iterator[Running]:
    """A service that watches five jobs which are due in a year."""
    later = (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    # rows that are deleted after their end are never swept, so that a failed one is one incident
    yearly = {"schedule_kind": "every", "schedule_value": '{"intervalMs": 31536000000}'}
    rows = [job_row(name, next_run_at=later, delete_after_run=1, **yearly) for name in JOBS]
    tables = {"scheduled_jobs": rows, "sessions": [], "cost_events": [], "scheduler_audit_log": []}
    build(tmp_path / "phantom.db", tables)
    config = CONFIG.format(folder=tmp_path, port=web.port, nobody=free_port())
    (tmp_path / "watchdog.yaml").write_text(config)
    with running(tmp_path) as process:
        yield process


def break_(folder: Path, column: str, value: object, *names: str) -> None:
    """Something becomes wrong with these jobs, in one commit."""
    with closing(sqlite3.connect(folder / "phantom.db", timeout=10)) as agent, agent:
        for name in names:
            agent.execute(f"UPDATE scheduled_jobs SET {column} = ? WHERE name = ?", (value, name))


def heard(web: HTTPServer) -> list[str]:
    """The titles of what has arrived."""
    return [json.loads(request.data)["title"] for request, _ in web.log]


def test_a_silence_from_another_process_holds_for_the_running_service_until_it_is_ended(
    tmp_path: Path, web: HTTPServer, service: Running
) -> None:
    config = tmp_path / "watchdog.yaml"
    assert command("silence", "silenced", "--for", "2h", "-c", config).returncode == 0
    break_(tmp_path, "status", "failed", "silenced")
    until(lambda: len(document(tmp_path / "state.db")["incidents"]) == 1, "the silenced one is an incident")
    break_(tmp_path, "last_delivery_status", "error: no such channel", "loud")
    until(lambda: heard(web), "the other one is told")
    assert heard(web) == ["WARNING: loud reaches nobody"]
    assert command("silence", "1", "--end", "-c", config).returncode == 0
    until(lambda: len(heard(web)) == 2, "the silenced one is told")
    assert heard(web)[1] == "CRITICAL: silenced was given up"


def _reminders(folder: Path, incident: int, after: datetime) -> int:
    """How many reminders of an incident were written down after an instant."""
    store = Store(folder / "state.db", exclusive=False)
    entries = [entry for entry in store.entries(incident) if entry.event == "reminder"]
    store.close()
    return sum(entry.created_at > after for entry in entries)


def _acknowledged(service: Running) -> list[int]:
    shown = json.loads(service.get("/api/v1/incidents")[1])["incidents"]
    return [incident["id"] for incident in shown if incident["acknowledged_by"]]


def test_an_acknowledgement_from_another_process_ends_the_reminders_of_the_running_service(
    tmp_path: Path, service: Running
) -> None:
    break_(tmp_path, "status", "failed", "reminded-a")
    break_(tmp_path, "last_delivery_status", "error: no such channel", "reminded-b")
    until(lambda: len(json.loads(service.get("/api/v1/incidents")[1])["incidents"]) == 2, "both are incidents")
    assert command("ack", "1", "-c", tmp_path / "watchdog.yaml").returncode == 0
    until(lambda: _acknowledged(service) == [1], "the service knows")
    seen = datetime.now(UTC) + timedelta(milliseconds=500)
    until(lambda: _reminders(tmp_path, 2, seen) >= 2, "the other one is reminded of twice more")
    assert _reminders(tmp_path, 1, seen) == 0


def test_giving_up_shows_in_the_metrics_and_in_the_log(tmp_path: Path, service: Running) -> None:
    break_(tmp_path, "status", "failed", "gone")
    until(lambda: service.metric("watchdog_notifications_total"), "it was tried")
    assert service.metric("watchdog_notifications_total") == {'channel="gone",outcome="given_up"': 1.0}
    (line,) = [line for line in service.log() if line["action"] == "notify_given_up"]
    assert (line["level"], line["channel"], line["incident"]) == ("error", "gone", 1)
    assert "onnection error" in line["message"]
    until(lambda: service.metric("watchdog_outbox_messages") == {"": 0.0}, "nothing waits any more")
    assert service.metric("watchdog_incidents_open") == {'severity="warning"': 0.0, 'severity="critical"': 1.0}


# notify-test


def test_notify_test_tries_each_channel_and_tells_what_became_of_it(tmp_path: Path, web: HTTPServer) -> None:
    web.clear()
    web.expect_request("/ops").respond_with_data("ok")
    web.expect_request("/broken").respond_with_data("no", status=500)
    config = tmp_path / "watchdog.yaml"
    with mail_server() as (mailbox, address):
        channels = {
            "ops": f"json://127.0.0.1:{web.port}/ops",
            "mail": address,
            "broken": f"json://127.0.0.1:{web.port}/broken",
            "wrong": "nosuch://s3cr3t-token/x",
        }
        body = {"sources": [{"database": "phantom.db"}], "channels": channels}
        config.write_text(json.dumps(body))
        done = command("notify-test", "-c", config)
        assert done.returncode == 3
        ops, mail, broken, wrong = done.stdout.splitlines()
        assert (ops, mail) == ("ops: sent", "mail: sent")
        assert re.match(r"broken: not sent: .*error=500", broken)
        assert wrong.startswith("wrong: not sent: ")
        assert "s3cr3t" not in done.stdout + done.stderr
        assert [mail["Subject"] for mail in mailbox.mails] == ["Test: the scheduler watchdog can reach you"]
    assert heard(web)[0] == "Test: the scheduler watchdog can reach you"
    config.write_text(json.dumps({**body, "channels": {"ops": channels["ops"]}}))
    assert command("notify-test", "-c", config).returncode == 0
    assert command("notify-test", WATCHDOG_CONFIG=str(config)).returncode == 0, "as it is everywhere"
    config.write_text(json.dumps({**body, "channels": {}}))
    assert "there are no channels to try" in error_of("notify-test", "-c", config)


def test_notify_test_tries_the_addresses_that_stand_with_owners_and_names_what_cannot_be_tried(
    tmp_path: Path, web: HTTPServer
) -> None:
    web.clear()
    web.expect_request("/ann").respond_with_data("ok")
    config, there = tmp_path / "watchdog.yaml", f"json://127.0.0.1:{web.port}"
    owners = [
        {"match": {"job": "x"}, "notify": [f"{there}/ann", f"{there}/{{job}}"]},
        {"notify": [f"{there}/ann"], "escalate": {"after": "1h", "notify": [f"{there}/boss"]}},
    ]
    config.write_text(json.dumps({"sources": [{"database": "phantom.db"}], "owners": owners}))
    done = command("notify-test", "-c", config)
    ann, boss, by_job = done.stdout.splitlines()
    assert ann == "owners[0].notify[0]: sent"
    assert boss.startswith("owners[1].escalate.notify[0]: not sent: ")
    assert by_job == "owners[0].notify[1]: not tried: each job fills something of its own in there"
    assert done.returncode == 3


def test_the_test_message_comes_as_all_others_do_from_its_host_in_the_zone_and_with_the_link(
    tmp_path: Path, web: HTTPServer
) -> None:
    web.clear()
    web.expect_request("/ops").respond_with_data("ok")
    config = tmp_path / "watchdog.yaml"
    body = {
        "sources": [{"database": "phantom.db"}],
        "channels": {"ops": f"json://127.0.0.1:{web.port}/ops"},
        "notify": {"timezone": "Asia/Kolkata"},
        "http": {"public_url": "https://watchdog.example.org"},
    }
    config.write_text(json.dumps(body))
    assert command("notify-test", "-c", config).returncode == 0
    text = web.log[0][0].get_json()["message"]
    assert re.search(r"Sent: \d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? IST", text)
    assert f", on {platform.node().split('.')[0]}" in text
    assert "https://watchdog.example.org/" in text


def test_a_silence_made_by_hand_is_not_told_as_ended_twice(state: Path) -> None:
    store = Store(state, exclusive=False)
    store.add_silence(Silence(0, "x", datetime.now(UTC), datetime.now(UTC) + HOUR))
    store.close()
    assert command("silence", "1", "--end", "--state", state).returncode == 0
    assert error_of("silence", "1", "--end", "--state", state) == "there is no silence 1 that has not ended"


def _propose(state: Path, *jobs: str) -> None:
    """Reviving each of these jobs waits for a person."""
    store = Store(state)
    with store.transaction():
        for job in jobs:
            action = Action(0, Stamp(NOW), "p", "revive", "agent", f"id-{job}", job, f"agent|p|{job}", State.PROPOSED)
            Records(store).add(action)
    store.close()


def test_all_that_is_proposed_for_an_incident_is_approved_and_nothing_else(state: Path) -> None:
    _propose(state, "heartbeat", "triage")
    done = command("approve", "--incident", "2", "--state", state)
    assert (done.returncode, done.stdout.count("approved: ")) == (0, 1), done.stderr
    assert "revive of heartbeat" in done.stdout
    with closing(Store(state, exclusive=False)) as store:
        assert len(Records(store).approvals()) == 1


def test_all_that_is_proposed_is_approved_at_once(state: Path) -> None:
    _propose(state, "heartbeat", "triage")
    assert command("recoveries", "--state", state).stdout.count("waits for approval") == 2
    assert command("approve", "--all", "--state", state).stdout.count("approved: ") == 2
    told = command("recoveries", "--state", state).stdout  # before the running watchdog has looked
    assert (told.count("about to be done"), told.count("waits for approval")) == (2, 0)


def test_one_that_is_being_brought_back_is_not_asked_for_once_more(state: Path, tmp_path: Path) -> None:
    """The next look has not come, so that it is still found to be given up."""
    config = tmp_path / "watchdog.yaml"
    config.write_text(f"sources: [{{name: agent, database: {tmp_path}/phantom.db}}]\nstate: {state}\n")
    shown = ("incidents", "2", "-c", config, "--format", "json")
    assert "revive" in json.loads(command(*shown).stdout)["to_do"]["command"]
    about = ("agent", "id-heartbeat", "heartbeat", "agent|by hand")
    with closing(Store(state, exclusive=False)) as store:
        Records(store).add(Action(0, Stamp(NOW), "by hand", "revive", *about, State.ACTED, acted_at=NOW))
    assert json.loads(command(*shown).stdout)["to_do"] == {
        "words": f"It is being brought back since {say(NOW)}; its next run shows whether that has helped.",
        "command": "",
    }


@pytest.mark.parametrize("arguments", [(), ("1", "--all"), ("--all", "--incident", "2"), ("1", "--incident", "2")])
def test_what_is_approved_is_said_in_one_way(state: Path, arguments: tuple[str, ...]) -> None:
    assert error_of("approve", *arguments, "--state", state).startswith("say which recovery is meant")


def test_where_nothing_is_proposed_for_an_incident_that_is_said(state: Path) -> None:
    _propose(state, "triage")
    numbers = {one["kind"]: one["id"] for one in document(state)["incidents"]}
    said = error_of("approve", "--incident", str(numbers["failed"]), "--state", state)
    assert said == f"no recovery of incident {numbers['failed']} waits for approval"
    assert "there is no open incident 99" in error_of("approve", "--incident", "99", "--state", state)


def test_an_incident_is_taken_on_given_back_and_silences_are_listed_and_ended(state: Path) -> None:
    assert "is yours" in command("ack", "2", "--state", state).stdout
    assert "is nobody's" in command("unack", "2", "--state", state).stdout
    assert error_of("unack", "2", "--state", state) == "nobody has taken incident 2 on"
    assert command("silence", "heart*", "--for", "2h", "--state", state).returncode == 0
    assert "silence 1: heart*" in command("silences", "--state", state).stdout
    assert command("unsilence", "1", "--state", state).stdout == "silence 1 has ended\n"
    assert "Nothing is silenced." in command("silences", "--state", state).stdout


def test_where_nothing_is_done_by_itself_the_list_of_what_was_done_says_why(tmp_path: Path) -> None:
    file = tmp_path / "watchdog.yaml"
    file.write_text(f"sources: [{{database: {tmp_path}/none.db}}]\nstate: {tmp_path}/state.db\n")
    Store(tmp_path / "state.db").close()
    said = command("recoveries", "-c", file, COLUMNS="200").stdout
    why = "recovery.mode is observe, and would have to be propose or act"
    assert said == f"Nothing has been done yet. Nothing is done here but by hand: {why}.\n"
    assert command("recoveries", "--state", tmp_path / "state.db").stdout == "Nothing has been done yet.\n"
