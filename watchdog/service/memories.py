"""What sources remember over a restart: kept in the state file, and written not more often than need be."""

import sqlite3
from collections.abc import Mapping
from datetime import datetime, timedelta
from threading import Lock
from typing import TypeVar

from watchdog.core.logs import log
from watchdog.state.store import Store

T = TypeVar("T")

Unwritten = dict[tuple[str, str], dict[str, object]]
"""By source and name, by key."""

WRITTEN_EVERY = timedelta(seconds=10)
"""A crash forgets no more than this; most of it shows again at the next look."""


class Memories:
    """The memories of all sources in one state file. Sources keep things from threads of their own."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = Lock()
        self._unwritten: Unwritten = {}
        self._written_at: datetime | None = None

    def of(self, source: str) -> "SourceMemory":
        """One source's own part."""
        return SourceMemory(self, source)

    def recall(self, source: str, name: str, kind: type[T]) -> dict[str, T]:
        """What was remembered of a source under a name."""
        try:
            return self._store.remembered(source, name, kind)
        except sqlite3.Error as error:
            log.error(f"what was remembered of {source} cannot be read: {error}", extra={"action": "state"})
            return {}

    def keep(self, source: str, name: str, things: Mapping[str, object]) -> None:
        """Note what is to be written."""
        if things:
            with self._lock:
                self._unwritten.setdefault((source, name), {}).update(things)

    def turn(self, now: datetime) -> None:
        """Write what is new, if that is some time ago or the clock was set back."""
        last = self._written_at
        if self._unwritten and (last is None or not timedelta() <= now - last < WRITTEN_EVERY):
            self.write(now)

    def write(self, now: datetime) -> None:
        """Write what is new; a state file that cannot be written is tried again at a later turn."""
        self._written_at = now
        with self._lock:
            taken, self._unwritten = self._unwritten, {}
        try:
            with self._store.transaction():
                for (source, name), things in taken.items():
                    self._store.remember(source, name, things, now)
        except sqlite3.Error as error:
            log.warning(f"what is remembered cannot be written: {error}; it is tried again", extra={"action": "state"})
            self._give_back(taken)

    def _give_back(self, taken: Unwritten) -> None:
        """What could not be written, unless something newer has been noted under the same key meanwhile."""
        with self._lock:
            for place, things in taken.items():
                self._unwritten[place] = {**things, **self._unwritten.get(place, {})}


class SourceMemory:
    """What one source keeps; see `systems.shared.host.Memory`."""

    def __init__(self, memories: Memories, source: str) -> None:
        self._memories = memories
        self._source = source

    def recall(self, name: str, kind: type[T]) -> dict[str, T]:
        """What was kept under a name."""
        return self._memories.recall(self._source, name, kind)

    def keep(self, name: str, things: Mapping[str, object]) -> None:
        """Keep these."""
        self._memories.keep(self._source, name, things)
