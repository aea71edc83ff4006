"""The verbs that also work on watchdogs elsewhere: `--url https://box:9846`, again and again, or `--urls FILE`."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from watchdog.cli.endings import EXIT_ERROR, CannotGoOn
from watchdog.core.command_line import asked_at, command
from watchdog.core.nearest import which_whole

if TYPE_CHECKING:
    from watchdog.remote.client import Document, Remote
    from watchdog.remote.fleet import Answer

F = TypeVar("F", bound=Callable[..., Any])

AHEAD = "--ahead silences jobs that are to come"

_LOCAL = ("config", "database", "state")


def or_elsewhere(verb: Callable[..., int]) -> Callable[[F], F]:
    """Adds the options that name watchdogs elsewhere; where one is given `verb` is done to them instead."""

    def decorate(function: F) -> F:
        @click.option("--url", "urls", multiple=True, metavar="URL", help="Ask the watchdog there instead; repeatable.")
        @click.option(
            "--urls", "files", multiple=True, type=click.Path(path_type=Path), help="Ask all in a file, a URL a line."
        )
        @click.option(
            "--token-file",
            type=click.Path(path_type=Path),
            envvar="WATCHDOG_TOKEN_FILE",
            help="The token that they ask for; else $WATCHDOG_TOKEN_FILE.",
        )
        @functools.wraps(function)
        def chosen(
            *, urls: tuple[str, ...], files: tuple[Path, ...], token_file: Path | None, **given: Any
        ) -> int | None:
            if not urls and not files:
                return function(**given)  # type: ignore[no-any-return]
            if any(given.pop(option, None) is not None for option in _LOCAL):
                raise CannotGoOn("say either --url or which watchdog on this machine is meant, not both")
            return verb(_remotes(urls, files, token_file), **given)

        return chosen  # type: ignore[return-value]

    return decorate


def _remotes(urls: Sequence[str], files: Sequence[Path], token_file: Path | None) -> list[Remote]:
    from watchdog.config.fields import read_secret
    from watchdog.remote.fleet import remotes

    try:
        found = remotes(urls, files, read_secret(token_file) if token_file else "")
    except ValueError as error:
        raise CannotGoOn(str(error)) from None
    if not found:
        raise CannotGoOn("no address of a watchdog stands there")
    return found


def incidents(remotes: Sequence[Remote], number: int | None, with_resolved: bool, form: str) -> int:
    """What is wrong at each of them, or one incident whole."""
    if number is not None:
        return _whole(_only(remotes), number, form)
    asked = _asked(remotes, lambda one: one.get("/incidents", all="true" if with_resolved else None))
    if form == "json":
        click.echo(json.dumps({"watchdogs": [_plain(answer) for answer in asked]}, indent=2))
    else:
        from watchdog.cli import fleet_tables, tables

        tables.show(fleet_tables.incidents_view(asked))
    return _end(asked)


def _plain(answer: Answer) -> dict[str, Any]:
    return {"url": answer.url, **(answer.document or {"error": answer.problem})}


def _whole(remote: Remote, number: int, form: str) -> int:
    found = _done(lambda: remote.get(f"/incidents/{number}"))
    if form == "json":
        click.echo(json.dumps(found, indent=2))
    else:
        from watchdog.cli import fleet_tables, tables

        tables.show(fleet_tables.whole_view(found, ", on its machine"))
    return 0


def acknowledge(remotes: Sequence[Remote], numbers: tuple[int, ...]) -> int:
    """Take incidents on."""
    remote = _only(remotes)

    def one(number: int) -> None:
        found = _done(lambda: remote.post(f"/incidents/{number}/acknowledge", {"by": _me()}))
        click.echo(f"incident {number} is yours: {found['summary']}")

    return _each(numbers, one)


def _each(numbers: Iterable[int], do: Callable[[int], None]) -> int:
    """Do it to each; one that is refused does not keep the next one back. Raises CannotGoOn with all that were."""
    wrong = []
    for number in numbers:
        try:
            do(number)
        except CannotGoOn as error:
            wrong.append(str(error))
    if wrong:
        raise CannotGoOn("\n".join(wrong))
    return 0


def unacknowledge(remotes: Sequence[Remote], number: int) -> int:
    """Give an incident back."""
    found = _done(lambda: _only(remotes).post(f"/incidents/{number}/unacknowledge", {"by": _me()}))
    click.echo(f"incident {number} is nobody's: {found['summary']}")
    return 0


def silences(remotes: Sequence[Remote], form: str) -> int:
    """The silences of each."""
    asked = _asked(remotes, lambda one: one.get("/incidents"))
    if form == "json":
        found = [
            {"url": a.url, **({"silences": a.document["silences"]} if a.document else {"error": a.problem})}
            for a in asked
        ]
        click.echo(json.dumps({"watchdogs": found}, indent=2))
        return _end(asked)
    for answer in asked:
        for line in _silences(answer.document) if answer.document else ():
            click.echo(f"{answer.name}: {line}")
    return _end(asked)


def _silences(document: Document) -> list[str]:
    found = [
        f"silence {s['id']}: {s['match']}, until {_said(s['ends_at'])}, by {s['by']}" for s in document["silences"]
    ]
    return found or ["nothing is silenced"]


def _said(instant: str) -> str:
    from watchdog.core.instants import parse_instant, say

    return say(parse_instant(instant))


def unsilence(remotes: Sequence[Remote], numbers: Sequence[int]) -> int:
    """End silences."""
    remote = _only(remotes)

    def one(number: int) -> None:
        _done(lambda: remote.post(f"/silences/{number}/end", {"by": _me()}))
        click.echo(f"silence {number} has ended")

    return _each(dict.fromkeys(numbers), one)


def silence(remotes: Sequence[Remote], match: str, length: str | None, end: bool, ahead: bool) -> int:
    """Keep quiet about what matches, at each of them."""
    if end:
        if not match.isdecimal() or len(match) > 15:
            raise CannotGoOn(f"{match!r} is not the number of a silence; `silences` lists them")
        return unsilence(remotes, [int(match)])
    if length is None:
        raise CannotGoOn("say for how long: --for 2h")
    if not ahead:
        _must_mean_something(remotes, match)
    asked = _asked(remotes, lambda one: _silenced(one, {"match": match, "length": length, "by": _me()}))
    for answer in asked:
        if made := answer.document:
            until = _said(made["ends_at"])
            click.echo(f"{answer.url}: silence {made['id']}: nobody is told of {match} until {until}")
            again = f"{command('unsilence', str(made['id']))} {asked_at(answer.url, sys.argv)}"
            click.echo(f"  to end it sooner: {again}")
    return _end(asked)


def _silenced(remote: Remote, body: Document) -> Document:
    """What it answers. That it means something at one of them is known by now; an older version does not ask for it."""
    from watchdog.remote.client import RefusedError

    try:
        return remote.post("/silences", {**body, "ahead": True})
    except RefusedError as error:
        if "ahead" not in str(error):
            raise
        return remote.post("/silences", body)


def _must_mean_something(remotes: Sequence[Remote], match: str) -> None:
    """Raises CannotGoOn where none of their jobs is like that, and nothing that is wrong; those that cannot be asked
    may have one."""
    from watchdog.core.silences import means_job, read_match
    from watchdog.incidents.silencing import no_such_job

    try:
        names = {name for name, _ in read_match(match)}
    except ValueError as error:
        raise CannotGoOn(str(error)) from error
    if "incident" in names:
        _must_name_one_that_is_open(remotes, match)
    asked = _asked(remotes, lambda one: one.get("/jobs"))
    if names.isdisjoint(("job", "job_id", "source")) or not all(answer.document for answer in asked):
        return
    jobs = [job for answer in asked if answer.document for job in answer.document["jobs"]]
    if any(means_job(match, job["source"], job["job"], job["job_id"]) for job in jobs):
        return
    raise CannotGoOn(f"{no_such_job(match, [job['job'] for job in jobs])} ({AHEAD})")


def _must_name_one_that_is_open(remotes: Sequence[Remote], match: str) -> None:
    from watchdog.core.silences import means_incident
    from watchdog.incidents.silencing import no_such_incident

    asked = _asked(remotes, lambda one: one.get("/incidents"))
    numbers = [one["id"] for answer in asked if answer.document for one in answer.document["incidents"]]
    if all(answer.document for answer in asked) and not any(means_incident(match, number) for number in numbers):
        raise CannotGoOn(no_such_incident(match))


def revive(remotes: Sequence[Remote], jobs: tuple[str, ...], incident: int | None, dry_run: bool) -> int:
    """Have jobs brought back by the watchdogs that watch them."""
    if bool(jobs) == (incident is not None):
        raise CannotGoOn("say which job is meant, by name or id; or --incident ID")
    asked = [] if incident is not None else _asked(remotes, lambda one: one.get("/jobs"))
    if incident is not None:
        chosen = _of_incident(_only(remotes), incident)
    else:
        chosen = _named(remotes, asked, jobs, dry_run=dry_run)
    refused = [answer.problem for answer in asked if answer.problem]
    for remote, job in chosen:
        try:
            click.echo(_done(functools.partial(_revive, remote, job, dry_run)))
        except CannotGoOn as error:
            refused.append(f"{job['job']}: {error}")
    if refused:
        raise CannotGoOn("\n".join(refused))
    return 0


def _revive(remote: Remote, job: Document, dry_run: bool) -> str:
    which = {"source": job["source"], "job_id": job["job_id"]}
    if dry_run:
        return str(remote.get("/revive", **which)["would"])
    found = remote.post("/revive", {**which, "by": _me()})
    return (
        f"recovery {found['id']}: the watchdog there brings {found['job']} back; `recoveries` there tells how it went"
    )


def _of_incident(remote: Remote, number: int) -> list[tuple[Remote, Document]]:
    found = _done(lambda: remote.get(f"/incidents/{number}"))["incident"]
    about = {one["job_id"]: one for one in found["findings"] if one["job_id"] is not None}
    if not about or found["state"] == "resolved":
        raise CannotGoOn(f"{remote.url}: incident {number} is {'over' if about else 'about no job'}")
    return [(remote, job) for job in about.values()]


def _named(
    remotes: Sequence[Remote], asked: Sequence[Answer], jobs: Sequence[str], *, dry_run: bool
) -> list[tuple[Remote, Document]]:
    """Where each is watched; by id, or by a name that only one has. Raises CannotGoOn, where one has not answered with
    that besides."""
    by_url = {remote.url: remote for remote in remotes}
    known = [(by_url[answer.url], job) for answer in asked if answer.document for job in answer.document["jobs"]]
    problems = [answer.problem for answer in asked if answer.problem]
    try:
        found = [_one_of(known, name) for name in jobs]
        if problems and not dry_run:
            _must_be_ids(found, jobs)
    except CannotGoOn as error:
        raise CannotGoOn("\n".join([*problems, str(error)])) from None
    return found


def _must_be_ids(found: Sequence[tuple[Remote, Document]], jobs: Sequence[str]) -> None:
    """What has not answered may have a job of the same name. Raises CannotGoOn."""
    for (remote, job), name in zip(found, jobs, strict=True):
        if name != job["job_id"]:
            which = f"give its id, {job['job_id']}, for the one at {remote.url}"
            raise CannotGoOn(f"what did not answer may have a job that is called {name!r} too: {which}")


def _one_of(known: Sequence[tuple[Remote, Document]], name: str) -> tuple[Remote, Document]:
    found = [(remote, job) for remote, job in known if name in (job["job_id"], job["job"])]
    if len(found) == 1:
        return found[0]
    if found:
        raise CannotGoOn(f"{len(found)} jobs are called {name!r}; give the id, and the --url of its watchdog")
    raise CannotGoOn(f"there is no job {name!r} there{which_whole(name, [job['job'] for _, job in known])}")


def approve(remotes: Sequence[Remote], number: int | None, is_all: bool, incident: int | None) -> int:
    """Allow what a watchdog proposes."""
    must_be_one_way(number, incident, is_all=is_all)
    remote = _only(remotes)
    numbers = [number] if number is not None else _proposed(remote, incident)

    def one(which: int) -> None:
        found = _done(lambda: remote.post(f"/recoveries/{which}/approve", {"by": _me()}))
        click.echo(f"approved: {found['action']} of {subject(found)}; the watchdog there does it")

    return _each(numbers, one)


def _proposed(remote: Remote, incident: int | None) -> list[int]:
    """What waits for approval: all, or for an incident. Raises CannotGoOn where nothing does."""
    path = "/recoveries" if incident is None else f"/incidents/{incident}"
    found = [one["id"] for one in _done(lambda: remote.get(path))["recoveries"] if one["state"] == "proposed"]
    if not found:
        raise CannotGoOn(
            f"{remote.url}: no recovery {f'of incident {incident} ' if incident else ''}waits for approval"
        )
    return found


def must_be_one_way(number: int | None, incident: int | None, *, is_all: bool) -> None:
    """Raises CannotGoOn unless exactly one of them says which recovery is meant."""
    if sum((number is not None, is_all, incident is not None)) != 1:
        raise CannotGoOn("say which recovery is meant: its number, --all, or --incident ID")


def recoveries(remotes: Sequence[Remote], form: str) -> int:
    """What was done, or is proposed, at each of them."""
    asked = _asked(remotes, lambda one: one.get("/recoveries"))
    if form == "json":
        click.echo(json.dumps({"watchdogs": [_plain(answer) for answer in asked]}, indent=2))
    else:
        from watchdog.cli import fleet_tables, tables

        tables.show(fleet_tables.recoveries_view(asked, datetime.now(UTC)))
    return _end(asked)


def subject(recovery: Document) -> str:
    """What it is done to: a restart is the agent's, also where a job's run was its cause."""
    is_of_all = recovery["action"] == "restart"
    return str(recovery["source"] if is_of_all else recovery["job"] or recovery["source"])


def _asked(remotes: Sequence[Remote], question: Callable[[Remote], Document]) -> list[Answer]:
    from watchdog.remote.fleet import ask_all

    return ask_all(remotes, question)


def _end(asked: Sequence[Answer]) -> int:
    """What did not answer is said last, so that it is not missed."""
    for answer in asked:
        if answer.problem:
            click.echo(f"scheduler-watchdog: {answer.problem}", err=True)
    return EXIT_ERROR if any(answer.problem for answer in asked) else 0


def _done(ask: Callable[[], Any]) -> Any:
    from watchdog.remote.client import NotAnsweredError, RefusedError

    try:
        return ask()
    except (NotAnsweredError, RefusedError) as error:
        raise CannotGoOn(str(error)) from None


def _only(remotes: Sequence[Remote]) -> Remote:
    if len(remotes) > 1:
        raise CannotGoOn("numbers are each watchdog's own: give the one --url that is meant")
    return remotes[0]


def _me() -> str:
    from watchdog.incidents.verbs import whoami

    return whoami()
