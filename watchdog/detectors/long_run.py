"""`long_run`: a run takes far longer than that job's runs do, and is not yet wedged."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from watchdog.core.durations import say_duration
from watchdog.core.fields import Duration, bounds
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import Rule, Rules, RulesForAll
from watchdog.detectors.wedged import Wedged


class LongRun(Rule):
    """A run that takes far longer than the last one.

    `floor`: shorter runs are never long. `factor`: how many times the last recorded run it must take.
    """

    kind = Kind.LONG_RUN

    floor: Duration = timedelta(minutes=30)
    factor: Annotated[float, bounds(ge=1, le=1000)] = 3.0


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each run in flight that is longer than the floor and than so many times the last one.

    What is beyond the run limit is long in any case: it may be that nothing proves yet that it is wedged.
    """
    for job in now.doubtful(snapshot.jobs):
        if job.in_flight_since is None:
            continue
        limit = _limit(job, settings.of(job))
        if now.reached(now.lived_through(job.in_flight_since, limit)):
            yield about(
                snapshot,
                job,
                Kind.LONG_RUN,
                Severity.WARNING,
                job.in_flight_since + limit,
                f"{job.name} has been running since {say(job.in_flight_since)}, {_usual(job)}"
                + ("; until it ends nothing else can run" if snapshot.traits.has_one_slot else ""),
                in_flight_since=job.in_flight_since,
                limit=limit,
                last_duration=job.last_run.duration if job.last_run else None,
            )


def _limit(job: Job, rules: Rules) -> timedelta:
    usual, rule = job.last_run.duration if job.last_run else None, rules[LongRun]
    long = max(rule.floor, usual * rule.factor) if usual else rule.floor
    return min(long, job.terms.run_limit or rules[Wedged].run_limit)


def _usual(job: Job) -> str:
    usual = job.last_run.duration if job.last_run else None
    return f"its last run took {say_duration(usual)}" if usual else "and no run of it has been recorded yet"
