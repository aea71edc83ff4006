"""What a stranger may not do to the web server: fill it up, never end a question, ask for another host."""

import ipaddress
import resource
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase

from watchdog.web.wsgi import Environ, Request, Start, WsgiApp, send, text

MOST_CONNECTIONS = 256
"""So many are kept; whoever comes after that takes the place of the one that has been idle for the longest."""

KEPT_FOR_OTHERS = 64
"""Descriptors that are kept back for reading stores and for sending."""


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


def as_a_proxy_says(environ: Environ) -> Environ:
    """The request as it came to a proxy on this machine: from where, and by HTTPS or not. Nobody else is believed."""
    if not _is_this_machine(str(environ.get("REMOTE_ADDR", ""))):
        return environ
    address = _address(environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip())
    # of several in a row the first one is nearest to who asks
    scheme = environ.get("HTTP_X_FORWARDED_PROTO", "").partition(",")[0].strip().lower()
    told = {"REMOTE_ADDR": address} if address else {}
    return {**environ, **told, **({"wsgi.url_scheme": scheme} if scheme in ("http", "https") else {})}


def _is_this_machine(address: str) -> bool:
    with suppress(ValueError):
        found = ipaddress.ip_address(address)
        return (getattr(found, "ipv4_mapped", None) or found).is_loopback
    return False


def _address(said: str) -> str:
    """An address without its port; empty if it is none."""
    host = said[1:].partition("]")[0] if said.startswith("[") else said
    host = host.partition(":")[0] if host.count(":") == 1 else host
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))
    return ""


class Guard:
    """Before the application: for whom a proxy asks, and whose host is asked for. `own`: more names that are ours."""

    def __init__(self, app: WsgiApp, own: Sequence[str] = ()) -> None:
        self._app = app
        self._own = tuple(own)

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """One request."""
        environ = as_a_proxy_says(environ)
        host = environ.get("HTTP_HOST")
        # several of them have been put together by commas, and no host has one
        if host is not None and ("," in host or not is_ours(host, self._own)):
            words = "this host is not the watchdog's; list it in http.hosts if it is\n"
            return send(text(words, 421), Request(environ), start)
        return self._app(environ, start)


class Replaceable:
    """An application in whose place another is put while it serves; what is being answered, the one before answers."""

    def __init__(self, app: WsgiApp) -> None:
        self.app = app

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """One request."""
        return self.app(environ, start)
