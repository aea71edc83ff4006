"""`duplicate`: the same slot was run twice."""

from collections.abc import Iterator

from watchdog.detectors.about import about
from watchdog.instants import say
from watchdog.model import Finding, Kind, Severity, Snapshot
from watchdog.moment import Moment
from watchdog.settings import Detect


def detect(snapshot: Snapshot, now: Moment, settings: Detect) -> Iterator[Finding]:
    """One finding for each job whose last recorded run repeated one that had been done."""
    for job in snapshot.jobs:
        twice = job.repeated
        if twice is not None:
            yield about(
                snapshot,
                job,
                Kind.DUPLICATE,
                Severity.WARNING,
                twice.second_start,
                f"{job.name} ran twice for {say(twice.slot)}: the first run ended at {say(twice.first_end.at)}, "
                f"the second started at {say(twice.second_start)}",
                slot=twice.slot,
                first_run_ended_at=twice.first_end.at,
                first_run_event_id=twice.first_end.id,
                first_run_tokens=(twice.first_end.input_tokens or 0) + (twice.first_end.output_tokens or 0),
                second_run_started_at=twice.second_start,
            )
