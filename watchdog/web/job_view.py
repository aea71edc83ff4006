"""A job's own page: what is wrong with it, its facts, its past over time, and all that happened to it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from watchdog.cadence.plain_words import plainly, rough
from watchdog.config.file import Config
from watchdog.core.durations import say_duration
from watchdog.core.incident import Incident
from watchdog.core.instants import say
from watchdog.core.model import Hold, Job
from watchdog.incidents.report import verdict
from watchdog.state.history import KEPT_RUNS, JobKey, Run
from watchdog.web.chart import Chart, chart
from watchdog.web.deeds import Recoveries, recoveries
from watchdog.web.listing import GLYPHS, JobRow, all_runs, next_run, row
from watchdog.web.problems import Problem, problems_of
from watchdog.web.published_state import Posting
from watchdog.web.shown import Known, When, listed, many, maybe, spoken, tokens_of, when
from watchdog.web.strip import LENGTH, Cell, fires, how_many, strip

TIMELINE = 100
"""Entries of a job's timeline, unless all are asked for."""


@dataclass(frozen=True, slots=True)
class Event:
    """A row of a job's timeline."""

    at: When
    what: str
    glyph: str
    words: str
    detail: str = ""
    length: str = ""
    tokens: str = ""
    cost: str = ""


@dataclass(frozen=True, slots=True)
class JobPage:
    """A job's own page."""

    verdict: str
    now: When
    row: JobRow
    source: str
    job_id: str
    facts: tuple[tuple[str, str, When | None], ...]
    problems: tuple[Problem, ...]
    events: tuple[Event, ...]
    chart: Chart
    has_more: bool
    recoveries: Recoveries


def job_page(posting: Posting, source: str, job_id: str, known: Known, limit: int, range_name: str) -> JobPage | None:
    """All of a job's page; None if there is no such job."""
    state = next((state for state in posting.published.sources if state.snapshot.source == source), None)
    job = next((job for job in (state.snapshot.jobs if state else ()) if job.id == job_id), None)
    if state is None or job is None:
        return None
    key, now = (source, job_id), posting.at
    found = [finding for finding in posting.published.findings if (finding.source, finding.job_id) == key]
    runs = all_runs(source, job, known)
    holder = state.snapshot.keeps_waiting(job, now)
    events = _events(source, job, runs[-limit:], now, known, limit)
    return JobPage(
        verdict(found),
        when(now, now),
        row(state, job, found, now, known, length=2 * LENGTH),
        source,
        job_id,
        tuple(
            _facts(
                job, runs, holder, state.deadlines.get(job_id), _whose(state.owners.get(job_id, ""), known.config), now
            )
        ),
        problems_of(posting, known, key),
        events[:limit],
        chart(range_name, fires(job, runs, now, known.states.get(key, ()), KEPT_RUNS), now),
        len(runs) > limit or len(events) > limit,
        recoveries([one for one in known.notes.actions if (one.source, one.job_id) == key], known, now),
    )


def _whose(owner: str, config: Config | None) -> tuple[str, str]:
    """Whom a job's owner is: a name; one without a name is told on channels, which are what metrics call it by."""
    if config is None or any(one.name == owner for one in config.owners):
        return "Owner", owner
    return "Told on", listed(owner.split(","))


def _facts(
    job: Job,
    runs: Sequence[Run],
    holder: Hold | None,
    deadline: datetime | None,
    whose: tuple[str, str],
    now: datetime,
) -> Iterator[tuple[str, str, When | None]]:
    yield "Schedule", plainly(job.schedule), None
    yield "Last run", job.last_outcome, maybe(job.last_started_at, now)
    yield ("Next run", *next_run(job, now, holder))
    if deadline:
        yield "Overdue from", "", when(deadline, now)
    if job.consecutive_errors:
        limit = f" of {job.breaker.limit}" if job.breaker else ""
        yield "Errors in a row", f"{job.consecutive_errors}{limit}", None
    if job.sweep_at:
        yield "Row deleted at the first restart after", "", when(job.sweep_at, now)
    if job.delivery_status:
        yield "Delivery", job.delivery_status, None
    yield from _totals(job, runs)
    if job.last_paid_at:
        yield "Last run that cost something", "", when(job.last_paid_at, now)
    label, owner = whose
    if owner:
        yield label, owner, None
    yield "Id", job.id, None


def _totals(job: Job, runs: Sequence[Run]) -> Iterator[tuple[str, str, None]]:
    """The scheduler's own counts over the job's life. It may have begun to count anew, which nothing tells: where they
    are less than what the runs have that are on record here, which the charts show, that is said."""
    used, totals = tokens_of(job.totals), job.totals
    on_record = sum(tokens_of(run) or 0 for run in runs)
    cost = sum(run.cost_usd or 0 for run in runs)
    if totals.runs is not None:
        yield "Runs by its scheduler's count", _unless_more(totals.runs, len(runs), many), None
    if used is not None:
        yield "Tokens by its scheduler's count", _unless_more(used, on_record, many), None
    if totals.cost_usd is not None:
        yield "Cost by its scheduler's count", _unless_more(totals.cost_usd, cost, lambda usd: f"{usd:,.2f} USD"), None


