"""Hermes' own command line: how it is asked. What it answers means nothing: each refusal ends well, too.

It changes the files of the home itself, with the gateway up or down (docs/hermes.md, acting). A run goes on in its own
process, which is left to itself once the ledger shows the run. `gateway restart` and `stop` are never asked for: they
end the gateways of other homes on the same host.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO

from watchdog.core.redaction import fit_to_leave
from watchdog.core.scratch import scratch_file
from watchdog.systems.hermes.section import Hermes
from watchdog.systems.hermes.source import path_of
from watchdog.systems.shared.command import Ran, run

_ORDERS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "run_due": (("run",), ()),
    "repeat": (("edit",), ("--repeat", "2")),
    "pause": (("pause",), ()),
    "resume": (("resume",), ()),
}
"""What stands before and after the job's id."""

_LONGEST = 200


def arguments_of(section: Hermes, order: str, profile: str, record_id: str) -> list[str]:
    """The whole command. One that runs elsewhere does not get the environment: there its option names the profile."""
    before, after = _ORDERS[order]
    is_here = len(section.cli) == 1
    named = ["-p", profile] if profile and not is_here else []
    return [*section.cli, *named, "cron", *before, record_id, *after]


def environment_of(section: Hermes, profile: str) -> Mapping[str, str]:
    """Which home is meant, for a command that runs here; no colours in what it says."""
    return {"HERMES_HOME": str(path_of(section, profile)), "NO_COLOR": "1"}


def ask(
    section: Hermes, order: str, profile: str, record_id: str, facts: Mapping[str, str], deadline: timedelta
) -> Ran:
    """Have it change something, and wait for its end."""
    arguments = arguments_of(section, order, profile, record_id)
    return run(arguments, {**facts, **environment_of(section, profile)}, deadline)


@dataclass
class Started:
    """A command that goes on by itself."""

    process: subprocess.Popen[bytes]
    said_to: IO[bytes]

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self.process.poll() is not None

    @property
    def said(self) -> str:
        """The last line of what it has said."""
        self.said_to.seek(0)
        lines = self.said_to.read(65_536).decode("utf-8", "replace").strip().splitlines()
        return fit_to_leave(lines[-1], _LONGEST) if lines else "nothing"

    def leave(self) -> None:
        """It goes on, and nobody listens to it any more."""
        self.said_to.close()
        _LEFT_ALONE[:] = [one for one in (*_LEFT_ALONE, self.process) if one.poll() is None]


_LEFT_ALONE: list[subprocess.Popen[bytes]] = []
"""Commands that go on; those that have ended are buried with the next."""


def start(section: Hermes, order: str, profile: str, record_id: str, facts: Mapping[str, str]) -> Started:
    """Begin a command that may take as long as a run does. Raises OSError."""
    said_to = scratch_file()
    try:
        process = subprocess.Popen(  # noqa: S603 - an argument list; a job's id stands in it as an argument of its own
            arguments_of(section, order, profile, record_id),
            stdin=subprocess.DEVNULL,
            stdout=said_to,
            stderr=subprocess.STDOUT,
            env={**os.environ, **facts, **environment_of(section, profile)},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        said_to.close()
        raise OSError(f"{Path(section.cli[0]).name}: {error}") from None
    return Started(process, said_to)
