"""The verbs of the command line, one function each. Errors are one line on standard error, with exit code 3."""

from __future__ import annotations

import json
import os
import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from watchdog.cli import elsewhere
from watchdog.cli.elsewhere import or_elsewhere
from watchdog.cli.endings import EXIT_ERROR, CannotGoOn
from watchdog.core.command_line import as_asked

if TYPE_CHECKING:
    from watchdog.config.file import Config
    from watchdog.detectors.published import Published
    from watchdog.state.store import Store

LOOK_FOR = 1.0
"""Seconds that a single look goes on for, where not all that is kept of the past can be read at once."""

F = TypeVar("F", bound=Callable[..., object])


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="--debug, anywhere, shows a traceback with an error.",
)
@click.version_option(package_name="scheduler-watchdog", prog_name="scheduler-watchdog")
def cli() -> None:
    """Tells you when your AI agent's scheduled jobs have silently stopped, and why.

    Begin with: scheduler-watchdog init
    """


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


@cli.command()
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


@cli.command()
@what_to_watch
@click.option("--debug-log", is_flag=True, help="Log more.")
def run(config: Path | None, database: Path | None, debug_log: bool) -> None:
    """Watch, and serve metrics, health and the API, until it is told to stop.

    SIGHUP reads the configuration file again. Without a file it serves on http://127.0.0.1:9846.
    """
    from watchdog.config import file as configuration
    from watchdog.core import logs
    from watchdog.incidents import report
    from watchdog.service import memory
    from watchdog.service.last_resort import end_in_any_case
    from watchdog.service.loop import Service, Wake, signals
    from watchdog.state.opening import StoreError
    from watchdog.web.guard import raise_descriptors
    from watchdog.web.server import CannotListenError

    settings, file = _configured(config, database), _usual(config, database)
    logs.set_up(debug=debug_log)
    memory.settle_allocator()
    raise_descriptors()
    wake = Wake()
    try:
        service = Service(
            settings,
            reread=lambda: configuration.load(file) if file else settings,
            words=lambda posting: "\n".join(report.lines(posting.published, posting.at)),
            wake=wake,
        )
        with signals(wake), end_in_any_case():
            service.run()
    except CannotListenError as error:
        raise CannotGoOn(f"{error}; is another one running? (http.listen in the configuration)") from error
    except StoreError as error:
        raise CannotGoOn(str(error)) from error
    finally:
        wake.close()


@cli.command()
@what_to_watch
@at_now
@as_format
def check(config: Path | None, database: Path | None, now: str | None, form: str) -> int:
    """Look once and say what is wrong. Changes nothing.

    Exits as monitoring plugins do: 0 ok, 1 warning, 2 critical, 3 unknown.
    """
    from watchdog.incidents import report, wire

    instant = _instant(now)
    published = _look_once(config, database, instant)
    if form == "json":
        click.echo(json.dumps(wire.findings_document(published, instant), indent=2))
    elif sys.stdout.isatty():
        from watchdog.cli import tables

        tables.show(tables.findings_view(published, instant))
    else:
        click.echo("\n".join(report.lines(published, instant)))
    return report.EXIT_CODES[report.verdict(published.findings)]


@cli.command()
@what_to_watch
@at_now
@as_format
def jobs(config: Path | None, database: Path | None, now: str | None, form: str) -> None:
    """List every job: its schedule in words, last and next run, state, tokens."""
    from watchdog.cli import tables
    from watchdog.incidents import wire

    instant = _instant(now)
    published = _look_once(config, database, instant)
    if form == "json":
        click.echo(json.dumps(wire.jobs_document(published, instant), indent=2))
    else:
        tables.show(tables.jobs_view(published, instant))


@cli.command()
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

    config = _usual(config, database)
    if (config is None) == (database is None):
        raise CannotGoOn("say what to replay: either --database PATH or -c FILE")
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


@cli.command()
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
    try:
        for change in command.replay(case, _usual(config), operator):
            click.echo(line(change))
    except ConfigError as error:
        raise CannotGoOn("\n".join(error.problems)) from error
    except CaseError as error:
        raise CannotGoOn(str(error)) from error


@cli.command()
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

    settings = _configured(config, database)
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


