"""OpenClaw's plain files: JSON that is replaced as a whole, logs that only grow, the gateway's lock. Only ever read."""

import json
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from watchdog.core.instants import parse_instant
from watchdog.core.regular_file import open_file
from watchdog.systems.shared.json_document import read_document
from watchdog.systems.shared.unreadable import UnreadableError


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
    """What stands in a JSON file of the gateway's. Raises UnreadableError with the reason, in one line."""
    return read_document(path, _may_not, _parsed)


def _parsed(text: str) -> object:
    """Also what was edited by hand, as OpenClaw takes it: with comments, trailing commas, keys without quotes."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        from pyjson5 import Json5Exception, loads

        try:
            return loads(text)
        except Json5Exception as error:
            raise ValueError("neither JSON nor JSON5") from error


def _may_not(path: Path) -> str:
    return (
        f"{path} may not be read by user {os.geteuid()}: OpenClaw keeps its files to itself, "
        "so run the watchdog as the gateway's user"
    )


def set_store(state_dir: Path) -> Path | None:
    """Where its configuration puts the file of jobs, if it does (`cron.store`); nothing else of it is looked at."""
    try:
        document = read_json(state_dir / "openclaw.json")
    except UnreadableError:
        return None
    cron = document.get("cron") if isinstance(document, dict) else None
    named = cron.get("store") if isinstance(cron, dict) else None
    if not isinstance(named, str) or "\0" in named:
        return None
    if named.startswith("~/"):
        home = state_dir.parent if state_dir.name.startswith(".openclaw") else Path.home()
        return home / named[2:]
    return Path(named) if named.startswith("/") else None  # else it is counted from where the gateway was started


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
            value = json.loads(file.read(65536) or b"")
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
