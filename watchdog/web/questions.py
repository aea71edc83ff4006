"""What the API is asked for and told, as types: requests are read by them, and the description is made from them."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Annotated, Any, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from watchdog.core.fields import Frozen, Mark, bounds
from watchdog.web.listing import ASKED

BIGGEST_ID = 2**63 - 1

Instant = Annotated[str, Mark("WithJsonSchema", {"type": "string", "format": "date-time"})]
"""ISO 8601 with `Z`."""

_LENGTH = {"type": "string", "minLength": 2, "maxLength": 40, "examples": ["2h", "30m"]}


class WhichJobs(Frozen):
    """By state, finding, source, name or id (a pattern like `heartbeat*`); with a limit by source and id, in pages."""

    state: Literal[ASKED] | None = None  # type: ignore[valid-type]
    source: Annotated[str, bounds(min_length=1, max_length=100)] | None = None
    match: Annotated[str, bounds(min_length=1, max_length=500)] | None = None
    limit: Annotated[int, bounds(ge=1, le=1000)] | None = None
    cursor: Annotated[str, bounds(min_length=1, max_length=4000)] | None = None


class WhichFindings(Frozen):
    """Those of one source, of one kind, or of both."""

    source: Annotated[str, bounds(max_length=100)] = ""
    kind: Annotated[str, bounds(max_length=40)] = ""


class WhichIncidents(Frozen):
    """`all`: also those that are over."""

    all: bool = False


class WhichRuns(Frozen):
    """A job's newest runs, or those that ended before an instant."""

    source: Annotated[str, bounds(min_length=1, max_length=100)]
    job_id: Annotated[str, bounds(min_length=1, max_length=500)]
    limit: Annotated[int, bounds(ge=1, le=500)] = 100
    before: Instant | None = None


class WhichOne(Frozen):
    """A job by its source and id."""

    source: Annotated[str, bounds(min_length=1, max_length=100)]
    job_id: Annotated[str, bounds(min_length=1, max_length=500)]


class HowMany(Frozen):
    """How many at most."""

    limit: Annotated[int, bounds(ge=1, le=1000)] = 100


class Named(Frozen):
    """`by` is noted with what is changed."""

    by: Annotated[str, bounds(max_length=60)] = ""


class NewSilence(Named):
    """`match` is a job's name or pattern, or like `kind=overdue,job=heartbeat*`; `length` like `2h`. `ahead`: also
    where no job is like that yet, for jobs to come; else that is refused."""

    match: Annotated[str, bounds(min_length=1, max_length=500)]
    length: Annotated[str, bounds(min_length=2, max_length=40), Mark("WithJsonSchema", _LENGTH)]
    ahead: bool = False


class WhichJob(Named):
    """A job by its source and id."""

    source: Annotated[str, bounds(min_length=1, max_length=100)]
    job_id: Annotated[str, bounds(min_length=1, max_length=500)]


# how they are read

T = TypeVar("T", bound=Frozen)

UNKNOWN = "is not known here"

_YES, _NO = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class NotUnderstoodError(ValueError):
    """One line: the place, and what is wrong there."""


def understood(kind: type[T], found: object, *, as_text: bool = False) -> T:
    """What was asked, of plain values; `as_text`: all of them are texts, as in an address. Raises
    NotUnderstoodError."""
    if not isinstance(found, Mapping):
        raise NotUnderstoodError("the body: should be an object")
    types, known = get_type_hints(kind, include_extras=True), {field.name for field in fields(cast(Any, kind))}
    for name in found:
        if name not in known:
            raise NotUnderstoodError(f"{name[:100]}: {UNKNOWN}")
    return kind(**{field.name: _read(field, types[field.name], found, as_text) for field in fields(cast(Any, kind))})


def _read(field: Field[Any], annotation: Any, found: Mapping[str, object], as_text: bool) -> object:
    if field.name not in found:
        if field.default is MISSING:
            raise NotUnderstoodError(f"{field.name}: is missing")
        return field.default
    given = found[field.name]
    kinds = get_args(annotation) if type(None) in get_args(annotation) else (annotation,)
    if given is None and len(kinds) > 1:
        return None
    try:
        return _value(kinds[0], given, as_text)
    except ValueError as error:
        raise NotUnderstoodError(f"{field.name}: {error}") from None


def _value(annotation: Any, given: object, as_text: bool) -> object:
    if get_origin(annotation) is Literal:
        return _one_of(get_args(annotation), given)
    marks = getattr(annotation, "__metadata__", ())
    kind = getattr(annotation, "__origin__", annotation)
    limits = {name: limit for mark in marks for name, limit in mark.limits.items()}
    if kind is bool:
        return _switch(given, as_text)
    return _number(given, limits, as_text) if kind is int else _text(given, limits)


def _one_of(known: tuple[object, ...], given: object) -> object:
    if given not in known:
        raise ValueError(f"should be one of {', '.join(map(str, known))}"[:200])
    return given


def _switch(given: object, as_text: bool) -> bool:
    if as_text and isinstance(given, str) and given.lower() in (*_YES, *_NO):
        return given.lower() in _YES
    if not isinstance(given, bool):
        raise ValueError("should be true or false")
    return given


def _number(given: object, limits: Mapping[str, Any], as_text: bool) -> int:
    if as_text and isinstance(given, str) and given.isascii() and given.isdigit() and len(given) < 20:
        given = int(given)
    if type(given) is not int or not limits["ge"] <= given <= limits["le"]:
        raise ValueError(f"should be a whole number from {limits['ge']} to {limits['le']}")
    return given


def _text(given: object, limits: Mapping[str, Any]) -> str:
    if not isinstance(given, str):
        raise ValueError("should be text")
    least, most = limits.get("min_length", 0), limits.get("max_length", len(given))
    if not least <= len(given) <= most:
        raise ValueError(f"should be {least} to {most} characters long")
    return given
