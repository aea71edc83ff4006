"""Several hosts whose sources have one name: the panels' sums, with a real Prometheus; and a host behind NAT."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from alerts import rules
from tests.conftest import build, healthy, job_row
from tests.support.alertmanager import Manager
from tests.support.backfill import BEGIN, END, HOSTS, two_hosts
from tests.support.command import ROOT, free_port, running, until
from tests.support.stack import (
    SCRAPE,
    SECOND,
    Prometheus,
    fetch,
    of_the_stack,
    routes_for_a_test,
    rules_for_a_test,
    storing,
    told,
)
from tests.support.told import Inbox

DASHBOARDS = ("overview", "job")
TIMES = {"$__rate_interval": "15m", "$__interval": "5m", "$__range": "85m"}
EXTREMES = {"Time to the next deadline: next": min, "Last look: ago": max}
"""What is no sum over the hosts."""

Series = Mapping[frozenset[tuple[str, str]], float]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with two_hosts(tmp_path_factory.mktemp("fleet")) as server:
        yield server


def expressions(name: str) -> list[tuple[str, str]]:
    board = json.loads((ROOT / f"alerts/grafana/{name}.json").read_text())
    panels = [(panel["title"], target) for panel in board["panels"] for target in panel.get("targets", ())]
    return [(f"{title}: {target['legendFormat']}", target["expr"]) for title, target in panels]


def filled(expression: str, hosts: str, job: str = ".+") -> str:
    chosen = TIMES | {"$instance": hosts, "$source": ".+", "$job_id": job}
    for name, value in chosen.items():
        expression = expression.replace(name, value)
    return expression


def shown(server: Prometheus, expression: str) -> Series:
    found = server.now(expression, END)
    return {frozenset(labels.items()): number for labels, number in found if number == number}


def together(title: str, parts: list[Series]) -> Series:
    """What both hosts must show, from what each shows alone."""
    combine = EXTREMES.get(title, sum)
    keys = {key for part in parts for key in part}
    return {key: combine([part[key] for part in parts if key in part]) for key in keys}


@pytest.mark.parametrize(("title", "expression"), [pytest.param(*each, id=each[0]) for each in expressions("overview")])
def test_a_panel_shows_of_two_hosts_what_each_shows_alone_or_its_sum(
    title: str, expression: str, fleet: Prometheus
) -> None:
    alone = [shown(fleet, filled(expression, host)) for host in HOSTS]
    both = shown(fleet, filled(expression, ".+"))
    assert both or title == "Failed rows: time to the sweep: {{instance}} {{source}}: {{job}}"
    assert both == pytest.approx(together(title, alone))


@pytest.mark.parametrize(("title", "expression"), [pytest.param(*each, id=each[0]) for each in expressions("job")])
def test_a_panel_about_a_job_shows_something_of_some_job(title: str, expression: str, fleet: Prometheus) -> None:
    jobs = {labels["job_id"] for labels, _ in fleet.now("watchdog_job_info", END)}
    assert any(shown(fleet, filled(expression, host, job)) for host in HOSTS for job in jobs), title


def test_what_is_wrong_on_two_hosts_is_counted_together(fleet: Prometheus) -> None:
    wrong = dict(expressions("overview"))
    failed = [shown(fleet, f'watchdog_findings{{instance="{host}", kind="failed"}}') for host in HOSTS]
    counts = [number for series in failed for number in series.values()]
    assert counts == [1, 2]
    table = shown(fleet, filled(wrong["By condition: {{source}}: {{kind}}"], ".+"))
    assert [number for labels, number in table.items() if ("kind", "failed") in labels] == [3]


@pytest.mark.parametrize("title", ["Cost: {{source}}", "Tokens: {{direction}}"])
def test_the_bars_sum_up_to_what_was_spent_also_over_a_hole(title: str, fleet: Prometheus) -> None:
    expression = filled(dict(expressions("overview"))[title], ".+")
    bars: dict[str, float] = {}
    at = BEGIN + timedelta(minutes=5)
    while at <= END:
        for labels, number in fleet.now(expression, at):
            (name,) = labels.values()
            bars[name] = bars.get(name, 0) + number
        at += timedelta(minutes=5)
    metric, by = {"Cost": ("cost_usd", "source"), "Tokens": ("tokens", "direction")}[title.partition(":")[0]]
    total = f"sum by ({by}) (watchdog_job_{metric}_total)"
    begin, end = ({labels[by]: number for labels, number in fleet.now(total, at)} for at in (BEGIN, END))
    assert any(end[name] > begin[name] for name in end)
    assert bars == pytest.approx({name: end[name] - begin[name] for name in end})


def test_a_host_behind_nat_writes_to_the_centre_and_is_missed_there_when_it_stops(tmp_path: Path) -> None:
    given_up(tmp_path)
    with running(tmp_path) as watchdog, centre(tmp_path / "centre").running() as there:
        agent = beside(tmp_path / "agent", watchdog.url.removeprefix("http://"), f"{there.url}/api/v1/write")
        with agent.running():
            until(lambda: ("SchedulerJobFailed", "garden", "digest") in there.firing(), "the centre tells the outage")
            assert "watchdog_job_error_info" in {labels["__name__"] for labels, _ in there.now('{writes="true"}')}
            assert not any(name.startswith("Watchdog") and host for name, host, _ in there.firing())
        until(lambda: ("WatchdogHostSilent", "garden", "") in there.firing(), "the centre misses the host")
        assert ("SchedulerJobFailed", "garden", "digest") in there.firing(), "it is not told as resolved"
        assert not any(name in ("WatchdogAbsent", "WatchdogLoopLate") for name, _, _ in there.firing())


@pytest.mark.slow
def test_a_watchdog_that_dies_in_an_outage_is_told_and_nothing_as_over(tmp_path: Path) -> None:
    port = free_port()
    given_up(tmp_path, str(port))
    hooks = Inbox()
    manager = Manager(tmp_path, hooks)
    (tmp_path / "alertmanager.yml").write_text(routes_for_a_test(hooks.port))
    manager.start()
    host = f"127.0.0.1:{port}"
    outage, gone = ("everybody", "SchedulerJobFailed", "digest"), ("everybody", "WatchdogAbsent", "")
    config = of_the_stack(tmp_path, host, manager.url.removeprefix("http://"), kept=3)
    try:
        with Prometheus(tmp_path / "server", config, *storing(tmp_path)).running() as server:
            with running(tmp_path):
                until(lambda: outage in told(hooks, "firing"), "the outage is told")
            until(lambda: gone in told(hooks, "firing"), "the watchdog's end is told")
            until(lambda: ("SchedulerJobFailed", host, "digest") not in server.firing(), "what it had found ends")
            until(lambda: "SchedulerJobFailed" not in known(manager), "Alertmanager forgets it")
            assert told(hooks, "resolved") == set()
            messages = said(hooks, "SchedulerJobFailed")
            with running(tmp_path):
                until(lambda: gone in told(hooks, "resolved"), "the watchdog is back")
                until(lambda: "SchedulerJobFailed" in known(manager), "the outage goes on")
            assert said(hooks, "SchedulerJobFailed") == messages, "it is told once"
    finally:
        manager.stop()
        hooks.close()


def known(manager: Manager) -> set[str]:
    """The alerts that Alertmanager shows as going on."""
    alerts = fetch(f"{manager.url}/api/v2/alerts?active=true&inhibited=true") or []
    return {alert["labels"]["alertname"] for alert in alerts}


def said(hooks: Inbox, name: str) -> int:
    """How many messages were about this alert."""
    return sum(body["groupLabels"].get("alertname") == name for _, body in list(hooks.posts))


def given_up(folder: Path, port: str = "PORT") -> None:
    """A database with a job that was given up, and the configuration for its watchdog."""
    rows = healthy()
    error = {"last_run_status": "error", "last_run_error": "Error: 429 rate_limit_error", "consecutive_errors": 10}
    rows["scheduled_jobs"].append(job_row("digest", status="failed", next_run_at=None, **error))
    build(folder / "phantom.db", rows)
    config = f"sources: [{{database: {folder}/phantom.db}}]\nhttp: {{listen: '127.0.0.1:{port}'}}\npoll: 100ms\n"
    (folder / "watchdog.yaml").write_text(config)


def centre(folder: Path) -> Prometheus:
    """A server with the rules that scrapes nobody, and misses a host after some seconds instead of a minute."""
    folder.mkdir()
    path = rules_for_a_test(folder)
    path.write_text(path.read_text().replace(f'writes="true"}}[{rules.SILENT_AFTER}]', 'writes="true"}[6s]'))
    config = {"global": {"evaluation_interval": SECOND}, "rule_files": [str(path)]}
    return Prometheus(folder, config, "--web.enable-remote-write-receiver", *storing(folder))


def beside(folder: Path, target: str, write: str) -> Prometheus:
    """The committed agent's configuration at other addresses, and in a hurry."""
    folder.mkdir()
    config = yaml.safe_load((ROOT / "config/stack/agent.yaml").read_text())
    config["global"] |= {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE}
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [target]
    config["remote_write"] = [{"url": write, "queue_config": {"batch_send_deadline": SECOND}}]
    return Prometheus(folder, config, "--enable-feature=agent", f"--storage.agent.path={folder}/wal")
