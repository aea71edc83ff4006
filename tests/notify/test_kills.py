"""`kill -9` anywhere between "finding seen" and "send settled": nothing is lost, nothing is told without end.

The installed service beside a database and an HTTP server. `WATCHDOG_KILLS` sets the number of kills at fault points,
`WATCHDOG_RANDOM_KILLS` that at random instants; the defaults keep the whole run under a minute.
"""

import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import PATIENCE, command, until
from tests.support.told import Agent, Inbox, configure, inbox, outbox, query, senders, service

pytestmark = pytest.mark.slow

TARGETS = ("ops", "mail")

WRITING = ("found", "writing", "written")
"""Passed once for each step of the notifier that writes anything."""

SENDING = ("before-start", "started", "child-started", "handed-over", "before-settle", "settled")
"""Passed once for each message."""

TAKING_UP = ("taking-up", "taken-up")
"""Passed once for each message that was under way when the service died."""

KILLS = int(os.environ.get("WATCHDOG_KILLS", "22"))
RANDOM_KILLS = int(os.environ.get("WATCHDOG_RANDOM_KILLS", "8"))


def _settled(folder: Path) -> int:
    return sum(row["state"] == "sent" for row in outbox(folder))


class World:
    """A life of many deaths. Each step fails two jobs for different reasons, or mends them; `expected` is the truth."""

    def __init__(self, folder: Path, post: Inbox, jobs: int) -> None:
        self.folder = folder
        self.post = post
        self.agent = Agent(folder / "phantom.db", jobs)
        self.expected: set[tuple[str, str, str]] = set()
        self.steps = 0
        configure(folder, {name: f"json://127.0.0.1:{post.port}/{name}" for name in TARGETS})

    def step(self) -> None:
        """The next change of the jobs: two incidents open, or the same two end."""
        pair, ends = divmod(self.steps, 2)
        first, second = 2 * pair, 2 * pair + 1
        if ends:
            self.agent.mend(first, second)
        else:
            self.agent.fail(first)
            self.agent.lose(second)
        event = "over" if ends else "opened"
        self.expected |= {(target, event, f"job-{number}") for target in TARGETS for number in (first, second)}
        self.steps += 1

    def is_told(self) -> bool:
        """Whether all that is expected has been written down, sent and settled."""
        return _settled(self.folder) == len(self.expected) and not self.open_entries()

    def open_entries(self) -> int:
        """Messages that are not settled."""
        return sum(row["state"] in ("waiting", "sending") for row in outbox(self.folder))

    def fault(self, point: str, nth: int) -> str:
        """The fault that passes by what the last death left to be done, and hits the nth thing after it."""
        if point in WRITING:
            return f"{point}:{1 + (len(outbox(self.folder)) < len(self.expected))}"
        return f"{point}:{self.to_be_sent() + nth}"

    def to_be_sent(self) -> int:
        """Messages that the next run hands over for the last death's sake: those whose own process left no outcome."""
        until(lambda: not senders(self.folder), "the processes that outlived the service have ended")
        rows = outbox(self.folder)
        known = sum(row["state"] in ("sent", "given_up") or self._has_outcome(row) for row in rows)
        return len(self.expected) - known

    def _has_outcome(self, row: sqlite3.Row) -> bool:
        record = self.folder / "state.db.sending" / f"{row['id']}-{row['attempts']}.json"
        return row["state"] == "sending" and record.exists() and record.stat().st_size > 0

    def log(self) -> str:
        """What all its lives have said."""
        return (self.folder / "service.log").read_text()

    def check(self) -> Counter[int]:
        """Nothing is missing, nothing came more than twice; how many messages came how often."""
        letters = self.post.letters()
        assert {(letter.target, letter.event, letter.job) for letter in letters} == self.expected
        assert len(letters) == len(self.expected), "a message came in two wordings"
        assert max(letters.values(), default=0) <= 2
        incidents = {(letter.job, letter.incident) for letter in letters}
        assert len(incidents) == len({job for job, _ in incidents}) == len({number for _, number in incidents})
        return Counter(letters.values())

    def check_incidents(self) -> None:
        """Each job's incident is there once, with its state."""
        shown = command("incidents", "--all", "--format", "json", "-c", self.folder / "watchdog.yaml")
        assert shown.returncode in (0, 1, 2), shown.stderr
        incidents = json.loads(shown.stdout)["incidents"]
        over = {job for _, event, job in self.expected if event == "over"}
        jobs = {job for _, _, job in self.expected}
        truth = {(job, "resolved" if job in over else "active") for job in jobs}
        assert {(incident["job"], incident["state"]) for incident in incidents} == truth
        assert len(incidents) == len(jobs)


