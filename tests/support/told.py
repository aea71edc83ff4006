"""What tests of telling share: an inbox that records what is posted to it, an agent's jobs that fail and are mended,
and the service as a process that may be killed."""

import json
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import build, job_row
from tests.support.command import PATIENCE, started
from tests.support.linux import SHOWS_PROCESSES
from tests.support.loaded import Forked


@dataclass(frozen=True)
class Letter:
    """A message as it came in."""

    target: str
    incident: int
    title: str

    @property
    def event(self) -> str:
        """`opened` or `over`; other events have no place in these tests."""
        return "over" if self.title.startswith("Over: ") else "opened" if self.title[:1].isupper() else "unknown"

    @property
    def job(self) -> str:
        """The job that the title names."""
        found = re.search(r"job-\d+", self.title)
        return found.group() if found else ""


class Inbox:
    """A local HTTP server that keeps what it gets. It says nothing while `answer` is not set, nor for the seconds of
    `delay`, then `status`."""

    def __init__(self, port: int = 0) -> None:
        self.posts: list[tuple[str, Any]] = []
        self.authorizations: list[str | None] = []
        self.answer = threading.Event()
        self.answer.set()
        self.status = 200
        self.delay = 0.0
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                inbox.authorizations.append(self.headers["Authorization"])
                inbox.posts.append((self.path, body))
                inbox.answer.wait(PATIENCE)
                time.sleep(inbox.delay)
                self.send_response(inbox.status)
                self.send_header("Content-Length", "0")
                if 300 <= inbox.status < 400:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def letters(self) -> Counter[Letter]:
        """The messages, and how often each came."""
        return Counter(_letter(path, body) for path, body in list(self.posts))

    def close(self) -> None:
        """End it."""
        self.answer.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE)


def _letter(path: str, body: Mapping[str, str]) -> Letter:
    incident = re.search(r"incident (\d+) of ", body["message"])
    return Letter(path.strip("/"), int(incident.group(1)) if incident else 0, body["title"])


@contextmanager
def inbox() -> Iterator[Inbox]:
    """An inbox that is closed at the end."""
    opened = Inbox()
    try:
        yield opened
    finally:
        opened.close()


@dataclass
class Agent:
    """A database with jobs that are due in a year, to be failed and mended by hand."""

    path: Path
    jobs: int
    names: Mapping[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        later = (datetime.now(UTC) + timedelta(days=365)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        rows = [self._row(number, later) for number in range(self.jobs)]
        nothing: dict[str, list[dict[str, object]]] = {"sessions": [], "cost_events": [], "scheduler_audit_log": []}
        build(self.path, {"scheduled_jobs": rows, **nothing}, journal="wal")

    def _row(self, number: int, later: str) -> dict[str, object]:
        name = self.names.get(number, f"job-{number}")
        times = {"next_run_at": later, "last_run_at": None, "updated_at": "2026-06-10 11:01:00"}
        every = {"schedule_kind": "every", "schedule_value": '{"intervalMs": 31536000000}'}
        return {**job_row(name, **times, **every, delete_after_run=1), "id": f"id-{number}"}

    def _change(self, what: str, numbers: Mapping[int, object]) -> None:
        with closing(sqlite3.connect(self.path, timeout=10)) as connection, connection:
            for number, value in numbers.items():
                connection.execute(f"UPDATE scheduled_jobs SET {what} WHERE id = ?", (value, f"id-{number}"))

    def fail(self, *numbers: int, error: str = "401 unauthorized", at: str = "2026-06-11 09:00:00") -> None:
        """These jobs are given up, in one commit."""
        change = f"status = 'failed', consecutive_errors = 10, updated_at = '{at}', last_run_error = ?"
        self._change(change, dict.fromkeys(numbers, error))

    def lose(self, *numbers: int) -> None:
        """The results of these jobs reach nobody."""
        self._change("last_delivery_status = ?", dict.fromkeys(numbers, "error: channel_not_found"))

    def mend(self, *numbers: int) -> None:
        """These jobs are well again, in one commit."""
        change = "status = 'active', consecutive_errors = 0, last_run_error = NULL, last_delivery_status = ?"
        self._change(change, dict.fromkeys(numbers, "delivered"))


CONFIG = """
sources:
  - {{name: agent, database: {folder}/phantom.db}}
state: {folder}/state.db
http: {{listen: "127.0.0.1:0"}}
poll: 50ms
channels:
  {channels}
notify: {{group_wait: 0s, gather: 0s, hold: 0s, deadline: {deadline}}}
"""


def configure(folder: Path, channels: Mapping[str, str], deadline: str = "20s") -> Path:
    """A configuration with these channels; what it finds it tells at once."""
    lines = "\n  ".join(f"{name}: {value}" for name, value in channels.items())
    path = folder / "watchdog.yaml"
    path.write_text(CONFIG.format(folder=folder, channels=lines, deadline=deadline))
    return path


@contextmanager
def service(folder: Path, fault: str = "") -> Iterator[Forked]:
    """The installed service, ended without mercy at the end. `fault`: where it kills itself."""
    with (folder / "service.log").open("ab") as log:
        process = started(folder, log, "run", "-c", folder / "watchdog.yaml", WATCHDOG_FAULT=fault)
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)


def outbox(folder: Path) -> list[sqlite3.Row]:
    """All messages that are written down, read beside whoever writes them."""
    return query(folder, "SELECT * FROM outbox ORDER BY id")


def query(folder: Path, statement: str) -> list[sqlite3.Row]:
    """What stands in the state file; nothing while there is none."""
    if not (folder / "state.db").exists():
        return []
    with closing(sqlite3.connect(f"file:{folder}/state.db?mode=ro", uri=True, timeout=10)) as connection:
        connection.row_factory = sqlite3.Row
        try:
            return connection.execute(statement).fetchall()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return []
            raise


def senders(folder: Path) -> list[int]:
    """The sending processes of the service of this folder, by id, whether or not it has outlived them."""
    if not SHOWS_PROCESSES:
        pytest.skip("there is no /proc to find them in")
    entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdigit() and _is_sender(entry)]
    return [int(entry.name) for entry in entries if _works_in(entry, folder)]


def _is_sender(entry: Path) -> bool:
    return b"watchdog.notify.child" in _read(entry / "cmdline").split(b"\0")


def _works_in(entry: Path, folder: Path) -> bool:
    try:
        return (entry / "cwd").readlink() == folder.resolve()
    except OSError:
        return False


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
