"""The page in a real browser: what people see, with the mouse, with the keyboard alone, and with a screen reader."""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import build, job_row
from tests.support.browser import BACKSPACE, END, ENTER, TAB, Browser, browser
from tests.support.command import COMMAND, Running, fetched, free_port, running, until
from tests.support.harness import change
from tests.support.site import HOSTILE, TOKEN, crowd, outage

AXE = "axe-core@4.14.1"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests here; starting one takes longer than most of them."""
    with browser(tmp_path_factory.mktemp("browser"), "--window-size=1200,1000") as window:
        yield window


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, fetched once through npm."""
    return (fetched("axe", AXE) / "node_modules" / "axe-core" / "axe.min.js").read_text()


@contextmanager
def service(folder: Path, rows: dict[str, list[dict[str, object]]]) -> Iterator[Running]:
    """The installed command with a token, on a database with these rows."""
    database = build(folder / "phantom.db", rows)
    (folder / "token").write_text(TOKEN)
    (folder / "watchdog.yaml").write_text(
        f"sources: [{{name: agent, database: {database}}}]\nstate: {folder / 'state.db'}\npoll: 100ms\n"
        f'http: {{listen: "127.0.0.1:PORT", token_file: {folder / "token"}}}\n'
    )
    with running(folder) as found:
        yield found


