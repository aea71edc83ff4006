"""What everybody sees after a tick: each source as last judged."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from watchdog.core.model import Finding, Job, Snapshot
from watchdog.detectors.diagnosis import Diagnosis


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source as last judged. `read_at`: when its state was last known to be current; None if never.

    `missed`: for each late job how many fires have gone by since the one that it owes. `restart`: the command by which
    the operator has its agent restarted, where one is named. `brought_back`: for those who tell of it, when
    each job was of which a run has yet to show whether that has helped.
    """

    snapshot: Snapshot
    diagnosis: Diagnosis
    judged_at: datetime
    read_at: datetime | None
    deadlines: Mapping[str, datetime] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)
    restart: str = ""
    brought_back: Mapping[str, datetime] = field(default_factory=dict)


class EveryJob(Mapping[tuple[str, str], Job]):
    """All jobs by their source and their id, found where they are held: nothing is put together for a few questions."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        self._of = {snapshot.source: snapshot for snapshot in snapshots}

    def __getitem__(self, key: tuple[str, str]) -> Job:
        """The job; KeyError where there is none."""
        return self._of[key[0]].by_id[key[1]]

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """All keys, source by source."""
        return ((source, job.id) for source, snapshot in self._of.items() for job in snapshot.jobs)

    def __len__(self) -> int:
        """How many there are."""
        return sum(len(snapshot.jobs) for snapshot in self._of.values())


@dataclass(frozen=True, slots=True)
class Published:
    """What everybody sees after a tick. `version` grows only when something in it has changed.

    `own`: what the watchdog knows from its own records, such as a job that the scheduler has deleted. `to_follow`: of
    what was found, what recovery brings back as soon as its turn in a storm has come. `unproved`: for those who
    tell of it, what was critical, and is so until the next run of its job, which was brought back, has ended well.
    """

    sources: tuple[SourceState, ...]
    version: int = 0
    own: tuple[Finding, ...] = ()
    to_follow: tuple[Finding, ...] = ()
    unproved: tuple[Finding, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings of all sources, and those of the watchdog's own memory."""
        return (*(finding for state in self.sources for finding in state.diagnosis.findings), *self.own)

    @property
    def jobs(self) -> EveryJob:
        """All jobs of all sources."""
        return EveryJob([state.snapshot for state in self.sources])

    @property
    def look_again_at(self) -> datetime | None:
        """The next instant at which a judgement could change without anything being written."""
        instants = (state.diagnosis.look_again_at for state in self.sources)
        return min((instant for instant in instants if instant), default=None)
