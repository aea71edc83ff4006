"""However slowly others look, a scrape is answered and the loop turns."""

import socket
import time
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from tests.conftest import build, cost_row, job_row
from tests.support.command import running, until

SLOW = 50
JOBS = 300
POLL = 0.2
NEVER = 10.0
"""Seconds: what waits for one of them waits at least for 15, after which idle clients are shown out."""


def test_fifty_slow_readers_and_writers_delay_neither_a_scrape_nor_a_tick(tmp_path: Path) -> None:
    names = [f"job-{number}" for number in range(JOBS)]
    rows = {
        "scheduled_jobs": [job_row(name) for name in names],
        "cost_events": [cost_row(f"id-{name}", "2026-06-10 11:01:00") for name in names],
    }
    database = build(tmp_path / "phantom.db", rows)
    (tmp_path / "watchdog.yaml").write_text(
        f"sources: [{{name: agent, database: {database}}}]\nstate: {tmp_path / 'state.db'}\n"
        f'poll: {round(POLL * 1000)}ms\nhttp: {{listen: "127.0.0.1:PORT"}}\n'
    )
    with running(tmp_path) as service, ExitStack() as clients:
        address = urlsplit(service.url)
        for number in range(SLOW):
            client = clients.enter_context(socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            client.connect((address.hostname, address.port))
            head = b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n"
            client.sendall(head + b"\r\n" if number % 2 else head)  # half of them never end their question
            if number % 2:
                client.recv(1)
        ticks: set[float] = set()

        def has_turned_three_times() -> bool:
            began = time.monotonic()
            assert service.get("/metrics")[0] == 200
            assert time.monotonic() - began < NEVER
            ticks.update(service.metric("watchdog_last_tick_timestamp_seconds").values())
            return len(ticks) >= 3

        until(has_turned_three_times, "the loop has turned three times while nobody is done")
        assert service.get("/healthz")[0] == 200
