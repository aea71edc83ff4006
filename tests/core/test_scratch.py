"""A place for what a process says, wherever the service runs."""

import tempfile
from pathlib import Path

import pytest

from watchdog.core.scratch import scratch_file


@pytest.mark.parametrize("place", ["there", "not there"])
def test_what_was_written_can_be_read_wherever_temporary_files_may_be(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "there").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / place))
    with scratch_file() as file:
        file.write(b"said")
        file.seek(0)
        assert file.read() == b"said"
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
