"""The simulated scheduler's web API, asked over HTTP as a client would ask it."""

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import pytest

from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.demo.web_api import MAX_BODY, ApiServer, Misbehaviour

START = datetime(2026, 4, 29, 4, 30, tzinfo=UTC)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
TOKEN = "bootstrap-token"
PATIENT = 60.0
"""Seconds after which a test gives up; nothing here takes as long."""


class _Staying(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follows nothing."""


_OPENER = build_opener(ProxyHandler({}), _Staying)


@dataclass(frozen=True)
class Reply:
    """What a client sees; `status` is None when the connection ended without an answer."""

    status: int | None
    text: bytes = b""
    cookie: str = ""
    location: str = ""

    @property
    def body(self) -> Any:
        return json.loads(self.text)


def send(url: str, body: bytes | None = None, *, method: str = "POST", cookie: str = "") -> Reply:
    request = Request(url, body, {"Cookie": cookie} if cookie else {}, method=method)
    try:
        with _OPENER.open(request, timeout=PATIENT) as answer:
            return Reply(answer.status, answer.read(), answer.headers["Set-Cookie"] or "")
    except HTTPError as answer:
        with answer:
            return Reply(answer.code, answer.read(), location=answer.headers["Location"] or "")
    except TimeoutError:
        raise
    except (OSError, HTTPException):
        return Reply(None)


@dataclass
class Client:
    """Keeps the cookie of its last login."""

    url: str
    cookie: str = ""

    def log_in(self, token: object = TOKEN) -> Reply:
        reply = send(f"{self.url}/ui/login", json.dumps({"token": token}).encode())
        self.cookie = reply.cookie.partition(";")[0]
        return reply

    def ask(self, job_id: str, verb: str, body: bytes | None = None) -> Reply:
        return send(f"{self.url}/ui/api/scheduler/{job_id}/{verb}", body, cookie=self.cookie)

    def health(self) -> Reply:
        return send(f"{self.url}/health", method="GET")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.db"


@pytest.fixture
def sim(path: Path) -> Iterator[Simulator]:
    with Simulator(path, START) as simulator:
        yield simulator


@pytest.fixture
def api(sim: Simulator) -> Iterator[ApiServer]:
    with ApiServer(sim, TOKEN) as server:
        yield server


@pytest.fixture
def client(api: ApiServer) -> Client:
    """Logged in."""
    client = Client(api.url)
    assert client.log_in().status == 200
    return client


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def row(path: Path, job_id: str) -> dict[str, Any]:
    """What another process reads of a job."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return dict(connection.execute("SELECT * FROM scheduled_jobs WHERE id = ?", (job_id,)).fetchone())


def audit(path: Path, job_id: str) -> list[str]:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        query = "SELECT action FROM scheduler_audit_log WHERE job_id = ? ORDER BY id"
        return [action for (action,) in connection.execute(query, (job_id,))]


def until(holds: Callable[[], bool]) -> None:
    """Waits for another thread to have done something."""
    give_up = time.monotonic() + PATIENT
    while not holds():
        assert time.monotonic() < give_up, "it did not happen"
        threading.Event().wait(0.002)


def failed_job(sim: Simulator) -> str:
    sim.behaviour = lambda _name, _now: Outcome.failing()
    job_id = sim.add("heartbeat", ("cron", "0 * * * *"))
    sim.run_until(START + 10 * HOUR)
    sim.behaviour = lambda _name, _now: Outcome()
    return job_id


# what is answered


def test_health_needs_no_login(api: ApiServer, sim: Simulator) -> None:
    sim.add("watch", ("every", HOUR))
    reply = Client(api.url).health()
    assert (reply.status, reply.body) == (200, sim.health().body)
    assert reply.body["scheduler"]["nextFireAt"] == "2026-04-29T05:30:00Z"


def test_login_gives_a_cookie_that_scripts_cannot_read(api: ApiServer) -> None:
    reply = Client(api.url).log_in()
    name, _, rest = reply.cookie.partition("=")
    value, *attributes = rest.split("; ")
    assert (reply.status, name, attributes) == (200, "phantom_session", ["HttpOnly", "Path=/"])
    assert len(value) > 20


@pytest.mark.parametrize("token", ["wrong", "", None, 1, ["bootstrap-token"], "\ud800"])
def test_a_wrong_token_gets_no_cookie(api: ApiServer, token: object) -> None:
    reply = Client(api.url).log_in(token)
    assert (reply.status, reply.cookie) == (401, "")
    assert "error" in reply.body


def test_pause_and_resume_answer_with_the_row_as_it_then_is(client: Client, sim: Simulator, path: Path) -> None:
    watch = sim.add("watch", ("every", HOUR))
    for verb, status in (("pause", "paused"), ("resume", "active")):
        reply = client.ask(watch, verb)
        assert (reply.status, reply.body["job"]["status"], row(path, watch)["status"]) == (200, status, status)
        assert "task" not in reply.body["job"]
    assert audit(path, watch) == ["pause", "resume"]


@pytest.mark.parametrize("cookie", ["", "phantom_session=", "phantom_session=guessed", "other=1"])
def test_nothing_is_done_without_a_known_cookie(api: ApiServer, sim: Simulator, path: Path, cookie: str) -> None:
    watch = sim.add("watch", ("every", HOUR))
    for verb in ("pause", "resume", "run"):
        reply = Client(api.url, cookie).ask(watch, verb)
        assert (reply.status, reply.body) == (401, {"error": "Unauthorized"})
    assert (row(path, watch)["status"], sim.slot_held, audit(path, watch)) == ("active", False, [])


def test_the_cookie_is_found_among_others(client: Client, sim: Simulator) -> None:
    client.cookie = f"theme=dark; {client.cookie}; lang=en"
    assert client.ask(sim.add("watch", ("every", HOUR)), "pause").status == 200


@pytest.mark.parametrize(("age", "status"), [(7 * DAY - SECOND, 200), (7 * DAY, 401)])
def test_a_cookie_is_good_for_seven_virtual_days(
    client: Client, api: ApiServer, sim: Simulator, age: timedelta, status: int
) -> None:
    watch = sim.add("watch", ("every", 30 * DAY))
    with api.lock:
        sim.run_until(START + age)
    assert client.ask(watch, "pause").status == status


@pytest.mark.parametrize("again", [Simulator.restart, lambda sim: (sim.kill(), sim.start())])
def test_a_cookie_does_not_outlive_the_process(
    client: Client, api: ApiServer, sim: Simulator, again: Callable[[Simulator], object]
) -> None:
    watch = sim.add("watch", ("every", HOUR))
    with api.lock:
        again(sim)
    assert client.ask(watch, "pause").status == 401
    client.log_in()
    assert client.ask(watch, "pause").status == 200


def log_in_with(api: ApiServer, token: str) -> int | None:
    return send(f"{api.url}/ui/login", json.dumps({"token": token}).encode()).status


@pytest.mark.parametrize(("after", "status"), [(timedelta(), 200), (30 * MINUTE, 200), (30 * MINUTE + SECOND, 401)])
def test_the_bootstrap_token_is_good_once_within_half_an_hour_of_the_first_boot(
    sim: Simulator, after: timedelta, status: int
) -> None:
    with ApiServer(sim, TOKEN, kind="bootstrap") as api:
        with api.lock:
            sim.run_until(START + after)
        assert [log_in_with(api, TOKEN), log_in_with(api, TOKEN)] == [status, 401]


def test_a_restart_does_not_bring_the_bootstrap_token_back(sim: Simulator) -> None:
    with ApiServer(sim, TOKEN, kind="bootstrap") as api:
        assert log_in_with(api, TOKEN) == 200
        with api.lock:
            sim.restart()
        assert log_in_with(api, TOKEN) == 401


@pytest.mark.parametrize(("after", "status"), [(29 * MINUTE, 200), (31 * MINUTE, 401)])
def test_the_half_hour_of_the_bootstrap_token_counts_from_the_first_boot_and_not_from_the_last(
    sim: Simulator, after: timedelta, status: int
) -> None:
    with ApiServer(sim, TOKEN, kind="bootstrap") as api:
        with api.lock:
            sim.run_until(START + 20 * MINUTE)
            sim.restart()
            sim.run_until(START + after)
        assert log_in_with(api, TOKEN) == status


def test_after_a_restart_of_the_process_neither_the_cookie_nor_a_used_token_logs_in(sim: Simulator) -> None:
    with ApiServer(sim, TOKEN, kind="bootstrap") as api:
        by_hand = Client(api.url)
        by_hand.log_in(TOKEN)
        cookie = by_hand.cookie.partition("=")[2]
        assert log_in_with(api, cookie) == 200
        with api.lock:
            sim.restart()
        assert [log_in_with(api, token) for token in (cookie, TOKEN)] == [401, 401]


@pytest.mark.parametrize(("after", "status"), [(10 * MINUTE, 200), (10 * MINUTE + SECOND, 401)])
def test_a_magic_link_is_good_once_within_ten_minutes(
    api: ApiServer, sim: Simulator, after: timedelta, status: int
) -> None:
    token = api.routes.make_link()
    with api.lock:
        sim.run_until(START + after)
    assert [log_in_with(api, token), log_in_with(api, token)] == [status, 401]


def test_a_cookie_that_is_alive_logs_in_for_as_long_as_it_lives(client: Client, api: ApiServer, sim: Simulator) -> None:
    cookie = client.cookie.partition("=")[2]
    assert [log_in_with(api, cookie), log_in_with(api, cookie)] == [200, 200]
    with api.lock:
        sim.run_until(START + 7 * DAY)
    assert log_in_with(api, cookie) == 401


def test_a_frozen_process_takes_a_request_and_answers_when_it_thaws(
    client: Client, api: ApiServer, sim: Simulator, pool: ThreadPoolExecutor
) -> None:
    sim.freeze()
    reply = pool.submit(client.health)
    with pytest.raises(TimeoutError):
        reply.result(0.1)
    sim.thaw()
    assert reply.result(PATIENT).status == 200


def test_a_kill_of_a_frozen_process_loses_what_was_asked(
    client: Client, api: ApiServer, sim: Simulator, pool: ThreadPoolExecutor
) -> None:
    sim.freeze()
    reply = pool.submit(client.health)
    with pytest.raises(TimeoutError):
        reply.result(0.1)
    with api.lock:
        sim.kill()
    assert reply.result(PATIENT).status is None


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", "/"),
        ("GET", "/ui/login"),
        ("POST", "/health"),
        ("POST", "/ui/api/scheduler/x/delete"),
        ("POST", "/ui/api/scheduler//pause"),
        ("GET", "/ui/api/scheduler/x/pause"),
        ("PUT", "/ui/api/scheduler/x/pause"),
        ("DELETE", "/ui/api/scheduler/x"),
    ],
)
def test_there_is_nothing_else(client: Client, api: ApiServer, method: str, address: str) -> None:
    reply = send(api.url + address, method=method, cookie=client.cookie)
    assert (reply.status, reply.body) == (404, {"error": "Not found"})
    assert api.requests == [("POST", "/ui/login", 200), (method, address, 404)]


