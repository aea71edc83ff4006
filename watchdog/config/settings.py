"""The thresholds of the conditions, typed, with their defaults, and which of them hold for which job."""

from collections.abc import Mapping
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from watchdog.core.durations import parse_duration, say_duration
from watchdog.core.model import Job, Kind

Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(say_duration)]
"""A length of time that is written with its unit."""

Count = Annotated[int, Field(ge=1, strict=True)]


class Frozen(BaseModel):
    """A part of the configuration: unknown keys are errors, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _switch(value: object) -> object:
    """`off` and `on` instead of a section. YAML reads both as booleans unless they are quoted."""
    if value is False or (isinstance(value, str) and value.lower() in ("off", "no", "false")):
        return {"on": False}
    if value is True or (isinstance(value, str) and value.lower() in ("on", "yes", "true")):
        return {"on": True}
    return value


_Switch = BeforeValidator(_switch)


class Rule(Frozen):
    """What every condition has: it can be switched off."""

    on: bool = True


class Overdue(Rule):
    """`cadences` fires after the one that was due; `at_grace` for one-shots."""

    cadences: Count = 2
    at_grace: Duration = timedelta(minutes=10)


class Wedged(Rule):
    """`run_limit`: the agent's own 240 minutes and a margin. `started_after`: see `stalled`."""

    run_limit: Duration = timedelta(minutes=245)
    started_after: Duration = timedelta(minutes=5)


class LongRun(Rule):
    """Longer than `floor` and than `factor` times the last recorded run."""

    floor: Duration = timedelta(minutes=30)
    factor: Annotated[float, Field(ge=1, le=1000)] = 3.0


class Stalled(Rule):
    """`started_after`: another job's start this long after the due time proves that the scheduler turns."""

    started_after: Duration = timedelta(minutes=5)


class ZeroTokens(Rule):
    """`streak` run ends in a row without a token."""

    streak: Count = 3


class Failing(Rule):
    """So many errors in a row; one-shots have fewer tries."""

    errors: Count = 5
    errors_at: Count = 2


class Expiring(Rule):
    """How long before the sweep it is told, and from when on it is critical."""

    within: Duration = timedelta(days=7)
    critical_within: Duration = timedelta(days=1)


class Unrecorded(Rule):
    """The run's end is newer than the row by over `lag`, and older than `after`."""

    lag: Duration = timedelta(seconds=1)
    after: Duration = timedelta(minutes=5)


class Rules(Frozen):
    """The thresholds that hold for one job; a section each, or `off`."""

    overdue: Annotated[Overdue, _Switch] = Overdue()
    wedged: Annotated[Wedged, _Switch] = Wedged()
    long_run: Annotated[LongRun, _Switch] = LongRun()
    stalled: Annotated[Stalled, _Switch] = Stalled()
    zero_tokens: Annotated[ZeroTokens, _Switch] = ZeroTokens()
    failing: Annotated[Failing, _Switch] = Failing()
    failed: Annotated[Rule, _Switch] = Rule()
    expiring: Annotated[Expiring, _Switch] = Expiring()
    stranded: Annotated[Rule, _Switch] = Rule()
    invalid: Annotated[Rule, _Switch] = Rule()
    undelivered: Annotated[Rule, _Switch] = Rule()
    unrecorded: Annotated[Unrecorded, _Switch] = Unrecorded()
    interrupted: Annotated[Rule, _Switch] = Rule()
    duplicate: Annotated[Rule, _Switch] = Rule()
    unreachable: Annotated[Rule, _Switch] = Rule()
    swept: Annotated[Rule, _Switch] = Rule()


class JobRules(Rules):
    """What differs for the jobs whose name matches a pattern like `quiet-*` (upper and lower case are the same)."""

    match: str

    def fits(self, name: str) -> bool:
        """Whether the job of this name is meant."""
        return fnmatchcase(name.casefold(), self.match.casefold())


class Detect(Rules):
    """The thresholds for all jobs, and what differs for some; of several that match, the later one wins."""

    jobs: tuple[JobRules, ...] = ()

    @cached_property
    def _known(self) -> dict[str, Rules]:
        return {}

    def of(self, job: Job) -> Rules:
        """The thresholds that hold for `job`."""
        if not self.jobs:
            return self
        if job.name not in self._known:
            self._known[job.name] = self._merged(job.name)
        return self._known[job.name]

    def _merged(self, name: str) -> Rules:
        rules: Rules = self
        for override in self.jobs:
            if override.fits(name):
                rules = rules.model_copy(update=_sections(rules, override))
        return rules


def _sections(base: Rules, override: JobRules) -> Mapping[str, Rule]:
    """The sections that the override names, each with only the values that it names changed."""
    changed = {}
    for section in override.model_fields_set - {"match"}:
        wanted: Rule = getattr(override, section)
        values = {name: getattr(wanted, name) for name in wanted.model_fields_set}
        changed[section] = getattr(base, section).model_copy(update=values)
    return changed


def is_on(rules: Rules, kind: Kind) -> bool:
    """Whether the condition is looked for under these rules."""
    return bool(getattr(rules, kind.value).on)
