"""What recovery keeps in the state file: actions with every step, definitions of failed jobs, what was told once."""

import base64
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from watchdog.core import faults
from watchdog.core.action import UNDER_WAY, Action, State, Step
from watchdog.core.clock import Stamp
from watchdog.core.instants import iso, iso_or_none, parse_instant, parse_or_none
from watchdog.state.store import Store

_SCHEMA = """
CREATE TABLE IF NOT EXISTS actions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, state TEXT NOT NULL, created_at TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS actions_open ON actions (state) WHERE state IN ('intended', 'begun', 'acted', 'proposed');
CREATE TABLE IF NOT EXISTS approvals (action_id INTEGER PRIMARY KEY, at TEXT NOT NULL, by TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS preserved (
    source TEXT NOT NULL, job_id TEXT NOT NULL, name TEXT NOT NULL, row TEXT NOT NULL, preserved_at TEXT NOT NULL,
    sweep_at TEXT, gone_at TEXT, restored_at TEXT, PRIMARY KEY (source, job_id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS told_once (key TEXT PRIMARY KEY, at TEXT NOT NULL) WITHOUT ROWID;
"""

REMEMBERED = 4000
"""Newest actions that are looked at; budgets count within them. Room for three attempts at each of a thousand jobs."""


@dataclass(frozen=True, slots=True)
class Preserved:
    """A failed job's whole row, as it was last seen."""

    source: str
    job_id: str
    name: str
    row: Mapping[str, object]
    preserved_at: datetime
    sweep_at: datetime | None = None
    gone_at: datetime | None = None
    restored_at: datetime | None = None


Version = tuple[int, int]


class Records:
    """The tables of recovery in an open state file."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._db: sqlite3.Connection = store.database
        self._db.executescript(_SCHEMA)
        self._actions: tuple[Version, list[Action]] | None = None
        self._preserved: tuple[Version, list[Preserved]] | None = None

    @property
    def version(self) -> Version:
        """Changes whenever anything in the file does, by this connection or by another."""
        (others,) = self._db.execute("PRAGMA data_version").fetchone()
        return (others, self._db.total_changes)

    # actions

    def add(self, action: Action) -> Action:
        """Write an intent down; the action with its number."""
        cursor = self._db.execute(
            "INSERT INTO actions (state, created_at, document) VALUES (?, ?, ?)",
            (action.state.value, iso(action.created.at), json.dumps(_encode(action))),
        )
        return replace(action, id=int(cursor.lastrowid or 0))

    def save(self, action: Action, was: State | None = None) -> bool:
        """Write down what has become of an action; with `was` only if that is still its state. Whether it was done."""
        faults.point("saving-action")
        cursor = self._db.execute(
            "UPDATE actions SET state = ?, document = ? WHERE id = ? AND state = coalesce(?, state)",
            (action.state.value, json.dumps(_encode(action)), action.id, was.value if was else None),
        )
        faults.point("action-saved")
        return cursor.rowcount > 0

    def actions(self) -> Sequence[Action]:
        """The newest ones, oldest first. Those where nothing was done do not push out those that a budget counts."""
        version = self.version
        if self._actions is None or self._actions[0] != version:
            newest = "SELECT id, document FROM actions WHERE state {} 'refused' ORDER BY id DESC LIMIT ?"
            rows = [row for sign in ("=", "<>") for row in self._db.execute(newest.format(sign), (REMEMBERED,))]
            self._actions = (version, [_decode(number, json.loads(document)) for number, document in sorted(rows)])
        return self._actions[1]

    def under_way(self) -> list[Action]:
        """What is not settled, oldest first."""
        marks = ", ".join("?" for _ in UNDER_WAY)
        rows = self._db.execute(
            f"SELECT id, document FROM actions WHERE state IN ({marks}) ORDER BY id",  # noqa: S608
            [state.value for state in UNDER_WAY],
        ).fetchall()
        return [_decode(number, json.loads(document)) for number, document in rows]

    def approve(self, number: int, at: datetime, by: str) -> None:
        """A person allows a proposed action."""
        self._db.execute("INSERT OR REPLACE INTO approvals (action_id, at, by) VALUES (?, ?, ?)", (number, iso(at), by))

    def approvals(self) -> dict[int, str]:
        """Who approved which."""
        return dict(self._db.execute("SELECT action_id, by FROM approvals").fetchall())

    # definitions

    def preserve(self, kept: Preserved) -> None:
        """Keep a job's row; a newer copy takes the place of an older."""
        self._db.execute(
            "INSERT OR REPLACE INTO preserved "
            "(source, job_id, name, row, preserved_at, sweep_at, gone_at, restored_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                kept.source,
                kept.job_id,
                kept.name,
                json.dumps(_pack(kept.row)),
                iso(kept.preserved_at),
                iso_or_none(kept.sweep_at),
                iso_or_none(kept.gone_at),
                iso_or_none(kept.restored_at),
            ),
        )

    def preserved(self) -> Sequence[Preserved]:
        """All copies."""
        version = self.version
        if self._preserved is None or self._preserved[0] != version:
            rows = self._db.execute(
                "SELECT source, job_id, name, row, preserved_at, sweep_at, gone_at, restored_at FROM preserved"
            ).fetchall()
            self._preserved = (version, [_preserved(row) for row in rows])
        return self._preserved[1]

    # told once

    def tell_once(self, key: str, at: datetime) -> bool:
        """Whether this has not been told before; from now on it has."""
        cursor = self._db.execute("INSERT OR IGNORE INTO told_once (key, at) VALUES (?, ?)", (key, iso(at)))
        return cursor.rowcount > 0

    def told(self, prefix: str) -> set[str]:
        """The keys with this beginning that have been told."""
        keys = self._db.execute("SELECT key FROM told_once WHERE substr(key, 1, ?) = ?", (len(prefix), prefix))
        return {key for (key,) in keys.fetchall()}

    def forget(self, keys: Iterable[str]) -> None:
        """It may be told again."""
        self._db.executemany("DELETE FROM told_once WHERE key = ?", [(key,) for key in keys])


