"""What is so now: `run`, `check`, `jobs` and `fires`."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from watchdog.cli import choosing, completing, serving
from watchdog.cli.asked import as_format, at_now, instant_of, what_to_watch
from watchdog.cli.endings import CannotGoOn
from watchdog.cli.which import configured
from watchdog.core.command_line import PROGRAM, as_asked

if TYPE_CHECKING:
    from watchdog.config.file import Config
    from watchdog.detectors.published import Published

LOOK_FOR = 1.0
"""Seconds that a single look goes on for, where not all that is kept of the past can be read at once."""


@click.command()
@what_to_watch
@click.option("--listen", metavar="HOST:PORT", help="Where to answer, whatever the file says; port 0 takes a free one.")
@click.option("--debug-log", is_flag=True, help="Log more.")
def run(config: Path | None, database: Path | None, listen: str | None, debug_log: bool) -> None:
    """Watch, and serve metrics, health and the API, until it is told to stop.

    SIGHUP reads the configuration file again. Without a file it serves on http://127.0.0.1:9846.
    """
    serving.serve(serving.Asked(config, database, listen, debug_log))


@click.command()
@what_to_watch
@at_now
@as_format
def check(config: Path | None, database: Path | None, now: str | None, form: str) -> int:
    """Look once and say what is wrong. Changes nothing.

    Exits as monitoring plugins do: 0 ok, 1 warning, 2 critical, 3 unknown. What was critical stays so until the next
    run of its job, which was brought back, has ended well.
    """
    from watchdog.incidents import report, wire

    instant = instant_of(now)
    published = told_once(config, database, instant)
    if form == "json":
        click.echo(json.dumps(wire.findings_document(published, instant), indent=2))
    elif sys.stdout.isatty():
        from watchdog.cli import tables

        tables.show(tables.findings_view(published, instant))
    else:
        click.echo("\n".join(as_asked(line, sys.argv) for line in report.lines(published, instant)))
    return report.EXIT_CODES[report.overall(published)]


@click.command()
@what_to_watch
@at_now
@click.option(
    "--state",
    "states",
    multiple=True,
    metavar="WORD",
    shell_complete=choosing.completed,
    help="Only such as failed or wrong; repeatable.",
)
@click.option(
    "--match",
    metavar="PATTERN",
    shell_complete=completing.job_names,
    help="Only jobs of such a name, like 'report-*'.",
)
@click.option("--sort", type=click.Choice(sorted(choosing.ORDERS)), help="By what; else as their scheduler has them.")
@as_format
def jobs(
    config: Path | None,
    database: Path | None,
    now: str | None,
    states: tuple[str, ...],
    match: str | None,
    sort: str | None,
    form: str,
) -> None:
    """List every job: its schedule in words, last and next run, state, tokens."""
    from watchdog.cli import tables
    from watchdog.incidents import wire

    instant = instant_of(now)
    wanted = choosing.known_states(states)
    look = told_once(config, database, instant)
    published = choosing.chosen(look, wanted, match, sort)
    if form == "json":
        click.echo(json.dumps(wire.jobs_document(published, instant), indent=2))
    else:
        without = "None of its jobs is such." if wanted or match else "There are no jobs."
        tables.show(tables.jobs_view(published, instant, tables.screen().width, without))
        is_empty = not any(source.snapshot.jobs for source in published.sources)
        if match and is_empty and (hint := choosing.instead(look, wanted, match)):
            click.echo(f"No name is {match!r}{hint}")


@click.command()
@click.argument("words", metavar="EXPRESSION", nargs=-1, required=True)
@click.option("--timezone", "zone", default="UTC", show_default=True, help="An IANA name such as Europe/Berlin.")
@click.option("--from", "start", metavar="ISO", help="Fires after this instant instead of the present one.")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many.")
@as_format
def fires(words: tuple[str, ...], zone: str, start: str | None, count: int, form: str) -> None:
    """Show when the watched scheduler would fire a cron EXPRESSION, which stands in quotes.

    With - it reads JSON lines {"expr", "tz", "after_ms", "n"} and answers each with {"fires_ms": [...]} or {"error"}.
    """
    from watchdog.cadence import fires as answers

    expression = _quoted(words)
    if expression == "-":
        for line in sys.stdin:
            if line.strip():
                click.echo(answers.answer(line))
        return
    instant = instant_of(start)
    try:
        found = answers.next_fires(expression, zone, instant, count)
    except ValueError as error:
        raise CannotGoOn(str(error)) from error
    if form == "json":
        click.echo(json.dumps(answers.document(expression, zone, found)))
    elif not found:
        click.echo("never")
    else:
        from watchdog.cli import tables

        tables.show(tables.fires_view(found, instant, ZoneInfo(zone)))


def _quoted(words: tuple[str, ...]) -> str:
    """The expression. Without quotes the shell may have put the names of files in the place of its stars."""
    if len(words) == 1:
        return words[0]
    meant = " ".join(words) if len(words) == FIELDS else "0 9 * * MON"
    raise CannotGoOn(f"the expression has to stand in quotes, like: {PROGRAM} fires '{meant}'")


FIELDS = 5
"""Of a cron expression."""


def look_once(config: Path | None, database: Path | None, now: datetime) -> Published:
    return looked(configured(config, database), now)


def told_once(config: Path | None, database: Path | None, now: datetime) -> Published:
    """The same with what the watchdog's own state file tells of jobs that were brought back."""
    from watchdog.recovery import brought_back

    settings = configured(config, database)
    acted, unproved = brought_back.kept_in(settings.state)
    return brought_back.told(looked(settings, now), now, acted, unproved)


def looked(settings: Config, now: datetime) -> Published:
    from watchdog.engine import Engine, open_sources
    from watchdog.systems.shared.crew import Crew
    from watchdog.systems.shared.host import Host
    from watchdog.systems.shared.looking import WaitedFor
    from watchdog.systems.shared.writer import LiveWriters

    sources = open_sources(settings, lambda name: Host(LiveWriters()))
    engine = Engine(settings, sources, partial(WaitedFor, crew=Crew()))
    patience = time.monotonic() + LOOK_FOR
    published = engine.tick(now).published
    while any(state.snapshot.reads_on for state in published.sources) and time.monotonic() < patience:
        published = engine.tick(now).published
    return engine.conclude(now)
