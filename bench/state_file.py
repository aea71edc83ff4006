"""The state file after a year of use: how long it takes to open, and what a turn costs on it.

`python -m bench.state_file` prints the figures as JSON. A year is 10,000 incidents, 50,000 recoveries and 100,000
messages.
"""

import json
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from watchdog.config.file import Config
from watchdog.core.action import Action, State, Step
from watchdog.core.clock import Stamp
from watchdog.core.incident import Incident, Member, Told
from watchdog.core.instants import iso
from watchdog.core.kinds import Kind, Severity
from watchdog.core.message import Entry
from watchdog.core.model import ErrorClass, Finding, Job, NoCadence, Snapshot
from watchdog.detectors.diagnosis import Diagnosis
from watchdog.detectors.published import Published, SourceState
from watchdog.notify.notifier import Notifier
from watchdog.recovery.recoverer import Recoverer
from watchdog.state.records import Records
from watchdog.state.store import Store

END = datetime(2026, 6, 10, 9, tzinfo=UTC)
YEAR = timedelta(days=365)
JOBS = 1000
FAILING = 20
"""So many jobs fail while it is measured, each with a past."""

TURNS = 200


@dataclass(frozen=True, slots=True)
class Year:
    """How much stands in the file."""

    incidents: int = 10_000
    actions: int = 50_000
    messages: int = 100_000


@dataclass(slots=True)
class Figures:
    """Milliseconds of CPU, but for `megabytes` and `grown_by`: pages that a second year of turns has added."""

    open_ms: float = 0.0
    start_ms: float = 0.0
    turn_ms: float = 0.0
    slowest_turn_ms: float = 0.0
    megabytes: float = 0.0
    grown_by: int = 0


def fill(store: Store, year: Year, end: datetime = END) -> None:
    """Write a year down, as the service would have without forgetting anything."""
    records = Records(store)
    with store.transaction():
        for number in range(1, year.incidents + 1):
            at = end - YEAR * (1 - number / year.incidents)
            store.save_incidents([_incident(number, at)])
            store.save_told({(number, "ops"): Told(at, at, Severity.CRITICAL, is_over=True)})
        for number in range(1, year.actions + 1):
            records.add(_action(number, end - YEAR * (1 - number / year.actions)))
        store.database.execute("UPDATE actions SET reported_at = created_at")
        store.add_entries(_entry(number, end - YEAR * (1 - number / year.messages)) for number in range(year.messages))
        store.database.execute("UPDATE outbox SET state = 'sent', attempts = 1, settled_at = created_at")


def finding(number: int, since: datetime) -> Finding:
    """That a job has failed."""
    return Finding(
        "gateway",
        Kind.FAILED,
        Severity.CRITICAL,
        f"id-{number % JOBS}",
        f"job-{number % JOBS}",
        since,
        f"job-{number % JOBS} was given up after 10 errors: 503 Service Unavailable",
        {"errors": 10, "error_class": ErrorClass.TRANSIENT, "sweep_at": since + timedelta(days=30)},
    )


def _incident(number: int, at: datetime) -> Incident:
    found = [finding(number * 3 + more, at) for more in range(3)]
    members = {one.key: Member(one, at, ended_at=at + timedelta(hours=1)) for one in found}
    over = at + timedelta(hours=2)
    return Incident(
        number, "gateway", "errors", "transient", at, over, members, Severity.CRITICAL, over, over, joined_at=at
    )


def _action(number: int, at: datetime) -> Action:
    state = (State.VERIFIED, State.INEFFECTIVE, State.REFUSED)[number % 3]
    steps = tuple(Step(at + timedelta(minutes=minute), f"step {minute}: the API resumed it") for minute in range(5))
    return Action(
        0,
        Stamp(at),
        "bring back",
        "command",
        "gateway",
        f"id-{number % JOBS}",
        f"job-{number % JOBS}",
        "gateway|bring back|transient",
        state,
        why="failed: the canary's run used real tokens",
        seen={"status": "failed", "consecutive_errors": 10, "last_run_at": iso(at), "updated_at": iso(at)},
        ways=("api", "sql"),
        way="api",
        acted_at=at,
        begun=Stamp(at),
        settled=Stamp(at + timedelta(minutes=4)),
        about="failed",
        steps=steps,
    )


def _entry(number: int, at: datetime) -> Entry:
    text = f"job-{number % JOBS} was given up after 10 errors. " * 8
    return Entry(at, number // 10 + 1, "opened", "ops", {"title": "CRITICAL: it was given up", "text": text}, at)


def configuration(path: Path) -> Config:
    """One scheduler, and a policy for what has failed."""
    policy = {"match": {"kind": "failed"}, "action": "command", "run": ["true"], "name": "bring back"}
    document: dict[str, Any] = {
        "sources": [{"name": "gateway", "kind": "openclaw", "state_dir": str(path.parent)}],
        "state": str(path),
        "channels": {"ops": "json://127.0.0.1:9/ops"},
        "recovery": {"mode": "act", "policies": [policy]},
    }
    return Config.validated(document)


def published(at: datetime, failing: int, version: int) -> Published:
    """What is published while some jobs have failed."""
    found = tuple(finding(number, at - timedelta(hours=2)) for number in range(failing))
    jobs = tuple(
        Job(f"id-{number}", f"job-{number}", NoCadence(), status="failed" if number < failing else "active")
        for number in range(JOBS)
    )
    snapshot = Snapshot("gateway", "openclaw", jobs)
    return Published((SourceState(snapshot, Diagnosis(found, None), at, at),), version)


class Turns:
    """The notifier and recovery on one file, as the service turns them."""

    def __init__(self, store: Store, config: Config) -> None:
        self.notifier = Notifier(config, store)
        self.recoverer = Recoverer(config, Records(store), lambda *_: None, lambda *_: None)
        self.store = store
        self._version = 0

    def turn(self, at: datetime, failing: int) -> float:
        """One turn after something has changed; its seconds."""
        self._version += 1
        now = published(at, failing, self._version)
        began = time.process_time()
        self.recoverer.turn(now, Stamp(at))
        self.notifier.turn(now, at)
        self.store.waiting()
        return time.process_time() - began


def measure(path: Path, year: Year) -> Figures:
    """Fill a file, open it, turn on it."""
    with closing(Store(path)) as store:
        fill(store, year)
    began = time.process_time()
    store = Store(path)
    figures = Figures(open_ms=1000 * (time.process_time() - began))
    with closing(store):
        turns = Turns(store, configuration(path))
        turns.turn(END, FAILING)
        figures.start_ms = 1000 * (time.process_time() - began)
        spent = [turns.turn(END + timedelta(minutes=n), FAILING + n % 2) for n in range(1, TURNS)]
        figures.turn_ms = 1000 * sum(spent) / len(spent)
        figures.slowest_turn_ms = 1000 * max(spent)
        (before,) = store.database.execute("PRAGMA page_count").fetchone()
        for n in range(TURNS, 3 * TURNS):
            turns.turn(END + timedelta(minutes=n), FAILING + n % 2)
        (after,) = store.database.execute("PRAGMA page_count").fetchone()
        figures.megabytes, figures.grown_by = after * 4096 / 1e6, after - before
    return figures


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        small = len(sys.argv) > 1 and sys.argv[1] == "small"
        size = Year(1000, 5000, 10_000) if small else Year()
        sys.stdout.write(json.dumps(asdict(measure(Path(folder) / "state.db", size))) + "\n")
