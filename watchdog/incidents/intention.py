"""What the watchdog itself will do about a finding, by which policy, and when: said before it is done."""

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from watchdog.config.file import Config
from watchdog.config.policies import ANYWHERE, Policy, PolicyMatch, is_like
from watchdog.core.action import UNDER_WAY, Action, State
from watchdog.core.incident import Incident, Member
from watchdog.core.instants import say
from watchdog.core.kinds import Kind
from watchdog.core.model import ErrorClass, Finding
from watchdog.systems import system_of
from watchdog.systems.remedy import is_a_loop
from watchdog.systems.shared.acting import ActionKind

_UNTRIED = (State.REFUSED, State.PROPOSED, State.UNABLE)

_DOES = {
    "revive": "revives {}",
    "restart": "restarts {}",
    "run_due": "has {} run",
    "enable": "enables {}",
    "unstick": "frees {}",
    "pause": "pauses {}",
    "resume": "resumes {}",
    "command": "runs a command for {}",
}

KINDS = tuple(_DOES)
"""The actions that bear on what is said of a finding, when they are done to its job."""


@dataclass(frozen=True, slots=True)
class Intention:
    """What is done, to whom, from when on, and by which policy. `is_storm`: to one of several first."""

    deed: str
    subject: str
    at: datetime
    policy: str
    is_storm: bool

    label = "Will be done"

    def said(self, now: datetime) -> str:
        """`the watchdog restarts it by itself at 18:40:00 UTC, unless something speaks against it (policy …)`."""
        whom = "one of these jobs" if self.is_storm else self.subject
        others = ", and the others once that has helped" if self.is_storm else ""
        when = f"at {say(self.at)}, unless something" if self.at > now else "as soon as nothing"
        what = _DOES[self.deed].format(whom)
        return f"the watchdog {what} by itself {when} speaks against it{others} (policy {self.policy})"


@dataclass(frozen=True, slots=True)
class Deed:
    """What was done about it already, of which it is not known yet whether that has helped."""

    action: Action

    label = "Was done"

    def said(self, now: datetime) -> str:
        """`restart agent at 18:40:00 UTC (recovery 3, policy …): done, not verified yet`."""
        one = self.action
        who = f"policy {one.policy}" if one.by == "policy" else one.by
        at = say(one.acted_at or one.spent.at)
        return f"{one.kind} {one.subject} at {at} (recovery {one.id}, {who}): {one.standing}"


def about_to_or_done(
    incident: Incident,
    head: Finding,
    config: Config | None,
    actions: Iterable[Action],
    now: datetime,
    known: Container[str] = (),
) -> "Intention | Deed | None":
    """What is done by itself about what an incident is about most, else what has just been. `known`: kinds of actions
    of which is told elsewhere."""
    before = list(actions)
    return intended(incident, head, config, before, now) or _done(incident, head, before, known)


def _done(incident: Incident, head: Finding, actions: Sequence[Action], known: Container[str]) -> Deed | None:
    member = incident.members.get(head.key)
    if member is None or incident.awaits_proof_of(head.job_id):
        return None
    mine = [one for one in actions if one.kind not in known and one.state in _GOES_ON and _is_for(one, head)]
    newest = max(mine, key=lambda one: one.created.at, default=None)
    return Deed(newest) if newest is not None and newest.created.at >= member.began else None


_GOES_ON = (*UNDER_WAY, State.VERIFIED)


def _is_for(action: Action, finding: Finding) -> bool:
    """Whether it is a restart of what a restart helps, or was done to the finding's job."""
    if action.source != finding.source:
        return False
    if "restart" in (action.kind, action.way):
        return finding.kind.row.by_restart
    return finding.job_id is not None and action.job_id == finding.job_id and action.kind != "preserve"


