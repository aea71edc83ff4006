"""One running watchdog over its API. Nothing is followed elsewhere, and nothing is waited for without end."""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import urllib3
from urllib3.exceptions import HTTPError

PATIENCE = 10.0
"""Seconds for an answer."""

BIGGEST_ANSWER = 64 * 2**20
"""Bytes; some ten thousand jobs."""

Document = dict[str, Any]


class NotAnsweredError(Exception):
    """It could not be asked, or has not answered as a watchdog does; one line that begins with its address."""


class RefusedError(Exception):
    """It has answered that it does not do this; one line that begins with its address."""


@dataclass(frozen=True)
class Remote:
    """A watchdog at an address such as `https://box:9846`, with the token that it asks for where things are changed."""

    url: str
    token: str = ""

    def get(self, path: str, **query: object) -> Document:
        """What stands at a path of the API. Raises NotAnsweredError, RefusedError."""
        asked = urlencode({key: value for key, value in query.items() if value is not None})
        return self._ask("GET", f"{path}?{asked}" if asked else path, None)

    def post(self, path: str, body: Mapping[str, object]) -> Document:
        """What a change has come to. Raises NotAnsweredError, RefusedError."""
        return self._ask("POST", path, json.dumps(body).encode())

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        # an assistant asks several things at once, and each connection beyond these is a warning
        return urllib3.PoolManager(maxsize=10, retries=False, timeout=urllib3.Timeout(total=PATIENCE))

    def _ask(self, method: str, path: str, body: bytes | None) -> Document:
        headers = {"Accept": "application/json"}
        headers |= {"Authorization": f"Bearer {self.token}"} if self.token else {}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        address = f"{self.url.rstrip('/')}/api/v1{path}"
        try:
            answer = self._pool.request(
                method, address, body=body, headers=headers, redirect=False, preload_content=False
            )
            status, content = answer.status, _read(answer)
        except (HTTPError, OSError, ValueError) as error:
            raise NotAnsweredError(f"{self.url} did not answer: {_why(error)}") from error
        return self._understood(status, content)

    def _understood(self, status: int, content: bytes) -> Document:
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if not isinstance(document, dict) or 300 <= status < 400:
            raise NotAnsweredError(f"{self.url} answered {status}, but not as a watchdog does: is the address right?")
        if status < 300:
            return document
        raise RefusedError(f"{self.url}: {self._refusal(status, str(document.get('error', status)))}")

    def _refusal(self, status: int, why: str) -> str:
        if status == 401:
            return "the token is not the right one" if self.token else "it asks for a token: give --token-file FILE"
        if status in (404, 405) and why in ("Not Found", "Method Not Allowed"):
            return "nothing can be changed there over HTTP: set http.token_file in its configuration"
        return why


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    """The answer's content. Raises OSError if it is too long, in bytes or in time."""
    ends, content = time.monotonic() + 3 * PATIENCE, bytearray()
    for part in answer.stream(2**16):
        content += part
        if len(content) > BIGGEST_ANSWER or time.monotonic() > ends:
            answer.close()
            raise OSError("the answer does not end")
    answer.release_conn()
    return bytes(content)


def address(text: str) -> str:
    """The address of a watchdog as it is written. Raises ValueError with what is accepted."""
    parts = urlsplit(text if "://" in text else f"http://{text}")
    try:
        is_good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError(f"{text!r} is no address of a watchdog; write it like https://box.example.org:9846")
    if parts.username or parts.password:
        raise ValueError("an address holds no password here; give --token-file FILE")
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _why(error: Exception) -> str:
    """The reason without the libraries' own words about it."""
    text = str(getattr(error, "reason", None) or error)
    said = re.split(r"\[Errno -?\d+\] |\): ", text)[-1]
    said = said if said.count("(") == said.count(")") else said.rstrip(")")  # it was cut out of brackets
    return " ".join(said.split())[:200] or type(error).__name__
