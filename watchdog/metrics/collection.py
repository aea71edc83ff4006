"""The last published state as Prometheus text.

What changes only with the state is rendered after the tick that changed it, and then served as the same bytes. Each
job's samples are formatted by prometheus-client once and kept until that job changes, since formatting a thousand
jobs takes longer than the whole tick may.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from watchdog.core.incident import Incident
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding, Job
from watchdog.core.release import VERSION
from watchdog.detectors.published import Published, SourceState
from watchdog.engine import Tick
from watchdog.metrics.counts import Counts
from watchdog.metrics.exposition import PER_BLOCK, Block, block_of, heads, woven
from watchdog.metrics.jobs import JobCollector, JobFacts
from watchdog.metrics.sources import SourceReadText, SourceStateText

JobKey = tuple[str, str]
"""Source and job id."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What one job's samples were made from. `fires`: see `SourceState.missed`."""

    key: JobKey
    job: Job
    deadline: datetime | None
    owner: str
    findings: tuple[Finding, ...]
    fires: int

    def holds(self, job: Job, state: SourceState, findings: tuple[Finding, ...]) -> bool:
        """Whether all of it is as it was."""
        return (
            (self.job is job or self.job == job)
            and self.deadline == state.deadlines.get(job.id)
            and self.fires == state.missed.get(job.id, 0)
            and self.findings == findings
            and self.owner == state.owners.get(job.id, "")
        )


def _kept(state: SourceState, job: Job, findings: tuple[Finding, ...]) -> _Kept:
    key, id_ = (state.snapshot.source, job.id), job.id
    return _Kept(key, job, state.deadlines.get(id_), state.owners.get(id_, ""), findings, state.missed.get(id_, 0))


class StateText:
    """Renders the published state, and keeps what has not changed: of `_kept` the samples are in `_blocks`, in the same
    order."""

    def __init__(self) -> None:
        self._heads = heads(JobCollector())
        self._sources = SourceStateText()
        self._kept: list[_Kept] = []
        self._blocks: list[Block] = []
        self._counts = Counts()

    def render(self, published: Published) -> list[bytes]:
        """The text of all families that change only with the state, in the pieces that are kept: put together it would
        be held a second time."""
        self._take(published)
        text = [self._sources.render(published)]
        for place, head in enumerate(self._heads):
            text.append(head)
            text.extend([block[place].text for block in self._blocks])
        return text

    def _take(self, published: Published) -> None:
        """Format all that are new together: most of what one costs is what surrounds its samples."""
        kept: list[_Kept] = []
        new: list[_Kept] = []
        places: list[int] = []
        known = _Places(self._kept)
        for state, job, findings in _judged(published):
            place = known.of(len(kept), state.snapshot.source, job.id)
            if place is not None and self._kept[place].holds(job, state, findings):
                kept.append(self._kept[place])
            else:
                place = len(self._blocks) * PER_BLOCK + len(new)
                new.append(_kept(state, job, findings))
                kept.append(new[-1])
            places.append(place)
        pool = [*self._blocks, *(self._block(new[at : at + PER_BLOCK]) for at in range(0, len(new), PER_BLOCK))]
        self._blocks = [woven(pool, places[at : at + PER_BLOCK]) for at in range(0, len(places), PER_BLOCK)]
        if len(kept) < len(self._kept) or known.has_moved:
            self._counts.forget({each.key for each in kept})
        self._kept = kept

    def _block(self, jobs: Sequence[_Kept]) -> Block:
        collector = JobCollector([self._facts(each) for each in jobs])
        return block_of(collector, collector.counts)

    def _facts(self, kept: _Kept) -> JobFacts:
        totals = self._counts.totals(kept.key, kept.job.totals)
        missed = self._counts.missed(kept.key, kept.job.due, kept.fires)
        return JobFacts(kept.key[0], kept.job, kept.deadline, kept.owner, kept.findings, totals, missed)


def _judged(published: Published) -> Iterator[tuple[SourceState, Job, tuple[Finding, ...]]]:
    """All jobs in their order, each with what was found of it."""
    for state in published.sources:
        found: dict[str | None, tuple[Finding, ...]] = {}
        for finding in state.diagnosis.findings:
            found[finding.job_id] = (*found.get(finding.job_id, ()), finding)
        for job in state.snapshot.jobs:
            yield state, job, found.get(job.id, ())


