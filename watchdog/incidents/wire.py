"""What programs get: findings, jobs and sources as plain JSON values. Times are ISO 8601 with `Z`."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from watchdog.cadence.schedule import words
from watchdog.core.incident import Incident, Member
from watchdog.core.instants import iso
from watchdog.core.model import Cause, Finding, Job
from watchdog.core.plain_json import Json as Json
from watchdog.core.plain_json import value as value
from watchdog.detectors.published import Published, SourceState
from watchdog.incidents.ledger import over_at, waits_for_run


def finding(found: Finding) -> dict[str, Json]:
    """A finding as `check --format json` and the API give it."""
    return {
        "source": found.source,
        "kind": found.kind.value,
        "severity": found.severity.value,
        "job_id": found.job_id,
        "job": found.job,
        "since": value(found.since),
        "summary": found.summary,
        "evidence": value(found.evidence),
        "caused_by": cause(found.caused_by),
    }


def cause(found: Cause | None) -> Json:
    """What a symptom is filed under."""
    return {"kind": found.kind, "job_id": found.job_id, "job": found.job} if found else None


def source(state: SourceState) -> dict[str, Json]:
    """A source in one line of facts."""
    return {
        "name": state.snapshot.source,
        "kind": state.snapshot.kind,
        "ok": state.snapshot.problem is None,
        "jobs": len(state.snapshot.jobs),
    }


def job(state: SourceState, of: Job, findings: Sequence[Finding]) -> dict[str, Json]:
    """A job with all that is known about it. `findings`: those about it. `brought_back_at`: of one that was and has not
    run since, when."""
    run = of.last_run
    return {
        "source": state.snapshot.source,
        "job_id": of.id,
        "job": of.name,
        "state": of.state,
        "enabled": of.enabled,
        "status": of.status,
        "schedule": words(of.schedule),
        "next_run_at": value(of.next_run_at),
        "deadline": value(state.deadlines.get(of.id)),
        "in_flight_since": value(of.in_flight_since),
        "last_run_at": value(of.last_started_at),
        "last_recorded_run": {
            "started_at": value(run.started_at),
            "status": run.status,
            "duration_seconds": value(run.duration),
            "error": run.error,
            "error_class": value(run.error_class),
        }
        if run
        else None,
        "consecutive_errors": of.consecutive_errors,
        "zero_token_streak": of.zero_streak.count if of.zero_streak else None,
        "delivery_status": of.delivery_status,
        "sweep_at": value(of.sweep_at),
        "owner": state.owners.get(of.id, ""),
        "runs": of.totals.runs,
        "input_tokens": of.totals.input_tokens,
        "output_tokens": of.totals.output_tokens,
        "cost_usd": of.totals.cost_usd,
        "last_paid_at": value(of.last_paid_at),
        "brought_back_at": value(state.brought_back.get(of.id)),
        "findings": [found.kind.value for found in findings],
    }


def jobs(state: SourceState) -> list[Json]:
    """All jobs of a source."""
    findings: dict[str | None, list[Finding]] = {}
    for found in state.diagnosis.findings:
        findings.setdefault(found.job_id, []).append(found)
    return [job(state, of, findings.get(of.id, ())) for of in state.snapshot.jobs]


def findings_document(published: Published, now: datetime, wanted: Sequence[Finding] | None = None) -> dict[str, Json]:
    """The whole answer of `check --format json` and `/api/v1/findings`. `wanted`: these findings, not all."""
    return {
        "now": iso(now),
        "sources": [source(state) for state in published.sources],
        "findings": [finding(found) for found in (published.findings if wanted is None else wanted)],
    }


def jobs_document(published: Published, now: datetime) -> dict[str, Json]:
    """The whole answer of `jobs --format json` and `/api/v1/jobs`."""
    return {
        "now": iso(now),
        "sources": [source(state) for state in published.sources],
        "jobs": [each for state in published.sources for each in jobs(state)],
    }


def incident(
    of: Incident,
    acknowledged: str | None = None,
    untold: Sequence[Json] = (),
    hold: timedelta | None = None,
    quiet_until: datetime | None = None,
) -> dict[str, Json]:
    """An incident with what belongs to it, and the messages about it that have not arrived.

    `since`: since when any of it has been so; `headline_since`: since when what its `kind`, `job` and `summary` say.
    `clear_since`: since when none of it is so; `over_at`: when it was over for it had stayed clear, or of one that is
    clear when it will be, where that does not wait for a run (`waits_for_run`) and `hold`, how long it has to, is
    known. `silenced_until`: until when nobody is told of any of it. `awaits_proof`: its job was brought back, and its
    next run shows whether that has helped. `findings` and `symptoms` are what is so, or was when it ended; `no_longer`
    what it was about before, without an end where a run has yet to prove it.
    """
    head = of.headline
    return {
        "id": of.id,
        "source": of.source,
        "state": "resolved" if not of.is_open else "active" if of.is_active else "clearing",
        "severity": of.severity.value,
        "kind": head.kind.value,
        "job_id": head.job_id,
        "job": head.job,
        "summary": head.summary,
        "since": iso(of.since),
        "headline_since": iso(of.headline_since),
        "opened_at": iso(of.opened_at),
        "clear_since": value(of.ended_at or (None if waits_for_run(of) else of.clear_since)),
        "over_at": value(of.resolved_at or (over_at(of, hold) if hold is not None else None)),
        "waits_for_run": waits_for_run(of),
        "awaits_proof": of.awaits_proof_of(head.job_id),
        "resolved_at": value(of.resolved_at),
        "returns": of.returns,
        "acknowledged_by": acknowledged,
        "silenced_until": value(quiet_until),
        "untold": list(untold),
        "findings": [finding(member.finding) for member in of.own],
        "symptoms": [finding(member.finding) for member in _symptoms(of)],
        "no_longer": [{**finding(member.finding), "ended_at": _ended_at(member)} for member in _no_longer(of)],
    }


def _symptoms(of: Incident) -> list[Member]:
    """What is late because of it now; of one that is not so any more what was."""
    own = of.own
    return of.symptoms if of.is_active else [one for one in of.members.values() if one.under and one not in own]


def _ended_at(member: Member) -> Json:
    """What has no proof yet has no end, which would be another one once it has."""
    return None if member.is_unproved else value(member.ended_at)


def _no_longer(of: Incident) -> list[Member]:
    """What it was about before, while something else of it is so."""
    return [one for one in of.members.values() if of.is_active and not one.active]
