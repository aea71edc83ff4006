"""What people say of incidents: `incidents`, `ack`, `silence` and their like."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchdog.cli import completing, elsewhere
from watchdog.cli.asked import Number, are_several, as_format, state_of, whose_state
from watchdog.cli.elsewhere import AHEAD, or_elsewhere
from watchdog.cli.endings import CannotGoOn
from watchdog.cli.watching import look_once
from watchdog.cli.which import configured
from watchdog.core.command_line import PROGRAM, as_asked, asked_with, command

if TYPE_CHECKING:
    from watchdog.config.file import Config
    from watchdog.core.incident import Incident
    from watchdog.incidents.silencing import Named
    from watchdog.state.store import Store


@click.command()
@or_elsewhere(elsewhere.incidents)
@whose_state
@click.argument("number", type=Number("incidents"), metavar="[ID]", required=False)
@click.option("--all", "with_resolved", is_flag=True, help="Also those that are over.")
@as_format
def incidents(
    config: Path | None, database: Path | None, state: Path | None, number: int | None, with_resolved: bool, form: str
) -> None:
    """List what is wrong since when, and who is on it; or show one whole, with who was told and what was done."""
    from watchdog.cli import tables
    from watchdog.incidents import verbs as incident_verbs

    now = datetime.now(UTC)
    with state_of(config, database, state) as store:
        settings = configured(config, database) if state is None else None
        if number is not None:
            _show_whole(store, number, now, form, settings)
            return
        hold = settings.notify.hold if settings else None
        found = incident_verbs.listed(store, with_resolved=with_resolved)
        if form == "json":
            click.echo(json.dumps(incident_verbs.document(store, found, now, hold), indent=2))
        else:
            is_many = are_several(settings, [one.source for one in found])
            known = store.acknowledgements(), store.silences(now)
            tables.show(tables.incidents_view(found, *known, now, hold, is_many=is_many))
            _say_if_nobody_looks(store)


def _say_if_nobody_looks(store: Store) -> None:
    """What stands in the file is of another day where no service has looked since."""
    from watchdog.state.opening import is_in_use

    if store.path is None or is_in_use(store.path):
        return
    start = f" To start it: {PROGRAM} run {meant}" if (meant := asked_with(sys.argv)) and "--state" not in meant else ""
    click.echo(f"No watchdog runs with {store.path}: this is what the last one has seen.{start}")


def _show_whole(store: Store, number: int, now: datetime, form: str, settings: Config | None) -> None:
    from watchdog.cli import fleet_tables, tables
    from watchdog.web import whole

    try:
        found = whole.stored(store, number, now, settings)
    except ValueError as error:
        raise CannotGoOn(str(error)) from error
    if found["to_do"]:
        found["to_do"]["command"] = as_asked(found["to_do"]["command"], sys.argv)
    if form == "json":
        click.echo(json.dumps(found, indent=2))
    else:
        tables.show(fleet_tables.whole_view(found))


@click.command()
@or_elsewhere(elsewhere.acknowledge)
@whose_state
@click.argument("numbers", type=Number("incidents"), metavar="ID...", nargs=-1, required=True)
def ack(config: Path | None, database: Path | None, state: Path | None, numbers: tuple[int, ...]) -> None:
    """Take incidents on: no more reminders of them, and nobody else is called."""
    from watchdog.incidents import verbs as incident_verbs

    with state_of(config, database, state) as store:
        wrong = []
        for number in numbers:
            try:
                click.echo(incident_verbs.taken_on(store, number, datetime.now(UTC)))
            except ValueError as error:
                wrong.append(str(error))
    if wrong:
        raise CannotGoOn("\n".join(wrong))


@click.command()
@or_elsewhere(elsewhere.unacknowledge)
@whose_state
@click.argument("number", type=Number("incidents"), metavar="ID")
def unack(config: Path | None, database: Path | None, state: Path | None, number: int) -> None:
    """Give an incident back that was taken on: people are reminded of it, and called, again."""
    from watchdog.incidents import verbs as incident_verbs

    with state_of(config, database, state) as store:
        try:
            incident = incident_verbs.unacknowledge(store, number, datetime.now(UTC))
        except ValueError as error:
            raise CannotGoOn(str(error)) from error
    click.echo(f"incident {number} is nobody's: {incident.headline.summary}")


@click.command()
@or_elsewhere(elsewhere.silences)
@whose_state
@as_format
def silences(config: Path | None, database: Path | None, state: Path | None, form: str) -> None:
    """List the silences that have not ended."""
    from watchdog.core.instants import say
    from watchdog.incidents import silencing
    from watchdog.incidents import verbs as incident_verbs

    now = datetime.now(UTC)
    with state_of(config, database, state) as store:
        found, jobs = store.silences(now), [key for one in store.ledger().open for key in _jobs_in(one)]
    if form == "json":
        click.echo(json.dumps(incident_verbs.silences_document(found, now), indent=2))
        return
    for one in found:
        job = f"{name} ({one.match})" if (name := silencing.job_of(one.match, jobs)) else one.match
        click.echo(f"silence {one.id}: {job}, until {say(one.ends_at)}{f', by {one.by}' if one.by else ''}")
    if found:
        click.echo(as_asked(f"To end one: {PROGRAM} unsilence ID", sys.argv))
    else:
        click.echo("Nothing is silenced.")


@click.command()
@or_elsewhere(elsewhere.unsilence)
@whose_state
@click.argument("numbers", type=Number("silences"), metavar="ID...", nargs=-1, required=True)
def unsilence(config: Path | None, database: Path | None, state: Path | None, numbers: tuple[int, ...]) -> None:
    """End silences now: what is still so is told."""
    with state_of(config, database, state) as store:
        ended = {number: store.end_silence(number, datetime.now(UTC)) for number in dict.fromkeys(numbers)}
    for number in (number for number, is_ended in ended.items() if is_ended):
        click.echo(f"silence {number} has ended")
    wrong = [
        f"there is no silence {number} that has not ended; `{PROGRAM} silences` lists them"
        for number, is_ended in ended.items()
        if not is_ended
    ]
    if wrong:
        raise CannotGoOn("\n".join(wrong))


@click.command()
@or_elsewhere(elsewhere.silence)
@whose_state
@click.argument("match", shell_complete=completing.job_names)
@click.option("--for", "length", metavar="DURATION", help="How long, like 2h.")
@click.option("--end", is_flag=True, help="End the silence whose number MATCH is.")
@click.option("--ahead", is_flag=True, help="Also where no job is like that yet: for jobs to come.")
def silence(
    config: Path | None,
    database: Path | None,
    state: Path | None,
    match: str,
    length: str | None,
    end: bool,
    ahead: bool,
) -> None:
    """Tell nobody of what MATCHes: a job's name or pattern, or like kind=overdue,job=heartbeat*."""
    from watchdog.core.durations import parse_duration
    from watchdog.core.instants import say
    from watchdog.incidents import silencing
    from watchdog.incidents import verbs as incident_verbs

    now = datetime.now(UTC)
    with state_of(config, database, state) as store:
        try:
            if end:
                _end_silence(store, match, now)
                return
            if length is None:
                raise CannotGoOn("say for how long: --for 2h")
            wanted = incident_verbs.wanted_silence(match, parse_duration(length), now)
            jobs = _jobs_now(config, database, state, now)
            fitting = silencing.what_fits(wanted, store.ledger().open, jobs, ahead=ahead)
            number = store.add_silence(wanted)
        except silencing.NoSuchJobError as error:
            raise CannotGoOn(f"{error} ({AHEAD})") from error
        except ValueError as error:
            raise CannotGoOn(str(error)) from error
    click.echo(f"silence {number}: nobody is told of {match} until {say(wanted.ends_at)}")
    click.echo(fitting)
    click.echo(as_asked(f"to end it sooner: {command('unsilence', str(number))}", sys.argv))


def _jobs_in(incident: Incident) -> list[tuple[str | None, str | None]]:
    """The ids and names of the jobs of an incident."""
    return [(member.finding.job_id, member.finding.job) for member in incident.members.values()]


def _end_silence(store: Store, number: str, now: datetime) -> None:
    if not number.isdecimal() or len(number) > 15:
        raise CannotGoOn(f"{number!r} is not the number of a silence; `scheduler-watchdog silences` lists them")
    if not store.end_silence(int(number), now):
        raise CannotGoOn(f"there is no silence {number} that has not ended")
    click.echo(f"silence {number} has ended")


def _jobs_now(config: Path | None, database: Path | None, state: Path | None, now: datetime) -> list[Named] | None:
    """Each job there is; None where not all can be seen, as where only a state file is named."""
    from watchdog.incidents.silencing import jobs_now

    return jobs_now(look_once(config, database, now)) if state is None else None
