"""Time zones by the names that databases take beside IANA's own: in any case, and POSIX's rules.

In POSIX's rules the sign is turned round: `UTC+2` is two hours *behind* UTC, and `<+03>-3` three hours ahead.
"""

import re
import struct
from datetime import UTC, datetime
from functools import cache, lru_cache
from io import BytesIO
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

LONGEST = 80

_POSIX = re.compile(r"(?:<[A-Za-z0-9+-]{3,}>|[A-Za-z]{3,})[+-]?\d{1,2}(?::\d{2}){0,2}[A-Za-z0-9<>+:,./-]*", re.ASCII)


@lru_cache(maxsize=1024)
def zone_info(name: str) -> ZoneInfo:
    """The zone of an IANA name in any case, or of a POSIX rule. Raises ValueError for one that is neither."""
    if len(name) > LONGEST:
        raise ValueError(f"{name!r:.60} is not a time zone")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = _names().get(name.lower())
    return ZoneInfo(known) if known else _by_rule(name)


@cache
def _names() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}


def _by_rule(text: str) -> ZoneInfo:
    """The zone of a POSIX rule, which zoneinfo reads at the end of a compiled file without any transitions."""
    if not _POSIX.fullmatch(text):
        raise ValueError(f"{text!r:.60} is not a time zone")
    header = b"TZif2" + bytes(15) + struct.pack(">6L", 0, 0, 0, 0, 1, 4)
    types = struct.pack(">lbb", 0, 0, 0) + b"UTC\0"
    try:
        zone = ZoneInfo.from_file(BytesIO((header + types) * 2 + b"\n" + text.encode() + b"\n"), key=text)
        # an offset of a whole day is more than any arithmetic here can hold
        for month in (1, 7):
            datetime(2000, month, 1, tzinfo=UTC).astimezone(zone).utcoffset()
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r:.60} is not a time zone that can be reckoned in: {error!s:.80}") from None
    return zone
