"""What schedulers call the end of a run."""

OK = frozenset(("ok", "success", "succeeded", "successful", "completed", "complete", "done", "finished", "executed"))
_BROKEN_OFF = ("timeout", "timed_out", "aborted", "killed", "lost", "dead", "cancelled", "canceled", "missed")
FAILED = frozenset(("failed", "failure", "fail", "error", "errored", "crashed", *_BROKEN_OFF))
RUNNING = frozenset(("running", "started", "starting", "connecting", "sending", "in_progress", "processing", "active"))
"""What schedulers call a run that ended well, one that ended badly, and one that has not ended."""
