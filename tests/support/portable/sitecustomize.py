"""Takes from Python what only Linux has, before anything else is imported: for `make test-portable`.

A folder of its own, so that it can stand in PYTHONPATH and reach the command and its children too.
"""

import ctypes
import errno
import functools
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

_GONE = ("/proc", "/sys")

_OF_LINUX = {
    os: (
        *("pipe2", "memfd_create", "eventfd", "pidfd_open", "sched_getaffinity", "posix_fadvise", "posix_fallocate"),
        *("copy_file_range", "splice", "getrandom", "getxattr", "setxattr", "listxattr", "removexattr"),
        *("fdatasync", "O_TMPFILE", "O_PATH", "O_DIRECT", "O_NOATIME", "waitid", "prlimit", "setresuid", "setresgid"),
    ),
    socket: ("SOCK_CLOEXEC", "SOCK_NONBLOCK", "SO_PEERCRED"),
    time: ("CLOCK_BOOTTIME", "CLOCK_TAI"),
}


def _is_gone(path: object) -> bool:
    text = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
    return any(text == folder or text.startswith(f"{folder}/") for folder in _GONE)


def _refuse(event: str, words: tuple[Any, ...]) -> None:
    if event in ("open", "os.listdir", "os.scandir", "os.chdir") and words and _is_gone(words[0]):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])


def _without(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    def refused(path: Any, *words: Any, **named: Any) -> Any:
        if _is_gone(path):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return call(path, *words, **named)

    return refused


class _Library(ctypes.CDLL):
    def __getattr__(self, name: str) -> Any:
        if name in ("mallopt", "malloc_trim", "prctl", "prlimit"):
            raise AttributeError(f"there is no {name} here")
        return super().__getattr__(name)


for module, names in _OF_LINUX.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
        if name in getattr(module, "__all__", ()):
            module.__all__.remove(name)
for name in ("stat", "lstat", "readlink", "access"):
    setattr(os, name, _without(getattr(os, name)))
ctypes.CDLL = _Library  # type: ignore[misc]
sys.addaudithook(_refuse)
