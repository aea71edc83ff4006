"""Which action is allowed now, and why not. Pure: findings, history and the clock go in, decisions come out."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from watchdog.cadence.schedule import LATEST, next_fire
from watchdog.config.policies import ANYWHERE, Attempts, Policy
from watchdog.core.action import UNHELPFUL, Action, State
from watchdog.core.clock import Stamp
from watchdog.core.durations import say_duration
from watchdog.core.kinds import Kind
from watchdog.core.model import ErrorClass, Finding, Job, Process, Snapshot
from watchdog.core.moment import Moment
from watchdog.incidents.intention import error_class, fits
from watchdog.recovery.known_actions import KnownActions
from watchdog.recovery.verify import is_proof
from watchdog.systems.remedy import is_a_loop
from watchdog.systems.shared.acting import NOT_DUE, ActionKind

LONG_AGO = timedelta(days=36500)

AFTER_A_REFUSAL = timedelta(minutes=5)
"""How long nothing is intended again where the row had changed, or the probe was not well."""

CANARY_LIMIT = timedelta(hours=6)
"""So long one canary is waited for. After that another goes; the first may prove itself yet."""

SOONER = timedelta(minutes=10)
"""So much sooner another job must run to take the place of a canary that is out."""

KEPT_BACK_FOR = timedelta(hours=1)
"""So long a restart waits for the runs that it would end before a person is told."""

COMES_UP = timedelta(minutes=5)
"""How long a process that has just started gets to come to what is late."""


STANDS_STILL = "its scheduler's process stands still, and would not hear of it: whoever holds it lets it go on"

IN_VAIN = "it starts again and again and ends no run, so that a restart would only break off one more"


@dataclass(frozen=True, slots=True)
class Case:
    """A finding that a policy is for. `kind`: what its action is there; None for one that can be done anywhere.

    `seen_for`: how long this process, awake, has seen it. `unsettled_for`: how much longer its scheduler's timer may be
    off, since the machine slept or its clock was set. `snapshot`: what the look at its source showed; `stuck`: the
    jobs there whose runs are found to be stuck.
    """

    finding: Finding
    policy: Policy
    name: str
    job: Job | None
    kind: ActionKind | None = None
    seen_for: timedelta = LONG_AGO
    snapshot: Snapshot | None = None
    stuck: frozenset[str | None] = frozenset()
    unsettled_for: timedelta = timedelta()

    @property
    def is_for_one_job(self) -> bool:
        """Whether one job can go first, as the canary."""
        return self.kind.has_canary if self.kind else self.policy.action == "command"

    @property
    def circuit(self) -> str:
        """What shares its luck with it."""
        return f"{self.finding.source}|{self.name}|{error_class(self.finding)}"

    @property
    def is_restart_in_vain(self) -> bool:
        """Whether its scheduler is restarted as it is, and that is what is wrong."""
        return self.policy.action == "restart" and is_a_loop(self.finding)

    @property
    def since(self) -> datetime | None:
        """Since when it is so, whoever has seen it."""
        return self.finding.since


@dataclass(frozen=True, slots=True)
class Decision:
    """`allowed`: act now. Otherwise `why` says what it waits for; `used_up` names a budget that needs a person now.

    `follows`: it only waits for its turn among those of its storm, all of which are brought back one by one.
    """

    case: Case
    allowed: bool
    why: str
    is_canary: bool = False
    used_up: str = ""
    follows: bool = False


@dataclass(frozen=True, slots=True)
class Looked:
    """What the look at all sources showed, as far as decisions depend on it.

    `seen_for`: how long this process, awake, has seen a finding. `counts_tokens`: whether a job's runs must use tokens.
    `is_hushed`: whether nobody would hear the question that it takes.
    """

    jobs: Mapping[tuple[str, str], Job]
    snapshots: Mapping[str, Snapshot]
    owners: Mapping[tuple[str, str], str]
    findings: Sequence[Finding]
    seen_for: Callable[[Finding], timedelta] = lambda finding: LONG_AGO
    counts_tokens: Callable[[Job], bool] = lambda job: True
    unsettled_for: Callable[[Finding], timedelta] = lambda finding: timedelta()
    is_hushed: Callable[[Finding], bool] = lambda finding: False


class Past(Protocol):
    """What was done before, as far as it can matter to a case. In no order."""

    def of_job(self, source: str, kind: str, job_id: str | None) -> Sequence[Action]:
        """Of this kind, for a job."""

    def restarts(self, source: str) -> Sequence[Action]:
        """The restarts of a scheduler, whatever they were for."""

    def of_circuit(self, circuit: str, kind: str) -> Sequence[Action]:
        """Of this kind, and sharing its luck."""


def cases(looked: Looked, policies: Sequence[Policy], known: KnownActions) -> list[Case]:
    """The findings that some policy is for; the first that fits, and whose action is one for such a source, decides."""
    found = []
    stuck = frozenset((one.source, one.job_id) for one in looked.findings if one.kind is Kind.WEDGED)
    for finding in looked.findings:
        key = (finding.source, finding.job_id or "")
        kinds = known.at(finding.source)
        for index, policy in enumerate(policies):
            kind = kinds.get(policy.action)
            is_meant = kind is not None or policy.action in ANYWHERE
            if is_meant and _is_own(finding, kind) and fits(policy.match, finding, looked.owners.get(key)):
                name = policy.name or f"policies[{index}]"
                there = frozenset(job_id for source, job_id in stuck if source == finding.source)
                seen_for, snapshot = looked.seen_for(finding), looked.snapshots.get(finding.source)
                found.append(
                    Case(
                        finding,
                        policy,
                        name,
                        looked.jobs.get(key),
                        kind,
                        seen_for,
                        snapshot,
                        there,
                        looked.unsettled_for(finding),
                    )
                )
                break
    return [case for case in found if case.policy.action != "none"]


def _is_own(finding: Finding, kind: ActionKind | None) -> bool:
    """Not a symptom of something else. Of a timer that is dead each late job can be relieved alone: it is run."""
    cause = finding.caused_by
    return cause is None or (kind is not None and kind.runs_now and cause.kind == Kind.STALLED)


class _Circuits:
    """What the circuits are in now. Each is found out once, however many jobs share it."""

    def __init__(self, past: Past, looked: Looked, stamp: Stamp, now: Moment) -> None:
        self._past, self._looked, self._stamp, self._now = past, looked, stamp, now
        self._done: dict[str, Sequence[Action]] = {}
        self._out: dict[str, Sequence[Action]] = {}
        self._in_vain: dict[str, Sequence[Action]] = {}
        self._newest: dict[str, Action | None] = {}
        self._since_last: dict[str, timedelta] = {}
        self._against: dict[str, tuple[str, bool] | None] = {}

    def done(self, case: Case) -> Sequence[Action]:
        """What was tried. Where nothing was done there is nothing to learn, and nothing for a pause to count from."""
        if case.circuit not in self._done:
            shared = self._past.of_circuit(case.circuit, case.policy.action)
            self._done[case.circuit] = [action for action in shared if action.state is not State.REFUSED]
        return self._done[case.circuit]

    def newest(self, case: Case) -> Action | None:
        """The attempt that settled last."""
        if case.circuit not in self._newest:
            settled = [(one.settled.elapsed(self._stamp), -one.id, one) for one in self.done(case) if one.settled]
            self._newest[case.circuit] = min(settled, key=lambda one: one[:2])[2] if settled else None
        return self._newest[case.circuit]

    def since_last(self, case: Case) -> timedelta:
        """How long ago an attempt was last intended; only where there was one."""
        if case.circuit not in self._since_last:
            self._since_last[case.circuit] = min(one.created.elapsed(self._stamp) for one in self.done(case))
        return self._since_last[case.circuit]

    def against(self, case: Case) -> tuple[str, bool] | None:
        """What keeps the next canary back."""
        if any(self._is_out(canary, case) for canary in self._canaries(case)):
            return "a canary is out: it waits for its run", False
        if case.circuit not in self._against:
            self._against[case.circuit] = _after_vain(case, self.done(case), self._stamp, self._now)
        return self._against[case.circuit]

    def _canaries(self, case: Case) -> Sequence[Action]:
        """What is on its way, or waits for a person."""
        if case.circuit not in self._out:
            self._out[case.circuit] = [
                one for one in self.done(case) if one.is_under_way or one.state is State.PROPOSED
            ]
        return self._out[case.circuit]

    def _is_out(self, canary: Action, case: Case) -> bool:
        """Whether this canary is still waited for: neither for too long, nor where this job would run much sooner."""
        job = self._looked.jobs.get((canary.source, canary.job_id or ""))
        if canary.state in (State.INTENDED, State.BEGUN) or job is None or job.in_flight_since or case.job is None:
            return True
        if canary.state is State.ACTED and self._is_out_for_long(canary):
            return False
        its_run = job.next_run_at if canary.state is State.ACTED else next_fire(job.schedule, self._now.at)
        sooner = next_fire(case.job.schedule, self._now.at)
        return its_run is None or sooner is None or its_run <= sooner + SOONER

    def _is_out_for_long(self, canary: Action) -> bool:
        left = CANARY_LIMIT - canary.spent.elapsed(self._stamp)
        if left > timedelta():
            _wake_when(left, self._now)
        return left <= timedelta()

    def is_proved(self, case: Case) -> bool:
        """Whether what settled last has helped, after this job had failed: at once, or by its scheduler's own retry."""
        newest = self.newest(case)
        if newest is None or newest.settled is None:
            return False
        if newest.state is not State.VERIFIED:
            return any(self._has_come_back(action, newest.settled.at, case) for action in self._revived_in_vain(case))
        return case.since is None or newest.settled.at > case.since

    def _revived_in_vain(self, case: Case) -> Sequence[Action]:
        """An attempt for each job that was revived in vain: whether it came back since, the job itself tells."""
        if case.circuit not in self._in_vain:
            unhelpful = (one for one in self.done(case) if one.state in UNHELPFUL)
            self._in_vain[case.circuit] = list({(one.source, one.job_id): one for one in unhelpful}.values())
        return self._in_vain[case.circuit]

    def _has_come_back(self, action: Action, settled_at: datetime, case: Case) -> bool:
        """Whether a job that was revived in vain has ended a run well since, with tokens where they are counted."""
        job = self._looked.jobs.get((action.source, action.job_id or ""))
        run = job.last_run if job else None
        if job is None or run is None or not job.is_planned:
            return False
        is_since = run.started_at > settled_at and (case.since is None or run.started_at > case.since)
        return is_since and is_proof(job, run, counts_tokens=self._looked.counts_tokens(job))


