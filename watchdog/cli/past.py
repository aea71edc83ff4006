"""What was: `backtest`, `replay` and `record`."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchdog.cli.asked import as_format, what_to_watch, whose_state
from watchdog.cli.endings import CannotGoOn
from watchdog.cli.which import configured, must_be_one, usual

if TYPE_CHECKING:
    pass


@click.command()
@whose_state
@click.option("--since", default="30d", show_default=True, metavar="30d|ISO", help="From when on.")
@click.option("--until", metavar="ISO", help="Up to this instant instead of the present one.")
@click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Try a change, like detect.failing.errors=3."
)
@as_format
def backtest(
    config: Path | None,
    database: Path | None,
    state: Path | None,
    since: str,
    until: str | None,
    settings: tuple[str, ...],
    form: str,
) -> None:
    """Replay the history that is there: say what would have been told, when, and to whom. Changes nothing.

    With --set it is replayed twice, as configured and with the change, to see what that would change.
    """
    from watchdog.backtest import command
    from watchdog.backtest.settings_change import SettingError
    from watchdog.config.file import ConfigError

    config = usual(config, database)
    must_be_one(config, database, instead="--database PATH")
    try:
        begin, end = command.span(since, until, datetime.now(UTC))
        done = command.backtest(command.scenarios(config, database, state, settings), begin, end)
    except ConfigError as error:
        raise CannotGoOn("\n".join(error.problems)) from error
    except (command.PastError, SettingError, ValueError) as error:
        raise CannotGoOn(str(error)) from error
    if form == "json":
        click.echo(done.as_json())
    elif sys.stdout.isatty():
        from watchdog.backtest.view import view
        from watchdog.cli import tables

        tables.show(view(done.lines()))
    else:
        for line in done.lines():
            click.echo(str(line))


@click.command()
@click.argument("case", type=click.Path(path_type=Path))
@click.option("-c", "--config", type=click.Path(path_type=Path), help="Play it with this configuration file (YAML).")
@click.option(
    "--operator", type=click.Path(path_type=Path), help='What a person does meanwhile: JSON, [{"at", "do", "args"}].'
)
@as_format
def replay(case: Path, config: Path | None, operator: Path | None, form: str) -> None:
    """Play a recorded CASE as the running service would have seen it: what is found, told and over, and when.

    Nothing is sent, and nothing is done to any scheduler.
    """
    from watchdog.config.file import ConfigError
    from watchdog.core import logs
    from watchdog.replay import command
    from watchdog.replay.case import CaseError

    logs.set_up()
    logs.log.setLevel("ERROR")
    line = command.as_json if form == "json" else command.as_text
    is_quiet = True
    try:
        for change in command.replay(case, usual(config), operator):
            is_quiet = False
            click.echo(line(change))
    except ConfigError as error:
        raise CannotGoOn("\n".join(error.problems)) from error
    except CaseError as error:
        raise CannotGoOn(str(error)) from error
    if is_quiet:
        click.echo(f"{case}: nothing is found in it, and nobody would be told", err=True)


@click.command()
@what_to_watch
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, metavar="CASE", help="The file to write."
)
@click.option("--for", "length", default="1h", show_default=True, metavar="DURATION", help="For how long.")
@click.option("--source", help="Which source, where the configuration has several.")
def record(config: Path | None, database: Path | None, output: Path, length: str, source: str | None) -> None:
    """Record what is seen of a scheduler, step by step, into a CASE that `replay` plays: for a bug report.

    Names, ids, people, channels and error texts are replaced, prompts and everything unknown left out. The store is
    only read. Ctrl-C ends it sooner, with what has been seen until then.
    """
    from datetime import timedelta

    from watchdog.core.clock import WallClock
    from watchdog.core.durations import parse_duration, say_duration
    from watchdog.replay import record as recording
    from watchdog.service.loop import Wake, signals
    from watchdog.systems.shared.writer import LiveWriters

    settings = configured(config, database)
    wake = Wake()

    def wait(pause: timedelta) -> bool:
        wake.wait(pause)
        return not wake.should_stop

    try:
        duration = parse_duration(length)
        store = recording.recordable_of(settings, source)
        click.echo(f"recording {store.database} for {say_duration(duration)}; Ctrl-C ends it sooner", err=True)
        with signals(wake):
            steps = recording.record(store, output, duration, settings.poll, WallClock(), wait, LiveWriters())
    except (recording.CannotRecordError, ValueError) as error:
        raise CannotGoOn(str(error)) from error
    finally:
        wake.close()
    click.echo(f"{output}: {steps} steps; play it with: scheduler-watchdog replay {shlex.quote(str(output))}")
