"""What is other than it was, found at the speed of a comparison: of a thousand jobs one or two are, at most looks."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from operator import is_not, ne
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def unlike(before: Sequence[object], after: Sequence[object]) -> Sequence[int]:
    """The places at which another object stands; all of them where there are more or fewer."""
    return _places(before, after, map(is_not, before, after))


def unequal(before: Sequence[object], after: Sequence[object]) -> Sequence[int]:
    """The same by what the objects say."""
    return _places(before, after, map(ne, before, after))


def _places(before: Sequence[object], after: Sequence[object], differ: Iterable[bool]) -> Sequence[int]:
    everywhere = range(len(after))
    return list(compress(everywhere, differ)) if len(before) == len(after) else everywhere


def changed_keys(before: Mapping[K, V], after: Mapping[K, V]) -> set[K]:
    """Those that have come, have gone, or have another object as their value."""
    if before is after:
        return set()
    changed = set(compress(after, map(is_not, map(before.get, after), after.values())))
    if len(before) != len(after) or changed:
        changed |= before.keys() - after.keys()
    return changed
