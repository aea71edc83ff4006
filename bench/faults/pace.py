"""How much longer all takes on this machine now than on the one that the promises were measured on, with nobody else at
work: measured, not guessed from its load."""

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

USUAL = 0.0024
"""Seconds of CPU that the small piece of work takes there; a machine may be twice as slow by itself."""

_SCRIPT = """
import os, tempfile, time
some, file = bytes(4096), tempfile.TemporaryFile(buffering=0)
def work():
    counts = {}
    for number in range(40_000):
        counts[number % 1000] = counts.get(number % 1000, 0) + number
while True:
    began, own = time.monotonic(), time.process_time()
    work()
    done = time.monotonic(), time.process_time()
    os.pwrite(file.fileno(), some, 0)
    os.fsync(file.fileno())
    print(done[0] - began, done[1] - own, time.monotonic() - done[0], flush=True)
    time.sleep(0.25)
"""
"""A small piece of work and a small write again and again, in a process that waits for nothing of the lab's."""


class Pace(threading.Thread):
    """Compares what a piece of work takes on the clock with what it takes usually. Before `start` all is as usual."""

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
        """How many times slower than usual it was since then, on the clock of `time.monotonic`; never less than 1."""
        seen = [(took, own) for at, took, own, _ in list(self._seen) if at >= moment]
        own = sum(own for _, own in seen)
        if not own:
            return 1.0
        by_others, by_itself = sum(took for took, _ in seen) / own, max(1.0, own / len(seen) / USUAL)
        return min(MOST, max(1.0, by_others * by_itself))

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
