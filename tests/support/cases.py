"""For the tests of recorded cases: cases written by hand, and the truth of the carried ones held against a replay."""

import gzip
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from watchdog.replay.command import replay
from watchdog.replay.player import Change, Found, Told

BEGINS = datetime(2026, 6, 10, 8, 0, tzinfo=UTC)

JOBS = """CREATE TABLE scheduled_jobs (id TEXT PRIMARY KEY, name TEXT NOT NULL, enabled INTEGER, schedule_kind TEXT,
schedule_value TEXT, task TEXT, delivery_channel TEXT, delivery_target TEXT, status TEXT, last_run_at TEXT,
last_run_status TEXT, last_run_duration_ms INTEGER, last_run_error TEXT, next_run_at TEXT, run_count INTEGER,
consecutive_errors INTEGER, delete_after_run INTEGER, created_at TEXT, updated_at TEXT, last_delivery_status TEXT)"""
COSTS = """CREATE TABLE cost_events (id INTEGER PRIMARY KEY AUTOINCREMENT, session_key TEXT, cost_usd REAL,
input_tokens INTEGER, output_tokens INTEGER, model TEXT, created_at TEXT)"""

SESSIONS = """CREATE TABLE sessions (id INTEGER PRIMARY KEY, session_key TEXT UNIQUE, status TEXT, total_cost_usd REAL,
input_tokens INTEGER, output_tokens INTEGER, turn_count INTEGER, created_at TEXT, last_active_at TEXT)"""
AUDIT = """CREATE TABLE scheduler_audit_log (id INTEGER PRIMARY KEY, job_id TEXT, job_name TEXT, action TEXT,
previous_status TEXT, new_status TEXT, actor TEXT, detail TEXT, created_at TEXT)"""


def at(minutes: float) -> str:
    """So many minutes after the beginning, as it stands in a case."""
    instant = (BEGINS + timedelta(minutes=minutes)).replace(tzinfo=None)
    return instant.isoformat(timespec="milliseconds") + "Z"


def row(name: str = "heartbeat", **facts: object) -> dict[str, object]:
    """An hourly job that ran well at the beginning, but for what is said."""
    usual: dict[str, object] = {
        "id": f"id-{name}",
        "name": name,
        "enabled": 1,
        "schedule_kind": "cron",
        "schedule_value": json.dumps({"expr": "0 * * * *", "tz": "UTC"}),
        "task": "…",
        "status": "active",
        "last_run_at": at(0),
        "last_run_status": "ok",
        "last_run_duration_ms": 2000,
        "next_run_at": at(60),
        "run_count": 1,
        "consecutive_errors": 0,
        "delete_after_run": 0,
        "created_at": "2026-06-01 00:00:00",
        "updated_at": "2026-06-10 08:00:02",
        "last_delivery_status": "skipped:channel_none",
    }
    return usual | facts


def daily(name: str, **facts: object) -> dict[str, object]:
    """A job that is due ten hours after the beginning, each day."""
    at_six = json.dumps({"expr": "0 18 * * *", "tz": "UTC"})
    return row(name, **{"schedule_value": at_six, "next_run_at": at(600), "last_run_at": at(-840), **facts})


def failed(name: str = "heartbeat", minutes: float = 10) -> dict[str, object]:
    """A job that was given up so many minutes after the beginning."""
    return row(
        name,
        status="failed",
        next_run_at=None,
        consecutive_errors=10,
        last_run_status="error",
        last_run_error="Error: 429 rate_limit_error",
        updated_at=at(minutes)[:19].replace("T", " "),
    )


def whole(*rows: Mapping[str, object], minutes: float = 0, database: str = "phantom.db") -> dict[str, Any]:
    """A step in which the whole store is there."""
    tables = {
        "scheduled_jobs": {"schema": JOBS, "rows": list(rows)},
        "cost_events": {"schema": COSTS, "rows": []},
        "sessions": {"schema": SESSIONS, "rows": []},
        "scheduler_audit_log": {"schema": AUDIT, "rows": []},
    }
    return {"at": at(minutes), "tables": {database: tables}}


def changed(minutes: float, *rows: Mapping[str, object], **more: object) -> dict[str, Any]:
    """A step in which rows of jobs are written."""
    return {"at": at(minutes), "set": {"phantom.db": {"scheduled_jobs": list(rows)}}, **more}


def header(*, hours: float = 2, **more: object) -> dict[str, Any]:
    """A header; the case lasts so long."""
    source = {"kind": "phantom", "database": "phantom.db", "timezone": "UTC"}
    return {"case": 1, "what": "…", "source": source, "begins": at(0), "ends": at(60 * hours), **more}


