"""The conditions, one a file. Each is a pure function of what one look found, the instant, and the thresholds.

To add one: write a file of its kind's name with `detect`, and with its `Rule` if it has thresholds; and give its kind
a row in `watchdog.core.kinds`. Of a fact that no `Job` or `Snapshot` has, docs/architecture.md says what it takes.
"""

from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Protocol

from watchdog.core.kinds import Kind
from watchdog.core.model import Finding, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.rules import Rule, RulesForAll


class Detector(Protocol):
    """Finds one condition."""

    def __call__(self, snapshot: Snapshot, now: Moment, settings: RulesForAll, /) -> Iterable[Finding]: ...


def _found() -> Iterator[tuple[Kind, ModuleType]]:
    """The file of each kind, in the table's order. A kind without one is found by what the watchdog remembers."""
    for kind in Kind:
        name = f"{__name__}.{kind.value}"
        if find_spec(name):
            yield kind, import_module(name)


def _rule(kind: Kind) -> type[Rule]:
    """The thresholds that the kind's file names; without any there is only the switch."""
    named = vars(_FILES[kind]).values() if kind in _FILES else ()
    return next((each for each in named if _is_rule_of(kind, each)), Rule)


def _is_rule_of(kind: Kind, thing: object) -> bool:
    return isinstance(thing, type) and issubclass(thing, Rule) and getattr(thing, "kind", None) is kind


_FILES: Mapping[Kind, ModuleType] = dict(_found())
DETECTORS: tuple[Detector, ...] = tuple(file.detect for file in _FILES.values())
RULES: Mapping[Kind, type[Rule]] = {kind: _rule(kind) for kind in Kind}
