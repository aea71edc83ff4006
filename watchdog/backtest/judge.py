"""`diagnose`, made cheap for a replay: of a thousand jobs only those are judged again that could be judged otherwise.

What is said of a late job depends on what the others do, and nothing else does. So while no job is late each is judged
alone, when it has changed or when it asked to be; and while one is, all are judged together.
"""

import heapq
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from watchdog.backtest.scene import Scene
from watchdog.config.settings import Detect
from watchdog.core.model import Departed, Finding, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.diagnosis import diagnose, gravity
from watchdog.detectors.lateness import late_since

AT_ONCE = 50
LEISURE = timedelta(milliseconds=30)
"""Of more jobs than AT_ONCE together, one of them late, runs of the others are noticed so much later for each job: a
step costs as much as there are jobs, and a job may be late for a month."""

_SOURCE = ""
"""Stands among the jobs' ids for what is no job's."""


class Judge:
    """Carries the findings about one source from instant to instant. `look_again_at`: when they may be others."""

    def __init__(self, source: Snapshot, settings: Detect) -> None:
        self.findings: tuple[Finding, ...] = ()
        self.look_again_at: datetime | None = None
        self._blank = Snapshot(source.source, source.kind, traits=source.traits)
        self._settings = settings
        self._departed = Departed()
        self._parts: dict[str, Snapshot] = {}
        self._found: dict[str, tuple[Finding, ...]] = {}
        self._again: dict[str, datetime] = {}
        self._queue: list[tuple[datetime, str]] = []
        self._late: set[str] = set()
        self._whole_until: datetime | None = None

    def turn(self, scene: Scene, changed: Sequence[Job], now: datetime) -> bool:
        """Judge the scene at `now`; `changed` are its jobs that have. Whether the findings are others than before."""
        touched = [job.id for job in changed]
        for job in changed:
            self._parts[job.id] = replace(self._blank, jobs=(job,))
            self._judge(job.id, now)
        if scene.departed != self._departed:
            self._departed = scene.departed
            self._parts[_SOURCE] = replace(self._blank, departed=scene.departed)
            self._judge(_SOURCE, now)
        while self._queue and self._queue[0][0] <= now:
            at, part = heapq.heappop(self._queue)
            if self._again.get(part) == at:
                self._judge(part, now)
        before = self.findings
        if not self._late:
            self._whole_until = None
            self.findings, self.look_again_at = self._each()
        elif self._whole_until is None or now >= self._whole_until or not self._late.isdisjoint(touched):
            self.findings, self.look_again_at = self._all(scene, now)
        else:
            self.look_again_at = self._whole_until
        return self.findings != before

    def _judge(self, part: str, now: datetime) -> None:
        snapshot = self._parts[part]
        diagnosis = diagnose(snapshot, now, self._settings)
        self._found.pop(part, None)
        if diagnosis.findings:
            self._found[part] = diagnosis.findings
        self._again.pop(part, None)
        if diagnosis.look_again_at:
            self._again[part] = diagnosis.look_again_at
            heapq.heappush(self._queue, (diagnosis.look_again_at, part))
        moment = Moment(now)
        is_late = any(late_since(job, moment, self._settings.of(job)) for job in snapshot.jobs)
        (self._late.add if is_late else self._late.discard)(part)

    def _each(self) -> tuple[tuple[Finding, ...], datetime | None]:
        while self._queue and self._again.get(self._queue[0][1]) != self._queue[0][0]:
            heapq.heappop(self._queue)
        found = (finding for findings in self._found.values() for finding in findings)
        return tuple(sorted(found, key=gravity)), self._queue[0][0] if self._queue else None

    def _all(self, scene: Scene, now: datetime) -> tuple[tuple[Finding, ...], datetime | None]:
        snapshot = replace(self._blank, jobs=scene.jobs(), departed=scene.departed)
        diagnosis = diagnose(snapshot, now, self._settings)
        count = len(snapshot.jobs)
        wanted = [now + LEISURE * count if count > AT_ONCE else now, diagnosis.look_again_at]
        self._whole_until = min(at for at in wanted if at)
        return diagnosis.findings, diagnosis.look_again_at
