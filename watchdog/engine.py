"""One tick: look at every source, judge what was found, publish. No clock is asked here; `now` is handed in."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.cadence.schedule import plus
from watchdog.config.file import Config, Owner
from watchdog.config.owners import owner_name, owners_of, subject_of
from watchdog.config.sources import LOOK_LIMIT
from watchdog.core.logs import log
from watchdog.core.model import Finding, Job, Snapshot
from watchdog.core.moment import Gap
from watchdog.core.per_job import PerJob, by_id
from watchdog.core.redaction import fit_to_leave
from watchdog.detectors.calm import Calm
from watchdog.detectors.diagnosis import Diagnosis, diagnose
from watchdog.detectors.missed import MissedFires
from watchdog.detectors.published import Published, SourceState
from watchdog.systems.base import Source
from watchdog.systems.opening import open_source
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.inventory import Inventory
from watchdog.systems.shared.looking import STILL_LOOKING, InTurn, Looker


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick did. `reads` are seconds by source, for those that were read."""

    published: Published
    has_changed: bool
    reads: Mapping[str, float]


HostOf = Callable[[str], Host]
"""Where the source of a name runs."""


def open_sources(config: Config, host_of: HostOf = lambda name: Host()) -> tuple[Source, ...]:
    """The sources that the configuration names."""
    return tuple(open_source(source, host_of(source.name)) for source in config.sources)


LookedAtBy = Callable[[Source, timedelta], Looker]
"""How a source is looked at; the time is how long a look may take."""


