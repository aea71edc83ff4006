"""Which jobs each source had, over any restart of the watchdog: what is gone can only be told from what was there.

One look cannot tell a job that was lost from one that never was. What was there is remembered here by its id; what is
missing at a later look, and is explained by nothing on record, is handed on with the snapshot as `gone`.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from watchdog.cadence.schedule import words
from watchdog.config.sources import Section
from watchdog.core.changed import unlike
from watchdog.core.kinds import Kind
from watchdog.core.model import Departed, Expected, Gone, Job, Snapshot
from watchdog.detectors.vanished import AT_ONCE, fits
from watchdog.systems.shared.host import Memory, NoMemory

KEPT_FOR = timedelta(days=30)
"""How long a job that is gone is remembered."""

FRESH = timedelta(days=1)
"""So often what has not changed is written anew: so it is known until when a job was there, and is not tidied."""

KEPT_JOBS = 5000
"""Of one source; of more the rest is not remembered."""

_NAME, _PLACE = "inventory", "inventory_of"


@dataclass(frozen=True, slots=True)
class Entry:
    """A job as it was last seen, and since when it is gone, if it is, among how many that were there."""

    name: str
    schedule: str
    status: str
    seen_at: datetime
    sweep_at: datetime | None = None
    may_go_at: datetime | None = None
    goes_by: datetime | None = None
    gone_at: datetime | None = None
    among: int = 0


@dataclass
class _Known:
    """One source's entries by id, the jobs of the last look, and the expected names that nothing fits, since when."""

    place: str
    memory: Memory
    section: Section | None = None
    entries: dict[str, Entry] = field(default_factory=dict)
    jobs: tuple[Job, ...] = ()
    ids: frozenset[str] = frozenset()
    unmatched: dict[str, datetime | None] | None = None
    written_at: datetime | None = None


class Inventory:
    """What is remembered of all sources; `memory_of` gives each its memory, by its name."""

    def __init__(self, memory_of: Callable[[str], Memory] = lambda name: NoMemory()) -> None:
        self._memory_of = memory_of
        self._of: dict[str, _Known] = {}

    def see(self, section: Section, snapshot: Snapshot, now: datetime, current_at: datetime | None) -> Snapshot:
        """The snapshot with what is gone and what should be there; `current_at`: when the one before still held.

        A source that cannot be read, or not all of whose jobs can be seen, loses nothing.
        """
        if snapshot.problem is not None:
            return snapshot
        known = self._known(section)
        _take(known, snapshot.jobs, now)
        if not any(Kind.VANISHED in each.hides for each in snapshot.unseen):
            _miss(known, snapshot, now, current_at)
        gone = _told(known)
        expected = _expected(known, section.expect, snapshot.jobs, now)
        return replace(snapshot, gone=gone, expected=expected) if gone or expected else snapshot

    def _known(self, section: Section) -> _Known:
        known = self._of.get(section.name)
        if known is not None and known.section is section:
            return known
        place = section.identity
        if known is None or known.place != place:
            known = self._of[section.name] = _recalled(self._memory_of(section.name), place)
        known.section = section
        return known


def _told(known: _Known) -> tuple[Gone, ...]:
    absent = known.entries.keys() - known.ids
    if not absent:
        return ()
    return tuple(_gone(id_, entry) for id_, entry in known.entries.items() if entry.gone_at)


def _recalled(memory: Memory, place: str) -> _Known:
    """What was remembered; if it was of another place, other jobs stood there, and none of them is missed."""
    entries = memory.recall(_NAME, Entry)
    before = memory.recall(_PLACE, str).get("")
    if before == place:
        return _Known(place, memory, entries=entries)
    memory.keep(_NAME, dict.fromkeys(entries))
    memory.keep(_PLACE, {"": place})
    return _Known(place, memory)


