"""What is done otherwise on macOS, as far as it can be tried anywhere; and that nothing that only Linux has is asked
for where it is not. `make test-portable` runs many more tests with all of it taken away."""

import os
import plistlib
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.conftest import build, healthy
from tests.support.command import COMMAND, running, until
from watchdog.core import clock
from watchdog.systems.discovery import far_on_macos

ROOT = Path(__file__).parent.parent
TAKEN_AWAY = ROOT / "tests" / "support" / "portable"
PLIST = ROOT / "config" / "launchd" / "scheduler-watchdog.plist"


@pytest.fixture(autouse=True)
def only_what_is_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for the command and its children."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(TAKEN_AWAY), os.environ.get("PYTHONPATH")])))


def test_it_is_gone_before_the_program_is_imported() -> None:
    asks = (
        "import ctypes, os, pathlib, socket, time; from watchdog.service.memory import settle_allocator as settle\n"
        "settle()\n"
        "print([hasattr(os, 'pipe2'), hasattr(socket, 'SOCK_CLOEXEC'), hasattr(time, 'CLOCK_BOOTTIME'),"
        " os.path.exists('/proc/self/stat'), pathlib.Path('/proc').is_dir(), hasattr(ctypes.CDLL(None), 'mallopt')])"
    )
    done = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert (done.stdout.strip(), done.stderr) == (str([False] * 6), "")


def test_the_installed_command_looks_serves_and_ends(tmp_path: Path) -> None:
    database = build(tmp_path / "phantom.db", healthy(), journal="wal")
    looked = subprocess.run([COMMAND, "check", "--database", database], capture_output=True, text=True, timeout=90)
    assert looked.returncode in (0, 1, 2), looked.stderr
    (tmp_path / "watchdog.yaml").write_text(
        f'sources: [{{kind: phantom, database: "{database}"}}]\nhttp: {{listen: "127.0.0.1:PORT"}}\npoll: 1s\n'
    )
    with running(tmp_path) as service:
        until(lambda: "watchdog_source_up" in service.get("/metrics")[1], "it serves what it has seen")


@pytest.mark.parametrize(
    ("platform", "names"),
    [
        ("darwin", ("CLOCK_MONOTONIC_RAW",)),
        ("linux", ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC")),
        ("plan9", ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC")),
    ],
)
def test_the_clock_is_the_one_that_counts_sleep(platform: str, names: tuple[str, ...]) -> None:
    there = next(getattr(time, name) for name in names if hasattr(time, name))
    assert clock._since_boot(platform) == there


def test_where_nothing_tells_which_boot_this_is_the_wall_clock_tells_how_long_ago_something_was() -> None:
    before = clock.WallClock().stamp()
    assert before.slept >= 0
    assert clock._session_of_boot() == "" or sys.platform == "darwin"


def test_far_file_systems_are_known_by_what_mount_says_there() -> None:
    said = (
        "/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)\n"
        "map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)\n"
        "//me@nas.local/my%20share on /Volumes/my share (on nas) (smbfs, nodev, nosuid, mounted by me)\n"
        "nas:/export on /Users/me/nas (nfs)\n"
        "/dev/disk4s1 on /Volumes/Stick (msdos, local, nodev)\n"
    )
    assert far_on_macos(said) == {"/System/Volumes/Data/home", "/Volumes/my share (on nas)", "/Users/me/nas"}


def test_the_example_for_launchd_is_a_property_list_that_launchd_takes() -> None:
    assert_launchd_takes(PLIST.read_bytes())


_KINDS = {
    "Label": str,
    "ProgramArguments": list,
    "EnvironmentVariables": dict,
    "RunAtLoad": bool,
    "KeepAlive": bool,
    "ThrottleInterval": int,
    "ExitTimeOut": int,
    "ProcessType": str,
    "Umask": int,
    "StandardOutPath": str,
    "StandardErrorPath": str,
    "UserName": str,
}
"""launchd.plist(5), as far as it is used: what it does not know launchd passes over without a word."""


def assert_launchd_takes(plist: bytes) -> None:
    says = plistlib.loads(plist, fmt=plistlib.FMT_XML)
    assert {key: type(value) for key, value in says.items()} == {key: _KINDS[key] for key in says}
    assert says["Label"] == "scheduler-watchdog"
    program, verb, flag, config = says["ProgramArguments"]
    assert (verb, flag) == ("run", "-c")
    assert all(Path(path).is_absolute() for path in (program, config, says["StandardErrorPath"]))
    assert says["ProcessType"] in ("Background", "Standard", "Adaptive", "Interactive")
    assert says["Umask"] == 0o077
