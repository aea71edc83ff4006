"""The instant that is judged from, which notes on the way when the judgement could next change."""

from datetime import datetime


class Moment:
    """`now`, handed to every rule.

    Rules ask `reached(instant)` instead of comparing. Every instant that was asked for and still lies ahead is one
    at which an answer changes, so the earliest of them is when the loop must look again even if nothing is written
    meanwhile. No rule has to say its deadline twice.
    """

    __slots__ = ("at", "next_change")

    def __init__(self, at: datetime) -> None:
        self.at = at
        self.next_change: datetime | None = None

    def reached(self, instant: datetime) -> bool:
        """Whether `instant` is now or past."""
        if self.at >= instant:
            return True
        if self.next_change is None or instant < self.next_change:
            self.next_change = instant
        return False
