"""The least that the section of each system can say, made from the list of them: a new system is in it by itself."""

from collections.abc import Mapping

from watchdog.systems import system

_NEEDS_MORE: Mapping[str, Mapping[str, object]] = {
    "sql": {"jobs": "SELECT 1 AS id"},
    "json": {"jobs": {"id": "id"}},
}
"""What else a section cannot do without, beside the key of its store."""


def smallest(kind: str, **more: object) -> dict[str, object]:
    """A section of this kind, with what else is said."""
    return {"kind": kind, system(kind).place: "/a", **_NEEDS_MORE.get(kind, {}), **more}
