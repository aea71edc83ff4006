"""`run` in its usual words is understood without what reads all other command lines: and in the same way."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.cli.serving import Asked, plainly_asked
from watchdog.cli.verbs import cli

WORDS = (
    "-c",
    "--config",
    "--database",
    "--listen",
    "--debug-log",
    "-c=x",
    "--config=x",
    "--listen=",
    "--conf",
    "x",
    "-",
)


@given(st.lists(st.sampled_from(WORDS), max_size=6))
def test_what_is_plainly_asked_is_what_the_command_line_makes_of_it(words: list[str]) -> None:
    asked = plainly_asked(["run", *words])
    if asked is not None:
        assert asked == Asked(**cli.commands["run"].make_context("run", words).params)


@pytest.mark.parametrize(
    "words",
    [
        ["-c", "watchdog.yaml"],
        ["--config=watchdog.yaml", "--listen", "127.0.0.1:0", "--debug-log"],
        ["--database", "phantom.db"],
        [],
    ],
)
def test_what_stands_in_units_and_documents_is_plainly_asked(words: list[str]) -> None:
    assert plainly_asked(["run", *words]) is not None


@pytest.mark.parametrize(
    "words", [["run", "--help"], ["run", "-c"], ["run", "x"], ["run", "--conf", "x"], ["check", "-c", "x"], []]
)
def test_whatever_else_is_left_to_the_command_line(words: list[str]) -> None:
    assert plainly_asked(words) is None


def test_what_neither_understands_is_an_error_of_the_command_line() -> None:
    with pytest.raises(click.UsageError):
        cli.commands["run"].make_context("run", ["-c", "--debug-log", "x"])
    assert plainly_asked(["run", "-c", "--debug-log", "x"]) is None
