"""Which kinds of source there are. Each is made known by the list of systems, with the way to its section of the file.

Nothing heavy is imported here: every process of this program passes by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from watchdog.config.sources import Section

_SECTIONS: dict[str, Callable[[], type[Section]]] = {}


def make_known(kind: str, section: Callable[[], type[Section]]) -> None:
    """From now on a source may be of this kind. `section` is asked where one is; the first kind is the usual one."""
    _SECTIONS[kind] = section


def known() -> tuple[str, ...]:
    """All kinds, the usual one first."""
    return tuple(_SECTIONS)


def usual() -> str:
    """The kind of a source that does not say any."""
    return next(iter(_SECTIONS))


def section_of(kind: str) -> type[Section]:
    """What a source of this kind has in the file; raises KeyError for a kind that is not known."""
    return _SECTIONS[kind]()


def that_can(action: str) -> str:
    """The first kind whose jobs this can be done to; raises StopIteration if there is none."""
    return next(kind for kind in _SECTIONS if action in section_of(kind).actions)
