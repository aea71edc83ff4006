"""A job's past over time: a row of equal slots up to now, what happened in each, and what it used and cost."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.core.instants import EPOCH, iso, say
from watchdog.web.shown import When, many, tokens_of, when
from watchdog.web.strip import WORDS, Cell

HEIGHT = 100
"""Of a bar, in the chart's own units."""

_GRAVEST = ("error", "broken_off", "missed", "skipped", "no_tokens", "in_flight", "unknown", "worked")
"""What a slot shows of several things that happened in it: the first."""

_TICKS = 4


@dataclass(frozen=True, slots=True)
class Range:
    """So many slots of a length."""

    slot: timedelta
    count: int
    is_of_days: bool

    @property
    def whole(self) -> timedelta:
        """How far back it goes."""
        return self.slot * self.count

    def begin(self, now: datetime) -> datetime:
        """The beginning of the oldest slot; the newest is the one under way, and all begin at whole hours in UTC."""
        newest = EPOCH + (now - EPOCH) // self.slot * self.slot
        return newest - self.slot * (self.count - 1)


RANGES = {
    "day": Range(timedelta(hours=1), 24, is_of_days=False),
    "week": Range(timedelta(hours=6), 28, is_of_days=True),
    "month": Range(timedelta(days=1), 30, is_of_days=True),
}
USUAL = "week"


@dataclass(frozen=True, slots=True)
class Slot:
    """What happened from one instant to the next; `what` is empty where nothing did."""

    x: int
    what: str
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """An instant at the axis: where, and as a day or a time of day."""

    x: int
    iso: str
    said: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A slot's height in one measure."""

    x: int
    y: int
    height: int
    what: str
    title: str


@dataclass(frozen=True, slots=True)
class Measure:
    """What was used or spent over time. `top` and `half` stand at the axis; `total`: of the whole range, in words."""

    name: str
    top: str
    half: str
    total: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """All of it, over one range."""

    name: str
    begin: When
    width: int
    slots: tuple[Slot, ...]
    ticks: tuple[Tick, ...]
    words: str
    measures: tuple[Measure, ...]


WIDTH = 10
"""Of a slot."""


def chart(name: str, cells: Sequence[Cell], now: datetime) -> Chart:
    """A job's fires over the range of that name."""
    span = RANGES[name]
    begin = span.begin(now)
    groups: list[list[Cell]] = [[] for _ in range(span.count)]
    for cell in cells:
        index = (cell.at - begin) // span.slot
        if 0 <= index < span.count:
            groups[index].append(cell)
    spoken = [_between(begin + span.slot * index, span.slot) for index in range(span.count)]
    return Chart(
        name,
        when(begin, now),
        span.count * WIDTH,
        tuple(_slot(index, group, spoken[index]) for index, group in enumerate(groups)),
        tuple(_ticks(span, begin)),
        _counted([cell for group in groups for cell in group]) or "nothing",
        tuple(_measures(name, groups, spoken)),
    )


def _between(start: datetime, length: timedelta) -> str:
    return f"{say(start)} to {say(start + length)}"


def _slot(index: int, cells: Sequence[Cell], spoken: str) -> Slot:
    what = next((what for what in _GRAVEST if any(cell.what == what for cell in cells)), "")
    return Slot(index * WIDTH, what, f"{spoken}: {_counted(cells) or 'no fire'}")


def _counted(cells: Sequence[Cell]) -> str:
    counts = Counter[str]()
    for cell in cells:
        counts[cell.what] += cell.count
    return ", ".join(f"{counts[what]} {words}" for what, words in WORDS.items() if counts[what])


def _ticks(span: Range, begin: datetime) -> Iterator[Tick]:
    every = span.count // _TICKS
    for index in range(0, span.count, every):
        at = begin + span.slot * index
        yield Tick(index * WIDTH, iso(at), at.strftime("%-d %b" if span.is_of_days else "%H:%M"))


def _measures(range_name: str, groups: Sequence[Sequence[Cell]], spoken: Sequence[str]) -> Iterator[Measure]:
    tokens = [[_tokens(cell) for cell in group] for group in groups]
    costs = [[cell.run.cost_usd if cell.run else None for cell in group] for group in groups]
    for name, values, is_money in (("Tokens", tokens, False), ("USD", costs, True)):
        sums = [_sum(of_slot) for of_slot in values]
        most = max((value for value in sums if value is not None), default=0)
        if most > 0:
            runs = sum(bool(cell.run) and cell.what != "broken_off" for group in groups for cell in group)
            known = sum(value is not None for of_slot in values for value in of_slot)
            covers = f" of {known} run{'' if known == 1 else 's'} on record in the last {range_name}"
            more = f"; of {runs - known} more not known" if runs > known else ""
            yield _measure(name, sums, nice(most), spoken, covers + more, is_money=is_money)


def _tokens(cell: Cell) -> float | None:
    return tokens_of(cell.run) if cell.run else None


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _measure(
    name: str, sums: Sequence[float | None], top: float, spoken: Sequence[str], covers: str, *, is_money: bool
) -> Measure:
    bars = []
    for index, value in enumerate(sums):
        if value is not None:
            height = max(1 if value > 0 else 0, round(HEIGHT * max(0, value) / top))
            title = f"{spoken[index]}: {_amount(value, is_money=is_money)} {name if is_money else name.lower()}"
            bars.append(Bar(index * WIDTH, HEIGHT - height, height, "worked" if value > 0 else "no_tokens", title))
    total = sum(value for value in sums if value is not None)
    said = [_amount(value, is_money=is_money) for value in (top, top / 2, total)]
    return Measure(name, said[0], said[1], said[2] + covers, tuple(bars))


def _amount(value: float, *, is_money: bool) -> str:
    if not is_money:
        return many(value)
    return f"{value:,.2f}" if value >= 0.1 or value == 0 else f"{value:.4f}"


def nice(most: float) -> float:
    """The next round number that is no smaller: 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= most * (1 - 1e-9))
