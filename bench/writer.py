"""The scheduler's side: a process of its own that has the file open and writes each step of a run as its own commit."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.history import RUN_MS, job_id, session_key
from watchdog.demo.outcome import Outcome
from watchdog.demo.rows import Record, Rows

_LONGEST_GOODBYE = 10.0


def _start(rows: Rows, slot: int, at_ms: int, **_: object) -> None:
    rows.touch_session(session_key(slot), at_ms)


def _end(rows: Rows, slot: int, at_ms: int, next_ms: int, is_zero: bool, **_: object) -> None:
    rows.bill(session_key(slot), Outcome.workless() if is_zero else Outcome(), at_ms)
    start = at_ms - RUN_MS
    rows.record(Record(job_id(slot), start, True, RUN_MS, None, 0, next_ms, None, "delivered"), at_ms)


def _plan(rows: Rows, slot: int, at_ms: int, **_: object) -> None:
    rows.redate(job_id(slot), at_ms)


_STEPS: dict[str, Callable[..., None]] = {"start": _start, "end": _end, "plan": _plan}


def _serve(path: Path) -> None:
    rows = Rows(path, durable=True)
    for line in sys.stdin:
        order = json.loads(line)
        _STEPS[order.pop("do")](rows, **order)
        print("done", flush=True)
    rows.close()


class Writer:
    """The process, held by the benchmark; it ends when its input does. Each call returns after the commit."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "bench.writer", str(path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.communicate(timeout=_LONGEST_GOODBYE)

    def start_run(self, slot: int, at_ms: int) -> None:
        """One commit: the session is touched."""
        self._ask(do="start", slot=slot, at_ms=at_ms)

    def end_run(self, slot: int, at_ms: int, next_ms: int, *, is_zero: bool = False) -> None:
        """Three commits: the cost event, the session's totals, the job's row."""
        self._ask(do="end", slot=slot, at_ms=at_ms, next_ms=next_ms, is_zero=is_zero)

    def plan(self, slot: int, due_ms: int) -> None:
        """One commit: the job's next run is another one."""
        self._ask(do="plan", slot=slot, at_ms=due_ms)

    def _ask(self, **order: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        if self._process.stdout.readline() != "done\n":
            raise RuntimeError("the writing process has died")


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
