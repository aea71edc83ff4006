"""Whose turn it was, where one pass takes the due jobs in the order of their due times.

There the start of a job that was due later proves that one which was due earlier, and stood there all the while, was
left out.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from watchdog.core.model import Start

WHOLE_SECOND = timedelta(seconds=1)
"""A start's stamp may be cut to the second, so a start may seem to lie before the fire that it was for."""


def turn_of(job_id: str, name: str, started_at: datetime, due: datetime | None) -> Start | None:
    """A start for a fire; None for a run before its time, which somebody asked for: it proves nothing."""
    if due is None or due > started_at + WHOLE_SECOND:
        return None
    return Start(job_id, name, started_at, due)


def with_turn(turns: Iterable[Start], start: Start) -> tuple[Start, ...]:
    """The turns, oldest first, and one more: without those that were due before it, as it proves all that they do."""
    return (*(turn for turn in turns if turn.due > start.due), start)


def passed_over_by(job_id: str, stood_since: datetime, turns: Iterable[Start]) -> Start | None:
    """The newest turn that a job, due and unchanged since `stood_since`, should have had before its owner."""
    proofs = (turn for turn in turns if turn.job_id != job_id and turn.due > stood_since)
    return max(proofs, key=lambda turn: turn.at, default=None)
