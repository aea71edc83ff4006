"""A program under measurement: started on a free port of the loopback address, heard, and ended by its id."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench import query_exporter
from bench.database import WORK, remove

POLL_SECONDS = 2
"""How often both look, in seconds: the product's default."""

AT_GRACE = 2
"""So many seconds after its time a one-shot is overdue here. What is past due when it is written is given five minutes:
with so short a grace no probe has to be."""

_LONGEST_GOODBYE = 20.0
_OTHER_PLACES = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")


@dataclass(frozen=True, slots=True)
class Subject:
    """How a program is started, and by what its text tells that a job is there and does no work."""

    name: str
    words: str
    command: list[str]
    port: int
    job_sample: str
    zero_sample: str
    """A pattern with a place for the job's id; it matches once the job is said to do no work."""


def watchdog(database: Path) -> Subject:
    """This program, with one source and the defaults."""
    port = free_port()
    config = WORK / "watchdog.yaml"
    remove(WORK / "state.db")
    source = f"  - {{name: phantom, kind: phantom, database: '{database}'}}\n"
    own = f"state: '{WORK / 'state.db'}'\nhttp: {{listen: '127.0.0.1:{port}'}}\npoll: {POLL_SECONDS}s\n"
    own += f"detect: {{overdue: {{at_grace: {AT_GRACE}s}}}}\n"
    config.write_text(f"sources:\n{source}{own}")
    command = [str(Path(sys.executable).with_name("scheduler-watchdog")), "run", "--debug-log", "-c", str(config)]
    _compile()
    zero = r'watchdog_job_finding\{{[^}}]*job_id="{}"[^}}]*kind="zero_tokens"[^}}]*\}} 1'
    return Subject("scheduler-watchdog", "all conditions", command, port, "watchdog_job_info{", zero)


def _environment() -> dict[str, str]:
    """With compiled files, as where it is installed: what compiles itself at its start goes on holding 7 MB more.

    In their usual place: elsewhere those of the libraries would be missing.
    """
    return {name: value for name, value in os.environ.items() if name not in _OTHER_PLACES}


def _compile() -> None:
    package = Path(__file__).parents[1] / "watchdog"
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(package)], check=True, env=_environment())


def exporter(database: Path, variant: query_exporter.Variant) -> Subject:
    """query-exporter with the equivalent queries."""
    port = free_port()
    command = query_exporter.command(database, variant, POLL_SECONDS, port)
    name = f"query-exporter, {variant.name}"
    zero = r'job_zero_tokens\{{[^}}]*job_id="{}"[^}}]*\}} 1'
    return Subject(name, variant.words, command, port, "job_zero_tokens{", zero)


def free_port() -> int:
    """A port that nobody has now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Running:
    """The started program. Its log is heard line by line, each with the wall clock at which it came."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.heard: list[tuple[float, str]] = []
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            subject.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=_environment()
        )
        self._ear = threading.Thread(target=self._listen, daemon=True)
        self._ear.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_LONGEST_GOODBYE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._ear.join(1)

    def _listen(self) -> None:
        for line in self._process.stderr or ():
            self.heard.append((time.time(), line))

    def text(self) -> str:
        """What it exposes now; empty while it does not answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.subject.port, timeout=30)
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        except OSError:
            return ""
        finally:
            connection.close()

    def wait_for_jobs(self, count: int, limit: float) -> float | None:
        """Seconds from its start until it exposes so many jobs; None if it did not within `limit`."""
        return self._wait(lambda text: text.count("\n" + self.subject.job_sample) >= count, self.started_at, limit)

    def wait_for_zero(self, job_id: str, limit: float) -> float | None:
        """Seconds from now until it says that the job does no work."""
        pattern = re.compile(self.subject.zero_sample.format(re.escape(job_id)))
        return self._wait(lambda text: pattern.search(text) is not None, time.monotonic(), limit)

    def _wait(self, is_there: Callable[[str], bool], since: float, limit: float) -> float | None:
        while time.monotonic() < since + limit:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.subject.name} ended: {''.join(line for _, line in self.heard[-5:])}")
            if is_there(self.text()):
                return time.monotonic() - since
            time.sleep(0.1)
        return None
