"""The job that a person wants brought back: where it is, what can be done about it, and why not."""

from collections.abc import Callable
from datetime import datetime

from watchdog.config.file import Config
from watchdog.recovery.known_actions import acting_of
from watchdog.systems.shared.acting import RefusedError, Target
from watchdog.systems.shared.unreadable import UnreadableError


class NoSuchJobError(RefusedError):
    """Of nothing that can be brought back anywhere is this the name or id. `wanted` is what was asked for."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"there is no job {wanted!r} (name or id); `scheduler-watchdog jobs` lists them")
        self.wanted = wanted


def find(config: Config, wanted: str, now: datetime, source_name: str | None = None) -> Target:
    """The one job of this name or id, if something can be done about it. Raises RefusedError, NoSuchJobError."""
    found: list[Callable[[], Target]] = []
    problems = []
    for source in config.sources:
        acting = acting_of(source)
        if acting is not None and source_name in (None, source.name):
            try:
                found += acting.find(source, wanted, now, config.detect)
            except UnreadableError as error:
                problems.append(str(error))
    if not found:
        raise RefusedError(problems[0]) if problems else NoSuchJobError(wanted)
    if len(found) > 1:
        raise RefusedError(f"there are {len(found)} jobs {wanted!r}; give the id")
    return found[0]()
