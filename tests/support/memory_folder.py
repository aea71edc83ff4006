"""Folders in the machine's memory: a made-up life writes some thousand times, and waits for a disk each time."""

from pathlib import Path
from tempfile import TemporaryDirectory

_MEMORY = Path("/dev/shm")


def memory_folder() -> TemporaryDirectory[str]:
    """A folder that is gone afterwards; an ordinary one where the machine has none in its memory."""
    return TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
