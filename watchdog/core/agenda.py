"""Instants in their order: what has become due is found without a look at the rest."""

from collections.abc import Hashable
from datetime import datetime
from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_SLACK = 64
"""So many entries that hold no more, and a quarter of the keys', are not worth putting all in order anew."""


class Agenda(Generic[K]):
    """One instant a key at the most. Keys of one instant must be comparable."""

    def __init__(self) -> None:
        self._at: dict[K, datetime] = {}
        self._heap: list[tuple[datetime, K]] = []

    def put(self, key: K, at: datetime | None) -> None:
        """The key's instant is this from now on, or none."""
        if at is None:
            self._at.pop(key, None)
        elif self._at.get(key) != at:
            self._at[key] = at
            heappush(self._heap, (at, key))
            if len(self._heap) > len(self._at) * 5 // 4 + _SLACK:
                self._heap = [(at, key) for key, at in self._at.items()]
                heapify(self._heap)

    def take_due(self, now: datetime) -> list[K]:
        """The keys whose instant has come, the earliest first. They have none from then on, until one is put."""
        due = []
        while self._heap and self._heap[0][0] <= now:
            at, key = heappop(self._heap)
            if self._at.get(key) == at:
                del self._at[key]
                due.append(key)
        return due

    @property
    def earliest(self) -> datetime | None:
        """The first instant of all; None if there is none."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None
