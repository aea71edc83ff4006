"""The installed service as a process, beside another process that writes the database."""

import json
import multiprocessing
import os
import re
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Event
from pathlib import Path

import pytest

from tests.support.command import COMMAND, PATIENCE, Running, command, needs, running, until
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.remote.client import RefusedError, Remote

CONFIG = """
sources:
  - {{name: agent, database: {database}}}
state: {folder}/state.db
http: {{listen: "127.0.0.1:PORT"}}
poll: 100ms
"""


def _live(path: Path, stop: Event) -> None:
    """An agent that lives in real time. A job is late if it has not run for two intervals: long, for a busy machine."""
    simulator = Simulator(
        path,
        datetime.now(UTC),
        behaviour=lambda name, now: Outcome(duration=timedelta(milliseconds=100)),
        durable=True,
        start_touch=timedelta(milliseconds=20),
    )
    with simulator:
        for name in ("heartbeat", "triage"):
            simulator.add(name, {"kind": "every", "intervalMs": 3000})
        while not stop.wait(0.02):
            simulator.run_until(datetime.now(UTC))


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Path]:
    """The database of an agent that runs in another process."""
    path = tmp_path / "phantom.db"
    spawn = multiprocessing.get_context("spawn")
    stop = spawn.Event()
    process = spawn.Process(target=_live, args=(path, stop))
    process.start()
    until(lambda: path.exists() and (tmp_path / "phantom.db-wal").exists(), "the agent writes")
    yield path
    stop.set()
    process.join(PATIENCE)
    if process.exitcode != 0:
        pytest.fail(f"the agent ended with {process.exitcode}: reading it did harm")


def _configure(folder: Path, database: Path) -> Path:
    config = folder / "watchdog.yaml"
    config.write_text(CONFIG.format(database=database, folder=folder))
    return config


def _quiet_database(path: Path) -> Path:
    """A database with one job that is due in an hour."""
    with Simulator(path, datetime.now(UTC), durable=True) as simulator:
        simulator.add("heartbeat", {"kind": "every", "intervalMs": 3_600_000})
    return path


def test_it_watches_a_live_writer_sees_the_file_break_and_recover_and_does_no_harm(tmp_path: Path, agent: Path) -> None:
    _configure(tmp_path, agent)
    with running(tmp_path) as service:
        until(lambda: any(service.metric("watchdog_job_runs_total").values()), "a run shows in the metrics")
        assert service.metric("watchdog_source_up") == {'source="agent"': 1.0}
        assert service.get("/readyz")[0] == 200
        assert service.findings() == []
        before = sum(service.metric("watchdog_job_runs_total").values())
        until(lambda: sum(service.metric("watchdog_job_runs_total").values()) > before, "more runs show")
        assert service.findings() == []

        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        broken = tmp_path / "other.db"
        broken.write_bytes(b"this is not a database" * 100)
        (tmp_path / "watchdog.yaml").write_text(
            (tmp_path / "watchdog.yaml").read_text().replace(str(agent), str(broken))
        )
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.findings() == [("unreachable", None)], "the broken file is told")
        assert service.metric("watchdog_source_up") == {'source="agent"': 0.0}
        assert service.metric("watchdog_job_info") == {}
        assert "not an SQLite database" in service.get("/api/v1/findings")[1]

        _quiet_database(elsewhere / "good.db").replace(broken)
        until(lambda: service.findings() == [] and service.metric("watchdog_job_info"), "it heals by itself")
        assert service.metric("watchdog_source_up") == {'source="agent"': 1.0}
        assert {"found", "cleared", "reachable", "reload"} <= {line["action"] for line in service.log()}


