"""The running service on a virtual clock: its own turns over a real store, and messages that end before a channel."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from watchdog.config.file import Config
from watchdog.core.message import Entry
from watchdog.core.model import Finding
from watchdog.metrics.collection import Metrics
from watchdog.notify.dispatch import Sender, open_book
from watchdog.replay.player import Sent
from watchdog.replay.virtual_clock import VirtualClock
from watchdog.service.turns import Turns
from watchdog.state.store import Store


@dataclass(frozen=True)
class Message:
    """What was handed to a channel."""

    at: datetime
    event: str
    title: str
    text: str


CHANNEL = """
channels: {ops: "json://127.0.0.1:9/ops"}
owners: [{notify: [ops]}]
"""
"""For the end of a configuration: whom it tells."""


class Service:
    """Turn after turn, as far apart as deadlines and the clock's owner want them. `restart` keeps the state file."""

    def __init__(self, config: Config, folder: Path, begins: datetime) -> None:
        self._config = config
        self._state = folder / "state.db"
        self.clock = VirtualClock(begins)
        self.messages: list[Message] = []
        self._begin()

    def _begin(self) -> None:
        self._store = Store(self._state)
        self._turns = Turns(self._config, self._store, self.clock, Metrics(), lambda published: None)
        self._sender = Sender(self._store, open_book(self._config), deliver=self._deliver)
        self.turn()

    def _deliver(self, entry: Entry, address: str, deadline: timedelta, record: Path | None) -> Sent:
        self.messages.append(Message(self.clock.at, entry.event, entry.message["title"], entry.message["text"]))
        return Sent()

    def turn(self) -> tuple[Finding, ...]:
        """One turn, now."""
        self._turns.idle()
        self._turns.turn()
        while self._store.waiting() and self._sender.turn(self.clock.now()):
            pass
        return self.findings

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What is found now."""
        return self._turns.engine.published.findings

    @property
    def kinds(self) -> set[tuple[str, str | None]]:
        """Kind and job of each."""
        return {(finding.kind.value, finding.job) for finding in self.findings}

    def until(self, at: datetime, each: Callable[[], None] = lambda: None) -> None:
        """Live until then, with a turn at each deadline."""
        while (wanted := self._turns.look_again_at) is not None and wanted < at:
            self.clock.at = max(wanted, self.clock.at + timedelta(seconds=5))
            each()
            self.turn()
        self.clock.at = at
        self.turn()

    def restart(self) -> None:
        """End, and begin anew."""
        self.end()
        self._begin()

    def end(self) -> None:
        """Give the state file back."""
        self._turns.stop()


@contextmanager
def living(config: Config, folder: Path, begins: datetime) -> Iterator[Service]:
    """A service that is ended in the end."""
    service = Service(config, folder, begins)
    try:
        yield service
    finally:
        service.end()
