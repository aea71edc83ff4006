"""An incident whole, for programs and for people: what it is, who was told, what was done about it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from watchdog.core.action import Action
from watchdog.core.incident import Incident
from watchdog.core.instants import iso
from watchdog.core.message import Entry, State
from watchdog.incidents import wire
from watchdog.notify.wire import message, told
from watchdog.recovery import by_hand
from watchdog.state.records import Records
from watchdog.state.store import Store


def document(
    incident: Incident, by: str | None, entries: Sequence[Entry], actions: Iterable[Action], now: datetime
) -> dict[str, Any]:
    """The answer. `entries` are its messages, `by` is who has taken it on; `actions` may be about anything."""
    untold = [message(entry) for entry in entries if entry.state is not State.SENT]
    return {
        "now": iso(now),
        "incident": wire.incident(incident, by, untold),
        "messages": [told(entry) for entry in entries],
        **by_hand.document([action for action in actions if is_about(action, incident)]),
    }


def stored(store: Store, number: int, now: datetime) -> dict[str, Any]:
    """The same from a state file. Raises ValueError if there is no such incident."""
    incident = store.ledger().incidents.get(number)
    if incident is None:
        raise ValueError(f"there is no incident {number}; `scheduler-watchdog incidents --all` lists them")
    _, by = store.acknowledgements().get(number, (None, None))
    return document(incident, by, store.entries(number), reversed(Records(store).actions()), now)


def is_about(action: Action, incident: Incident) -> bool:
    """Whether it was done to a job, or the scheduler, of this incident, while that lasted."""
    subjects = {(member.finding.source, member.finding.job_id) for member in incident.members.values()}
    is_after = action.created.at >= incident.since
    is_before = incident.resolved_at is None or action.created.at <= incident.resolved_at
    return (action.source, action.job_id) in subjects and is_after and is_before
