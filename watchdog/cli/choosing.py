"""Which jobs are meant: by state, by name, in which order; and what was probably meant by a word that is not known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from watchdog.cli.endings import CannotGoOn
from watchdog.core.command_line import PROGRAM
from watchdog.core.instants import EPOCH

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


def meant(word: str, known: Iterable[str]) -> str:
    """What was probably meant, as the end of a sentence; empty where nothing is near."""
    by_case = {one.casefold(): one for one in known}
    near = get_close_matches(word.casefold(), by_case, 1)
    return f"; is {by_case[near[0]]!r} meant?" if near else ""


def called_like(word: str, names: Iterable[str]) -> list[str]:
    """The names that a word is a part of, or that it fits as a pattern."""
    wanted = word.casefold()
    return [name for name in names if wanted in name.casefold() or fnmatchcase(name.casefold(), wanted)]


NAMED = 3
"""Jobs that are named where what was typed may mean several."""


def which_whole(word: str, names: Iterable[str]) -> str:
    """The whole name that was probably meant where a name has to be whole, as the end of a sentence; else empty."""
    known = list(names)
    found = called_like(word, known)
    if len(found) < 2:
        return f"; is {found[0]!r} meant?" if found else meant(word, known)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"; give the whole name: {', '.join(map(repr, found[:NAMED]))}{more}"


def wider(pattern: str, names: Collection[str]) -> str:
    """What would match where a pattern matches nothing, as the end of a sentence; empty where nothing is near."""
    count = len(called_like(pattern, names))
    many = f"; '*{pattern}*' would match {count} {'job' if count == 1 else 'jobs'}"
    return many if count else meant(pattern, names)


def no_such_incident(match: str) -> str:
    """What is said of a match of an incident where none of that number is open."""
    return f"{match!r} is about no incident that is open; `{PROGRAM} incidents` lists them"


def no_such_job(match: str, names: Collection[str]) -> str:
    """That what is to be silenced is like no job there is, and what may have been meant."""
    from watchdog.core.silences import read_match

    pattern = next((text for name, text in read_match(match) if name == "job"), match)
    return f"no job is like {match!r}{wider(pattern, names)} (--ahead silences jobs that are to come)"


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
