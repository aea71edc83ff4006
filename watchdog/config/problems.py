"""What is wrong in a configuration, in an operator's words: the line, the path in the file, what would be right."""

import copy
import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from watchdog.config import kinds
from watchdog.config.sources import Section, kind_of
from watchdog.core.fields import Frozen, keys
from watchdog.detectors.rules import Rule

Place = list[int | str]

WHOLE = "the file"
"""The place of what is wrong with several values together."""


def problems(error: ValidationError, model: type[Frozen], data: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Each place with what is wrong there, one line each. What follows from another problem is left out."""
    details = error.errors(include_url=False)
    wrong = [_parts(detail) for detail in details]
    for detail, parts in zip(details, wrong, strict=True):
        if detail["type"] in ("too_short", "missing") and any(_is_inside(other, parts) for other in wrong):
            continue
        place = _place([*parts, "kind"] if detail["type"] == "kind" else parts)
        for what in _what(detail, parts, model, data).splitlines():
            yield place, what


def in_order(found: Iterable[tuple[str, str]], lines: Mapping[str, int]) -> list[str]:
    """Problems, each once, behind the line that each is in and in the order of the lines; those without one last."""
    placed = dict.fromkeys(_placed(place, what, lines) for place, what in found)
    return [f"line {line}: {words}" if line else words for line, words in sorted(placed, key=_by_line)]


def _by_line(placed: tuple[int, str]) -> tuple[bool, int]:
    line, _ = placed
    return not line, line


def _placed(place: str, what: str, lines: Mapping[str, int]) -> tuple[int, str]:
    """Its line, 0 where none is known, and its words. One of what does not fit together begins with the place that
    names the other."""
    if place != WHOLE:
        return _line_of(place, lines), f"{place}: {what}"
    line = _line_of(what.partition(" ")[0], lines)
    return line, what if line else f"{place}: {what}"


def _line_of(place: str, lines: Mapping[str, int]) -> int:
    """The line of a place, or of what it should stand in; 0 where nothing is known."""
    while place and place not in lines:
        place = place.rpartition(".")[0] if place.rfind(".") > place.rfind("[") else place.rpartition("[")[0]
    return lines[place] if place else 0


def _parts(detail: ErrorDetails) -> Place:
    return [part for part in detail["loc"] if not (isinstance(part, str) and part.startswith("function-"))]


def _is_inside(inner: Place, outer: Place) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _place(parts: Place) -> str:
    text = ""
    for part in parts:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or WHOLE


def without(data: Mapping[str, object], error: ValidationError) -> dict[str, object]:
    """A copy of the data without the values that are wrong."""
    rest: dict[str, object] = copy.deepcopy(dict(data))
    for detail in error.errors(include_url=False, include_input=False):
        *parents, last = _parts(detail) or [""]
        inside: Any = rest
        for part in parents:
            inside = inside[part] if _has(inside, part) else None
        if isinstance(inside, dict):
            inside.pop(last, None)
    return rest


def _has(inside: object, part: int | str) -> bool:
    if isinstance(inside, list):
        return isinstance(part, int) and part < len(inside)
    return isinstance(inside, dict) and part in inside


def _what(detail: ErrorDetails, place: Place, model: type[Frozen], data: Mapping[str, object]) -> str:
    if detail["type"] == "unexpected_keyword_argument":
        return "unknown key" + meant(str(place[-1]), _fields_at(place[:-1], model, data))
    if detail["type"] == "missing":
        return "is missing"
    if words := _emptiness(detail):
        return words
    if words := _shape(detail, place, model, data):
        return words
    if detail["type"] == "enum" or detail["type"] == "literal_error":
        return _one_of(detail)
    message = detail["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return message[0].lower() + message[1:]


def _emptiness(detail: ErrorDetails) -> str:
    """That nothing stands where something should; empty if it is not that. Where a list or a mapping should stand, the
    shape of it says more."""
    if detail["type"] == "too_short":
        return "is empty; name at least one"
    is_shaped = detail["type"] in ("tuple_type", "list_type", "dict_type", "mapping_type", "dataclass_type")
    return "is empty; put a value behind the colon" if detail["input"] is None and not is_shaped else ""


def _one_of(detail: ErrorDetails) -> str:
    """The words that there are, of many the one that was probably meant."""
    expected = str(detail.get("ctx", {}).get("expected", ""))
    near = difflib.get_close_matches(str(detail["input"]), re.findall(r"'([^']*)'", expected), 1)
    return f"should be {expected}{f'; did you mean {near[0]}?' if near else ''}"


def _shape(detail: ErrorDetails, place: Place, model: type[Frozen], data: Mapping[str, object]) -> str:
    """How a value is to be written that is of the wrong shape; empty if it is not that."""
    kind, given = detail["type"], detail["input"]
    if kind == "string_type":
        is_other = isinstance(given, bool | int | float)
        return "should be text" + ("; put it in quotes, for YAML reads it as something else" if is_other else "")
    if kind == "path_type":
        return "should be a path, as text"
    if kind in ("tuple_type", "list_type"):
        return f"should be a list{_as_a_list(given, place, model, data)}"
    if kind in ("dict_type", "mapping_type", "dataclass_type") and _lacks_a_colon(given):
        return "should be a mapping; a colon is missing after the name in it, like `name: value`"
    if kind in ("dict_type", "mapping_type"):
        return "should be a mapping like {NAME: …}"
    if kind in ("dict_type", "mapping_type", "dataclass_type"):
        inner = _find_model(_annotation_at(place, model, data))
        if inner is not None and issubclass(inner, Rule):
            return f"should be `off`, or a mapping like {_sample(inner)}"
        return "should be a mapping" + (f" like {_sample(inner)}" if inner else "")
    return ""


def _as_a_list(given: object, place: Place, model: type[Frozen], data: Mapping[str, object]) -> str:
    """How the list is written that should stand there: one value goes in brackets, of entries there is an example."""
    if isinstance(given, str | int | float) and _find_model(_annotation_at(place, model, data)) is None:
        return "; put it in [brackets]"
    *parents, key = place
    section = _find_model(_annotation_at(parents, model, data))
    if section is None or key not in keys(section):
        return ""
    from watchdog.config.reference import example  # the service has no use for it

    sample = example(section, str(key), keys(section)[str(key)]).partition(": ")[2]
    like = f" like {sample}" if sample.startswith("[") else f" like [{sample}]"
    return like + ("; put a dash before each entry" if isinstance(given, Mapping) else "")


def _lacks_a_colon(given: object) -> bool:
    """Whether it was read as one text because a name and its value have no colon between them."""
    return isinstance(given, str) and " " in given.strip()


def _sample(model: type[Frozen]) -> str:
    names = [key for key in keys(model) if key != "on"]
    return "{" + (f"{names[0]}: …" if names else "on: true") + "}"


def meant(key: str, fields: Sequence[str]) -> str:
    """What a word was probably meant to be, or what there is; empty where there is nothing."""
    near = difflib.get_close_matches(key, fields, 1)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; known here: {', '.join(sorted(fields))}" if fields else ""


def _fields_at(parents: Place, model: type[Frozen], data: Mapping[str, object]) -> list[str]:
    """The keys that may be written at this place."""
    found = _find_model(_annotation_at(parents, model, data))
    return list(keys(found)) if found else []


def _annotation_at(parents: Place, model: type[Frozen], data: Mapping[str, object]) -> object:
    annotation: object = model
    if parents[:1] == ["sources"] and len(parents) > 1:
        annotation, parents = _section_at(parents[1], data), parents[2:]
    for part in parents:
        annotation = _inside(annotation, part)
    return annotation


def _section_at(place: int | str, data: Mapping[str, object]) -> type[Section] | None:
    sources = data.get("sources")
    if not isinstance(sources, Sequence) or not isinstance(place, int):
        return None
    kind = kind_of(sources[place])
    return kinds.section_of(kind) if kind in kinds.known() else None


def _inside(annotation: object, part: int | str) -> object:
    """What stands under a key of a model, or under any key or index of a collection."""
    origin = getattr(annotation, "__origin__", None)
    if isinstance(origin, type) and issubclass(origin, Mapping | tuple):
        arguments = annotation.__args__  # type: ignore[attr-defined]
        return arguments[1] if issubclass(origin, Mapping) else arguments[0]
    model = _find_model(annotation)
    named = keys(model).get(str(part)) if model else None
    return named.annotation if named else None


def _find_model(annotation: object) -> type[Frozen] | None:
    if isinstance(annotation, type) and issubclass(annotation, Frozen):
        return annotation
    inner = getattr(annotation, "__args__", ())
    return next((found for part in inner if (found := _find_model(part))), None)
