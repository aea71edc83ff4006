"""Recovery from tick to tick: what was done is verified, what is lost is told, what is allowed is intended.

Nothing here touches a watched system; the hand does. All that a step decides is written in one transaction.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from watchdog.config import Config
from watchdog.engine import Published
from watchdog.instants import say
from watchdog.logs import log
from watchdog.model import Finding, Job, Kind, Severity, Snapshot
from watchdog.moment import Moment
from watchdog.recovery import rows
from watchdog.recovery.action import Action, Stamp, State, Step
from watchdog.recovery.decide import Case, Decision, cases, decide
from watchdog.recovery.hand import preserve_failed
from watchdog.recovery.records import Preserved, Records
from watchdog.recovery.verify import Verdict, verdict
from watchdog.sources.sqlite_file import UnreadableError

TOLD_FOR = timedelta(days=30)
"""How long a swept job is told of, unless it is restored."""

Announce = Callable[[Finding, str, str, tuple[tuple[str, str], ...]], None]
"""Tells the owner of a finding: a title, a sentence, facts."""

Count = Callable[[str, str], None]
"""Told of an action's kind and what became of it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one step gave: findings of recovery's own, and when to look again."""

    findings: tuple[Finding, ...]
    look_again_at: datetime | None


class Recoverer:
    """Decides and verifies, for one configuration."""

    def __init__(self, config: Config, records: Records, announce: Announce, count: Count) -> None:
        self._records = records
        self._announce = announce
        self._count = count
        self._seen: dict[str, Snapshot] = {}
        self._failed: dict[str, frozenset[tuple[str, datetime | None]]] = {}
        self.use(config)

    def use(self, config: Config) -> None:
        """From now on this configuration holds."""
        self._config = config
        self._sources = {source.name: source for source in config.sources}

    def turn(self, published: Published, stamp: Stamp) -> Turn:
        """One step after a tick."""
        now = Moment(stamp.at)
        for state in published.sources:
            self._preserve(state.snapshot, stamp.at)
        self._verify(published, stamp, now)
        self._take_approvals(stamp)
        self._intend(published, stamp, now)
        return Turn(tuple(self._swept(published, stamp.at)), now.next_change)

    # definitions

    def _preserve(self, snapshot: Snapshot, at: datetime) -> None:
        """Keep the definition of every job that has newly failed, as soon as it has."""
        source = self._sources.get(snapshot.source)
        if source is None or snapshot.problem is not None or self._seen.get(snapshot.source) is snapshot:
            return
        self._seen[snapshot.source] = snapshot
        failed = frozenset((job.id, job.updated_at) for job in snapshot.jobs if job.status == "failed")
        if failed == self._failed.get(snapshot.source):
            return
        try:
            if failed:
                preserve_failed(self._records, source, at)
            self._failed[snapshot.source] = failed
        except UnreadableError as error:
            log.warning(f"failed jobs could not be kept: {error}", extra={"action": "preserve"})

    def _swept(self, published: Published, at: datetime) -> Iterable[Finding]:
        """The failed jobs whose rows have gone since, with the command that brings them back."""
        readable = [state.snapshot for state in published.sources if not state.snapshot.problem]
        there = {snapshot.source: {job.id for job in snapshot.jobs} for snapshot in readable}
        for kept in self._records.preserved():
            if kept.source not in there or kept.restored_at is not None:
                continue
            is_there = kept.job_id in there[kept.source]
            if is_there and kept.gone_at is not None:
                self._records.preserve(replace(kept, gone_at=None))
            elif not is_there:
                yield from self._gone(kept, at)

    def _gone(self, kept: Preserved, at: datetime) -> Iterable[Finding]:
        if kept.gone_at is None:
            source = self._sources[kept.source]
            if rows.has_audit(source.database, kept.job_id, "delete"):
                self._records.preserve(replace(kept, restored_at=at))
                return
            kept = replace(kept, gone_at=at)
            self._records.preserve(kept)
        if kept.gone_at and at - kept.gone_at < TOLD_FOR:
            yield _swept_finding(kept, kept.gone_at)

    # proof

    def _verify(self, published: Published, stamp: Stamp, now: Moment) -> None:
        snapshots = {state.snapshot.source: state.snapshot for state in published.sources}
        for action in self._records.under_way():
            snapshot = snapshots.get(action.source)
            if action.state is not State.ACTED or snapshot is None:
                continue
            job = next((job for job in snapshot.jobs if job.id == action.job_id), None)
            found = verdict(action, job, snapshot, published.findings, now)
            if found is not None:
                self._conclude(action, found, stamp)

    def _conclude(self, action: Action, found: Verdict, stamp: Stamp) -> None:
        if found.state is None and action.ways:
            again = action.stepped(stamp.at, f"{found.what}; the next way is tried", state=State.INTENDED)
            self._records.save(replace(again, seen={"status": "active"}))
            return
        state = found.state or State.INEFFECTIVE
        done = action.stepped(stamp.at, found.what, state=state, settled=stamp)
        with self._records.store.transaction():
            self._records.save(done)
            self._announce_outcome(done, found.what)
        self._count(action.kind, state.value)
        facts = {"action": "recovery", "source": action.source, "job_id": action.job_id, "outcome": state.value}
        level = log.info if state is State.VERIFIED else log.warning
        level(f"{action.kind} of {action.job or action.source}: {state.value}, {found.what}", extra=facts)

    def _announce_outcome(self, action: Action, what: str) -> None:
        name = action.job or action.source
        title = f"{'Verified' if action.state is State.VERIFIED else 'Did not help'}: {action.kind} of {name}"
        self._announce(_stand_in(action), title, f"{name}: {what}.", timeline(action.steps))

    # intent

    def _take_approvals(self, stamp: Stamp) -> None:
        approved = self._records.approvals()
        for action in self._records.actions() if approved else ():
            if action.state is State.PROPOSED and action.id in approved:
                who = approved[action.id]
                self._records.save(
                    action.stepped(stamp.at, f"approved by {who}", state=State.INTENDED, by=who, created=stamp)
                )

    def _intend(self, published: Published, stamp: Stamp, now: Moment) -> None:
        recovery = self._config.recovery
        if not recovery.policies:
            return
        jobs: Mapping[tuple[str, str], Job] = {
            (state.snapshot.source, job.id): job for state in published.sources for job in state.snapshot.jobs
        }
        owners = {
            (state.snapshot.source, job_id): owner
            for state in published.sources
            for job_id, owner in state.owners.items()
        }
        found = cases(published.findings, recovery.policies, jobs, owners)
        found = [case for case in found if case.policy.action != "preserve" or case.policy.postpone]
        for decision in decide(found, self._records.actions(), stamp, now):
            self._follow(decision, published, stamp)

    def _follow(self, decision: Decision, published: Published, stamp: Stamp) -> None:
        case = decision.case
        if decision.is_exhausted:
            self._exhausted(decision, stamp)
        if not decision.allowed:
            return
        mode = self._config.recovery.mode
        if mode == "observe":
            self._would(case, stamp)
            return
        if case.policy.check.other_succeeded and not _other_succeeded(case, published):
            return
        action = self._action(case, decision, stamp)
        if action is None:
            return
        with self._records.store.transaction():
            action = self._records.add(replace(action, state=State.INTENDED if mode == "act" else State.PROPOSED))
            if mode == "propose":
                self._propose(case, action)
        log.info(
            f"{action.state.value}: {action.kind} of {action.job or action.source} ({action.why})",
            extra={"action": "recovery", "source": action.source, "job_id": action.job_id, "policy": action.policy},
        )

    def _action(self, case: Case, decision: Decision, stamp: Stamp) -> Action | None:
        """The intent, with the row as it is now; None if it cannot be looked at."""
        finding, source = case.finding, self._sources.get(case.finding.source)
        seen: Mapping[str, object] = {}
        if case.policy.action != "restart":
            row = _row(source.database, finding.job_id) if source and finding.job_id else None
            if row is None:
                return None
            seen = rows.fingerprint(row)
        return Action(
            id=0,
            created=stamp,
            policy=case.name,
            kind=case.policy.action,
            source=finding.source,
            job_id=finding.job_id,
            job=finding.job,
            circuit=case.circuit,
            why=f"{finding.kind.value}: {decision.why}",
            seen=seen,
            ways=tuple(case.policy.via) if case.policy.action == "revive" else (),
            is_canary=decision.is_canary,
            steps=(Step(stamp.at, f"{finding.kind.value} since {say(finding.since) if finding.since else 'unknown'}"),),
        )

    def _would(self, case: Case, stamp: Stamp) -> None:
        """Mode `observe`: say once what it would do."""
        finding = case.finding
        key = f"would|{case.name}|{finding.source}|{finding.job_id}|{finding.since}"
        if self._records.tell_once(key, stamp.at):
            log.info(
                f"would {case.policy.action} {finding.job or finding.source} now (mode: observe)",
                extra={"action": "recovery_observed", "source": finding.source, "job_id": finding.job_id},
            )

    def _propose(self, case: Case, action: Action) -> None:
        command = f"scheduler-watchdog approve {action.id}"
        self._announce(
            case.finding,
            f"Proposed: {action.kind} {action.job or action.source}",
            case.finding.summary,
            (("Why now", action.why), ("To approve", command)),
        )

    def _exhausted(self, decision: Decision, stamp: Stamp) -> None:
        """The budget is used up: a person is told, once."""
        finding = decision.case.finding
        key = f"exhausted|{decision.case.circuit}|{finding.job_id}|{stamp.at:%Y-%m-%d}"
        with self._records.store.transaction():
            if self._records.tell_once(key, stamp.at):
                self._announce(
                    finding,
                    f"Needs a person: {finding.job or finding.source}",
                    f"{finding.summary}. It is not tried again by itself: {decision.why}.",
                    (("To do", f"scheduler-watchdog revive {finding.job_id or ''}".strip()),),
                )
                self._count(decision.case.policy.action, "exhausted")


def timeline(steps: Iterable[Step]) -> tuple[tuple[str, str], ...]:
    """The steps as facts of a message, the newest ten."""
    return tuple((say(step.at), step.what) for step in list(steps)[-10:])


def _stand_in(action: Action) -> Finding:
    """The finding that an action was about, for finding its owner."""
    return Finding(action.source, Kind.FAILED, Severity.WARNING, action.job_id, action.job, None, action.why)


def _swept_finding(kept: Preserved, gone_at: datetime) -> Finding:
    return Finding(
        kept.source,
        Kind.SWEPT,
        Severity.CRITICAL,
        kept.job_id,
        kept.name,
        gone_at,
        f"{kept.name} had failed, and its row is gone since {say(gone_at)}; its definition is kept: "
        f"scheduler-watchdog restore {kept.job_id}",
        {"preserved_at": kept.preserved_at, **({"sweep_at": kept.sweep_at} if kept.sweep_at else {})},
    )


def _row(path: Path, job_id: str) -> rows.Row | None:
    try:
        return rows.look(path, job_id)
    except UnreadableError:
        return None


def _other_succeeded(case: Case, published: Published) -> bool:
    """Whether another job of the same scheduler has done well since."""
    since = case.since
    runs = (
        job.last_run
        for state in published.sources
        if state.snapshot.source == case.finding.source
        for job in state.snapshot.jobs
        if job.id != case.finding.job_id
    )
    return any(run and run.status == "ok" and since and run.started_at > since for run in runs)
