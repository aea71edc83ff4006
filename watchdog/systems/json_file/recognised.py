"""Which preset a file of jobs is of: by what its jobs look like, or, where it has none, by where it lies."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from watchdog.systems.json_file.mapping import value_at
from watchdog.systems.json_file.presets import facts
from watchdog.systems.shared.json_document import read_document
from watchdog.systems.shared.unreadable import UnreadableError

Job = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Looks:
    """What a preset's files look like. `lies_in`: what is in the path to it where nobody has moved it."""

    preset: str
    lies_in: str
    is_job: Callable[[Job], bool]


def _is_of_a_bot(job: Job) -> bool:
    """nanobot and picoclaw write almost the same; OpenClaw's jobs have a target besides."""
    schedule = job.get("schedule")
    is_plain = isinstance(schedule, Mapping) and {"kind", "everyMs", "atMs", "expr"} & schedule.keys() - {"kind"}
    return bool(is_plain) and "deleteAfterRun" in job and not {"sessionTarget", "wakeMode"} & job.keys()


def _is_nanobot(job: Job) -> bool:
    payload = job.get("payload")
    has_its_own = isinstance(payload, Mapping) and bool({"sessionKey", "channelMeta", "originChannel"} & payload.keys())
    return _is_of_a_bot(job) and (has_its_own or value_at(job, "state.runHistory") is not None)


_LOOKS = (
    _Looks("nanobot", "nanobot", _is_nanobot),
    _Looks("picoclaw", "picoclaw", lambda job: _is_of_a_bot(job) and not _is_nanobot(job)),
    _Looks("librefang", "librefang", lambda job: {"job", "consecutive_errors", "auto_disabled"} <= job.keys()),
    _Looks(
        "openfang",
        "openfang",
        lambda job: {"job", "consecutive_errors"} <= job.keys() and "auto_disabled" not in job,
    ),
    _Looks("goose", "goose", lambda job: {"cron", "source", "last_run"} <= job.keys()),
    _Looks("agent-zero", "usr/scheduler", lambda job: {"uuid", "state", "prompt"} <= job.keys()),
)


OWN = "config.json"
"""A bot's own configuration, which may name a workspace anywhere."""

_BOTS = ("nanobot", "picoclaw")


def section_of(file: Path) -> Mapping[str, object] | None:
    """What a section says that watches the file; None if it is of no preset."""
    if file.name == OWN:
        workspace = _workspace_of(file) if any(bot in file.parent.name for bot in _BOTS) else None
        known = workspace / "cron/jobs.json" if workspace else None
        return section_of(known) if known and os.path.isfile(known) else None  # noqa: PTH113 - it raises nothing
    try:
        document = read_document(file)
    except UnreadableError:
        document = None
    for looks in _LOOKS:
        usual = Path(str(facts(looks.preset)["file"]))
        jobs = _jobs(document, facts(looks.preset).get("list"))
        if _fits(looks, jobs, file, usual):
            folder = file.parents[len(usual.parts) - 1]
            named = {} if folder / usual == file else {"file": str(file)}
            more = _calls_elsewhere(folder) if looks.preset == "nanobot" else {}
            return {"preset": looks.preset, "folder": str(folder), **named, **more}
    return None


def _calls_elsewhere(workspace: Path) -> Mapping[str, object]:
    """Where nanobot keeps its calls of a model: beside its own configuration, which may name a workspace anywhere."""
    for home in (*workspace.parents, Path.home()):
        for config in _configs(home):
            if config.parent != workspace.parent and _workspace_of(config) == workspace:
                return {"model_calls": {"database": str(config.with_name("llm_usage.sqlite3"))}}
    return {}


def _configs(home: Path) -> list[Path]:
    """Of each bot that lives in a home: `~/.nanobot`, and others beside it, named like it."""
    try:
        return sorted(home.glob(f".nanobot*/{OWN}"))[:50]
    except OSError:
        return []


def _workspace_of(config: Path) -> Path | None:
    """The folder that it names; `~` is the home that it lies in."""
    try:
        named = value_at(read_document(config), "agents.defaults.workspace")
    except UnreadableError:
        return None
    if not isinstance(named, str) or not named or "\0" in named:
        return None
    found = config.parent.parent / named[2:] if named.startswith("~/") else Path(named)
    return found if found.is_absolute() else None


def _fits(looks: _Looks, jobs: Sequence[object] | None, file: Path, usual: Path) -> bool:
    if jobs:
        return any(isinstance(job, Mapping) and looks.is_job(job) for job in jobs)
    lies_there = looks.lies_in in str(file.parent).lower() and file.name == usual.name
    return lies_there and (jobs is not None or file.match(str(usual)))


def _jobs(document: object, path: str | None) -> Sequence[object] | None:
    found = value_at(document, path) if path else document
    return found if isinstance(found, list) else None
