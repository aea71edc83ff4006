"""The families that have samples for each source. Each source's text is kept until that source changes: with a
thousand of them, formatting all at each change and each scrape would cost far more than looking at them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from watchdog.core.changed import unlike
from watchdog.core.kinds import exposed
from watchdog.core.model import STATES, Finding, Snapshot
from watchdog.detectors.published import Published
from watchdog.metrics.exposition import heads, samples

READ_BUCKETS = (0.001, 0.005, 0.02, 0.1, 0.5, 2.5)
"""Seconds."""


Numbers = Mapping[tuple[str, ...], float]
"""A source's samples in a family: the values of the labels beside the source, and the number."""


@dataclass(frozen=True, slots=True)
class _Family:
    """One family that changes only with the state: what it is called, and its labels beside the source."""

    name: str
    text: str
    labels: tuple[str, ...] = ()

    def lines(self, source: str, numbers: Numbers) -> bytes:
        """A source's samples in it."""
        family = GaugeMetricFamily(self.name, self.text, labels=["source", *self.labels])
        for labels, number in numbers.items():
            family.add_metric([source, *labels], number)
        (text,) = samples(_One(family))
        return text

    @property
    def head(self) -> bytes:
        """HELP and TYPE."""
        (head,) = heads(_One(GaugeMetricFamily(self.name, self.text, labels=["source", *self.labels])))
        return head


_FAMILIES = (
    _Family("watchdog_source_up", "1 if the source could be read."),
    _Family("watchdog_source_jobs", "Jobs by status.", ("status",)),
    _Family("watchdog_findings", "Conditions that are true now.", ("kind", "severity")),
)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A source as it was last rendered: by family its numbers and their text. `states`: of its jobs, how many each."""

    snapshot: Snapshot
    states: Mapping[str, int]
    numbers: Sequence[Numbers]
    texts: Sequence[bytes]


def _states(snapshot: Snapshot, before: _Kept | None) -> Mapping[str, int]:
    """How many jobs are in which state: counted on where the jobs are those that were counted before."""
    jobs, was = snapshot.jobs, before.snapshot.jobs if before else ()
    is_same_count = before is not None and len(was) == len(jobs)
    counts = dict(before.states) if before is not None and is_same_count else dict.fromkeys(STATES, 0)
    for place in unlike(was, jobs):
        counts[jobs[place].state] += 1
        if is_same_count:
            counts[was[place].state] -= 1
    return counts


def _by_kind(findings: Sequence[Finding]) -> Numbers:
    counts: dict[tuple[str, ...], float] = {(kind.value, severity.value): 0 for kind, severity in exposed()}
    for finding in findings:
        key = (finding.kind.value, finding.severity.value)
        counts[key] = counts.get(key, 0) + 1
    return counts


def _kept(snapshot: Snapshot, findings: Sequence[Finding], before: _Kept | None) -> _Kept:
    states = _states(snapshot, before)
    by_status: Numbers = {} if snapshot.problem else {(state,): count for state, count in states.items()}
    numbers: Sequence[Numbers] = ({(): 0.0 if snapshot.problem else 1.0}, by_status, _by_kind(findings))
    texts = [
        before.texts[place]
        if before is not None and each == before.numbers[place]
        else _FAMILIES[place].lines(snapshot.source, each)
        for place, each in enumerate(numbers)
    ]
    return _Kept(snapshot, states, numbers, texts)


class SourceStateText:
    """Renders what was found of the sources."""

    def __init__(self) -> None:
        self._heads = [family.head for family in _FAMILIES]
        self._kept: dict[str, tuple[Sequence[Finding], _Kept]] = {}

    def render(self, published: Published) -> bytes:
        """The text of `watchdog_source_up`, `watchdog_source_jobs` and `watchdog_findings`."""
        found: dict[str, list[Finding]] = {}
        for finding in published.findings:
            found.setdefault(finding.source, []).append(finding)
        snapshots = [state.snapshot for state in published.sources]
        self._kept = {each.source: self._of(each, found.get(each.source, [])) for each in snapshots}
        texts = [kept.texts for _, kept in self._kept.values()]
        return b"".join(
            [part for place, head in enumerate(self._heads) for part in (head, *[text[place] for text in texts])]
        )

    def _of(self, snapshot: Snapshot, findings: Sequence[Finding]) -> tuple[Sequence[Finding], _Kept]:
        known, before = self._kept.get(snapshot.source, ([], None))
        if before is not None and before.snapshot is snapshot and known == findings:
            return known, before
        return findings, _kept(snapshot, findings, before)


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
    """A source's own histogram; and its line of the last read, without the number."""

    durations: Histogram
    last_read: bytes


class SourceReadText:
    """How long each source took to be read, and when its state was last known to be current.

    The loop writes and the web's thread reads: what is read is replaced as a whole, never changed.
    """

    def __init__(self) -> None:
        (self._durations_head,) = heads(_durations())
        (self._last_read_head,) = heads(_One(_last_read(None)))
        self._reads: dict[str, _Reads] = {}
        self._texts: dict[str, tuple[_Reads, bytes]] = {}
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
        return _Reads(durations, before.last_read if before else _line(source))

    def _text(self, name: str, read: _Reads) -> bytes:
        known = self._texts.get(name)
        return known[1] if known is not None and known[0] is read else samples(read.durations)[0]

    def render(self) -> bytes:
        """The text of both families. What was read since the last time is formatted anew; for one thread at a time."""
        reads, read_at = self._reads, self._read_at
        self._texts = {name: (read, self._text(name, read)) for name, read in reads.items()}
        instants = [b"%s %s\n" % (reads[name].last_read, repr(at).encode()) for name, at in read_at if name in reads]
        texts = [text for _, text in self._texts.values()]
        return b"".join([self._durations_head, *texts, self._last_read_head, *instants])


def _line(source: str) -> bytes:
    (line,) = samples(_One(_last_read(source)))
    return line.rpartition(b" ")[0]
