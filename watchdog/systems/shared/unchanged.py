"""What was worked out at an earlier look, for as long as all that it rests on is the same."""

import marshal
import sys
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, Generic, TypeVar, cast

from watchdog.core.changed import unequal, unlike

T = TypeVar("T")


def shared(row: tuple[Any, ...], before: tuple[Any, ...] | None) -> tuple[Any, ...]:
    """The row made of what the one before was made of, as far as that is the same: what it says is held once. So are
    words, which stand in many rows."""
    if before is None or len(row) != len(before):
        return tuple([_word(value) for value in row])
    if row == before:
        return before
    return tuple(
        [old if old == new and type(old) is type(new) else _word(new) for old, new in zip(before, row, strict=True)]
    )


LONGEST_WORD = 32
"""Characters."""


def _word(value: Any) -> Any:
    is_one = type(value) is str and len(value) <= LONGEST_WORD and value.isidentifier()
    return sys.intern(value) if is_one else value


class Unchanged(Generic[T]):
    """One result a key. `basis` must hold everything that the result depends on."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[object, T]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str, basis: object, make: Callable[[], T]) -> T:
        """The result of the last look if its basis is equal, else a new one."""
        known = self.known(key, basis)
        return self.keep(key, basis, make()) if known is None else known

    def known(self, key: str, basis: object) -> T | None:
        """The result of the last look, if its basis is equal."""
        known = self._known.get(key)
        return known[1] if known is not None and known[0] == basis else None

    def keep(self, key: str, basis: object, made: T) -> T:
        """Remember a result, and give it back."""
        self._known[key] = (basis, made)
        return made

    def forget(self, there: Collection[str]) -> None:
        """Drop what belongs to keys that are gone."""
        if len(self._known) > len(there):
            self._known = {key: kept for key, kept in self._known.items() if key in there}


class SameRows:
    """Rows as they were read: those that say what they said at the look before are the objects of that look."""

    def __init__(self) -> None:
        self._keys: Sequence[str] = ()
        self._rows: list[tuple[Any, ...]] = []
        self._weights: dict[int, int] = {}
        self._read: dict[int, int] = {}

    def weighed(self, start: int, rows: list[tuple[Any, ...]]) -> tuple[list[tuple[Any, ...]], int]:
        """Some rows as they are read, from this place on, and about how many bytes they hold. Where the same stood
        there at the last look it is those objects, which are not weighed again."""
        before, weight = self._rows[start : start + len(rows)], self._weights.get(start)
        if weight is None or before != rows:
            # many times as fast as to add up what the values hold, and little more
            before, weight = rows, len(marshal.dumps(rows))
        self._read[start] = weight
        return before, weight

    def of(self, keys: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
        """The rows, one a key, for as long as until the next are asked for."""
        # what was weighed in a look that broke off is not what is known here
        self._weights, self._read = self._read, {}
        if keys != self._keys:
            known = dict(zip(self._keys, self._rows, strict=True))
            self._keys, self._rows = keys, [known.get(key, ()) for key in keys]
        for place in unlike(self._rows, rows):
            if self._rows[place] != rows[place]:
                self._rows[place] = shared(rows[place], self._rows[place])
        return self._rows


class InOrder(Generic[T]):
    """One result a key, in the keys' order, for as long as its basis is equal; see `Unchanged`. A thousand of them are
    looked through at the speed of a comparison, most often with nothing to do."""

    def __init__(self) -> None:
        self._keys: Sequence[Hashable] = ()
        self._bases: list[object] = []
        self.results: list[T] = []

    def renew(
        self, keys: Sequence[Hashable], bases: Sequence[object], make: Callable[[int, T | None], T]
    ) -> Sequence[int]:
        """Have the results made whose basis is another one: `make` is handed the place and the result before. The
        places of those are given back."""
        if keys != self._keys:
            self._move(keys)
        places = unequal(self._bases, bases)
        for place in places:
            self.results[place] = make(place, self.results[place])
            self._bases[place] = bases[place]
        return places

    def _move(self, keys: Sequence[Hashable]) -> None:
        """Put what is known in the keys' order; what is not there any more is dropped."""
        known = dict(zip(self._keys, zip(self._bases, self.results, strict=True), strict=True))
        nothing = (_NONE, cast("T", None))
        self._bases = [known.get(key, nothing)[0] for key in keys]
        self.results = [known.get(key, nothing)[1] for key in keys]
        self._keys = keys


_NONE = object()
"""Equals no basis."""
