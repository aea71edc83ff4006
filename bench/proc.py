"""What the kernel says about a process."""

import os
from dataclasses import dataclass
from pathlib import Path
from statistics import linear_regression

_TICKS = os.sysconf("SC_CLK_TCK")
_MB = 1024


def cpu_seconds(pid: int) -> float:
    """User and system time of the process and its threads so far; counted in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


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