def intended(
    incident: Incident, head: Finding, config: Config | None, actions: Iterable[Action], now: datetime
) -> Intention | None:
    """What is done by itself about what an incident is about most; None where nothing is, is already, or may be any
    more. `actions`: what was done before."""
    member = incident.members.get(head.key)
    found = _decider(head, config) if config is not None and member is not None and member.active else None
    if found is None or member is None:
        return None
    name, policy, kind = found
    before = [one for one in actions if _is_alike(one, policy, head)]
    if _is_hopeless(head, policy, kind) or not _may_go_on(before, policy, now):
        return None
    deed, subject = policy.action, head.source if policy.action == "restart" else head.job or head.source
    is_storm = policy.canary and policy.action == "revive" and len(_with_it(incident, head)) > 1
    return Intention(deed, subject, member.began + policy.after, name, is_storm)


def _decider(finding: Finding, config: Config) -> tuple[str, Policy, ActionKind | None] | None:
    """The first policy that is for it, where one acts; none where that is for the owner, who is not known here."""
    source = next((one for one in config.sources if one.name == finding.source), None)
    if config.recovery.mode != "act" or config.state is None or source is None or finding.caused_by is not None:
        return None
    acting = system_of(source).acting
    kinds = acting.kinds if acting else {}
    for index, policy in enumerate(config.recovery.policies):
        is_meant = policy.action in kinds or policy.action in ANYWHERE
        if is_meant and fits(policy.match, finding, policy.match.owner):
            is_known = policy.match.owner is None and policy.action in _DOES
            return (policy.name or f"policies[{index}]", policy, kinds.get(policy.action)) if is_known else None
    return None


def _is_alike(action: Action, policy: Policy, finding: Finding) -> bool:
    """Whether it counts for the same budget: all restarts of a scheduler, or the same of a job."""
    if action.source != finding.source:
        return False
    if policy.action == "restart":
        return "restart" in (action.kind, action.way)
    return action.kind == policy.action and action.job_id == finding.job_id


def _is_hopeless(finding: Finding, policy: Policy, kind: ActionKind | None) -> bool:
    """Whether no policy can help: an error that stays until somebody mends it, a scheduler that starts in vain."""
    if policy.action == "restart":
        return is_a_loop(finding)
    is_lasting = error_class(finding) == ErrorClass.PERMANENT.value
    return kind is not None and ((kind.has_canary and is_lasting) or (kind.frees and finding.kind is not Kind.WEDGED))


def _may_go_on(before: Sequence[Action], policy: Policy, now: datetime) -> bool:
    """Whether nothing is under way, and its budget is not used up."""
    if any(one.is_under_way or one.state is State.PROPOSED for one in before):
        return False
    tried = [one.spent.at for one in before if one.state not in _UNTRIED]
    budgets = policy.attempts.budgets(are_restarts=policy.action == "restart")
    return all(sum(at > now - window for at in tried) < most for most, window in budgets)


def _with_it(incident: Incident, head: Finding) -> list[Member]:
    """The jobs that have the same."""
    return [one for one in incident.own if one.active and one.finding.kind is head.kind]


# which findings a policy is for


def fits(match: PolicyMatch, finding: Finding, owner: str | None) -> bool:
    """Whether a policy is for it. `owner`: the name of the entry of the configuration that it belongs to."""
    asked = ((match.job, finding.job), (match.source, finding.source), (match.owner, owner))
    return (
        match.kind in (None, finding.kind)
        and match.scope in (None, _scope(finding))
        and (match.error_class is None or match.error_class.value == error_class(finding))
        and all(pattern is None or is_like(value, pattern) for pattern, value in asked)
    )


def _scope(finding: Finding) -> str:
    """Whether a job alone is concerned, or all of the scheduler."""
    is_all = finding.kind in (Kind.STALLED, Kind.UNRECORDED) or finding.evidence.get("how") == "held_slot"
    return "scheduler" if is_all else "job"


def error_class(finding: Finding) -> str:
    """The class of its error, `unknown` where it has none."""
    return str(finding.evidence.get("error_class") or ErrorClass.UNKNOWN.value)
