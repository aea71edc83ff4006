"""A case is played as the running service would have seen it: at each step, at each deadline, and at no other time."""

import json
import socket
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.cases import (
    BEGINS,
    at,
    changed,
    config_file,
    daily,
    failed,
    header,
    row,
    spelt,
    told,
    whole,
    written,
)
from tests.support.command import command
from watchdog.config.file import ConfigError
from watchdog.replay.case import CaseError, Seen
from watchdog.replay.command import as_json, as_text, replay
from watchdog.replay.player import Change, Would
from watchdog.replay.processes import Processes
from watchdog.systems.shared.writer import Writer

CONFIG = """
sources: [{name: agent, kind: phantom, database: CASE}]
channels: {ops: "json://127.0.0.1:9/ops"}
"""


def played(folder: Path, lines: Iterable[object], config: str | None = None, deeds: object = None) -> list[Change]:
    """The changes of a case of these lines."""
    path = written(folder / "a.case.jsonl.gz", lines)
    operator = folder / "operator.json"
    operator.write_text(json.dumps(deeds))
    settings = config_file(folder, config) if config else None
    return list(replay(path, settings, operator if deeds is not None else None))


# findings


def test_a_condition_is_found_at_the_step_that_makes_it_so_and_over_at_the_step_that_ends_it(tmp_path: Path) -> None:
    """To the millisecond."""
    lines = [header(), whole(row()), changed(12.5, failed()), changed(70.25, row(next_run_at=at(120)))]
    found = spelt(played(tmp_path, lines))
    assert (12.5, "found", "failed", "heartbeat") in found
    assert (70.25, "cleared", "failed", "heartbeat") in found


def test_what_time_alone_makes_so_is_found_at_its_deadline(tmp_path: Path) -> None:
    """An hourly job that was due at 9 is overdue at 11, though nothing is written."""
    found = spelt(played(tmp_path, [header(hours=4), whole(row(), daily("other"))]))
    assert any(kind in ("overdue", "stalled") and minutes == 180 for minutes, _, kind, _ in found)


def test_nothing_is_found_after_the_end(tmp_path: Path) -> None:
    """The step at the end still counts; what comes later does not."""
    lines = [header(hours=1), whole(row()), changed(60, failed()), changed(60.1, row())]
    found = spelt(played(tmp_path, lines))
    assert (60.0, "found", "failed", "heartbeat") in found
    assert {minutes for minutes, *_ in found} == {60.0}


def test_what_came_before_the_beginning_is_there_when_it_begins(tmp_path: Path) -> None:
    """And is not found earlier."""
    found = spelt(played(tmp_path, [header(), whole(row(), minutes=-30), changed(-10, failed())]))
    assert found[0] == (0.0, "found", "failed", "heartbeat")


def test_another_severity_is_another_finding(tmp_path: Path) -> None:
    """The one is over when the other is found."""
    lines = [header(hours=24 * 8), whole(failed() | {"updated_at": "2026-05-18 08:00:00"})]
    found = [one for one in played(tmp_path, lines) if '"expiring"' in as_json(one)]
    said = [(json.loads(as_json(one))["event"], json.loads(as_json(one))["severity"]) for one in found]
    assert said == [("found", "warning"), ("cleared", "warning"), ("found", "critical")]


def test_every_one_of_many_steps_within_a_moment_is_seen(tmp_path: Path) -> None:
    """However coarse the time stamps of the machine's own files are."""
    steps = [changed(1 + n / 1000, failed() if n % 2 else row()) for n in range(200)]
    found = [one for one in spelt(played(tmp_path, [header(), whole(row()), *steps])) if one[2] == "failed"]
    assert len(found) == 199