def test_an_unknown_job_is_not_found(client: Client) -> None:
    replies = [client.ask("nobody", verb) for verb in ("pause", "resume", "run")]
    assert [(reply.status, reply.body) for reply in replies] == [(404, {"error": "Job not found"})] * 3


def test_an_id_may_be_quoted_and_a_query_is_no_part_of_the_path(client: Client, sim: Simulator, path: Path) -> None:
    watch = sim.add("watch", ("every", HOUR))
    assert client.ask(watch.replace("-", "%2D"), "pause?from=test").status == 200
    assert row(path, watch)["status"] == "paused"


@pytest.mark.parametrize("body", [b"{", b"nonsense", b"\xff", b"[]", b"null", b"[" * 60_000])
def test_a_body_that_is_no_json_object_is_refused(client: Client, sim: Simulator, path: Path, body: bytes) -> None:
    watch = sim.add("watch", ("every", HOUR))
    assert send(f"{client.url}/ui/login", body).status == 400
    for verb in ("pause", "resume", "run"):
        assert client.ask(watch, verb, body).status == 400
    assert row(path, watch)["status"] == "active"


@pytest.mark.parametrize(("length", "status"), [(MAX_BODY, 200), (MAX_BODY + 1, 413), (10 * MAX_BODY, 413)])
def test_a_body_is_bounded(client: Client, sim: Simulator, length: int, status: int) -> None:
    watch = sim.add("watch", ("every", HOUR))
    assert client.ask(watch, "pause", b"{}" + b" " * (length - 2)).status == status


