"""The verbs by theme, and what is usual elsewhere; as click reads them from a command line."""

from __future__ import annotations

import click

from watchdog.cli import past, people, recovering, setting_up, watching
from watchdog.cli.endings import EXIT_ERROR, CannotGoOn
from watchdog.core.command_line import PROGRAM


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


def do(arguments: list[str]) -> int:
    """What the arguments ask for; the exit code. Raises CannotGoOn, also for what cannot be understood."""
    try:
        return cli.main(_meant(arguments), prog_name=PROGRAM, standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as help_:
        click.echo(help_.format_message())
        return EXIT_ERROR
    except click.ClickException as error:
        raise CannotGoOn(f"{error.format_message()}{_help(error)}") from error
    except click.Abort:
        raise KeyboardInterrupt from None


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
