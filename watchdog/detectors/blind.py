"""`blind`: the store can be read, and something without which a condition cannot be judged cannot be seen."""

from collections.abc import Iterator

from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Snapshot, Unseen
from watchdog.core.moment import Moment
from watchdog.detectors.rules import RulesForAll


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """At most one finding, about the source. Where nobody wants to know what is hidden, none."""
    wanted = {kind for each in snapshot.unseen for kind in each.hides if settings.is_wanted(kind)}
    unseen = [each for each in snapshot.unseen if not wanted.isdisjoint(each.hides)]
    if not unseen:
        return
    hidden = [kind.value for kind in Kind if kind in wanted]
    yield Finding(
        snapshot.source,
        Kind.BLIND,
        Severity.WARNING,
        None,
        None,
        None,
        f"{snapshot.source} shows not all: {'; '.join(map(_said, unseen))}; so {_listed(hidden)} cannot be judged",
        {"unseen": [each.what for each in unseen], "hidden": hidden},
    )


def _said(unseen: Unseen) -> str:
    return f"{unseen.what} ({unseen.help})"


def _listed(kinds: list[str]) -> str:
    return kinds[0] if len(kinds) == 1 else f"{', '.join(kinds[:-1])} and {kinds[-1]}"
