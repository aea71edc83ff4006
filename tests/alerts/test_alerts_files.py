"""The files for Prometheus, Alertmanager, Grafana, Docker, Kubernetes and systemd, each by its own checker."""

import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from alerts.generate import files
from alerts.grafana import generate
from tests.conftest import build, cost_row, healthy, job_row, session_row
from tests.support.command import ROOT, needs
from tests.systems.test_recordings import names, rebuilt, recording
from watchdog.config.file import Config
from watchdog.config.reading import load
from watchdog.core.kinds import Kind, Severity
from watchdog.demo.story import World
from watchdog.engine import Engine
from watchdog.metrics.collection import Metrics
from watchdog.systems.phantom.section import Phantom

ALERTS = ROOT / "alerts"
RUNBOOKS = ALERTS / "runbooks"
STACK = ROOT / "config/stack"
KUBERNETES = ROOT / "config/kubernetes"
KUBERNETES_VERSION = "1.31"
UNIT = ROOT / "config/systemd/scheduler-watchdog.service"


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, cwd=cwd)


def passes(*command: str | Path, cwd: Path = ROOT) -> None:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def alerts() -> list[dict[str, Any]]:
    groups = read(ALERTS / "prometheus-rules.yaml")["groups"]
    return [rule for group in groups for rule in group["rules"] if "alert" in rule]


# Prometheus


def test_promtool_accepts_the_rules_and_their_unit_tests_pass() -> None:
    promtool = needs("promtool")
    passes(promtool, "check", "rules", ALERTS / "prometheus-rules.yaml")
    passes(promtool, "test", "rules", ALERTS / "prometheus-rules-test.yaml")


def test_each_alert_has_a_unit_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    tested: dict[str, set[bool]] = {}
    for test in read(ALERTS / "prometheus-rules-test.yaml")["tests"]:
        for case in test["alert_rule_test"]:
            tested.setdefault(case["alertname"], set()).add(bool(case["exp_alerts"]))
    always = {"WatchdogDeadMansSwitch": {True}}
    assert tested == {alert["alert"]: {True, False} for alert in alerts()} | always


def test_each_alert_says_what_how_bad_and_where_to_read_on() -> None:
    for alert in alerts():
        assert alert["labels"]["severity"] in {*Severity, "none", "{{ $labels.severity }}"}, alert["alert"]
        assert {"summary", "description", "runbook_url"} == set(alert["annotations"]), alert["alert"]
        assert len(alert["annotations"]["description"]) < 500, alert["alert"]
        page = ROOT / alert["annotations"]["runbook_url"]
        assert page.parent == RUNBOOKS
        assert alert["alert"] in page.read_text().splitlines()[0], alert["alert"]


def test_each_condition_has_an_alert_of_the_name_that_the_watchdog_posts_it_under() -> None:
    have = {alert["alert"]: (alert["labels"].get("kind"), alert["annotations"]["runbook_url"]) for alert in alerts()}
    assert {kind.alert: (kind.value, kind.runbook) for kind in Kind}.items() <= have.items()
    about_it = {name for name in have if name.startswith("Watchdog")} | {"SchedulerOverloaded"}
    assert have.keys() - about_it == {kind.alert for kind in Kind} - about_it, (
        "the rest are the watchdog's own failures"
    )


def test_whatever_fires_outlasts_the_time_until_a_watchdog_that_is_gone_is_told() -> None:
    absent = next(alert for alert in alerts() if alert["alert"] == "WatchdogAbsent")
    of_kinds = [alert for alert in alerts() if "kind" in alert["labels"]]
    assert {minutes(alert["keep_firing_for"]) for alert in of_kinds} == {2 * minutes(absent["for"])}


def minutes(said: str) -> int:
    return int(said.removesuffix("m"))


def test_one_setting_makes_the_links_to_the_runbooks_addresses(tmp_path: Path) -> None:
    passes(
        sys.executable,
        "-m",
        "alerts.generate",
        "--runbooks",
        "https://git.example.org/dog/blob/main",
        "--into",
        tmp_path,
    )
    there = (tmp_path / "prometheus-rules.yaml").read_text()
    here = (ALERTS / "prometheus-rules.yaml").read_text()
    assert there == here.replace("runbook_url: ", "runbook_url: https://git.example.org/dog/blob/main/")


