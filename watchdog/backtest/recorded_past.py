"""The past of a scheduler that keeps little of it: what the watchdog wrote down while it looked, and what is there now.

Runs, their outcomes and states are replayed; whether a run came late is not, for when it was due nobody wrote down.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from watchdog.config.sources import Section
from watchdog.core.instants import say
from watchdog.core.model import Job, RunEnd
from watchdog.state.history import Run, runs_of
from watchdog.systems.opening import open_source
from watchdog.systems.shared.error_counts import Deeds, count_errors
from watchdog.systems.shared.own_record import OwnRecord, own_record
from watchdog.systems.shared.past import (
    AS_NOW,
    Change,
    JobPast,
    PastError,
    PastRun,
    RunLog,
    SourcePast,
    gone_owner,
    outcome_of,
    seconds_of,
)

LOOK_BACK = timedelta(days=7)
"""How much of the time before is read, so that what began then is known."""

GAPS = (
    "not replayed: overdue, stalled and leaked flags, before each job's newest run; when it was due is not on record",
    "known only of each job's newest run: undelivered, interrupted, duplicate, invalid",
    "not replayed: acknowledgements; and unreachable, for it leaves no trace",
)


def recorded_past(source: Section, state: Path | None, since: datetime, until: datetime) -> SourcePast:
    """The past of one scheduler. Raises PastError if it cannot be read now."""
    now = open_source(source).look(until).snapshot
    if now.problem:
        raise PastError(f"{source.name} cannot be read: {now.problem}")
    begins = since - LOOK_BACK
    own = own_record(state, source.name, begins)
    known = own or OwnRecord()
    gone = tuple(sorted(known.runs.keys() - {job.id for job in now.jobs}))
    log = _log(now.jobs, gone, known, source.name)
    numbers = log.by_owner()
    jobs = tuple(_job_past(job, log, numbers[place], known) for place, job in enumerate(now.jobs))
    records = (_words(log), *([] if own else [f"no record of the watchdog's own ({state} is not there)"]))
    return SourcePast(now, jobs, log, begins, until, knows_cadence=False, gone=gone, records=records, gaps=GAPS)


def _log(jobs: Iterable[Job], gone: Iterable[str], own: OwnRecord, source: str) -> RunLog:
    """The runs of all jobs in order: those on record, and those that the scheduler itself still shows."""
    found: list[tuple[int, int, PastRun]] = []
    for place, job in enumerate(jobs):
        shown = {seconds_of(run.ended_at): _past_run(run) for run in runs_of(source, job)}
        found += [(second, place, run) for second, run in (shown | own.runs.get(job.id, {})).items()]
    for place, id_ in enumerate(gone):
        found += [(second, gone_owner(place), run) for second, run in own.runs[id_].items()]
    log = RunLog()
    for _, owner, run in sorted(found, key=lambda item: item[:2]):
        log.add(owner, run)
    return log


def _past_run(run: Run) -> PastRun:
    end = RunEnd(0, run.ended_at, run.input_tokens, run.output_tokens)
    return PastRun(end, run.started_at, run.duration, outcome_of(run.status), error=run.error)


def _job_past(job: Job, log: RunLog, numbers: list[int], own: OwnRecord) -> JobPast:
    changes = own.changes.get(job.id, [])
    resets = [change.at for change in changes if change.state == "active"]
    # without its breaker: the pauses of another scheduler prove nothing
    count_errors(log, numbers, replace(job, breaker=None), Deeds(resets))
    known = [log.ended_at(numbers[-1]) if numbers else None, job.updated_at, changes[-1].at if changes else None]
    settled = max((at for at in known if at), default=None)
    kept = [change for change in changes if settled is None or change.at < settled]
    last = [Change(settled, AS_NOW)] if settled else []
    return JobPast(job, (*kept, *last), before=own.before.get(job.id))


def _words(log: RunLog) -> str:
    if not len(log):
        return "no run is on record"
    runs = "1 run is" if len(log) == 1 else f"{len(log):,} runs are"
    return f"only {runs} on record, from {say(log.ended_at(0))}"