def _pack(row: Mapping[str, object]) -> dict[str, object]:
    """A row as JSON; bytes survive it."""
    return {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def _unpack(row: Mapping[str, Any]) -> dict[str, object]:
    return {
        name: base64.b64decode(value["base64"]) if isinstance(value, dict) else value for name, value in row.items()
    }


def _preserved(row: tuple[Any, ...]) -> Preserved:
    source, job_id, name, document, preserved_at, sweep_at, gone_at, restored_at = row
    return Preserved(
        source,
        job_id,
        name,
        _unpack(json.loads(document)),
        parse_instant(preserved_at),
        parse_or_none(sweep_at),
        parse_or_none(gone_at),
        parse_or_none(restored_at),
    )


def _encode(action: Action) -> dict[str, Any]:
    return {
        "created": _encode_stamp(action.created),
        "policy": action.policy,
        "kind": action.kind,
        "source": action.source,
        "job_id": action.job_id,
        "job": action.job,
        "circuit": action.circuit,
        "state": action.state.value,
        "by": action.by,
        "why": action.why,
        "seen": _pack(action.seen),
        "ways": list(action.ways),
        "way": action.way,
        "is_canary": action.is_canary,
        "acted_at": iso_or_none(action.acted_at),
        "heard_by": iso_or_none(action.heard_by),
        "begun": _encode_stamp(action.begun) if action.begun else None,
        "settled": _encode_stamp(action.settled) if action.settled else None,
        "about": action.about,
        "not_before": iso_or_none(action.not_before),
        "steps": [[iso(step.at), step.what] for step in action.steps],
    }


def _decode(number: int, part: Mapping[str, Any]) -> Action:
    return Action(
        id=number,
        created=_decode_stamp(part["created"]),
        policy=part["policy"],
        kind=part["kind"],
        source=part["source"],
        job_id=part["job_id"],
        job=part["job"],
        circuit=part["circuit"],
        state=State(part["state"]),
        by=part["by"],
        why=part["why"],
        seen=_unpack(part["seen"]),
        ways=tuple(part["ways"]),
        way=part["way"],
        is_canary=part["is_canary"],
        acted_at=parse_or_none(part["acted_at"]),
        heard_by=parse_or_none(part["heard_by"]),
        begun=_decode_stamp(part["begun"]) if part.get("begun") else None,
        settled=_decode_stamp(part["settled"]) if part["settled"] else None,
        about=part.get("about", ""),
        not_before=parse_or_none(part.get("not_before")),
        steps=tuple(Step(parse_instant(at), what) for at, what in part["steps"]),
    )


def _encode_stamp(stamp: Stamp) -> list[object]:
    return [iso(stamp.at), stamp.uptime, stamp.boot]


def _decode_stamp(part: list[Any]) -> Stamp:
    return Stamp(parse_instant(part[0]), float(part[1]), str(part[2]))
