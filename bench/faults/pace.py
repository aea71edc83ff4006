"""How much longer all takes on this machine now than where nobody else works: measured, not guessed from its load."""

import subprocess
import sys
import threading
import time
from collections import deque

MOST = 5.0
"""Times; on a machine that is slower still, a promise about time is not kept."""

_KEPT = 500
"""Measurements: two minutes of them."""

_SCRIPT = """
import hashlib, time
work = bytes(4 << 20)
while True:
    began, own = time.monotonic(), time.process_time()
    hashlib.sha256(work).digest()
    print(time.monotonic() - began, time.process_time() - own, flush=True)
    time.sleep(0.25)
"""
"""A small piece of work again and again, in a process of its own that waits for nothing of the lab's."""


class Pace(threading.Thread):
    """Compares the time that work takes on the clock with its own. Before `start` a machine counts as alone."""

    def __init__(self) -> None:
        super().__init__(name="pace", daemon=True)
        self._seen: deque[tuple[float, float, float]] = deque(maxlen=_KEPT)

    def run(self) -> None:
        """For as long as the lab lasts; then nobody reads, and the process ends."""
        process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in process.stdout or ():
            took, own = map(float, line.split())
            self._seen.append((time.monotonic(), took, own))

    def since(self, moment: float) -> float:
        """How many times slower than alone it was since then, on the clock of `time.monotonic`; never less than 1."""
        seen = [(took, own) for at, took, own in list(self._seen) if at >= moment]
        own = sum(own for _, own in seen)
        return min(MOST, max(1.0, sum(took for took, _ in seen) / own)) if own else 1.0


PACE = Pace()
