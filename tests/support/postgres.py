"""A PostgreSQL server of a test's own: on a free port of the loopback address, in a folder of its own, ended by pid."""

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from tests.support.command import PATIENCE, free_port, missing, until

PROGRAMS = Path("/usr/lib/postgresql/15/bin")

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = {port}
fsync = off
max_connections = 20
max_prepared_transactions = 5
shared_preload_libraries = 'pg_cron'
cron.database_name = 'postgres'
cron.host = '127.0.0.1'
"""

WHO_MAY = """
host all watchdog 127.0.0.1/32 scram-sha-256
host all all      127.0.0.1/32 trust
"""


def needs_pg_cron() -> None:
    """Skip with the reason where the server or its extension is missing, and fail on CI."""
    for path in (PROGRAMS / "postgres", PROGRAMS.parent / "lib/pg_cron.so"):
        if not path.exists():
            missing(f"{path} is missing (Debian: postgresql-15-cron)")


def _unprivileged() -> str | None:
    """Whom the server runs as, for it refuses root; None for this very user."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


class Server:
    """One server; `start`, `stop` and `crash` as often as a test wants."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._user = _unprivileged()
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self._frozen: list[int] = []
        self._create()

    def _create(self) -> None:
        if self._user:
            os.chown(self._folder, pwd.getpwnam(self._user).pw_uid, -1)
        data = self._folder / "data"
        making = [str(PROGRAMS / "initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8"]
        subprocess.run(making, user=self._user, cwd=self._folder, stdout=subprocess.DEVNULL, check=True)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS.format(port=self.port))
        (data / "pg_hba.conf").write_text(WHO_MAY)

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAMS / "postgres", "-D", self._folder / "data"],
                user=self._user,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        until(self._answers, "the server answers")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "log").read_text()
        try:
            return self.ask("SELECT 1") == [(1,)]
        except psycopg.OperationalError:
            return False

    def ask(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """One statement as the owner of everything."""
        address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(address, autocommit=True, connect_timeout=30) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def run(self, statements: Sequence[str]) -> None:
        """Several, one after the other, in one session."""
        address = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        with psycopg.connect(address, autocommit=True, connect_timeout=30) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @contextmanager
    def holding(self, lock: int) -> Iterator[None]:
        """A session that holds this advisory lock, unless a crash ends it."""
        with closing(psycopg.connect(f"postgresql://postgres@127.0.0.1:{self.port}/postgres")) as connection:
            connection.execute("SELECT pg_advisory_xact_lock(%s)", (lock,))
            yield

    def restart(self) -> None:
        """A clean stop, and a start."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """A clean, quick stop."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(PATIENCE)
        self._process = None

    def freeze(self) -> None:
        """Stop it in the middle of what it does, with all of its processes."""
        assert self._process is not None
        self._frozen = [self._process.pid, *_children(self._process.pid)]
        for pid in self._frozen:
            os.kill(pid, signal.SIGSTOP)

    def crash(self) -> None:
        """End all that was frozen, as a power cut does."""
        assert self._process is not None
        for pid in self._frozen:
            os.kill(pid, signal.SIGKILL)
        self._process.wait(PATIENCE)
        end = time.monotonic() + PATIENCE
        while any(_is_alive(pid) for pid in self._frozen) and time.monotonic() < end:
            time.sleep(0.02)
        self._process, self._frozen = None, []

    def end(self) -> None:
        """Whatever state it is in."""
        if self._frozen:
            self.crash()
        self.stop()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


@contextmanager
def a_server() -> Iterator[Server]:
    """A server that runs, in a folder that an unprivileged user can reach."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        server = Server(folder)
        try:
            server.start()
            yield server
        finally:
            server.end()
