"""What the service has to do with telling: the state file, the notifier that writes it, the sender that empties it."""

import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from watchdog.config.file import Config
from watchdog.core.action import Action
from watchdog.core.clock import Clock
from watchdog.core.incident import Incident
from watchdog.core.logs import log
from watchdog.core.model import Finding
from watchdog.detectors.published import Published
from watchdog.notify.alert_poster import AlertPoster
from watchdog.notify.dispatch import Sender, SenderThread, open_book
from watchdog.notify.notifier import Notifier
from watchdog.state.opening import StoreError
from watchdog.state.store import Store


def open_store(config: Config) -> Store:
    """The state file. Where nobody is to be told, one that cannot be had is done without."""
    try:
        return Store(config.state)
    except StoreError as error:
        if config.channels or config.people:
            raise
        log.warning(f"{error}; incidents are forgotten at the end", extra={"action": "state"})
        return Store(None, trouble=str(error).removeprefix("the state file "))


class Counts(Protocol):
    """Who counts what is told, as the metrics do."""

    def notified(self, channel: str, outcome: str) -> None:
        """An attempt at a channel was over."""

    def counted(self, incidents: Sequence[Incident], depth: int, oldest: datetime | None) -> None:
        """So many incidents are open, and so many messages wait, the oldest since then."""


class NotificationService:
    """Opens with the service and closes with it."""

    def __init__(self, config: Config, store: Store, counts: Counts, clock: Clock) -> None:
        self._counts = counts
        self._clock = clock
        self._store = store
        self._notifier = Notifier(config, self._store)
        self._sender_store: Store | None = None
        self._thread: SenderThread | None = None
        self._config = config
        self._problem = ""
        self._is_started = False

    @property
    def incidents(self) -> tuple[Incident, ...]:
        """The incidents that are open."""
        return tuple(self._notifier.ledger.open)

    @property
    def look_again_at(self) -> datetime | None:
        """When somebody is to be told something. What cannot be written is tried again at each look, and no sooner."""
        return None if self._problem else self._notifier.look_again_at

    def start(self) -> None:
        """Begin to send, if there is anywhere to send to."""
        self._is_started = True
        if not self._config.channels and not self._config.people:
            return
        if self._store.path is None:
            log.error("nobody is told without a state file: set `state` and restart", extra={"action": "state"})
            return
        self._sender_store = Store(self._store.path, exclusive=False)
        sender = Sender(self._sender_store, open_book(self._config), self._counts.notified)
        self._thread = SenderThread(sender, self._posters(self._sender_store), self._clock.now)
        self._thread.start()

    def _posters(self, store: Store) -> dict[str, AlertPoster]:
        config, notified = self._config, self._counts.notified
        return {
            name: AlertPoster(name, channel.alertmanager, store, config.notify.deadline, notified)
            for name, channel in config.channels.items()
            if channel.alertmanager
        }

    def turn(self, published: Published, now: datetime) -> None:
        """Take over what a tick published. A state file that cannot be written ends neither looking nor showing."""
        try:
            self._take_over(published, now)
        except sqlite3.Error as error:
            if self._store.give_way(error):  # nobody waits for another turn to be told
                self.turn(published, now)
                return
            self._complain(str(error))
        else:
            self._complain("")

    def clock_was_set(self, step: timedelta) -> None:
        """By so much, back where it is negative."""
        self._notifier.clock_was_set(step)

    def _complain(self, problem: str) -> None:
        """Say once that there is a problem, and once that there is none any more."""
        if problem and problem != self._problem:
            words = f"the state file {self._store.path} cannot be used: {problem}; it is tried again at each look"
            log.error(words, extra={"action": "state"})
        elif self._problem and not problem:
            log.info("the state file can be used again", extra={"action": "state"})
        self._problem = problem

    def _take_over(self, published: Published, now: datetime) -> None:
        has_written = self._notifier.turn(published, now)
        waiting = self._notifier.waiting()
        self._counts.counted(self.incidents, len(waiting), waiting[0].created_at if waiting else None)
        if self._thread is not None:
            self._thread.fire(self._notifier.firing(published, now))
            if has_written:
                self._thread.wake()

    def use(self, config: Config) -> None:
        """From now on this configuration holds."""
        if config.state != self._config.state:
            log.warning(
                "another `state` is taken at the next start, and the file before goes on being used",
                extra={"action": "reload"},
            )
        self._notifier.use(config)
        self._config = config
        if self._thread is not None and self._sender_store is not None:
            self._thread.use(open_book(config), self._posters(self._sender_store))
        elif self._is_started:
            self.start()

    def stop(self) -> None:
        """End sending."""
        self._is_started = False
        self._end_sending()

    def announce(
        self,
        finding: Finding,
        title: str,
        lead: str,
        facts: tuple[tuple[str, str], ...],
        action: Action | None = None,
    ) -> None:
        """Tell the owner of a finding something beside its incident; written down with what the caller writes."""
        self._notifier.announce(finding, title, lead, facts, self._clock.now(), action)

    def _end_sending(self) -> None:
        if self._thread is not None:
            self._thread.stop()
            self._thread = None
        if self._sender_store is not None:
            self._sender_store.close()
            self._sender_store = None
