"""How often jobs have run lately, as far as that says something of the jobs that they are now."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from watchdog.cadence.schedule import fires_between
from watchdog.core.model import Every, Job, Pace, Schedule, Unreadable
from watchdog.systems.shared.run_ends import HOUR, MOST_IN_AN_HOUR

DENSE = 10
"""From so many run ends within an hour on it is worth saying how many there were."""

WRITTEN_WITHIN = timedelta(minutes=2)
"""How much later than its run's end a row is written at the most, as a rule: the result is delivered in between."""


AT_ONCE = timedelta(seconds=10)
"""A run that is planned for at once is due within this of the end of the one before."""


class Paces:
    """Remembers from look to look since when each job has been as it is: its schedule, and whether it is planned."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Schedule, bool, datetime | None]] = {}

    def of(
        self,
        job: Job,
        ends: Iterable[datetime],
        asked: Iterable[datetime] = (),
        pauses: Sequence[timedelta] = (),
        changed_at: datetime | None = None,
    ) -> Pace | None:
        """The job's pace; see `pace_of`. What it ran before somebody changed it does not count: `changed_at` is when
        that was, where its source remembers it."""
        known = [at for at in ends if changed_at is None or at > changed_at]
        newest = known[-1] if known else None
        schedule, is_planned, since = self._known.get(job.id, (None, None, None))
        if schedule is None:
            since = newest if _is_written_since(job, newest) else _planned_otherwise_until(job, known)
        elif (schedule, is_planned) != (job.schedule, job.is_planned):
            since = newest
        self._known[job.id] = (job.schedule, job.is_planned, since)
        return pace_of([at for at in known if since is None or at > since], job.schedule, asked, pauses)

    def forget(self, there: Collection[str]) -> None:
        """Drop what belongs to jobs that are gone."""
        if len(self._known) > len(there):
            self._known = {id_: known for id_, known in self._known.items() if id_ in there}


def _is_written_since(job: Job, newest: datetime | None) -> bool:
    """Whether the row was written later than its newest run's own outcome would have been: somebody has changed it."""
    return newest is not None and job.updated_at is not None and job.updated_at - newest > WRITTEN_WITHIN


def _planned_otherwise_until(job: Job, ends: Sequence[datetime]) -> datetime | None:
    """The last run before a plan that lies ahead of it though the schedule cannot be read: one that could be made it.

    What runs over and over with such a schedule is planned for at once, or for a time long past.
    """
    if not ends or not isinstance(job.schedule, Unreadable):
        return None
    if job.next_run_at is None:
        return ends[-1]
    before = [at for at in ends if at <= job.next_run_at]
    return before[-1] if before and job.next_run_at - before[-1] > AT_ONCE else None


def pace_of(
    ends: Iterable[datetime], schedule: Schedule, asked: Iterable[datetime] = (), pauses: Sequence[timedelta] = ()
) -> Pace | None:
    """How often a job ran in the hour before its newest run's end; None if that was not often.

    `ends`: when its runs ended, the newest last. `asked`: when somebody asked for one. `pauses`: after each error in a
    row its scheduler's own, where it has had one lately.
    """
    known = list(ends)
    begins = known[-1] - HOUR if known else None
    dense = [at for at in known if begins is None or at > begins]
    if begins is None or len(dense) < DENSE:
        return None
    newest = known[-1]
    due = _due_in_an_hour(schedule, newest)
    return Pace(
        runs=len(dense),
        since=dense[DENSE - 1],
        newest=newest,
        due=due,
        asked=sum(begins < at <= newest for at in asked),
        retries=due * _pauses_between(schedule, pauses, due),
    )


def _due_in_an_hour(schedule: Schedule, until: datetime) -> int:
    """How many fires a schedule has in the hour up to an instant; one more than that may have waited until then."""
    if isinstance(schedule, Every):
        return min(MOST_IN_AN_HOUR, -(-HOUR // schedule.interval))
    hour = until.replace(minute=0, second=0, microsecond=0)
    fires = [*fires_between(schedule, hour - HOUR, MOST_IN_AN_HOUR), *fires_between(schedule, hour, MOST_IN_AN_HOUR)]
    return bisect_left(fires, until) - bisect_left(fires, until - HOUR)


def _pauses_between(schedule: Schedule, pauses: Sequence[timedelta], due: int) -> int:
    """How many tries after errors a scheduler makes between two fires."""
    room, tries = HOUR / due if due else timedelta(), 0
    for pause in pauses:
        room -= pause
        tries += room >= timedelta()
    return tries
