"""Before it runs, and beside it: `init`, `validate`, `notify-test`, `mcp` and `demo`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchdog.cli.endings import EXIT_ERROR, CannotGoOn
from watchdog.cli.which import loaded, the_file, usual

if TYPE_CHECKING:
    from watchdog.config.file import Config
    from watchdog.config.yaml_file import Problem


@click.command()
@click.option(
    "--path", "paths", type=click.Path(path_type=Path), multiple=True, help="Look here too: a folder or file."
)
@click.option("--notify", metavar="URL", help="Whom to tell: an address that apprise knows, like ntfys://topic.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("watchdog.yaml"),
    show_default=True,
    help="What to write.",
)
@click.option("--state-dir", type=click.Path(path_type=Path), help="Where the watchdog keeps its own state.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@click.option("--systemd", "unit", is_flag=True, help="Write a unit for systemd beside it.")
@click.option("--launchd", "agent", is_flag=True, help="Write an agent for launchd, macOS' own, beside it.")
@click.option("--compose", is_flag=True, help="Write a file for Docker Compose beside it.")
def init(
    paths: tuple[Path, ...],
    notify: str | None,
    output: Path,
    state_dir: Path | None,
    force: bool,
    unit: bool,
    agent: bool,
    compose: bool,
) -> int:
    """Look for agents on this machine, write a commented configuration that watches them, and try it.

    It looks where each agent usually lies, in homes and data folders, beside running processes and in files of Docker
    Compose. Nothing is done to any of them. Without a terminal nothing is asked.
    """
    from watchdog.cli import init as beginning

    try:
        is_done = beginning.init(paths, notify, output, state_dir, force=force, unit=unit, agent=agent, compose=compose)
    except beginning.CannotInitError as error:
        raise CannotGoOn(str(error)) from error
    return 0 if is_done else EXIT_ERROR


@click.command()
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="The configuration file (YAML); else $WATCHDOG_CONFIG."
)
@click.option("--schema", "is_schema", is_flag=True, help="Print the JSON schema for editors instead.")
def validate(config: Path | None, is_schema: bool) -> None:
    """Check a configuration file; all its errors are told in one go, and what is allowed but will not work."""
    if is_schema:
        from watchdog.cli import described

        click.echo(described.schema_text(), nl=False)
        return
    config = the_file(config)
    settings, hints = _tried(config)
    for hint in hints:
        click.echo(f"{config}: {hint}", err=True)
    named = ", ".join(source.name for source in settings.sources)
    warnings = f"can be used, with {len(hints)} warning{'s' if len(hints) > 1 else ''}" if hints else "is good"
    click.echo(f"{config} {warnings}: watches {named}")


@click.command("notify-test")
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="The configuration file (YAML); else $WATCHDOG_CONFIG."
)
def notify_test(config: Path | None) -> int:
    """Send a test message to each channel, and to owners' own addresses, and tell what became of it."""
    from watchdog.notify import trial

    config = the_file(config)
    settings = loaded(config)
    if not settings.channels and not settings.owners:
        raise CannotGoOn(f"{config}: there are no channels to try")
    failed = 0
    for name, outcome in trial.try_channels(settings, datetime.now(UTC)):
        failed += not outcome.ok
        click.echo(f"{name}: {'sent' if outcome.ok else f'not sent: {outcome.error}'}")
    for place in trial.untried(settings):
        click.echo(f"{place}: not tried: each job fills something of its own in there")
    return EXIT_ERROR if failed else 0


@click.command()
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="The configuration of a watchdog on this machine."
)
@click.option("--url", metavar="URL", help="Where it is to be reached, if not where its configuration says.")
@click.option(
    "--token-file",
    type=click.Path(path_type=Path),
    envvar="WATCHDOG_TOKEN_FILE",
    help="With its token the assistant may also acknowledge, silence and revive; else $WATCHDOG_TOKEN_FILE.",
)
def mcp(config: Path | None, url: str | None, token_file: Path | None) -> None:
    """Let an AI assistant ask what is wrong and why: the running watchdog as MCP tools, over stdio.

    Its host begins it, by a line such as: scheduler-watchdog mcp -c /etc/scheduler-watchdog/watchdog.yaml
    """
    from watchdog.cli import assistant

    assistant.serve(usual(config), url, token_file)


def _tried(path: Path) -> tuple[Config, list[str]]:
    """The configuration, and what of it is allowed but will not work. Raises CannotGoOn with all that is wrong."""
    from watchdog.config import reading
    from watchdog.config.file import ConfigError
    from watchdog.config.problems import in_order
    from watchdog.notify import trial
    from watchdog.recovery.advice import advice, unmet
    from watchdog.systems.opening import try_out

    try:
        found = reading.read(path)
    except ConfigError as error:
        raise CannotGoOn("\n".join(error.problems)) from error
    settings, wrong = reading.judged(found)
    unasked: list[Problem] = []
    if settings is not None and not wrong:
        wrong, unasked = try_out(settings, datetime.now(UTC))
    known = settings or reading.addresses(found)
    unset = {place for place, _ in found.unset}  # an address with a hole in it is a bad one for that alone
    wrong += (one for one in (trial.bad_addresses(known) if known else ()) if one[0] not in unset)
    if settings is None or wrong:
        raise CannotGoOn("\n".join(reading.error_of(wrong, found, str(path)).problems))
    hints = [*unasked, *advice(settings), *unmet(settings, _jobs_of(settings))]
    return settings.meant_by("-c", path), in_order(hints, found.lines)


def _jobs_of(settings: Config) -> dict[str, list[str]]:
    """What the jobs of each source that can be read are called, if that is asked for by any pattern."""
    from watchdog.cli.watching import looked
    from watchdog.recovery.advice import patterns

    if not any(patterns(settings)):
        return {}
    snapshots = [state.snapshot for state in looked(settings, datetime.now(UTC)).sources]
    return {one.source: [job.name for job in one.jobs] for one in snapshots if one.problem is None}


@click.command()
@click.option("--seconds", type=click.IntRange(5, 3600), help="Stop after so long; else at the end of the story.")
@click.option("--port", type=click.IntRange(0, 65535), help="Where its page is; else 9846, or a free one.")
@click.option("--stay", is_flag=True, help="Go on serving after the story has ended, until Ctrl-C.")
@click.option("--live", is_flag=True, help="To practise: in real time, in a folder that stays, until Ctrl-C.")
def demo(seconds: int | None, port: int | None, stay: bool, live: bool) -> None:
    """Watch a simulated agent through an outage, as it unfolds; a second stands for an hour.

    With --live a second is a second: a job fails and a run hangs within minutes, and every command can be tried on it.
    """
    from watchdog.cli.ports import usual_or_free_port
    from watchdog.demo import live as practice
    from watchdog.demo import story
    from watchdog.web.server import CannotListenError

    def tell(port: int) -> None:
        if live:
            practice.tell(port, seconds)
        else:
            story.tell(port, seconds, stay=stay)

    try:
        # where no port was asked for it need not be the usual one: a watchdog may be at work there
        tell(usual_or_free_port() if port is None else port)
    except CannotListenError as error:
        raise CannotGoOn(f"{error}; choose another with --port") from error
