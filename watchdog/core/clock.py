"""The clock that the service goes by: the wall's, or a faster one on which a demo's hours pass in seconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Protocol

SHORTEST_WAIT = timedelta(milliseconds=20)
"""So that a deadline which is asked for again and again cannot make the loop spin."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """An instant that a jump of the clock cannot fool: the wall's, and the machine's seconds since boot `boot`.

    `slept`: how many of those seconds it has slept through, as far as it tells.
    """

    at: datetime
    uptime: float = 0.0
    boot: str = ""
    slept: float = 0.0

    def elapsed(self, now: "Stamp") -> timedelta:
        """How long ago that was, never below zero: by the uptime within one boot, else by the wall's clock."""
        if self.boot != now.boot or not self.boot:
            return max(timedelta(), now.at - self.at)
        return timedelta(seconds=max(0.0, now.uptime - self.uptime))


class Clock(Protocol):
    """What the loop asks; nothing below the loop does."""

    def now(self) -> datetime:
        """The present instant, UTC."""

    def real(self, length: timedelta) -> timedelta:
        """How long the machine waits for `length` on this clock to pass."""

    def stamp(self) -> Stamp:
        """The present instant, with what a jump of the clock cannot change."""


SINCE_BOOT: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""macOS has no such clock, and its monotonic one goes on during sleep."""


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
        uptime = time.clock_gettime(SINCE_BOOT)
        return Stamp(self.now(), uptime, _boot(), uptime - time.monotonic())


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
