"""What can happen to the process: killed, frozen, starved, reloaded, hanging, doubled; and targets that are slow."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bench.faults.rig import COMMAND, POLL, TOLD_WITHIN, Promise, Rig, limit, must, until
from tests.support.hostile import HOSTILE

STEPS = (
    "found",
    "writing",
    "written",
    "before-start",
    "started",
    "child-started",
    "handed-over",
    "before-settle",
    "settled",
)
"""Of a message's way, in their order: the places at which the program can be told to kill itself."""


def _killed_at(step: str) -> Promise:
    def attack(rig: Rig) -> None:
        rig.configure()
        rig.start(WATCHDOG_FAULT=f"{step}:1")
        rig.fail("meanwhile")
        assert rig.process is not None
        rig.process.wait(60)
        rig.start()
        until(lambda: rig.target.about("meanwhile"), "the target has heard of it", TOLD_WITHIN + POLL)
        time.sleep(2 * POLL)
        must(len(rig.target.about("meanwhile")) <= 2, f"told {len(rig.target.about('meanwhile'))} times")
        rig.must_be_well()
        rig.must_end()

    return attack


def killed_at_random(rig: Rig) -> None:
    """Whatever it is doing."""
    rig.configure(**rig.with_a_budget())
    for number in range(5):
        rig.start()
        if number == 1:
            rig.fail("meanwhile")
        time.sleep(0.6 * number)
        rig.kill()
    rig.start()
    until(lambda: rig.target.about("meanwhile"), "the target has heard of it", TOLD_WITHIN + POLL)
    # one that was intended before a kill is refused by a service that has not seen its cause for long, and tried later
    until(lambda: rig.is_over("meanwhile"), "its action is done, or it is on record why not", 15)
    time.sleep(POLL)
    must(len(rig.target.about("meanwhile")) <= 4, "told once more than there were kills")
    must(rig.runs_of("meanwhile") <= 1, f"done {rig.runs_of('meanwhile')} times")
    rig.must_be_well()
    rig.must_end()


def frozen(rig: Rig) -> None:
    """SIGSTOP for ten polls: no job is late for that, and what failed meanwhile is told."""
    rig.configure()
    rig.start()
    os.kill(rig.pid, signal.SIGSTOP)
    time.sleep(10 * POLL)
    rig.fail("meanwhile")
    os.kill(rig.pid, signal.SIGCONT)
    until(lambda: rig.found("failed", "meanwhile"), "it is found after that", POLL + 1.5)
    until(lambda: rig.target.about("meanwhile"), "it is told after that", TOLD_WITHIN)
    late = [one["summary"] for one in rig.findings() if one["kind"] not in ("failed", "blind")]
    must(not late, f"found besides: {late}")
    rig.must_have_told_once("meanwhile")
    rig.must_be_well()
    rig.must_end()


def few_descriptors(rig: Rig) -> None:
    """A soft limit of 20, as some supervisors set it."""
    rig.configure()
    rig.start_with_limit(resource.RLIMIT_NOFILE, 20, 4096)
    rig.must_tell("meanwhile")
    rig.must_have_told_once("meanwhile")
    rig.must_be_well()
    rig.must_end()


def no_more_descriptors(rig: Rig) -> None:
    """While it runs no further descriptor can be had, for a while."""
    rig.configure()
    rig.start()
    rig.must_tell("early")
    limit(rig.pid, resource.RLIMIT_NOFILE, rig.descriptors())
    time.sleep(5 * POLL)
    said = [one["kind"] for one in rig.findings()]
    must("unreachable" not in said, f"a source is told as unreachable for want of descriptors: {said}")
    must(len(rig.log) < 200, f"{len(rig.log)} lines of log")
    limit(rig.pid, resource.RLIMIT_NOFILE, 1024)
    rig.must_tell("meanwhile")
    rig.must_have_told_once("early", "meanwhile")
    rig.must_be_well()
    rig.must_end()


