"""What a running program costs and how soon it tells, measured from outside while the scheduler goes on writing."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import cycle
from statistics import median

from bench import scraper
from bench.database import Database
from bench.history import JOBS, RUN_MS, RUNNERS, ZERO_JOBS, job_id
from bench.proc import Memory, cpu_seconds, growth_per_hour, memory
from bench.program import AT_GRACE, POLL_SECONDS, Running, Subject
from bench.writer import Writer

ZERO_TRIES = 3
FOR_ZERO = 60
"""Jobs set aside for the measurements in which one stops doing work."""
ZERO_LIMIT = 60.0
PROBE_EVERY = 7.3
"""Seconds between deadlines; no multiple of the poll, so that they fall anywhere within it."""
FIRST_PROBE = 8
_SETTLE = 12.0
_LIMIT = 120.0


@dataclass
class Seen:
    """What was measured. Seconds, except CPU (milliseconds for each poll), scrapes (milliseconds) and MB."""

    name: str
    words: str
    first: float | None = None
    quiet_cpu: float = 0.0
    busy_cpu: float = 0.0
    scrapes: list[float] = field(default_factory=list)
    zero_delays: list[float | None] = field(default_factory=list)
    deadline_delays: list[float] = field(default_factory=list)
    missed_deadlines: int = 0
    sizes: list[tuple[float, float]] = field(default_factory=list)
    at_end: Memory = field(default_factory=lambda: Memory(0, 0, 0))
    notes: list[str] = field(default_factory=list)

    @property
    def growth(self) -> float:
        """MB an hour."""
        return growth_per_hour(self.sizes)

    @property
    def zero_delay(self) -> float | None:
        """The median; None if one did not come."""
        told = [delay for delay in self.zero_delays if delay is not None]
        return median(told) if told and len(told) == len(self.zero_delays) else None


@dataclass(frozen=True, slots=True)
class Lengths:
    """How long the parts take, in seconds, and how often it is scraped."""

    quiet: float
    busy: float
    scrapes: int = 300


class Turns:
    """Whose turn it is, over all that is measured on one file: interval jobs, as a cron job would be run twice."""

    def __init__(self, database: Database) -> None:
        slots = [plan.slot for plan in database.due_first() if plan.kind == "every" and plan.slot >= ZERO_JOBS]
        self.for_runs: Iterator[int] = cycle(slots[:-FOR_ZERO])
        self.for_zeros: Iterator[int] = iter(slots[-FOR_ZERO:])


class Scheduler:
    """Runs jobs in turn, now. Each run is touched, and ended a second later."""

    def __init__(self, writer: Writer, database: Database, turns: Turns) -> None:
        self._writer = writer
        self._turn, self._zero_turn = turns.for_runs, turns.for_zeros
        self._period = database.history.period_ms

    def take(self) -> int:
        """The next job in turn."""
        return next(self._turn)

    def take_for_zero(self) -> int:
        """A job that has done work so far."""
        return next(self._zero_turn)

    def start(self, slot: int) -> None:
        """The job's session is touched."""
        self._writer.start_run(slot, _now_ms())

    def end(self, slot: int, *, is_zero: bool = False) -> None:
        """The run is billed and recorded."""
        now = _now_ms()
        self._writer.end_run(slot, now, now + self._period - RUN_MS, is_zero=is_zero)

    def set_deadline(self, slot: int, at: float) -> None:
        """Let a one-shot become overdue at an instant (seconds since the epoch)."""
        self._writer.plan(slot, int((at - AT_GRACE) * 1000))


def _now_ms() -> int:
    return int(time.time() * 1000)


