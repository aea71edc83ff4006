"""The addresses: `/metrics`, `/healthz`, `/readyz`, the JSON API, and the page at `/`, which is text for programs."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST

from watchdog.config.file import Config
from watchdog.core.logs import log
from watchdog.web.api import Api
from watchdog.web.archive import Archive
from watchdog.web.auth import Auth
from watchdog.web.changes import Changes
from watchdog.web.headers import API_HEADERS
from watchdog.web.operations import problem
from watchdog.web.page import Pages
from watchdog.web.published_state import Posting, PublishedState
from watchdog.web.transport import travelling
from watchdog.web.wsgi import Environ, Request, Response, Route, Routes, Start, send, text


def build(
    published_state: PublishedState,
    metrics: Callable[[], bytes],
    words: Callable[[Posting], str],
    archive: Archive | None = None,
    config: Callable[[], Config] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> "Application":
    """The application. `metrics` gives the exposition, `words` the state as text for people.

    `archive` is the state file, `config` what holds at present; a token in it makes changes possible. `now` gives the
    service's own instant.
    """
    archive = archive or Archive(None)
    token_file = config().http.token_file if config else None
    auth = Auth(token_file) if token_file else None
    changes = Changes(archive, config, now, published_state) if config and auth else None
    pages = Pages(published_state, archive, config, changes, auth, now)

    def exposition(request: Request) -> Response:
        return Response(metrics(), headers=API_HEADERS, media_type=CONTENT_TYPE_LATEST)

    def state(request: Request) -> Response:
        if _is_for_people(request):
            return pages.front(request)
        posting = published_state.posting
        return _text(words(posting), vary="Accept") if posting else _not_yet()

    def not_so(request: Request, status: int, headers: Mapping[str, str]) -> Response:
        if _is_for_people(request) and status == 404:
            return pages.missing(request, "There is no such page", "Perhaps the address was cut off.")
        return _not_so(request, status, headers)

    routes = [
        Route("/", state),
        Route("/metrics", exposition),
        Route("/healthz", lambda _: _health(published_state)),
        Route("/readyz", lambda _: _ready(published_state)),
        *Api(published_state, archive, changes, auth, config, now).routes(),
        *pages.routes(),
    ]
    return Application(Routes(routes, not_so))


@dataclass(frozen=True)
class Application:
    """What serves all addresses, over WSGI."""

    routes: Routes

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """One request. Whatever breaks on the way is on the log, and whoever asked is told that it did."""
        request = Request(environ)
        try:
            answer = travelling(request, self.routes.answer(request))
        except Exception:
            log.exception(f"{request.method} {request.path[:300]} was not answered", extra={"action": "request"})
            answer = _not_so(request, 500, {})
        return send(answer, request, start)


def _is_for_people(request: Request) -> bool:
    return "text/html" in request.header("accept").lower() and not request.path.startswith("/api/")


def _not_so(request: Request, status: int, headers: Mapping[str, str]) -> Response:
    """An address or a method that is not there: JSON for programs, text otherwise."""
    words = HTTPStatus(status).phrase
    if request.path.startswith("/api/"):
        return problem(status, words, headers)
    return text(words + "\n", status, {**API_HEADERS, **headers})


def _text(words: str, status: int = 200, vary: str = "") -> Response:
    return text(words + "\n", status, {**API_HEADERS, **({"Vary": vary} if vary else {})})


def _not_yet() -> Response:
    return _text("not yet: the first look is still going on", 503)


def _health(published_state: PublishedState) -> Response:
    silent = published_state.silent_for()
    if silent is None:
        return _not_yet()
    if published_state.is_turning:
        return _text("ok")
    return _text(f"the loop stands still: its last tick was {silent:.0f} s ago", 503)


def _ready(published_state: PublishedState) -> Response:
    posting = published_state.posting
    if posting is None:
        return _not_yet()
    unread = [state.snapshot for state in posting.published.sources if state.read_at is None]
    if published_state.state_problem:
        return _text(f"the state file cannot be written: {published_state.state_problem}", 503)
    if unread:
        return _text("\n".join(f"{source.source} could not be read yet: {source.problem}" for source in unread), 503)
    return _text("ok")
