"""What cannot be seen of a scheduler by its rows, each thing once, however many jobs it hides."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from watchdog.core.instants import say
from watchdog.core.kinds import Kind
from watchdog.core.model import Unseen
from watchdog.systems.sql.plans import Gap

TIMELY = (Kind.STALLED, Kind.OVERDUE)
OF_RUNS = (*TIMELY, Kind.WEDGED, Kind.LONG_RUN, Kind.FAILING, Kind.ZERO_TOKENS)


@dataclass
class Hidden:
    """What one look came upon: the zones that are not known, and why runs are not written, each as often as it did."""

    zones: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)


def unseen(hidden: Hidden, lost: Collection[Gap], *, hides_jobs: bool) -> tuple[Unseen, ...]:
    """All of it. `lost`: a gap for each job that was due in it; `hides_jobs`: no job is there, and policies apply."""
    return (*_zones(hidden), *_runs(hidden), *_gaps(lost), *(_NO_JOB if hides_jobs else ()))


def _zones(hidden: Hidden) -> Iterator[Unseen]:
    for zone in dict.fromkeys(hidden.zones):
        count = _jobs(hidden.zones.count(zone))
        yield Unseen(f"the time zone {zone} of {count} is not known", TIMELY, "name another one")


def _runs(hidden: Hidden) -> Iterator[Unseen]:
    for why in dict.fromkeys(hidden.runs):
        count = _jobs(hidden.runs.count(why))
        yield Unseen(f"no run of {count} can be seen: {why}", OF_RUNS, "have them written")


def _gaps(lost: Collection[Gap]) -> Iterator[Unseen]:
    for gap in dict.fromkeys(lost):
        count = sum(other == gap for other in lost)
        between = f"the runs between {say(gap.after)} and {say(gap.until)} are not there any more"
        was = "was" if count == 1 else "were"
        yield Unseen(f"{between}, when {_jobs(count)} {was} due", TIMELY, "keep runs for longer")


_NO_JOB = (Unseen("no job can be seen, and row security is applied", (*OF_RUNS, Kind.VANISHED), "see to the policies"),)


def _jobs(count: int) -> str:
    return "1 job" if count == 1 else f"{count} jobs"
