"""Run ends in a few bytes each: of a thousand jobs a dozen each are remembered."""

import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import starmap
from struct import Struct
from typing import overload

from watchdog.core.instants import EPOCH
from watchdog.core.model import RunEnd

_END = Struct("<qqqqd")
"""Id, instant in microseconds, tokens in and out, US dollars."""

_NO_COUNT = -(2**63)
_NO_COST = math.nan
_MICROSECOND = timedelta(microseconds=1)


class PackedEnds(Sequence[RunEnd]):
    """Run ends of which nothing but the bill is known, as a tuple of them would be: a sixth of its size.

    Equal to any sequence of the same run ends that is a tuple or packed. A run's status is not kept. `newest` is at
    hand, for at each look it is asked for of each job; of what is `folded` it is not, even where there is one.
    """

    __slots__ = ("_bytes", "newest")

    def __init__(self, ends: Iterable[RunEnd] = ()) -> None:
        ends = tuple(ends)
        self._bytes = b"".join([_packed(end) for end in ends])
        self.newest: RunEnd | None = ends[-1] if ends else None

    def with_newest(self, end: RunEnd, most: int) -> "PackedEnds":
        """These and one more; of all those no more than the newest so many."""
        return self._of((self._bytes + _packed(end))[-most * _END.size :], end)

    def folded(self) -> "PackedEnds":
        """The same, for what is kept and seldom asked."""
        return self._of(self._bytes, None)

    @classmethod
    def _of(cls, packed: bytes, newest: RunEnd | None) -> "PackedEnds":
        made = cls()
        made._bytes, made.newest = packed, newest
        return made

    def __len__(self) -> int:
        return len(self._bytes) // _END.size

    def __iter__(self) -> Iterator[RunEnd]:
        return starmap(_unpacked, _END.iter_unpack(self._bytes))

    @overload
    def __getitem__(self, place: int) -> RunEnd: ...
    @overload
    def __getitem__(self, place: slice) -> "PackedEnds": ...
    def __getitem__(self, place: int | slice) -> "RunEnd | PackedEnds":
        if isinstance(place, slice):
            return PackedEnds([self[index] for index in range(*place.indices(len(self)))])
        if place == -1 and self.newest is not None:
            return self.newest
        index = range(len(self))[place]
        return _unpacked(*_END.unpack_from(self._bytes, index * _END.size))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedEnds):
            return self._bytes == other._bytes
        return tuple(self) == other if isinstance(other, tuple) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"PackedEnds({list(self)!r})"


def _packed(end: RunEnd) -> bytes:
    counts = [_NO_COUNT if count is None else count for count in (end.input_tokens, end.output_tokens)]
    cost = _NO_COST if end.cost_usd is None else end.cost_usd
    return _END.pack(end.id, (end.at - EPOCH) // _MICROSECOND, *counts, cost)


def _unpacked(id_: int, at: int, input_tokens: int, output_tokens: int, cost: float) -> RunEnd:
    return RunEnd(
        id_,
        EPOCH + timedelta(microseconds=at),
        None if input_tokens == _NO_COUNT else input_tokens,
        None if output_tokens == _NO_COUNT else output_tokens,
        None if math.isnan(cost) else cost,
    )
