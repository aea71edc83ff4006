"""What takes its time, as reading the state file and making a page do, runs beside the loop that serves.

Starlette's own way to do so loads a second implementation of it: a megabyte, which is held from the first page on.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

T = TypeVar("T")

AT_ONCE = 16
"""Threads; whoever asks meanwhile waits."""

_POOL = ThreadPoolExecutor(AT_ONCE, "web")


async def in_thread(do: Callable[..., T], *given: Any) -> T:
    """What it gives, or raises."""
    return await asyncio.get_running_loop().run_in_executor(_POOL, partial(do, *given))


def threaded(endpoint: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
    """The same endpoint, in a thread."""

    @wraps(endpoint)
    async def serve(request: Request) -> Response:
        return await in_thread(endpoint, request)

    return serve
