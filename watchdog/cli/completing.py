"""What a shell completes beside verbs and options: numbers and names, as the watchdog that is meant knows them.

Only on this machine, and without a word where there is nothing: whoever presses a key has asked for no message.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem

    from watchdog.state.store import Store

Known = Iterable[tuple[str, str]]
"""What can stand there, each with what it is."""


def numbers(ctx: click.Context, listed_by: str, begun: str) -> list[CompletionItem]:
    """The numbers that `listed_by` lists."""
    return _fitting(begun, lambda: _in_state(ctx, _NUMBERED[listed_by]))


def job_names(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    """The names of the jobs there are."""
    return _fitting(begun, lambda: _jobs(ctx))


def _fitting(begun: str, known: Callable[[], Known]) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    with suppress(Exception):
        return [CompletionItem(value, help=what[:60]) for value, what in known() if value.startswith(begun)]
    return []


def _in_state(ctx: click.Context, known: Callable[[Store, str], Known]) -> Known:
    from watchdog.cli.asked import state_of

    if ctx.params.get("urls"):
        return []
    with state_of(*(ctx.params.get(way) for way in ("config", "database", "state"))) as store:
        return list(known(store, str(ctx.info_name)))


def _incidents(store: Store, verb: str) -> Known:
    from watchdog.incidents import verbs

    found = verbs.listed(store, with_resolved=verb == "incidents")
    return [(str(one.id), one.headline.summary) for one in found]


def _recoveries(store: Store, verb: str) -> Known:
    from watchdog.state.records import Records

    return [(str(one.id), f"{one.kind} {one.subject}") for one in Records(store).proposed()]


def _silences(store: Store, verb: str) -> Known:
    return [(str(one.id), one.match) for one in store.silences(datetime.now(UTC))]


_NUMBERED: dict[str, Callable[[Any, str], Known]] = {
    "incidents": _incidents,
    "recoveries": _recoveries,
    "silences": _silences,
}


def _jobs(ctx: click.Context) -> Known:
    from watchdog.cli.watching import look_once

    if ctx.params.get("urls"):
        return []
    sources = look_once(ctx.params.get("config"), ctx.params.get("database"), datetime.now(UTC)).sources
    return [(job.name, job.state) for source in sources for job in source.snapshot.jobs]
