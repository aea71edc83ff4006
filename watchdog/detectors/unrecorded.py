"""`unrecorded`: a run ended and its outcome was never written down; after a restart the job runs again."""

from collections.abc import Iterator
from datetime import timedelta

from watchdog.core.fields import Duration
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Process, RunEnd, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import Rule, RulesForAll


class Unrecorded(Rule):
    """The run's end is newer than the row by over `lag`, and older than `after`.

    `lag`: how much later than the row it must be. `after`: how long ago it must have ended.
    """

    kind = Kind.UNRECORDED

    lag: Duration = timedelta(seconds=1)
    after: Duration = timedelta(minutes=5)


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each planned job whose newest run end is newer than its row, and not brand new."""
    for job in now.doubtful(snapshot.jobs):
        rule = settings.of(job)[Unrecorded]
        end = job.unrecorded_end
        if end is None or not job.is_planned or job.updated_at is None or end.at - job.updated_at <= rule.lag:
            continue
        fire = job.terms.unrecorded_for or job.next_run_at
        is_owed = fire is not None and fire <= end.at
        if not is_owed and not _has_lived_since(snapshot.process, end):
            continue  # it was asked for by hand, and a restart that nobody saw has ended it
        # a machine that sleeps delivers no result meanwhile
        since = now.lived_through(end.at, rule.after)
        if now.reached(since):
            yield about(
                snapshot,
                job,
                Kind.UNRECORDED,
                Severity.CRITICAL,
                since,
                f"{job.name} finished a run at {say(end.at)} whose outcome was never written down: "
                f"it still holds the slot{', and a restart runs it again' if is_owed else ''}",
                ended_at=end.at,
                event_id=end.id,
                updated_at=job.updated_at,
                next_run_at=job.next_run_at,
                last_recorded_run_at=job.last_run.started_at if job.last_run else None,
            )


def _has_lived_since(process: Process, end: RunEnd) -> bool:
    """Whether the scheduler's process is known to be the one that made the run."""
    return process.is_alive is True and process.started_at is not None and process.started_at <= end.at