def little_memory(rig: Rig) -> None:
    """An address space of 600 MB, with a store that would like more."""
    folder = rig.folder / "bad"
    folder.mkdir()
    rig.configure({"name": "bad", **HOSTILE["6 MiB of empty objects"].make(folder)})
    rig.start_with_limit(resource.RLIMIT_AS, 600 << 20, 600 << 20)
    rig.must_tell("meanwhile")
    rig.must_have_told_once("meanwhile")
    rig.must_be_well()
    rig.must_end()


def slow_target(rig: Rig) -> None:
    """It takes eight seconds to answer: told once, and the loop does not wait."""
    rig.configure()
    rig.start()
    rig.target.delay = 8.0
    rig.must_tell("early")
    rig.must_tell("meanwhile", within=POLL + 1)
    time.sleep(9)
    rig.must_have_told_once("early", "meanwhile")
    rig.must_be_well()
    rig.must_end()


def reload_storm(rig: Rig) -> None:
    """A hundred SIGHUPs while somebody is told."""
    rig.configure()
    rig.start()
    rig.fail("meanwhile")
    for _ in range(100):
        os.kill(rig.pid, signal.SIGHUP)
        time.sleep(0.05)
    until(lambda: rig.target.about("meanwhile"), "the target has heard of it", TOLD_WITHIN)
    rig.must_have_told_once("meanwhile")
    rig.must_be_well()
    rig.must_end()


def reload_while_told(rig: Rig) -> None:
    """SIGHUP while the target has the message and has not answered."""
    rig.configure()
    rig.start()
    rig.target.delay = 3.0
    rig.fail("meanwhile")
    until(lambda: rig.target.about("meanwhile"), "the target has it", TOLD_WITHIN)
    os.kill(rig.pid, signal.SIGHUP)
    time.sleep(6)
    rig.must_have_told_once("meanwhile")
    rig.must_be_well()
    rig.must_end()


def _bad_reload(put: Callable[[Path], object]) -> Promise:
    """A file that cannot be read: the old configuration is kept."""

    def attack(rig: Rig) -> None:
        rig.configure()
        rig.start()
        file = rig.folder / "watchdog.yaml"
        file.unlink()
        put(file)
        os.kill(rig.pid, signal.SIGHUP)
        until(lambda: any("configuration not taken" in line for line in rig.log), "it is said", 10)
        rig.must_tell("meanwhile")
        rig.must_be_well()
        rig.must_end()

    return attack


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 30)


def _repeated(path: Path) -> None:
    lines = (f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 20))
    path.write_text("\n".join(["a0: &a0 [1]", *lines]))


