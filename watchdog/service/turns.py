"""What the service does at each turn, whoever drives the clock: the running service, or a case that is replayed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from watchdog.config.file import Config
from watchdog.core.clock import Clock, Stamp
from watchdog.core.instants import say
from watchdog.core.logs import log
from watchdog.detectors.published import Published
from watchdog.engine import Engine, Tick, open_sources
from watchdog.metrics.collection import Metrics
from watchdog.notify.service import Desk
from watchdog.recovery.recoverer import Would, log_would
from watchdog.recovery.service import Station
from watchdog.state.history import History
from watchdog.state.store import Store
from watchdog.systems import Source

POLLS_MISSED = 3
"""So many polls without a turn, and the machine slept, or the watchdog was stopped: nobody lived through that time."""


class Turns:
    """Look, judge, recover, tell, remember: one turn after another. Nothing here waits.

    `show` is handed every tick with its instant and how many seconds it took; `tell` what was published whenever it has
    changed, both before anybody is told of it; `would` what recovery would do in mode `observe`. `open_` opens the
    sources of a configuration.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        tell: Callable[[Published], None],
        show: Callable[[Tick, datetime, float], None] = lambda tick, now, seconds: None,
        would: Would = log_would,
        open_: Callable[[Config], Sequence[Source]] = open_sources,
    ) -> None:
        self.config = config
        self.store = store
        self._open = open_
        self.engine = Engine(config, open_(config))
        self.desk = Desk(config, store, metrics, clock)
        self.station = Station(config, store, self.desk.announce, metrics.recovered, clock, would)
        self._history = History(store)
        self._clock = clock
        self._tell = tell
        self._show = show
        self._awake_until: Stamp | None = None
        self.slept = timedelta()
        """How long nobody looked before this turn, where that was longer than a few polls; else zero."""

    def start(self) -> None:
        """Begin to send and to act, each in a thread of its own."""
        self.desk.start()
        self.station.start()

    def stop(self) -> None:
        """End both, and give the state file back."""
        self.station.stop()
        self.desk.stop()
        self.store.close()

    def turn(self) -> Tick:
        """One turn. What is wrong with a source or with the state file becomes what is told, never an exception."""
        now, began = self._clock.now(), time.perf_counter()
        self._wake_up()
        tick = self.engine.tick(now)
        own = self.station.turn(tick.published)
        if own != tick.published.own:
            tick = replace(tick, published=self.engine.add(own), has_changed=True)
        self._show(tick, now, time.perf_counter() - began)
        if tick.has_changed:
            self._tell(tick.published)
        self.desk.turn(tick.published, now)
        self._history.turn(tick.published, now)
        return tick

    def _wake_up(self) -> None:
        stamp, before = self._clock.stamp(), self._awake_until
        gap = before.elapsed(stamp) if before else timedelta()
        self.slept = gap if gap > POLLS_MISSED * self.config.poll else timedelta()
        self._awake_until = stamp
        if self.slept and before is not None:
            words = f"nobody looked since {say(before.at)}: this machine slept, or the watchdog was stopped"
            log.info(words, extra={"action": "slept", "seconds": round(self.slept.total_seconds())})

    def idle(self) -> None:
        """The polls since the last turn have found nothing new; a driver that knows this may leave them out."""
        self._awake_until = self._clock.stamp()

    @property
    def look_again_at(self) -> datetime | None:
        """The next deadline: when something is to be judged, told or done anew though nothing was written."""
        wanted = (self.engine.published.look_again_at, self.desk.look_again_at, self.station.look_again_at)
        return min((instant for instant in wanted if instant), default=None)

    def use(self, config: Config) -> None:
        """From now on this configuration holds."""
        self.config = config
        self.engine = Engine(config, self._open(config))
        self.desk.use(config)
        self.station.use(config)
