"""Lives of the real Phantom scheduler, recorded step by step: what is found of each is what was so."""

from pathlib import Path

import pytest

from tests.support.cases import wrongs

FOLDER = Path(__file__).parents[1] / "data" / "timelines"
CASES = sorted(FOLDER.glob("*.case.jsonl.gz"))
NOT_YET = frozenset((FOLDER / "not-yet.txt").read_text().split())
"""Cases of which something is still told wrongly."""


def _case(path: Path) -> object:
    name = path.name.removesuffix(".case.jsonl.gz")
    marks = [pytest.mark.xfail(reason="told wrongly still")] if name in NOT_YET else []
    return pytest.param(path, id=name, marks=marks)


@pytest.mark.parametrize("case", [_case(path) for path in CASES])
def test_what_is_found_is_what_was_so(case: Path) -> None:
    """Each finding stands while it is so, and at no other time."""
    assert wrongs(case) == []
