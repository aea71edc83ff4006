"""Durations as people write them: `90s`, `10m`, `2h30m`, `7d`, `500ms`; and as they are said: `2 h 30 min`."""

import re
from datetime import timedelta

LONGEST = timedelta(days=3660)
"""So that adding one to an instant stays within the calendar."""

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|min|[smhdw])\s*", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)

PATTERN = r"^\s*([0-9]+(\.[0-9]+)?\s*(ms|min|[smhdw])\s*)+$"
"""The same as a JSON schema may say it."""


def parse_duration(text: object) -> timedelta:
    """The duration that `text` says, such as `10m` or `2h30m`; raises ValueError with an example otherwise."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not _WHOLE.fullmatch(text.strip()):
        raise ValueError(f"not a duration: {text!r}; write it with a unit, like 90s, 10m, 2h30m or 7d")
    try:
        length = sum((float(count) * _UNITS[unit] for count, unit in _PART.findall(text)), timedelta())
    except OverflowError:
        length = timedelta.max
    if length > LONGEST:
        raise ValueError(f"a duration that is too long: {text!r}; ten years are the most")
    return length


def say_duration(length: timedelta) -> str:
    """The duration for people, in its two largest units: `2 h 5 min`, `45 s`, `3 d`."""
    seconds = max(0, round(length.total_seconds()))
    if seconds < 1 and length > timedelta():
        return f"{round(length / timedelta(milliseconds=1))} ms"
    parts: list[tuple[int, str]] = []
    for word, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count or parts:
            parts.append((count, word))
    return " ".join(f"{count} {word}" for count, word in parts[:2] if count) or "0 s"


def write_duration(length: timedelta) -> str:
    """The duration as `parse_duration` reads it, in as few units as it takes: `90s`, `2h30m`, `0s`."""
    rest, text = length, ""
    for unit in ("d", "h", "m", "s", "ms"):
        count, rest = divmod(rest, _UNITS[unit])
        text += f"{count}{unit}" if count else ""
    return text or "0s"
