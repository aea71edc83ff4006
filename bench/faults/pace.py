"""How much longer all takes on this machine now than where nobody else works: measured, not guessed from its load."""

import hashlib
import threading
import time
from collections import deque

MOST = 5.0
"""Times; on a machine that is slower still, a promise about time is not kept."""

_WORK = bytes(4 << 20)
"""What is hashed, without holding up other threads: some ten milliseconds."""

_EVERY = 0.25
_KEPT = 120.0
"""Seconds between two measurements, and how long they are kept."""


class Pace(threading.Thread):
    """Does a small piece of work again and again: its time on the clock against its own tells how slow all is."""

    def __init__(self) -> None:
        super().__init__(name="pace", daemon=True)
        self._seen: deque[tuple[float, float, float]] = deque(maxlen=int(_KEPT / _EVERY))

    def run(self) -> None:
        """For as long as the lab lasts."""
        while True:
            self._measure()
            time.sleep(_EVERY)

    def _measure(self) -> None:
        began, own = time.monotonic(), time.thread_time()
        hashlib.sha256(_WORK).digest()
        self._seen.append((began, time.monotonic() - began, time.thread_time() - own))

    def since(self, moment: float) -> float:
        """How many times slower than alone it was since then, on the clock of `time.monotonic`; never less than 1."""
        seen = [(took, own) for at, took, own in list(self._seen) if at >= moment]
        own = sum(own for _, own in seen)
        return min(MOST, max(1.0, sum(took for took, _ in seen) / own)) if own else 1.0


PACE = Pace()
PACE.start()
