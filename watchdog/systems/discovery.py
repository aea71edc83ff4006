"""Where schedulers lie on this machine: in the usual places, in folders, beside processes and in files of compose.

Each system says which names its files have and whether one is its own; what is walked through is bounded, nothing but
regular files is opened, and what cannot be looked into is passed over.
"""

from __future__ import annotations

import os
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

import yaml
from pydantic import ValidationError

from watchdog.config import kinds
from watchdog.config.sources import Section
from watchdog.core.redaction import one_line
from watchdog.systems import KINDS, system
from watchdog.systems.opening import open_source
from watchdog.systems.shared.plain_file import read_bytes
from watchdog.systems.shared.processes import Neighbourhood, Process, processes_here
from watchdog.systems.shared.unreadable import UnreadableError

SYSTEM_FOLDERS = ("/var/lib", "/opt", "/srv", "/data", "/app", "/a0")
"""Where agents lie that are nobody's own."""

MAC_FOLDERS = ("/Users/Shared", "/usr/local/var", "/opt")
"""The same on macOS, Homebrew's among them."""

DEEPEST = 5
"""Folders within each other that are walked down."""

MOST_FOLDERS = 20_000

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

_COMPOSE = re.compile(r"(?:docker-)?compose[\w.-]*\.ya?ml")

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
    """What was looked through, and what was found, each scheduler once."""

    environment: Mapping[str, str]
    home: Path
    found: list[Found] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    _known: set[str] = field(default_factory=set)
    _walked: set[Path] = field(default_factory=set)
    _extra: list[Path] = field(default_factory=list)

    def take(self, says: Mapping[str, object], now: datetime) -> None:
        """Look at it, unless it is known."""
        if (why := _unsayable(says)) is not None:
            self.found.append(Found({key: _shown(value) for key, value in says.items()}, Path(), problem=why))
            return
        try:
            section = kinds.section_of(str(says["kind"])).model_validate(says)
        except ValidationError:
            return
        if section.identity not in self._known:
            self._known.add(section.identity)
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
    named = [straight(path) for path in given]
    _walk(searched, named, now, PATIENCE)
    for kind in KINDS:
        _usual(searched, kind, environment, now)
    here = processes_here()
    processes = list(_processes(here, home))
    for process, own in processes:
        for kind in KINDS:
            _usual(searched, kind, own, now, is_variable=True)
        searched._extra += filter(None, [here.folder(process.pid)])
    is_mac = sys.platform == "darwin"
    homes = [home, *(sorted(Path("/Users" if is_mac else "/home").glob("*")) if is_root else [])]
    folders = [Path.cwd(), *homes, *searched._extra, *map(Path, MAC_FOLDERS if is_mac else SYSTEM_FOLDERS)]
    _walk(searched, folders, now, PATIENCE)
    _walk(searched, [path for path in searched._extra if path not in folders], now, PATIENCE / 2)
    searched.found = _without_copies(searched.found)
    searched.places += [f"{len(processes)} running agent{'' if len(processes) == 1 else 's'} of this user's"]
    return searched


def _looked_at(section: Section, says: Mapping[str, object], now: datetime) -> Found:
    known = system(section.kind)
    store = Path(str(says.get("file") or says.get(known.place) or says.get("folder") or says["kind"]))
    folders = known.folders(section)
    source = open_source(section)
    harm = tuple(source.warnings())
    if harm:
        return Found(says, store, folders, harm=harm)
    snapshot = source.look(now).snapshot
    ids = frozenset(job.id for job in snapshot.jobs)
    return Found(says, store, folders, len(snapshot.jobs), snapshot.problem, ids=ids)


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
    searched: Search, kind: str, environment: Mapping[str, str], now: datetime, *, is_variable: bool = False
) -> None:
    """What lies where the system's object says, which may be named by variables of the environment."""
    known = system(kind)
    for place in known.usual_places:
        variables = _VARIABLE.findall(place)
        if not all(environment.get(name) for name in variables) or (is_variable and not variables):
            continue
        path = Path(_VARIABLE.sub(lambda found: environment[found[1]], place).replace("~", str(searched.home), 1))
        if path.is_dir() if known.is_folder else path.is_file():
            searched.take({"kind": kind, known.place: str(known.whole(path.absolute()))}, now)


