"""The conditions, one a file. Each is a pure function of what one look found, the instant, and the thresholds.

To add one: write a file with `detect`, add its kind to `watchdog.model.Kind` and a section to
`watchdog.settings.Rules`, and name it here.
"""

from collections.abc import Callable, Iterable

from watchdog.config.settings import Detect
from watchdog.core.model import Finding, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors import (
    duplicate,
    expiring,
    failed,
    failing,
    interrupted,
    invalid,
    long_run,
    overdue,
    stalled,
    stranded,
    undelivered,
    unreachable,
    unrecorded,
    wedged,
    zero_tokens,
)

Detector = Callable[[Snapshot, Moment, Detect], Iterable[Finding]]

DETECTORS: tuple[Detector, ...] = (
    unreachable.detect,
    stalled.detect,
    invalid.detect,
    unrecorded.detect,
    wedged.detect,
    long_run.detect,
    interrupted.detect,
    stranded.detect,
    overdue.detect,
    failed.detect,
    expiring.detect,
    failing.detect,
    zero_tokens.detect,
    undelivered.detect,
    duplicate.detect,
)
