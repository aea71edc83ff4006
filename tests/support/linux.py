"""What a test needs that is not everywhere."""

from pathlib import Path

import pytest

SHOWS_PROCESSES = Path("/proc/self/stat").exists()

needs_proc = pytest.mark.skipif(not SHOWS_PROCESSES, reason="there is no /proc")
