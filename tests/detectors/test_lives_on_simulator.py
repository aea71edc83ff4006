"""The watchdog against made-up lives of a scheduler, well ones and sick ones, whatever the clocks do."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import given

from tests.support.amounts import made_up
from tests.support.harness import MS, SECOND, Watch, findings_of, row_of
from tests.support.lives import BRISK, DEEDS, FAULTS, HASTY, Keeper, Life, judged_between, led, lives
from tests.support.memory_folder import memory_folder
from watchdog.config.settings import Detect
from watchdog.core.kinds import Kind
from watchdog.core.model import Job
from watchdog.detectors import lateness
from watchdog.detectors.diagnosis import TIMELINESS, diagnose

AMOUNT = made_up(few=40, many=120)


@AMOUNT
@given(lives())
def test_it_finds_nothing_in_a_scheduler_that_is_well(life: Life) -> None:
    with memory_folder() as folder:
        for _, watch, wake in led(life, Path(folder)):
            assert watch.findings == ()
            snapshot = watch.snapshot
            for instant in judged_between(watch, wake):
                assert diagnose(snapshot, instant, Detect()).findings == (), f"judged at {instant}"
            if watch.wakes % 10 == 0:
                assert findings_of(watch.path, wake) == ()


@AMOUNT
@given(lives(paces=(BRISK, HASTY), deeds_of=(*DEEDS, *FAULTS, *FAULTS)))
def test_what_is_published_holds_until_it_looks_again_and_a_single_look_agrees(life: Life) -> None:
    with memory_folder() as folder:
        for keeper, watch, wake in led(life, Path(folder)):
            for instant in judged_between(watch, wake):
                if watch.look_again_at is None or instant < watch.look_again_at:
                    assert diagnose(watch.snapshot, instant, Detect()).findings == watch.findings
            assert max(Counter(f.job_id for f in watch.findings if f.kind in TIMELINESS).values(), default=0) <= 1
            if watch.wakes % 10 == 0:
                seen = {(f.kind.value, f.job or f.job_id) for f in findings_of(watch.path, wake)}
                assert _unexplained(watch.now_found(), seen, watch) == set()
            _is_complete(keeper, watch, wake)


Found = set[tuple[str, str | None]]


def _unexplained(found: Found, seen: Found, watch: Watch) -> Found:
    """How the service and a single look differ though the service's memory does not account for it.

    Only memory knows: what an earlier run did, whose turn it was when another started (without that a leaked flag is
    no more than lateness), and since when a run is owed that starts of the scheduler have put off.
    """
    only_found = {(kind, job) for kind, job in found - seen if kind != Kind.DUPLICATE and job not in _owed(watch)}
    known_less = {(Kind.WEDGED.value, job) for kind, job in seen - found if kind == Kind.OVERDUE}
    known_more = {(Kind.OVERDUE.value, job) for kind, job in found - seen if kind == Kind.WEDGED}
    return (only_found - known_less) | (seen - found - known_more)


def _owed(watch: Watch) -> set[str | None]:
    """The jobs of which a fire is owed that no longer stands in the row; and their scheduler, if there is one."""
    owed: set[str | None] = {job.name for job in watch.snapshot.jobs if _is_put_off(job)}
    return owed | {None} if owed else owed


def _is_put_off(job: Job) -> bool:
    restarts = job.terms.restarts
    return job.terms.owed_at not in (None, job.next_run_at) or bool(restarts and restarts.starts >= lateness.A_LOOP)


def _is_complete(keeper: Keeper, watch: Watch, wake: datetime) -> None:
    """Every `every` job that is past its deadline is told in some way; and none is told that is not."""
    told = {f.job: f.kind.value for f in watch.findings if f.kind in TIMELINESS}
    for name, job_id, spec in keeper.ids:
        if name in _owed(watch):
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
        # a run that has ended and is not written down is told as that, in its time
        is_at_work |= any(job.id == job_id and job.unrecorded_end for job in watch.snapshot.jobs)
        if wake > deadline + SECOND:
            assert name in told or is_at_work, f"{name}, late since {deadline}, is not told at {wake}"
        if wake < deadline - MS:
            assert told.get(name) != "overdue", f"{name}, not late before {deadline}, is told at {wake}"


def _ms(interval: object) -> int:
    assert isinstance(interval, timedelta)
    return interval // MS
