"""What several verbs are asked for in the same way: which watchdog, in which form, at which instant."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from watchdog.cli.endings import CannotGoOn

if TYPE_CHECKING:
    from watchdog.config.file import Config
    from watchdog.state.store import Store

F = TypeVar("F", bound=Callable[..., object])


def what_to_watch(function: F) -> F:
    """The two ways to say what is watched."""
    config = click.option(
        "-c", "--config", type=click.Path(path_type=Path), help="The configuration file (YAML); else $WATCHDOG_CONFIG."
    )
    database = click.option(
        "--database",
        type=click.Path(path_type=Path),
        help="Watch this one database, with the defaults; no file needed.",
    )
    return config(database(function))


def whose_state(function: F) -> F:
    """The ways to say which watchdog is meant."""
    state = click.option("--state", type=click.Path(path_type=Path), help="The watchdog's own state file.")
    return what_to_watch(state(function))


as_format = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", help="For people, or for programs."
)
at_now = click.option("--now", metavar="ISO", help="Judge from this instant instead of the present one.")


class Number(click.IntRange):
    """The number of one of those that the verb `listed_by` lists."""

    def __init__(self, listed_by: str) -> None:
        super().__init__(1, 10**15)
        self._listed_by = listed_by

    def _describe_range(self) -> str:
        return ""  # where numbers end says nothing to anybody

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """As click has it; what is none is told where it stands."""
        try:
            return int(super().convert(value, param, ctx))
        except click.BadParameter:
            self.fail(f"{value!r} is not a number; `scheduler-watchdog {self._listed_by}` lists them", param, ctx)


@contextmanager
def state_of(config: Path | None, database: Path | None, state: Path | None) -> Iterator[Store]:
    """The state file of the watchdog that is meant."""
    from watchdog.incidents import verbs as incident_verbs
    from watchdog.state.opening import StoreError

    config = usual(config, database, state)
    if sum(way is not None for way in (config, database, state)) != 1:
        several = ", and only one of them" if config or database or state else ""
        raise CannotGoOn(f"say which watchdog is meant: -c FILE, --database PATH or --state PATH{several}")
    try:
        store = incident_verbs.open_state(state or configured(config, database).state)
    except StoreError as error:
        raise CannotGoOn(str(error)) from error
    try:
        yield store
    finally:
        store.close()


def configured(config: Path | None, database: Path | None) -> Config:
    from watchdog.config.file import for_database

    config = usual(config, database)
    if (config is None) == (database is None):
        raise CannotGoOn(f"say what to watch: either --database PATH or -c FILE{', not both' if config else ''}")
    return loaded(config) if config else for_database(database or Path())


def usual(config: Path | None, *others: Path | None) -> Path | None:
    """The configuration that is meant where nothing is said."""
    given = os.environ.get("WATCHDOG_CONFIG")
    return Path(given) if given and config is None and not any(others) else config


def loaded(path: Path) -> Config:
    from watchdog.config.file import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        raise CannotGoOn("\n".join(error.problems)) from error


def instant_of(text: str | None) -> datetime:
    from watchdog.core.instants import parse_instant

    if text is None:
        return datetime.now(UTC)
    try:
        return parse_instant(text)
    except ValueError:
        raise CannotGoOn(f"{text!r} is not an instant; write it like 2026-04-29T05:03:30Z") from None


def the_file(config: Path | None) -> Path:
    """The configuration file, where there has to be one."""
    found = usual(config)
    if found is None:
        raise CannotGoOn("say which configuration is meant: -c FILE (--config)")
    return found
