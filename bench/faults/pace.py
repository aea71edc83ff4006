"""How much longer all takes on this machine now than where nobody else works: measured, not guessed from its load."""

import subprocess
import sys
import threading
import time
from collections import deque

MOST = 5.0
"""Times; on a machine that is slower still, a promise about time is not kept."""

MOST_STALL = 10.0
"""Seconds; a disk that takes longer to write four kilobytes is no excuse."""

_KEPT = 500
"""Measurements: two minutes of them."""

_SCRIPT = """
import hashlib, os, tempfile, time
work, file = bytes(4 << 20), tempfile.TemporaryFile(buffering=0)
while True:
    began, own = time.monotonic(), time.process_time()
    hashlib.sha256(work).digest()
    done = time.monotonic(), time.process_time()
    os.pwrite(file.fileno(), work[:4096], 0)
    os.fsync(file.fileno())
    print(done[0] - began, done[1] - own, time.monotonic() - done[0], flush=True)
    time.sleep(0.25)
"""
"""A small piece of work and a small write again and again, in a process that waits for nothing of the lab's."""


class Pace(threading.Thread):
    """Compares the time that work takes on the clock with its own. Before `start` a machine counts as alone."""

    def __init__(self) -> None:
        super().__init__(name="pace", daemon=True)
        self._seen: deque[tuple[float, float, float, float]] = deque(maxlen=_KEPT)

    def run(self) -> None:
        """For as long as the lab lasts; then nobody reads, and the process ends."""
        process = subprocess.Popen(
            [sys.executable, "-c", _SCRIPT], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        for line in process.stdout or ():
            took, own, stalled = map(float, line.split())
            self._seen.append((time.monotonic(), took, own, stalled))

    def since(self, moment: float) -> float:
        """How many times slower than alone it was since then, on the clock of `time.monotonic`; never less than 1."""
        seen = [(took, own) for at, took, own, _ in list(self._seen) if at >= moment]
        own = sum(own for _, own in seen)
        return min(MOST, max(1.0, sum(took for took, _ in seen) / own)) if own else 1.0

    def stalled(self, moment: float) -> float:
        """Seconds that the longest wait for the disk has taken since then, one that still lasts included."""
        seen = list(self._seen)
        if not seen:
            return 0.0
        lasts = time.monotonic() - seen[-1][0] - 1.0  # it is heard of several times a second
        return min(MOST_STALL, max(0.0, lasts, *(stalled for at, _, _, stalled in seen if at >= moment)))

    def allowed(self, within: float, began: float) -> float:
        """Seconds by now for what takes so many on a machine with nothing else to do."""
        return within * self.since(began) + self.stalled(began)


PACE = Pace()