# processes


def _processes(here: Neighbourhood, home: Path) -> Iterator[tuple[Process, Mapping[str, str]]]:
    """The processes of schedulers that are this user's own, in this view of the file system, and their variables."""
    words = [word for kind in KINDS for word in system(kind).commands]
    wanted = {
        "HOME",
        *(name for kind in KINDS for place in system(kind).usual_places for name in _VARIABLE.findall(place)),
    }
    for pid in here.pids():
        process = here.get(pid)
        if process is None or process.user != os.geteuid() or pid == os.getpid() or not here.sees_as_here(pid):
            continue
        if any(re.search(rf"\b{re.escape(word)}\b", process.line) for word in words):
            variables = here.variables(pid, wanted)
            if variables.get("HOME", str(home)) == str(home):
                yield process, variables


# folders


def _walk(searched: Search, folders: Iterable[Path], now: datetime, patience: float) -> None:
    ends = time.monotonic() + patience
    for folder in folders:
        if folder.is_file():
            _file(searched, folder, now)
            continue
        if folder in (Path("/"), *searched._walked) or not folder.is_dir():
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
            if seen > MOST_FOLDERS or time.monotonic() > ends or folder in searched._walked:
                continue
            searched._walked.add(folder)
            following += _folder(searched, folder, now, ends)
        level = following


def _is_passed_over(name: str) -> bool:
    is_apples = sys.platform == "darwin" and _PASSED_OVER_ON_MACOS.fullmatch(name)
    return bool(is_apples or _PASSED_OVER.fullmatch(name))


def _folder(searched: Search, folder: Path, now: datetime, ends: float) -> list[Path]:
    """Take what lies in it; the folders that do too."""
    folders = []
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if entry.path in _far() or _is_passed_over(entry.name):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(folder / entry.name)
                elif entry.is_file(follow_symlinks=False) and time.monotonic() < ends:
                    _file(searched, folder / entry.name, now)
    return sorted(folders)


def _file(searched: Search, file: Path, now: datetime) -> None:
    if _COMPOSE.fullmatch(file.name):
        searched._extra += [path for path in _mounted(file) if path.is_dir()]
    for kind in KINDS:
        known = system(kind)
        if any(fnmatchcase(file.name, mark) for mark in known.marks) and (says := known.recognised(file)) is not None:
            searched.take({"kind": kind, **says}, now)
            return


# files of compose


def _mounted(file: Path) -> Iterator[Path]:
    """The folders of this machine that its services mount, and its named volumes where Docker keeps them."""
    try:
        document: Any = yaml.safe_load(read_bytes(file))
        services = list(document["services"].values())
        project = str(document.get("name") or file.parent.name)
        volumes = document.get("volumes") or {}
    except (UnreadableError, yaml.YAMLError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return
    for service in services:
        listed = service.get("volumes") if isinstance(service, dict) else None
        for each in listed if isinstance(listed, list) else []:
            source = each.get("source") if isinstance(each, dict) else str(each).partition(":")[0]
            if isinstance(source, str) and "\0" not in source and source:
                yield _on_this_machine(source, file.parent, project, volumes)


def _on_this_machine(source: str, folder: Path, project: str, volumes: object) -> Path:
    if source.startswith((".", "/", "~")):
        return Path(os.path.normpath(folder / Path(os.path.expanduser(source))))  # noqa: PTH111
    named = volumes.get(source) if isinstance(volumes, dict) else None
    name = named.get("name") if isinstance(named, dict) else None
    return Path("/var/lib/docker/volumes") / one_line(str(name or f"{project}_{source}"), 200) / "_data"
