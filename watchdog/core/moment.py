"""The instant that is judged from, which notes on the way when the judgement could next change."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.core.model import Job


@dataclass(frozen=True, slots=True)
class Gap:
    """Time that nobody lived through: the watchdog slept, or the scheduler stood frozen and has moved again.

    `is_sleep`: the machine may have slept, and then timers stood still. `is_repeated`: it is lived a second time, for
    the clock was put back from its end to its beginning.
    """

    began: datetime
    ended: datetime
    is_sleep: bool = False
    is_repeated: bool = False


class Moment:
    """`now`, handed to every rule.

    Rules ask `reached(instant)` instead of comparing. Every instant that was asked for and still lies ahead is one
    at which an answer changes, so the earliest of them is when the loop must look again even if nothing is written
    meanwhile. No rule has to say its deadline twice. `put_back`: by how much the clock was, so that plans made before
    lie that much too far ahead. `doubtful`: the jobs of which something may be found, where that is known already.
    """

    __slots__ = ("_doubtful", "_gaps", "_turn", "at", "next_change", "put_back")

    def __init__(
        self,
        at: datetime,
        gaps: Sequence[Gap] = (),
        turn: timedelta = timedelta(),
        doubtful: Sequence[Job] | None = None,
    ) -> None:
        self.at = at
        self._doubtful = doubtful
        self.put_back = sum((gap.ended - gap.began for gap in gaps if gap.is_repeated), timedelta())
        self._gaps = [gap for gap in gaps if not gap.is_repeated]
        self._turn = turn
        self.next_change: datetime | None = None

    def doubtful(self, jobs: Sequence[Job]) -> Sequence[Job]:
        """Those of a look's jobs that are to be judged; of the others nothing can be found now."""
        return jobs if self._doubtful is None else self._doubtful

    def lived_through(self, start: datetime, length: timedelta) -> datetime:
        """When so much time has been lived through since `start`: a run on a machine that sleeps does not get on."""
        limit = start + length
        for gap in self._gaps:
            if gap.ended > start and gap.began < limit:
                limit += gap.ended - max(gap.began, start)
        return limit

    def lived(self, deadline: datetime) -> datetime:
        """The deadline, put off where it fell into a gap or into the turn after one, in which the late are served.

        What was late before a gap stays so. Gaps that follow within the turn only prolong it by their own length, so
        that a machine which naps all day is late in the end.
        """
        limit = deadline
        for gap in self._gaps:
            if limit is deadline and gap.began <= limit < gap.ended + self._turn:
                limit = gap.ended + self._turn
            elif limit is not deadline and gap.began < limit:
                limit += gap.ended - gap.began
        return limit

    def reached(self, instant: datetime) -> bool:
        """Whether `instant` is now or past."""
        if self.at >= instant:
            return True
        if self.next_change is None or instant < self.next_change:
            self.next_change = instant
        return False
