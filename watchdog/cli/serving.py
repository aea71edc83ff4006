"""The service, as the command line asks for it: begun without what reads all other command lines.

What does that (click, and the other verbs) would be held for months: 2 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.cli.endings import CannotGoOn
from watchdog.cli.which import configured, usual

if TYPE_CHECKING:
    from watchdog.config.file import Config


@dataclass(frozen=True, slots=True)
class Asked:
    """What `run` was given."""

    config: Path | None = None
    database: Path | None = None
    listen: str | None = None
    debug_log: bool = False


_VALUES = {"-c": "config", "--config": "config", "--database": "database", "--listen": "listen"}
_DEBUG_LOG = "--debug-log"


def plainly_asked(arguments: list[str]) -> Asked | None:
    """What `run` is asked for, if all of it is as it stands in units and documents: `-c FILE` and the like.

    Whatever else there may be, right or wrong, is for what reads every command line.
    """
    if arguments[:1] != ["run"]:
        return None
    given: dict[str, str] = {}
    is_debug_log = False
    words = iter(arguments[1:])
    for word in words:
        if word == _DEBUG_LOG:
            is_debug_log = True
            continue
        name, is_joined, joined = word.partition("=")
        value = joined if is_joined else next(words, "")
        if name not in _VALUES or not value or value.startswith("-") or (is_joined and name == "-c"):
            return None
        given[_VALUES[name]] = value
    config, database = (Path(given[way]) if way in given else None for way in ("config", "database"))
    return Asked(config, database, given.get("listen"), is_debug_log)


def serve(asked: Asked) -> None:
    """Watch, and answer, until it is told to stop."""
    from watchdog.service import lean

    lean.begin()
    from watchdog.core import logs
    from watchdog.incidents import report
    from watchdog.service import memory
    from watchdog.service.configuration import load
    from watchdog.service.last_resort import end_in_any_case
    from watchdog.service.loop import Service, Wake, signals
    from watchdog.state.opening import StoreError
    from watchdog.web.guard import raise_descriptors
    from watchdog.web.server import CannotListenError

    file = usual(asked.config, asked.database)
    settings = _listening(configured(asked.config, asked.database, apart=True), asked.listen)
    memory.settle_allocator()
    logs.set_up_beside(debug=asked.debug_log)
    raise_descriptors()
    wake = Wake()
    try:
        service = Service(
            settings,
            reread=lambda: _listening(load(file), asked.listen) if file else settings,
            words=lambda posting: report.page(posting.published, posting.incidents, posting.at),
            wake=wake,
        )
        with signals(wake), end_in_any_case():
            service.run()
    except CannotListenError as error:
        raise CannotGoOn(f"{error} (--listen, or http.listen in the configuration)") from error
    except StoreError as error:
        raise CannotGoOn(str(error)) from error
    finally:
        wake.close()


def _listening(settings: Config, listen: str | None) -> Config:
    """The same, with the address of the command line if there is one."""
    from watchdog.config.file import parse_address

    if listen is None:
        return settings
    try:
        parse_address(listen)
    except ValueError as error:
        raise CannotGoOn(str(error)) from error
    return settings.but(http=settings.http.but(listen=listen))
