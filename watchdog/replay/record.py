"""The verb `record`: watches a live store for a while and leaves a case behind."""

import gzip
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from watchdog.config.file import Config
from watchdog.core.clock import Clock
from watchdog.replay.recording import Recorder
from watchdog.systems import KINDS, system, system_of
from watchdog.systems.base import System
from watchdog.systems.shared.recordable import Recordable
from watchdog.systems.shared.writer import Writers


class CannotRecordError(Exception):
    """Nothing can be recorded; one line that says why."""


def recordable_of(config: Config, name: str | None) -> Recordable:
    """The store that is meant: the only one that can be recorded, or the one of that name."""
    named = [source for source in config.sources if name is None or source.name == name]
    if not named:
        known = ", ".join(source.name for source in config.sources)
        raise CannotRecordError(f"there is no source {name!r}; known: {known}")
    stores = {source.name: store for source in named if (store := system_of(source).recordable(source)) is not None}
    if not stores:
        can = ", ".join(kind for kind in KINDS if type(system(kind)).recordable is not System.recordable)
        raise CannotRecordError(f"a source of kind {named[0].kind} cannot be recorded; one of kind {can} can")
    if len(stores) > 1:
        raise CannotRecordError(f"say which source is to be recorded: --source {' or '.join(stores)}")
    return next(iter(stores.values()))


def record(
    store: Recordable,
    out: Path,
    length: timedelta,
    poll: timedelta,
    clock: Clock,
    wait: Callable[[timedelta], bool],
    writers: Writers | None = None,
) -> int:
    """Record for so long, or until `wait` says that it is enough; the number of steps. Raises CannotRecordError.

    `writers`: whether the process that writes the store lives; left out, the case says nothing of it.
    """
    if not store.database.is_file():
        raise CannotRecordError(f"{store.database} is not there")
    if out.exists():
        raise CannotRecordError(f"{out} is there already: give another name with -o")
    try:
        with tempfile.TemporaryFile("w+", encoding="utf-8", dir=out.parent) as steps:
            return _record(store, out, length, poll, clock, wait, steps, writers)
    except OSError as error:
        raise CannotRecordError(f"{out} cannot be written: {error.strerror or error}") from None


def _record(
    store: Recordable,
    out: Path,
    length: timedelta,
    poll: timedelta,
    clock: Clock,
    wait: Callable[[timedelta], bool],
    steps: IO[str],
    writers: Writers | None,
) -> int:
    count = 0

    def write(step: Mapping[str, Any]) -> None:
        nonlocal count
        count += 1
        steps.write(_line(step))

    begins = clock.stamp()
    recorder = Recorder(store, begins, poll, write, writers)
    recorder.look(begins)
    while (left := length - begins.elapsed(clock.stamp())) > timedelta() and wait(min(poll, left)):
        recorder.look(clock.stamp())
    ends = clock.stamp()
    recorder.look(ends)
    _finish(out, recorder.header(ends), steps)
    return count


def _finish(out: Path, header: Mapping[str, Any], steps: IO[str]) -> None:
    """The header comes first in the file, and is known last."""
    steps.seek(0)
    with gzip.open(out, "xt", encoding="utf-8") as case:
        case.write(_line(header))
        shutil.copyfileobj(steps, case)


def _line(step: Mapping[str, Any]) -> str:
    return json.dumps(step, ensure_ascii=False, separators=(",", ":")) + "\n"
