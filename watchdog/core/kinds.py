"""The table of kinds: what is true of each condition wherever it is found. Everything else reads it here.

A condition is a file in `detectors/` of its kind's name, and a row here. From the row follow its severity, what it
gathers with, which kind names an incident, its words in messages and on the page, what helps, and its metric labels.
Its thresholds stand in its own file; its runbook is `alerts/runbooks/<kind>.md`.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from watchdog.core import outlook
from watchdog.core.outlook import Speech


class Severity(StrEnum):
    """How soon a person is needed."""

    WARNING = "warning"
    CRITICAL = "critical"


class Family(StrEnum):
    """What may be one incident: why a job does not run, why its runs fail, or each kind for itself.

    Of the first a job shows one at most, the most specific.
    """

    LATE = "late"
    ERRORS = "errors"
    OWN = "own"


class Concern(StrEnum):
    """What a condition is about, where the finding names no job."""

    JOB = "job"
    SCHEDULER = "scheduler"
    SOURCE = "source"
    WATCHDOG = "watchdog"


class Fact(StrEnum):
    """What a store may not tell, and conditions rest on."""

    RUN_ENDS = "run_ends"
    COSTS = "costs"
    RUNS_IN_FLIGHT = "runs_in_flight"
    RUNS_ASKED_FOR = "runs_asked_for"
    DELIVERIES = "deliveries"
    ERRORS_IN_A_ROW = "errors_in_a_row"
    SWEEPS = "sweeps"


Outlook = Callable[[Mapping[str, object], Speech], str]
"""What comes next, from a finding's evidence and the words for its system; empty where nothing is known."""

WARNING = (Severity.WARNING,)
CRITICAL = (Severity.CRITICAL,)
EITHER = (Severity.WARNING, Severity.CRITICAL)


@dataclass(frozen=True, slots=True)
class Row:
    """One condition.

    `rank`: which kind names an incident or a late job that has several, the lowest; they lie apart so that others fit
    between. `severities`: all that it can have. `one` and `many` follow a job's name and a number of jobs. `ahead`:
    what comes next if nobody acts, or what says so. `remedy`: what helps with any system; `{process}` is what the
    scheduler is called there. `by_restart`: the remedy is a restart. `verb`: the watchdog's own command that does it
    to a job of any system. `rests_on`: without any of these it cannot be judged.
    """

    name: str
    rank: int
    severities: tuple[Severity, ...]
    one: str
    many: str
    ahead: str | Outlook
    remedy: str
    family: Family = Family.OWN
    concern: Concern = Concern.JOB
    by_restart: bool = False
    verb: str = ""
    rests_on: tuple[Fact, ...] = ()


