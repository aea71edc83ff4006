"""What recovery keeps in the state file: actions with every step, definitions of failed jobs, what was told once.

A turn reads by index what is under way, proposed or not reported yet, and of what is over only what the budgets of its
cases count. That is kept, and read again only for whom something has changed.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from watchdog.core import faults
from watchdog.core.action import UNDER_WAY, Action, State
from watchdog.core.instants import iso, iso_or_none, parse_instant, parse_or_none
from watchdog.state import retention
from watchdog.state.documents import carried, packed, parsed, read_action, unpacked, write_action
from watchdog.state.store import Store

REMEMBERED = retention.KEPT_ACTIONS
"""Newest actions that are shown."""

COUNTED = 200
"""Newest attempts of a job, of a circuit or of a source's restarts that are looked at, beside those that are not over;
budgets count within them."""

REFUSALS = 5
"""Newest refusals of the same that are looked at: only the last one keeps anything back."""

_UNDER_WAY = ", ".join(f"'{state.value}'" for state in UNDER_WAY)
_SETTLED = ", ".join(f"'{state.value}'" for state in State if state not in (*UNDER_WAY, State.PROPOSED))

REVIVING = ("revive", "enable")
"""The actions that bring back a job that was given up."""

Key = tuple[str | None, ...]

Decoded = dict[int, tuple[int, Action | None]]
"""Actions that were read before, each with its revision."""


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


Version = tuple[int, int, int]


class Records:
    """The tables of recovery in an open state file."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._past: dict[Key, Sequence[Action]] = {}
        self._revision = 0
        self._looked_at: Version | None = None
        self._preserved: tuple[Version, list[tuple[Any, ...]], list[Preserved]] | None = None
        self._known_well: dict[int, tuple[Any, ...]] = {}
        self._told_by_us: dict[str, str] = {}
        self._minded: int | None = None
        self._losses = store.losses

    @property
    def _db(self) -> sqlite3.Connection:
        """Asked for each time: it is another one once the file has been put back."""
        return self.store.database

    @property
    def version(self) -> Version:
        """Changes whenever anything in the file does, by this connection or by another."""
        (others,) = self._db.execute("PRAGMA data_version").fetchone()
        return (others, self._db.total_changes, self.store.losses)

    # actions

    def add(self, action: Action) -> Action:
        """Write an intent down; the action with its number."""
        cursor = self._db.execute(
            f"INSERT INTO actions (state, created_at, document, revision) VALUES (?, ?, ?, {_NEXT})",
            (action.state.value, iso(action.created.at), json.dumps(write_action(action))),
        )
        return replace(action, id=int(cursor.lastrowid or 0))

    def save(self, action: Action, was: State | None = None) -> bool:
        """Write down what has become of an action; with `was` only if that is still its state. Whether it was done."""
        faults.point("saving-action")
        row = self._db.execute("SELECT document FROM actions WHERE id = ?", (action.id,)).fetchone()
        document = carried(Action, parsed(row[0]), write_action(action)) if row else {}
        cursor = self._db.execute(
            f"UPDATE actions SET state = ?, document = ?, revision = {_NEXT} "
            "WHERE id = ? AND state = coalesce(?, state)",
            (action.state.value, json.dumps(document), action.id, was.value if was else None),
        )
        self.store.must_have_stayed()
        faults.point("action-saved")
        return cursor.rowcount > 0

    def action(self, number: int) -> Action | None:
        """The action of a number."""
        return next(iter(self._read("id = ?", number)), None)

    def actions(self, decoded: Decoded | None = None) -> Sequence[Action]:
        """The newest ones, oldest first. Those where nothing was done do not push out the others.

        Whoever asks again and again hands in what it was given before.
        """
        known: Decoded = {} if decoded is None else decoded
        newest = "SELECT id, revision FROM actions WHERE state {} 'refused' ORDER BY id DESC LIMIT ?"
        there = dict(row for sign in ("=", "<>") for row in self._db.execute(newest.format(sign), (REMEMBERED,)))
        for number in [number for number, (revision, _) in known.items() if there.get(number) != revision]:
            del known[number]
        for number in there.keys() - known.keys():
            known[number] = (there[number], self.action(number))
        return [action for _, (_, action) in sorted(known.items()) if action is not None]

    def under_way(self) -> list[Action]:
        """What is not settled, oldest first."""
        return self._read(f"state IN ({_UNDER_WAY}) ORDER BY id")

    def proposed(self) -> list[Action]:
        """What waits for a person, oldest first."""
        return self._read("state = 'proposed' ORDER BY id")

    def unreported(self) -> list[Action]:
        """What is settled and has not been told of, oldest first."""
        return self._read(f"reported_at IS NULL AND state IN ({_SETTLED}) ORDER BY id")

    def reported(self, action: Action, at: datetime) -> bool:
        """It is told of now; whether it had not been before."""
        cursor = self._db.execute(
            "UPDATE actions SET reported_at = ? WHERE id = ? AND reported_at IS NULL", (iso(at), action.id)
        )
        return cursor.rowcount > 0

    def of_job(self, source: str, kind: str, job_id: str | None) -> Sequence[Action]:
        """The newest of this kind for a job."""
        return self._known(("job", source, kind, job_id), "source = ? AND kind = ? AND job_id IS ?")

    def was_revived(self, source: str, job_id: str | None, since: datetime) -> bool:
        """Whether the newest attempt to revive a job since an instant was made, and has not been seen to help."""
        made = [action for kind in REVIVING for action in self.of_job(source, kind, job_id)]
        newest = max(made, key=lambda action: action.created.at, default=None)
        return newest is not None and newest.created.at >= since and newest.state in (*UNDER_WAY, State.INEFFECTIVE)

    def bearing_on(self, source: str, job_id: str | None, kinds: Iterable[str]) -> list[Action]:
        """The newest restarts of a scheduler, and the newest of these kinds for a job; oldest first."""
        of_job = (one for kind in kinds for one in self.of_job(source, kind, job_id))
        found = {one.id: one for one in (*self.restarts(source), *of_job)}
        return [found[number] for number in sorted(found)]

    def restarts(self, source: str) -> Sequence[Action]:
        """The newest restarts of a scheduler, whatever they were for."""
        return self._known(("restart", source), "source = ? AND (kind = 'restart' OR way = 'restart')")

    def of_circuit(self, circuit: str, kind: str) -> Sequence[Action]:
        """The newest of this kind that share their luck."""
        return self._known(("circuit", circuit, kind), "circuit = ? AND kind = ?")

    def last_verified(self, circuit: str) -> int:
        """The number of the newest action of a circuit that has helped; 0 if none has."""
        where = "circuit = ? AND state <> 'refused' AND state = 'verified' ORDER BY id DESC LIMIT 1"
        row = self._db.execute(f"SELECT id FROM actions WHERE {where}", (circuit,)).fetchone()
        return int(row[0]) if row else 0

    def _read_open(self, where: str, *values: object) -> list[Action]:
        return self._read(f"state IN ({_UNDER_WAY}, 'proposed') AND {where}", *values, by="INDEXED BY actions_by_state")

    def _read(self, where: str, *values: object, by: str = "") -> list[Action]:
        rows = self._db.execute(f"SELECT id, document FROM actions {by} WHERE {where}", values).fetchall()
        found = (read_action(number, parsed(text)) for number, text in rows)
        return [action for action in found if action is not None]

    def _known(self, key: Key, where: str) -> Sequence[Action]:
        """What was read before, as long as nothing of it has changed."""
        if self._db.in_transaction:  # what is rolled back must not be remembered
            return self._newest(where, key[1:])
        self._forget_the_changed()
        if key not in self._past:
            self._past[key] = self._newest(where, key[1:])
        return self._past[key]

    def _newest(self, where: str, values: Sequence[object]) -> Sequence[Action]:
        """The newest that are over, all that are not, and the last refusals; without what only people read."""
        parts = (
            f"{where} AND state <> 'refused' ORDER BY id DESC LIMIT {COUNTED}",
            f"{where} AND state = 'refused' ORDER BY id DESC LIMIT {REFUSALS}",
        )
        found = {action.id: action for part in parts for action in self._read(part, *values)}
        found |= {action.id: action for action in self._read_open(where, *values)}
        return [replace(action, steps=(), seen={}) for action in found.values()]

    def _forget_the_changed(self) -> None:
        version = self.version
        if version == self._looked_at:
            return
        self._looked_at = version
        if not self._past:  # nothing is remembered, so nothing of it can have changed
            (self._revision,) = self._db.execute("SELECT coalesce(max(revision), 0) FROM actions").fetchone()
            return
        for source, kind, job_id, circuit, revision in self._db.execute(
            "SELECT source, kind, job_id, circuit, revision FROM actions WHERE revision > ? ORDER BY revision",
            (self._revision,),
        ):
            self._revision = revision
            for key in (("job", source, kind, job_id), ("restart", source), ("circuit", circuit, kind)):
                self._past.pop(key, None)

    def look_after(self) -> None:
        """Keep in mind what was done lately, and write it again where a part of the file was lost: what was spent of a
        budget is spent, and what was told is told."""
        if self.store.losses == self._losses:
            self._keep_in_mind()
            return
        with self.store.transaction():
            places = ", ".join("?" * len(_ROW.split(",")))
            self._db.executemany(f"INSERT OR IGNORE INTO actions ({_ROW}) VALUES ({places})", self._known_well.values())
            self._db.executemany("INSERT OR IGNORE INTO told_once (key, at) VALUES (?, ?)", self._told_by_us.items())
            for kept in self._preserved[2] if self._preserved else ():
                self.preserve(kept)
        self._losses, self._looked_at, self._preserved, self._minded = self.store.losses, None, None, None
        self._past.clear()

    def _keep_in_mind(self) -> None:
        """The newest actions as they are written; each time only what has changed."""
        if self._minded is None:
            (last,) = self._db.execute("SELECT coalesce(max(revision), 0) FROM actions").fetchone()
            self._minded = max(0, int(last) - COUNTED)
        changed = f"SELECT {_ROW} FROM actions WHERE revision > ? ORDER BY revision"
        for row in self._db.execute(changed, (self._minded,)).fetchall():
            self._minded = row[4]
            self._known_well.pop(row[0], None)
            self._known_well[row[0]] = row
        while len(self._known_well) > COUNTED:
            del self._known_well[next(iter(self._known_well))]

    # approvals

    def approve(self, number: int, at: datetime, by: str) -> None:
        """A person allows a proposed action."""
        self._db.execute("INSERT OR REPLACE INTO approvals (action_id, at, by) VALUES (?, ?, ?)", (number, iso(at), by))

    def approvals(self) -> dict[int, str]:
        """Who approved which."""
        return dict(self._db.execute("SELECT action_id, by FROM approvals").fetchall())

    def approved(self, actions: Sequence[Action]) -> list[Action]:
        """The same for those who are shown them: one that is allowed waits for nobody, though nothing is done yet."""
        allowed = self.approvals()
        return [
            replace(one, state=State.INTENDED, by=allowed[one.id])
            if one.state is State.PROPOSED and one.id in allowed
            else one
            for one in actions
        ]

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
                json.dumps(packed(kept.row)),
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
            is_same = self._preserved is not None and self._preserved[1] == rows
            kept = self._preserved[2] if self._preserved and is_same else [_preserved(row) for row in rows]
            self._preserved = (version, rows, kept)
        return self._preserved[2]

    # told once

    def tell_once(self, key: str, at: datetime) -> bool:
        """Whether this has not been told before; from now on it has."""
        cursor = self._db.execute("INSERT OR IGNORE INTO told_once (key, at) VALUES (?, ?)", (key, iso(at)))
        self._told_by_us[key] = iso(at)
        return cursor.rowcount > 0

    def told(self, prefix: str) -> set[str]:
        """The keys with this beginning that have been told."""
        keys = self._db.execute("SELECT key FROM told_once WHERE substr(key, 1, ?) = ?", (len(prefix), prefix))
        return {key for (key,) in keys.fetchall()}

    def forget(self, keys: Iterable[str]) -> None:
        """It may be told again."""
        gone = [(key,) for key in keys]
        self._db.executemany("DELETE FROM told_once WHERE key = ?", gone)
        for (key,) in gone:
            self._told_by_us.pop(key, None)


_ROW = "id, state, created_at, document, revision, reported_at"
"""What is written of an action; the rest is worked out from it."""

_NEXT = "(SELECT coalesce(max(revision), 0) + 1 FROM actions)"


def _preserved(row: tuple[Any, ...]) -> Preserved:
    source, job_id, name, document, preserved_at, sweep_at, gone_at, restored_at = row
    return Preserved(
        source,
        job_id,
        name,
        unpacked(parsed(document)),
        parse_instant(preserved_at),
        parse_or_none(sweep_at),
        parse_or_none(gone_at),
        parse_or_none(restored_at),
    )
