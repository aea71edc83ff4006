"""Which folders of this machine the services in a file of Docker Compose mount."""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from watchdog.core.redaction import one_line
from watchdog.systems.shared.plain_file import read_bytes
from watchdog.systems.shared.unreadable import UnreadableError

FILE = re.compile(r"(?:docker-)?compose[\w.-]*\.ya?ml")
"""Their names."""

_VOLUMES = (
    "/var/lib/docker/volumes",
    "~/.local/share/docker/volumes",
    "~/.local/share/containers/storage/volumes",
    "/var/lib/containers/storage/volumes",
)
"""Where named volumes are kept: by Docker, by one without root, by Podman."""

_VARIABLE = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)(?:(:?[-+?])([^}]*))?\})")


def mounted(file: Path, environment: Mapping[str, str]) -> Iterator[Path]:
    """The folders that its services mount, and its named volumes where they are kept."""
    variables = {**_dotenv(file.with_name(".env")), **environment}
    try:
        document: Any = yaml.safe_load(read_bytes(file))
        services = list(document["services"].values())
        project = str(document.get("name") or variables.get("COMPOSE_PROJECT_NAME") or file.parent.name)
        volumes = document.get("volumes") or {}
    except (UnreadableError, yaml.YAMLError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return
    for service in services:
        listed = service.get("volumes") if isinstance(service, dict) else None
        for each in listed if isinstance(listed, list) else []:
            source = each.get("source") if isinstance(each, dict) else _source(filled(str(each), variables))
            if isinstance(source, str) and "\0" not in source and (source := filled(source, variables)):
                yield from _on_this_machine(source, file.parent, filled(project, variables), volumes, variables)


def _source(entry: str) -> str:
    return entry.partition(":")[0]


def filled(text: str, variables: Mapping[str, str]) -> str:
    """With its variables written out, as Compose does it: `$A`, `${A}`, `${A:-else}`, `${A:+instead}`, `$$`."""
    return _VARIABLE.sub(lambda found: _value(found, variables), text)


def _value(found: re.Match[str], variables: Mapping[str, str]) -> str:
    dollar, short, long, how, rest = found.groups()
    value = variables.get(short or long or "")
    is_given = bool(value) if how and how.startswith(":") else value is not None
    if dollar:
        return "$"
    if how and how.endswith("+"):
        return rest if is_given else ""
    return (value or "") if is_given or not how else rest if how.endswith("-") else ""


def _dotenv(file: Path) -> Mapping[str, str]:
    """What stands in the `.env` beside it."""
    try:
        lines = read_bytes(file).decode("utf-8", "replace").splitlines()
    except UnreadableError:
        return {}
    pairs = (line.strip().removeprefix("export ").partition("=") for line in lines if not line.strip().startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, sign, value in pairs if sign}


def _on_this_machine(
    source: str, folder: Path, project: str, volumes: object, variables: Mapping[str, str]
) -> Iterator[Path]:
    if source.startswith((".", "/", "~")):
        yield _whole(source, folder)
        return
    named = volumes.get(source) if isinstance(volumes, dict) else None
    options = named.get("driver_opts") if isinstance(named, dict) else None
    device = options.get("device") if isinstance(options, dict) else None
    if isinstance(device, str) and filled(device, variables).startswith("/"):
        yield Path(filled(device, variables))
        return
    name = named.get("name") if isinstance(named, dict) else None
    known = one_line(filled(str(name), variables) if name else f"{_plain(project)}_{source}", 200)
    for place in _VOLUMES:
        yield _whole(place, folder) / known / "_data"


def _whole(source: str, folder: Path) -> Path:
    return Path(os.path.normpath(folder / Path(os.path.expanduser(source))))  # noqa: PTH111


def _plain(project: str) -> str:
    """The name of a project as Compose has it."""
    return re.sub(r"[^a-z0-9_-]", "", project.lower()).lstrip("_-")
