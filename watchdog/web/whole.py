"""An incident whole, for programs and for people: what it is, who was told, what was done about it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from watchdog.config.file import Config, Owner
from watchdog.config.owners import Subject, may_fit
from watchdog.core.action import Action
from watchdog.core.incident import Handover, Incident, head_of
from watchdog.core.instants import iso, say
from watchdog.core.message import Entry, State
from watchdog.core.model import Finding
from watchdog.incidents import wire
from watchdog.incidents.intention import about_to_or_done
from watchdog.incidents.silencing import quiet_until
from watchdog.notify.plan import held_until
from watchdog.notify.wire import message, told
from watchdog.recovery import brought_back, by_hand
from watchdog.state.records import REVIVING
from watchdog.state.store import Store
from watchdog.web.advice import Advice, of_incident


def document(
    incident: Incident,
    by: str | None,
    handovers: Sequence[Handover],
    entries: Sequence[Entry],
    actions: Iterable[Action],
    quiet: datetime | None,
    now: datetime,
    to_do: Advice,
    config: Config | None,
) -> dict[str, Any]:
    """The answer. `by` is who has taken it on, `handovers` who took it on and gave it back, `entries` are its messages;
    `actions` may be about anything; until `quiet` nobody is told of it."""
    hold = config.notify.hold if config else None
    done = list(actions)
    ahead = about_to_or_done(incident, head_of(incident.own), config, done, now, REVIVING)
    untold = [message(entry) for entry in entries if entry.state is not State.SENT]
    return {
        "now": iso(now),
        "incident": wire.incident(incident, by, untold, hold, quiet),
        "to_do": asdict(to_do.after(ahead, now)) if incident.is_active else None,
        "handovers": [_handover(one) for one in handovers],
        "messages": [told(entry) for entry in entries],
        "told_nobody": "" if entries else why_nobody(incident, config, now),
        **by_hand.document([action for action in done if is_about(action, incident)]),
    }


def stored(store: Store, number: int, now: datetime, config: Config | None) -> dict[str, Any]:
    """The same from a state file; the command is still to be completed. `config` tells what helps there, else that is
    what helps anywhere. Raises ValueError if there is no such incident."""
    incident = store.ledger().incidents.get(number)
    if incident is None:
        raise ValueError(f"there is no incident {number}; `scheduler-watchdog incidents --all` lists them")
    system = next((one.kind for one in config.sources if one.name == incident.source), "") if config else ""
    actions = by_hand.listed(store)
    to_do = of_incident(incident, config, system, brought_back.begun(reversed(actions)))
    _, by = store.acknowledgements().get(number, (None, None))
    quiet = quiet_until(incident, store.silences(now), now)
    told = store.handovers(number), store.entries(number)
    return document(incident, by, *told, actions, quiet, now, to_do, config)


def why_nobody(incident: Incident, config: Config | None, now: datetime) -> str:
    """Why nobody is told of an incident: whatever happens, and what to do; or until when quiet hours hold it back.

    Empty where somebody may be, or where nothing is known of who is told.
    """
    if config is None:
        return ""
    if not config.people:
        return "no channel is named; add one under `channels` in the configuration"
    findings = [member.finding for member in incident.own]
    if any(finding.job_id is None or _has_owner(finding, config) for finding in findings):
        return _held_back(incident, config, now)
    name = json.dumps(incident.headline.job or "*", ensure_ascii=False)
    example = f"- {{match: {{job: {name}}}, notify: [{next(iter(config.channels), 'NAME')}]}}"
    which = "this job" if len({finding.job_id for finding in findings}) == 1 else "these jobs"
    return f"no owner is for {which}; add one under `owners` in the configuration, like: {example}"


def _held_back(incident: Incident, config: Config, now: datetime) -> str:
    """Until when quiet hours hold all of it back."""
    owners = [_owner_of(member.finding, config) for member in incident.own if incident.is_active]
    ends = [held_until(owner, config.notify, incident.severity, now) for owner in owners]
    held = [end for end in ends if end is not None]
    return f"quiet hours hold it back until {say(min(held))}" if held and len(held) == len(ends) else ""


def _owner_of(finding: Finding, config: Config) -> Owner | None:
    labels = next((source.labels for source in config.sources if source.name == finding.source), {})
    asked = Subject(finding.source, finding.job, labels=labels)
    return next((owner for owner in config.people if may_fit(owner.match, asked)), None)


def _has_owner(finding: Finding, config: Config) -> bool:
    """Whether there may be one for the finding's job."""
    return _owner_of(finding, config) is not None


def _handover(one: Handover) -> dict[str, Any]:
    return {"at": iso(one.at), "by": one.by, "what": "taken_on" if one.is_taken else "given_back"}


def is_about(action: Action, incident: Incident) -> bool:
    """Whether it was done to a job, or the scheduler, of this incident, while that lasted."""
    subjects = {(member.finding.source, member.finding.job_id) for member in incident.members.values()}
    is_after = action.created.at >= incident.since
    is_before = incident.resolved_at is None or action.created.at <= incident.resolved_at
    return (action.source, action.job_id) in subjects and is_after and is_before
