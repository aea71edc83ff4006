"""Instants as the watched systems write them, and as people and programs read them. All are aware, in UTC."""

import re
from datetime import UTC, datetime, tzinfo

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_YEAR = 1970
LAST_YEAR = 2999

SAID = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?) UTC\b")
"""An instant in a sentence, as `say` writes it."""


def parse_instant(text: str) -> datetime:
    """The instant of ISO 8601 text: with `T` or a space, with a zone or without one (then UTC).

    Watched systems write both `2026-04-29T10:00:11.123Z` and `2026-04-29 10:00:11`.
    Raises ValueError for anything else, and for years before 1970 or after 2999: no schedule means those, and what
    is added to an instant must stay within the calendar.
    """
    if len(text) < 10:
        raise ValueError(f"not an ISO 8601 instant: {text!r}")
    return sane(datetime.fromisoformat(text))


def sane(instant: datetime, assumed: tzinfo = UTC) -> datetime:
    """The instant in UTC, a naive one being in the zone `assumed`; ValueError outside the years 1970 to 2999."""
    if not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"not an instant of the years {FIRST_YEAR} to {LAST_YEAR}: {instant.isoformat()!r}")
    if instant.tzinfo is UTC:
        return instant
    return (instant if instant.tzinfo else instant.replace(tzinfo=assumed)).astimezone(UTC)


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


def iso_or_none(instant: datetime | None) -> str | None:
    """`iso`, where there is an instant."""
    return iso(instant) if instant else None


def parse_or_none(text: str | None) -> datetime | None:
    """`parse_instant`, where there is text."""
    return parse_instant(text) if text else None


def readable_instant(value: object) -> datetime | None:
    """The instant that a value from somebody else's file says; None if it says none."""
    try:
        return parse_instant(value) if isinstance(value, str) else None
    except ValueError:
        return None


def say(instant: datetime, zone: tzinfo = UTC) -> str:
    """The instant for people: `2026-04-29 10:00 UTC`, with seconds where they are not zero."""
    return instant.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z" if instant.second == 0 else "%Y-%m-%d %H:%M:%S %Z")


def said_in(text: str, zone: tzinfo) -> str:
    """The sentence with its instants, which are said in UTC, in this zone."""

    def in_zone(found: re.Match[str]) -> str:
        instant = readable_instant(found[1])
        return say(instant, zone) if instant else found[0]

    return SAID.sub(in_zone, text)
