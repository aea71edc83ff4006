"""A second watchdog on the same store is seen, without anything written beside it."""

import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from watchdog.config.file import for_database
from watchdog.config.sources import Section
from watchdog.service.neighbours import Neighbours


def _section(path: Path) -> Section:
    (section,) = for_database(path).sources
    return section


def test_a_second_watchdog_on_one_store_is_seen_whatever_the_path(tmp_path: Path) -> None:
    store, locks = tmp_path / "store" / "phantom.db", tmp_path / "locks"
    store.parent.mkdir()
    locks.mkdir()
    store.touch()
    (tmp_path / "link.db").symlink_to(store)
    with closing(Neighbours([locks])) as first, closing(Neighbours([locks])) as second:
        assert not first.seen(_section(store))
        assert not first.seen(_section(store))
        assert second.seen(_section(tmp_path / "link.db"))
        first.close()
        assert not second.seen(_section(store))
    assert list(store.parent.iterdir()) == [store]


def test_a_service_that_may_write_nowhere_sees_no_others_and_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    Neighbours().close()


def test_nothing_is_claimed_where_nothing_can_be_known(tmp_path: Path) -> None:
    store = tmp_path / "phantom.db"
    store.touch()
    with closing(Neighbours([tmp_path / "not there"])) as one, closing(Neighbours([tmp_path / "not there"])) as other:
        assert not one.seen(_section(store))
        assert not other.seen(_section(store))
    with closing(Neighbours([tmp_path])) as one:
        assert not one.seen(_section(tmp_path / "no such.db"))
