"""Schedulers whose file is known: a YAML file each, with what is known of it."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

Preset = Literal["nanobot", "picoclaw", "openfang", "librefang", "goose", "agent-zero"]

NAMES: tuple[str, ...] = get_args(Preset)


@cache
def facts(name: str) -> Mapping[str, Any]:
    """The keys of a section that a preset stands for."""
    import yaml

    found: Mapping[str, Any] = yaml.safe_load((files(__package__) / f"{name}.yaml").read_text(encoding="utf-8"))
    return found
