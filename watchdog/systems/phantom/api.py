"""Phantom's web API: log in with the token, keep the cookie, believe what is returned and not that it was 200."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

from watchdog.config.fields import Api, read_secret
from watchdog.core import faults
from watchdog.core.children import call


def run_child(order: Mapping[str, object], deadline: timedelta) -> Mapping[str, Any]:
    """Have a short-lived process do the order; what it answered."""
    return call("watchdog.systems.phantom.asking", order, deadline)


class ApiError(Exception):
    """The API cannot be used; one line."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    body: Mapping[str, Any]


class PhantomApi:
    """Calls the API in a short-lived process, so that a peer that drips or hangs is cut off at the deadline."""

    def __init__(self, api: Api, deadline: timedelta) -> None:
        self._api = api
        self._deadline = deadline
        self._cookie = ""

    def resume(self, job_id: str, *, force: bool) -> str:
        """Resume a job; the status that the API says it has now. Raises ApiError."""
        path = f"/ui/api/scheduler/{quote(job_id, safe='')}/resume"
        return self._status(self._post(path, {"force": True} if force else {}))

    def pause(self, job_id: str) -> str:
        """Pause an active job; the status that the API says it has now. Raises ApiError."""
        return self._status(self._post(f"/ui/api/scheduler/{quote(job_id, safe='')}/pause", {}))

    def _status(self, answer: Response) -> str:
        if answer.status != 200:
            raise ApiError(f"the API answered {answer.status}: {answer.body.get('error', 'no reason given')}")
        job = answer.body.get("job")
        if not isinstance(job, dict):
            raise ApiError(f"the API answered 200 without a job: {answer.body.get('error', 'no reason given')}")
        return str(job.get("status"))

    def _post(self, path: str, body: Mapping[str, object]) -> Response:
        order = {
            "do": "phantom",
            "url": self._api.url.rstrip("/"),
            "path": path,
            "body": body,
            "cookie": self._cookie,
            "token": self._token(),
        }
        faults.point("asking-api")
        try:
            said = run_child(order, self._deadline)
        except OSError as error:  # no process can be started now
            raise ApiError(f"the API cannot be asked: {error}") from None
        faults.point("api-answered")
        if not said.get("ok"):
            raise ApiError(f"the API cannot be used: {said.get('error') or 'no reason given'}")
        self._cookie = str(said.get("cookie") or "")
        answered = said.get("body")
        return Response(int(said.get("status") or 0), answered if isinstance(answered, dict) else {})

    def _token(self) -> str:
        if self._api.token_file is None:
            return ""
        try:
            return read_secret(self._api.token_file)
        except ValueError as error:
            raise ApiError(str(error)) from None
