"""Prometheus text, as prometheus-client formats it, taken apart by family: so that parts of it can be kept."""

import re
from collections.abc import Sequence
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


def shared_out(collector: Collector, counts: Sequence[Sequence[int]]) -> list[tuple[bytes, ...]]:
    """The same for each of those whose samples it collects, one after another. `counts`: how many each of them has in
    each family."""
    lines = [iter(text.split(b"\n")) for text in samples(collector)]
    return [
        tuple([b"".join([line + b"\n" for line in islice(family, n)]) for family, n in zip(lines, each, strict=True)])
        for each in counts
    ]
