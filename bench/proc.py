"""What the kernel says about a process."""

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

_MB = 1024
_ALL_THREADS = 2
"""Of a process's clocks the one that the scheduler keeps, in nanoseconds; what `/proc` says are hundredths."""


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its threads so far, as of clock_getcpuclockid(3)."""
    return time.clock_gettime(~pid << 3 | _ALL_THREADS)


@dataclass(frozen=True, slots=True)
class Memory:
    """In MB: resident now, the part of it that is the process's own, and the most that was ever resident."""

    resident: float
    own: float
    peak: float


def memory(pid: int) -> Memory:
    """The memory of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    kilobytes = {
        name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines) if "kB" in rest
    }
    return Memory(kilobytes["VmRSS"] / _MB, kilobytes["RssAnon"] / _MB, kilobytes["VmHWM"] / _MB)


def growth_per_hour(samples: list[tuple[float, float]]) -> float:
    """The slope of (seconds, MB) samples in MB an hour; of the second half, when everything has been used once."""
    late = samples[len(samples) // 2 :]
    if len(late) < 3:
        return 0.0
    return linear_regression([at for at, _ in late], [size for _, size in late]).slope * 3600
