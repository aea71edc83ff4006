"""Values of the model as JSON knows them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from watchdog.core.instants import iso

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def value(thing: object) -> Json:
    """Any value of the model: instants as ISO text, durations as seconds."""
    if isinstance(thing, datetime):
        return iso(thing)
    if isinstance(thing, timedelta):
        return thing.total_seconds()
    if isinstance(thing, Mapping):
        return {str(key): value(part) for key, part in thing.items()}
    if isinstance(thing, Sequence) and not isinstance(thing, str):
        return [value(part) for part in thing]
    return thing if thing is None or isinstance(thing, bool | int | float) else str(thing)
