"""Instants as the watched systems write them, and as people and programs read them. All are aware, in UTC."""

from datetime import UTC, datetime

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_instant(text: str) -> datetime:
    """The instant of ISO 8601 text: with `T` or a space, with a zone or without one (then UTC).

    Phantom writes both `2026-04-29T10:00:11.123Z` and `2026-04-29 10:00:11`.
    Raises ValueError for anything else.
    """
    if len(text) < 10:
        raise ValueError(f"not an ISO 8601 instant: {text!r}")
    try:
        instant = datetime.fromisoformat(text)
        return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"an instant outside the years 1 to 9999: {text!r}") from None


def from_ms(milliseconds: int) -> datetime:
    """The instant that is so many milliseconds after the epoch; raises OverflowError outside the years 1 to 9999."""
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(microsecond=milliseconds % 1000 * 1000)


def to_ms(instant: datetime) -> int:
    """Whole milliseconds since the epoch."""
    delta = instant - EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


def iso(instant: datetime) -> str:
    """ISO 8601 with `Z`, for programs; milliseconds only where there are any."""
    precision = "milliseconds" if instant.microsecond >= 1000 else "seconds"
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec=precision) + "Z"


def say(instant: datetime) -> str:
    """The instant for people: `2026-04-29 10:00 UTC`, with seconds where they are not zero."""
    return instant.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC" if instant.second == 0 else "%Y-%m-%d %H:%M:%S UTC")
