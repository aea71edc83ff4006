"""`runaway`: a planned job runs far more often than its cadence allows, and each run is paid for."""

from collections.abc import Iterator
from datetime import timedelta

from watchdog.cadence.schedule import near_clock_change, plus, words
from watchdog.core.fields import Count
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Job, Pace, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import Rule, RulesForAll

HOUR = timedelta(hours=1)


class Runaway(Rule):
    """More runs than were due; those that somebody asked for aside.

    `runs`: how many there must be at least within an hour. `times`: how many times as many as were due.
    """

    kind = Kind.RUNAWAY

    runs: Count = 10
    times: Count = 3


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each job that ran so within the hour before its newest run; over an hour after that."""
    for job in now.doubtful(snapshot.jobs):
        pace = job.pace
        if pace is None or not job.is_planned or not _is_too_often(pace, settings.of(job)[Runaway]):
            continue
        if now.reached(plus(pace.newest, HOUR)) or _clocks_changed(job, pace):
            continue
        yield about(
            snapshot,
            job,
            Kind.RUNAWAY,
            Severity.CRITICAL,
            pace.since,
            f"{job.name} runs over and over: {pace.runs} runs in the hour before {say(pace.newest)}, where "
            f"{pace.due or 'none'} {'was' if pace.due <= 1 else 'were'} due ({words(job.schedule)})",
            runs=pace.runs,
            due=pace.due,
            asked_for=pace.asked or None,
            newest_run_ended_at=pace.newest,
            last_run_status=job.last_run.status if job.last_run else None,
        )


def _clocks_changed(job: Job, pace: Pace) -> bool:
    """Whether the hour that is counted may have come twice: then its fires may come again and again."""
    return any(near_clock_change(job.schedule, at) for at in (pace.newest - HOUR, pace.newest))


def _is_too_often(pace: Pace, rule: Runaway) -> bool:
    unasked = pace.runs - pace.asked - pace.retries
    return unasked >= rule.runs and unasked > rule.times * pace.due