# the two builds


@pytest.mark.parametrize("body", [b'{"force": true}', b"{}", None])
def test_a_stock_build_answers_200_and_leaves_a_failed_job_failed(
    client: Client, api: ApiServer, sim: Simulator, path: Path, body: bytes | None
) -> None:
    with api.lock:
        failed = failed_job(sim)
    before = row(path, failed)
    reply = client.ask(failed, "resume", body)
    assert (reply.status, reply.body["job"]["status"]) == (200, "failed")
    assert (row(path, failed), audit(path, failed)) == (before, ["resume"])


def test_a_build_that_can_revive_asks_for_force(path: Path) -> None:
    with Simulator(path, START, stock=False) as sim, ApiServer(sim, TOKEN) as api:
        failed = failed_job(sim)
        client = Client(api.url)
        client.log_in()
        for body in (None, b"{}", b'{"force": false}', b'{"force": "true"}'):
            assert client.ask(failed, "resume", body).status == 409
        assert row(path, failed)["status"] == "failed"
        reply = client.ask(failed, "resume", b'{"force": true}')
        assert (reply.status, reply.body["job"]["status"]) == (200, "active")
        assert (row(path, failed)["consecutive_errors"], audit(path, failed)) == (0, ["resume"])


def test_failed_by_sql_to_paused_then_resumed_runs_on_a_stock_build(
    client: Client, api: ApiServer, sim: Simulator, path: Path
) -> None:
    with api.lock:
        failed = failed_job(sim)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE scheduled_jobs SET status = 'paused'")
    assert client.ask(failed, "resume").body["job"]["status"] == "active"
    with api.lock:
        sim.run_until(sim.now + HOUR)
    assert row(path, failed)["last_run_status"] == "ok"


