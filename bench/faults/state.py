"""What can happen to the state file. A failure before it is told and acted on; one meanwhile is told once; after
healing nothing is told twice, and no budget is fresh."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from bench.faults.rig import COMMAND, POLL, NotHereError, Promise, Rig, is_root, limit, must, run, until

TELLS = "what happens meanwhile is told once; healed, nothing is told twice and no budget is fresh"

Heal = Callable[[], None]


def _beside(path: Path) -> Iterator[Path]:
    return (Path(f"{path}{ending}") for ending in ("", "-wal", "-shm"))


def _survived(rig: Rig, break_it: Callable[[Rig], Heal], *, is_seen: bool = True) -> None:
    """The whole course: well, broken, healed, started again."""
    rig.configure(**rig.with_a_budget())
    rig.state.parent.mkdir(exist_ok=True)
    rig.start()
    rig.must_tell("early")
    until(lambda: rig.runs_of("early") == 1, "the action of its budget is done", 15)
    time.sleep(POLL)
    heal = break_it(rig)
    rig.must_tell("meanwhile")
    if is_seen:
        _must_be_seen(rig)
    rig.must_be_well()
    heal()
    until(lambda: rig.get("/readyz")[0] == 200, "it is healed without a restart", 15)
    rig.must_have_told_once("early", "meanwhile")
    rig.must_end()
    rig.start()
    rig.must_tell("later")
    rig.must_have_told_once("early", "meanwhile", "later")
    must(rig.runs_of("early") == 1, f"the budget was fresh: done {rig.runs_of('early')} times")
    rig.must_be_well()
    rig.must_end()


def _must_be_seen(rig: Rig) -> None:
    """While nothing can be written: readiness, the metric, a finding, and somebody is told."""
    until(lambda: rig.get("/readyz")[0] == 503, "/readyz says 503", 10)
    until(lambda: "\nwatchdog_state_up 0.0" in rig.get("/metrics")[1], "watchdog_state_up is 0", 5)
    until(lambda: rig.found("unsaved", "watchdog"), "it is found", 10)
    until(lambda: rig.target.about("watchdog"), "somebody is told of it", 10)


def _must_be_mended(rig: Rig) -> None:
    until(lambda: rig.found("unsaved", "watchdog"), "it is found that it had to be mended", 10)


def full_by_limit(rig: Rig) -> None:
    """No file may grow any more, as on a full disk."""

    def break_it(rig: Rig) -> Heal:
        limit(rig.pid, resource.RLIMIT_FSIZE, 1)
        return lambda: limit(rig.pid, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)

    _survived(rig, break_it)


@contextmanager
def _small_disk(rig: Rig) -> Iterator[Path]:
    folder = rig.state.parent
    folder.mkdir()
    if not is_root() or not run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)):
        raise NotHereError("only root can mount a small disk, and not in every container")
    try:
        yield folder
    finally:
        run("umount", "-l", str(folder))


def full_disk(rig: Rig) -> None:
    """A disk of 3 MB that is filled up."""

    def break_it(rig: Rig) -> Heal:
        filler = rig.state.parent / "filler"
        descriptor = os.open(filler, os.O_CREAT | os.O_WRONLY)
        with suppress(OSError):
            while os.write(descriptor, bytes(512)):
                pass
        os.close(descriptor)
        return filler.unlink

    with _small_disk(rig):
        _survived(rig, break_it)


def read_only_at_start(rig: Rig) -> None:
    """The disk is read-only when the service is started, and can be written later."""
    with _small_disk(rig) as folder:
        rig.configure(**rig.with_a_budget())
        rig.start()
        rig.must_tell("early")
        until(lambda: rig.runs_of("early") == 1, "the action of its budget is done", 15)
        time.sleep(POLL)
        rig.must_end()
        must(run("mount", "-o", "remount,ro", str(folder)), "the disk could not be made read-only")
        rig.start()
        rig.must_tell("meanwhile")
        _must_be_seen(rig)
        must(run("mount", "-o", "remount,rw", str(folder)), "the disk could not be made writable")
        until(lambda: rig.get("/readyz")[0] == 200, "it is healed without a restart", 15)
        rig.must_have_told_once("early", "meanwhile")
        must(rig.runs_of("early") == 1, "the budget was fresh")
        rig.must_be_well()
        rig.must_end()


def locked(rig: Rig) -> None:
    """Another program holds the file locked."""

    def break_it(rig: Rig) -> Heal:
        script = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=5); "
        script += "db.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
        holder = subprocess.Popen(
            [sys.executable, "-c", script, str(rig.state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert holder.stdout is not None
        must(holder.stdout.readline() == "held\n", "the lock could not be had")

        def heal() -> None:
            holder.communicate()

        return heal

    _survived(rig, break_it)


def _once(damage: Callable[[Path], None]) -> Promise:
    """Something that is put right at once."""

    def attack(rig: Rig) -> None:
        def break_it(rig: Rig) -> Heal:
            damage(rig.state)
            return lambda: _must_be_mended(rig)

        _survived(rig, break_it, is_seen=False)

    return attack


def _delete(path: Path) -> None:
    path.unlink()


def _delete_all(path: Path) -> None:
    for each in _beside(path):
        each.unlink(missing_ok=True)


def _delete_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


def _truncate(path: Path) -> None:
    os.truncate(path, 0)


def _cut(path: Path) -> None:
    # what is in the log still is not lost with the file: of a young one that is all
    with closing(sqlite3.connect(path, timeout=5)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    os.truncate(path, path.stat().st_size // 2)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


def _overwrite_all(path: Path) -> None:
    for each in _beside(path):
        if not each.name.endswith("-shm"):
            _overwrite(each)


def _replace_by_garbage(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"garbage " * 1000)
    other.replace(path)


def _replace_by_another(path: Path) -> None:
    other = path.with_name("other")
    with closing(sqlite3.connect(other)) as db, db:
        db.execute("CREATE TABLE things (id)")
    other.replace(path)


def _replace_by_folder(path: Path) -> None:
    _delete_all(path)
    path.mkdir()


def _replace_by_pipe(path: Path) -> None:
    _delete_all(path)
    os.mkfifo(path)


def _drop_a_table(path: Path) -> None:
    with closing(sqlite3.connect(path, timeout=5)) as db, db:
        db.execute("DROP TABLE outbox")


def bad_rows(rig: Rig) -> None:
    """Rows that nobody can read, written into a running service's file."""

    def break_it(rig: Rig) -> Heal:
        with closing(sqlite3.connect(rig.state, timeout=5)) as db, db:
            db.execute("INSERT INTO incidents (id, is_open, changed_at, document) VALUES (90, 1, '', '{}')")
            db.execute("INSERT INTO silences (match, starts_at, ends_at, by) VALUES ('x', 'nonsense', '9', 'x')")
            db.execute("INSERT INTO acknowledgements (incident_id, at, by) VALUES (91, 'nonsense', x'00ff')")
            db.execute("INSERT INTO actions (state, created_at, document) VALUES ('intended', '', '[1]')")
            db.execute(
                "INSERT INTO outbox (created_at, incident_id, event, target, message, state, not_before) "
                "VALUES ('nonsense', 1, 'opened', 'ops', '{}', 'waiting', 'nonsense')"
            )
            db.execute("INSERT INTO memory VALUES ('good', 'x', 'y', '{', '')")
        return lambda: None

    _survived(rig, break_it, is_seen=False)


