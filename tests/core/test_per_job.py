"""What is kept from look to look comes to what working all out anew would, however jobs come, go, move and change."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from watchdog.core.agenda import Agenda
from watchdog.core.changed import changed_keys, unequal, unlike
from watchdog.core.model import Every, Job
from watchdog.core.per_job import PerJob, by_id

START = datetime(2026, 6, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

INSTANTS = st.integers(0, 20).map(lambda minutes: START + minutes * MINUTE)


def job(id_: str, error_count: int = 0) -> Job:
    return Job(id_, id_, Every(MINUTE), consecutive_errors=error_count)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), INSTANTS)), max_size=200), INSTANTS)
def test_what_is_due_is_what_was_last_put_and_has_come(puts: list[tuple[str, datetime | None]], now: datetime) -> None:
    agenda, last = Agenda[str](), dict[str, datetime | None]()
    for key, at in puts:
        agenda.put(key, at)
        last[key] = at
    known = {key: at for key, at in last.items() if at is not None}
    assert agenda.earliest == min(known.values(), default=None)
    due = sorted((at, key) for key, at in known.items() if at <= now)
    assert agenda.take_due(now) == [key for _, key in due]
    assert agenda.earliest == min((at for at in known.values() if at > now), default=None)
    assert agenda.take_due(now) == []


def test_an_agenda_does_not_grow_with_what_is_put_over_and_over() -> None:
    agenda = Agenda[str]()
    for minute in range(10_000):
        agenda.put("a", START + minute * MINUTE)
    assert len(agenda._heap) < 200


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3)),
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3)),
)
def test_the_keys_that_changed_are_those_that_came_went_or_say_something_else(
    before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    expected = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    assert changed_keys(before, after) == expected


def test_where_there_are_more_or_fewer_all_places_have_changed() -> None:
    assert [*unlike("ab", "abc")] == [0, 1, 2]
    assert [*unequal("abc", "ab")] == [0, 1]
    assert [*unequal("abc", "axc")] == [1]
    one = [1]
    assert [*unlike([one, one], [one, [1]])] == [1]


Step = tuple[list[tuple[str, int]], int]
STEPS = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 2)), unique_by=lambda each: each[0]),
        st.integers(-5, 30),
    ),
    max_size=12,
)


class Worked:
    """Works out one result a job: its errors, and the ten minutes in which that was; it holds till they are over."""

    def __init__(self) -> None:
        self.kept: PerJob[tuple[int, datetime]] = PerJob()
        self.said: Mapping[str, datetime] = {}
        self.known: dict[tuple[str, int], Job] = {}

    def look(self, state: Sequence[tuple[str, int]], now: datetime) -> Sequence[Job]:
        jobs = [self.known.setdefault(each, job(*each)) for each in state]
        renewed = self.kept.renew(jobs, now, lambda job, _: self.make(job, now))
        self.said = by_id(self.said, jobs, renewed, lambda place: self.kept.results[place][1])
        return jobs

    @staticmethod
    def make(job: Job, now: datetime) -> tuple[tuple[int, datetime], datetime]:
        begun = now - (now - START) % (10 * MINUTE)
        return (job.consecutive_errors or 0, begun), begun + 10 * MINUTE


@given(STEPS)
def test_kept_results_are_those_that_all_jobs_would_have_now(steps: list[Step]) -> None:
    worked, now = Worked(), START + 60 * MINUTE
    for state, minutes in steps:
        now += minutes * MINUTE
        jobs = worked.look(state, now)
        anew = [worked.make(job, now) for job in jobs]
        assert [*worked.kept.results] == [result for result, _ in anew]
        assert worked.kept.until == min((until for _, until in anew), default=None)
        assert worked.said == {job.id: begun for job, ((_, begun), _) in zip(jobs, anew, strict=True)}


def test_what_says_the_same_is_the_same_object() -> None:
    worked = Worked()
    worked.look([("a", 0), ("b", 0)], START)
    said = worked.said
    worked.look([("a", 1), ("b", 0)], START)
    assert worked.said is said


def test_where_it_breaks_off_all_is_worked_out_anew() -> None:
    kept: PerJob[int] = PerJob()
    jobs = [job("a"), job("b")]
    kept.renew(jobs, START, lambda job, _: (1, None))

    def fails(job: Job, before: int | None) -> tuple[int, None]:
        raise ValueError(job.id)

    with pytest.raises(ValueError, match="c"):
        kept.renew([job("c"), *jobs], START, fails)
    renewed = kept.renew(jobs, START, lambda job, before: (before or 7, None))
    assert [*renewed.places] == [0, 1]
    assert [*kept.results] == [7, 7]


def test_once_it_broke_off_nothing_is_said_of_jobs_that_are_not_there_any_more() -> None:
    worked = Worked()
    worked.look([("a", 0)], START)

    def fails(job: Job, before: object) -> tuple[tuple[int, datetime], None]:
        raise ValueError(job.id)

    with pytest.raises(ValueError, match="b"):
        worked.kept.renew([job("b")], START, fails)
    worked.look([], START)
    assert worked.said == {}
