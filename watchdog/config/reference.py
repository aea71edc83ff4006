"""`docs/configuration.md`: every key with its type, default, an example and what it means, made from the types."""

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any, get_args

from watchdog.config import kinds, meanings
from watchdog.config.examples import EXAMPLES
from watchdog.config.file import Config
from watchdog.config.schema import Schema, definitions, written
from watchdog.config.sources import Section
from watchdog.core.fields import Frozen, Key, keys
from watchdog.detectors.rules import Rule, RulesForSome

HEAD = """# Configuration

Every key that a configuration file may have. This page is made from the program's own types by `make reference`, and
so is the JSON schema that editors complete and check by: `config/watchdog.schema.json`, which
`scheduler-watchdog validate --schema` prints too. Name it in a file's first line:

    # yaml-language-server: $schema=./watchdog.schema.json

`scheduler-watchdog validate -c FILE` finds all errors of a file in one go, with their lines, and says what is allowed
and will not work. `${VAR}` in any text is filled in from the environment, and `~` at the beginning of a path. A
duration has units: `90s`, `10m`, `2h30m`, `7d`, `500ms`. A pattern is like `heartbeat*`, in upper or lower case.
A commented file to begin with is `config/watchdog.yaml`; `scheduler-watchdog init` writes one for this machine.
"""


def reference() -> str:
    """The whole page."""
    known = definitions()
    lines = [HEAD, *_table(Config, known), *_sources(known)]
    for key, field in keys(Config).items():
        if key != "sources":
            lines += _inner(key, field, known)
    return "\n".join(lines).rstrip() + "\n"


def _sources(known: Mapping[str, Schema]) -> Iterator[str]:
    yield from _titled("sources[]", Section, known, ("kind", "name"))
    for kind in kinds.known():
        model = kinds.section_of(kind)
        yield from _titled(f"sources[], kind: {kind}", model, known, set(keys(Section)) - {"kind", "name"})
        for key, field in keys(model).items():
            yield from _inner(f"sources[].{key}", field, known)


def _inner(path: str, field: Key, known: Mapping[str, Schema]) -> Iterator[str]:
    """The sections within a value, each under its path."""
    for model in meanings.models_in(field.annotation):
        here = path + _how_many(field.annotation)
        if model is Rule:
            continue
        if issubclass(model, RulesForSome):
            yield from _some(here, model, known)
            continue
        yield from _titled(here, model, known, ())
        for key, inner in keys(model).items():
            yield from _inner(f"{here}.{key}", inner, known)


def _how_many(annotation: object) -> str:
    """How an entry of a list, or of a mapping of the operator's own names, is written in a path."""
    origin = getattr(annotation, "__origin__", None)
    if origin is tuple:
        return "[]"
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return ".NAME"
    inner = (part for part in getattr(annotation, "__args__", ()) if next(meanings.models_in(part), None))
    return next((_how_many(part) for part in inner), "")


def _some(path: str, model: type[Frozen], known: Mapping[str, Schema]) -> Iterator[str]:
    conditions = {key for key, field in keys(model).items() if next(meanings.models_in(field.annotation), None)}
    yield from _titled(path, model, known, conditions)
    yield "Besides, each section of `detect`, with the values in which these jobs differ.\n"


def _titled(path: str, model: type[Frozen], known: Mapping[str, Schema], without: Collection[str]) -> Iterator[str]:
    yield f"## `{path}`\n"
    yield f"{meanings.intro(model)}\n"
    yield from _table(model, known, without)


def _table(model: type[Frozen], known: Mapping[str, Schema], without: Collection[str] = ()) -> Iterator[str]:
    yield "| Key | Type | Default | Example | Meaning |"
    yield "|---|---|---|---|---|"
    said = meanings.meanings(model)
    for key, field in keys(model).items():
        if key in without:
            continue
        place = known[model.__name__]["properties"][key]
        cells = [f"`{key}`", words(place, known), _default(field), f"`{example(model, key, field)}`", said[key]]
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    yield ""


def example(model: type[Frozen], key: str, field: Key) -> str:
    """The key with a value, as it may stand in a file."""
    shows_nothing = field.is_required or field.default in (None, (), "") or isinstance(field.default, Frozen | dict)
    if key == "kind" and issubclass(model, Section):
        return f"{key}: {(*get_args(field.annotation), kinds.usual())[0]}"
    own = model.examples if issubclass(model, Section) else {}
    for base in model.__mro__ if shows_nothing else [model]:
        if (found := own.get(key) or EXAMPLES.get(f"{base.__name__}.{key}")) is not None:
            return f"{key}: {found}"
    return f"{key}: {_yaml(field.default)}"


def _default(field: Key) -> str:
    if field.is_required:
        return "required"
    if field.default is None or isinstance(field.default, Frozen | dict) or field.default in ("", ()):
        return "none" if not isinstance(field.default, Frozen) else "its own"
    return f"`{_yaml(field.default)}`"


def _yaml(value: object) -> str:
    if isinstance(value, Rule):
        return "off"
    plain = written(value)
    return plain if isinstance(plain, str) and plain.replace("/", "").replace(".", "").isalnum() else json.dumps(plain)


def words(place: Schema, known: Mapping[str, Schema]) -> str:
    """The type of a value for people."""
    if "anyOf" in place:
        return " or ".join(dict.fromkeys(words(one, known) for one in place["anyOf"] if not _is_aside(one)))
    if "$ref" in place:
        return _of_definition(place["$ref"].rpartition("/")[2], known)
    if "enum" in place or "const" in place:
        return _one_of(place.get("enum", [place.get("const")]))
    return _plain(place, known)


def _is_aside(one: Schema) -> bool:
    return one.get("type") == "null" or one.get("$ref") == "#/$defs/variable"


def _of_definition(name: str, known: Mapping[str, Schema]) -> str:
    definition = known.get(name, {})
    return _one_of(definition["enum"]) if "enum" in definition else "section"


def _one_of(values: list[Any]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _plain(place: Schema, known: Mapping[str, Schema]) -> str:
    match place.get("type"):
        case "array":
            return f"list of {words(place['items'], known)}" if "items" in place else "list"
        case "object":
            named: list[Schema] = list(place.get("patternProperties", {}).values())
            inner: Schema = place.get("additionalProperties") or (named[0] if named else {})
            return f"mapping to {words(inner, known)}" if inner else "mapping"
        case "string":
            return _text(place)
        case "integer" | "number":
            return ("whole number" if place["type"] == "integer" else "number") + _bounds(place)
        case list(kinds_of_value):
            return " or ".join(words({"type": one}, known) for one in kinds_of_value)
        case kind:
            return {"boolean": "`true`, `false`"}.get(str(kind), str(kind))


def _text(place: Schema) -> str:
    if place.get("format") == "password":
        return "secret"
    if place.get("format") == "path":
        return "path"
    return "duration" if "smhdw" in place.get("pattern", "") else "text"


def _bounds(place: Schema) -> str:
    least, most = place.get("minimum", place.get("exclusiveMinimum")), place.get("maximum")
    if least is None:
        return ""
    return f", {least} to {most}" if most is not None else f", {least} or more"
