"""What the page shows, worked out before any template: pure, from a posting and what the state file tells."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from urllib.parse import quote

from watchdog.cadence.plain_words import ago, plainly, rough
from watchdog.config.file import Config
from watchdog.core.action import Action, State
from watchdog.core.durations import say_duration
from watchdog.core.incident import Incident
from watchdog.core.instants import iso, say
from watchdog.core.kinds import Severity
from watchdog.core.model import STATES, Finding, Job
from watchdog.detectors.published import Published
from watchdog.incidents.report import ordered, verdict
from watchdog.state.history import JobKey, Run, StateChange, runs_of
from watchdog.systems.remedy import revive_command
from watchdog.web import advice
from watchdog.web.archive import Notes
from watchdog.web.published_state import Posting
from watchdog.web.strip import LENGTH, WORDS, Cell, how_many, in_words, strip

_GLYPHS = {"worked": "✓", "no_tokens": "0", "error": "×", "missed": "–", "in_flight": "▸"}
LISTED = 20
"""Symptoms and like jobs that are named under an incident."""


@dataclass(frozen=True, slots=True)
class When:
    """An instant for a `time` element: for programs, for people, and how long ago."""

    iso: str
    said: str
    ago: str


@dataclass(frozen=True, slots=True)
class Mark:
    """One cell of a strip."""

    what: str
    glyph: str
    title: str


@dataclass(frozen=True, slots=True)
class Line:
    """A finding inside a problem."""

    kind: str
    summary: str
    url: str
    name: str


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong: an open incident, or a finding that is in none."""

    key: str
    severity: str
    title: str
    summary: str
    since: When | None
    url: str
    number: int | None
    state: str
    acknowledged: str
    advice: advice.Advice
    acknowledge: str
    silence: str
    match: str
    alike: tuple[Line, ...] = ()
    symptoms: tuple[Line, ...] = ()
    more: int = 0
    revivable: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job in the table."""

    name: str
    url: str
    state: str
    kinds: tuple[tuple[str, str], ...]
    running: str
    cadence: str
    last: When | None
    last_status: str
    next: When | None
    next_words: str
    cells: tuple[Mark, ...]
    strip: str


@dataclass(frozen=True, slots=True)
class SourceBlock:
    """A scheduler with its jobs."""

    name: str
    kind: str
    problem: str
    jobs: tuple[JobRow, ...]


@dataclass(frozen=True, slots=True)
class Deed:
    """A recovery."""

    id: int
    title: str
    state: str
    by: str
    why: str
    when: When
    steps: tuple[tuple[When, str], ...]
    is_proposed: bool


@dataclass(frozen=True, slots=True)
class Front:
    """The first page."""

    verdict: str
    headline: str
    now: When
    problems: tuple[Problem, ...]
    sources: tuple[SourceBlock, ...]
    deeds: tuple[Deed, ...]
    over: tuple[tuple[Incident, When, When], ...]
    silences: tuple[tuple[str, When, str], ...]


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
class Bar:
    """A run's tokens in the small chart; all in the chart's own units."""

    x: int
    height: int
    what: str
    title: str


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
    bars: tuple[Bar, ...]
    most_tokens: str
    has_more: bool
    deeds: tuple[Deed, ...]


@dataclass(frozen=True)
class Known:
    """What stands beside the posting."""

    notes: Notes = field(default_factory=Notes)
    runs: Mapping[JobKey, Sequence[Run]] = field(default_factory=dict)
    states: Mapping[JobKey, Sequence[StateChange]] = field(default_factory=dict)
    config: Config | None = None
    can_revive: bool = False


def job_url(source: str, job_id: str) -> str:
    """The address of a job's own page."""
    return f"/jobs/{quote(source, safe='')}/{quote(job_id, safe='')}"


def when(instant: datetime, now: datetime) -> When:
    """An instant as the page shows it."""
    return When(iso(instant), say(instant), ago(instant, now))


def _maybe(instant: datetime | None, now: datetime) -> When | None:
    return when(instant, now) if instant else None


# the first page


def front(posting: Posting, known: Known) -> Front:
    """All of the first page."""
    now, published = posting.at, posting.published
    recent = [i for i in known.notes.incidents if i.resolved_at and now - i.resolved_at <= timedelta(days=7)]
    return Front(
        verdict(published.findings),
        _headline(published),
        when(now, now),
        problems(posting, known),
        tuple(_block(posting, index, known) for index in range(len(published.sources))),
        tuple(_deed(action, now) for action in known.notes.actions if _is_news(action, now)),
        tuple((i, when(i.since, now), when(i.resolved_at, now)) for i in recent[:10] if i.resolved_at),
        tuple((s.match, when(s.ends_at, now), s.by) for s in known.notes.silences if s.ends_at > now),
    )


