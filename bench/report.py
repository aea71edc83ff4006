"""The figures as a table for the terminal and as the document that is kept."""

import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from bench import cron_loop, fleet, hermes, query_exporter, state_file
from bench.history import JOBS
from bench.observe import Seen
from bench.openclaw import CHANGES, Layout
from bench.openclaw import JOBS as OPENCLAW_JOBS
from bench.openclaw import QUIET_TICKS as OPENCLAW_QUIET_TICKS
from bench.program import POLL_SECONDS
from bench.soak import PAGE_EVERY, SCRAPED_EVERY, Soak
from bench.sources import BUSY_SECONDS, JOBS_EACH, QUIET_SECONDS, SOURCES, Crowd
from bench.ticks import QUIET_TICKS, RUNS, Figures

Row = tuple[str, ...]
MISSED = "✗ "


@dataclass(frozen=True, slots=True)
class Table:
    """A heading, the columns' names, the rows, and a word on how it was measured."""

    title: str
    columns: Row
    rows: list[Row]
    method: str


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which that share lies; NaN of nothing."""
    found = sorted(values)
    return found[min(len(found) - 1, int(len(found) * share))] if found else float("nan")


def number(value: float, digits: int = 3) -> str:
    """Three digits are enough of any measurement."""
    return f"{value:,.0f}" if value >= 10**digits / 10 else f"{value:.{digits}g}"


def budget_table(ticks: dict[int, Figures], live: Seen, minutes: float) -> Table:
    """The design's budgets, and whether they are kept."""
    rows = [row for events, figures in ticks.items() for row in _tick_rows(events, figures)]
    waits = [*live.deadline_delays, *(delay for delay in live.zero_delays if delay is not None)]
    rows += [
        _row("scrape, p50", percentile(live.scrapes, 0.5), 5, "ms"),
        _row("scrape, p99", percentile(live.scrapes, 0.99), None, "ms"),
        _row(f"resident memory after {minutes:.1f} min of changes", live.at_end.resident, 50, "MB"),
        _row("resident memory, the most ever", live.at_end.peak, None, "MB"),
        _row("its growth over the second half", live.growth, None, "MB/h"),
        _row("from a deadline to its finding, worst", max(live.deadline_delays, default=float("nan")), 3, "s"),
        _row("from a condition to its figure, worst", max(waits, default=float("nan")), POLL_SECONDS + 1, "s"),
    ]
    if live.missed_deadlines:
        rows.append((f"deadlines not told: {live.missed_deadlines}", "", "0", MISSED))
    return Table("This program and its budgets", ("what", "measured", "aim: under", "kept"), rows, _BUDGET_METHOD)


def crowd_table(crowd: Crowd) -> Table:
    """One process with many sources."""
    rows = [
        _row("from start to all jobs exposed", crowd.first if crowd.first is not None else float("nan"), None, "s"),
        _row("CPU of a poll, nothing changed", crowd.quiet_cpu, None, "ms"),
        _row("CPU of a poll, a run a second", crowd.busy_cpu, None, "ms"),
        _row("scrape, p50", percentile(crowd.scrapes, 0.5), None, "ms"),
        _row("scrape, p99", percentile(crowd.scrapes, 0.99), None, "ms"),
        _row("the text of a scrape", crowd.text_mb, None, "MB"),
        _row("resident memory", crowd.at_end.resident, None, "MB"),
        _row("resident memory, the most ever", crowd.at_end.peak, None, "MB"),
    ]
    return Table(CROWD_TITLE, ("what", "measured"), [row[:2] for row in rows], _CROWD_METHOD)


def openclaw_table(layouts: Sequence[Layout]) -> Table:
    """A gateway's state folder, by layout."""
    rows = []
    for one in layouts:
        rows.append(_row(f"{one.name}: tick, nothing changed (CPU)", one.quiet, 1, "ms"))
        rows.append(_row(f"{one.name}: tick after a change (CPU, p50)", percentile(one.changed, 0.5), 8, "ms"))
        rows.append(_row(f"{one.name}: first read (CPU)", one.first, 1000, "ms"))
    return Table(OPENCLAW_TITLE, ("what", "measured", "aim: under", "kept"), rows, _OPENCLAW_METHOD)


