"""What stands in the file under `sources`: a section each, of the class that its kind says."""

import hashlib
from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar

from watchdog.config import kinds
from watchdog.config.fields import Name, WebAddress
from watchdog.core.fields import Frozen, Mark, Secret, bounds

LOOK_LIMIT = timedelta(seconds=5)
"""How long a look at a source may take before it counts as not to be read."""


class Section(Frozen):
    """One watched scheduler, as the operator describes it; each system adds keys of its own.

    `actions`: what recovery can do to a job there, beside what can be done anywhere. `health_says`: what stands in the
    answer of its health address, whoever answers else. `names_jobs`: the keys that say which jobs are meant; where one
    of them changes, other jobs are looked at.

    `kind`: which kind of scheduler it is. `name`: what it is called in messages and metrics; names must differ.
    `labels`: words of your own, by which owners are chosen and which metrics carry. `health`: an address of the
    scheduler's that is asked while something is late. `expect`: names, or patterns like `morning-*`, of jobs that must
    be there and enabled.
    """

    actions: ClassVar[tuple[str, ...]] = ()
    health_says: ClassVar[tuple[str, ...]] = ("status",)
    names_jobs: ClassVar[tuple[str, ...]] = ("database",)
    examples: ClassVar[Mapping[str, str]] = {}

    kind: str
    name: Name
    labels: Mapping[str, str] = field(default_factory=dict)
    health: WebAddress | None = None
    expect: tuple[Annotated[str, bounds(min_length=1)], ...] = ()

    @property
    def identity(self) -> str:
        """What is the same as long as the same jobs are meant, by `names_jobs`. It shows nothing of those."""
        values = [getattr(self, key) for key in self.names_jobs]
        plain = [value.get_secret_value() if isinstance(value, Secret) else str(value) for value in values]
        return hashlib.sha256("\0".join([self.kind, *plain]).encode()).hexdigest()[:16]

    @property
    def places(self) -> Mapping[str, Path]:
        """The paths that are given, by their keys, as they are meant."""
        return {key: value for key, value in vars(self).items() if isinstance(value, Path)}

    @property
    def look_limit(self) -> timedelta:
        """How long a look at it may take."""
        return LOOK_LIMIT


def kind_of(source: object) -> str | None:
    """The kind that a section says; the usual one where it says nothing, None where it says what cannot be one."""
    usual = kinds.usual()
    kind = source.get("kind", usual) if isinstance(source, Mapping) else getattr(source, "kind", usual)
    return kind if isinstance(kind, str) else None


def _of_its_kind(source: object, handler: object) -> Section:
    if isinstance(source, Section):
        return source
    kind, known = kind_of(source), kinds.known()
    if kind not in known:
        import difflib  # for a mistake only, and never in the service

        near = difflib.get_close_matches(kind or "", known, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        from pydantic_core import PydanticCustomError

        raise PydanticCustomError("kind", "should be " + ", ".join(map(repr, known[:-1])) + f" or {known[-1]!r}{hint}")
    return kinds.section_of(kind).validated(source)


AnySource = Annotated[Section, Mark("WrapValidator", _of_its_kind)]
"""One watched scheduler. `kind` says which class it is of."""
