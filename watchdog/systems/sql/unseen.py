"""What cannot be seen of a scheduler by its rows, each thing once, however many jobs it hides."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from watchdog.core.instants import say
from watchdog.core.kinds import Kind
from watchdog.core.model import Unseen
from watchdog.systems.sql.plans import Gap
from watchdog.systems.sql.runs import shown

TIMELY = (Kind.STALLED, Kind.OVERDUE)
OF_TIMES = (*TIMELY, Kind.WEDGED, Kind.LONG_RUN)
OF_RUNS = (*TIMELY, Kind.WEDGED, Kind.LONG_RUN, Kind.FAILING, Kind.ZERO_TOKENS)


@dataclass
class Hidden:
    """What one look came upon: the zones that are not known, and why runs are not written, each with its jobs.

    `untimed`: why nobody can tell when a job ran last, by job. `twice`: jobs of which there is more than one row.
    `strays`: whose run the newest was, where runs start and none is of a job.
    """

    zones: dict[str, set[str]] = field(default_factory=dict)
    runs: dict[str, set[str]] = field(default_factory=dict)
    untimed: dict[str, str] = field(default_factory=dict)
    twice: set[str] = field(default_factory=set)
    strays: str = ""


def unseen(
    hidden: Hidden, lost: Mapping[str, Gap], there: Collection[str], known: Collection[str] | None = None
) -> tuple[Unseen, ...]:
    """All of it. `lost`: the gap of each job that was due in one; `there`: the jobs that are there; `known`: those that
    were, where none is shown and policies apply."""
    told = (_zones, _runs, _untimed, _twice, _strays)
    away = () if known is None else _policies(known)
    return (*(each for tell in told for each in tell(hidden, there)), *_gaps(lost, there), *away)


def _zones(hidden: Hidden, there: Collection[str]) -> Iterator[Unseen]:
    for zone, ids in hidden.zones.items():
        what = f"the time zone {zone} of {_jobs(ids)} is not known"
        yield Unseen(what, TIMELY, "name another one", _of(ids, there))


def _runs(hidden: Hidden, there: Collection[str]) -> Iterator[Unseen]:
    for why, ids in hidden.runs.items():
        yield Unseen(f"no run of {_jobs(ids)} can be seen: {why}", OF_RUNS, "have them written", _of(ids, there))


def _untimed(hidden: Hidden, there: Collection[str]) -> Iterator[Unseen]:
    if hidden.untimed:
        what = f"when {_jobs(hidden.untimed)} ran last cannot be read: {next(iter(hidden.untimed.values()))}"
        yield Unseen(what, OF_TIMES, "have the query return an instant", _of(hidden.untimed, there))


def _twice(hidden: Hidden, there: Collection[str]) -> Iterator[Unseen]:
    if hidden.twice:
        what = f"of {_jobs(hidden.twice)} the jobs query returns several rows that are not the same"
        yield Unseen(what, TIMELY, "have it return one row for each job", _of(hidden.twice, there))


def _strays(hidden: Hidden, there: Collection[str]) -> Iterator[Unseen]:
    if hidden.strays and there:
        what = (
            f"runs start, and none is of a job: a job_id is {shown(hidden.strays)}, an id of jobs {shown(min(there))}"
        )
        yield Unseen(what, OF_RUNS, "have both queries return the same ids", _of(there, there))


def _gaps(lost: Mapping[str, Gap], there: Collection[str]) -> Iterator[Unseen]:
    for gap in dict.fromkeys(lost.values()):
        ids = [id_ for id_, other in lost.items() if other == gap]
        between = f"the runs between {say(gap.after)} and {say(gap.until)} are not there any more"
        was = "was" if len(ids) == 1 else "were"
        yield Unseen(f"{between}, when {_jobs(ids)} {was} due", TIMELY, "keep runs for longer", _of(ids, there))


def _policies(known: Collection[str]) -> Iterator[Unseen]:
    what = "no job can be seen, and row security is applied"
    yield Unseen(what, (*OF_RUNS, Kind.VANISHED), "see to the policies", _of(known, known))


def _of(ids: Collection[str], there: Collection[str]) -> frozenset[str | None]:
    """These jobs, and the scheduler if they are all that there are."""
    return frozenset([*map(shown, ids), *([None] if len(ids) == len(there) else [])])


def _jobs(ids: Collection[str]) -> str:
    return "1 job" if len(ids) == 1 else f"{len(ids)} jobs"
