"""The web over a database of a test's own, with a state file and a token, and without a running loop."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from httpx2 import Client, WSGITransport

from tests.conftest import NOW, Row, build, cost_row, job_row, session_row
from watchdog.config.file import Config, Http
from watchdog.config.policies import Policy, Recovery
from watchdog.engine import Engine
from watchdog.notify.notifier import Notifier
from watchdog.state.history import History
from watchdog.state.store import Store
from watchdog.systems.phantom.section import Phantom
from watchdog.web import app, shapes
from watchdog.web.api import Api
from watchdog.web.archive import Archive
from watchdog.web.published_state import PublishedState
from watchdog.web.wsgi import WsgiApp

TOKEN = "a-token-for-tests-only"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PAGE = {"Accept": "text/html"}
ORIGIN = {"Origin": "http://testserver"}
HOSTILE = "<script>alert(1)</script>"


def given_up(name: str = "heartbeat") -> dict[str, object]:
    """The row of a job that the breaker has given up at 11:00."""
    return job_row(
        name,
        status="failed",
        consecutive_errors=10,
        last_run_at="2026-06-10T11:00:00.123Z",
        last_run_status="error",
        last_run_duration_ms=8000,
        last_run_error="Error: 429 rate_limit_error",
        next_run_at=None,
        updated_at="2026-06-10 11:00:08",
    )


def outage(name: str = "heartbeat") -> dict[str, list[dict[str, object]]]:
    """The rows of a scheduler whose job did its work at 5 and 6, and then failed until it was given up."""
    ends = [cost_row(f"id-{name}", f"2026-06-10 {hour:02}:01:00") for hour in (5, 6)]
    zeros = {"input_tokens": 0, "output_tokens": 0}
    ends += [cost_row(f"id-{name}", f"2026-06-10 {hour:02}:00:08", **zeros) for hour in range(7, 12)]
    return {
        "scheduled_jobs": [given_up(name), job_row("inbox")],
        "sessions": [session_row(f"id-{name}", "2026-06-10 11:00:08"), session_row("id-inbox", "2026-06-10 11:01:00")],
        "cost_events": [*ends, cost_row("id-inbox", "2026-06-10 11:01:00")],
        "scheduler_audit_log": [],
    }


_OPERATIONS = [
    (operation, re.compile(re.sub(r"\{[a-z]+\}", r"\\d+", operation.path)))
    for operation in Api(cast(Any, None), cast(Any, None)).all_operations(cast(Any, None))
]


def _must_be_as_described(response: Any) -> None:
    """Each answer of the API that tells something is of the shape that its operation names."""
    for operation, path in _OPERATIONS:
        asked = (response.request.method, response.status_code)
        if asked == (operation.method, operation.status) and path.fullmatch(response.request.url.path):
            getattr(shapes, operation.answer).model_validate_json(response.read())


def client_of(application: WsgiApp, *, follow_redirects: bool = True) -> Client:
    """What asks an application without a server."""

    def as_servers_do(environ: dict[str, Any], start: Any) -> Any:
        # the transport gives the path as text, where WSGI's is of bytes
        return application({**environ, "PATH_INFO": environ["PATH_INFO"].encode().decode("latin-1")}, start)

    transport = WSGITransport(cast(Any, as_servers_do), remote_addr="testclient")
    return Client(transport=transport, base_url="http://testserver", follow_redirects=follow_redirects)


class Site:
    """Looks when it is told to, and serves what it saw."""

    def __init__(
        self,
        folder: Path,
        rows: Mapping[str, Sequence[Row]],
        *,
        token: bool = True,
        recovery: Recovery | None = None,
        keeps_state: bool = True,
        config: Config | None = None,
    ) -> None:
        (folder / "token").write_text(TOKEN + "\n")
        self.database = folder / "phantom.db"
        if config is None:
            build(self.database, rows)
        self.config = config or Config(
            sources=(Phantom(name="agent", database=self.database),),
            state=folder / "state.db",
            http=Http(token_file=folder / "token" if token else None),
            recovery=recovery or Recovery(),
        )
        self.store = Store(self.config.state if keeps_state else None)
        self._engine = Engine(self.config)
        self._notifier = Notifier(self.config, self.store)
        self._history = History(self.store)
        self.published_state = PublishedState(self.config.poll)
        self.archive = Archive(self.store.path)
        self.now = NOW
        self.app = app.build(
            self.published_state,
            lambda: b"",
            lambda posting: "the words",
            self.archive,
            lambda: self.config,
            lambda: self.now,
        )
        self.client = client_of(self.app, follow_redirects=False)
        self.client.event_hooks = {"response": [_must_be_as_described]}

    def look(self, now: datetime = NOW) -> "Site":
        """One tick."""
        self.now = now
        published = self._engine.tick(now).published
        self._notifier.turn(published, now)
        self._history.turn(published, now)
        self.published_state.post(published, now, tuple(self._notifier.ledger.open))
        return self

    def sign_in(self, name: str = "Maria") -> str:
        """Enter the token on the page; the mark that its forms carry."""
        form = {"token": TOKEN, "name": name, "back": "/"}
        assert self.client.post("/login", data=form, headers=ORIGIN).status_code == 303
        text = self.client.get("/", headers=PAGE).text
        return text.split('name="csrf" value="')[1].split('"')[0]

    def said(self) -> tuple[object, ...]:
        """All that people can change: acknowledgements, silences, recoveries, approvals, the audit."""
        tables = {
            name for (name,) in self.store.database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        wanted = ("acknowledgements", "silences", "actions", "approvals", "web_audit")
        return tuple(
            tuple(self.store.database.execute(f"SELECT * FROM {name}").fetchall()) if name in tables else ()
            for name in wanted
        )

    def audit(self) -> list[tuple[Any, ...]]:
        """The rows of the audit."""
        return self.store.database.execute("SELECT * FROM web_audit").fetchall()

    def close(self) -> None:
        """Give both files back."""
        self.client.close()
        self.archive.close()
        self.store.close()


ACTS = Recovery(mode="act", policies=(Policy(action="revive", name="bring back"),))


@contextmanager
def serving(
    folder: Path,
    rows: Mapping[str, Sequence[Row]] | None = None,
    *,
    token: bool = True,
    recovery: Recovery | None = None,
    keeps_state: bool = True,
) -> Iterator[Site]:
    """A site that has looked once, closed at the end."""
    site = Site(folder, rows or outage(), token=token, recovery=recovery, keeps_state=keeps_state)
    try:
        yield site.look()
    finally:
        site.close()


def crowd(jobs: int, failed: int) -> dict[str, list[dict[str, object]]]:
    """The rows of many jobs, of which the first ones were given up, by turns for one reason and for another."""
    errors = ("Error: 529 overloaded_error", "Error: 401 authentication_error")
    rows = [
        {**given_up(f"job-{number:04}"), "last_run_error": errors[number % 2]}
        if number < failed
        else job_row(f"job-{number:04}")
        for number in range(jobs)
    ]
    ends = [cost_row(str(row["id"]), f"2026-06-10 {hour:02}:01:00") for row in rows for hour in (9, 10, 11)]
    sessions = [session_row(str(row["id"]), "2026-06-10 11:01:00") for row in rows]
    return {"scheduled_jobs": rows, "sessions": sessions, "cost_events": ends, "scheduler_audit_log": []}