def hermes_table(figures: hermes.Figures) -> Table:
    """An agent's home."""
    rows = [
        _row("tick, nothing changed (CPU)", figures.quiet, 1, "ms"),
        _row("tick after a run (CPU, p50)", percentile(figures.changed, 0.5), 8, "ms"),
        _row("tick after a heartbeat (CPU, p50)", percentile(figures.beats, 0.5), 8, "ms"),
        _row("first read (CPU)", figures.first, 1000, "ms"),
    ]
    return Table(HERMES_TITLE, ("what", "measured", "aim: under", "kept"), rows, _HERMES_METHOD)


def loop_table(loops: Sequence[cron_loop.Loop]) -> Table:
    """What a person would write."""
    rows: list[Row] = [
        ("CPU of a run (ms)", *(number(loop.cpu) for loop in loops)),
        ("seconds of a run, the longest", *(number(max(loop.seconds)) for loop in loops)),
        (
            "from a condition to its words, worst (s)",
            *(number(cron_loop.EVERY_SECONDS + max(loop.seconds)) for loop in loops),
        ),
    ]
    return Table(LOOP_TITLE, ("what", *(f"sqlite3, {loop.name}" for loop in loops)), rows, _LOOP_METHOD)


def fleet_table(figures: fleet.Fleet) -> Table:
    """Many hosts, and what fell in the middle of it."""
    size = figures.size
    owners = ", ".join(f"{count} to {owner}" for owner, count in figures.owners.items())
    again = ", ".join(f"{count} to {owner}" for owner, count in figures.owners_killed_before.items())
    told = ", ".join(f"{seconds:.0f}" for seconds in figures.lost_told)
    rows: list[Row] = [
        ("hosts (a watchdog each)", f"{size.hosts}"),
        ("sources", f"{size.sources:,}"),
        ("jobs", f"{size.jobs:,}"),
        ("the text of one scrape of all", f"{number(figures.scrape_mb)} MB"),
        ("Prometheus: CPU at rest", f"{number(figures.prometheus_cpu)} % of a core"),
        ("Prometheus: resident memory", f"{number(figures.prometheus_mb)} MB"),
        ("all watchdogs: CPU at rest, scrapes included", f"{number(figures.own_cpu)} % of a core"),
        ("all watchdogs: resident memory", f"{number(figures.own_mb)} MB ({figures.own_mb / size.hosts:.0f} each)"),
        ("outage → first notification", f"{figures.first:.0f} s"),
        ("notifications of it", f"{figures.team} to the team, {owners}"),
        (
            "the same after the Alertmanager that told was killed, and when it was back",
            f"{figures.team_after_kill} to the team",
        ),
        ("of an outage in which one is killed before it told", f"{figures.team_killed_before} to the team, {again}"),
        ("hosts lost → told", f"{told} s"),
        ("their alerts told as resolved", f"{figures.lost_resolved}"),
    ]
    method = _FLEET_METHOD.format(load=figures.load)
    return Table(FLEET_TITLE, ("what", "measured"), rows, method)


def state_table(figures: state_file.Figures) -> Table:
    """The state file after a year."""
    rows = [
        _row("open the file (CPU)", figures.open_ms, 1000, "ms"),
        _row("open it, and the first turn (CPU)", figures.start_ms, 1000, "ms"),
        _row("a turn after a change, mean (CPU)", figures.turn_ms, 10, "ms"),
        _row("the slowest turn (CPU)", figures.slowest_turn_ms, None, "ms"),
        _row("the file", figures.megabytes, None, "MB"),
        _row("pages that later turns add to it", figures.grown_by, None, ""),
    ]
    return Table(STATE_TITLE, ("what", "measured", "aim: under", "kept"), rows, _STATE_METHOD)


