"""The API: what it tells, who may change what, and that every change is on record."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import NOW, job_row
from tests.support.site import ACTS, BEARER, PAGE, TOKEN, Site, outage, serving
from tests.support.telling import finding
from watchdog.core.action import Action, State
from watchdog.core.clock import Stamp
from watchdog.state.records import Records

CHANGES: list[tuple[str, dict[str, object]]] = [
    ("/api/v1/incidents/1/acknowledge", {}),
    ("/api/v1/incidents/1/unacknowledge", {}),
    ("/api/v1/silences", {"match": "heartbeat", "length": "2h"}),
    ("/api/v1/silences/1/end", {}),
    ("/api/v1/recoveries/1/approve", {}),
    ("/api/v1/revive", {"source": "agent", "job_id": "id-heartbeat"}),
]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The outage, a proposed recovery of it, and a service that acts."""
    with serving(tmp_path, recovery=ACTS) as site:
        propose(site)
        yield site


def propose(site: Site, state: State = State.PROPOSED) -> int:
    """A recovery that a policy has proposed; its number."""
    action = Action(0, Stamp(NOW), "bring back", "revive", "agent", "id-other", "other", "x", state=state)
    return Records(site.store).add(action).id


def test_jobs_findings_incidents_and_recoveries_are_told(site: Site) -> None:
    get = site.client.get
    assert [job["job"] for job in get("/api/v1/jobs").json()["jobs"]] == ["heartbeat", "inbox"]
    assert [found["kind"] for found in get("/api/v1/findings").json()["findings"]] == ["failed"]
    assert get("/api/v1/findings?kind=failed").json()["findings"] == get("/api/v1/findings").json()["findings"]
    assert get("/api/v1/findings?kind=overdue").json()["findings"] == []
    assert get("/api/v1/findings?source=another").json()["findings"] == []
    (incident,) = get("/api/v1/incidents").json()["incidents"]
    assert (incident["id"], incident["kind"], incident["acknowledged_by"]) == (1, "failed", None)
    assert incident["headline_since"] == incident["findings"][0]["since"]
    (recovery,) = get("/api/v1/recoveries").json()["recoveries"]
    assert (recovery["job"], recovery["state"]) == ("other", "proposed")


def test_the_past_of_a_job_is_told(site: Site) -> None:
    past = site.client.get("/api/v1/history", params={"source": "agent", "job_id": "id-heartbeat"}).json()
    assert [run["outcome"] for run in past["runs"]] == ["error"] * 7
    assert past["runs"][-1]["error"] == "Error: 429 rate_limit_error"
    asked = {"source": "agent", "job_id": "id-heartbeat", "limit": "2", "before": "2026-06-10T07:30:00Z"}
    page = site.client.get("/api/v1/history", params=asked).json()
    assert [run["ended_at"] for run in page["runs"]] == ["2026-06-10T06:01:00Z", "2026-06-10T07:00:08Z"]


def test_incidents_that_are_over_are_told_when_asked_for(site: Site) -> None:
    with closing(sqlite3.connect(site.database)) as connection, connection:
        connection.execute("DELETE FROM cost_events")
        connection.execute(
            "UPDATE scheduled_jobs SET status = 'active', consecutive_errors = 0, next_run_at = ?", (_SOON,)
        )
    for minutes in (1, 10):
        site.look(NOW + timedelta(minutes=minutes))
    assert site.client.get("/api/v1/incidents").json()["incidents"] == []
    (over,) = site.client.get("/api/v1/incidents?all=true").json()["incidents"]
    assert over["state"] == "resolved"


_SOON = "2026-06-10T13:00:00.000Z"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/history?source=agent&job_id=none", 404),
        ("/api/v1/history?source=agent", 422),
        ("/api/v1/history?source=agent&job_id=id-heartbeat&limit=0", 422),
        ("/api/v1/history?source=agent&job_id=id-heartbeat&before=yesterday", 422),
        ("/api/v1/incidents?all=perhaps", 422),
        ("/api/v1/findings?shoe=1", 422),
        ("/api/v1/jobs?shoe=1", 422),
        ("/api/v1/nothing", 404),
    ],
)
def test_what_is_not_understood_is_told_in_one_line(site: Site, path: str, status: int) -> None:
    answer = site.client.get(path)
    assert answer.status_code == status
    if status != 200:
        assert "\n" not in answer.json()["error"]
    if "shoe" in path:
        assert answer.json()["error"] == "shoe: is not known here"


