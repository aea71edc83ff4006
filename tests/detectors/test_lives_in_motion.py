"""A healthy scheduler is never called dead, whatever happens around it; and what is dead is called so all the same."""

from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.amounts import amount, made_up, progress
from tests.support.disturbed import Disturbed
from tests.support.harness import HOUR, MINUTE
from tests.support.memory_folder import memory_folder
from watchdog.core.kinds import Severity
from watchdog.state.records import Records

FEW, MANY = 10, 150
AMOUNT = made_up(FEW, MANY, is_seed=True)

one_more_life = progress("lives in motion", amount(FEW, MANY))


@AMOUNT
@given(st.integers(0, 2**32))
@example(50390)  # asleep from a run's end until the next one's start would have been seen
def test_no_critical_finding_on_a_healthy_scheduler_whatever_happens_around_it(seed: int) -> None:
    """Nor does any policy act. By hand: `WATCHDOG_EXAMPLES=10000 pytest tests/detectors/test_lives_in_motion.py`."""
    one_more_life()
    with memory_folder() as folder:
        life = Disturbed(seed, Path(folder))
        try:
            _lead(life)
        finally:
            life.close()


def _lead(life: Disturbed) -> None:
    for _ in range(life.dice.randint(1, 6)):
        for _ in life.live(life.dice.choice([MINUTE, 20 * MINUTE, 2 * HOUR, 7 * HOUR])):
            _is_calm(life)
        for _ in life.disturb():
            _is_calm(life)
    for _ in life.live(3 * HOUR):
        _is_calm(life)


def _is_calm(life: Disturbed) -> None:
    grave = [f.summary for f in life.findings if f.severity is Severity.CRITICAL]
    assert not (grave and life.is_well), f"{life.clock.at}: {grave} after {life.disturbances}"
    if life.has_new_intents() and life.is_well:
        intended = [f"{one.kind} {one.job}: {one.why}" for one in Records(life.store).actions()]
        raise AssertionError(f"{life.clock.at}: {intended} after {life.disturbances}")


FAULTS = {
    "hang": ({"wedged"}, 6 * HOUR),
    "leak": ({"wedged", "overdue"}, 3 * HOUR),
    "drop-timer": ({"stalled"}, 3 * HOUR),
    "kill": ({"stalled"}, 3 * HOUR),
}
"""What is done, one of the kinds that must stand in the end, and how long after the disturbance."""


@AMOUNT
@given(st.integers(0, 2**32), st.sampled_from(sorted(FAULTS)))
def test_a_fault_is_found_also_when_it_comes_right_after_a_disturbance(seed: int, fault: str) -> None:
    with memory_folder() as folder:
        life = Disturbed(seed, Path(folder))
        try:
            _break(life, fault)
        finally:
            life.close()


def _break(life: Disturbed, fault: str) -> None:
    victim = life.sim.add("victim", ("every", 20 * MINUTE))
    life.sim.add("witness", ("cron", "7,27,47 * * * *", "UTC"))
    for _ in life.live(2 * HOUR):
        pass
    for _ in life.disturb():
        pass
    kinds, within = FAULTS[fault]
    match fault:
        case "hang":
            life.hangs.add("victim")
        case "leak":
            life.sim.leak_session(victim)
        case "drop-timer":
            while life.sim.slot_held:  # the end of a pass arms another
                for _ in life.live(MINUTE):
                    pass
            life.sim.drop_timer()
        case _:
            life.sim.kill()
    for _ in life.live(within):
        pass
    life.look()
    found = {(f.kind.value, f.job) for f in life.findings}
    wanted = {(kind, None if kind == "stalled" else "victim") for kind in kinds}
    if life.seen.sight == "nothing":
        # a run that died with its process looks as if it were in flight still
        wanted |= {(kind, job) for kind, job in found if kind in ("long_run", "wedged")}
    assert wanted & found, f"{life.clock.at}: {fault}: {found} after {life.disturbances}"
