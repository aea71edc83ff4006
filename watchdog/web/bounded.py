"""The server's connections: of so many, each with an end to waiting, and quick answers never behind slow ones."""

import errno
import socket
import threading
import time
from collections import deque
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask

from watchdog.web.guard import most_connections

WHOLE_QUESTION = 10.0
"""Seconds in which a question must have come, and after which an idle connection is shown out."""

LONGEST_ANSWER = 60.0
"""Seconds for which a slow reader is waited for."""

MOST_UNREAD = 32 << 20
"""Bytes of answers that are kept for those who are slow to read."""

QUICK = ("/metrics", "/healthz", "/readyz")
"""What takes no time and waits for nothing has a thread of its own, however many pages are being made."""

_LOOKED_AFTER_EVERY = WHOLE_QUESTION / 4
_NOBODY = 60.0
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_TRIED_AGAIN_AFTER = 1.0
"""Seconds; otherwise the loop would turn without end while somebody waits for whom there is no descriptor."""


class Unsent:
    """What is still to be sent: no copy of it, and nothing of what has left, as the library's own would keep.

    `kept`: bytes in memory for it; of a part nothing is given back before all of it has left.
    """

    def __init__(self) -> None:
        self._parts: deque[memoryview] = deque()
        self._length = self.kept = 0

    def __len__(self) -> int:
        return self._length

    def append(self, data: bytes) -> None:
        """Behind what is there."""
        self._parts.append(memoryview(data))
        self._length += len(data)
        self.kept += len(data)

    def get(self, most: int) -> memoryview:
        """What is next."""
        return self._parts[0][:most]

    def skip(self, sent: int, _: bool = False) -> None:
        """So much of what is next has left."""
        part = self._parts.popleft()
        self._length -= sent
        if sent < len(part):
            self._parts.appendleft(part[sent:])
        else:
            self.kept -= memoryview(part.obj).nbytes

    def close(self) -> None:
        """Nothing of it will be sent."""
        self._parts.clear()
        self._length = self.kept = 0


class StrictParser(HTTPRequestParser):  # type: ignore[misc]
    """Takes no question of which a proxy and we could see the end in different places.

    `path`: of what cannot be read, too, for the library names it when whoever sent it is gone.
    """

    path = ""

    def parse_header(self, header_plus: bytes) -> None:
        """Read the first lines."""
        super().parse_header(header_plus)
        if "TRANSFER_ENCODING" in self.headers or (self.chunked and "CONTENT_LENGTH" in self.headers):
            raise ParsingError("It is not clear where the body ends")
        # who has no body to send would be told to go on with it, and then be waited for
        if self.body_rcv is None:
            self.expect_continue = False


class KeptOpen(WSGITask):  # type: ignore[misc]
    """An answer. One that has no body, as that nothing has changed, needs no end of the connection to tell its own."""

    def set_close_on_finish(self) -> None:
        """The connection ends with it."""
        wants_end = self.request.headers.get("CONNECTION", "").lower() == "close"
        if self.has_body or wants_end or self.version != "1.1":
            super().set_close_on_finish()


