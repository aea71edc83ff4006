"""Once the provider is well again all that was given up is brought back, whatever happens meanwhile; and none of it is
said to have failed that had only to wait.

`WATCHDOG_EXAMPLES=1000 pytest tests/recovery/test_lives_brought_back.py` tries a thousand lives.
"""

import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.amounts import amount, made_up, progress
from tests.support.harness import DAY, HOUR, MINUTE, SECOND
from tests.support.memory_folder import memory_folder
from tests.support.recovering import OVERLOADED, REVIVE, Rig, in_this_process, rig, said
from watchdog.core.action import State
from watchdog.demo.outcome import Outcome
from watchdog.notify.spells import LONGEST
from watchdog.systems.phantom import api as phantom_api

FEW, MANY = 4, 60
AMOUNT = made_up(FEW, MANY, is_seed=True)

one_more_life = progress("lives brought back", amount(FEW, MANY))

SCHEDULES = (
    ("every", 5 * MINUTE),
    ("every", 30 * MINUTE),
    ("every", 7 * HOUR),
    ("cron", "*/15 * * * *"),
    ("cron", "7 * * * *"),
    ("cron", "0 */2 * * *", "Europe/Berlin"),
    ("cron", "30 6 * * *"),
)
POLICY = {**REVIVE, "match": {"kind": "failed", "error_class": "transient"}}


class Trouble:
    """A provider that is down for some hours, jobs that are given up, and what else happens on the way back."""

    def __init__(self, it: Rig, seed: int) -> None:
        self.it, self.dice, self.deeds = it, random.Random(seed), list[str]()
        count = self.dice.randint(1, 10)
        self.names = [f"job-{number:02}" for number in range(count)]
        self.ids = [it.sim.add(name, self.dice.choice(SCHEDULES)) for name in self.names]

    def befall(self) -> None:
        """All fail until they are given up, and are well from then on: with runs of seconds or of minutes."""
        self.it.let(OVERLOADED, *self.names)
        end = self.it.sim.now + 30 * DAY
        while any(self.it.row(id_)["status"] != "failed" for id_ in self.ids):
            self.it.sleep(20 * MINUTE)
            assert self.it.sim.now < end
        for name in self.names:
            self.it.let(Outcome(duration=self.dice.choice([SECOND, 40 * SECOND, 5 * MINUTE, 25 * MINUTE])), name)

    def disturb(self) -> None:
        """One of the things that are done to a scheduler, its machine, or the watchdog."""
        deeds = [
            self._redeploy,
            self._off,
            self._both_sleep,
            self._frozen,
            self._unwatched,
            self._reboot,
            self._by_hand,
        ]
        deed: Callable[[timedelta], None] = self.dice.choice(deeds)
        length = self.dice.choice([9 * SECOND, 50 * SECOND, 7 * MINUTE, HOUR, 5 * HOUR])
        self.deeds.append(f"{self.it.now:%d %H:%M:%S} {deed.__name__} {length}")
        deed(length)

    def _redeploy(self, length: timedelta) -> None:
        self._off(min(length, MINUTE))

    def _off(self, length: timedelta) -> None:
        with self.it.api.lock:
            self.it.sim.kill()
        self.it.run(length)
        with self.it.api.lock:
            self.it.sim.start()

    def _frozen(self, length: timedelta) -> None:
        with self.it.api.lock:
            self.it.sim.freeze()
        self.it.run(length)
        with self.it.api.lock:
            self.it.sim.thaw()

    def _both_sleep(self, length: timedelta) -> None:
        self.it.suspend(length)

    def _unwatched(self, length: timedelta) -> None:
        self.it.sleep(length)
        self.it.reboot()

    def _reboot(self, _: timedelta) -> None:
        self.it.reboot()

    def _by_hand(self, _: timedelta) -> None:
        with self.it.api.lock:
            self.it.sim.run_now(self.dice.choice(self.ids))

    def is_mended(self) -> bool:
        """Whether every job is planned again."""
        return all(self.it.row(id_)["status"] == "active" for id_ in self.ids)

    def unended(self) -> list[tuple[int, str]]:
        """Who was told of an incident, and not that it is over, though it has been for longer than anything flaps."""
        ledger, since = self.it.notifier.ledger, self.it.now - LONGEST - 6 * MINUTE
        over = {
            number
            for number, incident in ledger.incidents.items()
            if all(member.ended_at is not None and member.ended_at < since for member in incident.members.values())
        }
        return [key for key, row in self.it.store.told().items() if key[0] in over and not row.is_over]


@AMOUNT
@given(st.integers(0, 2**32))
def test_whatever_happens_all_that_was_given_up_is_brought_back_and_none_is_said_to_have_failed(seed: int) -> None:
    one_more_life()
    with pytest.MonkeyPatch.context() as monkeypatch, memory_folder() as folder:
        in_this_process(monkeypatch)
        with rig(Path(folder), POLICY, stock=False) as it:
            _answer_at_once(it, monkeypatch)
            _lead(Trouble(it, seed))


def _answer_at_once(it: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """That a frozen process does not answer is known without waiting for it."""
    asked = phantom_api.run_child

    def call(order: Mapping[str, Any], deadline: timedelta) -> Mapping[str, Any]:
        return {"ok": False, "error": "ReadTimeoutError: frozen"} if it.sim.frozen else asked(order, deadline)

    monkeypatch.setattr(phantom_api, "run_child", call)


def _lead(life: Trouble) -> None:
    life.befall()
    for _ in range(life.dice.randint(0, 4)):
        life.it.run(life.dice.choice([SECOND, 5 * MINUTE, 40 * MINUTE, 3 * HOUR]))
        life.disturb()
    life.it.run(3 * DAY)
    failed = [said(one) for one in life.it.actions if one.state in (State.FAILED, State.INEFFECTIVE, State.UNKNOWN)]
    assert not failed, (life.deeds, failed)
    assert life.is_mended(), (life.deeds, [f"{one.job} {one.state}" for one in life.it.actions])
    assert {one.state for one in life.it.actions} <= {State.VERIFIED, State.REFUSED, State.UNABLE}, life.deeds
    assert life.unended() == [], life.deeds
