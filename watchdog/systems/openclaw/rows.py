"""One OpenClaw job's definition and state as typed values; what cannot be read is a problem, never an error."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from watchdog.cadence import cron, cron_seconds
from watchdog.core.error_class import classify
from watchdog.core.instants import sane
from watchdog.core.model import (
    At,
    Breaker,
    CronSchedule,
    ErrorClass,
    Every,
    NoCadence,
    RecordedRun,
    Schedule,
    Unreadable,
)
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.openclaw.store import Object, Row
from watchdog.systems.shared.values import count, ms_instant, ms_length, number, text

LADDER = tuple(timedelta(seconds=seconds) for seconds in (30, 60, 300, 900, 3600))
"""The pauses after errors in a row, counted from the run's end; the next run is the later of that and the next fire."""

BREAKER = Breaker(limit=10, backoff=LADDER, cron_may_come_sooner=False, keeps_cadence=True)
"""Releases with receipts disable a recurring job at its tenth error in a row; older ones never do."""

FAILING_FROM = 3
FAILING_FROM_AT = 2
"""From so many errors in a row its own doctor speaks up; a one-shot has only three tries more."""

TURN_TIMEOUT = timedelta(minutes=60)
OTHER_TIMEOUT = timedelta(minutes=10)
TIMEOUT_MARGIN = timedelta(minutes=5)
"""For setting up, cleaning up and delivering around the part that the timeout bounds."""

NO_TIMEOUT_LIMIT = timedelta(hours=4)
"""For a job that switched its timeout off: twice what the gateway itself takes for stuck."""

_PERMANENT = ("auth", "billing", "format", "model_not_found")
_TRANSIENT = ("rate_limit", "timeout", "overloaded", "server_error", "network")


def schedule_of(row: Row, zone: str) -> Schedule:
    """The schedule; `Unreadable` with the reason if there is none. Old releases' names of keys are known."""
    parts = row.definition.get("schedule")
    if not isinstance(parts, Mapping):
        return Unreadable("it has no schedule", text(parts) or "")
    kind = parts.get("kind") or _kind_by_keys(parts)
    try:
        match kind:
            case "at":
                return _at(parts)
            case "every":
                return _every(parts)
            case "cron":
                return _cron(parts, zone)
    except ValueError as error:
        return Unreadable(fit_to_leave(str(error), 200), _shown(parts))
    if ms_instant(row.state.get("nextRunAtMs")):
        return NoCadence(_shown(parts))  # a kind of a later release: the gateway knows when it is due
    return Unreadable(f"its kind is {fit_to_leave(repr(kind), 60)}; at, every and cron are known", _shown(parts))


def _shown(parts: Object) -> str:
    return fit_to_leave(str(dict(parts)), 200)


def _kind_by_keys(parts: Object) -> str | None:
    kinds = {"at": "at", "atMs": "at", "everyMs": "every", "expr": "cron", "cron": "cron"}
    return next((kind for key, kind in kinds.items() if key in parts), None)


def _at(parts: Object) -> Schedule:
    known = ms_instant(parts.get("atMs")) or ms_instant(parts.get("at"))
    if known:
        return At(known)
    written = parts.get("at")
    if not isinstance(written, str):
        raise ValueError("at has no instant")
    try:
        return At(sane(datetime.fromisoformat(written), UTC))
    except ValueError:
        raise ValueError(f"at is {written!r}, not an instant") from None


def _every(parts: Object) -> Schedule:
    interval = number(parts.get("everyMs"))
    if interval is None or not 1 <= interval < 10**11:
        raise ValueError(f"everyMs is {parts.get('everyMs')!r}, not a number above 0")
    return Every(timedelta(milliseconds=int(interval)))


def _cron(parts: Object, zone: str) -> Schedule:
    expr = parts.get("expr") or parts.get("cron")
    own = parts.get("tz")
    if not isinstance(expr, str):
        raise ValueError("it has no cron expression")
    where = own.strip() if isinstance(own, str) and own.strip() else zone
    if cron_seconds.has_seconds(expr):
        cron_seconds.parse(expr, where)
    else:
        cron.parse(expr, where)
    ZoneInfo(where)
    return CronSchedule(expr, where, is_zone_assumed=where == zone)


def stagger_of(row: Row) -> timedelta:
    """How much later than its expression says a cron job may fire: those at the top of an hour are spread out."""
    parts = row.definition.get("schedule")
    given = ms_length(parts.get("staggerMs")) if isinstance(parts, Mapping) else None
    expr = parts.get("expr") if isinstance(parts, Mapping) else None
    is_top = isinstance(expr, str) and expr.split()[-5:-4] == ["0"]
    return given if given is not None else timedelta(minutes=5) if is_top else timedelta()