def written(path: Path, lines: Iterable[object]) -> Path:
    """A case of these lines; text stands as it is."""
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_bytes(gzip.compress("".join(f"{text}\n" for text in texts).encode()))
    return path


def config_file(folder: Path, text: str) -> Path:
    """A configuration."""
    path = folder / "watchdog.yaml"
    path.write_text(text)
    return path


def spelt(changes: Iterable[Change]) -> list[tuple[float, str, str, str | None]]:
    """What was found and cleared: after how many minutes, which of the two, kind, job."""
    found = [change for change in changes if isinstance(change, Found)]
    return [(_minutes(one.at), one.event, one.finding.kind.value, one.finding.job) for one in found]


def told(changes: Iterable[Change]) -> list[tuple[float, str, str]]:
    """What was told: after how many minutes, to whom, why."""
    return [(_minutes(one.at), one.to, one.what) for one in changes if isinstance(one, Told)]


def _minutes(instant: datetime) -> float:
    return round((instant - BEGINS).total_seconds() / 60, 2)


# the truth of carried cases


@dataclass(frozen=True)
class Stood:
    """A finding from when it was found until it was cleared, or the case was over."""

    kind: str
    job: str | None
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class Window:
    """A span in which a finding of one of these kinds may stand. `job` `*` is any, or none."""

    kinds: tuple[str, ...]
    job: str | None
    begin: datetime
    end: datetime

    def fits(self, stood: Stood) -> bool:
        """Whether it is about such a finding, whenever that stood."""
        return stood.kind in self.kinds and self.job in ("*", stood.job)


SECOND = timedelta(seconds=1)


def stood(changes: Iterable[Change], ends: datetime) -> list[Stood]:
    """Every finding of a replay."""
    under_way: dict[object, Found] = {}
    over: list[Stood] = []
    for change in changes:
        if not isinstance(change, Found):
            continue
        key = (*change.finding.key, change.finding.severity)
        if change.event == "found":
            under_way[key] = change
        else:
            over.append(_spell(under_way.pop(key), change.at))
    return over + [_spell(found, ends) for found in under_way.values()]


def _spell(found: Found, end: datetime) -> Stood:
    return Stood(found.finding.kind.value, found.finding.job, found.at, end)


def uncovered(begin: datetime, end: datetime, spans: Iterable[tuple[datetime, datetime]]) -> timedelta:
    """How much of a span lies in none of these."""
    left = timedelta()
    for first, last in sorted(spans):
        if first > begin:
            left += max(timedelta(), min(first, end) - begin)
        begin = max(begin, last)
        if begin >= end:
            return left
    return left + (end - begin)


def wrongs(case: Path) -> list[str]:
    """What a replay of a carried case finds that is not so, and does not find that is."""
    truth = json.loads(case.with_name(case.name.replace(".case.jsonl.gz", ".truth.json")).read_text())
    with gzip.open(case, "rt") as lines:
        ends = _instant(json.loads(lines.readline())["ends"])
    found = stood(replay(case, None, None), ends)
    return [*_missing(truth, found), *_false(truth, found, ends)]


def _missing(truth: Mapping[str, Any], found: list[Stood]) -> Iterator[str]:
    for must in truth["must"]:
        window = Window(tuple(must["kinds"]), must["job"], _instant(must["by"]), _instant(must["until"]))
        spans = [(one.begin, one.end) for one in found if window.fits(one)]
        if (left := uncovered(window.begin, window.end, spans)) > SECOND:
            yield f"missing for {left}: {'/'.join(window.kinds)} of {window.job} ({must['why']})"


def _false(truth: Mapping[str, Any], found: list[Stood], ends: datetime) -> Iterator[str]:
    windows = [
        Window(tuple(one["kinds"]), one["job"], _instant(one["not_before"]), _instant(one["gone_by"] or iso(ends)))
        for one in truth["must"]
    ]
    windows += [
        Window(tuple(one["kinds"]), one["job"], _instant(one["from"]), _instant(one["to"])) for one in truth["may"]
    ]
    for one in found:
        spans = [(window.begin, window.end) for window in windows if window.fits(one)]
        left = uncovered(one.begin, one.end, spans)
        is_brief = one.end - one.begin <= SECOND and not any(a <= one.begin <= b for a, b in spans)
        if left > SECOND or is_brief:
            yield f"false for {left}: {one.kind} of {one.job} from {one.begin} to {one.end}"


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def iso(instant: datetime) -> str:
    """As it stands in a truth."""
    return instant.isoformat()
