"""A case that is not as it should be is told in one line: which file, which line, what is wrong."""

import contextlib
import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.cases import at, changed, header, row, spelt, whole, written
from tests.support.command import command
from tests.support.memory_folder import memory_folder
from watchdog.replay.case import CaseError, opened
from watchdog.replay.command import replay

WRONG: dict[str, tuple[list[object], str]] = {
    "empty": ([], "is empty"),
    "no header": ([whole(row())], "line 1 is not the header"),
    "another format": ([header(case=2)], "line 1 is not the header of a recorded case of format 1: it says 2"),
    "no kind": ([header(source={})], "line 1: `source` does not say its `kind`"),
    "no instant": ([header(begins="soon")], "line 1: `begins` is not an instant"),
    "ends first": ([header(ends=at(-1))], "line 1: it ends before it begins"),
    "bad JSON": ([header(), whole(row()), '{"at": '], "line 3 is not JSON"),
    "no object": ([header(), "[]"], "line 2 is not a JSON object"),
    "deep": ([header(), "[" * 100_000], "line 2 is not JSON"),
    "out of order": ([header(), whole(row(), minutes=2), changed(1, row())], "line 3 is out of order"),
    "no instant of a step": ([header(), {"note": "…"}], "line 2: `at` is not an instant"),
    "no rows": ([header(), {"at": at(0), "set": {"phantom.db": {"scheduled_jobs": 7}}}], "line 2: `set`"),
    "odd row": ([header(), {"at": at(0), "set": {"phantom.db": {"scheduled_jobs": [7]}}}], "line 2: `set`"),
    "no tables": ([header(), {"at": at(0), "tables": []}], "line 2: `tables` is not an object"),
    "no schema": ([header(), {"at": at(0), "tables": {"a.db": {"t": {"rows": []}}}}], "table without its schema"),
    "odd clock": ([header(), {"at": at(0), "clock": {"ahead_s": "much"}}], "line 2: `clock`"),
    "clock of infinity": ([header(), '{"at": "' + at(0) + '", "clock": {"ahead_s": Infinity}}'], "line 2: `clock`"),
    "odd process": ([header(), {"at": at(0), "processes": {"7": 1}}], "line 2: `processes`"),
    "odd files": ([header(), {"at": at(0), "files": {"a": 1}}], "line 2: `files`"),
    "odd remove": ([header(), {"at": at(0), "remove": "a"}], "line 2: `remove`"),
    "unknown database": ([header(), changed(1, row())], "line 2 cannot be played: the database 'phantom.db'"),
    "unknown column": ([header(), whole(row()), changed(1, row(what=1))], "line 3 cannot be played: "),
    "other statement": (
        [header(), {"at": at(0), "tables": {"a.db": {"t": {"schema": "ATTACH 'x' AS y", "rows": []}}}}],
        "does not begin with CREATE TABLE",
    ),
    "two statements": (
        [
            header(),
            {"at": at(0), "tables": {"a.db": {"t": {"schema": "CREATE TABLE t (a); DROP TABLE t", "rows": []}}}},
        ],
        "line 2 cannot be played",
    ),
    "odd value": ([header(), whole(row(task=["…"]))], "line 2 cannot be played: a value is neither text nor a number"),
    "huge number": ([header(), whole(row(run_count=2**70))], "line 2 cannot be played"),
    "outside": ([header(), {"at": at(0), "files": {"../x": "…"}}], "line 2 cannot be played: '../x' is no path"),
    "absolute": ([header(), {"at": at(0), "append": {"/x": "…"}}], "line 2 cannot be played: '/x' is no path"),
    "database outside": ([header(), whole(row(), database="../../x.db")], "'../../x.db' is no path"),
}


@pytest.mark.parametrize(("lines", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, lines: list[object], said: str) -> None:
    """With the file and the line."""
    path = written(tmp_path / "a.case.jsonl.gz", lines)
    with pytest.raises(CaseError) as caught:
        list(replay(path, None, None))
    assert said in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_cut_short_is_said_to_be(tmp_path: Path) -> None:
    """As a download that broke off."""
    path = written(tmp_path / "a.case.jsonl.gz", [header(), *[changed(n, row(str(n))) for n in range(99)]])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(CaseError, match=r"cannot be read|cannot be played"):
        list(replay(path, None, None))


@pytest.mark.parametrize("content", [b"\x1f\x8b rubbish", b"\xff\xfe\x00rubbish", b"SQLite format 3\0"])
def test_what_is_no_case_at_all_is_said_to_be_none(tmp_path: Path, content: bytes) -> None:
    """Whatever it is."""
    path = tmp_path / "a.case.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(CaseError):
        list(replay(path, None, None))


def test_an_absent_file_and_an_unknown_kind_end_with_one_line_and_exit_3(tmp_path: Path) -> None:
    """Through the installed command."""
    absent = command("replay", str(tmp_path / "absent"))
    assert (absent.returncode, absent.stdout) == (3, "")
    assert absent.stderr == f"scheduler-watchdog: {tmp_path / 'absent'} cannot be read: No such file or directory\n"
    strange = written(tmp_path / "strange.case.jsonl.gz", [header(source={"kind": "abacus"})])
    unknown = command("replay", str(strange))
    assert unknown.returncode == 3
    assert "a case of kind 'abacus' cannot be played; known here: " in unknown.stderr
    assert len(unknown.stderr.splitlines()) == 1


def test_unknown_keys_and_unpacked_files_are_no_fault(tmp_path: Path) -> None:
    """A newer recorder may say more; a case that was edited by hand need not be packed again."""
    path = tmp_path / "a.case.jsonl"
    lines = [header(weather="fine"), whole(row(status="failed")) | {"moon": "full", "note": "…"}]
    path.write_text("\n\n".join(map(json.dumps, lines)))
    assert (0.0, "found", "failed", "heartbeat") in spelt(replay(path, None, None))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_whatever_stands_in_a_line_nothing_but_a_case_error_comes_out(data: st.DataObject) -> None:
    """Any JSON in any place."""
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    value = st.recursive(leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner))
    keys = ("tables", "set", "delete", "files", "append", "remove", "processes", "clock", "asleep", "note")
    odd = data.draw(st.dictionaries(st.sampled_from(keys), value))
    with memory_folder() as folder:
        path = written(Path(folder) / "a", [header(hours=0.1), whole(row()), {"at": at(1), **odd}])
        with contextlib.suppress(CaseError):
            list(replay(path, None, None))


def test_a_case_is_read_line_by_line(tmp_path: Path) -> None:
    """So that it may be as long as it likes."""
    path = tmp_path / "long.case.jsonl.gz"
    with gzip.open(path, "wt") as file:
        file.write(json.dumps(header()) + "\n")
        file.writelines(json.dumps(changed(n / 1000, row())) + "\n" for n in range(1000))
        file.write("rubbish\n")
    with opened(path) as case:
        assert next(case.steps).line == 2
