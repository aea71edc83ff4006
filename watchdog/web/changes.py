"""What may be changed over HTTP. Each change and its entry in the audit are one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from watchdog.config.file import Config
from watchdog.core.action import Action, State
from watchdog.core.command_line import command
from watchdog.core.incident import Incident
from watchdog.core.instants import iso
from watchdog.core.logs import log
from watchdog.core.redaction import one_line
from watchdog.core.silences import Silence, read_match
from watchdog.incidents import silencing
from watchdog.recovery import by_hand
from watchdog.state.records import Records
from watchdog.state.store import AuditEntry, Store
from watchdog.web.advice import whole
from watchdog.web.archive import Archive
from watchdog.web.published_state import PublishedState

NAME_LENGTH = 60
LONGEST_SILENCE = timedelta(days=366)


class UnknownError(Exception):
    """There is no such thing; one line."""


class ConflictError(Exception):
    """It cannot or must not be done now; one line that says why."""


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks: the name that was given, how it was proved, from where."""

    name: str
    way: str
    address: str

    def __str__(self) -> str:
        return f"{one_line(self.name, NAME_LENGTH) or 'somebody'} ({self.way})"


class Changes:
    """Makes changes in the state file. `now` gives the service's own instant, `config` what holds at present,
    `published_state` what there is to be silenced."""

    def __init__(
        self,
        archive: Archive,
        config: Callable[[], Config],
        now: Callable[[], datetime],
        published_state: PublishedState,
    ) -> None:
        self._archive = archive
        self._published_state = published_state
        self._config = config
        self._now = now

    @property
    def can_revive(self) -> bool:
        """Whether the running service carries out what is written down for it."""
        return not self._config().recovery.why_idle

    def acknowledge(self, number: int, who: Who) -> None:
        """Somebody takes an incident on. Raises UnknownError, ConflictError, NoArchiveError."""
        with self._archive.opened() as store:
            incident = store.ledger().incidents.get(number)
            if incident is None:
                raise UnknownError(f"there is no incident {number}")
            if not incident.is_open:
                raise ConflictError(f"incident {number} is over already")
            now = self._now()
            with store.transaction():
                store.acknowledge(number, now, str(who))
                _note(store, now, who, f"acknowledged incident {number}: {incident.headline.summary}")

    def unacknowledge(self, number: int, who: Who) -> None:
        """Nobody has taken it on any more. Raises UnknownError, ConflictError, NoArchiveError."""
        with self._archive.opened() as store:
            incident = store.ledger().incidents.get(number)
            if incident is None:
                raise UnknownError(f"there is no incident {number}")
            now = self._now()
            with store.transaction():
                if not store.unacknowledge(number, now, str(who)):
                    raise ConflictError(f"nobody has taken incident {number} on")
                _note(store, now, who, f"gave incident {number} back: {incident.headline.summary}")

    def end_silence(self, number: int, who: Who) -> Silence:
        """End a silence now. Raises UnknownError, NoArchiveError."""
        with self._archive.opened() as store:
            now = self._now()
            found = next((one for one in store.silences(now) if one.id == number), None)
            if found is None:
                raise UnknownError(f"there is no silence {number} that has not ended")
            with store.transaction():
                store.end_silence(number, now)
                _note(store, now, who, f"ended silence {number}: {found.match}")
            return replace(found, ends_at=now)

    def silence(self, match: str, length: timedelta, who: Who, *, ahead: bool = False) -> Silence:
        """Keep quiet for a time. `ahead`: also of what no job is like yet. Raises ValueError with what is accepted,
        NoArchiveError."""
        read_match(match)
        if not timedelta() < length <= LONGEST_SILENCE:
            raise ValueError("a silence lasts longer than nothing, and a year at most")
        with self._archive.opened() as store:
            now = self._now()
            wanted = Silence(0, match, now, now + length, str(who))
            self._must_mean_something(wanted, store.ledger().open, ahead=ahead)
            with store.transaction():
                number = store.add_silence(wanted)
                _note(store, now, who, f"silence {number}: {match} until {iso(wanted.ends_at)}")
            return Silence(number, match, now, wanted.ends_at, wanted.by)

    def _must_mean_something(self, wanted: Silence, incidents: Sequence[Incident], *, ahead: bool) -> None:
        posting = self._published_state.posting
        jobs = silencing.jobs_now(posting.published) if posting else None
        told = {key for incident in incidents for key in incident.members}
        loose = [finding for finding in posting.published.findings if finding.key not in told] if posting else []
        silencing.what_fits(wanted, incidents, jobs, ahead=ahead, loose=loose)

    def approve(self, number: int, who: Who) -> Action:
        """Allow a proposed recovery. Raises UnknownError, ConflictError, NoArchiveError."""
        with self._archive.opened() as store:
            records = Records(store)
            action = records.action(number)
            if action is None:
                raise UnknownError(f"there is no recovery {number}")
            if action.state is not State.PROPOSED:
                raise ConflictError(f"recovery {number} does not wait for approval: it is {action.standing}")
            now = self._now()
            with store.transaction():
                records.approve(number, now, str(who))
                _note(store, now, who, f"approved recovery {number}: {action.kind} of {action.subject}")
            return action

    def revive(self, source: str, job_id: str, who: Who) -> Action:
        """Have the service bring a failed job back. Raises ConflictError with the reason, NoArchiveError."""
        if not self.can_revive:
            config = self._config()
            typed = whole(command("revive", job_id), config)
            raise ConflictError(
                f"this watchdog carries nothing out: {config.recovery.why_idle}; on its machine type: {typed}"
            )
        with self._archive.opened() as store:
            records, now = Records(store), self._now()
            with store.transaction():
                try:
                    action = by_hand.intend(self._config(), records, source, job_id, str(who), now)
                except by_hand.RefusedError as error:
                    raise ConflictError(str(error)) from error
                _note(store, now, who, f"asked to revive {action.job} ({job_id} of {source})")
            return action

    def revive_all(self, number: int, who: Who) -> tuple[int, list[str]]:
        """The same for all jobs of an incident that can be brought back: how many, and why others are not.

        Raises UnknownError, ConflictError, NoArchiveError.
        """
        with self._archive.opened() as store:
            incident = store.ledger().incidents.get(number)
        if incident is None:
            raise UnknownError(f"there is no incident {number}")
        begun, refused = 0, []
        for source, job_id in dict.fromkeys((m.finding.source, m.finding.job_id) for m in incident.own if m.active):
            try:
                self.revive(source, job_id or "", who)
                begun += 1
            except ConflictError as error:
                refused.append(str(error))
        if not begun:
            raise ConflictError(refused[0] if refused else f"incident {number} is over")
        return begun, refused

    def plan(self, source: str, job_id: str) -> str:
        """What a revival would do, without doing it. Raises ConflictError with what stands against it."""
        try:
            return by_hand.planned(self._config(), source, job_id)
        except by_hand.RefusedError as error:
            raise ConflictError(str(error)) from error

    def audit(self, limit: int) -> list[AuditEntry]:
        """The newest changes, newest first. Raises NoArchiveError."""
        with self._archive.opened() as store:
            return store.audit(limit)


def _note(store: Store, at: datetime, who: Who, what: str) -> None:
    text = one_line(what, 500)
    store.note_change(at, str(who), who.address, text)
    log.info(text, extra={"action": "changed", "by": str(who), "address": who.address})