@cli.command()
@click.argument("expression")
@click.option("--timezone", "zone", default="UTC", show_default=True, help="An IANA name such as Europe/Berlin.")
@click.option("--from", "start", metavar="ISO", help="Fires after this instant instead of the present one.")
@click.option("-n", "count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many.")
@as_format
def fires(expression: str, zone: str, start: str | None, count: int, form: str) -> None:
    """Show when the watched scheduler would fire a cron EXPRESSION.

    With - it reads JSON lines {"expr", "tz", "after_ms", "n"} and answers each with {"fires_ms": [...]} or {"error"}.
    """
    from watchdog.cadence import fires as answers

    if expression == "-":
        for line in sys.stdin:
            if line.strip():
                click.echo(answers.answer(line))
        return
    instant = _instant(start)
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

        tables.show(tables.fires_view(found, instant))


@cli.command()
@or_elsewhere(elsewhere.incidents)
@whose_state
@click.argument("number", type=click.IntRange(1, 10**15), metavar="[ID]", required=False)
@click.option("--all", "with_resolved", is_flag=True, help="Also those that are over.")
@as_format
def incidents(
    config: Path | None, database: Path | None, state: Path | None, number: int | None, with_resolved: bool, form: str
) -> None:
    """List what is wrong since when, and who is on it; or show one whole, with who was told and what was done."""
    from watchdog.cli import tables
    from watchdog.incidents import verbs as incident_verbs

    now = datetime.now(UTC)
    with _state(config, database, state) as store:
        if number is not None:
            _show_whole(store, number, now, form)
            return
        found = incident_verbs.listed(store, with_resolved=with_resolved)
        if form == "json":
            click.echo(json.dumps(incident_verbs.document(store, found, now), indent=2))
        else:
            tables.show(tables.incidents_view(found, store.acknowledgements(), store.silences(now), now))


def _show_whole(store: Store, number: int, now: datetime, form: str) -> None:
    from watchdog.cli import fleet_tables, tables
    from watchdog.web import whole

    try:
        found = whole.stored(store, number, now)
    except ValueError as error:
        raise CannotGoOn(str(error)) from error
    if form == "json":
        click.echo(json.dumps(found, indent=2))
    else:
        tables.show(fleet_tables.whole_view(found))


@cli.command()
@or_elsewhere(elsewhere.acknowledge)
@whose_state
@click.argument("number", type=click.IntRange(1, 10**15), metavar="ID")
def ack(config: Path | None, database: Path | None, state: Path | None, number: int) -> None:
    """Take an incident on: no more reminders of it, and nobody else is called."""
    from watchdog.incidents import verbs as incident_verbs

    with _state(config, database, state) as store:
        try:
            incident = incident_verbs.acknowledge(store, number, datetime.now(UTC))
        except ValueError as error:
            raise CannotGoOn(str(error)) from error
    click.echo(f"incident {number} is yours: {incident.headline.summary}")


@cli.command()
@or_elsewhere(elsewhere.unacknowledge)
@whose_state
@click.argument("number", type=click.IntRange(1, 10**15), metavar="ID")
def unack(config: Path | None, database: Path | None, state: Path | None, number: int) -> None:
    """Give an incident back that was taken on: people are reminded of it, and called, again."""
    from watchdog.incidents import verbs as incident_verbs

    with _state(config, database, state) as store:
        try:
            incident = incident_verbs.unacknowledge(store, number, datetime.now(UTC))
        except ValueError as error:
            raise CannotGoOn(str(error)) from error
    click.echo(f"incident {number} is nobody's: {incident.headline.summary}")


@cli.command()
@or_elsewhere(elsewhere.silences)
@whose_state
@as_format
def silences(config: Path | None, database: Path | None, state: Path | None, form: str) -> None:
    """List the silences that have not ended."""
    from watchdog.core.instants import say
    from watchdog.incidents import verbs as incident_verbs

    now = datetime.now(UTC)
    with _state(config, database, state) as store:
        found = store.silences(now)
    if form == "json":
        click.echo(json.dumps(incident_verbs.silences_document(found, now), indent=2))
        return
    for one in found:
        click.echo(f"silence {one.id}: {one.match}, until {say(one.ends_at)}{f', by {one.by}' if one.by else ''}")
    if not found:
        click.echo("nothing is silenced")


