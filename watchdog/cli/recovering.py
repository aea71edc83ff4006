"""Jobs brought back by hand: `revive`, `restore`, `approve` and `recoveries`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchdog.cli import completing, elsewhere
from watchdog.cli.asked import Number, are_several, as_format, state_of, whose_state
from watchdog.cli.elsewhere import or_elsewhere
from watchdog.cli.endings import CannotGoOn
from watchdog.cli.watching import look_once
from watchdog.cli.which import configured, unnamed, usual
from watchdog.core.command_line import as_asked
from watchdog.core.nearest import which_whole

if TYPE_CHECKING:
    from watchdog.config.file import Config
    from watchdog.recovery.by_hand import NoSuchJobError
    from watchdog.state.store import Store


@click.command()
@or_elsewhere(elsewhere.revive)
@whose_state
@click.argument("jobs", nargs=-1, metavar="[JOB]...", shell_complete=completing.job_names)
@click.option("--incident", type=Number("incidents"), metavar="ID", help="All jobs of this incident.")
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
        with state_of(config, database, None) if state is None else state_of(None, None, state) as store:
            try:
                jobs = tuple(by_hand.jobs_of(store, incident))
            except ValueError as error:
                raise CannotGoOn(str(error)) from error
    return _by_hand(by_hand.revive, config, database, state, *jobs, dry_run=dry_run)


@click.command()
@whose_state
@click.argument("job")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def restore(config: Path | None, database: Path | None, state: Path | None, job: str, dry_run: bool) -> int:
    """Put a JOB back that the scheduler's sweep has deleted, as it was, column by column."""
    from watchdog.recovery import by_hand

    return _by_hand(by_hand.restore, config, database, state, job, dry_run=dry_run)


@click.command()
@or_elsewhere(elsewhere.approve)
@whose_state
@click.argument("number", type=Number("recoveries"), metavar="[ID]", required=False)
@click.option("--all", "is_all", is_flag=True, help="All that is proposed.")
@click.option("--incident", type=Number("incidents"), metavar="ID", help="All that is proposed for an incident.")
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

    elsewhere.must_be_one_way(number, incident, is_all=is_all)
    now = datetime.now(UTC)
    with state_of(config, database, state) as store:
        try:
            if number is not None:
                lines = [by_hand.approve(store, number, now)]
            else:
                lines = list(by_hand.approve_all(store, now, incident))
        except ValueError as error:
            raise CannotGoOn(str(error)) from error
    for line in lines:
        click.echo(line)


@click.command()
@or_elsewhere(elsewhere.recoveries)
@whose_state
@as_format
def recoveries(config: Path | None, database: Path | None, state: Path | None, form: str) -> None:
    """List what was done to bring jobs back: by whom, why, every step, and what became of it."""
    from watchdog.cli import tables
    from watchdog.recovery import by_hand

    with state_of(config, database, state) as store:
        actions = by_hand.listed(store)
    if form == "json":
        click.echo(json.dumps(by_hand.document(actions), indent=2))
        return
    settings = configured(config, database) if state is None else None
    why_idle = settings.recovery.why_idle if settings else ""
    is_many = are_several(settings, [action.source for action in actions])
    tables.show(tables.recoveries_view(actions, datetime.now(UTC), why_idle, is_many=is_many))


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

    config = usual(config, database)
    if config is None and database is None:
        raise unnamed("--database PATH")
    settings = configured(config, database)
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
            except by_hand.NoSuchJobError as error:
                refused.append(_near(error, config, database))
            except by_hand.RefusedError as error:
                refused.append(str(error))
    finally:
        store.close()
    if refused:
        raise CannotGoOn("\n".join(refused))
    return 0


def _near(error: NoSuchJobError, config: Path | None, database: Path | None) -> str:
    """The same with what was probably meant; of a job that is there, that its scheduler alone can bring it back."""
    published = look_once(config, database, datetime.now(UTC))
    jobs = [(state.snapshot.source, job) for state in published.sources for job in state.snapshot.jobs]
    for source, job in jobs:
        if error.wanted in (job.id, job.name):
            return f"nothing can be done about {job.name} of {source} from here: its scheduler's own tools can"
    hint = which_whole(error.wanted, [job.name for _, job in jobs])
    return f"there is no job {error.wanted!r}{hint}" if hint else str(error)
