"""What was worked out at an earlier look, for as long as all that it rests on is the same."""

import sys
from collections.abc import Callable, Collection
from typing import Any, Generic, TypeVar

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
