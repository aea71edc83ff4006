"""The demo: a simulated agent lives through the outage of 2026-04-29 and two more, and the watchdog watches it.

A second stands for an hour. The database is a real file, and the watchdog reads it as it would any other.
"""

import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.text import Text

from watchdog.cli import tables
from watchdog.config.file import Config, Http
from watchdog.core import logs
from watchdog.core.clock import FollowedClock
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.engine import Engine
from watchdog.incidents import report
from watchdog.service.loop import Service, Wake, signals
from watchdog.systems.phantom.section import Phantom
from watchdog.systems.shared.writer import UnknownWriters

BEGIN = datetime(2026, 4, 29, 3, 30, tzinfo=UTC)
END = datetime(2026, 4, 29, 23, 30, tzinfo=UTC)
SPEED = 3600.0
STEP = 0.02
"""Seconds between two steps of the simulation."""

POLL = timedelta(minutes=5)
"""On the story's clock: 83 ms of the machine's. Three polls without a look would be a machine that slept."""

Jobs = tuple[tuple[str, dict[str, object]], ...]
JOBS: Jobs = (
    ("heartbeat", {"kind": "cron", "expr": "0 * * * *", "tz": "UTC"}),
    ("inbox-triage", {"kind": "every", "intervalMs": 30 * 60_000}),
    ("price-watch", {"kind": "every", "intervalMs": 15 * 60_000}),
    ("repo-digest", {"kind": "cron", "expr": "15 */2 * * *", "tz": "Europe/Berlin"}),
    ("morning-brief", {"kind": "cron", "expr": "30 7 * * MON-FRI", "tz": "America/New_York"}),
)
RATE_LIMITED = Outcome.failing("Error: 429 rate_limit_error: This request would exceed your rate limit")


class World:
    """The simulated agent: who errs, and who hangs. A run takes `takes`."""

    def __init__(
        self, path: Path, begin: datetime = BEGIN, takes: timedelta = timedelta(seconds=45), jobs: Jobs = JOBS
    ) -> None:
        self.path = path
        self.errs: set[str] = set()
        self.hangs: set[str] = set()
        self._takes = takes
        self.simulator = Simulator(path, begin, behaviour=self._behave, durable=True)
        self.ids = {name: self.simulator.add(name, schedule) for name, schedule in jobs}

    def _behave(self, name: str, now: datetime) -> Outcome:
        if name in self.hangs:
            return Outcome.hanging()
        return RATE_LIMITED if name in self.errs else Outcome(duration=self._takes)

    def provider_refuses(self) -> None:
        """The heartbeat's model answers 429."""
        self.errs.add("heartbeat")

    def owner_revives(self) -> None:
        """What an owner does by hand: the failed row to `paused`, then resume it through the API."""
        self.errs.clear()
        with sqlite3.connect(self.path) as connection:
            connection.execute("UPDATE scheduled_jobs SET status = 'paused' WHERE status = 'failed'")
        connection.close()
        self.simulator.resume(self.ids["heartbeat"])

    def flag_leaks(self) -> None:
        """One job's busy flag is never cleared."""
        self.simulator.leak_session(self.ids["heartbeat"])

    def digest_hangs(self) -> None:
        """The digest's next run never returns."""
        self.hangs.add("repo-digest")

    def restart(self) -> None:
        """The agent is restarted."""
        self.hangs.clear()
        self.simulator.restart()


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happens in the story, and what is said of it."""

    at: datetime
    words: str
    act: Callable[[World], None]


def _at(hour: int, minute: int) -> datetime:
    return BEGIN.replace(hour=hour, minute=minute)


EVENTS = (
    Event(_at(4, 40), "the model provider begins to refuse the heartbeat's calls (429)", World.provider_refuses),
    Event(_at(11, 20), "the owner reads the finding, and brings the job back by hand", World.owner_revives),
    Event(_at(12, 30), "a bug: the heartbeat's busy flag leaks; the process looks healthy", World.flag_leaks),
    Event(_at(15, 30), "the owner restarts the agent", World.restart),
    Event(_at(16, 10), "the digest's next run will hang, and hold the only slot", World.digest_hangs),
    Event(_at(21, 40), "the owner restarts the agent", World.restart),
)


def events(after: datetime, until: datetime) -> list[Event]:
    """What happens in the story after one instant and until another, in its order."""
    return [event for event in EVENTS if after < event.at <= until]


class Narrator:
    """Says what happens in the story, and what the watchdog makes of it."""

    def __init__(self, console: Console, now: Callable[[], datetime]) -> None:
        self._console = console
        self._now = now
        self._told: set[tuple[str, str, str | None]] = set()

    def say(self, words: str) -> None:
        """Something happened in the world."""
        self._line("agent", "cyan", Text(words))

    def tell(self, action: str, finding: Finding) -> None:
        """The watchdog found something, or something has cleared; what is filed under another finding goes unsaid."""
        if action == "cleared":
            self._over(finding)
            return
        if finding.caused_by is not None:
            return
        self._told.add(finding.key)
        style = "bold red" if finding.severity is Severity.CRITICAL else "yellow"
        text = Text(f"{finding.severity.value.upper()} {finding.kind.value}: ", style=style)
        self._line("watchdog", style, text.append(finding.summary, style="default"))

    def _over(self, finding: Finding) -> None:
        if finding.key in self._told:
            self._told.remove(finding.key)
            self._line("watchdog", "green", Text(f"clear: {finding.kind.value} of {finding.job or 'the scheduler'}"))

    def _line(self, who: str, style: str, words: Text) -> None:
        head = Text(f"{self._now():%H:%M}  ", style="dim").append(f"{who:<9} ", style=style)
        self._console.print(head.append_text(words), soft_wrap=True)


class Driver(threading.Thread):
    """Moves the simulated agent on, in a thread of its own; the watchdog's clock follows it."""

    def __init__(self, path: Path, say: Callable[[str], None], over: Callable[[], None]) -> None:
        super().__init__(name="agent", daemon=True)
        self.now = BEGIN
        self._path = path
        self._say = say
        self._over = over
        self._ending = threading.Event()
        self.is_open = threading.Event()

    def run(self) -> None:
        """The story, from its beginning to its end."""
        world = World(self._path)
        self.is_open.set()
        try:
            self._live(world)
        finally:
            world.simulator.close()

    def _live(self, world: World) -> None:
        began, is_over = time.monotonic(), False
        while not self._ending.wait(STEP):
            instant = BEGIN + timedelta(seconds=(time.monotonic() - began) * SPEED)
            for event in events(self.now, instant):
                self._happen(world, event)
            world.simulator.run_until(instant)
            self.now = instant
            if instant >= END and not is_over:
                is_over = True
                self._over()

    def _happen(self, world: World, event: Event) -> None:
        world.simulator.run_until(event.at)
        self.now = event.at
        self._say(event.words)
        event.act(world)

    def stop(self) -> None:
        """End the simulation."""
        self._ending.set()
        self.join(2)


