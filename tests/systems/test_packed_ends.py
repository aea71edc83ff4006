"""Packed run ends say what a tuple of them says."""

import sqlite3
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from watchdog.core.instants import EPOCH
from watchdog.core.model import RunEnd
from watchdog.state.documents import readable
from watchdog.state.plain import plain
from watchdog.systems.phantom.cost_ledger import CostLedger, KeptEnds
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
    folded = packed.folded()
    assert (folded, folded[-1:], folded[part]) == (packed, packed[-1:], packed[part])
    assert packed.newest == (ends[-1] if ends else None)


@given(st.lists(ENDS, max_size=14), ENDS, st.integers(1, 14))
def test_the_newest_is_put_behind_them_and_the_oldest_are_let_go(ends: list[RunEnd], end: RunEnd, most: int) -> None:
    longer = PackedEnds(ends).with_newest(end, most)
    assert longer == (*ends, end)[-most:]
    assert longer.newest == longer[-1] == end


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


def test_the_ends_of_a_table_whose_ids_are_no_whole_numbers_here_and_there_are_read_all_the_same() -> None:
    at = datetime(2026, 4, 29, 10, tzinfo=UTC)
    ledger, table = CostLedger(), sqlite3.connect(":memory:")
    table.execute("CREATE TABLE cost_events (id INTEGER, session_key TEXT, created_at TEXT)")
    rows = [(id_, "scheduler:sched:a", (at + timedelta(hours=id_)).isoformat()) for id_ in (1, 2.5, 4)]
    table.executemany("INSERT INTO cost_events VALUES (?, ?, ?)", rows)
    ledger.read(table, at - timedelta(days=7), at + timedelta(days=1))
    assert [end.at for end in ledger.recent("a")] == [at + timedelta(hours=hours) for hours in (1, 2.5, 4)]
