"""Worlds with a configuration, and who must be told what in them: played through the very loop, and judged."""

import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from watchdog.replay.command import replay
from watchdog.replay.player import Told

World = Mapping[str, Any]
"""`config`, `reload`, `operator` (what a person does), and what is expected: `must`, `at_most`, `never`."""


def letters(case: Path, world: World, folder: Path) -> list[Told]:
    """Every message of a world, in order."""
    config, again, deeds = folder / "watchdog.yaml", folder / "again.yaml", folder / "operator.json"
    config.write_text(json.dumps(world["config"]))
    again.write_text(json.dumps(world.get("reload", world["config"])))
    said = [{**one, "args": [str(again)]} if one["do"] == "reload" else one for one in world.get("operator", ())]
    deeds.write_text(json.dumps(said))
    return [change for change in replay(case, config, deeds) if isinstance(change, Told)]


def wrongs(told: Sequence[Told], world: World) -> list[str]:
    """What should have been told and was not, and what was told and should not have been."""
    return [*_missing(told, world), *_too_many(told, world), *_forbidden(told, world)]


def _missing(told: Sequence[Told], world: World) -> Iterator[str]:
    for must in world.get("must", ()):
        faults = [_faults(one, must) for one in _near(told, must)]
        if not any(fault == [] for fault in faults):
            best = min(faults, key=len, default=["nothing was told"])
            yield f"to {must['to']} from {must['between'][0]} on: {', '.join(best)} ({must['why']})"


def _too_many(told: Sequence[Told], world: World) -> Iterator[str]:
    for most in world.get("at_most", ()):
        near = [one for one in _near(told, most) if _says(one, most.get("matching", ""))]
        if len(near) > most["count"]:
            titles = " / ".join(one.title for one in near)
            yield f"{len(near)} to {most['to']}, not {most['count']} ({most['why']}): {titles}"


def _forbidden(told: Sequence[Told], world: World) -> Iterator[str]:
    for never in world.get("never", ()):
        for one in _near(told, never):
            if _says(one, never["matching"]):
                yield f"{one.title!r} to {one.to} at {one.at} says {never['matching']} ({never['why']})"


def _near(told: Sequence[Told], wanted: Mapping[str, Any]) -> list[Told]:
    begin, end = map(datetime.fromisoformat, wanted["between"])
    return [one for one in told if begin <= one.at <= end and _is_to(one.to, wanted["to"])]


def _is_to(to: str, wanted: str | Sequence[str]) -> bool:
    """An address that is filled in for a job is named by what is filled in."""
    names = [wanted] if isinstance(wanted, str) else wanted
    return any(name in ("*", to) or to.endswith(f"={name}") for name in names)


def _faults(one: Told, must: Mapping[str, Any]) -> list[str]:
    faults = [f"does not name {name}" for name in must.get("about", ()) if not _names(one, name)]
    faults += [f"names {name}" for name in must.get("not_about", ()) if _names(one, name)]
    if must.get("severity", one.severity) != one.severity:
        faults.append(f"is {one.severity}, not {must['severity']}")
    if not _says(one, must.get("matching", "")):
        faults.append(f"does not say {must['matching']}")
    return [f"{one.title!r} {fault}" for fault in faults]


def _names(one: Told, name: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", f"{one.title}\n{one.text}") is not None


def _says(one: Told, pattern: str) -> bool:
    here = pattern.replace("{hostname}", re.escape(platform.node().split(".")[0]))
    return re.search(here, f"{one.title}\n{one.text}", re.MULTILINE) is not None
