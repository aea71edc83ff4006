"""The web server, in a thread of its own beside the loop."""

import errno
import logging
import socket
import threading
import time

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.task import ThreadedTaskDispatcher

from watchdog.config.file import Address
from watchdog.core.logs import log
from watchdog.web.bounded import BoundedServer
from watchdog.web.wsgi import WsgiApp

MOST_HEAD = 16 * 1024
"""Bytes of a request's first lines."""

MOST_BODY = 64 * 1024
"""Bytes; no form and no request of the API is as long."""

THREADS = 4
"""In which pages are made; whoever asks meanwhile waits."""

_NO_LIMIT = 1 << 30
"""Bytes: who makes an answer never waits for who reads it."""

_LONGEST_GOODBYE = 1.0
_BACKLOG = 2048
_SAID_AGAIN_AFTER = 60.0


class Seldom(logging.Filter):
    """What a library says each time, and strangers can make it say: of one kind a line a minute."""

    def __init__(self) -> None:
        super().__init__()
        self._said_at: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether nothing of its kind was said lately."""
        # what follows may be a path that a stranger makes up
        kind, now = str(record.msg)[:20], time.monotonic()
        if now - self._said_at.get(kind, float("-inf")) < _SAID_AGAIN_AFTER:
            return False
        self._said_at[kind] = now
        return True


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

    def __init__(self, app: WsgiApp, listener: socket.socket) -> None:
        settings = Adjustments(
            sockets=[listener],
            threads=THREADS,
            backlog=_BACKLOG,
            ident=None,
            max_request_header_size=MOST_HEAD,
            max_request_body_size=MOST_BODY,
            outbuf_high_watermark=_NO_LIMIT,
            log_socket_errors=False,
            # the guard reads what a proxy says
            clear_untrusted_proxy_headers=False,
        )
        address = (listener.family, listener.type, listener.proto, listener.getsockname())
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(settings.threads)
        self._listener = listener
        self._map: dict[int, object] = {}
        self._server = BoundedServer(app, self._map, True, listener, dispatcher, settings, address, bind_socket=False)
        self._ends_at: float | None = None
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
        self._ends_at = time.monotonic() + _LONGEST_GOODBYE
        self._server.accepting = False
        self._server.pull_trigger()
        self._thread.join(2 * _LONGEST_GOODBYE)

    def _serve(self) -> None:
        said = logging.getLogger("waitress")
        said.setLevel(logging.WARNING)
        said.addFilter(Seldom())
        # how many wait for a thread is no news
        logging.getLogger("waitress.queue").setLevel(logging.ERROR)
        while self._goes_on():
            try:
                self._server.look_after_all()
                wasyncore.loop(timeout=self._pause(), use_poll=True, map=self._map, count=1)
            except Exception:
                log.exception("the web server stumbled, and goes on", extra={"action": "listen"})
                time.sleep(1.0)
        self._server.end()

    def _pause(self) -> float:
        return self._server.pause if self._ends_at is None else _LONGEST_GOODBYE / 10

    def _goes_on(self) -> bool:
        ends_at = self._ends_at
        return ends_at is None or (self._server.is_answering and time.monotonic() < ends_at)
