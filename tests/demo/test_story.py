"""The demo is the first that somebody sees of the watchdog: each of its three outages is told, by its cause."""

from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import pytest
from rich.console import Console

from watchdog.core.clock import FollowedClock
from watchdog.core.model import Finding
from watchdog.demo import story
from watchdog.service.loop import Service, Wake
from watchdog.systems.shared.writer import UnknownWriters


class Played(Wake):
    """Instead of waiting, the story goes on by what would have been waited, and by what a turn takes."""

    TURN = timedelta(milliseconds=20)

    def __init__(self, world: story.World, say: Callable[[str], None]) -> None:
        super().__init__()
        self.now = story.BEGIN
        self.longest = timedelta()
        self._world = world
        self._say = say

    def wait(self, length: timedelta) -> None:
        """Live through it."""
        self.longest = max(self.longest, length)
        until = self.now + (length + self.TURN) * story.SPEED
        for event in story.events(self.now, until):
            self._say(event.words)
            self._world.simulator.run_until(event.at)
            event.act(self._world)
        self._world.simulator.run_until(until)
        self.now = until
        self.should_stop = until > story.END


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, timedelta]:
    """What the demo said, and the longest that it would have waited."""
    path = tmp_path_factory.mktemp("demo") / "phantom.db"
    world = story.World(path)
    console = Console(file=StringIO(), record=True, width=400)
    narrator = story.Narrator(console, lambda: wake.now)
    wake = Played(world, narrator.say)
    config = story.watching(path)

    def tell(action: str, finding: Finding) -> None:
        narrator.tell(action, finding)

    clock = FollowedClock(lambda: wake.now, story.SPEED)
    # as in the demo itself: the agent runs in this very process, so its locks are not another process's
    service = Service(
        config, lambda: config, lambda posting: "", wake=wake, clock=clock, tell=tell, writers=UnknownWriters()
    )
    service.run()
    world.simulator.close()
    return console.export_text(), wake.longest


@pytest.mark.parametrize(
    "words",
    [
        "WARNING zero_tokens: heartbeat does no work",
        "CRITICAL failed: heartbeat was given up",
        "CRITICAL wedged: heartbeat has not run since 2026-04-29 12:00 UTC: its busy flag leaked",
        "CRITICAL wedged: repo-digest is stuck in the run that started at 2026-04-29 16:15",
        "clear: wedged of heartbeat",
        "clear: wedged of repo-digest",
    ],
)
def test_each_outage_of_the_demo_is_told_with_its_cause(played: tuple[str, timedelta], words: str) -> None:
    said, _ = played
    assert words in said


def test_what_the_demo_calls_over_it_has_told(played: tuple[str, timedelta]) -> None:
    said, _ = played
    told: set[tuple[str, str]] = set()
    for line in said.splitlines():
        _, who, *words = line.split()
        if who == "watchdog" and words[0] in {"WARNING", "CRITICAL"}:
            told.add((words[1].removesuffix(":"), words[2]))
        elif who == "watchdog":
            assert (words[1], words[3]) in told, line


def test_a_poll_on_a_faster_clock_is_as_much_shorter(played: tuple[str, timedelta]) -> None:
    _, longest = played
    assert longest <= timedelta(seconds=0.1)