ALLOWED = "its policy allows it"


def decide(cases_: Sequence[Case], past: Past, looked: Looked, stamp: Stamp, now: Moment) -> list[Decision]:
    """For each case whether its action is allowed now. Of a storm only the canary is, until it has proved itself."""
    decisions = []
    taken: set[str] = set()
    circuits = _Circuits(past, looked, stamp, now)
    alike = Counter(case.circuit for case in cases_)
    # a canary of which nobody hears would keep back all that wait for it
    for case in sorted(cases_, key=lambda case: (looked.is_hushed(case.finding), _next_run(case, now.at))):
        decision = _decide(case, past, circuits, stamp, now)
        if decision.allowed and _is_shared(case) and case.circuit in taken:
            decision = Decision(case, False, "another job of the same storm goes first", follows=True)
        if decision.is_canary and alike[case.circuit] == 1:
            decision = replace(decision, why=ALLOWED)  # first of nobody
        if decision.allowed:
            taken.add(case.circuit)
        decisions.append(decision)
    return decisions


def _next_run(case: Case, at: datetime) -> tuple[datetime, str]:
    """The job whose next run comes soonest proves soonest whether the cause has cleared."""
    fire = next_fire(case.job.schedule, at) if case.job else None
    return (fire or LATEST, case.finding.job_id or "")


