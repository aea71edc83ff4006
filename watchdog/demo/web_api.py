"""The simulated scheduler's web API over HTTP, on a free port of 127.0.0.1, for the demo and for tests of clients.

Paths, cookie and answers are those of the facts, section "Ways to act".
"""

import json
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socket import SHUT_RDWR, socket
from socketserver import ThreadingTCPServer
from types import TracebackType
from typing import Any, Literal

from watchdog.demo.operations import Answer
from watchdog.demo.simulator import Simulator
from watchdog.demo.web_routes import COOKIE, Refused, Request, Routes, TokenKind, Unanswered

Misbehaviour = Literal["drip", "hang", "500", "redirect", "garbage"]
MAX_BODY = 64 * 1024
PATIENCE = 60.0
"""Real seconds that a manual run is waited for before the connection is dropped."""
DRIP_PAUSE = 1.0
ELSEWHERE = "/elsewhere"
"""Where the `redirect` misbehaviour sends every request."""
_DISCARDED = 1024 * 1024
_GARBAGE = b"\xff<html>this is not JSON"


class ApiServer:
    """Serves the API of a simulator in threads of its own, from `with` to its end; nothing of it is left then.

    - `lock` is held during each operation; whoever moves the simulator's clock takes it too, and lets go of it between
      two turns: `with api.lock: simulator.run_until(...)`.
    - `requests`: method, path and status of each request, in order of their answers; None for one not answered.
    - `misbehave` spoils every answer from now on: `drip` sends a byte a second, `hang` nothing, `500` and `redirect`
      (307 to ELSEWHERE, which keeps method and body) stand in for it, `garbage` leaves all but the body. What was asked
      is done all the same: a client cannot tell from such an answer.

    `kind` says how long `token` lasts: in a stock build none does (`web_routes.Login`).

    While the process is down a connection is closed without an answer, and so is one that a kill overtakes. A manual
    run is answered when the clock has moved past its end, or its connection dropped after `patience` real seconds.
    """

    def __init__(
        self,
        simulator: Simulator,
        token: str,
        lock: "threading.RLock | None" = None,
        *,
        patience: float = PATIENCE,
        kind: TokenKind = "lasting",
    ) -> None:
        self.lock = threading.RLock() if lock is None else lock
        self.requests: list[tuple[str, str, int | None]] = []
        self.misbehave: Misbehaviour | None = None
        self._closing = threading.Event()
        self.routes = Routes(simulator, token, self.lock, self._closing, patience, kind)
        self._listener = _Listener(self)
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.02,), name="demo-api")
        self._thread.daemon = True
        self.url = f"http://127.0.0.1:{self._listener.server_address[1]}"

    def __enter__(self) -> "ApiServer":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._listener.shutdown()
        self._thread.join()
        self._listener.hang_up()
        self._listener.server_close()


class _Listener(ThreadingTCPServer):
    """Accepts connections. Not the library's HTTPServer, which looks up the host's name, perhaps over the network."""

    request_queue_size = 64

    def __init__(self, api: ApiServer) -> None:
        self._open: set[socket] = set()
        super().__init__(("127.0.0.1", 0), partial(_Handler, api))

    def get_request(self) -> tuple[socket, Any]:
        """Accepts a connection, and remembers it for the end."""
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def close_request(self, request: Any) -> None:
        """Closes a connection."""
        self._open.discard(request)
        super().close_request(request)

    def hang_up(self) -> None:
        """Ends every connection, so that no thread waits for what a client sends or takes."""
        for connection in tuple(self._open):
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is no news; anything else is a fault here, and is shown."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer as it goes over the wire."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    def wire(self) -> bytes:
        headers = {"Content-Type": "application/json", "Content-Length": str(len(self.body)), "Connection": "close"}
        lines = [f"{name}: {value}" for name, value in (headers | self.headers).items()]
        head = [f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}", *lines, "", ""]
        return "\r\n".join(head).encode("latin-1") + self.body


def _reply(answer: Answer, misbehaviour: Misbehaviour | None) -> _Reply:
    if misbehaviour == "500":
        return _Reply(500, b'{"error": "Internal Server Error"}')
    if misbehaviour == "redirect":
        return _Reply(307, b"{}", {"Location": ELSEWHERE})
    body = _GARBAGE if misbehaviour == "garbage" else json.dumps(answer.body).encode()
    return _Reply(answer.status, body, answer.headers)


def _cookie(header: str) -> str:
    pairs = (part.strip().partition("=") for part in header.split(";"))
    return next((value for name, _, value in pairs if name == COOKIE), "")


class _Handler(BaseHTTPRequestHandler):
    """One connection, one request, one answer."""

    protocol_version = "HTTP/1.1"
    timeout = 10.0

    def __init__(self, api: ApiServer, *connection: Any) -> None:
        self._api = api
        self._life = 0
        super().__init__(*connection)

    def handle(self) -> None:
        """Nobody is there to read it while the process is down."""
        life = self._api.routes.life()
        if life is not None:
            self._life = life
            super().handle()

    def _serve(self) -> None:
        self.close_connection = True
        misbehaviour: Misbehaviour | None = None
        try:
            answer = self._answer()
            misbehaviour = self._api.misbehave
        except Unanswered:
            self._note(None)
            return
        reply = _reply(answer, misbehaviour)
        self._note(None if misbehaviour == "hang" else reply.status)
        self._send(reply.wire(), misbehaviour)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815 - names that the library calls

    def _answer(self) -> Answer:
        try:
            body = self._body()
        except Refused as refused:
            return refused.answer
        path = self.path.partition("?")[0]
        cookie = _cookie(self.headers.get("Cookie", ""))
        return self._api.routes.answer(Request(self.command, path, cookie, body, self._life))

    def _body(self) -> bytes:
        if "Transfer-Encoding" in self.headers:
            raise Refused(411, "the body has no length; send Content-Length")
        said = self.headers.get("Content-Length", "0")
        if not (said.isascii() and said.isdigit() and len(said) < 20):
            raise Refused(400, "Content-Length is not a number")
        length = int(said)
        if length > MAX_BODY:
            # read all the same: a connection closed on unread bytes is reset, and the answer lost
            self.rfile.read(min(length, _DISCARDED))
            raise Refused(413, f"the body is longer than {MAX_BODY} bytes; send less")
        return self.rfile.read(length)

    def _note(self, status: int | None) -> None:
        self._api.requests.append((self.command, self.path, status))

    def _send(self, wire: bytes, misbehaviour: Misbehaviour | None) -> None:
        if misbehaviour == "hang":
            self._api.routes.outlived(self._life, threading.TIMEOUT_MAX)
        elif misbehaviour == "drip":
            self._drip(wire)
        else:
            self.wfile.write(wire)

    def _drip(self, wire: bytes) -> None:
        for place in range(len(wire)):
            self.wfile.write(wire[place : place + 1])
            if self._api.routes.outlived(self._life, DRIP_PAUSE):
                return

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing; `requests` tells."""