def test_a_case_that_lies_ahead_of_this_machines_clock_is_seen_as_well(tmp_path: Path) -> None:
    """Time stamps of files lie ahead then, too."""
    lines = [header(begins="2066-06-10T08:00:00.000Z", ends="2066-06-10T10:00:00.000Z")]
    lines += [whole(row(next_run_at="2066-06-10T09:00:00.000Z")) | {"at": "2066-06-10T08:00:00.000Z"}]
    lines += [changed(0, failed()) | {"at": "2066-06-10T08:10:00.000Z"}]
    lines += [changed(0, row(next_run_at="2066-06-10T10:00:00.000Z")) | {"at": "2066-06-10T08:10:00.001Z"}]
    said = [json.loads(as_json(one)) for one in played(tmp_path, lines)]
    assert [(one["at"][11:], one["event"]) for one in said if one["kind"] == "failed"] == [
        ("08:10:00.000Z", "found"),
        ("08:10:00.001Z", "cleared"),
    ]


# files


def test_a_new_file_takes_the_old_ones_place_and_a_removed_one_is_gone(tmp_path: Path) -> None:
    """As when a backup is restored, or a volume is lost."""
    lines = [header(), whole(failed()), whole(row(), minutes=10), {"at": at(20), "remove": ["phantom.db"]}]
    found = spelt(played(tmp_path, [*lines, whole(row(), minutes=30)]))
    assert (10.0, "cleared", "failed", "heartbeat") in found
    assert (20.0, "found", "unreachable", None) in found
    assert (30.0, "cleared", "unreachable", None) in found


def test_rows_are_deleted_by_their_key(tmp_path: Path) -> None:
    """Whatever else stands in them."""
    gone = {"at": at(5), "delete": {"phantom.db": {"scheduled_jobs": ["id-heartbeat"]}}}
    found = spelt(played(tmp_path, [header(), whole(failed(), daily("other")), gone]))
    assert (5.0, "cleared", "failed", "heartbeat") in found


def test_what_a_poll_would_find_is_found_though_nothing_is_written_and_nothing_is_due(tmp_path: Path) -> None:
    """A file that stays half-written: at the first look it may still be being written."""
    file, config = "cron/jobs.json", "sources: [{kind: json, preset: picoclaw, file: CASE}]"
    steps = [{"at": at(0), "files": {file: '{"jobs": []}'}}, {"at": at(10), "files": {file: '{"jobs": ['}}]
    found = spelt(played(tmp_path, [header(source={"kind": "json", "database": file}), *steps], config))
    ((minutes, *what),) = found
    assert what == ["found", "unreachable", None]
    assert 10 < minutes < 11


# the clock and sleep


def test_the_watchdogs_clock_may_be_wrong_while_the_lines_tell_the_true_time(tmp_path: Path) -> None:
    """Three hours ahead nobody is late all the same, for timers go by the old clock; what happens is dated truly."""
    lines = [header(), whole(row(), daily("other")), {"at": at(10), "clock": {"ahead_s": 10_800}}]
    found = spelt(played(tmp_path, [*lines, changed(15, failed(minutes=15)), {"at": at(20), "clock": {"ahead_s": 0}}]))
    assert not [one for one in found if one[2] in ("overdue", "stalled")]
    assert (15.0, "found", "failed", "heartbeat") in found


def test_a_machine_that_sleeps_finds_nothing_until_it_wakes(tmp_path: Path) -> None:
    """Neither a step nor a deadline."""
    asleep, awake = {"at": at(5), "asleep": True}, {"at": at(90), "asleep": False}
    found = spelt(played(tmp_path, [header(), whole(row()), asleep, changed(10, failed()), awake]))
    assert (90.0, "found", "failed", "heartbeat") in found
    assert not [one for one in found if 5 <= one[0] < 90]


def test_a_machine_that_never_wakes_finds_nothing_more(tmp_path: Path) -> None:
    """Until the case is over."""
    assert spelt(played(tmp_path, [header(), whole(row()), {"at": at(5), "asleep": True}, changed(10, failed())])) == []


# telling


