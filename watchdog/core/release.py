"""The installed version."""

from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed

DISTRIBUTION = "scheduler-watchdog"


@cache
def version() -> str:
    """The version of the installed distribution."""
    try:
        return installed(DISTRIBUTION)
    except PackageNotFoundError:
        return "unknown"