class BoundedChannel(HTTPChannel):  # type: ignore[misc]
    """One connection. Its instants are of the monotonic clock: the wall's may be set.

    `is_held`: its next question waits until the answer before has left, for answers that nobody reads are memory.
    """

    parser_class = StrictParser
    task_class = KeptOpen
    is_held = False

    def __init__(self, *given: Any, **named: Any) -> None:
        self.idle_since = self.busy_since = time.monotonic()
        super().__init__(*given, **named)
        self.unsent = Unsent()
        self.outbufs = [self.unsent]

    @property
    def is_idle(self) -> bool:
        """Whether no whole question is waiting for its answer."""
        return not self.requests and not self.total_outbufs_len

    @property
    def turn_to_leave(self) -> tuple[int, float]:
        """The lowest leaves first: who asks nothing, then who is slow to read, then who has waited the least."""
        if self.is_idle:
            return 0, self.idle_since
        is_read = not self.requests or self.is_held
        return (1, self.busy_since) if is_read else (2, -self.busy_since)

    @property
    def path(self) -> str:
        """What is asked for."""
        return str(self.requests[0].path) if self.requests else ""

    def writable(self) -> bool:
        """Whether something is to be sent, or done once it is."""
        return bool(self.is_held or super().writable())

    def handle_write(self) -> None:
        """Send on, and go on to the next question when all is sent."""
        super().handle_write()
        if self.is_held and self.connected and not self.total_outbufs_len:
            self.is_held = False
            self.busy_since = time.monotonic()
            self.server.add_task(self)

    def handle_expt(self) -> None:
        """Urgent data is no HTTP, and would wake the loop without end."""
        self.handle_close()

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
        self._ending = threading.Lock()
        self._has_ended = False
        self._quick = ThreadedTaskDispatcher()
        self._quick.set_thread_count(1)
        super().__init__(*given, **named)

    def readable(self) -> bool:
        """Whether somebody may be taken on now."""
        return bool(self.accepting) and time.monotonic() >= self._full_until

    def look_after_all(self) -> None:
        """Show out who has taken too long, or too much.

        Between two turns of the loop: within one, the next one to come could get the descriptor of one who was closed,
        and what has happened to that.
        """
        now = time.monotonic()
        if now - self._looked_after >= _LOOKED_AFTER_EVERY:
            self._looked_after = now
            for channel in list(self.active_channels.values()):
                channel.look_after(now)
        self._keep_less()

    def _keep_less(self) -> None:
        """Who has read the longest leaves where too much is kept for all of them; of the last one it never is."""
        unread = [(each.busy_since, each.unsent.kept, each) for each in list(self.active_channels.values())]
        kept = sum(length for _, length, _ in unread)
        if kept <= MOST_UNREAD:
            return
        slow = sorted((each for each in unread if each[1]), key=lambda each: each[0])
        for _, length, channel in slow[:-1]:
            if kept > MOST_UNREAD:
                channel.handle_close()
                kept -= length

    def handle_accept(self) -> None:
        """Take one on. Somebody else leaves, if there are too many."""
        try:
            taken = self.accept()
        except OSError as error:
            self._not_taken(error)
            return
        if taken is not None:
            self._take_on(*taken)

    def _take_on(self, connection: socket.socket, address: Any) -> None:
        try:
            self.set_socket_options(connection)
            newest = self.channel_class(self, connection, address, self.adj, map=self._map)
        except OSError:
            # some systems say only now that it is gone already
            connection.close()
        else:
            self._make_room(newest)

    def _not_taken(self, error: OSError) -> None:
        if error.errno in _NO_ROOM:
            self._full_until = time.monotonic() + _TRIED_AGAIN_AFTER
            words = "no descriptors are left for further connections; they wait"
            self.logger.warning(words, extra={"action": "listen"})

    def _make_room(self, newest: BoundedChannel) -> None:
        while len(self.active_channels) > most_connections():
            others = [each for each in list(self.active_channels.values()) if each is not newest]
            min(others, key=lambda each: each.turn_to_leave).handle_close()

    def handle_error(self) -> None:
        """Somebody could not be taken on; whoever comes next is."""
        self.logger.warning("a connection could not be taken on", extra={"action": "listen"}, exc_info=True)

    def add_task(self, task: BoundedChannel) -> None:
        """A whole question has come."""
        task.idle_since = time.monotonic()
        # by this the library would know that another buffer is due
        task.current_outbuf_count = 0
        if task.total_outbufs_len:
            task.is_held = True
            return
        (self._quick if task.path in QUICK else self.task_dispatcher).add_task(task)

    def pull_trigger(self) -> None:
        """Wake the loop, if it still turns: the descriptor by which that is done may be another file's by then."""
        with self._ending:
            if not self._has_ended:
                super().pull_trigger()

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
        with self._ending:
            self._has_ended = True
        self.close()
