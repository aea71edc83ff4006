"""Inside a short-lived process: it does one order and ends. `python -m watchdog.core.child` asks an address.

What to do comes as JSON on standard input, so that no address ever stands in a process list; the outcome goes to
standard output. It is a process of its own because a process can be killed when a target hangs, which a thread cannot.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from watchdog.core.redaction import fit_to_leave

REASON_LENGTH = 300

WENT_WELL, WENT_WRONG = 75, 76
"""How a process ends that could not write its answer down."""

Do = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Does one order; what became of it."""


def serve(orders: Mapping[str, Do]) -> int:
    """Do what standard input says. `orders` are those that are known here, by the order's `do`."""
    order = json.load(sys.stdin)
    _stay_small()
    signal.alarm(int(order.get("limit", 120)))
    try:
        outcome = orders[order["do"]](order)
    except MemoryError:
        outcome = {"ok": False, "error": "it took more memory than it may: is the answer without end?"}
    except Exception as error:
        outcome = {"ok": False, "error": fit_to_leave(f"{type(error).__name__}: {error}", REASON_LENGTH)}
    if not _is_written(json.dumps(outcome).encode()):
        os._exit(WENT_WELL if outcome.get("ok") else WENT_WRONG)
    return 0


MOST_MEMORY = 256 * 1024 * 1024
"""Bytes that such a process may take: an answer may be without end, and libraries read all of it. It takes a tenth."""


def _stay_small() -> None:
    with suppress(OSError, ValueError):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = MOST_MEMORY if hard == resource.RLIM_INFINITY else min(MOST_MEMORY, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _is_written(answer: bytes) -> bool:
    """Whether all of it went to where it is to go: the disk under it may be full."""
    try:
        while answer:
            answer = answer[os.write(1, answer) :]
    except OSError:
        return False
    return True


def text_of(data: bytes) -> str:
    """What somebody answered, fit for one line."""
    return fit_to_leave(data[:1000].decode("utf-8", "replace"), REASON_LENGTH)


def get(order: Mapping[str, Any]) -> dict[str, Any]:
    """Ask an address; whether it answers with 2xx. What is said of a failure holds no part of the address but its host,
    for what follows that may be a secret."""
    import urllib3

    place = urlsplit(order["url"]).hostname
    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(order.get("timeout", 10)))
    try:
        answer = pool.request(order.get("method", "GET"), order["url"], redirect=False, preload_content=False)
    except urllib3.exceptions.HTTPError as error:
        why = getattr(error.__cause__, "strerror", None) or type(error).__name__
        return {"ok": False, "error": f"{place} cannot be reached: {why}"}
    is_well = 200 <= answer.status < 300
    return {"ok": is_well, "error": "" if is_well else f"{place} answered {answer.status}"}


if __name__ == "__main__":
    sys.exit(serve({"get": get}))
