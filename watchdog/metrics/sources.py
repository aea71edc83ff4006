"""The families that have samples for each source. Each source's text is kept until that source changes: with a
thousand of them, formatting all at each change and each scrape would cost far more than looking at them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from watchdog.core.kinds import exposed
from watchdog.core.model import STATES, Finding, Snapshot
from watchdog.detectors.published import Published
from watchdog.metrics.exposition import heads, samples

READ_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.5)
"""Seconds."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """All that one source's samples are made from."""

    snapshot: Snapshot
    findings: Sequence[Finding]


class _StateFamilies(Collector):
    """The families that change only with the state, with one source's samples or with none."""

    def __init__(self, facts: _Facts | None) -> None:
        self._facts = facts

    def collect(self) -> Iterator[Metric]:
        up = GaugeMetricFamily("watchdog_source_up", "1 if the source could be read.", labels=["source"])
        jobs = GaugeMetricFamily("watchdog_source_jobs", "Jobs by status.", labels=["source", "status"])
        found = GaugeMetricFamily(
            "watchdog_findings", "Conditions that are true now.", labels=["source", "kind", "severity"]
        )
        if self._facts is not None:
            name = self._facts.snapshot.source
            up.add_metric([name], 0.0 if self._facts.snapshot.problem else 1.0)
            for status, count in _by_status(self._facts.snapshot).items():
                jobs.add_metric([name, status], count)
            for labels, count in _by_kind(self._facts.findings).items():
                found.add_metric([name, *labels], count)
        yield from (up, jobs, found)


def _by_status(snapshot: Snapshot) -> Mapping[str, int]:
    if snapshot.problem:
        return {}
    counts = dict.fromkeys(STATES, 0)
    for job in snapshot.jobs:
        counts[job.state] += 1
    return counts


def _by_kind(findings: Sequence[Finding]) -> Mapping[tuple[str, str], int]:
    counts = {(kind.value, severity.value): 0 for kind, severity in exposed()}
    for finding in findings:
        key = (finding.kind.value, finding.severity.value)
        counts[key] = counts.get(key, 0) + 1
    return counts


class SourceStateText:
    """Renders what was found of the sources."""

    def __init__(self) -> None:
        self._heads = heads(_StateFamilies(None))
        self._kept: dict[str, tuple[_Facts, tuple[bytes, ...]]] = {}

    def render(self, published: Published) -> bytes:
        """The text of `watchdog_source_up`, `watchdog_source_jobs` and `watchdog_findings`."""
        found: dict[str, list[Finding]] = {}
        for finding in published.findings:
            found.setdefault(finding.source, []).append(finding)
        snapshots = [state.snapshot for state in published.sources]
        self._kept = {each.source: self._of(_Facts(each, found.get(each.source, []))) for each in snapshots}
        lines = [text for _, text in self._kept.values()]
        return b"".join(
            [part for place, head in enumerate(self._heads) for part in (head, *[text[place] for text in lines])]
        )

    def _of(self, facts: _Facts) -> tuple[_Facts, tuple[bytes, ...]]:
        before = self._kept.get(facts.snapshot.source)
        if before and before[0].snapshot is facts.snapshot and before[0].findings == facts.findings:
            return before
        return facts, samples(_StateFamilies(facts))


def _durations() -> Histogram:
    return Histogram(
        "watchdog_source_read_duration_seconds",
        "How long reading the source took, when it was read.",
        ["source"],
        buckets=READ_BUCKETS,
        registry=None,
    )


def _last_read(source: str | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(
        "watchdog_source_last_read_timestamp_seconds",
        "When the source's state was last known to be current.",
        labels=["source"],
    )
    if source is not None:
        family.add_metric([source], 0.0)
    return family


class _One(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family


@dataclass(frozen=True, slots=True)
class _Reads:
    """A source's own histogram and its text; and its line of the last read, without the number."""

    durations: Histogram
    text: bytes
    last_read: bytes


class SourceReadText:
    """How long each source took to be read, and when its state was last known to be current.

    The loop writes and the web's thread reads: what is read is replaced as a whole, never changed.
    """

    def __init__(self) -> None:
        (self._durations_head,) = heads(_durations())
        (self._last_read_head,) = heads(_One(_last_read(None)))
        self._reads: dict[str, _Reads] = {}
        self._read_at: list[tuple[str, float]] = []

    def ticked(self, published: Published, reads: Mapping[str, float]) -> None:
        """Take over what a tick read, in seconds by source. Sources that are no longer there are forgotten."""
        there = {state.snapshot.source for state in published.sources}
        if reads or self._reads.keys() - there:
            kept = {name: read for name, read in self._reads.items() if name in there}
            self._reads = kept | {name: self._observed(name, seconds) for name, seconds in reads.items()}
        self._read_at = [
            (state.snapshot.source, state.read_at.timestamp()) for state in published.sources if state.read_at
        ]

    def _observed(self, source: str, seconds: float) -> _Reads:
        before = self._reads.get(source)
        durations = before.durations if before else _durations()
        durations.labels(source).observe(seconds)
        (text,) = samples(durations)
        return _Reads(durations, text, before.last_read if before else _line(source))

    def render(self) -> bytes:
        """The text of both families."""
        reads, read_at = self._reads, self._read_at
        instants = [b"%s %s\n" % (reads[name].last_read, repr(at).encode()) for name, at in read_at if name in reads]
        texts = [read.text for read in reads.values()]
        return b"".join([self._durations_head, *texts, self._last_read_head, *instants])


def _line(source: str) -> bytes:
    (line,) = samples(_One(_last_read(source)))
    return line.rpartition(b" ")[0]
