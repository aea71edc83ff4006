"""The nouns as plain values, and back, by their types. What a field is of a type for, its annotation says."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime, timedelta
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from watchdog.core.instants import parse_instant

Read = Callable[[Any], Any]
"""Makes a value of a type from a plain one; raises ValueError if it cannot."""


# to plain values


def plain(thing: Any) -> Any:
    """Instants as ISO text, durations as seconds, nouns as mappings of their fields."""
    kind = type(thing)
    if kind in _AS_THEY_ARE:
        return thing
    if kind is datetime:
        return _iso(thing)
    if (names := _names(kind)) is not None:
        return {name: plain(getattr(thing, name)) for name in names}
    return _other(thing)


_AS_THEY_ARE = frozenset({str, int, bool, NoneType})


def _other(thing: Any) -> Any:
    if isinstance(thing, Enum):
        return thing.value
    if isinstance(thing, float):
        return thing if math.isfinite(thing) else None
    if isinstance(thing, timedelta):
        return thing.total_seconds()
    if isinstance(thing, Mapping):
        return {str(key): plain(part) for key, part in thing.items()}
    return [plain(part) for part in thing] if isinstance(thing, Sequence | set | frozenset) else str(thing)


def _iso(at: datetime) -> str:
    text = at.isoformat()
    return f"{text[:-6]}Z" if text.endswith("+00:00") else text


_FIELDS: dict[type, tuple[str, ...] | None] = {}


def _names(kind: type) -> tuple[str, ...] | None:
    """The fields of a noun; None for what is none."""
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None
    return _FIELDS[kind]


# and back


_READERS: dict[Any, Read] = {}


def reader(kind: Any) -> Read:
    """What makes values of a type; put together once."""
    if kind not in _READERS:
        _READERS[kind] = _put_together(kind)
    return _READERS[kind]


def _put_together(kind: Any) -> Read:
    if kind in _SINGLE:
        return _SINGLE[kind]
    if is_dataclass(kind):
        return _noun(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _member(kind)
    return _composed(get_origin(kind) or kind, get_args(kind))


def _composed(origin: Any, inner: tuple[Any, ...]) -> Read:
    if origin is Literal:
        return lambda value: _must(value in inner, value)
    if origin in (Union, UnionType):
        return _any_of(inner)
    if origin is tuple:
        return _tuple(inner)
    if origin is Sequence:
        return _tuple((*inner, ...))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(reader(inner[1])) if inner else lambda value: _must(isinstance(value, dict), value)
    raise TypeError(f"no document can hold a {origin}")


def _member(kind: type[Enum]) -> Read:
    known = {member.value: member for member in kind}
    return lambda value: known[_must(isinstance(value, str) and value in known, value)]


def _must(is_so: bool, value: Any) -> Any:
    if not is_so:
        raise ValueError(f"{value!r:.80} is not of the type")
    return value


def _whole(value: Any) -> int:
    return int(_must(type(value) is int or (type(value) is float and value.is_integer()), value))


def _number(value: Any) -> float:
    return float(_must(type(value) in (int, float), value))


def _instant(value: Any) -> datetime:
    return parse_instant(_must(type(value) is str, value))


def _duration(value: Any) -> timedelta:
    try:
        return timedelta(seconds=_number(value))
    except OverflowError as error:
        raise ValueError(str(error)) from None


_SINGLE: Mapping[Any, Read] = {
    object: lambda value: value,
    Any: lambda value: value,
    NoneType: lambda value: _must(value is None, value),
    bool: lambda value: _must(type(value) is bool, value),
    str: lambda value: _must(type(value) is str, value),
    int: _whole,
    float: _number,
    datetime: _instant,
    timedelta: _duration,
}


def _any_of(kinds: tuple[Any, ...]) -> Read:
    """Of several nouns the one with the most of the fields that are there."""
    others = [(kind, reader(kind)) for kind in kinds if kind is not NoneType]
    may_be_none = len(others) < len(kinds)
    if len(others) == 1:
        ((_, read),) = others
        return lambda value: None if value is None else read(value)

    def read_one(value: Any) -> Any:
        if value is None and may_be_none:
            return None
        has = value.keys() if isinstance(value, dict) else ()
        likely = sorted(others, key=lambda one: -len(set(has) & set(_names(one[0]) or ())))
        for _, read in likely:
            try:
                return read(value)
            except ValueError:
                continue
        return _must(False, value)

    return read_one


def _tuple(inner: tuple[Any, ...]) -> Read:
    if inner[1:] == (...,):
        each = reader(inner[0])
        return lambda value: tuple([each(part) for part in _must(isinstance(value, list), value)])
    parts = [reader(kind) for kind in inner]

    def read(value: Any) -> tuple[Any, ...]:
        _must(isinstance(value, list) and len(value) == len(parts), value)
        return tuple([part(one) for part, one in zip(parts, value, strict=True)])

    return read


def _mapping(each: Read) -> Read:
    return lambda value: {key: each(part) for key, part in _must(isinstance(value, dict), value).items()}


def _noun(kind: Any) -> Read:
    """Its fields; what else is there is left out, and what must be there is missed."""
    types = get_type_hints(kind)
    readers = [(each.name, reader(types[each.name]), _as_it_is(types[each.name])) for each in fields(kind)]
    needed = {each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING}

    def read(value: Any) -> Any:
        _must(isinstance(value, dict) and needed <= value.keys(), value)
        found = {}
        for name, made, as_it_is in readers:
            if name in value:
                one = value[name]
                found[name] = one if type(one) in as_it_is else made(one)
        return kind(**found)

    return read


def _as_it_is(kind: Any) -> frozenset[type]:
    """The types of plain values that need not be made into anything: most are texts, and years of them are read."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return frozenset({one for one in kinds if one in _AS_THEY_ARE}) if _AS_THEY_ARE.issuperset(kinds) else frozenset()
