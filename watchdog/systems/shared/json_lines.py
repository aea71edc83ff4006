"""Append-only files of JSON lines that another program writes, read on from look to look."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from watchdog.core.regular_file import open_file
from watchdog.systems.shared.plain_file import LARGEST, Marks, marks

MOST_LINES = 20_000
"""Of what is new in a log, the newest lines that are read: a line may be as short as `{}`."""

LONGEST_LINE = 256 * 1024
"""Bytes of a line that is read: `[[],[],…` takes twenty times its own length."""

FIRST_TAIL = 128 * 1024
"""Bytes of a log that the first look reads, from its end: some two hundred runs."""


@dataclass(slots=True)
class _Position:
    seen: Marks
    offset: int


@dataclass
class LogTail:
    """Reads what is new in append-only files of JSON lines, and begins anew where one was replaced or cut.

    Who shortens a log mostly writes a new file and renames it. A last line without its end is left for later; one
    that does not end within `LARGEST` is passed over, and what follows it is read from the end again.
    """

    refused: set[Path] = field(default_factory=set)
    """Files that this user may not read."""

    _positions: dict[Path, _Position] = field(default_factory=dict)

    def read(self, path: Path) -> tuple[list[Mapping[str, object]], bool]:
        """The new whole lines that are objects, and whether the file was begun anew."""
        position = self._positions.get(path)
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
                raw = file.read(FIRST_TAIL if is_anew else LARGEST) or b""
        except PermissionError:
            self.refused.add(path)
            return [], False
        except (OSError, ValueError):
            return [], False
        self.refused.discard(path)
        whole = raw[: raw.rfind(b"\n") + 1]
        self._positions[path] = _Position((found.st_ino, found.st_size, found.st_mtime_ns), start + len(whole))
        if is_anew and start:
            whole = whole.partition(b"\n")[2]
        return list(_objects(whole.rstrip(b"\n").rsplit(b"\n", MOST_LINES)[-MOST_LINES:])), is_anew


def _objects(lines: Iterable[bytes]) -> Iterable[Mapping[str, object]]:
    for line in lines:
        if len(line) > LONGEST_LINE:
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value
