"""What the service does at each turn, whoever drives the clock: the running service, or a case that is replayed."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from watchdog.config.file import Config
from watchdog.core.clock import Clock, Stamp
from watchdog.core.instants import say
from watchdog.core.kinds import Kind
from watchdog.core.logs import log
from watchdog.core.moment import Gap
from watchdog.detectors.published import Published
from watchdog.engine import Engine, LookedAtBy, Tick, open_sources
from watchdog.metrics.collection import Metrics
from watchdog.notify.service import NotificationService
from watchdog.recovery.recoverer import Would, log_would
from watchdog.recovery.service import RecoveryService
from watchdog.service.inquiries import Inquiries
from watchdog.service.memories import Memories
from watchdog.service.own_state import OwnState
from watchdog.state.history import History
from watchdog.state.store import Store
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.inventory import Inventory
from watchdog.systems.shared.looking import InTurn
from watchdog.systems.shared.writer import UnknownWriters, Writers

POLLS_MISSED = 3
"""So many polls without a turn, and the machine slept, or the watchdog was stopped: nobody lived through that time."""


GAPS_MATTER_FOR = timedelta(days=2)
GAPS_KEPT = 200
"""A machine that naps all day has many; what was due long before them is late all the same."""


LONGEST_TIMER = timedelta(hours=1)
"""A scheduler arms its timer no further ahead, and arms it anew by the clock as it is then."""


NOTED_EVERY = timedelta(minutes=5)
"""By no more than this a process that was killed seems to have looked no longer than it did."""

UNSEEN = "nobody looked: the machine slept, or the watchdog was stopped"
UNKNOWN = (
    "nobody is known to have looked: the watchdog was killed, or its state file was put back, and it writes down only "
    "every five minutes that it looks"
)

_OWN, _AWAKE, _UNTIL, _ENDED, _PUT_BACK, _TWICE = "", "awake", "until", "ended", "put back", "twice"


class Turns:
    """Look, judge, recover, tell, remember: one turn after another. Nothing here waits.

    `show` is handed every tick with its instant and how many seconds it took; `tell` what was published whenever it has
    changed, both before anybody is told of it; `would` what recovery would do in mode `observe`. `writers` tells
    of the processes that write the watched stores; `looked_at_by` whether sources are looked at in turn.
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
        writers: Writers | None = None,
        looked_at_by: LookedAtBy = InTurn,
    ) -> None:
        self.config = config
        self.store = store
        self._writers = writers or UnknownWriters()
        self._memories = Memories(store)
        self._inquiries = Inquiries(config.sources, clock.stamp())
        self.engine = Engine(
            config, open_sources(config, self._host), looked_at_by, inventory=Inventory(self._memories.of)
        )
        self.notifications = NotificationService(config, store, metrics, clock)
        self.recovery = RecoveryService(config, store, self.notifications.announce, metrics.recovered, clock, would)
        self._history = History(store)
        self._clock = clock
        self._tell = tell
        self._show = show
        self._own_state = OwnState(store)
        self._awake_until: Stamp | None = None
        awake = self._memories.recall(_OWN, _AWAKE, Stamp)
        self._awake_before, self._has_ended = awake.get(_UNTIL), _ENDED in awake
        self._awake_noted_at: Stamp | None = None
        self._slept = timedelta()
        self._stepped = timedelta()
        self._gaps: tuple[Gap, ...] = tuple(self._memories.recall(_OWN, _PUT_BACK, Gap).values())

    def start(self) -> None:
        """Begin to send and to act, each in a thread of its own."""
        self.notifications.start()
        self.recovery.start()

    def stop(self) -> None:
        """End both, and give the state file back."""
        self.recovery.stop()
        self.notifications.stop()
        self.engine.end()
        self._inquiries.end()
        self._note_awake(at_end=True)
        self._memories.write(self._clock.now())
        self.store.close()

    def turn(self, *, only_collect: bool = False) -> Tick:
        """One turn. What is wrong with a source or with the state file becomes what is told, never an exception.

        `only_collect`: no look is begun, what late ones came back with is taken.
        """
        now, began = self._clock.now(), time.perf_counter()
        about_state = self._own_state.turn(now)
        self._wake_up()
        if not only_collect:
            self.recovery.look_begins(self.engine.under_way)
        look = self.engine.collect if only_collect else self.engine.tick
        tick = look(now, self._gaps)
        recovered = self.recovery.turn(tick.published, self._slept, self.engine.under_way)
        told = about_state if self.config.detect.is_on(Kind.UNSAVED) else ()
        own = (*(finding for finding in recovered if finding.kind is not Kind.UNSAVED), *told)
        published = self.engine.add(own, self.recovery.to_follow)
        if published is not tick.published:
            tick = replace(tick, published=published, has_changed=True)
        self._show(tick, now, time.perf_counter() - began)
        if tick.has_changed:
            self._tell(tick.published)
        self.notifications.turn(tick.published, now)
        self._history.turn(tick.published, now)
        self._memories.turn(now)
        self._inquiries.turn(tick.published, self._clock.stamp(), self._gaps)
        return tick

    @property
    def state_problem(self) -> str:
        """Why nothing can be written down now; empty where all is well."""
        return self._own_state.problem

    def _host(self, source: str) -> Host:
        return Host(self._writers, self._memories.of(source), self._inquiries.of(source), lambda: self._stepped)

    def _wake_up(self) -> None:
        """Note a time in which nobody looked, by a clock that runs while the machine sleeps and cannot be set; and a
        step of the wall's clock, which the scheduler's timers do not know of either."""
        stamp, before = self._clock.stamp(), self._awake_until or self._awake_before
        is_first, self._awake_until = self._awake_until is None, stamp
        length = before.elapsed(stamp) if before else timedelta()
        step = stamp.at - before.at - length if before else timedelta()
        few_polls = POLLS_MISSED * self.config.poll
        self._gaps = tuple(gap for gap in self._gaps if _matters(gap, stamp.at))[-GAPS_KEPT:]
        if length > few_polls:
            self._slept += timedelta() if is_first else length
            killed = is_first and not self._has_ended
            self._note(Gap(stamp.at - length, stamp.at, is_sleep=True), UNKNOWN if killed else UNSEEN)
        if step > few_polls:
            ends = stamp.at + min(step, LONGEST_TIMER)
            self._note(Gap(stamp.at - step, ends), "the clock was set forward: timers go by the old one still")
        if abs(step) > few_polls:
            self._put_back(step, stamp.at)
            self.notifications.clock_was_set(step)
        if self._awake_noted_at is None or self._awake_noted_at.elapsed(stamp) >= NOTED_EVERY:
            self._note_awake()

    def _note_awake(self, *, at_end: bool = False) -> None:
        """Have the next process know until when this one looked; and whether that is its end, or only the last note."""
        if self._awake_until is not None:
            self._awake_noted_at = self._awake_until
            ended = self._awake_until if at_end else None
            self._memories.keep(_OWN, _AWAKE, {_UNTIL: self._awake_until, _ENDED: ended})

    def _put_back(self, step: timedelta, now: datetime) -> None:
        """The time that is lived a second time; less of it where the clock is set forward again."""
        self._stepped += step
        before = [gap for gap in self._gaps if gap.is_repeated]
        length = sum((gap.ended - gap.began for gap in before), -step)
        # what lay between the old time and the new one by the clock before is none any more
        others = [gap for gap in self._gaps if not gap.is_repeated and (step > timedelta() or gap.began < now)]
        self._gaps = tuple(gap if step > timedelta() else replace(gap, ended=min(gap.ended, now)) for gap in others)
        twice = Gap(now, now + length, is_repeated=True) if length > timedelta() else None
        if twice:
            self._note(twice, "time is lived a second time: the clock was put back")
        if twice or before:
            self._memories.keep(_OWN, _PUT_BACK, {_TWICE: twice})

    def _note(self, gap: Gap, words: str) -> None:
        self._gaps += (gap,)
        seconds = round((gap.ended - gap.began).total_seconds())
        log.info(f"from {say(gap.began)} on {words}", extra={"action": "slept", "seconds": seconds})

    def idle(self) -> None:
        """The polls since the last turn have found nothing new; a driver that knows this may leave them out."""
        if self._awake_until is not None:
            self._awake_until = self._clock.stamp()

    @property
    def look_again_at(self) -> datetime | None:
        """The next deadline: when something is to be judged, told or done anew though nothing was written."""
        wanted = (
            self.engine.published.look_again_at,
            self.notifications.look_again_at,
            self.recovery.look_again_at,
            self._own_state.look_again_at,
        )
        return min((instant for instant in wanted if instant), default=None)

    def use(self, config: Config) -> None:
        """From now on this configuration holds."""
        self._inquiries.use(config.sources)
        self.engine = self.engine.reconfigured(config, self._host)
        self.config = config
        self.notifications.use(config)
        self.recovery.use(config)


def _matters(gap: Gap, now: datetime) -> bool:
    if gap.is_repeated:
        return now < gap.ended + GAPS_MATTER_FOR
    return abs(now - gap.ended) < GAPS_MATTER_FOR
