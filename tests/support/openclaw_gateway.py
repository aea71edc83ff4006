"""A real OpenClaw gateway on a free port of the loopback address, with a model server beside it that answers at once.

Fetched once through npm, with a node of its own.
"""

import json
import os
import platform
import signal
import sqlite3
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.support.command import fetched, free_port, until

RELEASE = os.environ.get("WATCHDOG_OPENCLAW", "2026.9.6")
NODE = "24.21.0"
TOKEN = "a-token-of-the-tests-only-0123456789"
PATIENCE = 180.0


def installed() -> tuple[Path, Path]:
    """The programs of node and of the gateway; skips with the reason, and fails on CI."""
    arch = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), "unknown")
    folder = fetched(f"openclaw-{RELEASE}", f"node-linux-{arch}@{NODE}", f"openclaw@{RELEASE}", patience=600)
    modules = folder / "node_modules"
    return modules / f"node-linux-{arch}/bin/node", modules / "openclaw/openclaw.mjs"


class ModelServer(ThreadingHTTPServer):
    """Answers at once, until it is told to hang; shut off, nobody listens there."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Model)
        self.hangs = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def shut_off(self) -> None:
        self.shutdown()
        self.server_close()


class _Model(BaseHTTPRequestHandler):
    """Answers each request for a completion with two words and a bill."""

    def log_message(self, *_: object) -> None:
        return

    def do_GET(self) -> None:
        self._answer({"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self) -> None:
        if isinstance(self.server, ModelServer) and self.server.hangs.is_set():
            time.sleep(PATIENCE)
        asked = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        bill = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
        base = {"id": "c1", "created": 1, "model": "m"}
        if not asked.get("stream"):
            message = {"role": "assistant", "content": "All fine."}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._answer({**base, "object": "chat.completion", "choices": [choice], "usage": bill})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        chunk = {**base, "object": "chat.completion.chunk"}
        said = {"index": 0, "delta": {"role": "assistant", "content": "All fine."}, "finish_reason": None}
        ends = {"index": 0, "delta": {}, "finish_reason": "stop"}
        for part in (
            {**chunk, "choices": [said]},
            {**chunk, "choices": [ends]},
            {**chunk, "choices": [], "usage": bill},
        ):
            self.wfile.write(f"data: {json.dumps(part)}\n\n".encode())
        self.wfile.write(b"data: [DONE]\n\n")

    def _answer(self, document: object) -> None:
        text = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class RealGateway:
    """One gateway with a state folder of its own; `start` and `stop` as often as a test wants."""

    def __init__(self, folder: Path, model: str) -> None:
        self.node, self.script = installed()
        self.home = folder
        self.state_dir = folder / ".openclaw"
        self.state_dir.mkdir(mode=0o700, parents=True)
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        provider = {"baseUrl": f"{model}/v1", "apiKey": "none", "api": "openai-completions", "models": [_MODEL]}
        document = {
            "gateway": {
                "mode": "local",
                "port": self.port,
                "bind": "loopback",
                "auth": {"mode": "token", "token": TOKEN},
                "controlUi": {"enabled": False},
            },
            "update": {"checkOnStart": False},
            "discovery": {"mdns": {"mode": "off"}},
            "agents": {
                "defaults": {
                    "model": {"primary": "local/m"},
                    "workspace": str(folder / "workspace"),
                    "heartbeat": {"every": "0m"},
                    "skipBootstrap": True,
                }
            },
            "models": {"mode": "replace", "providers": {"local": provider}},
        }
        (self.state_dir / "openclaw.json").write_text(json.dumps(document))

    @property
    def cli(self) -> list[str]:
        """How its command is called."""
        return [str(self.node), str(self.script)]

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        quiet = {"OPENCLAW_SKIP_CHANNELS": "1", "OPENCLAW_DISABLE_BONJOUR": "1", "OPENCLAW_NO_RESPAWN": "1"}
        return {**kept, **quiet, "HOME": str(self.home)}

    def start(self, **environment: str) -> None:
        """Returns when it answers."""
        with (self.home / "gateway.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.cli, "gateway", "run", "--port", str(self.port)],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**self.environment, **environment},
                start_new_session=True,
            )
        until(self._is_ready, "the gateway answers", PATIENCE)

    def _is_ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.home / "gateway.log").read_text()[-2000:]
        with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
        return False

    def stop(self) -> None:
        """End it, and all that it started."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._process = None

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run its command to its end."""
        return subprocess.run(
            [*self.cli, *arguments], capture_output=True, text=True, timeout=PATIENCE, env=self.environment, check=False
        )

    def kill(self) -> None:
        """End it as a lack of memory does."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None

    def add(self, name: str, every: str) -> str:
        """A job that asks the model; its id."""
        return self.plan(name, "--every", every)

    def plan(self, name: str, *schedule: str) -> str:
        """A job that asks the model, with a schedule of any kind; its id."""
        arguments = ("--name", name, *schedule, "--session", "isolated", "--message", "Say that all is fine.")
        done = self.command("cron", "add", *arguments, "--no-deliver", "--json")
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout[done.stdout.index("{") :])["id"])

    def change(self, job_id: str, definition: dict[str, Any], state: dict[str, Any]) -> None:
        """What stands in its store, changed while it does not run."""
        assert self._process is None
        with closing(sqlite3.connect(self.state_dir / "state" / "openclaw.sqlite")) as db, db:
            query = "SELECT job_json, state_json FROM cron_jobs WHERE job_id = ?"
            was, stood = (json.loads(text) for text in db.execute(query, (job_id,)).fetchone())
            is_on = int({**was, **definition}.get("enabled", True))
            values = (json.dumps({**was, **definition}), json.dumps({**stood, **state}), is_on, job_id)
            db.execute("UPDATE cron_jobs SET job_json = ?, state_json = ?, enabled = ? WHERE job_id = ?", values)

    def state(self, job_id: str) -> tuple[bool, dict[str, Any]]:
        """Whether the job is enabled, and its state, as the gateway says."""
        listed = json.loads(self.command("cron", "list", "--all", "--json").stdout)["jobs"]
        job = next(job for job in listed if job["id"] == job_id)
        return job["enabled"], job["state"]


_MODEL = {
    "id": "m",
    "name": "m",
    "reasoning": False,
    "input": ["text"],
    "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0},
    "contextWindow": 128000,
    "maxTokens": 4096,
}


@contextmanager
def real_gateway(folder: Path) -> Iterator[RealGateway]:
    """A gateway that is ended with the test."""
    with real_gateway_and_model(folder) as (gateway, _):
        yield gateway


@contextmanager
def real_gateway_and_model(folder: Path) -> Iterator[tuple[RealGateway, ModelServer]]:
    """The same, with its model server, which may be shut off or hang."""
    server = ModelServer()
    gateway = RealGateway(folder, server.address)
    try:
        yield gateway, server
    finally:
        gateway.stop()
        server.shut_off()