# who may


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer "},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
    ],
)
def test_without_the_token_nothing_is_changed(site: Site, headers: dict[str, str]) -> None:
    before = site.said()
    for path, body in CHANGES:
        answer = site.client.post(path, json=body, headers=headers)
        assert (answer.status_code, answer.json()["error"].split(":")[0]) == (401, "give the token")
    assert site.client.get("/api/v1/audit", headers=headers).status_code == 401
    plan = {"source": "agent", "job_id": "id-heartbeat"}
    assert site.client.get("/api/v1/revive", params=plan, headers=headers).status_code == 401
    assert site.said() == before


def test_the_pages_cookie_is_no_token_for_the_api(site: Site) -> None:
    site.sign_in()
    for path, body in CHANGES:
        assert site.client.post(path, json=body).status_code == 401


def test_where_no_token_is_configured_nothing_that_changes_is_there(tmp_path: Path) -> None:
    with serving(tmp_path, token=False, recovery=ACTS) as site:
        for path, body in CHANGES:
            assert site.client.post(path, json=body, headers=BEARER).status_code in (404, 405)
        described = site.client.get("/api/v1/openapi.json").json()["paths"]
    assert {method for path in described.values() for method in path} == {"get"}


def test_a_token_file_that_has_gone_lets_nobody_in(site: Site) -> None:
    assert site.config.http.token_file
    site.config.http.token_file.unlink()
    assert site.client.post("/api/v1/incidents/1/acknowledge", json={}, headers=BEARER).status_code == 401


# what is changed


def test_an_incident_is_taken_on(site: Site) -> None:
    answer = site.client.post("/api/v1/incidents/1/acknowledge", json={"by": "maria"}, headers=BEARER)
    assert (answer.status_code, answer.json()["acknowledged_by"]) == (200, "maria (API)")
    assert site.store.acknowledgements() == {1: (NOW, "maria (API)")}


def test_an_incident_is_given_back(site: Site) -> None:
    site.client.post("/api/v1/incidents/1/acknowledge", json={}, headers=BEARER)
    answer = site.client.post("/api/v1/incidents/1/unacknowledge", json={}, headers=BEARER)
    assert (answer.status_code, answer.json()["acknowledged_by"]) == (200, None)
    assert site.store.acknowledgements() == {}
    again = site.client.post("/api/v1/incidents/1/unacknowledge", json={}, headers=BEARER)
    assert (again.status_code, again.json()["error"]) == (409, "nobody has taken incident 1 on")


def test_who_took_an_incident_on_and_gave_it_back_stays_in_its_history(site: Site) -> None:
    for minute, (by, what) in enumerate((("maria", "acknowledge"), ("jo", "unacknowledge"), ("<i>", "acknowledge"))):
        site.now = NOW + timedelta(minutes=minute)
        assert site.client.post(f"/api/v1/incidents/1/{what}", json={"by": by}, headers=BEARER).status_code == 200
    assert site.client.get("/api/v1/incidents/1").json()["handovers"] == [
        {"at": "2026-06-10T12:00:00Z", "by": "maria (API)", "what": "taken_on"},
        {"at": "2026-06-10T12:01:00Z", "by": "jo (API)", "what": "given_back"},
        {"at": "2026-06-10T12:02:00Z", "by": "<i> (API)", "what": "taken_on"},
    ]
    text = site.client.get("/incidents/1", headers=PAGE).text
    assert "<bdi>maria (API)</bdi> took it on" in text
    assert "<bdi>jo (API)</bdi> gave it back" in text
    assert "<bdi>&lt;i&gt; (API)</bdi> took it on" in text


def test_a_silence_is_ended(site: Site) -> None:
    site.client.post("/api/v1/silences", json={"match": "heart*", "length": "2h"}, headers=BEARER)
    assert site.client.post("/api/v1/silences/1/end", json={}, headers=BEARER).status_code == 200
    assert site.client.get("/api/v1/incidents").json()["silences"] == []
    assert site.client.post("/api/v1/silences/1/end", json={}, headers=BEARER).status_code == 404


def test_a_silence_that_was_ended_is_over_though_the_scheduler_has_not_been_looked_at_since(site: Site) -> None:
    site.client.post("/api/v1/silences", json={"match": "heart*", "length": "2h"}, headers=BEARER)
    assert "heart*" in site.client.get("/", headers=PAGE).text
    site.now = NOW + timedelta(seconds=20)
    assert site.client.post("/api/v1/silences/1/end", json={}, headers=BEARER).status_code == 200
    assert site.client.get("/api/v1/incidents").json()["silences"] == []
    assert "heart*" not in site.client.get("/", headers=PAGE).text


def test_an_incident_is_told_whole(site: Site) -> None:
    whole = site.client.get("/api/v1/incidents/1").json()
    assert (whole["incident"]["kind"], whole["recoveries"]) == ("failed", [])
    assert site.client.get("/api/v1/incidents/99").status_code == 404


