"""A table whose last column holds sentences: they stand below their row where the terminal has no room beside it."""

from collections.abc import Sequence
from itertools import starmap

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

ROOM = 32
"""Columns of a terminal; a sentence that has fewer is broken into pieces that nobody reads."""

_BETWEEN = 3
"""Columns between two of the table's."""


class Listing:
    """Rows under `headings`, of which the last is that of the sentences. `to_the_right`: the headings of numbers."""

    def __init__(self, *headings: str, to_the_right: Sequence[str] = ()) -> None:
        self._headings = headings
        self._to_the_right = to_the_right
        self._rows: list[tuple[Text, ...]] = []

    def add_row(self, *cells: Text) -> None:
        """One more."""
        self._rows.append(cells)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Beside each other, or below."""
        widths = [max(cell_len(cell.plain) for cell in cells) for cells in zip(*self._rows, strict=True)][:-1]
        taken = sum(max(width, cell_len(head)) + _BETWEEN for width, head in zip(widths, self._headings, strict=False))
        if options.max_width - taken >= ROOM:
            yield self._table()
        else:
            yield from self._below(widths)

    def _table(self) -> Table:
        *others, last = self._headings
        columns = [
            Column(head, justify="right" if head in self._to_the_right else "left", no_wrap=True) for head in others
        ]
        columns.append(Column(last, overflow="fold", ratio=1))
        table = Table(*columns, box=box.SIMPLE_HEAD, padding=(0, 1), show_edge=False)
        for cells in self._rows:
            table.add_row(*cells)
        return table

    def _below(self, widths: Sequence[int]) -> RenderResult:
        for *cells, sentence in self._rows:
            yield Text("  ").join(starmap(_filled, zip(cells, widths, strict=True)))
            yield Padding(sentence, (0, 0, 0, 4))


def _filled(cell: Text, width: int) -> Text:
    filled = cell.copy()
    filled.pad_right(width - cell_len(cell.plain))
    return filled
