"""The clock that the service goes by: the wall's, or a faster one on which a demo's hours pass in seconds."""

import ctypes
import sys
import time
from collections.abc import Callable
from contextlib import suppress
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


def _since_boot(platform: str = sys.platform) -> int:
    """On macOS the raw monotonic clock goes on during sleep, on Linux it does not. Elsewhere sleep may not count."""
    name = "CLOCK_MONOTONIC_RAW" if platform == "darwin" else "CLOCK_BOOTTIME"
    return int(getattr(time, name, time.CLOCK_MONOTONIC))


SINCE_BOOT: int = _since_boot()
"""The clock of the seconds since the machine booted, those that it slept through included where that can be told."""


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
        uptime, awake = time.clock_gettime(SINCE_BOOT), time.monotonic()
        return Stamp(self.now(), uptime, _boot(), max(0.0, uptime - awake))


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
    """What no other boot of this machine is called; "" where nothing tells it."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return _session_of_boot() if sys.platform == "darwin" else ""


def _session_of_boot() -> str:
    """By macOS' kernel, which is asked as `sysctl kern.bootsessionuuid` asks it."""
    text = ctypes.create_string_buffer(64)
    length = ctypes.c_size_t(len(text) - 1)
    with suppress(OSError, AttributeError):
        ask = ctypes.CDLL(None).sysctlbyname
        if ask(b"kern.bootsessionuuid", text, ctypes.byref(length), None, ctypes.c_size_t(0)) == 0:
            return text.value.decode("ascii", "replace")
    return ""