def without_streams(rig: Rig) -> None:
    """Whoever starts it has closed standard input, output and error."""
    rig.configure(**rig.with_a_budget())
    rig.start("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    rig.must_tell("meanwhile")
    until(lambda: rig.runs_of("meanwhile") == 1, "its action is done", 15)
    open_there = {Path(f"/proc/{rig.pid}/fd/{number}").readlink() for number in range(3)}
    must(open_there == {Path("/dev/null")}, f"its streams are {open_there}")
    rig.must_have_told_once("meanwhile")
    rig.must_be_well()
    rig.must_end()


def unread_log(rig: Rig) -> None:
    """Nobody reads its log any more, and the pipe is full."""
    rig.configure()
    rig.is_heard = False
    rig.start("sh", "-c", 'head -c 65536 /dev/zero >&2; exec "$@"', "sh")
    rig.must_tell("meanwhile")
    for _ in range(50):
        os.kill(rig.pid, signal.SIGHUP)
        time.sleep(0.02)
    rig.must_tell("later")
    rig.must_have_told_once("meanwhile", "later")
    rig.must_be_well()
    rig.must_end()


def odd_surroundings(rig: Rig) -> None:
    """No home, no language, a zone that is none, no folder for temporary files."""
    rig.configure(**rig.with_a_budget())
    rig.start("env", "-i", "TZ=/etc/passwd", "LC_ALL=none", "TMPDIR=/nowhere")
    rig.must_tell("meanwhile")
    until(lambda: rig.runs_of("meanwhile") == 1, "its action is done", 15)
    rig.must_have_told_once("meanwhile")
    rig.must_be_well()
    rig.must_end()


def hanging_loop(rig: Rig) -> None:
    """The main thread stands in the kernel for ever."""
    rig.configure()
    hangs = rig.folder / "hangs"
    patch = (
        "import ctypes, pathlib, sys, watchdog.service.loop as loop\n"
        f"def hang(*_, **__):\n    pathlib.Path({str(hangs)!r}).touch()\n    ctypes.PyDLL(None).pause()\n"
        "loop.Service._turn = hang\n"
        "from watchdog.cli.main import main\nsys.exit(main())"
    )
    script = rig.folder / "hanging.py"
    script.write_text(patch)
    assert COMMAND.exists()
    rig.process = subprocess.Popen(
        [sys.executable, str(script), "run", "-c", str(rig.folder / "watchdog.yaml")],
        stderr=subprocess.DEVNULL,
        text=True,
    )
    until(hangs.exists, "it hangs", 20)
    rig.must_end()


def same_state(rig: Rig) -> None:
    """A second one on the same state file."""
    rig.configure()
    rig.start()
    second = subprocess.run(
        [str(COMMAND), "run", "-c", str(rig.folder / "watchdog.yaml")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    must(second.returncode == 3, f"the second one ended with {second.returncode}")
    must(
        "runs with it already" in second.stderr and len(second.stderr.strip().splitlines()) == 1,
        f"it said {second.stderr!r}",
    )
    rig.must_tell("meanwhile")
    rig.must_be_well()
    rig.must_end()


def same_database(rig: Rig) -> None:
    """Two with a state each on one database."""
    rig.configure()
    rig.start()
    other = Rig(_folder(rig, "other"))
    other.good = rig.good
    other.configure()
    try:
        other.start()
        until(lambda: any("watched by another watchdog" in line for line in other.log), "the second one says so", 10)
        other.must_end()
    finally:
        other.close()
    rig.must_be_well()
    rig.must_end()


def _folder(rig: Rig, name: str) -> Path:
    folder = rig.folder / name
    folder.mkdir()
    return folder


BAD_FILES: Mapping[str, Callable[[Path], object]] = {
    "a broken file": lambda path: path.write_text("sources: ["),
    "a pipe as the file": os.mkfifo,
    "a folder as the file": Path.mkdir,
    "a file of 1 GiB": _sparse,
    "a file of aliases of aliases": _repeated,
    "a file that is no text": lambda path: path.write_bytes(os.urandom(5000)),
}
KEPT_AS_IT_IS = "the old configuration is kept, and it is said"

KILLED = "told, at most once more than there were kills; nothing done twice"

FAULTS: dict[str, tuple[str, Promise]] = {
    **{f"kill -9: at the step {step!r} of telling": (KILLED, _killed_at(step)) for step in STEPS},
    "kill -9: five times at any moment": (KILLED, killed_at_random),
    "SIGSTOP for 20 s": ("nobody is late for that; what happened meanwhile is told once", frozen),
    "descriptors: a soft limit of 20": ("works as without", few_descriptors),
    "descriptors: none to be had for 10 s": ("never told as unreachable; told afterwards, once", no_more_descriptors),
    "memory: 600 MB of address space": ("works beside a store that would like more", little_memory),
    "target: takes 8 s to answer": ("told once; the loop does not wait", slow_target),
    "reload: 100 SIGHUPs": ("told once", reload_storm),
    "reload: while a target has the message": ("told once", reload_while_told),
    **{f"reload: {what}": (KEPT_AS_IT_IS, _bad_reload(put)) for what, put in BAD_FILES.items()},
    "start: without standard input, output and error": ("told once; no file is taken for them", without_streams),
    "start: with a log that nobody reads": ("told once; the loop does not wait", unread_log),
    "start: without a home, a language, a zone": ("told once", odd_surroundings),
    "hang: the loop stands still for ever": ("SIGTERM ends it in 2 s", hanging_loop),
    "two watchdogs: one state file": ("the second one is refused, in a line", same_state),
    "two watchdogs: one database, a state file each": ("said at the start of the second one", same_database),
}
