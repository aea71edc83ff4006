"""The short-lived process that asks a health address once: `python -m watchdog.systems.shared.asking_health`."""

import json
import math
import sys
from collections.abc import Mapping
from typing import Any

from watchdog.core.child import serve

CONNECT, READ = 3.0, 5.0
"""Seconds until the connection must stand, and the longest silence that is borne. Whoever started this process cuts it
off at its own deadline, so one that drips is not waited for."""

_MOST = 65_536
"""Bytes of an answer; a scheduler's has some hundreds."""

_ANSWERS = (200, 503)
"""What a scheduler answers with: it is well, or it says itself that something is not."""

_LONGEST_UPTIME = 10 * 365 * 86_400.0

Said = dict[str, Any]


def health(order: Mapping[str, Any]) -> Said:
    """Ask once. `says` is `alive`, `mute` or `refused`; without it the answer proves nothing, and `error` says why."""
    import urllib3
    from urllib3 import exceptions

    timeout = urllib3.Timeout(connect=CONNECT, read=order.get("read", READ))
    pool = urllib3.PoolManager(retries=False, timeout=timeout)
    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    try:
        answer = pool.request("GET", order["url"], headers=headers, redirect=False, preload_content=False)
    except exceptions.ReadTimeoutError:
        return _shown("mute")
    except exceptions.NewConnectionError as error:
        is_refused = isinstance(error.__cause__, ConnectionRefusedError)
        return _shown("refused") if is_refused else _nothing(str(error))
    except exceptions.ConnectTimeoutError:
        return {**_nothing("no connection comes about"), "is_unreached": True}
    if answer.status not in _ANSWERS:
        return _nothing(f"it answers {answer.status}")
    return told_by(answer.read(_MOST + 1, decode_content=False), order["keys"])


def told_by(data: bytes, keys: list[str]) -> Said:
    """What an answer tells. Only one that has all that the scheduler's own has is taken for it."""
    if len(data) > _MOST:
        return _nothing("it answers with more than a scheduler has to say")
    try:
        answer = json.loads(data)
    except ValueError:
        return _nothing("it answers with something else than JSON")
    if not isinstance(answer, dict) or not isinstance(answer.get("status"), str):
        return _nothing("it answers with JSON that no scheduler sends")
    uptime = _seconds(answer.get("uptime"))
    if "uptime" in keys and uptime is None:
        return _nothing("it answers with JSON that no scheduler sends: there is no uptime")
    return {**_shown("alive"), "uptime": uptime}


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) and 0 <= value <= _LONGEST_UPTIME else None


def _shown(says: str) -> Said:
    return {"ok": True, "error": "", "says": says}


def _nothing(why: str) -> Said:
    return {"ok": False, "error": why}


if __name__ == "__main__":
    sys.exit(serve({"health": health}))
