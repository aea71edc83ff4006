"""What the incident verbs of the command line do to the state file."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from watchdog.core.incident import Incident
from watchdog.core.silences import Silence, read_match
from watchdog.incidents import wire
from watchdog.incidents.silencing import quiet_until
from watchdog.state.opening import StoreError
from watchdog.state.store import Store


def open_state(path: Path) -> Store:
    """The state file beside a running service. Raises StoreError if there is none."""
    try:
        is_there = path.exists()
    except OSError as error:
        raise StoreError(f"the state file {path} cannot be used: {error.strerror}") from None
    if not is_there:
        raise StoreError(f"{path} is not there: no watchdog has run with it (say which with -c, --database or --state)")
    return Store(path, exclusive=False)


def listed(store: Store, *, with_resolved: bool) -> list[Incident]:
    """The open incidents, newest first; with the resolved ones if wanted."""
    incidents = store.ledger().incidents.values()
    return sorted((i for i in incidents if with_resolved or i.is_open), key=lambda incident: -incident.id)


def acknowledge(store: Store, number: int, at: datetime) -> Incident:
    """Note that somebody has taken it on; raises ValueError if there is no such open incident."""
    incident = store.ledger().incidents.get(number)
    if incident is None:
        raise ValueError(f"there is no incident {number}; `scheduler-watchdog incidents` lists them")
    if not incident.is_open:
        raise ValueError(f"incident {number} is over already")
    with store.transaction():
        store.acknowledge(number, at, whoami())
    return incident


def taken_on(store: Store, number: int, at: datetime) -> str:
    """Take it on, and say so; who has done that of all that is so is told only that. Raises ValueError."""
    known, who = store.acknowledgements().get(number), whoami()
    before = store.ledger().incidents.get(number)
    if known and before and before.is_open and known[1] == who and not before.has_more_since(known[0]):
        return f"incident {number} is yours already: {_said(before)}"
    return f"incident {number} is yours: {_said(acknowledge(store, number, at))}"


def _said(incident: Incident) -> str:
    """What it is about; what is no longer so is said to be that."""
    return incident.headline.summary if incident.is_active else f"it is clear now ({incident.headline.summary})"


def unacknowledge(store: Store, number: int, at: datetime) -> Incident:
    """Give it back: nobody has taken it on any more. Raises ValueError if there is no such open incident."""
    incident = store.ledger().incidents.get(number)
    if incident is None or not incident.is_open:
        raise ValueError(f"there is no open incident {number}; `scheduler-watchdog incidents` lists them")
    with store.transaction():
        if not store.unacknowledge(number, at, whoami()):
            raise ValueError(f"nobody has taken incident {number} on")
    return incident


def wanted_silence(match: str, length: timedelta, at: datetime) -> Silence:
    """Quiet about what matches for a time, as it is to be noted; raises ValueError with what can be matched."""
    read_match(match)
    return Silence(0, match, at, at + length, whoami())


def whoami() -> str:
    """Who types."""
    import getpass  # nobody does at the service

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "somebody"


def document(
    store: Store, incidents: Sequence[Incident], at: datetime, hold: timedelta | None = None
) -> dict[str, wire.Json]:
    """The answer for programs. `hold`: how long an incident has to stay clear, where that is known."""
    acknowledged = store.acknowledgements()
    by = {number: who for number, (_, who) in acknowledged.items()}
    silences = store.silences(at)
    return {
        "now": wire.value(at),
        "incidents": [
            wire.incident(one, by.get(one.id), hold=hold, quiet_until=quiet_until(one, silences, at))
            for one in incidents
        ],
        "silences": _listed(silences),
    }


def silences_document(silences: Sequence[Silence], at: datetime) -> dict[str, wire.Json]:
    """The answer of `silences` for programs."""
    return {"now": wire.value(at), "silences": _listed(silences)}


def _listed(silences: Sequence[Silence]) -> list[wire.Json]:
    return [{"id": s.id, "match": s.match, "ends_at": wire.value(s.ends_at), "by": s.by} for s in silences]