def _is_shared(case: Case) -> bool:
    return case.policy.action == "restart" or (case.is_for_one_job and case.policy.canary)


def _decide(case: Case, past: Past, circuits: _Circuits, stamp: Stamp, now: Moment) -> Decision:
    refusal = opposed(case, now)
    if refusal:
        return Decision(case, False, refusal, used_up=_kept_back(case, now))
    if has_not_rested(case, now):
        return Decision(case, False, "its cause has not rested long enough")
    mine = _of(case, past)
    if any(action.is_under_way or action.state is State.PROPOSED for action in mine):
        return Decision(case, False, "a recovery of it is under way")
    if _was_just_refused(mine, stamp, now):
        return Decision(case, False, "it was refused just now: nothing had been done")
    if _is_shared(case):
        return _by_circuit(case, mine, circuits, stamp, now)
    return _by_budget(case, mine, stamp, now) or Decision(case, True, ALLOWED)


def opposed(case: Case, now: Moment) -> str | None:
    """What speaks against the action as things stand now, whatever was done before; None if nothing does."""
    if _is_put_off(case, now):
        return NOT_DUE
    return _never(case, now.at) or not_now(case, now)


def not_now(case: Case, now: Moment) -> str | None:
    """What speaks against this action for now."""
    if case.policy.action != "restart":
        return STANDS_STILL if case.kind and case.snapshot and case.snapshot.process.is_frozen else None
    if case.is_restart_in_vain:
        return IN_VAIN
    return not_to_restart(case.snapshot, now, case.stuck) or _must_settle(case, now)


