"""What a stranger may not do to the web server: fill it up, never end a question, ask for another host."""

import asyncio
import ipaddress
import resource
import socket
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from typing import Any

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 256
"""So many are kept; whoever comes after that takes the place of the one that has been idle for the longest."""

KEPT_FOR_OTHERS = 64
"""Descriptors that are kept back for reading stores and for sending."""

WHOLE_QUESTION = 10.0
"""Seconds in which a question must have come, and after which an idle connection is shown out."""

LONGEST_ANSWER = 60.0
"""Seconds for which a slow reader is waited for."""

MOST_BODY = 64 * 1024
"""Bytes; no form and no request of the API is as long."""


def raise_descriptors() -> None:
    """As many descriptors as this process may have; what it gets by itself is often a small part of them."""
    with suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        # macOS says that there is no limit, and takes no more than this
        most = 10_240 if sys.platform == "darwin" else 65_536
        wanted = most if hard == resource.RLIM_INFINITY else min(hard, most)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def most_connections() -> int:
    """How many connections there is room for."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(4, min(MOST_CONNECTIONS, soft - KEPT_FOR_OTHERS))


class BoundedProtocol(H11Protocol):
    """One connection: of so many, and with an end to waiting."""

    _idle_since = 0.0
    _asked_at = 0.0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for it, and look after it from now on."""
        super().connection_made(transport)
        self._idle_since = time.monotonic()
        while len(self.connections) > most_connections():
            idle = [each for each in self.connections if isinstance(each, BoundedProtocol) and each.is_idle]
            leaving = min(idle, key=lambda each: each._idle_since, default=self)
            self.connections.discard(leaving)
            leaving.transport.abort()
            if leaving is self:
                return
        self._look_after()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is to be looked after any more."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    @property
    def is_idle(self) -> bool:
        """Whether no whole question is waiting for its answer."""
        return self.cycle is None or self.cycle.response_complete

    def _look_after(self) -> None:
        self._timer = self.loop.call_later(WHOLE_QUESTION / 4, self._look_after)
        now = time.monotonic()
        if self.is_idle:
            waited, allowed = now - self._idle_since, WHOLE_QUESTION
            self._asked_at = now
        else:
            self._idle_since = now
            waited, allowed = now - self._asked_at, WHOLE_QUESTION if self.cycle.more_body else LONGEST_ANSWER
        if waited > allowed:
            self.transport.abort()


def is_ours(host: str, own: Sequence[str]) -> bool:
    """Whether a request may ask for this host: an address, this machine, a name that the configuration lists, or one
    without a dot, which nobody outside can give to an address of ours."""
    name = host.strip().lower()
    name = name[1:].partition("]")[0] if name.startswith("[") else name.rpartition(":")[0] or name
    name = name.removesuffix(".")
    with suppress(ValueError):
        ipaddress.ip_address(name)
        return True
    if "." not in name or name.endswith(".localhost") or name == socket.gethostname().lower():
        return True
    return any(fnmatchcase(name, pattern.lower()) for pattern in own)


class Guard:
    """Before the application: its host, and how much may be sent to it. `own`: more names that are ours."""

    def __init__(self, app: ASGIApp, own: Sequence[str] = ()) -> None:
        self._app = app
        self._own = tuple(own)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) > 1 or any(not is_ours(host, self._own) for host in hosts):
            words = "this host is not the watchdog's; list it in http.hosts if it is\n"
            await PlainTextResponse(words, 421)(scope, receive, send)
            return
        body = await _whole(receive) if scope["method"] not in ("GET", "HEAD") else None
        if body is False:
            await PlainTextResponse("too much was sent\n", 413, {"Connection": "close"})(scope, receive, send)
            return
        await self._app(scope, _again(body, receive) if isinstance(body, bytes) else receive, send)


class Replaceable:
    """An application in whose place another is put while it serves; what is being answered, the one before answers."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        await self.app(scope, receive, send)


async def _whole(receive: Receive) -> Any:
    """The body; False if it is too long, None if whoever sent it has gone."""
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > MOST_BODY:
            return False
        if not message.get("more_body"):
            return body


def _again(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body once."""
    left: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def once() -> Message:
        return left.pop() if left else await receive()

    return once
