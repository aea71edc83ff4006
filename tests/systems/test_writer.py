"""Whether a database's writer lives is told from outside: rightly, or not at all, and without its noticing."""

import fcntl
import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import NOBODY, as_nobody
from tests.support.linux import needs_proc
from tests.support.sqlite_writers import Opener, as_reader, as_writer
from watchdog.systems.shared import file_locks
from watchdog.systems.shared.file_locks import Holders
from watchdog.systems.shared.processes import LiveProcesses, Process
from watchdog.systems.shared.writer import LiveWriters, Writer, judge

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="locks are looked at on Linux only"),
    needs_proc,
]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a pid namespace or become another user")

Start = Callable[..., Opener]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts processes of which none outlives the test."""
    started: list[Opener] = []

    def make(kind: Callable[..., Opener], *words: Any, **more: Any) -> Opener:
        started.append(kind(*words, **more))
        return started[-1]

    yield make
    for opener in started:
        opener.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "phantom.db"


@pytest.fixture
def look(path: Path) -> Callable[[], Writer]:
    """One watchdog's looks at the database, one after another."""
    writers = LiveWriters()
    return lambda: writers.of(path)


Look = Callable[[], Writer]


# one writer


def test_a_writer_that_lives_is_told_with_its_pid_and_its_start(start: Start, path: Path, look: Look) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    writer = start(as_writer, path)
    told = look()
    assert (told.alive, told.stopped, told.pid) == (True, False, writer.pid)
    assert told.started_at is not None
    assert before <= told.started_at <= datetime.now(UTC) + timedelta(seconds=1)
    assert look() == told


@pytest.mark.parametrize("buried", [True, False])
def test_a_writer_that_was_killed_is_down_at_once(start: Start, path: Path, look: Look, buried: bool) -> None:
    writer = start(as_writer, path)
    assert look().alive is True
    if buried:
        writer.kill()
    else:
        writer.signal(signal.SIGKILL)
    assert (look().alive, look().pid) == (False, None)


def test_a_writer_that_was_killed_before_the_first_look_is_down(start: Start, path: Path, look: Look) -> None:
    start(as_writer, path).kill()
    assert path.with_name("phantom.db-shm").exists()
    assert look().alive is False


def test_a_writer_that_has_closed_and_ended_is_down(start: Start, path: Path, look: Look) -> None:
    start(as_writer, path).leave()
    assert not path.with_name("phantom.db-shm").exists()
    assert look().alive is False


def test_a_frozen_writer_is_alive_and_stopped(start: Start, path: Path, look: Look) -> None:
    writer = start(as_writer, path)
    writer.signal(signal.SIGSTOP)
    told = look()
    assert (told.alive, told.stopped, told.pid) == (True, True, writer.pid)
    writer.signal(signal.SIGCONT)
    assert writer.ask("INSERT INTO jobs VALUES (2)") == []
    assert look().stopped is False


@pytest.mark.parametrize("end", [Opener.kill, Opener.leave])
def test_a_restart_between_two_looks_shows(start: Start, path: Path, look: Look, end: Callable[[Opener], None]) -> None:
    first = start(as_writer, path)
    before = look()
    end(first)
    second = start(as_writer, path)
    after = look()
    assert (after.alive, after.pid) == (True, second.pid)
    assert after.is_other_than(before)
    assert not after.is_other_than(after)
    assert not after.is_other_than(Writer())


def test_a_writer_that_closed_the_database_and_runs_on_is_not_called_down(start: Start, path: Path, look: Look) -> None:
    writer = start(as_writer, path, "linger")
    assert look().pid == writer.pid
    writer.leave()
    told = look()
    assert told.alive is None
    assert "runs on" in told.how
    writer.kill()
    assert look().alive is False


