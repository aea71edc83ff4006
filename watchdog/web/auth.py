"""Who may change something: a bearer token for programs, a session for the page after the token was entered once."""

import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from watchdog.config.fields import read_secret
from watchdog.core.logs import log
from watchdog.web.wsgi import Request

NOT_THE_TOKEN = "a wrong token"  # noqa: S105 - why somebody is refused

COOKIE = "watchdog_session"
LASTS = 12 * 3600.0
"""Seconds after which a session is over."""

MOST_GUESSES = 10
"""Wrong tokens from one address; after that it is not heard for a while."""

GUESSES_COUNT_FOR = 60.0
"""Seconds."""

_MOST_ADDRESSES = 1000
_MOST_SESSIONS = 100


@dataclass(slots=True)
class Session:
    """A browser that has entered the token. `csrf` stands in each of its forms; `said` is shown once."""

    id: str
    csrf: str
    name: str
    token: bytes
    ends: float
    said: list[tuple[str, str]] = field(default_factory=list)


class Guesses:
    """How often an address was wrong lately. Who was wrong too often is not even heard until a while has passed."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._wrong: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def too_many(self, address: str) -> bool:
        """Whether nothing is heard from there now."""
        with self._lock:
            return len(self._recent(address)) >= MOST_GUESSES

    def note(self, address: str) -> int:
        """One more was wrong; how many that makes."""
        with self._lock:
            recent = [*self._recent(address), self._clock()]
            self._wrong.pop(address, None)
            self._wrong[address] = recent[-MOST_GUESSES:]
            while len(self._wrong) > _MOST_ADDRESSES:
                del self._wrong[next(iter(self._wrong))]
        return len(recent)

    def _recent(self, address: str) -> list[float]:
        now = self._clock()
        return [at for at in self._wrong.get(address, ()) if now - at < GUESSES_COUNT_FOR]


class Auth:
    """The token's file is read at each question, so that a changed token holds at once and ends all sessions."""

    def __init__(self, token_file: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._file = token_file
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._guesses = Guesses(clock)
        self._told = Guesses(clock)

    def too_many_guesses(self, request: Request) -> bool:
        """Whether this address has given so many wrong tokens that it is not heard now."""
        return self._guesses.too_many(request.address)

    def _digest(self) -> bytes | None:
        try:
            return hashlib.sha256(read_secret(self._file).encode()).digest()
        except ValueError as error:
            log.error(f"nothing can be changed over HTTP: {error}", extra={"action": "token"})
            return None

    def is_right(self, given: str) -> bool:
        """Whether it is the token; takes as long for a near miss as for any other."""
        wanted = self._digest()
        found = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        return wanted is not None and hmac.compare_digest(wanted, found)

    def has_bearer(self, request: Request) -> bool:
        """Whether the request carries the token as `Authorization: Bearer …`."""
        scheme, _, given = request.header("authorization").partition(" ")
        is_right = scheme.lower() == "bearer" and self.is_right(given.strip())
        if not is_right:
            self.refused(request, "no token" if not given else NOT_THE_TOKEN)
        return is_right

    def refused(self, request: Request, why: str) -> None:
        """Put an attempt on the log, and count a wrong token. Of one address no more than ten a minute are told."""
        is_last = why == NOT_THE_TOKEN and self._guesses.note(request.address) == MOST_GUESSES
        if is_last:
            why += f"; {request.address} has given {MOST_GUESSES} and is not heard for a minute"
        elif self._told.too_many(request.address):
            return
        self._told.note(request.address)
        log.warning(
            f"refused {request.method} {request.path}: {why}"[:300],
            extra={"action": "refused", "address": request.address},
        )

    def enter(self, name: str) -> Session:
        """A new session; the oldest goes if there are too many."""
        now = self._clock()
        session = Session(
            secrets.token_urlsafe(32), secrets.token_urlsafe(32), name, self._digest() or b"", now + LASTS
        )
        with self._lock:
            self._sessions = {id_: kept for id_, kept in self._sessions.items() if kept.ends > now}
            while len(self._sessions) >= _MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[session.id] = session
        return session

    def session(self, request: Request) -> Session | None:
        """The request's session, if it has one that holds."""
        found = self._sessions.get(request.cookies.get(COOKIE, ""))
        if found is None or found.ends <= self._clock() or not hmac.compare_digest(found.token, self._digest() or b"-"):
            return None
        return found

    def leave(self, session: Session) -> None:
        """End a session."""
        with self._lock:
            self._sessions.pop(session.id, None)


def is_same_origin(request: Request) -> bool:
    """Whether a page of this very address sent the form. Browsers send `Origin` with every form; without it, no."""
    try:
        origin = urlsplit(request.header("origin")).netloc
    except ValueError:
        return False
    return bool(origin) and origin.lower() == request.header("host").lower()


def is_own_form(session: Session, token: str) -> bool:
    """Whether the form was made for this session."""
    return hmac.compare_digest(session.csrf.encode(), token.encode("utf-8", "surrogateescape"))
