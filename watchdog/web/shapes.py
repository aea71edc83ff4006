"""What the API gives, as types, from which its description is made; each is called by its name. The service itself does
without them: that its answers are such is for the tests to hold."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from watchdog.core.action import State
from watchdog.core.kinds import Kind, Severity
from watchdog.core.model import STATES

Instant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""ISO 8601 with `Z`."""


class Shape(BaseModel):
    """Nothing but what is named."""

    model_config = ConfigDict(extra="forbid")


class Problem(Shape):
    """Why it was not done, in one line."""

    error: str


class Source(Shape):
    """A watched scheduler."""

    name: str
    kind: str
    ok: bool
    jobs: int


class Cause(Shape):
    """What a symptom is filed under."""

    kind: str
    job_id: str | None
    job: str | None


class Finding(Shape):
    """A condition that is true."""

    source: str
    kind: Kind
    severity: Severity
    job_id: str | None
    job: str | None
    since: Instant | None
    summary: str
    evidence: dict[str, Any]
    caused_by: Cause | None


class EndedFinding(Finding):
    """A condition that was true. `ended_at` is null where its job was given up and was brought back: when it ended
    shows its next run."""

    ended_at: Instant | None


class RecordedRun(Shape):
    """The last run as the scheduler wrote it down."""

    started_at: Instant
    status: str | None
    duration_seconds: float | None
    error: str | None
    error_class: str | None


class Job(Shape):
    """A job with all that is known of it. `brought_back_at`: of one that was and has not run since, when."""

    source: str
    job_id: str
    job: str
    state: Literal[STATES]  # type: ignore[valid-type]
    enabled: bool
    status: str
    schedule: str
    next_run_at: Instant | None
    deadline: Instant | None
    in_flight_since: Instant | None
    last_run_at: Instant | None
    last_recorded_run: RecordedRun | None
    consecutive_errors: int | None
    zero_token_streak: int | None
    delivery_status: str | None
    sweep_at: Instant | None
    owner: str
    runs: int | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    last_paid_at: Instant | None
    brought_back_at: Instant | None
    findings: list[Kind]


class Answer(Shape):
    """`instance`: which watchdog has answered."""

    instance: str


class Jobs(Answer):
    """The jobs that were asked for; `next_cursor` leads to more of them."""

    now: Instant
    sources: list[Source]
    jobs: list[Job]
    next_cursor: str | None


class Findings(Answer):
    """All that is true now."""

    now: Instant
    sources: list[Source]
    findings: list[Finding]


class Untold(Shape):
    """A message that has not arrived: on its way, or given up."""

    channel: str
    event: str
    state: Literal["waiting", "sending", "given_up"]
    attempts: int
    error: str | None


class Incident(Shape):
    """Something that is or was wrong. `since`: since when any of it has been so; `headline_since`: since when what
    `kind`, `job` and `summary` say has; `clear_since`: since when nothing of it has been so; `over_at`: when it was
    over, for it had stayed clear, or will be if it does, where that does not wait for a run; `resolved_at`: when it
    was over; `silenced_until`: until when nobody is told of any of it; `awaits_proof`: its job was brought back, and
    its next run shows whether that has helped."""

    id: int
    source: str
    state: Literal["active", "clearing", "resolved"]
    severity: Severity
    kind: Kind
    job_id: str | None
    job: str | None
    summary: str
    since: Instant
    headline_since: Instant
    opened_at: Instant
    clear_since: Instant | None
    over_at: Instant | None
    waits_for_run: bool
    awaits_proof: bool
    resolved_at: Instant | None
    returns: int
    acknowledged_by: str | None
    silenced_until: Instant | None
    untold: list[Untold]
    findings: list[Finding]
    symptoms: list[Finding]
    no_longer: list[EndedFinding]


class Silence(Shape):
    """Nobody is told of what matches until it ends."""

    id: int
    match: str
    ends_at: Instant
    by: str


class Incidents(Answer):
    """Incidents, newest first, and the silences that have not ended."""

    now: Instant
    incidents: list[Incident]
    silences: list[Silence]


class Run(Shape):
    """A run that is over. `outcome`: `unknown` where nothing tells it."""

    ended_at: Instant
    started_at: Instant | None
    outcome: Literal["worked", "no_tokens", "error", "skipped", "broken_off", "unknown"]
    status: str | None
    duration_seconds: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    error: str | None


class Past(Answer):
    """A job's runs, oldest first, and the fires that did not come among them."""

    source: str
    job_id: str
    runs: list[Run]
    missed: list[Instant]


class Step(Shape):
    """Something that was done or seen."""

    at: Instant
    what: str


class Recovery(Shape):
    """What was done, or is proposed, to bring something back."""

    id: int
    action: str
    source: str
    job_id: str | None
    job: str | None
    state: State
    policy: str
    by: str
    why: str
    created_at: Instant
    steps: list[Step]


class Recoveries(Answer):
    """Recoveries, newest first."""

    recoveries: list[Recovery]


class Message(Shape):
    """What was sent, or is to be, about an incident."""

    created_at: Instant
    channel: str
    event: str
    title: str
    state: Literal["waiting", "sending", "sent", "given_up"]
    settled_at: Instant | None
    error: str | None


class ToDo(Shape):
    """What helps: sentences, and the command where there is one."""

    words: str
    command: str


class Handover(Shape):
    """Somebody took an incident on, or gave it back: then it is nobody's."""

    at: Instant
    by: str
    what: Literal["taken_on", "given_back"]


class WholeIncident(Answer):
    """An incident, what helps while it lasts, who took it on and gave it back, who was told of it, and what was done
    about its jobs since it began. `told_nobody`: why nobody is ever told of it, where that is so."""

    now: Instant
    incident: Incident
    to_do: ToDo | None
    handovers: list[Handover]
    messages: list[Message]
    told_nobody: str
    recoveries: list[Recovery]


class Plan(Answer):
    """What a revival would do."""

    would: str


class AuditEntry(Shape):
    """A change that somebody made over HTTP."""

    id: int
    at: Instant
    by: str
    address: str
    what: str


class Audit(Shape):
    """The changes, newest first."""

    entries: list[AuditEntry]
