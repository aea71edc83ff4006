"""Where schedulers lie on this machine: in the usual places, in folders, beside processes and in files of compose.

Each system says which names its files have and whether one is its own; what is walked through is bounded, nothing but
regular files is opened, and what cannot be looked into is passed over.
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

from watchdog.config import kinds
from watchdog.config.sources import Section
from watchdog.systems import KINDS, system
from watchdog.systems.base import System
from watchdog.systems.opening import open_source
from watchdog.systems.shared import mounts
from watchdog.systems.shared.processes import Neighbourhood, Process, processes_here

SYSTEM_FOLDERS = ("/var/lib", "/opt", "/srv", "/data", "/app", "/a0")
"""Where agents lie that are nobody's own."""

MAC_FOLDERS = ("/Users/Shared", "/usr/local/var", "/opt")
"""The same on macOS, Homebrew's among them."""

DEEPEST = 5
"""Folders within each other that are walked down."""

MOST_FOLDERS = 20_000

MOST_LINKS = 2_000
"""Links that are looked at for folders."""

PATIENCE = 6.0
"""Seconds for all folders together; what is given by the operator has as long again."""

_PASSED_OVER = re.compile(
    r"node_modules|site-packages|__pycache__|\.git|\.cache|\.npm|\.cargo|\.rustup|\.venv|venv|Caches|overlay2|snapd"
    r"|containerd|flatpak|proc|sys|Trash|\.Trash"
)

_PASSED_OVER_ON_MACOS = re.compile(
    r"Mobile Documents|CloudStorage|Containers|Group Containers|.*\.(?:app|photoslibrary|musiclibrary)"
)
"""What programs keep for themselves there, and what lies in a cloud: looked into, the system asks its user about it."""

_VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Found:
    """A scheduler: what its section says, and what a look at it has shown. `problem`: why it cannot be read; `harm`:
    why it had better not be; `folders`: what must be there to read it; `ids`: those of its jobs."""

    says: Mapping[str, object]
    store: Path
    folders: tuple[Path, ...] = ()
    jobs: int = 0
    problem: str | None = None
    harm: tuple[str, ...] = ()
    ids: frozenset[str] = frozenset()

    @property
    def name(self) -> str:
        """What it is called where nobody says otherwise."""
        return str(self.says.get("preset", self.says["kind"]))


@dataclass
class Search:
    """What was looked through, and what was found, each scheduler once.

    `barren`: what the operator named, and nothing is there. `closed`: where an agent seems to lie, and this user may
    not look. `cut_short`: what there was no time to look through to its end. `strangers`: agents of other users that
    run here, as `name of user`.
    """

    environment: Mapping[str, str]
    home: Path
    found: list[Found] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    barren: list[Path] = field(default_factory=list)
    closed: list[Path] = field(default_factory=list)
    cut_short: list[Path] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)
    _walked: set[Path] = field(default_factory=set)
    _extra: list[Path] = field(default_factory=list)
    _links: list[Path] = field(default_factory=list)

    def take(self, says: Mapping[str, object], now: datetime) -> None:
        """Look at it, unless it is known."""
        if (why := _unsayable(says)) is not None:
            self.found.append(Found({key: _shown(value) for key, value in says.items()}, Path(), problem=why))
            return
        try:
            section = kinds.section_of(str(says["kind"])).validated(says)
        except ValueError:
            return
        known = system(section.kind)
        # by two names that links make of one place it is one scheduler
        really = f"{section.kind} {os.path.realpath(_store(known, says))}"
        if not {section.identity, really} & self._known:
            self._known |= {section.identity, really}
            self.found.append(_looked_at(section, says, now))


def straight(path: Path) -> Path:
    """The whole path that a person's means; links stay links, unless it goes back up (`..`) behind one."""
    path = path.expanduser()
    return path.resolve() if ".." in path.parts else path.absolute()


def search(
    given: Iterable[Path], environment: Mapping[str, str], home: Path, now: datetime, *, is_root: bool = False
) -> Search:
    """All that is found; first what the operator named."""
    searched = Search(environment, home)
    for path in map(straight, given):
        before = len(searched.found), len(searched._extra)
        _walk(searched, [path], now, PATIENCE)
        searched.barren += [path] if (len(searched.found), len(searched._extra)) == before else []
    for kind in KINDS:
        _usual(searched, kind, environment, now)
    here = processes_here()
    processes = list(_processes(searched, here))
    for process, own in processes:
        folder = here.folder(process.pid)
        for kind in KINDS:
            _usual(searched, kind, own, now, is_variable=True, folder=folder)
        searched._extra += filter(None, [folder])
    is_mac = sys.platform == "darwin"
    homes = [home, *(sorted(Path("/Users" if is_mac else "/home").glob("*")) if is_root else [])]
    folders = [Path.cwd(), *homes, *searched._extra, *map(Path, MAC_FOLDERS if is_mac else SYSTEM_FOLDERS)]
    _walk(searched, folders, now, PATIENCE)
    _walk(searched, [path for path in searched._extra if path not in folders], now, PATIENCE / 2)
    _walk(searched, _leading_elsewhere(searched), now, PATIENCE / 2)
    searched.found = _without_copies(searched.found)
    searched.places += [f"{len(processes)} running agent{'' if len(processes) == 1 else 's'} of this user's"]
    return searched


