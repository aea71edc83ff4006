"""The page: what it shows, to whom, and that what it shows is never more than text."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from html.parser import HTMLParser
from io import StringIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from tests.conftest import NOW, build, healthy, job_row
from tests.support.harness import HOUR, MINUTE, change
from tests.support.site import ACTS, HOSTILE, ORIGIN, PAGE, TOKEN, Site, client_of, given_up, outage, serving
from tests.support.telling import Office, finding
from watchdog.cadence.plain_words import ago
from watchdog.cli.tables import incidents_view, jobs_view
from watchdog.config.file import Channel, Config, Owner, OwnerMatch
from watchdog.config.policies import Recovery
from watchdog.core.action import Action
from watchdog.core.action import State as ActionState
from watchdog.core.clock import Stamp
from watchdog.core.fields import Secret
from watchdog.core.incident import Ledger
from watchdog.core.instants import say
from watchdog.core.model import Every, Job, RunEnd, Snapshot, Totals
from watchdog.core.moment import Moment
from watchdog.detectors.diagnosis import Diagnosis
from watchdog.detectors.published import Published, SourceState
from watchdog.incidents.intention import Deed
from watchdog.incidents.ledger import Timing, update
from watchdog.state.history import JobKey
from watchdog.systems.phantom.section import Phantom
from watchdog.web import app, view
from watchdog.web.advice import advise
from watchdog.web.archive import Notes
from watchdog.web.incident_view import incident_page
from watchdog.web.job_view import job_page
from watchdog.web.listing import Wanted
from watchdog.web.problems import problems, problems_of, waits_for
from watchdog.web.prose import with_breaks
from watchdog.web.published_state import Posting, PublishedState
from watchdog.web.shown import Known


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """The outage, with a token."""
    with serving(tmp_path) as site:
        yield site


def page(site: Site, path: str = "/") -> str:
    """The page as a browser gets it."""
    return site.client.get(path, headers=PAGE).text


def words(html: str) -> str:
    """What a reader without styles or script reads."""
    parser = _Reader()
    parser.feed(html)
    return re.sub(r"\s+", " ", " ".join(parser.parts))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_browsers_get_the_page_and_programs_the_words(site: Site) -> None:
    assert site.client.get("/", headers=PAGE).headers["content-type"] == "text/html; charset=utf-8"
    for accept in ("*/*", "text/plain", ""):
        answer = site.client.get("/", headers={"Accept": accept})
        assert answer.text == "the words\n"
        assert answer.headers["vary"] == "Accept"


def test_before_the_first_look_a_browser_is_told_so() -> None:
    client = client_of(app.build(PublishedState(timedelta(seconds=2)), lambda: b"", lambda posting: ""))
    for path in ("/", "/jobs/agent/x"):
        answer = client.get(path, headers=PAGE)
        assert answer.status_code == 503
        assert "The first look is still going on." in answer.text


def test_it_says_first_what_is_wrong_since_when_and_with_which_command_to_act(site: Site) -> None:
    text = words(page(site))
    wrong, jobs = text.index("What is wrong"), text.index("Recent fires")
    head = text[wrong:jobs]
    assert "heartbeat was given up" in head
    assert "since 2026-06-10 11:00:08 UTC" in head
    assert "scheduler-watchdog revive id-heartbeat" in head
    assert "scheduler-watchdog ack 1" in head


def test_the_api_says_what_to_do_as_the_page_does(site: Site) -> None:
    to_do = site.client.get("/api/v1/incidents/1").json()["to_do"]
    assert to_do == {
        "words": "Bring it back once its cause is gone.",
        "command": "scheduler-watchdog revive id-heartbeat",
    }
    assert all(text in words(page(site)) for text in to_do.values())


def test_each_job_is_told_with_its_state_cadence_and_fires(site: Site) -> None:
    text = words(page(site))
    assert "inbox active Every hour (UTC) 1 h ago , ok in 1 h ✓" in text
    html = page(site)
    assert "oldest first: 7 error" in html


def test_a_zone_may_be_broken_between_the_parts_of_its_name_and_an_expression_nowhere() -> None:
    assert with_breaks("Every hour (America/New_York)") == "Every hour (America/<wbr>New_<wbr>York)"
    assert with_breaks("*/5 <0> (UTC)") == "*/5 &lt;0&gt; (UTC)"


def test_a_job_without_fires_has_no_picture_of_them(tmp_path: Path) -> None:
    new = job_row("new", created_at="2026-06-10 11:59:00", last_run_at=None, last_run_status=None)
    with serving(tmp_path, {"scheduled_jobs": [new]}) as site:
        html = page(site)
    assert 'class="fires"></td>' in html
    assert "Newest fires of new" not in html


def test_a_well_scheduler_shows_nothing_wrong(tmp_path: Path) -> None:
    with serving(tmp_path, healthy()) as site:
        text = words(page(site))
    assert "OK The job is well." in text
    assert "What is wrong" not in text


def test_a_source_that_cannot_be_read_is_told_and_the_page_still_comes(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        site.database.unlink()
        site.look(NOW + timedelta(seconds=2))
        text = words(page(site))
    assert "cannot be read:" in text
    assert "agent cannot be read" in text


def test_a_jobs_own_page_tells_runs_tokens_incidents_and_states(site: Site) -> None:
    text = words(page(site, "/jobs/agent/id-heartbeat"))
    assert "Last run that cost something 2026-06-10 11:00:08 UTC ( 59 min ago )" in text
    timeline = text[text.index("Timeline") :]
    assert "2026-06-10 06:01 UTC × error 1 050 0.0100" in timeline
    assert "Error: 429 rate_limit_error 8 s 0" in timeline
    assert "became failed" in timeline
    assert "incident 1 began: failed" in timeline
    assert page(site, "/jobs/agent/id-heartbeat?all=1") != ""


def test_a_job_that_is_not_there_is_404(site: Site) -> None:
    for path in ("/jobs/agent/none", "/jobs/none/id-heartbeat", "/jobs/agent/a%2Fb", "/jobs/agent/%00"):
        answer = site.client.get(path, headers=PAGE)
        assert answer.status_code == 404
        assert "There is no such job now" in answer.text


@pytest.mark.parametrize("id_", ["a/b c", "ü?x=1#y", '"><img src=x onerror=alert(1)>', "50%"])
def test_whatever_a_jobs_id_is_its_page_is_reached_by_the_link(tmp_path: Path, id_: str) -> None:
    with serving(tmp_path, {"scheduled_jobs": [job_row("odd", id=id_)]}) as site:
        link = re.search(r'href="(/jobs/agent/[^"]*)"', page(site))
        assert link
        answer = site.client.get(link[1], headers=PAGE)
    assert answer.status_code == 200
    assert "<img" not in answer.text


def test_hostile_names_and_errors_are_text(tmp_path: Path) -> None:
    row = {**given_up(HOSTILE), "last_run_error": f'"><img src=x onerror=alert(2)>{HOSTILE}', "id": HOSTILE}
    with serving(tmp_path, {**outage(), "scheduled_jobs": [row]}) as site:
        site.sign_in(name=HOSTILE)
        pages = [page(site), page(site, f"/jobs/agent/{HOSTILE.replace('/', '%2F')}")]
    for html in pages:
        parser = _Reader()
        parser.feed(html)
        assert HOSTILE in "".join(parser.parts)
        assert [attrs["src"] for tag, attrs in parser.tags if tag == "script"] == [
            next(str(attrs["src"]) for tag, attrs in parser.tags if tag == "script")
        ]
        assert not [tag for tag, _ in parser.tags if tag == "img"]
        assert not [name for _, attrs in parser.tags for name in attrs if name.startswith("on")]


def test_nothing_comes_from_elsewhere_and_nothing_is_inline(site: Site) -> None:
    answer = site.client.get("/", headers=PAGE)
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'")
    assert "unsafe" not in policy
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["cache-control"] == "no-store"
    parser = _Reader()
    parser.feed(answer.text)
    for tag, attrs in parser.tags:
        assert "style" not in attrs
        for name in ("src", "href", "action"):
            target = str(attrs.get(name) or "/")
            assert target.startswith(("/", "#", "?", "data:image/")), (tag, target)
    for name in ("page.css", "page.js"):
        link = re.search(rf'"(/static/{name}[^"]*)"', answer.text)
        assert link
        assert site.client.get(link[1]).status_code == 200
    assert site.client.get("/static/..%2Fapp.py").status_code == 404


def test_it_works_without_script(site: Site) -> None:
    """All of the content and every form is in what is served; the script only fetches it anew."""
    site.sign_in()
    parser = _Reader()
    parser.feed(page(site))
    actions = [attrs["action"] for tag, attrs in parser.tags if tag == "form"]
    assert actions == ["/logout", "/act/acknowledge", "/act/silence"]
    assert not [
        attrs
        for tag, attrs in parser.tags
        if tag == "button" and attrs.get("type") == "button" and "hidden" not in attrs
    ]


def news(site: Site, path: str = "/", had: str = "nothing", **headers: str) -> Any:
    """What the page's own script gets that has the parts of these marks."""
    return site.client.get(path, headers={**PAGE, "X-Parts": had, **headers})


