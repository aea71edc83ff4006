"""For the tests of telling: findings made by hand, and an office that tells people of them on a virtual clock."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.conftest import NOW
from watchdog.config.file import Config
from watchdog.core.incident import Incident, Ledger
from watchdog.core.kinds import Kind, Severity
from watchdog.core.message import Entry
from watchdog.core.model import Cause, CronSchedule, Finding, Job, Snapshot
from watchdog.core.moment import Moment
from watchdog.detectors.diagnosis import Diagnosis
from watchdog.detectors.published import Published, SourceState
from watchdog.incidents.ledger import Timing, update
from watchdog.notify.notifier import Notifier
from watchdog.state.store import Store

SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))

_WARNINGS = (
    Kind.OVERDUE,
    Kind.LONG_RUN,
    Kind.ZERO_TOKENS,
    Kind.FAILING,
    Kind.EXPIRING,
    Kind.UNDELIVERED,
    Kind.DUPLICATE,
)
IN_FLIGHT = "in_flight"


def finding(
    kind: str = "overdue",
    job: str | None = "heartbeat",
    *,
    severity: str | None = None,
    since: datetime | None = None,
    source: str = "agent",
    under: Finding | tuple[str, str | None] | None = None,
    summary: str | None = None,
    **evidence: object,
) -> Finding:
    """What a detector might say of a job; `under` is its cause, a finding or the kind and the job of one."""
    usual = Severity.WARNING if Kind(kind) in _WARNINGS else Severity.CRITICAL
    cause = (under.kind.value, under.job) if isinstance(under, Finding) else under
    return Finding(
        source,
        Kind(kind),
        Severity(severity) if severity else usual,
        f"id-{job}" if job else None,
        job,
        since,
        summary or f"{job or source} has the condition {kind}",
        evidence,
        Cause(cause[0], f"id-{cause[1]}" if cause[1] else None, cause[1]) if cause else None,
    )


def failing(job: str, error_class: str = "transient", **more: Any) -> Finding:
    """A job that fails with errors of a class."""
    return finding("failing", job, error_class=error_class, **more)


def job(name: str, **facts: Any) -> Job:
    """A job of that name."""
    return Job(f"id-{name}", name, CronSchedule("0 * * * *", "UTC"), **facts)


class Diary:
    """Incidents from look to look, on a virtual clock that starts at NOW."""

    def __init__(self, timing: Timing | None = None) -> None:
        self.timing = timing or Timing()
        self.now = NOW
        self.ledger = Ledger()

    def look(self, *findings: Finding, after: timedelta = timedelta(), blind: Iterable[str] = ()) -> list[Incident]:
        """Look so much later and find this; the open incidents."""
        self.now += after
        self.ledger = update(self.ledger, findings, frozenset(blind), Moment(self.now), self.timing)
        return self.ledger.open

    @property
    def only(self) -> Incident:
        """The one incident that there is."""
        (incident,) = self.ledger.incidents.values()
        return incident


@dataclass(frozen=True)
class Sent:
    """A message as it was written down for a target."""

    at: datetime
    target: str
    event: str
    title: str
    text: str = field(repr=False)


def configured(**sections: Any) -> Config:
    """A configuration of one source and the channels `ops` and `boss`, with what else is said."""
    usual = {
        "sources": [{"name": "agent", "database": "phantom.db", "labels": {"team": "night"}}],
        "channels": {"ops": "json://127.0.0.1:9/ops", "boss": "json://127.0.0.1:9/boss"},
        "owners": [{"notify": ["ops"]}],
    }
    return Config.validated({**usual, **sections})


class Office:
    """The notifier with a store, on a virtual clock that starts at NOW. Nothing is sent."""

    def __init__(self, config: Config | None = None, store: Store | None = None, now: datetime = NOW) -> None:
        self.config = config or configured()
        self.store = store or Store(None)
        self.notifier = Notifier(self.config, self.store)
        self.now = now
        self.jobs: tuple[Job, ...] = ()
        self._version = 0
        self._published = Published(())

    def find(self, *findings: Finding, problem: str | None = None) -> None:
        """A tick that finds this, and nothing else any more."""
        self._version += 1
        snapshot = Snapshot("agent", "phantom", self.jobs, problem)
        state = SourceState(snapshot, Diagnosis(findings, None), self.now, self.now)
        self._published = Published((state,), self._version)
        self.notifier.turn(self._published, self.now)

    def look(self) -> None:
        """A tick that finds nothing new."""
        self._version += 1
        self._published = Published(self._published.sources, self._version)
        self.notifier.turn(self._published, self.now)

    def wait(self, length: timedelta) -> None:
        """So much time goes by; the notifier is asked only when it wanted to be."""
        end = self.now + length
        while (again := self.notifier.look_again_at) is not None and again <= end:
            self.now = max(self.now, again)
            self.notifier.turn(self._published, self.now)
        self.now = end

    def configure(self, **sections: Any) -> None:
        """The configuration is read again, and says this now."""
        self.config = configured(**sections)
        self.notifier.use(self.config)
        self.look()

    def restart(self) -> None:
        """The watchdog ends and begins anew, with the same state file."""
        self.notifier = Notifier(self.config, self.store)

    def silence_from_now(self, match: str, length: timedelta) -> int:
        """Somebody silences what matches; the number of the silence."""
        from watchdog.core.silences import Silence

        number = self.store.add_silence(Silence(0, match, self.now, self.now + length, "anna"))
        self.look()
        return number

    def acknowledge(self, incident: int = 1) -> None:
        """Somebody takes it on."""
        self.store.acknowledge(incident, self.now, "anna")
        self.look()

    @property
    def letters(self) -> list[Sent]:
        """All that was written down to be sent, oldest first."""
        return [_letter(entry) for entry in self.store.waiting()]

    @property
    def told(self) -> list[tuple[str, str]]:
        """Target and event of each letter."""
        return [(letter.target, letter.event) for letter in self.letters]


def _letter(entry: Entry) -> Sent:
    return Sent(entry.created_at, entry.target, entry.event, entry.message["title"], entry.message["text"])