def status_of(row: Row, schedule: Schedule) -> str:
    """`failed` where the scheduler itself gave the job up; `completed` for a one-shot that is done."""
    state = row.state
    if row.enabled:
        return "active"
    if isinstance(state.get("autoDisabled"), Mapping) or count(state.get("scheduleErrorCount")) >= FAILING_FROM:
        return "failed"
    if isinstance(schedule, At):
        return {"error": "failed", "ok": "completed", "skipped": "completed"}.get(last_status(state) or "", "active")
    return "active"


def given_up_at(row: Row) -> datetime | None:
    """When the scheduler disabled the job, where it says so."""
    facts = row.state.get("autoDisabled")
    return ms_instant(facts.get("atMs")) if isinstance(facts, Mapping) else None


def last_status(state: Object) -> str | None:
    """How the last recorded run ended: `ok`, `error` or `skipped`."""
    return text(state.get("lastRunStatus") or state.get("lastStatus"), 40)


def last_run_of(row: Row, logged: Callable[[], str | None]) -> RecordedRun | None:
    """The last recorded run. `logged` is what the log says of its error: the next start clears the state's own text."""
    state = row.state
    started = ms_instant(state.get("lastRunAtMs"))
    if started is None:
        return None
    status = last_status(state)
    said = text(state.get("lastError"), 500) or logged() if status == "error" else None
    why = _class(state.get("lastErrorReason"), said) if status == "error" else None
    return RecordedRun(started, status, ms_length(state.get("lastDurationMs")), said, why)


def _class(reason: object, error: str | None) -> ErrorClass:
    if reason in _PERMANENT:
        return ErrorClass.PERMANENT
    return ErrorClass.TRANSIENT if reason in _TRANSIENT else classify(error)


def is_agent_turn(row: Row) -> bool:
    """Whether its runs ask a model themselves: an event for the main session is answered elsewhere."""
    payload = row.definition.get("payload")
    kind = payload.get("kind") if isinstance(payload, Mapping) else None
    return kind == "agentTurn" and row.definition.get("sessionTarget") != "main"


def timeout_of(row: Row) -> timedelta | None:
    """How long a run may take; None where the job switched that off."""
    payload = row.definition.get("payload")
    payload = payload if isinstance(payload, Mapping) else {}
    given = number(payload.get("timeoutSeconds"))
    if given is None:
        return TURN_TIMEOUT if payload.get("kind") == "agentTurn" else OTHER_TIMEOUT
    return timedelta(seconds=min(given, 10**8)) if given > 0 else None


def delivery_of(row: Row) -> tuple[str | None, str | None]:
    """The last delivery's state, as `error:<why>` where one was wanted and failed; and its target.

    `not-delivered` alone says nothing: healthy runs that were to deliver nothing have it, and silent answers too.
    """
    state = row.state
    delivery = row.definition.get("delivery")
    delivery = delivery if isinstance(delivery, Mapping) else {}
    target = text(delivery.get("to")) or text(delivery.get("channel"))
    status = text(state.get("lastDeliveryStatus"), 40)
    error = text(state.get("lastDeliveryError"))
    is_wanted = delivery.get("mode") != "none" and not state.get("deliverySuppressionReason")
    if is_wanted and error and status == "not-delivered" and last_status(state) == "ok":
        return f"error:{error}", target
    return status, target


def maker_of(row: Row) -> str | None:
    """Who made it: `openclaw` for the jobs that the gateway declares for itself, else the agent."""
    return "openclaw" if row.definition.get("declarationKey") else text(row.definition.get("agentId"), 100)


def backoff_end(state: Object) -> datetime | None:
    """Until when the scheduler holds a job back after errors, whatever its next run says."""
    started, took = ms_instant(state.get("lastRunAtMs")), ms_length(state.get("lastDurationMs"))
    errors = count(state.get("consecutiveErrors"))
    if started is None or not errors or last_status(state) != "error":
        return None
    return started + (took or timedelta()) + LADDER[min(errors, len(LADDER)) - 1]


def identity_of(row: Row) -> str:
    """What must stay the same for an earlier next run to still mean something."""
    parts = row.definition.get("schedule")
    return f"{row.enabled} {parts} {row.state.get('scheduleActivatedAtMs')}"
