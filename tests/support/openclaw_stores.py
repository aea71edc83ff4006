"""OpenClaw's state folder as its releases write it, in each of the four layouts, from a gateway that is played here."""

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from watchdog.core.instants import iso, to_ms

LAYOUTS = ("inline", "split", "wide", "canonical")
OF_FILES = ("inline", "split")
USAGE = {"input_tokens": 1800, "output_tokens": 40, "total_tokens": 1800}

Json = dict[str, Any]

_TABLES = {
    "cron_jobs": (
        "store_key TEXT, job_id TEXT, name TEXT, enabled INTEGER, job_json TEXT, state_json TEXT, "
        "runtime_updated_at_ms INTEGER, updated_at INTEGER, PRIMARY KEY (store_key, job_id)"
    ),
    "task_runs": (
        "task_id TEXT PRIMARY KEY, runtime TEXT, source_id TEXT, run_id TEXT, status TEXT, started_at INTEGER, "
        "ended_at INTEGER, detail_json TEXT"
    ),
}
_WIDE = {"cron_run_logs": "store_key TEXT, job_id TEXT, seq INTEGER, ts INTEGER, entry_json TEXT"}
_CANONICAL = {
    "cron_run_receipts": (
        "receipt_id TEXT PRIMARY KEY, store_key TEXT, job_id TEXT, status TEXT, owner_pid INTEGER, "
        "started_at_ms INTEGER, finished_at_ms INTEGER"
    ),
    "gateway_boot_lifecycle": (
        "boot_id TEXT PRIMARY KEY, pid INTEGER, started_at_ms INTEGER, completed_at_ms INTEGER, outcome TEXT"
    ),
}

KEY = "/home/agent/.openclaw/cron/jobs.json"


def job(id_: str, schedule: Json, **changes: Any) -> Json:
    """A job's definition: an agent's turn of its own, delivered somewhere."""
    return {
        "id": id_,
        "name": id_,
        "enabled": True,
        "createdAtMs": 1775000000000,
        "schedule": schedule,
        "sessionTarget": "isolated",
        "wakeMode": "now",
        "payload": {"kind": "agentTurn", "message": "x", "timeoutSeconds": 900},
        "delivery": {"mode": "announce", "channel": "telegram", "to": "-100"},
        **changes,
    }


