"""The README's pictures: the demo's agent lives through its first outage, and Chromium looks at what is told of it.

`python -m tests.support.pictures FOLDER`. All of it is on one clock, so that the same pictures come out each time.
"""

import sys
from datetime import datetime, timedelta
from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.browser import Browser, browser
from tests.support.site import Site
from watchdog.config.file import Address, Channel, Config
from watchdog.demo.story import BEGIN, World
from watchdog.systems.phantom.section import Phantom
from watchdog.web.server import Server, bind

OUTAGE = BEGIN + timedelta(hours=1, minutes=10)
UNTIL = BEGIN + timedelta(hours=11)
LOOK = timedelta(minutes=2)

_MAIL = """<!DOCTYPE html><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.45 system-ui, "DejaVu Sans", sans-serif; margin: 0; padding: 18px 24px;
  background: #fff; color: #1b2330 }}
header {{ border-bottom: 1px solid #d9dee5; margin-bottom: 14px; padding-bottom: 10px }} header b {{ font-size: 18px }}
header span {{ color: #55606f; display: block }} p {{ margin: .45em 0 }} code {{ overflow-wrap: anywhere }}
</style><header><b>{title}</b><span>scheduler-watchdog to ops@example.org</span></header>{body}"""


def live(folder: Path) -> Site:
    """The demo's agent with its first outage, watched until that has been told."""
    world = World(folder / "phantom.db")
    config = Config(
        sources=(Phantom(name="phantom", database=folder / "phantom.db"),),
        state=folder / "state.db",
        channels={"ops": Channel.validated({"url": "mailto://localhost"})},
    ).meant_by("-c", Path("/etc/watchdog.yaml"))
    site = Site(folder, {}, config=config)
    now: datetime = BEGIN
    while now < UNTIL:
        now += LOOK
        if now - LOOK < OUTAGE <= now:
            world.provider_refuses()
        world.simulator.run_until(now)
        site.look(now)
    world.simulator.close()
    return site


def take(window: Browser, url: str, path: Path, width: int, height: int) -> None:
    """One picture, no higher than the page."""
    shape = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
    window._do("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": shape})
    window.open(url)
    needed = int(window.run("return Math.ceil(document.body.getBoundingClientRect().bottom)"))
    shape["height"] = min(height, needed)
    window._do("POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": shape})
    window.picture(path)


def main(folder: Path) -> None:
    """Make them all."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="watchdog-pictures-") as work:
        site = live(Path(work))
        server = Server(site.app, bind(Address(host="127.0.0.1", port=0)))
        server.start()
        told = site.store.entries(1)[-1].message
        mail = Path(work) / "message.html"
        mail.write_text(_MAIL.format(title=escape(told["title"]), body=told["html"]))
        try:
            with browser(Path(work), "--window-size=1100,900", "--hide-scrollbars") as window:
                take(window, f"{server.url}/", folder / "page.png", 1100, 900)
                take(window, mail.as_uri(), folder / "message.png", 720, 700)
        finally:
            server.stop()
            site.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
