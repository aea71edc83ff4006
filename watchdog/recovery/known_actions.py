"""What the systems of the configured sources say of the actions that policies and people ask for."""

from collections.abc import Iterable, Mapping
from typing import Any

from watchdog.config.policies import ANYWHERE
from watchdog.config.sources import Section
from watchdog.core.action import Action
from watchdog.systems import KINDS, system, system_of
from watchdog.systems.shared.acting import Acting, ActionKind, Definitions


def acting_of(source: Section) -> Acting[Any] | None:
    """What can be done about the jobs of a source, where something can."""
    return system_of(source).acting


def definitions_of(source: Section) -> Definitions[Any] | None:
    """How its failed jobs are kept and put back, where its scheduler sweeps them."""
    acting = acting_of(source)
    return acting.definitions if acting else None


class KnownActions:
    """The actions that can be done in each source of a configuration."""

    def __init__(self, sources: Iterable[Section]) -> None:
        self._of_source = {source.name: _kinds(acting_of(source)) for source in sources}

    def at(self, source: str) -> Mapping[str, ActionKind]:
        """The actions of a source, by what a policy calls them."""
        return self._of_source.get(source, {})

    def of(self, action: Action) -> ActionKind | None:
        """What is known of one that was written down; also where its source is another by now, or is gone."""
        if action.kind in ANYWHERE:
            return None
        there = self.at(action.source).get(action.kind)
        others = (kinds[action.kind] for kinds in map(_kinds_there, KINDS) if action.kind in kinds)
        return there or next(others, None)

    def is_half_done(self, action: Action) -> bool:
        """Whether its first step was done, and its last must be done yet whatever happens."""
        kind = self.of(action)
        return kind is not None and kind.is_half_done(action)

    def frees(self, action: Action) -> bool:
        """Whether it switches a job off, which must be switched on again."""
        kind = self.of(action)
        return kind is not None and kind.frees


def _kinds(acting: Acting[Any] | None) -> Mapping[str, ActionKind]:
    return acting.kinds if acting else {}


def _kinds_there(kind: str) -> Mapping[str, ActionKind]:
    return _kinds(system(kind).acting)
