"""What schedulers call a run that ended well, one that ended badly, and one that has not ended."""

OK = frozenset(("ok", "success", "succeeded", "successful", "completed", "complete", "done", "finished", "executed"))
LEFT_OFF = frozenset(("crashed", "interrupted", "lost", "orphaned", "abandoned"))
"""What they call a run whose process went away under it."""
_BROKEN_OFF = ("timeout", "timed_out", "aborted", "killed", "dead", "cancelled", "canceled", "missed")
FAILED = frozenset(("failed", "failure", "fail", "error", "errored", *_BROKEN_OFF, *LEFT_OFF))
RUNNING = frozenset(("running", "started", "starting", "connecting", "sending", "in_progress", "processing", "active"))
