"""The table of kinds, and that what repeats it for people says the same."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support.command import ROOT
from tests.support.telling import MINUTE, Office, configured, finding
from tests.systems.test_recordings import names, rebuilt, recording
from watchdog.config.file import for_database
from watchdog.config.settings import Detect
from watchdog.config.sources import Section
from watchdog.core.fields import keys
from watchdog.core.instants import parse_instant
from watchdog.core.kinds import Concern, Family, Kind, exposed, of_family
from watchdog.core.model import Finding
from watchdog.detectors import DETECTORS, RULES
from watchdog.detectors.rules import Rule
from watchdog.engine import Engine
from watchdog.systems import KINDS
from watchdog.systems import system as system_of_kind
from watchdog.systems.base import CAUSE_GONE
from watchdog.systems.remedy import remedy, remedy_of, system_named
from watchdog.web.advice import advise


def sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def test_no_two_kinds_have_the_same_rank() -> None:
    assert len({kind.row.rank for kind in Kind}) == len(Kind)


def test_each_kind_is_found_by_the_file_of_its_name_in_the_order_of_the_table() -> None:
    found = [Path(detect.__code__.co_filename).stem for detect in DETECTORS]  # type: ignore[attr-defined]
    assert found == [kind.value for kind in Kind]


def test_each_kind_has_a_section_of_rules_and_each_section_a_kind() -> None:
    assert set(keys(Detect)) - {"jobs"} == {kind.value for kind in Kind}
    own = {kind: rule for kind, rule in RULES.items() if rule is not Rule}
    assert all(rule.kind is kind for kind, rule in own.items())
    assert own.keys() > {Kind.OVERDUE, Kind.FAILING}


def test_a_job_has_one_reason_to_be_late_the_most_specific() -> None:
    assert [kind.value for kind in of_family(Family.LATE)] == [
        "invalid",
        "unrecorded",
        "wedged",
        "long_run",
        "interrupted",
        "stranded",
        "overdue",
    ]


@pytest.mark.parametrize("name", names())
def test_nothing_is_found_with_a_severity_that_the_metrics_do_not_expose(name: str, tmp_path: Path) -> None:
    now = parse_instant(recording(name)["now"])
    found = Engine(for_database(rebuilt(name, tmp_path))).tick(now).published.findings
    assert {(each.kind, each.severity) for each in found} <= set(exposed())


@pytest.mark.parametrize("system", KINDS)
@pytest.mark.parametrize("kind", Kind)
def test_a_message_and_the_page_tell_one_remedy(kind: Kind, system: str) -> None:
    office = Office(configured(sources=[_anywhere(system)]))
    found = finding(kind.value)
    office.find(found)
    office.wait(MINUTE)
    (entry,) = office.store.waiting()
    told = dict(line.split(": ", 1) for line in entry.message["text"].splitlines() if ": " in line)["To do"]
    shown = advise(found, None, system)
    assert shown.words.startswith(sentence(remedy(kind, system))[:-1])
    assert told.removeprefix(f"{CAUSE_GONE}: ").startswith(shown.command or remedy(kind, system))


def test_nobody_is_told_to_restart_what_restarts_all_the_time() -> None:
    restart = {"match": {"kind": "stalled"}, "action": "restart", "run": ["docker", "restart", "phantom"]}
    config = configured(recovery={"mode": "observe", "policies": [restart]})
    assert advise(finding("stalled", None), config, "phantom").command == "docker restart phantom"
    in_a_loop = advise(finding("stalled", None, starts_in_vain=9), config, "phantom")
    assert in_a_loop.command == ""
    assert in_a_loop.words.startswith("Find in its own log what ends it")


HELD_UP = (
    ("phantom", "agent", "docker logs --tail 200 phantom", "docker restart phantom"),
    ("openclaw", "gateway", "openclaw logs --limit 500", "openclaw gateway restart"),
    ("hermes", "gateway", "tail -n 200 ~/.hermes/logs/agent.log", "hermes"),
    ("sql", "scheduler", "", ""),
    ("json", "scheduler", "", ""),
)


@pytest.mark.parametrize(("system", "process", "log", "restart"), HELD_UP)
def test_who_waits_for_a_run_is_told_where_to_see_what_it_is_at_and_what_ends_it(
    system: str, process: str, log: str, restart: str
) -> None:
    waits = finding("overdue", under=("in_flight", "digest"))
    for found in (waits, finding("long_run", "digest")):
        said, shown = remedy_of(found, system), advise(found, None, system)
        assert f"the {process}'s log" in said.short
        assert f"if it hangs, restart the {process} as you started it, which ends that run" in said.short
        assert (f", for example: {log}; or" in said.short) == bool(log)
        assert restart in said.short
        assert shown.words.casefold().rstrip(".") == said.short.casefold().replace("; or", "; or" if log else ". or")
        assert shown.command == ""
    assert "what the run of digest is at" in remedy_of(waits, system).short


@pytest.mark.parametrize("found", [finding("stalled", None), finding("overdue", under=("in_flight", "digest"))])
def test_the_restart_that_is_configured_stands_in_the_message_and_as_a_command_on_the_page(found: Finding) -> None:
    restart = {"match": {"kind": "stalled"}, "action": "restart", "run": ["sudo", "docker", "restart", "x"]}
    config = configured(recovery={"policies": [restart]})
    shown = advise(found, config, "phantom")
    assert shown.command == "sudo docker restart x"
    assert shown.command not in shown.words
    assert "as you started it" not in shown.words
    assert remedy_of(found, "phantom", "sudo docker restart x").short.endswith(", with: sudo docker restart x")


@pytest.mark.parametrize("system", KINDS)
def test_how_a_scheduler_is_restarted_is_said_alike_in_messages_and_on_the_page(system: str) -> None:
    stalled = finding("stalled", None)
    said, shown = remedy_of(stalled, system).short, advise(stalled, None, system).words
    assert said.startswith(f"restart the {system_named(system).process} as you started it")
    assert shown.casefold().rstrip(".") == said.casefold()


def _anywhere(kind: str) -> Section:
    """A source of this system, wherever it lies: nothing here reads it."""
    made_by = system_of_kind(kind).section
    section: Section = object.__new__(made_by).but(kind=kind, name="agent", labels={})
    return section


@pytest.mark.parametrize("system", KINDS)
@pytest.mark.parametrize("kind", Kind)
def test_each_kind_can_be_told_with_no_evidence_at_all(kind: Kind, system: str) -> None:
    assert kind.row.one
    assert kind.row.many
    assert remedy(kind, system)
    assert isinstance(kind.what_follows({}, system_named(system)), str)


@pytest.mark.parametrize("kind", Kind)
def test_a_runbook_begins_what_to_do_with_the_remedy_of_the_table(kind: Kind) -> None:
    (page,) = re.findall(r"^## Do\n\n(.+)\n", (ROOT / kind.runbook).read_text(), re.MULTILINE)
    assert page == sentence(kind.row.remedy.format(process="scheduler"))


def test_the_page_about_the_conditions_has_a_row_for_each_with_its_severities() -> None:
    text = (ROOT / "docs/conditions.md").read_text()
    table = text.partition("| kind | severity |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)
    assert {name: re.findall("warning|critical", said) for name, said in rows} == {
        kind.value: [severity.value for severity in kind.row.severities] for kind in Kind
    }


def test_each_alert_about_a_kind_has_its_severity() -> None:
    groups = yaml.safe_load((ROOT / "alerts/prometheus-rules.yaml").read_text())["groups"]
    severities = {
        rule["alert"]: rule["labels"]["severity"] for group in groups for rule in group["rules"] if "alert" in rule
    }
    for kind in Kind:
        own = kind.row.severities
        is_told = len(own) > 1 and kind.row.concern is not Concern.WATCHDOG  # of that no metric says how bad it is
        assert severities[kind.alert] == ("{{ $labels.severity }}" if is_told else own[-1].value), kind


def test_an_alert_is_called_after_what_fails() -> None:
    assert Kind.ZERO_TOKENS.alert == "SchedulerJobZeroTokens"
    assert Kind.STALLED.alert == "SchedulerStalled"
    assert Kind.UNREACHABLE.alert == "SchedulerUnreachable"
    assert [kind for kind in Kind if "Watchdog" in kind.alert] == [Kind.UNSAVED]


@pytest.mark.parametrize("restart", [f"sh -c '{'x ' * 400}'", "sh -c 'stop\nstart'"])
def test_a_restart_that_a_sentence_has_no_room_for_is_not_said_in_part(restart: str) -> None:
    remedy = remedy_of(finding("stalled", None), "phantom", restart)
    assert remedy.short == "restart the agent, with the command that its policy names"
    assert (remedy.sentences, remedy.pasted) == ("Restart the agent.", restart)
    wedged = remedy_of(finding("wedged", "heartbeat"), "openclaw", restart)
    assert wedged.sentences.endswith("Or restart the gateway, with the command that its policy names")
