"""What every attack needs: the service as a process, a good source, and somebody who is told."""

from __future__ import annotations

import http.client
import http.server
import json
import os
import re
import resource
import shlex
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench.faults.pace import PACE
from tests.conftest import build, job_row

POLL = 2.0
"""Seconds; the product's default."""

FOUND_WITHIN = POLL + 1
TOLD_WITHIN = 10.0
ENDS_WITHIN = 2.0
MOST_MB = 150

COMMAND = Path(sys.executable).with_name("scheduler-watchdog")


class BrokenPromiseError(Exception):
    """What was not as promised; one line."""


class NotHereError(Exception):
    """The attack cannot be made on this machine; one line."""


def must(is_so: object, otherwise: str) -> None:
    """Raises BrokenPromiseError unless it is so."""
    if not is_so:
        raise BrokenPromiseError(otherwise)


def until(is_so: Callable[[], Any], what: str, within: float) -> Any:
    """Wait until it is so; what it gave. Raises BrokenPromiseError after so many seconds, more on a busy machine."""
    began = time.monotonic()
    while True:
        answer = is_so()
        if answer:
            return answer
        limit = PACE.allowed(within, began)
        must(time.monotonic() - began < limit, f"not within {limit:.1f} s: {what}")
        time.sleep(0.1)


@contextmanager
def going_on(do: Callable[[], None], every: float) -> Iterator[None]:
    """Something that is done beside it, with so many seconds in between. Raises what that raised."""
    ending = threading.Event()

    def work() -> None:
        while not ending.wait(every):
            do()

    with ThreadPoolExecutor(1) as thread:
        work_done = thread.submit(work)
        try:
            yield
        finally:
            ending.set()
        work_done.result()


