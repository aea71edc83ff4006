"""Whether a file is of an OpenClaw gateway: other agents keep a cron/jobs.json of much the same shape."""

from collections.abc import Mapping
from pathlib import Path

from watchdog.systems.shared.json_document import read_document
from watchdog.systems.shared.unreadable import UnreadableError

_OWN_KEYS = frozenset({"sessionTarget", "wakeMode"})
"""What only its jobs have."""


def state_dir_of(file: Path) -> Path | None:
    """The state folder that the file is in; None if it is not of such a gateway."""
    folder = file.parent.parent
    if (file.parent.name, file.name) == ("state", "openclaw.sqlite"):
        return folder
    if (file.parent.name, file.name) != ("cron", "jobs.json"):
        return None
    return folder if (folder / "openclaw.json").exists() or _has_its_jobs(file) else None


def _has_its_jobs(file: Path) -> bool:
    try:
        document = read_document(file)
    except UnreadableError:
        return False
    jobs = document.get("jobs") if isinstance(document, Mapping) else document
    return isinstance(jobs, list) and any(isinstance(job, Mapping) and _OWN_KEYS & job.keys() for job in jobs)
