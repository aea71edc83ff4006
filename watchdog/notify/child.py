"""The short-lived process that hands one message over: `python -m watchdog.notify.child`.

What to do comes as JSON on standard input, so that no address ever stands in a process list; the outcome goes to
standard output. It is a process of its own because the sending library keeps memory and threads for ever, and because a
process can be killed when a target hangs, which a thread cannot.
"""

import json
import logging
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

from watchdog.core.redaction import HIDDEN, fit_to_leave

_REASON_LENGTH = 300
_UNKNOWN = "not an address that apprise knows"
_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]{1,20}://)\S+", re.IGNORECASE)
_PARTS = re.compile(r"[/:@?&=#,]+")
_SHORTEST_SECRET = 6


def send(order: Mapping[str, Any]) -> dict[str, Any]:
    """Hand over one message through apprise."""
    import apprise

    reasons, address = _listen(), order["address"]
    # a redirect that is followed would count as a success
    asset = apprise.AppriseAsset(http_redirects=False)
    server = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    if server is None:
        return {"ok": False, "error": _reason(reasons, address) or _UNKNOWN, "never": True}
    if "overflow=" not in address:  # what is too long for a service, it would refuse for ever
        server.overflow_mode = apprise.OverflowMode.TRUNCATE
    form = _form(server.notify_format)
    done = server.notify(
        body=order["message"][form],
        title=order["message"]["title"],
        notify_type=apprise.NotifyType(order["message"]["type"]),
        body_format=apprise.NotifyFormat(form),
    )
    return {"ok": bool(done), "error": "" if done else _reason(reasons, address) or "the target did not take it"}


def _form(formats: Any) -> str:
    """The form that a service likes best. HTML only where mail is meant: chats take a few of its tags at most."""
    names = [form.value for form in (formats if isinstance(formats, tuple | list) else (formats,))]
    if names[0] == "html":
        return "html" if "text" in names else "text"
    return "markdown" if names[0] == "markdown" else "text"


def check(order: Mapping[str, Any]) -> dict[str, Any]:
    """Whether an address is one that apprise knows; nothing is sent."""
    import apprise

    reasons = _listen()
    server = apprise.Apprise.instantiate(order["address"], suppress_exceptions=True)
    return {
        "ok": server is not None,
        "error": "" if server else _reason(reasons, order["address"]) or _UNKNOWN,
    }


def post(order: Mapping[str, Any]) -> dict[str, Any]:
    """Post JSON; anything but a 2xx answer is an error, a redirect too."""
    import urllib3

    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10))
    body = json.dumps(order["body"]).encode()
    answer = pool.request("POST", order["url"], body=body, headers={"Content-Type": "application/json"}, redirect=False)
    if 200 <= answer.status < 300:
        return {"ok": True, "error": "", "status": answer.status}
    error = f"{urlsplit(order['url']).netloc} answered {answer.status}: {_text(answer.data)}"
    return {"ok": False, "error": error, "status": answer.status}


def phantom(order: Mapping[str, Any]) -> dict[str, Any]:
    """One call of Phantom's API; logs in first if there is no cookie, and once more if the cookie is gone."""
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
        raise ValueError(f"the login was answered with {answer.status}: is the token right?")
    return cookie


def _call(pool: Any, url: str, body: Mapping[str, Any], cookie: str) -> Any:
    headers = {"Content-Type": "application/json"} | ({"Cookie": cookie} if cookie else {})
    return pool.request("POST", url, body=json.dumps(body).encode(), headers=headers, redirect=False)


def _json(data: bytes) -> object:
    try:
        return json.loads(data[:200_000])
    except ValueError:
        return {"error": f"no JSON: {_text(data)}"}


def get(order: Mapping[str, Any]) -> dict[str, Any]:
    """Ask an address; whether it answers with 2xx."""
    import urllib3

    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10))
    answer = pool.request(order.get("method", "GET"), order["url"], redirect=False)
    is_well = 200 <= answer.status < 300
    return {"ok": is_well, "error": "" if is_well else f"{urlsplit(order['url']).netloc} answered {answer.status}"}


_ORDERS = {"send": send, "check": check, "post": post, "phantom": phantom, "get": get}


class _Reasons(logging.Handler):
    """Keeps what the library says of a failure; it says the reason nowhere else."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self.lines.append(record.getMessage())


def _listen() -> _Reasons:
    reasons = _Reasons()
    logger = logging.getLogger("apprise")
    logger.handlers[:] = [reasons]
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    return reasons


def _reason(reasons: _Reasons, address: str) -> str:
    return fit_to_leave(_without(address, "; ".join(reasons.lines)), _REASON_LENGTH)


def _without(address: str, text: str) -> str:
    """The text with no part of the address in it but a host's name: any other part may be its secret."""
    text = _ADDRESS.sub(rf"\1{HIDDEN}", text)
    host = urlsplit(address.replace("#", "/")).hostname or ""
    for part in sorted(set(_PARTS.split(unquote(address.partition("://")[2]))), key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET and not (part.lower() == host and "." in host):
            text = re.sub(re.escape(part), HIDDEN, text, flags=re.IGNORECASE)
    return text


def _text(data: bytes) -> str:
    return fit_to_leave(data[:1000].decode("utf-8", "replace"), _REASON_LENGTH)


def main(arguments: Sequence[str] = ()) -> int:
    """Do what standard input says."""
    order = json.load(sys.stdin)
    signal.alarm(int(order.get("limit", 120)))
    try:
        outcome = _ORDERS[order["do"]](order)
    except Exception as error:
        outcome = {"ok": False, "error": fit_to_leave(f"{type(error).__name__}: {error}", _REASON_LENGTH)}
    sys.stdout.write(json.dumps(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
