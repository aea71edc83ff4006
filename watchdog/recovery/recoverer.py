"""Recovery from tick to tick: what was done is verified, what is lost is told, what is allowed is intended.

Nothing here touches a watched system; the executor does. All that a step decides is written in one transaction.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from watchdog.config.file import Config
from watchdog.config.sources import Section
from watchdog.core.action import BEING_DONE, BY_HAND, Action, State, Step
from watchdog.core.clock import Stamp
from watchdog.core.command_line import command
from watchdog.core.instants import say
from watchdog.core.kinds import Kind, Severity
from watchdog.core.logs import log
from watchdog.core.model import Finding, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.core.notice import about
from watchdog.core.silences import is_silenced
from watchdog.detectors.published import Published
from watchdog.recovery.before_restart import consequences
from watchdog.recovery.decide import (
    Case,
    Decision,
    Looked,
    cases,
    decide,
    has_not_rested,
    not_now,
    not_to_restart,
)
from watchdog.recovery.fresh_look import Objection
from watchdog.recovery.known_actions import KnownActions, acting_of, definitions_of
from watchdog.recovery.preserving import preserve_failed
from watchdog.recovery.sights import Sights
from watchdog.recovery.verify import Scene, Verdict, verdict
from watchdog.state.records import Preserved, Records, Version
from watchdog.systems.remedy import OUT_OF_A_LOOP
from watchdog.systems.shared.fingerprint import Facts, fingerprint
from watchdog.systems.shared.unreadable import UnreadableError

LOOK_AGAIN = timedelta(seconds=30)
"""When a row that could not be looked at, or had just changed, is looked at again."""

SETTLES = timedelta(seconds=5)
"""Until then what is published may have been read before the action, or before the scheduler wrote down what it did."""

_WOULD = "would|"
_OFF = "recovery"
"""The evidence of a finding that recovery itself is at: no policy is for it."""
_TITLES = {
    State.VERIFIED: "Verified",
    State.INEFFECTIVE: "Did not help",
    State.FAILED: "Did not work",
    State.UNABLE: "Cannot act",
    State.UNKNOWN: "Not certain",
    State.REFUSED: "Not proved",
}

SECOND_LOOK = timedelta(seconds=1)
"""How soon what was just intended is judged once more."""

TOLD_FOR = timedelta(days=30)
"""How long a swept job is told of, unless it is restored."""

Particulars = tuple[tuple[str, str], ...]


class Announce(Protocol):
    """Tells the owner of a finding: a title, a sentence, facts; and of which action, where it is about one."""

    def __call__(
        self, finding: Finding, title: str, lead: str, facts: Particulars, action: Action | None = None, /
    ) -> None:
        """Note it; what is alike is told together."""


Count = Callable[[str, str], None]
"""Told of an action's kind and what became of it."""

Would = Callable[[str, Finding], None]
"""Told of an action that mode `observe` leaves undone, and what it is about."""


def log_would(action: str, finding: Finding) -> None:
    """Log what would be done."""
    log.info(
        f"would {action} {finding.job or finding.source} now (mode: observe)",
        extra={"action": "recovery_observed", "source": finding.source, "job_id": finding.job_id},
    )


@dataclass(frozen=True, slots=True)
class Turn:
    """What one step gave: findings of recovery's own, when to look again, what is brought back as soon as it is its
    turn, and what is not settled."""

    findings: tuple[Finding, ...]
    look_again_at: datetime | None
    to_follow: tuple[Finding, ...] = ()
    under_way: Sequence[Action] = ()


