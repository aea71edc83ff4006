"""What a restart of a scheduler costs: a run that is killed, rows that are swept, runs that are done twice. Pure."""

from collections.abc import Iterator
from datetime import datetime

from watchdog.core.command_line import command
from watchdog.core.instants import say
from watchdog.core.model import Snapshot


def consequences(snapshot: Snapshot, at: datetime) -> Iterator[str]:
    """One sentence for each thing that a restart at `at` would do beside its purpose."""
    for job in snapshot.jobs:
        if job.in_flight_since is not None:
            again = ", and may run it again from its start" if snapshot.traits.replays else ""
            yield f"the restart ends the run of {job.name} that is in flight since {say(job.in_flight_since)}{again}"
        if job.unrecorded_end is not None:
            ended = say(job.unrecorded_end.at)
            yield f"the restart runs {job.name} again: its run that ended at {ended} was never written down"
        if job.status == "failed" and job.sweep_at is not None and job.sweep_at <= at:
            kept = f"its definition is kept: {command('restore', job.id)}"
            yield f"the restart sweeps {job.name}, due since {say(job.sweep_at)}; {kept}"