@pytest.mark.parametrize("count", [1, 10, 98])
def test_a_message_to_slack_names_ten_at_most_and_calls_nobody(count: int, tmp_path: Path) -> None:
    annotations = {"description": "It was.", "runbook_url": "https://example.org/failed.md"}
    shown = [
        {"annotations": annotations | {"summary": f"job-{number} <!channel> was given up"}} for number in range(count)
    ]
    (tmp_path / "data.json").write_text(json.dumps({"status": "firing", "alerts": shown}))
    template = read(ALERTS / "alertmanager.yaml")["receivers"][0]["slack_configs"][0]["text"]
    arguments = ["--template.glob=", f"--template.data={tmp_path}/data.json", f"--template.text={template}"]
    lines = run(needs("amtool"), "template", "render", *arguments).stdout.strip().splitlines()
    told = "{} &lt;!channel> was given up. It was. See https://example.org/failed.md"
    assert lines[:10] == [told.format(f"job-{number}") for number in range(min(count, 10))]
    assert lines[10:] == ([f"and {count - 10} more"] if count > 10 else [])


def test_prometheus_and_alertmanager_accept_the_configuration_of_the_stack(tmp_path: Path) -> None:
    config = (STACK / "prometheus.yaml").read_text()
    (tmp_path / "prometheus.yaml").write_text(config.replace("/etc/prometheus", str(ALERTS)))
    passes(needs("promtool"), "check", "config", tmp_path / "prometheus.yaml")
    agent = (STACK / "agent.yaml").read_text().replace("/run/secrets/remote_write_password", str(STACK / "agent.yaml"))
    (tmp_path / "agent.yaml").write_text(agent)
    passes(needs("promtool"), "check", "config", "--agent", tmp_path / "agent.yaml")
    passes(needs("promtool"), "check", "web-config", STACK / "centre-web.yaml")
    passes(needs("amtool"), "check-config", ALERTS / "alertmanager.yaml")


@pytest.mark.parametrize(
    ("labels", "receivers"),
    [
        ("owner=ops", "ops"),
        ("owner=ops,mail", "ops,mail"),
        ("owner=devops", "everybody"),
        ("severity=critical", "everybody"),
        ("severity=none", "nobody"),
        ("alertname=WatchdogDeadMansSwitch", "dead-mans-switch"),
    ],
)
def test_an_alert_goes_to_its_owners(labels: str, receivers: str) -> None:
    config = f"--config.file={ALERTS / 'alertmanager.yaml'}"
    assert run(needs("amtool"), "config", "routes", "test", config, labels).stdout.strip() == receivers


def test_inhibitions_name_only_alerts_and_kinds_that_there_are() -> None:
    have = {alert["alert"] for alert in alerts()} | {kind.value for kind in Kind}
    for rule in read(ALERTS / "alertmanager.yaml")["inhibit_rules"]:
        for matchers in (rule["source_matchers"], rule["target_matchers"]):
            told = [matcher for matcher in matchers if matcher.startswith(("kind", "alertname"))]
            named = {name for matcher in told for name in re.findall(r"\w+", matcher.partition("=")[2])}
            assert told
            assert named <= have


# metrics


def exposed(folder: Path) -> dict[str, tuple[str, str, set[str]]]:
    """Each family's type, help and labels, of the demo's agent in its outage."""
    now = datetime(2026, 4, 29, 10, 30, tzinfo=UTC)
    with World(folder / "phantom.db").simulator as simulator:
        simulator.run_until(now)
    metrics = Metrics()
    metrics.ticked(Engine(Config(sources=(Phantom(name="demo", database=folder / "phantom.db"),))).tick(now), now, 0.1)
    metrics.notified("ops", "sent")
    metrics.recovered("revive", "verified")
    metrics.counted((), 0, now)
    text = metrics.text().decode()
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    found = {}
    for name, words in re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE):
        lines = re.findall(rf"^{name}(?:_bucket|_sum|_count)?\{{(.*)\}} \S+$", text, re.MULTILINE)
        labels = {label for line in lines for label in re.findall(r'(\w+)="', line)} - {"le"}
        found[name] = (types[name], words, labels)
    return found