class Recoverer:
    """Decides and verifies, for one configuration."""

    def __init__(
        self, config: Config, records: Records, announce: Announce, count: Count, would: Would = log_would
    ) -> None:
        self._records = records
        self._announce = announce
        self._say_would = would
        self._count = count
        self._seen: dict[str, Snapshot] = {}
        self._failed: dict[str, frozenset[tuple[str, datetime | None]]] = {}
        self._sights = Sights()
        self._slept: timedelta | None = None
        self._awake_since: datetime | None = None
        self.use(config)

    def use(self, config: Config) -> None:
        """From now on this configuration holds."""
        self._config = config
        self._sources: dict[str, Section] = {source.name: source for source in config.sources}
        self._known = KnownActions(config.sources)
        swept = ((source.name, definitions_of(source)) for source in config.sources)
        self._definitions = {name: definitions for name, definitions in swept if definitions}
        self._looked_at: tuple[int, Version] | None = None
        self._sights.look_anew()
        self._last: tuple[datetime, Turn] | None = None

    def turn(self, published: Published, stamp: Stamp, slept: timedelta = timedelta()) -> Turn:
        """One step after a tick; the same as before while nothing has changed and nothing is due.

        `slept`: how long in all, since this process began, nobody has looked.
        """
        if slept != self._slept:
            self._slept, self._awake_since = slept, stamp.at
        self._sights.see(published, stamp, slept)
        basis = (published.version, self._records.version)
        if self._last is None or basis != self._looked_at or _is_outdated(self._last, stamp.at):
            self._looked_at, self._last = None, None  # what goes wrong is tried again at the next tick
            turn = self._turn(published, stamp)
            # what was written in this step is looked at once more
            self._looked_at, self._last = basis, (stamp.at, turn)
        return self._last[1]

    def _turn(self, published: Published, stamp: Stamp) -> Turn:
        now = Moment(stamp.at)
        self._records.look_after()
        for state in published.sources:
            self._preserve(state.snapshot, stamp.at)
        self._verify(published, stamp, now)
        self._report(stamp)
        self._take_approvals(stamp)
        to_follow = self._intend(published, stamp, now)
        swept, under_way = self._swept(published, stamp.at), self._records.under_way()
        findings = (*swept, *self._left_off(published, under_way))
        return Turn(findings, now.next_change, to_follow, under_way)

    # definitions

    def _preserve(self, snapshot: Snapshot, at: datetime) -> None:
        """Keep the definition of every job that has newly failed, as soon as it has."""
        if snapshot.source not in self._definitions or snapshot.problem is not None:
            return
        if self._seen.get(snapshot.source) is snapshot:
            return
        self._seen[snapshot.source] = snapshot
        failed = frozenset((job.id, job.updated_at) for job in snapshot.jobs if job.status == "failed")
        if failed == self._failed.get(snapshot.source):
            return
        try:
            if failed:
                preserve_failed(self._records, self._sources[snapshot.source], at)
            self._failed[snapshot.source] = failed
        except UnreadableError as error:
            log.warning(f"failed jobs could not be kept: {error}", extra={"action": "preserve"})

    def _swept(self, published: Published, at: datetime) -> Iterable[Finding]:
        """The failed jobs whose rows have gone since, with the command that brings them back."""
        readable = [state.snapshot for state in published.sources if not state.snapshot.problem]
        there = {snapshot.source: snapshot for snapshot in readable}
        for kept in self._records.preserved():
            if kept.source not in there or kept.source not in self._definitions or kept.restored_at is not None:
                continue
            job = there[kept.source].by_id.get(kept.job_id)
            if job is None:
                yield from self._gone(kept, at)
            elif job.status != "failed":
                # it lives again: if its row goes now, that is no failed row that was swept
                self._records.preserve(replace(kept, gone_at=None, restored_at=at))
            elif kept.gone_at is not None:
                self._records.preserve(replace(kept, gone_at=None))

    def _gone(self, kept: Preserved, at: datetime) -> Iterable[Finding]:
        if kept.gone_at is None:
            source = self._sources[kept.source]
            if self._definitions[kept.source].was_deleted(source, kept.job_id):
                self._records.preserve(replace(kept, restored_at=at))
                return
            kept = replace(kept, gone_at=at)
            self._records.preserve(kept)
        was_due = kept.sweep_at is not None and kept.gone_at is not None and kept.sweep_at <= kept.gone_at
        if kept.gone_at and was_due and at - kept.gone_at < TOLD_FOR:
            yield _swept_finding(kept, kept.gone_at)

    def _left_off(self, published: Published, under_way: Iterable[Action]) -> Iterable[Finding]:
        """The jobs that recovery has switched off and could not yet switch on again."""
        jobs = published.jobs
        for action in under_way:
            job = jobs.get((action.source, action.job_id or ""))
            if self._known.is_half_done(action) and (job is None or not job.enabled):
                yield _off_finding(action)

    # proof

    def _verify(self, published: Published, stamp: Stamp, now: Moment) -> None:
        snapshots = {state.snapshot.source: state.snapshot for state in published.sources}
        under_way = self._records.under_way()
        jobs = published.jobs
        findings = published.findings
        for action in under_way:
            snapshot = snapshots.get(action.source)
            if action.state is not State.ACTED or snapshot is None or not _is_settled(action, now):
                continue
            job = jobs.get((action.source, action.job_id or ""))
            counts = job is None or self._counts_tokens(job)
            found = verdict(action, Scene(job, snapshot, findings, now, counts, self._awake_since))
            if found is not None:
                self._conclude(action, found, stamp)

    def _conclude(self, action: Action, found: Verdict, stamp: Stamp) -> None:
        if found.state is None and action.ways and self._config.recovery.mode != "observe":
            again = action.stepped(stamp.at, f"{found.what}; it is tried another way", state=State.INTENDED)
            known = {name: action.seen[name] for name in ("last_run_at",) if name in action.seen}
            self._records.save(replace(again, seen={"status": "active", **known}))
            return
        state = found.state or State.INEFFECTIVE
        self._records.save(action.stepped(stamp.at, found.what, state=state, settled=stamp))
        facts = {"action": "recovery", "source": action.source, "job_id": action.job_id, "outcome": state.value}
        level = log.info if state is State.VERIFIED else log.warning
        level(f"{action.kind} of {action.subject}: {state.value}, {found.what}", extra=facts)

    def _counts_tokens(self, job: Job) -> bool:
        return self._config.detect.of(job).is_on(Kind.ZERO_TOKENS)

    def _report(self, stamp: Stamp) -> None:
        """Tell what has become of actions, each once; also of those that ended with the executor."""
        for action in self._records.unreported():
            with self._records.store.transaction():
                if self._records.reported(action, stamp.at):
                    self._announce_outcome(action)
                    self._count(action.kind, action.state.value)

    def _announce_outcome(self, action: Action) -> None:
        """Where nothing was done, the job's incident is all there is to tell; who acts by hand sees why it failed."""
        if action.acted_at is None and (action.state is State.REFUSED or action.policy == BY_HAND):
            return
        name, what = action.subject, action.steps[-1].what
        title = f"{_TITLES[action.state]}: {action.kind} of {name}"
        self._announce(about(action), title, f"{name}: {what}.", timeline(action.steps), action)

    # intent

    def objection(self, action: Action, published: Published, stamp: Stamp) -> Objection | None:
        """What the newest look says against doing now what was intended before; None if it is as it was.

        A person's approval takes the place of the rest, and not of the cause.
        """
        now = Moment(stamp.at)
        snapshot = next((s.snapshot for s in published.sources if s.snapshot.source == action.source), None)
        if snapshot is None or snapshot.problem is not None:
            return Objection("its source cannot be read now", is_passing=True)
        if action.acted_at is not None:
            return self._objection_to_more(action, snapshot, now)
        if action.job_id and action.seen and all(job.id != action.job_id for job in snapshot.jobs):
            return None  # its own guard says what has become of the row
        case = next((case for case in self._cases(self._looked(published, stamp.at)) if _is_for(case, action)), None)
        if case is None:
            is_seen = action.job_id is not None and bool(action.seen)
            return Objection("the job is no longer as it was seen" if is_seen else "its cause is gone")
        if (case.circuit, case.finding.kind.value) != (action.circuit, action.about):
            return Objection(f"its cause is another one now ({case.finding.kind.value})")
        against = not_now(case, now)
        if against is not None:
            return Objection(against, is_passing=True)
        if action.by == "policy" and has_not_rested(case, now):
            return Objection("this watchdog has not seen its cause for long enough")
        return None

    def _objection_to_more(self, action: Action, snapshot: Snapshot, now: Moment) -> Objection | None:
        """Its next way is tried since the one before was not heard; a restart for its sake harms no other job."""
        against = not_to_restart(snapshot, now) if action.ways[:1] == ("restart",) else None
        return Objection(against, is_passing=True) if against else None

    def _take_approvals(self, stamp: Stamp) -> None:
        approved = self._records.approvals()
        for action in self._records.proposed() if approved else ():
            if action.id in approved:
                who = approved[action.id]
                self._records.save(
                    action.stepped(stamp.at, f"approved by {who}", state=State.INTENDED, by=who, created=stamp)
                )

    def _intend(self, published: Published, stamp: Stamp, now: Moment) -> tuple[Finding, ...]:
        """Follow what is decided; what waits for its turn."""
        recovery = self._config.recovery
        if not recovery.policies:
            self._withdraw((), published, stamp)
            return ()
        looked = self._looked(published, stamp.at)
        found = self._cases(looked)
        self._withdraw(found, published, stamp)
        self._forget_would(found, published)
        decisions = decide(found, self._records, looked, stamp, now)
        for decision in decisions:
            self._follow(decision, found, published, stamp, now)
        return tuple(decision.case.finding for decision in decisions if decision.follows)

    def _looked(self, published: Published, at: datetime) -> Looked:
        must_ask = self._config.recovery.mode != "act"
        silences = self._records.store.silences(at) if must_ask else []
        owners = {
            (state.snapshot.source, job_id): owner
            for state in published.sources
            for job_id, owner in state.owners.items()
        }
        findings = [one for one in published.findings if _OFF not in one.evidence and one.kind is not Kind.UNSAVED]
        snapshots = {state.snapshot.source: state.snapshot for state in published.sources}
        return Looked(
            published.jobs,
            snapshots,
            owners,
            findings,
            self._sights.seen_for,
            self._counts_tokens,
            self._sights.unsettled_for,
            lambda finding: is_silenced(finding, silences, at),
        )

    def _cases(self, looked: Looked) -> list[Case]:
        found = cases(looked, self._config.recovery.policies, self._known)
        return [case for case in found if case.policy.action != "preserve" or case.policy.postpone]

    def _withdraw(self, found: Sequence[Case], published: Published, stamp: Stamp) -> None:
        """A proposal whose cause is gone, or that nobody is asked for now, would keep the next one back for ever."""
        readable = {state.snapshot.source for state in published.sources if not state.snapshot.problem}
        wanted = {(case.finding.source, case.name, case.policy.action, case.finding.job_id) for case in found}
        is_asked = self._config.recovery.mode != "act"
        for action in self._records.proposed():
            key = (action.source, action.policy, action.kind, action.job_id)
            if action.source in readable and not (key in wanted and is_asked):
                why = "nobody is asked any more" if key in wanted else "what it was proposed for is no longer so"
                self._records.save(action.stepped(stamp.at, f"withdrawn: {why}", state=State.REFUSED, settled=stamp))

    def _follow(
        self, decision: Decision, found: Sequence[Case], published: Published, stamp: Stamp, now: Moment
    ) -> None:
        case = decision.case
        mode = self._config.recovery.mode
        if decision.used_up and mode != "observe":
            self._used_up(decision, found, stamp)
        if not decision.allowed or (case.policy.check.other_succeeded and not _other_succeeded(case, published)):
            return
        if mode == "observe":
            self._would(case, stamp)
            return
        action = self._action(case, decision, stamp)
        if action is None:
            now.reached(now.at + LOOK_AGAIN)
            return
        with self._records.store.transaction():
            action = self._records.add(replace(action, state=State.INTENDED if mode == "act" else State.PROPOSED))
            if mode == "propose":
                self._propose(case, action, published)
        now.reached(now.at + SECOND_LOOK)
        log.info(
            f"{action.state.value}: {action.kind} of {action.subject} ({action.why})",
            extra={"action": "recovery", "source": action.source, "job_id": action.job_id, "policy": action.policy},
        )

    def _action(self, case: Case, decision: Decision, stamp: Stamp) -> Action | None:
        """The intent, with the job as it is now; None if it cannot be looked at, or is no longer as it was found."""
        finding, seen = case.finding, self._seen_now(case)
        if seen is None:
            return None
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
            ways=case.kind.steps_of(case.policy) if case.kind else (),
            is_canary=decision.is_canary,
            about=finding.kind.value,
            steps=(Step(stamp.at, f"{finding.kind.value} since {say(finding.since) if finding.since else 'unknown'}"),),
        )

    def _seen_now(self, case: Case) -> Facts | None:
        """What must still be so when it is done, as its system tells it; a restart is about no job."""
        if case.policy.action == "restart":
            return {}
        source = self._sources.get(case.finding.source)
        acting = acting_of(source) if source and case.kind else None
        if source is None or acting is None:
            return fingerprint(case.job) if case.job else {}
        return acting.seen(source, case.job, case.finding.job_id or "")

    def _would(self, case: Case, stamp: Stamp) -> None:
        """Mode `observe`: say once what it would do."""
        if self._records.tell_once(_would_key(case), stamp.at):
            self._say_would(case.policy.action, case.finding)

    def _forget_would(self, found: Sequence[Case], published: Published) -> None:
        """What is over may be said again when it comes back."""
        told = self._records.told(_WOULD)
        blind = [f"{_WOULD}{state.snapshot.source}|" for state in published.sources if state.snapshot.problem]
        over = told - {_would_key(case) for case in found}
        self._records.forget(key for key in over if not key.startswith(tuple(blind)))

    def _propose(self, case: Case, action: Action, published: Published) -> None:
        snapshot = next(state.snapshot for state in published.sources if state.snapshot.source == action.source)
        mind = consequences(snapshot, action.created.at) if action.kind == "restart" else ()
        self._announce(
            case.finding,
            f"Proposed: {action.kind} {action.subject}",
            case.finding.summary,
            (
                ("Why now", action.why),
                *(("Mind", sentence) for sentence in mind),
                ("To approve", command("approve", str(action.id))),
            ),
            action,
        )

    def _used_up(self, decision: Decision, found: Sequence[Case], stamp: Stamp) -> None:
        """The budget is used up: a person is told, once until something has helped again.

        What all jobs of a circuit share is told of all of them, and not of the one that happened to be next.
        """
        case, finding = decision.case, decision.case.finding
        whom = [other for other in found if other.circuit == case.circuit] if _is_of_all(decision) else [case]
        key = f"used_up|{decision.used_up}|{self._records.last_verified(case.circuit)}"
        with self._records.store.transaction():
            if self._records.tell_once(key, stamp.at):
                self._announce(
                    finding,
                    f"Needs a person: {_whom(whom)}",
                    f"{_what(whom)}. For now it is not tried again by itself: {decision.why}.",
                    _for_people(whom),
                )
                self._count(case.policy.action, "exhausted")


