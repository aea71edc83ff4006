"""What is remembered of one job's run ends."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from watchdog.core.model import RunEnd, Spent, ZeroStreak
from watchdog.systems.shared.packed_ends import PackedEnds

REMEMBERED_ENDS = 12
"""Run ends that are kept for each job, newest last: as many as a breaker counts, and some."""

REMEMBERED_ZEROS = 32
"""Instants of a streak's first run ends that are kept; a threshold beyond this is dated by the newest."""

ENOUGH_ENDS = 3
"""With so many run ends, one of them with tokens, nothing older changes what is told of a job."""

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

MOST_IN_AN_HOUR = 1200
"""Instants of one hour's run ends that are kept: over three times as many as a fire every ten seconds gives."""

_NO_STREAK = ZeroStreak()
_NO_ENDS = PackedEnds()


@dataclass(slots=True)
class Spending:
    """What was paid in a day, summed by the hour. What lies further back than that is dropped."""

    sums: tuple[Spent, ...] = ()

    def add(self, at: datetime, usd: float) -> None:
        """One more bill, dated at about the newest."""
        last = self.sums[-1] if self.sums else None
        if last is not None and at - last.first_at < HOUR:
            self.sums = (*self.sums[:-1], Spent(last.first_at, last.usd + usd))
            return
        self.sums = (*(each for each in self.sums if at - each.first_at < DAY), Spent(at, usd))


@dataclass(slots=True)
class Account:
    """One job's run ends: the newest, and how many of those had no tokens. `version` changes with each.

    `count`: how many have been added, as far back as they are known. `has_used`: one of them had tokens.
    `last_paid_at`: when the newest that cost something was. `lately`: when those of the hour before the newest were.
    """

    recent: PackedEnds = _NO_ENDS
    zeros: int = 0
    first_zeros: tuple[datetime, ...] = ()
    version: int = 0
    count: int = 0
    has_used: bool = False
    last_paid_at: datetime | None = None
    lately: tuple[datetime, ...] = ()
    spending: Spending = field(default_factory=Spending)

    def add(self, end: RunEnd) -> None:
        """One more."""
        self.append(end)
        self.note(end)

    def append(self, end: RunEnd) -> None:
        """One more, of which it is known that later ones will follow, a day later or more."""
        self.recent = self.recent.with_newest(end, REMEMBERED_ENDS)
        self.version += 1
        self.count += 1
        if end.cost_usd:
            self.last_paid_at = end.at
        if not end.is_zero:
            if not self.has_used:
                self.has_used = bool(end.input_tokens or end.output_tokens)
            if self.zeros:
                self.zeros, self.first_zeros = 0, ()
            return
        self.zeros += 1
        if len(self.first_zeros) < REMEMBERED_ZEROS:
            self.first_zeros = (*self.first_zeros, end.at)

    def note(self, end: RunEnd) -> None:
        """Take what it tells of the last hour and the last day only: the rest of it is known already."""
        lately = (*self.lately, end.at)
        old = next(place for place, at in enumerate(lately) if end.at - at < HOUR)
        self.lately = lately[max(old, len(lately) - MOST_IN_AN_HOUR) :]
        if end.cost_usd:
            self.spending.add(end.at, end.cost_usd)

    def join(self, older: "Account") -> None:
        """Put what was found of the time before in front of what is known."""
        self.version += 1
        if self.zeros == self.count:
            self.zeros += older.zeros
            self.first_zeros = (*older.first_zeros, *self.first_zeros)[:REMEMBERED_ZEROS]
        self.count += older.count
        self.has_used = self.has_used or older.has_used
        self.last_paid_at = self.last_paid_at or older.last_paid_at
        self.recent = PackedEnds([*older.recent, *self.recent][-REMEMBERED_ENDS:])

    @property
    def has_enough(self) -> bool:
        """Whether older run ends would change nothing that is told."""
        return self.count >= (REMEMBERED_ZEROS if self.zeros == self.count else ENOUGH_ENDS)

    def streak(self) -> ZeroStreak:
        """The newest ones that had no tokens."""
        return ZeroStreak(self.zeros, self.first_zeros, self.recent[-1].at) if self.zeros else _NO_STREAK
