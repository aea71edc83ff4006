"""The scheduler watchdog: tells when an agent's scheduled jobs have silently stopped, and why."""
