"""`make faults`, or `python -m bench.faults --only TEXT`: attacks the installed command, and prints what was kept.

Each attack has a service of its own, with a good source and somebody who is told. Several go on at once. `--write` puts
the table into docs/reliability.md.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench.faults import processes, state, stores, web
from bench.faults.rig import BrokenPromiseError, NotHereError, Promise, Rig

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"
WAITING: Mapping[str, tuple[str, Promise]] = {**state.FAULTS, **processes.FAULTS, **web.FAULTS}
"""These mostly wait: many of them go on at once, beside those that have the service work."""

FAULTS: Mapping[str, tuple[str, Promise]] = {**WAITING, **stores.FAULTS}

BEGIN, END = "<!-- faults: made by python -m bench.faults --write -->", "<!-- end of faults -->"

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
    return Outcome(fault, promise, broken, ", ".join(rig.notes), time.monotonic() - began, "".join(rig.log[-40:]))


def main() -> int:
    """All attacks, or those that are asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=__doc__)
    parser.add_argument("--only", default="", help="attacks with this text in their name")
    parser.add_argument("--at-once", type=int, default=6, help="attacks at a time, of those that mostly wait")
    parser.add_argument("-v", "--verbose", action="store_true", help="the service's log where a promise was broken")
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    options = parser.parse_args()
    wanted = {fault: pair for fault, pair in FAULTS.items() if options.only in fault}
    began = time.monotonic()
    with ThreadPoolExecutor(options.at_once) as waiting, ThreadPoolExecutor(1) as working:
        running = [
            (waiting if fault in WAITING else working).submit(attempt, fault, *pair) for fault, pair in wanted.items()
        ]
        for each in as_completed(running):
            _say(each.result())
        outcomes = [each.result() for each in running]
    _show(outcomes, is_verbose=options.verbose)
    kept = sum(not outcome.broken for outcome in outcomes)
    console.print(f"{kept} of {len(outcomes)} kept in {time.monotonic() - began:.0f} s")
    if options.write:
        DOCUMENT.write_text(with_table(DOCUMENT.read_text()))
    return 1 if any(outcome.broken for outcome in outcomes) else 0


def with_table(text: str) -> str:
    """The document with the table of all attacks and promises made anew."""
    head, _, rest = text.partition(f"{BEGIN}\n")
    rows = [f"| {fault} | {promise} |" for fault, (promise, _) in FAULTS.items()]
    _, end, tail = rest.partition(END)
    return "\n".join([f"{head}{BEGIN}", "| fault | promise |", "|---|---|", *rows, f"{end}{tail}"])


def _say(one: Outcome) -> None:
    console.print(
        f"{one.seconds:4.0f} s  {one.fault}: {one.broken or 'kept'} ({one.notes})", markup=False, highlight=False
    )


def _kept(one: Outcome) -> str:
    if one.broken:
        return f"[red]no: {escape(one.broken[:300])}[/]"
    return one.notes if one.notes.startswith("not tried") else "yes"


def _show(outcomes: list[Outcome], *, is_verbose: bool) -> None:
    table = Table("fault", "promise", "kept", "s")
    for one in outcomes:
        table.add_row(one.fault, one.promise, _kept(one), f"{one.seconds:.0f}")
    console.print(table, markup=True)
    for one in outcomes if is_verbose else ():
        if one.broken:
            console.print(f"\n{one.fault}: {one.broken}\n{one.log}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
