"""What people see in a terminal: the tables of `check`, `jobs` and `fires`. Names from a database are never markup."""

import os
from datetime import datetime

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from watchdog.engine import Published, SourceState
from watchdog.instants import say
from watchdog.model import Finding, Job, Severity
from watchdog.plain_words import ago, plainly, rough
from watchdog.report import first_line, ordered, verdict

COLOURS = {"OK": "bold green", "WARNING": "bold yellow", "CRITICAL": "bold red"}
_SEVERITIES = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow"}
_STATES = {"failed": "bold red", "paused": "dim", "completed": "dim", "disabled": "dim", "unknown": "yellow"}


def findings_view(published: Published, now: datetime) -> RenderableType:
    """The verdict, and a table of what is wrong."""
    word = verdict(published.findings)
    head = Text(first_line(published).split(" | ")[0], style=COLOURS[word])
    if not published.findings:
        return head
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    for column in ("What", "Since"):
        table.add_column(column, no_wrap=True)
    table.add_column("Why", overflow="fold", ratio=1)
    for finding, is_symptom in ordered(published.findings):
        style = "dim" if is_symptom else _SEVERITIES[finding.severity]
        table.add_row(
            Text(f"{'└ ' if is_symptom else ''}{finding.kind.value}", style=style),
            Text(ago(finding.since, now, "")),
            Text(finding.summary, style="dim" if is_symptom else ""),
        )
    return Group(head, Text(""), table)


def jobs_view(published: Published, now: datetime) -> RenderableType:
    """Every job of every source."""
    views: list[RenderableType] = []
    for state in published.sources:
        if len(published.sources) > 1 or state.snapshot.problem:
            views.append(Text(f"{state.snapshot.source} ({state.snapshot.kind})", style="bold"))
        if state.snapshot.problem:
            views.append(Text(f"cannot be read: {state.snapshot.problem}", style="bold red"))
        else:
            views.append(_jobs_table(state, now) if state.snapshot.jobs else Text("There are no jobs."))
    return Group(*views)


def _jobs_table(state: SourceState, now: datetime) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
    table.add_column("Job", overflow="fold", min_width=14)
    table.add_column("Schedule", overflow="fold", ratio=1, min_width=18)
    for column in ("Last run", "Next run"):
        table.add_column(column)
    table.add_column("State")
    table.add_column("Tokens", justify="right")
    for job in state.snapshot.jobs:
        found = [finding for finding in state.diagnosis.findings if finding.job_id == job.id]
        table.add_row(
            Text(job.name, style="bold" if found else ""),
            Text(plainly(job.schedule)),
            _last_run(job, now),
            Text(_next_run(job, now)),
            _state(job, found, now),
            Text(_tokens(job)),
        )
    return table


def _last_run(job: Job, now: datetime) -> Text:
    text = Text(ago(job.last_started_at, now))
    if job.last_run and job.last_run.status:
        text.append(f", {job.last_run.status}", style="red" if job.last_run.status == "error" else "dim")
    return text


def _next_run(job: Job, now: datetime) -> str:
    if not job.is_planned:
        return "—"
    if job.next_run_at and job.next_run_at < now:
        return "after this run" if job.in_flight_since else f"was due {ago(job.next_run_at, now)}"
    return ago(job.next_run_at, now, "none")


def _state(job: Job, found: list[Finding], now: datetime) -> Text:
    text = Text()
    if job.in_flight_since:
        text.append(f"running for {rough(now - job.in_flight_since)}", style="cyan")
    elif not found or job.state != "active":
        text.append(job.state, style=_STATES.get(job.state, "green"))
    for finding in found:
        if finding.kind.value != job.state:
            text.append(", " if text else "").append(finding.kind.value, style=_SEVERITIES[finding.severity])
    return text


def _tokens(job: Job) -> str:
    known = [count for count in (job.totals.input_tokens, job.totals.output_tokens) if count is not None]
    return _short(sum(known)) if known else "—"


def _short(count: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def fires_view(fires: list[datetime], now: datetime) -> RenderableType:
    """When a schedule fires next."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for fire in fires:
        table.add_row(say(fire), Text(ago(fire, now), style="dim"))
    return table


def screen() -> Console:
    """Standard output; colour only on a terminal, and room enough where it is a file or a pipe."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 160
    return console


def show(view: RenderableType) -> None:
    """Print to standard output."""
    screen().print(view)
