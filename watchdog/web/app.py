"""The addresses: `/metrics`, `/healthz`, `/readyz`, the JSON API, and the page at `/`, which is text for programs."""

from collections.abc import Callable
from datetime import UTC, datetime

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from watchdog.config.file import Config
from watchdog.web.api import Api
from watchdog.web.archive import Archive
from watchdog.web.auth import Auth
from watchdog.web.changes import Changes
from watchdog.web.headers import API_HEADERS
from watchdog.web.operations import problem
from watchdog.web.page import Pages
from watchdog.web.published_state import Posting, PublishedState
from watchdog.web.threads import in_thread, threaded
from watchdog.web.transport import Transport


def build(
    published_state: PublishedState,
    metrics: Callable[[], bytes],
    words: Callable[[Posting], str],
    archive: Archive | None = None,
    config: Callable[[], Config] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Starlette:
    """The application. `metrics` gives the exposition, `words` the state as text for people.

    `archive` is the state file, `config` what holds at present; a token in it makes changes possible. `now` gives the
    service's own instant.
    """
    archive = archive or Archive(None)
    token_file = config().http.token_file if config else None
    auth = Auth(token_file) if token_file else None
    changes = Changes(archive, config, now, published_state) if config and auth else None
    pages = Pages(published_state, archive, config, changes, auth, now)

    async def exposition(request: Request) -> Response:
        return Response(metrics(), media_type=CONTENT_TYPE_LATEST, headers=API_HEADERS)

    def state(request: Request) -> Response:
        if _is_for_people(request):
            return pages.front(request)
        posting = published_state.posting
        return _text(words(posting), vary="Accept") if posting else _not_yet()

    async def health(request: Request) -> Response:
        return _health(published_state)

    async def ready(request: Request) -> Response:
        return _ready(published_state)

    routes = [
        Route("/", threaded(state)),
        Route("/metrics", exposition),
        Route("/healthz", health),
        Route("/readyz", ready),
        *Api(published_state, archive, changes, auth, config, now).routes(),
        *pages.routes(),
    ]

    async def not_so(request: Request, error: Exception) -> Response:
        if _is_for_people(request) and isinstance(error, HTTPException) and error.status_code == 404:
            return await in_thread(pages.missing, request, "There is no such page", "Perhaps the address was cut off.")
        return _not_so(request, error)

    return Starlette(routes=routes, exception_handlers={HTTPException: not_so}, middleware=[Middleware(Transport)])


def _is_for_people(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "").lower() and not request.url.path.startswith("/api/")


def _not_so(request: Request, error: Exception) -> Response:
    """An address or a method that is not there: JSON for programs, text otherwise."""
    assert isinstance(error, HTTPException)  # noqa: S101 - what it was registered for
    if request.url.path.startswith("/api/"):
        return problem(error.status_code, error.detail, error.headers)
    return PlainTextResponse(error.detail + "\n", error.status_code, {**API_HEADERS, **(error.headers or {})})


def _text(text: str, status: int = 200, vary: str = "") -> Response:
    headers = {**API_HEADERS, **({"Vary": vary} if vary else {})}
    return PlainTextResponse(text + "\n", status, headers=headers)


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
