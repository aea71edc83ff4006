"""The families that have samples for each job: a row of the table below is a family."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from watchdog.cadence.schedule import words
from watchdog.core.model import STATES, ErrorClass, Finding, Job, Totals
from watchdog.core.redaction import fit_to_leave, one_line

LABEL_LENGTH = 120
"""Labels that come from a job's row are cut to this many characters."""

ERROR_LENGTH = 80
"""Of an error text so many characters are a label."""

_STATUS = r"(?<![\w.])[1-5]\d\d(?![\w.])"
_UUID = r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_VARYING = re.compile(rf"(?P<status>{_STATUS})|{_UUID}|(?=\w*\d)(?=\w*[^\W\d])\w{{12,}}|\d+")
"""What differs from one error to the next like it: ids and numbers, but not a status like 429."""


@dataclass(frozen=True, slots=True)
class JobFacts:
    """All that one job's samples are made from. `totals` and `missed_fires` have never fallen in this process."""

    source: str
    job: Job
    deadline: datetime | None
    owner: str
    findings: tuple[Finding, ...]
    totals: Totals
    missed_fires: int


Samples = list[tuple[tuple[str, ...], float]]
"""The values of a family's own labels, and the number."""


@dataclass(frozen=True, slots=True)
class Family:
    """One family: its name without `watchdog_job_`, its help, what gives the samples, its own labels."""

    name: str
    text: str
    samples: Callable[[JobFacts], Samples]
    labels: tuple[str, ...] = ()
    is_counter: bool = False

    def metric(self, jobs: Sequence[JobFacts]) -> tuple[Metric, list[int]]:
        """The family with these jobs' samples, and how many each of them has."""
        kind = CounterMetricFamily if self.is_counter else GaugeMetricFamily
        family = kind(f"watchdog_job_{self.name}", self.text, labels=["source", "job_id", *self.labels])
        counts = []
        for facts in jobs:
            found = self.samples(facts)
            counts.append(len(found))
            for labels, number in found:
                family.add_metric([facts.source, facts.job.id, *labels], number)
        return family, counts


def _one(number: float | None) -> Samples:
    return [] if number is None else [((), float(number))]


def _at(instant: datetime | None) -> Samples:
    return [] if instant is None else [((), instant.timestamp())]


def _info(facts: JobFacts) -> Samples:
    name, schedule = one_line(facts.job.name, LABEL_LENGTH), one_line(words(facts.job.schedule), LABEL_LENGTH)
    return [((name, schedule, one_line(facts.owner, LABEL_LENGTH)), 1.0)]


def _duration(facts: JobFacts) -> Samples:
    run = facts.job.last_run
    return _one(run.duration.total_seconds() if run and run.duration is not None else None)


def _streak(facts: JobFacts) -> Samples:
    return _one(facts.job.zero_streak.count if facts.job.zero_streak else None)


def _tokens(facts: JobFacts) -> Samples:
    totals = facts.totals
    counts = (("input", totals.input_tokens), ("output", totals.output_tokens))
    return [((direction,), float(count)) for direction, count in counts if count is not None]


def _findings(facts: JobFacts) -> Samples:
    return [((finding.kind.value, finding.severity.value), 1.0) for finding in facts.findings]


def _error(facts: JobFacts) -> Samples:
    for finding in facts.findings:
        text = finding.evidence.get("last_error") or finding.evidence.get("reason")
        if text:
            return [((str(finding.evidence.get("error_class") or ErrorClass.UNKNOWN.value), _first_words(text)), 1.0)]
    return []


def _first_words(error: object) -> str:
    """An error's beginning, the same for all errors that differ in ids and numbers only: so a series has an end."""
    shown = fit_to_leave(str(error), 4 * ERROR_LENGTH)
    return one_line(_VARYING.sub(lambda found: found["status"] or "#", shown), ERROR_LENGTH)


def _held_up(facts: JobFacts) -> Samples:
    causes = {finding.caused_by.kind for finding in facts.findings if finding.caused_by is not None}
    return [((cause,), 1.0) for cause in sorted(causes)]


FAMILIES = (
    Family("info", "The job's name, schedule and owner; always 1.", _info, ("job", "schedule", "owner")),
    Family(
        "state",
        f"1 for the state that the job is in: {', '.join(STATES)}.",
        lambda facts: [((facts.job.state,), 1.0)],
        ("state",),
    ),
    Family(
        "next_run_timestamp_seconds",
        "When the scheduler means to run the job next.",
        lambda facts: _at(facts.job.next_run_at),
    ),
    Family(
        "last_run_timestamp_seconds",
        "When the job's newest run started.",
        lambda facts: _at(facts.job.last_started_at),
    ),
    Family(
        "deadline_timestamp_seconds",
        "When the job becomes overdue if it does not run.",
        lambda facts: _at(facts.deadline),
    ),
    Family(
        "in_flight_since_timestamp_seconds",
        "When the run started that is in flight.",
        lambda facts: _at(facts.job.in_flight_since),
    ),
    Family("last_run_duration_seconds", "How long the last recorded run took.", _duration),
    Family(
        "consecutive_errors",
        "Recorded runs in a row that ended in an error.",
        lambda facts: _one(facts.job.consecutive_errors),
    ),
    Family("zero_token_streak", "Newest runs in a row that used no tokens.", _streak),
    Family(
        "sweep_timestamp_seconds",
        "From when on a restart of the scheduler deletes the failed row.",
        lambda facts: _at(facts.job.sweep_at),
    ),
    Family(
        "runs",
        "Runs that the scheduler has recorded.",
        lambda facts: _one(facts.totals.runs),
        is_counter=True,
    ),
    Family(
        "missed_fires",
        "Fires that went by while an earlier one was still owed, seen by this process.",
        lambda facts: _one(facts.missed_fires),
        is_counter=True,
    ),
    Family("tokens", "Tokens used over the job's life.", _tokens, ("direction",), is_counter=True),
    Family(
        "cost_usd",
        "What the job has cost over its life, in US dollars.",
        lambda facts: _one(facts.totals.cost_usd),
        is_counter=True,
    ),
    Family("finding", "1 for each condition that is true of the job.", _findings, ("kind", "severity")),
    Family(
        "held_up",
        "1 for what keeps the late job waiting: the kind of a condition, or in_flight for a run that takes its time.",
        _held_up,
        ("cause",),
    ),
    Family(
        "error_info",
        "Class and first words of the error behind a condition of the job; always 1.",
        _error,
        ("class", "error"),
    ),
)


class JobCollector(Collector):
    """All families with the samples of some jobs, or of none: then only their heads."""

    def __init__(self, jobs: Sequence[JobFacts] = ()) -> None:
        self._families = [family.metric(jobs) for family in FAMILIES]

    @property
    def counts(self) -> list[list[int]]:
        """For each family, how many samples each job has in it."""
        return [counts for _, counts in self._families]

    def collect(self) -> Iterator[Metric]:
        """For prometheus-client, which formats them."""
        return (metric for metric, _ in self._families)
