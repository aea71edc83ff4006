"""Did it help? Only a new recorded run that ended ok, with tokens, is proof. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.core.action import Action, State
from watchdog.core.instants import parse_instant
from watchdog.core.kinds import Kind
from watchdog.core.model import Finding, Job, RecordedRun, RunEnd, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.lateness import AFTER_A_RUN, is_passed_over, waits_for

RECORD_LAG = timedelta(seconds=2)

TO_HEAR = timedelta(minutes=5)
"""So long a scheduler that can gets to begin a run that is due."""

LONGEST_WAIT = timedelta(days=1)
"""For so long the proof is left open while the scheduler's process is gone or stands still: that is told by itself."""

TOKENS_LAG = timedelta(seconds=10)
"""So much later than its outcome a run's tokens may be written, where they stand in another file."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`state` is None if the run was never heard of, and the next way is to be tried."""

    state: State | None
    what: str


@dataclass(frozen=True, slots=True)
class Scene:
    """What a look shows of an action that was carried out: its job, its scheduler, and what is found.

    `counts_tokens`: whether a run of this job must have used tokens to be proof. `awake_since`: from when on somebody
    has looked without a break; before that the machine may have slept, and its scheduler with it.
    """

    job: Job | None
    snapshot: Snapshot
    findings: Sequence[Finding]
    now: Moment
    counts_tokens: bool = True
    awake_since: datetime | None = None


UNHEARD = Verdict(None, "nothing has started: the scheduler has not heard of it")
STUCK = Verdict(State.INEFFECTIVE, "a run of it is stuck")


def verdict(action: Action, scene: Scene) -> Verdict | None:
    """What has become of an action that was carried out; None while that is open."""
    if scene.snapshot.problem is not None or action.acted_at is None:
        return None
    if action.kind == "restart":
        return _restarted(action, scene)
    if action.kind == "pause":
        return _paused(action, scene.job, scene.now)
    if action.kind == "command":
        return _commanded(action, scene)
    proof = _revived(action, scene)
    if proof in (UNHEARD, STUCK) and not scene.now.reached(action.acted_at + LONGEST_WAIT):
        return None if _could_not_go_on(scene) else proof
    return proof


def is_proof(job: Job, run: RecordedRun, *, counts_tokens: bool) -> bool:
    """Whether a run ended well, with tokens where they are counted."""
    is_well = run.status == "ok" and run.ended_at is not None
    return is_well and (not counts_tokens or _never_used_any(job) or _used_tokens(job, run) is not False)


def _revived(action: Action, scene: Scene) -> Verdict | None:
    job, now = scene.job, scene.now
    if job is None:
        what = "the job's row is gone: deleted by somebody, or by a one-shot that ran and deletes itself"
        return Verdict(State.UNKNOWN, f"{what}; there is no proof")
    if job.last_run is not None and _is_new(job.last_run, action):
        return _by_run(job, now, counts_tokens=scene.counts_tokens)
    if job.status == "failed":
        return Verdict(State.INEFFECTIVE, "it is failed again")
    if job.in_flight_since is not None:
        return _in_flight(action, scene)
    if not job.is_planned:
        return Verdict(State.REFUSED, f"somebody has made it {job.state}")
    limit = max(filter(None, (action.heard_by, _due(job))))
    if not now.reached(limit) or _awaits_its_turn(job, scene):
        return None
    return UNHEARD


def _awaits_its_turn(job: Job, scene: Scene) -> bool:
    """Whether other runs keep it waiting: a scheduler that is busy has not shown what it has heard of."""
    return waits_for(job, scene.snapshot, scene.now) is not None and not is_passed_over(job, AFTER_A_RUN)


def _could_not_go_on(scene: Scene) -> bool:
    """Whether that nothing happens means nothing: its process is gone or stands still, or has not been there for long,
    or this machine has only just woken."""
    process = scene.snapshot.process
    if process.is_alive is False or process.is_frozen:
        return True
    began = max(filter(None, (process.started_at, process.since, scene.awake_since)), default=None)
    return began is not None and not scene.now.reached(began + TO_HEAR)


