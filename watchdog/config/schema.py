"""The configuration as a JSON schema, for editors: made from the types, so that it says what they say.

The kinds of source are those that are known when it is asked for.
"""

from collections.abc import Callable, Iterator
from datetime import timedelta
from enum import Enum
from typing import Any

from pydantic import TypeAdapter

from watchdog.config import kinds, meanings
from watchdog.core.durations import write_duration
from watchdog.core.fields import Frozen, adapter, keys

Schema = dict[str, Any]

VARIABLE = {"type": "string", "pattern": r"\$\{[A-Za-z_][A-Za-z0-9_]*\}"}
"""What is filled in from the environment may stand wherever text is read."""

_LOOSE = ("boolean", "number")
"""What may also be written as text; whole numbers may not."""


def schema() -> Schema:
    """The whole schema."""
    found = definitions()
    whole = found.pop("Config")
    found.pop("Section")
    whole["properties"]["sources"]["items"] = _source(found)
    whole["properties"]["sources"]["minItems"] = 1
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The configuration of the scheduler watchdog",
        **whole,
        "$defs": {**found, "variable": VARIABLE},
    }


def definitions() -> dict[str, Schema]:
    """Each part of the configuration by its type's name, with each key's meaning and default as they are written."""
    types: dict[str, type[Frozen]] = {model.__name__: model for model in meanings.parts()}
    made = TypeAdapter.json_schemas([(name, "validation", adapter(model)) for name, model in types.items()])[1]["$defs"]
    for name, one in made.items():
        if name in types:
            _describe(one, types[name])
    return {name: _with_variables(one) for name, one in sorted(made.items())}


def _describe(one: Schema, model: type[Frozen]) -> None:
    said = meanings.meanings(model)
    one["description"] = meanings.intro(model)
    for key, known in keys(model).items():
        place = one["properties"][key]
        place.pop("title", None)
        place.pop("default", None)
        place["description"] = said.get(key, "")
        if not known.is_required and not isinstance(known.default, Frozen | None):
            place["default"] = written(known.default)
    one.pop("title", None)


def written(value: object) -> object:
    """A value as an operator writes it."""
    if isinstance(value, timedelta):
        return write_duration(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [written(each) for each in value]
    return dict(value) if isinstance(value, dict) else value if isinstance(value, bool | int | float) else str(value)


def _source(found: dict[str, Schema]) -> Schema:
    """An entry of `sources`: its kind says which keys it has; one without is of the usual kind."""
    names = {kind: kinds.section_of(kind).__name__ for kind in kinds.known()}
    chosen = [_if(_is_kind(kind), {"$ref": f"#/$defs/{name}"}) for kind, name in names.items()]
    usual = {"$ref": f"#/$defs/{names[kinds.usual()]}"}
    return {
        "type": "object",
        "properties": {"kind": {"enum": list(names), "description": "Which kind of scheduler it is."}},
        "allOf": [*chosen, _if({"not": {"required": ["kind"]}}, usual)],
    }


def _is_kind(kind: str) -> Schema:
    return {"properties": {"kind": {"const": kind}}, "required": ["kind"]}


def _if(condition: Schema, then: Schema) -> Schema:
    return {"if": condition, "then": then}


def _with_variables(one: Schema) -> Schema:
    """The same, where each value that text is read for may also be a variable."""
    properties = one.get("properties", {})
    return {**one, "properties": {key: _or_variable(value) for key, value in properties.items()}} if properties else one


def _or_variable(value: Schema) -> Schema:
    around: Schema = {key: value[key] for key in ("description", "default") if key in value}
    bare = _walked({key: part for key, part in value.items() if key not in around}, _or_filled_in)
    return {**bare, **around}


def _or_filled_in(leaf: Schema) -> Schema:
    is_free = leaf.get("type") == "string" and not {"pattern", "enum", "const", "maxLength"} & set(leaf)
    is_text = leaf.get("type") == "string" and not is_free
    return {"anyOf": [leaf, {"$ref": "#/$defs/variable"}]} if is_text or leaf.get("type") in _LOOSE else leaf


def _walked(value: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """With what stands at its leaves changed: in alternatives, in lists, and behind the names of a mapping."""
    if "anyOf" in value:
        return {**value, "anyOf": list(_flat(_walked(one, change) for one in value["anyOf"]))}
    if value.get("type") == "array" and "items" in value:
        return {**value, "items": _walked(value["items"], change)}
    if value.get("type") == "object":
        named = {key: value[key] for key in ("additionalProperties", "patternProperties") if key in value}
        closed: Schema = {"additionalProperties": False} if "patternProperties" in value else {}
        return {**value, **closed, **{key: _behind(key, one, change) for key, one in named.items()}}
    return change(value)


def _behind(key: str, value: Any, change: Callable[[Schema], Schema]) -> Any:
    if key == "patternProperties":
        return {pattern: _walked(one, change) for pattern, one in value.items()}
    return _walked(value, change) if isinstance(value, dict) else value


def _flat(alternatives: Iterator[Schema]) -> Iterator[Schema]:
    """Each alternative once."""
    seen: list[Schema] = []
    for one in alternatives:
        for each in one["anyOf"] if set(one) == {"anyOf"} else [one]:
            if each not in seen:
                seen.append(each)
                yield each
