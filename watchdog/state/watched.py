"""The open state file as it looks from outside: SQLite itself goes on from what it remembers of it."""

import os
import sys
from contextlib import suppress
from pathlib import Path

_MAGIC = b"SQLite format 3\0"
_HEADER = 100
_LOG_HEADER, _FRAME_HEADER = 32, 24
_FRAMES, _PUT_INTO_FILE = 16, 96
"""Where the log's index says how many frames the log has, and how many of them are in the file: "WAL-mode File Format",
sections 2.1 and 2.2. The numbers are the machine's own."""


class Watched:
    """The file, its log and the log's index, kept open: closing one would let go of the locks that SQLite has on it."""

    def __init__(self, path: Path) -> None:
        self._file = _descriptor(path)
        self._beside: list[int] = []
        with suppress(FileNotFoundError):
            self._beside += [_descriptor(path.with_name(path.name + ending)) for ending in ("-wal", "-shm")]

    def is_odd(self) -> bool:
        """Whether it does not begin as SQLite's do, or lacks a page that its own header counts.

        Not one that is in the log still. That may last: while somebody reads what the log held before its end, only
        that much is put into the file, and no page that has been written once more since.
        """
        header = os.pread(self._file, _HEADER, 0)
        size, pages = int.from_bytes(header[16:18], "big"), int.from_bytes(header[28:32], "big")
        size = 65_536 if size == 1 else size
        if not header.startswith(_MAGIC) or self._length() >= pages * size:
            return not header.startswith(_MAGIC)
        in_log = self._in_log(size)
        # asked once more: what was in the log a moment ago may be in the file by now
        return any(page not in in_log for page in range(self._length() // size + 1, pages + 1))

    def _length(self) -> int:
        return os.fstat(self._file).st_size

    def _in_log(self, size: int) -> set[int]:
        """The pages of which the log has more than the file."""
        if len(self._beside) < 2:
            return set()
        log, index = self._beside
        counts = os.pread(index, _HEADER, 0)
        last, first = (int.from_bytes(counts[at : at + 4], sys.byteorder) for at in (_FRAMES, _PUT_INTO_FILE))
        length = _FRAME_HEADER + size
        frames = range(first, min(last, os.fstat(log).st_size // length))
        return {int.from_bytes(os.pread(log, 4, _LOG_HEADER + frame * length), "big") for frame in frames}

    def close(self) -> None:
        """Once nobody has the file open any more."""
        for each in (self._file, *self._beside):
            os.close(each)


def _descriptor(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
