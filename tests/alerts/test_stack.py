"""The committed rules, routes and dashboards with real servers: watchdog, Prometheus, Alertmanager, a webhook."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command import ROOT, until
from tests.support.stack import Stack, posted, stack
from watchdog.demo.story import World

DASHBOARDS = sorted((ROOT / "alerts/grafana").glob("*.json"))
TIMES = {"$__rate_interval": "10s", "$__interval": "10s", "$__range": "1m"}
VARIABLES = TIMES | {"$instance": ".+", "$source": ".+", "$job_id": ".+"}


@pytest.fixture(scope="module")
def after_the_outage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The demo's outage from its alerts to its end; the servers still run."""
    with stack(tmp_path_factory.mktemp("stack")) as running:
        wanted = {("ops", "SchedulerJobFailed", "heartbeat"), ("everybody", "SchedulerJobWedged", "repo-digest")}
        until(lambda: wanted <= running.told("firing"), "the outage is told")
        running.waited = until(running.waiting, "the symptoms are filed under their cause")
        assert running.told("resolved") == set()
        running.agent.do(World.restart)
        until(lambda: running.watchdog.findings() == [("failed", "heartbeat")], "the digest lets go of the slot")
        running.agent.do(World.owner_revives)
        running.agent.do(lambda world: world.simulator.run_now(world.ids["heartbeat"]))
        until(lambda: running.watchdog.findings() == [], "all is well again")
        until(lambda: wanted <= running.told("resolved"), "the end is told")
        until(lambda: running.firing() == {"WatchdogDeadMansSwitch"}, "only the dead man's switch fires")
        yield running


def test_an_outage_goes_from_the_database_to_its_owners_and_back_to_resolved(after_the_outage: Stack) -> None:
    nobody_else = {("dead-mans-switch", "WatchdogDeadMansSwitch", "")}
    outage = {("ops", "SchedulerJobFailed", "heartbeat"), ("everybody", "SchedulerJobWedged", "repo-digest")}
    told = after_the_outage.told("firing")
    assert told - nobody_else == outage
    assert after_the_outage.told("resolved") - nobody_else == outage
    assert ("dead-mans-switch", "WatchdogDeadMansSwitch", "") in told


def test_late_jobs_are_held_back_under_the_run_that_holds_the_slot(after_the_outage: Stack) -> None:
    assert after_the_outage.waited == {("inbox-triage", "wedged"), ("price-watch", "wedged")}
    assert not any(name == "SchedulerJobOverdue" for _, name, _ in after_the_outage.told("firing"))


def test_each_cause_holds_its_own_symptoms_back_and_no_others(tmp_path: Path) -> None:
    slot = ("wedged", "long_run", "unrecorded", "stalled")
    late = {"kind": "overdue", "job_id": "late"}
    pairs = [({"kind": cause}, late | {"caused_by": cause}, {"source": cause}) for cause in slot]
    pairs += [
        ({"kind": "failing"}, {"kind": "zero_tokens"}, {"source": "a", "job_id": "same"}),
        ({"severity": "critical"}, {"severity": "warning"}, {"kind": "expiring", "source": "b", "job_id": "same"}),
        named("WatchdogNotificationsGivenUp", "WatchdogNotificationsFailing", channel="ops"),
        named("WatchdogNotificationsFailing", "WatchdogOutboxOld"),
        ({"alertname": "WatchdogAbsent"}, {"kind": "failed", "source": "gone"}, {"instance": "gone"}),
        ({"alertname": "WatchdogHostSilent"}, {"kind": "stalled", "source": "silent"}, {"instance": "silent"}),
    ]
    alone = [
        late | {"source": "another", "caused_by": "wedged"},
        late | {"source": "wedged"},
        {"kind": "zero_tokens", "source": "a", "job_id": "another"},
        {"kind": "expiring", "severity": "warning", "source": "b", "job_id": "another"},
        {"alertname": "WatchdogNotificationsFailing", "channel": "mail"},
        # there is no watchdog, says Prometheus; one that it does not scrape posts itself
        {"alertname": "WatchdogAbsent", "instance": ""},
        {"kind": "failed", "source": "posted", "instance": ""},
    ]
    here = {"alertname": "An alert", "instance": "here"}
    both = [here | shared | own for cause, symptom, shared in pairs for own in (cause, symptom)]
    with posted(tmp_path, [*both, *[here | each for each in alone]]) as inhibited:
        symptoms = [here | shared | symptom for _, symptom, shared in pairs]
        assert inhibited == sorted((each["alertname"], each.get("source", "")) for each in symptoms)


def named(cause: str, symptom: str, **shared: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    return {"alertname": cause}, {"alertname": symptom}, shared


def _expressions() -> list[tuple[str, str]]:
    dashboards = [json.loads(path.read_text()) for path in DASHBOARDS]
    panels = [(board["title"], panel) for board in dashboards for panel in board["panels"]]
    return [
        (f"{title}: {panel['title']}: {target['legendFormat']}", target["expr"])
        for title, panel in panels
        for target in panel.get("targets", ())
    ]


@pytest.mark.parametrize("expression", [pytest.param(text, id=name) for name, text in _expressions()])
def test_every_expression_of_every_panel_gives_data(after_the_outage: Stack, expression: str) -> None:
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert not re.search(r"\$[a-z_{]", expression), "a variable that the test does not know"
    until(lambda: after_the_outage.prometheus.values(expression), f"there is data for {expression}")
