"""`wedged`: a run holds the slot beyond the run limit, or a leaked busy flag has its job skipped on every pass."""

from collections.abc import Iterator
from datetime import timedelta

from watchdog.core.durations import say_duration
from watchdog.core.fields import Duration
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.about import about, last_ran
from watchdog.detectors.lateness import due_at, is_passed_over, late_since, starts_since
from watchdog.detectors.rules import Rule, Rules, RulesForAll


class Wedged(Rule):
    """A run that cannot end any more.

    `run_limit`: how long a run may hold the slot: the agent's own 240 minutes and a margin. `started_after`: another
    job's start this long after the due time proves that the scheduler turns.
    """

    kind = Kind.WEDGED

    run_limit: Duration = timedelta(minutes=245)
    started_after: Duration = timedelta(minutes=5)


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each wedged job; a run of a deleted job that holds the slot is one about its id."""
    for job in now.doubtful(snapshot.jobs):
        rules = settings.of(job)
        if job.in_flight_since is not None:
            yield from _held_slot(snapshot, job, now, settings)
        else:
            yield from _leaked_flag(snapshot, job, now, rules)
    yield from _departed(snapshot, now, settings)


def _held_slot(snapshot: Snapshot, job: Job, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    started = job.in_flight_since
    limit = job.terms.run_limit or settings.of(job)[Wedged].run_limit
    what = "holds the only slot" if snapshot.traits.has_one_slot else "has been in flight"
    if started and now.reached(now.lived_through(started, limit)) and _is_proved(snapshot, job, now, settings):
        yield about(
            snapshot,
            job,
            Kind.WEDGED,
            Severity.CRITICAL,
            started + limit,
            f"{job.name} is stuck in the run that started at {say(started)}: it {what} for longer than "
            + say_duration(limit)
            + (", so nothing else can run" if snapshot.traits.has_one_slot else ""),
            how="held_slot" if snapshot.traits.has_one_slot else "long_in_flight",
            in_flight_since=started,
            run_limit=limit,
            last_duration=job.last_run.duration if job.last_run else None,
        )


def _is_proved(snapshot: Snapshot, job: Job, now: Moment, settings: RulesForAll) -> bool:
    """Whether the run must still be in flight. Where a start is not marked and nobody can see the scheduler's process,
    the run may have ended with it: then only a job that is late behind it tells."""
    process, started = snapshot.process, job.in_flight_since
    has_lived = process.started_at or (process.since and started and process.since <= started)
    if snapshot.traits.marks_starts or not snapshot.traits.has_one_slot or (process.is_alive and has_lived):
        return True
    return any(late_since(other, now, settings.of(other)) for other in snapshot.jobs if other.id != job.id)


def _leaked_flag(snapshot: Snapshot, job: Job, now: Moment, rules: Rules) -> Iterator[Finding]:
    deadline = late_since(job, now, rules)
    if deadline is None or not is_passed_over(job, rules[Wedged].started_after):
        return
    others = starts_since(job, snapshot)
    yield about(
        snapshot,
        job,
        Kind.WEDGED,
        Severity.CRITICAL,
        deadline,
        f"{job.name} {last_ran(job)}: its busy flag leaked{_proof(others)}",
        how="leaked_flag",
        due_at=due_at(job),
        deadline=deadline,
        last_run_at=job.last_started_at,
        other_job=others[0].name if others else None,
        other_starts_since_due=others[1] if others else None,
        last_other_start=snapshot.last_other_start(job.id),
    )


def _proof(others: tuple[Job, int] | None) -> str:
    if others is None:
        return " (another job has started since it was due)"
    other, count = others
    return f" ({other.name} has started {'once' if count == 1 else f'{count} times'} since it was due)"


def _departed(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    hold = snapshot.departed.in_flight
    limit = settings[Wedged].run_limit
    if hold and now.reached(now.lived_through(hold.since, limit)):
        yield Finding(
            snapshot.source,
            Kind.WEDGED,
            Severity.CRITICAL,
            hold.job_id,
            None,
            hold.since + limit,
            f"a run of a deleted job holds the only slot since {say(hold.since)}, so nothing else can run",
            {"how": "held_slot", "in_flight_since": hold.since, "run_limit": limit},
        )
