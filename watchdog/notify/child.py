"""The short-lived process that hands one message over: `python -m watchdog.notify.child`.

It is a process of its own because the sending library keeps memory and threads for ever, and because a process can be
killed when a target hangs, which a thread cannot.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from watchdog.core.child import REASON_LENGTH, serve, text_of
from watchdog.core.redaction import HIDDEN, fit_to_leave

_UNKNOWN = "not an address that apprise knows"
_ADDRESS = re.compile(r"\b([a-z][a-z0-9+.-]{1,20}://)\S+", re.IGNORECASE)
_PARTS = re.compile(r"[/:@?&=#,]+")
_SHORTEST_SECRET = 6

_OURS: Mapping[str, Any] = {
    "app_id": "Scheduler watchdog",
    "app_desc": "Scheduler watchdog",
    "app_url": "",
    "image_url_mask": "",
    "image_url_logo": "",
}
"""Whose messages they are: not the sending library's, and with no picture that is loaded from its pages."""

MODULE = "watchdog.notify.child"
"""What the process is started by."""


def send(order: Mapping[str, Any]) -> dict[str, Any]:
    """Hand over one message through apprise."""
    import apprise

    reasons, address = _listen(), order["address"]
    # a redirect that is followed would count as a success
    asset = apprise.AppriseAsset(http_redirects=False, **_OURS)
    server = apprise.Apprise.instantiate(address, asset=asset, suppress_exceptions=True)
    if server is None:
        return {"ok": False, "error": _reason(reasons, address) or _UNKNOWN, "never": True}
    if "overflow=" not in address:  # what is too long for a service, it would refuse for ever
        server.overflow_mode = apprise.OverflowMode.TRUNCATE
    # who answers late has taken it, and is not sent it again; for mail the one limit holds for every answer
    if "timeout" in order and "rto=" not in address:
        server.socket_read_timeout = float(order["timeout"])
    if "timeout" in order and "cto=" not in address:
        server.socket_connect_timeout = float(order["timeout"])
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


EXAMPLES = "ntfys://topic, mailtos://user:password@example.com or tgram://token/chat"


def check(order: Mapping[str, Any]) -> dict[str, Any]:
    """Whether an address is one that apprise knows; nothing is sent."""
    import apprise

    reasons = _listen()
    server = apprise.Apprise.instantiate(order["address"], suppress_exceptions=True)
    return {
        "ok": server is not None,
        "error": "" if server else _unknown_scheme(order["address"]) or _reason(reasons, order["address"]) or _UNKNOWN,
    }


def _unknown_scheme(address: str) -> str:
    """What the beginning of an address was probably meant to be; empty where it is known, or like nothing."""
    from difflib import get_close_matches

    import apprise

    if "://" not in address:
        return f"it is no address; write one like {EXAMPLES}"
    scheme = address.partition("://")[0].lower()
    known = [str(one) for one in apprise.plugins.N_MGR.schemas()]  # type: ignore[no-untyped-call]
    near = [] if scheme in known else get_close_matches(scheme, known, 1)
    return f"no service is called {scheme}://; is {near[0]}:// meant?" if near else ""


def post(order: Mapping[str, Any]) -> dict[str, Any]:
    """Post JSON; anything but a 2xx answer is an error, a redirect too. What is said of one names host and port alone:
    who may post may stand in the rest of the address."""
    import urllib3

    address = urllib3.util.parse_url(order["url"])
    place = f"{address.host}:{address.port}" if address.port else address.host
    headers = {"Content-Type": "application/json"}
    if address.auth:
        headers |= urllib3.util.make_headers(basic_auth=unquote(address.auth))
    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10))
    body = json.dumps(order["body"]).encode()
    url = address._replace(auth=None).url
    try:
        answer = pool.request("POST", url, body=body, headers=headers, redirect=False, preload_content=False)
    except urllib3.exceptions.HTTPError as error:
        why = getattr(error.__cause__, "strerror", None) or type(error).__name__
        return {"ok": False, "error": f"{place} cannot be reached: {why}"}
    if 200 <= answer.status < 300:
        return {"ok": True, "error": "", "status": answer.status}
    said = _without(order["url"], text_of(answer.read(1000)))
    return {"ok": False, "error": f"{place} answered {answer.status}: {said}", "status": answer.status}


_ORDERS = {"send": send, "check": check, "post": post}


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
    return fit_to_leave(_without(address, "; ".join(reasons.lines)), REASON_LENGTH)


def _without(address: str, text: str) -> str:
    """The text with no part of the address in it but a host's name: any other part may be its secret."""
    text = _ADDRESS.sub(rf"\1{HIDDEN}", text)
    host = urlsplit(address.replace("#", "/")).hostname or ""
    for part in sorted(set(_PARTS.split(unquote(address.partition("://")[2]))), key=len, reverse=True):
        if len(part) >= _SHORTEST_SECRET and not (part.lower() == host and "." in host):
            text = re.sub(re.escape(part), HIDDEN, text, flags=re.IGNORECASE)
    return text


if __name__ == "__main__":
    sys.exit(serve(_ORDERS))