@dataclass
class Gateway:
    """One gateway's state in memory, written out step by step as the gateway would.

    `between` is called after each single write: whoever looks then sees a store in between. `names_schedules`: whether
    the split layout has a `scheduleIdentity` with each state, as from the release on that records interruptions.
    """

    folder: Path
    layout: str
    between: Callable[[], None] = lambda: None
    jobs: dict[str, Json] = field(default_factory=dict)
    states: dict[str, Json] = field(default_factory=dict)
    updated: dict[str, int] = field(default_factory=dict)
    pid: int = 100
    started: dict[str, int] = field(default_factory=dict)
    names_schedules: bool = False

    def add(self, definition: Json, next_run: datetime | None, at: datetime) -> None:
        id_ = definition["id"]
        self.jobs[id_] = definition
        self.states[id_] = {"nextRunAtMs": to_ms(next_run)} if next_run else {}
        self.updated[id_] = to_ms(at)

    # how it is written

    @property
    def is_files(self) -> bool:
        return self.layout in OF_FILES

    @property
    def store(self) -> Path:
        return self.folder / ("cron/jobs.json" if self.is_files else "state/openclaw.sqlite")

    @property
    def ledger(self) -> Path:
        return self.folder / ("tasks/runs.sqlite" if self.is_files else "state/openclaw.sqlite")

    def connect(self, path: Path) -> sqlite3.Connection:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA synchronous = off")
        tables = dict(_TABLES)
        if self.is_files:
            del tables["cron_jobs"]
        else:
            tables |= _WIDE if self.layout == "wide" else _CANONICAL
        for name, columns in tables.items():
            connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns})")
        return connection

    def replace(self, name: str, value: Any) -> None:
        """A file by rename, as the gateway replaces it."""
        path = self.folder / "cron" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{name}.7.abc.tmp")
        fresh.write_text(json.dumps(value, indent=2))
        os.replace(fresh, path)  # noqa: PTH105
        self.between()

    def persist(self) -> None:
        """The jobs and their states: the split layout's states come first."""
        if self.layout == "inline":
            rows = [{**d, "updatedAtMs": self.updated[i], "state": self.states[i]} for i, d in self.jobs.items()]
            self.replace("jobs.json", {"version": 1, "jobs": rows})
        elif self.layout == "split":
            more = {"scheduleIdentity": "v1"} if self.names_schedules else {}
            kept = {i: {"updatedAtMs": self.updated[i], **more, "state": self.states[i]} for i in self.jobs}
            self.replace("jobs-state.json", {"version": 1, "jobs": kept})
            self.replace("jobs.json", {"version": 1, "jobs": [{**d, "state": {}} for d in self.jobs.values()]})
        else:
            self._persist_rows()

    def _persist_rows(self) -> None:
        with closing(self.connect(self.store)) as connection:
            connection.execute("BEGIN")
            connection.execute("DELETE FROM cron_jobs")
            for id_, definition in self.jobs.items():
                state, at = json.dumps(self.states[id_]), self.updated[id_]
                shown = json.dumps({**definition, "state": {}})
                values = (KEY, id_, definition["name"], int(definition["enabled"]), shown, state, at, at)
                connection.execute("INSERT INTO cron_jobs VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
            connection.execute("COMMIT")
        self.between()

    def execute(self, statement: str, *values: object) -> None:
        with closing(self.connect(self.ledger)) as connection:
            connection.execute(statement, values)
        self.between()

    # what it does

    def boot(self, at: datetime) -> None:
        """A start: another process, and what its layout writes of it."""
        self.pid += 1
        if self.layout == "canonical":
            boot = (f"boot-{self.pid}", self.pid, to_ms(at))
            self.execute("INSERT INTO gateway_boot_lifecycle VALUES (?, ?, ?, NULL, NULL)", *boot)

    def stop(self, at: datetime) -> None:
        """A clean stop."""
        if self.layout == "canonical":
            done = "UPDATE gateway_boot_lifecycle SET completed_at_ms = ?, outcome = 'clean_stop' WHERE pid = ?"
            self.execute(done, to_ms(at), self.pid)

    def lock(self, at: datetime) -> Path:
        """The gateway's lock, beside the state folder."""
        path = self.folder.parent / "locks" / "gateway.1234abcd.lock"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"pid": self.pid, "createdAt": iso(at), "configPath": "/x"}))
        return path

    def begin(self, id_: str, at: datetime) -> None:
        """The marker, then the ledger's row."""
        self.mark(at, id_)
        self.run(id_, at)

    def mark(self, at: datetime, *ids: str) -> None:
        """The markers of a batch: all at once, before its first run."""
        for id_ in ids:
            self.states[id_]["runningAtMs"] = to_ms(at)
            self.states[id_].pop("lastError", None)
        self.persist()

    def run(self, id_: str, at: datetime) -> None:
        """A marked job's turn: the ledger's row. The store keeps the marker as it is."""
        started = to_ms(at) + 9
        self.started[id_] = to_ms(at)
        row = (f"task-{id_}-{started}", "cron", id_, f"cron:{id_}:{started}", "running", started)
        self.execute("INSERT OR REPLACE INTO task_runs VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)", *row)
        if self.layout == "canonical":
            receipt = (f"receipt-{id_}-{started}", KEY, id_, "running", self.pid, to_ms(at))
            self.execute("INSERT INTO cron_run_receipts VALUES (?, ?, ?, ?, ?, ?, NULL)", *receipt)

    def end(
        self,
        id_: str,
        at: datetime,
        next_run: datetime | None,
        status: str = "ok",
        usage: Json | None = USAGE,
        *,
        is_log_late: bool = False,
        is_logged: bool = True,
        more: Json | None = None,
        **state: Any,
    ) -> None:
        """The outcome: the ledger, the log and the store, the log before or after the store; `more` is in the log."""
        kept = self.states[id_]
        marker = kept.pop("runningAtMs", 0)
        started = self.started.pop(id_, marker)
        errors = kept.get("consecutiveErrors", 0) + 1 if status == "error" else 0
        took = to_ms(at) - started
        entry = {"ts": to_ms(at), "jobId": id_, "action": "finished", "status": status, "runAtMs": started}
        entry |= {"durationMs": took, "model": "m", "provider": "p"}
        entry |= {"usage": usage} if usage and status == "ok" else {}
        entry |= {"error": state["lastError"]} if state.get("lastError") else {}
        entry |= {"deliveryStatus": state["lastDeliveryStatus"]} if "lastDeliveryStatus" in state else {}
        entry |= more or {}
        skipped = kept.get("consecutiveSkipped", 0) + 1 if status == "skipped" else 0
        kept |= {"lastRunAtMs": started, "lastRunStatus": status, "lastStatus": status, "lastDurationMs": took}
        kept.pop("lastError", None)
        kept |= {"consecutiveErrors": errors, "lastDeliveryStatus": "delivered", "consecutiveSkipped": skipped, **state}
        kept.pop("nextRunAtMs", None)
        kept |= {"nextRunAtMs": to_ms(next_run)} if next_run else {}
        self.updated[id_] = to_ms(at)
        self._close(id_, entry, "succeeded" if status == "ok" else "failed", status, to_ms(at))
        if is_logged and not is_log_late:
            self.log(id_, entry)
        self.persist()
        if is_logged and is_log_late:
            self.log(id_, entry)

    def _close(self, id_: str, entry: Json, task: str, receipt: str, at: int) -> None:
        detail = json.dumps({"kind": "cron-run", **entry}) if self.layout == "canonical" else None
        closing_row = (
            "UPDATE task_runs SET status = ?, ended_at = ?, detail_json = ? WHERE source_id = ? AND started_at = ?"
        )
        self.execute(closing_row, task, at, detail, id_, entry["runAtMs"] + 9)
        if self.layout == "canonical":
            done = "UPDATE cron_run_receipts SET status = ?, finished_at_ms = ? WHERE job_id = ? AND status = 'running'"
            self.execute(done, receipt, at, id_)

    def log(self, id_: str, entry: Json) -> None:
        """A line of the run log, or its row."""
        if self.is_files:
            path = self.folder / "cron" / "runs" / f"{id_}.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a") as file:
                file.write(json.dumps(entry) + "\n")
            self.between()
        elif self.layout == "wide":
            row = (KEY, id_, 1, entry["ts"], json.dumps(entry))
            self.execute("INSERT INTO cron_run_logs VALUES (?, ?, ?, ?, ?)", *row)

    def start_over(self, id_: str, at: datetime, next_run: datetime, *, is_logged: bool = True) -> None:
        """What a start does with a marker that was left behind: drop it, or record an interrupted run from it on (a
        start that is killed in its turn has not logged that yet)."""
        self.started.pop(id_, None)
        if self.layout == "inline":
            del self.states[id_]["runningAtMs"]
            self.persist()
            return
        interrupted = "cron: job interrupted by gateway restart"
        self.end(
            id_, at, next_run, "error", None, lastError=interrupted, lastDeliveryStatus="unknown", is_logged=is_logged
        )
