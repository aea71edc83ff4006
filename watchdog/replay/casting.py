"""Which configuration plays a case: the one that is given, its source pointed at the files of the case; or the
defaults."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from watchdog.config import reading
from watchdog.config.file import Config, ConfigError
from watchdog.config.sources import kind_of
from watchdog.config.yaml_file import Document
from watchdog.replay.case import Case
from watchdog.systems import KINDS, system

PLACEHOLDER = "CASE"
"""What stands in a configuration for the played database or folder."""

_ELSEWHERE = ("dsn", "dsn_file", "store", "lock", "health")
"""What of a source would lead out of the case."""


def cast(case: Case, path: Path | None, folder: Path) -> Config:
    """The configuration to play a case with. Raises ConfigError."""
    if case.kind not in KINDS:
        known = ", ".join(sorted(KINDS))
        raise ConfigError([f"{case.path}: a case of kind {case.kind!r:.60} cannot be played; known here: {known}"])
    if path is None:
        own = {**_own(folder), "sources": [_by_default(case, folder)]}
        return reading.checked(Document(own), str(case.path))
    found = reading.read(path, os.environ)
    data = found.mapping
    cast_ = {**data, **_own(folder, data.get("http")), "sources": _pointed(data, case, folder)}
    return reading.checked(replace(found, data=cast_), str(path)).meant_by("-c", path)


def _own(folder: Path, http: object = None) -> dict[str, object]:
    """What a replay has for itself whatever stands in the file; messages link to where they would."""
    kept = {"public_url": http["public_url"]} if isinstance(http, dict) and "public_url" in http else {}
    return {"state": str(folder / "replay-state.db"), "http": kept}


def _by_default(case: Case, folder: Path) -> dict[str, object]:
    zone = case.source.get("timezone")
    return {
        "name": case.source.get("name") or case.kind,
        "kind": case.kind,
        **({"timezone": zone} if zone else {}),
        **{key: case.source[key] for key in ("jobs", "runs", "cron") if key in case.source},
        **_place(case, folder),
    }


def _place(case: Case, folder: Path) -> dict[str, object]:
    played, root = system(case.kind), folder / "case"
    return {played.place: str(root if played.is_folder else root / _database(case))}


def _database(case: Case) -> str:
    named = case.source.get("database")
    return named if isinstance(named, str) and named else f"{case.kind}.db"


def _pointed(data: Mapping[str, object], case: Case, folder: Path) -> list[dict[str, Any]]:
    """The source that is meant: the one that says CASE, else the first of its kind; the others cannot be played."""
    given = data.get("sources")
    sources = [source for source in given if isinstance(source, dict)] if isinstance(given, list) else []
    mine = [source for source in sources if kind_of(source) == case.kind]
    meant = next((source for source in mine if PLACEHOLDER in source.values()), mine[0] if mine else None)
    if meant is None:
        return [_by_default(case, folder)]
    kept = {key: value for key, value in meant.items() if key not in _ELSEWHERE}
    return [{**kept, **_place(case, folder)}]
