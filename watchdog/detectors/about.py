"""How a detector says what it found about a job."""

from datetime import datetime

from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Cause, Finding, Job, Snapshot


def about(
    snapshot: Snapshot,
    job: Job,
    kind: Kind,
    severity: Severity,
    since: datetime | None,
    summary: str,
    caused_by: Cause | None = None,
    **evidence: object,
) -> Finding:
    """A finding about one job. Evidence that is not known is left out."""
    known = {name: value for name, value in evidence.items() if value is not None}
    return Finding(snapshot.source, kind, severity, job.id, job.name, since, summary, known, caused_by)


def last_ran(job: Job) -> str:
    """`has not run since …`, `has never run`, or that no run of it is known."""
    if job.last_started_at:
        return f"has not run since {say(job.last_started_at)}"
    return "has never run" if job.terms.shows_all_runs else "is not known to have run"
