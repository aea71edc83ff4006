"""Jobs that were brought back and have not run since: what is found of them stands until their next run, which shows
whether that has helped."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from watchdog.core.action import Action, State
from watchdog.core.incident import awaited
from watchdog.core.model import Finding, Job
from watchdog.detectors.published import Published, SourceState
from watchdog.state.documents import parsed, read_action
from watchdog.state.history import JobKey
from watchdog.state.records import REVIVING
from watchdog.systems.shared.own_record import read_state, tables_of
from watchdog.systems.shared.past import PastError

_ACTED = "SELECT id, document FROM actions WHERE state = 'acted' ORDER BY id"


def when(actions: Iterable[Action]) -> dict[JobKey, datetime]:
    """When each job was brought back that no run has proved yet."""
    acted = (action for action in actions if action.state is State.ACTED and action.kind in REVIVING)
    return {(one.source, one.job_id): one.acted_at for one in acted if one.job_id is not None and one.acted_at}


def kept_in(path: Path) -> dict[JobKey, datetime]:
    """The same from a state file, which is read as somebody else's would be; nothing where that cannot be."""
    try:
        rows = read_state(path, lambda db: db.execute(_ACTED).fetchall() if "actions" in tables_of(db) else [])
    except (PastError, OSError):
        return {}
    actions = (read_action(number, parsed(text)) for number, text in rows)
    return when(action for action in actions if action is not None)


def since(job: Job, at: datetime | None) -> datetime | None:
    """The instant, if the job has recorded no run since; then that run tells."""
    if at is None or not job.is_planned:
        return None
    return at if job.last_run is None or job.last_run.started_at <= at else None


def told(published: Published, acted: Mapping[JobKey, datetime]) -> Published:
    """What was found, with what a job waits for in its sentence."""
    if not acted:
        return published
    return replace(published, sources=tuple(_told(state, acted) for state in published.sources))


def _told(state: SourceState, acted: Mapping[JobKey, datetime]) -> SourceState:
    source = state.snapshot.source
    jobs = {job.id: job for job in state.snapshot.jobs if since(job, acted.get((source, job.id)))}
    back = {job_id: acted[source, job_id] for job_id in jobs}
    findings = tuple(_said(finding, jobs, back) for finding in state.diagnosis.findings)
    return replace(state, diagnosis=replace(state.diagnosis, findings=findings), brought_back=back)


def _said(finding: Finding, jobs: Mapping[str, Job], back: Mapping[str, datetime]) -> Finding:
    job = jobs.get(finding.job_id or "")
    if job is None:
        return finding
    return replace(finding, summary=f"{finding.summary}; {awaited(back[job.id], job.next_run_at)}")
