"""A part of a configuration as it was written, so that a test can write it otherwise."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from watchdog.core.durations import write_duration
from watchdog.core.fields import Frozen


def written(part: Frozen) -> dict[str, Any]:
    """What was said in it, as plain values."""
    return {key: _plain(value) for key, value in vars(part).items() if key in part.said}


def _plain(value: object) -> Any:
    if isinstance(value, Frozen):
        return written(value)
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, timedelta):
        return write_duration(value)
    return str(value) if isinstance(value, Path) else value
