"""What follows from a job is worked out when the job has changed or the result's time has come, and holds till then."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar, cast

from watchdog.core.agenda import Agenda
from watchdog.core.changed import unlike
from watchdog.core.model import Job

T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Renewed:
    """The places whose results were worked out anew. `has_moved`: jobs have come or gone, or stand in another order, or
    nothing is known of what was before."""

    places: Sequence[int]
    has_moved: bool


class PerJob(Generic[T]):
    """One result for each job of one source, in their order.

    A job is known again by being the same object: a source hands on those that are as they were. `until` bounds how
    long a result holds.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self._jobs: Sequence[Job] | None = None
        self._untils: list[datetime | None] = []
        self._agenda: Agenda[int] = Agenda()
        self._at: datetime | None = None
        self.results: Sequence[T] = []

    @property
    def until(self) -> datetime | None:
        """When the first of the results ends."""
        return self._agenda.earliest

    def renew(
        self, jobs: Sequence[Job], now: datetime, make: Callable[[Job, T | None], tuple[T, datetime | None]]
    ) -> Renewed:
        """Have what is outdated worked out. `make` is handed the job and its result before, and says until when the new
        one holds, if not for as long as the job does."""
        with self.renewing(jobs, now) as renewed:
            for place in renewed.places:
                self.put(place, *make(jobs[place], self.results[place]))
        return renewed

    @contextmanager
    def renewing(self, jobs: Sequence[Job], now: datetime) -> Iterator[Renewed]:
        """What is outdated, for each of which a new result is to be put; by a clock that was put back that is all.
        Where it breaks off nothing is known any more."""
        try:
            renewed = self._outdated(jobs, now)
            self._jobs, self._at = tuple(jobs), now
            yield renewed
        except BaseException:
            self.forget()
            raise

    def put(self, place: int, result: T, until: datetime | None) -> None:
        """From now on this follows from the job in this place, until then if not for as long as the job is the same."""
        cast("list[T]", self.results)[place] = result
        self._untils[place] = until
        self._agenda.put(place, until)

    def _outdated(self, jobs: Sequence[Job], now: datetime) -> Renewed:
        before = self._jobs
        places = unlike(before or (), jobs)
        has_moved = before is None or len(jobs) != len(before) or any(jobs[at].id != before[at].id for at in places)
        if has_moved:
            places = self._move(before or (), jobs)
        is_put_back = self._at is not None and now < self._at
        due = range(len(jobs)) if is_put_back else self._agenda.take_due(now)
        return Renewed(sorted({*places, *due}) if due else places, has_moved)

    def _move(self, before: Sequence[Job], jobs: Sequence[Job]) -> Sequence[int]:
        """Put what is known in the jobs' order; what has to be worked out is given back."""
        known = {job.id: place for place, job in enumerate(before)}
        was = [known.get(job.id) for job in jobs]
        self.results = [cast("T", None if place is None else self.results[place]) for place in was]
        self._untils = [None if place is None else self._untils[place] for place in was]
        self._agenda = Agenda()
        for place, until in enumerate(self._untils):
            self._agenda.put(place, until)
        pairs = enumerate(zip(jobs, was, strict=True))
        return [at for at, (job, place) in pairs if place is None or before[place] is not job]


def by_id(
    before: Mapping[str, V], jobs: Sequence[Job], renewed: Renewed, value: Callable[[int], V | None]
) -> Mapping[str, V]:
    """What is said of the jobs by their ids, with what was renewed; the same object where that says the same.

    `value`: what is said of the job in a place; None leaves it out.
    """
    if renewed.has_moved:
        said = ((job.id, value(place)) for place, job in enumerate(jobs))
        return {id_: each for id_, each in said if each is not None}
    new = {jobs[place].id: value(place) for place in renewed.places}
    new = {id_: each for id_, each in new.items() if before.get(id_) != each}
    if not new:
        return before
    return {id_: each for id_, each in {**before, **new}.items() if each is not None}
