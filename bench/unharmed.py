"""`python -m bench.unharmed --for 1h`: does a writer in WAL mode notice that somebody asks whether it lives?

A writer in a process of its own writes without a pause, checkpoints and closes cleanly, life after life, while this
process asks about it and reads its file as the watchdog does. Anything that fails, is left behind, or is told wrongly
ends the run. `--with` takes the command of another writer (Bun, Node): it gets the path of the file, prints
a line for each write, and closes cleanly when its input ends.
"""

import argparse
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from watchdog.core.durations import parse_duration
from watchdog.systems.shared.sqlite_file import read
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.shared.writer import LiveWriters

LIFE = 20.0
"""Seconds that each writer lives."""

PYTHON = """
import select, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
db.execute("PRAGMA journal_mode = wal").fetchone()
db.execute("CREATE TABLE IF NOT EXISTS ticks (n INTEGER PRIMARY KEY, text TEXT)")
while not select.select([sys.stdin], [], [], 0)[0]:
    db.execute("INSERT INTO ticks (text) VALUES (hex(randomblob(200)))")
    if (n := db.execute("SELECT COUNT(*) FROM ticks").fetchone()[0]) > 5000:
        db.execute("DELETE FROM ticks")
        assert db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[0] == 0
    print(n, flush=True)
db.close()
"""


def main() -> None:
    """One life of a writer after another, until the time is over."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--for", dest="length", default="1h", help="how long, e.g. 10m")
    parser.add_argument("--with", dest="command", help="another writer's command")
    options = parser.parse_args()
    command = shlex.split(options.command) if options.command else [sys.executable, "-c", PYTHON]
    print(run(command, parse_duration(options.length)))


def run(command: Sequence[str], length: timedelta) -> str:
    """What was done, in one line. Raises AssertionError at the first harm."""
    until = time.monotonic() + length.total_seconds()
    writers = LiveWriters()
    lives = asked = written = 0
    spent = 0.0
    with TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        while time.monotonic() < until:
            more_asked, more_written, more_spent = _life(writers, command, path, min(LIFE, until - time.monotonic()))
            asked, written, spent, lives = asked + more_asked, written + more_written, spent + more_spent, lives + 1
    return (
        f"{lives} lives, {written:,} writes, asked {asked:,} times at {spent / max(1, asked) * 1e6:.0f} µs: "
        "no write failed, each life ended with a checkpoint and its log deleted, nothing was told wrongly"
    )


def _life(writers: LiveWriters, command: Sequence[str], path: Path, length: float) -> tuple[int, int, float]:
    with subprocess.Popen(
        [*command, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        first = writer.stdout.readline()
        assert first, "the writer did not begin"
        until, asked, spent, written = time.monotonic() + length, 0, 0.0, 1
        while time.monotonic() < until:
            before = time.perf_counter()
            told = writers.of(path)
            spent += time.perf_counter() - before
            assert (told.alive, told.pid, told.stopped) == (True, writer.pid, False), told
            asked += 1
            written += bool(writer.stdout.readline())
            if asked % 50 == 0:
                _read(path)
        out, errors = writer.communicate("stop\n", timeout=60)
    assert (writer.returncode, errors) == (0, ""), errors
    left = sorted(file.name for file in path.parent.iterdir())
    assert left == [path.name], f"left behind: {left}"
    assert writers.of(path).alive is False
    return asked, written + out.count("\n"), spent


def _read(path: Path) -> None:
    try:
        assert read(path, lambda db: db.execute("PRAGMA quick_check").fetchall())[0] == [("ok",)]
    except UnreadableError as error:
        raise AssertionError(error) from error


if __name__ == "__main__":
    main()
