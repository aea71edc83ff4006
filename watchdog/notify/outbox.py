"""One durable entry per message and target: written down before the send, settled after. The rules, without effects."""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.core.message import Entry, State


@dataclass(frozen=True, slots=True)
class Retry:
    """How a target that fails is tried again: pauses that double up to the longest, and an end."""

    first: timedelta = timedelta(seconds=15)
    longest: timedelta = timedelta(minutes=30)
    give_up_after: timedelta = timedelta(hours=24)
    deadline: timedelta = timedelta(seconds=30)


def started(entry: Entry, now: datetime) -> Entry:
    """The entry as it is written down before the attempt."""
    return replace(entry, state=State.SENDING, attempts=entry.attempts + 1, started_at=now)


def succeeded(entry: Entry, now: datetime) -> Entry:
    """The target took it."""
    return replace(entry, state=State.SENT, settled_at=now, error=None)


def failed(entry: Entry, now: datetime, error: str, retry: Retry, jitter: float) -> Entry:
    """The target did not take it: later again, or never. `jitter` from 0 to 1 spreads the retries of many.

    It is given up when it is old **and** was tried for a while: after a day off the first failure says little.
    """
    if now - entry.created_at >= retry.give_up_after and _tried_for(entry.attempts, retry) >= min(
        retry.give_up_after, LEAST
    ):
        return replace(entry, state=State.GIVEN_UP, settled_at=now, error=error)
    return replace(entry, state=State.WAITING, not_before=now + _pause(entry.attempts, retry, jitter), error=error)


LEAST = timedelta(hours=1)
"""What has been tried for less is not given up, however old it is."""


def _tried_for(attempts: int, retry: Retry) -> timedelta:
    """How long so many attempts have taken at least."""
    return sum((_pause(number, retry, 0.0) for number in range(1, min(attempts, 100))), timedelta())


def unsendable(entry: Entry, now: datetime, error: str) -> Entry:
    """No attempt can help: the channel is gone from the configuration, or its address cannot be read."""
    return replace(entry, state=State.GIVEN_UP, settled_at=now, error=error)


def interrupted(entry: Entry, now: datetime) -> Entry:
    """The watchdog died while it was being sent. Whether it arrived is not known, so it is sent once more at once."""
    crashes = entry.crashes + 1
    return replace(entry, state=State.WAITING, not_before=now, crashes=crashes, error="interrupted by a crash")


def _pause(attempts: int, retry: Retry, jitter: float) -> timedelta:
    doubled = retry.first * (1 << min(max(attempts, 1) - 1, 16))
    return min(doubled, retry.longest) * (0.75 + 0.5 * jitter)


def some_jitter() -> float:
    """A number from 0 to 1."""
    return random.random()  # noqa: S311 - spreads retries, hides nothing
