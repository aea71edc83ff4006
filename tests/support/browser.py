"""A real headless Chromium, driven through chromedriver's own HTTP (the W3C WebDriver protocol)."""

import base64
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.command import PATIENCE, free_port, needs, until

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
TAB, ENTER, END, BACKSPACE = "\ue004", "\ue007", "\ue010", "\ue003"

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


class Browser:
    """One window."""

    def __init__(self, driver: str, options: dict[str, Any]) -> None:
        self._driver = driver
        made = _ask("POST", f"{driver}/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
        self._session = f"{driver}/session/{made['sessionId']}"

    def open(self, url: str) -> None:
        """Go there, and wait for it."""
        self._do("POST", "/url", {"url": url})

    @property
    def title(self) -> str:
        """The page's title."""
        return str(self._do("GET", "/title"))

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self._do("GET", "/url"))

    def run(self, script: str, *arguments: object) -> Any:
        """What a script gives back."""
        return self._do("POST", "/execute/sync", {"script": script, "args": arguments})

    def run_async(self, script: str, *arguments: object) -> Any:
        """What a script calls its last argument with."""
        return self._do("POST", "/execute/async", {"script": script, "args": arguments})

    def text(self, css: str = "body") -> str:
        """What is to be read there."""
        return str(self.run("return document.querySelector(arguments[0])?.innerText ?? ''", css))

    def click(self, css: str) -> None:
        """Click on the first that matches, as a person would: it must be visible and not covered."""
        found = self._do("POST", "/element", {"using": "css selector", "value": css})
        self._do("POST", f"/element/{found[ELEMENT]}/click", {})

    def press(self, *keys: str) -> None:
        """Press keys, one after another, wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._do("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def alert(self) -> str | None:
        """The text of a dialogue that is open."""
        try:
            return str(self._do("GET", "/alert/text"))
        except AssertionError:
            return None

    def picture(self, path: Path) -> None:
        """Keep what is to be seen."""
        path.write_bytes(base64.b64decode(str(self._do("GET", "/screenshot"))))

    def close(self) -> None:
        """End it."""
        self._do("DELETE", "")

    def _do(self, method: str, path: str, body: object = None) -> Any:
        return _ask(method, self._session + path, body)


def _ask(method: str, url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["value"]
    except urllib.error.HTTPError as error:
        with error:
            raise AssertionError(json.load(error)["value"]["message"]) from None


@contextmanager
def browser(folder: Path, *flags: str) -> Iterator[Browser]:
    """A window of its own profile; skips where Chromium or its driver is not installed."""
    chromium, driver, port = needs("chromium"), needs("chromedriver"), free_port()
    process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: _is_up(url), "chromedriver answers")
        arguments = [*_FLAGS, *flags, f"--user-data-dir={folder / 'profile'}"]
        window = Browser(url, {"binary": chromium, "args": arguments})
        try:
            yield window
        finally:
            window.close()
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _is_up(url: str) -> bool:
    try:
        return bool(_ask("GET", f"{url}/status")["ready"])
    except OSError:
        return False
