"""Counters that never fall, made of numbers that may: a restored backup sets what a scheduler has counted back."""

from dataclasses import dataclass, field, fields
from datetime import datetime

from watchdog.core.model import Totals

Number = int | float | None

MOST_GONE = 10_000
"""Jobs that are not there any more, and of which it is still known how far they had been counted."""


@dataclass(slots=True)
class _Rising:
    """What has been shown of one number, and how the number stood then."""

    shown: Number = None
    raw: Number = None

    def take(self, raw: Number) -> Number:
        """Add what it has grown by since; from a lower one on it is counted anew."""
        if raw is None:
            return self.shown
        if self.shown is None or self.raw is None:
            self.shown = raw
        elif raw > self.raw:
            # as it stands, unless it ever fell: sums of small differences are not as exact
            self.shown = raw if self.shown == self.raw else self.shown + (raw - self.raw)
        self.raw = raw
        return self.shown


@dataclass(slots=True)
class _Counted:
    """One job."""

    totals: dict[str, _Rising] = field(default_factory=lambda: {each.name: _Rising() for each in fields(Totals)})
    seen: Totals | None = None
    shown: Totals = field(default_factory=Totals)
    due: datetime | None = None
    missed_since_due: int = 0
    missed: int = 0


class Counts:
    """What has been counted of each job, by its source and id, for as long as the process lives."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Counted] = {}

    def totals(self, key: tuple[str, str], raw: Totals) -> Totals:
        """The totals to show, where the scheduler's own are these."""
        job = self._of(key)
        if job.seen != raw:
            job.seen = raw
            job.shown = Totals(**{name: rising.take(getattr(raw, name)) for name, rising in job.totals.items()})  # type: ignore[arg-type]
        return job.shown

    def missed(self, key: tuple[str, str], due: datetime | None, fires: int) -> int:
        """All fires that a job has missed, where so many have gone by since the one that was due."""
        job = self._of(key)
        before = job.missed_since_due if job.due == due else 0
        job.missed += max(0, fires - before)
        job.due, job.missed_since_due = due, max(before, fires)
        return job.missed

    def _of(self, key: tuple[str, str]) -> _Counted:
        job = self._known.get(key)
        if job is None:
            job = self._known[key] = _Counted()
        return job

    def forget(self, there: set[tuple[str, str]]) -> None:
        """Drop the oldest of those that are not there, where they have become too many."""
        if len(self._known) > len(there) + MOST_GONE:
            gone = [key for key in self._known if key not in there]
            for key in gone[: len(gone) - MOST_GONE // 2]:
                del self._known[key]
