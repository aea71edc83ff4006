"""The recovery section of the configuration: what may be done about which findings, and how often."""

from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Annotated, Literal

from watchdog.config import kinds
from watchdog.config.placeholders import misplaced
from watchdog.core.fields import Count, Duration, Frozen, bounds, checked
from watchdog.core.kinds import Kind
from watchdog.core.model import ErrorClass

Way = Literal["api", "pause_resume", "sql", "restart"]
"""How a failed job is brought back: the API's forced resume; SQL to `paused` and the API's resume; SQL alone, which
must then be heard; or, where none of them was, a restart."""

BY_API: tuple[Way, ...] = ("api", "pause_resume")
"""The ways that need a login of the API, which ends: with a session, and with each restart of the agent."""

UNATTENDED: tuple[Way, ...] = (*BY_API, "sql")


Deed = Literal["revive", "restart", "preserve", "run_due", "enable", "unstick", "pause", "resume", "command", "none"]
"""What a policy does. `run_due`, `enable` and `unstick` (off and on again, which frees a stuck marker) ask the
scheduler through its own command; `pause` keeps the job from running until somebody says so, `resume` says so;
`command` runs one of the operator's."""

ANYWHERE = ("restart", "command", "none")
"""The actions for any kind of source; each of the others is for those that name it."""


def is_like(value: str | None, pattern: str) -> bool:
    """Whether a name fits a pattern like `heartbeat*`, whatever its case."""
    return value is not None and fnmatchcase(value.casefold(), pattern.casefold())


class PolicyMatch(Frozen):
    """Which findings a policy is for; nothing said fits everything.

    `kind`: the condition. `job`: a pattern for the job's name. `source`: a pattern for the source's name. `owner`: a
    pattern for the owner's name. `error_class`: whether what the error says passes by itself (`transient`) or stays
    until somebody mends it (`permanent`). `scope`: `scheduler` for a slot that is held or a stall, `job` for one job.
    """

    kind: Kind | None = None
    job: str | None = None
    source: str | None = None
    owner: str | None = None
    error_class: ErrorClass | None = None
    scope: Literal["job", "scheduler"] | None = None


class Attempts(Frozen):
    """How often it may be tried.

    `max`: how many attempts within `per`. `per`: the time within which they are counted. `pause`: how long to wait
    after the first attempt. `factor`: by how much the pause grows with each attempt that did not help. `per_day`: how
    many restarts there may be within a day, whatever asks for them; nothing lifts it.
    """

    max: Count = 3
    per: Duration = timedelta(hours=24)
    pause: Duration = timedelta(minutes=30)
    factor: Annotated[float, bounds(ge=1, le=100)] = 2.0
    per_day: Count = 4

    def budgets(self, *, are_restarts: bool) -> list[tuple[int, timedelta]]:
        """How many within how long: all that count for an attempt."""
        return [(self.max, self.per), *([(self.per_day, timedelta(days=1))] if are_restarts else [])]


def _address(url: str) -> str:
    if not url.startswith(("http://", "https://")):
        raise ValueError("must be an http:// or https:// address")
    return url


class Probe(Frozen):
    """What must be so before anything is tried.

    `http`: an address that has to answer with 2xx, such as the provider's status. `other_succeeded`: another job has to
    have succeeded since.
    """

    http: Annotated[str, checked(_address)] | None = None
    other_succeeded: bool = False


class Call(Frozen):
    """An HTTP call that restarts the agent.

    `url`: the address to call. `method`: with which method.
    """

    url: Annotated[str, bounds(pattern=r"^https?://")]
    method: Literal["POST", "PUT", "GET"] = "POST"


def _no_code(run: tuple[str, ...]) -> tuple[str, ...]:
    if problems := misplaced(run):
        raise ValueError("; ".join(problems))
    return run


class Policy(Frozen):
    """One rule. The first whose `match` fits a finding decides.

    `name`: what it is called on record. `match`: which findings it is for. `action`: what is done: `revive` a job that
    was given up, `restart` the agent, `preserve` a row from the sweep; `run_due`, `enable` and `unstick` by the
    scheduler's own command; `pause` until a person says so; `resume` what was paused; a `command` of your own; `none`.
    `via`: the ways to revive, in order; left out, those that work unattended. `after`: how long this watchdog, awake,
    must have seen the cause. `canary`: of several jobs that failed alike only one is revived first, and the others
    follow, `spacing` apart, when its run has used real tokens. `spacing`: how far apart the others of a storm are
    revived. `check`: what must be so before anything is tried. `attempts`: how often it may be tried. `run`: the
    command that restarts the agent, an argument list without a shell; with the action `command` the one that is run,
    with the job's id in place of `{job_id}` where that is safe, and in its environment. `call`: an HTTP call that
    restarts the agent, instead of `run`. `deadline`: how long the command or call may take. `postpone`: whether
    `preserve` also moves the sweep off.
    """

    name: str | None = None
    match: PolicyMatch = PolicyMatch()
    action: Deed
    via: Annotated[tuple[Way, ...], bounds(min_length=1)] | None = None
    after: Duration = timedelta(minutes=15)
    canary: bool = True
    spacing: Duration = timedelta(minutes=1)
    check: Probe = Probe()
    attempts: Attempts = Attempts()
    run: Annotated[tuple[str, ...], checked(_no_code)] = ()
    call: Call | None = None
    deadline: Annotated[Duration, bounds(gt=timedelta())] = timedelta(seconds=60)
    postpone: bool = False

    @property
    def ways(self) -> tuple[Way, ...]:
        """How to revive. The API is heard at once, SQL also where a login has ended, and a restart is the last resort,
        where one is configured."""
        if self.via is not None:
            return self.via
        return (*UNATTENDED, "restart") if self.run or self.call else UNATTENDED

    def fits_together(self) -> None:
        """A restart, and a command, must be told how."""
        wants = self.action == "restart" or (self.action == "revive" and "restart" in self.ways)
        if wants and not self.run and self.call is None:
            example = f'["docker", "restart", "{kinds.usual()}"]'
            raise ValueError(f"a restart needs `run: {example}` or `call: {{url: ...}}`")
        if self.action == "command" and not self.run:
            raise ValueError('a command needs `run: ["program", "an argument", "{job_id}"]`')


class Recovery(Frozen):
    """What may be done about findings.

    `mode`: in `observe` nothing is done, but said in the log; `propose` waits for a person (`scheduler-watchdog
    approve`); `act` does it. `policies`: the rules, of which the first that fits a finding decides.
    """

    mode: Literal["observe", "propose", "act"] = "observe"
    policies: tuple[Policy, ...] = ()

    @property
    def why_idle(self) -> str:
        """Why the service does nothing to a scheduler, in words; empty where it does."""
        if self.mode == "observe":
            return "recovery.mode is observe, and would have to be propose or act"
        return "" if self.policies else "there is no policy in recovery.policies"