def _looked_at(section: Section, says: Mapping[str, object], now: datetime) -> Found:
    known = system(section.kind)
    store = _store(known, says)
    folders = known.folders(section)
    source = open_source(section)
    harm = tuple(source.warnings())
    if harm:
        return Found(says, store, folders, harm=harm)
    snapshot = source.look(now).snapshot
    ids = frozenset(job.id for job in snapshot.jobs) - known.common_ids
    return Found(says, store, folders, len(snapshot.jobs), snapshot.problem, ids=ids)


def _store(known: System[Any], says: Mapping[str, object]) -> Path:
    return Path(str(says.get("file") or says.get(known.place) or says.get("folder") or says["kind"]))


def _without_copies(found: list[Found]) -> list[Found]:
    """Of several with the same jobs the one that was written last: backups look as if they stood still."""
    newest = sorted(found, key=_written_at, reverse=True)
    copies = {
        id(each): other
        for place, each in enumerate(newest)
        for other in newest[:place]
        if each.name == other.name and len(each.ids & other.ids) * 2 > len(each.ids)
    }
    return [
        replace(each, harm=(f"it looks like an older copy of {copies[id(each)].store}",))
        if id(each) in copies
        else each
        for each in found
    ]


def _written_at(found: Found) -> float:
    with suppress(OSError):
        return found.store.stat().st_mtime
    return 0.0


def _unsayable(says: Mapping[str, object]) -> str | None:
    """Why a configuration cannot name it."""
    paths = [value for value in map(str, says.values()) if "/" in value]
    if any("${" in path for path in paths):
        return "there is ${ in its path, which a configuration takes for a variable: move it"
    if any(_shown(path) != path for path in paths):
        return "its path is not UTF-8: move it"
    return None


def _shown(value: object) -> str:
    return str(value).encode("utf-8", "replace").decode()


# the usual places


def _usual(
    searched: Search,
    kind: str,
    environment: Mapping[str, str],
    now: datetime,
    *,
    is_variable: bool = False,
    folder: Path | None = None,
) -> None:
    """What lies where the system's object says, which may be named by variables of the environment: from `folder` on,
    where it is not whole."""
    known = system(kind)
    for place in (*known.usual_places, *known.usual_folders):
        variables = _VARIABLE.findall(place)
        if not all(environment.get(name) for name in variables) or (is_variable and not variables):
            continue
        path = _expanded(_VARIABLE.sub(lambda found: environment[found[1]], place), searched.home)
        path = path if path.is_absolute() else (folder or Path.cwd()) / path
        if place in known.usual_folders:
            searched._extra.append(path)
        elif (os.path.isdir if known.is_folder else os.path.isfile)(path):
            searched.take({"kind": kind, known.place: str(known.whole(straight(path)))}, now)
        _note_closed(searched, path)


def _expanded(path: str, home: Path) -> Path:
    return home / path[2:] if path.startswith("~/") else Path(path)


def _note_closed(searched: Search, path: Path) -> None:
    """That it may not be looked into, if it may not; what it lies in, where that is why."""
    while _is_closed(path):
        closed, path = path, path.parent
        if not _is_closed(path):
            searched.closed += [] if closed in searched.closed else [closed]


def _is_closed(folder: Path) -> bool:
    try:
        with os.scandir(folder):
            return False
    except PermissionError:
        return True
    except (OSError, ValueError):
        return False


# processes


def _processes(searched: Search, here: Neighbourhood) -> Iterator[tuple[Process, Mapping[str, str]]]:
    """The processes of schedulers that are this user's own, in this view of the file system, and their variables."""
    home, words = str(searched.home), [re.escape(word) for word in _words()]
    places = [place for kind in KINDS for place in (*system(kind).usual_places, *system(kind).usual_folders)]
    wanted = {"HOME", *(name for place in places for name in _VARIABLE.findall(place))}
    for pid in here.pids():
        process = here.get(pid)
        if process is None or pid == os.getpid():
            continue
        if process.user != os.geteuid():
            note_stranger(searched, process)
        elif here.sees_as_here(pid) and re.search(rf"\b(?:{'|'.join(words)})\b", process.line):
            variables = here.variables(pid, wanted)
            if variables.get("HOME", home) == home:
                yield process, variables


