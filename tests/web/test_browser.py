"""The page in a real browser: what people see, with the mouse, with the keyboard alone, and with a screen reader."""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import build, job_row
from tests.support.browser import ENTER, TAB, Browser, browser
from tests.support.command import COMMAND, Running, fetched, free_port, running, until
from tests.support.site import HOSTILE, TOKEN, outage

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
            until(lambda: _shows(window, url, "heartbeat: failed"), "the outage shows")
            assert window.title.startswith("CRITICAL: 1 critical")
            until(
                lambda: "failed of heartbeat" in window.text("[aria-labelledby=over]"), "its end shows without a reload"
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
    reachable = "a[href], button:not([hidden]), summary, input:not([type=hidden])"
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
        until(lambda: "unreachable" in window.text(), "the change shows without a reload")
        assert window.run(place) == opened
        assert window.run("return document.getElementById(arguments[0]).open", opened)
        assert "critical" in window.text("#announce")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation(window: Browser, outage_page: Running, axe: str, scheme: str) -> None:
    window._do("POST", "/goog/cdp/execute", _prefers(scheme))
    try:
        for path in ("/login", "/", "/jobs/agent/id-heartbeat", "/jobs/agent/none"):
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
        for path in ("/", "/jobs/agent/id-heartbeat", "/login"):
            window.open(outage_page.url + path)
            assert window.run("return document.documentElement.scrollWidth") <= 390
            assert violations(window, axe) == [], path
    finally:
        window._do("POST", "/goog/cdp/execute", {"cmd": "Emulation.clearDeviceMetricsOverride", "params": {}})
