"""From one look to the findings: all conditions, the most specific timeliness diagnosis, symptoms under their cause."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.core.kinds import Family, Kind, Severity, of_family
from watchdog.core.model import Cause, Finding, Snapshot
from watchdog.core.moment import Gap, Moment
from watchdog.detectors import DETECTORS
from watchdog.detectors.calm import Sifted
from watchdog.detectors.rules import Rules, RulesForAll

TIMELINESS = of_family(Family.LATE)
"""Why a job does not run, the most specific first. Of these a job has one at most."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is so at an instant, and when that could next change without anything being written."""

    findings: tuple[Finding, ...]
    look_again_at: datetime | None


def diagnose(
    snapshot: Snapshot,
    at: datetime,
    settings: RulesForAll,
    gaps: Sequence[Gap] = (),
    sifted: Sifted | None = None,
) -> Diagnosis:
    """All findings about one source, the gravest first. `gaps`: time that the watchdog did not live through.

    `sifted`: which of its jobs have to be judged, where that is known. A clock that was put back has all judged.
    """
    turn = _turn(snapshot, at, gaps) if gaps else timedelta()
    now = Moment(at, gaps, turn)
    if sifted is not None and not now.put_back:
        now = Moment(at, gaps, turn, sifted.doubtful)
        now.next_change = sifted.until
    found = [finding for detect in DETECTORS for finding in detect(snapshot, now, settings)]
    if sifted is not None and not now.put_back and sifted.findings:
        order = sifted.order
        found = sorted([*found, *sifted.findings], key=lambda each: order.get(each.job_id or "", -1))
    wanted = _switched_on(found, snapshot, settings)
    findings = _under_their_cause(_most_specific(wanted))
    return Diagnosis(tuple(sorted(findings, key=gravity)), now.next_change)


SHORTEST_TURN = timedelta(minutes=5)
"""What late jobs get at the least, after a time that nobody lived through, to be served one after another."""


def _turn(snapshot: Snapshot, at: datetime, gaps: Sequence[Gap]) -> timedelta:
    """How long the scheduler needs for all that is due, if each takes as long as it last did, once its timer fires."""
    begun = ((job, job.terms.owed_at or job.next_run_at) for job in snapshot.jobs)
    due = (job for job, since in begun if since and since <= at and job.is_planned)
    queue = sum((job.last_run.duration for job in due if job.last_run and job.last_run.duration), timedelta())
    return max(SHORTEST_TURN, queue) + _timer_left(snapshot, gaps)


def _timer_left(snapshot: Snapshot, gaps: Sequence[Gap]) -> timedelta:
    """How long after a sleep a timer that stood still may go on, by what was due next when the sleep began."""
    process, longest = snapshot.process, snapshot.traits.longest_timer
    if not longest or process.is_alive is False or process.is_frozen:
        return timedelta()
    slept = [gap for gap in gaps if gap.is_sleep and not (process.started_at and process.started_at >= gap.began)]
    dues = [job.next_run_at for job in snapshot.jobs if job.next_run_at and job.is_planned] if slept else []
    return max((timedelta(), *(min(longest, min(dues) - gap.began) for gap in slept if dues)))


def _switched_on(found: list[Finding], snapshot: Snapshot, settings: RulesForAll) -> list[Finding]:
    rules: dict[str | None, Rules] = {}
    if settings.jobs and found:
        named = {finding.job_id for finding in found}
        rules = {job.id: settings.of(job) for job in snapshot.jobs if job.id in named}
        rules |= {gone.job_id: settings.named(gone.name) for gone in snapshot.gone}
    return [finding for finding in found if rules.get(finding.job_id, settings).is_on(finding.kind)]


def _most_specific(found: Iterable[Finding]) -> list[Finding]:
    best: dict[str, Kind] = {}
    timely = [finding for finding in found if finding.kind in TIMELINESS and finding.job_id is not None]
    for finding in sorted(timely, key=lambda finding: TIMELINESS.index(finding.kind)):
        best.setdefault(finding.job_id or "", finding.kind)
    return [f for f in found if f.kind not in TIMELINESS or best.get(f.job_id or "", f.kind) == f.kind]


def _under_their_cause(found: list[Finding]) -> list[Finding]:
    stall = next((finding for finding in found if finding.kind == Kind.STALLED), None)
    kinds = {finding.job_id: finding for finding in found if finding.kind in TIMELINESS}
    stalled = _late_jobs(stall) if stall else frozenset()
    return [_with_cause(finding, stalled, kinds) if finding.kind == Kind.OVERDUE else finding for finding in found]


def _with_cause(finding: Finding, stalled: frozenset[object], kinds: dict[str | None, Finding]) -> Finding:
    if finding.caused_by is not None:
        cause = kinds.get(finding.caused_by.job_id)
        return replace(finding, caused_by=replace(finding.caused_by, kind=cause.kind.value)) if cause else finding
    if finding.job_id in stalled:
        return replace(finding, caused_by=Cause(Kind.STALLED.value, None, None))
    return finding


def _late_jobs(stall: Finding) -> frozenset[object]:
    listed = stall.evidence["late_jobs"]
    return frozenset(listed if isinstance(listed, list) else [])


_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1}


def gravity(finding: Finding) -> tuple[int, bool, str, str]:
    """By what findings are put in order: the gravest first, then by name."""
    return (_RANK[finding.severity], finding.job is not None, finding.job or "", finding.kind.value)
