"""Running the operator's own commands: an argument list without a shell, the job's facts as data in its environment."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import IO

from watchdog.notify.children import call as run_child
from watchdog.recovery.action import Action

_MOST_SAID = 4096


def facts_of(action: Action) -> dict[str, str]:
    """What a command may want to know, as environment variables."""
    return {
        "WATCHDOG_SOURCE": action.source,
        "WATCHDOG_JOB_ID": action.job_id or "",
        "WATCHDOG_JOB": action.job or "",
        "WATCHDOG_REASON": action.why,
        "WATCHDOG_ACTION": str(action.id),
    }


def ask(order: Mapping[str, object], deadline: timedelta) -> str:
    """Ask an address; why it did not answer well, or nothing."""
    try:
        said = run_child(order, deadline)
    except OSError as error:  # no process can be started now
        return str(error)
    return "" if said["ok"] else str(said["error"] or "no reason given")


def run(arguments: tuple[str, ...], facts: Mapping[str, str], deadline: timedelta) -> str:
    """Run a command to its end; why it did not work, or nothing. All of its processes end at the deadline."""
    with tempfile.TemporaryFile() as said:  # not a pipe: what the command leaves running may hold that open
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own argument list; facts only in its environment
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=os.environ | facts,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"{arguments[0]}: {error}"
        try:
            code = process.wait(deadline.total_seconds())
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"{arguments[0]} took longer than {deadline.total_seconds():.0f} s and was ended"
        return "" if code == 0 else f"{Path(arguments[0]).name} ended with {code}: {_last_line(said)}"


def _last_line(said: IO[bytes]) -> str:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - _MOST_SAID))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no reason given"
