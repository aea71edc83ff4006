"""What the service finds out about its own state file, as a finding beside those of the sources."""

from datetime import datetime, timedelta

from watchdog.core.model import Finding
from watchdog.detectors.unsaved import cannot_be_written, was_mended
from watchdog.state.store import Store

TOLD_FOR = timedelta(minutes=15)
"""How long it is told that the file had to be mended."""


class OwnState:
    """Looks after the state file at each turn. `problem` says why nothing can be written now; empty if all is well.

    A finding comes of a problem that is there at two turns: a backup or a shell may keep the file locked for a moment.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._since: datetime | None = None
        self._is_lasting = False
        self._mended: tuple[datetime, str] | None = None

    @property
    def problem(self) -> str:
        """Why nothing can be written down now."""
        return self._store.problem

    @property
    def look_again_at(self) -> datetime | None:
        """When what was mended has been told for long enough."""
        return self._mended[0] + TOLD_FOR if self._mended else None

    def turn(self, now: datetime) -> tuple[Finding, ...]:
        """Put it right if need be; what is to be told of it."""
        self._store.look_after()
        mended = self._store.mended()
        if mended:
            self._mended = (now, mended)
        if self._mended and not timedelta() <= now - self._mended[0] < TOLD_FOR:
            self._mended = None
        problem = self._store.problem
        self._is_lasting = bool(problem) and self._since is not None
        self._since = (self._since or now) if problem else None
        return self._findings(problem)

    def _findings(self, problem: str) -> tuple[Finding, ...]:
        if self._is_lasting and self._since is not None:
            return (cannot_be_written(self._store.path, problem, self._since),)
        if self._mended is not None:
            return (was_mended(str(self._store.path), self._mended[1], self._mended[0]),)
        return ()
