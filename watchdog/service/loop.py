"""The running service: the loop, its signals, and the web beside it."""

import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from types import FrameType
from urllib.parse import urlsplit

from watchdog.config.file import Config, ConfigError
from watchdog.core.clock import SHORTEST_WAIT, Clock, WallClock
from watchdog.core.logs import log
from watchdog.core.model import Finding
from watchdog.metrics.collection import Metrics
from watchdog.notify.service import open_store
from watchdog.service.diary import Diary, log_finding
from watchdog.service.heartbeat import Beats
from watchdog.service.memory import Tidying, settle_garbage
from watchdog.service.neighbours import SEEN_BY_ANOTHER, Neighbours
from watchdog.service.sd_notify import Systemd
from watchdog.service.turns import Turns
from watchdog.systems.shared.crew import Crew
from watchdog.systems.shared.looking import OnItsOwn
from watchdog.systems.shared.writer import LiveWriters, Writers
from watchdog.web.app import build
from watchdog.web.archive import Archive
from watchdog.web.guard import Guard, Replaceable
from watchdog.web.published_state import Posting, PublishedState
from watchdog.web.server import Server, bind

GATHERING = 0.25
"""Seconds from a late look's coming back to the turn that takes it, so that one turn takes many."""


class Wake:
    """What ends a wait early: a signal. Written to from handlers, through a pipe that `select` can watch."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self.should_stop = False
        self.should_reload = False

    @property
    def is_asked(self) -> bool:
        """Whether it is a signal that has ended a wait."""
        return self.should_stop or self.should_reload

    def stop(self, *_: object) -> None:
        """The end was asked for."""
        self.should_stop = True
        self.ring()

    def reload(self, *_: object) -> None:
        """The configuration is to be read again."""
        self.should_reload = True
        self.ring()

    def ring(self) -> None:
        """There is something to do."""
        try:
            os.write(self._writer, b"!")
        except (BlockingIOError, OSError):
            return  # it has been rung already

    def wait(self, length: timedelta) -> None:
        """Wait so long, or until something is asked for."""
        ready, _, _ = select.select([self._reader], [], [], max(0.0, length.total_seconds()))
        if ready:
            os.read(self._reader, 512)

    def close(self) -> None:
        """Give the pipe back."""
        os.close(self._reader)
        os.close(self._writer)


@contextmanager
def signals(wake: Wake) -> Iterator[None]:
    """SIGTERM and SIGINT stop, SIGHUP reads the configuration again."""

    def on(number: signal.Signals, handler: Callable[..., None]) -> object:
        def call(signum: int, frame: FrameType | None) -> None:
            handler()

        return signal.signal(number, call)

    before = {number: on(number, wake.stop) for number in (signal.SIGTERM, signal.SIGINT)}
    before[signal.SIGHUP] = on(signal.SIGHUP, wake.reload)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


@dataclass
class Service:
    """Watches until it is told to stop. `reread` gives the configuration anew and raises ConfigError.

    `writers` tells of the processes that write the watched stores.
    """

    config: Config
    reread: Callable[[], Config]
    words: Callable[[Posting], str]
    wake: Wake
    on_ready: Callable[[str], None] = lambda url: None
    clock: Clock = field(default_factory=WallClock)
    tell: Callable[[str, Finding], None] = log_finding
    writers: Writers = field(default_factory=LiveWriters)

    def __post_init__(self) -> None:
        self._metrics = Metrics()
        store = open_store(self.config)
        self._turns = Turns(
            self.config,
            store,
            self.clock,
            self._metrics,
            Diary(self.tell).write,
            self._metrics.ticked,
            writers=self.writers,
            looked_at_by=partial(OnItsOwn, ring=self.wake.ring, crew=Crew()),
        )
        self._published_state = PublishedState(self.clock.real(self.config.poll))
        self._systemd = Systemd()
        self._beats = Beats(self.config.heartbeat, store, self._metrics.beaten)
        self._neighbours = Neighbours()
        self._address = self.config.http.address
        self._polled = 0.0
        self._archive = Archive(store.path)
        self._web = Replaceable(self._guarded_app())

    def run(self) -> None:
        """Bind, look, serve, and go on looking."""
        listener = bind(self._address)
        server = Server(self._web, listener)
        self._greet(server.url)
        server.start()
        self._turns.start()
        try:
            self._loop(server.url)
        finally:
            self._systemd.stopping()
            self._beats.end()
            server.stop()
            self._archive.close()
            self._turns.stop()
            self._neighbours.close()
            log.info("stopped", extra={"action": "stop"})

    def _guarded_app(self) -> Guard:
        """What is served, as the configuration has it now: who may change what, and by which names it is reached."""
        http, state = self.config.http, self._published_state
        app = build(state, self._metrics.text, self.words, self._archive, lambda: self.config, self.clock.now)
        public = urlsplit(http.public_url or "").hostname
        return Guard(app, (*http.hosts, self._address.host, *([public] if public else [])))

    def _greet(self, url: str) -> None:
        log.info(
            "watching",
            extra={
                "action": "start",
                "url": url,
                "sources": ", ".join(source.name for source in self._turns.engine.sources),
            },
        )
        threading.Thread(target=self._warn, name="warn", daemon=True).start()
        if not self.config.http.address.is_loopback and self.config.http.token_file is None:
            log.info("reachable from other machines, to read only", extra={"action": "listen", "url": url})

    def _warn(self) -> None:
        """Say how reading could do harm; in a thread, since asking may hang where a source lies."""
        for section, source in zip(self.config.sources, self._turns.engine.sources, strict=False):
            neighbours = [f"{source.name}: {SEEN_BY_ANOTHER}"] if self._neighbours.seen(section) else []
            for warning in (*neighbours, *source.warnings()):
                log.warning(warning, extra={"action": "harm", "source": source.name})

    def _loop(self, url: str) -> None:
        is_first, is_settled, is_due, tidying = True, False, True, Tidying()
        while not self.wake.should_stop:
            if self.wake.should_reload:
                self._reload()
                is_due = True
            self._turn(is_due=is_due)
            if is_first:
                self._systemd.ready()
                self.on_ready(url)
                is_first = False
            if not is_settled and self._turns.engine.has_looked:
                settle_garbage()
                is_settled = True
            self._systemd.beat()
            tidying.turn()
            is_due = self._is_due()

    def _is_due(self) -> bool:
        """Wait. Whether the next poll or deadline has come, or only a late look has come back, and others may have."""
        due = time.monotonic() + self._pause().total_seconds()
        self.wake.wait(timedelta(seconds=due - time.monotonic()))
        left = due - time.monotonic()
        if left > 0 and not self.wake.is_asked:
            time.sleep(min(GATHERING, left))
        return time.monotonic() >= due

    def _turn(self, *, is_due: bool) -> None:
        tick = self._turns.turn(only_collect=not is_due)
        if is_due:
            self._polled = time.monotonic()
        problem = self._turns.state_problem
        self._published_state.state_problem = problem
        if self.config.state is not None:
            self._metrics.state_up.set(0 if problem else 1)
        self._published_state.post(tick.published, self.clock.now(), self._turns.notifications.incidents)

        self._beats.turn(self._trouble(), self.clock.stamp(), is_ready=self._turns.engine.has_looked)

    def _trouble(self) -> str:
        """Why this watchdog itself does not do what it is there for; empty where it does."""
        unlooked = self._turns.engine.unlooked
        if unlooked:
            return f"{', '.join(unlooked)} cannot be looked at: it does not answer"
        return self._turns.state_problem

    def _pause(self) -> timedelta:
        """Until the next poll, or the next deadline if that comes sooner."""
        since = timedelta(seconds=time.monotonic() - self._polled)
        poll = self.config.poll
        beat = self.clock.real(self._beats.wait(self.clock.stamp()) or poll)
        pause = min(beat, max(timedelta(), self.clock.real(poll) - since))
        if self._systemd.beat_every:
            pause = min(pause, self._systemd.beat_every)
        soon = self._turns.look_again_at
        if soon:
            pause = min(pause, max(SHORTEST_WAIT, self.clock.real(soon - self.clock.now())))
        return pause

    def _reload(self) -> None:
        """Take the file as it is now; a bad one keeps the old configuration and says so."""
        self.wake.should_reload = False
        self._systemd.reloading()
        try:
            config = self.reread()
        except ConfigError as error:
            self._metrics.reloads.labels("error").inc()
            for problem in error.problems:
                log.error(f"configuration not taken: {problem}", extra={"action": "reload"})
        else:
            self._take(config)
            self._metrics.reloads.labels("ok").inc()
        self._systemd.ready()

    def _take(self, config: Config) -> None:
        before, self.config = self.config, config
        if config.http != before.http:
            self._web.app = self._guarded_app()
        if config.http.address != self._address:
            said = f"it goes on answering at {self._address}: another `http.listen` is taken at the next start"
            log.warning(said, extra={"action": "reload"})
        self._turns.use(config)
        self._beats.use(config.heartbeat)
        self._published_state.poll = self.clock.real(config.poll)
        log.info("configuration taken", extra={"action": "reload", "sources": len(config.sources)})
