"""The short-lived process that hands one message over: `python -m watchdog.notify.child`.

What to do comes as JSON on standard input, so that no address ever stands in a process list; the outcome goes to
standard output. It is a process of its own because the sending library keeps memory and threads for ever, and because a
process can be killed when a target hangs, which a thread cannot.
"""

import json
import logging
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from watchdog.redaction import fit_to_leave

_REASON_LENGTH = 300
_UNKNOWN = "not an address that apprise knows"


def send(order: Mapping[str, Any]) -> dict[str, Any]:
    """Hand over one message through apprise."""
    import apprise

    reasons = _listen()
    server = apprise.Apprise.instantiate(without_redirects(order["address"]), suppress_exceptions=True)
    if server is None:
        return {"ok": False, "error": _reason(reasons) or _UNKNOWN, "never": True}
    form = _form(server.notify_format)
    done = server.notify(
        body=order["message"][form],
        title=order["message"]["title"],
        notify_type=apprise.NotifyType(order["message"]["type"]),
        body_format=apprise.NotifyFormat(form),
    )
    return {"ok": bool(done), "error": "" if done else _reason(reasons) or "the target did not take it"}


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
        "error": "" if server else _reason(reasons) or _UNKNOWN,
    }


def post(order: Mapping[str, Any]) -> dict[str, Any]:
    """Post JSON; anything but a 2xx answer is an error, a redirect too."""
    import urllib3

    pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(10))
    body = json.dumps(order["body"]).encode()
    answer = pool.request("POST", order["url"], body=body, headers={"Content-Type": "application/json"}, redirect=False)
    if 200 <= answer.status < 300:
        return {"ok": True, "error": ""}
    return {"ok": False, "error": f"{urlsplit(order['url']).netloc} answered {answer.status}: {_text(answer.data)}"}


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


def _reason(reasons: _Reasons) -> str:
    return fit_to_leave("; ".join(reasons.lines), _REASON_LENGTH)


def _text(data: bytes) -> str:
    return fit_to_leave(data[:1000].decode("utf-8", "replace"), _REASON_LENGTH)


def without_redirects(address: str) -> str:
    """The address with apprise told to follow no redirect, which it would call a success."""
    if "redirect=" in address or not address.startswith(("http", "json", "xml", "form", "apprise")):
        return address
    return f"{address}{'&' if '?' in address else '?'}redirect=no"


def main(arguments: Sequence[str] = ()) -> int:
    """Do what standard input says."""
    order = json.load(sys.stdin)
    try:
        outcome = _ORDERS[order["do"]](order)
    except Exception as error:
        outcome = {"ok": False, "error": fit_to_leave(f"{type(error).__name__}: {error}", _REASON_LENGTH)}
    sys.stdout.write(json.dumps(outcome))
    return 0


if __name__ == "__main__":
    sys.exit(main())
