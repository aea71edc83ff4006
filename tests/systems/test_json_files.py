"""Files of JSON, whole ones and logs of lines: what may stand in them, and how much of it is read."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from watchdog.systems.shared.json_document import read_document
from watchdog.systems.shared.json_lines import LONGEST_LINE, MOST_LINES, LogTail
from watchdog.systems.shared.plain_file import LARGEST
from watchdog.systems.shared.unreadable import UnreadableError

MIB = 1024 * 1024


def most_memory(do: Callable[[], object]) -> int:
    """Bytes that it took at its most."""
    tracemalloc.start()
    try:
        do()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"id": "a\xff"}',
        b'\xef\xbb\xbf{"id": "a\xef\xbf\xbd"}',
        '{"id": "a\ufffd"}'.encode("utf-16"),
        '{"id": "a\ufffd"}'.encode("utf-16-le"),
    ],
    ids=["a stray byte", "a mark of the byte order", "UTF-16", "UTF-16 without a mark"],
)
def test_text_is_read_in_whichever_encoding_and_a_stray_byte_hides_nothing_else(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "jobs.json").write_bytes(raw)
    assert read_document(tmp_path / "jobs.json") == {"id": "a\ufffd"}


@pytest.mark.parametrize(
    "raw", [b'{"id": "a\0"}', b"\0" * 5000, b'{"id": "a', b"[" * 100_000, b"9" * 5000, b"\xff\xfe", b"{} {}"]
)
def test_what_is_no_json_is_told_in_a_line(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "jobs.json").write_bytes(raw)
    with pytest.raises(UnreadableError, match="not whole JSON: it is half-written or damaged"):
        read_document(tmp_path / "jobs.json")


def test_of_a_log_that_has_grown_by_a_flood_of_lines_the_newest_are_read(tmp_path: Path) -> None:
    log, tail = tmp_path / "log.jsonl", LogTail()
    log.write_text('{"n": 0}\n')
    assert tail.read(log) == ([{"n": 0}], True)
    with log.open("a") as file:
        file.write("{}\n" * (2 * MIB) + '{"n": 1}\n')
    lines: list[object] = []
    assert most_memory(lambda: lines.extend(tail.read(log)[0])) < 40 * MIB
    assert (len(lines), lines[-1]) == (MOST_LINES, {"n": 1})
    assert tail.read(log) == ([], False)


def test_a_line_that_would_take_far_more_memory_than_its_length_is_passed_over(tmp_path: Path) -> None:
    log, tail = tmp_path / "log.jsonl", LogTail()
    log.write_text("")
    tail.read(log)
    flood = '{"n": [' + "[]," * (2 * MIB) + "[]]}\n"
    assert LONGEST_LINE < len(flood) < LARGEST
    log.write_text(flood + '{"n": 1}\n')
    lines: list[object] = []
    assert most_memory(lambda: lines.extend(tail.read(log)[0])) < 40 * MIB
    assert lines == [{"n": 1}]


def test_what_is_no_object_in_a_log_is_passed_over(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    odd = ["", "7", "[", "[]", '"x"', "null", "\0", '{"n": ' + "[" * 50_000, '{"n": ' + "9" * 5000 + "}"]
    log.write_text("\n".join([*odd, json.dumps({"n": 1}), '{"n": 2']))
    assert LogTail().read(log) == ([{"n": 1}], True)