# a run inside the request


def begin_run(client: Client, api: ApiServer, sim: Simulator, pool: ThreadPoolExecutor) -> tuple[str, Future[Reply]]:
    """A manual run in flight, and its answer to come."""
    watch = sim.add("watch", ("every", HOUR))
    reply = pool.submit(client.ask, watch, "run")
    until(lambda: sim.slot_held)
    return watch, reply


def test_a_manual_run_is_answered_when_it_is_over(
    client: Client, api: ApiServer, sim: Simulator, path: Path, pool: ThreadPoolExecutor
) -> None:
    watch, reply = begin_run(client, api, sim, pool)
    with api.lock:
        sim.run_until(START + 59 * SECOND)
    assert client.health().status == 200
    assert not reply.done()
    with api.lock:
        sim.run_until(START + MINUTE)
    answer = reply.result(PATIENT)
    assert (answer.status, answer.body["job"]["last_run_status"]) == (200, "ok")
    assert (row(path, watch)["run_count"], audit(path, watch)) == (1, ["run"])


def test_the_row_is_there_for_everybody_when_a_manual_run_is_answered(
    client: Client, api: ApiServer, sim: Simulator, path: Path, pool: ThreadPoolExecutor
) -> None:
    watch, reply = begin_run(client, api, sim, pool)
    sim.add("later", ("at", START + 2 * MINUTE))
    answered: list[bool] = []

    def behave(_name: str, _now: datetime) -> Outcome:
        threading.Event().wait(0.1)
        answered.append(reply.done())
        return Outcome()

    sim.behaviour = behave
    with api.lock:
        sim.run_until(START + 2 * MINUTE)
    assert reply.result(PATIENT).status == 200
    assert (answered, row(path, watch)["run_count"]) == ([False], 1)


def test_while_a_run_is_in_flight_another_is_refused(
    client: Client, api: ApiServer, sim: Simulator, pool: ThreadPoolExecutor
) -> None:
    watch, reply = begin_run(client, api, sim, pool)
    assert client.ask(watch, "run").status == 409
    with api.lock:
        sim.run_until(START + MINUTE)
    assert reply.result(PATIENT).status == 200


