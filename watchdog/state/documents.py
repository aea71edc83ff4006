"""The nouns as JSON documents, and back: one way for all of them, made from their types.

A document that this version cannot read (a kind, a state or a field without which it means nothing) is None to its
reader, who leaves it where it is. What is read keeps, when it is written again, the fields that this version does not
know: see `carried`.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from watchdog.core.action import Action
from watchdog.core.incident import Incident, Member
from watchdog.core.model import Finding
from watchdog.state import earlier
from watchdog.state.plain import plain, reader

T = TypeVar("T")

Document = dict[str, Any]


def written(things: Sequence[object]) -> list[Document]:
    """The nouns as plain values: instants as ISO text, durations as seconds."""
    return [plain(thing) for thing in things]


def text_of(thing: object) -> str:
    """One noun, or plain value, as the text of its document."""
    return json.dumps(plain(thing), ensure_ascii=False, separators=(",", ":"))


def readable(kind: type[T], document: object) -> T | None:
    """The noun of plain values; None if this version cannot make one of it."""
    try:
        thing: T = reader(kind)(document)
    except ValueError:
        return None
    return thing


def parsed(text: object) -> Document:
    """The document of a row; an empty one if what stands there is none."""
    try:
        document = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def carried(kind: type[Any], before: Mapping[str, Any], now: Document) -> Document:
    """The document as it is written now, with the fields of the one before that this version does not know."""
    return {**{name: before[name] for name in before.keys() - _names(kind)}, **now}


def _names(kind: type[Any]) -> set[str]:
    return {field.name for field in fields(kind)}


# incidents: the members stand in a list, each read by itself


def write_incidents(incidents: Sequence[Incident]) -> list[Document]:
    """The incidents' documents."""
    plain = written([replace(incident, members={}) for incident in incidents])
    for document, incident in zip(plain, incidents, strict=True):
        document["members"] = written(list(incident.members.values()))
    return plain


def read_incident(document: Mapping[str, Any]) -> Incident | None:
    """The incident as far as it can be read; None if nothing of it can."""
    parts = [readable(Member, earlier.member(part)) for part in _members(document)]
    members = {member.finding.key: member for member in parts if member is not None}
    incident = readable(Incident, {**document, "members": {}})
    if incident is None or (parts and not members):
        return None
    return replace(incident, members=members)


def _members(document: Mapping[str, Any]) -> list[Document]:
    members = document.get("members")
    return [part for part in members if isinstance(part, dict)] if isinstance(members, list) else []


def has_more(document: Mapping[str, Any], incident: Incident) -> bool:
    """Whether a newer version has written something into the document that is no field of ours."""
    parts = [earlier.member(part) for part in _members(document)]
    return (
        len(parts) != len(incident.members)
        or not document.keys() <= _names(Incident)
        or any(not part.keys() <= _names(Member) or not part["finding"].keys() <= _names(Finding) for part in parts)
    )


def merged_incident(before: Mapping[str, Any], now: Document) -> Document:
    """The document as it is written now, with what the one before has that this version does not understand."""
    parts = [earlier.member(part) for part in _members(before)]
    unread = [part for part in parts if readable(Member, part) is None]
    known = {_key(part): part for part in parts}
    members = [_merged_member(known.get(_key(part), {}), part) for part in now["members"]]
    return {**carried(Incident, before, now), "members": [*members, *unread]}


def _merged_member(before: Mapping[str, Any], now: Document) -> Document:
    finding = carried(Finding, before.get("finding", {}), now["finding"])
    return {**carried(Member, before, now), "finding": finding}


def _key(part: Mapping[str, Any]) -> tuple[object, ...]:
    finding = part.get("finding")
    return tuple(finding.get(name) for name in ("source", "kind", "job_id")) if isinstance(finding, dict) else ()


# actions: what a row held may be bytes


def write_action(action: Action) -> Document:
    """The action's document."""
    document = written([replace(action, seen=packed(action.seen))])[0]
    del document["id"]
    return document


def read_action(number: int, document: Mapping[str, Any]) -> Action | None:
    """The action of a document; None if this version does not know such."""
    action = readable(Action, {**earlier.action(document), "id": number})
    return replace(action, seen=unpacked(action.seen)) if action is not None else None


def packed(row: Mapping[str, object]) -> dict[str, object]:
    """A row as JSON; bytes survive it."""
    return {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def unpacked(row: Mapping[str, Any]) -> dict[str, object]:
    """The row again."""
    return {
        name: base64.b64decode(value["base64"]) if isinstance(value, dict) and "base64" in value else value
        for name, value in row.items()
    }
