"""How documents stood before format 2 of the state file, which wrote each by hand. They are read as they are."""

from collections.abc import Mapping
from typing import Any

FIELDS = frozenset({"source", "kind", "severity", "job_id", "job", "since", "summary", "evidence", "caused_by"})
"""Fields of a finding, which stood among its member's own."""


def member(part: Mapping[str, Any]) -> dict[str, Any]:
    """A member of an incident with its finding as a document of its own."""
    if "finding" in part:
        return dict(part)
    finding = {name: value for name, value in part.items() if name in FIELDS}
    cause = finding.get("caused_by")
    if isinstance(cause, list):
        finding["caused_by"] = dict(zip(("kind", "job_id", "job"), cause, strict=False))
    return {"finding": finding, **{name: value for name, value in part.items() if name not in FIELDS}}


def action(document: Mapping[str, Any]) -> dict[str, Any]:
    """An action with its stamps and steps as documents of their own; they were lists."""
    changed = dict(document)
    for name in ("created", "begun", "settled"):
        if isinstance(changed.get(name), list):
            changed[name] = dict(zip(("at", "uptime", "boot"), changed[name], strict=False))
    steps = changed.get("steps")
    if isinstance(steps, list):
        changed["steps"] = [_step(step) for step in steps]
    return changed


def _step(step: object) -> object:
    return dict(zip(("at", "what"), step, strict=False)) if isinstance(step, list) else step
