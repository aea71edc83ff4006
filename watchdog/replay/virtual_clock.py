"""The clock of a case: it moves from step to step, and its wall may be wrong while the machine's uptime goes on."""

from datetime import datetime, timedelta

from watchdog.core.clock import Stamp

_BOOTED_BEFORE = timedelta(hours=1)
"""How long the machine had been up when the case began."""


class VirtualClock:
    """`at` is the true instant; what the watchdog reads off its wall is `ahead` of it."""

    def __init__(self, begins: datetime) -> None:
        self.at = begins
        self.ahead = timedelta()
        self._booted = begins - _BOOTED_BEFORE

    def now(self) -> datetime:
        """What the wall's clock says."""
        return self.at + self.ahead

    def real(self, length: timedelta) -> timedelta:
        """The same: nobody waits."""
        return length

    def stamp(self) -> Stamp:
        """With the seconds since the boot, sleep included, which no jump of the wall's clock changes."""
        return Stamp(self.now(), (self.at - self._booted).total_seconds(), "replayed")

    def true(self, wall: datetime) -> datetime:
        """When the wall's clock will say so."""
        return wall - self.ahead
