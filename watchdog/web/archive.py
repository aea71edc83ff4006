"""The state file as the web reads and changes it: over a connection of its own, so that the loop never waits for it."""

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from watchdog.core.action import Action
from watchdog.core.incident import Handover, Incident
from watchdog.core.instants import EPOCH
from watchdog.core.message import Entry
from watchdog.core.silences import Silence
from watchdog.recovery import brought_back
from watchdog.state.history import JobKey, Run, StateChange, load_runs, load_states
from watchdog.state.opening import StoreError
from watchdog.state.records import Decoded as Actions
from watchdog.state.records import Records
from watchdog.state.store import Decoded as Incidents
from watchdog.state.store import Store
from watchdog.web.strip import LENGTH

T = TypeVar("T")


class NoArchiveError(Exception):
    """The state file cannot be used; one line."""


@dataclass(frozen=True)
class Notes:
    """What people said and what recovery did: all that stands beside a posting."""

    acknowledged: dict[int, tuple[datetime, str]] = field(default_factory=dict)
    silences: tuple[Silence, ...] = ()
    actions: tuple[Action, ...] = ()
    incidents: tuple[Incident, ...] = ()
    untold: tuple[Entry, ...] = ()

    @cached_property
    def brought_back(self) -> dict[JobKey, datetime]:
        """When each job was brought back that no run has proved yet."""
        return brought_back.when(reversed(self.actions))

    @cached_property
    def begun(self) -> dict[JobKey, datetime]:
        """Since when each job is being brought back."""
        return brought_back.begun(reversed(self.actions))

    def untold_of(self, number: int) -> list[Entry]:
        """The messages about an incident that have not arrived."""
        return [entry for entry in self.untold if entry.is_about(number)]


class Archive:
    """Opened at the first question. With no path there is no past, and every question has an empty answer."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._store: Store | None = None
        self._version: object = None
        self._notes = Notes()
        self._incidents: Incidents = {}
        self._actions: Actions = {}
        self._runs: dict[tuple[JobKey, int], list[Run]] = {}
        self._states: dict[JobKey, list[StateChange]] = {}

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """The state file, for one thread at a time. Raises NoArchiveError."""
        if self.path is None:
            raise NoArchiveError("this watchdog keeps no state file, so nothing can be written down: set `state`")
        with self._lock:
            try:
                if self._store is None:
                    self._store = Store(self.path, exclusive=False)
                yield self._store
            except (sqlite3.Error, StoreError) as error:
                raise NoArchiveError(f"the state file cannot be used now: {error}") from error

    @property
    def version(self) -> object:
        """Changes with the file; for those who keep what they made of it."""
        if self.path is None:
            return None
        try:
            with self.opened() as store:
                self._refresh(store)
        except NoArchiveError:
            return None
        return self._version

    def _refresh(self, store: Store) -> None:
        """Forget what was read if the file has been written since, by others or by this connection."""
        (theirs,) = store.database.execute("PRAGMA data_version").fetchone()
        version = (theirs, store.database.total_changes)
        if version != self._version:
            self._version = version
            self._runs.clear()
            self._states.clear()
            self._notes = self._read(store)

    def _read(self, store: Store) -> Notes:
        """The notes; of incidents and actions only what has changed is read again."""
        records = Records(store)
        incidents = sorted(store.ledger(self._incidents).incidents.values(), key=lambda incident: -incident.id)
        return Notes(
            store.acknowledgements(),
            tuple(store.silences(EPOCH)),
            tuple(reversed(records.approved(records.actions(self._actions)))),
            tuple(incidents),
            tuple(store.untold()),
        )

    def notes(self) -> Notes:
        """What is written beside the posting; all of it empty while the file cannot be read."""
        if self.path is None:
            return Notes()
        try:
            with self.opened() as store:
                self._refresh(store)
                return self._notes
        except NoArchiveError:
            return self._notes

    def runs(self, keys: Iterable[JobKey], limit: int = LENGTH) -> dict[JobKey, list[Run]]:
        """The newest runs of each job, oldest first."""
        if self.path is None:
            return {}
        try:
            with self.opened() as store:
                self._refresh(store)
                return {key: self._runs_of(store, key, limit) for key in keys}
        except NoArchiveError:
            return {}

    def _runs_of(self, store: Store, key: JobKey, limit: int) -> list[Run]:
        if (key, limit) not in self._runs:
            self._runs[key, limit] = load_runs(store.database, *key, limit)
        return self._runs[key, limit]

    def states(self, keys: Iterable[JobKey]) -> dict[JobKey, list[StateChange]]:
        """The changes of state of each job, oldest first."""
        if self.path is None:
            return {}
        try:
            with self.opened() as store:
                self._refresh(store)
                for key in (wanted := list(keys)):
                    if key not in self._states:
                        self._states[key] = load_states(store.database, *key)
                return {key: self._states[key] for key in wanted}
        except NoArchiveError:
            return {}

    def messages(self, number: int) -> list[Entry]:
        """All messages about an incident, oldest first; none while the file cannot be read."""
        return self._if_readable(lambda store: store.entries(number))

    def handovers(self, number: int) -> list[Handover]:
        """Who took an incident on and gave it back, oldest first; nobody while the file cannot be read."""
        return self._if_readable(lambda store: store.handovers(number))

    def _if_readable(self, read: Callable[[Store], list[T]]) -> list[T]:
        if self.path is None:
            return []
        try:
            with self.opened() as store:
                return read(store)
        except NoArchiveError:
            return []

    def page(self, key: JobKey, limit: int, before: datetime | None) -> list[Run]:
        """A page of a job's runs, oldest first. Raises NoArchiveError."""
        with self.opened() as store:
            return load_runs(store.database, *key, limit, before)

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            if self._store is not None:
                self._store.close()
                self._store = None
