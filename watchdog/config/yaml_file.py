"""A YAML file as plain data: safe types only, no key twice, `${VAR}` from the environment."""

import os
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from watchdog.core.regular_file import read_text

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

DEEPEST = 40

LARGEST = 1024 * 1024
"""Bytes; two thousand sources are not as much."""

MOST_VALUES = 200_000
"""Of all that is in it, what an alias repeats counted each time."""


class YamlError(Exception):
    """The file cannot be used; `problems` are lines that name the place in it."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which would let a second key silently win. `problems`: what it has met of that kind, with
    its line."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[tuple[int, str]] = []


_MERGE = "tag:yaml.org,2002:merge"
_TEXT = "tag:yaml.org,2002:str"


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[Hashable, object]:
    seen: set[str] = set()
    for key, _ in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise YamlError(f"line {key.start_mark.line + 1}: a key must be text")
        if key.tag == _MERGE:
            continue
        if key.value in seen:
            loader.problems.append((key.start_mark.line + 1, f"the key {key.value!r} stands there twice"))
        seen.add(key.value)
        key.tag = _TEXT  # YAML would make `true` of the key `on`
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


Problem = tuple[str, str]
"""The place in the file, and what is wrong there."""


@dataclass(frozen=True, slots=True)
class Document:
    """What stands in a file, with variables filled in; the variables that are not set; the line of each place."""

    data: object
    unset: Sequence[Problem] = ()
    lines: Mapping[str, int] = field(default_factory=dict)

    @property
    def mapping(self) -> dict[str, object]:
        """The data as a mapping; an empty one if it is none."""
        return self.data if isinstance(self.data, dict) else {}


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Document:
    """What stands in the file. Raises YamlError. No message ever shows a variable's value."""
    try:
        text = read_text(path, LARGEST)
    except UnicodeDecodeError:
        raise YamlError("not UTF-8 text") from None
    except OSError as error:
        raise YamlError(f"cannot be read: {error.strerror}") from None
    data = parsed(text)
    filled, unset = _filled_in(data, environment)
    return Document(filled, unset, _lines(text))


def parsed(text: str) -> object:
    """What a YAML text says. Raises YamlError."""
    loader = None
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        _must_be_within_bounds(root)
        data: object = loader.construct_document(root) if root else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise YamlError(f"{where}not YAML: {error.problem or error.context}{_hint(text, mark)}") from None
    except (yaml.YAMLError, ValueError, RecursionError, *_UNFIT) as error:
        what = "nested too deeply" if isinstance(error, RecursionError) else str(error) or "a value that is none"
        raise YamlError(f"not YAML: {what.splitlines()[0]}") from None
    finally:
        if loader is not None:
            loader.dispose()
    if loader.problems:
        raise YamlError(*(f"line {line}: {what}" for line, what in sorted(loader.problems)))
    return data


_UNFIT = (LookupError, AttributeError, TypeError)
"""What PyYAML raises for a value that is not of the type that is written before it, such as `!!bool ""`."""


def _must_be_within_bounds(root: yaml.Node | None) -> None:
    """Before anything is made of it: aliases of aliases would become more than there is memory, or never end."""
    waiting, seen = [root] if root else [], 0
    while waiting:
        node = waiting.pop()
        seen += 1
        if seen > MOST_VALUES:
            where = f"line {node.start_mark.line + 1}"
            raise YamlError(f"{where}: not YAML: more than {MOST_VALUES:,} values; does an alias repeat them?")
        if isinstance(node, yaml.MappingNode):
            waiting += [each for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value


def _hint(text: str, mark: yaml.Mark | None) -> str:
    """What helps where a sign means something in YAML that people do not mean."""
    line = text.splitlines()[mark.line] if mark and mark.line < len(text.splitlines()) else ""
    if re.search(r"(?:[:,\[{]|- )\s*[*&!%@`]", line):
        return "; put what begins with such a sign in quotes"
    if "\t" in line:
        return "; indent with blanks"
    # a name without one goes on as a text, until the next name or the end
    before = text.splitlines()[mark.line - 1].partition("#")[0].strip() if mark and mark.line else ""
    return f"; is a colon missing in line {mark.line}?" if mark and before and ":" not in before else ""


def _lines(text: str) -> dict[str, int]:
    """In which line each place of the file begins, counted from 1."""
    lines: dict[str, int] = {}
    root = yaml.compose(text, Loader=_Loader)
    waiting = [("", root)] if root else []
    while waiting:
        place, node = waiting.pop()
        lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                inner = f"{place}.{key.value}" if place else str(key.value)
                lines.setdefault(inner, key.start_mark.line + 1)
                waiting.append((inner, value))
        elif isinstance(node, yaml.SequenceNode):
            waiting += [(f"{place}[{index}]", value) for index, value in enumerate(node.value)]
    return lines


def _filled_in(data: object, environment: Mapping[str, str]) -> tuple[object, list[Problem]]:
    problems: list[Problem] = []
    filled = _walk(data, "", lambda text, place: _fill(text, place, environment, problems))
    return filled, problems


def _walk(data: object, place: str, change: Callable[[str, str], str]) -> object:
    if place.count(".") + place.count("[") > DEEPEST:
        raise YamlError(f"{place[:60]}…: nested too deeply")
    if isinstance(data, dict):
        return {key: _walk(value, f"{place}.{key}" if place else str(key), change) for key, value in data.items()}
    if isinstance(data, list):
        return [_walk(value, f"{place}[{index}]", change) for index, value in enumerate(data)]
    return change(data, place) if isinstance(data, str) else data


def _fill(text: str, place: str, environment: Mapping[str, str], problems: list[Problem]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if not _NAME.fullmatch(name):
            problems.append((place, f"${{{name}}} is not the name of an environment variable"))
        elif name not in environment:
            problems.append((place, f"the environment variable {name} is not set"))
        return environment.get(name, "")

    return _VARIABLE.sub(value, text)
