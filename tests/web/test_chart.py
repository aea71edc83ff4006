"""A job's past over time: equal slots up to now, what happened in each, and a scale that can be read."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.state.history import Run
from watchdog.web.chart import RANGES, chart, nice
from watchdog.web.strip import Cell

NOW = datetime(2026, 6, 10, 12, 34, 56, tzinfo=UTC)


def ran(hours_ago: float, tokens: int | None = 100, cost: float | None = None, status: str = "ok") -> Cell:
    """A run that ended so long ago."""
    at = NOW - timedelta(hours=hours_ago)
    run = Run("agent", "id", at, status=status, input_tokens=tokens, output_tokens=0, cost_usd=cost)
    return Cell(at, run.outcome, run)


def test_a_slot_shows_the_gravest_of_what_happened_and_says_all_of_it() -> None:
    found = chart("day", [ran(0.1), ran(0.2), ran(0.3, status="error")], NOW)
    assert (found.slots[-1].what, len(found.slots)) == ("error", 24)
    assert found.slots[-1].title == "2026-06-10 12:00 UTC to 2026-06-10 13:00 UTC: 2 worked, 1 error"
    assert found.slots[0].title.endswith("no fire")


@pytest.mark.parametrize("name", RANGES)
def test_all_of_a_range_is_in_it_and_nothing_else(name: str) -> None:
    span = RANGES[name]
    begin = span.begin(NOW)
    assert begin <= NOW - span.whole + span.slot
    assert begin + span.whole > NOW
    edge = [Cell(begin, "worked"), Cell(begin - timedelta(microseconds=1), "error"), Cell(NOW, "missed")]
    assert chart(name, edge, NOW).words == "1 worked, 1 missed"


def test_tokens_and_cost_are_summed_by_slot_with_a_scale() -> None:
    found = chart("week", [ran(1, 300, 0.02), ran(2, 450, 0.05), ran(30, 10)], NOW)
    tokens, money = found.measures
    assert (tokens.name, tokens.top, tokens.half, tokens.total) == (
        "Tokens",
        "1\u202f000",
        "500",
        "760 of 3 runs on record in the last week",
    )
    assert (money.name, money.total) == ("USD", "0.0700 of 2 runs on record in the last week; of 1 more not known")
    assert max(bar.height for bar in tokens.bars) == 75


def test_what_nobody_measured_has_no_chart() -> None:
    assert chart("week", [ran(1, None)], NOW).measures == ()
    assert chart("week", [], NOW).words == "nothing"


@given(st.floats(1e-6, 1e12))
def test_the_scale_ends_at_a_round_number_no_smaller_than_anything_on_it(most: float) -> None:
    top = nice(most)
    assert most * (1 - 1e-6) <= top <= most * 2.6
    assert f"{top:e}"[0] in "125"