def observe(subject: Subject, database: Database, turns: Turns, lengths: Lengths, say: Callable[[str], None]) -> Seen:
    """All figures of one program on one file."""
    seen = Seen(subject.name, subject.words)
    with Writer(database.path) as writer, Running(subject) as running:
        scheduler = Scheduler(writer, database, turns)
        scheduler.end(scheduler.take())
        say("starting")
        seen.first = running.wait_for_jobs(RUNNERS, _LIMIT)
        say(f"nothing changes for {lengths.quiet:.0f} s")
        time.sleep(_SETTLE)
        seen.quiet_cpu = _cpu_per_poll(running, lambda: time.sleep(lengths.quiet))
        say(f"a run every 2 s for {lengths.busy:.0f} s")
        deadlines = _set_deadlines(scheduler, lengths.busy)
        seen.busy_cpu = _cpu_per_poll(running, lambda: _live(running, scheduler, lengths.busy, seen))
        _note_deadlines(running, deadlines, seen)
        say("a job stops doing work, three times")
        seen.zero_delays = list(_zero_delays(running, scheduler))
        say(f"{lengths.scrapes} scrapes")
        seen.scrapes = scraper.from_outside(subject.port, lengths.scrapes)
        seen.at_end = memory(running.pid)
        seen.notes = _own_account(running.text())
    return seen


def _cpu_per_poll(running: Running, meanwhile: Callable[[], None]) -> float:
    before, began = cpu_seconds(running.pid), time.monotonic()
    meanwhile()
    spent = cpu_seconds(running.pid) - before
    return spent * 1000 * POLL_SECONDS / (time.monotonic() - began)


def _live(running: Running, scheduler: Scheduler, length: float, seen: Seen) -> None:
    began = time.monotonic()
    slot = scheduler.take()
    for second in range(int(length)):
        if second % 2 == 0:
            slot = scheduler.take()
            scheduler.start(slot)
        else:
            scheduler.end(slot)
        seen.sizes.append((time.monotonic() - began, memory(running.pid).resident))
        time.sleep(max(0.0, began + second + 1 - time.monotonic()))
    scheduler.end(slot)


def _set_deadlines(scheduler: Scheduler, length: float) -> dict[int, float]:
    first = time.time() + FIRST_PROBE
    count = min(JOBS - RUNNERS, int((length - FIRST_PROBE - 2) / PROBE_EVERY))
    deadlines = {RUNNERS + number: round(first + number * PROBE_EVERY, 3) for number in range(max(0, count))}
    for slot, at in deadlines.items():
        scheduler.set_deadline(slot, at)
    return deadlines


def _note_deadlines(running: Running, deadlines: dict[int, float], seen: Seen) -> None:
    """From each deadline to the line of the log that tells it. A program that logs no findings has none."""
    for slot, at in deadlines.items():
        told = [when for when, line in running.heard if job_id(slot) in line and when >= at - 1]
        if told:
            seen.deadline_delays.append(told[0] - at)
        else:
            seen.missed_deadlines += 1


def _zero_delays(running: Running, scheduler: Scheduler) -> Iterator[float | None]:
    """Seconds from the commit of a job's third run without tokens to the exposed figure; ends with a first None."""
    for _ in range(ZERO_TRIES):
        slot = scheduler.take_for_zero()
        for _ in range(3):
            scheduler.start(slot)
            scheduler.end(slot, is_zero=True)
        delay = running.wait_for_zero(job_id(slot), ZERO_LIMIT)
        yield delay
        if delay is None:
            return


def _own_account(text: str) -> list[str]:
    """What the program itself counts: its ticks, or its queries, and how long one took on average."""
    sums = {
        name: float(value) for name, _, value in (line.rpartition(" ") for line in text.splitlines()) if "_sum" in name
    }
    counts = {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in text.splitlines())
        if "_count" in name
    }
    notes = []
    for name, total in sums.items():
        if name.startswith(("query_latency_sum", "watchdog_tick_", "watchdog_source_read_")):
            count = counts.get(name.replace("_sum", "_count"), 0.0)
            what = name.partition('query="')[2].partition('"')[0] or name.removeprefix("watchdog_").partition("_dur")[0]
            notes.append(f"`{what}`: {count:.0f} times, {total / max(count, 1) * 1000:.3g} ms each")
    return notes
