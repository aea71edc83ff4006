"""The table of jobs: which are asked for, in which order, and one page of them. The question is the address's query."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

from watchdog.cadence.plain_words import plainly, rough
from watchdog.core.instants import EPOCH, say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import STATES, Finding, Hold, Job
from watchdog.detectors.published import Published, SourceState
from watchdog.recovery.brought_back import since
from watchdog.state.history import JobKey, Run, broken_off, runs_of
from watchdog.web.published_state import Posting
from watchdog.web.shown import Known, When, job_url, maybe, spoken, when
from watchdog.web.strip import LENGTH, Cell, in_words, strip

PAGE = 50
"""Jobs on one page of the table."""

LONGEST_QUESTION = 200
"""Characters of a search that are looked for."""

GLYPHS = {
    "worked": "✓",
    "no_tokens": "0",
    "error": "×",
    "skipped": "»",
    "broken_off": "!",
    "unknown": "?",
    "missed": "–",
    "in_flight": "▸",
}

WRONG, RUNNING = "wrong", "running"
"""What can be asked for beside the states and the kinds of findings."""

SORTS = ("worst", "name", "last", "next")
ASKED = tuple(dict.fromkeys((WRONG, RUNNING, *STATES, *(kind.value for kind in Kind))))
"""All that can be asked for as a state."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which jobs are asked for. `state`: a state, a kind of finding, or `wrong` or `running`; `sort`: with a minus the
    other way round; `page`: from 1. What is empty asks for nothing in particular."""

    words: str = ""
    state: str = ""
    source: str = ""
    sort: str = ""
    page: int = 1

    @property
    def query(self) -> str:
        """As the query of an address, with its question mark; empty where all is as usual."""
        pairs = (("q", self.words), ("state", self.state), ("source", self.source), ("sort", self.sort))
        asked = [(name, text) for name, text in pairs if text]
        asked += [("page", str(self.page))] if self.page > 1 else []
        return f"?{urlencode(asked)}" if asked else ""

    @property
    def is_narrow(self) -> bool:
        """Whether some jobs are left out."""
        return bool(self.words or self.state or self.source)


def wanted(query: Mapping[str, str]) -> Wanted:
    """What the query of an address asks for; what is not understood asks for nothing."""
    state, sort, page = query.get("state", ""), query.get("sort", ""), query.get("page", "")
    return Wanted(
        query.get("q", "").strip()[:LONGEST_QUESTION],
        state if state in ASKED else "",
        query.get("source", "")[:LONGEST_QUESTION],
        sort if sort.removeprefix("-") in SORTS and sort != SORTS[0] else "",
        int(page) if page.isascii() and page.isdigit() and 0 < len(page) < 6 and int(page) else 1,
    )


@dataclass(frozen=True, slots=True)
class Mark:
    """One cell of a strip."""

    what: str
    glyph: str
    title: str


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job in the table. `running`: since when it is in flight; `from_` and `to`: when its strip begins and ends;
    `brought_back`: of one that was and of which a run has yet to show whether that has helped, when."""

    name: str
    url: str
    source: str
    state: str
    kinds: tuple[tuple[str, str], ...]
    running: When | None
    running_for: str
    cadence: str
    last: When | None
    last_status: str
    next: When | None
    next_words: str
    cells: tuple[Mark, ...]
    strip: str
    from_: When | None
    to: When | None
    brought_back: When | None


