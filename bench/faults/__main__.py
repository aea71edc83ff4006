"""`make faults`, or `python -m bench.faults --only TEXT`: attacks the installed command, and prints what was kept.

Each attack has a service of its own, with a good source and somebody who is told. Several go on at once. `--singly`
has each hostile store by itself, to see which of several it was. `--write` puts the table into docs/reliability.md,
after all attacks and if all was kept.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.faults import processes, state, stores, web
from bench.faults.pace import PACE
from bench.faults.rig import BrokenPromiseError, NotHereError, Promise, Rig

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"

Faults = Mapping[str, tuple[str, Promise]]

WAITING: Faults = {**state.FAULTS, **processes.FAULTS, **web.FAULTS}
"""These mostly wait: many of them go on at once, beside those that have the service work."""

FAULTS: Faults = {**WAITING, **stores.FAULTS}

BEGIN, END = "<!-- faults: made by python -m bench.faults --write -->", "<!-- end of faults -->"

BUSY = 1.5
"""Times slower than usual, from which on it is noted with what was measured."""

A_STALL = 1.0
"""Seconds; the same for the disk."""

console = Console(width=150)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a promise; `broken` is empty where it was kept."""

    fault: str
    promise: str
    broken: str
    notes: str
    seconds: float
    log: str


def attempt(fault: str, promise: str, attack: Promise) -> Outcome:
    """One attack in a folder of its own."""
    began, broken = time.monotonic(), ""
    _say(f"begun   {fault}")
    with tempfile.TemporaryDirectory(prefix="faults-", ignore_cleanup_errors=True) as folder:
        rig = Rig(Path(folder))
        try:
            attack(rig)
        except BrokenPromiseError as error:
            broken = str(error)
        except NotHereError as error:
            rig.notes.append(f"not tried: {error}")
        except Exception as error:
            broken = f"the attack itself went wrong: {type(error).__name__}: {error}"
        finally:
            rig.close()
    if PACE.since(began) > BUSY:
        rig.notes.append(f"on a machine {PACE.since(began):.1f} times as slow as usual")
    if PACE.stalled(began) > A_STALL:
        rig.notes.append(f"with a disk that took {PACE.stalled(began):.1f} s to write")
    took = time.monotonic() - began
    _say(f"{took:4.0f} s  {fault}: {broken or 'kept'} ({', '.join(rig.notes)})")
    return Outcome(fault, promise, broken, ", ".join(rig.notes), took, "".join(rig.log[-40:]))


def main() -> int:
    """All attacks, or those that are asked for."""
    options = _options()
    known = {**WAITING, **stores.SINGLE} if options.singly else FAULTS
    wanted = {fault: pair for fault, pair in known.items() if any(text in fault for text in options.only or [""])}
    if options.list:
        print("\n".join(wanted))
        return 0
    PACE.start()
    began = time.monotonic()
    outcomes = _all_of(wanted, options.at_once)
    _show(outcomes, is_verbose=options.verbose)
    kept = sum(not outcome.broken for outcome in outcomes)
    summary = f"{kept} of {len(outcomes)} kept in {time.monotonic() - began:.0f} s"
    console.print(summary)
    if options.write and kept == len(FAULTS) and not options.singly:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text(), outcomes, f"{summary}, {_machine()}"))
    return 0 if kept == len(outcomes) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--only", action="append", help="attacks with this text in their name; may be given again")
    parser.add_argument("--singly", action="store_true", help="each hostile store by itself, and not five at a time")
    parser.add_argument("--list", action="store_true", help="name them, and do nothing")
    parser.add_argument("--at-once", type=int, default=6, help="attacks at a time, of those that mostly wait")
    parser.add_argument("-v", "--verbose", action="store_true", help="the service's log where a promise was broken")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md, if all was kept")
    return parser.parse_args()


def _all_of(wanted: Faults, at_once: int) -> list[Outcome]:
    with ThreadPoolExecutor(at_once) as waiting, ThreadPoolExecutor(1) as working:
        running = [
            (waiting if fault in WAITING else working).submit(attempt, fault, *pair) for fault, pair in wanted.items()
        ]
        return [each.result() for each in running]


def _machine() -> str:
    system, python = f"{platform.system()} {platform.release().split('-')[0]}", platform.python_version()
    return f"{os.cpu_count()} cores, {system}, Python {python}"


def with_table(text: str, outcomes: Iterable[Outcome], summary: str) -> str:
    """The document with the table of what was seen made anew."""
    head, _, rest = text.partition(f"{BEGIN}\n")
    rows = [f"| {one.fault} | {one.promise} | {one.notes or 'kept'} |" for one in outcomes]
    table = "\n".join(["| fault | promise | seen |", "|---|---|---|", *rows])
    return f"{head}{BEGIN}\n{summary}.\n\n{table}\n{END}{rest.partition(END)[2]}"


def table_of(text: str) -> list[tuple[str, str]]:
    """The faults and promises of the document's table."""
    rows = text.partition(BEGIN)[2].partition(END)[0].splitlines()
    cells = [row.split(" | ") for row in rows if row.startswith("| ")]
    return [(fault.removeprefix("| "), promise) for fault, promise, *_ in cells[1:]]


def _say(line: str) -> None:
    console.print(f"{time.strftime('%H:%M:%S')} {line}", markup=False, highlight=False)


def _kept(one: Outcome) -> str:
    if one.broken:
        return f"[red]no: {escape(one.broken[:300])}[/]"
    return one.notes if one.notes.startswith("not tried") else "yes"


def _show(outcomes: Sequence[Outcome], *, is_verbose: bool) -> None:
    table = Table("fault", "promise", "kept", "s")
    for one in outcomes:
        table.add_row(one.fault, one.promise, _kept(one), f"{one.seconds:.0f}")
    console.print(table, markup=True)
    for one in outcomes if is_verbose else ():
        if one.broken:
            console.print(f"\n{one.fault}: {one.broken}\n{one.log}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
