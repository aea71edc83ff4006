"""Opening files that others may put something else in the place of: nothing but a regular file, within a bound."""

import errno
import os
import stat
from pathlib import Path
from typing import IO


def what_it_is(found: os.stat_result) -> str:
    """What stands in the place of a file."""
    names = ((stat.S_ISDIR, "a folder"), (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"))
    return next((name for is_so, name in names if is_so(found.st_mode)), "a device")


def must_be_a_file(found: os.stat_result, called: str = "it") -> None:
    """Raises OSError for anything but a regular file."""
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, f"{called} is {what_it_is(found)}, not a file")


def open_file(path: Path) -> IO[bytes]:
    """A regular file, opened to read. Anything else is not opened: a pipe would be waited for. Raises OSError.

    A kernel's file that only looks like one may have nothing to read yet: then `read` gives None.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        must_be_a_file(os.fstat(descriptor))
    except OSError:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb")


def read_text(path: Path, most: int) -> str:
    """All of a text that an operator wrote. `most`: bytes. Raises OSError, UnicodeDecodeError."""
    with open_file(path) as file:
        raw = file.read(most + 1) or b""
    if len(raw) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most >> 10} KiB")
    return raw.decode()
