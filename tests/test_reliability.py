"""The page about what the program withstands lists the attacks that there are."""

from bench.faults.__main__ import DOCUMENT, FAULTS, Outcome, table_of, with_table


def test_the_page_has_a_row_for_each_attack() -> None:
    known = [(fault, promise) for fault, (promise, _) in FAULTS.items()]
    assert table_of(DOCUMENT.read_text()) == known, "make it anew: python -m bench.faults --write"


def test_what_is_written_into_the_page_is_what_stands_there_afterwards() -> None:
    seen = [Outcome(fault, promise, "", "58 MB", 1.0, "") for fault, (promise, _) in FAULTS.items()]
    text = with_table(DOCUMENT.read_text(), seen, "all were kept")
    assert table_of(text) == [(one.fault, one.promise) for one in seen]
    assert "all were kept.\n" in text
    assert with_table(text, seen, "all were kept") == text
