"""Single values as an operator writes them: zones, names, paths, addresses, files of secrets."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from watchdog.core.durations import say_duration
from watchdog.core.fields import Frozen, Mark, bounds, checked
from watchdog.core.regular_file import read_text


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is not a time zone; write a name like UTC or Europe/Berlin") from None
    return name


Zone = Annotated[str, checked(_zone)]
Name = Annotated[str, bounds(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")]


LARGEST_SECRET = 64 * 1024
"""Bytes."""


def read_secret(path: Path) -> str:
    """The first line of a secret's file; raises ValueError with the path, never with what stands in it."""
    try:
        lines = read_text(path, LARGEST_SECRET).strip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise ValueError(f"the file {path} cannot be read: {reason}") from None
    if not lines:
        raise ValueError(f"the file {path} is empty")
    return lines[0].strip()


def _possible(path: Path) -> Path:
    if "\0" in str(path):
        raise ValueError("not a path: there is a NUL in it")
    return Path(os.path.expanduser(path))  # noqa: PTH111 - one that has no such user stays as it is


def _readable(path: Path | None) -> Path | None:
    if path is None:
        return None
    written_out = _possible(path)
    read_secret(written_out)
    return written_out


SecretFile = Annotated[Path, checked(_readable)]


def web_address(url: str) -> str:
    """The address, if it is one that can be called; raises ValueError, which does not show it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("must be an http:// or https:// address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an http:// or https:// address")
    try:
        parts.port  # noqa: B018 - it is read when it is asked for
    except ValueError:
        raise ValueError("the port must be a number up to 65535") from None
    return url


WebAddress = Annotated[str, checked(web_address)]


class Api(Frozen):
    """The scheduler's own web API, where it has one that may be used.

    `url`: its address. `token_file`: a file with the token that it asks for, if it does.
    """

    url: WebAddress
    token_file: SecretFile | None = None


FilePath = Annotated[Path, checked(_possible)]


def between(least: timedelta, most: timedelta) -> Mark:
    """A duration must lie between these."""

    def check(length: timedelta) -> timedelta:
        if not least <= length <= most:
            raise ValueError(f"must lie between {say_duration(least)} and {say_duration(most)}")
        return length

    return checked(check)


SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