def test_every_answer_says_which_watchdog_gives_it(site: Site) -> None:
    for path in ("jobs", "findings", "incidents", "incidents/1", "recoveries", HISTORY):
        assert site.client.get(f"/api/v1/{path}").json()["instance"] == site.config.called


HISTORY = "history?source=agent&job_id=id-heartbeat"


def test_what_a_revival_would_do_is_told_and_not_done(site: Site) -> None:
    asked = {"source": "agent", "job_id": "id-heartbeat"}
    before = site.said()
    would = site.client.get("/api/v1/revive", params=asked, headers=BEARER).json()["would"]
    assert would.startswith("would revive heartbeat ")
    assert site.said() == before


def test_a_silence_begins(site: Site) -> None:
    answer = site.client.post("/api/v1/silences", json={"match": "heart*", "length": "2h"}, headers=BEARER)
    assert answer.status_code == 201
    assert answer.json() == {"id": 1, "match": "heart*", "ends_at": "2026-06-10T14:00:00Z", "by": "somebody (API)"}
    (silence,) = site.store.silences(NOW)
    assert silence.ends_at == NOW + timedelta(hours=2)


@pytest.mark.parametrize("match", ["report-*", "job_id=id-report", "source=another"])
def test_jobs_that_are_to_come_are_silenced_where_that_is_said(site: Site, match: str) -> None:
    body = {"match": match, "length": "2h"}
    assert site.client.post("/api/v1/silences", json=body, headers=BEARER).status_code == 422
    assert site.client.post("/api/v1/silences", json={**body, "ahead": True}, headers=BEARER).json()["match"] == match


def test_where_not_all_jobs_can_be_seen_any_name_is_taken(site: Site) -> None:
    site.database.write_bytes(b"no database at all, by its first bytes")
    site.look(NOW + timedelta(minutes=2))
    assert site.client.post("/api/v1/silences", json={"match": "x", "length": "2h"}, headers=BEARER).status_code == 201


def test_what_is_wrong_with_a_job_that_is_gone_can_be_silenced(site: Site) -> None:
    posting = site.published_state.posting
    assert posting is not None
    gone = replace(posting.published, own=(finding("swept", "report"),))
    site.published_state.post(gone, NOW, posting.incidents)
    body = {"match": "job_id=id-report", "length": "2h"}
    assert site.client.post("/api/v1/silences", json=body, headers=BEARER).status_code == 201


def test_a_proposed_recovery_is_approved(site: Site) -> None:
    assert site.client.post("/api/v1/recoveries/1/approve", json={"by": "maria"}, headers=BEARER).status_code == 202
    assert Records(site.store).approvals() == {1: "maria (API)"}


def test_a_failed_job_is_written_down_to_be_revived_by_the_hand(site: Site) -> None:
    body = {"source": "agent", "job_id": "id-heartbeat", "by": "maria"}
    answer = site.client.post("/api/v1/revive", json=body, headers=BEARER)
    assert answer.status_code == 202
    (action,) = [one for one in Records(site.store).under_way() if one.job_id == "id-heartbeat"]
    assert (action.state, action.policy, action.by) == (State.INTENDED, "by hand", "maria (API)")
    (entry,) = site.client.get("/api/v1/audit", headers=BEARER).json()["entries"]
    assert {entry["at"], answer.json()["created_at"], answer.json()["steps"][0]["at"]} == {"2026-06-10T12:00:00Z"}
    again = site.client.post("/api/v1/revive", json=body, headers=BEARER)
    assert (again.status_code, again.json()["error"]) == (409, "a recovery of heartbeat is under way")


@pytest.mark.parametrize(
    ("path", "body", "status", "why"),
    [
        ("/api/v1/incidents/9/acknowledge", {}, 404, "there is no incident 9"),
        ("/api/v1/incidents/x/acknowledge", {}, 404, "nothing with this number"),
        (f"/api/v1/incidents/{2**63}/acknowledge", {}, 404, "nothing with this number"),
        ("/api/v1/recoveries/9/approve", {}, 404, "there is no recovery 9"),
        ("/api/v1/silences", {"match": "shoe=1", "length": "2h"}, 422, "cannot be matched"),
        (
            "/api/v1/silences",
            {"match": "heartbat", "length": "2h"},
            422,
            "'heartbat'; is 'heartbeat' meant? (\"ahead\": ",
        ),
        ("/api/v1/silences", {"match": "heart", "length": "2h"}, 422, "'*heart*' would match 1 job"),
        ("/api/v1/silences", {"match": "source=x", "length": "2h"}, 422, "no job is like 'source=x'"),
        ("/api/v1/silences", {"match": "incident=9", "length": "2h"}, 422, "about no incident that is open"),
        ("/api/v1/silences", {"match": "incident=9", "length": "2h", "ahead": True}, 422, "no incident that is open"),
        (
            "/api/v1/silences",
            {"match": "heart*", "length": "2h", "ahead": "yes"},
            422,
            "ahead: should be true or false",
        ),
        ("/api/v1/silences", {"match": "x", "length": "soon"}, 422, "not a duration"),
        ("/api/v1/silences", {"match": "x", "length": "9999999w"}, 422, "too long"),
        ("/api/v1/silences", {"match": "x"}, 422, "length"),
        ("/api/v1/silences", {"match": "x", "length": "2h", "more": 1}, 422, "more"),
        ("/api/v1/silences", [], 422, "the body"),
        ("/api/v1/revive", {"source": "agent", "job_id": "none"}, 404, "no such job"),
        ("/api/v1/revive", {"source": "agent", "job_id": "id-inbox"}, 409, "only a failed job can be revived"),
    ],
)
def test_what_cannot_be_done_changes_nothing_and_says_why(
    site: Site, path: str, body: object, status: int, why: str
) -> None:
    before = site.said()
    answer = site.client.post(path, json=body, headers=BEARER)
    assert answer.status_code == status
    assert why in answer.json()["error"]
    assert site.said() == before


