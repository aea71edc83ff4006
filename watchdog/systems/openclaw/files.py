"""OpenClaw's plain files: JSON that is replaced as a whole, logs that only grow, the gateway's lock. Only ever read."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from watchdog.core.instants import parse_instant
from watchdog.systems.shared.plain_file import LARGEST, Marks, marks, open_file, read_bytes
from watchdog.systems.shared.unreadable import UnreadableError

MOST_VALUES = 100 * 1024 * 1024
"""Bytes that the values of a file may take in memory, by a guess before they are made: `[],[],` takes twenty times its
own length."""

FIRST_TAIL = 128 * 1024
"""Bytes of a log that the first look reads, from its end: some two hundred runs."""


def is_there(path: Path) -> bool:
    """Whether the path leads to something. Raises UnreadableError if this user may not even look."""
    try:
        os.stat(path)  # noqa: PTH116
    except PermissionError:
        raise UnreadableError(_may_not(path)) from None
    except (OSError, ValueError):
        return False
    return True


def read_json(path: Path) -> object:
    """What stands in a JSON file. Raises UnreadableError with the reason, in one line."""
    raw = read_bytes(path, _may_not)
    if not raw.strip():
        raise UnreadableError(f"{path} is empty: is it being written, or restored?")
    weight = 64 * (raw.count(b",") + raw.count(b"[")) + 200 * raw.count(b"{")
    if weight > MOST_VALUES:
        raise UnreadableError(f"{path} holds far more values than a store does: is it one?")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError):
        return _read_json5(raw, path)


def _read_json5(raw: bytes, path: Path) -> object:
    """What was edited by hand: with comments, trailing commas, keys without quotes. OpenClaw takes that too."""
    from pyjson5 import Json5Exception, loads

    try:
        return loads(raw.decode())
    except (Json5Exception, ValueError, RecursionError):
        raise UnreadableError(f"{path} is not whole JSON: it is half-written or damaged") from None


def _may_not(path: Path) -> str:
    return (
        f"{path} may not be read by user {os.geteuid()}: OpenClaw keeps its files to itself, "
        "so run the watchdog as the gateway's user"
    )


@dataclass(slots=True)
class _Position:
    seen: Marks
    offset: int


@dataclass
class LogTail:
    """Reads what is new in append-only files of JSON lines, and begins anew where one was replaced or cut.

    The gateway shortens a log by writing a new file and renaming it. A last line without its end is left for later; one
    that does not end within `LARGEST` is passed over, and what follows it is read from the end again.
    """

    _positions: dict[str, _Position] = field(default_factory=dict)

    def read(self, path: Path) -> tuple[list[Mapping[str, object]], bool]:
        """The new whole lines that are objects, and whether the file was begun anew."""
        position = self._positions.get(path.name)
        seen = marks(path)
        if seen is None or (position and position.seen == seen):
            return [], False
        try:
            with open_file(path) as file:
                found = os.fstat(file.fileno())
                is_anew = position is None or not 0 <= found.st_size - position.offset <= LARGEST
                is_anew = is_anew or (position is not None and position.seen[0] != found.st_ino)
                start = max(0, found.st_size - FIRST_TAIL) if position is None or is_anew else position.offset
                file.seek(start)
                raw = file.read(FIRST_TAIL if is_anew else LARGEST)
        except (OSError, ValueError):
            return [], False
        whole = raw[: raw.rfind(b"\n") + 1]
        self._positions[path.name] = _Position((found.st_ino, found.st_size, found.st_mtime_ns), start + len(whole))
        if is_anew and start:
            whole = whole.partition(b"\n")[2]
        return list(_objects(whole.splitlines())), is_anew


def _objects(lines: Iterable[bytes]) -> Iterable[Mapping[str, object]]:
    for line in lines:
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


OWN_LOCKS = ("run/openclaw-*/gateway*.lock", "tmp/openclaw-*/gateway*.lock")
"""Where in its state folder a newer gateway keeps its lock: the second where its folder for temporary files is set."""


@dataclass(frozen=True, slots=True)
class Lock:
    """The gateway's lock: whose it is, and since when. `ticks` is the start of its process, field 22 of its stat."""

    pid: int | None
    created_at: datetime
    owner: str = ""
    ticks: int | None = None


def read_locks(place: Path | None, state_dir: Path | None) -> list[Lock]:
    """The locks at `place` (a file, or a folder that holds them), or in the state folder, where newer gateways put
    them. One that cannot be read is none. Of several gateways' locks in one folder only those that name this state
    folder count, for another gateway's start says nothing here."""
    found = [lock for path in lock_files(place, state_dir) if (lock := _lock(path))]
    if len({lock.owner for lock in found}) <= 1:
        return found
    return [lock for lock in found if state_dir and Path(lock.owner).parent == state_dir]


def lock_files(place: Path | None, state_dir: Path | None) -> list[Path]:
    """Where locks may lie now, in a fixed order."""
    try:
        if place is not None:
            return sorted(place.glob("gateway*.lock")) if place.is_dir() else [place]
        return sorted(path for where in OWN_LOCKS for path in state_dir.glob(where)) if state_dir else []
    except OSError:
        return []


def _lock(path: Path) -> Lock | None:
    try:
        with open_file(path) as file:
            value = json.loads(file.read(65536))
        if not isinstance(value, dict) or not isinstance(value.get("createdAt"), str):
            return None
        pid = value.get("pid")
        owner = value.get("configPath")
        created = parse_instant(value["createdAt"])
        ticks = value.get("startTime")
        return Lock(_whole(pid), created, owner if isinstance(owner, str) else "", _whole(ticks))
    except (OSError, ValueError, RecursionError):
        return None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
