"""A request, an answer and an address over WSGI: as much of each as this service needs.

A framework would hold more than all pages that it serves, for months, on a machine that may be small.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, quote

Environ = Mapping[str, Any]
Start = Callable[[str, list[tuple[str, str]]], object]
"""WSGI's `start_response`."""

WsgiApp = Callable[[Environ, Start], Iterable[bytes]]

_PLACE = re.compile(r"\{([a-z_]+)(:path)?\}")
_UNPREFIXED = ("CONTENT_TYPE", "CONTENT_LENGTH")


def _key(header: str) -> str:
    """By what name WSGI gives a header."""
    name = header.upper().replace("-", "_")
    return name if name in _UNPREFIXED else f"HTTP_{name}"


class TooBigError(Exception):
    """A body is longer than is taken."""


@dataclass(frozen=True)
class Request:
    """What was asked. `path_params`: the parts of the path that its route names."""

    environ: Environ
    path_params: Mapping[str, str] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """In capitals."""
        return str(self.environ["REQUEST_METHOD"])

    @cached_property
    def path(self) -> str:
        """As people read it, without percent signs."""
        return str(self.environ.get("PATH_INFO", "")).encode("latin-1").decode("utf-8", "replace") or "/"

    @property
    def query(self) -> str:
        """What stands behind the question mark, as it was sent."""
        return str(self.environ.get("QUERY_STRING", ""))

    @cached_property
    def query_params(self) -> Mapping[str, str]:
        """The same by name; of several of one name the last."""
        return dict(parse_qsl(self.query, keep_blank_values=True))

    def header(self, name: str) -> str:
        """A header's text; empty if it was not sent."""
        return str(self.environ.get(_key(name), ""))

    def has_header(self, name: str) -> bool:
        """Whether it was sent, be it empty."""
        return _key(name) in self.environ

    @cached_property
    def cookies(self) -> Mapping[str, str]:
        """By name."""
        pairs = (part.partition("=") for part in self.header("cookie").split(";"))
        return {name.strip(): text.strip().strip('"') for name, _, text in pairs}

    @property
    def address(self) -> str:
        """From where it came."""
        return str(self.environ.get("REMOTE_ADDR") or "unknown")

    @property
    def is_secure(self) -> bool:
        """Whether it came by HTTPS, as a proxy beside us says."""
        return bool(self.environ.get("wsgi.url_scheme") == "https")

    def body(self, most: int) -> bytes:
        """What was sent with it. Raises TooBigError if that is more than so many bytes."""
        length = self.header("content-length")
        wanted = min(int(length), most + 1) if length.isascii() and length.isdigit() else 0
        sent: bytes = self.environ["wsgi.input"].read(wanted)
        if len(sent) > most:
            raise TooBigError(f"more than {most} bytes")
        return sent


@dataclass(frozen=True)
class Response:
    """An answer, whole. `cookie`: the text of a `Set-Cookie`."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "text/plain; charset=utf-8"
    cookie: str = ""

    def head(self) -> list[tuple[str, str]]:
        """The headers as they are sent."""
        found = dict(self.headers)
        if self.status != HTTPStatus.NOT_MODIFIED:
            found |= {"Content-Type": self.media_type, "Content-Length": str(len(self.body))}
        return [*found.items(), *([("Set-Cookie", self.cookie)] if self.cookie else [])]


def text(words: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Words for people and programs."""
    return Response(words.encode(), status, headers or {})


def moved(where: str, status: int, headers: Mapping[str, str] | None = None, cookie: str = "") -> Response:
    """Leads on to another address."""
    return Response(b"", status, {**(headers or {}), "Location": where}, cookie=cookie)


def set_cookie(name: str, value: str, lasts: int, *, is_secure: bool = False) -> str:
    """For this site's own questions alone, out of reach of any script; with no seconds left it is taken away."""
    secure = "; Secure" if is_secure else ""
    return f"{name}={value}; HttpOnly; Max-Age={lasts}; Path=/; SameSite=strict{secure}"


Endpoint = Callable[[Request], Response]


class Route:
    """An address. Its path may have `{places}`; one of them may be a `{rest:path}` with slashes in it."""

    def __init__(self, path: str, endpoint: Endpoint, method: str = "GET") -> None:
        self.endpoint = endpoint
        self.methods = ("GET", "HEAD") if method == "GET" else (method,)
        parts = _PLACE.split(re.escape(path).replace(r"\{", "{").replace(r"\}", "}"))
        self._pattern = re.compile("".join(map(_pattern, range(len(parts)), parts)))

    def fits(self, path: str) -> Mapping[str, str] | None:
        """The parts of the path, by name; None if it is another's."""
        found = self._pattern.fullmatch(path)
        return found.groupdict() if found else None


def _pattern(place: int, part: str | None) -> str:
    """`split` gives by turns what stands between, a name, and whether slashes may be in it."""
    match place % 3:
        case 0:
            return part or ""
        case 1:
            return f"(?P<{part}>"
    return ".*)" if part else "[^/]+)"


@dataclass(frozen=True)
class Routes:
    """All addresses. `not_so` answers where there is none, or not with that method: the status, and headers."""

    routes: Sequence[Route]
    not_so: Callable[[Request, int, Mapping[str, str]], Response]

    def answer(self, request: Request) -> Response:
        """What the route gives that fits."""
        allowed: list[str] = []
        for route in self.routes:
            parts = route.fits(request.path)
            if parts is not None and request.method in route.methods:
                return route.endpoint(Request(request.environ, parts))
            allowed += route.methods if parts is not None else ()
        if allowed:
            return self.not_so(request, 405, {"Allow": ", ".join(sorted(set(allowed)))})
        return self._without_its_end(request) or self.not_so(request, 404, {})

    def _without_its_end(self, request: Request) -> Response | None:
        """A slash too many at the end leads to the address without it."""
        path = request.path.rstrip("/")
        if path == request.path or not any(route.fits(path) is not None for route in self.routes):
            return None
        return moved(quote(path) + (f"?{request.query}" if request.query else ""), 307)


def send(response: Response, request: Request, start: Start) -> list[bytes]:
    """Give an answer to the server; of a HEAD all but the body."""
    start(f"{response.status} {HTTPStatus(response.status).phrase}", response.head())
    return [] if request.method == "HEAD" or response.status == HTTPStatus.NOT_MODIFIED else [response.body]
