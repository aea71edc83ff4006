"""A recorded case, read line by line: a header, then a step for each visible change (docs/replay.md)."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any, TypeVar

from watchdog.core.instants import parse_instant

FORMAT = 1
"""What the header's `case` says."""

LONGEST_LINE = 64 * 1024 * 1024
"""Characters of one line; a file of somebody else's is not to fill the memory."""

Rows = Sequence[Mapping[str, Any]]
T = TypeVar("T")


class CaseError(Exception):
    """The case cannot be played; one line: file, line, what is wrong."""


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table."""

    schema: str
    rows: Rows


@dataclass(frozen=True, slots=True)
class Seen:
    """A process as a neighbour sees it; None is not known. `started`: whatever its system compares it by."""

    alive: bool = True
    stopped: bool | None = None
    started: object = None


@dataclass(frozen=True, slots=True)
class Step:
    """What changed at an instant. Databases and files are named by their path beside the case's source.

    `ahead_s`: from here on the watchdog's wall clock is so many seconds ahead; `asleep`: its machine sleeps, or wakes.
    """

    at: datetime
    line: int
    tables: Mapping[str, Mapping[str, Table]] = field(default_factory=dict)
    changed: Mapping[str, Mapping[str, Rows]] = field(default_factory=dict)
    deleted: Mapping[str, Mapping[str, Sequence[Any]]] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    appended: Mapping[str, str] = field(default_factory=dict)
    removed: Sequence[str] = ()
    processes: Mapping[str, Seen] = field(default_factory=dict)
    ahead_s: float | None = None
    asleep: bool | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """An open case. `source`: what the header says of the scheduler."""

    path: Path
    what: str
    source: Mapping[str, Any]
    begins: datetime
    ends: datetime
    steps: Iterator[Step]

    @property
    def kind(self) -> str:
        """The system."""
        return str(self.source.get("kind"))


@contextmanager
def opened(path: Path) -> Iterator[Case]:
    """The case in a file. Raises CaseError, also later, from the steps."""
    try:
        with _text(path) as stream:
            lines = _lines(path, stream)
            header = next(lines, None)
            if header is None:
                raise CaseError(f"{path} is empty: it must begin with a header")
            yield _case(path, header[1], lines)
    except (OSError, EOFError, zlib.error) as error:
        raise CaseError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _text(path: Path) -> IO[str]:
    with path.open("rb") as file:
        is_packed = file.read(2) == b"\x1f\x8b"
    if is_packed:
        return gzip.open(path, "rt", encoding="utf-8")
    return path.open(encoding="utf-8")


def _lines(path: Path, stream: IO[str]) -> Iterator[tuple[int, Mapping[str, Any]]]:
    number = 0
    while True:
        number += 1
        try:
            text = stream.readline(LONGEST_LINE)
        except UnicodeDecodeError:
            raise CaseError(f"{path}: line {number} is not text: is it a recorded case?") from None
        if not text:
            return
        if text.strip():
            yield number, _object(path, number, text)


def _object(path: Path, number: int, text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        if len(text) >= LONGEST_LINE:
            raise CaseError(f"{path}: line {number} is longer than {LONGEST_LINE} characters") from None
        raise CaseError(f"{path}: line {number} is not JSON: is the file cut short?") from None
    if not isinstance(value, dict):
        raise CaseError(f"{path}: line {number} is not a JSON object")
    return value


def _case(path: Path, header: Mapping[str, Any], lines: Iterator[tuple[int, Mapping[str, Any]]]) -> Case:
    if header.get("case") != FORMAT:
        said = f"it says {header['case']!r:.40}" if "case" in header else 'there is no `"case": 1`'
        raise CaseError(f"{path}: line 1 is not the header of a recorded case of format {FORMAT}: {said}")
    fields = _Fields(path, 1, header)
    source = fields.mapping("source")
    if not isinstance(source.get("kind"), str):
        raise CaseError(f"{path}: line 1: `source` does not say its `kind`")
    begins, ends = fields.instant("begins"), fields.instant("ends")
    if ends < begins:
        raise CaseError(f"{path}: line 1: it ends before it begins")
    return Case(path, str(header.get("what", "")), source, begins, ends, _steps(path, lines))


def _steps(path: Path, lines: Iterator[tuple[int, Mapping[str, Any]]]) -> Iterator[Step]:
    before: datetime | None = None
    for number, line in lines:
        step = _Fields(path, number, line).step()
        if before is not None and step.at < before:
            raise CaseError(f"{path}: line {number} is out of order: it lies before the step that it follows")
        before = step.at
        yield step


class _Fields:
    """The fields of one line; whatever is not as it should be is told with the line's number."""

    def __init__(self, path: Path, number: int, line: Mapping[str, Any]) -> None:
        self._where = f"{path}: line {number}"
        self._number = number
        self._line = line

    def _wrong(self, key: str, what: str) -> CaseError:
        return CaseError(f"{self._where}: `{key}` {what}")

    def instant(self, key: str) -> datetime:
        value = self._line.get(key)
        try:
            if isinstance(value, str):
                return parse_instant(value)
        except ValueError:
            pass
        raise self._wrong(key, "is not an instant like 2026-04-29T05:03:30.000Z")

    def mapping(self, key: str) -> Mapping[str, Any]:
        return self._of(key, self._line.get(key, {}), dict, "is not an object")

    def _of(self, key: str, value: Any, type_: type[T], what: str) -> T:
        if not isinstance(value, type_):
            raise self._wrong(key, what)
        return value

    def _texts(self, key: str) -> Mapping[str, str]:
        found = self.mapping(key)
        if not all(isinstance(text, str) for text in found.values()):
            raise self._wrong(key, "is not paths with their text")
        return found

    def _nested(self, key: str, each: type[T]) -> Mapping[str, Mapping[str, T]]:
        """By database, by table."""
        found = self.mapping(key)
        for tables in found.values():
            for value in self._of(key, tables, dict, "is not tables by database").values():
                self._of(key, value, each, "does not hold what a table needs")
        return found

    def _rows(self, key: str, value: Any) -> Rows:
        rows = self._of(key, value, list, "has no rows")
        if not all(isinstance(row, dict) and row for row in rows):
            raise self._wrong(key, "has a row that is not an object")
        return rows

    def _table(self, table: Mapping[str, Any]) -> Table:
        schema = self._of("tables", table.get("schema"), str, "has a table without its schema")
        return Table(schema, self._rows("tables", table.get("rows", [])))

    def _process(self, value: Any) -> Seen:
        found = self._of("processes", value, dict, "is not processes by their number")
        stopped = found.get("stopped")
        return Seen(
            found.get("alive", True) is True, None if stopped is None else stopped is True, found.get("started")
        )

    def _ahead(self) -> float | None:
        if "clock" not in self._line:
            return None
        ahead = self.mapping("clock").get("ahead_s")
        if isinstance(ahead, bool) or not isinstance(ahead, int | float) or not abs(ahead) < 1e10:
            raise self._wrong("clock", "does not say `ahead_s`, a number of seconds")
        return ahead

    def step(self) -> Step:
        tables = self._nested("tables", dict)
        changed = self._nested("set", list)
        return Step(
            at=self.instant("at"),
            line=self._number,
            tables={d: {name: self._table(t) for name, t in named.items()} for d, named in tables.items()},
            changed={d: {name: self._rows("set", r) for name, r in named.items()} for d, named in changed.items()},
            deleted=self._nested("delete", list),
            files=self._texts("files"),
            appended=self._texts("append"),
            removed=[str(path) for path in self._of("remove", self._line.get("remove", []), list, "is not a list")],
            processes={pid: self._process(value) for pid, value in self.mapping("processes").items()},
            ahead_s=self._ahead(),
            asleep=self._line.get("asleep") is True if "asleep" in self._line else None,
        )
