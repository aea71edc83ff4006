"""What the service imports: it holds that for months."""

import subprocess
import sys

from watchdog.systems import KINDS, folder

HEAVY = ("pydantic", "yaml", "jinja2", "importlib.metadata", "apprise", "urllib3")
"""What is needed by a request, a command, or a process of its own."""

WHAT_IT_IS = (
    *("watchdog.cli.main", "watchdog.service.loop", "watchdog.service.configuration", "watchdog.incidents.report"),
    *(f"watchdog.systems.{folder(kind)}.source" for kind in KINDS if kind != "hermes"),
)
"""What `run` imports, and its sources; a Hermes home has settings in YAML."""


def test_the_service_does_without_what_only_a_request_or_a_process_of_its_own_needs() -> None:
    asked = f"import sys, {', '.join(WHAT_IT_IS)}; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
