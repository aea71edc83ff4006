"""Packed run ends say what a tuple of them says."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from watchdog.core.instants import EPOCH
from watchdog.core.model import RunEnd
from watchdog.state.documents import readable
from watchdog.state.plain import plain
from watchdog.systems.phantom.cost_ledger import KeptEnds
from watchdog.systems.shared.packed_ends import PackedEnds

COUNTS = st.none() | st.integers(-(10**18), 10**18)
ENDS = st.builds(
    RunEnd,
    id=st.integers(-(2**63), 2**63 - 1),
    at=st.integers(0, 32_472_144_000_000_000).map(lambda microseconds: EPOCH + timedelta(microseconds=microseconds)),
    input_tokens=COUNTS,
    output_tokens=COUNTS,
    cost_usd=st.none() | st.floats(0, 1e9),
)


@given(st.lists(ENDS, max_size=14), st.slices(14))
def test_they_are_read_as_the_tuple_of_them_is(ends: list[RunEnd], part: slice) -> None:
    packed, plainly = PackedEnds(ends), tuple(ends)
    assert packed == plainly
    assert plainly == packed
    assert packed[part] == plainly[part]
    assert [packed[place] for place in range(-len(ends), len(ends))] == [*ends, *ends]
    assert (len(packed), hash(packed), bool(packed)) == (len(ends), hash(plainly), bool(ends))


@given(st.lists(ENDS, max_size=14), ENDS, st.integers(1, 14))
def test_the_newest_is_put_behind_them_and_the_oldest_are_let_go(ends: list[RunEnd], end: RunEnd, most: int) -> None:
    assert PackedEnds(ends).with_newest(end, most) == (*ends, end)[-most:]


@given(ENDS, ENDS)
def test_other_ones_are_not_equal(one: RunEnd, other: RunEnd) -> None:
    assert (PackedEnds([one]) == PackedEnds([other])) == (one == other)
    assert PackedEnds([one]) != PackedEnds([one, other])
    assert PackedEnds([one]) != [one]


def test_they_are_kept_over_a_restart_as_the_tuple_of_them_was() -> None:
    at = datetime(2026, 4, 29, 10, tzinfo=UTC)
    ends = (RunEnd(1, at, 0, 0), RunEnd(2, at + timedelta(hours=1), None, 5, 0.25))
    kept = [KeptEnds(each, 1, (at,), 2, has_used=True) for each in (ends, PackedEnds(ends))]
    assert plain(kept[0]) == plain(kept[1])
    assert readable(KeptEnds, plain(kept[1])) == kept[0]
