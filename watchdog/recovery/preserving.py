"""Keeping the definitions of failed jobs before the scheduler's sweep takes their rows."""

from datetime import datetime

from watchdog.config.sources import Section
from watchdog.recovery.known_actions import definitions_of
from watchdog.state.records import Preserved, Records


def preserve_failed(records: Records, source: Section, at: datetime) -> list[Preserved]:
    """Keep the whole row of every failed job; what was kept. Nothing where no sweep takes them."""
    definitions = definitions_of(source)
    found = definitions.failed(source) if definitions else ()
    kept = [Preserved(source.name, one.job_id, one.name, one.row, at, one.sweep_at) for one in found]
    for one in kept:
        records.preserve(one)
    return kept
