"""The watchdog against made-up lives of a scheduler, well ones and sick ones, whatever the clocks do."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given

from tests.support.amounts import made_up
from tests.support.harness import MS, SECOND, Watch, findings_of, row_of
from tests.support.lives import BRISK, DEEDS, FAULTS, HASTY, Keeper, Life, judged_between, led, lives
from watchdog.config.settings import Detect
from watchdog.detectors import lateness
from watchdog.detectors.diagnosis import TIMELINESS, diagnose

AMOUNT = made_up(few=40, many=120)


@AMOUNT
@given(lives())
def test_it_finds_nothing_in_a_scheduler_that_is_well(life: Life) -> None:
    with TemporaryDirectory() as folder:
        for _, watch, wake in led(life, Path(folder)):
            assert watch.findings == ()
            snapshot = watch.snapshot
            for instant in judged_between(watch, wake):
                assert diagnose(snapshot, instant, Detect()).findings == (), f"judged at {instant}"
            if watch.wakes % 10 == 0:
                assert findings_of(watch.path, wake) == ()


@pytest.mark.slow
@pytest.mark.xfail(
    reason="the service remembers what a single look cannot know (runs broken off again and again, who was passed "
    "over): which of the differences are right is not settled"
)
@AMOUNT
@given(lives(paces=(BRISK, HASTY), deeds_of=(*DEEDS, *FAULTS, *FAULTS)))
def test_what_is_published_holds_until_it_looks_again_and_a_single_look_agrees(life: Life) -> None:
    with TemporaryDirectory() as folder:
        for keeper, watch, wake in led(life, Path(folder)):
            for instant in judged_between(watch, wake):
                if watch.look_again_at is None or instant < watch.look_again_at:
                    assert diagnose(watch.snapshot, instant, Detect()).findings == watch.findings
            assert max(Counter(f.job_id for f in watch.findings if f.kind in TIMELINESS).values(), default=0) <= 1
            if watch.wakes % 10 == 0:
                seen = {(f.kind.value, f.job or f.job_id) for f in findings_of(watch.path, wake)}
                assert _without_memory(watch.now_found(), watch) == _without_memory(seen, watch)
            _is_complete(keeper, watch, wake)


def _broken_again_and_again(watch: Watch) -> set[str]:
    """The jobs whose runs restarts have broken off so often in a row that the fire before all of them is owed."""
    return {
        job.name for job in watch.snapshot.jobs if job.terms.restarts and job.terms.restarts.starts >= lateness.A_LOOP
    }


def _without_memory(found: set[tuple[str, str | None]], watch: Watch) -> set[tuple[str, str | None]]:
    """Whether an earlier run was an error, or was broken off like those before it, only the service remembers."""
    broken = _broken_again_and_again(watch)
    return {key for key in found if key[0] != "duplicate" and key[1] not in broken}


def _is_complete(keeper: Keeper, watch: Watch, wake: datetime) -> None:
    """Every `every` job that is past its deadline is told in some way; and none is told that is not."""
    told = {f.job: f.kind.value for f in watch.findings if f.kind in TIMELINESS}
    broken = _broken_again_and_again(watch)
    for name, job_id, spec in keeper.ids:
        if name in broken:
            continue
        row = row_of(keeper.path, job_id)
        if spec[0] != "every" or not row or row["schedule_value"] != f'{{"intervalMs":{_ms(spec[1])}}}':
            continue
        is_planned = (row["status"], row["enabled"]) == ("active", 1)
        due = datetime.fromisoformat(str(row["next_run_at"])) if row["next_run_at"] else None
        changed = datetime.fromisoformat(f"{row['updated_at']}+00:00")
        if not is_planned or due is None or changed > due:
            assert told.get(name) != "overdue" or (is_planned and due), f"{name} at {wake}"
            continue
        assert isinstance(spec[1], timedelta)
        deadline = due + 2 * spec[1]
        newest = keeper.agent.of(name)[-1:]
        is_at_work = any(run.let_go_at is None or run.let_go_at > wake - watch.poll for run in newest)
        if wake > deadline + SECOND:
            assert name in told or is_at_work, f"{name}, late since {deadline}, is not told at {wake}"
        if wake < deadline - MS:
            assert told.get(name) != "overdue", f"{name}, not late before {deadline}, is told at {wake}"


def _ms(interval: object) -> int:
    assert isinstance(interval, timedelta)
    return interval // MS
