"""What is said of a job that was brought back and has not run since, wherever something of it is shown."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from rich.console import Console

from tests.conftest import NOW, build, cost_row, job_row, session_row
from tests.support.command import command
from tests.support.harness import HOUR, MINUTE, change
from tests.support.site import PAGE, serving
from tests.support.telling import finding
from watchdog.cli.fleet_tables import incidents_view as elsewhere_view
from watchdog.cli.fleet_tables import whole_view
from watchdog.cli.tables import incidents_view, screen
from watchdog.core.action import Action, State
from watchdog.core.clock import Stamp
from watchdog.core.incident import Incident, Ledger
from watchdog.core.instants import iso
from watchdog.core.moment import Moment
from watchdog.detectors.published import Published
from watchdog.incidents import wire
from watchdog.incidents.ledger import Timing, update
from watchdog.remote.fleet import Answer
from watchdog.state.records import Records
from watchdog.state.store import Store
from watchdog.web.incident_view import incident_page
from watchdog.web.published_state import Posting
from watchdog.web.shown import Known

BACK = NOW - HOUR / 2
WORDS = (
    "; it was brought back at 2026-06-10 11:30 UTC, and its next run at 2026-06-10 13:00 UTC shows "
    "whether that has helped"
)


def workless(last_run_at: str = "2026-06-10T11:00:00.123Z") -> dict[str, list[dict[str, object]]]:
    """The rows of a job whose runs used no tokens, and that is active again."""
    ends = [f"2026-06-10 {hour:02}:01:00" for hour in range(5, 12)]
    return {
        "scheduled_jobs": [job_row(last_run_at=last_run_at, updated_at="2026-06-10 11:30:00")],
        "sessions": [session_row("id-heartbeat", ends[-1])],
        "cost_events": [cost_row("id-heartbeat", end, input_tokens=0, output_tokens=0, cost_usd=0) for end in ends],
        "scheduler_audit_log": [],
    }


def revived(state: State = State.ACTED, kind: str = "revive", source: str = "agent") -> Action:
    """A recovery that was done at `BACK`, and where it stands."""
    return Action(0, Stamp(BACK), "by hand", kind, source, "id-heartbeat", "heartbeat", "c", state, acted_at=BACK)


def said(folder: Path, *arguments: str) -> str:
    """What the command says of that agent."""
    return command(*arguments, "-c", folder / "watchdog.yaml", "--now", iso(NOW)).stdout


def watched(
    folder: Path,
    *actions: Action,
    last_run_at: str = "2026-06-10T11:00:00.123Z",
    rows: dict[str, list[dict[str, object]]] | None = None,
) -> None:
    """The agent, and the state file of a watchdog that has done this."""
    build(folder / "phantom.db", rows or workless(last_run_at))
    where = f"sources: [{{name: agent, database: {folder}/phantom.db}}]\nstate: {folder}/state.db\n"
    (folder / "watchdog.yaml").write_text(where)
    if actions:
        store = Store(folder / "state.db")
        for action in actions:
            Records(store).add(action)
        store.close()


def test_check_and_jobs_say_what_a_job_that_was_brought_back_waits_for(tmp_path: Path) -> None:
    watched(tmp_path, revived())
    before = sorted(path.name for path in tmp_path.iterdir())
    assert WORDS in said(tmp_path, "check")
    (found,) = json.loads(said(tmp_path, "check", "--format", "json"))["findings"]
    assert WORDS in found["summary"]
    assert "zero_tokens, brought back 30 min ago" in said(tmp_path, "jobs")
    (job,) = json.loads(said(tmp_path, "jobs", "--format", "json"))["jobs"]
    assert job["brought_back_at"] == "2026-06-10T11:30:00Z"
    assert sorted(path.name for path in tmp_path.iterdir()) == before  # nothing is done to the state file


@pytest.mark.parametrize(
    ("actions", "last_run_at"),
    [
        ([], "2026-06-10T11:00:00.123Z"),
        ([revived(State.VERIFIED)], "2026-06-10T11:00:00.123Z"),
        ([revived(State.INEFFECTIVE)], "2026-06-10T11:00:00.123Z"),
        ([revived(kind="preserve")], "2026-06-10T11:00:00.123Z"),
        ([revived(source="another")], "2026-06-10T11:00:00.123Z"),
        ([revived()], "2026-06-10T11:40:00.000Z"),  # it has run since
    ],
)
def test_nothing_of_that_is_said_of_others(tmp_path: Path, actions: list[Action], last_run_at: str) -> None:
    watched(tmp_path, *actions, last_run_at=last_run_at)
    for verb in ("check", "jobs"):
        told = said(tmp_path, verb)
        assert "zero_tokens" in told
        assert "brought back" not in told
    assert (tmp_path / "state.db").exists() == bool(actions)


def test_a_state_file_that_cannot_be_read_hides_nothing(tmp_path: Path) -> None:
    watched(tmp_path)
    (tmp_path / "state.db").write_bytes(b"no database at all, by its first bytes")
    assert "zero_tokens" in said(tmp_path, "check")


def test_the_api_and_the_page_say_it_too(tmp_path: Path) -> None:
    with serving(tmp_path, workless()) as site:
        assert "brought back" not in site.client.get("/", headers=PAGE).text
        Records(site.store).add(revived())
        (found,) = site.client.get("/api/v1/findings").json()["findings"]
        assert WORDS in found["summary"]
        (job,) = site.client.get("/api/v1/jobs").json()["jobs"]
        assert job["brought_back_at"] == "2026-06-10T11:30:00Z"
        for path in ("/", "/jobs/agent/id-heartbeat"):
            html = site.client.get(path, headers=PAGE).text
            assert 'brought back <time datetime="2026-06-10T11:30:00Z"' in html


def incident() -> Incident:
    """One of a job that was given up, was brought back, and still has used no tokens."""
    about = ("agent", "id-heartbeat")
    ledger = update(Ledger(), [finding("failed")], frozenset(), Moment(NOW), Timing())
    later = Moment(NOW + MINUTE)
    still = finding("zero_tokens", summary="heartbeat used no tokens")
    ledger = update(ledger, [finding("failed"), still], frozenset(), later, Timing())
    return update(
        ledger, [still], frozenset(), Moment(NOW + 2 * MINUTE), Timing(), {about}, lambda *of: True
    ).incidents[1]


def test_the_lists_of_incidents_say_it_of_one_that_is_headed_by_such_a_job(capsys: pytest.CaptureFixture[str]) -> None:
    one = incident()
    assert one.is_active
    screen().print(incidents_view([one], {}, (), NOW, timedelta(minutes=5)))
    document = {"now": iso(NOW), "incidents": [wire.incident(one)]}
    screen().print(elsewhere_view([Answer("http://x", document, "")]))
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("it was brought back, and its next run shows whether that has helped") == 2


def test_the_lists_say_who_is_on_one_that_is_clear(capsys: pytest.CaptureFixture[str]) -> None:
    clear = update(Ledger(incidents={1: incident()}), [], frozenset(), Moment(NOW + HOUR), Timing()).incidents[1]
    assert not clear.is_active
    screen().print(incidents_view([clear], {1: (NOW, "anna")}, (), NOW + HOUR, None))
    document = {"now": iso(NOW), "incidents": [wire.incident(clear, "anna")]}
    screen().print(elsewhere_view([Answer("http://x", document, "")]))
    assert " ".join(capsys.readouterr().out.split()).count("; anna is on it") == 2


def test_the_page_and_the_command_count_alike_what_was_brought_back_and_what_is_over() -> None:
    one = incident()
    over = replace(one.members[one.headline.key], finding=finding("failing"), ended_at=NOW)
    late = replace(over, finding=finding("overdue", "late"), under=True)
    one = replace(one, members={**one.members, over.finding.key: over, late.finding.key: late})
    page = incident_page(one, Posting(Published(()), NOW, 0.0, (one,)), Known(), (), (), 1)
    assert (page.total, page.standing) == (4, "1 so, 1 brought back, 2 no longer")
    document = json.loads(json.dumps(wire.incident(one)))
    assert len(document["findings"]) == 1
    assert sorted(each["kind"] for each in document["no_longer"]) == ["failed", "failing", "overdue"]
    with (console := Console(width=120)).capture() as shown:
        console.print(whole_view({"incident": document, "now": iso(NOW), "messages": [], "recoveries": []}))
    sections = re.findall(
        r"^(What is so|Brought back|No longer so)|.* (zero_tokens|failed|failing|overdue) ", shown.get(), re.M
    )
    assert [title or kind for title, kind in sections] == [
        "What is so",
        "zero_tokens",
        "Brought back",
        "failed",
        "No longer so",
        "failing",
        "overdue",
    ]


@pytest.mark.parametrize(("status", "ends_well"), [("error", False), ("ok", True)])
def test_check_is_as_grave_as_the_incident_until_the_next_run_ends_well(
    tmp_path: Path, status: str, ends_well: bool
) -> None:
    """The page says critical of it, so does the exit code; but a run that this look has seen end well is the proof."""
    watched(tmp_path, revived())
    change(tmp_path / "phantom.db", f"UPDATE scheduled_jobs SET last_run_status = '{status}'")
    store = Store(tmp_path / "state.db")
    store.save_incidents([incident()])
    store.close()
    told = command("check", "-c", tmp_path / "watchdog.yaml", "--now", iso(NOW))
    assert told.returncode == (1 if ends_well else 2)
    first, finding_line = told.stdout.splitlines()
    if ends_well:
        assert first == "WARNING: 1 zero_tokens | jobs=1 critical=0 warning=1"
        assert "critical" not in finding_line
        return
    assert first == (
        "CRITICAL: 1 zero_tokens; that job was brought back, critical until its next run ends well"
        " | jobs=1 critical=1 warning=1"
    )
    assert f"{WORDS}; that it was given up is critical until its next run ends well" in finding_line


def behind_another() -> dict[str, list[dict[str, object]]]:
    """The same, due two minutes ago, while another job's run holds the slot since a minute before."""
    rows = workless()
    rows["scheduled_jobs"][0]["next_run_at"] = "2026-06-10T11:58:00.000Z"
    other = job_row("digest", last_run_at="2026-06-10T10:57:00.000Z", next_run_at="2026-06-10T11:57:00.000Z")
    rows["scheduled_jobs"].append({**other, "updated_at": "2026-06-10 10:58:00"})
    rows["sessions"].append(session_row("id-digest", "2026-06-10 11:57:00"))
    rows["cost_events"].append(cost_row("id-digest", "2026-06-10 10:58:00"))
    return rows


def test_what_is_not_proved_yet_has_no_end_that_would_be_another_one_later(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    store.save_incidents([incident()])
    store.close()
    shown = ("incidents", "1", "--state", tmp_path / "state.db")
    (before,) = json.loads(command(*shown, "--format", "json").stdout)["incident"]["no_longer"]
    assert (before["kind"], before["ended_at"]) == ("failed", None)
    assert "not found now, over once its next run ends well: " in command(*shown).stdout


def test_no_instant_that_has_passed_is_promised_but_what_the_run_waits_for(tmp_path: Path) -> None:
    with serving(tmp_path, behind_another()) as site:
        Records(site.store).add(revived())
        waits = "after the run of digest; was due"
        assert waits in site.client.get("/", headers=PAGE).text
        assert waits in site.client.get("/jobs/agent/id-heartbeat", headers=PAGE).text
    (tmp_path / "seen").mkdir()
    watched(tmp_path / "seen", revived(), rows=behind_another())
    told = said(tmp_path / "seen", "check")
    assert (
        "its next run, which was due at 2026-06-10 11:58 UTC and waits for the run of digest, shows whether that has "
        "helped"
    ) in told
    assert f"{waits} 2 min ago" in " ".join(said(tmp_path / "seen", "jobs").split())