def _dies(world: World, point: str, nth: int) -> None:
    """One run of the service: it makes up for the last death, sees a change, and dies at the point."""
    with service(world.folder, world.fault(point, nth)) as process:
        until(lambda: world.is_told() or process.poll() is not None, f"all is made up for before {point}")
        # once too often at the point: what it did that was not to be expected stands in its log
        assert process.poll() is None, f"it ended early, with {process.returncode}: {world.log()[-2000:]}"
        world.check()
        world.step()
        assert process.wait(PATIENCE) == -signal.SIGKILL


def _dies_taking_up(world: World, point: str) -> None:
    """The service dies again while it takes up what the last death interrupted."""
    with service(world.folder, f"{point}:1") as process:
        assert process.wait(PATIENCE) == -signal.SIGKILL


def test_nothing_is_lost_and_nothing_comes_three_times_when_it_is_killed_at_any_point(tmp_path: Path) -> None:
    points = (*WRITING, *SENDING)
    deaths: Counter[str] = Counter()
    with inbox() as post:
        world = World(tmp_path, post, KILLS + 2)
        while deaths.total() < KILLS:
            turn, place = divmod(world.steps, len(points))
            point = points[place]
            _dies(world, point, nth=1 + (turn + place) % 4)
            deaths[point] += 1
            if point == "handed-over":
                for again in TAKING_UP:
                    _dies_taking_up(world, again)
                    deaths[again] += 1
        with service(tmp_path):
            until(world.is_told, "all is told after the last death")
            until(lambda: not senders(tmp_path), "the sending processes have ended")
        twice = world.check()[2]
        world.check_incidents()
    assert all(row["crashes"] <= 1 for row in outbox(tmp_path))
    assert not [row for row in outbox(tmp_path) if row["state"] == "given_up"]
    assert {*points, *TAKING_UP} <= set(deaths), "too few kills to pass every point"
    print(f"{deaths.total()} kills, {len(world.expected)} messages, {twice} of them twice: {dict(deaths)}")


def test_no_more_copies_than_crashes_when_it_is_killed_at_random_again_and_again(tmp_path: Path) -> None:
    chance = random.Random(7)
    with inbox() as post:
        world = World(tmp_path, post, RANDOM_KILLS + 2)
        for _ in range(RANDOM_KILLS):
            _killed_at_random(world, chance)
        with service(tmp_path):
            until(lambda: _all_seen(world) and not world.open_entries(), "all that is open is told")
            for first in range(0, world.steps, 10):  # so many at a time as can be sent while patience lasts
                _mended(world, range(first, min(first + 10, world.steps)))
            until(lambda: not _open_incidents(tmp_path) and not world.open_entries(), "the end of all is told")
            until(lambda: not senders(tmp_path), "the sending processes have ended")
        _check_copies(world)


def _killed_at_random(world: World, chance: random.Random) -> None:
    """A run of up to two seconds; the first half of a second or so is the start. A job fails somewhere in it."""
    length, job = chance.uniform(0.3, 2.0), world.steps
    with service(world.folder) as process:
        time.sleep(length * chance.random())
        (world.agent.fail if job % 2 else world.agent.lose)(job)
        world.steps += 1
        time.sleep(length * chance.random())
        process.kill()
        process.wait(PATIENCE)


def _open_incidents(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(row["document"]) for row in query(folder, "SELECT document FROM incidents WHERE is_open = 1")]


