"""What is installed only where somebody wants it."""

import importlib.util
import shlex
import sys
from importlib.metadata import requires


def how_to_add(extra: str) -> str:
    """The command that adds what an extra needs to the very environment that this runs in, from wherever it came.

    What it needs is named itself: of this program the package index may have another version, or none.
    """
    marker = f'extra == "{extra}"'
    named = (need.partition(";") for need in requires("scheduler-watchdog") or ())
    wanted = [name.strip() for name, _, when in named if when.strip().replace("'", '"') == marker]
    has_pip = importlib.util.find_spec("pip") is not None
    how = [sys.executable, "-m", "pip", "install"] if has_pip else ["uv", "pip", "install", "--python", sys.executable]
    return shlex.join([*how, *wanted])
