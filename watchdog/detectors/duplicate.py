"""`duplicate`: the same slot was run twice, or two jobs do the same at the same times."""

from collections.abc import Iterator

from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Job, RepeatedRun, RunEnd, Snapshot, Twin
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import RulesForAll


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each job whose last recorded run repeated one that had been done, or that repeats another."""
    for job in now.doubtful(snapshot.jobs):
        if job.twin is not None and job.is_planned:
            yield from _doubled(snapshot, job, job.twin)
            continue
        twice = job.repeated
        if twice is not None:
            yield about(
                snapshot,
                job,
                Kind.DUPLICATE,
                Severity.WARNING,
                twice.second_start,
                f"{job.name} ran twice for {say(twice.slot)}: the first run {_first(twice)}, "
                f"the second started at {say(twice.second_start)}",
                slot=twice.slot,
                first_run_started_at=twice.first_start,
                first_run_ended_at=twice.first_end.at if twice.first_end else None,
                first_run_event_id=twice.first_end.id if twice.first_end else None,
                first_run_tokens=_tokens(twice.first_end),
                second_run_started_at=twice.second_start,
                first_run_record=twice.first_record,
                second_run_record=twice.second_record,
            )


def _doubled(snapshot: Snapshot, job: Job, twin: Twin) -> Iterator[Finding]:
    made = f", made at {say(twin.made_at)}" if twin.made_at else ""
    yield about(
        snapshot,
        job,
        Kind.DUPLICATE,
        Severity.WARNING,
        None,
        f"{job.name} is there twice and runs twice for each fire: {job.id} repeats {twin.job_id}{made} in all it does",
        twin_job_id=twin.job_id,
        twin_made_at=twin.made_at,
    )


def _first(twice: RepeatedRun) -> str:
    if twice.first_end:
        return f"ended at {say(twice.first_end.at)}"
    started = f"started at {say(twice.first_start)} and " if twice.first_start else ""
    return f"{started}was never recorded"


def _tokens(end: RunEnd | None) -> int | None:
    return (end.input_tokens or 0) + (end.output_tokens or 0) if end else None
