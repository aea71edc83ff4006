"""Counters that never fall, made of numbers that may: a restored backup sets what a scheduler has counted back."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime

from watchdog.core.model import Totals

Number = int | float | None

MOST_GONE = 10_000
"""Jobs that are not there any more, and of which it is still known how far they had been counted."""

_NONE = Totals()
_NAMES = tuple(each.name for each in fields(Totals))


@dataclass(slots=True)
class _Counted:
    """One job. `raw`: its totals as they were last known; `shown`: what has been shown of them, which is the same one
    until a total has fallen."""

    raw: Totals = _NONE
    shown: Totals = _NONE
    due: datetime | None = None
    missed_since_due: int = 0
    missed: int = 0

    def take(self, raw: Totals) -> Totals:
        """Add what each total has grown by since; from a lower one on it is counted anew."""
        shown, known = _each(_risen, self.shown, self.raw, raw), _each(_known, self.raw, raw)
        self.raw = raw if known == raw else known
        self.shown = self.raw if shown == self.raw else shown
        return self.shown


def _each(made: Callable[..., Number], *totals: Totals) -> Totals:
    return Totals(*(made(*(getattr(each, name) for each in totals)) for name in _NAMES))  # type: ignore[arg-type]


def _known(before: Number, raw: Number) -> Number:
    return before if raw is None else raw


def _risen(shown: Number, before: Number, raw: Number) -> Number:
    if raw is None:
        return shown
    if shown is None or before is None:
        return raw
    if raw <= before:
        return shown
    # as it stands, unless it ever fell: sums of small differences are not as exact
    return raw if shown == before else shown + (raw - before)


class Counts:
    """What has been counted of each job, by its source and id, for as long as the process lives."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], _Counted] = {}

    def totals(self, key: tuple[str, str], raw: Totals) -> Totals:
        """The totals to show, where the scheduler's own are these."""
        return self._of(key).take(raw)

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
