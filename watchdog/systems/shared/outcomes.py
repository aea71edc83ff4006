"""What schedulers call a run that ended well, that ended badly, that did nothing, and that has not ended."""

import re

OK = frozenset(
    (
        "ok",
        "success",
        "succeeded",
        "successful",
        "completed",
        "complete",
        "done",
        "finished",
        "executed",
        "passed",
        "pass",
    )
)
LEFT_OFF = frozenset(("crashed", "crash", "interrupted", "lost", "orphaned", "abandoned"))
"""What they call a run whose process went away under it."""
_BROKEN_OFF = (
    *("timeout", "timed_out", "aborted", "killed", "dead", "cancelled", "canceled", "missed"),
    *("terminated", "expired", "revoked", "rejected", "oomkilled", "oom_killed"),
)
_WRONG = ("failed", "failure", "fail", "error", "errored", "exception", "fatal", "unsuccessful", "upstream_failed")
FAILED = frozenset((*_WRONG, "not_ok", "nok", *_BROKEN_OFF, *LEFT_OFF))
SKIPPED = frozenset(("skipped", "skip", "not_run", "upstream_skipped"))
"""No work was done, and that is how it ended."""
PLANNED = frozenset(("active", "enabled", "on", "scheduled", "ready", "idle", "live", "running", "waiting", "queued"))
"""What they call a job that is to run; one that is called otherwise is paused, or over."""
RUNNING = frozenset(("running", "started", "starting", "connecting", "sending", "in_progress", "processing", "active"))
WAITING = frozenset(
    ("pending", "queued", "enqueued", "new", "waiting", "scheduled", "submitted", "created", "deferred")
)
"""It has been made, and waits to be started."""

_SAID_MORE = re.compile(r"([a-z]+)_?(?:[:(,;]|_(?:with|by|after|due|on|because)_)")


def outcome_word(word: str) -> str:
    """The word alone where a scheduler says more: `failed` of `failed_(exit_code_1)`, if it is known at all."""
    more = _SAID_MORE.match(word)
    return more[1] if more and more[1] in FAILED | OK | SKIPPED else word