def test_a_writer_that_lives_on_a_file_which_was_replaced_is_not_called_down(
    start: Start, path: Path, look: Look
) -> None:
    start(as_writer, path)
    assert look().alive is True
    with closing(sqlite3.connect(path.with_name("backup.db"))) as backup:
        backup.execute("PRAGMA journal_mode = wal").fetchone()
        backup.execute("CREATE TABLE jobs (n INTEGER)")
    for left in ("phantom.db-wal", "phantom.db-shm"):
        path.with_name(left).unlink()
    path.with_name("backup.db").replace(path)
    assert look().alive is None


# what SQLite does otherwise


def test_with_a_rollback_journal_nothing_is_told(start: Start, path: Path, look: Look) -> None:
    start(as_writer, path, journal="delete")
    told = look()
    assert (told.alive, told.pid) == (None, None)
    assert "no write-ahead log" in told.how


def test_a_database_that_goes_over_to_the_log_is_told_from_then_on(start: Start, path: Path, look: Look) -> None:
    writer = start(as_writer, path, journal="delete")
    assert look().alive is None
    assert writer.ask("PRAGMA journal_mode = wal") == [["wal"]]
    writer.ask("INSERT INTO jobs VALUES (2)")
    assert look().pid == writer.pid
    assert writer.ask("PRAGMA journal_mode = delete") == [["delete"]]
    assert look().alive is None


def test_an_exclusive_writer_that_keeps_its_index_in_memory_is_told(start: Start, path: Path, look: Look) -> None:
    writer = start(Opener, f"file:{path}")
    writer.ask("PRAGMA locking_mode = exclusive")
    writer.ask("PRAGMA journal_mode = wal")
    writer.ask("CREATE TABLE jobs (n INTEGER)")
    assert not path.with_name("phantom.db-shm").exists()
    assert (look().alive, look().pid) == (True, writer.pid)
    writer.kill()
    assert look().alive is False


@pytest.mark.parametrize("what", ["absent", "empty", "folder", "short"])
def test_what_is_no_database_tells_nothing(path: Path, look: Look, what: str) -> None:
    if what == "folder":
        path.mkdir()
    elif what != "absent":
        path.write_bytes(b"SQLite" if what == "short" else b"")
    assert look().alive is None


# readers


@pytest.mark.parametrize(("mode", "alive"), [("ro", False), ("rw", None)])
def test_a_reader_beside_it_does_not_hide_its_death_unless_it_might_be_the_new_writer(
    start: Start, path: Path, look: Look, mode: str, alive: bool | None
) -> None:
    writer = start(as_writer, path)
    assert look().pid == writer.pid
    reader = start(as_reader, path, "backup", mode=mode)
    assert look().pid == writer.pid
    writer.kill()
    assert [look().alive, look().alive] == [alive, alive]
    reader.kill()
    assert look().alive is False


def test_a_reader_that_was_there_first_is_not_taken_for_the_writer(start: Start, path: Path, look: Look) -> None:
    start(as_writer, path).kill()
    start(as_reader, path)
    assert look().alive is None
    writer = start(as_writer, path)
    assert look().pid == writer.pid
    writer.kill()
    assert look().alive is False


