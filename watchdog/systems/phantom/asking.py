"""The short-lived process that calls Phantom's API: `python -m watchdog.systems.phantom.asking`."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from watchdog.core.child import serve, text_of


class NoLoginError(Exception):
    """The API did not take the token; one line."""


def phantom(order: Mapping[str, Any]) -> dict[str, Any]:
    """One call of Phantom's API; what keeps it from logging in is told as it stands."""
    try:
        return _asked(order)
    except NoLoginError as error:
        return {"ok": False, "error": str(error)}


def _asked(order: Mapping[str, Any]) -> dict[str, Any]:
    """Logs in first if there is no cookie, and once more if the cookie is gone."""
    import urllib3

    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10))
    cookie = order["cookie"] or _log_in(pool, order)
    answer = _call(pool, order["url"] + order["path"], order["body"], cookie)
    if answer.status == 401 and order["cookie"]:
        cookie = _log_in(pool, order)
        answer = _call(pool, order["url"] + order["path"], order["body"], cookie)
    return {"ok": True, "error": "", "status": answer.status, "body": _json(answer.data), "cookie": cookie}


def _log_in(pool: Any, order: Mapping[str, Any]) -> str:
    if not order["token"]:
        return ""
    answer = _call(pool, order["url"] + "/ui/login", {"token": order["token"]}, "")
    cookie = str(answer.headers.get("Set-Cookie", "")).partition(";")[0]
    if answer.status != 200 or not cookie:
        raise NoLoginError(f"the login was answered with {answer.status}: {_why_refused(answer.status)}")
    return cookie


def _why_refused(status: int) -> str:
    """What can be done about it: of a stock build no token lasts (docs/phantom.md, the login)."""
    if status != 401:
        return "is the token right?"
    return (
        "is the token right? Each works once, and a session ends after 7 days and with every restart: "
        "put a new token into its file, or let `via` end with sql"
    )


def _call(pool: Any, url: str, body: Mapping[str, Any], cookie: str) -> Any:
    headers = {"Content-Type": "application/json"} | ({"Cookie": cookie} if cookie else {})
    return pool.request("POST", url, body=json.dumps(body).encode(), headers=headers, redirect=False)


def _json(data: bytes) -> object:
    try:
        return json.loads(data[:200_000])
    except ValueError:
        return {"error": f"no JSON: {text_of(data)}"}


if __name__ == "__main__":
    sys.exit(serve({"phantom": phantom}))
