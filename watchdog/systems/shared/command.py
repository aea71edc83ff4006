"""Running the operator's own commands: an argument list without a shell, the job's facts as data in its environment."""

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import IO

from watchdog.core.action import Action
from watchdog.core.children import call
from watchdog.core.scratch import scratch_file

_MOST_SAID = 65_536

MOST_WRITTEN = 64 * 1024 * 1024
"""Bytes of what a command may say; one that does not stop would fill the disk before its deadline."""

_SEEN_TO = 0.1
"""Seconds from look to look at how much it has said."""


def run_child(order: Mapping[str, object], deadline: timedelta) -> Mapping[str, object]:
    """Have a short-lived process ask an address; what it answered."""
    return call("watchdog.core.child", order, deadline)


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


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended. `problem`: why it did not work, in one line; empty if it did. `out`, `err`: what it
    said. `was_cut_off`: it was ended at its deadline. `never_began`: it could not be started."""

    problem: str = ""
    out: str = ""
    err: str = ""
    was_cut_off: bool = False
    never_began: bool = False


def run(arguments: Sequence[str], environment: Mapping[str, str], deadline: timedelta) -> Ran:
    """Run a command to its end. All of its processes end at the deadline."""
    name = Path(arguments[0]).name
    # not pipes: what the command leaves running may hold those open
    with scratch_file() as out, scratch_file() as err:
        try:
            process = subprocess.Popen(  # noqa: S603 - an argument list of the operator's own; a job's facts are data in it
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=os.environ | environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return Ran(f"{arguments[0]}: {error}", never_began=True)
        code = _waited_for(process, deadline, (out, err))
        if code is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            took = f"took longer than {deadline.total_seconds():.0f} s"
            why = f"said more than {MOST_WRITTEN >> 20} MiB" if _has_said_too_much((out, err)) else took
            return Ran(f"{name} {why} and was ended", _said(out), _said(err), was_cut_off=True)
        said = Ran("", _said(out), _said(err))
    return said if code == 0 else replace(said, problem=f"{name} ended with {code}: {_last_line(said.err)}")


def _waited_for(process: subprocess.Popen[bytes], deadline: timedelta, said: Iterable[IO[bytes]]) -> int | None:
    """How it ended; None if it has not by its deadline, or does not stop to say something."""
    end = time.monotonic() + deadline.total_seconds()
    while (left := end - time.monotonic()) > 0 and not _has_said_too_much(said):
        with suppress(subprocess.TimeoutExpired):
            return process.wait(min(left, _SEEN_TO))
    return process.poll()


def _has_said_too_much(files: Iterable[IO[bytes]]) -> bool:
    return any(os.fstat(file.fileno()).st_size > MOST_WRITTEN for file in files)


def _said(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _MOST_SAID))
    return file.read().decode("utf-8", "replace")


def _last_line(said: str) -> str:
    lines = said.strip().splitlines()
    return lines[-1] if lines else "no reason given"
