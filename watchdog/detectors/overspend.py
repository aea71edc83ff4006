"""`overspend`: a job, or all jobs of a source together, have cost more within a day than their budget allows."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Annotated

from watchdog.cadence.schedule import plus
from watchdog.core.fields import bounds
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import Finding, Snapshot, Spent
from watchdog.core.moment import Moment
from watchdog.detectors.about import about
from watchdog.detectors.rules import Rule, RulesForAll

DAY = timedelta(days=1)

Usd = Annotated[float, bounds(gt=0, le=1e9, allow_inf_nan=False)]


class Overspend(Rule):
    """US dollars within any 24 hours. Without a budget nothing is too much.

    `job`: the budget of each job. `source`: the budget of all jobs of a source together.
    """

    kind = Kind.OVERSPEND

    job: Usd | None = None
    source: Usd | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether there is a budget."""
        return self.on and not (self.job is None and self.source is None)


def detect(snapshot: Snapshot, now: Moment, settings: RulesForAll) -> Iterator[Finding]:
    """One finding for each planned job over its budget, and one for the source; critical at twice the budget."""
    for job in now.doubtful(snapshot.jobs):
        budget = settings.of(job)[Overspend].job
        bill = _bill(job.spent, budget, now) if budget and job.is_planned else None
        if budget and bill:
            usd, since, severity = bill
            summary = f"{job.name} has cost {_say(usd)} within a day, since {say(since)}; its budget is {_say(budget)}"
            yield about(snapshot, job, Kind.OVERSPEND, severity, since, summary, usd=round(usd, 4), budget_usd=budget)
    budget = settings[Overspend].source
    bill = _bill(snapshot.spent, budget, now) if budget else None
    if budget and bill:
        yield _of_all(snapshot, budget, *bill)


def _of_all(snapshot: Snapshot, budget: float, usd: float, since: datetime, severity: Severity) -> Finding:
    dearest = sorted(snapshot.jobs, key=lambda job: -sum(each.usd for each in job.spent))[:3]
    shares = [f"{job.name} {_say(sum(each.usd for each in job.spent))}" for job in dearest if job.spent]
    mostly = f"; mostly {', '.join(shares)}" if shares else ""
    summary = f"the jobs of {snapshot.source} have cost {_say(usd)} within a day, since {say(since)}; their budget is "
    evidence = {"usd": round(usd, 4), "budget_usd": budget}
    return Finding(
        snapshot.source,
        Kind.OVERSPEND,
        severity,
        None,
        None,
        since,
        f"{summary}{_say(budget)}{mostly}",
        evidence,
    )


def _bill(spent: Sequence[Spent], budget: float, now: Moment) -> tuple[float, datetime, Severity] | None:
    """What was paid within the last day, since when that is too much, and how grave it is; None if it is not."""
    if sum(each.usd for each in spent) <= budget:
        return None
    lately = [each for each in spent if not now.reached(plus(each.first_at, DAY))]
    usd = sum(each.usd for each in lately)
    if usd <= budget:
        return None
    paid = 0.0
    for each in lately:
        paid += each.usd
        if paid > budget:
            break
    return usd, each.first_at, Severity.CRITICAL if usd > 2 * budget else Severity.WARNING


def _say(usd: float) -> str:
    return f"${usd:,.2f}"