def _unless_more(count: float, on_record: float, said: Callable[[float], str]) -> str:
    is_less = said(count) != said(on_record) and count < on_record
    return f"{said(count)}, not all: the runs on record here have {said(on_record)}" if is_less else said(count)


def _events(source: str, job: Job, runs: Sequence[Run], now: datetime, known: Known, limit: int) -> tuple[Event, ...]:
    """Everything that happened, newest first; fires missed in a row are one line."""
    key = (source, job.id)
    cells = strip(job, runs, now, known.states.get(key, ()), limit)
    found: list[tuple[datetime, Event]] = []
    for what, group in groupby(cells, key=lambda cell: cell.what):
        members = list(group)
        if what == "missed":
            found.append((members[-1].at, _missed(members, now, limit)))
        else:
            found += [(cell.at, _ran(cell, now)) for cell in members]
    begins = cells[0].at if cells else now
    for change in known.states.get(key, ()):
        found.append((change.at, Event(when(change.at, now), "state", "◆", f"became {change.state}")))
    for incident in known.notes.incidents:
        found += _of_past(incident, key, now)
    for action in known.notes.actions:
        if (action.source, action.job_id) == key:
            detail = f"{action.standing}: {action.steps[-1].what}" if action.steps else action.standing
            what = f"recovery {action.id}: {action.kind}"
            found.append((action.created.at, Event(when(action.created.at, now), "recovery", "↻", what, detail)))
    recent = [(at, event) for at, event in found if at >= begins or event.what == "in_flight"]
    return tuple(event for _, event in sorted(recent, key=lambda pair: pair[0], reverse=True))


def _missed(cells: Sequence[Cell], now: datetime, most: int) -> Event:
    count = f"{how_many(sum(cell.count for cell in cells), most)} fires" if len(cells) > 1 else "a fire"
    detail = f"from {say(cells[0].at)} to {say(cells[-1].at)}" if len(cells) > 1 else ""
    return Event(when(cells[-1].at, now), "missed", GLYPHS["missed"], f"missed {count}", detail)


def _ran(cell: Cell, now: datetime) -> Event:
    run = cell.run
    if run is None:
        return Event(when(cell.at, now), cell.what, GLYPHS[cell.what], cell.words, length=rough(now - cell.at))
    tokens = tokens_of(run)
    return Event(
        when(cell.at, now),
        cell.what,
        GLYPHS[cell.what],
        cell.words,
        run.error or _how_it_was_left(run),
        say_duration(run.duration) if run.duration is not None else "",
        many(tokens) if tokens is not None else "",
        f"{run.cost_usd:.4f}" if run.cost_usd is not None else "",
    )


def _how_it_was_left(run: Run) -> str:
    if run.outcome != "broken_off":
        return ""
    return f"by the restart at {say(run.ended_at)}" if run.duration is not None else "its end is on no record"


def _of_past(incident: Incident, key: JobKey, now: datetime) -> Iterator[tuple[datetime, Event]]:
    """What an incident was to this job, each thing when it was so: it may have begun as something less."""
    mine = [m for m in incident.members.values() if (m.finding.source, m.finding.job_id) == key]
    mine.sort(key=lambda member: (member.first_seen, member.finding.kind.row.rank))
    for at, together in groupby(mine, key=lambda member: member.first_seen):
        kinds = ", ".join(spoken(member.finding.kind) for member in together)
        began = f"incident {incident.id} {_beginning(incident, at, is_first=at == mine[0].first_seen)}: {kinds}"
        yield at, Event(when(at, now), "incident", "▲", began)
    if mine and incident.resolved_at:
        kinds = ", ".join(dict.fromkeys(spoken(member.finding.kind) for member in mine))
        over = f"incident {incident.id} over: {kinds}"
        yield incident.resolved_at, Event(when(incident.resolved_at, now), "resolved", "△", over)
    for member in mine:
        kind = spoken(member.finding.kind)
        for number, (again, ended) in enumerate(member.spells):
            if number:
                yield again, Event(when(again, now), "incident", "▲", f"incident {incident.id}: {kind} again")
            if ended:
                yield ended, Event(when(ended, now), "resolved", "△", f"incident {incident.id}: no longer {kind}")


def _beginning(incident: Incident, at: datetime, *, is_first: bool) -> str:
    if not is_first:
        return "became"
    return "began" if at <= incident.opened_at else "took it in"
