"""The installed command as a process, for acceptance tests."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).parent / "scheduler-watchdog"
PATIENCE = 20.0
"""Seconds after which a wait is a failure; a machine that is busy must not fail a test."""


def command(*arguments: str | Path, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        [str(COMMAND), *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | environment,
        check=False,
    )


def needs(program: str) -> str:
    """The program's path; without it the test skips with the reason, and fails on CI."""
    found = shutil.which(program)
    if found is None:
        reason = f"{program} is not installed"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}, and .ci/run should have installed it")
        pytest.skip(reason)
    return found


def fetched(folder: Path, *packages: str, timeout: float = 120) -> None:
    """Have npm install packages into a folder; skips with the reason if it cannot, and fails on CI."""
    folder.mkdir(exist_ok=True)
    quiet = ["--no-audit", "--no-fund", "--ignore-scripts"]
    arguments = [needs("npm"), "install", "--prefix", str(folder), *quiet, *packages]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        reason = f"npm could not fetch {packages[-1]}"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{reason}: {done.stderr[-300:]}")
        pytest.skip(reason)


def free_port() -> int:
    """A port of the loopback address that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(is_so: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait until it is so; the answer."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        answer = is_so()
        if answer:
            return answer
        time.sleep(0.02)
    pytest.fail(f"waited {patience:.0f} s in vain until {what}")


class Running:
    """A service that runs."""

    def __init__(self, process: subprocess.Popen[str], url: str, log: Path) -> None:
        self.process = process
        self.url = url
        self._log = log

    def get(self, path: str) -> tuple[int, str]:
        """The status and the text of an answer; status 0 if there is none."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5) as answer:
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


@contextmanager
def running(folder: Path, *arguments: str | Path, **environment: str) -> Iterator[Running]:
    """The service with a configuration of its own in `folder`, or with other arguments."""
    log = folder / "log.jsonl"
    port = free_port()
    if not arguments:
        config = folder / "watchdog.yaml"
        config.write_text(config.read_text().replace("PORT", str(port)))
        arguments = ("-c", config)
    with log.open("w") as stream:
        process = subprocess.Popen(
            [str(COMMAND), "run", *map(str, arguments)], stderr=stream, text=True, env=os.environ | environment
        )
        service = Running(process, f"http://127.0.0.1:{port}", log)
        try:
            until(lambda: service.get("/healthz")[0] == 200 or process.poll() is not None, "the service answers")
            yield service
        finally:
            process.kill()
            process.wait(PATIENCE)
