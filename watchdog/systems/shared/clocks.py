"""How far this machine's clock stands from the one that a scheduler dates its rows by, as where its store lies on a
volume of another machine.

What is newly dated was written between the look before and this one. So each such look bounds the difference; where a
few agree that the clocks stand apart, a scheduler is judged by its own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.core.changed import changed_keys
from watchdog.core.logs import log
from watchdog.systems.shared.host import Memory

TOLERATED = timedelta(seconds=30)
"""Clocks that stand no further apart are taken for one."""

LARGEST = timedelta(days=1)
"""A clock that is wrong by more is not one that stands apart: it is set right sooner or later."""

WIDEST = timedelta(minutes=1)
"""Looks that lie further apart bound too little."""

ENOUGH = 3
"""So many looks must agree."""

LASTING = timedelta(hours=1)
"""For so long they must, where the clocks were together before: a clock that is set is often put right soon."""

CUT = timedelta(seconds=1)
"""Dates are whole seconds."""

_NAME, _NOW = "clocks", "now"


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives a restart."""

    ahead: timedelta


@dataclass(frozen=True, slots=True)
class Difference:
    """Within what bounds this machine's clock is ahead, by how many looks, since the first of which.

    `taken`: what is taken for it; `is_known`: whether enough looks have ever agreed.
    """

    least: timedelta = timedelta.min
    most: timedelta = timedelta.max
    looks: int = 0
    since: datetime | None = None
    taken: timedelta = timedelta()
    is_known: bool = False

    def stepped(self, by: timedelta) -> "Difference":
        """With what is sure at once: this machine's clock was seen to be set, and rows are dated as before."""
        taken = self.taken + by
        return Difference(taken=taken if abs(taken) > TOLERATED else timedelta(), is_known=True)

    def bounded(self, least: timedelta, most: timedelta, now: datetime) -> "Difference":
        """With what one more look tells."""
        if self.since is None or least > self.most or most < self.least:
            return replace(self, least=least, most=most, looks=1, since=now)
        least, most = max(self.least, least), min(self.most, most)
        found = replace(self, least=least, most=most, looks=min(self.looks + 1, ENOUGH))
        if found.looks < ENOUGH or (self.is_known and now - self.since < LASTING):
            return found
        is_so = least <= self.taken <= most
        return replace(found, taken=self.taken if is_so else _nearest(least, most), is_known=True)


class Clocks:
    """Carried from look to look, and from process to process."""

    def __init__(self, memory: Memory, source: str, stepped: Callable[[], timedelta] = timedelta) -> None:
        self._memory = memory
        self._stepped = stepped
        self._minded = timedelta()
        self._source = source
        kept = memory.recall(_NAME, Kept).get(_NOW)
        self._difference = Difference(taken=kept.ahead, is_known=True) if kept else Difference()
        self._looked_at: datetime | None = None
        self._newest: Mapping[str, datetime] = {}

    @property
    def ahead(self) -> timedelta:
        """By how much this machine's clock is ahead of the scheduler's; negative where it is behind."""
        return self._difference.taken

    def looked(self, now: datetime) -> None:
        """All was read, or nothing new was there to read. `now`: by this machine's clock."""
        self._looked_at = now

    def see(self, newest: Mapping[str, datetime], now: datetime) -> None:
        """The newest date under each of several names, each written at its own instant by the scheduler's clock."""
        before, self._newest = self._newest, newest
        width = now - self._looked_at if self._looked_at else None
        self._looked_at = now
        changed = changed_keys(before, newest) if before else set()
        new = [at for name in changed if (at := newest.get(name)) and _is_later(at, before.get(name))]
        if new and width is not None and timedelta() <= width <= WIDEST:
            self._bound(now - max(new) - width - CUT, now - max(new), now)

    def _bound(self, least: timedelta, most: timedelta, now: datetime) -> None:
        was, step = self._difference, self._stepped() - self._minded
        is_ours = bool(step) and least <= was.taken + step <= most
        self._difference = was.stepped(step) if is_ours else was.bounded(least, most, now)
        self._minded += step if is_ours else timedelta()
        if self._difference.is_known and not was.is_known:
            self._memory.keep(_NAME, {_NOW: Kept(self._difference.taken)})
        if self._difference.taken != was.taken:
            self._tell(self._difference)

    def _tell(self, found: Difference) -> None:
        self._memory.keep(_NAME, {_NOW: Kept(found.taken)})
        seconds = round(found.taken.total_seconds())
        way = "ahead of" if seconds > 0 else "behind"
        words = f"this machine's clock stands {abs(seconds)} s {way} the one by which {self._source} dates its rows"
        log.warning(
            f"{words}: it is judged by its own" if seconds else f"this machine's clock is that of {self._source} again",
            extra={"action": "clocks", "source": self._source},
        )


def _is_later(at: datetime, known: datetime | None) -> bool:
    return known is None or at > known


def _nearest(least: timedelta, most: timedelta) -> timedelta:
    """The smallest difference within the bounds; none where it is tolerable."""
    nearest = least if least > timedelta() else most if most < timedelta() else timedelta()
    return nearest if TOLERATED < abs(nearest) <= LARGEST else timedelta()