@dataclass(frozen=True, slots=True)
class Choice:
    """Another view of the table, as a link or an option."""

    value: str
    words: str
    count: int
    url: str
    is_chosen: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A heading of the table; `url` sorts by it."""

    words: str
    url: str = ""
    sorted: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """One page of the jobs that are asked for, and the ways to others."""

    wanted: Wanted
    rows: tuple[JobRow, ...]
    total: int
    found: int
    first: int
    columns: tuple[Column, ...]
    states: tuple[Choice, ...]
    sources: tuple[Choice, ...]
    before: str
    after: str
    unread: tuple[tuple[str, str], ...]

    @property
    def last(self) -> int:
        """The number of the last row that is shown."""
        return self.first + len(self.rows) - 1


@dataclass(frozen=True, slots=True)
class _Entry:
    state: SourceState
    job: Job
    found: Sequence[Finding]

    @property
    def key(self) -> JobKey:
        return (self.state.snapshot.source, self.job.id)

    @property
    def marks(self) -> set[str]:
        """All that it can be asked for as."""
        return marks_of(self.job, self.found)


def marks_of(job: Job, found: Sequence[Finding]) -> set[str]:
    """All of `ASKED` that a job with these findings can be found by."""
    marks = {_state(job), *(finding.kind.value for finding in found)}
    return marks | ({WRONG} if found else set()) | ({RUNNING} if job.in_flight_since else set())


def table(posting: Posting, asked: Wanted, known: Callable[[Sequence[JobKey]], Known]) -> Table:
    """The page that is asked for, or the last one there is. `known` is asked for what stands beside the shown jobs."""
    everything = list(_entries(posting))
    found = [entry for entry in everything if _is_wanted(entry, asked)]
    _sort(found, asked.sort)
    page = max(1, min(asked.page, -(-len(found) // PAGE)))
    asked = replace(asked, page=page)
    shown = found[(page - 1) * PAGE : page * PAGE]
    beside = known([entry.key for entry in shown])
    return Table(
        asked,
        tuple(row(entry.state, entry.job, entry.found, posting.at, beside) for entry in shown),
        len(everything),
        len(found),
        (page - 1) * PAGE + 1 if shown else 0,
        _columns(asked),
        _choices_of_state(everything, asked),
        _choices_of_source(posting, asked),
        replace(asked, page=page - 1).query or "?" if page > 1 else "",
        replace(asked, page=page + 1).query if page * PAGE < len(found) else "",
        tuple((s.snapshot.source, s.snapshot.problem) for s in posting.published.sources if s.snapshot.problem),
    )


def _entries(posting: Posting) -> Iterator[_Entry]:
    return (_Entry(state, job, found) for state, job, found in every_job(posting.published))


def every_job(published: Published) -> Iterator[tuple[SourceState, Job, Sequence[Finding]]]:
    """Each job of each source with its findings."""
    for state in published.sources:
        found: dict[str | None, list[Finding]] = {}
        for finding in state.diagnosis.findings:
            found.setdefault(finding.job_id, []).append(finding)
        for job in state.snapshot.jobs:
            yield state, job, found.get(job.id, ())


def _is_wanted(entry: _Entry, asked: Wanted) -> bool:
    source = entry.state.snapshot.source
    if (asked.source and asked.source != source) or (asked.state and asked.state not in entry.marks):
        return False
    if not asked.words:
        return True
    text = f"{entry.job.name}\n{entry.job.id}\n{source}\n{entry.state.owners.get(entry.job.id, '')}".casefold()
    return all(word in text for word in asked.words.casefold().split())


_LATE = datetime.max.replace(tzinfo=EPOCH.tzinfo)


def _sort(entries: list[_Entry], sort: str) -> None:
    entries.sort(key=lambda entry: (entry.job.name.casefold(), entry.key))
    name, is_reversed = sort.removeprefix("-"), sort.startswith("-")
    if name == "last":
        entries.sort(key=lambda entry: entry.job.last_started_at or EPOCH, reverse=not is_reversed)
    elif name == "next":
        entries.sort(key=lambda entry: _planned(entry.job) or _LATE, reverse=is_reversed)
    elif name == "name":
        entries.sort(key=lambda entry: entry.job.name.casefold(), reverse=is_reversed)
    else:
        entries.sort(key=_rank, reverse=is_reversed)


def _rank(entry: _Entry) -> int:
    if any(finding.severity is Severity.CRITICAL for finding in entry.found):
        return 0
    if entry.found:
        return 1
    return 2 if entry.job.is_planned else 3


def _columns(asked: Wanted) -> tuple[Column, ...]:
    named = (("Job", "name"), ("State", "worst"), ("Schedule", ""), ("Last run", "last"), ("Next run", "next"))
    return (*(_column(words, sort, asked) for words, sort in named), Column("Recent fires"))


def _column(words: str, sort: str, asked: Wanted) -> Column:
    if not sort:
        return Column(words)
    is_chosen = (asked.sort.removeprefix("-") or SORTS[0]) == sort
    is_reversed = is_chosen and asked.sort.startswith("-")
    usual = "" if sort == SORTS[0] else sort
    url = replace(asked, sort=f"-{sort}" if is_chosen and not is_reversed else usual, page=1).query or "?"
    return Column(words, url, ("descending" if is_reversed != (sort == "last") else "ascending") if is_chosen else "")


def _choices_of_state(everything: Sequence[_Entry], asked: Wanted) -> tuple[Choice, ...]:
    counts = Counter(mark for entry in everything for mark in entry.marks)
    values = [value for value in ASKED if counts[value] or value == asked.state]
    return tuple(_choice("state", value, counts[value], asked) for value in values)


def _choices_of_source(posting: Posting, asked: Wanted) -> tuple[Choice, ...]:
    counts = {state.snapshot.source: len(state.snapshot.jobs) for state in posting.published.sources}
    return tuple(_choice("source", name, count, asked) for name, count in counts.items()) if len(counts) > 1 else ()


def _choice(field: str, value: str, count: int, asked: Wanted) -> Choice:
    is_chosen = getattr(asked, field) == value
    other = replace(asked, page=1, **{field: "" if is_chosen else value})
    words = value if field == "source" else "something wrong" if value == WRONG else value.replace("_", " ")
    return Choice(value, words, count, other.query or "?", is_chosen)


def _state(job: Job) -> str:
    return job.state if job.state in STATES else "unknown"


def _planned(job: Job) -> datetime | None:
    return job.next_run_at if job.is_planned else None


def row(
    state: SourceState, job: Job, found: Sequence[Finding], now: datetime, known: Known, length: int = LENGTH
) -> JobRow:
    """A job's row."""
    source = state.snapshot.source
    cells = cells_of(source, job, now, known, length)
    running = job.in_flight_since
    next_words, next_at = next_run(job, now, state.snapshot.keeps_waiting(job, now))
    return JobRow(
        job.name,
        job_url(source, job.id),
        source,
        _state(job),
        tuple((spoken(f.kind), f.severity.value) for f in found if f.kind.value != job.state),
        maybe(running, now),
        rough(now - running) if running else "",
        plainly(job.schedule),
        maybe(job.last_started_at, now),
        job.last_outcome,
        next_at,
        next_words,
        tuple(_mark(cell) for cell in cells),
        in_words(cells),
        when(cells[0].at, now) if cells else None,
        when(cells[-1].at, now) if len(cells) > 1 else None,
        maybe(since(job, known.notes.brought_back.get((source, job.id))) if found else None, now),
    )


