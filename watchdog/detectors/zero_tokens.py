"""`zero_tokens`: a planned job's newest runs all ended without a token: the agent ran, and no model answered."""

from collections.abc import Iterator

from watchdog.core.fields import Count
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import Rule, RulesForAll


class ZeroTokens(Rule):
    """Runs that end well and have asked no model.

    `streak`: how many in a row, without a token.
    """

    kind = Kind.ZERO_TOKENS

    streak: Count = 3


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each job whose streak has reached the threshold; true since the run that completed it."""
    for job in now.doubtful(snapshot.jobs):
        streak = job.zero_streak
        wanted = settings.of(job)[ZeroTokens].streak
        if not job.is_planned or streak is None or streak.count < wanted:
            continue
        # of a streak longer than is remembered the threshold's own run is not known any more
        since = streak.firsts[wanted - 1] if wanted <= len(streak.firsts) else streak.newest
        status = job.last_run.status if job.last_run else None
        error = job.last_run.error if job.last_run else None
        yield about(
            snapshot,
            job,
            Kind.ZERO_TOKENS,
            Severity.WARNING,
            since,
            f"{job.name} does no work: its last {streak.count} runs since {say(streak.firsts[0])} used no tokens"
            + (", though the last was recorded as ok" if status == "ok" else "")
            + (f": {error}" if status == "ok" and error else ""),
            streak=streak.count,
            first_zero_at=streak.firsts[0],
            newest_zero_at=streak.newest,
            event_ids=[end.id for end in job.recent[-min(streak.count, 10) :]],
            last_run_status=status,
            last_error=error,
            error_class=job.last_run.error_class if job.last_run else None,
        )