class _Places:
    """Where each job stood before: most often where it stands now."""

    def __init__(self, kept: Sequence[_Kept]) -> None:
        self._kept = kept
        self._by_key: dict[JobKey, int] = {}
        self.has_moved = False

    def of(self, place: int, source: str, job_id: str) -> int | None:
        """Its place before, if it was there. `place`: the one that it has now."""
        if place < len(self._kept):
            was = self._kept[place]
            if was.job.id == job_id and was.key[0] == source:
                return place
        if not self.has_moved:
            self.has_moved = True
            self._by_key = {each.key: at for at, each in enumerate(self._kept)}
        return self._by_key.get((source, job_id))


class _Instants(Collector):
    """Gauges that have no sample while there is nothing to tell."""

    def __init__(self, metrics: "Metrics") -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield _instant(
            "watchdog_outbox_oldest_timestamp_seconds",
            "When the oldest unsettled message was written down.",
            self._metrics.oldest_at,
        )
        yield _instant(
            "watchdog_heartbeat_last_success_timestamp_seconds",
            "When the heartbeat's address last took a call that said that all is well.",
            self._metrics.beaten_at,
        )


def _instant(name: str, words: str, at: datetime | None) -> Metric:
    family = GaugeMetricFamily(name, words)
    if at is not None:
        family.add_metric([], at.timestamp())
    return family


class Metrics:
    """All that is exposed: the state's text, and what the watchdog counts about itself."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._state = StateText()
        self._reads = SourceReadText()
        self._pieces: list[bytes] = []
        self._version = -1
        self._ticks = Histogram(
            "watchdog_tick_duration_seconds",
            "How long a tick took.",
            buckets=(0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2.5),
            registry=self.registry,
        )
        self._last_tick = Gauge(
            "watchdog_last_tick_timestamp_seconds", "When the last tick ended.", registry=self.registry
        )
        self.reloads = Counter(
            "watchdog_config_reloads",
            "Times that the configuration was read again.",
            ["outcome"],
            registry=self.registry,
        )
        incidents = Gauge(
            "watchdog_incidents_open", "Incidents that are not over.", ["severity"], registry=self.registry
        )
        self._incidents_by_severity = [(severity, incidents.labels(severity.value)) for severity in Severity]
        self._notifications = Counter(
            "watchdog_notifications",
            "Attempts to tell somebody: sent, failed (tried again), given_up or member_failed (another of its cluster "
            "took it).",
            ["channel", "outcome"],
            registry=self.registry,
        )
        self._recoveries = Counter(
            "watchdog_recoveries", "What became of recoveries.", ["action", "outcome"], registry=self.registry
        )
        self.state_up = Gauge("watchdog_state_up", "1 if the state file can be written.", registry=self.registry)
        self._outbox = Gauge(
            "watchdog_outbox_messages", "Messages that are written down and not yet settled.", registry=self.registry
        )
        self.oldest_at: datetime | None = None
        self.beaten_at: datetime | None = None
        self.registry.register(_Instants(self))
        self._build()

    def _build(self) -> None:
        info = Gauge("watchdog_build_info", "The running version; always 1.", ["version"], registry=self.registry)
        info.labels(VERSION).set(1)
        for outcome in ("ok", "error"):
            self.reloads.labels(outcome)
        ProcessCollector(registry=self.registry)

    def ticked(self, tick: Tick, now: datetime, seconds: float) -> None:
        """Take over what a tick gave."""
        # a new engine, after a reload, counts its versions from the start
        if tick.has_changed or tick.published.version != self._version:
            self._pieces = self._state.render(tick.published)
            self._version = tick.published.version
        self._ticks.observe(seconds)
        self._last_tick.set(now.timestamp())
        self._reads.ticked(tick.published, tick.reads)

    def beaten(self, at: datetime) -> None:
        """The heartbeat was taken."""
        self.beaten_at = at

    def recovered(self, action: str, outcome: str) -> None:
        """What became of a recovery."""
        self._recoveries.labels(action, outcome).inc()

    def notified(self, channel: str, outcome: str) -> None:
        """One attempt to tell somebody."""
        self._notifications.labels(channel, outcome).inc()

    def counted(self, incidents: Sequence[Incident], depth: int, oldest: datetime | None) -> None:
        """How many incidents are open, and how the outbox is."""
        for severity, gauge in self._incidents_by_severity:
            gauge.set(sum(incident.severity is severity for incident in incidents))
        self._outbox.set(depth)
        self.oldest_at = oldest

    def text(self) -> bytes:
        """The whole exposition."""
        return b"".join([*self._pieces, self._reads.render(), generate_latest(self.registry)])