def tell(port: int = 9846, seconds: int | None = None, stay: bool = False) -> None:
    """Run agent and watchdog together. Ends by itself after the story unless `stay`; or after `seconds`."""
    console = tables.screen()
    logs.set_up()
    logs.log.setLevel("ERROR")
    with tempfile.TemporaryDirectory(prefix="watchdog-demo-") as folder:
        _play(console, Path(folder) / "phantom.db", port, seconds, stay=stay)


def _play(console: Console, path: Path, port: int, seconds: int | None, *, stay: bool) -> None:
    wake = Wake()
    narrator = Narrator(console, lambda: driver.now)
    driver = Driver(path, narrator.say, lambda: None if stay else wake.stop())
    config = watching(path, port)
    service = Service(
        config,
        reread=lambda: config,
        words=lambda posting: report.page(posting.published, posting.incidents, posting.at),
        wake=wake,
        on_ready=lambda url: _introduce(console, url, path),
        clock=FollowedClock(lambda: driver.now, SPEED),
        tell=narrator.tell,
        writers=UnknownWriters(),  # the agent runs in this very process
    )
    with _running(driver), _limited(wake, seconds), signals(wake):
        service.run()
    _conclude(console, path, driver.now)


def watching(path: Path, port: int = 0) -> Config:
    """The settings of the watchdog beside the simulated agent."""
    return Config(
        sources=(Phantom(name="demo", database=path),),
        state=path.with_name("state.db"),
        http=Http(listen=f"127.0.0.1:{port}"),
        poll=POLL,
    )


@contextmanager
def _running(driver: Driver) -> Iterator[None]:
    driver.start()
    driver.is_open.wait(10)
    try:
        yield
    finally:
        driver.stop()


@contextmanager
def _limited(wake: Wake, seconds: int | None) -> Iterator[None]:
    timer = threading.Timer(seconds, wake.stop) if seconds else None
    if timer:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        if timer:
            timer.cancel()


def _introduce(console: Console, url: str, path: Path) -> None:
    console.print("[bold]A simulated agent, and the watchdog beside it. A second stands for an hour.[/bold]")
    for address, what in (
        ("/", "the page"),
        ("/metrics", "for Prometheus"),
        ("/api/v1/findings", "for programs"),
    ):
        console.print(Text(f"  {url}{address}").append(f"  {what}", style="dim"), soft_wrap=True)
    console.print(Text(f"  its database: {path}\n", style="dim"), soft_wrap=True)


def _conclude(console: Console, path: Path, now: datetime) -> None:
    if not path.exists():
        return
    config = Config(sources=(Phantom(name="demo", database=path),))
    published = Engine(config).tick(now).published
    console.print()
    console.print(tables.jobs_view(published, now, console.width))
    console.print("\nNow your own:  scheduler-watchdog init")
