"""A small simulated scheduler that writes a real database file, for tests and for the demo.

The process and its rules are in `process`, the web API's operations in `operations`; here are the faults, which in the
watched system come by themselves.
"""

from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType

from watchdog.demo.operations import Answer, Call, Operations
from watchdog.demo.outcome import Outcome
from watchdog.demo.process import REARM, RUN_LIMIT, START_TOUCH, Behaviour, all_is_well

__all__ = ["Answer", "Behaviour", "Call", "Outcome", "Simulator"]


class Simulator(Operations):
    """The simulated scheduler on a file, on a virtual clock that starts at `now`.

    - `behaviour(name, now)` says what the agent does in each run; it may be replaced at any time, and must not open
      the file for writing.
    - `durable`: each change is its own commit, as the real writer's, so that another process sees the stages of a run
      (start touch; cost event and end touch; row). Otherwise a whole `run_until` is one transaction.
    - `host_zone`: the zone of cron jobs without one. `timeout`: when a run is aborted. `start_touch`: how long after
      its start a run touches its session. `rearm`: how soon the timer fires again when a row is past due already (at
      least 1 ms, as JavaScript's). `stock`: a build that cannot revive a failed job.

    A file that is there already is carried on with, as after a restart. It is a context manager; `close` it otherwise.
    """

    def __init__(
        self,
        path: Path,
        now: datetime,
        *,
        host_zone: str = "UTC",
        behaviour: Behaviour | None = None,
        durable: bool = False,
        timeout: timedelta = RUN_LIMIT,
        start_touch: timedelta = START_TOUCH,
        rearm: timedelta = REARM,
        stock: bool = True,
    ) -> None:
        self.stock = stock
        super().__init__(
            path,
            now,
            host_zone=host_zone,
            behaviour=behaviour or all_is_well,
            durable=durable,
            timeout=timeout,
            start_touch=start_touch,
            rearm=rearm,
        )

    def leak_session(self, job_id: str) -> None:
        """The job's busy flag stays set: from now on it is skipped on every pass, until a restart."""
        self._leaked.add(job_id)

    def leak_slot(self) -> None:
        """The slot's flag stays set: nothing starts, until a restart. A run in flight still ends and is recorded."""
        self._slot_leaked = True
        self._queue.clear()

    def drop_timer(self) -> None:
        """The armed timer is lost: nothing fires until an operation of the API or a restart arms one.

        The end of a pass arms one too, so drop it between runs.
        """
        self._timer = None

    def chat(self, conversation: str, outcome: Outcome | None = None) -> None:
        """A turn of a chat that ends now: a cost event that is no job's."""
        key = self._rows.open_session("slack", conversation, self._now)
        self._rows.bill(key, outcome or Outcome(), self._now)

    def __enter__(self) -> "Simulator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