def _headline(published: Published) -> str:
    findings = published.findings
    jobs = sum(len(state.snapshot.jobs) for state in published.sources)
    if not findings:
        return "There are no jobs." if not jobs else "All is well." if jobs > 1 else "The job is well."
    own = [finding for finding in findings if finding.caused_by is None] or list(findings)
    grave = sum(finding.severity is Severity.CRITICAL for finding in own)
    late = len(findings) - len(own)
    parts = [f"{grave} critical"] if grave else []
    parts += [f"{len(own) - grave} {'warning' if len(own) - grave == 1 else 'warnings'}"] if len(own) > grave else []
    parts += [f"{late} late because of it"] if late else []
    return ", ".join(parts)


def _is_news(action: Action, now: datetime) -> bool:
    return action.is_under_way or action.state is State.PROPOSED or now - action.created.at <= timedelta(days=2)


def problems(posting: Posting, known: Known, job: JobKey | None = None) -> tuple[Problem, ...]:
    """What is wrong, the gravest and newest first; of one job only if it is named."""
    shown = [
        _of_incident(incident, posting, known) for incident in _by_gravity(posting.incidents) if _about(incident, job)
    ]
    told = {member for incident in posting.incidents for member in incident.members}
    loose = [finding for finding, _ in ordered(posting.published.findings) if finding.key not in told]
    shown += [_of_finding(f, posting, known) for f in loose if job is None or (f.source, f.job_id) == job]
    return tuple(shown)


def _by_gravity(incidents: Sequence[Incident]) -> list[Incident]:
    return sorted(incidents, key=lambda i: (not i.is_active, i.severity is not Severity.CRITICAL, -i.id))


def _about(incident: Incident, job: JobKey | None) -> bool:
    return job is None or any((m.finding.source, m.finding.job_id) == job for m in incident.members.values())


def _of_incident(incident: Incident, posting: Posting, known: Known) -> Problem:
    head = incident.headline
    own = [member.finding for member in incident.own if member.finding is not head]
    symptoms = [member.finding for member in incident.symptoms]
    acknowledged = known.notes.acknowledged.get(incident.id)
    base = _of_finding(head, posting, known)
    since = when(incident.since, posting.at)
    return Problem(
        f"incident-{incident.id}",
        incident.severity.value,
        base.title,
        base.summary,
        since,
        base.url,
        incident.id,
        "active" if incident.is_active else "clearing",
        acknowledged[1] if acknowledged else "",
        base.advice,
        advice.acknowledge(incident, known.config),
        base.silence,
        base.match,
        tuple(_line(finding) for finding in own[:LISTED]),
        tuple(_line(finding) for finding in symptoms[:LISTED]),
        max(0, len(own) - LISTED) + max(0, len(symptoms) - LISTED),
        base.revivable if incident.is_active else None,
    )


def _of_finding(finding: Finding, posting: Posting, known: Known) -> Problem:
    systems = {state.snapshot.source: state.snapshot.kind for state in posting.published.sources}
    system = systems.get(finding.source, "")
    is_revivable = known.can_revive and bool(revive_command(finding, system))
    return Problem(
        f"finding-{finding.kind.value}-{quote(finding.source, safe='')}-{quote(finding.job_id or '', safe='')}",
        finding.severity.value,
        f"{finding.job or finding.source}: {finding.kind.value.replace('_', ' ')}",
        finding.summary,
        _maybe(finding.since, posting.at),
        job_url(finding.source, finding.job_id) if finding.job_id else "",
        None,
        "active",
        "",
        advice.advise(finding, known.config, system),
        "",
        advice.silence(finding, known.config),
        advice.match_of(finding),
        revivable=(finding.source, finding.job_id or "") if is_revivable else None,
    )


def _line(finding: Finding) -> Line:
    url = job_url(finding.source, finding.job_id) if finding.job_id else ""
    return Line(finding.kind.value.replace("_", " "), finding.summary, url, finding.job or finding.source)


def _block(posting: Posting, index: int, known: Known) -> SourceBlock:
    state = posting.published.sources[index]
    found: dict[str | None, list[Finding]] = {}
    for finding in state.diagnosis.findings:
        found.setdefault(finding.job_id, []).append(finding)
    jobs = sorted(state.snapshot.jobs, key=lambda job: (_rank(job, found.get(job.id, [])), job.name.casefold()))
    return SourceBlock(
        state.snapshot.source,
        state.snapshot.kind,
        state.snapshot.problem or "",
        tuple(_row(state.snapshot.source, job, found.get(job.id, []), posting.at, known) for job in jobs),
    )


