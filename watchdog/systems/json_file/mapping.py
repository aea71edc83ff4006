"""How values are found in a document of JSON: paths, conditions on them, and what a value means there."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from watchdog.config.fields import Zone
from watchdog.core.fields import Frozen, Mark, bounds, rewritten
from watchdog.core.instants import sane
from watchdog.systems.shared.values import number

Path = Annotated[str, bounds(min_length=1, max_length=200)]
"""Names joined by dots, `state.nextRunAtMs`; a number takes one of a list, `-1` the last; `@key` is the name that the
whole has in an object of such."""

KEY = "@key"

Unit = Literal["ns", "us", "ms", "s", "min", "h", "d"]

_SECONDS: Mapping[str, float] = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86_400}

INSTANTS = frozenset({"at", "next_run_at", "last_run_at", "planned_since", "updated_at", "running_since"}) | {
    "started_at",
    "ended_at",
}
DURATIONS = frozenset({"every", "max_run", "duration"})

_FIRST_YEAR = 1990
"""No scheduler ran before."""

_LONG_AGO = re.compile(r"(?:0|1[0-8]|19[0-8])\d+-")

_LARGEST = 10**20
"""Nanoseconds since 1970 have nineteen digits."""

_COMPARED = re.compile(r"(>=|<=|>|<)\s*(-?\d+(?:\.\d+)?)")


def value_at(document: object, path: str) -> object:
    """What stands there; None where nothing does."""
    found = document
    for name in path.split("."):
        if isinstance(found, Mapping):
            found = found.get(name)
        elif isinstance(found, Sequence) and not isinstance(found, str | bytes) and re.fullmatch(r"-?\d{1,6}", name):
            found = found[int(name)] if -len(found) <= int(name) < len(found) else None
        else:
            return None
    return found


def _plain(value: object) -> str:
    """A value as YAML and JSON both write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)[:2000].lower()


Wanted = str | bool | int | float | None


def _meets(value: object, wanted: Wanted) -> bool:
    if wanted is None or value is None:
        return (value is None) == (wanted is None or wanted == "")
    if isinstance(wanted, str) and (compared := _COMPARED.fullmatch(wanted)):
        return _compares(number(value), compared.group(1), float(compared.group(2)))
    return fnmatchcase(_plain(value), _plain(wanted))


def _compares(value: float | None, how: str, limit: float) -> bool:
    if value is None:
        return False
    return {">=": value >= limit, "<=": value <= limit, ">": value > limit, "<": value < limit}[how]


Condition = Mapping[Path, Wanted | tuple[Wanted, ...]]
"""What must stand where: a value, a pattern (`*timeout*`), a bound (`">= 5"`), null for nothing; of a list any one."""


def holds(condition: Condition, document: object) -> bool:
    """Whether all of it is so."""
    for path, wanted in condition.items():
        value = value_at(document, path)
        if not any(_meets(value, each) for each in (wanted if isinstance(wanted, tuple) else (wanted,))):
            return False
    return True


_Word = Annotated[str, Mark("WithJsonSchema", {"type": ["string", "boolean", "number"]})]


