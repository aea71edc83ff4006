"""Short-lived processes with an end that holds: each is killed when its time is over, whatever it hangs in."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import IO, Any

from watchdog import faults

_LOOPBACK = "127.0.0.1,localhost,::1"
_MOST = 65_536


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an order. `never`: trying again cannot help; `said`: all that the process answered."""

    ok: bool
    error: str = ""
    never: bool = False
    said: Mapping[str, Any] = field(default_factory=dict)


class Child:
    """One process with one order. Its output goes to a file, so that nothing waits for a pipe."""

    def __init__(self, order: Mapping[str, Any], deadline: timedelta) -> None:
        self._deadline = deadline
        self._output: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the outcome is read
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "watchdog.notify.child"],
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
        self._hand_over(json.dumps(order).encode())

    def _hand_over(self, order: bytes) -> None:
        assert self._process.stdin is not None  # noqa: S101
        try:
            self._process.stdin.write(order)
            self._process.stdin.close()
        except BrokenPipeError:
            return  # it has ended already; its exit tells

    def outcome(self) -> Outcome | None:
        """What became of it; None while it may still end well."""
        if self._process.poll() is None:
            if time.monotonic() < self._ends:
                return None
            self.kill()
            return Outcome(False, f"it took longer than {self._deadline.total_seconds():.0f} s and was cut off")
        return self._read()

    def _read(self) -> Outcome:
        self._output.seek(0)
        text = self._output.read(_MOST)
        self._output.close()
        try:
            said = json.loads(text)
            return Outcome(bool(said["ok"]), str(said["error"]), bool(said.get("never")), said)
        except (ValueError, KeyError, TypeError):
            return Outcome(False, f"the sending process ended with {self._process.returncode} and said nothing")

    def kill(self) -> None:
        """End it now."""
        self._process.kill()
        self._process.wait()
        self._output.close()


def _environment() -> dict[str, str]:
    """The environment, with loopback addresses kept away from proxies."""
    known = ",".join(filter(None, (os.environ.get("no_proxy") or os.environ.get("NO_PROXY"), _LOOPBACK)))
    return os.environ | {"no_proxy": known, "NO_PROXY": known}


def finish(child: Child) -> Outcome:
    """Wait for it; never longer than its deadline."""
    while (outcome := child.outcome()) is None:
        time.sleep(0.01)
    return outcome


def call(order: Mapping[str, Any], deadline: timedelta) -> Mapping[str, Any]:
    """Do one order and wait for its answer; never longer than the deadline."""
    outcome = finish(Child(order, deadline))
    return {**outcome.said, "ok": outcome.ok, "error": outcome.error}
