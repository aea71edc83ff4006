"""The installed command out of a process that has loaded it already: most of what a call costs is loading.

Each call is a fork of that process, with arguments, environment, working directory and streams of its own; it runs to
its end as any process does. What the interpreter itself takes from its environment it took when the first one began.
"""

import gc
import importlib
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import watchdog

ROOT = Path(__file__).resolve().parents[2]


class Forked:
    """A command that runs, to be asked and ended as a `subprocess.Popen` is. `news` tells its id, and then its end."""

    def __init__(self, arguments: Sequence[str], news: socket.socket) -> None:
        self._arguments = arguments
        self._news = news
        self._lines = news.makefile()
        self.pid = int(self._lines.readline())
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit code, once it has one; that of a signal is negative."""
        if self.returncode is None and select.select([self._news], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. Raises TimeoutExpired after so many seconds."""
        if self.returncode is None:
            if timeout is not None and not select.select([self._news], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self._arguments, timeout)
            self.returncode = int(self._lines.readline())
            self._lines.close()
            self._news.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Nothing, if it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Loaded:
    """The side of the tests. The process lasts until it is closed."""

    def __init__(self) -> None:
        self._channel, other = socket.socketpair()
        self._lock = threading.Lock()
        with other:
            program = [sys.executable, "-m", "tests.support.loaded", str(other.fileno())]
            self._process = subprocess.Popen(program, cwd=ROOT, pass_fds=[other.fileno()])

    def start(
        self, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, streams: Sequence[int]
    ) -> Forked:
        """A command with these descriptors as its input, output and errors."""
        order = {"arguments": arguments, "environment": dict(environment), "cwd": str(cwd)}
        news, other = socket.socketpair()
        with self._lock, other:
            socket.send_fds(self._channel, [json.dumps(order).encode() + b"\n"], [*streams, other.fileno()])
            news.recv(1)
        return Forked(arguments, news)

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], cwd: Path, stdin: str, patience: float
    ) -> subprocess.CompletedProcess[str]:
        """A command from its start to its end; one that takes longer than `patience` seconds is killed: an error."""
        with TemporaryFile("w+") as given, TemporaryFile("w+") as said, TemporaryFile("w+") as complained:
            given.write(stdin)
            given.seek(0)
            process = self.start(arguments, environment, cwd, [each.fileno() for each in (given, said, complained)])
            try:
                code = process.wait(patience)
            finally:
                process.kill()
                process.wait()
            for stream in (said, complained):
                stream.seek(0)
            return subprocess.CompletedProcess(arguments, code, said.read(), complained.read())

    def close(self) -> None:
        """No more commands."""
        self._channel.close()
        self._process.wait()


def _load() -> None:
    """All modules, that none has to be read by a fork; what is there now is no work for its collector of garbage."""
    for module in pkgutil.walk_packages(watchdog.__path__, "watchdog."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    gc.freeze()


def _next_command(channel: socket.socket) -> None:
    """Returns in the fork that is to become a command, once for each; the process itself ends when nobody asks more."""
    while True:
        text, descriptors, *_ = socket.recv_fds(channel, 1 << 16, 4)
        while text and not text.endswith(b"\n"):
            text += channel.recv(1 << 16)
        if not text:
            os._exit(0)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            channel.close()
            _become(json.loads(text), descriptors)
            return
        for each in descriptors:
            os.close(each)


def _become(order: Mapping[str, Any], descriptors: Sequence[int]) -> None:
    """The parent, for which nobody waits, tells how its child ends; the child takes what was ordered, and returns."""
    *streams, news = descriptors
    os.write(news, b" ")
    pid = os.fork()
    if pid:
        os.write(news, f"{pid}\n".encode())
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.write(news, f"{code}\n".encode())
        os._exit(0)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    for each in descriptors:
        os.close(each)
    os.environ.clear()
    os.environ.update(order["environment"])
    time.tzset()
    os.chdir(order["cwd"])
    sys.argv = list(order["arguments"])


if __name__ == "__main__":
    from watchdog.cli.main import main

    _load()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _next_command(socket.socket(fileno=int(sys.argv[1])))
    main()
