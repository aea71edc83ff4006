"""The web server, in a thread of its own beside the loop."""

import errno
import logging
import socket
import threading
import time

import uvicorn
from starlette.types import ASGIApp

from watchdog.config.file import Address
from watchdog.core.logs import log
from watchdog.web.guard import BoundedProtocol

_LONGEST_GOODBYE = 1.0
_BACKLOG = 2048

_AT_ONCE = 64
"""Connections that are taken on in one go: each needs a descriptor before it can be shown out."""


_SAID_AGAIN_AFTER = 60.0


class Seldom(logging.Filter):
    """What a library says each time, and strangers can make it say: one line of ours instead, a minute apart.

    `what`: a part of what it says.
    """

    def __init__(self, what: str, instead: str) -> None:
        super().__init__()
        self._what, self._instead = what, instead
        self._said_at = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is about something else."""
        if self._what not in record.getMessage():
            return True
        if time.monotonic() - self._said_at >= _SAID_AGAIN_AFTER:
            self._said_at = time.monotonic()
            log.warning(self._instead, extra={"action": "listen"})
        return False


_SAID_OFTEN = (
    ("asyncio", "out of system resource", "no descriptors are left for further connections; they wait"),
    ("uvicorn.error", "Invalid HTTP request", "a request that is no HTTP was refused"),
)


class CannotListenError(Exception):
    """The address cannot be had; one line."""


def bind(address: Address) -> socket.socket:
    """A listening socket, so that a taken address is told before anything is started."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise CannotListenError(f"cannot listen on {address}: {_why(error, address)}") from None
    return listener


def _why(error: OSError, address: Address) -> str:
    """What hinders it, and what would help."""
    said = error.strerror or str(error)
    if isinstance(error, socket.gaierror):
        return f"there is no address of the name {address.host!r} ({said})"
    match error.errno:
        case errno.EADDRINUSE:
            return f"{said}; is another one running?"
        case errno.EACCES | errno.EPERM:
            return f"{said}; ports below 1024 are for root alone, take another"
        case errno.EADDRNOTAVAIL:
            return f"{said}; {address.host} is no address of this machine"
    return said


class Server:
    """Serves the application on a bound socket until `stop`."""

    def __init__(self, app: ASGIApp, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app,
            http=BoundedProtocol,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            ws="none",
            timeout_keep_alive=15,
            backlog=_AT_ONCE,
            h11_max_incomplete_event_size=16_384,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._serve, name="web", daemon=True)

    @property
    def url(self) -> str:
        """Where it is to be reached."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering; waits a second for answers under way."""
        self._server.should_exit = True
        self._thread.join(_LONGEST_GOODBYE)
        self._listener.close()

    def _serve(self) -> None:
        for name, what, instead in _SAID_OFTEN:
            logging.getLogger(name).addFilter(Seldom(what, instead))
        self._server.run(sockets=[self._listener])
