"""Sentences beside their rows, or below them."""

from io import StringIO

import pytest
from rich.console import Console
from rich.text import Text

from watchdog.cli.listing import ROOM, Listing

WHY = "heartbeat was given up after 10 errors in a row: Error: 429 rate_limit_error"


def _shown(width: int, state: str) -> list[str]:
    listing = Listing("ID", "What", "State", "Why", to_the_right=["ID"])
    for number, what in (("7", "failed"), ("12", "zero_tokens")):
        listing.add_row(Text(number), Text(what), Text(state), Text(WHY))
    screen = Console(file=StringIO(), record=True, width=width)
    screen.print(listing)
    return [line.rstrip() for line in screen.export_text().splitlines()]


def test_with_room_for_it_a_sentence_stands_beside_its_row_under_a_heading() -> None:
    shown = _shown(120, "open")
    assert shown[0].split() == ["ID", "What", "State", "Why"]
    assert shown[2].split()[:4] == ["7", "failed", "open", "heartbeat"]


def test_without_room_it_stands_below_and_the_rows_stay_in_line() -> None:
    shown = _shown(60, "Maria (page) is on it; more since")
    rows = [line for line in shown if line.endswith("more since")]
    assert rows == [
        "7   failed       Maria (page) is on it; more since",
        "12  zero_tokens  Maria (page) is on it; more since",
    ]
    assert shown[1].startswith("    heartbeat was given up after")


@pytest.mark.parametrize("width", range(30, 130, 7))
def test_no_line_is_wider_than_the_terminal_and_no_word_of_a_sentence_is_lost(width: int) -> None:
    shown = _shown(width, "open")
    assert max(map(len, shown)) <= width
    assert " ".join(" ".join(shown).split()).count("rate_limit_error") == 2


def test_a_sentence_has_room_wherever_it_stands() -> None:
    for width in range(ROOM + 4, 130):
        longest = max(len(line.strip()) for line in _shown(width, "somebody is on it") if "heartbeat" in line)
        assert longest >= ROOM // 2