def _paused(action: Action, job: Job | None, now: Moment) -> Verdict | None:
    """A pause is proved by a job that stands still: at the most the run that had begun ends, and none follows."""
    acted_at = action.acted_at
    if job is None or acted_at is None:
        return Verdict(State.UNKNOWN, "the job's row is gone, so there is nothing that could run")
    if job.is_planned:
        return Verdict(State.INEFFECTIVE, f"it is {job.state} again: somebody, or its scheduler, took the pause back")
    has_begun = job.in_flight_since is not None and job.in_flight_since > acted_at + RECORD_LAG
    if has_begun or sum(end.at > acted_at for end in job.recent) > 1:
        return Verdict(State.INEFFECTIVE, f"it is {job.state}, and runs all the same")
    if action.heard_by is not None and not now.reached(action.heard_by):
        return None
    return Verdict(State.VERIFIED, f"it is {job.state}, and no run of it has begun since")


def _in_flight(action: Action, scene: Scene) -> Verdict | None:
    """Its run is waited for; one that hangs proves nothing, and must not keep the next attempt back for ever."""
    is_late = action.heard_by is None or scene.now.reached(action.heard_by)
    return STUCK if is_late and _is_found(Kind.WEDGED, action, scene) else None


def _is_found(kind: str, action: Action, scene: Scene) -> bool:
    """Whether the action's job is found to be so now."""
    return any((f.source, f.kind, f.job_id) == (action.source, kind, action.job_id) for f in scene.findings)


def _is_new(run: RecordedRun, action: Action) -> bool:
    """Whether the run was recorded since the action. A clock that was set back meanwhile must not hide it.

    The run that was in flight before, and was broken off by the action or ended at last, is none.
    """
    stuck = _known(action.seen.get("in_flight_since"))
    if stuck is not None and abs(run.started_at - stuck) <= RECORD_LAG:
        return False
    if "last_run_at" not in action.seen:
        return action.acted_at is not None and run.started_at >= action.acted_at - RECORD_LAG
    return run.started_at != _known(action.seen["last_run_at"])


def _known(written: object) -> datetime | None:
    try:
        return parse_instant(str(written)) if written else None
    except ValueError:
        return None


def _due(job: Job) -> datetime | None:
    """The scheduler's own next run counts, where it has set a later one."""
    return job.next_run_at + TO_HEAR if job.next_run_at else None


def _by_run(job: Job, now: Moment, *, counts_tokens: bool) -> Verdict | None:
    run = job.last_run
    if run is None or run.status != "ok":
        return Verdict(State.INEFFECTIVE, f"its next run ended in an error: {run.error if run else 'unknown'}")
    if not counts_tokens:
        return Verdict(State.VERIFIED, "its next run ended ok; its tokens are not to be judged")
    if _never_used_any(job):
        return Verdict(State.VERIFIED, "its next run ended ok; it was never seen to use tokens")
    used = _used_tokens(job, run)
    if used is None:
        return Verdict(State.VERIFIED, "its next run ended ok; its tokens are not written anywhere that can be read")
    if not used and not _ends_of(job, run) and not now.reached((run.ended_at or run.started_at) + TOKENS_LAG):
        return None
    if not used:
        return Verdict(State.INEFFECTIVE, "its next run was recorded as ok, and used no tokens")
    return Verdict(State.VERIFIED, "its next run ended ok, with tokens")


def _used_tokens(job: Job, run: RecordedRun) -> bool | None:
    """Whether the run used tokens; None where nothing tells: no count, or a job that was never seen to use any."""
    if job.zero_streak is None or not job.recent:
        return None
    ends = _ends_of(job, run)
    if any((end.input_tokens or 0) + (end.output_tokens or 0) for end in ends):
        return True
    is_unknown = any(end.input_tokens is None and end.output_tokens is None for end in ends)
    return None if is_unknown or (ends and not job.zero_streak.count) else False


