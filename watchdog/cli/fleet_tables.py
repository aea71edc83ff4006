"""The tables of what watchdogs answer over their API: all incidents of several, and one incident whole."""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from watchdog.cadence.plain_words import ago
from watchdog.cli.elsewhere import subject
from watchdog.cli.listing import Listing
from watchdog.cli.tables import clear, silenced, taken_on
from watchdog.core.action import SPOKEN, UNDER_WAY, State
from watchdog.core.command_line import PROGRAM, as_asked
from watchdog.core.incident import awaited
from watchdog.core.instants import parse_instant, say
from watchdog.remote.fleet import Answer

_STYLES = {"critical": "bold red", "warning": "yellow"}


def incidents_view(answers: Sequence[Answer]) -> RenderableType:
    """A line for each incident, worst first; and how many watchdogs have none."""
    rows = [(answer, incident) for answer in answers for incident in (answer.document or {}).get("incidents", ())]
    rows.sort(key=lambda row: (row[1]["state"] == "resolved", row[1]["severity"] != "critical", row[1]["since"]))
    answered = sum(answer.document is not None for answer in answers)
    well = sum(not answer.document["incidents"] for answer in answers if answer.document)
    foot = Text(f"{answered} of {len(answers)} have answered; {well} without an incident", style="dim")
    return Group(_table(rows), foot) if rows else foot


def _table(rows: Sequence[tuple[Answer, Mapping[str, Any]]]) -> Listing:
    is_many = _are_several(rows)
    heads = ("Watchdog", "ID", "What", *(["Source"] if is_many else []), "Since", "State", "Why")
    table = Listing(*heads, to_the_right=["ID"])
    for answer, incident in rows:
        now = parse_instant((answer.document or {})["now"])
        table.add_row(
            Text(answer.name),
            Text(str(incident["id"])),
            Text(incident["kind"], style=_style(incident)),
            *([Text(incident["source"])] if is_many else []),
            Text(ago(_headline_since(incident), now, "")),
            Text(_state(incident, now)),
            Text(f"{incident['summary']}{_awaited(incident)}"),
        )
    return table


def _are_several(rows: Sequence[tuple[Answer, Mapping[str, Any]]]) -> bool:
    """Whether one of the watchdogs tells of more than one source."""
    return len({(answer.url, row["source"]) for answer, row in rows}) > len({answer.url for answer, _ in rows})


def recoveries_view(answers: Sequence[Answer], now: datetime) -> RenderableType:
    """What was done at each of them, newest first, with its last step; and how many have done nothing."""
    rows = [(answer, one) for answer in answers for one in (answer.document or {}).get("recoveries", ())]
    rows.sort(key=lambda row: parse_instant(row[1]["created_at"]), reverse=True)
    answered = sum(answer.document is not None for answer in answers)
    idle = sum(not answer.document["recoveries"] for answer in answers if answer.document)
    foot = Text(f"{answered} of {len(answers)} have answered; {idle} without a recovery", style="dim")
    return Group(_recoveries_table(rows, now), foot) if rows else foot


def _recoveries_table(rows: Sequence[tuple[Answer, Mapping[str, Any]]], now: datetime) -> Listing:
    is_many = _are_several(rows)
    heads = ("Watchdog", "ID", "What", *(["Source"] if is_many else []), "When", "State", "By", "Last step")
    table = Listing(*heads, to_the_right=["ID"])
    for answer, one in rows:
        last = one["steps"][-1]["what"] if one["steps"] else ""
        who = one["policy"] if one["by"] == "policy" else one["by"]
        where = [one["source"]] if is_many else []
        when = ago(parse_instant(one["created_at"]), now)
        cells = (answer.name, str(one["id"]), _subject(one), *where, when, _spoken(one["state"]), who, last)
        table.add_row(*map(Text, cells))
    return table


def _awaited(incident: Mapping[str, Any]) -> str:
    is_awaited = incident["state"] == "active" and incident.get("awaits_proof")  # an older version does not say it
    return f"; {awaited()}" if is_awaited else ""


def _style(incident: Mapping[str, Any]) -> str:
    return _STYLES[incident["severity"]] if incident["state"] == "active" else "dim"


def _headline_since(incident: Mapping[str, Any]) -> datetime:
    """Since when it has been what it is called; something else of it may have been so before."""
    if said := incident.get("headline_since"):
        return parse_instant(said)
    # an older version does not say it: as near as its findings tell
    alike = [one["since"] for one in incident["findings"] if one["kind"] == incident["kind"] and one["since"]]
    return min(map(parse_instant, alike), default=parse_instant(incident["since"]))


def _state(incident: Mapping[str, Any], now: datetime) -> str:
    """How it stands; an older version does not say that it is silenced."""
    is_open, until = incident["state"] != "resolved", incident.get("silenced_until")
    return f"{_standing(incident, now)}{silenced(parse_instant(until), now) if is_open and until else ''}"


def _standing(incident: Mapping[str, Any], now: datetime) -> str:
    if incident["state"] != "active":
        if over := incident["resolved_at"]:
            return f"over {ago(parse_instant(over), now)}"
        until = incident.get("over_at")  # an older version does not say it
        ends = None if incident.get("waits_for_run") else parse_instant(until) if until else now
        return f"{clear(ends, now)}{taken_on(incident['acknowledged_by'])}"
    return f"{incident['acknowledged_by']} is on it" if incident["acknowledged_by"] else "open"