def test_a_service_that_does_not_act_says_so_instead_of_writing_a_revival_down(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        body = {"source": "agent", "job_id": "id-heartbeat"}
        answer = site.client.post("/api/v1/revive", json=body, headers=BEARER)
        assert answer.status_code == 409
        assert answer.json()["error"].endswith("type: scheduler-watchdog revive id-heartbeat")
        assert Records(site.store).actions() == []


def test_a_one_shot_whose_time_has_passed_is_not_revived(tmp_path: Path) -> None:
    row = job_row("once", status="failed", schedule_kind="at", schedule_value='{"at": "2026-06-10T11:00:00Z"}')
    with serving(tmp_path, {**outage(), "scheduled_jobs": [row]}, recovery=ACTS) as site:
        body = {"source": "agent", "job_id": "id-once"}
        answer = site.client.post("/api/v1/revive", json=body, headers=BEARER)
        assert answer.status_code == 409
        assert Records(site.store).actions() == []


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"{", {"Content-Type": "application/json"}, 400),
        (b"\xff", {"Content-Type": "application/json"}, 400),
        (b"[" * 5000, {"Content-Type": "application/json"}, 400),
        (b"match=x&length=2h", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
        (b'"' + b"x" * 20_000 + b'"', {"Content-Type": "application/json"}, 413),
    ],
)
def test_bodies_that_are_no_json_or_too_big_are_refused(
    site: Site, content: bytes, headers: dict[str, str], status: int
) -> None:
    answer = site.client.post("/api/v1/silences", content=content, headers=BEARER | headers)
    assert answer.status_code == status


def test_without_a_state_file_changes_say_that_there_is_none(tmp_path: Path) -> None:
    with serving(tmp_path, keeps_state=False) as site:
        answer = site.client.post("/api/v1/silences", json={"match": "x", "length": "2h"}, headers=BEARER)
    assert answer.status_code == 503
    assert answer.json()["error"].startswith("this watchdog keeps no state file")


def test_every_change_is_on_record_with_who_when_and_from_where(site: Site) -> None:
    for path, body in CHANGES:
        assert site.client.post(path, json={**body, "by": "maria\n\u202eevil"}, headers=BEARER).status_code < 300
    entries = site.client.get("/api/v1/audit", headers=BEARER).json()["entries"]
    assert [entry["what"].split(" ")[0] for entry in entries] == [
        "asked",
        "approved",
        "ended",
        "silence",
        "gave",
        "acknowledged",
    ]
    assert {(entry["by"], entry["at"], entry["address"]) for entry in entries} == {
        ("maria evil (API)", "2026-06-10T12:00:00Z", "testclient")
    }


def test_a_change_and_its_record_are_one(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without its entry in the audit a change is not made."""

    def fails(*given: object) -> None:
        raise sqlite3.OperationalError("disk full")

    for path, body in (CHANGES[0], CHANGES[2]):  # so that there is something to take back
        site.client.post(path, json=body, headers=BEARER)
    monkeypatch.setattr("watchdog.web.changes._note", fails)
    before = site.said()
    for path, body in CHANGES:
        assert site.client.post(path, json=body, headers=BEARER).status_code == 503
    assert [rows for rows in site.said() if rows] == [rows for rows in before if rows]


def test_what_was_changed_is_seen_on_the_page_at_once(site: Site) -> None:
    assert "is on it" not in site.client.get("/", headers=PAGE).text
    site.client.post("/api/v1/incidents/1/acknowledge", json={"by": "maria"}, headers=BEARER)
    assert "maria (API) is on it" in site.client.get("/", headers=PAGE).text
