"""The installed command beside a real OpenClaw gateway: what it asks for is done, and proved by the gateway's store."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Running, command, running, until
from tests.support.openclaw_gateway import PATIENCE, ModelServer, RealGateway, real_gateway, real_gateway_and_model
from watchdog.systems.openclaw.cli import Replied, ask
from watchdog.systems.openclaw.section import OpenClaw

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealGateway]:
    """A gateway that answers, and whose timer is dead."""
    with real_gateway(tmp_path_factory.mktemp("home")) as made:
        made.start(OPENCLAW_SKIP_CRON="1")
        yield made


@pytest.fixture
def late(still: RealGateway) -> Iterator[str]:
    """A job of its that is past due."""
    job = still.add("digest", "5s")
    yield job
    still.command("cron", "rm", job)


def watched(folder: Path, gateway: RealGateway, *policies: dict[str, Any]) -> Path:
    """The configuration of a watchdog that may act."""
    source = {
        "kind": "openclaw",
        "name": "claw",
        "state_dir": str(gateway.state_dir),
        "cli": gateway.cli,
        "grace": "0s",
    }
    file = folder / "watchdog.yaml"
    document = {
        "sources": [source],
        "state": str(folder / "state.db"),
        "poll": "500ms",
        "http": {"listen": "127.0.0.1:PORT"},
        "recovery": {"mode": "act", "policies": list(policies)},
    }
    file.write_text(json.dumps(document))
    return file


def recoveries(file: Path) -> list[dict[str, Any]]:
    done = command("recoveries", "-c", file, "--format", "json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)["recoveries"]
    return found


def settled(file: Path, service: Running, state: str) -> dict[str, Any]:
    """The one recovery there is, once it has come to this state."""

    def is_so() -> dict[str, Any] | None:
        return next((one for one in recoveries(file) if one["state"] == state), None)

    found: dict[str, Any] = until(is_so, f"a recovery is {state}", PATIENCE)
    return found


def said(recovery: dict[str, Any]) -> str:
    return "\n".join(step["what"] for step in recovery["steps"])


def test_a_job_whose_timer_is_dead_is_run_by_the_gateway_itself(tmp_path: Path, still: RealGateway, late: str) -> None:
    file = watched(tmp_path, still, {"match": {"kind": "overdue"}, "action": "run_due", "after": "1s"})
    with running(tmp_path) as service:
        done = settled(file, service, "verified")
        assert done["action"] == "run_due"
        assert "the gateway has taken the run on as manual:" in said(done)
        assert said(done).endswith("its next run ended ok, with tokens")
        assert still.state(late)[1]["lastRunStatus"] == "ok"


def test_a_gateway_that_does_not_accept_who_asks_is_told_as_cannot_act(
    tmp_path: Path, still: RealGateway, late: str
) -> None:
    wrong = json.loads((still.state_dir / "openclaw.json").read_text())
    wrong["gateway"]["auth"]["token"] = "another-token-0123456789-0123456789"
    file = watched(tmp_path, still, {"match": {"kind": "overdue"}, "action": "run_due", "after": "1s"})
    strangers = tmp_path / "strangers.json"
    strangers.write_text(json.dumps(wrong))
    stranger = {"OPENCLAW_CONFIG_PATH": str(strangers), "OPENCLAW_HOME": str(tmp_path)}
    with running(tmp_path, **stranger) as service:
        unable = settled(file, service, "unable")
        assert "cannot act: the gateway does not accept who asks" in said(unable)


def test_switching_a_running_job_off_and_on_again_leaves_it_on(still: RealGateway) -> None:
    job = still.add("hourly", "1h")
    still.command("cron", "run", job)
    source = OpenClaw(kind="openclaw", state_dir=still.state_dir, cli=tuple(still.cli))
    for order, is_on in (("disable", False), ("enable", True)):
        answer = ask(source, order, job, still.environment, timedelta(seconds=30))
        assert answer.outcome is Replied.DONE, answer
        assert still.state(job)[0] is is_on
    assert ask(source, "run_due", job, still.environment, timedelta(seconds=30)).what.endswith("not-due")
    unknown = ask(source, "enable", "no-such-job", still.environment, timedelta(seconds=30))
    assert unknown.outcome is Replied.REFUSED
    assert re.search("unknown cron job id|not found", unknown.what)


def test_a_job_that_the_gateway_gave_up_is_enabled_and_runs_again(tmp_path: Path) -> None:
    with real_gateway(tmp_path / "home") as gateway:
        _give_up_and_enable(tmp_path, gateway)


def _give_up_and_enable(tmp_path: Path, gateway: RealGateway) -> None:
    gateway.start()
    job = gateway.add("digest", "5s")
    gateway.stop()
    given_up = {"reason": "consecutive-failures", "atMs": 1_790_000_000_000, "consecutiveErrors": 10}
    failed = {"lastRunStatus": "error", "lastStatus": "error", "lastErrorReason": "rate_limit", "consecutiveErrors": 10}
    gateway.change(job, {"enabled": False}, {"autoDisabled": given_up, **failed})
    file = watched(tmp_path, gateway, {"match": {"kind": "failed"}, "action": "enable", "after": "1s"})

    with running(tmp_path) as service:
        unable = settled(file, service, "unable")
        assert "cannot act: the gateway is down: Gateway not reachable" in said(unable)

        gateway.start()
        done = command("revive", "digest", "-c", file)
        assert done.returncode == 0, done.stderr
        assert gateway.state(job)[0] is True
        proved = settled(file, service, "verified")
        assert proved["policy"] == "by hand"
        assert said(proved).endswith("its next run ended ok, with tokens")


def told(file: Path) -> set[tuple[str, str | None]]:
    """What one look finds, as kinds and jobs."""
    file.write_text(file.read_text().replace("PORT", "9846"))  # nobody listens there
    done = command("check", "-c", file, "--format", "json")
    assert done.returncode in (0, 1, 2), done.stderr
    return {(each["kind"], each["job"]) for each in json.loads(done.stdout)["findings"]}


@contextmanager
def served(folder: Path, gateway: RealGateway) -> Iterator[tuple[Path, Running]]:
    """The configuration for single looks, and the service that runs beside them."""
    for each in ("looks", "service"):
        (folder / each).mkdir()
    watched(folder / "service", gateway)
    with running(folder / "service") as service:
        yield watched(folder / "looks", gateway), service


def test_jobs_of_every_kind_are_well_and_those_that_a_dead_model_skips_are_told(tmp_path: Path) -> None:
    with real_gateway_and_model(tmp_path / "home") as (gateway, model):
        gateway.start()
        with served(tmp_path, gateway) as (file, service):
            _of_every_kind(gateway, model, file, service)


def _of_every_kind(gateway: RealGateway, model: ModelServer, file: Path, service: Running) -> None:
    assert told(file) == set()
    gateway.plan("exits", "--on-exit", "sleep 3600")
    gateway.plan("follows", "--stream-command", '["sleep", "3600"]')
    gateway.plan("daily", "--cron", "@DAILY")
    gateway.plan("years", "--cron", "0 0 4 * * * 2099")
    paces = gateway.plan("paces", "--every", "1m", "--pacing-min", "1m", "--pacing-max", "4h")
    assert told(file) == set(service.findings()) == set()
    gateway.stop()
    later = int(time.time() * 1000) + 3 * 3_600_000
    gateway.change(paces, {}, {"nextRunAtMs": later, "pacedNextRunAtMs": later})
    model.shut_off()
    gateway.start()
    assert gateway.state(paces)[1]["nextRunAtMs"] == later
    gateway.plan("skips", "--every", "5s")
    gateway.plan("once", "--at", "5s", "--keep-after-run")
    expected = {("skipping", "skips"), ("skipping", "once")}
    assert until(lambda: expected <= told(file), "the skipped runs are told", PATIENCE)
    assert until(lambda: expected == set(service.findings()), "the service tells them too", PATIENCE)
    assert told(file) == expected


def test_a_gateway_that_is_killed_in_mid_run_is_told(tmp_path: Path) -> None:
    with real_gateway_and_model(tmp_path / "home") as (gateway, model):
        gateway.start()
        with served(tmp_path, gateway) as (file, service):
            _killed_in_mid_run(gateway, model, file, service)


def _killed_in_mid_run(gateway: RealGateway, model: ModelServer, file: Path, service: Running) -> None:
    job = gateway.add("digest", "5s")
    model.hangs.set()
    until(lambda: "runningAtMs" in gateway.state(job)[1], "a run is in flight", PATIENCE)
    assert told(file) == set(service.findings()) == set()
    gateway.kill()
    assert until(lambda: ("stalled", None) in told(file), "the dead gateway is told by one look", PATIENCE)
    assert until(lambda: ("stalled", None) in service.findings(), "and by the service", PATIENCE)
    model.hangs.clear()
    gateway.start()
    assert until(lambda: ("interrupted", "digest") in told(file), "the interruption is told", PATIENCE)
    assert until(lambda: ("stalled", None) not in service.findings(), "it is over for the service", PATIENCE)
