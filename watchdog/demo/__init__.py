"""A small simulated scheduler, for `scheduler-watchdog demo` and for tests."""
