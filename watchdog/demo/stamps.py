"""Instants as the scheduler writes and reads them. Inside, an instant is whole milliseconds since the epoch."""

from datetime import datetime
from zoneinfo import ZoneInfo

from watchdog.core.instants import from_ms, to_ms


def js_iso(at_ms: int) -> str:
    """The text of `next_run_at` and `last_run_at`: `2026-04-29T10:00:11.123Z`."""
    return from_ms(at_ms).isoformat(timespec="milliseconds")[:23] + "Z"


def sql_stamp(at_ms: int) -> str:
    """The text of `created_at`, `updated_at` and `last_active_at`: `2026-04-29 10:00:11`, cut to the second."""
    return from_ms(at_ms).isoformat(" ", "seconds")[:19]


def read_stamp(text: str, host_zone: str) -> int | None:
    """The instant of a text in either format, or None. Without a zone it is the host's time, as JavaScript has it."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return to_ms(instant if instant.tzinfo else instant.replace(tzinfo=ZoneInfo(host_zone)))