def test_it_starts_without_the_file_and_becomes_ready_when_it_appears(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "later.db", tmp_path / "elsewhere"
    elsewhere.mkdir()
    _configure(tmp_path, path)
    with running(tmp_path) as service:
        assert service.get("/healthz")[0] == 200
        status, text = service.get("/readyz")
        assert status == 503
        assert "is not there" in text
        _quiet_database(elsewhere / "whole.db").replace(path)
        until(lambda: service.get("/readyz")[0] == 200, "it is ready")
        assert service.findings() == []


def test_a_state_file_that_cannot_be_had_is_told_by_page_metrics_and_readiness(tmp_path: Path) -> None:
    _configure(tmp_path, _quiet_database(tmp_path / "whole.db"))
    (tmp_path / "state.db").mkdir()
    with running(tmp_path) as service:
        until(lambda: service.findings() == [("unsaved", None)], "it is found")
        status, text = service.get("/readyz")
        assert (status, "is a folder" in text) == (503, True)
        assert service.metric("watchdog_state_up") == {"": 0.0}
        assert service.get("/healthz")[0] == 200


def test_promtool_finds_nothing_to_complain_of_in_a_scrape(tmp_path: Path) -> None:
    promtool = needs("promtool")
    _configure(tmp_path, _quiet_database(tmp_path / "phantom.db"))
    with running(tmp_path) as service:
        scrape = service.get("/metrics")[1]
    linted = subprocess.run([promtool, "check", "metrics"], input=scrape, capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


def test_a_condition_is_found_at_its_deadline_without_waiting_for_the_poll(tmp_path: Path) -> None:
    path = tmp_path / "phantom.db"
    with Simulator(path, datetime.now(UTC), durable=True) as simulator:
        job = simulator.add("soon", {"kind": "every", "intervalMs": 600})
    config = _configure(tmp_path, path)
    config.write_text(config.read_text().replace("100ms", "1h"))
    with running(tmp_path) as service:
        until(lambda: ("stalled", None) in service.findings(), "the deadline passes")
        told = next(line for line in service.log() if line.get("kind") == "stalled")
    with sqlite3.connect(path) as connection:
        (due,) = connection.execute("SELECT next_run_at FROM scheduled_jobs WHERE id = ?", (job,)).fetchone()
    connection.close()
    deadline = datetime.fromisoformat(due) + timedelta(milliseconds=1200)
    assert datetime.fromisoformat(told["time"]) - deadline < timedelta(seconds=PATIENCE)


def test_sigterm_ends_it_within_two_seconds_even_with_a_mute_client(tmp_path: Path) -> None:
    _configure(tmp_path, _quiet_database(tmp_path / "phantom.db"))
    with running(tmp_path) as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as mute:
            mute.sendall(b"GET /metrics HTTP/1.1\r\n")
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < 10  # generous; two seconds on an idle machine
        assert service.log()[-1]["action"] == "stop"


def test_a_bad_file_at_sighup_keeps_the_old_configuration_and_says_why(tmp_path: Path) -> None:
    config = _configure(tmp_path, _quiet_database(tmp_path / "phantom.db"))
    with running(tmp_path) as service:
        config.write_text("sources: [{name: agent, databse: x}]\n")
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.metric("watchdog_config_reloads_total").get('outcome="error"') == 1.0, "it is refused")
        assert service.metric("watchdog_source_up") == {'source="agent"': 1.0}
        until(lambda: any("did you mean database?" in line["message"] for line in service.log()), "it is said why")


def test_who_may_change_what_and_by_which_name_it_is_reached_is_taken_at_sighup(tmp_path: Path) -> None:
    config = _configure(tmp_path, _quiet_database(tmp_path / "phantom.db"))
    tokens = {name: f"the-{name}-token-for-tests" for name in ("first", "second")}
    for name, token in tokens.items():
        (tmp_path / name).write_text(f"{token}\n")

    def told(service: Running, section: str) -> None:
        taken = service.metric("watchdog_config_reloads_total").get('outcome="ok"', 0.0)
        config.write_text(re.sub(r"http: .*", f"http: {{{section}}}", config.read_text()))
        service.process.send_signal(signal.SIGHUP)
        until(lambda: service.metric("watchdog_config_reloads_total").get('outcome="ok"') == taken + 1, "it is taken")

    def allowed(service: Running, token: str) -> str:
        try:
            Remote(service.url, tokens[token]).post("/silences", {"match": "x", "length": "1h", "ahead": True})
        except RefusedError as error:
            return str(error).partition(": ")[2]
        return "yes"

    with running(tmp_path) as service:
        listen = f'listen: "{service.url.removeprefix("http://")}"'
        assert "nothing can be changed there over HTTP" in allowed(service, "first")
        told(service, f"{listen}, token_file: {tmp_path}/first")
        assert (allowed(service, "first"), allowed(service, "second")) == ("yes", "the token is not the right one")
        told(service, f"{listen}, token_file: {tmp_path}/second, hosts: [watchdog.example.org]")
        assert (allowed(service, "first"), allowed(service, "second")) == ("the token is not the right one", "yes")
        asked = urllib.request.Request(f"{service.url}/healthz", headers={"Host": "watchdog.example.org"})
        assert urllib.request.urlopen(asked).status == 200
        told(service, 'listen: "127.0.0.1:1"')
        assert "nothing can be changed there over HTTP" in allowed(service, "second")
        said = [line["message"] for line in service.log() if "http.listen" in line["message"]]
        address = service.url.removeprefix("http://")
        assert said == [f"it goes on answering at {address}: another `http.listen` is taken at the next start"]


def test_a_taken_address_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    database = _quiet_database(tmp_path / "phantom.db")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        config = _configure(tmp_path, database)
        config.write_text(config.read_text().replace("PORT", str(taken.getsockname()[1])))
        done = command("run", "-c", config)
    assert done.returncode == 3
    assert "cannot listen on 127.0.0.1" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


def test_systemd_is_told_ready_beats_reload_and_the_end(tmp_path: Path) -> None:
    _configure(tmp_path, _quiet_database(tmp_path / "phantom.db"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        with running(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000") as service:
            assert systemd.recv(1000).startswith(b"READY=1")
            assert systemd.recv(1000) == b"WATCHDOG=1"
            assert systemd.recv(1000) == b"WATCHDOG=1"
            service.process.send_signal(signal.SIGHUP)
            until(lambda: systemd.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC="), "the reload is told")
            # the end that comes in any case would cut off a reload that a busy machine draws out, and what follows it
            until(lambda: systemd.recv(1000).startswith(b"READY=1"), "it is ready again")
            service.stop()
            rest: list[bytes] = []
            systemd.settimeout(0.5)
            while not rest or rest[-1] != b"STOPPING=1":
                rest.append(systemd.recv(1000))


def test_no_other_beat_than_the_loops_reaches_systemd(tmp_path: Path) -> None:
    """A loop that hangs in a read must let systemd act, so the beat may not come from a thread of its own."""
    _configure(tmp_path, _quiet_database(tmp_path / "phantom.db"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE)
        with running(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000"):
            while systemd.recv(1000) != b"WATCHDOG=1":
                pass
            (tmp_path / "phantom.db").unlink()
            os.mkfifo(tmp_path / "phantom.db")
            assert systemd.recv(1000) == b"WATCHDOG=1"  # a pipe is refused unread, and holds nothing up


def test_the_answers_are_json_for_programs_and_words_for_people(tmp_path: Path) -> None:
    _configure(tmp_path, _quiet_database(tmp_path / "phantom.db"))
    with running(tmp_path) as service:
        jobs = json.loads(service.get("/api/v1/jobs")[1])
        assert [(job["job"], job["state"], job["schedule"]) for job in jobs["jobs"]] == [
            ("heartbeat", "active", "every 1 h")
        ]
        assert jobs["sources"] == [{"name": "agent", "kind": "phantom", "ok": True, "jobs": 1}]
        assert service.get("/")[1].startswith("OK: 1 job is well | jobs=1")
        assert service.get("/nothing-here")[0] == 404


def test_the_demo_tells_the_story_and_ends_by_itself() -> None:
    done = subprocess.run(
        [str(COMMAND), "demo", "--port", "0", "--seconds", "9"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING zero_tokens: heartbeat does no work" in done.stdout
    assert "CRITICAL failed: heartbeat was given up at 2026-04-29 10:00:08 UTC" in done.stdout
    assert "http://127.0.0.1:" in done.stdout
