"""Prometheus text, as prometheus-client formats it, taken apart by family: so that parts of it can be kept."""

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, that nobody asked for

_FAMILY = re.compile(r"^# HELP ", re.MULTILINE)
"""Where a family begins. A label may hold the same words, but never at the beginning of a line."""


def families(collector: Collector) -> dict[str, tuple[bytes, bytes]]:
    """What it collects, by family: its head (HELP and TYPE), and its samples."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    parts: dict[str, tuple[bytes, bytes]] = {}
    for block in _FAMILY.split(generate_latest(registry).decode())[1:]:
        help_line, type_line, samples = block.split("\n", 2)
        parts[help_line.split(" ", 1)[0]] = (f"# HELP {help_line}\n{type_line}\n".encode(), samples.encode())
    return parts


def heads(collector: Collector) -> tuple[bytes, ...]:
    """The families' heads."""
    return tuple([head for head, _ in families(collector).values()])


def samples(collector: Collector) -> tuple[bytes, ...]:
    """The families' samples, in the order of their heads."""
    return tuple([lines for _, lines in families(collector).values()])


@dataclass(frozen=True, slots=True)
class Part:
    """The samples that some jobs have in one family: one text, and how many bytes of it are each job's."""

    text: bytes
    sizes: "array[int]"

    def of(self, begin: int, end: int) -> bytes:
        """Those of the jobs in these places."""
        first = sum(self.sizes[:begin])
        return self.text[first : first + sum(self.sizes[begin:end])]


Block = tuple[Part, ...]
"""The samples of some jobs that follow one another, family by family."""

PER_BLOCK = 50
"""Jobs that are formatted together and whose samples are held in one piece: held one by one, they take half as much
again. What it needs to format a thousand at once is held for ever after: 3 MB."""


def block_of(collector: Collector, counts: Sequence[Sequence[int]]) -> Block:
    """The samples of those that it collects. `counts`: for each family, how many each of them has."""
    return tuple([_part(text, each) for text, each in zip(samples(collector), counts, strict=True)])


def _part(text: bytes, counts: Sequence[int]) -> Part:
    lengths = iter([len(line) + 1 for line in text.split(b"\n")])
    return Part(text, array("I", [sum(islice(lengths, count)) for count in counts]))


def woven(pool: Sequence[Block], places: Sequence[int]) -> Block:
    """The samples of the jobs in these places of the pool, counted from its first block on, as one block."""
    runs = _runs(places)
    if len(runs) == 1 and len(runs[0][1]) == len(pool[runs[0][0]][0].sizes):
        return pool[runs[0][0]]
    return tuple([_joined([(pool[block][family], span) for block, span in runs]) for family in range(len(pool[0]))])


def _joined(parts: Sequence[tuple[Part, range]]) -> Part:
    sizes = array("I")
    for part, span in parts:
        sizes += part.sizes[span.start : span.stop]
    return Part(b"".join([part.of(span.start, span.stop) for part, span in parts]), sizes)


def _runs(places: Sequence[int]) -> list[tuple[int, range]]:
    """The same by block: those that follow one another there are taken together."""
    runs: list[tuple[int, range]] = []
    for block, place in (divmod(place, PER_BLOCK) for place in places):
        if runs and runs[-1][0] == block and runs[-1][1].stop == place:
            runs[-1] = (block, range(runs[-1][1].start, place + 1))
        else:
            runs.append((block, range(place, place + 1)))
    return runs