@cli.command()
@or_elsewhere(elsewhere.unsilence)
@whose_state
@click.argument("number", type=click.IntRange(1, 10**15), metavar="ID")
def unsilence(config: Path | None, database: Path | None, state: Path | None, number: int) -> None:
    """End a silence now: what is still so is told."""
    with _state(config, database, state) as store:
        if not store.end_silence(number, datetime.now(UTC)):
            raise CannotGoOn(
                f"there is no silence {number} that has not ended; `scheduler-watchdog silences` lists them"
            )
    click.echo(f"silence {number} has ended")


@cli.command()
@or_elsewhere(elsewhere.silence)
@whose_state
@click.argument("match")
@click.option("--for", "length", metavar="DURATION", help="How long, like 2h.")
@click.option("--end", is_flag=True, help="End the silence whose number MATCH is.")
def silence(
    config: Path | None, database: Path | None, state: Path | None, match: str, length: str | None, end: bool
) -> None:
    """Tell nobody of what MATCHes: a job's name or pattern, or like kind=overdue,job=heartbeat*."""
    from watchdog.core.durations import parse_duration
    from watchdog.core.instants import say
    from watchdog.incidents import verbs as incident_verbs

    now = datetime.now(UTC)
    with _state(config, database, state) as store:
        try:
            if end:
                if not match.isdecimal() or len(match) > 15:
                    raise CannotGoOn(f"{match!r} is not the number of a silence; `incidents` lists them")
                if not store.end_silence(int(match), now):
                    raise CannotGoOn(f"there is no silence {match} that has not ended")
                click.echo(f"silence {match} has ended")
                return
            if length is None:
                raise CannotGoOn("say for how long: --for 2h")
            made = incident_verbs.silence(store, match, parse_duration(length), now)
        except ValueError as error:
            raise CannotGoOn(str(error)) from error
    click.echo(f"silence {made.id}: nobody is told of {match} until {say(made.ends_at)}")


@cli.command()
@or_elsewhere(elsewhere.revive)
@whose_state
@click.argument("jobs", nargs=-1, metavar="JOB...")
@click.option("--incident", type=click.IntRange(1, 10**15), metavar="ID", help="All jobs of this incident.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def revive(
    config: Path | None,
    database: Path | None,
    state: Path | None,
    jobs: tuple[str, ...],
    incident: int | None,
    dry_run: bool,
) -> int:
    """Bring each failed JOB back, with the same guards as a policy.

    By its scheduler's API or own command, where that has one that may be used, else by SQL. Where its scheduler can, a
    JOB that is stuck is freed, and one that is due is run.
    """
    from watchdog.recovery import by_hand

    if bool(jobs) == (incident is not None):
        raise CannotGoOn("say which job is meant, by name or id; or --incident ID")
    if incident is not None:
        # what may bring its jobs back is the configuration, which says where the state is
        with _state(config, database, None) if state is None else _state(None, None, state) as store:
            try:
                jobs = tuple(by_hand.jobs_of(store, incident))
            except ValueError as error:
                raise CannotGoOn(str(error)) from error
    return _by_hand(by_hand.revive, config, database, state, *jobs, dry_run=dry_run)


@cli.command()
@whose_state
@click.argument("job")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def restore(config: Path | None, database: Path | None, state: Path | None, job: str, dry_run: bool) -> int:
    """Put a JOB back that the scheduler's sweep has deleted, as it was, column by column."""
    from watchdog.recovery import by_hand

    return _by_hand(by_hand.restore, config, database, state, job, dry_run=dry_run)


@cli.command()
@whose_state
@click.argument("number", type=click.IntRange(1, 10**15), metavar="ID", required=False)
@click.option("--all", "is_all", is_flag=True, help="All that is proposed.")
@click.option("--incident", type=click.IntRange(1, 10**15), metavar="ID", help="All that is proposed for an incident.")
def approve(
    config: Path | None,
    database: Path | None,
    state: Path | None,
    number: int | None,
    is_all: bool,
    incident: int | None,
) -> None:
    """Allow a recovery that was proposed, or all; the running service carries it out."""
    from watchdog.recovery import by_hand

    if sum((number is not None, is_all, incident is not None)) != 1:
        raise CannotGoOn("say which recovery is meant: its number, --all, or --incident ID")
    now = datetime.now(UTC)
    with _state(config, database, state) as store:
        try:
            if number is not None:
                lines = [by_hand.approve(store, number, now)]
            else:
                lines = list(by_hand.approve_all(store, now, incident))
        except ValueError as error:
            raise CannotGoOn(str(error)) from error
    for line in lines:
        click.echo(line)


