"""Short-lived processes with an end that holds: each is killed when its time is over, whatever it hangs in."""

import fcntl
import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from watchdog.core import faults
from watchdog.core.child import WENT_WELL
from watchdog.core.scratch import scratch_file

_LOOPBACK = "127.0.0.1,localhost,::1"
_MOST = 65_536

_SLOW = 1.0
"""Seconds; where all is well a message takes half of one."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an order. `never`: trying again cannot help; `said`: all that the process answered."""

    ok: bool
    error: str = ""
    never: bool = False
    said: Mapping[str, Any] = field(default_factory=dict)


def python(module: str) -> list[str]:
    """How one of our modules is called as a process: never one of its name that lies where the program was started."""
    return [sys.executable, "-P", "-m", module]


class Child:
    """One process with one order, which its module does (`child.serve`). Its output goes to a file, so that nothing
    waits for a pipe.

    With a `record` that file has a name, and is locked while the process lives: whoever takes over after a crash can
    wait for the outcome instead of guessing it (`recorded`).
    """

    def __init__(self, module: str, order: Mapping[str, Any], deadline: timedelta, record: Path | None = None) -> None:
        self._deadline = deadline
        self._record = record
        self._outcome: Result | None = None
        self._output = _output(record)
        try:
            self._process = subprocess.Popen(  # noqa: S603 - ourselves, by a module of our own
                python(module),
                stdin=subprocess.PIPE,
                stdout=self._output,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        except OSError:
            self._output.close()
            raise
        self._ends = time.monotonic() + deadline.total_seconds()
        faults.point("child-started")
        self._began = time.monotonic()
        limit = math.ceil(deadline.total_seconds()) + 2  # ends itself then, should nobody be left to end it
        self._hand_over(json.dumps({**order, "limit": limit}).encode())

    def _hand_over(self, order: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101
        try:
            self._process.stdin.write(order)
            self._process.stdin.close()
        except BrokenPipeError:
            return  # it has ended already; its exit tells

    def outcome(self) -> Result | None:
        """What became of it; None while it may still end well. The answer stays the same."""
        if self._outcome is None and self._process.poll() is not None:
            self._outcome = self._read()
        if self._outcome is None and time.monotonic() >= self._ends:
            self.kill()
            said = f"it took longer than {self._deadline.total_seconds():.0f} s and was cut off"
            self._outcome = Result(False, said)
        return self._outcome

    @property
    def is_slow(self) -> bool:
        """Whether it takes longer than sending does where all is well."""
        return time.monotonic() - self._began > _SLOW

    def forget(self) -> None:
        """The outcome is written down elsewhere: the record is not needed any more."""
        if self._record is not None:
            with suppress(OSError):
                self._record.unlink(missing_ok=True)

    def _read(self) -> Result:
        self._output.seek(0)
        text = self._output.read(_MOST)
        self._output.close()
        code = self._process.returncode
        silent = Result(code == WENT_WELL, f"the sending process ended with {code} and said nothing")
        return _said(text) or (Result(True) if silent.ok else silent)

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._output.close()

    def leave(self) -> None:
        """Let it go on by itself, to its own end: what becomes of it is read from its record (`recorded`)."""
        if self._record is None:
            self.kill()
            return
        self._output.close()
        _left[:] = [one for one in _left if one.poll() is None]
        _left.append(self._process)


_left: list[subprocess.Popen[bytes]] = []
"""Those that go on by themselves; kept so that their ends are taken note of."""


def _output(record: Path | None) -> IO[bytes]:
    """Where the answer goes; a disk that is full or read-only keeps nothing from being sent."""
    if record is not None:
        with suppress(OSError):
            return _named(record)
    return scratch_file()


def _named(record: Path) -> IO[bytes]:
    record.parent.mkdir(mode=0o700, exist_ok=True)
    output = record.open("w+b")
    # inherited by the process, the lock lasts as long as either of us lives
    fcntl.flock(output, fcntl.LOCK_EX)
    return output


def _said(text: bytes) -> Result | None:
    try:
        said = json.loads(text)
        return Result(bool(said["ok"]), str(said["error"]), bool(said.get("never")), said)
    except (ValueError, KeyError, TypeError):
        return None


class StillSendingError(Exception):
    """The process that a crashed watchdog had started is still at it."""


def recorded(record: Path) -> Result | None:
    """The outcome that stands in a record; None if none does. Raises StillSendingError while its process lives."""
    try:
        with record.open("rb") as output:
            fcntl.flock(output, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _said(output.read(_MOST))
    except BlockingIOError:
        raise StillSendingError from None
    except OSError:
        return None


def _environment() -> dict[str, str]:
    """The environment, with loopback addresses kept away from proxies."""
    known = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), _LOOPBACK)))
    return os.environ | {"no_proxy": known, "NO_PROXY": known}


def finish(child: Child) -> Result:
    """Wait for it; never longer than its deadline."""
    while (outcome := child.outcome()) is None:
        time.sleep(0.01)
    return outcome


def call(module: str, order: Mapping[str, Any], deadline: timedelta) -> Mapping[str, Any]:
    """Do one order and wait for its answer; never longer than the deadline."""
    outcome = finish(Child(module, order, deadline))
    return {**outcome.said, "ok": outcome.ok, "error": outcome.error}
