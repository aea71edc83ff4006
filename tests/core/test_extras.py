"""The command that adds what is missing is of use where it is read."""

import shlex
import sys
import tomllib
from pathlib import Path

import pytest

from watchdog.core.extras import how_to_add

EXTRAS = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["optional-dependencies"]


@pytest.mark.parametrize("extra", ["mcp", "postgres"])
def test_it_names_this_environment_and_all_that_the_extra_needs(extra: str) -> None:
    words = shlex.split(how_to_add(extra))
    assert words[:4] == [sys.executable, "-m", "pip", "install"]
    assert [word.split(">")[0].split("<")[0] for word in words[4:]] == [need.split(">")[0] for need in EXTRAS[extra]]
