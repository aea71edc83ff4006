"""The arithmetic of the made-up history: which cost event belongs to whom, and when it was written.

Every third cost event is a scheduled run's; the others are chats. The jobs take turns, so that each has the same
period, and each cron job's runs lie in the minute that its expression names. Instants are whole milliseconds.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

JOBS = 1000
PROBES = 10
"""One-shots among the jobs that have not run; the bench sets their time to see how soon a deadline is told."""
RUNNERS = JOBS - PROBES
SHARE = 3
"""One of so many cost events is a scheduled run's."""
CHATS = 2000
ZERO_JOBS = 10
"""So many jobs' newest runs used no tokens."""
RUN_MS = 8_000
HOUR_MS = 3_600_000
ZONES = (None, "UTC", "Europe/Berlin")

_NAMESPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


def job_id(slot: int) -> str:
    """The job's id: looks random, is the same in every run."""
    return str(uuid5(_NAMESPACE, f"bench {slot}"))


def session_key(slot: int) -> str:
    """The session of a job, or of a chat where the number is beyond the jobs."""
    return f"scheduler:sched:{job_id(slot)}" if slot < JOBS else f"slack:C{slot:08d}:1712{slot:06d}.000100"


@dataclass(frozen=True, slots=True)
class History:
    """`events` cost events that began at `start_ms`; each job runs once in `period_ms`."""

    events: int
    start_ms: int
    period_ms: int

    @classmethod
    def until(cls, events: int, end_ms: int) -> "History":
        """About a year that ends at `end_ms`: three-hourly jobs for ten million events, daily ones for one million."""
        hours = max(1, round(24 * 1_250_000 / events))
        period = next(hour for hour in (24, 12, 8, 6, 4, 3, 2, 1) if hour <= hours) * HOUR_MS
        return cls(events, end_ms - events * period // (SHARE * RUNNERS), period)

    def at(self, index: int) -> int:
        """When the event of this number was written."""
        return self.start_ms + index * self.period_ms // (SHARE * RUNNERS)

    def count_at(self, now_ms: int) -> int:
        """How many events there are by then if the agent went on living."""
        return (now_ms - self.start_ms) * SHARE * RUNNERS // self.period_ms

    @property
    def zeros_from(self) -> int:
        """From this event on, the jobs that do no work do none."""
        return self.events - 5 * SHARE * RUNNERS

    def last_end(self, slot: int, count: int) -> int:
        """When the job's newest run ended, if there are `count` events."""
        lap = SHARE * RUNNERS
        return self.at((count - 1 - SHARE * slot) // lap * lap + SHARE * slot)


@dataclass(frozen=True, slots=True)
class Plan:
    """One job's schedule, and its newest run."""

    slot: int
    kind: str
    value: str
    last_end_ms: int
    next_ms: int

    @property
    def start_ms(self) -> int:
        """When its newest run started."""
        return self.last_end_ms - RUN_MS


def plans(history: History, count: int) -> Iterator[Plan]:
    """What the jobs that run look like after `count` events."""
    for slot in range(RUNNERS):
        end = history.last_end(slot, count)
        yield _every(slot, end, history.period_ms) if slot % 2 else _cron(slot, end, history.period_ms)


def _every(slot: int, end: int, period: int) -> Plan:
    return Plan(slot, "every", json.dumps({"intervalMs": period - RUN_MS}), end, end + period - RUN_MS)


def _cron(slot: int, end: int, period: int) -> Plan:
    zone = ZONES[slot // 2 % len(ZONES)]
    due = (end - RUN_MS) // 60_000 * 60_000
    local = datetime.fromtimestamp(due / 1000, UTC).astimezone(ZoneInfo(zone or "UTC"))
    hours = period // HOUR_MS
    hour = f"{local.hour}" if hours == 24 else f"{local.hour % hours}-23/{hours}"
    parts = {"expr": f"{local.minute} {hour} * * *"} | ({"tz": zone} if zone else {})
    return Plan(slot, "cron", json.dumps(parts), end, due + period)
