"""The scheduler watchdog: tells when an agent's scheduled jobs have silently stopped, and why."""

import watchdog.systems  # noqa: F401 - so that the configuration knows which kinds of source there are