def _is_outdated(last: tuple[datetime, Turn], at: datetime) -> bool:
    """Whether something is due, or the clock was set back."""
    judged_at, turn = last
    return at < judged_at or (turn.look_again_at is not None and at >= turn.look_again_at)


def _would_key(case: Case) -> str:
    """Of a storm only the canary is spoken of, and which job that is changes with the hour."""
    is_storm = case.is_for_one_job and case.policy.canary
    return f"{_WOULD}{case.circuit}|{'' if is_storm else case.finding.job_id}"


def _is_of_all(decision: Decision) -> bool:
    """Whether the budget that is used up is one that all of the circuit share."""
    return decision.used_up == decision.case.circuit


NAMED = 5
"""So many jobs are named one by one."""


def _whom(found: Sequence[Case]) -> str:
    """Who needs a person: the agent itself where it was restarted, a job, or how many jobs."""
    finding = found[0].finding
    if found[0].policy.action == "restart":
        return finding.source
    return f"{len(found)} jobs" if len(found) > 1 else finding.job or finding.source


def _what(found: Sequence[Case]) -> str:
    if len(found) == 1 or found[0].policy.action == "restart":
        return found[0].finding.summary
    names = [case.finding.job or case.finding.source for case in found]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{len(names)} jobs {found[0].finding.kind.row.many}: {', '.join(names[:NAMED])}{more}"


