"""The clock that the service goes by: the wall's, or a faster one on which a demo's hours pass in seconds."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Protocol

from watchdog.core.action import Stamp

SHORTEST_WAIT = timedelta(milliseconds=20)
"""So that a deadline which is asked for again and again cannot make the loop spin."""


class Clock(Protocol):
    """What the loop asks; nothing below the loop does."""

    def now(self) -> datetime:
        """The present instant, UTC."""

    def real(self, length: timedelta) -> timedelta:
        """How long the machine waits for `length` on this clock to pass."""

    def stamp(self) -> Stamp:
        """The present instant, with what a jump of the clock cannot change."""


class WallClock:
    """The machine's own."""

    def now(self) -> datetime:
        """The present instant."""
        return datetime.now(UTC)

    def real(self, length: timedelta) -> timedelta:
        """The same."""
        return length

    def stamp(self) -> Stamp:
        """With the seconds since this boot, sleep included."""
        return Stamp(self.now(), time.clock_gettime(time.CLOCK_BOOTTIME), _boot())


class FollowedClock:
    """A clock that somebody else drives, `speed` times as fast as the machine's."""

    def __init__(self, now: Callable[[], datetime], speed: float) -> None:
        self._now = now
        self._speed = speed

    def now(self) -> datetime:
        """What the driver says."""
        return self._now()

    def real(self, length: timedelta) -> timedelta:
        """Shorter by the speed."""
        return length / self._speed

    def stamp(self) -> Stamp:
        """Only what the driver says."""
        return Stamp(self.now())


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
