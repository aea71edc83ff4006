"""How many made-up cases a property is tried with: few in every run of the tests, many in `make test-slow`.

`WATCHDOG_EXAMPLES` gives another number to all of them, and then new cases are tried each time.
"""

import os
import sys
import time
from collections.abc import Callable
from itertools import count
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings

Test = TypeVar("Test", bound=Callable[..., object])

MANY = "many"
"""The profile of Hypothesis under which there are many: `--hypothesis-profile=many`."""


def amount(few: int, many: int) -> int:
    """The number for this run."""
    return int(os.environ.get("WATCHDOG_EXAMPLES", many if settings.get_current_profile_name() == MANY else few))


TOLD_EVERY = 60.0
"""Seconds."""


def progress(what: str, of: int) -> Callable[[], None]:
    """To be called once for each made-up case: of thousands it says now and then how many are done."""
    done, began = count(1), time.monotonic()
    told = [began]

    def one_more() -> None:
        number, now = next(done), time.monotonic()
        if of >= 1000 and now - told[0] >= TOLD_EVERY:
            told[0] = now
            print(f"{what}: {number} of {of}, {(now - began) / number:.2f} s each", file=sys.__stderr__, flush=True)

    return one_more


UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)


def made_up(few: int, many: int, *, is_seed: bool = False) -> Callable[[Test], Test]:
    """So many made-up cases, however long each takes. The mark `deep` has it run once more with many.

    `is_seed`: a case is told by a number. A smaller one leads another life, not a simpler one: looking for it takes
    minutes, and says nothing.
    """

    def decorated(test: Test) -> Test:
        chosen = settings(
            max_examples=amount(few, many),
            derandomize="WATCHDOG_EXAMPLES" not in os.environ,
            phases=UNSHRUNK if is_seed else tuple(Phase),
            suppress_health_check=[
                HealthCheck.too_slow,
                HealthCheck.data_too_large,
                HealthCheck.function_scoped_fixture,
            ],
        )
        marked: Test = pytest.mark.deep(chosen(test))
        return marked

    return decorated