class Part(Frozen):
    """One way to a value: one of `path` and `join`.

    `path`: where it stands. `join`: the values of several paths, with spaces between. `split`: of text only the part of
    that number between such signs. `unit`: of a number that is an instant or a duration; else it is guessed from its
    size, and seconds for a duration; one that cannot be meant, as it puts an instant before 1990, is not believed.
    `zone`: of text that is an instant and names none; else UTC. `words`: what its words mean here. `when`: only where
    that holds.
    """

    path: Path | None = None
    join: tuple[Path, ...] = ()
    split: tuple[str, int] | None = None
    unit: Unit | None = None
    zone: Zone | None = None
    words: Mapping[str, _Word] = field(default_factory=dict)
    when: Mapping[Path, Wanted | tuple[Wanted, ...]] = field(default_factory=dict)

    @classmethod
    def prepared(cls, given: object) -> object:
        """With plain words."""
        value = given
        if isinstance(value, Mapping) and isinstance(value.get("words"), Mapping):
            # YAML reads true and false as what they are
            return {**value, "words": {_plain(key): _plain(word) for key, word in value["words"].items()}}
        return value

    def fits_together(self) -> None:
        """One way."""
        if (self.path is None) == (not self.join):
            raise ValueError("give one of path and join")

    def of(self, document: object) -> object:
        """The value; None where there is none, or the condition does not hold."""
        if not holds(self.when, document):
            return None
        found = value_at(document, self.path) if self.path else self._joined(document)
        if self.split is not None:
            sign, place = self.split
            found = value_at(found.split(sign), str(place)) if isinstance(found, str) else None
        return self.words.get(_plain(found), found) if found is not None and self.words else found

    def _joined(self, document: object) -> str | None:
        parts = [value_at(document, path) for path in self.join]
        return None if None in parts else " ".join(map(str, parts))


def _parts(value: object) -> object:
    if isinstance(value, list | tuple):
        return [_part(each) for each in value]
    return (_part(value),)


def _part(value: object) -> object:
    """Where it stands, as a part. Raises ValueError for what is no path, as `on` is not."""
    if isinstance(value, str):
        return {"path": value}
    if isinstance(value, Mapping | Part):
        return value
    read = "nothing" if value is None else json.dumps(value, default=str)[:40]
    raise ValueError(
        f"should be where it stands, the name of a field or a path like state.nextRunAtMs (YAML reads {read} here; a "
        "field that is called so goes in quotes)"
    )


Ways = Annotated[
    tuple[Part, ...],
    rewritten(_parts, str | Part | tuple[str | Part, ...]),
    bounds(min_length=1),
]
"""A path, a part, or several of them: the first that leads to a value is taken."""


def read_column(column: str, ways: Sequence[Part], document: object) -> object:
    """The value of a column, in the unit that stands there made into an instant or a duration."""
    for way in ways:
        value = way.of(document)
        if value is not None and value != "":
            return in_unit(column, _in_zone(column, value, way.zone), way.unit)
    return None


def _in_zone(column: str, value: object, zone: str | None) -> object:
    if zone is None or column not in INSTANTS or not isinstance(value, str):
        return value
    try:
        return sane(datetime.fromisoformat(value.strip()), ZoneInfo(zone))
    except ValueError:
        return value


def in_unit(column: str, value: object, unit: Unit | None) -> object:
    """An instant or a duration, where the value is a number of so many units; else the value as it stands there."""
    if column not in INSTANTS | DURATIONS or isinstance(value, bool | datetime):
        return value
    if column in INSTANTS and isinstance(value, str) and _LONG_AGO.match(value):
        return None  # a zero, as programs write it out
    found = float(value) if type(value) is int and abs(value) < _LARGEST else number(value)
    if found is None:
        return value
    if column in DURATIONS:
        return _length(found, unit or "s", value)
    return _instant(found, unit or _likely(found), value)


def _likely(value: float) -> Unit:
    """In which unit a number since 1970 is: one of a year between 1973 and 5000 in each."""
    return "s" if value < 1e11 else "ms" if value < 1e14 else "us" if value < 1e17 else "ns"


def _length(value: float, unit: Unit, written: object) -> object:
    try:
        return timedelta(seconds=value * _SECONDS[unit])
    except OverflowError:
        return written


def _instant(value: float, unit: Unit, written: object) -> object:
    if value <= 0:
        return None  # what a scheduler writes for never
    for each in (unit, _likely(value)):
        try:
            found = sane(datetime.fromtimestamp(value * _SECONDS[each], UTC))
        except (OverflowError, ValueError, OSError):
            continue
        if found.year >= _FIRST_YEAR:
            return found
    return str(written)  # which is no instant, and is told as none
