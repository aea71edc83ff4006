"""The installed command as a process, for acceptance tests."""

import fcntl
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest

from tests.support.loaded import Forked, Loaded

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).parent / "scheduler-watchdog"
PATIENCE = 90.0
"""Seconds after which a wait is a failure. Only a failure uses them up: a machine that is busy must not fail a test."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scheduler-watchdog-tests"
"""What is fetched once for all checkouts, and may be deleted at any time."""


def command(*arguments: str | Path, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return command_in(Path.cwd(), os.environ | environment, *arguments, stdin=stdin)


def command_in(
    folder: Path, environment: Mapping[str, str], *arguments: str | Path, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run it to its end, in this folder and with this environment and nothing else of it."""
    return loaded().run([str(COMMAND), *map(str, arguments)], environment, folder, stdin, PATIENCE)


@cache
def loaded() -> Loaded:
    """Where commands come from; made by the first who asks."""
    return Loaded()


def started(folder: Path, errors: IO[Any], *arguments: str | Path, **environment: str) -> Forked:
    """It runs in this folder, and what it complains of goes there."""
    words = [str(COMMAND), *map(str, arguments)]
    with Path(os.devnull).open("r+") as nothing:
        streams = [nothing.fileno(), nothing.fileno(), errors.fileno()]
        return loaded().start(words, os.environ | environment, folder, streams)


def missing(what: str) -> NoReturn:
    """What a test needs is not there: it skips with the reason, and fails on CI, where .ci/run installs it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what}, and .ci/run should have installed it")
    pytest.skip(what)


def needs(program: str) -> str:
    """The program's path."""
    return shutil.which(program) or missing(f"{program} is not installed")


def fetched(name: str, *packages: str, patience: float = 300) -> Path:
    """The folder, by this name, into which npm has put these packages: once, whoever asks at the same time.

    The stamp is written last, so that what was broken off is fetched anew.
    """
    folder, wanted = CACHE / name, " ".join(packages)
    stamp = folder / "fetched"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _install(folder, packages, patience)
            stamp.write_text(wanted)
    return folder


def _install(folder: Path, packages: Sequence[str], patience: float) -> None:
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts"]
    arguments = [needs("npm"), "install", "--prefix", str(folder), *quiet, *packages]
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired:
        missing(f"npm has not fetched {packages[-1]} within {patience:.0f} s")
    if done.returncode != 0:
        missing(f"npm could not fetch {packages[-1]}: {done.stderr[-300:]}")


_reserved: list[socket.socket] = []


def free_port() -> int:
    """A port of the loopback address on which nobody listens, and which nobody else is given while the tests run.

    It stays bound, as one that may be bound once more by whoever asks for just this port, as servers do: not by one
    who asks for any port, and not for the near end of a connection.
    """
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    probe.bind(("127.0.0.1", 0))
    _reserved.append(probe)
    return int(probe.getsockname()[1])


def until(is_so: Callable[[], Any], what: str, patience: float = PATIENCE, every: float = 0.02) -> Any:
    """Wait until it is so, and ask so often; the answer."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        answer = is_so()
        if answer:
            return answer
        time.sleep(every)
    pytest.fail(f"waited {patience:.0f} s in vain until {what}")


class Running:
    """A service that runs."""

    def __init__(self, process: Forked | subprocess.Popen[str], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    def get(self, path: str) -> tuple[int, str]:
        """The status and the text of an answer; status 0 if there is none."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=PATIENCE) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def findings(self) -> list[tuple[str, str | None]]:
        """Kind and job of each finding."""
        status, text = self.get("/api/v1/findings")
        return [(found["kind"], found["job"]) for found in json.loads(text)["findings"]] if status == 200 else []

    def metric(self, name: str) -> dict[str, float]:
        """The samples of a family by what stands in their braces."""
        lines = [line for line in self.get("/metrics")[1].splitlines() if line.startswith(name)]
        parts = [line.removeprefix(name).rsplit(" ", 1) for line in lines]
        return {labels.strip("{}"): float(number) for labels, number in parts if labels[:1] in ("{", "")}

    def log(self) -> list[dict[str, Any]]:
        """The log so far; each line is an object."""
        return [json.loads(line) for line in self._log.read_text().splitlines()]

    def stop(self, signal: int = 15) -> int:
        """End it; the exit code."""
        self.process.send_signal(signal)
        return self.process.wait(PATIENCE)


BLIND_TO_PROCESSES = (
    sys.executable,
    "-c",
    "import sys, watchdog.systems.shared.writer as writer; writer.LiveWriters = writer.UnknownWriters; "
    "from watchdog.cli.main import main; sys.exit(main())",
)
"""For an agent whose history was made at once: its process started after the run that is in flight in it."""


@contextmanager
def running(folder: Path, *arguments: str | Path, command: Sequence[str] = (), **environment: str) -> Iterator[Running]:
    """The service with a configuration of its own in `folder`, at the port it names or any; or with other arguments.

    With `command` that is started in place of the installed one, in a process of its own.
    """
    log = folder / "log.jsonl"
    port = free_port()
    if not arguments:
        config = folder / "watchdog.yaml"
        named = re.search(r"listen: ['\"]127\.0\.0\.1:(\d+)", config.read_text())
        port = int(named[1]) if named else port
        config.write_text(config.read_text().replace("PORT", str(port)))
        arguments = ("-c", config)
    with log.open("w") as stream:
        process = (
            subprocess.Popen([*command, "run", *arguments], stderr=stream, text=True, env=os.environ | environment)
            if command
            else started(Path.cwd(), stream, "run", *arguments, **environment)
        )
        service = Running(process, f"http://127.0.0.1:{port}", log)
        try:
            until(lambda: service.get("/healthz")[0] == 200 or process.poll() is not None, "the service answers")
            yield service
        finally:
            process.kill()
            process.wait(PATIENCE)
