"""What a process of its own has read and checked is the configuration that is read here, and so is what is wrong."""

import sys
from pathlib import Path

import pytest

from watchdog.config import file, reading
from watchdog.config.file import ConfigError
from watchdog.service import configuration

ALL = """
sources:
  - {name: a, database: a.db, labels: {team: home}, expect: [brief], api: {url: "http://127.0.0.1:3100"}}
  - {name: b, kind: json, preset: goose, folder: b}
  - {name: c, kind: sql, dsn: "postgresql://u:hunter2@h/x", jobs: SELECT 1 AS id}
channels: {ops: "json://127.0.0.1/x"}
owners: [{notify: [ops], quiet_hours: {from: "22:00", to: "07:00", except: nothing}}]
detect: {failing: {errors: 3}, jobs: [{match: x*, overdue: off, failing: {errors_at: 2}}]}
recovery: {mode: act, policies: [{match: {kind: failed}, action: revive, via: [sql], after: 10m}]}
"""


def test_it_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    path.write_text(ALL)
    here, there = reading.load(path), configuration.load(path)
    assert there == here
    assert (there.invocation, there.detect.said, there.said) == (here.invocation, here.detect.said, here.said)
    for name in ("x1", "y"):
        assert there.detect.named(name) == here.detect.named(name)


def test_without_a_file_it_is_the_same(tmp_path: Path) -> None:
    assert configuration.for_database(tmp_path / "x.db") == file.for_database(tmp_path / "x.db")


def test_all_that_is_wrong_is_told_in_the_same_words(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("sources: [{databse: x}]\npoll: soon\nowners: [{notify: [nobody]}]\n")
    with pytest.raises(ConfigError) as here:
        reading.load(path)
    with pytest.raises(ConfigError) as apart:
        configuration.load(path)
    assert apart.value.problems == here.value.problems


def test_a_process_that_says_nothing_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    with pytest.raises(ConfigError, match=r"x\.yaml: the process that checks it ended with 0 and said nothing") as told:
        configuration.load(tmp_path / "x.yaml")
    assert len(told.value.problems) == 1


def test_one_that_does_not_end_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "LONGEST", 0.01)
    with pytest.raises(ConfigError, match="took longer than"):
        configuration.load(tmp_path / "x.yaml")


def test_what_lies_where_it_was_started_is_not_taken_for_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another package of that name, such as the source of the one that watches files."""
    (tmp_path / "watchdog").mkdir()
    (tmp_path / "watchdog" / "__init__.py").write_text("raise SystemExit('another one')")
    monkeypatch.chdir(tmp_path)
    assert configuration.for_database(tmp_path / "x.db").sources