def _rank(job: Job, found: Sequence[Finding]) -> int:
    if any(finding.severity is Severity.CRITICAL for finding in found):
        return 0
    if found:
        return 1
    return 2 if job.is_planned else 3


def _row(source: str, job: Job, found: Sequence[Finding], now: datetime, known: Known, length: int = LENGTH) -> JobRow:
    cells = cells_of(source, job, now, known, length)
    return JobRow(
        job.name,
        job_url(source, job.id),
        job.state if job.state in STATES else "unknown",
        tuple((f.kind.value.replace("_", " "), f.severity.value) for f in found if f.kind.value != job.state),
        rough(now - job.in_flight_since) if job.in_flight_since else "",
        plainly(job.schedule),
        _maybe(job.last_started_at, now),
        (job.last_run.status or "") if job.last_run and not job.in_flight_since else "",
        _maybe(job.next_run_at if job.is_planned else None, now),
        _next(job, now),
        tuple(_mark(cell, now) for cell in cells),
        in_words(cells),
    )


def _next(job: Job, now: datetime) -> str:
    """What is said before the instant, or in its place."""
    if not job.is_planned or job.next_run_at is None:
        return "never, as it is" if job.state in ("failed", "active") else "not planned"
    if job.next_run_at >= now:
        return ""
    return "after this run; was due" if job.in_flight_since else "was due"


def cells_of(source: str, job: Job, now: datetime, known: Known, length: int = LENGTH) -> tuple[Cell, ...]:
    """A job's strip, from what was written down and what the snapshot tells."""
    key = (source, job.id)
    return strip(job, _merged(known.runs.get(key, ()), runs_of(source, job)), now, known.states.get(key, ()), length)


def _merged(kept: Sequence[Run], shown: Sequence[Run]) -> list[Run]:
    """What is written down, and what is not yet."""
    runs = {run.ended_at: run for run in shown}
    runs |= {run.ended_at: run for run in kept}
    return [runs[at] for at in sorted(runs)]


def _mark(cell: Cell, now: datetime) -> Mark:
    if cell.count > 1:
        return Mark(cell.what, "…", f"{cell.count} or more missed, until then")
    return Mark(cell.what, _GLYPHS[cell.what], f"{WORDS[cell.what]}, {say(cell.at)} ({ago(cell.at, now)})")


def _deed(action: Action, now: datetime) -> Deed:
    return Deed(
        action.id,
        f"{action.kind} {action.subject}",
        action.state.value,
        action.policy if action.by == "policy" else action.by,
        action.why,
        when(action.created.at, now),
        tuple((when(step.at, now), step.what) for step in action.steps[-30:]),
        action.state is State.PROPOSED,
    )


def _many(count: int) -> str:
    """A number with its thousands apart."""
    return f"{count:,}".replace(",", "\u202f")


# a job's own page

CHART_HEIGHT = 40
BARS = 60


def job_page(posting: Posting, source: str, job_id: str, known: Known, limit: int) -> JobPage | None:
    """All of a job's page; None if there is no such job."""
    state = next((state for state in posting.published.sources if state.snapshot.source == source), None)
    job = next((job for job in (state.snapshot.jobs if state else ()) if job.id == job_id), None)
    if state is None or job is None:
        return None
    found = [finding for finding in posting.published.findings if (finding.source, finding.job_id) == (source, job_id)]
    runs = _merged(known.runs.get((source, job_id), ()), runs_of(source, job))
    bars, most = _bars(runs)
    deeds = [action for action in known.notes.actions if (action.source, action.job_id) == (source, job_id)]
    return JobPage(
        verdict(found),
        when(posting.at, posting.at),
        _row(source, job, found, posting.at, known, length=2 * LENGTH),
        source,
        job_id,
        tuple(_facts(job, state.deadlines.get(job_id), state.owners.get(job_id, ""), posting.at)),
        problems(posting, known, (source, job_id)),
        _events(source, job, runs, posting.at, known, limit),
        bars,
        most,
        len(known.runs.get((source, job_id), ())) >= limit,
        tuple(_deed(action, posting.at) for action in deeds),
    )