@pytest.mark.parametrize("end", [Simulator.kill, Simulator.restart])
def test_a_manual_run_is_not_answered_when_the_process_is_killed(
    client: Client,
    api: ApiServer,
    sim: Simulator,
    path: Path,
    pool: ThreadPoolExecutor,
    end: Callable[[Simulator], None],
) -> None:
    watch, reply = begin_run(client, api, sim, pool)
    with api.lock:
        end(sim)
    assert reply.result(PATIENT).status is None
    assert api.requests[-1] == ("POST", f"/ui/api/scheduler/{watch}/run", None)
    assert row(path, watch)["run_count"] == 0


def test_a_manual_run_is_not_waited_for_without_end(sim: Simulator) -> None:
    watch = sim.add("watch", ("every", HOUR))
    with ApiServer(sim, TOKEN, patience=0.05) as api:
        client = Client(api.url)
        client.log_in()
        assert client.ask(watch, "run").status is None
        assert client.health().status == 200


# a dead process


def test_while_the_process_is_down_nobody_answers(client: Client, api: ApiServer, sim: Simulator, path: Path) -> None:
    watch = sim.add("watch", ("every", HOUR))
    with api.lock:
        sim.kill()
    api.misbehave = "500"
    assert [client.health().status, client.log_in().status, client.ask(watch, "pause").status] == [None] * 3
    api.misbehave = None
    with api.lock:
        sim.start()
    assert (client.health().status, row(path, watch)["status"]) == (200, "active")


def test_a_request_that_a_kill_overtakes_is_not_carried_out(
    client: Client, api: ApiServer, sim: Simulator, path: Path, pool: ThreadPoolExecutor
) -> None:
    watch = sim.add("watch", ("every", HOUR))
    with api.lock:
        reply = pool.submit(client.ask, watch, "pause")
        with pytest.raises(TimeoutError):
            reply.result(0.1)
        sim.restart()
    assert (reply.result(PATIENT).status, row(path, watch)["status"]) == (None, "active")


# misbehaviour


@pytest.mark.parametrize(
    ("how", "status", "text", "location"),
    [
        ("500", 500, b'{"error": "Internal Server Error"}', ""),
        ("redirect", 307, b"{}", "/elsewhere"),
        ("garbage", 200, b"\xff<html>this is not JSON", ""),
    ],
)
def test_a_spoiled_answer_hides_what_was_done(
    client: Client,
    api: ApiServer,
    sim: Simulator,
    path: Path,
    how: Misbehaviour,
    status: int,
    text: bytes,
    location: str,
) -> None:
    watch = sim.add("watch", ("every", HOUR))
    api.misbehave = how
    reply = client.ask(watch, "pause")
    assert (reply.status, reply.text, reply.location) == (status, text, location)
    assert (api.requests[-1][2], row(path, watch)["status"]) == (status, "paused")
    api.misbehave = None
    assert client.ask(watch, "resume").body["job"]["status"] == "active"


def raw_health(api: ApiServer) -> socket.socket:
    """A connection that has asked for the health."""
    connection = socket.create_connection(("127.0.0.1", int(api.url.rpartition(":")[2])), PATIENT)
    connection.sendall(b"GET /health HTTP/1.1\r\nHost: agent\r\n\r\n")
    return connection


def rest(connection: socket.socket) -> bytes:
    """All that still comes, until the other side ends it."""
    found = b""
    try:
        while more := connection.recv(4096):
            found += more
    except ConnectionError:
        pass
    return found


def test_a_dripping_answer_comes_byte_by_byte(api: ApiServer) -> None:
    api.misbehave = "drip"
    began = time.monotonic()
    with raw_health(api) as connection:
        assert connection.recv(1) == b"H"
        assert connection.recv(1) == b"T"
        assert time.monotonic() - began > 0.9


