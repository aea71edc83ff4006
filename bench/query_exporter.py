"""query-exporter, the general SQL exporter that is measured beside: its environment, and a user's queries for it.

Where there is a choice, the cheaper one was taken for it: the file opened read-only by SQLite's own URI, a second
connection so that the gauges do not wait behind the history, numbers instead of an `enum` (which makes four series of
each job), one label, no info metric.
"""

import shutil
import subprocess
import venv
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml

from bench.database import WORK

CONSTRAINTS = Path(__file__).resolve().parent / "constraints-query-exporter.txt"
HOME = WORK / "query-exporter"
RANGE = 30_000

_JOBS = """SELECT id AS job_id,
    unixepoch(next_run_at) AS job_next_run_timestamp_seconds,
    unixepoch(last_run_at) AS job_last_run_timestamp_seconds,
    consecutive_errors AS job_consecutive_errors,
    enabled = 1 AND status = 'active' AS job_active,
    status = 'failed' AS job_failed
FROM scheduled_jobs"""
_ZERO = """WITH newest AS (
    SELECT session_key, input_tokens + output_tokens AS tokens,
        row_number() OVER (PARTITION BY session_key ORDER BY id DESC) AS place
    FROM cost_events WHERE session_key LIKE 'scheduler:sched:%'{range})
SELECT substr(session_key, 17) AS job_id, count(*) = 3 AND sum(tokens) = 0 AS job_zero_tokens
FROM newest WHERE place <= 3 GROUP BY session_key"""

_GAUGES = (
    "job_next_run_timestamp_seconds",
    "job_last_run_timestamp_seconds",
    "job_consecutive_errors",
    "job_active",
    "job_failed",
)


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to ask for jobs whose newest three runs used no tokens."""

    name: str
    words: str
    zero_sql: str


EXACT = Variant("exact", "newest three events of each job by a window function", _ZERO.format(range=""))
RANGED = Variant(
    "ranged",
    f"the same over the newest {RANGE:,} ids; blind to a job whose third-last run lies before them",
    _ZERO.format(range=f"\n        AND id > (SELECT max(id) FROM cost_events) - {RANGE}"),
)


def install() -> Path:
    """The program in an environment of its own, made anew when the pinned versions change."""
    stamp = HOME / "installed.txt"
    wanted = CONSTRAINTS.read_text()
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(HOME, ignore_errors=True)
        venv.create(HOME, with_pip=True)
        pip = [str(HOME / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, "-c", str(CONSTRAINTS), "query-exporter"], check=True, cwd=HOME)
        stamp.write_text(wanted)
    return HOME / "bin" / "query-exporter"


def version() -> str:
    """The pinned version."""
    lines = CONSTRAINTS.read_text().splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith("query-exporter=="))


def write_config(database: Path, variant: Variant, interval: int) -> Path:
    """The configuration file for one variant; `interval` in seconds."""
    path = WORK / f"query-exporter-{variant.name}.yaml"
    gauges = {name: {"type": "gauge", "labels": ["job_id"]} for name in (*_GAUGES, "job_zero_tokens")}
    common = {"interval": interval, "databases": ["phantom"]}
    data = {
        "databases": {"phantom": {"dsn": _dsn(database), "connection-pool": {"size": 2}}},
        "metrics": gauges,
        "queries": {
            "jobs": {**common, "metrics": list(_GAUGES), "sql": _JOBS},
            "zero": {**common, "metrics": ["job_zero_tokens"], "sql": variant.zero_sql},
        },
    }
    path.write_text(yaml.safe_dump(data))
    return path


def _dsn(database: Path) -> str:
    return f"sqlite:///file:{quote(str(database))}?mode=ro&uri=true"


def command(database: Path, variant: Variant, interval: int, port: int) -> list[str]:
    """What starts it on the loopback address."""
    config = write_config(database, variant, interval)
    where = ["--host", "127.0.0.1", "--port", str(port)]
    return [str(install()), "--config", str(config), *where, "--log-level", "warning"]