def soak_table(soak: Soak) -> Table:
    """What the process held when all had been used once, and at the end."""
    warm, end = soak.first_and_last()
    rows: list[Row] = [
        ("resident memory", f"{warm.resident:.1f} MB", f"{end.resident:.1f} MB"),
        ("the part of it that is its own", f"{warm.own:.1f} MB", f"{end.own:.1f} MB"),
        ("descriptors", f"{warm.descriptors:.0f}", f"{end.descriptors:.0f}"),
        ("threads", f"{warm.threads:.0f}", f"{end.threads:.0f}"),
        ("the state file with its log", f"{warm.state:.2f} MB", f"{end.state:.2f} MB"),
    ]
    method = (
        f"{JOBS:,} jobs, {soak.runs:,} runs, one a second; {soak.messages} messages taken; page each {PAGE_EVERY} s, "
        f"a scrape each {SCRAPED_EVERY} s, {soak.failed_requests} of them without a good answer. The middle of ten\n"
        "minutes each. `python -m bench soak --minutes 45` measures this part alone, perhaps on another day."
    )
    columns = ("what", f"about minute {warm.at / 60:.0f}", f"about minute {end.at / 60:.0f}")
    return Table(SOAK_TITLE, columns, rows, method)


def _tick_rows(events: int, figures: Figures) -> list[Row]:
    of = f"{events / 1e6:g} M events: "
    both = [tick + render for tick, render in zip(figures.changed, figures.rendered, strict=True)]
    return [
        _row(f"{of}tick, nothing changed (CPU)", figures.quiet, 1, "ms"),
        _row(f"{of}tick after a change (CPU, p50)", percentile(figures.changed, 0.5), 8, "ms"),
        _row(f"{of}the same, p95", percentile(figures.changed, 0.95), 8, "ms"),
        _row(f"{of}the same with its metrics text (p50)", percentile(both, 0.5), 8, "ms"),
        _row(f"{of}first read (wall)", figures.first_wall, 1000, "ms"),
        _row(f"{of}first metrics text (CPU)", figures.first_render, None, "ms"),
    ]


def _row(what: str, value: float, aim: float | None, unit: str) -> Row:
    kept = "" if aim is None else "yes" if value < aim else f"{MISSED}no"
    return (what, f"{number(value)} {unit}", f"{aim:g} {unit}" if aim is not None else "", kept)


def comparison_table(ours: Seen, others: list[Seen], words: str) -> Table:
    """One column for each program, with the ratio to ours."""
    rows = [
        _compared("CPU of a poll, nothing changed (ms)", [seen.quiet_cpu for seen in (ours, *others)]),
        _compared("CPU of a poll, a run every 2 s (ms)", [seen.busy_cpu for seen in (ours, *others)]),
        _compared("from start to all jobs exposed (s)", [seen.first for seen in (ours, *others)]),
        _compared("third zero-token run to figure (s)", [seen.zero_delay for seen in (ours, *others)]),
        _compared("scrape, p50 (ms)", [percentile(seen.scrapes, 0.5) for seen in (ours, *others)]),
        _compared("scrape, p99 (ms)", [percentile(seen.scrapes, 0.99) for seen in (ours, *others)]),
        _compared("resident memory at the end (MB)", [seen.at_end.resident for seen in (ours, *others)]),
    ]
    columns = ("", *(seen.name for seen in (ours, *others)))
    return Table(f"Beside query-exporter, {words}", columns, rows, "")


def _compared(what: str, values: list[float | None]) -> Row:
    ours = values[0]
    cells = ["not in time" if value is None else number(value) for value in values]
    for place, value in enumerate(values[1:], 1):
        if value is not None and ours:
            cells[place] += f" ({number(value / ours, 2)}×)"
    return (what, *cells)


def machine(load: tuple[float, float, float]) -> list[str]:
    """What it was measured on."""
    return [
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores ({platform.machine()}), Linux {platform.release()}",
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        f"scheduler-watchdog {version('scheduler-watchdog')}, prometheus-client {version('prometheus-client')}, "
        f"query-exporter {query_exporter.version()} (the newest for this Python is pinned)",
        f"load average at the start {load[0]:.2f}: other work on the machine shows in these figures",
    ]