def _never_used_any(job: Job) -> bool:
    """Whether runs have ended ok before and none was ever seen to use a token: such a job needs no model."""
    used, runs = (job.totals.input_tokens, job.totals.output_tokens), job.totals.runs
    if job.has_used_tokens or None in used or any(used) or runs is None:
        return False
    errors = job.breaker.limit if job.breaker else 0
    return runs > errors + 1


def _ends_of(job: Job, run: RecordedRun) -> Sequence[RunEnd]:
    return [end for end in job.recent if end.at >= run.started_at.replace(microsecond=0)]


def _commanded(action: Action, scene: Scene) -> Verdict | None:
    """A command is proved by what it was for: that is over, and a run since then ended ok."""
    job, now = scene.job, scene.now
    limit = max(filter(None, (action.heard_by, _due(job) if job and job.is_planned else None)), default=now.at)
    is_running = job is not None and job.in_flight_since is not None and not _is_found(Kind.WEDGED, action, scene)
    is_queued = job is not None and job.is_planned and _awaits_its_turn(job, scene)
    is_late = now.reached(limit) and not is_running and not is_queued
    if _is_found(action.about, action, scene):
        return Verdict(State.INEFFECTIVE, f"it is still {action.about}") if is_late else None
    run = job.last_run if job else _newest_run(scene.snapshot)
    if run is not None and _is_new(run, action):
        by_run = _by_run(job, now, counts_tokens=scene.counts_tokens) if job else None
        return by_run if job else Verdict(State.VERIFIED, "it is over, and a run has started since")
    if not is_late:
        return None
    if run is None and not any(other.last_run for other in scene.snapshot.jobs):
        return Verdict(State.VERIFIED, "it is over; runs are not written anywhere that can be read")
    return Verdict(State.UNKNOWN, "it is over, and no run has been recorded since; there is no proof")


def _newest_run(snapshot: Snapshot) -> RecordedRun | None:
    runs = [job.last_run for job in snapshot.jobs if job.last_run]
    return max(runs, key=lambda run: run.started_at, default=None)


def _restarted(action: Action, scene: Scene) -> Verdict | None:
    """A restart is proved by a run that began and ended since, and nothing else is: what stood still may start again
    and stand still again."""
    snapshot, now = scene.snapshot, scene.now
    is_still = any(_is_its_cause(finding, action) for finding in scene.findings)
    since = _came_up(action, snapshot)
    if not is_still and any(_has_ended(job, since) for job in snapshot.jobs):
        return Verdict(State.VERIFIED, "a run has ended since, and the cause is gone")
    if action.heard_by is None or not now.reached(action.heard_by):
        return None
    if is_still:
        return Verdict(State.INEFFECTIVE, "the cause is still there")
    if any(job.in_flight_since and job.in_flight_since >= since - RECORD_LAG for job in snapshot.jobs):
        return None
    dues = [due for job in snapshot.jobs if job.is_planned and (due := _due(job))]
    return Verdict(State.INEFFECTIVE, "nothing has ended since") if now.reached(min(dues, default=now.at)) else None


def _is_its_cause(finding: Finding, action: Action) -> bool:
    """What a restart is for; and the job that it was for must not be late any more."""
    is_grave = finding.kind in (Kind.WEDGED, Kind.STALLED, Kind.UNRECORDED)
    is_late = finding.kind is Kind.OVERDUE and finding.job_id == action.job_id and action.job_id is not None
    return finding.source == action.source and (is_grave or is_late)


def _came_up(action: Action, snapshot: Snapshot) -> datetime:
    """From when on a run is one of the new process: it may begin before the command that restarts it has ended."""
    acted, begun, started = action.acted_at or action.created.at, action.begun, snapshot.process.started_at
    is_by_it = started is not None and begun is not None and begun.at <= started <= acted
    return started if is_by_it and started else acted


def _has_ended(job: Job, since: datetime) -> bool:
    """Whether a run of it began and ended since; where ends are written nowhere, whether one began and is over."""
    run, end = job.last_run, job.last_end
    if run is not None and run.started_at > since and job.in_flight_since is None:
        return True
    started = job.last_started_at
    return started is not None and end is not None and started > since and end.at >= started