def _take(known: _Known, jobs: tuple[Job, ...], now: datetime) -> None:
    """Remember what is there."""
    is_stale = known.written_at is None or abs(now - known.written_at) >= FRESH
    new: dict[str, Entry] = {}
    places = range(len(jobs)) if is_stale else unlike(known.jobs, jobs)
    for job in (jobs[place] for place in places):
        before, entry = known.entries.get(job.id), _entry(job, now)
        if before is None and len(known.entries) >= KEPT_JOBS:
            continue
        known.entries[job.id] = entry
        if is_stale or before is None or replace(before, seen_at=now) != entry:
            new[job.id] = entry
    known.memory.keep(_NAME, new)
    if places or len(known.jobs) != len(jobs):
        known.jobs, known.ids = jobs, frozenset([job.id for job in jobs])
    if is_stale:
        known.written_at = now
        known.memory.keep(_PLACE, {"": known.place})


def _miss(known: _Known, snapshot: Snapshot, now: datetime, current_at: datetime | None) -> None:
    """Note what is gone since, and forget what something explains, or what has been gone for long."""
    absent = known.entries.keys() - known.ids
    if not absent:
        return
    missing = {id_: entry for id_, entry in known.entries.items() if id_ in absent}
    names = {job.name.casefold() for job in snapshot.jobs}
    missing = {id_: _seen_until(entry, current_at) for id_, entry in missing.items()}
    over = [id_ for id_, entry in missing.items() if _is_over(id_, entry, names, snapshot.departed, now)]
    lost = {id_: entry for id_, entry in missing.items() if entry.gone_at is None and id_ not in over}
    among = len(known.ids) + len(lost) + _just_lost(missing.values(), now)
    gone = {id_: replace(entry, gone_at=now, among=among) for id_, entry in lost.items()}
    known.entries = {id_: entry for id_, entry in known.entries.items() if id_ not in over} | gone
    known.memory.keep(_NAME, {**gone, **dict.fromkeys(over)})


def _seen_until(entry: Entry, current_at: datetime | None) -> Entry:
    """The look before the first that did not show it still held until then."""
    if entry.gone_at is not None or current_at is None or current_at <= entry.seen_at:
        return entry
    return replace(entry, seen_at=current_at)


def _entry(job: Job, now: datetime) -> Entry:
    return Entry(job.name, words(job.schedule), job.status, now, job.sweep_at, job.may_go_at, job.goes_by)


def _gone(id_: str, entry: Entry) -> Gone:
    since = entry.gone_at or entry.seen_at
    unserved_at = entry.may_go_at if _has_outstayed(entry) else None
    return Gone(
        id_, entry.name, entry.schedule, entry.status, since, entry.seen_at, entry.among, entry.sweep_at, unserved_at
    )


def _has_outstayed(entry: Entry) -> bool:
    """Whether it was still there when its scheduler would have been done with it."""
    return entry.goes_by is not None and entry.seen_at > entry.goes_by


def _is_over(id_: str, entry: Entry, names: Collection[str], departed: Departed, now: datetime) -> bool:
    """Whether it was deleted on record, is there under another id, has come to the end that it was made for, or has
    been gone for long."""
    gone_at = entry.gone_at or now
    if id_ in departed.deleted or entry.name.casefold() in names or now - gone_at > KEPT_FOR:
        return True
    if _has_outstayed(entry):
        return False
    return entry.may_go_at is not None and (entry.may_go_at <= gone_at or id_ in departed.ran)


def _just_lost(missing: Collection[Entry], now: datetime) -> int:
    return sum(entry.gone_at is not None and now - entry.gone_at <= AT_ONCE for entry in missing)


def _expected(known: _Known, patterns: Collection[str], jobs: Collection[Job], now: datetime) -> tuple[Expected, ...]:
    """The patterns, each with since when nothing is seen that fits it; the first look cannot tell."""
    if not patterns:
        return ()
    names = [job.name for job in jobs]
    before, is_first = known.unmatched or {}, known.unmatched is None
    unmatched = [pattern for pattern in patterns if not any(fits(name, pattern) for name in names)]
    known.unmatched = {pattern: before.get(pattern, None if is_first else now) for pattern in unmatched}
    return tuple(Expected(pattern, known.unmatched.get(pattern)) for pattern in patterns)