class Kind(StrEnum):
    """The conditions that are told apart. Their order is that of lists, and decides nothing."""

    _value_: str
    row: Row

    def __new__(cls, row: Row | str) -> Self:
        """A member from its row. Calling the class with a name looks a member up, and does not come here."""
        if not isinstance(row, Row):
            raise TypeError(f"{row!r} is no row of the table")
        member = str.__new__(cls, row.name)
        member._value_ = row.name
        member.row = row
        return member

    UNREACHABLE = Row(
        name="unreachable",
        rank=10,
        severities=CRITICAL,
        one="cannot be read",
        many="cannot be read",
        ahead="nothing can be told about its jobs",
        remedy="make what it is read from readable for the watchdog",
        concern=Concern.SOURCE,
    )
    BLIND = Row(
        name="blind",
        rank=170,
        severities=WARNING,
        one="shows not all",
        many="show not all",
        ahead="what it hides is told by nobody",
        remedy="make what is missing visible to the watchdog, or switch off the conditions that need it",
        concern=Concern.SOURCE,
    )
    UNSAVED = Row(
        name="unsaved",
        rank=15,
        severities=EITHER,
        one="cannot write down what it knows",
        many="cannot write down what they know",
        ahead="a restart forgets who was told what",
        remedy="make room for the watchdog's state file, and let the watchdog write it",
        concern=Concern.WATCHDOG,
    )
    STALLED = Row(
        name="stalled",
        rank=20,
        severities=CRITICAL,
        one="stands still",
        many="stand still",
        ahead=lambda evidence, system: (
            f"no job gets done until the {system.process} stays up"
            if evidence.get("starts_in_vain")
            else f"no job runs until the {system.process} is restarted"
        ),
        remedy="restart the {process}",
        by_restart=True,
        concern=Concern.SCHEDULER,
        rests_on=(Fact.RUNS_IN_FLIGHT,),
    )
    INVALID = Row(
        name="invalid",
        rank=50,
        severities=CRITICAL,
        one="cannot be read",
        many="cannot be read",
        ahead=outlook.invalid,
        remedy="mend the job's schedule where it is made, or delete the job",
        family=Family.LATE,
    )
    UNRECORDED = Row(
        name="unrecorded",
        rank=60,
        severities=CRITICAL,
        one="ran, and nobody wrote it down",
        many="ran, and nobody wrote it down",
        ahead="the next restart runs it again, and its result is sent twice",
        remedy="before a restart, pause the job if it must not run again",
        family=Family.LATE,
        rests_on=(Fact.RUN_ENDS,),
    )
    WEDGED = Row(
        name="wedged",
        rank=70,
        severities=CRITICAL,
        one="is wedged",
        many="are wedged",
        ahead=outlook.wedged,
        remedy="restart the {process}",
        by_restart=True,
        family=Family.LATE,
        rests_on=(Fact.RUNS_IN_FLIGHT,),
    )
    LONG_RUN = Row(
        name="long_run",
        rank=90,
        severities=WARNING,
        one="runs far longer than usual",
        many="run far longer than usual",
        ahead=outlook.long_run,
        remedy="wait for its end, or see what it hangs in",
        family=Family.LATE,
        rests_on=(Fact.RUNS_IN_FLIGHT,),
    )
    INTERRUPTED = Row(
        name="interrupted",
        rank=100,
        severities=WARNING,
        one="was interrupted",
        many="were interrupted",
        ahead=outlook.interrupted,
        remedy="see what the interrupted run had done already; it may run again, or have to be run by hand",
        family=Family.LATE,
        rests_on=(Fact.RUNS_IN_FLIGHT,),
    )
    STRANDED = Row(
        name="stranded",
        rank=110,
        severities=CRITICAL,
        one="will not fire when it should",
        many="will not fire when they should",
        ahead=outlook.stranded,
        remedy="give the job a new time where it is made, or delete it",
        family=Family.LATE,
    )
    OVERDUE = Row(
        name="overdue",
        rank=160,
        severities=WARNING,
        one="is overdue",
        many="are overdue",
        ahead="",
        remedy="see whether its scheduler runs, and what it is busy with",
        family=Family.LATE,
    )
    SWEPT = Row(
        name="swept",
        rank=30,
        severities=CRITICAL,
        one="was deleted by the scheduler's sweep",
        many="were deleted by the scheduler's sweep",
        ahead="",
        remedy="put the job back as it was",
        family=Family.ERRORS,
        verb="restore",
        rests_on=(Fact.SWEEPS,),
    )
    VANISHED = Row(
        name="vanished",
        rank=35,
        severities=EITHER,
        one="is gone",
        many="are gone",
        ahead="it does not run again by itself",
        remedy="see who deleted or switched it off; if nobody did, make it anew, or restore the store's newest backup",
    )
    FAILED = Row(
        name="failed",
        rank=40,
        severities=CRITICAL,
        one="was given up",
        many="were given up",
        ahead=outlook.failed,
        remedy="see what its last error says; its scheduler will not run it again by itself",
        family=Family.ERRORS,
    )
    EXPIRING = Row(
        name="expiring",
        rank=80,
        severities=EITHER,
        one="will be deleted",
        many="will be deleted",
        ahead=outlook.expiring,
        remedy="keep a copy of the job's definition, or make the job anew",
        family=Family.ERRORS,
        rests_on=(Fact.SWEEPS,),
    )
    FAILING = Row(
        name="failing",
        rank=120,
        severities=WARNING,
        one="keeps failing",
        many="keep failing",
        ahead=outlook.failing,
        remedy="mend what the error says before the scheduler gives the job up",
        family=Family.ERRORS,
        rests_on=(Fact.ERRORS_IN_A_ROW,),
    )
    ZERO_TOKENS = Row(
        name="zero_tokens",
        rank=140,
        severities=WARNING,
        one="does no work (no tokens)",
        many="do no work (no tokens)",
        ahead="it goes on doing nothing",
        remedy="see why no model answers: the key, the quota, the provider",
        family=Family.ERRORS,
        rests_on=(Fact.RUN_ENDS,),
    )
    SKIPPING = Row(
        name="skipping",
        rank=135,
        severities=WARNING,
        one="is skipped",
        many="are skipped",
        ahead=outlook.skipping,
        remedy="see what its last reason says: mostly a model server that does not answer",
        family=Family.ERRORS,
    )
    UNDELIVERED = Row(
        name="undelivered",
        rank=150,
        severities=WARNING,
        one="reaches nobody",
        many="reach nobody",
        ahead="its results go on reaching nobody",
        remedy="mend the job's delivery target or the channel",
        rests_on=(Fact.DELIVERIES,),
    )
    RUNAWAY = Row(
        name="runaway",
        rank=45,
        severities=CRITICAL,
        one="runs over and over",
        many="run over and over",
        ahead="it goes on running, and each run is paid for",
        remedy="pause the job, and mend its schedule where it is made",
        rests_on=(Fact.RUN_ENDS,),
    )
    OVERSPEND = Row(
        name="overspend",
        rank=125,
        severities=EITHER,
        one="costs more than its budget",
        many="cost more than their budget",
        ahead="it goes on being paid for",
        remedy="see what the money went into, and pause what must not go on",
        concern=Concern.SOURCE,
        rests_on=(Fact.COSTS,),
    )
    DUPLICATE = Row(
        name="duplicate",
        rank=130,
        severities=WARNING,
        one="ran twice",
        many="ran twice",
        ahead="",
        remedy="see whether the work that was done twice must be undone",
        rests_on=(Fact.RUN_ENDS, Fact.RUNS_ASKED_FOR),
    )

    @property
    def runbook(self) -> str:
        """The page about it, from the repository's root."""
        return f"alerts/runbooks/{self.value}.md"

    @property
    def alert(self) -> str:
        """What an alert about it is called, by the rules and by the watchdog's own posts: whose failure it is."""
        whose = {Concern.JOB: "SchedulerJob", Concern.WATCHDOG: "Watchdog"}.get(self.row.concern, "Scheduler")
        return whose + "".join(part.capitalize() for part in self.value.split("_"))

    def what_follows(self, evidence: Mapping[str, object], system: Speech) -> str:
        """What comes next if nobody acts."""
        said = self.row.ahead
        return said if isinstance(said, str) else said(evidence, system)


def resting_on(facts: Collection[Fact]) -> tuple[Kind, ...]:
    """The kinds that cannot be judged without these."""
    return tuple(kind for kind in Kind if not set(kind.row.rests_on).isdisjoint(facts))


def of_family(family: Family) -> tuple[Kind, ...]:
    """Its kinds, the most specific first."""
    return tuple(sorted((kind for kind in Kind if kind.row.family is family), key=lambda kind: kind.row.rank))


def exposed() -> Iterator[tuple[Kind, Severity]]:
    """Every pair of kind and severity that can be found: the label pairs of the metrics."""
    return ((kind, severity) for kind in Kind for severity in kind.row.severities)
