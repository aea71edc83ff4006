"""`demo --live`: a small agent in real time to practise on, in a folder that stays, and its watchdog beside it.

One of its jobs is about to be given up, a run of another will hang. What its owner is told stands in the terminal.
"""

import json
import shlex
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import ThreadingTCPServer
from typing import Any

from rich.console import Console
from rich.text import Text

from watchdog.cli import tables
from watchdog.config.reading import load
from watchdog.core import logs
from watchdog.core.command_line import PROGRAM, pasteable
from watchdog.core.model import Finding
from watchdog.demo.story import Event, Jobs, Narrator, World
from watchdog.incidents import report
from watchdog.service.loop import Service, Wake, signals
from watchdog.systems.shared.writer import UnknownWriters

STEP = 0.1
"""Seconds between two steps of the simulation."""

TAKES = timedelta(seconds=2)
FAILING: Jobs = (("inbox-triage", {"kind": "every", "intervalMs": 60_000}),)
OTHERS: Jobs = (
    ("heartbeat", {"kind": "every", "intervalMs": 20_000}),
    ("repo-digest", {"kind": "every", "intervalMs": 45_000}),
)

ERRED_FOR = timedelta(hours=5, minutes=23)
"""After so long of errors, each tried later than the one before, the tenth is half a minute away."""

LIVED_FOR = timedelta(minutes=5)
"""How much of a past the other jobs have."""


class Agent(World):
    """The agent, as it is now: the provider has refused one job for hours."""

    def __init__(self, path: Path, now: datetime) -> None:
        super().__init__(path, now - ERRED_FOR, TAKES, FAILING)
        self.errs = set(self.ids)
        self.simulator.run_until(now - LIVED_FOR)
        self.ids |= {name: self.simulator.add(name, schedule) for name, schedule in OTHERS}
        self.simulator.run_until(now)


def events(begin: datetime, revive: str, restart: str) -> list[Event]:
    """What happens by itself, and what a person can do about it."""
    return [
        Event(
            begin + timedelta(seconds=75),
            f"the model provider answers again: a revival helps now, with: {revive}",
            lambda agent: agent.errs.clear(),
        ),
        Event(
            begin + timedelta(seconds=150),
            f"the next run of repo-digest will hang; to restart the agent: {restart}",
            World.digest_hangs,
        ),
    ]


class Driver(threading.Thread):
    """Moves the agent on in a thread of its own, and restarts it where a file asks for that."""

    def __init__(self, folder: Path, say: Callable[[str], None], ahead: list[Event]) -> None:
        super().__init__(name="agent", daemon=True)
        self._folder = folder
        self._say = say
        self._ahead = ahead
        self._ending = threading.Event()
        self.is_open = threading.Event()

    def run(self) -> None:
        """It lives until it is stopped."""
        agent = Agent(database(self._folder), datetime.now(UTC))
        self.is_open.set()
        try:
            while not self._ending.wait(STEP):
                self._live(agent, datetime.now(UTC))
        finally:
            agent.simulator.close()

    def _live(self, agent: Agent, now: datetime) -> None:
        agent.simulator.run_until(max(now, agent.simulator.now))
        while self._ahead and self._ahead[0].at <= now:
            event = self._ahead.pop(0)
            event.act(agent)
            self._say(event.words)
        if restart_file(self._folder).exists():
            restart_file(self._folder).unlink()
            agent.restart()
            self._say("restarted")

    def stop(self) -> None:
        """End the simulation."""
        self._ending.set()
        self.join(2)


def database(folder: Path) -> Path:
    """The agent's store."""
    return folder / "phantom.db"


def restart_file(folder: Path) -> Path:
    """The file whose being there restarts the agent."""
    return folder / "restart"


def configuration(folder: Path, port: int, inbox: int) -> str:
    """What the watchdog goes by: as `init` would write it, with waits for people who practise."""
    return f"""\
sources:
  - {{name: demo, kind: phantom, database: {json.dumps(str(database(folder)))}}}
state: {json.dumps(str(folder / "watchdog.db"))}
http: {{listen: "127.0.0.1:{port}", token_file: {json.dumps(str(token_file(folder)))}}}
channels: {{terminal: "json://127.0.0.1:{inbox}"}}
notify: {{group_wait: 3s, hold: 30s}}           # usually 20s and 5m
detect:
  wedged: {{run_limit: 30s}}                    # usually 245m: the agent's own limit, and a margin
  zero_tokens: {{streak: 20}}                   # usually 3: of so short a story one thing is told at a time
recovery:
  mode: propose
  policies:
    - {{match: {{kind: wedged}}, action: restart, after: 30s, run: [touch, {json.dumps(str(restart_file(folder)))}]}}
"""


