"""Who watches the watchdog: an address outside is called while all turns, and left alone, or told, when it does not.

Only the loop calls it, so that a loop which hangs is silent. What a failed call means is decided outside; here it is
a line in the log and a metric, never a message: whoever cannot call out has no other way to say so.
"""

import re
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from watchdog.config.heartbeat import Heartbeat
from watchdog.core.children import Child
from watchdog.core.clock import Stamp
from watchdog.core.logs import log
from watchdog.core.redaction import fit_to_leave
from watchdog.state.store import Store

DEADLINE = timedelta(seconds=15)
"""For one call, from finding the name to the answer."""

_GLANCE = timedelta(seconds=1)
"""How soon a call under way is looked at again, where the loop sleeps for longer."""

_UUID = re.compile(r"/[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}/?")
_CHECK = re.compile(r"(/[^/]+)*/ping/[\w-]+(/[\w-]+)?/?")
_WORDS = 200
"""Characters of why it is not well; services cut what is longer."""


@dataclass(frozen=True, slots=True)
class Places:
    """What is called when all is well, at the start, and when it is not; None where a service has no such thing."""

    well: str
    start: str | None = None
    failed: str | None = None


def places(address: str, why: str = "") -> Places:
    """How the service at this address wants to be called, as far as the address tells which it is."""
    parts = urlsplit(address)
    host, path = parts.hostname or "", parts.path.rstrip("/")
    if _is_healthchecks(host, parts.path):
        below = (urlunsplit(parts._replace(path=f"{path}/{word}")) for word in ("start", "fail"))
        return Places(address, *below)
    if "/api/push/" in parts.path:  # Uptime Kuma
        return Places(_with(address, status="up", msg="OK"), None, _with(address, status="down", msg=why or "not well"))
    if host == "cronitor.link" or host.endswith(".cronitor.link"):
        return Places(address, None, _with(address, state="fail", message=why))
    if host.endswith("betterstack.com") and "/heartbeat/" in parts.path:
        return Places(address, None, urlunsplit(parts._replace(path=f"{path}/fail")))
    return Places(address)


def _is_healthchecks(host: str, path: str) -> bool:
    """Its own host, or the paths of one that somebody runs: `/ping/UUID`, `/ping/KEY/NAME`."""
    is_known = host in ("hc-ping.com", "hchk.io") and path.strip("/") != ""
    return is_known or bool(_CHECK.fullmatch(path)) or bool(_UUID.fullmatch(path))


def _with(address: str, **said: str) -> str:
    """The address with these in its query, in the place of what stood there under the same names."""
    parts = urlsplit(address)
    kept = [(name, value) for name, value in parse_qsl(parts.query, keep_blank_values=True) if name not in said]
    return urlunsplit(parts._replace(query=urlencode([*kept, *said.items()])))


class Beats:
    """Calls the address. `turn` is called by the loop at each turn, and never waits.

    `succeeded` is told when a call that said that all is well has been taken.
    """

    def __init__(self, settings: Heartbeat | None, store: Store, succeeded: Callable[[datetime], None]) -> None:
        self._settings = settings
        self._store = store
        self._succeeded = succeeded
        self._child: Child | None = None
        self._is_well = False
        self._last: Stamp | None = None
        self._has_started = False
        self._said = ""
        self._trouble = ""

    def use(self, settings: Heartbeat | None) -> None:
        """From now on these hold; another address is called at once."""
        if settings != self._settings:
            self.end()
            self._settings, self._last, self._has_started = settings, None, False

    def turn(self, trouble: str, stamp: Stamp, *, is_ready: bool = True) -> None:
        """Call if it is time. `trouble`: why not all is well; `is_ready`: all sources have been looked at once."""
        self._pick_up(stamp.at)
        if self._settings is None or self._child is not None:
            return
        if not self._has_started:
            self._has_started = True
            self._call(trouble, stamp, is_start=True)
        elif is_ready and self._is_time(stamp):
            self._last = stamp
            trouble = trouble or self._unwritten(stamp.at)
            self._note(trouble)
            self._call(trouble, stamp)

    def wait(self, stamp: Stamp) -> timedelta | None:
        """How long the loop may sleep at the most."""
        if self._settings is None:
            return None
        if self._child is not None:
            return _GLANCE
        return max(self._settings.every - self._last.elapsed(stamp), timedelta()) if self._last else _GLANCE

    def end(self) -> None:
        """Call no more."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _is_time(self, stamp: Stamp) -> bool:
        assert self._settings is not None  # noqa: S101
        return self._last is None or self._last.elapsed(stamp) >= self._settings.every

    def _unwritten(self, now: datetime) -> str:
        """Why the state file does not take what is written; a little is written each time to know."""
        try:
            with self._store.transaction():
                self._store.remember("", "heartbeat", {"last": now}, now)
        except sqlite3.Error as error:
            return f"the state file cannot be written: {error}"
        return ""

    def _note(self, trouble: str) -> None:
        if trouble and not self._trouble:
            log.warning(f"the heartbeat stops: {trouble}", extra={"action": "heartbeat"})
        elif self._trouble and not trouble:
            log.info("the heartbeat goes on: all turns again", extra={"action": "heartbeat"})
        self._trouble = trouble

    def _call(self, trouble: str, stamp: Stamp, *, is_start: bool = False) -> None:
        assert self._settings is not None  # noqa: S101
        try:
            ways = places(self._settings.address, fit_to_leave(trouble, _WORDS))
            to = ways.start if is_start else ways.failed if trouble else ways.well
            if to is not None:
                order = {"do": "get", "url": to, "timeout": DEADLINE.total_seconds() / 2}
                self._child = Child("watchdog.core.child", order, DEADLINE)
                self._is_well = not is_start and not trouble
        except (ValueError, OSError) as error:
            self._say(str(error))

    def _pick_up(self, now: datetime) -> None:
        outcome = self._child.outcome() if self._child is not None else None
        if outcome is None:
            return
        self._child = None
        self._say("" if outcome.ok else outcome.error)
        if outcome.ok and self._is_well:
            self._succeeded(now)

    def _say(self, problem: str) -> None:
        """Log a failure once, and once that it is over."""
        if problem and problem != self._said:
            log.warning(f"the heartbeat was not taken: {problem}", extra={"action": "heartbeat_failed"})
        elif self._said and not problem:
            log.info("the heartbeat is taken again", extra={"action": "heartbeat"})
        self._said = problem
