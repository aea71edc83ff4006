"""What is known of the scheduler's process: by an SQLite file that it holds open, by its health address, and by saves
that come by the clock. A file of jobs itself has no lock."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from watchdog.core.model import Process
from watchdog.systems.shared.health import Hearing
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.liveness import Liveness


class SeenProcess:
    """Asks at each look. `held`: files that it may hold open, of which the first that is there counts."""

    def __init__(self, held: Sequence[Path], host: Host) -> None:
        self._held = held
        self._host = host
        self._liveness: Liveness | None = None
        self._hearing = Hearing(host)
        self._was_seen = False
        self.is_let_go = False
        """Whether nobody has the file open that somebody had open before."""

    def look(self, now: datetime, written_at: datetime | None, *, is_busy: bool) -> Process:
        """The process now. `written_at`: when the jobs were last written, which only a live one does."""
        found = self._found(now, is_busy=is_busy)
        self._was_seen = self._was_seen or found.is_alive is True
        self.is_let_go = found.is_alive is False
        if found.is_alive is not False or found.health == "refused":
            return found
        is_back = written_at is not None and found.since is not None and written_at > found.since
        # it opens the file only when it needs it: one that was never seen with it, or that writes again, is not gone
        return found if self._was_seen and not is_back else replace(found, is_alive=None, since=None)

    def _found(self, now: datetime, *, is_busy: bool) -> Process:
        if self._liveness is None:
            there = next((path for path in self._held if os.path.exists(path)), None)  # noqa: PTH110 - it raises nothing
            if there is None:
                return self._hearing.joined(Process(), now)
            self._liveness = Liveness(there, self._host)
        return self._liveness.look(now, is_busy=is_busy)
