"""A backtest in a terminal."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from watchdog.backtest.report import Line


def view(lines: Iterable[Line]) -> RenderableType:
    """Each line in its colour; what it is about stands below it, indented. Names from a database are never markup."""
    return Group(*(part for line in lines for part in _parts(line)))


def _parts(line: Line) -> list[RenderableType]:
    head = Text(line.text, style=line.style)
    if not line.more:
        return [head]
    return [head, Padding(Text(line.more, style="dim" if line.style == "dim" else ""), (0, 0, 0, 4), expand=False)]
