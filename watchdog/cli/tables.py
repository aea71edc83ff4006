"""What people see in a terminal: the tables of `check`, `jobs` and `fires`. Names from a database are never markup."""

import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import TypeVar

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from watchdog.cadence.plain_words import INSIDE_A_ZONE, ago, plainly, rough
from watchdog.cli.listing import Listing
from watchdog.core.action import Action
from watchdog.core.command_line import as_asked
from watchdog.core.incident import Incident, awaited
from watchdog.core.instants import say
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding, Hold, Job, Schedule
from watchdog.core.silences import Silence
from watchdog.detectors.published import Published, SourceState
from watchdog.incidents.ledger import over_at, waits_for_run
from watchdog.incidents.report import first_line, gathered, overall, to_do
from watchdog.incidents.silencing import quiet_until

Cell = TypeVar("Cell", str, Text)

STEPS = 5
"""How many next steps are shown."""

COLOURS = {"OK": "bold green", "WARNING": "bold yellow", "CRITICAL": "bold red"}
_SEVERITIES = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow"}
_STATES = {"failed": "bold red", "paused": "dim", "completed": "dim", "disabled": "dim", "unknown": "yellow"}


def findings_view(published: Published, now: datetime) -> RenderableType:
    """The verdict, and a table of what is wrong."""
    word = overall(published)
    head = Text(first_line(published).split(" | ")[0], style=COLOURS[word])
    if not published.findings:
        return head
    is_many = len(published.sources) > 1
    table = Listing("What", *_of_many(is_many, "Source"), "Since", "Why")
    steps: dict[str, None] = {}
    for alike in gathered(published.findings):
        finding, is_symptom = alike.first, alike.is_symptom
        style = "dim" if is_symptom else _SEVERITIES[finding.severity]
        table.add_row(
            Text(f"{'└ ' if is_symptom else ''}{finding.kind.value}", style=style),
            *_of_many(is_many, Text(finding.source)),
            Text(ago(finding.since, now, "")),
            Text(alike.words, style="dim" if is_symptom else ""),
        )
        if step := to_do(alike, published):
            steps[step] = None
    said = [as_asked(step, sys.argv) for step in steps]
    shown = [Text(f"To do: {step}", no_wrap=True, overflow="ignore") for step in said[:STEPS]]
    more = [Text(f"and {len(said) - STEPS} more; each job's page has its own", style="dim")] if said[STEPS:] else []
    return Group(head, Text(""), table, Text(""), *shown, *more)


def _of_many(is_many: bool, cell: Cell) -> tuple[Cell, ...]:
    """A cell that says which source is meant, where there are several."""
    return (cell,) if is_many else ()


WIDE, NARROW, NARROWEST = 90, 72, 56
"""Columns of a terminal: below them the tokens are left out, then the schedule, then the next run; never the state."""

LONGEST_PART = 14
"""Columns of a schedule that are kept for a part of it that should not be broken, as of a zone's name."""

LONGEST_NAME = 60
"""Letters of a job's name in the table; `--format json` has the whole."""