def _words() -> list[str]:
    return [word for kind in KINDS for word in system(kind).commands]


def note_stranger(searched: Search, process: Process) -> None:
    """An agent that another user has running, told by what is run: the command itself, or what an interpreter runs."""
    run = {part.rpartition("/")[2] for part in process.line.split()[:2]}
    for word in _words():
        said = f"{word} of {_user(process.user)}"
        if word in run and said not in searched.strangers:
            searched.strangers.append(said)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


# folders


def _walk(searched: Search, folders: Iterable[Path], now: datetime, patience: float) -> None:
    ends = time.monotonic() + patience
    for folder in folders:
        if os.path.isfile(folder):  # noqa: PTH113 - it raises nothing
            _file(searched, folder, now)
            continue
        if _may_lie_there(folder):
            _note_closed(searched, folder)
        if folder in (Path("/"), *searched._walked) or not os.path.isdir(folder):  # noqa: PTH112
            continue
        searched.places.append(str(folder))
        _down(searched, folder, now, ends)


_FAR = re.compile(r"\S+ (\S+) (?:nfs\d?|cifs|smb\d?|smbfs|fuse\.(?:sshfs|rclone)|davfs|autofs) ")
"""File systems of other machines: whoever looks into one whose machine is gone may wait for ever."""

_FAR_ON_MACOS = re.compile(r".* on (.+) \((?:nfs|smbfs|afpfs|webdav|autofs|macfuse|osxfuse)[,)].*")
"""A line of its `mount`."""


@cache
def _far() -> frozenset[str]:
    if sys.platform == "darwin":
        return far_on_macos(_mounts())
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(found[1].replace("\\040", " ") for line in lines if (found := _FAR.match(line)))


def far_on_macos(mounts: str) -> frozenset[str]:
    """Where other machines' file systems are mounted, by what macOS' `mount` says."""
    return frozenset(found[1] for line in mounts.splitlines() if (found := _FAR_ON_MACOS.fullmatch(line)))


def _mounts() -> str:
    try:
        return subprocess.run(
            ["/sbin/mount"], stdin=subprocess.DEVNULL, capture_output=True, timeout=5, text=True, errors="replace"
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def _down(searched: Search, root: Path, now: datetime, ends: float) -> None:
    """Folder by folder, those on top first."""
    level = [root]
    seen = 0
    for _ in range(DEEPEST + 1):
        following: list[Path] = []
        for folder in level:
            seen += 1
            if folder in searched._walked:
                continue
            if seen > MOST_FOLDERS or time.monotonic() > ends:
                searched.cut_short += [] if root in searched.cut_short else [root]
                continue
            searched._walked.add(folder)
            following += _folder(searched, folder, now, ends)
        level = following


def _is_passed_over(name: str) -> bool:
    is_apples = sys.platform == "darwin" and _PASSED_OVER_ON_MACOS.fullmatch(name)
    return bool(is_apples or _PASSED_OVER.fullmatch(name))


def _folder(searched: Search, folder: Path, now: datetime, ends: float) -> list[Path]:
    """Take what lies in it; the folders that do too."""
    folders: list[Path] = []
    if _may_lie_there(folder):
        _note_closed(searched, folder)
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.path in _far() or _is_passed_over(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(folder / entry.name)
                elif entry.is_symlink():
                    searched._links.append(folder / entry.name)
                elif entry.is_file(follow_symlinks=False) and time.monotonic() < ends:
                    _file(searched, folder / entry.name, now)
    return sorted(folders)


def _may_lie_there(folder: Path) -> bool:
    """Whether an agent does, by the folder's name."""
    return any(word in folder.name.lower() for word in _words())


def _leading_elsewhere(searched: Search) -> list[Path]:
    """The links to folders that were not looked through: a home is often moved to a larger disk, and linked."""
    walked = {os.path.realpath(folder) for folder in searched._walked}
    found = dict[str, Path]()
    for link in searched._links[:MOST_LINKS]:
        with suppress(OSError):
            aim = os.path.normpath(link.parent / os.readlink(link))  # noqa: PTH115
            if any(Path(aim).is_relative_to(far) for far in _far()) or not os.path.isdir(aim):  # noqa: PTH112
                continue
            real = os.path.realpath(aim)
            if real not in walked and not any(Path(each).is_relative_to(real) for each in walked):
                found.setdefault(real, link)
    return list(found.values())


def _file(searched: Search, file: Path, now: datetime) -> None:
    if mounts.FILE.fullmatch(file.name):
        searched._extra += list(mounts.mounted(file, searched.environment))
    for kind in KINDS:
        known = system(kind)
        if any(fnmatchcase(file.name, mark) for mark in known.marks) and (says := known.recognised(file)) is not None:
            searched.take({"kind": kind, **says}, now)
            return
