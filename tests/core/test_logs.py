"""Logs that are written whoever reads them, or nobody does."""

import io
import json
import logging
import os
from collections.abc import Iterator

import pytest

from watchdog.core.logs import Beside, JsonLines


@pytest.fixture
def logger() -> Iterator[logging.Logger]:
    """One of its own, which passes nothing on."""
    logger = logging.Logger("theirs")
    yield logger
    for handler in logger.handlers:
        handler.close()


def beside(logger: logging.Logger, stream: io.TextIOBase, most: int = 100) -> Beside:
    handler = Beside(stream, most)  # type: ignore[arg-type]
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    return handler


def test_every_line_is_written_in_its_order(logger: logging.Logger) -> None:
    stream = io.StringIO()
    handler = beside(logger, stream)
    for number in range(50):
        logger.info("line", extra={"action": "test", "number": number})
    handler.drain(within=20)
    assert [json.loads(line)["number"] for line in stream.getvalue().splitlines()] == list(range(50))


def test_a_reader_that_stands_still_holds_nobody_up(logger: logging.Logger) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream, os.fdopen(reader) as read:
        handler = beside(logger, stream, most=10)
        for _ in range(200):
            logger.info("a line of a thousand signs: %s", "x" * 1000)
        handler.drain(within=0)
        assert json.loads(read.readline())["message"].startswith("a line of a thousand signs")
        for line in read:  # from now on somebody reads
            logger.info("the last")
            if json.loads(line)["message"] == "the last":
                break


def test_a_stream_that_takes_nothing_more_ends_nothing(logger: logging.Logger) -> None:
    stream = io.StringIO()
    handler = beside(logger, stream)
    stream.close()
    logger.info("unheard")
    handler.drain(within=20)
