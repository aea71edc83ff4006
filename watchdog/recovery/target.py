"""The job that a person wants brought back: where it is, what can be done about it, and why not."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from watchdog.config.file import Config
from watchdog.recovery.known_actions import acting_of
from watchdog.systems.shared.acting import RefusedError, Target
from watchdog.systems.shared.unreadable import UnreadableError

LISTED = 10
"""So many jobs of one name are told apart."""


class NoSuchJobError(RefusedError):
    """Of nothing that can be brought back anywhere is this the name or id. `wanted` is what was asked for."""

    def __init__(self, wanted: str) -> None:
        super().__init__(f"there is no job {wanted!r} (name or id); `scheduler-watchdog jobs` lists them")
        self.wanted = wanted


@dataclass(frozen=True, slots=True)
class Candidate:
    """The one job that was meant. `target`: what can be done about it; raises RefusedError if that is nothing."""

    source: str
    job_id: str
    target: Callable[[], Target]


def find(config: Config, wanted: str, now: datetime, source_name: str | None = None) -> Candidate:
    """The one job of this name or id. Raises RefusedError, NoSuchJobError."""
    found: list[Candidate] = []
    problems = []
    for source in config.sources:
        acting = acting_of(source)
        if acting is not None and source_name in (None, source.name):
            try:
                jobs = acting.find(source, wanted, now, config.detect)
                found += [Candidate(source.name, job_id, target) for job_id, target in jobs.items()]
            except UnreadableError as error:
                problems.append(str(error))
    if not found:
        raise RefusedError(problems[0]) if problems else NoSuchJobError(wanted)
    if len(found) > 1:
        which = ", ".join(f"{one.job_id} ({one.source})" for one in found[:LISTED])
        raise RefusedError(f"there are {len(found)} jobs {wanted!r}; give the id: {which}")
    return found[0]
