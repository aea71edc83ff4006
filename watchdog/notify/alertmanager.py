"""Alertmanager as a channel: what fires is posted again and again, and what is over once more with its end (API v2)."""

import hashlib
import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from watchdog.config.owners import owner_name
from watchdog.core.incident import WAITING, Incident, Member, Told, ToldKey
from watchdog.core.instants import iso, parse_instant
from watchdog.core.notice import VERIFIED, Notice
from watchdog.core.redaction import one_line
from watchdog.core.silences import is_silenced
from watchdog.notify import notices
from watchdog.notify.plan import Part, People, audiences, owner_of
from watchdog.notify.targets import Target
from watchdog.notify.voice import Voice

EVERY = timedelta(seconds=60)
"""How often firing alerts are posted again."""

LASTS = 8 * EVERY
"""How long an alert fires without being posted again: if the watchdog is gone, its alerts end. By then it is known that
it is gone (`WatchdogAbsent`, after five minutes and a scrape), and their ends are held back under that."""

BATCH = 500
PATH = "/api/v2/alerts"
_LABEL_LENGTH = 200

_NO_LABEL = re.compile(r"[^A-Za-z0-9_]")

Alert = Mapping[str, Any]


def wanted(
    incidents: Iterable[Incident], channel: str, people: People, told: Mapping[ToldKey, Told], now: datetime
) -> dict[str, Alert]:
    """The alerts that fire now on this channel, by fingerprint.

    `told`: what the plan has noted as told. Where the channel is one that is called when nobody takes an incident on,
    nothing fires before that is so.
    """
    found: dict[str, Alert] = {}
    for incident in incidents:
        # one that was opened in the future was opened before the clock was put back
        if not incident.is_active or incident.opened_at <= now < incident.opened_at + people.rules.group_wait:
            continue
        called = told.get((incident.id, channel))
        for audience in audiences(incident, people):
            if audience.target.name == channel:
                for member in (part.member for part in audience.parts if _fires(part, called)):
                    if not is_silenced(member.finding, people.silences, now, incident.id):
                        alert = _alert(incident, member, people, now)
                        found[_fingerprint(alert)] = alert
    return found


def _fires(part: Part, called: Told | None) -> bool:
    """Those who are called in the end have been, for this spell of it; what waits for it comes with it."""
    if not part.is_escalation:
        return True
    member = part.member
    if called is None or called.is_over:
        return False
    key, began = member.finding.key, member.began
    return member.under or any(
        item.kind == WAITING or (item.key == key and item.began_at == began) for item in called.items
    )


def _alert(incident: Incident, member: Member, people: People, now: datetime) -> dict[str, Any]:
    finding = member.finding
    own = {f"source_{_NO_LABEL.sub('_', name)}": text for name, text in people.labels.get(finding.source, {}).items()}
    labels = {
        "alertname": finding.kind.alert,
        "source": finding.source,
        "kind": finding.kind.value,
        "severity": finding.severity.value,
        "job_id": finding.job_id or "",
        "job": finding.job or "",
        "caused_by": finding.caused_by.kind if finding.caused_by else "",
        "instance": people.instance,
        "owner": owner_name(owner_of(finding, people)[0]),
        **own,
    }
    return {
        "labels": {name: one_line(value, _LABEL_LENGTH) for name, value in labels.items() if value},
        "annotations": {"summary": finding.summary, "incident": str(incident.id)},
        "startsAt": iso(min(finding.since or member.first_seen, now)),
    }


def of_recovery(told: Iterable[Notice], people: People, voice: Voice) -> dict[str, Alert]:
    """What recovery has to tell: as grave as what it is about, unless that is mended."""
    alerts = [_of_notice(notice, people, voice) for notice in told]
    return {_fingerprint(alert): alert for alert in alerts}


def _of_notice(notice: Notice, people: People, voice: Voice) -> dict[str, Any]:
    finding = notice.finding
    labels = {
        "alertname": "WatchdogRecovery",
        "source": finding.source,
        "kind": finding.kind.value,
        "severity": "info" if notice.matter == VERIFIED else finding.severity.value,
        "job_id": finding.job_id or "",
        "job": finding.job or "",
        "matter": notice.matter.lower().replace(" ", "_"),
        "action": notice.kind,
        "instance": people.instance,
        "owner": owner_name(owner_of(finding, people)[0]),
    }
    said = notices.message(notices.Batch(Target(""), (notice,)))
    to_do = [text for label, text in voice.completed(said).facts if label.startswith("To ")]
    return {
        "labels": {name: one_line(value, _LABEL_LENGTH) for name, value in labels.items() if value},
        "annotations": {"summary": f"{said.title}. {said.lead}", **({"to_do": to_do[0]} if to_do else {})},
        "startsAt": iso(notice.fires_since or notice.at),
    }


def _fingerprint(alert: Alert) -> str:
    return hashlib.sha256(json.dumps(alert["labels"], sort_keys=True).encode()).hexdigest()[:32]


def posting(
    before: Mapping[str, Alert], firing: Mapping[str, Alert], now: datetime, ended: Container[str] = ()
) -> Mapping[str, Alert]:
    """What is to be posted: all that fires, with its first start; and all that fired, with its end.

    `ended`: those of which somebody was told the end. If one fires again it has begun anew.
    """
    alerts = {}
    for fingerprint, alert in firing.items():
        starts = (alert if fingerprint in ended else before.get(fingerprint, alert))["startsAt"]
        alerts[fingerprint] = {**alert, "startsAt": starts, "endsAt": iso(now + LASTS)}
    for fingerprint, alert in before.items():
        if fingerprint not in firing:
            ends = min(now, parse_instant(alert["endsAt"])) if "over" not in alert else parse_instant(alert["endsAt"])
            alerts[fingerprint] = {**alert, "endsAt": iso(ends), "over": True}
    return alerts


def bodies(alerts: Mapping[str, Alert]) -> list[Sequence[Alert]]:
    """The alerts in batches, as they are sent."""
    plain = [{name: value for name, value in alert.items() if name != "over"} for alert in alerts.values()]
    return [plain[start : start + BATCH] for start in range(0, len(plain), BATCH)]


def kept(alerts: Mapping[str, Alert]) -> dict[str, Alert | None]:
    """What is remembered once everybody has taken it: what fires; what is over is forgotten."""
    return {fingerprint: None if "over" in alert else alert for fingerprint, alert in alerts.items()}


def has_ended_by_itself(alert: Alert, now: datetime) -> bool:
    """Whether what is over has ended by now also where its end was not told: it was posted before that for so long."""
    return now >= parse_instant(alert["endsAt"]) + LASTS
