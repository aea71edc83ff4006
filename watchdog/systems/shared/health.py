"""What a source's `health:` address tells of the scheduler's process, beside what the lock on its store tells.

The address is asked beside the loop, and only while something is late; here its last answer is read. Where both agree
that is the more certain, where they contradict each other the less grave holds.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from watchdog.core.model import HealthAnswer, Process
from watchdog.systems.base import Look, Source
from watchdog.systems.shared.host import Health, Host

FRESH = timedelta(seconds=60)
"""For how long an answer tells of the present. While something is late it is asked for again sooner than that."""

_NAME, _STARTED = "health", "started_at"


class Hearing:
    """Joins what an address tells to what is known of one process otherwise, from look to look."""

    def __init__(self, host: Host) -> None:
        self._health = host.health
        self._memory = host.memory
        self._started = host.memory.recall(_NAME, datetime).get(_STARTED) if self._health else None
        self._before = Process()

    def joined(self, process: Process, now: datetime) -> Process:
        """The process, as far as both together can tell."""
        if self._health is None:
            return process
        told = self._health()
        if told.asked_at is None or not timedelta() <= now - told.asked_at <= FRESH:
            told = Health()
        self._note_start(told.started_at, now)
        alive, frozen = agreed(process.is_alive, process.is_frozen, told.says)
        started = max((at for at in (process.started_at, self._started) if at), default=None)
        joined = replace(process, is_alive=alive, is_frozen=frozen, started_at=started, health=told.says)
        self._before = replace(joined, since=self._since(process, joined) or now)
        return self._before

    def _note_start(self, started: datetime | None, now: datetime) -> None:
        known = self._started
        if known and known > now:
            known = None  # the clock stood ahead when that was told
        if started and (known is None or started > known):
            known = started
        if known != self._started:
            self._started = known
            self._memory.keep(_NAME, {_STARTED: known})

    def _since(self, process: Process, joined: Process) -> datetime | None:
        state, before = (joined.is_alive, joined.is_frozen), self._before
        if state == (process.is_alive, process.is_frozen):
            return process.since
        return before.since if state == (before.is_alive, before.is_frozen) else None


def agreed(is_alive: bool | None, is_frozen: bool | None, says: HealthAnswer | None) -> tuple[bool | None, bool | None]:
    """Whether the process is alive, and whether it is frozen: by what is known of it, and by what its address says."""
    if says == "alive":
        return None if is_alive is False else True, None if is_frozen else False
    if says == "refused" and is_alive is None:
        return False, None
    if says == "mute" and is_alive is not False and is_frozen is None:
        return is_alive, True
    return is_alive, is_frozen


class HeardSource:
    """A source that knows nothing of its scheduler's process by itself, with what the address tells joined to it."""

    def __init__(self, source: Source, host: Host) -> None:
        self._source = source
        self._hearing = Hearing(host)
        self._last: Look | None = None

    @property
    def name(self) -> str:
        """The source's own."""
        return self._source.name

    @property
    def kind(self) -> str:
        """The source's own."""
        return self._source.kind

    def warnings(self) -> list[str]:
        """The source's own."""
        return self._source.warnings()

    def look(self, now: datetime) -> Look:
        """The source's own look; also new where only what is known of the process has changed."""
        look, before = self._source.look(now), self._last
        if look.snapshot.problem is not None:
            self._last = None
            return look
        process = self._hearing.joined(look.snapshot.process, now)
        if before is not None and not look.is_new and before.snapshot.process == process:
            return Look(before.snapshot, is_new=False, seconds=look.seconds)
        self._last = Look(replace(look.snapshot, process=process), is_new=True, seconds=look.seconds)
        return self._last


def heard(source: Source, host: Host) -> Source:
    """The source, with what its health address tells where it has one."""
    return source if host.health is None else HeardSource(source, host)
