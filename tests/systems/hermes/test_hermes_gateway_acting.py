"""The installed command beside real Hermes gateways: what it does about them is done, and proved by their ledgers."""

import json
import sqlite3
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import command, running, until
from tests.support.hermes_gateway import LOCAL, Model, RealHermes, real_hermes, watched

pytestmark = pytest.mark.slow


def ledger(hermes: RealHermes, source: str) -> list[tuple[str, str]]:
    """The job and the status of each run that was made so. Read as the watchdog does it: no lock of the gateway's own
    is asked for, and its file is not made before it makes it."""
    with closing(sqlite3.connect(f"file:{hermes.home}/cron/executions.db?mode=ro", uri=True)) as db:
        return db.execute("SELECT job_id, status FROM executions WHERE source = ?", (source,)).fetchall()


def has_run(hermes: RealHermes) -> bool:
    try:
        return "completed" in {status for _, status in ledger(hermes, "builtin")}
    except sqlite3.OperationalError:  # its tables come a moment after its first tick
        return False


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
            until(partial(has_run, hermes), "it has run", 600, every=1)
        for name in ("run", "restart"):
            homes[name].kill()
        neighbour = homes["beside"].process
        with running(tmp_path) as service:
            for name in ("run", "restart"):
                until(partial(is_proved, file, name), f"{name} is proved", 600, every=2)
            assert service.process.poll() is None
        assert ledger(homes["run"], "direct")[0][1] == "completed"
        assert neighbour is not None
        assert neighbour.poll() is None
        assert not ledger(homes["beside"], "direct")


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