def test_messages_are_said_where_there_are_channels(tmp_path: Path) -> None:
    """To whom, how grave, why, and in which words."""
    lines = [header(), whole(row()), changed(10, failed()), changed(30, row(next_run_at=at(60)))]
    changes = played(tmp_path, lines, CONFIG)
    assert told(changes) == [(10.33, "ops", "opened"), (35.0, "ops", "over")]
    first, last = [json.loads(as_json(one)) for one in changes if '"told"' in as_json(one)]
    assert (first["severity"], last["severity"]) == ("critical", "over")
    assert "heartbeat" in first["title"] + first["text"]
    assert last["title"].startswith("Over")


def test_nobody_is_told_without_a_configuration(tmp_path: Path) -> None:
    """There is nobody to tell."""
    assert told(played(tmp_path, [header(), whole(failed())])) == []


def test_a_person_may_take_it_on_silence_and_reload(tmp_path: Path) -> None:
    """Whoever takes it on stops the escalation; a silence stops what begins later; a reload changes who is told."""
    escalating = CONFIG.replace("ops}", "x}").replace(
        'channels: {ops: "json://127.0.0.1:9/ops"}',
        'channels: {ops: "json://127.0.0.1:9/ops", boss: "json://127.0.0.1:9/boss"}\n'
        "owners: [{notify: [ops], escalate: {after: 30m, notify: [boss]}}]",
    )
    other = tmp_path / "other.yaml"
    other.write_text(CONFIG.replace("ops", "night"))
    lines = [header(hours=6), whole(daily("heartbeat"), daily("a"), daily("b")), changed(10, failed())]
    lines += [changed(100, failed("a")), changed(240, failed("b"))]
    assert (40.33, "boss", "escalated") in told(played(tmp_path, lines, escalating))
    deeds = [
        {"at": at(20), "do": "ack", "args": ["1"]},
        {"at": at(21), "do": "ack", "args": ["77"]},
        {"at": at(90), "do": "silence", "args": ["job=a", "--for", "20h"]},
        {"at": at(200), "do": "reload", "args": [str(other)]},
    ]
    heard = told(played(tmp_path, lines, escalating, deeds))
    assert [who for _, who, _ in heard if who == "boss"] == []
    assert [(minutes, who) for minutes, who, _ in heard if minutes < 200] == [(10.33, "ops")]
    assert {who for minutes, who, _ in heard if minutes > 240} == {"night"}


@pytest.mark.parametrize(
    "deeds", [{}, [7], [{"at": "soon", "do": "ack", "args": ["1"]}], [{"at": at(1), "do": "dance", "args": []}]]
)
def test_what_nobody_can_do_is_said_in_one_line(tmp_path: Path, deeds: object) -> None:
    """With the file."""
    with pytest.raises(CaseError, match=r"operator\.json"):
        played(tmp_path, [header(), whole(row())], CONFIG, deeds)


# recovery


def test_what_recovery_would_do_is_said_and_nothing_is_done(tmp_path: Path) -> None:
    """Also in mode `act`."""
    policy = "recovery: {mode: act, policies: [{match: {kind: failed}, action: revive, via: [sql], after: 15m}]}"
    changes = played(tmp_path, [header(hours=10), whole(row()), changed(10, failed())], f"{CONFIG}\n{policy}")
    (would,) = [one for one in changes if isinstance(one, Would)]
    assert (would.at - BEGINS).total_seconds() == 25 * 60
    assert json.loads(as_json(would)) | {"action": "revive", "job": "heartbeat"} == json.loads(as_json(would))
    assert ("cleared", "failed") not in {(event, kind) for _, event, kind, _ in spelt(changes)}


def test_a_restart_by_policy_is_not_carried_out(tmp_path: Path) -> None:
    """Its command is never run."""
    trace = tmp_path / "restarted"
    policy = (
        "recovery: {mode: act, policies: "
        f"[{{match: {{kind: failed}}, action: restart, after: 1m, run: [touch, {trace}]}}]}}"
    )
    changes = played(tmp_path, [header(), whole(row()), changed(10, failed())], f"{CONFIG}\n{policy}")
    assert [one.action for one in changes if isinstance(one, Would)] == ["restart"]
    assert not trace.exists()


