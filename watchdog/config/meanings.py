"""What each key of the configuration means: it stands in the docstring of its section, as "`key`: meaning"."""

import re
from collections.abc import Iterator

from watchdog.config import kinds
from watchdog.config.file import Config
from watchdog.core.fields import Frozen, keys
from watchdog.core.kinds import Kind
from watchdog.detectors.rules import Rules

_KEY = re.compile(r"`([a-z_]+)`: ")


def parts() -> tuple[type[Frozen], ...]:
    """Every section of the configuration, outermost first."""
    found: dict[type[Frozen], None] = {}
    roots: list[type[Frozen]] = [Config, *(kinds.section_of(kind) for kind in kinds.known())]
    for model in roots:
        _collect(model, found)
    return tuple(found)


def _collect(model: type[Frozen], found: dict[type[Frozen], None]) -> None:
    if model in found:
        return
    found[model] = None
    for key in keys(model).values():
        for inner in models_in(key.annotation):
            _collect(inner, found)


def models_in(annotation: object) -> Iterator[type[Frozen]]:
    """The sections that a value may be made of."""
    if isinstance(annotation, type) and issubclass(annotation, Frozen):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from models_in(part)


def intro(model: type[Frozen]) -> str:
    """What the section is for: what its docstring says before the keys."""
    first = (model.__doc__ or "").split("\n\n")[0]
    return _KEY.split(" ".join(first.split()))[0].strip()


def meanings(model: type[Frozen]) -> dict[str, str]:
    """What each key of a section means; what a section says goes before what its kind of section says."""
    found: dict[str, str] = {}
    for base in reversed([each for each in model.__mro__ if issubclass(each, Frozen)]):
        for paragraph in (base.__doc__ or "").split("\n\n"):
            _, *said = _KEY.split(" ".join(paragraph.split()))
            found |= {key: _sentence(text) for key, text in zip(said[::2], said[1::2], strict=True)}
    if issubclass(model, Rules):
        found |= {kind.value: _condition(kind) for kind in Kind}
    return {key: found[key] for key in keys(model) if key in found}


def _sentence(text: str) -> str:
    text = text.strip().rstrip(".;")
    return f"{text[0].upper()}{text[1:]}."


def _condition(kind: Kind) -> str:
    return f"From when on it is told that {_subject(kind)} {kind.row.one}."


def _subject(kind: Kind) -> str:
    if kind is Kind.UNSAVED:
        return "the watchdog"
    return {"job": "a job", "scheduler": "the scheduler", "source": "a source"}[kind.row.concern.value]
