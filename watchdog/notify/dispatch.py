"""The sender: takes what is due out of the outbox and hands it over, one message at a time for each target.

It runs in a thread of its own with a connection of its own, so no target delays a tick; and each target has its own
turn, so none delays another.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from watchdog.config.file import Channel, Config
from watchdog.core import faults
from watchdog.core.children import Child, Result, StillSendingError, recorded
from watchdog.core.logs import log
from watchdog.core.message import Entry, State
from watchdog.notify import alertmanager, outbox
from watchdog.notify.alert_poster import AlertPoster, Count
from watchdog.notify.child import MODULE as SENDER
from watchdog.notify.outbox import Retry
from watchdog.notify.targets import NoAddressError, address_of, names_of, parse_key, template_name
from watchdog.state.store import Store

AT_ONCE = 8
"""Processes at a time, each target one at most. Those that hang do not count, so that they delay no other target."""

AT_MOST = 48
"""Processes in all, hanging ones too."""

_LAST_MOMENT = 0.8
"""Seconds that messages under way have to end when the service does."""

_PAUSE = 0.05


@dataclass(frozen=True, slots=True)
class Book:
    """Where the addresses stand. Only the sender opens it."""

    channels: Mapping[str, Channel]
    templates: Mapping[str, str]
    retry: Retry


def open_book(config: Config) -> Book:
    """The addresses of a configuration."""
    named = {name: text for text, name in names_of(config.people).items()}
    # what was written down by a version that called each after its text is still to be sent
    named |= {template_name(text): text for text in named.values()}
    retry = Retry(deadline=config.notify.deadline, give_up_after=config.notify.give_up_after)
    return Book(config.channels, named, retry)


class Delivery(Protocol):
    """One message under way."""

    @property
    def is_slow(self) -> bool:
        """Whether it takes longer than sending does where all is well."""

    def outcome(self) -> Result | None:
        """What became of it; None while it may still end well."""

    def forget(self) -> None:
        """The outcome is written down elsewhere."""

    def leave(self) -> None:
        """Let it go on by itself; its outcome is taken up later."""


Deliver = Callable[[Entry, str, timedelta, Path | None], Delivery]
"""Hands an entry over to an address within a deadline, with the file where its outcome is to stand."""


def by_process(entry: Entry, address: str, deadline: timedelta, record: Path | None) -> Delivery:
    """Each message by a process of its own."""
    order = {"do": "send", "address": address, "message": dict(entry.message), "timeout": deadline.total_seconds()}
    return Child(SENDER, order, deadline, record)


class Sender:
    """Hands messages over. `turn` is one round; `run` turns until it is told to stop."""

    def __init__(
        self,
        store: Store,
        book: Book,
        count: Count = lambda channel, outcome: None,
        deliver: Deliver = by_process,
    ) -> None:
        self._store = store
        self._book = book
        self._count = count
        self._deliver = deliver
        self._busy: dict[str, tuple[Entry, Delivery]] = {}

    def use(self, book: Book) -> None:
        """From now on these addresses hold."""
        self._book = book

    def turn(self, now: datetime) -> bool:
        """Settle what has ended and start what is due; whether anything is under way."""
        self._settle(now)
        self._take_up(now)
        ahead: set[tuple[int | None, str]] = set()
        for entry in self._store.waiting():
            thread = (entry.incident_id, entry.target)
            # what is new of an incident does not overtake what came before; other incidents do
            if thread not in ahead and self._is_due(entry, now):
                self._start(entry, now)
            ahead.add(thread)
        return bool(self._busy)

    def _take_up(self, now: datetime) -> None:
        """What is written down as being sent and is not: the watchdog died over it, or could not settle it."""
        under_way = {entry.id for entry, _ in self._busy.values()}
        for entry in self._store.waiting():
            if entry.state is State.SENDING and entry.id not in under_way:
                faults.point("taking-up")
                self._take_up_one(entry, now)
                faults.point("taken-up")

    def _take_up_one(self, entry: Entry, now: datetime) -> None:
        """Its process may have ended well since, or be at it still; only where nothing is known it is sent again."""
        record = self._record(entry)
        try:
            outcome = recorded(record) if record else None
        except StillSendingError:
            return
        if outcome is not None:
            self._over(_settled(entry, outcome, now, self._book.retry))
        else:
            self._store.save_entry(outbox.interrupted(entry, now))
        if record is not None:
            with suppress(OSError):
                record.unlink(missing_ok=True)

    def _record(self, entry: Entry) -> Path | None:
        """Where the outcome of this attempt is written by its own process."""
        path = self._store.path
        return path.with_name(f"{path.name}.sending") / f"{entry.id}-{entry.attempts}.json" if path else None

    def _is_due(self, entry: Entry, now: datetime) -> bool:
        quick = sum(not child.is_slow for _, child in self._busy.values())
        is_free = entry.target not in self._busy and quick < AT_ONCE and len(self._busy) < AT_MOST
        # a pause that is longer than any was set by a clock that has been put back since
        is_time = not now < entry.not_before <= now + 2 * self._book.retry.longest
        return entry.state is State.WAITING and is_free and is_time

    def _start(self, entry: Entry, now: datetime) -> None:
        try:
            address = address_of(parse_key(entry.target), self._book.channels, self._book.templates)
        except NoAddressError as error:
            self._over(outbox.unsendable(entry, now, str(error)))
            return
        faults.point("before-start")
        entry = outbox.started(entry, now)
        self._store.save_entry(entry)
        faults.point("started")
        try:
            delivery = self._deliver(entry, address, self._book.retry.deadline, self._record(entry))
            self._busy[entry.target] = (entry, delivery)
        except OSError as error:
            why = f"no process could be started for it: {error.strerror or error}"
            self._over(outbox.failed(entry, now, why, self._book.retry, outbox.some_jitter()))
        faults.point("handed-over")

    def _settle(self, now: datetime) -> None:
        for target, (entry, child) in list(self._busy.items()):
            outcome = child.outcome()
            if outcome is not None:
                faults.point("before-settle")
                self._over(_settled(entry, outcome, now, self._book.retry))
                del self._busy[target]  # only now: what could not be written down is written at the next turn
                faults.point("settled")
                child.forget()

    def _over(self, entry: Entry) -> None:
        self._store.save_entry(entry)
        outcome = {State.SENT: "sent", State.GIVEN_UP: "given_up"}.get(entry.state, "failed")
        self._count(_shown(entry.target), outcome)
        facts = {"action": f"notify_{outcome}", "channel": _shown(entry.target), "incident": entry.incident_id}
        if entry.state is State.SENT:
            log.info(f"told: {entry.message['title']}", extra=facts)
        else:
            level = log.error if entry.state is State.GIVEN_UP else log.warning
            level(f"not told: {entry.error}", extra=facts | {"attempts": entry.attempts})

    def close(self, now: datetime | None = None) -> None:
        """Let what is under way end within a moment; what does not goes on by itself, and its outcome is taken up at
        the next start: ended now, it might come twice."""
        end = time.monotonic() + (_LAST_MOMENT if now else 0)
        while now and self._busy and time.monotonic() < end:
            self._settle(now)
            time.sleep(0.01)
        for _, child in self._busy.values():
            child.leave()
        self._busy.clear()


def _shown(target: str) -> str:
    """The channel's name for people and metrics, without a job's facts, which would grow without bound."""
    return parse_key(target).name


def _settled(entry: Entry, outcome: Result, now: datetime, retry: Retry) -> Entry:
    if outcome.ok:
        return outbox.succeeded(entry, now)
    if outcome.never:
        return outbox.unsendable(entry, now, outcome.error)
    return outbox.failed(entry, now, outcome.error, retry, outbox.some_jitter())


class SenderThread(threading.Thread):
    """Turns the sender, and the alert posters, beside the loop."""

    def __init__(self, sender: Sender, posters: Mapping[str, AlertPoster], clock: Callable[[], datetime]) -> None:
        super().__init__(name="sender", daemon=True)
        self._sender = sender
        self._posters = dict(posters)
        self._clock = clock
        self._firing: Mapping[str, Mapping[str, alertmanager.Alert]] | None = None
        self._next: tuple[Book, dict[str, AlertPoster]] | None = None
        self._wake = threading.Event()
        self._ending = threading.Event()
        self._problem = ""

    def use(self, book: Book, posters: Mapping[str, AlertPoster]) -> None:
        """From now on these addresses hold. What is under way goes on; so does a poster whose address is the same."""
        self._next = (book, dict(posters))
        self._wake.set()

    def fire(self, firing: Mapping[str, Mapping[str, alertmanager.Alert]]) -> None:
        """These alerts fire now, by channel."""
        self._firing = firing
        self._wake.set()

    def wake(self) -> None:
        """There is something to send."""
        self._wake.set()

    def run(self) -> None:
        """Until `stop`. Whatever goes wrong in a round is told, and the next round tries again."""
        while not self._ending.is_set():
            try:
                is_busy = self._turn()
                self._complain("")
            except sqlite3.Error as error:
                self._complain(str(error))
                is_busy = False
            except Exception:
                log.exception("a round of sending failed", extra={"action": "sender"})
                is_busy = False
            self._wake.wait(_PAUSE if is_busy else 1.0)
            self._wake.clear()

    def _complain(self, problem: str) -> None:
        """Say once that sending waits for the state file."""
        if problem and not self._problem:
            log.warning(f"sending waits for the state file: {problem}", extra={"action": "sender"})
        self._problem = problem

    def _turn(self) -> bool:
        now = self._clock()
        self._take_over()
        is_busy = self._sender.turn(now)
        if self._firing is None:
            return is_busy  # before the first look nothing is known, and no alert is over
        for channel, poster in self._posters.items():
            is_busy = poster.turn(self._firing.get(channel, {}), now) or is_busy
        return is_busy

    def _take_over(self) -> None:
        wanted, self._next = self._next, None
        if wanted is None:
            return
        book, posters = wanted
        self._sender.use(book)
        kept = {name: old for name, old in self._posters.items() if name in posters and old.is_like(posters[name])}
        for name, old in self._posters.items():
            if name not in kept:
                old.close()
        self._posters = posters | kept

    def stop(self) -> None:
        """End; a message that is under way is left to end by itself."""
        self._ending.set()
        self._wake.set()
        self.join(2)
        self._sender.close(self._clock())
        for poster in self._posters.values():
            poster.close()
