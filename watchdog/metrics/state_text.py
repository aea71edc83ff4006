"""The last published state as Prometheus text.

Each job's samples are formatted by prometheus-client once and kept until that job changes, since formatting a thousand
jobs takes longer than the whole tick may. What is published is counted at once, so that nothing is lost between two
scrapes; it is formatted when it is asked for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from watchdog.core.changed import changed_keys, unlike
from watchdog.core.model import Finding, Job
from watchdog.detectors.published import Published, SourceState
from watchdog.metrics.counts import Counts
from watchdog.metrics.exposition import PER_BLOCK, Block, block_of, heads, woven
from watchdog.metrics.jobs import JobCollector, JobFacts
from watchdog.metrics.sources import SourceStateText

JobKey = tuple[str, str]
"""Source and job id."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """What one job's samples were made from. `fires`: see `SourceState.missed`."""

    key: JobKey
    job: Job
    deadline: datetime | None
    owner: str
    findings: tuple[Finding, ...]
    fires: int


@dataclass(frozen=True, slots=True)
class _Source:
    """A source as it was last rendered. `found`: what was found of its jobs, by their ids."""

    state: SourceState
    found: Mapping[str | None, tuple[Finding, ...]]

    @property
    def jobs(self) -> Sequence[Job]:
        """Its jobs in their order."""
        return self.state.snapshot.jobs

    def kept(self, job: Job) -> _Kept:
        """What the samples of one of its jobs are made from."""
        state, id_ = self.state, job.id
        key, found = (state.snapshot.source, id_), self.found.get(id_, ())
        return _Kept(key, job, state.deadlines.get(id_), state.owners.get(id_, ""), found, state.missed.get(id_, 0))

    def has_same_jobs(self, before: "_Source", places: Iterable[int]) -> bool:
        """Whether the same stood in the same order; `places`: those of which the object is another one."""
        is_same = self.state.snapshot.source == before.state.snapshot.source and len(self.jobs) == len(before.jobs)
        return is_same and all(self.jobs[place].id == before.jobs[place].id for place in places)

    def other_ids(self, before: "_Source") -> set[str]:
        """The jobs of which something else may be said now, though they are the same."""
        state, was = self.state, before.state
        found = ((id_, before.found.get(id_), self.found.get(id_)) for id_ in {*before.found, *self.found})
        ids = {id_ for id_, old, new in found if id_ is not None and old != new}
        ids |= changed_keys(was.deadlines, state.deadlines)
        return ids | changed_keys(was.missed, state.missed) | changed_keys(was.owners, state.owners)


def _source(state: SourceState, before: _Source | None) -> _Source:
    if before is not None and before.state is state:
        return before
    found: dict[str | None, tuple[Finding, ...]] = {}
    for finding in state.diagnosis.findings:
        found[finding.job_id] = (*found.get(finding.job_id, ()), finding)
    return _Source(state, found)


class StateText:
    """Renders the published state, and keeps what has not changed: of `_kept` the samples are in `_blocks`, in the same
    order, but for those that are `_new` and not yet formatted."""

    def __init__(self) -> None:
        self._heads = heads(JobCollector())
        self._sources_text = SourceStateText()
        self._sources: Sequence[_Source] = ()
        self._kept: list[_Kept] = []
        self._place_of: dict[JobKey, int] = {}
        self._blocks: list[Block] = []
        self._new: dict[int, JobFacts] = {}
        self._counts = Counts()
        self._published = Published(())

    def render(self, published: Published) -> list[bytes]:
        """The text of this state."""
        self.take(published)
        return self.text()

    def take(self, published: Published) -> None:
        """Count what has changed."""
        self._published = published
        self._take(published.sources)

    def text(self) -> list[bytes]:
        """The text of all families that change only with the state, in the pieces that are kept: put together it would
        be held a second time."""
        self._format()
        text = [self._sources_text.render(self._published)]
        for place, head in enumerate(self._heads):
            text.append(head)
            text.extend([block[place].text for block in self._blocks])
        return text

    def _take(self, states: Sequence[SourceState]) -> None:
        """Of jobs that are the same in the same order only those are looked at that have changed."""
        before = [*self._sources, *[None] * (len(states) - len(self._sources))]
        sources = [_source(state, was) for state, was in zip(states, before, strict=False)]
        changed = self._changed(sources)
        self._sources = sources
        if changed is None:
            self._take_all([source.kept(job) for source in sources for job in source.jobs])
        else:
            self._take_some(changed)

    def _changed(self, sources: Sequence[_Source]) -> dict[int, _Kept] | None:
        """By place what has changed; None where jobs have come or gone, or stand in another order."""
        if len(sources) != len(self._sources):
            return None
        changed: dict[int, _Kept] = {}
        first = 0
        for source, before in zip(sources, self._sources, strict=True):
            if source is not before:
                places = unlike(before.jobs, source.jobs)
                if not source.has_same_jobs(before, places):
                    return None
                for place in {*places, *self._places(source, before, first)}:
                    changed[first + place] = source.kept(source.jobs[place])
            first += len(source.jobs)
        return {place: each for place, each in changed.items() if each != self._kept[place]}

    def _places(self, source: _Source, before: _Source, first: int) -> Iterable[int]:
        name = source.state.snapshot.source
        places = (self._place_of.get((name, id_)) for id_ in source.other_ids(before))
        return (place - first for place in places if place is not None)

    def _take_some(self, changed: Mapping[int, _Kept]) -> None:
        for place, each in changed.items():
            self._kept[place], self._new[place] = each, self._facts(each)

    def _format(self) -> None:
        """All that are new are formatted together: most of what one costs is what surrounds its samples."""
        changed = self._new
        pool, new = self._pool(list(changed.values())), len(self._blocks) * PER_BLOCK
        moved = {place: new + number for number, place in enumerate(changed)}
        for block in {place // PER_BLOCK for place in changed}:
            spots = range(block * PER_BLOCK, min((block + 1) * PER_BLOCK, len(self._kept)))
            self._blocks[block] = woven(pool, [moved.get(spot, spot) for spot in spots])
        self._new = {}

    def _take_all(self, kept: list[_Kept]) -> None:
        """The same where jobs have come or gone: what is known of the others is put in their order."""
        self._format()
        spots: list[int] = []
        new: list[_Kept] = []
        for each in kept:
            was = self._place_of.get(each.key)
            if was is None or self._kept[was] != each:
                was = len(self._blocks) * PER_BLOCK + len(new)
                new.append(each)
            spots.append(was)
        pool = self._pool([self._facts(each) for each in new])
        self._blocks = [woven(pool, spots[at : at + PER_BLOCK]) for at in range(0, len(spots), PER_BLOCK)]
        self._kept, self._place_of = kept, {each.key: place for place, each in enumerate(kept)}
        self._counts.forget(set(self._place_of))

    def _pool(self, new: Sequence[JobFacts]) -> Sequence[Block]:
        """The blocks that there are, and behind them those of what is new."""
        return [*self._blocks, *(_block(new[at : at + PER_BLOCK]) for at in range(0, len(new), PER_BLOCK))]

    def _facts(self, kept: _Kept) -> JobFacts:
        totals = self._counts.totals(kept.key, kept.job.totals)
        missed = self._counts.missed(kept.key, kept.job.due, kept.fires)
        return JobFacts(kept.key[0], kept.job, kept.deadline, kept.owner, kept.findings, totals, missed)


def _block(jobs: Sequence[JobFacts]) -> Block:
    collector = JobCollector(jobs)
    return block_of(collector, collector.counts)
