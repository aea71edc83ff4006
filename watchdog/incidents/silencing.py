"""What a silence is about when it is asked for: one of nothing that is there is a slip of the pen, after which people
are told of what they believe to be silenced."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from watchdog.core.command_line import PROGRAM
from watchdog.core.incident import Incident
from watchdog.core.model import Finding
from watchdog.core.nearest import wider
from watchdog.core.silences import Silence, means_incident, means_job, read_match, silenced_until, unknown_field
from watchdog.detectors.published import Published


class Named(NamedTuple):
    """A job as it can be silenced."""

    source: str
    job: str
    job_id: str


class NoSuchJobError(ValueError):
    """No job is like that now; one line, to which the caller adds how jobs to come are silenced."""


def jobs_now(published: Published) -> list[Named] | None:
    """Each job there is; None where not all can be seen."""
    if any(state.snapshot.problem for state in published.sources):
        return None
    seen = ((state.snapshot.source, job) for state in published.sources for job in state.snapshot.jobs)
    return [Named(source, job.name, job.id) for source, job in seen]


def what_fits(
    wanted: Silence,
    incidents: Sequence[Incident],
    jobs: Sequence[Named] | None,
    *,
    ahead: bool,
    loose: Sequence[Finding] = (),
) -> str:
    """How much a silence is about now. `loose`: what is wrong and in none of the incidents; `ahead`: for jobs to come.

    Raises NoSuchJobError for one of nothing that is there, and ValueError for one of an incident that is not open.
    """
    wrong = [(one.id, member.finding) for one in incidents for member in one.members.values() if member.active]
    found = sum(wanted.fits(finding, number) for number, finding in wrong)
    found += sum(wanted.fits(finding) for finding in loose)
    told = f"{found} of what is wrong now" if found else "nothing that is wrong now"
    is_of_one = any(name == "incident" for name, _ in read_match(wanted.match))
    if is_of_one and not any(means_incident(wanted.match, one.id) for one in incidents):
        raise ValueError(no_such_incident(wanted.match))
    if jobs is None or is_of_one:
        return f"it fits {told}"
    fitting = sum(means_job(wanted.match, *job) for job in jobs)
    if fitting:
        return f"it fits {fitting} {'job' if fitting == 1 else 'jobs'}, and {told}"
    if found or ahead:
        return f"it fits no job now, and {told}"
    raise NoSuchJobError(no_such_job(wanted.match, [job.job for job in jobs]))


def quiet_until(incident: Incident, silences: Sequence[Silence], at: datetime) -> datetime | None:
    """Until when nobody is told of any of an incident; None if somebody is."""
    return silenced_until([member.finding for member in incident.own], silences, at, incident.id)


def job_of(match: str, jobs: Iterable[tuple[str | None, str | None]]) -> str:
    """What the job is called whose id is all that a match says, by the ids and names of jobs; empty where it says
    another thing, or none has that id."""
    return next((name for job_id, name in jobs if job_id and name and match == f"job_id={job_id}"), "")


def no_such_incident(match: str) -> str:
    """What is said of a match of an incident where none of that number is open."""
    return f"{match!r} is about no incident that is open; `{PROGRAM} incidents` lists them"


def no_such_job(match: str, names: Collection[str]) -> str:
    """That what is to be silenced is like no job there is, and what may have been meant."""
    pattern = next((text for name, text in read_match(match) if name == "job"), match)
    return f"no job is like {match!r}{unknown_field(match) or wider(pattern, names)}"
