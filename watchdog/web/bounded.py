"""The server's connections: of so many, each with an end to waiting, and quick answers never behind slow ones."""

import errno
import time
from typing import Any

from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from watchdog.web.guard import most_connections

WHOLE_QUESTION = 10.0
"""Seconds in which a question must have come, and after which an idle connection is shown out."""

LONGEST_ANSWER = 60.0
"""Seconds for which a slow reader is waited for."""

QUICK = ("/metrics", "/healthz", "/readyz")
"""What takes no time and waits for nothing has a thread of its own, however many pages are being made."""

_LOOKED_AFTER_EVERY = WHOLE_QUESTION / 4
_NOBODY = 60.0
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_TRIED_AGAIN_AFTER = 1.0
"""Seconds; otherwise the loop would turn without end while somebody waits for whom there is no descriptor."""


class BoundedChannel(HTTPChannel):  # type: ignore[misc]
    """One connection. Its instants are of the monotonic clock: the wall's may be set."""

    def __init__(self, *given: Any, **named: Any) -> None:
        self.idle_since = self.busy_since = time.monotonic()
        super().__init__(*given, **named)

    @property
    def is_idle(self) -> bool:
        """Whether no whole question is waiting for its answer."""
        return not self.requests and not self.total_outbufs_len

    @property
    def path(self) -> str:
        """What is asked for."""
        return str(getattr(self.requests[0], "path", "")) if self.requests else ""

    def handle_error(self) -> None:
        """What was sent cannot even be refused; nobody else is to notice."""
        words = "a connection was closed: what came over it cannot be read"
        self.logger.warning(words, extra={"action": "listen"}, exc_info=True)
        self.handle_close()

    def look_after(self, now: float) -> None:
        """Show it out if it has taken too long."""
        if self.is_idle:
            self.busy_since = now
            waited, allowed = now - self.idle_since, WHOLE_QUESTION
        else:
            self.idle_since = now
            waited, allowed = now - self.busy_since, LONGEST_ANSWER
        if waited > allowed:
            # at once, for who does not read will not let us write either
            self.handle_close()


class BoundedServer(TcpWSGIServer):  # type: ignore[misc]
    """Takes connections on, and makes room for new ones."""

    channel_class = BoundedChannel

    def __init__(self, *given: Any, **named: Any) -> None:
        self._looked_after = self._full_until = time.monotonic()
        self._quick = ThreadedTaskDispatcher()
        self._quick.set_thread_count(1)
        super().__init__(*given, **named)

    def readable(self) -> bool:
        """Whether somebody may be taken on now; called at each turn of the loop."""
        now = time.monotonic()
        if now - self._looked_after >= _LOOKED_AFTER_EVERY:
            self._looked_after = now
            for channel in list(self.active_channels.values()):
                channel.look_after(now)
        return bool(self.accepting) and now >= self._full_until

    def handle_accept(self) -> None:
        """Take one on. Whoever has been idle for the longest leaves, if there are too many."""
        try:
            taken = self.accept()
        except OSError as error:
            self._not_taken(error)
            return
        if taken is not None:
            connection, address = taken
            self.set_socket_options(connection)
            self._make_room(self.channel_class(self, connection, address, self.adj, map=self._map))

    def _not_taken(self, error: OSError) -> None:
        if error.errno in _NO_ROOM:
            self._full_until = time.monotonic() + _TRIED_AGAIN_AFTER
            words = "no descriptors are left for further connections; they wait"
            self.logger.warning(words, extra={"action": "listen"})

    def _make_room(self, newest: BoundedChannel) -> None:
        while len(self.active_channels) > most_connections():
            idle = [each for each in self.active_channels.values() if each.is_idle and each is not newest]
            leaving = min(idle, key=lambda each: each.idle_since, default=newest)
            leaving.handle_close()
            if leaving is newest:
                return

    def add_task(self, task: BoundedChannel) -> None:
        """A whole question has come."""
        task.idle_since = time.monotonic()
        (self._quick if task.path in QUICK else self.task_dispatcher).add_task(task)

    @property
    def pause(self) -> float:
        """Seconds for which nothing has to be done, unless something comes."""
        if time.monotonic() < self._full_until:
            return _TRIED_AGAIN_AFTER
        return _LOOKED_AFTER_EVERY if self.active_channels else _NOBODY

    @property
    def is_answering(self) -> bool:
        """Whether an answer is under way."""
        return any(not channel.is_idle for channel in list(self.active_channels.values()))

    def end(self) -> None:
        """Give all back: threads, connections, the address."""
        for dispatcher in (self._quick, self.task_dispatcher):
            dispatcher.set_thread_count(0)
        for channel in list(self.active_channels.values()):
            channel.handle_close()
        self.close()
