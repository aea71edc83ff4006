"""The last published state as Prometheus text.

What changes only with the state is rendered after the tick that changed it, and then served as the same bytes. Each
job's samples are formatted by prometheus-client once and kept until that job changes, since formatting a thousand
jobs takes four times as long as the whole tick may.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from watchdog.engine import Published, SourceState, Tick
from watchdog.incidents import Incident
from watchdog.job_metrics import JobCollector, JobFacts
from watchdog.model import STATES, Finding, Kind, Severity
from watchdog.release import version

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, that nobody asked for

_BOTH = (Kind.EXPIRING,)
_ALWAYS_CRITICAL = (
    Kind.WEDGED,
    Kind.STALLED,
    Kind.FAILED,
    Kind.STRANDED,
    Kind.INVALID,
    Kind.UNRECORDED,
    Kind.UNREACHABLE,
    Kind.SWEPT,
)


def _severities(kind: Kind) -> tuple[Severity, ...]:
    if kind in _BOTH:
        return (Severity.WARNING, Severity.CRITICAL)
    return (Severity.CRITICAL,) if kind in _ALWAYS_CRITICAL else (Severity.WARNING,)


class _SourceFamilies(Collector):
    """The families that have samples for each source, and change only with the state."""

    def __init__(self, published: Published) -> None:
        self._published = published

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("watchdog_source_up", "1 if the source could be read.", labels=["source"])
        jobs = GaugeMetricFamily("watchdog_source_jobs", "Jobs by status.", labels=["source", "status"])
        found = GaugeMetricFamily(
            "watchdog_findings", "Conditions that are true now.", labels=["source", "kind", "severity"]
        )
        for state in self._published.sources:
            name = state.snapshot.source
            up.add_metric([name], 0.0 if state.snapshot.problem else 1.0)
            for status, count in _by_status(state).items():
                jobs.add_metric([name, status], count)
            for (kind, severity), count in _by_kind(self._published.of_source(name)).items():
                found.add_metric([name, kind, severity], count)
        yield from (up, jobs, found)


def _by_status(state: SourceState) -> Mapping[str, int]:
    if state.snapshot.problem:
        return {}
    counts = dict.fromkeys(STATES, 0)
    for job in state.snapshot.jobs:
        counts[job.state] += 1
    return counts


def _by_kind(findings: Sequence[Finding]) -> Mapping[tuple[str, str], int]:
    counts = {(kind.value, severity.value): 0 for kind in Kind for severity in _severities(kind)}
    for finding in findings:
        key = (finding.kind.value, finding.severity.value)
        counts[key] = counts.get(key, 0) + 1
    return counts


def _text(collector: Collector) -> str:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry).decode()


_FAMILY = re.compile(r"^# HELP ", re.MULTILINE)
"""Where a family begins. A label may hold the same words, but never at the beginning of a line."""


def _split(text: str) -> dict[str, tuple[str, str]]:
    """The exposition by family: its head (HELP and TYPE), and its samples."""
    parts: dict[str, tuple[str, str]] = {}
    for block in _FAMILY.split(text)[1:]:
        help_line, type_line, samples = block.split("\n", 2)
        parts[help_line.split(" ", 1)[0]] = (f"# HELP {help_line}\n{type_line}\n", samples)
    return parts


class StateText:
    """Renders the published state, and keeps what has not changed."""

    def __init__(self) -> None:
        self._heads = [head.encode() for head, _ in _split(_text(JobCollector(None))).values()]
        self._jobs: dict[tuple[str, str], tuple[JobFacts, tuple[bytes, ...]]] = {}

    def render(self, published: Published) -> bytes:
        """The text of all families that change only with the state."""
        lines = [self._samples(facts) for state in published.sources for facts in _facts(state)]
        self._forget_the_gone(published)
        text = [_text(_SourceFamilies(published)).encode()]
        for place, head in enumerate(self._heads):
            text.append(head)
            text.extend([samples[place] for samples in lines])
        return b"".join(text)

    def _samples(self, facts: JobFacts) -> tuple[bytes, ...]:
        key = (facts.source, facts.job.id)
        before = self._jobs.get(key)
        if before is None or before[0] != facts:
            before = (facts, tuple([samples.encode() for _, samples in _split(_text(JobCollector(facts))).values()]))
            self._jobs[key] = before
        return before[1]

    def _forget_the_gone(self, published: Published) -> None:
        there = sum(len(state.snapshot.jobs) for state in published.sources)
        if len(self._jobs) > there:
            keep = {(state.snapshot.source, job.id) for state in published.sources for job in state.snapshot.jobs}
            self._jobs = {key: kept for key, kept in self._jobs.items() if key in keep}


def _facts(state: SourceState) -> Iterator[JobFacts]:
    found: dict[str | None, list[Finding]] = {}
    for finding in state.diagnosis.findings:
        found.setdefault(finding.job_id, []).append(finding)
    for job in state.snapshot.jobs:
        findings = tuple(found.get(job.id, ()))
        owner = state.owners.get(job.id, "")
        yield JobFacts(state.snapshot.source, job, state.deadlines.get(job.id), owner, findings)


class _Oldest(Collector):
    """A gauge that has no sample while there is nothing to tell."""

    def __init__(self, metrics: "Metrics") -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "watchdog_outbox_oldest_timestamp_seconds", "When the oldest unsettled message was written down."
        )
        if self._metrics.oldest_at is not None:
            family.add_metric([], self._metrics.oldest_at.timestamp())
        yield family


class Metrics:
    """All that is exposed: the state's text, and what the watchdog counts about itself."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._state = StateText()
        self._bytes = b""
        self._version = -1
        self._ticks = Histogram(
            "watchdog_tick_duration_seconds",
            "How long a tick took.",
            buckets=(0.0005, 0.001, 0.005, 0.02, 0.1, 0.5, 2.5),
            registry=self.registry,
        )
        self._reads = Histogram(
            "watchdog_source_read_duration_seconds",
            "How long reading the source took, when it was read.",
            ["source"],
            buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2.5),
            registry=self.registry,
        )
        self._last_tick = Gauge(
            "watchdog_last_tick_timestamp_seconds", "When the last tick ended.", registry=self.registry
        )
        self._last_read = Gauge(
            "watchdog_source_last_read_timestamp_seconds",
            "When the source's state was last known to be current.",
            ["source"],
            registry=self.registry,
        )
        self.reloads = Counter(
            "watchdog_config_reloads",
            "Times that the configuration was read again.",
            ["outcome"],
            registry=self.registry,
        )
        self._incidents = Gauge(
            "watchdog_incidents_open", "Incidents that are not over.", ["severity"], registry=self.registry
        )
        self._notifications = Counter(
            "watchdog_notifications",
            "Attempts to tell somebody: sent, failed (tried again) or given_up.",
            ["channel", "outcome"],
            registry=self.registry,
        )
        self._recoveries = Counter(
            "watchdog_recoveries", "What became of recoveries.", ["action", "outcome"], registry=self.registry
        )
        self._outbox = Gauge(
            "watchdog_outbox_messages", "Messages that are written down and not yet settled.", registry=self.registry
        )
        self.oldest_at: datetime | None = None
        self.registry.register(_Oldest(self))
        self._build()

    def _build(self) -> None:
        info = Gauge("watchdog_build_info", "The running version; always 1.", ["version"], registry=self.registry)
        info.labels(version()).set(1)
        for outcome in ("ok", "error"):
            self.reloads.labels(outcome)
        ProcessCollector(registry=self.registry)

    def ticked(self, tick: Tick, now: datetime, seconds: float) -> None:
        """Take over what a tick gave."""
        if tick.published.version != self._version:
            self._bytes = self._state.render(tick.published)
            self._version = tick.published.version
        self._ticks.observe(seconds)
        self._last_tick.set(now.timestamp())
        for source, took in tick.reads.items():
            self._reads.labels(source).observe(took)
        for state in tick.published.sources:
            if state.read_at is not None:
                self._last_read.labels(state.snapshot.source).set(state.read_at.timestamp())

    def recovered(self, action: str, outcome: str) -> None:
        """What became of a recovery."""
        self._recoveries.labels(action, outcome).inc()

    def notified(self, channel: str, outcome: str) -> None:
        """One attempt to tell somebody."""
        self._notifications.labels(channel, outcome).inc()

    def counted(self, incidents: Sequence[Incident], depth: int, oldest: datetime | None) -> None:
        """How many incidents are open, and how the outbox is."""
        for severity in Severity:
            self._incidents.labels(severity.value).set(sum(i.severity is severity for i in incidents))
        self._outbox.set(depth)
        self.oldest_at = oldest

    def text(self) -> bytes:
        """The whole exposition."""
        return self._bytes + generate_latest(self.registry)