class Cadence:
    """A schedule in words. A zone's name that is longer than a line is broken between its parts."""

    def __init__(self, schedule: Schedule) -> None:
        self._words = plainly(schedule).split()

    @property
    def longest(self) -> int:
        """Columns of the longest part."""
        return max(cell_len(part) for word in self._words for part in INSIDE_A_ZONE.split(word))

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """Between its longest part and all of it."""
        return Measurement(self.longest, cell_len(" ".join(self._words))).with_maximum(options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As many words on a line as it has room for."""
        lines = [""]
        for word in self._words:
            first, *others = [word] if cell_len(word) <= options.max_width else INSIDE_A_ZONE.split(word)
            for space, part in ((" ", first), *(("", other) for other in others)):
                if cell_len(f"{lines[-1]}{space}{part}".lstrip()) > options.max_width:
                    lines.append("")
                lines[-1] = f"{lines[-1]}{space}{part}".lstrip()
        yield Text("\n".join(lines), overflow="fold")


def jobs_view(published: Published, now: datetime, width: int, without: str = "There are no jobs.") -> RenderableType:
    """Every job of every source, in a table for a terminal of this width. `without`: what is said where none is."""
    views: list[RenderableType] = []
    for state in published.sources:
        if len(published.sources) > 1 or state.snapshot.problem:
            views.append(Text(f"{state.snapshot.source} ({state.snapshot.kind})", style="bold"))
        if state.snapshot.problem:
            views.append(Text(f"cannot be read: {state.snapshot.problem}", style="bold red"))
        else:
            views.append(_jobs_table(state, now, width) if state.snapshot.jobs else Text(without))
    return Group(*views)


def _jobs_table(state: SourceState, now: datetime, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False, pad_edge=False)
    table.add_column("Job", overflow="fold", min_width=8)
    cadences = [Cadence(job.schedule) for job in state.snapshot.jobs] if width >= NARROW else []
    if cadences:
        widest = max(cadence.longest for cadence in cadences)
        table.add_column("Schedule", overflow="fold", min_width=min(max(12, widest), LONGEST_PART))
    table.add_column("Last run")
    if width >= NARROWEST:
        table.add_column("Next run")
    table.add_column("State", min_width=9)
    if width >= WIDE:
        table.add_column("Tokens", justify="right")
    for place, job in enumerate(state.snapshot.jobs):
        found = [finding for finding in state.diagnosis.findings if finding.job_id == job.id]
        table.add_row(
            Text(_short_name(job.name), style="bold" if found else ""),
            *cadences[place : place + 1],
            _last_run(job, now),
            *([Text(_next_run(job, state.snapshot.keeps_waiting(job, now), now))] if width >= NARROWEST else []),
            _state(job, found, now, state.brought_back.get(job.id)),
            *([Text(_tokens(job))] if width >= WIDE else []),
        )
    return table


def _short_name(name: str) -> str:
    return f"{name[: LONGEST_NAME - 1]}…" if len(name) > LONGEST_NAME else name


def _last_run(job: Job, now: datetime) -> Text:
    text = Text(ago(job.last_started_at, now))
    if outcome := job.last_outcome:
        text.append(f", {outcome}", style="red" if outcome == "error" else "dim")
    return text


def _next_run(job: Job, holder: Hold | None, now: datetime) -> str:
    if not job.is_planned:
        return "—"
    if job.next_run_at and job.next_run_at < now:
        behind = f"after {holder.run}; " if holder else ""
        return "after this run" if job.in_flight_since else f"{behind}was due {ago(job.next_run_at, now)}"
    return ago(job.next_run_at, now, "none")


def _state(job: Job, found: list[Finding], now: datetime, brought_back_at: datetime | None) -> Text:
    text = Text()
    if job.in_flight_since:
        text.append(f"running for {rough(now - job.in_flight_since)}", style="cyan")
    elif not found or job.state != "active":
        text.append(job.state, style=_STATES.get(job.state, "green"))
    for finding in found:
        if finding.kind.value != job.state:
            text.append(", " if text else "").append(finding.kind.value, style=_SEVERITIES[finding.severity])
    if found and brought_back_at:
        text.append(f", brought back {ago(brought_back_at, now)}", style="cyan")
    return text


def _tokens(job: Job) -> str:
    known = [count for count in (job.totals.input_tokens, job.totals.output_tokens) if count is not None]
    return _short(sum(known)) if known else "—"


def _short(count: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def incidents_view(
    incidents: Sequence[Incident],
    acknowledged: Mapping[int, tuple[datetime, str]],
    silences: Sequence[Silence],
    now: datetime,
    hold: timedelta | None,
    *,
    is_many: bool = False,
) -> RenderableType:
    """The incidents, and what is silenced. `hold`: how long one has to stay clear, where that is known. `is_many`:
    several sources are watched, so each is named."""
    views: list[RenderableType] = []
    if incidents:
        views.append(_incidents_table(incidents, acknowledged, silences, now, hold, is_many=is_many))
    else:
        views.append(Text("No incident is open.", style="green"))
    for silence in silences:
        words = f"Silence {silence.id}: {silence.match}, until {say(silence.ends_at)} ({silence.by})"
        views.append(Text(words, style="dim"))
    return Group(*views)


def _incidents_table(
    incidents: Sequence[Incident],
    acknowledged: Mapping[int, tuple[datetime, str]],
    silences: Sequence[Silence],
    now: datetime,
    hold: timedelta | None,
    *,
    is_many: bool,
) -> Listing:
    table = Listing("ID", "What", *_of_many(is_many, "Source"), "Since", "State", "Why", to_the_right=["ID"])
    for incident in incidents:
        head = incident.headline
        style = _SEVERITIES[incident.severity] if incident.is_active else "dim"
        table.add_row(
            Text(str(incident.id)),
            Text(head.kind.value, style=style),
            *_of_many(is_many, Text(incident.source)),
            Text(ago(incident.headline_since, now, "")),
            _incident_state(incident, acknowledged.get(incident.id), now, hold).append(_quiet(incident, silences, now)),
            Text(f"{as_asked(head.summary, sys.argv)}{_others(incident)}{_awaited(incident)}"),
        )
    return table


def _awaited(incident: Incident) -> str:
    is_awaited = incident.is_active and incident.awaits_proof_of(incident.headline.job_id)
    return f"; {awaited()}" if is_awaited else ""


def _incident_state(
    incident: Incident, acknowledged: tuple[datetime, str] | None, now: datetime, hold: timedelta | None
) -> Text:
    if incident.resolved_at:
        return Text(f"over {ago(incident.resolved_at, now)}", style="green")
    if not incident.is_active:
        until = now if hold is None else over_at(incident, hold)
        said = clear(None if waits_for_run(incident) else until, now)
        return Text(f"{said}{taken_on(acknowledged[1] if acknowledged else None)}", style="green")
    if acknowledged is None:
        return Text("open")
    more = "; more since" if incident.has_more_since(acknowledged[0]) else ""
    return Text(f"{acknowledged[1]} is on it{more}", style="yellow" if more else "cyan")


def taken_on(who: str | None) -> str:
    """Who is on it, as the end of a sentence; empty where nobody is."""
    return f"; {who} is on it" if who else ""


def _quiet(incident: Incident, silences: Sequence[Silence], now: datetime) -> Text:
    until = quiet_until(incident, silences, now) if incident.is_open else None
    return Text(silenced(until, now), style="dim")


_HALF_A_MINUTE = timedelta(seconds=30)
"""What has just been silenced for two hours is not said to be for one."""


def silenced(until: datetime | None, now: datetime) -> str:
    """That nobody is told of it for a time, as the end of a sentence; empty where somebody is."""
    return f", silenced for {rough(until - now + _HALF_A_MINUTE)}" if until else ""


def clear(until: datetime | None, now: datetime) -> str:
    """That nothing of an incident is so any more, and when it is over; `until` is None where that waits for a run."""
    if until is None:
        return "clear, over once its next run is well"
    return f"clear, over {ago(until, now)}" if until > now else "clear"


def _others(incident: Incident) -> str:
    jobs = {member.finding.job_id for member in incident.own} - {incident.headline.job_id}
    parts = [f"{len(jobs)} more alike"] if jobs else []
    parts += [f"{len(incident.symptoms)} late because of it"] if incident.symptoms else []
    return f" ({', '.join(parts)})" if parts else ""


def recoveries_view(
    actions: Sequence[Action], now: datetime, why_idle: str = "", *, is_many: bool = False
) -> RenderableType:
    """What was done, newest first, with its last step. `why_idle`: why nothing is done but by hand. `is_many`: several
    sources are watched, so each is named."""
    if not actions:
        by_hand = f" Nothing is done here but by hand: {why_idle}." if why_idle else ""
        return Text(f"Nothing has been done yet.{by_hand}")
    table = Listing("ID", "What", *_of_many(is_many, "Source"), "When", "State", "By", "Last step")
    for action in actions:
        state = {"verified": "green", "proposed": "cyan"}.get(action.state.value, "yellow")
        table.add_row(
            Text(str(action.id)),
            Text(f"{action.kind} {action.subject}"),
            *_of_many(is_many, Text(action.source)),
            Text(ago(action.created.at, now)),
            Text(action.standing, style=state),
            Text(action.policy if action.by == "policy" else action.by),
            Text(action.steps[-1].what if action.steps else ""),
        )
    return table


def fires_view(fires: list[datetime], now: datetime, zone: tzinfo) -> RenderableType:
    """When a schedule fires next, in its own zone."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for fire in fires:
        table.add_row(say(fire, zone), Text(ago(fire, now), style="dim"))
    return table


def screen() -> Console:
    """Standard output; colour only on a terminal, and room enough where it is a file or a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 160
    return console


def show(view: RenderableType) -> None:
    """Print to standard output."""
    screen().print(view, crop=False)  # a command that is longer than a line can be pasted all the same
