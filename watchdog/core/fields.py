"""What the parts of a configuration are made of: plain frozen dataclasses.

What a value must be stands beside its type as marks. They are read by pydantic, which is imported only where something
is checked: whoever only holds the values, as the service does for months, does without it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, cast, dataclass_transform, get_origin, get_type_hints

from watchdog.core.durations import PATTERN, parse_duration, say_duration

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, TypeAdapter
    from pydantic_core import CoreSchema


class Mark:
    """What pydantic is to know of a value, by the name that it has there; made when pydantic asks for it."""

    __is_annotated_types_grouped_metadata__ = True

    def __init__(self, name: str, *given: object, **named: object) -> None:
        self._name, self._given, self._named = name, given, named

    @property
    def limits(self) -> Mapping[str, object]:
        """The bounds that it sets, where it sets any."""
        return self._named if self._name == "Field" else {}

    def __iter__(self) -> Iterator[object]:
        import pydantic

        made = getattr(pydantic, self._name)(*self._given, **self._named)
        yield from made.metadata if self._name == "Field" else [made]


def bounds(**limits: object) -> Mark:
    """`ge`, `le`, `gt`, `min_length`, `max_length`, `pattern`, `strict`, `allow_inf_nan`."""
    return Mark("Field", **limits)


def checked(check: Callable[[Any], object]) -> Mark:
    """The value is what this makes of it; it raises ValueError."""
    return Mark("AfterValidator", check)


def rewritten(check: Callable[[Any], object], written: object) -> Mark:
    """What was written is first made into something else. `written`: the type as which it may be."""
    return Mark("BeforeValidator", check, json_schema_input_type=written)


Duration = Annotated[
    timedelta, rewritten(parse_duration, Annotated[str, bounds(pattern=PATTERN)]), Mark("PlainSerializer", say_duration)
]
"""A length of time that is written with its unit."""

Count = Annotated[int, bounds(ge=1, strict=True)]


@dataclass(frozen=True, repr=False)
class Secret:
    """A text that is shown nowhere."""

    _text: str

    def get_secret_value(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        text = core_schema.no_info_after_validator_function(cls, core_schema.str_schema())
        written = core_schema.plain_serializer_function_ser_schema(str)
        return core_schema.json_or_python_schema(
            json_schema=text,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), text], mode="left_to_right"),
            serialization=written,
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: object, handler: object) -> dict[str, object]:
        return {"type": "string", "format": "password", "writeOnly": True}


def _as_written(name: str) -> str:
    """The key of a field: `from_` where Python has the word for itself."""
    return name.removesuffix("_")


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Frozen:
    """A part of the configuration: unknown keys are errors, and nothing changes after it was read."""

    __pydantic_config__: ClassVar[Mapping[str, object]] = {"extra": "forbid", "alias_generator": _as_written}

    _said: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        dataclass(frozen=True, kw_only=True)(cls)

    @classmethod
    def validated(cls, data: object) -> Self:
        """Made of plain values. Raises pydantic's ValidationError, which is a ValueError."""
        made: Self = adapter(cls).validate_python(data)
        return made

    @classmethod
    def prepared(cls, given: object) -> object:
        """What was written, as far as it is to be read otherwise."""
        return given

    def fits_together(self) -> None:
        """Whether its values fit together; raises ValueError."""

    @property
    def said(self) -> frozenset[str]:
        """The keys that were written; the others have their defaults."""
        return self._said

    def but(self, **changes: object) -> Self:
        """The same but for these."""
        made = copy.copy(self)
        made.__dict__.update(changes)
        return made

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema

        def made(given: object, read: Callable[[object], Any]) -> Any:
            if isinstance(given, cls):
                return given
            part = read(given := cls.prepared(given))
            if isinstance(given, Mapping):
                part.__dict__["_said"] = frozenset(given)
            part.fits_together()
            return part

        inner: Any = dict(handler.resolve_ref_schema(handler(source)))
        # what pydantic finds again for the second field of this type is to be the whole, not the inner part
        return core_schema.no_info_wrap_validator_function(made, inner, ref=inner.pop("ref", None))


@dataclass(frozen=True, slots=True)
class Key:
    """One that may be written. `annotation`: its type without the marks of the whole; `default`: MISSING where it has
    to be written."""

    annotation: Any
    default: object

    @property
    def is_required(self) -> bool:
        """Whether it has to be written."""
        return self.default is MISSING


def keys(part: type[Frozen]) -> Mapping[str, Key]:
    """The keys as they are written, in their order."""
    types = get_type_hints(part, include_extras=True)
    return {_as_written(each.name): Key(_bare(types[each.name]), _default(each)) for each in fields(cast(Any, part))}


def _bare(annotation: Any) -> Any:
    return annotation.__origin__ if get_origin(annotation) is Annotated else annotation


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


_ADAPTERS: dict[object, TypeAdapter[Any]] = {}


def adapter(kind: Any) -> TypeAdapter[Any]:
    """What checks values of this type, and describes it."""
    from pydantic import TypeAdapter

    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]
