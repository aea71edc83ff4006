"""Only what has changed, or may be judged otherwise by now, is judged again: it comes to the same as judging all."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from tests.support.amounts import amount, made_up, progress
from tests.support.disturbed import Disturbed
from tests.support.harness import HOUR, MINUTE
from tests.support.lives import BRISK, DEEDS, FAULTS, HASTY, SLOW, Life, led, lives
from tests.support.memory_folder import memory_folder
from watchdog.config.settings import Detect
from watchdog.core.model import Job, Snapshot
from watchdog.core.moment import Gap
from watchdog.detectors.calm import Sifted
from watchdog.detectors.diagnosis import Diagnosis, diagnose
from watchdog.detectors.lateness import deadline_of
from watchdog.detectors.missed import MissedFires
from watchdog.detectors.published import Published
from watchdog.detectors.rules import RulesForAll
from watchdog.metrics.state_text import StateText

FEW, MANY = 15, 100
one_more_life = progress("only what changed", amount(FEW, MANY))


def _compared(
    snapshot: Snapshot, at: datetime, settings: RulesForAll, gaps: Sequence[Gap], sifted: Sifted
) -> Diagnosis:
    """What the engine comes to, which is what judging all anew comes to, and holds until it looks again."""
    found, anew = diagnose(snapshot, at, settings, gaps, sifted), diagnose(snapshot, at, settings, gaps)
    assert found.findings == anew.findings
    again, needless = found.look_again_at, anew.look_again_at
    if needless is not None and (again is None or needless < again):
        assert diagnose(snapshot, needless, settings, gaps).findings == found.findings
    limits = {job.id: deadline_of(job, settings.of(job)) for job in snapshot.jobs}
    assert sifted.deadlines == {id_: limit for id_, limit in limits.items() if limit}
    return found


class _MissedCompared(MissedFires):
    """What was counted on is what counting all anew comes to."""

    def count(self, jobs: Sequence[Job], now: datetime) -> tuple[Mapping[str, int], datetime | None]:
        counted = super().count(jobs, now)
        assert counted[0] == MissedFires().count(jobs, now)[0]
        return counted


class _TextCompared(StateText):
    """What was kept of the text is what formatting all anew comes to, but for what is counted since the beginning."""

    def render(self, published: Published) -> list[bytes]:
        kept = super().render(published)
        assert _without_counters(kept) == _without_counters(StateText().render(published))
        return kept


def _without_counters(text: Sequence[bytes]) -> list[bytes]:
    return [line for line in b"".join(text).splitlines() if b"_total{" not in line]


@contextmanager
def each_judgement_compared() -> Iterator[None]:
    with (
        patch("watchdog.engine.diagnose", _compared),
        patch("watchdog.engine.MissedFires", _MissedCompared),
        patch("watchdog.metrics.collection.StateText", _TextCompared),
    ):
        yield


@made_up(FEW, MANY)
@given(lives(paces=(BRISK, SLOW, HASTY), deeds_of=(*DEEDS, *FAULTS)))
def test_over_lives_with_faults(life: Life) -> None:
    """By hand with many: `WATCHDOG_EXAMPLES=10000 pytest tests/detectors/test_only_what_changed.py`."""
    one_more_life()
    with memory_folder() as folder, each_judgement_compared():
        for _ in led(life, Path(folder)):
            pass


RULES: Sequence[dict[str, object]] = (
    {},
    {"overdue": {"cadences": 1}, "jobs": [{"match": "job-1", "overdue": {"cadences": 3}, "wedged": {"on": False}}]},
)


@made_up(FEW, MANY, is_seed=True)
@given(st.integers(0, 2**32), st.sampled_from(RULES), st.sampled_from(["", "hang", "leak", "kill", "drop-timer"]))
def test_over_disturbed_lives(seed: int, rules: dict[str, object], fault: str) -> None:
    """Whoever slept, and whatever was lived through or not."""
    with memory_folder() as folder, each_judgement_compared():
        life = Disturbed(seed, Path(folder))
        try:
            _lead(life, Detect.validated(rules), fault)
        finally:
            life.close()


def _lead(life: Disturbed, settings: Detect, fault: str) -> None:
    life.turns.use(life.turns.config.but(detect=settings))
    for _ in range(life.dice.randint(1, 3)):
        life.run(life.dice.choice([MINUTE, 20 * MINUTE, 2 * HOUR]))
        for _ in life.disturb():
            pass
    _break(life, fault)
    life.run(3 * HOUR)


def _break(life: Disturbed, fault: str) -> None:
    match fault:
        case "hang":
            life.hangs |= set(life.lengths)
        case "leak":
            life.sim.leak_session(life.jobs[0])
        case "kill":
            life.sim.kill()
        case "drop-timer":
            life.sim.drop_timer()
