"""Which of OpenClaw's skipped runs nobody wanted.

A run is recorded as skipped where there is nothing to do (quiet hours, an empty heartbeat file), where the main session
was busy, and where it could not be done: a local model server does not answer, a job makes no sense. Only the reason
tells them apart.
"""

import re
from collections.abc import Callable, Iterable, Sequence

from watchdog.core.model import At, RecordedRun, Schedule, Skips
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.openclaw.rows import FAILING_FROM, is_event
from watchdog.systems.openclaw.runs import FinishedRun
from watchdog.systems.openclaw.store import Row
from watchdog.systems.shared.values import count, text

BUSY_FROM = 10
"""From so many in a row on a session that is busy each time is no accident any more."""

_PREFIX = re.compile(r"^(?:cron(?: job)?|heartbeat|queued manual run)?\s*skipped\s*:\s*", re.IGNORECASE)
_WANTED_CODES = frozenset(
    {
        "quiet-hours",
        "outside-active-hours",
        "empty-heartbeat-file",
        "empty-heartbeat",
        "no-heartbeat-file",
        "no-tasks-due",
        "no-pending-event",
        "alerts-disabled",
        "heartbeat-disabled",
        "heartbeats-disabled",
        "disabled",
        "no-route",
        "no-target",
        "target-none",
        "not-due",
        "duplicate",
        "background-work",
    }
)
_WANTED = re.compile(
    r"quiet[ -]hours|active[ -]hours|heartbeat(?:\.md| file| scratch)?\b.{0,30}\b(?:empty|disabled|switched off)"
    r"|empty heartbeat|no tasks? (?:are |is )?due|condition (?:was )?not met"
    r"|\b(?:feature|heartbeats?|scheduler|alerts?|triggers?|cron)\b (?:is |are )?(?:disabled|switched off|turned off)"
    r"|source no longer current|service stopped|reservation (?:fenced|abandoned|released)|superseded",
    re.IGNORECASE,
)
_BUSY_CODES = frozenset(
    {
        "requests-in-flight",
        "cron-in-progress",
        "lanes-busy",
        "active-run",
        "already-running",
        "min-spacing",
        "flood",
        "cooldown",
        "preempted",
        "busy",
    }
)


def is_wanted(reason: str | None) -> bool:
    """Whether a skip is what somebody has asked for: there was nothing to do, or it was switched off."""
    return reason is not None and (_code(reason) in _WANTED_CODES or _WANTED.search(reason) is not None)


def is_busy(reason: str | None) -> bool:
    """Whether it was only put off behind other work of the same session."""
    return reason is not None and _code(reason) in _BUSY_CODES


def _code(reason: str) -> str:
    return re.sub(r"[\s_]+", "-", _PREFIX.sub("", reason.strip()).strip(" .").lower())


def skips_of(row: Row, schedule: Schedule, run: RecordedRun | None, runs: Sequence[FinishedRun]) -> Skips | None:
    """The job's newest runs, if they were skipped unwanted; those that failed in between did no work either."""
    if run is None or run.status not in ("skipped", "error"):
        return None
    runs = _with_last(row, run, runs)
    if isinstance(schedule, At) or is_event(row, "on-exit"):
        # what is to run once and was skipped has not run, whatever the reason was
        return _streak(row, runs, lambda reason: False) if row.enabled else _parked(run, runs)
    if run.status == "error" and count(row.state.get("consecutiveErrors")) >= FAILING_FROM:
        return None
    busy = _streak(row, runs, is_wanted)
    return _streak(row, runs, _says_nothing) or (busy if busy and busy.count >= BUSY_FROM else None)


def _says_nothing(reason: str | None) -> bool:
    return is_wanted(reason) or is_busy(reason)


def _parked(run: RecordedRun, runs: Sequence[FinishedRun]) -> Skips | None:
    """One that runs once and was skipped is switched off with it."""
    if run.status != "skipped":
        return None
    return Skips(1, runs[-1].ended_at, _said(runs[-1].error), runs[-1].ended_at, is_parked=True)


def _with_last(row: Row, run: RecordedRun, runs: Sequence[FinishedRun]) -> list[FinishedRun]:
    """The finished runs, and the one of the state where the log trails it, or says nothing."""
    known = [each for each in runs if each.started_at <= run.started_at]
    if known and known[-1].started_at == run.started_at:
        return known
    reason = run.error or text(row.state.get("lastError"), 500)
    return [*known, FinishedRun(run.started_at, run.ended_at or run.started_at, run.status or "", None, reason)]


def _streak(row: Row, runs: Sequence[FinishedRun], is_passed_over: Callable[[str | None], bool]) -> Skips | None:
    found = list(_unserved(runs, is_passed_over))
    skipped = [each for each in found if each.status == "skipped"]
    if not skipped:
        return None
    number = len(found)
    if number == len(runs) == len(skipped):  # it may go on beyond what is known
        number = max(number, count(row.state.get("consecutiveSkipped")))
    first_at = found[-1].ended_at if number == len(found) else None
    return Skips(number, found[0].ended_at, _said(skipped[0].error), first_at)


def _unserved(runs: Sequence[FinishedRun], is_passed_over: Callable[[str | None], bool]) -> Iterable[FinishedRun]:
    """The newest runs that did no work, newest first, as far back as one that did. Wanted skips say nothing."""
    for run in reversed(runs):
        if run.status == "skipped" and is_passed_over(run.error):
            continue
        if run.status not in ("skipped", "error"):
            return
        yield run


def _said(reason: str | None) -> str | None:
    return fit_to_leave(reason, 300) if reason else None
