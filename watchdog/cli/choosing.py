"""Which jobs are meant: by state, by name, in which order."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from watchdog.cli.endings import CannotGoOn
from watchdog.core.instants import EPOCH
from watchdog.core.nearest import meant, wider

if TYPE_CHECKING:
    from watchdog.core.model import Job
    from watchdog.detectors.published import Published, SourceState

WRONG, WELL, RUNNING = "wrong", "well", "running"

Order = Callable[["Job", Collection[str]], Any]

ORDERS: dict[str, Order] = {
    "name": lambda job, found: job.name.casefold(),
    "state": lambda job, found: (not found, job.state == "active", job.state, job.name.casefold()),
    "last": lambda job, found: -(job.last_started_at or EPOCH).timestamp(),
    "next": lambda job, found: (job.next_run_at is None, job.next_run_at or EPOCH),
    "tokens": lambda job, found: -((job.totals.input_tokens or 0) + (job.totals.output_tokens or 0)),
}
"""What jobs can be sorted by: what is wrong, what ran last, what is next and what used most come first."""


def words() -> list[str]:
    """All that a job can be chosen by as its state."""
    from watchdog.core.kinds import Kind
    from watchdog.core.model import STATES

    return list(dict.fromkeys([*STATES, RUNNING, WRONG, WELL, *(kind.value for kind in Kind)]))


def completed(context: object, parameter: object, begun: str) -> list[str]:
    """Those of the words that begin so, for a shell that completes them."""
    return [word for word in words() if word.startswith(begun)]


def known_states(states: Iterable[str]) -> frozenset[str]:
    """The words, if all of them are known. Raises CannotGoOn."""
    known = words()
    wanted = {state.casefold() for state in states}
    for state in sorted(wanted - set(known)):
        hint = meant(state, known) or f"; known: {', '.join(known)}"
        raise CannotGoOn(f"no job is ever {state!r}{hint}")
    return frozenset(wanted)


def instead(published: Published, states: Collection[str], pattern: str) -> str:
    """The same for a pattern that none of the jobs in these states matches."""
    jobs = chosen(published, states, None, None)
    return wider(pattern, [job.name for source in jobs.sources for job in source.snapshot.jobs])


def chosen(published: Published, states: Collection[str], match: str | None, sort: str | None) -> Published:
    """The same with the jobs that are wanted, in the order that is wanted."""
    return replace(published, sources=tuple(_of(source, states, match, sort) for source in published.sources))


def _of(source: SourceState, states: Collection[str], match: str | None, sort: str | None) -> SourceState:
    found: dict[str, set[str]] = {}
    for finding in source.diagnosis.findings:
        if finding.job_id is not None:
            found.setdefault(finding.job_id, set()).add(finding.kind.value)
    jobs = [
        job
        for job in source.snapshot.jobs
        if (not states or _words(job, found.get(job.id, ())) & set(states)) and _is_called(job, match)
    ]
    if sort is not None:
        jobs.sort(key=lambda job: ORDERS[sort](job, found.get(job.id, ())))
    return replace(source, snapshot=replace(source.snapshot, jobs=tuple(jobs)))


def _words(job: Job, found: Collection[str]) -> set[str]:
    return {job.state, *found, WRONG if found else WELL, *([RUNNING] if job.in_flight_since else [])}


def _is_called(job: Job, pattern: str | None) -> bool:
    if pattern is None:
        return True
    wanted, name = pattern.casefold(), job.name.casefold()
    return wanted in (name, job.id.casefold()) or fnmatchcase(name, wanted)