def _for_people(found: Sequence[Case]) -> tuple[tuple[str, str], ...]:
    """The commands, one a job; of a restart there is one for all."""
    wanted = dict.fromkeys(_for_a_person(case) for case in found)
    more = (("And", f"{len(wanted) - NAMED} more: scheduler-watchdog jobs"),)
    return (*(("To do", each) for each in list(wanted)[:NAMED]), *(more if len(wanted) > NAMED else ()))


def _is_for(case: Case, action: Action) -> bool:
    there = (case.finding.source, case.name, case.policy.action, case.finding.job_id)
    return there == (action.source, action.policy, action.kind, action.job_id)


def _for_a_person(case: Case) -> str:
    if case.is_restart_in_vain:
        return f"{OUT_OF_A_LOOP}; what was tried: scheduler-watchdog recoveries"
    if case.policy.action == "restart":
        return "restart the agent by hand; what was tried: scheduler-watchdog recoveries"
    if case.policy.action in ("preserve", "command"):
        return "what was tried: scheduler-watchdog recoveries"
    return command("revive", case.finding.job_id or "")


def timeline(steps: Iterable[Step]) -> tuple[tuple[str, str], ...]:
    """The steps as facts of a message, the newest ten; not that it began where there is more, and nothing twice."""
    told = list(steps)
    last = len(told) - 1
    news = [
        step for place, step in enumerate(told) if place == last or step.what not in (BEING_DONE, told[place + 1].what)
    ]
    return tuple((say(step.at), step.what) for step in news[-10:])


def _off_finding(action: Action) -> Finding:
    since = action.begun.at if action.begun else action.created.at
    why = action.steps[-1].what
    return Finding(
        action.source,
        Kind.FAILED,
        Severity.CRITICAL,
        action.job_id,
        action.job,
        since,
        f"{action.job} was switched off at {say(since)} to free it, and is {why}; it is tried every minute",
        {_OFF: action.id},
    )


def _is_settled(action: Action, now: Moment) -> bool:
    return action.acted_at is None or now.reached(action.acted_at + SETTLES)


def _swept_finding(kept: Preserved, gone_at: datetime) -> Finding:
    return Finding(
        kept.source,
        Kind.SWEPT,
        Severity.CRITICAL,
        kept.job_id,
        kept.name,
        gone_at,
        f"{kept.name} had failed, and its row is gone since {say(gone_at)}; its definition is kept: "
        f"{command('restore', kept.job_id)}",
        {"preserved_at": kept.preserved_at, **({"sweep_at": kept.sweep_at} if kept.sweep_at else {})},
    )


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