def small_files_at_start(rig: Rig) -> None:
    """No file may grow, from the start on: none for temporary things either."""
    rig.configure(**rig.with_a_budget())
    rig.start_with_limit(resource.RLIMIT_FSIZE, 0, resource.RLIM_INFINITY)
    rig.must_tell("early")
    _must_be_seen(rig)
    limit(rig.pid, resource.RLIMIT_FSIZE, resource.RLIM_INFINITY)
    until(lambda: rig.get("/readyz")[0] == 200, "it is healed without a restart", 15)
    rig.must_tell("meanwhile")
    rig.must_have_told_once("early", "meanwhile")
    rig.must_be_well()
    rig.must_end()


def pipe_as_lock(rig: Rig) -> None:
    """It is not waited for: the start is refused, in a line."""
    rig.configure()
    rig.state.parent.mkdir()
    os.mkfifo(f"{rig.state}.lock")
    began = time.monotonic()
    command = [str(COMMAND), "run", "-c", str(rig.folder / "watchdog.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    must(ended.returncode == 3, f"it ended with {ended.returncode}")
    must("is a pipe, not a file" in ended.stderr and len(ended.stderr.splitlines()) == 1, f"it said {ended.stderr!r}")
    rig.notes.append(f"refused after {time.monotonic() - began:.1f} s")


def _damaged_at_start(damage: Callable[[Path], None]) -> Promise:
    """While the service is down. Who was told and what was spent is then lost with the file: it begins anew."""

    def attack(rig: Rig) -> None:
        rig.configure()
        rig.start()
        rig.must_tell("early")
        rig.must_end()
        damage(rig.state)
        rig.start()
        rig.must_tell("meanwhile")
        must(list(rig.state.parent.glob("state.db.set-aside-*")), "nothing was set aside")
        until(lambda: rig.found("unsaved", "watchdog"), "somebody is told that it was set aside", 10)
        must(len(rig.target.about("meanwhile")) == 1, "told twice")
        rig.must_be_well()
        rig.must_end()

    return attack


FAULTS: dict[str, tuple[str, Promise]] = {
    "state: no file may grow (RLIMIT_FSIZE)": (TELLS, full_by_limit),
    "state: locked by another program": (TELLS, locked),
    "state: deleted": (TELLS, _once(_delete)),
    "state: deleted with its log": (TELLS, _once(_delete_all)),
    "state: its folder deleted": (TELLS, _once(_delete_folder)),
    "state: truncated to nothing": (TELLS, _once(_truncate)),
    "state: cut short": (TELLS, _once(_cut)),
    "state: overwritten": (TELLS, _once(_overwrite)),
    "state: overwritten with its log": (TELLS, _once(_overwrite_all)),
    "state: replaced by garbage": (TELLS, _once(_replace_by_garbage)),
    "state: replaced by another database": (TELLS, _once(_replace_by_another)),
    "state: replaced by a folder": (TELLS, _once(_replace_by_folder)),
    "state: replaced by a pipe": (TELLS, _once(_replace_by_pipe)),
    "state: a table dropped": (TELLS, _once(_drop_a_table)),
    "state: rows that cannot be read": ("they are skipped, and hide nothing", bad_rows),
    "state: garbage at the start": ("set aside under a date, told, begun anew", _damaged_at_start(_replace_by_garbage)),
    "state: overwritten at the start": ("the same", _damaged_at_start(_overwrite)),
    "state: cut short at the start": ("the same", _damaged_at_start(_cut)),
    "state: no file may grow from the start on": ("told from memory, healed without a restart", small_files_at_start),
    "state: a pipe as its lock at the start": ("refused, in a line", pipe_as_lock),
    "state: a full disk": (TELLS, full_disk),
    "state: a disk that is read-only at the start": (TELLS, read_only_at_start),
}
