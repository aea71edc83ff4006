"""What programs get of a message."""

from watchdog.core.instants import iso
from watchdog.core.message import Entry
from watchdog.core.plain_json import Json
from watchdog.notify.targets import parse_key


def told(entry: Entry) -> dict[str, Json]:
    """A message as it was made, and what became of it. Its channel is named; its address stands nowhere."""
    return {
        "created_at": iso(entry.created_at),
        "channel": parse_key(entry.target).name,
        "event": entry.event,
        "title": entry.message.get("title", ""),
        "state": entry.state.value,
        "settled_at": iso(entry.settled_at) if entry.settled_at else None,
        "error": entry.error,
    }


def message(entry: Entry) -> dict[str, Json]:
    """A message that has not arrived. Its channel is named; its address stands nowhere."""
    return {
        "channel": parse_key(entry.target).name,
        "event": entry.event,
        "state": entry.state.value,
        "attempts": entry.attempts,
        "error": entry.error,
    }
