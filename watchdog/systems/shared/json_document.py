"""A whole JSON file that another program replaces, within bounds of what it may take in memory."""

import json
from collections.abc import Callable
from pathlib import Path

from watchdog.systems.shared.plain_file import may_not, read_bytes
from watchdog.systems.shared.unreadable import UnreadableError

MOST_VALUES = 100 * 1024 * 1024
"""Bytes that the values of a file may take in memory, by a guess before they are made: `[],[],` takes twenty times its
own length."""


_MOST_OF_A_BYTE = 100
"""What a byte may take at the most, by the same guess: `{}` takes two hundred."""


def read_document(
    path: Path, refused: Callable[[Path], str] = may_not, parse: Callable[[str], object] = json.loads
) -> object:
    """What stands in a JSON file. Raises UnreadableError with the reason, in one line; `refused` words the lack of a
    right, and `parse` raises ValueError for what it cannot read."""
    raw = read_bounded(path, refused)
    if not raw.strip():
        raise UnreadableError(f"{path} is empty: is it being written, or restored?")
    try:
        return parse(lenient(raw))
    except (ValueError, RecursionError):
        raise UnreadableError(f"{path} is not whole JSON: it is half-written or damaged") from None


def read_bounded(path: Path, refused: Callable[[Path], str] = may_not) -> bytes:
    """A JSON file of which the values will not take more memory than they may. Raises UnreadableError."""
    raw = read_bytes(path, refused)
    if len(raw) * _MOST_OF_A_BYTE <= MOST_VALUES:  # it is not worth a millisecond of each look to count
        return raw
    weight = 64 * (raw.count(b",") + raw.count(b"[")) + 200 * raw.count(b"{")
    if weight > MOST_VALUES:
        raise UnreadableError(f"{path} holds far more values than a store does: is it one?")
    return raw


def lenient(raw: bytes) -> str:
    """Its text, in whichever encoding; what stands for no sign is replaced, as in Node, and hides nothing else."""
    return raw.decode(json.detect_encoding(raw), "replace")
