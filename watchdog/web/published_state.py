"""The one thing that the loop and the web share: what was last published, and that the loop still turns."""

import time
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.core.incident import Incident
from watchdog.detectors.published import Published

SLOWEST_BEAT = timedelta(seconds=2)
"""Below this a loop is not called late, however short its interval is."""


@dataclass(frozen=True, slots=True)
class Posting:
    """What the loop put up after a tick."""

    published: Published
    at: datetime
    beat: float
    incidents: tuple[Incident, ...] = ()


class PublishedState:
    """Written by the loop, read by the web's thread. A posting is replaced whole, so readers need no lock."""

    def __init__(self, poll: timedelta) -> None:
        self.poll = poll
        self._posting: Posting | None = None
        self.state_problem = ""

    def post(self, published: Published, at: datetime, incidents: tuple[Incident, ...] = ()) -> None:
        """Put up what a tick gave."""
        self._posting = Posting(published, at, time.monotonic(), incidents)

    @property
    def posting(self) -> Posting | None:
        """What was put up last; None before the first tick."""
        return self._posting

    def silent_for(self) -> float | None:
        """Seconds since the last tick; None before the first."""
        return time.monotonic() - self._posting.beat if self._posting else None

    @property
    def is_turning(self) -> bool:
        """Whether the last tick is no older than three intervals."""
        silent = self.silent_for()
        return silent is not None and silent <= max(3 * self.poll, SLOWEST_BEAT).total_seconds()