@pytest.fixture(scope="module")
def outage_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that watches an outage, with a job whose name is hostile."""
    rows = outage()
    rows["scheduled_jobs"].append(job_row(HOSTILE, id="hostile"))
    with service(tmp_path_factory.mktemp("outage"), rows) as found:
        yield found


def sign_in(window: Browser, url: str) -> None:
    """As a person does."""
    window.open(f"{url}/login")
    window.run("document.getElementById('token').focus()")
    window.press(*TOKEN, TAB, *"Maria", ENTER)
    until(lambda: window.url == f"{url}/", "the page is back")


def violations(window: Browser, axe: str) -> list[str]:
    """What axe finds on the page as it is."""
    window.run(axe)
    found: dict[str, Any] = window.run_async("axe.run().then(arguments[arguments.length - 1])")
    assert len(found["passes"]) > 10
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found["violations"]]


def test_the_demos_outage_and_its_recovery_are_seen(window: Browser) -> None:
    port = free_port()
    command = [str(COMMAND), "demo", "--port", str(port), "--seconds", "40", "--stay"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as demo:
        try:
            url = f"http://127.0.0.1:{port}/"
            until(lambda: _shows(window, url, "heartbeat was given up"), "the outage shows")
            assert window.title.startswith("CRITICAL: 1 critical")
            until(
                lambda: "heartbeat was given up" in window.text("[aria-labelledby=over]"),
                "its end shows without a reload",
            )
            strip = window.run(
                "return [...document.querySelectorAll('tbody tr')].find(row => row.innerText.includes('heartbeat'))"
                ".querySelector('.strip').getAttribute('aria-label')"
            )
            assert re.search(r": 1 worked, then \d+ error, then 1 missed, then 1 worked", strip)
        finally:
            demo.terminate()


def _shows(window: Browser, url: str, words: str) -> bool:
    try:
        window.open(url)
    except AssertionError:  # it does not listen yet
        return False
    return words in window.text("#wrong ~ article") or words in window.text()


def test_an_incident_is_taken_on_by_a_click(window: Browser, outage_page: Running) -> None:
    sign_in(window, outage_page.url)
    assert "is on it" not in window.text()
    window.click("button[id^=acknowledge]")
    until(lambda: "Maria (page) is on it" in window.text(), "it is shown as taken on")
    assert window.text("[role=status]").endswith("is yours.")


def test_a_hostile_name_is_text(window: Browser, outage_page: Running) -> None:
    for path in ("/", "/jobs/agent/hostile"):
        window.open(outage_page.url + path)
        assert HOSTILE in window.text()
        assert window.alert() is None


def test_the_keyboard_alone_reaches_everything(window: Browser, outage_page: Running) -> None:
    sign_in(window, outage_page.url)
    window.run("document.querySelectorAll('details').forEach(part => { part.open = true })")
    window.run("document.activeElement.blur()")
    reachable = "a[href], button:not([hidden]), summary, select, input:not([type=hidden])"
    everything = window.run("return document.querySelectorAll(arguments[0]).length", reachable)
    window.run("window.reached = new Set(); document.addEventListener('focusin', e => window.reached.add(e.target))")
    window.press(*[TAB] * everything)
    assert window.run("return window.reached.size") == everything
    assert everything > 8
    window.open(outage_page.url)
    window.press(TAB)
    assert window.run("return document.activeElement.innerText") == "Skip to the content"
    window.press(ENTER, TAB)
    assert window.run("return document.getElementById('main').contains(document.activeElement)")


def test_a_refresh_leaves_focus_and_what_is_open_alone(window: Browser, tmp_path: Path) -> None:
    with service(tmp_path, outage()) as found:
        window.open(found.url)
        window.click("summary")
        place = "return document.activeElement.closest('details').id"
        opened = window.run(place)
        (tmp_path / "phantom.db").unlink()
        before = window.title
        until(lambda: "cannot be read" in window.text(), "the change shows without a reload")
        assert window.title != before
        assert window.title.startswith(f"CRITICAL: {window.text('h1').split('CRITICAL')[1].strip()}")
        assert window.run(place) == opened
        assert window.run("return document.getElementById(arguments[0]).open", opened)
        assert "critical" in window.text("#announce")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(window: Browser, outage_page: Running, axe: str, scheme: str) -> None:
    window._do("POST", "/goog/cdp/execute", _prefers(scheme))
    try:
        for path in ("/login", "/", "/jobs/agent/id-heartbeat", "/jobs/agent/none", "/incidents/1", "/nope"):
            window.open(outage_page.url + path)
            assert window.run("return matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
            assert violations(window, axe) == [], path
        sign_in(window, outage_page.url)
        assert violations(window, axe) == []
    finally:
        window._do("POST", "/goog/cdp/execute", _prefers(""))


def _prefers(scheme: str) -> dict[str, object]:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    return {"cmd": "Emulation.setEmulatedMedia", "params": {"features": features}}


def test_on_a_phone_nothing_is_wider_than_the_screen(window: Browser, outage_page: Running, axe: str) -> None:
    metrics = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    window._do("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})
    try:
        for path in ("/", "/jobs/agent/id-heartbeat", "/incidents/1", "/login"):
            window.open(outage_page.url + path)
            assert window.run("return document.documentElement.scrollWidth") <= 390
            assert violations(window, axe) == [], path
        window.open(outage_page.url)
        said = "1 zero_tokens, 2 overdue; 1 of these jobs was brought back, critical until its next run ends well"
        window.run(f"document.querySelector('h1').lastChild.textContent = ' {said}'")
        assert window.run("const h = document.querySelector('h1'); return h.scrollHeight <= h.clientHeight + 1")
    finally:
        window._do("POST", "/goog/cdp/execute", {"cmd": "Emulation.clearDeviceMetricsOverride", "params": {}})


def test_a_long_state_stays_in_its_own_column(window: Browser, outage_page: Running) -> None:
    window.open(outage_page.url)
    window.run("document.querySelector('.jobs .state').textContent = '▸ running for 23 h 59 min'")
    over = """const state = document.querySelector('.jobs .state'), cell = state.closest('td')
        return state.getBoundingClientRect().right - cell.getBoundingClientRect().right"""
    assert window.run(over) <= 0


def test_on_half_a_screen_no_word_of_a_job_is_broken(window: Browser, outage_page: Running) -> None:
    metrics = {"width": 800, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    window._do("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})
    try:
        window.open(outage_page.url)
        look = """const cell = (label) => document.querySelector(`.jobs td[data-label="${label}"]`)
            const height = (one) => one.getBoundingClientRect().height
            const lines = (one) => Math.round(height(one) / parseFloat(getComputedStyle(one).lineHeight))
            cell('State').innerHTML = '<span class="kind warning">● zero tokens</span>'
            const next = document.createElement('div')
            next.textContent = 'was due 169 d ago'
            cell('Next run').replaceChildren(next)
            return [lines(cell('State').firstChild), lines(next)]"""
        assert window.run(look) == [1, 2]
    finally:
        window._do("POST", "/goog/cdp/execute", {"cmd": "Emulation.clearDeviceMetricsOverride", "params": {}})


def test_a_long_name_takes_two_lines_and_no_more_than_its_column(window: Browser, outage_page: Running) -> None:
    window.open(outage_page.url)
    look = """const name = document.querySelector('.jobs th .name'), cell = name.closest('th')
        name.textContent = arguments[0]
        const box = name.getBoundingClientRect(), lines = box.height / parseFloat(getComputedStyle(name).lineHeight)
        return [Math.round(lines), box.right <= cell.getBoundingClientRect().right]"""
    for text, lines in (("inbox", 1), ("a" * 200, 2), ("תזכורת יומית של הצוות " * 9, 2)):
        assert window.run(look.replace("arguments[0]", json.dumps(text))) == [lines, True]


def in_zone(window: Browser, zone: str) -> None:
    """Have the browser be somewhere; an empty zone is where this machine is."""
    command = {"cmd": "Emulation.setTimezoneOverride", "params": {"timezoneId": zone}}
    window._do("POST", "/goog/cdp/execute", command)


def test_times_are_told_in_the_viewers_own_zone_with_utc_when_pointed_at(window: Browser, outage_page: Running) -> None:
    in_zone(window, "Asia/Kolkata")
    try:
        window.open(outage_page.url)
        since = "return document.querySelector('article time.at')"
        assert window.run(f"{since}.innerText").startswith("16:30:08, 10 Jun")
        assert window.run(f"{since}.title") == "2026-06-10 11:00:08 UTC"
        last = "document.querySelector('td[data-label=\"Last run\"] time')"
        assert window.run(f"return {last}.title").endswith("· 2026-06-10 11:00:00 UTC")
        hover = "document.querySelector('.strip i').dispatchEvent(new PointerEvent('pointerover', {bubbles: true}))"
        title = window.run(f"{hover}; return document.querySelector('.strip i').title")
        assert re.fullmatch(r"error, 10:31, 10 Jun(?: 2026)?", title)
    finally:
        in_zone(window, "")


@pytest.fixture(scope="module")
def crowd_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A service that watches a thousand jobs, a hundred of them given up in two storms."""
    with service(tmp_path_factory.mktemp("crowd"), crowd(1000, 100)) as found:
        until(lambda: found.get("/readyz")[0] == 200, "it has looked")
        yield found


