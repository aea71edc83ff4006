"""`--set PATH=VALUE`: a configuration with a value changed, to see what that would change."""

import copy
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from watchdog.config.yaml_file import YamlError, parsed

_STEP = re.compile(r"([^.\[\]=]+)|\[(\d+)\]")
_PATH = re.compile(r"[^.\[\]=]+(?:\.[^.\[\]=]+|\[\d+\])*")


class SettingError(Exception):
    """What was asked for cannot be set; one line."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Where in the configuration, and what stands there instead. `text` is as it was written."""

    text: str
    path: tuple[str | int, ...]
    value: object


def setting(text: str) -> Setting:
    """`detect.zero_tokens.streak=5` or `owners[0].remind_every=12h`; the value is YAML. Raises SettingError."""
    path, sign, value = text.partition("=")
    if not sign or not _PATH.fullmatch(path.strip()):
        raise SettingError(f"--set {text!r} is not a setting; write it like detect.zero_tokens.streak=5")
    steps = tuple(int(index) if index else key for key, index in _STEP.findall(path.strip()))
    try:
        return Setting(text, steps, parsed(value))
    except YamlError as error:
        raise SettingError(f"--set {text}: {'; '.join(error.problems)}") from None


def changed(data: Mapping[str, object], settings: Iterable[Setting]) -> dict[str, object]:
    """The configuration's data with these values instead. Raises SettingError for a place that is not there."""
    answer: dict[str, object] = copy.deepcopy(dict(data))
    for one in settings:
        _put(answer, one.path, one)
    return answer


def _put(inside: object, path: tuple[str | int, ...], one: Setting) -> object:
    """The value with what stands at the path replaced; what is not there yet is made."""
    if not path:
        return one.value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        if not isinstance(inside, list) or step >= len(inside):
            count = len(inside) if isinstance(inside, list) else 0
            raise SettingError(f"--set {one.text}: there is no [{step}]; the list there has {count} entries")
        inside[step] = _put(inside[step], rest, one)
        return inside
    section = inside if isinstance(inside, dict) else {}
    section[step] = _put(section.get(step), rest, one)
    return section
