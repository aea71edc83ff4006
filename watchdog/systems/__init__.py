"""The schedulers that can be watched. Each is a folder here, and nothing outside knows one by name: this is the list.

A system's code is imported only where one is watched, so nothing heavy is imported here.
"""

from __future__ import annotations

from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from watchdog.config import kinds

if TYPE_CHECKING:
    from watchdog.config.sources import Section
    from watchdog.systems.base import System

KINDS = ("phantom", "openclaw", "hermes", "sql", "json")
"""The kinds, the usual one first. The folder of each has a module `system` with its object in it, `SYSTEM`."""

_FOLDERS = {"json": "json_file"}
"""Of those whose folder is called otherwise: `json` would be taken for Python's own by whoever stands in it."""


def folder(kind: str) -> str:
    """Where a kind's code is."""
    return _FOLDERS.get(kind, kind)


@cache
def system(kind: str) -> System[Any]:
    """The system of this kind; raises KeyError for one that is not known."""
    if kind not in KINDS:
        raise KeyError(kind)
    found: System[Any] = import_module(f"watchdog.systems.{folder(kind)}.system").SYSTEM
    return found


def system_of(source: Section) -> System[Any]:
    """The system of a configured source."""
    return system(source.kind)


def _section(kind: str) -> type[Section]:
    return system(kind).section


for _kind in KINDS:
    kinds.make_known(_kind, partial(_section, _kind))
