"""All that is exposed, counted at each tick and formatted when it is asked for: there are several looks to a scrape.
What changes only with the state is then served as the same bytes until that changes."""

import threading
from collections.abc import Iterator, Sequence
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
from watchdog.core.release import VERSION
from watchdog.engine import Tick
from watchdog.metrics.sources import SourceReadText
from watchdog.metrics.state_text import StateText


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
        self._is_stale = False
        self._lock = threading.Lock()
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
            with self._lock:
                self._state.take(tick.published)
                self._version, self._is_stale = tick.published.version, True
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
        """The whole exposition. Any thread may ask."""
        return b"".join([*self.of_the_state(), generate_latest(self.registry)])

    def of_the_state(self) -> list[bytes]:
        """What is exposed of the sources, in the pieces that are kept."""
        with self._lock:
            if self._is_stale:
                self._pieces = self._state.text()
                self._is_stale = False
            return [*self._pieces, self._reads.render()]