def put_together(answer: dict[str, Any]) -> str:
    """The regions as the script puts them in place."""
    made = []
    for region in answer["regions"]:
        frame = region["frame"]
        for mark in region["parts"]:
            frame = frame.replace("<template data-part></template>", answer["parts"][mark], 1)
        made.append(frame)
    return "".join(made)


def test_what_the_script_gets_is_the_pages_own_middle(site: Site) -> None:
    for path in ("/", "/jobs/agent/id-heartbeat", "/incidents/1"):
        whole = page(site, path)
        parts = news(site, path).json()
        for region in parts["regions"]:
            assert put_together({**parts, "regions": [region]}) in whole


def test_a_refresh_carries_only_what_has_changed(site: Site) -> None:
    first = news(site)
    parts = first.json()
    had = ",".join([*parts["parts"], *(region["mark"] for region in parts["regions"])])
    nothing = news(site, had=had).json()
    assert nothing["parts"] == {}
    assert not [region for region in nothing["regions"] if "frame" in region]
    change(site.database, "UPDATE scheduled_jobs SET last_run_at = '2026-06-10T12:00:00Z' WHERE name = 'inbox'")
    site.look(NOW + timedelta(seconds=2))
    (changed,) = news(site, had=had).json()["parts"].values()
    assert "inbox" in changed
    assert changed.startswith("<tr")


