"""Whether a plain file is still the one that was read."""

import os
import time
from pathlib import Path

import pytest

from watchdog.systems.shared.plain_file import COARSEST, is_settled, marks, read_bytes


def aged(path: Path, seconds: float) -> Path:
    path.write_text("{}")
    at = time.time_ns() - int(seconds * 1e9)
    os.utime(path, ns=(at, at))
    return path


def test_marks_hold_only_once_the_file_has_rested_for_longer_than_any_time_stamp_is_coarse(tmp_path: Path) -> None:
    old, new = aged(tmp_path / "old", COARSEST + 60), aged(tmp_path / "new", 0)
    assert is_settled([marks(old)])
    assert not is_settled([marks(new)])
    assert not is_settled([marks(old), marks(new)])


def test_how_long_may_be_said_and_what_is_not_there_rests(tmp_path: Path) -> None:
    assert not is_settled([marks(aged(tmp_path / "old", 60))], after=120)
    assert is_settled([None])
    assert is_settled([])


@pytest.mark.skipif(not Path("/proc/kmsg").exists() or os.geteuid() != 0, reason="needs the kernel's own log")
def test_a_file_of_the_kernels_that_has_nothing_to_read_yet_is_an_empty_one() -> None:
    read_bytes(Path("/proc/kmsg"))
    assert read_bytes(Path("/proc/kmsg")) == b""
