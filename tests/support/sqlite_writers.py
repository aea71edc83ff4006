"""Processes that have an SQLite database open, as schedulers and readers do, and what becomes of them."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.conftest import Writer

SCRIPT = """
import json, sqlite3, sys
db = sqlite3.connect(sys.argv[1], uri=True, isolation_level=None, timeout=5)
for line in sys.stdin:
    try:
        answer = db.execute(line).fetchall()
    except sqlite3.Error as error:
        answer = str(error)
    print(json.dumps(answer), flush=True)
db.close()
print(json.dumps("closed"), flush=True)
sys.stdin = None
import os, time
if len(sys.argv) > 2 and sys.argv[2] == "linger":
    time.sleep(600)
"""


class Opener:
    """A process of its own with one connection. `words` more make its command line another one."""

    def __init__(self, address: str, *words: str, before: Sequence[str] = (), user: int | None = None) -> None:
        self.process = subprocess.Popen(
            [*before, sys.executable, "-I", "-c", SCRIPT, address, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            user=user,
        )
        self.ask("SELECT 1")

    @property
    def pid(self) -> int:
        """Its number here."""
        return self.process.pid

    def ask(self, statement: str) -> Any:
        """The rows of one statement, or the text of the error."""
        assert self.process.stdin is not None
        self.process.stdin.write(statement + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def leave(self) -> None:
        """Closes the database cleanly; the process ends, or lingers where it was told to."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self._answer() == "closed"
        if "linger" not in self.process.args:  # type: ignore[operator]
            self.process.wait(20)

    def signal(self, which: signal.Signals) -> None:
        """As `kill` does it, and waits until the process has taken it."""
        os.kill(self.pid, which)
        if sys.platform == "darwin":
            return  # nobody can wait there for what is not to be taken away
        if which is signal.SIGSTOP:
            os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WNOWAIT)
        elif which is signal.SIGKILL:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)

    def kill(self) -> None:
        """Killed and buried."""
        self.process.kill()
        self.process.wait(20)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


def as_writer(path: Path, *words: str, journal: str = "wal", **more: Any) -> Opener:
    """A scheduler: it has written, and keeps the database open."""
    opener = Opener(f"file:{path}", *words, **more)
    assert opener.ask(f"PRAGMA journal_mode = {journal}") == [[journal]]
    opener.ask("CREATE TABLE IF NOT EXISTS jobs (n INTEGER)")
    assert opener.ask("INSERT INTO jobs VALUES (1)") == []
    return opener


def as_reader(path: Path, *words: str, mode: str = "ro") -> Opener:
    """Somebody who looks in, and stays."""
    opener = Opener(f"file:{path}?mode={mode}", *words)
    assert opener.ask("SELECT COUNT(*) > 0 FROM jobs") == [[1]]
    return opener


def leave_hot_journal(writer: Writer) -> None:
    """Kills the writer while a transaction has reached the file: only its journal can undo the half that is there."""
    writer.run("PRAGMA cache_size = 5")
    writer.run("CREATE TABLE big (x)")
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 2000)"
    writer.run(f"{numbers} INSERT INTO big SELECT hex(randomblob(100)) FROM n")
    writer.run("BEGIN IMMEDIATE")
    writer.run("UPDATE scheduled_jobs SET name = 'half written'")
    writer.run("UPDATE big SET x = hex(randomblob(100))")
    writer.kill()


def without_row_numbers(path: Path, table: str) -> None:
    """Keeps the rows of a table in one that SQLite does not number; their first column is its key."""
    with closing(sqlite3.connect(path)) as db, db:
        key, *others = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        db.execute(f"ALTER TABLE {table} RENAME TO numbered")
        db.execute(f"CREATE TABLE {table} ({', '.join([f'{key} PRIMARY KEY', *others])}) WITHOUT ROWID")
        db.execute(f"INSERT INTO {table} SELECT * FROM numbered")
        db.execute("DROP TABLE numbered")
