"""The command: its verbs by theme, and how it ends. Errors are one line on standard error, with exit code 3."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from watchdog.cli import past, people, recovering, screen_text, setting_up, streams, watching
from watchdog.cli.endings import EXIT_ERROR, CannotGoOn
from watchdog.core.command_line import PROGRAM, as_asked


class _Verbs(click.Group):
    """The verbs in the order in which they were added, each with its whole sentence: click sorts them, and cuts it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """By theme."""
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """What each does, over as many lines as it takes."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.get_short_help_str(WHOLE)) for name, verb in self.commands.items()])


WHOLE = 200
"""Characters of a verb's sentence; none is as long."""


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="--debug, anywhere, shows a traceback with an error.",
)
@click.version_option(package_name="scheduler-watchdog", prog_name="scheduler-watchdog")
def cli() -> None:
    """Tells you when your AI agent's scheduled jobs have silently stopped, and why.

    Begin with: scheduler-watchdog init
    """


for verb in (
    *(setting_up.init, setting_up.validate, setting_up.notify_test),
    *(watching.run, watching.check, watching.jobs, watching.fires),
    *(people.incidents, people.ack, people.unack, people.silence, people.silences, people.unsilence),
    *(recovering.revive, recovering.restore, recovering.approve, recovering.recoveries),
    *(past.backtest, past.replay, past.record),
    *(setting_up.mcp, setting_up.demo),
):
    cli.add_command(verb)


def _namesake() -> str | None:
    """What to say if the other package that is imported as `watchdog` is in this environment."""
    # by name alone: what reads the metadata of packages would stay in the service
    there = (found for folder in sys.path for found in Path(folder).glob("watchdog-*.dist-info"))
    other = next(there, None)
    if other is None:
        return None
    version = other.stem.removeprefix("watchdog-")
    return (
        f"another package that is imported as `watchdog` (watchdog {version}, file system events) is installed "
        f"in {sys.prefix}; the two overwrite each other. Install scheduler-watchdog into an environment of its own "
        "(pipx install scheduler-watchdog)"
    )


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    given = sys.argv[1:] if arguments is None else arguments
    is_debug = "--debug" in given
    sys.exit(_run([argument for argument in given if argument != "--debug"], is_debug=is_debug))


def _run(arguments: list[str], *, is_debug: bool) -> int:
    streams.fill()
    screen_text.degrade()
    problem = _namesake()
    try:
        if problem:
            raise CannotGoOn(problem)
        return cli.main(_meant(arguments), prog_name="scheduler-watchdog", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as help_:
        click.echo(help_.format_message())
        return EXIT_ERROR
    except click.ClickException as error:
        return _fail(f"{error.format_message()}{_help(error)}", error, is_debug=is_debug)
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_ERROR
    except Exception as error:
        return _fail(f"{type(error).__name__}: {error} (this is a fault of ours)", error, is_debug=is_debug)


def _help(error: click.ClickException) -> str:
    """Where it stands what can be said, where something was said that nobody knows what to do with."""
    is_unknown = error.format_message().startswith(("Got unexpected", "No such command", "Missing argument"))
    if not is_unknown or not isinstance(error, click.UsageError) or error.ctx is None:
        return ""
    verb = f" {error.ctx.info_name}" if error.ctx.parent else ""
    return f" (`{PROGRAM}{verb} --help` says what it takes)"


def _meant(arguments: list[str]) -> list[str]:
    """What is usual elsewhere: `help VERB`, and `-V`."""
    match arguments:
        case ["help", *verb]:
            return [*verb[:1], "--help"]
        case ["-V"]:
            return ["--version"]
        case ["-v", *_]:
            raise CannotGoOn("there is no -v: --version says which version this is, --debug more of an error")
    return arguments


def _fail(message: str, error: Exception, *, is_debug: bool) -> int:
    if is_debug:
        import traceback

        traceback.print_exception(error)
    for line in message.splitlines() or [""]:
        click.echo(f"scheduler-watchdog: {as_asked(line, sys.argv)}", err=True)
    return EXIT_ERROR
