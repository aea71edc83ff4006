"""`init`: from an installed command to a configuration that watches what is there."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING

import click

from watchdog.cli import init_files
from watchdog.core.command_line import PROGRAM

if TYPE_CHECKING:
    from watchdog.config.file import Config
    from watchdog.systems.discovery import Found, Search

Say = Callable[[str], None]

_MOST_SAID = 6
"""Places that are named in one line."""

PRIVATE = 0o600
"""An address that is told may hold a password."""


class CannotInitError(Exception):
    """Why nothing was written; a line for each problem."""


def init(
    paths: Iterable[Path],
    notify: str | None,
    output: Path,
    state_dir: Path | None,
    *,
    force: bool,
    unit: bool,
    agent: bool,
    compose: bool,
) -> bool:
    """Look, say what was found, write it down, try it. False if something is left for a person to do.

    Raises CannotInitError.
    """
    from watchdog.systems.discovery import search, straight

    output = straight(output)
    if os.path.isdir(output):  # noqa: PTH112 - it raises nothing
        raise CannotInitError(
            f"{output} is a folder: name a file in it, -o {shlex.quote(str(output / 'watchdog.yaml'))}"
        )
    is_kept = os.path.lexists(output) and not force
    if is_kept and not (unit or agent or compose):
        raise CannotInitError(f"{output} is there already; --force writes it anew, -o names another file")
    paths = list(paths)
    _must_be_there(paths)
    now = datetime.now(UTC)
    searched = search(paths, os.environ, Path.home(), now, is_root=os.geteuid() == 0)
    found = init_files.named(searched.found)
    watched = [(name, each) for name, each in found if not each.problem and not each.harm]
    left_out = [(name, each) for name, each in found if each.problem or each.harm]
    if not found:
        _say_nothing_found(searched)
        _say_what_may_be_missing(searched)
        return False
    for name, each in found:
        click.echo(_said(name, each))
    _say_what_may_be_missing(searched)
    if not watched:
        raise CannotInitError(
            "none of them can be read as this user, so nothing was written: run it as the agent's user"
        )
    if is_kept:
        config = _checked(output, output)
        click.echo(f"{output} stays as it is")
        _services(output, config, watched, unit=unit, agent=agent, compose=compose)
        return True
    state = _state(straight(state_dir) if state_dir else None, output)
    zone = init_files.zone_of_host()
    with _draft(output) as draft:
        notify, config = _address(
            notify, draft, output, lambda url: init_files.configuration(watched, left_out, state, url, zone)
        )
        _put(draft, output, force=force)
    click.echo(f"{output}: written, and good: watches {', '.join(name for name, _ in watched)}")
    is_told = _tried(config, output) if notify else _untold()
    is_mac = sys.platform == "darwin"
    unit = unit or (not is_mac and _wants("a unit for systemd"))
    agent = agent or (is_mac and _wants("an agent for launchd"))
    _services(output, config, watched, unit=unit, agent=agent, compose=compose)
    return is_told


def _state(given: Path | None, output: Path) -> Path:
    """Where its memory goes: where the file that is written anew had it, else where no other watchdog has its own."""
    before = _state_before(output)
    folder = given or (before.parent if before else _state_folder())
    if before and before.parent == folder:
        return before
    usual = folder / "watchdog.db"
    others = (folder / f"watchdog-{number}.db" for number in count(2))
    free = next(path for path in chain((usual,), others) if not _is_somebodys(path))
    if free != usual:
        whose = f"{usual} is there already, another configuration's memory: this one gets {free.name}"
        click.echo(f"{whose}. If that one is gone, put the other path under `state`")
    return free


def _state_before(output: Path) -> Path | None:
    """The state file of a configuration that stands there; None where it has none yet, or is none."""
    from watchdog.config.file import ConfigError
    from watchdog.config.reading import load

    try:
        state = load(output).state if os.path.lexists(output) else None
    except ConfigError:
        return None
    return state if state and _is_somebodys(state) else None


def _is_somebodys(state: Path) -> bool:
    """Whether a watchdog remembers things there, also one that does not run now: it begins again where it was."""
    from watchdog.state.opening import lock_of

    return os.path.lexists(state) or os.path.lexists(lock_of(state))


def _state_folder() -> Path:
    from watchdog.config.file import state_folder

    return state_folder().absolute()


def _say_nothing_found(searched: Search) -> None:
    click.echo("No agent with scheduled jobs was found, so nothing was written.")
    click.echo(f"Looked in {', '.join(searched.places)}, and where the agents' own variables say.")
    click.echo(
        f"Say where yours lies: {init_files.called()} init --path FOLDER; for any other scheduler see docs/systems.md."
    )


def _must_be_there(paths: Iterable[Path]) -> None:
    for path in paths:
        try:
            path.expanduser().stat()
        except (OSError, RuntimeError) as error:
            raise CannotInitError(f"--path {path}: {getattr(error, 'strerror', None) or error}") from None


def _say_what_may_be_missing(searched: Search) -> None:
    for path in searched.barren:
        click.echo(f"nothing to watch was found at {path}: docs/systems.md tells what is known by itself")
    if searched.closed:
        where = ", ".join(map(str, searched.closed[:_MOST_SAID]))
        click.echo(f"not looked into, for this user may not: {where}. Run this as the user whose it is")
    if searched.strangers:
        who = ", ".join(searched.strangers[:_MOST_SAID])
        click.echo(f"running here as another user: {who}. Run this as that user to have it watched")
    if searched.cut_short:
        where = ", ".join(map(str, searched.cut_short[:_MOST_SAID]))
        click.echo(
            f"not looked through to the end, for it takes too long: {where}. Name what is missing: --path FOLDER"
        )


def _said(name: str, found: Found) -> str:
    if found.problem:
        return f"found {name}, which cannot be read: {found.problem}"
    if found.harm:
        return f"found {name} at {found.store}, which is left alone: {found.harm[0]}"
    return f"found {name}: {found.store}, {found.jobs} job{'' if found.jobs == 1 else 's'}, can be read without harm"


# whom it tells


def _is_asked() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _address(
    notify: str | None, draft: Path, output: Path, text: Callable[[str | None], str]
) -> tuple[str | None, Config]:
    """The address, and what the file that it stands in means. Who is asked may mistype."""
    while True:
        is_asked = notify is None and _is_asked()
        url = _ask() if is_asked else notify
        try:
            draft.write_text(text(url), encoding="utf-8")
            return url, _checked(draft, output)
        except OSError as error:
            raise CannotInitError(f"{output} cannot be written: {error.strerror or error}") from None
        except CannotInitError as error:
            if not is_asked:
                raise
            click.echo(f"  {error}")


def _ask() -> str | None:
    click.echo(
        "Whom shall it tell? An address like mailtos://user:password@example.com, ntfys://topic, tgram://token/chat"
    )
    given: str = click.prompt("  (Enter for none yet)", default="", show_default=False)
    return given.strip() or None


def _checked(draft: Path, output: Path) -> Config:
    """What is to be written as a configuration, tried as `validate` does."""
    from watchdog.config.file import ConfigError
    from watchdog.config.reading import load
    from watchdog.notify import trial

    try:
        config = load(draft)
    except ConfigError as error:
        raise CannotInitError("\n".join(each.replace(str(draft), str(output)) for each in error.problems)) from error
    if wrong := list(trial.bad_addresses(config)):
        raise CannotInitError("\n".join(f"--notify: {what}" for _, what in wrong))
    return config


def _tried(config: Config, output: Path) -> bool:
    from watchdog.notify import trial

    outcomes = [outcome for _, outcome in trial.try_channels(config, datetime.now(UTC))]
    for outcome in outcomes:
        click.echo(
            "a test message was sent: look for it" if outcome.ok else f"the test message was not sent: {outcome.error}"
        )
    is_told = all(outcome.ok for outcome in outcomes)
    if not is_told:
        again = f"{init_files.called()} notify-test -c {shlex.quote(str(output))}"
        click.echo(f"{output} is written all the same: mend the address under `channels` there, and try it: {again}")
    return is_told


def _untold() -> bool:
    click.echo("nobody is told yet: put an address under `channels`, or run this again with --notify URL --force")
    return True


# what comes next


def _wants(what: str) -> bool:
    return _is_asked() and click.confirm(f"Write {what} beside it?", default=False)


def _services(
    output: Path, config: Config, watched: list[tuple[str, Found]], *, unit: bool, agent: bool, compose: bool
) -> None:
    owner, listen = init_files.owner_of(watched), config.http.listen
    click.echo(f"now: {init_files.called()} run -c {shlex.quote(str(output))}, then look at http://{listen}/")
    if init_files.called() != PROGRAM:
        folder = shlex.quote(str(Path(init_files.program()).parent))
        click.echo(f"so that the commands in messages work in each terminal, in ~/.profile: export PATH={folder}:$PATH")
    if unit:
        written = output.with_name("scheduler-watchdog.service")
        _write(written, init_files.unit(output, owner))
        click.echo(f"{written}: written; as a service: {' && '.join(init_files.how_to_install(written))}")
    if agent:
        written = output.with_name(f"{init_files.LABEL}.plist")
        _write(written, init_files.agent(output, owner).decode())
        click.echo(f"{written}: written; as a service: {' && '.join(init_files.how_to_start_agent(written))}")
    if compose:
        written = output.with_name("scheduler-watchdog.compose.yaml")
        _write(written, init_files.compose(output, config.state, watched, owner))
        click.echo(f"{written}: written; as a container: docker compose -f {shlex.quote(str(written))} up -d")
    if not unit and not agent and not compose:
        # in a container on a Mac it would stand in another machine than the agent, whose locks it could not see
        which = "--launchd, which writes" if sys.platform == "darwin" else "--systemd or --compose, which write"
        click.echo(f"as a service: the same command again, with {which} the file for it")


@contextmanager
def _draft(output: Path) -> Iterator[Path]:
    """A file beside it that nobody else may read, and that does not stay."""
    draft = output.with_name(f".{output.name}.{os.getpid()}")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
    except OSError as error:
        raise CannotInitError(f"{output} cannot be written: {error.strerror or error}") from None
    try:
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def _put(draft: Path, output: Path, *, force: bool) -> None:
    """In its place, over another one only with `force`: that is kept beside it."""
    try:
        if force:
            _keep(output)
            draft.replace(output)
        else:
            os.link(draft, output)
    except FileExistsError:
        raise CannotInitError(f"{output} is there already; --force writes it anew") from None
    except OSError as error:
        raise CannotInitError(f"{output} cannot be written: {error.strerror or error}") from None


def _keep(output: Path) -> None:
    """What somebody may have written by hand, under a name that nothing reads."""
    if os.path.lexists(output):
        before = output.with_name(f"{output.name}.before")
        output.replace(before)
        click.echo(f"{before}: what stood in {output.name} before")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise CannotInitError(f"{path} cannot be written: {error.strerror or error}") from None
