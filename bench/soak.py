"""`python -m bench soak --minutes 45`: does it stay as small as it is, with everything switched on?

1,000 jobs, a run that begins and ends each second, a job that stops doing work now and then, somebody who is told of
it, a browser that refreshes its page and a Prometheus that scrapes. What the process holds is noted each half minute.
"""

import http.client
import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from statistics import median

from bench.database import WORK, fresh, remove
from bench.history import RUNNERS
from bench.observe import Scheduler, Turns
from bench.proc import memory
from bench.program import Running, Subject, watchdog
from bench.writer import Writer

EVENTS = 100_000
WARM = 600.0
"""Seconds after which everything has been used once, and over which is taken the middle; a third of a shorter soak."""

NOTED_EVERY = 30
SCRAPED_EVERY = 15
PAGE_EVERY = 5
WORKLESS_EVERY = 120
"""Seconds between two jobs that stop doing work: each is found, told, and over when the job has run again."""

_FIRST_LIMIT = 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What the process held at an instant: seconds since the start, MB resident and its own, descriptors, threads,
    MB of the state file with its log."""

    at: float
    resident: float
    own: float
    descriptors: int
    threads: int
    state: float


@dataclass
class Soak:
    """What was noted, and how many messages came."""

    samples: list[Sample] = field(default_factory=list)
    messages: int = 0
    runs: int = 0
    failed_requests: int = 0

    def first_and_last(self) -> tuple[Sample, Sample]:
        """What it held when all had been used once, and at the end: the middle of ten minutes each."""
        end = self.samples[-1].at
        span = min(WARM, end / 3)
        first = [sample for sample in self.samples if span <= sample.at < 2 * span]
        return _middle(first), _middle([sample for sample in self.samples if sample.at >= end - span])


def _middle(samples: list[Sample]) -> Sample:
    """Of each figure the median: memory that a page needed, and what is given back now and then, are no trend."""
    return Sample(*(median(getattr(sample, part.name) for sample in samples) for part in fields(Sample)))


def measure(minutes: float, say: Callable[[str], None]) -> Soak:
    """The whole soak. Whatever does not answer meanwhile is counted."""
    soak = Soak()
    database = fresh(EVENTS)
    with _target(soak) as address:
        subject = _told(watchdog(database.path), address)
        with Writer(database.path) as writer, Running(subject) as running:
            scheduler = Scheduler(writer, database, Turns(database))
            running.wait_for_jobs(RUNNERS, _FIRST_LIMIT)
            say(f"a run each second for {minutes:.0f} min, process {running.pid}")
            _live(running, scheduler, minutes * 60, soak, say)
    remove(database.path)
    return soak


def _told(subject: Subject, address: str) -> Subject:
    """The same with somebody who is told."""
    config = Path(subject.command[-1])
    owners = f"channels: {{ops: 'json://{address}/'}}\nowners: [{{notify: [ops]}}]\n"
    config.write_text(config.read_text() + owners)
    return replace(subject, command=[part for part in subject.command if part != "--debug-log"])


@contextmanager
def _target(soak: Soak) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            soak.messages += 1
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _live(running: Running, scheduler: Scheduler, length: float, soak: Soak, say: Callable[[str], None]) -> None:
    began = time.monotonic()
    browser = Browser(running.subject.port)
    slot, workless = scheduler.take(), scheduler.take_for_zero()
    scheduler.start(slot)
    second = 0
    while time.monotonic() - began < length:
        scheduler.end(slot)
        soak.runs += 1
        slot = scheduler.take()
        scheduler.start(slot)
        if second % WORKLESS_EVERY < 3 or second % WORKLESS_EVERY == WORKLESS_EVERY // 2:
            scheduler.end(workless, is_zero=second % WORKLESS_EVERY < 3)
        if second % NOTED_EVERY == 0:
            # before anything is asked: what an answer needs while it is sent is no part of what is held
            soak.samples.append(_sample(running.pid, time.monotonic() - began))
            say(_said(soak.samples[-1], soak))
        soak.failed_requests += browser.ask(second)
        second += 1
        time.sleep(max(0.0, began + second - time.monotonic()))
    soak.samples.append(_sample(running.pid, time.monotonic() - began))


class Browser:
    """A page that is refreshed, with what it was given before, and a scrape now and then."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._etag = ""

    def ask(self, second: int) -> int:
        """What is due in this second; how many questions had no good answer."""
        failed = 0
        if second % PAGE_EVERY == 0:
            failed += not self._get("/", {"Accept": "text/html", "If-None-Match": self._etag})
        if second % SCRAPED_EVERY == 0:
            failed += not self._get("/metrics", {"Accept-Encoding": "gzip"})
        if second % 60 == 7:
            failed += not self._get("/api/v1/jobs?limit=50", {})
            failed += not self._get("/api/v1/incidents", {})
        return failed

    def _get(self, path: str, headers: dict[str, str]) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        try:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            answer.read()
            if path == "/":
                self._etag = answer.headers.get("ETag", "")
            return answer.status in (200, 304)
        except OSError:
            return False
        finally:
            connection.close()


def _sample(pid: int, at: float) -> Sample:
    held = memory(pid)
    state = sum(Path(f"{WORK / 'state.db'}{ending}").stat().st_size for ending in ("", "-wal"))
    descriptors = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return Sample(at, held.resident, held.own, descriptors, threads, state / 1e6)


def _said(sample: Sample, soak: Soak) -> str:
    return (
        f"{sample.at / 60:4.1f} min: {sample.resident:.1f} MB resident ({sample.own:.1f} its own), "
        f"{sample.descriptors} descriptors, {sample.threads} threads, state {sample.state:.2f} MB, "
        f"{soak.runs} runs, {soak.messages} messages"
    )
