"""The tables of the simulated scheduler, column for column as the watched one has them (facts: where the state is)."""

import sqlite3
from pathlib import Path

_SCHEMA = """
CREATE TABLE IF NOT EXISTS sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_key TEXT UNIQUE NOT NULL,
    sdk_session_id TEXT,
    channel_id TEXT NOT NULL,
    conversation_id TEXT NOT NULL,
    status TEXT NOT NULL DEFAULT 'active',
    total_cost_usd REAL NOT NULL DEFAULT 0,
    input_tokens INTEGER NOT NULL DEFAULT 0,
    output_tokens INTEGER NOT NULL DEFAULT 0,
    turn_count INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    last_active_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE TABLE IF NOT EXISTS cost_events (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    session_key TEXT NOT NULL,
    cost_usd REAL NOT NULL,
    input_tokens INTEGER NOT NULL,
    output_tokens INTEGER NOT NULL,
    model TEXT NOT NULL,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    FOREIGN KEY (session_key) REFERENCES sessions(session_key)
);
CREATE TABLE IF NOT EXISTS scheduled_jobs (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    description TEXT,
    enabled INTEGER NOT NULL DEFAULT 1,
    schedule_kind TEXT NOT NULL,
    schedule_value TEXT NOT NULL,
    task TEXT NOT NULL,
    delivery_channel TEXT DEFAULT 'slack',
    delivery_target TEXT DEFAULT 'owner',
    status TEXT NOT NULL DEFAULT 'active',
    last_run_at TEXT,
    last_run_status TEXT,
    last_run_duration_ms INTEGER,
    last_run_error TEXT,
    next_run_at TEXT,
    run_count INTEGER NOT NULL DEFAULT 0,
    consecutive_errors INTEGER NOT NULL DEFAULT 0,
    delete_after_run INTEGER NOT NULL DEFAULT 0,
    created_at TEXT NOT NULL DEFAULT (datetime('now')),
    created_by TEXT DEFAULT 'agent',
    updated_at TEXT NOT NULL DEFAULT (datetime('now')),
    last_delivery_status TEXT
);
CREATE INDEX IF NOT EXISTS idx_scheduled_jobs_next_run
    ON scheduled_jobs(next_run_at) WHERE enabled = 1 AND status = 'active';
CREATE TABLE IF NOT EXISTS scheduler_audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL,
    job_name TEXT,
    action TEXT NOT NULL,
    previous_status TEXT,
    new_status TEXT,
    actor TEXT NOT NULL,
    detail TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX IF NOT EXISTS idx_scheduler_audit_log_job ON scheduler_audit_log(job_id, id DESC);
"""


def connect(path: Path, *, durable: bool) -> sqlite3.Connection:
    """The one connection that the scheduler keeps open, in WAL mode, with the tables there.

    Every statement commits by itself unless a transaction is open. With `durable` a commit survives a power cut;
    without, it is as fast as the file system's cache. Any thread may use it, one at a time: the web API's do so under
    the lock that they share with whoever moves the clock.
    """
    connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode = WAL").fetchone()
    connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.executescript(_SCHEMA)
    return connection