def not_to_restart(snapshot: Snapshot | None, now: Moment, stuck: Collection[str | None] = frozenset()) -> str | None:
    """What a restart would harm, or what needs none: a run that is well, a process that is held or has just begun.

    `stuck`: the jobs whose runs are found to be stuck.
    """
    process = snapshot.process if snapshot else Process()
    running = _in_flight(snapshot, stuck)
    if running is not None:
        return f"it would end the run of {running.name}, which is in flight"
    if process.is_frozen:
        return "its process is frozen: whoever holds it lets it go on"
    moves_since = (process.started_at, process.since if process.is_alive else None)
    if any(since and since <= now.at and not now.reached(since + COMES_UP) for since in moves_since):
        return "its process has just started, or moves again"
    return None


def _must_settle(case: Case, now: Moment) -> str | None:
    """Whether the scheduler's timer may be off yet; one that is down has none."""
    is_down = case.snapshot is not None and case.snapshot.process.is_alive is False
    if is_down or case.unsettled_for <= timedelta():
        return None
    _wake_when(case.unsettled_for, now)
    return "this machine slept, or its clock was set, and a timer of the scheduler may be an hour off"


def _in_flight(snapshot: Snapshot | None, stuck: Collection[str | None]) -> Job | None:
    """A job whose run is well, as far as is known, and would be ended by a restart."""
    jobs = snapshot.jobs if snapshot else ()
    return next((job for job in jobs if job.in_flight_since is not None and job.id not in stuck), None)


def _kept_back(case: Case, now: Moment) -> str:
    """What keeps from a restart for so long that a person must decide: a run that is well, or that restarts are in
    vain; empty as yet."""
    if case.is_restart_in_vain:
        return "" if has_not_rested(case, now) else f"{case.circuit}|in vain"
    if case.policy.action != "restart" or _in_flight(case.snapshot, case.stuck) is None:
        return ""
    left = case.policy.after + KEPT_BACK_FOR - case.seen_for
    if left > timedelta():
        _wake_when(left, now)
    return f"{case.circuit}|in flight" if left <= timedelta() else ""


def has_not_rested(case: Case, now: Moment) -> bool:
    """Whether this process, awake, has not seen it for long enough yet."""
    left = case.policy.after - case.seen_for
    if left <= timedelta():
        return False
    _wake_when(left, now)
    return True


def _by_budget(case: Case, mine: Sequence[Action], stamp: Stamp, now: Moment) -> Decision | None:
    """What the job's own budget says against one more attempt; all restarts of a scheduler share one."""
    # of jobs that share their luck a person hears once, and not twenty times
    whose = case.circuit if _is_shared(case) else f"{case.circuit}|{case.finding.job_id}"
    are_restarts = case.policy.action == "restart"
    return _against(case, _limited(mine, case.policy.attempts, stamp, now, are_restarts=are_restarts), whose)


def _against(case: Case, limit: tuple[str, bool] | None, budget: str) -> Decision | None:
    return None if limit is None else Decision(case, False, limit[0], used_up=budget if limit[1] else "")


def _was_just_refused(mine: Sequence[Action], stamp: Stamp, now: Moment) -> bool:
    refused = [action.settled for action in mine if action.state is State.REFUSED and action.settled]
    left = AFTER_A_REFUSAL - min((settled.elapsed(stamp) for settled in refused), default=AFTER_A_REFUSAL)
    if left <= timedelta():
        return False
    _wake_when(left, now)
    return True


