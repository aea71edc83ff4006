"""How answers travel: compressed, and not at all where whoever asks has them already."""

import hashlib

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

SMALLEST = 500
"""Bytes; what is smaller travels as it is."""

UNPACKED = ("/metrics",)
"""A scrape comes from beside us and is counted in milliseconds: packing it would cost more than making it, and so would
a tag, which nobody asks for and which would be another one at each."""


class Transport:
    """Gives each whole answer an ETag, unless it has one, answers 304 where it is known, and packs the others; but of
    what is `UNPACKED`."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._packing = GZipMiddleware(self._tagged, minimum_size=SMALLEST, compresslevel=6)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        is_plain = scope["type"] == "http" and scope["path"] in UNPACKED
        await (self._app if is_plain else self._packing)(scope, receive, send)

    async def _tagged(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        await self._app(scope, receive, _Tagging(Headers(scope=scope).get("if-none-match", ""), send))


class _Tagging:
    """A `send` that holds the head of an answer back until its body is there."""

    def __init__(self, known: str, send: Send) -> None:
        self._known = known
        self._send = send
        self._start: Message = {}

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = message
            return
        start, self._start = self._start, {}
        if start and start["status"] == 200 and not message.get("more_body"):
            headers = MutableHeaders(raw=start["headers"])
            # weak, for packed it is not the same byte by byte
            tag = headers.setdefault("ETag", f'W/"{hashlib.sha256(message["body"]).hexdigest()[:16]}"')
            if tag.removeprefix("W/") in self._known:
                del headers["Content-Length"]
                await self._send({**start, "status": 304})
                await self._send({"type": "http.response.body", "body": b""})
                return
        if start:
            await self._send(start)
        await self._send(message)