def test_a_dripping_answer_is_whole_in_the_end(api: ApiServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("watchdog.demo.web_api.DRIP_PAUSE", 0.0)
    api.misbehave = "drip"
    assert Client(api.url).health().body["status"] == "ok"


def test_a_hanging_answer_never_comes(api: ApiServer) -> None:
    api.misbehave = "hang"
    with raw_health(api) as connection:
        until(lambda: api.requests == [("GET", "/health", None)])
        connection.settimeout(0.1)
        with pytest.raises(TimeoutError):
            connection.recv(1)


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_a_kill_ends_what_misbehaves(api: ApiServer, sim: Simulator, how: Misbehaviour) -> None:
    api.misbehave = how
    with raw_health(api) as connection:
        until(lambda: len(api.requests) == 1)
        with api.lock:
            sim.kill()
        assert b"HTTP/1.".startswith(rest(connection)), "it was cut off"


# the end


def demo_threads(before: set[threading.Thread]) -> set[threading.Thread]:
    return set(threading.enumerate()) - before


@pytest.mark.parametrize("how", ["hang", "drip"])
def test_the_end_ends_what_misbehaves(sim: Simulator, how: Misbehaviour) -> None:
    before = set(threading.enumerate())
    with ApiServer(sim, TOKEN) as api:
        api.misbehave = how
        connection = raw_health(api)
        until(lambda: len(api.requests) == 1)
    with connection:
        assert b"HTTP/1.".startswith(rest(connection)), "it was cut off"
    assert demo_threads(before) == set()


def test_the_end_does_not_wait_for_a_client_that_sends_nothing(sim: Simulator) -> None:
    before = set(threading.enumerate())
    with ApiServer(sim, TOKEN) as api:
        connection = socket.create_connection(("127.0.0.1", int(api.url.rpartition(":")[2])), PATIENT)
        until(lambda: len(demo_threads(before)) == 2)
        began = time.monotonic()
    with connection:
        assert time.monotonic() - began < PATIENT
        assert rest(connection) == b""
    assert demo_threads(before) == set()


def test_it_can_be_ended_by_whoever_holds_the_lock(sim: Simulator, path: Path, pool: ThreadPoolExecutor) -> None:
    watch = sim.add("watch", ("every", HOUR))
    lock = threading.RLock()
    with lock, ApiServer(sim, TOKEN, lock) as api:
        assert api.lock is lock
        reply = pool.submit(Client(api.url).log_in)
        with pytest.raises(TimeoutError):
            reply.result(0.1)
    assert (reply.result(PATIENT).status, row(path, watch)["status"]) == (None, "active")


def test_nobody_listens_after_the_end(sim: Simulator) -> None:
    with ApiServer(sim, TOKEN) as api:
        assert Client(api.url).health().status == 200
    assert Client(api.url).health().status is None
    assert sim.health().status == 200


# with a driver


def test_nothing_is_changed_while_the_lock_is_held(
    client: Client, api: ApiServer, sim: Simulator, path: Path, pool: ThreadPoolExecutor
) -> None:
    watch = sim.add("watch", ("every", HOUR))
    with api.lock:
        reply = pool.submit(client.ask, watch, "pause")
        with pytest.raises(TimeoutError):
            reply.result(0.1)
        sim.run_until(START + 61 * MINUTE)
        assert row(path, watch)["status"] == "active"
    assert (reply.result(PATIENT).status, row(path, watch)["status"]) == (200, "paused")
    assert row(path, watch)["updated_at"] == "2026-04-29 05:31:00"


def test_clients_and_driver_do_not_tread_on_each_other(
    client: Client, api: ApiServer, sim: Simulator, path: Path, pool: ThreadPoolExecutor
) -> None:
    ids = [sim.add(f"job-{place}", ("every", 5 * MINUTE)) for place in range(4)]

    def toggle(job_id: str) -> list[tuple[int | None, str]]:
        replies = [client.ask(job_id, verb) for _ in range(8) for verb in ("pause", "resume")]
        return [(reply.status, reply.body["job"]["status"]) for reply in replies]

    working = [pool.submit(toggle, job_id) for job_id in ids]
    while not all(work.done() for work in working):
        with api.lock:
            sim.run_until(sim.now + MINUTE)
        threading.Event().wait(0.001)
    assert [work.result() for work in working] == [[(200, "paused"), (200, "active")] * 8] * 4
    assert [audit(path, job_id) for job_id in ids] == [["pause", "resume"] * 8] * 4
    with api.lock:
        runs = [row(path, job_id)["run_count"] for job_id in ids]
        sim.run_until(sim.now + HOUR)
    assert all(row(path, job_id)["run_count"] > run for job_id, run in zip(ids, runs, strict=True))