class Target:
    """Somebody who is told, over HTTP. `delay`: seconds that an answer takes."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.delay = 0.0
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """As a channel is written."""
        return f"json://127.0.0.1:{self._server.server_port}/"

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                said = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                target.titles.append(f"{said.get('title', '')} | {said.get('message', '')}")
                time.sleep(target.delay)
                with suppress(OSError):
                    self.send_response(200)
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        return Handler

    def about(self, text: str) -> list[str]:
        """The messages that name it in their title."""
        return [title for title in self.titles if text in title.partition(" | ")[0]]

    def close(self) -> None:
        """Hear no more."""
        self._server.shutdown()
        self._server.server_close()


class Rig:
    """One service in a folder of its own, with a good source beside what is attacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.state = folder / "state" / "state.db"
        self.target = Target()
        self.good = build(folder / "good.db", {"scheduled_jobs": [_job(name) for name in JOBS]})
        self.ran = folder / "ran"
        self.log: list[str] = []
        self.process: subprocess.Popen[str] | None = None
        self.port = _free_port()
        self.notes: list[str] = []
        self.is_heard = True
        """Whether somebody reads its log."""

    # the service

    def configure(self, *sections: Mapping[str, Any], **more: Any) -> None:
        """Write the configuration: the good source first, then these."""
        config = {
            "sources": [{"name": "good", "kind": "phantom", "database": str(self.good)}, *sections],
            "state": str(self.state),
            "http": {"listen": f"127.0.0.1:{self.port}"},
            "poll": f"{POLL:g}s",
            "channels": {"ops": self.target.address},
            "owners": [{"notify": ["ops"]}],
            "notify": {"group_wait": "1s", "gather": "1s", "hold": "1s"},
            **more,
        }
        (self.folder / "watchdog.yaml").write_text(json.dumps(config))

    def start(self, *prefix: str, **environment: str) -> None:
        """Start it; `prefix`: what it is started with, such as a limit."""
        command = [*prefix, str(COMMAND), "run", "-c", str(self.folder / "watchdog.yaml")]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=os.environ | environment
        )
        if self.is_heard:
            threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()
        until(lambda: self.get("/healthz")[0] == 200, "it answers after its start", 20)

    def start_with_limit(self, what: int, soft: int, hard: int) -> None:
        """Start it under a limit of the kernel."""
        limits = f"import os, resource, sys; resource.setrlimit({what}, ({soft}, {hard})); "
        limits += "os.execv(sys.argv[1], sys.argv[1:])"
        self.start(sys.executable, "-c", limits)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            self.log.append(line)

    @property
    def pid(self) -> int:
        """The service's process."""
        assert self.process is not None
        return self.process.pid

    def kill(self) -> None:
        """End it without a word."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def must_end(self, within: float = ENDS_WITHIN) -> None:
        """SIGTERM, and that it obeys in time."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        try:
            code = self.process.wait(within + 8)
        except subprocess.TimeoutExpired:
            raise BrokenPromiseError(f"SIGTERM was not obeyed within {within + 8:g} s") from None
        took = time.monotonic() - began
        must(took <= PACE.allowed(within, began) + 0.5, f"SIGTERM took {took:.1f} s")
        must(code == 0, f"it ended with {code}")

    def close(self) -> None:
        """Whatever is left of it."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.kill()
        self.target.close()

    # what it says

    def get(self, path: str, timeout: float = 5.0, **headers: str) -> tuple[int, str]:
        """Status and text of an answer; status 0 if there is none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def findings(self, source: str = "", kind: str = "") -> list[dict[str, Any]]:
        """What is found now; of one source, or of one kind, where that is asked for."""
        status, text = self.get(f"/api/v1/findings?source={source}&kind={kind}")
        return json.loads(text)["findings"] if status == 200 else []

    def found(self, kind: str, name: str) -> bool:
        """Whether this is found of a job, or of a source."""
        return any(name in (one["job"], one["source"]) for one in self.findings(kind=kind))

    def said_of(self, source: str) -> str:
        """All that is found of a source, in words."""
        return " ".join(one["summary"] for one in self.findings(source))

    # what happens meanwhile

    def fail(self, name: str) -> None:
        """A job of the good source fails for good."""
        with closing(sqlite3.connect(self.good, timeout=5)) as db, db:
            db.execute(
                "UPDATE scheduled_jobs SET status = 'failed', consecutive_errors = 10, last_run_status = 'error', "
                "last_run_error = 'Error: no such table: reports' WHERE name = ?",
                (name,),
            )

    def must_tell(self, name: str, within: float = FOUND_WITHIN) -> None:
        """A job fails now: it is found in time, and the target has it."""
        self.fail(name)
        began = time.monotonic()
        until(lambda: self.found("failed", name), f"the failure of {name} is found", within + 0.5)
        self.notes.append(f"found after {time.monotonic() - began:.1f} s")
        until(lambda: self.target.about(name), f"the target has heard of {name}", TOLD_WITHIN)

    def must_be_well(self, most_mb: float = MOST_MB) -> None:
        """What holds in every attack."""
        must(self.process is not None and self.process.poll() is None, f"it has ended: {''.join(self.log[-3:])[:300]}")
        must(self.get("/healthz")[0] == 200, f"/healthz says {self.get('/healthz')}")
        must(not [line for line in self.log if '"trace"' in line or "Traceback" in line], "there is a traceback")
        peak = self.peak_mb()
        must(peak < most_mb, f"it has used {peak:.0f} MB")
        must(len(self.log) < 2000, f"{len(self.log)} lines of log")

    def must_have_told_once(self, *names: str) -> None:
        """Each failure was told once, also some turns later."""
        time.sleep(1.5 * POLL)
        for name in names:
            told = self.target.about(name)
            must(len(told) == 1, f"{name} was told {len(told)} times: {told}")

    def peak_mb(self) -> float:
        """The most that was ever resident."""
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        return int(found[1]) / 1024 if found else 0.0

    def descriptors(self) -> int:
        """How many are open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    # an action with a budget

    def with_a_budget(self) -> dict[str, Any]:
        """One attempt at each failed job; each leaves a line."""
        run = ["/bin/sh", "-c", f'echo "$WATCHDOG_JOB_ID" >> {shlex.quote(str(self.ran))}']
        policy = {
            "match": {"kind": "failed"},
            "action": "command",
            "run": run,
            "after": "1s",
            "canary": False,
            "attempts": {"max": 1, "per": "24h"},
        }
        return {"recovery": {"mode": "act", "policies": [policy]}}

    def is_over(self, name: str) -> bool:
        """Whether what was to be done about a job is done, or is on record as not done."""
        status, text = self.get("/api/v1/recoveries")
        recoveries = json.loads(text)["recoveries"] if status == 200 else []
        states = {one["state"] for one in recoveries if one["job"] == name}
        return bool(states) and not states & {"intended", "begun"}

    def runs_of(self, name: str) -> int:
        """How often something was done about a job."""
        return self.ran.read_text().split().count(f"id-{name}") if self.ran.exists() else 0


JOBS = ("early", "meanwhile", "later", *(f"spare-{number}" for number in range(5)))


def _job(name: str) -> Mapping[str, object]:
    ahead = (datetime.now(UTC) + timedelta(days=20)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    value = json.dumps({"at": ahead})
    stamp = (datetime.now(UTC) - timedelta(hours=2)).strftime("%Y-%m-%d %H:%M:%S")
    return job_row(name, schedule_kind="at", schedule_value=value, next_run_at=ahead, updated_at=stamp, run_count=0)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def limit(pid: int, what: int, soft: int) -> None:
    """Change a soft limit of a running process."""
    if sys.platform != "linux":
        raise NotHereError("only Linux changes the limits of a running process")
    _, hard = resource.prlimit(pid, what)
    resource.prlimit(pid, what, (soft, hard))


def run(*command: str) -> bool:
    """Whether a program of the system did it."""
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def is_root() -> bool:
    """Whether file systems can be mounted here."""
    return os.geteuid() == 0


Promise = Callable[[Rig], None]
