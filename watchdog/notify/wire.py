"""What programs get of a message."""

from watchdog.core.message import Entry
from watchdog.core.plain_json import Json
from watchdog.notify.targets import parse_key


def message(entry: Entry) -> dict[str, Json]:
    """A message that has not arrived. Its channel is named; its address stands nowhere."""
    return {
        "channel": parse_key(entry.target).name,
        "event": entry.event,
        "state": entry.state.value,
        "attempts": entry.attempts,
        "error": entry.error,
    }
