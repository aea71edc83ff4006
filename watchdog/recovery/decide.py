"""Which action is allowed now, and why not. Pure: findings, history and the clock go in, decisions come out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

from watchdog.durations import say_duration
from watchdog.model import At, ErrorClass, Finding, Job, Kind
from watchdog.moment import Moment
from watchdog.policies import Attempts, Policy, PolicyMatch
from watchdog.recovery.action import UNHELPFUL, Action, Stamp, State
from watchdog.schedule import LATEST, next_fire

DAY = timedelta(days=1)

AFTER_A_REFUSAL = timedelta(minutes=5)
"""How long nothing is intended again where the row had changed, or the probe was not well."""


@dataclass(frozen=True, slots=True)
class Case:
    """A finding that a policy is for."""

    finding: Finding
    policy: Policy
    name: str
    job: Job | None

    @property
    def circuit(self) -> str:
        """What shares its luck with it."""
        return f"{self.finding.source}|{self.name}|{_error_class(self.finding)}"

    @property
    def since(self) -> datetime | None:
        """Since when its cause rests."""
        return self.finding.since


@dataclass(frozen=True, slots=True)
class Decision:
    """`allowed`: act now. Otherwise `why` says what it waits for; `is_exhausted`: for a person."""

    case: Case
    allowed: bool
    why: str
    is_canary: bool = False
    is_exhausted: bool = False


def cases(
    findings: Iterable[Finding],
    policies: Sequence[Policy],
    jobs: Mapping[tuple[str, str], Job],
    owners: Mapping[tuple[str, str], str],
) -> list[Case]:
    """The findings that some policy is for; the first that fits decides."""
    found = []
    for finding in findings:
        key = (finding.source, finding.job_id or "")
        for index, policy in enumerate(policies):
            if finding.caused_by is None and _fits(policy.match, finding, owners.get(key)):
                name = policy.name or f"policies[{index}]"
                found.append(Case(finding, policy, name, jobs.get(key)))
                break
    return [case for case in found if case.policy.action != "none"]


def _fits(match: PolicyMatch, finding: Finding, owner: str | None) -> bool:
    asked = ((match.job, finding.job), (match.source, finding.source), (match.owner, owner))
    return (
        match.kind in (None, finding.kind)
        and match.scope in (None, _scope(finding))
        and (match.error_class is None or match.error_class.value == _error_class(finding))
        and all(pattern is None or _is_like(value, pattern) for pattern, value in asked)
    )


def _is_like(value: str | None, pattern: str) -> bool:
    return value is not None and fnmatchcase(value.casefold(), pattern.casefold())


def _scope(finding: Finding) -> str:
    """Whether a job alone is concerned, or all of the scheduler."""
    is_all = finding.kind in (Kind.STALLED, Kind.UNRECORDED) or finding.evidence.get("how") == "held_slot"
    return "scheduler" if is_all else "job"


def _error_class(finding: Finding) -> str:
    return str(finding.evidence.get("error_class") or ErrorClass.UNKNOWN.value)


def decide(cases_: Sequence[Case], history: Sequence[Action], stamp: Stamp, now: Moment) -> list[Decision]:
    """For each case whether its action is allowed now. Of a storm only the canary is, until it has proved itself."""
    decisions = []
    taken: set[str] = set()
    for case in sorted(cases_, key=lambda case: _next_run(case, now.at)):
        decision = _decide(case, history, stamp, now)
        if decision.allowed and _is_shared(case) and case.circuit in taken:
            decision = Decision(case, False, "another job of the same storm goes first")
        if decision.allowed:
            taken.add(case.circuit)
        decisions.append(decision)
    return decisions


def _next_run(case: Case, at: datetime) -> tuple[datetime, str]:
    """The job whose next run comes soonest proves soonest whether the cause has cleared."""
    fire = next_fire(case.job.schedule, at) if case.job else None
    return (fire or LATEST, case.finding.job_id or "")


def _is_shared(case: Case) -> bool:
    return case.policy.action == "restart" or (case.policy.action == "revive" and case.policy.canary)


def _decide(case: Case, history: Sequence[Action], stamp: Stamp, now: Moment) -> Decision:
    refusal = _never(case, now.at)
    if refusal:
        return Decision(case, False, refusal)
    if case.since is not None and not now.reached(case.since + case.policy.after):
        return Decision(case, False, "its cause has not rested long enough")
    mine = [action for action in history if _concerns(action, case)]
    if any(action.is_under_way or action.state is State.PROPOSED for action in mine):
        return Decision(case, False, "a recovery of it is under way")
    if _was_just_refused(mine, stamp, now):
        return Decision(case, False, "it was refused just now: nothing had been done")
    limit = _limited(mine, case.policy.attempts, stamp, now)
    if limit is not None:
        return Decision(case, False, limit[0], is_exhausted=limit[1])
    return _by_circuit(case, history, stamp, now) if _is_shared(case) else Decision(case, True, "its policy allows it")


def _was_just_refused(mine: Sequence[Action], stamp: Stamp, now: Moment) -> bool:
    refused = [action.settled for action in mine if action.state is State.REFUSED and action.settled]
    left = AFTER_A_REFUSAL - min((settled.elapsed(stamp) for settled in refused), default=AFTER_A_REFUSAL)
    if left <= timedelta():
        return False
    _wake_when(left, now)
    return True


def _never(case: Case, at: datetime) -> str | None:
    """What no policy can allow."""
    if case.policy.action != "revive":
        return None
    if case.job is None or case.job.status != "failed":
        return "only a failed job can be revived"
    if isinstance(case.job.schedule, At) and case.job.schedule.at <= at:
        return "a one-shot whose time has passed is never revived"
    if _error_class(case.finding) == ErrorClass.PERMANENT.value:
        return "a permanent error (auth, billing) is never retried by itself: it needs a person"
    return None


def _concerns(action: Action, case: Case) -> bool:
    same = (action.source, action.kind) == (case.finding.source, case.policy.action)
    return same and (action.kind == "restart" or action.job_id == case.finding.job_id)


def _limited(mine: Sequence[Action], attempts: Attempts, stamp: Stamp, now: Moment) -> tuple[str, bool] | None:
    """What the budget says against one more: the reason, and whether a person is needed."""
    done = [action for action in mine if action.state not in (State.REFUSED, State.PROPOSED)]
    limits = [(attempts.max, attempts.per)]
    if any(action.kind == "restart" for action in done):
        limits.append((attempts.per_day, DAY))
    for most, window in limits:
        recent = [action.created.elapsed(stamp) for action in done if action.created.elapsed(stamp) < window]
        if len(recent) >= most:
            _wake_when(window - max(recent), now)
            return f"its {most} attempts in {say_duration(window)} are used up", True
    return _pausing(done, attempts, stamp, now)


def _pausing(done: Sequence[Action], attempts: Attempts, stamp: Stamp, now: Moment) -> tuple[str, bool] | None:
    """The pause after attempts that did not help, which grows with each of them."""
    unhelpful = 0
    for action in sorted(done, key=lambda action: action.id, reverse=True):
        if action.state not in UNHELPFUL:
            break
        unhelpful += 1
    last = max((action for action in done if action.settled), key=lambda action: action.id, default=None)
    if not unhelpful or last is None or last.settled is None:
        return None
    pause = min(attempts.pause * attempts.factor ** (unhelpful - 1), timedelta(days=30))
    left = pause - last.settled.elapsed(stamp)
    if left <= timedelta():
        return None
    _wake_when(left, now)
    return "it pauses after an attempt that did not help", False


def _wake_when(left: timedelta, now: Moment) -> None:
    now.reached(now.at + max(left, timedelta(seconds=1)))


def _by_circuit(case: Case, history: Sequence[Action], stamp: Stamp, now: Moment) -> Decision:
    """Half-open, as circuit breakers do: one first; the others when its next run has used real tokens."""
    shared = [action for action in history if action.circuit == case.circuit and action.kind == case.policy.action]
    proof = _proof(shared, case)
    if proof is not None:
        return _spaced(case, shared, stamp, now)
    if any(action.is_under_way or action.state is State.PROPOSED for action in shared):
        return Decision(case, False, "a canary is out: it waits for its run")
    # what helped does not count against the circuit: twenty jobs that came back are no reason to give up the next
    in_vain = [action for action in shared if action.state in UNHELPFUL]
    limit = _limited(in_vain, case.policy.attempts, stamp, now) or _pausing(shared, case.policy.attempts, stamp, now)
    if limit is not None:
        return Decision(case, False, limit[0], is_exhausted=limit[1])
    return Decision(case, True, "it goes first, as the canary", is_canary=case.policy.action == "revive")


def _proof(shared: Sequence[Action], case: Case) -> Action | None:
    """The newest settled attempt, if it was verified after this job had failed."""
    settled = [action for action in shared if action.settled and action.state not in (State.REFUSED,)]
    newest = max(settled, key=lambda action: action.settled.at if action.settled else action.created.at, default=None)
    if newest is None or newest.state is not State.VERIFIED or newest.settled is None:
        return None
    return newest if case.since is None or newest.settled.at > case.since else None


def _spaced(case: Case, shared: Sequence[Action], stamp: Stamp, now: Moment) -> Decision:
    last = max((action.created for action in shared), key=lambda created: created.at)
    left = case.policy.spacing - last.elapsed(stamp)
    if left > timedelta():
        _wake_when(left, now)
        return Decision(case, False, "it follows the one before at a distance")
    return Decision(case, True, "the canary's run used real tokens")