@cli.command()
@whose_state
@as_format
def recoveries(config: Path | None, database: Path | None, state: Path | None, form: str) -> None:
    """List what was done to bring jobs back: by whom, why, every step, and what became of it."""
    from watchdog.cli import tables
    from watchdog.recovery import by_hand

    with _state(config, database, state) as store:
        actions = by_hand.listed(store)
    if form == "json":
        click.echo(json.dumps(by_hand.document(actions), indent=2))
    else:
        tables.show(tables.recoveries_view(actions, datetime.now(UTC)))


def _by_hand(
    act: Callable[[Config, Store, str, bool], Iterator[str]],
    config: Path | None,
    database: Path | None,
    state: Path | None,
    *jobs: str,
    dry_run: bool,
) -> int:
    """Do it to each job and say each step as it is done. One that is refused does not keep the next one back."""
    from watchdog.recovery import by_hand
    from watchdog.state.opening import StoreError
    from watchdog.state.store import Store

    config = _usual(config, database)
    if config is None and database is None:
        raise CannotGoOn("say which scheduler is meant: -c FILE or --database PATH")
    settings = _configured(config, database)
    try:
        store = Store(state or settings.state, exclusive=False)
    except StoreError as error:
        raise CannotGoOn(str(error)) from error
    refused = []
    try:
        for job in jobs:
            try:
                for line in act(settings, store, job, dry_run):
                    click.echo(as_asked(line, sys.argv))
            except by_hand.RefusedError as error:
                refused.append(str(error))
    finally:
        store.close()
    if refused:
        raise CannotGoOn("\n".join(refused))
    return 0


@cli.command()
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

    assistant.serve(_usual(config), url, token_file)


@cli.command("notify-test")
@click.option("-c", "--config", type=click.Path(path_type=Path), required=True, help="The configuration file (YAML).")
def notify_test(config: Path) -> int:
    """Send a test message to each channel and tell what became of it."""
    from watchdog.notify import trial

    settings = _load(config)
    if not settings.channels:
        raise CannotGoOn(f"{config}: there are no channels to try")
    failed = 0
    for name, outcome in trial.try_channels(settings, datetime.now(UTC)):
        failed += not outcome.ok
        click.echo(f"{name}: {'sent' if outcome.ok else f'not sent: {outcome.error}'}")
    return EXIT_ERROR if failed else 0


@cli.command()
@click.option(
    "-c", "--config", type=click.Path(path_type=Path), help="The configuration file (YAML); else $WATCHDOG_CONFIG."
)
def validate(config: Path | None) -> None:
    """Check a configuration file; all its errors are told in one go, and what is allowed but will not work."""
    from watchdog.notify import trial
    from watchdog.recovery.advice import advice
    from watchdog.systems.opening import try_out

    config = _usual(config)
    if config is None:
        raise CannotGoOn("say which configuration is meant: -c FILE (--config)")
    settings = _load(config)
    wrong, unasked = try_out(settings, datetime.now(UTC))
    problems = [f"{config}: {problem}" for problem in [*wrong, *trial.bad_addresses(settings)]]
    if problems:
        raise CannotGoOn("\n".join(problems))
    for hint in [*unasked, *advice(settings)]:
        click.echo(f"{config}: {hint}", err=True)
    named = ", ".join(source.name for source in settings.sources)
    click.echo(f"{config} is good: watches {named}")


@cli.command()
@click.option("--seconds", type=click.IntRange(5, 3600), help="Stop after so long; else at the end of the story.")
@click.option("--port", type=click.IntRange(0, 65535), default=9846, show_default=True, help="0 takes a free one.")
@click.option("--stay", is_flag=True, help="Go on serving after the story has ended, until Ctrl-C.")
def demo(seconds: int | None, port: int, stay: bool) -> None:
    """Watch a simulated agent through an outage, as it unfolds; a second stands for an hour."""
    from watchdog.demo import story
    from watchdog.web.server import CannotListenError

    try:
        story.tell(port=port, seconds=seconds, stay=stay)
    except CannotListenError as error:
        raise CannotGoOn(f"{error}; choose another with --port") from error


