"""What several verbs are asked for in the same way: which watchdog, in which form, at which instant."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from watchdog.cli import completing
from watchdog.cli.endings import CannotGoOn
from watchdog.cli.which import configured, must_be_one, usual

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

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
at_now = click.option("--now", metavar="ISO", help="Judge what the store holds now as at this instant.")


class Number(click.IntRange):
    """The number of one of those that the verb `listed_by` lists."""

    def __init__(self, listed_by: str) -> None:
        super().__init__(1, 10**15)
        self._listed_by = listed_by

    def _describe_range(self) -> str:
        return ""  # where numbers end says nothing to anybody

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Those that there are."""
        return completing.numbers(ctx, self._listed_by, incomplete)

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
    must_be_one(config, database, state, instead="--database PATH or --state PATH")
    try:
        store = incident_verbs.open_state(state or configured(config, database).state)
    except StoreError as error:
        raise CannotGoOn(str(error)) from error
    try:
        yield store
    finally:
        store.close()


def are_several(config: Config | None, told_of: Iterable[str]) -> bool:
    """Whether it has to be said which source is meant: several are watched, or told of."""
    return len({*(source.name for source in (config.sources if config else ())), *told_of}) > 1


def instant_of(text: str | None) -> datetime:
    from watchdog.core.instants import parse_instant

    if text is None:
        return datetime.now(UTC)
    try:
        return parse_instant(text)
    except ValueError:
        raise CannotGoOn(f"{text!r} is not an instant; write it like 2026-04-29T05:03:30Z") from None
