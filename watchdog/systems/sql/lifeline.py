"""What is known of the scheduler's process by its health address and by what it plans, and what that means for the
runs in flight."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.core.model import Interruption, Job, Process, Snapshot
from watchdog.systems.shared.health import Hearing
from watchdog.systems.shared.host import Host
from watchdog.systems.sql.runs import NOT_MADE_UP

_NAME, _DIED = "lifeline", "died"

SILENT = timedelta(minutes=1)
"""For how long a scheduler that plans ahead may be behind, before its process counts as gone; and how long one gets to
come to it when this machine has slept."""

PLANS_NOTHING = "it plans nothing any more: its process is down, or frozen"


@dataclass(frozen=True, slots=True)
class Planned:
    """By when a scheduler that lives has planned each job anew, by its id, as the rows said it at an instant."""

    by: Mapping[str, datetime]
    at: datetime


class Planning:
    """What its plans tell of the process, from look to look. What was read holds for when it was read, not for now."""

    def __init__(self) -> None:
        self._read: Planned | None = None
        self._looked_at: datetime | None = None
        self._moves_on = False
        self._lived_at: datetime | None = None
        self._behind: tuple[datetime, datetime] | None = None  # with what, and from when on that counts

    def process(self, planned: Planned, now: datetime) -> Process:
        """Gone where it is behind with what it plans, and not only since this machine slept."""
        has_slept = self._looked_at is not None and now - self._looked_at > SILENT
        self._looked_at = now
        self._note_life(planned)
        until = min((by for by in planned.by.values() if not self._is_stuck(by)), default=None)
        if until is None or planned.at - until < SILENT:
            self._behind = None
            return Process()
        if self._behind is None or self._behind[0] != until:
            self._behind = (until, now if has_slept else until)
        is_gone = not self._moves_on and planned.at - self._behind[1] >= SILENT
        return Process(is_alive=False, since=until, ails=PLANS_NOTHING) if is_gone else Process()

    def _note_life(self, planned: Planned) -> None:
        """Whether a job was planned anew since the read before: then it lived after that."""
        before = self._read
        if before is None or before.at != planned.at:
            known = before.by if before else {}
            self._moves_on = any(id_ in known and by > known[id_] for id_, by in planned.by.items())
            self._lived_at = before.at if before and self._moves_on else self._lived_at
            self._read = planned

    def _is_stuck(self, by: datetime) -> bool:
        """Whether others were planned anew after this one was to be: then it is its row alone that is not."""
        return self._lived_at is not None and by < self._lived_at


class Lifeline:
    """Remembers when the process was first known to be gone: no run outlives it, whatever the rows say."""

    def __init__(self, host: Host) -> None:
        self._hearing = Hearing(host)
        self._memory = host.memory
        self._died_at = host.memory.recall(_NAME, datetime).get(_DIED)
        self._planning = Planning()

    def heard(self, read: Snapshot, now: datetime, planned: Planned) -> Snapshot:
        """What was read, as far as what is known of the process allows it: a run ends with its process."""
        process = self._hearing.joined(self._planning.process(planned, now), now)
        if process.health:
            process = replace(process, ails="")
        if process == Process() and self._died_at is None:
            return read
        self._note_death(process, read, now)
        ended_at = max((at for at in (self._died_at, process.started_at) if at), default=None)
        if ended_at is None:
            return replace(read, process=process)
        jobs = tuple(_without_run(job, ended_at, process.started_at) for job in read.jobs)
        return replace(read, jobs=jobs, process=process)

    def _note_death(self, process: Process, read: Snapshot, now: datetime) -> None:
        """Remember when the process was first known to be gone. That a job has run since shows that it was not."""
        died_at = self._died_at
        if process.is_alive is False:
            died_at = died_at or now
        elif died_at is not None and process.is_alive is None:
            signs = [at for job in read.jobs for at in (job.last_started_at, job.last_end and job.last_end.at) if at]
            died_at = None if any(at > died_at for at in signs) else died_at
        if died_at != self._died_at:
            self._died_at = died_at
            self._memory.keep(_NAME, {_DIED: died_at})


def _without_run(job: Job, ended_at: datetime, restarted_at: datetime | None) -> Job:
    """The job, its run broken off if it had begun before its process ended."""
    waits = job.waits_for if job.waits_for and job.waits_for.since > ended_at else None
    begun = job.in_flight_since
    if begun is None or begun > ended_at:
        return job if waits == job.waits_for else replace(job, waits_for=waits)
    again = restarted_at if restarted_at and restarted_at > begun else None
    return replace(
        job, in_flight_since=None, waits_for=waits, interrupted=Interruption(begun, again, outlook=NOT_MADE_UP)
    )
