"""A YAML file as plain data: safe types only, no key twice, `${VAR}` from the environment."""

import os
import re
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path

import yaml

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

DEEPEST = 40


class YamlError(Exception):
    """The file cannot be used; `problems` are lines that name the place in it."""

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, which would let a second key silently win."""


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
            raise YamlError(f"line {key.start_mark.line + 1}: the key {key.value!r} stands there twice")
        seen.add(key.value)
        key.tag = _TEXT  # YAML would make `true` of the key `on`
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


Problem = tuple[str, str]
"""The place in the file, and what is wrong there."""


def load(path: Path, environment: Mapping[str, str] = os.environ) -> tuple[object, list[Problem]]:
    """What stands in the file, with variables filled in, and the variables that are not set.

    Raises YamlError. No message ever shows a variable's value.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise YamlError("not UTF-8 text") from None
    except OSError as error:
        raise YamlError(f"cannot be read: {error.strerror}") from None
    return _filled_in(parsed(text), environment)


def parsed(text: str) -> object:
    """What a YAML text says. Raises YamlError."""
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        raise YamlError(f"{where}not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise YamlError(f"not YAML: {str(error).splitlines()[0] if str(error) else 'nested too deeply'}") from None


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
