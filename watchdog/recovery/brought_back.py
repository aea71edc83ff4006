"""Jobs that were brought back and have not run since: what is found of them stands until their next run, which shows
whether that has helped."""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from watchdog.core.action import Action, State
from watchdog.core.incident import awaited, unproved_of
from watchdog.core.instants import say
from watchdog.core.model import Finding, Job, Snapshot
from watchdog.detectors.published import Published, SourceState
from watchdog.state.documents import parsed, read_action, read_incident
from watchdog.state.history import JobKey
from watchdog.state.records import REVIVING
from watchdog.systems.shared.own_record import read_state, tables_of
from watchdog.systems.shared.past import PastError

_OPEN = "SELECT document FROM incidents WHERE is_open = 1 ORDER BY id"
_ACTED = "SELECT id, document FROM actions WHERE state = 'acted' ORDER BY id"


def when(actions: Iterable[Action]) -> dict[JobKey, datetime]:
    """When each job was brought back that no run has proved yet."""
    acted = (action for action in actions if action.state is State.ACTED and action.kind in REVIVING)
    return {(one.source, one.job_id): one.acted_at for one in acted if one.job_id is not None and one.acted_at}


def begun(actions: Iterable[Action]) -> dict[JobKey, datetime]:
    """Since when each job is being brought back by what is not settled yet, also where no look has come since."""
    going_on = (action for action in actions if action.is_under_way and action.kind in REVIVING)
    return {(one.source, one.job_id): one.acted_at or one.created.at for one in going_on if one.job_id is not None}


def kept_in(path: Path) -> tuple[dict[JobKey, datetime], tuple[Finding, ...]]:
    """The same from a state file, and what its incidents are critical for until a run has proved it. The file is read
    as somebody else's would be; nothing where that cannot be."""
    try:
        rows, texts = read_state(path, _rows)
    except (PastError, OSError):
        return {}, ()
    actions = (read_action(number, parsed(text)) for number, text in rows)
    incidents = (read_incident(parsed(text)) for (text,) in texts)
    return when(one for one in actions if one is not None), unproved_of(one for one in incidents if one is not None)


def _rows(db: sqlite3.Connection) -> tuple[list[tuple[int, str]], list[tuple[str]]]:
    acted = db.execute(_ACTED).fetchall() if "actions" in tables_of(db) else []
    return acted, db.execute(_OPEN).fetchall()


def since(job: Job, at: datetime | None) -> datetime | None:
    """The instant, if the job has recorded no run since; then that run tells."""
    if at is None or not job.is_planned:
        return None
    return at if job.last_run is None or job.last_run.started_at <= at else None


def told(
    published: Published, now: datetime, acted: Mapping[JobKey, datetime], unproved: Sequence[Finding] = ()
) -> Published:
    """What was found, with what a job waits for in its sentence. `unproved`: what incidents are critical for until a
    run has proved it; of which this look may have seen the end."""
    if not acted and not unproved:
        return published
    jobs = published.jobs
    waiting = [one for one in unproved if (job := jobs.get((one.source, one.job_id or ""))) and job.is_unproved]
    grave = {(one.source, one.job_id or "") for one in waiting}
    sources = tuple(_told(state, now, acted, grave) for state in published.sources)
    return replace(published, sources=sources, unproved=tuple(waiting))


def _told(
    state: SourceState, now: datetime, acted: Mapping[JobKey, datetime], grave: Collection[JobKey]
) -> SourceState:
    source = state.snapshot.source
    jobs = {job.id: job for job in state.snapshot.jobs if since(job, acted.get((source, job.id)))}
    back = {job_id: acted[source, job_id] for job_id in jobs}
    said = {job.id: f"; {awaited(back[job.id], _run(job, state.snapshot, now))}" for job in jobs.values()}
    for _, job_id in (key for key in grave if key[0] == source):
        said[job_id] = f"{said.get(job_id, '')}; that it was given up is critical until its next run ends well"
    findings = tuple(_said(finding, said) for finding in state.diagnosis.findings)
    return replace(state, diagnosis=replace(state.diagnosis, findings=findings), brought_back=back)


def _run(job: Job, snapshot: Snapshot, now: datetime) -> str:
    """The run that tells: one that goes on, that is planned, or that should be and what it waits for."""
    if job.in_flight_since:
        return f"run, which goes on since {say(job.in_flight_since)},"
    if job.next_run_at is None:
        return "next run"
    if job.next_run_at >= now:
        return f"next run at {say(job.next_run_at)}"
    holder = snapshot.keeps_waiting(job, now)
    behind = f" and waits for {holder.run}" if holder else ""
    return f"next run, which was due at {say(job.next_run_at)}{behind},"


def _said(finding: Finding, said: Mapping[str, str]) -> Finding:
    """With what is said of its job besides."""
    return replace(finding, summary=f"{finding.summary}{said.get(finding.job_id or '', '')}")
