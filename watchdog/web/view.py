"""The first page, worked out before any template: pure, from a posting and what the state file tells."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.core.action import Action, State
from watchdog.core.incident import unproved_of, until_proved
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding
from watchdog.detectors.published import Published
from watchdog.incidents.report import verdict
from watchdog.incidents.silencing import job_of
from watchdog.state.history import JobKey
from watchdog.web.advice import unsilence
from watchdog.web.deeds import Recoveries, recoveries
from watchdog.web.listing import Table, Wanted, table
from watchdog.web.problems import Problem, problems, title_of
from watchdog.web.published_state import Posting
from watchdog.web.shown import Known, When, incident_url, one_of_many, when

_SHOWN = 50
"""Problems on the first page."""

_OVER = 10
"""Incidents that are over and named on the first page."""


@dataclass(frozen=True, slots=True)
class Past:
    """An incident that is over."""

    number: int
    title: str
    url: str
    began: When
    ended: When
    over: When
    source: str = ""


@dataclass(frozen=True, slots=True)
class Hush:
    """A silence that has not ended."""

    number: int
    match: str
    ends: When
    by: str
    end: str
    """The command that ends it."""

    job: str = ""
    """What the job is called that it says by its id."""


@dataclass(frozen=True, slots=True)
class Front:
    """The first page. `more`: problems that are not shown."""

    verdict: str
    headline: str
    now: When
    problems: tuple[Problem, ...]
    more: int
    table: Table
    recoveries: Recoveries
    over: tuple[Past, ...]
    silences: tuple[Hush, ...]


def front(posting: Posting, wanted: Wanted, known: Callable[[Sequence[JobKey]], Known]) -> Front:
    """All of the first page. `known` is asked for what stands beside the jobs that are shown."""
    now, published = posting.at, posting.published
    beside = known(())
    notes = beside.notes
    recent = [i for i in notes.incidents if i.ended_at and now - i.ended_at <= timedelta(days=7)]
    shown = problems(posting, beside)
    unproved = unproved_of(posting.incidents)
    return Front(
        "UNKNOWN" if _is_unread(published) else verdict((*published.findings, *unproved)),
        _with_unproved(headline(published), unproved, published.findings),
        when(now, now),
        shown[:_SHOWN],
        len(shown[_SHOWN:]),
        table(posting, wanted, known),
        recoveries([one for one in notes.actions if _is_news(one, now)], beside, now),
        tuple(
            Past(
                i.id,
                title_of(i),
                incident_url(i.id),
                when(i.headline_since, now),
                when(i.ended_at, now),
                when(i.resolved_at, now),
                one_of_many(i.source, beside),
            )
            for i in recent[:_OVER]
            if i.ended_at and i.resolved_at
        ),
        tuple(
            Hush(
                s.id,
                s.match,
                when(s.ends_at, now),
                s.by,
                unsilence(s.id, beside.config),
                silenced_job(s.match, published),
            )
            for s in notes.silences
            if s.ends_at > now
        ),
    )


def silenced_job(match: str, published: Published) -> str:
    """What the job is called whose id alone a silence says."""
    return job_of(match, ((job.id, job.name) for state in published.sources for job in state.snapshot.jobs))


def headline(published: Published) -> str:
    """How many jobs are how badly off, in one line."""
    findings = published.findings
    jobs = sum(len(state.snapshot.jobs) for state in published.sources)
    if _is_unread(published):
        return "The first look is still going on."
    if not findings:
        return "There are no jobs." if not jobs else "All is well." if jobs > 1 else "The job is well."
    gravest: dict[tuple[str, str | None], Finding] = {}
    for finding in sorted(findings, key=lambda finding: finding.severity is not Severity.CRITICAL):
        gravest.setdefault((finding.source, finding.job_id), finding)
    own = [finding for finding in gravest.values() if finding.caused_by is None]
    late = [finding for finding in gravest.values() if finding.caused_by is not None] if own else []
    own = own or list(gravest.values())
    grave = sum(finding.severity is Severity.CRITICAL for finding in own)
    found = {finding.key for finding in findings}
    told = sum((one.source, one.caused_by.kind, one.caused_by.job_id) in found for one in late if one.caused_by)
    parts = [f"{grave} critical"] if grave else []
    parts += [f"{len(own) - grave} {'warning' if len(own) - grave == 1 else 'warnings'}"] if len(own) > grave else []
    parts += [f"{told} late because of it"] if told else []
    parts += [f"{len(late) - told} waiting for a run"] if len(late) > told else []
    return ", ".join(parts)


def _with_unproved(said: str, unproved: Sequence[Finding], found: Sequence[Finding]) -> str:
    """The headline, and how much of what was brought back has yet to show that it is well."""
    return f"{said.rstrip('.')}; {until_proved(unproved, found)}" if unproved else said


def _is_unread(published: Published) -> bool:
    """Whether nothing is known to be wrong, and something has never been looked at."""
    return not published.findings and any(state.read_at is None for state in published.sources)


def _is_news(action: Action, now: datetime) -> bool:
    return action.is_under_way or action.state is State.PROPOSED or now - action.created.at <= timedelta(days=2)