def next_run(job: Job, now: datetime, holder: Hold | None) -> tuple[str, When | None]:
    """What is said of the next fire, and its instant where that follows. `holder`: the run that it waits for."""
    if not job.is_planned or job.next_run_at is None:
        return "never, as it is" if job.state in ("failed", "active") else "not planned", None
    due = when(job.next_run_at, now)
    if job.next_run_at >= now:
        return "", due
    if job.in_flight_since:
        return "after this run", None  # the instant is still that of the fire that this run is for
    return f"after {holder.run}; was due" if holder else "was due", due


def cells_of(source: str, job: Job, now: datetime, known: Known, length: int = LENGTH) -> tuple[Cell, ...]:
    """A job's strip, from what was written down and what the snapshot tells."""
    key = (source, job.id)
    return strip(job, all_runs(source, job, known), now, known.states.get(key, ()), length)


def all_runs(source: str, job: Job, known: Known) -> list[Run]:
    """What is written down, and what is not yet."""
    cut = broken_off(source, job)
    runs = {run.ended_at: run for run in [*([cut] if cut else []), *runs_of(source, job)]}
    runs |= {run.ended_at: run for run in known.runs.get((source, job.id), ())}
    once = {(run.started_at, run.started_at or run.ended_at): run for run in sorted(runs.values(), key=_certainty)}
    return sorted(once.values(), key=lambda run: run.ended_at)


def _certainty(run: Run) -> tuple[bool, datetime]:
    """What its scheduler says of a run goes before that it was broken off, and what is known later before that."""
    return run.outcome != "broken_off", run.ended_at


def _mark(cell: Cell) -> Mark:
    if cell.count > 1:
        return Mark(cell.what, "…", f"{cell.count} or more missed, from {say(cell.at)} on")
    return Mark(cell.what, GLYPHS[cell.what], f"{cell.words}, {say(cell.at)}")
