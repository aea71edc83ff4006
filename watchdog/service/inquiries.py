"""Asking the health addresses of sources: beside the loop, and only while something is late.

Each question is a short-lived process, so neither a name that does not resolve nor a peer that drips holds up anybody;
the loop only picks up what has come back.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from watchdog.config.sources import Section
from watchdog.core.children import Child, Result
from watchdog.core.clock import Stamp
from watchdog.core.kinds import Kind
from watchdog.core.logs import log
from watchdog.core.model import HealthAnswer, Snapshot
from watchdog.core.moment import Gap
from watchdog.detectors.published import Published, SourceState
from watchdog.systems.shared.health import FRESH
from watchdog.systems.shared.host import Health

ASKED_EVERY = timedelta(seconds=15)
DEADLINE = timedelta(seconds=10)
"""For all of it: finding the name, connecting, the answer to its last byte."""

LATE = frozenset({Kind.OVERDUE, Kind.STALLED, Kind.WEDGED, Kind.UNRECORDED})

SAME_START = timedelta(seconds=12)
"""What an uptime tells of a start is uncertain by as long as an answer may take; a newer start lies further off."""

_ROUNDED = timedelta(seconds=1)
"""An uptime may be cut to the second."""

_UNEVEN = 1.0
"""Seconds by which the wall's clock and the machine's may part between two turns."""

_SKEW = timedelta(seconds=5)
"""How far the scheduler's clock may lie ahead of ours before its stamps prove anything."""


class Inquiry:
    """One source's address. `told` is what it told last; whoever reads it never waits."""

    def __init__(self, section: Section) -> None:
        self._source = section.name
        self._order = {"do": "health", "url": section.health, "keys": section.health_says}
        parts = urlsplit(section.health or "")
        self._place = f"{self._source}: its health address at {parts.hostname}"
        self._child: Child | None = None
        self._asked_at: datetime | None = None
        self._raw: HealthAnswer | None = None
        self._quiet_since: datetime | None = None
        self._is_doubted = False
        self._has_answered = False
        self._started_at: datetime | None = None
        self._words = ""
        self.told = Health()

    def turn(self, state: SourceState, now: datetime, even_since: datetime | None) -> None:
        """Pick up an answer; ask, if something is late and the last question is some time ago."""
        self._doubt(state.snapshot)
        if self._child is not None:
            outcome = self._child.outcome()
            if outcome is not None:
                self._child = None
                self._take(outcome, even_since)
        elif is_late(state, now) and self._may_ask(now):
            self._ask(now)

    @property
    def is_asking(self) -> bool:
        """Whether a question is under way."""
        return self._child is not None

    def _may_ask(self, now: datetime) -> bool:
        return self._asked_at is None or not timedelta() <= now - self._asked_at < ASKED_EVERY

    def _ask(self, now: datetime) -> None:
        if self._asked_at is None or not timedelta() <= now - self._asked_at <= FRESH:
            self._begin_anew()
        self._asked_at = now
        try:
            self._child = Child("watchdog.systems.shared.asking_health", self._order, DEADLINE)
        except OSError as error:  # no process can be started now
            log.debug(f"{self._place} cannot be asked: {error}", extra={"action": "health"})

    def _begin_anew(self) -> None:
        """All was well for a while: what was told before that says nothing of now."""
        self._raw = self._quiet_since = None
        self._is_doubted = self._is_doubted and not self._has_answered

    def _take(self, outcome: Result, even_since: datetime | None) -> None:
        before, says = self._raw, _says(outcome)
        if outcome.said.get("is_unreached") and before == "mute":
            says = "mute"  # it takes no more connections, for nobody has answered those before
        self._raw = says
        if says == "alive":
            self._is_doubted, self._has_answered = False, True
        self._quiet_since = (self._quiet_since or self._asked_at) if says in ("mute", "refused") else None
        # one refusal may be a process that is just starting
        is_proof = says is not None and not self._is_doubted and (says != "refused" or before == "refused")
        started = self._start(outcome.said.get("uptime"), even_since) if says == "alive" else None
        self.told = Health(says if is_proof else None, self._asked_at, started)
        self._say(says or f"proves nothing: {outcome.error}")

    def _start(self, uptime: object, even_since: datetime | None) -> datetime | None:
        """When it started, at the earliest: it counted up to no more than this between the question and the answer.

        None where this machine slept since, or its clock was set: then nobody can tell what the uptime counts.
        """
        if not isinstance(uptime, float) or self._asked_at is None:
            return None
        at = self._asked_at - timedelta(seconds=uptime) - _ROUNDED
        if even_since is not None and at < even_since:
            return None
        if self._started_at is None or abs(at - self._started_at) >= SAME_START:
            self._started_at = at
        return self._started_at

    def _doubt(self, snapshot: Snapshot) -> None:
        """A scheduler whose jobs run while its address is silent has another address."""
        if self._quiet_since is None or self._is_doubted:
            return
        lived = _last_sign(snapshot)
        if lived is not None and lived > self._quiet_since + _SKEW:
            self._is_doubted = True
            self.told = Health(None, self._asked_at)

    def _say(self, words: str) -> None:
        if words == self._words:
            return
        self._words = words
        said = {"alive": "answers", "mute": "does not answer", "refused": "refuses the connection"}.get(words, words)
        log.info(f"{self._place} {said}", extra={"action": "health", "source": self._source})

    def end(self) -> None:
        """Ask no more."""
        if self._child is not None:
            self._child.kill()
            self._child = None


