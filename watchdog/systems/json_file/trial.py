"""Reading the file once, for what can be wrong with paths that are the operator's own."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from watchdog.core.durations import say_duration
from watchdog.systems.base import Trial
from watchdog.systems.json_file.hidden import CADENCE
from watchdog.systems.json_file.mapping import Part, value_at
from watchdog.systems.json_file.section import JsonFile
from watchdog.systems.json_file.source import open_json
from watchdog.systems.shared.host import Host

_LONG = timedelta(days=1)


def try_paths(section: JsonFile, now: datetime) -> Trial:
    """Whether the file can be read, and whether anything stands where the paths lead."""
    source = open_json(section, Host())
    snapshot = source.look(now).snapshot
    if snapshot.problem is not None:
        return Trial(unasked=(f"its paths were not tried: {snapshot.problem}",))
    if not source.columns:
        return Trial(unasked=("it lists no job, so its paths were tried on none",) if section.preset is None else ())
    said = [f"{each.what} ({each.help})" for each in snapshot.unseen]
    if section.preset is None:
        said += [f"{job.name}: {job.problems[0]}" for job in snapshot.jobs if job.problems][:3]
        said += [*_barren(section, source.columns), *_lengths(section, source.columns), *_unsaid(section)]
        said += [*_inside(section, source.documents), *_held(section)]
    return Trial(unasked=tuple(said))


def _barren(section: JsonFile, columns: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """Paths at which no job has anything: of one that never ran, or is not planned, that may be right."""
    there = {column for each in columns for column in each}
    found = [
        f"{column} ({' or '.join(map(_path, ways))})"
        for column, ways in section.jobs.items()
        if column not in there and not any(way.when for way in ways)
    ]
    if found:
        yield f"no job has anything at the path of {', '.join(found)}"


def _inside(section: JsonFile, documents: Sequence[Mapping[str, object]]) -> Iterator[str]:
    for runs in section.runs:
        if runs.inside and not any(value_at(document, runs.inside) is not None for document in documents):
            yield f"no job has anything at runs.inside ({runs.inside})"


def _lengths(section: JsonFile, columns: Sequence[Mapping[str, object]]) -> Iterator[str]:
    """An interval that is so long, and so round, that it may well be in milliseconds."""
    if any(way.unit for way in section.jobs.get("every", ())):
        return
    for every in (each.get("every") for each in columns):
        if isinstance(every, timedelta) and every >= _LONG and every % timedelta(seconds=1000) == timedelta():
            yield f"every: {every.total_seconds():.0f} is taken for {say_duration(every)}; say its unit, s or ms"
            return


def _path(way: Part) -> str:
    return way.path or " ".join(way.join)


def _unsaid(section: JsonFile) -> Iterator[str]:
    if not (CADENCE | {"next_run_at"}) & section.jobs.keys():
        yield f"lateness cannot be told: jobs has neither next_run_at nor one of {', '.join(sorted(CADENCE))}"
    elif "last_run_at" not in section.jobs and not section.runs and "next_run_at" not in section.jobs:
        yield "lateness cannot be told: there are neither runs nor one of last_run_at, next_run_at"


def _held(section: JsonFile) -> Iterator[str]:
    places = [section.beside(Path(path)) for path in section.held_open]
    if places and not any(place.exists() for place in places):
        yield f"held_open: {' or '.join(map(str, places))} is not there, so its process is not told by it"
