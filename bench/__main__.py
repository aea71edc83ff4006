"""`python -m bench`: builds what it needs, measures, prints, and writes docs/benchmark.md."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table as RichTable

from bench import cron_loop, fleet, hermes, openclaw, query_exporter, report, soak, sources, state_file
from bench.database import WORK, Database, fresh, remove
from bench.observe import Lengths, Seen, Turns, observe
from bench.program import Subject, exporter, watchdog
from bench.report import Table
from bench.ticks import Figures

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "benchmark.md"
FLEETS = ROOT / "docs" / "fleets.md"
SMALL, LARGE = 1_000_000, 10_000_000

console = Console()
_BEGAN = time.monotonic()


def say(words: str) -> None:
    """A line of progress."""
    console.print(f"[dim]{time.monotonic() - _BEGAN:5.0f} s[/dim]  {words}", highlight=False)


def prepare(events: int) -> Database:
    """A database that reaches to the present; made the first time, which takes up to a minute."""
    say(f"database with {events:,} cost events")
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("cost events", total=events)
        return fresh(events, lambda done, of: progress.update(task, completed=done, total=of))


def measure_ticks(events: int) -> Figures:
    """In a process of its own, so that nothing has been used before."""
    prepare(events)
    say(f"ticks, {events:,} cost events")
    command = [sys.executable, "-m", "bench.ticks", str(events)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    return Figures(**json.loads(done.stdout))


def measure_live(minutes: float, *, is_alone: bool) -> tuple[list[Seen], list[Seen]]:
    """The service, and query-exporter beside it: on ten million events, and on one million."""
    database = prepare(LARGE)
    turns = Turns(database)
    ours = _observe(watchdog(database.path), database, turns, Lengths(16, minutes * 60))
    if is_alone:
        return [ours], []
    query_exporter.install()
    ranged = _observe(exporter(database.path, query_exporter.RANGED), database, turns, Lengths(16, 30, 200))
    exact = _observe(exporter(database.path, query_exporter.EXACT), database, turns, Lengths(12, 16, 60))
    return [ours, ranged, exact], _small()


def _small() -> list[Seen]:
    database = prepare(SMALL)
    turns = Turns(database)
    ours = _observe(watchdog(database.path), database, turns, Lengths(8, 16, 100))
    exact = _observe(exporter(database.path, query_exporter.EXACT), database, turns, Lengths(8, 16, 100))
    return [ours, exact]


def _observe(subject: Subject, database: Database, turns: Turns, lengths: Lengths) -> Seen:
    return observe(subject, database, turns, lengths, lambda words: say(f"{subject.name}: {words}"))


def cron_speed() -> list[str]:
    """The part that stands alone already."""
    say("cron arithmetic")
    command = [sys.executable, str(ROOT / "bench" / "cron_speed.py")]
    return subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout.splitlines()


def show(table: Table) -> None:
    """Print it."""
    rich = RichTable(*table.columns, title=table.title)
    for row in table.rows:
        rich.add_row(*row)
    console.print(rich)


def measure_part(table: Table, document: Path = DOCUMENT) -> int:
    """One part alone; only its section of the document changes."""
    document.write_text(report.with_section(document.read_text(), table))
    say(f"written: {document.relative_to(ROOT)}")
    show(table)
    return 0


def measure_year() -> state_file.Figures:
    """The state file after a year of use."""
    say("a year in the state file")
    with tempfile.TemporaryDirectory() as folder:
        return state_file.measure(Path(folder) / "state.db", state_file.Year())


def tidy() -> None:
    """Drop the copies; the histories that were expensive to make are kept."""
    for path in WORK.glob("live-*.db"):
        remove(path)


def main() -> int:
    """Everything."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "part",
        nargs="?",
        choices=["all", "sources", "openclaw", "hermes", "state", "soak", "fleet", "cron-loop"],
        default="all",
        help="what to measure",
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="of changes while the service's memory is watched")
    parser.add_argument("--alone", action="store_true", help="without query-exporter (then nothing is written)")
    options = parser.parse_args()
    # what has been started is ended, however this ends
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if options.part == "sources":
        return measure_part(report.crowd_table(sources.measure(say)))
    if options.part == "fleet":
        return measure_part(report.fleet_table(fleet.measure(say)), FLEETS)
    if options.part == "cron-loop":
        return measure_part(report.loop_table(cron_loop.measure(say)))
    if options.part == "hermes":
        return measure_part(report.hermes_table(hermes.measure(say)))
    if options.part == "openclaw":
        return measure_part(report.openclaw_table(openclaw.measure(say)))
    if options.part == "state":
        return measure_part(report.state_table(measure_year()))
    if options.part == "soak":
        return measure_part(report.soak_table(soak.measure(options.minutes, say)))
    return measure_all(options.minutes, is_alone=options.alone)


def measure_all(minutes: float, *, is_alone: bool) -> int:
    """Every part; each is shown, and written, as soon as it is measured: what breaks late loses no more than itself."""
    load = os.getloadavg()
    ticks = {events: measure_ticks(events) for events in (SMALL, LARGE)}
    large, small = measure_live(minutes, is_alone=is_alone)
    budgets = report.budget_table(ticks, large[0], minutes)
    if is_alone:
        show(budgets)
    else:
        tables = [budgets, *_beside(large, small)]
        for table in tables:
            measure_part(table)
        for measure in _ALONE:
            tables.append(measure())
            measure_part(tables[-1])
        accounts = [report.account(seen) for seen in (*large, *small)]
        DOCUMENT.write_text(report.document(tables, report.machine(load), accounts, cron_speed()))
        say(f"written: {DOCUMENT.relative_to(ROOT)}")
    tidy()
    return 0


def _beside(large: list[Seen], small: list[Seen]) -> Iterator[Table]:
    yield report.comparison_table(large[0], large[1:], "ten million cost events")
    yield report.comparison_table(small[0], small[1:], "one million cost events")


_ALONE: tuple[Callable[[], Table], ...] = (
    lambda: report.loop_table(cron_loop.measure(say)),
    lambda: report.crowd_table(sources.measure(say)),
    lambda: report.openclaw_table(openclaw.measure(say)),
    lambda: report.hermes_table(hermes.measure(say)),
    lambda: report.state_table(measure_year()),
)
"""The parts that need nothing of each other."""


if __name__ == "__main__":
    sys.exit(main())
