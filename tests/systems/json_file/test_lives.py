"""Lives of a nanobot that is well: restarts, edits, queues and runs that a crash broke off. None of it is a fault."""

import json
import os
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.amounts import amount
from tests.support.harness import HOUR, MINUTE, SECOND
from watchdog.config.settings import Detect
from watchdog.core.instants import to_ms
from watchdog.detectors.diagnosis import diagnose
from watchdog.systems.json_file.section import JsonFile
from watchdog.systems.json_file.source import open_json
from watchdog.systems.shared.host import Host

START = datetime(2026, 6, 10, 8, tzinfo=UTC)
STEP = 10 * SECOND


@dataclass
class Bot:
    """Works the due jobs off one after another, and writes the file when all of them are done."""

    folder: Path
    dice: random.Random
    at: datetime = START
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    queue: list[str] = field(default_factory=list)
    running: tuple[str, str, datetime, datetime] | None = None
    down_until: datetime | None = None
    broken: set[str] = field(default_factory=set)

    def add(self, name: str, every: timedelta) -> None:
        self.jobs[name] = {
            "id": name,
            "name": name,
            "enabled": True,
            "schedule": {"kind": "every", "everyMs": int(every / timedelta(milliseconds=1))},
            "payload": {"kind": "agent_turn"},
            "state": {"nextRunAtMs": to_ms(self.at + every), "runHistory": []},
            "createdAtMs": to_ms(self.at),
            "updatedAtMs": to_ms(self.at),
        }
        self.save()

    def save(self) -> None:
        self.put(self.folder / "cron" / "jobs.json", {"version": 1, "jobs": list(self.jobs.values())})

    def put(self, file: Path, document: object) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(document))
        os.utime(file, (self.at.timestamp(),) * 2)

    def record(self, run: str, job: str, status: str) -> None:
        name = run.replace(":", "_") + ".json"
        at = to_ms(self.at)
        document = {"job_id": job, "run_id": run, "status": status, "updated_at_ms": at}
        self.put(self.folder / "cron" / "runs" / name, document)

    def live(self, until: datetime) -> None:
        while self.at < until:
            self.at += SECOND
            if self.down_until is None:
                self.turn()
            elif self.at >= self.down_until:
                self.start()

    def turn(self) -> None:
        if self.running is not None and self.at >= self.running[3]:
            self.end()
        if self.running is None and not self.queue:
            now = to_ms(self.at)
            self.queue = [name for name, job in self.jobs.items() if self.is_due(job, now)]
        if self.running is None and self.queue:
            name = self.queue.pop(0)
            run = f"{name}:{to_ms(self.at)}:{self.dice.randrange(16**8):08x}"
            length = timedelta(seconds=self.dice.choice([1, 2, 3, 8, 20, 45]))
            self.running = (name, run, self.at, self.at + length)
            self.record(run, name, "queued")

    @staticmethod
    def is_due(job: dict[str, Any], now: int) -> bool:
        return job["enabled"] and (job["state"].get("nextRunAtMs") or now + 1) <= now

    def end(self) -> None:
        assert self.running is not None
        name, run, began, _ = self.running
        self.running = None
        self.record(run, name, "ok")
        self.broken.discard(name)
        job = self.jobs[name]
        length = int((self.at - began) / timedelta(milliseconds=1))
        history = {"runAtMs": to_ms(began), "status": "ok", "durationMs": length, "runId": run}
        job["state"] |= {"lastRunAtMs": to_ms(began), "lastStatus": "ok"}
        job["state"]["runHistory"] = [*job["state"]["runHistory"], history][-20:]
        job["state"]["nextRunAtMs"] = to_ms(self.at) + job["schedule"]["everyMs"]
        job["updatedAtMs"] = to_ms(self.at)
        if not self.queue:
            self.save()

    def stop(self, length: timedelta) -> None:
        """A crash: what was not saved is lost."""
        if self.running is not None:
            self.broken.add(self.running[0])
        self.running, self.queue, self.down_until = None, [], self.at + length
        self.jobs = {job["id"]: job for job in json.loads((self.folder / "cron" / "jobs.json").read_text())["jobs"]}

    def start(self) -> None:
        self.down_until = None
        for job in self.jobs.values():
            if job["enabled"]:
                job["state"]["nextRunAtMs"] = to_ms(self.at) + job["schedule"]["everyMs"]
        self.save()

    def switch(self, name: str) -> None:
        job = self.jobs[name]
        job["enabled"] = not job["enabled"]
        every = job["schedule"]["everyMs"]
        job["state"]["nextRunAtMs"] = to_ms(self.at) + every if job["enabled"] else None
        job["updatedAtMs"] = to_ms(self.at)
        self.save()


@pytest.mark.deep
@pytest.mark.parametrize("seed", range(amount(3, 60)))
def test_a_life_without_a_fault_gives_no_finding_but_what_a_crash_broke_off(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    bot = Bot(tmp_path, dice)
    for name, every in (("a", 2 * MINUTE), ("b", 5 * MINUTE), ("c", 20 * MINUTE), ("d", 2 * HOUR)):
        bot.add(name, every)
    given = {"kind": "json", "preset": "nanobot", "folder": str(tmp_path), "model_calls": None}
    source = open_json(JsonFile.validated(given), Host())
    while bot.at < START + 4 * HOUR:
        bot.live(bot.at + STEP)
        happens = dice.random()
        if happens < 0.01 and bot.down_until is None:
            bot.stop(timedelta(seconds=dice.choice([2, 15, 50])))
        elif happens < 0.015 and bot.running is None and not bot.queue and bot.down_until is None:
            bot.switch(dice.choice("abcd"))
        if dice.random() < 0.1:
            continue
        snapshot = source.look(bot.at).snapshot
        assert snapshot.problem is None
        found = {(finding.kind.value, finding.job) for finding in diagnose(snapshot, bot.at, Detect()).findings}
        late = {job for kind, job in found if kind == "overdue"}
        assert found - {("interrupted", job) for job in bot.broken} <= {("overdue", job) for job in late}, bot.at
        for job in late:
            assert is_late(bot, str(job)), f"{job} is not late at {bot.at}"


def is_late(bot: Bot, name: str) -> bool:
    """Whether it has really not run for three of its intervals: starts over and over again put it off."""
    state, every = bot.jobs[name]["state"], bot.jobs[name]["schedule"]["everyMs"]
    last = max(state.get("lastRunAtMs") or 0, bot.jobs[name]["createdAtMs"])
    return bool(to_ms(bot.at) - last > 3 * every)
