"""The addresses: `/metrics`, `/healthz`, `/readyz`, the JSON API, and the state in words at `/`."""

from collections.abc import Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from watchdog import wire
from watchdog.web.board import Board, Posting

_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'",
}


def build(board: Board, metrics: Callable[[], bytes], words: Callable[[Posting], str]) -> Starlette:
    """The application. `metrics` gives the exposition, `words` the state as text for people."""

    async def exposition(request: Request) -> Response:
        return Response(metrics(), media_type=CONTENT_TYPE_LATEST, headers=_HEADERS)

    async def state(request: Request) -> Response:
        posting = board.posting
        return _text(words(posting)) if posting else _not_yet()

    routes = [
        Route("/", state),
        Route("/metrics", exposition),
        Route("/healthz", lambda request: _health(board)),
        Route("/readyz", lambda request: _ready(board)),
        Route("/api/v1/jobs", lambda request: _document(board, _jobs)),
        Route("/api/v1/findings", lambda request: _document(board, _findings)),
        Route("/api/v1/incidents", lambda request: _document(board, _incidents)),
    ]
    return Starlette(routes=routes)


def _text(text: str, status: int = 200) -> Response:
    return PlainTextResponse(text + "\n", status, headers=_HEADERS)


def _not_yet() -> Response:
    return _text("not yet: the first look is still going on", 503)


def _health(board: Board) -> Response:
    silent = board.silent_for()
    if silent is None:
        return _not_yet()
    if board.is_turning:
        return _text("ok")
    return _text(f"the loop stands still: its last tick was {silent:.0f} s ago", 503)


def _ready(board: Board) -> Response:
    posting = board.posting
    if posting is None:
        return _not_yet()
    unread = [state.snapshot for state in posting.published.sources if state.read_at is None]
    if unread:
        return _text("\n".join(f"{source.source} could not be read yet: {source.problem}" for source in unread), 503)
    return _text("ok")


def _jobs(posting: Posting) -> Mapping[str, wire.Json]:
    return wire.jobs_document(posting.published, posting.at)


def _findings(posting: Posting) -> Mapping[str, wire.Json]:
    return wire.findings_document(posting.published, posting.at)


def _incidents(posting: Posting) -> Mapping[str, wire.Json]:
    return wire.incidents_document(posting.incidents, posting.at)


def _document(board: Board, make: Callable[[Posting], Mapping[str, wire.Json]]) -> Response:
    posting = board.posting
    if posting is None:
        return JSONResponse({"error": "the first look is still going on"}, 503, headers=_HEADERS)
    return JSONResponse(make(posting), headers=_HEADERS)