# the configuration


def test_the_configurations_own_source_is_pointed_at_the_case(tmp_path: Path) -> None:
    """Whether it says CASE or the path of a store that is not here; the others of the file cannot be played."""
    config = """
sources:
  - {name: other, kind: phantom, database: /nowhere/at/all.db}
  - {name: mine, kind: phantom, database: CASE, timezone: Europe/Berlin}
"""
    (found,) = [one for one in played(tmp_path, [header(), whole(failed())], config) if '"failed"' in as_json(one)]
    assert json.loads(as_json(found))["source"] == "mine"
    found = next(iter(played(tmp_path, [header(), whole(failed())], config.replace("CASE", "/no.db"))))
    assert json.loads(as_json(found))["source"] == "other"


def test_a_configuration_with_errors_is_refused(tmp_path: Path) -> None:
    """With the file and the path in it, as ever."""
    with pytest.raises(ConfigError, match=r"watchdog\.yaml"):
        played(tmp_path, [header(), whole(row())], "sources: [{kind: phantom, database: CASE}]\nbogus: 1")


def test_neither_a_state_file_nor_a_port_of_the_configuration_is_touched(tmp_path: Path) -> None:
    """A replay beside a running service disturbs it in nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        own = f"state: {tmp_path}/mine.db\nhttp: {{listen: '127.0.0.1:{taken.getsockname()[1]}'}}"
        assert played(tmp_path, [header(), whole(failed())], f"{CONFIG}\n{own}")
    assert not (tmp_path / "mine.db").exists()


# the command


def test_the_command_says_a_line_a_change_for_programs_and_for_people(tmp_path: Path) -> None:
    """And leaves nothing behind."""
    path = written(tmp_path / "a.case.jsonl.gz", [header(), whole(row()), changed(10, failed()), changed(20, row())])
    done = command("replay", path, "--format", "json")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert lines[0] == {
        "at": "2026-06-10T08:10:00.000Z",
        "event": "found",
        "kind": "failed",
        "severity": "critical",
        "job_id": "id-heartbeat",
        "job": "heartbeat",
        "source": "phantom",
    }
    people = command("replay", path).stdout.splitlines()
    assert people[0].startswith("2026-06-10 08:10:00  CRITICAL failed: heartbeat ")
    assert "2026-06-10 08:20:00  clear: failed of heartbeat" in people


def test_text_for_people_names_targets_and_actions(tmp_path: Path) -> None:
    """In words."""
    policy = "recovery: {policies: [{match: {kind: failed}, action: revive, via: [sql], after: 15m}]}"
    changes = played(tmp_path, [header(hours=1), whole(row()), changed(10, failed())], f"{CONFIG}\n{policy}")
    text = "\n".join(map(as_text, changes))
    assert "told ops: " in text
    assert "2026-06-10 08:25:00  would revive heartbeat, for it is failed" in text


# processes


def test_the_case_answers_whether_the_writer_of_its_store_lives() -> None:
    """The newest process that lives; none known where the case names none."""
    processes = Processes()
    store = Path("phantom.db")
    assert processes.of(store).alive is None
    processes.take({"1": Seen(started="2026-06-10T08:00:00.000Z")})
    assert processes.of(store) == Writer(True, None, 1, BEGINS)
    processes.take({"1": Seen(stopped=True)})
    assert processes.of(store) == Writer(True, True, 1)
    processes.take({"1": Seen(alive=False)})
    assert processes.of(store) == Writer(alive=False)
    processes.take({"2": Seen(started="2026-06-10T08:00:00.000Z"), "1": Seen(alive=False)})
    assert processes.of(store) == Writer(True, None, 2, BEGINS)


def test_a_case_in_which_nothing_is_found_is_not_answered_with_silence(tmp_path: Path) -> None:
    path = written(tmp_path / "well.case.jsonl.gz", [header(hours=0.5), whole(row())])
    done = command("replay", path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == f"{path}: nothing is found in it, and nobody would be told\n"
