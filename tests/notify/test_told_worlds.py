"""Worlds of jobs, owners and people, played through the very loop: who must be told what, and what nobody must be."""

import json
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.support.judging import letters, wrongs

FOLDER = Path(__file__).parents[1] / "data" / "telling"
WORLDS = json.loads((FOLDER / "worlds.json").read_text())
LARGE = {"overload-150-jobs-one-slot", "storm-of-300"}
"""Days of hundreds of jobs: each takes longer than all others together."""


def _world(name: str) -> ParameterSet:
    return pytest.param(name, id=name, marks=[pytest.mark.slow] if name in LARGE else [])


@pytest.mark.parametrize("name", [_world(name) for name in WORLDS])
def test_each_is_told_what_concerns_them_once(name: str, tmp_path: Path) -> None:
    """What each world is about stands in it as `what`, and why it is expected as `why`."""
    assert wrongs(letters(FOLDER / f"{name}.case.jsonl.gz", WORLDS[name], tmp_path), WORLDS[name]) == []