def test_what_is_known_is_not_sent_again_and_time_that_goes_by_is_no_change(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("watchdog.web.page.FRESH", -1)  # as a second later, when the page is made anew
    first = news(site)
    site.look(NOW + timedelta(seconds=5))
    again = news(site, **{"If-None-Match": first.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again.headers["x-as-of"] == "2026-06-10T12:00:05Z"


def test_instants_are_for_programs_too(site: Site) -> None:
    assert re.search(
        r'<time datetime="2026-06-10T11:00:00\.123Z" title="2026-06-10 11:00 UTC">1 h ago</time>', page(site)
    )


def test_without_a_state_file_the_page_shows_what_the_snapshot_tells(tmp_path: Path) -> None:
    with serving(tmp_path, keeps_state=False) as site:
        assert "oldest first: 7 error" in page(site)


def test_the_past_outlasts_what_the_snapshot_shows(tmp_path: Path) -> None:
    rows = healthy()
    with serving(tmp_path, rows) as site:
        for hour in range(12, 30):
            at = f"2026-06-1{hour // 24} {hour % 24:02}:01:00"
            change(
                site.database,
                "INSERT INTO cost_events (session_key, input_tokens, output_tokens, created_at) VALUES (?, 1, 1, ?)",
                "scheduler:sched:id-heartbeat",
                at,
            )
            site.look(NOW + timedelta(hours=hour - 12, minutes=2))
        assert "5 outcome not known, then 1 worked, then 18 outcome not known" in page(site)


def test_a_page_is_made_once_a_second_however_many_ask(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    front = view.front

    def counted(posting: Posting, asked: Wanted, known: Callable[[Sequence[JobKey]], Known]) -> view.Front:
        made.append(posting)
        return front(posting, asked, known)

    monkeypatch.setattr("watchdog.web.view.front", counted)
    for _ in range(20):
        page(site)
    assert len(made) <= 2


# forms


def test_without_a_token_there_is_nowhere_to_sign_in(tmp_path: Path) -> None:
    with serving(tmp_path, token=False) as site:
        assert "Sign in" not in page(site)
        assert site.client.get("/login", headers=PAGE).status_code == 404
        assert site.client.post("/act/acknowledge", data={"number": 1}, headers=ORIGIN).status_code == 404
        assert site.client.post("/login", data={"token": TOKEN}, headers=ORIGIN).status_code == 404


def test_the_token_opens_a_session_with_a_cookie_that_no_script_and_no_other_site_can_use(site: Site) -> None:
    answer = site.client.post("/login", data={"token": TOKEN, "back": "/jobs/agent/x"}, headers=ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs/agent/x")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert TOKEN not in cookie


@pytest.mark.parametrize(
    "back", ["//evil.example/", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "http://["]
)
def test_after_signing_in_nobody_is_sent_elsewhere(site: Site, back: str) -> None:
    answer = site.client.post("/login", data={"token": TOKEN, "back": back}, headers=ORIGIN)
    assert answer.headers["location"] == "/"
    assert 'name="back" value="/"' in site.client.get("/login", params={"back": back}).text


def test_a_wrong_token_opens_nothing(site: Site) -> None:
    answer = site.client.post("/login", data={"token": "wrong"}, headers=ORIGIN)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "That is not the token." in answer.text


def test_a_button_takes_an_incident_on_and_says_so_once(site: Site) -> None:
    csrf = site.sign_in()
    answer = site.client.post("/act/acknowledge", data={"csrf": csrf, "number": "1", "back": "/"}, headers=ORIGIN)
    assert answer.status_code == 303
    text = words(page(site))
    assert "Incident 1 is yours." in text
    assert "Maria (page) is on it" in text
    assert "Incident 1 is yours." not in words(page(site))
    assert site.said()[0] == ((1, "2026-06-10T12:00:00Z", "Maria (page)"),)
    (entry,) = site.audit()
    assert entry[1:4] == ("2026-06-10T12:00:00Z", "Maria (page)", "testclient")
    assert entry[4].startswith("acknowledged incident 1: heartbeat was given up")


@pytest.mark.parametrize(
    ("recovery", "why"),
    [
        (Recovery(), "recovery.mode is observe, and would have to be propose or act"),
        (Recovery(mode="act"), "there is no policy in recovery.policies"),
        (ACTS, ""),
    ],
)
def test_where_no_button_brings_a_job_back_its_card_says_why_and_what_does(
    tmp_path: Path, recovery: Recovery, why: str
) -> None:
    with serving(tmp_path, recovery=recovery) as site:
        assert "No Revive here" not in words(page(site))  # who is not signed in has no buttons at all
        site.sign_in()
        for path in ("/", "/incidents/1", "/jobs/agent/id-heartbeat"):
            text = words(page(site, path))
            assert (f"No Revive here: {why}. The command above does it." in text) is bool(why), text
            assert ("Revive : " in text) is not bool(why)
            assert "scheduler-watchdog revive id-heartbeat" in text


def test_the_cards_of_jobs_that_nothing_brings_back_lack_no_button(tmp_path: Path) -> None:
    rows = outage()
    rows["scheduled_jobs"][0] |= {"status": "active", "consecutive_errors": 9, "next_run_at": "2026-06-10T12:30:00Z"}
    with serving(tmp_path, rows) as site:
        site.sign_in()
        assert "failing" in words(page(site))
        assert "No Revive here" not in words(page(site))


def test_what_has_just_ended_is_not_headed_as_wrong(tmp_path: Path) -> None:
    rows = outage()
    rows["cost_events"] = [row for row in rows["cost_events"] if row["input_tokens"]]
    with serving(tmp_path, rows) as site:
        assert "What is wrong" in words(page(site))
        change(
            site.database,
            "UPDATE scheduled_jobs SET status = 'active', consecutive_errors = 0, last_run_status = 'ok', "
            "last_run_at = '2026-06-10T12:00:00Z', next_run_at = '2026-06-10T13:00:00Z'",
        )
        text = words(page(site.look(NOW + MINUTE)))
        assert "OK All is well." in text
        assert "What is wrong" not in text
        assert "✓ clear" in text
        assert "over at 2026-06-10 12:06" in text
        assert "▲ critical" not in text
        job = re.findall(r'href="(/jobs/[^"]+)" class="name"[^>]*>heartbeat<', page(site))[0]
        assert "What is wrong" not in words(page(site, job))
        assert "✓ clear" in words(page(site, job))


def test_page_message_and_table_say_alike_since_when_it_was_so_was_clear_and_was_over() -> None:
    office = Office()
    office.find(finding("failing", since=NOW - 5 * HOUR))
    office.wait(MINUTE)
    office.find(finding("failed", since=office.now))
    office.wait(HOUR)
    office.find()
    clear = office.now
    office.wait(HOUR)
    message = office.letters[-1]
    assert message.title == "Over: heartbeat was given up (for 1 h)"
    assert f"Since: {say(NOW + MINUTE)}" in message.text
    (incident,) = office.notifier.ledger.incidents.values()
    over = incident.resolved_at
    assert over is not None
    assert f"Clear since: {say(clear)}\nOver at: {say(over)}" in message.text
    posting = Posting(Published(()), office.now, 0.0)
    shown = view.front(posting, Wanted(), lambda keys: Known(Notes(incidents=(incident,)))).over
    assert [(past.began.said, past.ended.said, past.over.said) for past in shown] == [
        (say(NOW + MINUTE), say(clear), say(over))
    ]
    table = StringIO()
    Console(file=table, width=200).print(incidents_view([incident], {}, (), office.now, None))
    assert f"{ago(NOW + MINUTE, office.now)}" in table.getvalue()
    assert f"over {ago(over, office.now)}" in table.getvalue()


def test_what_was_critical_and_waits_for_its_proof_is_as_grave_in_the_heading_as_on_its_card() -> None:
    key, timing = ("agent", "id-heartbeat"), Timing()
    found = update(Ledger(), [finding("failed")], frozenset(), Moment(NOW), timing)
    again, now = finding("zero_tokens"), Moment(NOW + MINUTE)
    found = update(found, [again], frozenset(), now, timing, {key}, lambda *_: True)
    state = SourceState(Snapshot("agent", "phantom", ()), Diagnosis((again,), None), now.at, now.at)
    posting = Posting(Published((state,)), now.at, 0.0, tuple(found.open))
    shown = view.front(posting, Wanted(), lambda keys: Known())
    assert (shown.verdict, shown.problems[0].severity) == ("CRITICAL", "critical")
    assert shown.headline == "1 warning; that job was brought back, critical until its next run ends well"


def test_the_advice_goes_on_after_a_colon_as_a_sentence_does() -> None:
    done = Action(1, Stamp(NOW), "by hand", "restart", "agent", None, "agent", "c", ActionState.ACTED, acted_at=NOW)
    advised = advise(finding("zero_tokens"), None, "phantom")
    assert advised.words.startswith("See why no model answers")
    for said in (advised.once_proved(), advised.after(Deed(done), NOW)):
        assert ": see why no model answers" in said.words


def test_the_next_run_of_a_job_whose_run_goes_on_is_said_as_by_the_command() -> None:
    """The row still holds the fire that this run is for: that was due, and the next one is not."""
    job = Job("id-a", "a", Every(MINUTE), next_run_at=NOW - MINUTE, in_flight_since=NOW - MINUTE)
    snapshot = Snapshot("agent", "phantom", (job,))
    published = Published((SourceState(snapshot, Diagnosis((), None), NOW, NOW),))
    posting = Posting(published, NOW, 0.0)
    (row,) = view.front(posting, Wanted(), lambda keys: Known()).table.rows
    shown = job_page(posting, "agent", "id-a", Known(), 100, "week")
    assert shown is not None
    assert (row.next_words, row.next) == ("after this run", None)
    assert ("Next run", "after this run", None) in shown.facts
    table = StringIO()
    Console(file=table, width=200).print(jobs_view(published, NOW, 200))
    assert "after this run" in table.getvalue()
    assert "was due" not in table.getvalue()


@pytest.mark.parametrize(("used", "said"), [(200, "200"), (50, "50, not all: the runs on record here have 100")])
def test_what_a_scheduler_counts_is_not_taken_for_what_is_on_record_here(used: int, said: str) -> None:
    ends = tuple(RunEnd(number, NOW - number * HOUR, 25, 25) for number in (2, 1))
    job = Job("id-a", "a", Every(HOUR), next_run_at=NOW, recent=ends, totals=Totals(2, used // 2, used // 2))
    posting = Posting(
        Published((SourceState(Snapshot("agent", "phantom", (job,)), Diagnosis((), None), NOW, NOW),)), NOW, 0.0
    )
    shown = job_page(posting, "agent", "id-a", Known(), 100, "week")
    assert shown is not None
    assert ("Tokens by its scheduler's count", said, None) in shown.facts
    assert ("Runs by its scheduler's count", "2", None) in shown.facts
    assert [measure.total for measure in shown.chart.measures] == ["100 of 2 runs on record in the last week"]


def test_what_stands_in_an_incidents_history_is_never_dated_anew() -> None:
    """What was brought back is over when a run has shown it: until then nothing says that it is."""
    key, timing = ("agent", "id-heartbeat"), Timing()
    found = update(Ledger(), [finding("failed")], frozenset(), Moment(NOW), timing)
    steps: list[list[str]] = []
    for minute, unproved in ((1, {key}), (2, {key}), (3, set()), (4, set()), (30, set())):
        now = Moment(NOW + minute * MINUTE)
        found = update(found, [], frozenset(), now, timing, unproved, lambda *_: True)
        page_ = incident_page(found.incidents[1], Posting(Published(()), now.at, 0.0), Known(), (), (), 1)
        steps.append([f"{one.at.iso} {one.words}" for one in reversed(page_.events)])
        if unproved:
            table = StringIO()
            Console(file=table, width=200).print(incidents_view(list(found.incidents.values()), {}, (), now.at, HOUR))
            assert "clear, over once its next run is well" in table.getvalue()
    for before, after in pairwise(steps):
        assert after[: len(before)] == before
    assert [line.partition(" ")[2] for line in steps[-1]] == ["failed", "no longer failed", "over"]


def test_a_page_that_was_just_loaded_knows_that_nothing_has_changed(site: Site) -> None:
    (mark,) = re.findall(r'data-page="([^"]+)"', page(site))
    answer = site.client.get("/", headers={**PAGE, "X-Parts": "", "If-None-Match": f'W/"{mark}"'})
    assert (answer.status_code, answer.content) == (304, b"")


def test_what_is_worse_since_it_was_taken_on_can_be_taken_on_anew(tmp_path: Path) -> None:
    rows = outage()
    rows["scheduled_jobs"][0] |= {"status": "active", "consecutive_errors": 9, "next_run_at": "2026-06-10T12:30:00Z"}
    with serving(tmp_path, rows) as site:
        csrf = site.sign_in()
        site.client.post("/act/acknowledge", data={"csrf": csrf, "number": "1", "back": "/"}, headers=ORIGIN)
        text = words(page(site))
        assert "Maria (page) is on it" in text
        assert "more has come since" not in text
        assert "Acknowledge" not in text
        with sqlite3.connect(site.database) as database:
            database.execute("UPDATE scheduled_jobs SET status = 'failed', consecutive_errors = 10, next_run_at = NULL")
        database.close()
        site.look(NOW + MINUTE)
        text = words(page(site))
        assert "Maria (page) is on it; more has come since" in text
        assert "Acknowledge" in text
        assert "Give back" in text


def test_it_says_whose_run_is_waited_for_where_nothing_is_as_grave_any_more() -> None:
    grave, lesser = finding("failed"), finding("zero_tokens")
    found = update(Ledger(), [grave], frozenset(), Moment(NOW), Timing())
    assert waits_for(found.incidents[1]) == ""
    planned = {("agent", "id-heartbeat")}
    found = update(found, [lesser], frozenset(), Moment(NOW + MINUTE), Timing(), planned, lambda *tried: True)
    assert waits_for(found.incidents[1]) == "heartbeat"
    found = update(found, [lesser], frozenset(), Moment(NOW + HOUR), Timing())
    assert waits_for(found.incidents[1]) == ""


def test_the_other_buttons_silence_and_revive(tmp_path: Path) -> None:
    with serving(tmp_path, recovery=ACTS) as site:
        csrf = site.sign_in()
        silence = {"csrf": csrf, "match": "job_id=id-heartbeat", "length": "2h"}
        assert site.client.post("/act/silence", data=silence, headers=ORIGIN).status_code == 303
        revive = {"csrf": csrf, "source": "agent", "job_id": "id-heartbeat"}
        assert site.client.post("/act/revive", data=revive, headers=ORIGIN).status_code == 303
        text = words(page(site))
    assert "heartbeat is being brought back" in text
    assert "Nobody is told of heartbeat for 2h." in text
    assert "heartbeat job_id=id-heartbeat ends in 2 h" in text
    assert "revive heartbeat about to be done" in text
    # the next look has not come, and what was just done is neither asked for nor offered once more
    card, _, rest = text.partition("To do:")
    assert "silenced until 2026-06-10 14:00 UTC" in card
    assert "It is being brought back since 2026-06-10 12:00 UTC; its next run shows whether" in rest
    assert "Revive" not in text
    assert "scheduler-watchdog revive" not in text


@pytest.mark.parametrize(
    ("headers", "changes"),
    [
        ({}, {}),
        ({"Origin": "http://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        ({"Origin": "http://["}, {}),
        (ORIGIN, {"csrf": "wrong"}),
        (ORIGIN, {"csrf": ""}),
    ],
)
def test_a_form_of_another_page_changes_nothing(site: Site, headers: dict[str, str], changes: dict[str, str]) -> None:
    form = {"csrf": site.sign_in(), "number": "1", "match": "heartbeat", "source": "agent", "job_id": "id-heartbeat"}
    before = site.said()
    for what in ("acknowledge", "silence", "approve", "revive"):
        answer = site.client.post(f"/act/{what}", data=form | changes, headers=headers)
        assert answer.status_code == 403
    assert site.said() == before


def test_a_session_ends_with_the_sign_out_and_with_a_changed_token(site: Site) -> None:
    csrf = site.sign_in()
    (site.config.http.token_file or Path()).write_text("another-token\n")
    assert site.client.post("/act/acknowledge", data={"csrf": csrf, "number": "1"}, headers=ORIGIN).status_code == 403
    (site.config.http.token_file or Path()).write_text(TOKEN)
    assert site.client.post("/logout", data={"csrf": csrf}, headers=ORIGIN).status_code == 303
    assert site.client.post("/act/acknowledge", data={"csrf": csrf, "number": "1"}, headers=ORIGIN).status_code == 403
    assert site.said()[0] == ()


def test_what_cannot_be_done_is_told_on_the_page(site: Site) -> None:
    csrf = site.sign_in()
    for what, form, why in (
        ("acknowledge", {"number": "99"}, "there is no incident 99"),
        ("acknowledge", {"number": "x"}, "there is nothing with this number"),
        ("approve", {"number": "1"}, "there is no recovery 1"),
        ("silence", {"match": "shoe=1"}, "cannot be matched"),
        ("silence", {"match": "x", "length": "0s"}, "a silence lasts longer than nothing"),
        ("revive", {"source": "agent", "job_id": "id-heartbeat"}, "this watchdog carries nothing out"),
    ):
        site.client.post(f"/act/{what}", data={"csrf": csrf, **form}, headers=ORIGIN)
        assert why in words(page(site)).replace("&#39;", "'")
    assert site.client.post("/act/nothing", data={"csrf": csrf}, headers=ORIGIN).status_code == 404


# the past


def test_history_is_told_as_it_was_not_as_it_became(tmp_path: Path) -> None:
    rows = outage()
    rows["scheduled_jobs"][0] |= {"status": "active", "consecutive_errors": 5, "next_run_at": "2026-06-10T13:00:00Z"}
    with serving(tmp_path, rows) as site:
        later = NOW + timedelta(hours=5)
        change(
            site.database,
            "UPDATE scheduled_jobs SET status = 'failed', consecutive_errors = 10, next_run_at = NULL, "
            "updated_at = '2026-06-10 16:59:00' WHERE name = 'heartbeat'",
        )
        site.look(later)
        text = words(page(site, "/jobs/agent/id-heartbeat"))
        timeline = text[text.index("Timeline") :]
    assert "2026-06-10 12:00 UTC ▲ incident 1 began: failing" in timeline
    assert "2026-06-10 17:00 UTC ▲ incident 1 became: failed" in timeline
    assert "began: failed" not in timeline


def test_what_an_incident_was_from_its_first_instant_is_one_line_with_the_gravest_first(tmp_path: Path) -> None:
    site = Site(tmp_path, outage()).look(NOW + timedelta(days=25))
    try:
        text = words(page(site, "/jobs/agent/id-heartbeat"))
    finally:
        site.close()
    assert re.findall(r"incident \d+ (?:began|became): failed, expiring", text[text.index("Timeline") :])
    assert "became: " not in text


def test_a_jobs_past_is_shown_over_a_day_a_week_or_a_month(site: Site) -> None:
    for name, slots in (("day", 24), ("week", 28), ("month", 30), ("fortnight", 28)):
        html = page(site, f"/jobs/agent/id-heartbeat?range={name}")
        assert html.count("<title>") > slots
        assert html.count("UTC to 2026") >= slots
    assert "Tokens" in html


def test_every_time_is_marked_for_the_viewers_own_zone(site: Site) -> None:
    html = page(site)
    said = re.sub(r"<time [^>]*>[^<]*</time>", "", html)
    body = re.sub(r'\b(?:title|aria-label|data-verdict)="[^"]*"', "", said)
    assert " UTC" not in body.replace("Times are in UTC", "").replace("(UTC)", "")


def test_an_address_that_is_not_there_leads_on_for_people_and_is_plain_for_programs(site: Site) -> None:
    answer = site.client.get("/nope", headers=PAGE)
    assert answer.status_code == 404
    assert "There is no such page" in answer.text
    assert 'href="/"' in answer.text
    assert site.client.get("/nope").text == "Not Found\n"
    assert site.client.get("/api/v1/nope", headers=PAGE).json() == {"error": "Not Found"}


def test_title_and_picture_say_how_it_stands(tmp_path: Path) -> None:
    with serving(tmp_path) as site:
        assert "<title>CRITICAL: 1 critical · Scheduler watchdog</title>" in page(site)
        critical = re.search(r'rel="icon" href="([^"]*)"', page(site))
    (tmp_path / "well").mkdir()
    with serving(tmp_path / "well", healthy()) as site:
        well = re.search(r'rel="icon" href="([^"]*)"', page(site))
    assert critical
    assert well
    assert critical[1] != well[1]


ODD_NAMES = ["موجز الصباح", "x" * 200, "a\x02b\x03c\x04", "<template data-part>", "2026-06-10 11:00 UTC", "{{ 7 * 7 }}"]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_whatever_a_name_is_it_stays_text_in_its_place(tmp_path: Path, name: str) -> None:
    rows = {**outage(), "scheduled_jobs": [given_up(name) | {"id": "odd"}, job_row("inbox")]}
    with serving(tmp_path, rows) as site:
        html = page(site)
        parts = news(site).json()
        assert len(parts["regions"]) == 3
        for region in parts["regions"]:
            assert put_together({**parts, "regions": [region]}) in html
        assert page(site, "/jobs/agent/odd")
        assert page(site, "/incidents/1")
    parser = _Reader()
    parser.feed(html)
    assert all(attrs.get("dir") == "auto" for tag, attrs in parser.tags if attrs.get("class") == "name" and tag == "a")
    assert [attrs for tag, attrs in parser.tags if tag == "template"] == []


def test_a_job_counts_the_findings_of_its_incident_as_that_does() -> None:
    three = [finding(kind, error_class="transient") for kind in ("failed", "failing", "undelivered")]
    found = update(Ledger(), three, frozenset(), Moment(NOW), Timing())
    (incident,) = (one for one in found.incidents.values() if len(one.members) > 1)
    posting = Posting(Published(()), NOW, 0.0, (incident,))
    (front,), (job,) = problems(posting, Known()), problems_of(posting, Known(), ("agent", "id-heartbeat"))
    whole = incident_page(incident, posting, Known(), (), (), 1)
    assert front.own_count == job.own_count == whole.total == 2


# who is told


@pytest.fixture
def owned(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """The outage, with these owners and the channels `me` and `mail`; the one before it is closed."""
    build(tmp_path / "phantom.db", outage())
    sites: list[Site] = []

    def made(*owners: Owner) -> Site:
        while sites:
            sites.pop().close()
        channel = Channel(url=Secret("json://127.0.0.1:9"))
        config = Config(
            sources=(Phantom(name="agent", database=tmp_path / "phantom.db"),),
            state=tmp_path / "state.db",
            channels={"me": channel, "mail": channel},
            owners=owners,
        )
        sites.append(Site(tmp_path, {}, config=config).look())
        return sites[-1]

    yield made
    sites.pop().close()


def test_an_owner_is_shown_by_name_and_one_without_by_where_it_is_told(owned: Callable[..., Site]) -> None:
    both = ("me", "mail")
    for owners, said in (
        ((), "Told on me and mail"),
        ((Owner(notify=both),), "Told on me and mail"),
        ((Owner(notify=("me",)),), "Told on me"),
        ((Owner(name="night-shift", notify=both),), "Owner night-shift"),
    ):
        facts = words(page(owned(*owners), "/jobs/agent/id-heartbeat"))
        assert said in facts
        assert "me,mail" not in facts


def test_an_incident_that_no_owner_is_for_says_that_nobody_is_told(owned: Callable[..., Site]) -> None:
    nobody = "Nobody: no owner is for this job; add one under `owners` in the configuration, like: - {match: {job: "
    other = Owner(match=OwnerMatch(job="inbox"), notify=("me",))
    site = owned(other)
    assert f'Who was told {nobody}"heartbeat"}}, notify: [me]}}' in words(page(site, "/incidents/1"))
    assert site.client.get("/api/v1/incidents/1").json()["told_nobody"].startswith("no owner is for this job; ")
    assert "Nobody: " not in words(page(owned(other, Owner(notify=("me",))), "/incidents/1"))
