"""The installed command beside real Hermes gateways: what is so is told, and what is done is proved by their ledgers.

All gateways live at the same time, for some minutes: their ticker sleeps in real time, a minute from tick to tick.
"""

import json
import os
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Running, command, running, until
from tests.support.hermes_gateway import Model, RealHermes, real_hermes

pytestmark = pytest.mark.slow

LIFE = 460.0
"""Seconds: two good runs, and then what five failed ones, or four fires that nobody serves, take."""

LOCAL = ("--deliver", "local")

Found = set[tuple[str, str | None]]


@dataclass
class World:
    """What was found of each home, whenever it was."""

    found: dict[str, Found] = field(default_factory=dict)
    causes: dict[tuple[str, str | None], str | None] = field(default_factory=dict)

    def take(self, service: Running) -> None:
        status, text = service.get("/api/v1/findings")
        for one in json.loads(text)["findings"] if status == 200 else []:
            self.found.setdefault(one["source"], set()).add((one["kind"], one["job"]))
            cause = one.get("caused_by") or {}
            self.causes[one["source"], one["job"]] = cause.get("job") or cause.get("kind")


def watched(folder: Path, homes: dict[str, RealHermes], **recovery: Any) -> Path:
    """The configuration of a watchdog of all these homes."""
    sources = [
        {"kind": "hermes", "name": name, "home": str(hermes.home), "cli": hermes.cli} for name, hermes in homes.items()
    ]
    file = folder / "watchdog.yaml"
    document: dict[str, Any] = {
        "sources": sources,
        "state": str(folder / "state.db"),
        "http": {"listen": "127.0.0.1:PORT"},
        "recovery": recovery or {"mode": "observe"},
    }
    file.write_text(json.dumps(document))
    return file


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
        ticking = threading.Thread(target=_ticks, args=(homes["crontab"], time.monotonic() + LIFE), daemon=True)
        ticking.start()
        watched(folder, homes)
        seen = World()
        with running(folder) as service:
            began = time.monotonic()
            while (passed := time.monotonic() - began) < LIFE:
                if passed > 130:
                    _trouble(homes, model)
                seen.take(service)
                time.sleep(2)
        for token in ("lock", "hung"):
            model.say(f"TOKEN-{token}-NEKOT", "ok")
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


def _ticks(hermes: RealHermes, until_: float) -> None:
    """As a crontab does it."""
    while time.monotonic() < until_:
        began = time.monotonic()
        hermes.command("cron", "tick")
        time.sleep(max(0.0, began + 60 - time.monotonic()))


@pytest.mark.parametrize("name", ["well", "alone", "crontab"])
def test_nothing_is_found_where_nothing_is_wrong(world: World, name: str) -> None:
    """`alone`: a run hangs, and nobody waits for it; `crontab`: no gateway, and so no heartbeat."""
    assert world.found.get(name, set()) == set()


def test_a_hung_run_with_a_working_directory_is_the_one_cause_of_all_that_wait(world: World) -> None:
    assert world.found["lock"] == {("overdue", "inbox")}
    assert world.causes["lock", "inbox"] == "lock"


@pytest.mark.parametrize("name", ["killed", "stopped", "frozen"])
def test_a_gateway_that_is_gone_or_stands_still_is_told_with_what_is_late(world: World, name: str) -> None:
    assert world.found[name] >= {("stalled", None), ("overdue", "inbox")}
    assert world.found[name] <= {("stalled", None), ("overdue", "inbox"), ("interrupted", "inbox")}
    assert world.causes[name, "inbox"] == "stalled"


def test_runs_that_were_worth_nothing_are_told(world: World) -> None:
    assert world.found["worth"] == {("zero_tokens", "zero"), ("failing", "refused"), ("undelivered", "to-chat")}


# acting


def ledger(hermes: RealHermes, source: str) -> list[tuple[str, str]]:
    """The job and the status of each run that was made so."""
    with closing(sqlite3.connect(hermes.home / "cron/executions.db")) as db:
        return db.execute("SELECT job_id, status FROM executions WHERE source = ?", (source,)).fetchall()


def has_run(hermes: RealHermes) -> bool:
    return "completed" in {status for _, status in ledger(hermes, "builtin")}


def is_proved(file: Path, name: str) -> bool:
    return any(one["source"] == name and one["state"] == "verified" for one in recoveries(file))


def recoveries(file: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(command("recoveries", "-c", file, "--format", "json").stdout)["recoveries"]
    return found


def test_what_a_dead_gateway_owes_is_run_and_the_operators_restart_is_proved_and_a_neighbour_is_unharmed(
    tmp_path: Path,
) -> None:
    model = Model()
    with ExitStack() as stack:
        homes = {
            name: stack.enter_context(real_hermes(tmp_path / name, model)) for name in ("run", "restart", "beside")
        }
        for hermes in homes.values():
            hermes.add("inbox", "* * * * *", *LOCAL)
            hermes.start()
        again = tmp_path / "again.sh"
        environment = " ".join(f"{name}='{value}'" for name, value in homes["restart"].environment.items())
        again.write_text(f"env -i {environment} setsid {homes['restart'].cli[0]} gateway run >/dev/null 2>&1 &\n")
        policies = [
            {"match": {"source": "run", "kind": "overdue"}, "action": "run_due", "after": "1s", "deadline": "60s"},
            {
                "match": {"source": "restart", "kind": "stalled"},
                "action": "restart",
                "after": "1s",
                "run": ["sh", str(again)],
            },
        ]
        file = watched(tmp_path, homes, mode="act", policies=policies)
        for hermes in homes.values():
            until(partial(has_run, hermes), "it has run", 150)
        for name in ("run", "restart"):
            homes[name].kill()
        neighbour = homes["beside"].process
        try:
            with running(tmp_path) as service:
                for name in ("run", "restart"):
                    until(partial(is_proved, file, name), f"{name} is proved", 600)
                assert service.process.poll() is None
            assert ledger(homes["run"], "direct")[0][1] == "completed"
            assert neighbour is not None
            assert neighbour.poll() is None
            assert not ledger(homes["beside"], "direct")
        finally:
            state = json.loads((homes["restart"].home / "gateway_state.json").read_text())
            _end(state["pid"], homes["restart"])


def _end(pid: int, hermes: RealHermes) -> None:
    """The gateway that was started by the operator's command; only if it is that one."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return
    if f"HERMES_HOME={hermes.home}".encode() in environment:
        os.kill(pid, signal.SIGKILL)


def test_a_paused_job_is_resumed_in_its_own_profile_and_what_was_not_done_is_not_believed(tmp_path: Path) -> None:
    with real_hermes(tmp_path / "home", Model()) as hermes:
        profile = RealHermes(tmp_path / "other", hermes.model)
        profile.home.rename(hermes.home / "profiles")  # a folder of homes, with one in it
        profile.home = hermes.home / "profiles" / "work"
        profile.home.mkdir()
        for each in (hermes, profile):
            each.add("inbox", "0 * * * *", *LOCAL)
            each.command("cron", "pause", each.job("inbox")["id"])
        file = watched(tmp_path, {"hermes": hermes}, mode="act", policies=[])
        file.write_text(file.read_text().replace("PORT", "9846"))
        done = command("revive", "work/inbox", "-c", file)
        assert done.returncode == 0, done.stderr
        assert profile.job("inbox")["state"] == "scheduled"
        assert hermes.job("inbox")["state"] == "paused"
        assert command("revive", "work/inbox", "-c", file).returncode != 0