def _facts(job: Job, deadline: datetime | None, owner: str, now: datetime) -> Iterator[tuple[str, str, When | None]]:
    yield "Cadence", plainly(job.schedule), None
    status = job.last_run.status if job.last_run and not job.in_flight_since else None
    yield "Last run", status or "", _maybe(job.last_started_at, now)
    yield "Next run", _next(job, now), _maybe(job.next_run_at if job.is_planned else None, now)
    if deadline:
        yield "Overdue from", "", when(deadline, now)
    if job.consecutive_errors:
        limit = f" of {job.breaker.limit}" if job.breaker else ""
        yield "Errors in a row", f"{job.consecutive_errors}{limit}", None
    if job.sweep_at:
        yield "Row deleted at the first restart after", "", when(job.sweep_at, now)
    if job.delivery_status:
        yield "Delivery", job.delivery_status, None
    if job.totals.runs is not None:
        yield "Runs in all", str(job.totals.runs), None
    tokens = [count for count in (job.totals.input_tokens, job.totals.output_tokens) if count is not None]
    if tokens:
        yield "Tokens in all", _many(sum(tokens)), None
    if job.totals.cost_usd is not None:
        yield "Cost in all", f"{job.totals.cost_usd:.2f} USD", None
    if job.last_paid_at:
        yield "Last run that cost something", "", when(job.last_paid_at, now)
    if owner:
        yield "Owner", owner, None
    yield "Id", job.id, None


def _bars(runs: Sequence[Run]) -> tuple[tuple[Bar, ...], str]:
    """The tokens of the newest runs, oldest first, and the most that one used."""
    shown = runs[-BARS:]
    most = max(((run.input_tokens or 0) + (run.output_tokens or 0) for run in shown), default=0)
    if most <= 0:
        return (), ""
    bars = []
    for index, run in enumerate(shown):
        tokens = (run.input_tokens or 0) + (run.output_tokens or 0)
        height = max(1 if tokens > 0 else 0, round(CHART_HEIGHT * max(0, tokens) / most))
        bars.append(Bar(index * 8, height, run.outcome, f"{say(run.ended_at)}: {_many(tokens)}"))
    return tuple(bars), _many(most)


def _events(source: str, job: Job, runs: Sequence[Run], now: datetime, known: Known, limit: int) -> tuple[Event, ...]:
    """Everything that happened, newest first; fires missed in a row are one line."""
    cells = strip(job, runs, now, known.states.get((source, job.id), ()), limit)
    found: list[tuple[datetime, Event]] = []
    for what, group in groupby(cells, key=lambda cell: cell.what):
        members = list(group)
        if what == "missed":
            found.append((members[-1].at, _missed(members, now, limit)))
        else:
            found += [(cell.at, _ran(cell, now)) for cell in members]
    begins = cells[0].at if cells else now
    for change in known.states.get((source, job.id), ()):
        found.append((change.at, Event(when(change.at, now), "state", "◆", f"became {change.state}")))
    for incident in known.notes.incidents:
        if _about(incident, (source, job.id)):
            found += _of_past(incident, now)
    for action in known.notes.actions:
        if (action.source, action.job_id) == (source, job.id):
            detail = f"{action.state.value}: {action.steps[-1].what}" if action.steps else action.state.value
            what = f"recovery {action.id}: {action.kind}"
            found.append((action.created.at, Event(when(action.created.at, now), "recovery", "↻", what, detail)))
    recent = [(at, event) for at, event in found if at >= begins or event.what == "in_flight"]
    return tuple(event for _, event in sorted(recent, key=lambda pair: pair[0], reverse=True))


def _missed(cells: Sequence[Cell], now: datetime, most: int) -> Event:
    count = f"{how_many(sum(cell.count for cell in cells), most)} fires" if len(cells) > 1 else "a fire"
    detail = f"from {say(cells[0].at)} to {say(cells[-1].at)}" if len(cells) > 1 else ""
    return Event(when(cells[-1].at, now), "missed", _GLYPHS["missed"], f"missed {count}", detail)


def _ran(cell: Cell, now: datetime) -> Event:
    run = cell.run
    if run is None:
        return Event(when(cell.at, now), cell.what, _GLYPHS[cell.what], "in flight", length=rough(now - cell.at))
    tokens = [count for count in (run.input_tokens, run.output_tokens) if count is not None]
    return Event(
        when(cell.at, now),
        cell.what,
        _GLYPHS[cell.what],
        WORDS[cell.what],
        run.error or "",
        say_duration(run.duration) if run.duration is not None else "",
        _many(sum(tokens)) if tokens else "",
        f"{run.cost_usd:.4f}" if run.cost_usd is not None else "",
    )


def _of_past(incident: Incident, now: datetime) -> Iterator[tuple[datetime, Event]]:
    head = incident.headline
    kind = head.kind.value.replace("_", " ")
    words = f"incident {incident.id} began: {kind}"
    yield incident.opened_at, Event(when(incident.opened_at, now), "incident", "▲", words, head.summary)
    if incident.resolved_at:
        over = f"incident {incident.id} was over: {kind}"
        yield incident.resolved_at, Event(when(incident.resolved_at, now), "resolved", "△", over)
