"""What comes next if nobody acts, where that depends on what was found. Evidence may come back from a file as text."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from watchdog.core.instants import parse_instant, say


class Speech(Protocol):
    """How a system is spoken of: what its scheduler is called, and after how long that aborts a run, if it does."""

    @property
    def process(self) -> str: ...

    @property
    def aborts(self) -> str: ...


def failed(evidence: Mapping[str, object], system: Speech) -> str:
    """A job that was given up, and its row's end where one is known."""
    sweep = _when(evidence, "sweep_at")
    gone = f", and its row is deleted at the first restart after {sweep}" if sweep else ""
    return f"it never runs again{gone}"


def failing(evidence: Mapping[str, object], system: Speech) -> str:
    """A job that errs again and again: the breaker, if its scheduler has one."""
    if not evidence.get("breaker_limit"):
        return "it goes on failing"
    trip = _when(evidence, "breaker_trips_at")
    return f"the scheduler gives it up{f' at about {trip}' if trip else ''}, and never runs it again"


def stranded(evidence: Mapping[str, object], system: Speech) -> str:
    """A job without a next run, or with one that lies far ahead."""
    next_run = _when(evidence, "next_run_at")
    return f"it does not fire before {next_run}" if next_run else "it never fires"


def expiring(evidence: Mapping[str, object], system: Speech) -> str:
    """A failed row that the sweep will take."""
    sweep = _when(evidence, "sweep_at")
    return f"the row is deleted at the first restart after {sweep}, and the job's definition with it"


def invalid(evidence: Mapping[str, object], system: Speech) -> str:
    """A job that cannot be run as it stands: what its scheduler does with it, where that is known."""
    return str(evidence.get("then") or "it does not run as it should until it is mended")


def wedged(evidence: Mapping[str, object], system: Speech) -> str:
    """A leaked flag, a run without a slot, or a run that holds the slot."""
    match evidence.get("how"):
        case "leaked_flag":
            return f"it is skipped until the {system.process} is restarted"
        case "long_in_flight":
            return "it does not run again until that run ends"
        case _:
            return f"no job runs until the run ends or the {system.process} is restarted"


def skipping(evidence: Mapping[str, object], system: Speech) -> str:
    """A job whose runs are skipped: one that runs once was set aside with it."""
    if evidence.get("parked"):
        return "it has not run, and never runs by itself"
    return "its runs go on being skipped until the cause is gone"


def interrupted(evidence: Mapping[str, object], system: Speech) -> str:
    """A run that was broken off: whether its scheduler makes up for it."""
    return str(evidence.get("outlook") or "it may run again, and its result may be sent twice")


def long_run(evidence: Mapping[str, object], system: Speech) -> str:
    """A run that its scheduler will abort, if it does such a thing."""
    if not system.aborts:
        return ""
    return f"no other job runs until it ends; the {system.process} aborts it after {system.aborts}"


def _when(evidence: Mapping[str, object], name: str) -> str:
    value = evidence.get(name)
    try:
        return say(value if isinstance(value, datetime) else parse_instant(str(value))) if value else ""
    except ValueError:
        return ""