def document(tables: list[Table], facts: list[str], accounts: list[str], cron: list[str]) -> str:
    """The whole document, in Markdown."""
    parts = ["# Benchmark", "", "Made by `make bench`; do not edit.", "", *(f"- {fact}" for fact in facts), ""]
    for table in tables:
        parts += _section(table)
    parts += ["## How the comparison was made", "", _COMPARISON_METHOD, "", *_list(accounts)]
    parts += ["## Cron arithmetic, beside croniter", "", "```", *cron, "```", ""]
    return "\n".join(parts)


def with_section(text: str, table: Table) -> str:
    """The document with this table's section made anew: in its place, or at the end."""
    section = "\n".join(_section(table))
    before, heading, rest = text.partition(f"## {table.title}\n")
    if not heading:
        return f"{text.rstrip()}\n\n{section}"
    _, following, after = rest.partition("\n## ")
    return f"{before}{section}{following}{after}"


def _section(table: Table) -> list[str]:
    return [f"## {table.title}", "", *_markdown(table), "", *([table.method, ""] if table.method else [])]


def _list(lines: list[str]) -> list[str]:
    return [*(f"- {line}" for line in lines), ""] if lines else []


def _markdown(table: Table) -> list[str]:
    lines = [table.columns, tuple("---" for _ in table.columns), *table.rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def account(seen: Seen) -> str:
    """What a program counted about itself, in a line."""
    return f"{seen.name} ({seen.words}), by its own count: {'; '.join(seen.notes) or 'nothing'}"


CROWD_TITLE = f"One process, {SOURCES:,} sources"

_CROWD_METHOD = f"""How: {SOURCES:,} databases with {JOBS_EACH} jobs each, the same week of a simulated agent's life in
each; the service started with `run`, looking every {POLL_SECONDS} s. *Nothing changed*: CPU of the process and its
threads by the kernel's count over {QUIET_SECONDS} s. *A run a second*: each in another database, with bill, session and
row in one commit, over {BUSY_SECONDS} s. *Scrapes*: from another process over one connection, request to last byte.
`python -m bench sources` measures this part alone, perhaps on another day than the rest."""

OPENCLAW_TITLE = f"An OpenClaw gateway, {OPENCLAW_JOBS:,} jobs"

_OPENCLAW_METHOD = f"""How: a state folder as its releases write it, from a gateway that is played. *Changed*:
{CHANGES} times a job's marker and its row in the task ledger, then `Engine.tick`, by the process's CPU clock; *nothing
changed*: the mean of {OPENCLAW_QUIET_TICKS} ticks. `python -m bench openclaw` measures this part alone, perhaps on
another day than the rest."""

HERMES_TITLE = f"A Hermes home, {hermes.JOBS:,} jobs, {hermes.JOBS * hermes.SESSIONS_EACH:,} sessions"

_HERMES_METHOD = f"""How: a home as release 0.19 writes it, with {hermes.JOBS:,} rows in the ledger, from a gateway that
is played. *After a run*: {hermes.CHANGES} times a job's next run, its row and its session, then `Engine.tick`, by the
process's CPU clock; *nothing changed*: the mean of {hermes.QUIET_TICKS} ticks. `python -m bench hermes` measures this
part alone, perhaps on another day than the rest."""

LOOP_TITLE = "What a person would write: sqlite3 from cron"

_LOOP_METHOD = f"""How: each minute cron starts the shell's `sqlite3 -readonly` on the file with {cron_loop.EVENTS:,}
cost events, with a query for jobs late by an hour or given up, and one for jobs whose newest three runs used no tokens,
as in the comparison above; the median of {cron_loop.TIMES} runs, CPU by the kernel's count, the file cached. It
says the same each minute for as long as it is so; who is told once, what waits for what, restarts, sleep and its own
end are not in it. `python -m bench cron-loop` measures this part alone, perhaps on another day than the rest."""

FLEET_TITLE = "The fleet lab"

_FLEET_METHOD = f"""Made by `python -m bench fleet`, load average {{load:.1f}} at the start: other work on the machine
shows in the seconds and in CPU. Real servers on one machine: a Prometheus that scrapes every {fleet.SCRAPE_SECONDS} s,
two Alertmanagers as a cluster, a watchdog for each host with all its agents' databases, looking every
{POLL_SECONDS} s and posting to both. Outage: all jobs of all agents fail at once; the waits are the
watchdog's 20 s and Alertmanager's {fleet.GROUP_WAIT} s (`group_wait`). Killed: {fleet.GOSSIPED} s after the message, by
when the other knows of it. Lost: the watchdog is killed; so that the lab ends, `WatchdogAbsent` waits
{fleet.ABSENT_AFTER} s in it and not five minutes, and what was posted lasts {fleet.LASTS} s and not eight minutes."""

_YEAR = state_file.Year()

STATE_TITLE = "The state file after a year"
SOAK_TITLE = "A soak"

_STATE_METHOD = f"""How: {_YEAR.incidents:,} incidents, {_YEAR.actions:,} recoveries and {_YEAR.messages:,} messages,
nothing of it forgotten yet; then {state_file.TURNS} turns of the notifier and of recovery, {state_file.FAILING} of
{state_file.JOBS:,} jobs failing and one more every other turn; on the way what is over goes, a little at a turn.
`python -m bench state` measures this part alone, perhaps on another day than the rest."""

_BUDGET_METHOD = f"""How: {JOBS:,} jobs with prompts of 10 KiB, WAL mode, a year of history in which a third of the cost
events are scheduled runs, written to by a process of its own, each step of a run a commit. *Ticks*: the loop's own
calls in one process, timed with its CPU clock; {QUIET_TICKS:,} ticks with nothing changed, {2 * RUNS} after a change
(a run's start, or its cost event, totals and row), each handed the instant at which it was written. *First read*: the
first tick of a new process, the file in the page cache. *Scrapes*: one after another over one connection, from another
process, request to last byte. *Memory*: VmRSS of the service started with `run`, with HTTP on; growth by least squares
over the second half of the samples, one a second: minutes, so it shows no day.
*Deadline*: one-shots whose deadline is set to known instants, seven seconds apart; the delay until the line of the log.
*Condition*: those, and from the commit of a third run without
tokens until it stands in `/metrics`."""

_COMPARISON_METHOD = f"""The programs ran one after another on the same file of this run, each with the same changes,
both looking every {POLL_SECONDS} s, both on the Python above. CPU is what the kernel counted for the process (all its
threads) in a span, divided by the polls in it. query-exporter has no notion of a deadline: it exposes `next_run_at`,
and a rule in Prometheus would have to guess the cadence; so that figure is ours alone.

| | scheduler-watchdog | query-exporter, as configured here |
|---|---|---|
| of each job | what [metrics.md](metrics.md) lists | next and last run, errors, active, failed, zero tokens |
| asks the database | when the file has changed | at every interval |
| reads the cost events | by id, from where it stopped | all (exact), or the newest {query_exporter.RANGE:,} (ranged) |
| conditions | judged: kinds, causes, schedules | none; left to alert rules |
| NULL | no sample | becomes 0 |
| a job that is deleted | its samples go | its samples stay, unless `expiration` is set |
| connection | opened and closed at each read | held open |
| databases | this scheduler's | any that SQLAlchemy knows, any query: it is the general tool |

*exact*: the newest three events of each job by a window function over the table, which has no index for it; where one
such query takes longer than the interval, they queue up, and the figures grow older and older. *ranged*: the same over
the newest {query_exporter.RANGE:,} ids, which a user has to choose to fit the cadences: it does not see a job whose
third-last run lies before them. Where there was a choice, query-exporter got the cheaper one
(bench/query_exporter.py says which)."""