class Engine:
    """Carries what was published from tick to tick. `looked_at_by`: whether in turn, or each source on its own."""

    def __init__(
        self,
        config: Config,
        sources: Sequence[Source] | None = None,
        looked_at_by: LookedAtBy = InTurn,
        kept: Mapping[str, Looker] | None = None,
        inventory: Inventory | None = None,
    ) -> None:
        self._config = config
        self._inventory = inventory or Inventory()
        self._sections = {section.name: section for section in config.sources}
        self._looked_at_by = looked_at_by
        limits = {source.name: source.look_limit for source in config.sources}
        opened = tuple(sources) if sources is not None else open_sources(config)
        kept = kept or {}
        self._lookers = tuple(
            kept.get(source.name) or looked_at_by(source, limits.get(source.name, LOOK_LIMIT)) for source in opened
        )
        self._labels = {source.name: source.labels for source in config.sources}
        self._states: list[SourceState | None] = [None] * len(self._lookers)
        self._held: list[SourceState | None] = [None] * len(self._lookers)
        self._to_judge = [False] * len(self._lookers)
        self._published = Published(())
        self._gaps: tuple[Gap, ...] = ()
        self._calm = {looker.source.name: Calm(config.detect) for looker in self._lookers}
        self._missed = {name: MissedFires() for name in self._calm}
        self._owners = {name: _Owners(config.people, self._labels.get(name, {}), name) for name in self._calm}

    @property
    def sources(self) -> tuple[Source, ...]:
        """What is watched."""
        return tuple(looker.source for looker in self._lookers)

    @property
    def published(self) -> Published:
        """What the last tick published."""
        return self._published

    @property
    def unlooked(self) -> tuple[str, ...]:
        """The sources that were not looked at within their time: a look hangs."""
        return tuple(looker.source.name for looker in self._lookers if looker.is_stuck)

    @property
    def under_way(self) -> frozenset[str]:
        """The sources whose look has begun, and has not come back or was not taken."""
        return frozenset(looker.source.name for looker in self._lookers if looker.is_under_way)

    @property
    def has_looked(self) -> bool:
        """Whether every source was looked at once, or that was tried for as long as it may take."""
        return all(state is not None and state.snapshot.problem != STILL_LOOKING for state in self._states)

    def reconfigured(self, config: Config, host_of: HostOf) -> "Engine":
        """One for another configuration. A source whose section has not changed goes on with all that it remembers."""
        old = {
            section.name: (section, looker) for section, looker in zip(self._config.sources, self._lookers, strict=True)
        }
        kept = {
            section.name: old[section.name][1]
            for section in config.sources
            if section.name in old and old[section.name][0] == section
        }
        for looker in self._lookers:
            if looker not in kept.values():
                looker.end()
        sources = [
            kept[section.name].source if section.name in kept else open_source(section, host_of(section.name))
            for section in config.sources
        ]
        engine = Engine(config, sources, self._looked_at_by, kept, self._inventory)
        engine._carry_on(self, kept)
        return engine

    def _carry_on(self, before: "Engine", kept: Collection[str]) -> None:
        """What was last found of the sources that are kept stands until they have been looked at anew."""
        known = {state.snapshot.source: state for state in before._states if state is not None}
        for index, looker in enumerate(self._lookers):
            name = looker.source.name
            if name in kept and name in known:
                self._states[index], self._to_judge[index] = known[name], True
        self._published = before._published
        self._publish(has_changed=True)

    def end(self) -> None:
        """Look no more."""
        for looker in self._lookers:
            looker.end()

    def tick(self, now: datetime, gaps: Sequence[Gap] = ()) -> Tick:
        """Look, judge where something changed or a deadline passed, publish. `gaps`: when nobody looked."""
        has_woken, self._gaps = self._gaps != tuple(gaps), tuple(gaps)
        for index, looker in enumerate(self._lookers):
            self._to_judge[index] = self._to_judge[index] or has_woken
            looker.begin(now)
        return self._answered(range(len(self._lookers)), now)

    def collect(self, now: datetime, gaps: Sequence[Gap] = ()) -> Tick:
        """Judge what late looks have come back with since, publish; begin none: each that is late asks for this, and
        where looking at all takes longer than is waited for there would be no end of it."""
        if self._gaps != tuple(gaps):
            return self.tick(now, gaps)
        return self._answered([index for index, one in enumerate(self._lookers) if one.has_come_back], now)

    def _answered(self, places: Iterable[int], now: datetime) -> Tick:
        reads: dict[str, float] = {}
        has_changed = False
        for index in places:
            before = self._held[index] or self._states[index]
            state = self._answer(index, before, reads, now)
            has_changed = has_changed or before is None or state.judged_at != before.judged_at
            self._states[index] = state
        self._publish(has_changed=has_changed)
        return Tick(self._published, has_changed, reads)

    def _answer(self, index: int, before: SourceState | None, reads: dict[str, float], now: datetime) -> SourceState:
        looker = self._lookers[index]
        look = looker.answer(now)
        if look is None:
            return self._behind(index, now)
        if look.seconds is not None:
            reads[looker.source.name] = look.seconds
        is_new = look.is_new or self._to_judge[index]
        self._held[index], self._to_judge[index] = None, False
        snapshot = before.snapshot if before and not is_new else self._with_memory(before, look.snapshot, now)
        state = self._judge(before, snapshot, now, is_new=is_new)
        # where that broke off it is tried again
        self._to_judge[index] = state.snapshot.problem is not None and snapshot.problem is None
        return state

    def conclude(self, now: datetime) -> Published:
        """What the last look has found, where none will follow: what has not been read by now is not seen."""
        for index, state in enumerate(self._states):
            if state is not None and state.snapshot.unread:
                snapshot = state.snapshot
                snapshot = replace(snapshot, unseen=(*snapshot.unseen, *snapshot.unread), unread=())
                self._states[index] = self._judge(state, snapshot, now, is_new=True)
        self._publish(has_changed=True)
        return self._published

    def _behind(self, index: int, now: datetime) -> SourceState:
        """The state of a source whose look is under way: as it was, without the instant at which it is to be judged
        anew, which may be then what the look comes back with."""
        before, source = self._states[index], self._lookers[index].source
        if before is None:
            awaited = Snapshot(source.name, source.kind, problem=STILL_LOOKING, problem_since=now)
            return SourceState(awaited, Diagnosis((), None), now, None)
        if before.diagnosis.look_again_at is None:
            return before
        self._held[index] = before
        return replace(before, diagnosis=replace(before.diagnosis, look_again_at=None))

    def _with_memory(self, before: SourceState | None, seen: Snapshot, now: datetime) -> Snapshot:
        """What was seen, and beside it what was there before and is not any more."""
        section = self._sections[seen.source]
        return self._inventory.see(section, seen, now, before.read_at if before else None)

    def _judge(self, before: SourceState | None, snapshot: Snapshot, now: datetime, *, is_new: bool) -> SourceState:
        read_at = now if snapshot.problem is None else before.read_at if before else None
        if before is not None and not is_new and not _is_outdated(before, now):
            return before if before.read_at == read_at else replace(before, read_at=read_at)
        try:
            return self._judged(snapshot, now, read_at)
        except Exception as error:
            return self._unjudged(before, snapshot, error, now)

    def _unjudged(self, before: SourceState | None, snapshot: Snapshot, error: Exception, now: datetime) -> SourceState:
        """Told of the source: whatever a stranger's store holds, the others are judged, and the service goes on."""
        log.debug("judging broke off", exc_info=error, extra={"action": "judge", "source": snapshot.source})
        reason = f"judging it broke off: {type(error).__name__}: {fit_to_leave(str(error), 200)}".removesuffix(": ")
        if before is not None and before.snapshot.problem == reason:
            return before
        told = Snapshot(snapshot.source, snapshot.kind, problem=reason, problem_since=now)
        return self._judged(told, now, before.read_at if before else None)

    def _judged(self, snapshot: Snapshot, now: datetime, read_at: datetime | None) -> SourceState:
        config, ahead = self._config, snapshot.clock_ahead
        sifted = self._calm[snapshot.source].sift(snapshot, now - ahead)
        # where rows are dated as before the clock was put back, that is made up for already
        meant = (gap for gap in self._gaps if not (ahead < timedelta() and gap.is_repeated))
        gaps = [replace(gap, began=gap.began - ahead, ended=gap.ended - ahead) for gap in meant]
        diagnosis = diagnose(snapshot, now - ahead, config.detect, gaps, sifted)
        missed, more_at = self._missed[snapshot.source].count(snapshot.jobs, now - ahead)
        again = min((at for at in (diagnosis.look_again_at, more_at) if at), default=None)
        diagnosis = replace(diagnosis, look_again_at=plus(again, ahead) if again else None)
        restart = config.restart_of(snapshot.source)
        owners = self._owners[snapshot.source].of(snapshot.jobs, now)
        return SourceState(snapshot, diagnosis, now, read_at, sifted.deadlines, owners, missed, restart)

    def _publish(self, *, has_changed: bool) -> None:
        states = tuple(state for state in self._states if state is not None)
        version = self._published.version + 1 if has_changed else self._published.version
        self._published = _beside(states, version, self._published.own, self._published.to_follow)

    def add(self, own: tuple[Finding, ...], to_follow: tuple[Finding, ...] = ()) -> Published:
        """Publish what the watchdog knows from its own records beside what was found, and what it is about to do."""
        if (own, to_follow) != (self._published.own, self._published.to_follow):
            states = tuple(state for state in self._states if state is not None)
            self._published = _beside(states, self._published.version + 1, own, to_follow)
        return self._published


