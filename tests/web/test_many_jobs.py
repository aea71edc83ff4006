"""A thousand jobs, a hundred of them given up in two storms: what is found, how, and how much travels for it."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.conftest import NOW, build, job_row
from tests.support.site import ACTS, ORIGIN, PAGE, Site, crowd, outage, serving
from watchdog.core.action import Action, State
from watchdog.core.clock import Stamp
from watchdog.state.records import Records
from watchdog.web.listing import PAGE as ROWS
from watchdog.web.listing import wanted


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A thousand jobs, looked at twice."""
    with serving(tmp_path_factory.mktemp("crowd"), crowd(1000, 100), recovery=ACTS) as site:
        yield site.look(NOW + timedelta(seconds=1))


def names(site: Site, query: str = "") -> list[str]:
    """The jobs in the table, in order."""
    html = site.client.get(f"/{query}", headers=PAGE).text
    return re.findall(r'<th role="rowheader" scope="row"><a [^>]*>([^<]*)</a>', html)


def on_the_wire(site: Site, path: str, **headers: str) -> int:
    """The bytes of an answer as it travels."""
    answer = site.client.get(path, headers={**PAGE, "Accept-Encoding": "gzip", **headers})
    assert answer.headers["content-encoding"] == "gzip"
    return int(answer.headers["content-length"])


def test_the_first_view_is_under_sixty_kilobytes_on_the_wire(site: Site) -> None:
    html = site.client.get("/", headers=PAGE).text
    files = re.findall(r'"(/static/[^"]*)"', html)
    assert len(files) == 2
    assert sum(on_the_wire(site, path) for path in ("/", *files)) < 60_000


