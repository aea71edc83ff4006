"""What the service has to do with recovery: the records, who decides, and who acts, in a thread of its own."""

import sqlite3
import threading
from collections.abc import Container, Iterable
from datetime import datetime, timedelta
from functools import partial

from watchdog.config.file import Config
from watchdog.core.action import Action
from watchdog.core.clock import Clock
from watchdog.core.logs import log
from watchdog.core.model import Finding
from watchdog.detectors.published import Published
from watchdog.recovery.executor import Executor, is_left_off
from watchdog.recovery.fresh_look import PATIENCE, FreshLooks, Judge
from watchdog.recovery.known_actions import KnownActions
from watchdog.recovery.recoverer import Announce, Count, Recoverer, Would, log_would
from watchdog.state.records import Records
from watchdog.state.store import Store

_PAUSE = 1.0


class RecoveryService:
    """Opens with the service and closes with it."""

    def __init__(
        self,
        config: Config,
        store: Store,
        announce: Announce,
        count: Count,
        clock: Clock,
        would: Would = log_would,
    ) -> None:
        self._config = config
        self._known = KnownActions(config.sources)
        self._store = store
        self._clock = clock
        self._records = Records(store)
        self._recoverer = Recoverer(config, self._records, announce, count, would)
        self._looks = FreshLooks()
        self._look_again_at: datetime | None = None
        self._to_follow: tuple[Finding, ...] = ()
        self._problem = ""
        self._thread: ExecutorThread | None = None
        self._is_started = False

    @property
    def look_again_at(self) -> datetime | None:
        """When something may be allowed, or is to be verified."""
        return self._look_again_at

    @property
    def to_follow(self) -> tuple[Finding, ...]:
        """What waits for its turn in a storm that is being brought back."""
        return self._to_follow

    def start(self) -> None:
        """Begin to act, where that is wanted. Without a file nothing is written down, so nothing is done."""
        self._is_started = True
        if not self._config.recovery.why_idle:
            self._start()

    def _start(self) -> None:
        if self._store.path is None:
            log.error("recovery needs a state file; nothing is done", extra={"action": "recovery"})
            return
        self._looks = FreshLooks(PATIENCE + 2 * self._clock.real(self._config.poll).total_seconds())
        store = Store(self._store.path, exclusive=False)
        self._thread = ExecutorThread(self._config, store, self._clock, self._looks.judge)
        self._thread.start()

    def look_begins(self, under_way: Container[str] = ()) -> None:
        """The next turn is about looks that begin now, except at sources that are looked at since before."""
        self._looks.look_begins(under_way)

    def turn(
        self, published: Published, slept: timedelta = timedelta(), under_way: Container[str] = ()
    ) -> tuple[Finding, ...]:
        """One step after a tick; what recovery itself has found. `slept`: how long nobody has looked so far;
        `under_way`: the sources whose look has not come back."""
        stamp = self._clock.stamp()
        try:
            turn = self._recoverer.turn(published, stamp, slept)
            unread = {state.snapshot.source for state in published.sources if state.snapshot.problem is not None}
            judge = partial(self._recoverer.objection, published=published, stamp=stamp)
            self._looks.answer(judge, under_way, unread)
            can_act = self._is_started and self._store.path is not None
            is_wanted = can_act and self._thread is None and self._is_anything_left(turn.under_way)
        except sqlite3.Error as error:
            if self._store.give_way(error):
                return self.turn(published, slept, under_way)
            self._complain(str(error))
            return published.own
        self._complain("")
        self._look_again_at, self._to_follow = turn.look_again_at, turn.to_follow
        if is_wanted:
            self._start()
        if self._thread is not None:
            self._thread.wake()
        return turn.findings

    def _is_anything_left(self, under_way: Iterable[Action]) -> bool:
        """Whether a job was switched off and is not on again. That is ended whatever the configuration says now."""
        now, known = self._clock.stamp(), self._known
        return any(is_left_off(action, known, now) for action in under_way)

    def _complain(self, problem: str) -> None:
        """Say once that nothing can be written down, so that nothing is done; looking goes on."""
        if problem and problem != self._problem:
            words = f"nothing is recovered while the state file {self._store.path} cannot be used: {problem}"
            log.error(words, extra={"action": "recovery"})
        self._problem = problem

    def use(self, config: Config) -> None:
        """From now on this configuration holds."""
        self._end()
        self._config = config
        self._known = KnownActions(config.sources)
        self._recoverer.use(config)
        if self._is_started:
            self.start()

    def stop(self) -> None:
        """End; an action under way is ended with its deadline, and made sure of at the next start."""
        self._is_started = False
        self._end()

    def _end(self) -> None:
        self._looks.close()
        if self._thread is not None:
            self._thread.stop()
            self._thread = None


class ExecutorThread(threading.Thread):
    """Turns the executor beside the loop."""

    def __init__(self, config: Config, store: Store, clock: Clock, judge: Judge) -> None:
        super().__init__(name="executor", daemon=True)
        self._store = store
        self._executor = Executor(config, Records(store), clock.stamp, judge)
        self._wake = threading.Event()
        self._ending = threading.Event()

    def wake(self) -> None:
        """There may be something to do."""
        self._wake.set()

    def run(self) -> None:
        """Until `stop`. Whatever goes wrong is told, and the next round tries again."""
        while not self._ending.is_set():
            try:
                if not self._store.is_in_memory:  # what is done must be on record, whatever ends
                    self._executor.turn()
            except sqlite3.Error as error:
                log.debug(f"recovery waits for the state file: {error}", extra={"action": "recovery"})
            except Exception:
                log.exception("a recovery went wrong", extra={"action": "recovery"})
            self._wake.wait(_PAUSE)
            self._wake.clear()
        self._store.close()

    def stop(self) -> None:
        """End as soon as what is under way has ended."""
        self._executor.rest()
        self._ending.set()
        self._wake.set()
        self.join(1)