def _is_put_off(case: Case, now: Moment) -> bool:
    """Whether the job is late, and its scheduler has set it down for later: then it would not run it now."""
    due = case.job.next_run_at if case.job else None
    runs_now = case.kind is not None and case.kind.runs_now
    return runs_now and due is not None and not now.reached(due)


def _never(case: Case, at: datetime) -> str | None:
    """What no policy can allow."""
    if case.kind is None:
        return None
    refusal = "it is about no job" if case.job is None else case.kind.unfit(case.job, at)
    if refusal is None and case.kind.frees and case.finding.kind is not Kind.WEDGED:
        refusal = "only a run that is stuck is freed"
    if refusal is None and case.kind.has_canary and error_class(case.finding) == ErrorClass.PERMANENT.value:
        refusal = "a permanent error (auth, billing) is never retried by itself: it needs a person"
    return refusal


def _of(case: Case, past: Past) -> Sequence[Action]:
    """What was done before about the same: all restarts of a scheduler, or this kind for this job."""
    if case.policy.action == "restart":
        return past.restarts(case.finding.source)
    return past.of_job(case.finding.source, case.policy.action, case.finding.job_id)


def _limited(
    mine: Sequence[Action], attempts: Attempts, stamp: Stamp, now: Moment, *, are_restarts: bool = False
) -> tuple[str, bool] | None:
    """What the budget says against one more: the reason, and whether a person is needed."""
    done = [action for action in mine if action.state not in (State.REFUSED, State.PROPOSED)]
    tried = [action for action in done if action.state is not State.UNABLE]  # who could not be asked was not tried
    spent = _spent(tried, attempts, stamp, now, are_restarts=are_restarts)
    return spent or _pausing(done, attempts, stamp, now)


def _spent(
    done: Sequence[Action], attempts: Attempts, stamp: Stamp, now: Moment, *, are_restarts: bool = False
) -> tuple[str, bool] | None:
    """Whether as many were tried within a window as may be."""
    for most, window in attempts.budgets(are_restarts=are_restarts):
        recent = spent_within(done, window, stamp)
        if len(recent) >= most:
            _wake_when(window - sorted(recent)[most - 1], now)
            return used_up(most, "attempt", window), True
    return None


def spent_within(actions: Iterable[Action], window: timedelta, stamp: Stamp) -> list[timedelta]:
    """How long ago each of the actions was that a budget of this window counts."""
    return [ago for action in actions if (ago := action.spent.elapsed(stamp)) < window]


def used_up(most: int, what: str, window: timedelta) -> str:
    """`its 3 attempts in 1 d are used up`."""
    number = f"only {what}" if most == 1 else f"{most} {what}s"
    return f"its {number} in {say_duration(window)} {'is' if most == 1 else 'are'} used up"


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


def _by_circuit(case: Case, mine: Sequence[Action], circuits: _Circuits, stamp: Stamp, now: Moment) -> Decision:
    """Half-open, as circuit breakers do: one first; the others when its next run has used real tokens."""
    is_proved = circuits.is_proved(case)
    against = None if is_proved else _against(case, circuits.against(case), case.circuit)
    against = against or _by_budget(case, mine, stamp, now)
    if against is not None:
        return against
    if is_proved:
        return _spaced(case, circuits.since_last(case), now)
    why = "it goes first, as the canary" if case.is_for_one_job else ALLOWED
    return Decision(case, True, why, is_canary=case.is_for_one_job)


def _after_vain(case: Case, done: Sequence[Action], stamp: Stamp, now: Moment) -> tuple[str, bool] | None:
    """Whether the next canary waits because those before it were in vain."""
    # what helped does not count against the circuit: twenty jobs that came back are no reason to give up the next
    in_vain = [action for action in done if action.state in UNHELPFUL and action.state is not State.UNABLE]
    attempts = case.policy.attempts
    return _spent(in_vain, attempts, stamp, now) or _pausing(done, attempts, stamp, now)


def _spaced(case: Case, since_last: timedelta, now: Moment) -> Decision:
    left = case.policy.spacing - since_last
    if left > timedelta():
        _wake_when(left, now)
        return Decision(case, False, "it follows the one before at a distance", follows=True)
    return Decision(case, True, "the canary's run used real tokens")