def documented() -> dict[str, tuple[str, str, set[str]]]:
    rows = re.findall(
        r"^\| `(\w+)` \| (\w+) \| (.*?) \| (.+) \|$", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    return {name: (kind, words, set(re.findall(r"`(\w+)`", labels))) for name, kind, labels, words in rows}


def test_the_reference_has_exactly_the_metrics_that_the_program_exposes(tmp_path: Path) -> None:
    have, told = exposed(tmp_path), documented()
    assert told.keys() == have.keys()
    for name, (kind, words, labels) in have.items():
        assert told[name][:2] == (kind, words), name
        # a family that has no sample here shows no labels
        assert labels in (told[name][2], set()), name


def test_rules_and_dashboards_ask_only_for_metrics_that_there_are(tmp_path: Path) -> None:
    have = exposed(tmp_path).keys()
    texts = [path.read_text() for path in (ALERTS / "prometheus-rules.yaml", *(ALERTS / "grafana").glob("*.json"))]
    asked = {name for text in texts for name in re.findall(r"(?<![:\w])watchdog_\w+", text)}
    assert asked
    assert {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked} <= have


# Grafana


@pytest.mark.parametrize("name", files())
def test_a_file_is_what_its_generator_makes(name: str) -> None:
    assert (ALERTS / name).read_text() == files()[name], "run `python -m alerts.generate`"


@pytest.mark.parametrize("name", generate.FILES)
def test_a_dashboard_can_be_provisioned_as_it_is(name: str) -> None:
    board = json.loads((ALERTS / "grafana" / name).read_text())
    panels = board["panels"]
    assert board["uid"]
    assert "id" not in board, "an id belongs to one Grafana"
    assert len({panel["id"] for panel in panels}) == len(panels)
    variables = {variable["name"] for variable in board["templating"]["list"]}
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["datasource"]["uid"] == "${datasource}"
            assert panel["targets"]
            assert panel["description"], panel["title"]
        for target in panel.get("targets", ()):
            assert set(re.findall(r"\$([a-z]\w*)", target["expr"])) <= variables
    assert board["editable"]
    assert {each["type"] for each in read(STACK / "grafana/datasource.yaml")["datasources"]} == {"prometheus"}


@pytest.mark.parametrize("name", generate.FILES)
def test_every_panel_is_about_the_hosts_that_are_chosen(name: str) -> None:
    for panel in json.loads((ALERTS / "grafana" / name).read_text())["panels"]:
        for target in panel.get("targets", ()):
            asked = target["expr"].replace(generate.NAMES, "")
            metrics = re.findall(r"\b(?:watchdog_\w+|process_\w+|up)\b", asked)
            assert asked.count('instance=~"$instance"') == len(metrics), panel["title"]


def test_a_job_in_the_overview_leads_to_its_history() -> None:
    panels = json.loads((ALERTS / "grafana/overview.json").read_text())["panels"]
    of_jobs = [
        panel for panel in panels if any(generate.NAMES in target["expr"] for target in panel.get("targets", ()))
    ]
    assert len(of_jobs) == 5
    job = json.loads((ALERTS / "grafana/job.json").read_text())
    variables = {variable["name"] for variable in job["templating"]["list"]}
    for panel in of_jobs:
        (link,) = [
            link
            for override in panel["fieldConfig"]["overrides"]
            for each in override["properties"]
            if each["id"] == "links"
            for link in each["value"]
        ]
        path, _, query = link["url"].partition("?")
        assert path == f"/d/{job['uid']}"
        assert set(re.findall(r"var-(\w+)=", query)) == variables
        # what is cut out of the table before it is drawn cannot be in a link
        cut = {name for each in panel["transformations"] for name in each["options"]["excludeByName"]}
        assert cut.isdisjoint(re.findall(r"\$\{__data\.fields\.(\w+)\}", link["url"] + link["title"]))


def test_no_list_in_the_overview_grows_with_the_fleet() -> None:
    for panel in json.loads((ALERTS / "grafana/overview.json").read_text())["panels"]:
        for target in panel.get("targets", ()):
            by_job_or_host = re.search(r"by \([^)]*instance|group_left", target["expr"])
            if by_job_or_host and panel["type"] != "stat" and "count(" not in target["expr"]:
                assert re.search(r"(top|bottom)k\(\d+, ", target["expr"]), panel["title"]


# runbooks


def queries(page: str) -> list[str]:
    return re.findall(r"^```sql\n(.+?)^```", (RUNBOOKS / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL)


def asked(page: str, path: Path, now: str) -> list[tuple[object, ...]]:
    """All rows that the page's queries give at that instant, each begins with the job's name."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        return [row for query in queries(page) for row in connection.execute(query.replace("'now'", f"'{now}'"))]


def seen_in_recordings() -> list[tuple[str, str, str]]:
    found = [(name, *pair) for name in names() for pair in recording(name)["findings"]]
    about_jobs = [(name, kind, job) for name, kind, job in found if job is not None]
    return [*about_jobs, ("stall-dead-timer", "stalled", "poll")]


@pytest.mark.parametrize(("name", "kind", "job"), seen_in_recordings())
def test_what_is_found_in_a_recording_is_seen_by_hand_with_the_runbook(
    name: str, kind: str, job: str, tmp_path: Path
) -> None:
    rows = asked(kind, rebuilt(name, tmp_path), recording(name)["now"])
    assert job in {row[0] for row in rows}


PAGES_WITH_SQL = [kind.value for kind in Kind if queries(kind.value)]


@pytest.mark.parametrize("name", [name for name in names() if "healthy" in name])
@pytest.mark.parametrize("page", PAGES_WITH_SQL)
def test_the_runbooks_see_nothing_where_all_is_well(page: str, name: str, tmp_path: Path) -> None:
    assert asked(page, rebuilt(name, tmp_path), recording(name)["now"]) == []


def test_a_long_run_and_a_job_that_is_gone_are_seen_by_hand(tmp_path: Path) -> None:
    rows = healthy()
    running = [job_row(last_run_duration_ms=60_000)]
    touched = [session_row("id-heartbeat", "2026-06-10 11:20:00"), session_row("id-gone", "2026-05-01 03:00:00")]
    path = build(tmp_path / "phantom.db", rows | {"scheduled_jobs": running, "sessions": touched})
    assert [row[0] for row in asked("long_run", path, "2026-06-10 12:00:00")] == ["heartbeat"]
    assert asked("wedged", path, "2026-06-10 12:00:00") == []
    for page in ("swept", "vanished"):
        assert [row[0] for row in asked(page, path, "2026-06-10 12:00:00")] == ["scheduler:sched:id-gone"]


def test_a_runaway_and_what_is_dear_are_seen_by_hand(tmp_path: Path) -> None:
    rows = healthy()
    rows["scheduled_jobs"].append(job_row("loop"))
    bills = [cost_row("id-loop", f"2026-06-10 11:{minute}:00", cost_usd=15.0) for minute in range(10, 20)]
    path = build(tmp_path / "phantom.db", rows | {"cost_events": [*rows["cost_events"], *bills]})
    for page in ("runaway", "overspend"):
        assert [row[0] for row in asked(page, path, "2026-06-10 12:00:00")] == ["loop"]


def test_what_the_recordings_do_not_show_is_tested_beside_them() -> None:
    shown = {kind for _, kind, _ in seen_in_recordings()} | {"long_run", "swept", "vanished", "runaway", "overspend"}
    assert set(PAGES_WITH_SQL) == shown
    assert {kind.value for kind in Kind} - shown == {"unreachable", "interrupted", "skipping", "blind", "unsaved"}, (
        "these have no rows to ask for"
    )


# ways to run it


def test_the_compose_files_hang_together() -> None:
    for path in (STACK / "compose.yaml", STACK / "agent.compose.yaml", ROOT / "config/docker-compose.yaml"):
        compose = read(path)
        services, volumes = compose["services"], compose["volumes"]
        mounts = [mount.split(":") for service in services.values() for mount in service["volumes"]]
        here = [path.parent / mount[0] for mount in mounts if mount[0].startswith(".")]
        assert [place for place in here if not place.exists()] == []
        assert {mount[0] for mount in mounts if not mount[0].startswith(".")} == set(volumes)
        assert all(port.startswith("127.0.0.1:") for service in services.values() for port in service["ports"])
        watchdog = services["watchdog"]
        assert (path.parent / watchdog["build"]["context"] / "Dockerfile").exists()
        assert "phantom_data:/data:ro" in watchdog["volumes"]
    for name in ("prometheus.yaml", "agent.yaml"):
        (scraped,) = read(STACK / name)["scrape_configs"]
        assert (scraped["job_name"], scraped["static_configs"][0]["targets"]) == (
            "scheduler-watchdog",
            ["watchdog:9846"],
        )
    whole, centre = read(STACK / "compose.yaml"), read(STACK / "centre.compose.yaml")
    assert centre["services"].keys() <= whole["services"].keys()
    assert set(whole["services"]["prometheus"]["command"]) <= set(centre["services"]["prometheus"]["command"])
    assert (STACK / centre["services"]["prometheus"]["volumes"][0].split(":")[0]).exists()


def manifests() -> list[Any]:
    files = sorted(KUBERNETES.glob("*.yaml"))
    return [
        pytest.param(document, id=f"{path.stem}-{document['kind']}")
        for path in files
        for document in yaml.safe_load_all(path.read_text())
    ]


@pytest.mark.parametrize("manifest", manifests())
def test_a_kubernetes_file_is_what_the_schema_allows(manifest: dict[str, Any], tmp_path: Path) -> None:
    if manifest["kind"] == "ServiceMonitor":  # the Prometheus operator's own, in no schema of Kubernetes
        assert manifest["apiVersion"] == "monitoring.coreos.com/v1"
        assert set(manifest["spec"]) == {"selector", "endpoints"}
        return
    kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)
    if manifest["kind"] == "ConfigMap":
        (tmp_path / "watchdog.yaml").write_text(manifest["data"]["watchdog.yaml"])
        assert load(tmp_path / "watchdog.yaml").http.address.port == 9846


@pytest.mark.parametrize("name", ["standalone", "sidecar"])
def test_the_parts_of_a_kubernetes_file_find_each_other(name: str) -> None:
    parts = {part["kind"]: part for part in yaml.safe_load_all((KUBERNETES / f"{name}.yaml").read_text())}
    pod = parts["Deployment"]["spec"]["template"]
    watchdog = next(each for each in pod["spec"]["containers"] if each["name"] == "watchdog")
    claims = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert {mount["name"] for mount in watchdog["volumeMounts"]} <= claims.keys()
    service = parts["Service"]["spec"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    assert service["ports"][0]["targetPort"] == watchdog["ports"][0]["name"]
    monitor = read(KUBERNETES / "servicemonitor.yaml")["spec"]
    assert monitor["selector"]["matchLabels"].items() <= parts["Service"]["metadata"]["labels"].items()
    assert monitor["endpoints"][0]["port"] == service["ports"][0]["name"]
    # the operator names the scrape job after the service, and the rules go by it
    assert parts["Service"]["metadata"]["name"] == "scheduler-watchdog"
    assert watchdog["livenessProbe"]["httpGet"]["path"] == "/healthz"


def test_systemd_accepts_the_unit_and_finds_it_hardened(tmp_path: Path) -> None:
    analyze = needs("systemd-analyze")
    unit = tmp_path / UNIT.name
    command = Path(sys.executable).with_name("scheduler-watchdog")
    unit.write_text(UNIT.read_text().replace("/opt/scheduler-watchdog/bin/scheduler-watchdog", str(command)))
    verified = run(analyze, "verify", "--man=no", unit)
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    passes(analyze, "security", "--offline=true", "--threshold=20", unit)


def test_the_unit_starts_it_as_the_command_line_wants_it() -> None:
    settings = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    assert settings["ExecStart"].split()[1:] == ["run", "-c", "/etc/scheduler-watchdog/watchdog.yaml"]
    assert settings["Type"] == "notify"
    assert {"WatchdogSec", "ProtectSystem", "NoNewPrivileges", "StateDirectory"} <= settings.keys()
