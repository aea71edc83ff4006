"""A nanobot workspace as its real gateway wrote it, laid out again."""

import gzip
import json
import os
import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

RECORDED: Any = json.loads(gzip.decompress((Path(__file__).parents[2] / "data" / "nanobot.json.gz").read_bytes()))


def lay_out(state: str, home: Path) -> tuple[Path, datetime]:
    """The workspace of a recorded state under a home, and when it was recorded."""
    known = RECORDED["states"][state]
    workspace = home / "workspace"
    (workspace / "cron" / "runs").mkdir(parents=True)
    for run in known["runs"]:
        (workspace / "cron" / "runs" / run["_file"]).write_text(json.dumps(run))
    jobs = workspace / "cron" / "jobs.json"
    jobs.write_text(json.dumps(known["jobs"], indent=1))
    os.utime(jobs, (known["written_at"],) * 2)
    names = RECORDED["call_columns"]
    with closing(sqlite3.connect(home / "llm_usage.sqlite3", isolation_level=None)) as connection:
        connection.execute(f"CREATE TABLE llm_calls ({', '.join(names)})")
        connection.executemany(f"INSERT INTO llm_calls VALUES ({', '.join('?' * len(names))})", known["calls"])
    return workspace, datetime.fromisoformat(known["now"])