class _Owners:
    """What the owners of one source's jobs are called, by the jobs' ids. Carried from judgement to judgement."""

    def __init__(self, people: Sequence[Owner], labels: Mapping[str, str], source: str) -> None:
        self._people, self._labels, self._source = people, labels, source
        self._names: PerJob[str] = PerJob()
        self._known: Mapping[str, str] = {}

    def of(self, jobs: Sequence[Job], now: datetime) -> Mapping[str, str]:
        """Empty where nobody is named as an owner."""
        if self._people:
            renewed, names = self._names.renew(jobs, now, self._name), self._names.results
            self._known = by_id(self._known, jobs, renewed, names.__getitem__)
        return self._known

    def _name(self, job: Job, _: str | None) -> tuple[str, None]:
        asked = subject_of(self._source, job, self._labels)
        return owner_name(next(owners_of(self._people, asked), None)), None


def _beside(
    states: tuple[SourceState, ...], version: int, own: tuple[Finding, ...], to_follow: tuple[Finding, ...]
) -> Published:
    """What was found, and what the watchdog knows from its own records, which says more of the same."""
    known = {finding.key for finding in own}
    return Published(tuple(_without(state, known) for state in states) if known else states, version, own, to_follow)


def _without(state: SourceState, known: Collection[tuple[str, str, str | None]]) -> SourceState:
    findings = tuple(finding for finding in state.diagnosis.findings if finding.key not in known)
    if len(findings) == len(state.diagnosis.findings):
        return state
    return replace(state, diagnosis=replace(state.diagnosis, findings=findings))


def _is_outdated(state: SourceState, now: datetime) -> bool:
    """Whether the judgement may be another one now: a deadline was reached, or the clock was set back."""
    limit = state.diagnosis.look_again_at
    return now < state.judged_at or (limit is not None and now >= limit)