def test_a_refresh_is_under_a_kilobyte_when_nothing_changed(site: Site) -> None:
    first = site.client.get("/", headers={**PAGE, "X-Parts": "nothing"})
    had = [*first.json()["parts"], *(region["mark"] for region in first.json()["regions"])]
    again = site.client.get("/", headers={**PAGE, "X-Parts": ",".join(had), "If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert len(str(again.headers)) + len(again.content) < 1000
    other = site.client.get("/", headers={**PAGE, "X-Parts": ",".join(had)})
    assert other.json()["parts"] == {}


def test_a_page_of_the_table_has_so_many_rows_and_leads_to_the_next(site: Site) -> None:
    first, second = names(site), names(site, "?page=2")
    assert (len(first), len(second)) == (ROWS, ROWS)
    assert not set(first) & set(second)
    assert names(site, "?page=99999") == names(site, "?page=20")
    assert "?page=2#jobs" in site.client.get("/", headers=PAGE).text


def test_jobs_are_found_by_words_in_their_name_id_source_and_owner(site: Site) -> None:
    assert names(site, "?q=0420") == ["job-0420"]
    assert names(site, "?q=JOB-04+agent+20") == ["job-0420"]
    assert names(site, "?q=nothing-like-it") == []
    assert "None of the 1000 jobs is like that" in site.client.get("/?q=nothing-like-it", headers=PAGE).text


def test_jobs_are_filtered_by_state_finding_and_source(site: Site) -> None:
    assert len(names(site, "?state=failed")) == ROWS
    assert "100 of 1000 jobs" in site.client.get("/?state=failed", headers=PAGE).text
    assert names(site, "?state=failed&q=99") == ["job-0099"]
    assert "100 of 1000 jobs" in site.client.get("/?state=wrong", headers=PAGE).text
    assert names(site, "?state=paused") == []
    assert names(site, "?source=elsewhere") == []


def test_jobs_are_sorted_either_way(site: Site) -> None:
    assert names(site, "?sort=name")[0] == "job-0000"
    assert names(site, "?sort=-name")[0] == "job-0999"
    assert names(site, "?sort=-worst")[0] == "job-0100"
    assert names(site)[0] == "job-0000"
    for sort in ("last", "-last", "next", "-next"):
        assert len(names(site, f"?sort={sort}")) == ROWS


@pytest.mark.parametrize(
    "query", ["?page=-1", "?page=1e9", "?page=²", "?state=<b>", "?sort=--name", f"?q={'x' * 5000}"]
)
def test_a_question_that_is_not_understood_asks_for_nothing_in_particular(site: Site, query: str) -> None:
    assert site.client.get(f"/{query}", headers=PAGE).status_code == 200


def test_a_view_is_its_address() -> None:
    query = {"q": "a b", "state": "failed", "source": "agent", "sort": "-name", "page": "3"}
    asked = wanted(query)
    assert asked.query == "?q=a+b&state=failed&source=agent&sort=-name&page=3"
    assert wanted({}).query == ""


def test_without_script_the_search_is_a_form_that_keeps_the_rest_of_the_view(site: Site) -> None:
    html = site.client.get("/?state=failed&sort=name", headers=PAGE).text
    (form,) = re.findall(r'<form method="get".*?</form>', html, re.DOTALL)
    assert '<input type="hidden" name="state" value="failed">' in form
    assert '<input type="hidden" name="sort" value="name">' in form
    assert '<button type="submit">' in form


# storms


def test_a_storm_is_headed_as_in_its_message_and_each_of_its_jobs_is_reached(site: Site) -> None:
    html = site.client.get("/", headers=PAGE).text
    assert html.count("50 jobs were given up:") >= 2
    listed = site.client.get("/incidents/1", headers=PAGE).text
    assert len(set(re.findall(r'href="(/jobs/[^"]*)"', listed))) == 50


def test_a_jobs_page_is_about_that_job_and_names_its_storm(site: Site) -> None:
    html = site.client.get("/jobs/agent/id-job-0042", headers=PAGE).text
    assert "scheduler-watchdog revive id-job-0042" in html
    assert "job-0042 was given up" in re.sub("<[^>]*>", "", html)
    assert "revive id-job-0000" not in html
    assert re.search(r"Part of <a href=\"/incidents/\d\">incident \d</a>: <bdi>50 jobs were given up", html)


def test_a_whole_storm_is_brought_back_taken_on_and_silenced_at_once(tmp_path: Path) -> None:
    with serving(tmp_path, crowd(6, 6), recovery=ACTS) as site:
        csrf = site.sign_in()
        html = site.client.get("/", headers=PAGE).text
        assert "Revive all 3" in html
        for what, form in (
            ("acknowledge", {"number": "1"}),
            ("silence", {"match": "incident=1", "length": "2h"}),
            ("revive-all", {"number": "1"}),
        ):
            answer = site.client.post(f"/act/{what}", data={"csrf": csrf, **form}, headers=ORIGIN)
            assert answer.status_code == 303
        html = site.client.get("/", headers=PAGE).text
        assert "3 jobs are being brought back" in html
        assert "Maria (page) is on it" in html
        assert "silenced until" in html
        again = site.client.post("/act/revive-all", data={"csrf": csrf, "number": "1"}, headers=ORIGIN)
        assert again.status_code == 303
        assert "Not done: a recovery of" in site.client.get("/", headers=PAGE).text


def test_of_a_storms_recoveries_the_newest_are_shown_whole_and_the_rest_counted(tmp_path: Path) -> None:
    with serving(tmp_path, crowd(1000, 100), recovery=ACTS) as site:
        csrf = site.sign_in()
        for number in ("1", "2"):
            site.client.post("/act/revive-all", data={"csrf": csrf, "number": number}, headers=ORIGIN)
        for path, count in (("/", 100), ("/incidents/1", 50)):
            html = site.client.get(path, headers=PAGE).text
            assert html.count('class="deed"') == 10
            assert f"and {count - 10} more: {count - 10} about to be done" in html
            assert "scheduler-watchdog recoveries" in html


def test_what_waits_for_a_person_stands_before_the_jobs_and_whatever_was_done(tmp_path: Path) -> None:
    with serving(tmp_path, recovery=ACTS) as site:
        records = Records(site.store)
        done = Action(0, Stamp(NOW), "p", "revive", "agent", "id-heartbeat", "heartbeat", "c", State.VERIFIED)
        for state in (State.PROPOSED, *[State.VERIFIED] * 15, *[State.INEFFECTIVE] * 4):
            records.add(replace(done, state=state))
        for path, after in (("/", "Jobs"), ("/incidents/1", "All findings"), ("/jobs/agent/id-heartbeat", "Facts")):
            html = site.client.get(path, headers=PAGE).text
            places = [html.index(f">{title}") for title in ("Waits for approval</h2>", after, "Recoveries</h2>")]
            assert places == sorted(places)
            assert html.count('class="deed"') == 11
            assert "and 9 more: 9 done and verified" in html


def test_what_was_taken_on_or_silenced_is_given_back(tmp_path: Path) -> None:
    with serving(tmp_path, outage()) as site:
        csrf = site.sign_in()
        for what, form in (
            ("acknowledge", {"number": "1"}),
            ("silence", {"match": "heartbeat", "length": "8h"}),
            ("unacknowledge", {"number": "1"}),
            ("unsilence", {"number": "1"}),
        ):
            assert site.client.post(f"/act/{what}", data={"csrf": csrf, **form}, headers=ORIGIN).status_code == 303
        html = site.client.get("/", headers=PAGE).text
        assert "People are told of heartbeat again." in html
        assert "is on it" not in html


def test_an_incident_that_is_over_keeps_its_page(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        site.database.unlink()
        build(site.database, {"scheduled_jobs": [job_row(), job_row("inbox")]})
        for minutes in range(1, 40):
            site.look(NOW + timedelta(minutes=minutes))
        html = site.client.get("/incidents/1", headers=PAGE).text
        assert "over" in html
        assert site.client.get("/incidents/7", headers=PAGE).status_code == 404


# the API


def asked(site: Site, query: str) -> tuple[list[str], str | None]:
    """The names that the API gives, and where more are."""
    answer = site.client.get(f"/api/v1/jobs{query}").json()
    return [job["job"] for job in answer["jobs"]], answer["next_cursor"]


def test_the_api_gives_the_jobs_that_are_asked_for(site: Site) -> None:
    assert len(asked(site, "")[0]) == 1000
    assert len(asked(site, "?state=failed")[0]) == 100
    assert asked(site, "?match=JOB-001?&state=wrong") == ([f"job-001{digit}" for digit in range(10)], None)
    assert asked(site, "?match=id-job-0777")[0] == ["job-0777"]
    assert asked(site, "?source=elsewhere") == ([], None)
    assert site.client.get("/api/v1/jobs?state=nonsense").status_code == 422
    assert site.client.get("/api/v1/jobs?stat=failed").status_code == 422


def test_the_api_gives_jobs_in_pages_that_together_are_all(site: Site) -> None:
    names, cursor = asked(site, "?state=failed&limit=30")
    pages = [names]
    while cursor:
        names, cursor = asked(site, f"?state=failed&limit=30&cursor={quote(cursor, safe='')}")
        pages.append(names)
    assert [len(page) for page in pages] == [30, 30, 30, 10]
    assert len({name for page in pages for name in page}) == 100


def test_answers_of_the_api_are_packed_and_not_sent_twice(site: Site) -> None:
    first = site.client.get("/api/v1/jobs", headers={"Accept-Encoding": "gzip"})
    assert first.headers["content-encoding"] == "gzip"
    again = site.client.get("/api/v1/jobs", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_of_a_great_many_incidents_the_first_are_shown_and_the_number_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchdog.web.view._SHOWN", 1)
    with serving(tmp_path, crowd(6, 6)) as site:
        html = site.client.get("/", headers=PAGE).text
    assert len(re.findall(r'<article [^>]*class="problem', html)) == 1
    assert "and 1 more</a>" in html
