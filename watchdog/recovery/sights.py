"""Since when this process, awake, has seen each finding: what a policy's `after` counts from."""

from datetime import UTC, datetime, timedelta

from watchdog.core.clock import Stamp
from watchdog.core.kinds import Kind
from watchdog.core.model import Finding
from watchdog.detectors.published import Published

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

LONGEST_TIMER = timedelta(minutes=65)
"""A timer that stood still with the machine, or was armed by another clock, fires within an hour; and a pass."""

SET_BY = timedelta(minutes=1)
"""So far the clock must have been set to matter."""

Key = tuple[str, str, str | None]


class Sights:
    """First sights. A restart of the watchdog begins them anew, and so does a look that no longer finds it."""

    def __init__(self) -> None:
        self._first: dict[Key, tuple[Stamp, timedelta]] = {}
        self._version: int | None = None
        self._stamp, self._slept = Stamp(EPOCH), timedelta()
        self._began: Stamp | None = None
        self._disturbed: Stamp | None = None

    def look_anew(self) -> None:
        """What is published next comes from elsewhere, whatever its version."""
        self._version = None

    def see(self, published: Published, stamp: Stamp, slept: timedelta) -> None:
        """What a look has found. `slept`: how long in all nobody has looked; of that nothing counts."""
        self._began = self._began or stamp
        if slept > self._slept or _was_set(self._stamp, stamp):
            self._disturbed = stamp
        self._stamp, self._slept = stamp, slept
        if published.version == self._version:
            return
        self._version = published.version
        there = {finding.key for finding in published.findings}
        blind = {state.snapshot.source for state in published.sources if state.snapshot.problem}
        kept = {key: first for key, first in self._first.items() if key in there or key[0] in blind}
        self._first = dict.fromkeys(there, (stamp, slept)) | kept

    def unsettled_for(self, finding: Finding) -> timedelta:
        """How much longer a timer of the scheduler may be off, since the machine slept or its clock was set.

        What was before the first look nobody knows; it matters where a timer is all that the finding is about.
        """
        began = self._began if finding.kind is Kind.STALLED else None
        left = (LONGEST_TIMER - at.elapsed(self._stamp) for at in (began, self._disturbed) if at)
        return max((timedelta(), *left))

    def seen_for(self, finding: Finding) -> timedelta:
        """How long it has been seen; zero for what is new."""
        first, slept = self._first.get(finding.key, (self._stamp, self._slept))
        return max(timedelta(), first.elapsed(self._stamp) - (self._slept - slept))


def _was_set(before: Stamp, now: Stamp) -> bool:
    """Whether somebody has set the clock since; told only where one boot's own seconds are known."""
    if not now.boot or before.boot != now.boot:
        return False
    return abs((now.at - before.at) - before.elapsed(now)) > SET_BY
