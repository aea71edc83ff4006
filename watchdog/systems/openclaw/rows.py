"""One OpenClaw job's definition and state as typed values; what cannot be read is a problem, never an error."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from watchdog.cadence import cron_auto
from watchdog.cadence.schedule import plus
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
    if isinstance(kind, str) and kind in EVENTS:
        return NoCadence(EVENTS[kind])
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
    cron_auto.parse(expr, where)
    ZoneInfo(where)
    return CronSchedule(expr, where, "croner-auto", is_zone_assumed=where == zone)


EVENTS = {"on-exit": "when a watched command exits", "stream": "when a watched command's output has something new"}
"""Schedule kinds of releases from 8.1 on that wait for something, and so have no next run by nature."""


def is_event(row: Row, kind: str) -> bool:
    """Whether its schedule is of that kind."""
    parts = row.definition.get("schedule")
    return isinstance(parts, Mapping) and parts.get("kind") == kind


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
        # a stream whose command ended again and again is not started any more until somebody switches the job on anew
        return "failed" if state.get("streamRestartExhausted") is True and is_event(row, "stream") else "active"
    if isinstance(state.get("autoDisabled"), Mapping) or count(state.get("scheduleErrorCount")) >= FAILING_FROM:
        return "failed"
    if isinstance(schedule, At) or (is_event(row, "on-exit") and _was_left_by_its_run(row)):
        return {"error": "failed", "ok": "completed"}.get(last_status(state) or "", "active")
    return "active"


def _was_left_by_its_run(row: Row) -> bool:
    """Whether its last run was the last to write to it: it switched itself off, and nobody has changed it since."""
    started, took = ms_instant(row.state.get("lastRunAtMs")), ms_length(row.state.get("lastDurationMs"))
    if started is None or row.updated_at is None:
        return started is not None
    return row.updated_at <= started + (took or timedelta()) + timedelta(seconds=5)


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
    said = text(state.get("lastError"), 500) or text(state.get("streamError"), 500)
    said = said or logged() if status == "error" else said if status == "skipped" else None
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


LOST_FROM = 3
"""So many results in a row that reached nobody, of a job whose results did before, are no silent answers."""


def delivery_of(row: Row, lost: int = 0) -> tuple[str | None, str | None]:
    """The last delivery's state, as `error:<why>` where one was wanted and failed, and as `dropped:<why>` where that
    many were lost in a row (see `RunBook.lost`); and its target.

    `not-delivered` once says nothing: healthy runs that were to deliver nothing have it, and silent answers too.
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
    if is_wanted and status == "not-delivered" and lost >= LOST_FROM and delivery.get("mode") in _ANNOUNCED:
        return f"dropped:not delivered, and without an error, {lost} times in a row", target
    return status, target


_ANNOUNCED = ("announce", "webhook")


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


_CUT_OFF = re.compile(r"\binterrupted by (?:an? |the )?gateway (?:restart|stop|shutdown|crash)", re.IGNORECASE)


def was_cut_off(run: RecordedRun | None) -> bool:
    """Whether a start of the gateway has recorded the run as broken off: then it is not run again."""
    return run is not None and run.status == "error" and bool(run.error and _CUT_OFF.search(run.error))


def evaluated_at(row: Row) -> datetime | None:
    """When the condition of a job that watches for something was last looked at. Where nothing was up that leaves no
    run, and is all that was due."""
    return ms_instant(row.state.get("lastTriggerEvalAtMs")) if row.definition.get("trigger") else None


def paced_until(row: Row) -> datetime | None:
    """Until when the job itself may have put off its next run, within the bounds of its definition."""
    state, pacing = row.state, row.definition.get("pacing")
    next_run = ms_instant(state.get("nextRunAtMs"))
    if next_run is not None and next_run == ms_instant(state.get("pacedNextRunAtMs")):
        return next_run
    started, took = ms_instant(state.get("lastRunAtMs")), ms_length(state.get("lastDurationMs"))
    longest = _length(pacing.get("max")) if isinstance(pacing, Mapping) else None
    if started is None or longest is None or last_status(state) != "ok":
        return None
    return plus(started + (took or timedelta()), longest)


def fastest_pace(row: Row) -> timedelta | None:
    """The shortest time between two runs that a job which paces itself may choose; None for any other."""
    pacing = row.definition.get("pacing")
    if not isinstance(pacing, Mapping):
        return None
    return max(_length(pacing.get("min")) or timedelta(minutes=1), timedelta(seconds=1))


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}


def _length(value: object) -> timedelta | None:
    """A length of time as OpenClaw takes it: `90s`, `1h30m`, milliseconds as a number."""
    if not isinstance(value, str):
        return ms_length(value)
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*(ms|[smhdw])", value.lower())
    seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
    return timedelta(seconds=min(seconds, 10**9)) if parts else None


_DEEDS = ("name", "payload", "trigger")
_WHERE = ("agentId", "sessionTarget", "sessionKey", "owner", "delivery")


def deeds_of(row: Row) -> int | None:
    """What tells two jobs that do the same at the same times, as a number; None for one that is not on."""
    schedule = row.definition.get("schedule")
    if not row.enabled or not isinstance(schedule, Mapping):
        return None
    parts = [{key: value for key, value in schedule.items() if key not in ("anchorMs", "staggerMs")}]
    return hash(json.dumps([*parts, *(row.definition.get(name) for name in _DEEDS)], sort_keys=True, default=str))


def is_for_the_same(one: Row, other: Row) -> bool:
    """Whether two jobs work for the same: a copy that an update has made may have lost whose it was."""
    pairs = ((one.definition.get(name), other.definition.get(name)) for name in _WHERE)
    return all(mine == its or not mine or not its for mine, its in pairs)


def made_at(row: Row) -> datetime | None:
    """When the job was made."""
    return ms_instant(row.definition.get("createdAtMs"))


def identity_of(row: Row) -> str:
    """What must stay the same for an earlier next run to still mean something."""
    parts = row.definition.get("schedule")
    return f"{row.enabled} {parts} {row.state.get('scheduleActivatedAtMs')}"
