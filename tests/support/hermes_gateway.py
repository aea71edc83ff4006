"""A real Hermes gateway with a home of its own, and a model server beside it that answers as a test wants.

Fetched once from PyPI, into an environment of its own.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.command import CACHE, missing, until

RELEASE = os.environ.get("WATCHDOG_HERMES", "0.19.0")
PATIENCE = 120.0

LOCAL = ("--deliver", "local")
"""What a job is added with whose result goes nowhere."""


def installed() -> Path:
    """The folder with its programs; skips with the reason, and fails on CI."""
    folder = CACHE / f"hermes-{RELEASE}"
    programs, stamp = folder / "bin", folder / "fetched"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            made = _ran([sys.executable, "-m", "venv", "--clear", str(folder)])
            made = made or _ran([str(programs / "pip"), "install", "-q", f"hermes-agent=={RELEASE}"])
            if made:
                missing(f"hermes-agent {RELEASE} cannot be had: {made}")
            stamp.touch()
    return programs


def _ran(arguments: Sequence[str]) -> str:
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=600, check=False)
    except subprocess.TimeoutExpired:
        return "it takes longer than ten minutes"
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it failed"])[-1]


class Model(ThreadingHTTPServer):
    """Answers each request as `modes` says for the job's token in the last thing that the user said.

    A mode is `ok`, `hang` (until it is another one), a status like `401`, `zero` (no usage), `empty`, `slow:SECONDS`.
    """

    request_queue_size = 128
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.modes: dict[str, str] = {}
        self.changed = threading.Condition()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def say(self, token: str, mode: str) -> None:
        """From now on."""
        with self.changed:
            self.modes[token] = mode
            self.changed.notify_all()

    def mode(self, text: str) -> str:
        """What is said of the first token in the text, once that is no hang."""
        found = next((token for token in sorted(self.modes, key=len, reverse=True) if token in text), "")
        with self.changed:
            mode = self.modes.get(found, "ok")
            if mode.startswith("slow:"):
                self.changed.wait_for(lambda: self.modes.get(found) != mode, float(mode.partition(":")[2]))
                return "ok"
            self.changed.wait_for(lambda: self.modes.get(found, "ok") != "hang")
            return self.modes.get(found, "ok")


class _Answers(BaseHTTPRequestHandler):
    server: Model

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": [{"id": "fake-1", "object": "model", "context_length": 128000}]})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        if not self.path.endswith("/chat/completions"):
            self._answer({})
            return
        said = [json.dumps(each.get("content")) for each in asked.get("messages", []) if each.get("role") == "user"]
        mode = self.server.mode(said[-1] if said else "")
        with suppress(OSError):
            if mode.isdigit():
                self._answer({"error": {"message": "no", "code": int(mode)}}, int(mode))
            else:
                self._complete(mode, streams=bool(asked.get("stream")))

    def _complete(self, mode: str, *, streams: bool) -> None:
        words = "" if mode == "empty" else "All fine."
        bill = {} if mode == "zero" else {"usage": {"prompt_tokens": 321, "completion_tokens": 12, "total_tokens": 333}}
        base = {"id": "c1", "created": 1, "model": "fake-1"}
        if not streams:
            choice = {"index": 0, "message": {"role": "assistant", "content": words}, "finish_reason": "stop"}
            self._answer({**base, "object": "chat.completion", "choices": [choice], **bill})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        chunk = {**base, "object": "chat.completion.chunk"}
        begins = {"index": 0, "delta": {"role": "assistant", "content": words}, "finish_reason": None}
        ends = {"index": 0, "delta": {}, "finish_reason": "stop"}
        for part in ({**chunk, "choices": [begins]}, {**chunk, "choices": [ends], **bill}):
            self.wfile.write(f"data: {json.dumps(part)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")
        self.close_connection = True

    def _answer(self, document: object, status: int = 200) -> None:
        text = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class RealHermes:
    """One home and its gateway; `start`, `kill` and `stop` as often as a test wants.

    Never `hermes gateway stop` or `restart`: they end the gateways of other homes.
    """

    def __init__(self, folder: Path, model: Model) -> None:
        self.programs = installed()
        self.home = folder / ".hermes"
        self.home.mkdir(mode=0o700, parents=True)
        (self.home / "scripts").mkdir()
        self.model = model
        self.process: subprocess.Popen[bytes] | None = None
        (self.home / "config.yaml").write_text(
            "model:\n  default: fake-1\n  provider: custom\n"
            f"  base_url: http://127.0.0.1:{model.server_port}/v1\n  api_key: anything\n"
            "timezone: Europe/Berlin\n"
            # else the first run of each gateway installs packages into the environment that all share
            "security:\n  allow_lazy_installs: false\n  tirith_enabled: false\n"
        )
        self.user = folder / "home"
        self.user.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
        own = {"HOME": str(self.user), "HERMES_HOME": str(self.home), "OPENAI_API_KEY": "anything"}
        return {**kept, **own, "PYTHONDONTWRITEBYTECODE": "1"}

    @property
    def cli(self) -> list[str]:
        """How its command is called."""
        return [str(self.programs / "hermes")]

    def start(self, **environment: str) -> None:
        """Returns once it has ticked."""
        beat = self.home / "cron/ticker_heartbeat"
        before = beat.read_text() if beat.exists() else ""
        with (self.home / "gateway.out").open("ab") as log:
            self.process = subprocess.Popen(
                [*self.cli, "gateway", "run"],
                cwd=self.user,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self.environment, **environment},
                start_new_session=True,
            )
        until(lambda: beat.exists() and beat.read_text() != before, "the gateway ticks", PATIENCE)

    def signal(self, number: int) -> None:
        """To the gateway alone."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """As the kernel does it."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None

    def end(self) -> None:
        """All that still goes on for this home, whoever started it: a gateway of an operator's own, a `cron run`."""
        self.kill()
        mark = f"HERMES_HOME={self.home}"
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                if mark in (folder / "environ").read_text(errors="replace").split("\0"):
                    os.kill(int(folder.name), signal.SIGKILL)

    def add(self, name: str, schedule: str, *options: str, prompt: str | None = None) -> str:
        """A job that asks the model with its name as its token; its id."""
        words = [prompt if prompt is not None else f"Say TOKEN-{name}-NEKOT."]
        done = self.command(
            "cron", "create", schedule, *([] if "--no-agent" in options else words), "--name", name, *options
        )
        assert done.returncode == 0, done.stderr
        return self.job(name)["id"]

    def jobs(self) -> list[dict[str, str]]:
        """As they stand in the file."""
        found: list[dict[str, str]] = json.loads((self.home / "cron/jobs.json").read_text())["jobs"]
        return found

    def job(self, name: str) -> dict[str, str]:
        """The one of this name."""
        return next(job for job in self.jobs() if job["name"] == name)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run its command to its end."""
        return subprocess.run(
            [*self.cli, *arguments], capture_output=True, text=True, timeout=PATIENCE, env=self.environment, check=False
        )


@contextmanager
def real_hermes(folder: Path, model: Model) -> Iterator[RealHermes]:
    """A home whose gateway is ended with the test."""
    hermes = RealHermes(folder, model)
    try:
        yield hermes
    finally:
        hermes.end()


def watched(folder: Path, homes: dict[str, RealHermes], **recovery: Any) -> Path:
    """The configuration of a watchdog of all these homes."""
    sources = [
        {"kind": "hermes", "name": name, "home": str(hermes.home), "cli": hermes.cli} for name, hermes in homes.items()
    ]
    file = folder / "watchdog.yaml"
    document: dict[str, Any] = {
        "sources": sources,
        "state": str(folder / "state.db"),
        "http": {"listen": "127.0.0.1:PORT"},
        "recovery": recovery or {"mode": "observe"},
    }
    file.write_text(json.dumps(document))
    return file
