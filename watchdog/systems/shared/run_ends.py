"""What is remembered of one job's run ends."""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime

from watchdog.core.model import RunEnd, ZeroStreak

REMEMBERED_ENDS = 12
"""Run ends that are kept for each job, newest last: as many as a breaker counts, and some."""

REMEMBERED_ZEROS = 32
"""Instants of a streak's first run ends that are kept; a threshold beyond this is dated by the newest."""


@dataclass(slots=True)
class Account:
    """One job's run ends: the newest, and how many of those had no tokens. `version` changes with each."""

    recent: deque[RunEnd] = field(default_factory=lambda: deque(maxlen=REMEMBERED_ENDS))
    zeros: int = 0
    first_zeros: list[datetime] = field(default_factory=list)
    version: int = 0

    def add(self, end: RunEnd) -> None:
        """One more."""
        self.recent.append(end)
        self.version += 1
        if not end.is_zero:
            self.zeros = 0
            self.first_zeros = []
            return
        self.zeros += 1
        if len(self.first_zeros) < REMEMBERED_ZEROS:
            self.first_zeros.append(end.at)

    def streak(self) -> ZeroStreak:
        """The newest ones that had no tokens."""
        return ZeroStreak(self.zeros, tuple(self.first_zeros), self.recent[-1].at if self.zeros else None)
