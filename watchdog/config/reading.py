"""Reading the configuration: the file as values that are checked. All that is wrong is told in one go."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from watchdog.config import kinds, yaml_file
from watchdog.config.file import Config, ConfigError, given_twice
from watchdog.config.problems import WHOLE, in_order, problems, without
from watchdog.config.sources import kind_of


def load(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """The configuration in a file. Raises ConfigError with every problem in it."""
    return checked(read(path, environment), str(path)).meant_by("-c", path)


def read(path: Path, environment: Mapping[str, str] = os.environ) -> yaml_file.Document:
    """What stands in a file, which is a mapping. Raises ConfigError."""
    try:
        found = yaml_file.load(path, environment)
    except yaml_file.YamlError as error:
        raise ConfigError([f"{path}: {problem}" for problem in error.problems]) from None
    if not isinstance(found.data, dict):
        raise ConfigError([f"{path}: it must be a mapping that begins with `sources:`"])
    return found


def _a_source() -> dict[str, object]:
    """Any, where only what stands beside the sources is looked at."""
    return {"sources": [{"kind": kinds.usual(), "name": "none", "database": "/"}]}


def _of_the_rest(error: ValidationError, data: Mapping[str, object]) -> list[yaml_file.Problem]:
    """What does not fit together in what is left without the values that are wrong by themselves.

    Where what is left is still wrong, as a source without its database is, channels and owners are held together alone.
    """
    rest = _with_all_told(without(data, error))
    people: dict[str, object] = {key: rest[key] for key in ("channels", "owners") if key in rest}
    for left in (rest, {**_a_source(), **people}):
        try:
            Config.validated(left)
        except ValidationError as further:
            if found := [(place, what) for place, what in problems(further, Config, left) if place == WHOLE]:
                return found
        else:
            break
    return []


def _with_all_told(rest: dict[str, object]) -> dict[str, object]:
    """Each owner whose `notify` was wrong tells all channels: what others name can be looked at, and none of them is
    told to have no owner for that."""
    owners, channels = rest.get("owners"), rest.get("channels")
    if not isinstance(owners, list) or not isinstance(channels, dict) or not channels:
        return rest
    told = [{"notify": [*channels], **owner} if isinstance(owner, dict) else owner for owner in owners]
    return {**rest, "owners": told}


def _as_meant(data: Mapping[str, object]) -> Mapping[str, object]:
    """The same with each source whose kind is not known as of the kind that was probably meant, so that what else is
    wrong with it can be told as well."""
    sources = data.get("sources")
    if not isinstance(sources, list):
        return data
    return {**data, "sources": [_source_as_meant(source) for source in sources]}


def _source_as_meant(source: object) -> object:
    if not isinstance(source, dict) or kind_of(source) in kinds.known():
        return source
    near = get_close_matches(kind_of(source) or "", kinds.known(), 1)
    return {**source, "kind": near[0]} if near else source


def _of_names(data: Mapping[str, object]) -> list[yaml_file.Problem]:
    """Names that several sources have, also where something else is wrong with one of them. One without is called as
    its kind."""
    sources = data.get("sources")
    entries = [entry for entry in sources if isinstance(entry, dict)] if isinstance(sources, list) else []
    names = [entry.get("name", kind_of(entry)) for entry in entries if kind_of(entry) in kinds.known()]
    return [("sources", what) for what in given_twice([name for name in names if isinstance(name, str) and name])]


def addresses(found: yaml_file.Document) -> Config | None:
    """The channels and owners of a file that is wrong elsewhere, as far as they are right: they can be tried."""
    given: dict[str, object] = {key: found.mapping[key] for key in ("channels", "owners") if key in found.mapping}
    for _ in range(2):  # without what is wrong by itself, then without owners whose channel is not there
        try:
            return Config.validated({**_a_source(), **given})
        except ValidationError as error:
            rest = without({**_a_source(), **given}, error)
            given = {key: rest[key] for key in given if key in rest}
    try:
        return Config.validated({**_a_source(), "channels": given.get("channels", {})})
    except ValidationError:
        return None


def checked(found: yaml_file.Document, where: str) -> Config:
    """What was read as typed values. Raises ConfigError with every problem, each of which begins with `where`."""
    config, wrong = judged(found)
    if config is None or wrong:
        raise error_of(wrong, found, where)
    return config


def judged(found: yaml_file.Document) -> tuple[Config | None, list[yaml_file.Problem]]:
    """What was read as typed values, where it can be, and all that is wrong with it."""
    data = found.mapping
    wrong = list(found.unset)
    try:
        return Config.validated(data), wrong
    except ValidationError as error:
        wrong += [*problems(error, Config, data), *_of_names(_as_meant(data))]
        if (meant := _as_meant(data)) == data:
            return None, [*wrong, *_of_the_rest(error, data)]
    _, more = judged(replace(found, data=meant, unset=()))
    return None, [*wrong, *more]


def error_of(wrong: Iterable[yaml_file.Problem], found: yaml_file.Document, where: str) -> ConfigError:
    """What is wrong as an error, in the order of the file; each line of it begins with `where`."""
    return ConfigError([f"{where}: {problem}" for problem in in_order(wrong, found.lines)])
