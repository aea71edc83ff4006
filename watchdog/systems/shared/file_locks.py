"""Who holds a lock on somebody else's file, asked without taking, dropping or disturbing one. Linux only.

`fcntl(F_GETLK)` answers on a descriptor that is opened read-only. Closing *any* descriptor of a file lets go of every
lock that this process has on it, those of an SQLite connection in another thread too: so a descriptor, once open, is
kept for as long as its file has a name, and closed only after that.
"""

import fcntl
import os
import re
import stat
import struct
import sys
from collections import OrderedDict
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

_FLOCK = "hhqqi0q"
"""Linux' `struct flock`: type, whence, start, length, pid. Other systems have other fields in another order."""

_LOCAL = frozenset(
    {"bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "ntfs3", "overlay", "tmpfs", "xfs", "zfs"}
)
"""File systems whose locks all stand in this kernel. On others a lock of another machine is not seen here."""

_LINE = re.compile(
    r"POSIX .*? (?P<pid>-?\d+) (?P<device>[0-9a-f]+:[0-9a-f]+):(?P<inode>\d+) (?P<first>\d+) (?P<last>\d+|EOF)$"
)

_LOOKS = 4

_Marks = tuple[int, int]
"""What tells a file from all others: its device and its number there."""


class UntoldError(Exception):
    """It cannot be told who holds the lock; the text says why, in one line."""


@dataclass(frozen=True, slots=True)
class Holders:
    """Who holds a lock: the processes that can be named from here, our own left out, and whether there are more."""

    pids: frozenset[int] = frozenset()
    hidden: bool = False

    @property
    def none(self) -> bool:
        """Whether nobody does."""
        return not self.pids and not self.hidden


class Files:
    """The files that are asked about, each opened once. One for a process is enough; any thread may use it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Marks, int] = OrderedDict()
        self._lock = Lock()

    def descriptor(self, path: str) -> int | None:
        """A descriptor to read from; None if there is no such file. It stays ours: the caller does not close it.

        Raises UntoldError if it may not be read, is no regular file, or lies where locks do not tell all.
        """
        with self._lock:
            self._tidy_one()
            marks = _marks(path)
            known = self._kept.get(marks) if marks else None
            return self._open(path) if known is None and marks else known

    def _tidy_one(self) -> None:
        """Let go of one of them if it has no name any more; of each in its turn, whether anybody asks for it or not. To
        go through all at each question would be a thousand times a thousand where so many are asked about."""
        for marks, descriptor in self._kept.items():
            if os.fstat(descriptor).st_nlink == 0:
                os.close(self._kept.pop(marks))
            else:
                self._kept.move_to_end(marks)
            return

    def _open(self, path: str) -> int:
        # by a link in its folders it may lie elsewhere
        if (kind := _file_system(os.path.realpath(path))) not in _LOCAL:
            raise UntoldError(f"{path} lies on {kind or 'an unknown file system'}: locks of other machines do not show")
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise UntoldError(f"{path} may not be read by user {os.geteuid()}: {error.strerror}") from None
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            os.close(descriptor)
            raise UntoldError(f"{path} is not a file")
        # a file that was renamed in between may be here already: then this one stays open beside it
        return self._kept.setdefault((found.st_dev, found.st_ino), descriptor)


def _marks(path: str) -> _Marks | None:
    try:
        found = os.stat(path)  # noqa: PTH116 - asked at every look
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UntoldError(f"{path} cannot be reached: {error}") from None
    return (found.st_dev, found.st_ino)


def _file_system(path: str) -> str:
    """The kind of file system that a path lies on, by the longest mount point before it; "" if that cannot be told."""
    best, kind = "", ""
    with suppress(OSError):
        for line in Path("/proc/self/mountinfo").read_text("utf-8", "replace").splitlines():
            before, _, after = line.partition(" - ")
            point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), before.split()[4])
            if len(point) >= len(best) and (point == "/" or path == point or path.startswith(f"{point}/")):
                best, kind = point, after.split()[0]
    return kind


def holders(descriptor: int, first: int, length: int, expected: int | None = None) -> Holders:
    """Who holds a lock, of whichever kind, on some of these bytes. Raises UntoldError where it cannot be told.

    A lock of our own process is never reported to us: where one stands there, *nobody* is not told. Where the process
    `expected` has it, nobody else is looked for: that needs the kernel's list, which makes all who lock a file wait.
    """
    if not sys.platform.startswith("linux"):
        raise UntoldError(f"the locks of other processes are not looked at on {sys.platform}")
    try:
        wanted = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, first, length, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_GETLK, wanted))
    except OSError as error:
        raise UntoldError(f"the file system does not tell its locks: {error.strerror}") from None
    if kind != fcntl.F_UNLCK and pid <= 0:
        return Holders(hidden=True)
    if kind != fcntl.F_UNLCK and pid == expected:
        return Holders(frozenset({pid}))
    there = _Range(os.fstat(descriptor), first, first + length - 1)
    if kind == fcntl.F_UNLCK:
        return Holders() if _is_free_of_us_too(descriptor, wanted) else _nobody_else(there, _listed(there))
    listed = _all_listed(there)
    devices = {lock["device"] for lock in listed if lock["pid"] == str(pid)}
    named = {int(lock["pid"]) for lock in listed if lock["device"] in devices}
    return Holders(frozenset({pid} | named - {os.getpid()}))


def _is_free_of_us_too(descriptor: int, wanted: bytes) -> bool:
    """Whether no lock stands there, not even one of our own process: asked as an open file and not as a process, the
    kernel tells of those, too. False where it cannot say. It spares the kernel's list, which costs a thousand times as
    much (12 ms on Linux 6.18, all who lock a file wait for it)."""
    try:
        return bool(struct.unpack(_FLOCK, fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, wanted))[0] == fcntl.F_UNLCK)
    except (OSError, AttributeError):
        return False


def _nobody_else(there: "_Range", listed: list[re.Match[str]]) -> Holders:
    ours = [lock for lock in listed if lock["pid"] == str(os.getpid())]
    if any(there.is_on_its_device(lock["device"]) for lock in ours):
        raise UntoldError("this process itself has the database open")
    return Holders()


@dataclass(frozen=True, slots=True)
class _Range:
    """Some bytes of a file."""

    file: os.stat_result
    first: int
    last: int

    def overlaps(self, lock: re.Match[str]) -> bool:
        """Whether a lock of the kernel's list is on a file of this number, and on some of these bytes."""
        is_there = int(lock["first"]) <= self.last and (lock["last"] == "EOF" or int(lock["last"]) >= self.first)
        return int(lock["inode"]) == self.file.st_ino and int(lock["pid"]) > 0 and is_there

    def is_on_its_device(self, device: str) -> bool:
        """Whether the list means this device. It names those without a number otherwise than `stat` does (btrfs)."""
        number = self.file.st_dev
        return os.major(number) == 0 or device == f"{os.major(number):02x}:{os.minor(number):02x}"


def _all_listed(there: _Range) -> list[re.Match[str]]:
    """The list by several looks: it is handed out in pages, and what moves between two of them is left out."""
    looks = [_listed(there) for _ in range(_LOOKS)]
    return [lock for listed in looks for lock in listed]


def _listed(there: _Range) -> list[re.Match[str]]:
    """The locks there by the kernel's list, which leaves out those of processes that cannot be named from here."""
    mark = f":{there.file.st_ino} ".encode()
    try:
        with open("/proc/locks", "rb") as file:  # noqa: PTH123 - asked at every look
            lines = [line.decode().rstrip() for line in file if mark in line]
    except OSError:
        return []
    found = map(_LINE.search, lines)
    return [lock for lock in found if lock and there.overlaps(lock)]
