"""Which request asks which operation of the simulated scheduler, who may ask it, and what is answered."""

import json
import re
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe
from typing import Literal
from urllib.parse import unquote

from watchdog.demo.operations import Answer, Call
from watchdog.demo.simulator import Simulator

COOKIE = "phantom_session"
COOKIE_LIFETIME = timedelta(days=7)
TokenKind = Literal["lasting", "magic", "bootstrap"]
TOKEN_LIFETIME = {"magic": timedelta(minutes=10), "bootstrap": timedelta(minutes=30)}
POLL = 0.01
"""Seconds between two looks at what no thread is told of: the lock, the end of a run, a kill."""
_JOB_PATH = re.compile(r"/ui/api/scheduler/(?P<id>[^/]+)/(?P<verb>pause|resume|run)")


class Unanswered(Exception):  # noqa: N818 - not an error of this program: the connection is lost
    """There is nobody to answer any more: the process was killed, or the server is being stopped."""


class Refused(Exception):  # noqa: N818 - an answer like any other
    """The request itself is at fault."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.answer = Answer(status, {"error": why})


@dataclass(frozen=True, slots=True)
class Request:
    """What came over one connection. `life` is the life of the process that accepted it; the path has no query."""

    method: str
    path: str
    cookie: str
    body: bytes
    life: int

    def json(self) -> dict[str, object]:
        """The body; nothing stands for an empty object. Raises Refused with 400."""
        try:
            found = json.loads(self.body or b"{}")
        except (ValueError, RecursionError):
            raise Refused(400, "the body is not JSON; send an object") from None
        if not isinstance(found, dict):
            raise Refused(400, "the body is not a JSON object; send an object")
        return found


class Cookies:
    """Who is logged in. It is the process's memory: a cookie is good in the life that gave it, for seven days."""

    def __init__(self) -> None:
        self._given: dict[str, tuple[int, datetime]] = {}

    def give(self, life: int, now: datetime) -> str:
        """A new cookie."""
        cookie = token_urlsafe(32)
        self._given[cookie] = (life, now + COOKIE_LIFETIME)
        return cookie

    def know(self, cookie: str, life: int, now: datetime) -> bool:
        """Whether it was given in this life and is not over yet."""
        given_in, over = self._given.get(cookie, (None, now))
        return given_in == life and now < over


class Login:
    """What `POST /ui/login` takes, beside the value of a cookie that is alive. No token of a stock build lasts.

    - `bootstrap`: once, within 30 minutes of the first boot
    - `magic`: once, within ten minutes of its making, in the life that made it
    - `lasting`: always; only for what is about something else than the login
    """

    def __init__(self, token: str, kind: TokenKind, life: int | None, now: datetime) -> None:
        self._tokens: dict[str, tuple[TokenKind, int | None, datetime]] = {token: (kind, life, now)}

    def make_link(self, life: int | None, now: datetime) -> str:
        """The token of a magic link, as the owner gets one in chat."""
        token = token_urlsafe(16)
        self._tokens[token] = ("magic", life, now)
        return token

    def take(self, token: object, life: int, now: datetime) -> bool:
        """Whether it opens the door; one that has, or that is over, never does again."""
        if not isinstance(token, str) or token not in self._tokens:
            return False
        kind, made_in, made = self._tokens[token]
        if kind == "lasting":
            return True
        del self._tokens[token]
        return now <= made + TOKEN_LIFETIME[kind] and (kind == "bootstrap" or life == made_in)


class Routes:
    """Answers requests by operating the simulator, under the lock that its driver takes too.

    `closing` is set when the server is being stopped; `patience`: real seconds that a manual run is waited for.
    """

    def __init__(
        self,
        simulator: Simulator,
        token: str,
        lock: "threading.RLock",
        closing: threading.Event,
        patience: float,
        kind: TokenKind = "lasting",
    ) -> None:
        self._simulator = simulator
        self._login = Login(token, kind, simulator.life, simulator.now)
        self._lock = lock
        self._closing = closing
        self._patience = patience
        self._cookies = Cookies()

    def make_link(self) -> str:
        """The token of a new magic link."""
        return self._login.make_link(self._simulator.life, self._simulator.now)

    def life(self) -> int | None:
        """The present life of the process; None while it is down."""
        return self._simulator.life

    def outlived(self, life: int, seconds: float) -> bool:
        """Waits that long; True as soon as that life of the process is over or the server is being stopped."""
        until = time.monotonic() + seconds
        while self.life() == life and not self._closing.is_set():
            left = until - time.monotonic()
            if left <= 0:
                return False
            self._closing.wait(min(left, POLL))
        return True

    def answer(self, request: Request) -> Answer:
        """Does what is asked. Raises Unanswered where the connection would be lost."""
        try:
            self._wait_while_frozen(request.life)
            with self._held():
                self._must_be_in(request.life)
                asked = self._route(request)
        except Refused as refused:
            return refused.answer
        except sqlite3.Error as error:
            return Answer(500, {"error": f"the database cannot be used: {error}"})
        return asked if isinstance(asked, Answer) else self._wait_for(asked, request.life)

    def _wait_while_frozen(self, life: int) -> None:
        """A frozen process takes the connection and says nothing, until it is thawed or killed."""
        while self._simulator.frozen:
            if self.outlived(life, POLL):
                raise Unanswered

    @contextmanager
    def _held(self) -> Iterator[None]:
        """The lock. It is not waited for blindly: whoever stops the server may be the one who holds it."""
        while not self._lock.acquire(timeout=POLL):
            if self._closing.is_set():
                raise Unanswered
        try:
            yield
        finally:
            self._lock.release()

    def _must_be_in(self, life: int) -> None:
        if self.life() != life or self._closing.is_set():
            raise Unanswered

    def _route(self, request: Request) -> Answer | Call:
        if (request.method, request.path) == ("GET", "/health"):
            return self._simulator.health()
        if (request.method, request.path) == ("POST", "/ui/login"):
            return self._log_in(request)
        job = _JOB_PATH.fullmatch(request.path)
        if request.method != "POST" or job is None:
            return Answer(404, {"error": "Not found"})
        if not self._cookies.know(request.cookie, request.life, self._simulator.now):
            return Answer(401, {"error": "Unauthorized"})
        return self._operate(job["verb"], unquote(job["id"]), request.json())

    def _log_in(self, request: Request) -> Answer:
        token, now = request.json().get("token"), self._simulator.now
        if isinstance(token, str) and self._cookies.know(token, request.life, now):
            cookie = token
        elif self._login.take(token, request.life, now):
            cookie = self._cookies.give(request.life, now)
        else:
            return Answer(401, {"error": "Invalid token"})
        return Answer(200, {"ok": True}, {"Set-Cookie": f"{COOKIE}={cookie}; HttpOnly; Path=/"})

    def _operate(self, verb: str, job_id: str, body: dict[str, object]) -> Answer | Call:
        if verb == "pause":
            return self._simulator.pause(job_id)
        if verb == "resume":
            return self._simulator.resume(job_id, force=body.get("force") is True)
        return self._simulator.run_now(job_id)

    def _wait_for(self, call: Call, life: int) -> Answer:
        """The answer of a manual run, when somebody has moved the clock past its end."""
        give_up = time.monotonic() + self._patience
        while time.monotonic() < give_up:
            # under the lock, because in the midst of `run_until` the answer is there before its row is committed
            with self._held():
                if call.answer is not None:
                    return call.answer
                self._must_be_in(life)
            self._closing.wait(POLL)
        raise Unanswered