def shown(window: Browser) -> list[str]:
    """The jobs in the table."""
    return list(window.run("return [...document.querySelectorAll('tbody th')].map(one => one.innerText)"))


def test_a_job_is_found_while_its_name_is_typed_and_the_view_can_be_sent(window: Browser, crowd_page: Running) -> None:
    window.open(crowd_page.url)
    assert len(shown(window)) == 50
    window.run("document.getElementById('q').focus()")
    window.press(*"0777")
    until(lambda: shown(window) == ["job-0777"], "it is found")
    assert window.url == f"{crowd_page.url}/?q=0777"
    assert window.run("return document.activeElement.id") == "q"
    window.open(window.url)
    assert shown(window) == ["job-0777"]
    window.run("document.getElementById('q').focus()")
    window.press(END, *[BACKSPACE] * 4)
    until(lambda: len(shown(window)) == 50, "all are there again")
    assert window.url == f"{crowd_page.url}/"
    assert window.run("return document.querySelectorAll('template').length") == 0


def test_a_storms_job_is_reached_and_brought_back_by_the_keyboard_alone(window: Browser, crowd_page: Running) -> None:
    window.open(crowd_page.url)
    storms = "[...document.querySelectorAll('article h3 a')].filter(one => one.innerText.includes('were given up'))"
    until(lambda: window.run(f"return {storms}.length"), "the storm is shown")
    count = int(window.run(f"return {storms}[0].innerText").split()[0])
    assert count in (50, 100)
    window.run(f"{storms}[0].focus()")
    window.press(ENTER)
    until(lambda: "/incidents/" in window.url, "the storm's page opens")
    assert len(set(shown(window))) == count
    window.run("document.querySelector('tbody a').focus()")
    window.press(ENTER)
    until(lambda: "/jobs/" in window.url, "the job's page opens")
    job = window.run("return document.querySelector('h1').innerText")
    assert f" id-{job}\n" in window.text("article .command")
    assert f"{count} jobs were given up" in window.text("article .storm")


@pytest.mark.parametrize("path", ["/", "/?q=07&sort=name", "/?state=failed&page=2", "/incidents/1"])
def test_axe_finds_no_violation_in_a_crowd(window: Browser, crowd_page: Running, axe: str, path: str) -> None:
    window.open(crowd_page.url + path)
    assert violations(window, axe) == []


def test_who_comes_before_the_first_look_sees_the_page_as_soon_as_it_is_there(window: Browser, tmp_path: Path) -> None:
    with service(tmp_path, crowd(300, 2)) as found:
        window.open(found.url)
        until(lambda: len(shown(window)) == 50, "the jobs are shown")


def test_a_row_that_changes_is_put_in_place_among_those_that_stay(window: Browser, tmp_path: Path) -> None:
    with service(tmp_path, crowd(30, 2)) as found:
        window.open(found.url)
        window.run("window.kept = [...document.querySelectorAll('tbody tr')]")
        change(tmp_path / "phantom.db", "UPDATE scheduled_jobs SET status = 'paused' WHERE name = 'job-0029'")
        until(lambda: "paused" in window.text("tbody"), "the change shows without a reload")
        assert window.run("return window.kept.filter(row => row.isConnected).length") == 29
        change(tmp_path / "phantom.db", "DELETE FROM scheduled_jobs WHERE name = 'job-0028'")
        until(lambda: "job-0028" not in shown(window), "one row fewer is shown")
        assert len(shown(window)) == 29
        assert window.run("return window.kept.filter(row => row.isConnected).length") == 28
