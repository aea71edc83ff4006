"""Incidents as JSON documents, and back."""

from collections.abc import Mapping
from typing import Any

from watchdog.core.incident import Incident, Member, Told
from watchdog.core.instants import iso, iso_or_none, parse_instant, parse_or_none
from watchdog.core.model import Cause, Finding, Kind, Severity
from watchdog.core.plain_json import value


def encode_incident(incident: Incident) -> dict[str, Any]:
    """The incident as plain values."""
    return {
        "id": incident.id,
        "source": incident.source,
        "family": incident.family,
        "scope": incident.scope,
        "opened_at": iso(incident.opened_at),
        "changed_at": iso(incident.changed_at),
        "severity": incident.severity.value,
        "clear_since": iso_or_none(incident.clear_since),
        "resolved_at": iso_or_none(incident.resolved_at),
        "returns": incident.returns,
        "joined_at": iso_or_none(incident.joined_at),
        "merged_into": incident.merged_into,
        "members": [_encode_member(member) for member in incident.members.values()],
    }


def decode_incident(document: Mapping[str, Any]) -> Incident:
    """The incident of a document."""
    members = [_decode_member(part) for part in document["members"]]
    return Incident(
        id=document["id"],
        source=document["source"],
        family=document["family"],
        scope=document["scope"],
        opened_at=parse_instant(document["opened_at"]),
        changed_at=parse_instant(document["changed_at"]),
        members={member.finding.key: member for member in members},
        severity=Severity(document["severity"]),
        clear_since=parse_or_none(document["clear_since"]),
        resolved_at=parse_or_none(document["resolved_at"]),
        returns=document["returns"],
        joined_at=parse_or_none(document["joined_at"]),
        merged_into=document["merged_into"],
    )


def _encode_member(member: Member) -> dict[str, Any]:
    finding = member.finding
    cause = finding.caused_by
    return {
        "first_seen": iso(member.first_seen),
        "ended_at": iso_or_none(member.ended_at),
        "under": member.under,
        "source": finding.source,
        "kind": finding.kind.value,
        "severity": finding.severity.value,
        "job_id": finding.job_id,
        "job": finding.job,
        "since": iso_or_none(finding.since),
        "summary": finding.summary,
        "evidence": value(finding.evidence),
        "caused_by": [cause.kind, cause.job_id, cause.job] if cause else None,
    }


def _decode_member(part: Mapping[str, Any]) -> Member:
    finding = Finding(
        part["source"],
        Kind(part["kind"]),
        Severity(part["severity"]),
        part["job_id"],
        part["job"],
        parse_or_none(part["since"]),
        part["summary"],
        part["evidence"],
        Cause(*part["caused_by"]) if part["caused_by"] else None,
    )
    return Member(finding, parse_instant(part["first_seen"]), part["under"], parse_or_none(part["ended_at"]))


def encode_told(told: Told) -> dict[str, Any]:
    """What a target was told, as plain values."""
    return {
        "first_at": iso(told.first_at),
        "last_at": iso(told.last_at),
        "severity": told.severity.value,
        "returns": told.returns,
        "count": told.count,
        "is_over": told.is_over,
    }


def decode_told(document: Mapping[str, Any]) -> Told:
    """What a target was told."""
    return Told(
        parse_instant(document["first_at"]),
        parse_instant(document["last_at"]),
        Severity(document["severity"]),
        document["returns"],
        document["count"],
        document["is_over"],
    )