def test_the_shell_is_not_taken_for_the_writer(path: Path, look: Look) -> None:
    as_writer_once = Opener(f"file:{path}")
    as_writer_once.ask("PRAGMA journal_mode = wal")
    as_writer_once.ask("CREATE TABLE jobs (n INTEGER)")
    with subprocess.Popen(["sqlite3", path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        shell.stdin.write("SELECT 'here', COUNT(*) FROM jobs;\n")
        shell.stdin.flush()
        assert shell.stdout.readline() == "here|0\n"
        as_writer_once.kill()
        told = look()
        shell.stdin.close()
    assert (told.alive, told.pid) == (None, None)


def test_a_stranger_that_comes_as_the_writer_goes_is_not_taken_for_it(start: Start, path: Path, look: Look) -> None:
    writer = start(as_writer, path)
    assert look().pid == writer.pid
    start(as_reader, path, "backup", mode="rw")
    writer.kill()
    assert (look().alive, look().pid) == (None, None)


def test_of_two_that_may_write_none_is_told(start: Start, path: Path, look: Look) -> None:
    start(as_writer, path)
    start(as_reader, path, "backup", mode="rw")
    assert (look().alive, look().pid) == (None, None)


def test_a_restart_beside_a_reader_shows(start: Start, path: Path, look: Look) -> None:
    first = start(as_writer, path)
    start(as_reader, path)
    before = look()
    first.kill()
    second = start(as_writer, path)
    assert look().pid == second.pid
    assert look().is_other_than(before)


# from elsewhere

ASK = "import sys; from pathlib import Path; from watchdog.systems.shared.writer import LiveWriters\n"
ASK += (
    "import json; told = LiveWriters().of(Path(sys.argv[1])); print(json.dumps([told.alive, told.pid, told.stopped]))"
)


def asked(path: Path, *before: str) -> Any:
    """What a watchdog in another process is told."""
    command = [*before, sys.executable, "-c", ASK, str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)


@as_root
def test_from_another_pid_namespace_it_is_told_that_somebody_lives_and_no_more(start: Start, path: Path) -> None:
    elsewhere = ("unshare", "--pid", "--fork", "--mount-proc")
    writer = start(as_writer, path)
    assert asked(path) == [True, writer.pid, False]
    assert asked(path, *elsewhere) == [True, None, None]
    writer.signal(signal.SIGSTOP)
    assert asked(path, *elsewhere) == [True, None, None]
    writer.kill()
    assert asked(path, *elsewhere) == [False, None, None]


@as_root
def test_a_writer_in_a_pid_namespace_of_its_own_is_seen_from_outside(start: Start, path: Path, look: Look) -> None:
    writer = start(as_writer, path, before=("unshare", "--pid", "--fork", "--kill-child"))
    told = look()
    assert (told.alive, told.stopped) == (True, False)
    assert told.pid not in (None, writer.pid)


@as_root
def test_as_another_user_with_a_read_only_folder_it_is_told(start: Start, reachable: Path) -> None:
    path = reachable / "phantom.db"
    writer = start(as_writer, path)
    before = sorted(reachable.iterdir())

    def told() -> list[object]:
        found = LiveWriters().of(path)
        return [found.alive, found.pid, found.stopped]

    assert as_nobody(told) == [True, writer.pid, False]
    writer.kill()
    assert as_nobody(told) == [False, None, None]
    assert sorted(reachable.iterdir()) == before


@as_root
def test_where_the_index_may_not_be_read_nothing_is_told(start: Start, reachable: Path) -> None:
    path = reachable / "phantom.db"
    start(as_writer, path)
    for name in ("phantom.db", "phantom.db-shm", "phantom.db-wal"):
        (reachable / name).chmod(0o600)
    told = as_nobody(lambda: [(found := LiveWriters().of(path)).alive, found.how])
    assert told == [None, f"{path}-shm may not be read by user {NOBODY}: Permission denied"]


@pytest.mark.parametrize("kind", ["nfs4", "virtiofs", "fuse.sshfs", ""])
def test_on_a_file_system_of_other_machines_nothing_is_told(
    start: Start, path: Path, look: Look, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    start(as_writer, path)
    monkeypatch.setattr(file_locks, "_file_system", lambda _path: kind)
    assert (look().alive, look().pid) == (None, None)


def test_a_folder_that_is_a_link_to_such_a_file_system_lies_there(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far, link = tmp_path / "far", tmp_path / "link"
    far.mkdir()
    link.symlink_to(far)
    start(as_writer, far / "phantom.db")
    monkeypatch.setattr(file_locks, "_file_system", lambda path: "nfs4" if path.startswith(str(far)) else "ext4")
    found = LiveWriters().of(link / "phantom.db")
    assert (found.alive, "nfs4" in found.how) == (None, True)


def test_on_another_system_than_linux_nothing_is_told(
    start: Start, path: Path, look: Look, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(as_writer, path)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert (look().alive, "darwin" in look().how) == (None, True)


# no harm


def test_the_writer_does_not_notice(start: Start, path: Path, look: Look) -> None:
    writer = start(as_writer, path)
    names = sorted(path.parent.iterdir())
    for _ in range(300):
        assert look().pid == writer.pid
        assert writer.ask("INSERT INTO jobs VALUES (3)") == []
        assert look().pid == writer.pid
    assert sorted(path.parent.iterdir()) == names
    assert writer.ask("PRAGMA wal_checkpoint(TRUNCATE)") == [[0, 0, 0]]
    writer.leave()
    assert [file.name for file in path.parent.iterdir()] == ["phantom.db"]
    assert look().alive is False


def open_here(folder: Path) -> list[str]:
    """The files of a folder that this process has open, by their names."""
    opened = Path("/proc/self/fd").iterdir()
    return [name for fd in opened if fd.is_symlink() and (name := str(fd.readlink())).startswith(str(folder))]


def test_what_was_deleted_is_let_go_of(start: Start, path: Path, look: Look) -> None:
    for _ in range(3):
        writer = start(as_writer, path)
        assert look().alive is True
        writer.leave()
        assert look().alive is False
        assert open_here(path.parent) == [str(path)]
        path.unlink()
        assert look().alive is None
        assert open_here(path.parent) == []


def test_what_was_deleted_is_let_go_of_also_where_nobody_asks_for_its_path_any_more(start: Start, path: Path) -> None:
    """A link goes on to the next file, a source is left out of the configuration."""
    link, writers = path.with_name("link.db"), LiveWriters()
    for number in range(3):
        there = path.with_name(f"{number}.db")
        link.unlink(missing_ok=True)
        link.symlink_to(there)
        writer = start(as_writer, there)
        assert "has the database open" in writers.of(link).how
        writer.leave()
        writers.of(link)
        there.unlink()
    link.unlink()
    for _ in range(3):
        writers.of(path)
    assert open_here(path.parent) == []


@pytest.mark.parametrize(("journal", "alive"), [("wal", True), ("delete", None)])
def test_a_lock_of_our_own_survives_the_question(
    start: Start, path: Path, look: Look, journal: str, alive: bool | None
) -> None:
    writer = start(as_writer, path, journal=journal)
    writer.ask("PRAGMA busy_timeout = 0")
    with closing(sqlite3.connect(path, isolation_level=None)) as ours:
        ours.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            assert look().alive is alive
        assert writer.ask("INSERT INTO jobs VALUES (4)") == "database is locked"
        ours.execute("COMMIT")
    assert writer.ask("INSERT INTO jobs VALUES (5)") == []


def test_where_only_we_have_it_open_nothing_is_told(path: Path, look: Look) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as ours:
        ours.execute("PRAGMA journal_mode = wal").fetchone()
        ours.execute("CREATE TABLE jobs (n INTEGER)")
        assert (look().alive, look().how) == (None, "this process itself has the database open")
    assert look().alive is False


def test_that_nobody_holds_it_is_told_without_the_list_of_all_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading that list makes all who lock a file wait: a thousand sources that nobody has open took a core for it."""

    def is_not_read(there: object) -> list[object]:
        raise AssertionError("the list of all locks was read")

    path = tmp_path / "a"
    path.write_bytes(b"0" * 200)
    with path.open("r+b") as file, path.open("r+b") as ours:
        with monkeypatch.context() as patch:
            patch.setattr(file_locks, "_listed", is_not_read)
            assert file_locks.holders(file.fileno(), 120, 8) == file_locks.Holders()
        fcntl.lockf(ours, fcntl.LOCK_EX | fcntl.LOCK_NB, 8, 120)
        with pytest.raises(file_locks.UntoldError, match="this process itself"):
            file_locks.holders(file.fileno(), 120, 8)


# processes


def fake_process(root: Path, state: str = "S", cgroup: str | None = None) -> LiveProcesses:
    folder = root / "proc" / "7"
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"7 (odd) name) {state} " + " ".join(str(n) for n in range(4, 53)))
    (folder / "cmdline").write_bytes(b"bun\0run\0index.ts\0")
    if cgroup is not None:
        (folder / "cgroup").write_text(cgroup)
    return LiveProcesses(root / "proc", root / "groups")


def test_a_name_with_brackets_does_not_shift_the_fields(tmp_path: Path) -> None:
    found = fake_process(tmp_path).get(7)
    assert found is not None
    assert (found.command, found.ticks, found.line, found.stopped) == ("odd) name", 22, "bun run index.ts", False)


@pytest.mark.parametrize(("state", "stopped"), [("R", False), ("D", False), ("T", True), ("t", True)])
def test_a_stopped_process_shows_in_its_state(tmp_path: Path, state: str, stopped: bool) -> None:
    found = fake_process(tmp_path, state).get(7)
    assert found is not None
    assert found.stopped is stopped


@pytest.mark.parametrize(("name", "runs_for", "line"), [("odd", 61, "bun a"), ("odd", 59, "b"), ("new", 61, "b")])
def test_a_command_line_is_read_once_of_a_process_that_has_become_what_it_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, runs_for: int, line: str
) -> None:
    monkeypatch.setattr(
        "watchdog.systems.shared.processes.time.clock_gettime", lambda _: runs_for + 22 / os.sysconf("SC_CLK_TCK")
    )
    processes, folder = fake_process(tmp_path), tmp_path / "proc/7"
    for command, words in [("odd", "bun\0a"), (name, "b")]:
        (folder / "stat").write_text(f"7 ({command}) S " + " ".join(str(n) for n in range(4, 53)))
        (folder / "cmdline").write_text(words)
        found = processes.get(7)
    assert found is not None
    assert found.line == line


def test_a_dead_process_that_nobody_has_buried_is_none(tmp_path: Path) -> None:
    assert fake_process(tmp_path, "Z").get(7) is None


@pytest.mark.parametrize(
    ("cgroup", "file", "text", "stopped"),
    [
        ("0::/docker/abc\n", "docker/abc/cgroup.events", "populated 1\nfrozen 1\n", True),
        ("0::/docker/abc\n", "docker/abc/cgroup.events", "populated 1\nfrozen 0\n", False),
        ("0::/docker/abc\n", "elsewhere", "", None),
        ("0::/\n", "elsewhere", "", False),
        ("7:freezer:/docker/abc\n0::/\n", "freezer/docker/abc/freezer.state", "FROZEN\n", True),
        ("7:freezer:/docker/abc\n0::/\n", "freezer/docker/abc/freezer.state", "THAWED\n", False),
    ],
)
def test_a_paused_container_is_stopped(tmp_path: Path, cgroup: str, file: str, text: str, stopped: bool | None) -> None:
    where = tmp_path / "groups" / file
    where.parent.mkdir(parents=True)
    where.write_text(text)
    found = fake_process(tmp_path, cgroup=cgroup).get(7)
    assert found is not None
    assert found.stopped is stopped


# the rule, by itself

START = datetime(2026, 6, 10, tzinfo=UTC)


def process(pid: int, line: str, life: int) -> Process:
    return Process(pid, pid * 100 + life, START, command=line, line=line)


@given(
    looks=st.lists(
        st.tuples(st.booleans(), st.integers(0, 3), st.booleans(), st.integers(0, 3), st.booleans()), max_size=12
    )
)
def test_a_reader_is_never_told_as_the_writer_and_a_living_writer_never_as_down(
    looks: list[tuple[bool, int, bool, int, bool]],
) -> None:
    known = None
    for there, life, reads, other_life, hidden in looks:
        writer = process(10, "bun index.ts", life)
        reader = process(20, "exporter", other_life)
        seen = [writer] * there + [reader] * reads
        holding = Holders(frozenset(one.pid for one in seen), hidden)
        told, found = judge(holding, seen, [reader], known, runs_on=False)
        known = found or known
        assert told.pid in (None, 10)
        assert not (there and told.alive is False)
        assert not (hidden and told.alive is False)
        assert told.alive is not True or there or hidden
        assert not (there and not hidden and told.pid is None)
