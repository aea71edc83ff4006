"""The installed command beside real Hermes gateways: what is so is told.

All gateways live at the same time, for some minutes: their ticker sleeps in real time, a minute from tick to tick.
"""

import json
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.command import Running, running
from tests.support.hermes_gateway import LOCAL, Model, RealHermes, real_hermes, watched

pytestmark = pytest.mark.slow

LIFE = 460.0
"""Seconds: two good runs, and then what five failed ones, or four fires that nobody serves, take."""

LONGEST = 840.0
"""So long that is waited for at the most, where the phases of ticks lie badly or the machine is slow: not so long that
a run that hangs were stuck for certain."""

Found = set[tuple[str, str | None]]

AWAITED: Mapping[str, Found] = {
    "lock": {("overdue", "inbox")},
    **{name: {("stalled", None), ("overdue", "inbox")} for name in ("killed", "stopped", "frozen")},
    "worth": {("zero_tokens", "zero"), ("failing", "refused"), ("undelivered", "to-chat")},
}
"""What is to be found of each home with a trouble."""


@dataclass
class World:
    """What was found of each home, whenever it was."""

    found: dict[str, Found] = field(default_factory=dict)
    causes: dict[tuple[str, str | None], str | None] = field(default_factory=dict)
    texts: dict[str, list[str]] = field(default_factory=dict)

    def take(self, service: Running) -> None:
        status, text = service.get("/api/v1/findings")
        for one in json.loads(text)["findings"] if status == 200 else []:
            known = self.found.setdefault(one["source"], set())
            if (one["kind"], one["job"]) not in known:
                known.add((one["kind"], one["job"]))
                self.texts.setdefault(one["source"], []).append(f"{one['kind']} {one['job']}: {one['summary']}")
            cause = one.get("caused_by") or {}
            self.causes[one["source"], one["job"]] = cause.get("job") or cause.get("kind")

    @property
    def is_all_found(self) -> bool:
        return all(self.found.get(name, set()) >= found for name, found in AWAITED.items())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Eight homes with a trouble of their own each, and one that is well, lived through at once."""
    folder, model = tmp_path_factory.mktemp("world"), Model()
    model.say("TOKEN-lock-NEKOT", "slow:1")
    names = ("well", "lock", "alone", "killed", "stopped", "frozen", "worth", "crontab")
    with ExitStack() as stack:
        homes = {name: stack.enter_context(real_hermes(folder / name, model)) for name in names}
        _make_jobs(homes, folder)
        for name, hermes in homes.items():
            if name != "crontab":
                hermes.start(HERMES_CRON_TIMEOUT="0")
        is_over = threading.Event()
        ticking = threading.Thread(target=_ticks, args=(homes["crontab"], is_over), daemon=True)
        ticking.start()
        watched(folder, homes)
        seen = World()
        with running(folder) as service:
            began = time.monotonic()
            while (passed := time.monotonic() - began) < LIFE or (passed < LONGEST and not seen.is_all_found):
                if passed > 130:
                    _trouble(homes, model)
                seen.take(service)
                time.sleep(2)
        for token in ("lock", "hung"):
            model.say(f"TOKEN-{token}-NEKOT", "ok")
        is_over.set()
        ticking.join(90)
        yield seen


def _make_jobs(homes: dict[str, RealHermes], folder: Path) -> None:
    for hermes in homes.values():
        (hermes.home / "scripts/quiet.sh").write_text("exit 0\n")
        hermes.add("inbox", "* * * * *", *LOCAL)
    homes["well"].add("brief", "every 2m", *LOCAL)
    homes["well"].add("disk-check", "* * * * *", "--no-agent", "--script", "quiet.sh", *LOCAL)
    homes["well"].add("nightly", "30 4 * * *", *LOCAL)
    homes["well"].add("soon", "3m", *LOCAL)
    homes["lock"].add("lock", "every 2m", "--workdir", str(folder), *LOCAL)
    homes["alone"].add("hung", "every 2m", *LOCAL)
    homes["worth"].add("zero", "* * * * *", *LOCAL)
    homes["worth"].add("refused", "* * * * *", *LOCAL)
    homes["worth"].add("to-chat", "* * * * *", "--deliver", "telegram:1")


def _trouble(homes: dict[str, RealHermes], model: Model) -> None:
    """What goes wrong, once each home has shown that it is well."""
    if model.modes.get("TOKEN-lock-NEKOT") == "hang":
        return
    modes = {"lock": "hang", "hung": "hang", "zero": "zero", "refused": "401"}
    for token, mode in modes.items():
        model.say(f"TOKEN-{token}-NEKOT", mode)
    homes["killed"].kill()
    homes["stopped"].signal(signal.SIGTERM)
    homes["frozen"].signal(signal.SIGSTOP)


def _ticks(hermes: RealHermes, is_over: threading.Event) -> None:
    """As a crontab does it."""
    began = time.monotonic()
    while not is_over.wait(max(0.0, began - time.monotonic())):
        began = time.monotonic() + 60
        hermes.command("cron", "tick")


@pytest.mark.parametrize("name", ["well", "alone", "crontab"])
def test_nothing_is_found_where_nothing_is_wrong(world: World, name: str) -> None:
    """`alone`: a run hangs, and nobody waits for it; `crontab`: no gateway, and so no heartbeat."""
    assert world.found.get(name, set()) == set(), world.texts


def test_a_hung_run_with_a_working_directory_is_the_one_cause_of_all_that_wait(world: World) -> None:
    assert world.found["lock"] == AWAITED["lock"], world.texts
    assert world.causes["lock", "inbox"] == "lock"


@pytest.mark.parametrize("name", ["killed", "stopped", "frozen"])
def test_a_gateway_that_is_gone_or_stands_still_is_told_with_what_is_late(world: World, name: str) -> None:
    assert AWAITED[name] <= world.found[name] <= AWAITED[name] | {("interrupted", "inbox")}
    assert world.causes[name, "inbox"] == "stalled"


def test_runs_that_were_worth_nothing_are_told(world: World) -> None:
    assert world.found["worth"] == AWAITED["worth"]
