"""`undelivered`: the runs end, and their results reach nobody."""

from collections.abc import Iterator

from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import RulesForAll

_LOST = ("dropped:", "error:")


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each planned job whose last delivery was dropped or ended in an error."""
    for job in now.doubtful(snapshot.jobs):
        if job.is_planned and job.delivery_status and job.delivery_status.startswith(_LOST):
            how, _, why = job.delivery_status.partition(":")
            yield about(
                snapshot,
                job,
                Kind.UNDELIVERED,
                Severity.WARNING,
                job.last_run.ended_at if job.last_run else job.updated_at,
                f"{job.name} runs, but its last result reached nobody: "
                + (f"it was dropped ({why})" if how == "dropped" else f"the delivery failed ({why})"),
                delivery_status=job.delivery_status,
                delivery_target=job.delivery_target,
                last_run_at=job.last_run.started_at if job.last_run else None,
            )
