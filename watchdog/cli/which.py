"""Which watchdog is meant, and what its configuration says.

Nothing here reads the command line, as click does: the service begins with this, and would hold that too.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.cli.endings import CannotGoOn

if TYPE_CHECKING:
    from watchdog.config.file import Config


def configured(config: Path | None, database: Path | None, *, apart: bool = False) -> Config:
    """What is to be watched; `apart`: checked by a process of its own, for one that is to stay small."""
    if apart:
        from watchdog.service.configuration import for_database, load
    else:
        from watchdog.config.file import for_database
        from watchdog.config.reading import load
    config = usual(config, database)
    must_be_one(config, database, instead="--database PATH")
    with _told(config):
        return load(config) if config else for_database(database or Path())


def must_be_one(*ways: Path | None, instead: str) -> None:
    """Raises CannotGoOn where nothing says which watchdog is meant, and where two do."""
    given = sum(way is not None for way in ways)
    if not given:
        raise unnamed(instead)
    if given > 1:
        raise CannotGoOn(f"-c FILE and {instead} each say which watchdog is meant: give only one of them")


HERE = Path("watchdog.yaml")
"""What `init` writes where nothing else is said."""


def unnamed(instead: str = "") -> CannotGoOn:
    """That nothing says which configuration is meant: where that was looked for, and what to do. `instead`: what else
    could say it."""
    file = f"{HERE}, which lies here" if HERE.is_file() else "FILE"
    other = f" (or {instead})" if instead else ""
    begin = "" if HERE.is_file() else "; `scheduler-watchdog init` writes one"
    return CannotGoOn(
        f"no configuration is named: there is no -c, and WATCHDOG_CONFIG is not set. Give -c {file}{other}, or "
        f"export WATCHDOG_CONFIG={HERE.absolute() if HERE.is_file() else 'FILE'}{begin}"
    )


def usual(config: Path | None, *others: Path | None) -> Path | None:
    """The configuration that is meant where nothing is said."""
    given = os.environ.get("WATCHDOG_CONFIG")
    return Path(given) if given and config is None and not any(others) else config


@contextmanager
def _told(path: Path | None) -> Iterator[None]:
    from watchdog.config.file import ConfigError

    try:
        yield
    except ConfigError as error:
        raise CannotGoOn("\n".join(error.problems) + _who_named(path)) from error


def _who_named(path: Path | None) -> str:
    """Of a file that is not there, that it was not named on the command line."""
    is_usual = path is not None and os.environ.get("WATCHDOG_CONFIG") == str(path)
    return "; WATCHDOG_CONFIG names it" if is_usual and path and not path.exists() else ""


def loaded(path: Path) -> Config:
    from watchdog.config.reading import load

    with _told(path):
        return load(path)


def the_file(config: Path | None) -> Path:
    """The configuration file, where there has to be one."""
    found = usual(config)
    if found is None:
        raise unnamed()
    return found
