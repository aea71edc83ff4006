"""The page about what the program withstands lists the attacks that there are."""

from bench.faults.__main__ import DOCUMENT, with_table


def test_the_page_has_a_row_for_each_attack() -> None:
    text = DOCUMENT.read_text()
    assert with_table(text) == text, "make it anew: python -m bench.faults --only none-at-all --write"