def whole_view(document: Mapping[str, Any], where: str = "") -> RenderableType:
    """An incident with its findings, its messages and what was done. `where`: that the command which helps is to be
    typed elsewhere."""
    incident, now = document["incident"], parse_instant(document["now"])
    said = f"Incident {incident['id']}: {as_asked(incident['summary'], sys.argv)}"
    head = Text(said, style=_style(incident), no_wrap=True, overflow="ignore")  # it may hold a command
    since = _headline_since(incident)
    state = _state(incident, now)
    if ended := incident.get("clear_since"):
        state = f"clear since {say(parse_instant(ended))}, {state.removeprefix('clear, ')}"
    facts = Text(f"{incident['source']}, since {say(since)} ({ago(since, now)}), {state}", style="dim")
    views: list[RenderableType] = [head, facts, Text("")]
    found = [*incident["findings"], *incident["symptoms"]]
    what = "What is so" if incident["state"] == "active" else "What was so"
    views.append(_lines(what, [(_at(one["since"]), one["kind"], one["summary"]) for one in found]))
    ended = incident.get("no_longer", ())  # an older version does not say it
    views += _not_now("Brought back", [one for one in ended if not one["ended_at"]])
    views += _not_now("No longer so", [one for one in ended if one["ended_at"]])
    views += _to_do(document.get("to_do"), where)
    if handovers := document.get("handovers"):
        views.append(_lines("Who took it on", [_handover(one) for one in handovers]))
    messages = sorted(document["messages"], key=_told_at)
    why = document.get("told_nobody")  # an older version does not say it
    nobody = f"nobody: {why}" if why else "nobody yet"
    views.append(_lines("Who was told", [_message(one) for one in messages], none=nobody))
    waiting = [one for one in document["recoveries"] if one["state"] == State.PROPOSED]
    views += _waiting(waiting, incident["id"])
    done = [row for one in document["recoveries"] if one not in waiting for row in _steps(one)]
    views.append(_lines("What was done", done))
    return Group(*views)


def _to_do(advised: Mapping[str, str] | None, where: str) -> list[RenderableType]:
    """What helps."""
    if not advised:
        return []
    head = f"To do{where if advised['command'] else ''}"
    return [Text(head, style="bold"), Text(f" {advised['words']}"), *_pasteable(advised["command"]), Text("")]


def _pasteable(command: str) -> list[RenderableType]:
    """A command on a line of its own that is not broken; nothing where there is none."""
    return [Text(f" {command}", no_wrap=True, overflow="ignore")] if command else []


def _lines(title: str, rows: Sequence[tuple[str, str, str]], none: str = "nothing") -> RenderableType:
    return Group(_titled(title, rows), Text("")) if rows else Text(f"{title}: {none}\n", style="dim")


def _titled(title: str, rows: Sequence[tuple[str, str, str]]) -> Table:
    table = Table(box=None, padding=(0, 1), show_header=False, title=title, title_justify="left", title_style="bold")
    for style in ("dim", "cyan"):
        table.add_column(no_wrap=True, style=style)
    table.add_column(overflow="fold", ratio=1)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    return table


def _not_now(what: str, ended: Sequence[Mapping[str, Any]]) -> list[RenderableType]:
    return [_lines(what, [_ended(one) for one in ended])] if ended else []


def _ended(one: Mapping[str, Any]) -> tuple[str, str, str]:
    until = f"until {_at(one['ended_at'])}" if one["ended_at"] else "not found now, over once its next run ends well"
    return _at(one["since"]), one["kind"], f"{until}: {one['summary']}"


def _handover(one: Mapping[str, Any]) -> tuple[str, str, str]:
    return _at(one["at"]), one["by"], {"taken_on": "took it on", "given_back": "gave it back"}[one["what"]]


def _told_at(one: Mapping[str, Any]) -> str:
    return str(one["settled_at"] or one["created_at"])


def _message(one: Mapping[str, Any]) -> tuple[str, str, str]:
    became = {"sent": "", "waiting": " (waits)", "sending": " (on its way)", "given_up": " (given up)"}[one["state"]]
    return _at(_told_at(one)), one["channel"], f"{one['title']}{became}{_colon(one['error'])}"


def _waiting(proposed: Sequence[Mapping[str, Any]], incident: int) -> list[RenderableType]:
    """What somebody has to allow, and the command that does."""
    if not proposed:
        return []
    rows = _titled("What waits for approval", [(_at(one["created_at"]), _subject(one), one["why"]) for one in proposed])
    which = ["--incident", str(incident)] if len(proposed) > 1 else [str(proposed[0]["id"])]
    return [rows, *_pasteable(as_asked(shlex.join([PROGRAM, "approve", *which]), sys.argv)), Text("")]


def _steps(one: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What was done one after the other, and what has come of it."""
    yield from ((_at(step["at"]), _subject(one), step["what"]) for step in one["steps"])
    known = _spoken(one["state"])
    yield "", _subject(one), f"so far: {known}" if one["state"] in UNDER_WAY else known


def _spoken(state: str) -> str:
    """The state of a recovery for people; one of a newer version as it is."""
    return next((words for known, words in SPOKEN.items() if known == state), state)


def _subject(one: Mapping[str, Any]) -> str:
    return f"{one['action']} {subject(dict(one))}"


def _colon(error: str | None) -> str:
    return f": {error}" if error else ""


def _at(instant: str | None) -> str:
    return say(parse_instant(instant)) if instant else ""