def token_file(folder: Path) -> Path:
    """What the page asks for before it acts."""
    return folder / "token"


TOKEN = "practise-practise"  # noqa: S105 - it opens nothing but this demo's own page


def tell(port: int, seconds: int | None = None) -> None:
    """Run agent and watchdog together until Ctrl-C, or for so long. Raises CannotListenError."""
    console = tables.screen()
    logs.set_up()
    logs.log.setLevel("ERROR")
    folder = Path(tempfile.mkdtemp(prefix="watchdog-demo-"))
    file = folder / "watchdog.yaml"
    narrator = Narrator(console, lambda: datetime.now(UTC))
    token_file(folder).write_text(TOKEN)
    with _inbox(lambda title, text: _arrived(console, title, text)) as inbox:
        file.write_text(configuration(folder, port, inbox))
        _play(console, narrator, file, seconds)
    stays = f"\nAll of it stays in {folder} until you delete it: rm -r {shlex.quote(str(folder))}"
    console.print(Text(stays), soft_wrap=True)


def _play(console: Console, narrator: Narrator, file: Path, seconds: int | None) -> None:
    folder, config, wake = file.parent, load(file), Wake()
    restart = shlex.join(["touch", str(restart_file(folder))])
    revive = pasteable(f"{PROGRAM} revive inbox-triage", "", config.invocation)
    driver = Driver(folder, narrator.say, events(datetime.now(UTC), revive, restart))
    service = Service(
        config,
        reread=lambda: load(file),
        words=lambda posting: report.page(posting.published, posting.incidents, posting.at),
        wake=wake,
        on_ready=lambda url: _introduce(console, url, file),
        tell=_untold,
        writers=UnknownWriters(),  # the agent runs in this very process
    )
    timer = threading.Timer(seconds, wake.stop) if seconds else None
    driver.start()
    driver.is_open.wait(30)
    try:
        if timer:
            timer.start()
        with signals(wake):
            service.run()
    finally:
        driver.stop()
        if timer:
            timer.cancel()


def _untold(action: str, finding: Finding) -> None:
    """What is found is told in messages here."""


STEPS = (
    ("check", "what is wrong now"),
    ("incidents", "what is wrong since when, and who is on it"),
    ("incidents 1", "all of the first one"),
    ("ack 1", "take it on: no more reminders"),
    ("silence heartbeat --for 10m", "tell nobody of that job for a while"),
    ("revive inbox-triage", "bring the job back that was given up"),
    ("approve --all", "allow what it proposes, once it does: to restart the agent whose run hangs"),
    ("recoveries", "what was done, and whether it has helped"),
    ("incidents --all", "with those that are over"),
)
"""What can be tried, in an order in which it makes sense."""


def _introduce(console: Console, url: str, file: Path) -> None:
    console.print("[bold]A simulated agent in real time, and the watchdog beside it. Ctrl-C ends both.[/bold]")
    console.print(Text(f"  its page: {url}/  (to act there: {TOKEN})"), soft_wrap=True)
    console.print(Text(f"  its folder: {file.parent}\n"), soft_wrap=True)
    console.print("In half a minute a job is given up, two minutes later a run hangs. To try in another terminal:")
    for step, what in STEPS:
        verb, _, rest = step.partition(" ")
        words = f"  {PROGRAM} {verb} -c {shlex.quote(str(file))}{f' {rest}' if rest else ''}"
        console.print(Text(words).append(f"  # {what}", style="dim"), soft_wrap=True)
    restart = shlex.join(["touch", str(restart_file(file.parent))])
    instead = Text("  # restart the agent by hand, instead of approving that\n", style="dim")
    console.print(Text(f"  {restart}").append(instead), soft_wrap=True)


# what its owner is told


def _arrived(console: Console, title: str, text: str) -> None:
    body = "\n".join(f"  │ {line}" for line in text.splitlines() if line)
    at = f"{datetime.now(UTC):%H:%M:%S}"
    console.print(Text(f"{at}  message   ", style="dim").append(title, style="bold"), soft_wrap=True)
    console.print(Text(body, style="dim"), soft_wrap=True)


class _Inbox(BaseHTTPRequestHandler):
    """Takes what is posted by the channel."""

    def __init__(self, arrived: Callable[[str, str], None], *connection: Any) -> None:
        self._arrived = arrived
        super().__init__(*connection)

    def do_POST(self) -> None:
        """One message."""
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        self._arrived(message["title"], message["message"])

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""


@contextmanager
def _inbox(arrived: Callable[[str, str], None]) -> Iterator[int]:
    """Where messages arrive; its port."""
    with ThreadingTCPServer(("127.0.0.1", 0), partial(_Inbox, arrived)) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, name="inbox", daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
