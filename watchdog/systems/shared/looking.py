"""Looking at sources so that nothing that one of them does holds up the others, or ends the service.

What an agent writes may hang whoever reads it: a dead network mount, a pipe in the place of a file, a read without end.
Each is therefore looked at beside the loop, in a thread that no other waits for. A look that takes its time leaves the
others on time, is waited for beside them, and after its limit it is what is told of the source.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from watchdog.core.durations import say_duration
from watchdog.core.logs import log
from watchdog.core.model import Snapshot
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.base import Look, Source
from watchdog.systems.shared.crew import LATE, Crew

PATIENCE = 0.25
"""Seconds that a turn gives to a look: mostly it takes a few milliseconds."""

FIRST_PATIENCE = 1.0
"""Seconds that it gives to a source's first look, which reads more."""

STILL_LOOKING = "the first look at it is still going on"


class Looker(Protocol):
    """Looks at one source, again and again."""

    @property
    def source(self) -> Source:
        """What is looked at."""

    def begin(self, now: datetime) -> None:
        """Begin to look, unless a look is still under way."""

    def answer(self, now: datetime) -> Look | None:
        """What it gave; None while it is under way and within its limit. No exception comes out of this."""

    @property
    def is_under_way(self) -> bool:
        """Whether a look was begun of which nobody has taken what it gave."""

    @property
    def has_come_back(self) -> bool:
        """Whether a look that was late has come back, and nobody has taken what it gave."""

    @property
    def is_stuck(self) -> bool:
        """Whether a look is under way that has not come back within its limit."""

    def end(self) -> None:
        """Look no more."""


class InTurn:
    """Looks at once, and waits for it: for a single look, and where time is made up."""

    def __init__(self, source: Source, limit: timedelta = timedelta()) -> None:
        self.source = source
        self._told = _Told(source)

    def begin(self, now: datetime) -> None:
        """Nothing yet."""

    def answer(self, now: datetime) -> Look | None:
        """Look now."""
        return self._told.given(_safe_look(self.source, now), now)

    @property
    def is_under_way(self) -> bool:
        """It is over before anybody can ask."""
        return False

    @property
    def has_come_back(self) -> bool:
        """It is never late."""
        return False

    @property
    def is_stuck(self) -> bool:
        """It comes back before anybody can ask."""
        return False

    def end(self) -> None:
        """Nothing goes on."""


class OnItsOwn:
    """Looks beside whoever asks. `limit`: how long a look may take before the source counts as not to be read.

    A source that was slow is not waited for until it is quick again; `ring` is called when a late look has come back.
    `crew`: whose threads look, which many sources share.
    """

    def __init__(
        self,
        source: Source,
        limit: timedelta,
        ring: Callable[[], None] = lambda: None,
        crew: Crew | None = None,
        patience: float = PATIENCE,
        first_patience: float = FIRST_PATIENCE,
    ) -> None:
        self.source = source
        self._limit = limit.total_seconds()
        self._ring = ring
        self._crew = crew or Crew()
        self._patience, self._next_patience = patience, first_patience
        self._given: Look | str | None = None
        self._took = 0.0
        self._under_way = threading.Lock()
        self._is_awaited = False
        self._ordered: float | None = None
        self._began: float | None = None
        self._has_ended = False
        self._told = _Told(source)

    def begin(self, now: datetime) -> None:
        """Have it looked at as soon as a thread is free, unless that is under way."""
        if self._ordered is not None:
            return
        self._under_way.acquire(blocking=False)
        self._is_awaited = False
        self._began, self._ordered = None, time.monotonic()
        self._crew.order(partial(self._look, now), is_slow=self._took > LATE)

    def answer(self, now: datetime) -> Look | None:
        """What is there after a moment's patience."""
        ordered = self._ordered
        if ordered is None:
            return None
        if not self._is_over(max(0.0, ordered + self._next_patience - time.monotonic())):
            self._next_patience = 0.0
            self._is_awaited = True
            # it may have come back just now, and then it did not know that it should ring
            if self._under_way.locked():
                return self._late(now) if self.is_stuck else None
        given, self._given, self._ordered = self._given, None, None
        self._next_patience = self._patience if self._took <= self._patience else 0.0
        return self._told.given(given or "it looked and gave no answer", now)

    @property
    def is_under_way(self) -> bool:
        """As the contract says."""
        return self._ordered is not None

    @property
    def has_come_back(self) -> bool:
        """As the contract says."""
        return self._ordered is not None and self._is_awaited and not self._under_way.locked()

    @property
    def is_stuck(self) -> bool:
        """As the contract says. The time counts from the look's beginning: until then others are looked at."""
        began = self._began
        return self._ordered is not None and began is not None and time.monotonic() - began >= self._limit

    def _is_over(self, seconds: float) -> bool:
        """Wait so long for the look that was ordered; whether it has come back."""
        is_over = self._under_way.acquire(timeout=seconds)
        if is_over:
            self._under_way.release()
        else:
            self._crew.see_to_it()
        return is_over

    def _late(self, now: datetime) -> Look:
        reason = (
            f"looking at it has not come back for {say_duration(timedelta(seconds=self._limit))}: what it is read from "
            "does not answer (a network mount?) or is more than can be read; it counts again as soon as it comes back"
        )
        return self._told.given(reason, now)

    def _look(self, now: datetime) -> None:
        if self._has_ended:
            return
        self._began = began = time.monotonic()
        waited = began - (self._ordered or began)
        # what has waited behind others sees what was written since: that is not dated ahead
        now += timedelta(seconds=waited if waited > PATIENCE else 0)
        self._given = _safe_look(self.source, now)
        self._took = time.monotonic() - began
        self._under_way.release()
        if self._is_awaited:
            self._ring()

    def end(self) -> None:
        """A look that hangs goes on hanging, and nobody asks for it any more."""
        self._has_ended = True


class WaitedFor(OnItsOwn):
    """For a single look that is waited for, until its limit."""

    def answer(self, now: datetime) -> Look | None:
        """What it gave in the end."""
        while not self._is_over(PATIENCE) and not self.is_stuck:
            pass
        return super().answer(now)


class _Told:
    """What was last said of a source, so that only what differs from it is new."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._snapshot: Snapshot | None = None

    def given(self, look: Look | str, now: datetime) -> Look:
        """The look; one that says why there is none becomes the source's problem, since when it is so."""
        look = self._problem(look, now) if isinstance(look, str) else look
        is_new = look.is_new or look.snapshot is not self._snapshot
        self._snapshot = look.snapshot
        return look if is_new == look.is_new else replace(look, is_new=is_new)

    def _problem(self, reason: str, now: datetime) -> Look:
        before = self._snapshot
        if before is not None and before.problem == reason:
            return Look(before, is_new=False)
        since = before.problem_since if before and before.problem else now
        return Look(Snapshot(self._source.name, self._source.kind, problem=reason, problem_since=since), is_new=True)


def _safe_look(source: Source, now: datetime) -> Look | str:
    """The look, or why it came to nothing: whatever a stranger's store holds, the others must be looked at."""
    try:
        return source.look(now)
    except Exception as error:
        log.debug("a look broke off", exc_info=error, extra={"action": "look", "source": source.name})
        return f"reading it broke off: {type(error).__name__}: {fit_to_leave(str(error), 200)}".removesuffix(": ")