def _mended(world: World, jobs: range) -> None:
    """These jobs are well again, and their end is told."""
    world.agent.mend(*jobs)
    until(lambda: _are_over(world, jobs), f"the end of {jobs} is told")


def _are_over(world: World, jobs: Iterable[int]) -> bool:
    names = {f"job-{number}" for number in jobs}
    members = [member for incident in _open_incidents(world.folder) for member in incident["members"]]
    return not [m for m in members if m["finding"]["job"] in names and not m["ended_at"]] and not world.open_entries()


def _all_seen(world: World) -> bool:
    jobs = [json.loads(row["document"]) for row in query(world.folder, "SELECT document FROM incidents")]
    members = [member["finding"]["job"] for incident in jobs for member in incident["members"]]
    return sorted(members) == sorted(f"job-{number}" for number in range(world.steps))


def _check_copies(world: World) -> None:
    """Each incident told to each target, opened and over; each message once, and once more for each crash at most."""
    letters = world.post.letters()
    rows = outbox(world.folder)
    written = {(row["target"], row["incident_id"], json.loads(row["message"])["title"]): row for row in rows}
    assert len(written) == len(rows)
    assert {(letter.target, letter.incident, letter.title) for letter in letters} == set(written)
    for letter, copies in letters.items():
        assert copies <= 1 + written[letter.target, letter.incident, letter.title]["crashes"], letter
    incidents = {row["id"] for row in query(world.folder, "SELECT id FROM incidents")}
    events = {(letter.target, letter.event, letter.incident) for letter in letters}
    assert events == {(target, event, n) for target in TARGETS for event in ("opened", "over") for n in incidents}
    again = Counter(letters.values())
    print(f"{world.steps} kills, {len(rows)} messages; how many came how often: {dict(again)}")


SIGNALS = ("SIGHUP", "SIGTERM")


def _is_told_though(world: World, point: str, nth: int, what: str) -> None:
    """One run of the service, in which a signal comes at a point; after a stop another run does what is left."""
    with service(world.folder, f"{point}:{nth}:{what}") as process:
        until(lambda: query(world.folder, "SELECT 1 FROM sqlite_master"), "it has begun")
        world.step()
        until(lambda: world.is_told() or process.poll() is not None, f"all is told with {what} at {point}")
        assert process.poll() in (None, 0)
    with service(world.folder):
        until(world.is_told, f"all is told after {what} at {point}")


def test_nothing_is_lost_or_comes_twice_when_it_is_reloaded_or_stopped_at_any_point(tmp_path: Path) -> None:
    cases = [(point, what) for point in (*WRITING, *SENDING) for what in SIGNALS]
    with inbox() as post:
        world = World(tmp_path, post, len(cases) + 2)
        post.delay = 0.5
        for place, (point, what) in enumerate(cases):
            _is_told_though(world, point, 1 + place % (3 if point in SENDING else 1), what)
        assert set(world.check()) == {1}, "a message came twice"
        world.check_incidents()
    assert not [row for row in outbox(tmp_path) if row["crashes"]]


def test_who_answers_late_gets_one_copy_though_the_configuration_is_read_again_meanwhile(tmp_path: Path) -> None:
    delays = {"three": 3.0, "six": 6.0, "twenty": 20.0}
    with inbox() as three, inbox() as six, inbox() as twenty:
        posts = {"three": three, "six": six, "twenty": twenty}
        for name, post in posts.items():
            post.delay = delays[name]
        agent = Agent(tmp_path / "phantom.db", 1)
        configure(tmp_path, {n: f"json://127.0.0.1:{p.port}/{n}" for n, p in posts.items()}, deadline="60s")
        with service(tmp_path) as process:
            until(lambda: query(tmp_path, "SELECT 1 FROM sqlite_master"), "it has begun")
            agent.fail(0)
            until(lambda: all(post.posts for post in posts.values()), "all have it")
            process.send_signal(signal.SIGHUP)
            until(lambda: _settled(tmp_path) == 3, "all have answered")
        assert [len(post.posts) for post in posts.values()] == [1, 1, 1]
