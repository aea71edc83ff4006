"""The configuration, read and checked by a short-lived process: what that takes (pydantic, YAML) goes with it.

A service holds for months what it has imported; of all that a check needs it wants the outcome.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from watchdog.config.file import Config, ConfigError
from watchdog.core import children
from watchdog.core.redaction import one_line

LONGEST = 20.0
"""Seconds; half of one is usual. A file on a share that is gone would otherwise keep the service waiting for ever."""


def load(path: Path) -> Config:
    """The configuration in a file. Raises ConfigError with every problem in it."""
    return _checked("load", path)


def for_database(path: Path) -> Config:
    """What holds when there is no file: this database, with all defaults. Raises ConfigError."""
    return _checked("for_database", path)


def _checked(way: str, path: Path) -> Config:
    try:
        done = subprocess.run(  # noqa: S603 - ourselves
            [*children.python("watchdog.service.configuration"), way, os.fspath(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ConfigError([f"{path}: reading it took longer than {LONGEST:.0f} s"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: the process that is to check it cannot be started: {error}"]) from None
    if not done.stdout or done.returncode:
        said = one_line(done.stderr.decode(errors="replace").strip().rpartition("\n")[2], 200) or "nothing"
        raise ConfigError([f"{path}: the process that checks it ended with {done.returncode} and said {said}"])
    found = pickle.loads(done.stdout)  # noqa: S301 - from ourselves
    if isinstance(found, ConfigError):
        raise found
    config: Config = found
    return config


def _answer(way: str, path: Path) -> Config | ConfigError:
    from watchdog.config import file, reading

    ways: Mapping[str, Callable[[Path], Config]] = {"load": reading.load, "for_database": file.for_database}
    try:
        return ways[way](path)
    except ConfigError as error:
        return error


if __name__ == "__main__":
    sys.stdout.buffer.write(pickle.dumps(_answer(sys.argv[1], Path(sys.argv[2]))))
