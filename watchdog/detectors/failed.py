"""`failed`: the breaker tripped. The scheduler has given the job up and nothing in it brings the job back."""

from collections.abc import Iterator

from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import RulesForAll


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each job whose status is `failed`."""
    for job in now.doubtful(snapshot.jobs):
        if job.status == "failed":
            run = job.last_run
            yield about(
                snapshot,
                job,
                Kind.FAILED,
                Severity.CRITICAL,
                job.updated_at,
                f"{job.name} was given up{_when(job)}{_errors(job)}{_error(job)}",
                consecutive_errors=job.consecutive_errors,
                last_run_at=run.started_at if run else None,
                last_error=run.error if run else None,
                error_class=run.error_class if run else None,
                sweep_at=job.sweep_at,
            )


def _when(job: Job) -> str:
    return f" at {say(job.updated_at)}" if job.updated_at else ""


def _errors(job: Job) -> str:
    if job.consecutive_errors == 1:
        return " after an error"
    return f" after {job.consecutive_errors} errors in a row" if job.consecutive_errors else ""


def _error(job: Job) -> str:
    return f": {job.last_run.error}" if job.last_run and job.last_run.error else ""
