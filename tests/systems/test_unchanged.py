"""Rows that say what they said before are the same objects, and what follows from them is not worked out again."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.systems.shared.unchanged import InOrder, SameRows

ROWS = st.lists(
    st.tuples(st.sampled_from("abcdef"), st.integers(0, 2), st.sampled_from(["x", "y"])), unique_by=lambda row: row[0]
)


@given(st.lists(ROWS, max_size=10))
def test_however_rows_come_go_and_move_they_are_what_was_read(looks: list[list[tuple[str, int, str]]]) -> None:
    rows, made = SameRows(), InOrder[str]()
    before: dict[str, tuple[object, ...]] = {}
    for read in looks:
        keys = [row[0] for row in read]
        same = rows.of(keys, read)
        assert [*same] == read
        assert all(row is before[row[0]] for row in same if before.get(row[0]) == row)
        before = {row[0]: row for row in same}
        made.renew(keys, [*same], _words_of(same))
        assert made.results == [f"{row}" for row in read]


@given(st.lists(st.tuples(ROWS, st.integers(1, 3), st.booleans()), max_size=10))
def test_however_rows_are_read_piece_by_piece_they_are_what_was_read(
    looks: list[tuple[list[tuple[str, int, str]], int, bool]],
) -> None:
    """Whatever the pieces are, and though a look breaks off before its rows are taken."""
    rows = SameRows()
    for read, size, is_broken_off in looks:
        pieces = [read[start : start + size] for start in range(0, len(read), size)]
        got = [rows.weighed(start * size, piece) for start, piece in enumerate(pieces)]
        assert [row for piece, _ in got for row in piece] == read
        if not is_broken_off:
            assert [*rows.of([row[0] for row in read], [row for piece, _ in got for row in piece])] == read


def test_rows_that_are_as_they_were_are_not_weighed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, read = SameRows(), [("a", "text" * 9), ("b", "text" * 9)]
    weight, held = rows.weighed(0, read)[1], [*rows.of("ab", read)]
    assert weight > 36
    monkeypatch.setattr("watchdog.systems.shared.unchanged.marshal.dumps", lambda _: b"")
    again, same = rows.weighed(0, [("a", "text" * 9), ("b", "text" * 9)])
    assert same == weight
    assert all(now is then for now, then in zip(again, held, strict=True))
    assert rows.weighed(0, [("a", "text" * 9), ("b", "other")])[1] == 0


def test_what_was_weighed_is_what_was_read() -> None:
    """A look that breaks off, and one that needs no weights, leave none behind for other rows in the same place."""
    light, heavy = [("a", "x")], [("a", "x" * 9000)]
    rows = SameRows()
    weight = rows.weighed(0, light)[1]
    rows.of("a", light)
    assert rows.weighed(0, heavy)[1] > 9000  # and it breaks off
    assert rows.weighed(0, [("a", "x")])[1] == weight
    rows.of("a", light)
    rows.of("a", heavy)  # of a small database nothing is weighed
    assert rows.weighed(0, [("a", "x" * 9000)])[1] > 9000


def _words_of(rows: Sequence[object]) -> Callable[[int, str | None], str]:
    return lambda place, _: f"{rows[place]}"


def test_only_what_rests_on_something_else_is_made_anew() -> None:
    made, asked = InOrder[str](), list[str]()
    for keys in ("ab", "ab", "aB", "Ba", "BaC"):
        places = made.renew([*keys.lower()], [*keys], lambda place, before: f"{before}{place}")
        asked += [keys[place] for place in places]
    assert asked == ["a", "b", "B", "C"]
    assert made.results == ["None11", "None0", "None2"]