def _says(outcome: Result) -> HealthAnswer | None:
    says = outcome.said.get("says") if outcome.ok else None
    return says if says in ("alive", "mute", "refused") else None


def _last_sign(snapshot: Snapshot) -> datetime | None:
    """The newest trace of a run."""
    starts = [job.last_started_at for job in snapshot.jobs if job.last_started_at]
    return max([*starts, *(job.last_end.at for job in snapshot.jobs if job.last_end)], default=None)


def is_late(state: SourceState, now: datetime) -> bool:
    """Whether something of the source is late."""
    if any(finding.kind in LATE for finding in state.diagnosis.findings):
        return True
    idle = (job.id for job in state.snapshot.jobs if job.in_flight_since is None)
    return any(id_ in state.deadlines and state.deadlines[id_] <= now for id_ in idle)


class EvenTime:
    """Since when this machine's clock has run evenly; None: as long as it has been up.

    An uptime may or may not count the time that a machine slept, and never a jump of the clock: what it says of a start
    before such a thing is not believed.
    """

    def __init__(self, stamp: Stamp) -> None:
        self._before = stamp
        self.since = stamp.at if stamp.slept > _UNEVEN else None

    def turn(self, stamp: Stamp, gaps: Sequence[Gap]) -> None:
        """Note a jump or a sleep since the last turn, and a time in which nobody looked."""
        before, self._before = self._before, stamp
        passed = (stamp.at - before.at).total_seconds()
        awake = (stamp.uptime - stamp.slept) - (before.uptime - before.slept)
        if stamp.boot and abs(passed - awake) > _UNEVEN:
            self.since = stamp.at
        if gaps:
            self.since = max(self.since or gaps[-1].ended, gaps[-1].ended)


class Inquiries:
    """The addresses of all sources that have one."""

    def __init__(self, sections: Sequence[Section], stamp: Stamp) -> None:
        self._asked: Mapping[str, tuple[Section, Inquiry]] = {}
        self._time = EvenTime(stamp)
        self.use(sections)

    def use(self, sections: Sequence[Section]) -> None:
        """From now on these; an address that is the same goes on with what it has told."""
        old = self._asked
        self._asked = {
            section.name: (section, old[section.name][1] if _is_same(section, old) else Inquiry(section))
            for section in sections
            if section.health
        }
        kept = [inquiry for _, inquiry in self._asked.values()]
        for _, inquiry in old.values():
            if inquiry not in kept:
                inquiry.end()

    def of(self, source: str) -> Callable[[], Health] | None:
        """What gives the last answer of a source's address."""
        if source not in self._asked:
            return None
        inquiry = self._asked[source][1]
        return lambda: inquiry.told

    def turn(self, published: Published, stamp: Stamp, gaps: Sequence[Gap]) -> None:
        """Ask those of which something is late. Nothing here waits."""
        self._time.turn(stamp, gaps)
        for state in published.sources:
            if state.snapshot.source in self._asked:
                self._asked[state.snapshot.source][1].turn(state, stamp.at, self._time.since)

    def end(self) -> None:
        """Ask no more."""
        for _, inquiry in self._asked.values():
            inquiry.end()


def _is_same(section: Section, old: Mapping[str, tuple[Section, Inquiry]]) -> bool:
    if section.name not in old:
        return False
    before = old[section.name][0]
    return (before.kind, before.health) == (section.kind, section.health)