@contextmanager
def _state(config: Path | None, database: Path | None, state: Path | None) -> Iterator[Store]:
    """The state file of the watchdog that is meant."""
    from watchdog.incidents import verbs as incident_verbs
    from watchdog.state.opening import StoreError

    config = _usual(config, database, state)
    if sum(way is not None for way in (config, database, state)) != 1:
        raise CannotGoOn("say which watchdog is meant: -c FILE, --database PATH or --state PATH")
    try:
        store = incident_verbs.open_state(state or _configured(config, database).state)
    except StoreError as error:
        raise CannotGoOn(str(error)) from error
    try:
        yield store
    finally:
        store.close()


def _look_once(config: Path | None, database: Path | None, now: datetime) -> Published:
    from watchdog.engine import Engine, open_sources
    from watchdog.systems.shared.host import Host
    from watchdog.systems.shared.looking import waited_for
    from watchdog.systems.shared.writer import LiveWriters

    settings = _configured(config, database)
    engine = Engine(settings, open_sources(settings, lambda name: Host(LiveWriters())), waited_for)
    patience = time.monotonic() + LOOK_FOR
    published = engine.tick(now).published
    while any(state.snapshot.reads_on for state in published.sources) and time.monotonic() < patience:
        published = engine.tick(now).published
    return engine.conclude(now)


def _configured(config: Path | None, database: Path | None) -> Config:
    from watchdog.config.file import for_database

    config = _usual(config, database)
    if (config is None) == (database is None):
        raise CannotGoOn("say what to watch: either --database PATH or -c FILE")
    return _load(config) if config else for_database(database or Path())


def _usual(config: Path | None, *others: Path | None) -> Path | None:
    """The configuration that is meant where nothing is said."""
    given = os.environ.get("WATCHDOG_CONFIG")
    return Path(given) if given and config is None and not any(others) else config


def _load(path: Path) -> Config:
    from watchdog.config.file import ConfigError, load

    try:
        return load(path)
    except ConfigError as error:
        raise CannotGoOn("\n".join(error.problems)) from error


def _instant(text: str | None) -> datetime:
    from watchdog.core.instants import parse_instant

    if text is None:
        return datetime.now(UTC)
    try:
        return parse_instant(text)
    except ValueError:
        raise CannotGoOn(f"{text!r} is not an instant; write it like 2026-04-29T05:03:30Z") from None


def _namesake() -> str | None:
    """What to say if the other package that is imported as `watchdog` is in this environment."""
    try:
        other = distribution("watchdog")
    except PackageNotFoundError:
        return None
    return (
        f"another package that is imported as `watchdog` (watchdog {other.version}, file system events) is installed "
        f"in {sys.prefix}; the two overwrite each other. Install scheduler-watchdog into an environment of its own "
        "(pipx install scheduler-watchdog)"
    )


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    given = sys.argv[1:] if arguments is None else arguments
    is_debug = "--debug" in given
    sys.exit(_run([argument for argument in given if argument != "--debug"], is_debug=is_debug))


def _run(arguments: list[str], *, is_debug: bool) -> int:
    problem = _namesake()
    try:
        if problem:
            raise CannotGoOn(problem)
        return cli.main(arguments, prog_name="scheduler-watchdog", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as help_:
        click.echo(help_.format_message())
        return EXIT_ERROR
    except click.ClickException as error:
        return _fail(error.format_message(), error, is_debug=is_debug)
    except (KeyboardInterrupt, click.Abort):
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_ERROR
    except Exception as error:
        return _fail(f"{type(error).__name__}: {error} (this is a fault of ours)", error, is_debug=is_debug)


def _fail(message: str, error: Exception, *, is_debug: bool) -> int:
    if is_debug:
        import traceback

        traceback.print_exception(error)
    for line in message.splitlines() or [""]:
        click.echo(f"scheduler-watchdog: {as_asked(line, sys.argv)}", err=True)
    return EXIT_ERROR
