"""What of a file of jobs cannot be seen, or cannot be meant: each thing once, however many jobs it hides."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from watchdog.core.instants import say
from watchdog.core.kinds import Kind
from watchdog.core.model import Unseen
from watchdog.systems.json_file.records import Records
from watchdog.systems.json_file.runs import read_status
from watchdog.systems.json_file.section import JsonFile, Runs
from watchdog.systems.shared.outcomes import FAILED, OK, PLANNED, RUNNING, SKIPPED, WAITING, outcome_word
from watchdog.systems.shared.values import Values, quoted

TIMELY = (Kind.STALLED, Kind.OVERDUE)
OF_TIMES = (*TIMELY, Kind.WEDGED, Kind.LONG_RUN)

CADENCE = frozenset({"schedule", "cron", "every", "at"})
"""Columns that say when a job is due."""

_KNOWN = FAILED | OK | SKIPPED | RUNNING | WAITING | {"unknown", ""}

_RESTING = frozenset(
    ("paused", "disabled", "inactive", "off", "stopped", "suspended", "archived", "deleted", "draft", "expired")
) | (FAILED | OK | SKIPPED)
"""What a job is called that is not to run."""

_AHEAD = timedelta(minutes=10)
"""By more than this no clock is wrong."""

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Doubts:
    """What is odd in a job's own columns, and in what is on record of its runs: it does not change until these do.

    `untimed`: why a time cannot be read; `status`, `outcome`: a word that is not known; `is_zoneless`: its last run is
    text that names no zone; `has_records`: something is on record.
    """

    untimed: str = ""
    status: str = ""
    outcome: str = ""
    is_zoneless: bool = False
    has_records: bool = False


def doubts(columns: Row, records: Sequence[Row]) -> Doubts:
    """Those of one job."""
    values = Values(columns)
    values.instant("last_run_at")
    values.instant("running_since")
    told = [columns.get("last_run_status"), *(record.get("status") for record in records)]
    unknown = [text for text in told if text is not None and outcome_word(read_status(str(text))[0]) not in _KNOWN]
    word = values.word("status")
    return Doubts(
        values.problems[0] if values.problems else "",
        quoted(columns["status"]) if word and word not in PLANNED | _RESTING else "",
        quoted(unknown[0]) if unknown else "",
        _is_zoneless(columns.get("last_run_at")),
        bool(records),
    )


def _is_zoneless(text: object) -> bool:
    try:
        return isinstance(text, str) and datetime.fromisoformat(text).tzinfo is None
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class Shown:
    """What is looked at of a job here. `ran_at`: when it last ran; `is_due`: its first fire has passed; `is_bare`: it
    is to run, and nothing says when."""

    id: str
    ran_at: datetime | None
    is_due: bool
    is_bare: bool
    is_planned: bool
    doubts: Doubts


def hidden(
    settings: JsonFile, jobs: Sequence[Shown], places: Sequence[tuple[Runs, Records]], strays: Collection[str]
) -> Iterator[Unseen]:
    """All of it. `strays`: the ids, in records of runs, that no job has."""
    if not jobs:
        return
    yield from _untimed(jobs)
    yield from _bare(settings, jobs)
    yield from _words(jobs)
    yield from _outcomes(jobs)
    for runs, place in places:
        yield from _place(settings, jobs, runs, place)
    yield from _strays(jobs, strays)


def ahead(jobs: Iterable[Shown], now: datetime) -> Iterator[Unseen]:
    """Runs that have not been yet: they were written by the clock of another zone, which the text does not name."""
    found = [job for job in jobs if job.doubts.is_zoneless and job.ran_at is not None and job.ran_at > now + _AHEAD]
    if found and found[0].ran_at is not None:
        what = f"the last run of {_number(found)} lies ahead, at {say(found[0].ran_at)}, written without a zone"
        yield Unseen(what, OF_TIMES, "say it with the column, {path: …, zone: Europe/Berlin}")


def _untimed(jobs: Sequence[Shown]) -> Iterator[Unseen]:
    odd = [job for job in jobs if job.doubts.untimed]
    if odd:
        what = f"when {_number(odd)} ran last cannot be read: {odd[0].doubts.untimed}"
        ids = frozenset([*(job.id for job in odd), *([None] if len(odd) == len(jobs) else [])])
        yield Unseen(what, OF_TIMES, "name a column with an instant", ids)


def _bare(settings: JsonFile, jobs: Sequence[Shown]) -> Iterator[Unseen]:
    """That no job says when it is due, though it was said where that stands."""
    said = [column for column in settings.jobs if column in CADENCE or column == "next_run_at"]
    planned = [job for job in jobs if job.is_planned]
    if settings.preset is None and said and planned and all(job.is_bare for job in planned):
        what = f"of {_number(planned)} none has anything where its {' or '.join(said)} should be"
        yield Unseen(what, TIMELY, "see whether the paths under jobs are right")


def _words(jobs: Sequence[Shown]) -> Iterator[Unseen]:
    odd = [job for job in jobs if job.doubts.status]
    if odd:
        what = f"the status {odd[0].doubts.status} of {_number(odd)} is not known, so they are taken for paused"
        yield Unseen(what, OF_TIMES, "say what it means: status: {path: …, words: {WORD: active}}")


def _outcomes(jobs: Sequence[Shown]) -> Iterator[Unseen]:
    odd = [job for job in jobs if job.doubts.outcome]
    if odd:
        what = f"what became of runs of {_number(odd)} is called {odd[0].doubts.outcome}"
        yield Unseen(what, (Kind.FAILING,), "say what it means: {path: …, words: {WORD: error}}")


def _place(settings: JsonFile, jobs: Sequence[Shown], runs: Runs, place: Records) -> Iterator[Unseen]:
    if not place.is_there():
        is_told = "last_run_at" in settings.jobs
        if any(job.ran_at or (job.is_due and not is_told) for job in jobs):
            what = f"there is no record of runs: {place.path}"
            yield Unseen(
                what, tuple(_hides(settings, runs, jobs)), "say under runs where it is; not every release keeps one"
            )
    elif place.has_no_times():
        what = f"in {place.path} no run says when it began or ended"
        yield Unseen(what, tuple(_hides(settings, runs, jobs)), "see whether the paths in its columns are right")


def _hides(settings: JsonFile, runs: Runs, jobs: Sequence[Shown]) -> Iterator[Kind]:
    """What cannot be judged without such records."""
    said = set(runs.columns) | ({word for word in _OF_RUNS if word in runs.query} if runs.query else set())
    if "last_run_at" not in settings.jobs:
        yield from TIMELY
    if "running_since" not in settings.jobs and not settings.null_is_running:
        yield Kind.WEDGED
    if {"status", "error"} & said and "last_run_status" not in settings.jobs:
        yield Kind.FAILING
    is_blank = not any(job.doubts.has_records for job in jobs)  # then no call of a model is of any run
    if {"input_tokens", "output_tokens"} & said or (settings.model_calls and is_blank):
        yield Kind.ZERO_TOKENS


_OF_RUNS = ("status", "error", "input_tokens", "output_tokens")


def _strays(jobs: Sequence[Shown], strays: Collection[str]) -> Iterator[Unseen]:
    if strays and not any(job.ran_at or job.doubts.has_records for job in jobs):
        what = (
            f"runs are on record, and none is of a job: a job_id is {quoted(min(strays))}, an id of jobs "
            f"{quoted(jobs[0].id)}"
        )
        yield Unseen(what, (*OF_TIMES, Kind.FAILING, Kind.ZERO_TOKENS), "have both be the same ids")


def _number(jobs: Sequence[Shown]) -> str:
    return "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"
