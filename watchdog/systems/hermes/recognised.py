"""Whether a file is of a Hermes home: other agents keep a cron/jobs.json of much the same shape."""

from collections.abc import Mapping
from pathlib import Path

from watchdog.systems.shared.json_document import read_document
from watchdog.systems.shared.unreadable import UnreadableError

_OWN_KEYS = frozenset({"schedule_display", "last_delivery_error", "no_agent"})
"""What only its jobs have."""

_BESIDE = ("gateway_state.json", "cron/executions.db", "cron/ticker_heartbeat", "cron/.tick.lock", "cron/runtime.db")
"""What lies in such a home besides, whatever its jobs are."""


def home_of(file: Path) -> Path | None:
    """The home that the file is in, for a profile's the one that the profile is of; None if it is of another agent."""
    folder = file.parent.parent
    if file.parent.name != "cron" or not (_is_marked(folder) or (file.name == "jobs.json" and _has_its_jobs(file))):
        return None
    return whole_home(folder)


def whole_home(folder: Path) -> Path:
    """The home itself; of a profile's the one that the profile is of, if there is one."""
    owner = folder.parent.parent
    is_profile = folder.parent.name == "profiles" and (_is_marked(owner) or (owner / "cron").is_dir())
    return owner if is_profile else folder


def _is_marked(folder: Path) -> bool:
    return any((folder / name).is_file() for name in _BESIDE)


def _has_its_jobs(file: Path) -> bool:
    try:
        document = read_document(file)
    except UnreadableError:
        return False
    jobs = document.get("jobs") if isinstance(document, Mapping) else None
    return isinstance(jobs, list) and any(isinstance(job, Mapping) and _OWN_KEYS & job.keys() for job in jobs)
