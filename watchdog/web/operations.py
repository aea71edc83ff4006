"""An operation of the API as data: what serves it and what describes it are made from the same."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from watchdog.core.fields import Frozen
from watchdog.state.plain import plain
from watchdog.web.archive import NoArchiveError
from watchdog.web.auth import NOT_THE_TOKEN, Auth
from watchdog.web.changes import ConflictError, UnknownError, Who
from watchdog.web.headers import API_HEADERS
from watchdog.web.questions import BIGGEST_ID, NotUnderstoodError, understood
from watchdog.web.wsgi import Request, Response, Route, TooBigError

PATH_PARAMETER = re.compile(r"\{([a-z_]+)\}")
BIGGEST_BODY = 16 * 1024


class RefusedError(Exception):
    """It is not done; the status that says so, and one line."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as its operation sees it. `body` and `query` are of the types that the operation names."""

    who: Who
    number: int = 0
    body: Any = None
    query: Any = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One address and method. `do` gives what it answers, a shape of the name `answer`; it runs in a thread."""

    method: str
    path: str
    name: str
    summary: str
    answer: str
    do: Callable[[Asked], Mapping[str, Any]]
    body: type[Frozen] | None = None
    query: type[Frozen] | None = None
    status: int = 200
    needs_token: bool = False
    conflicts: bool = False
    names_job: bool = False

    @property
    def refusals(self) -> tuple[int, ...]:
        """The statuses that it can refuse with."""
        found = [503]
        found += [401, 429] if self.needs_token else []
        found += [404] if "{" in self.path or self.names_job else []
        found += [409] if self.conflicts else []
        found += [400, 413, 415, 422] if self.body else [422] if self.query else []
        return tuple(sorted(set(found)))


def route(operation: Operation, auth: Auth | None) -> Route:
    """What serves the operation."""

    def serve(request: Request) -> Response:
        try:
            return _served(operation, auth, request)
        except RefusedError as error:
            return problem(error.status, str(error))

    return Route(operation.path, serve, operation.method)


def problem(status: int, why: str, headers: Mapping[str, str] | None = None) -> Response:
    """The answer that says why not."""
    return as_json({"error": why}, status, headers)


def as_json(document: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer for programs."""
    text = json.dumps(plain(document), ensure_ascii=False, separators=(",", ":"))
    return Response(text.encode(), status, {**API_HEADERS, **(headers or {})}, "application/json")


def _served(operation: Operation, auth: Auth | None, request: Request) -> Response:
    if operation.needs_token and auth is not None and auth.too_many_guesses(request):
        raise RefusedError(429, "too many wrong tokens came from this address; try again in a minute")
    if operation.needs_token and (auth is None or not auth.has_bearer(request)):
        given = f" ({NOT_THE_TOKEN} was given)" if request.header("authorization") else ""
        raise RefusedError(401, f"give the token: Authorization: Bearer TOKEN{given}")
    number = _number(request.path_params.get("number"))
    query = _understood(operation.query, dict(request.query_params), as_text=True) if operation.query else None
    body = _understood(operation.body, read_json(request)) if operation.body else None
    who = Who(getattr(body, "by", "") or "somebody", "API", request.address)
    asked = Asked(who, number, body, query)
    return as_json(_answer(operation, asked), operation.status)


def _answer(operation: Operation, asked: Asked) -> Mapping[str, Any]:
    try:
        return operation.do(asked)
    except UnknownError as error:
        raise RefusedError(404, str(error)) from error
    except ConflictError as error:
        raise RefusedError(409, str(error)) from error
    except NoArchiveError as error:
        raise RefusedError(503, str(error)) from error


def _number(text: str | None) -> int:
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or not 1 <= len(text) <= 19 or not 1 <= int(text) <= BIGGEST_ID:
        raise RefusedError(404, "there is nothing with this number")
    return int(text)


def read_body(request: Request) -> bytes:
    """The body, if it is not too big."""
    try:
        return request.body(BIGGEST_BODY)
    except TooBigError as error:
        raise RefusedError(413, str(error)) from None


def read_json(request: Request) -> object:
    """The body as JSON."""
    kind = request.header("content-type").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, "send application/json")
    try:
        return json.loads(read_body(request), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise RefusedError(400, "the body is not JSON") from None


def _no_number(text: str) -> object:
    raise ValueError(f"{text} is not JSON")


def _understood(kind: type[Frozen], found: object, *, as_text: bool = False) -> Frozen:
    try:
        return understood(kind, found, as_text=as_text)
    except NotUnderstoodError as error:
        raise RefusedError(422, str(error)) from None
