"""A nameless file for what a process says, also where no folder for temporary files can be written."""

import os
import tempfile
from typing import IO


def scratch_file() -> IO[bytes]:
    """Open to write and read, gone when it is closed. Raises OSError where memory does not serve either."""
    try:
        return tempfile.TemporaryFile()
    except OSError:
        if not hasattr(os, "memfd_create"):
            raise
        return os.fdopen(os.memfd_create("scratch"), "w+b")
