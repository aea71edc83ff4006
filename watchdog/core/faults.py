"""Places at which a test may have the process killed, to prove that nothing is lost there. Nothing else uses them."""

import os
import signal

_VARIABLE = "WATCHDOG_FAULT"
_passed: dict[str, int] = {}


def point(name: str) -> None:
    """Die here, as `kill -9` would have it, if `WATCHDOG_FAULT` says `name:N` and this is the Nth time. With
    `name:N:SIGHUP` the process gets that signal instead."""
    wanted, count, what = (*os.environ.get(_VARIABLE, "").split(":"), "", "")[:3]
    if wanted != name:
        return
    _passed[name] = _passed.get(name, 0) + 1
    if _passed[name] == int(count or 1):
        os.kill(os.getpid(), signal.Signals[what or "SIGKILL"])
