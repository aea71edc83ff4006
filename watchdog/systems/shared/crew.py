"""The threads in which sources are looked at: two, for more keep each other from it.

Reading SQLite from Python passes a lock on at each row: two hundred sources are read first in 5 s by one thread, in 6
by two, in 12 by eight, and a thousand with a thread each never. A look that hangs keeps its thread, though, and then
others take its place; and where looks wait for a slow disk or network rather than for each other there are a few more.
"""

import threading
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue

from watchdog.core.logs import log

HANDS = 2
"""Threads at the most, while no look is late."""

LATE = 1.0
"""Seconds after which a look may hang. Mostly it takes a few milliseconds."""

MOST_HANDS = 8
"""Threads where work waits and the processor has little to do, while no look is late."""

_WATCHES = 0.25
"""Seconds from one look at what waits to the next."""

_LINGERS = 60.0
"""Seconds that a thread waits for work before it ends."""

Work = Callable[[], None]


class Crew:
    """Does what it is handed in the order in which that came; no exception may come out of it."""

    def __init__(self, hands: int = HANDS) -> None:
        self._hands = hands
        self._orders: SimpleQueue[Work] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0
        self._threads = 0
        self._free = 0
        self._more = 0
        self._at_work: dict[int, float] = {}
        self._is_watched = self._is_short = False

    def order(self, work: Work, *, is_slow: bool = False) -> None:
        """Have it done as soon as somebody is free. What was late before is `is_slow`: it has a thread of its own."""
        if is_slow and self._starts(work):
            return
        with self._lock:
            self._waiting += 1
        self._orders.put(work)
        self._staff()

    def see_to_it(self) -> None:
        """Have others begin where work waits while some are late with theirs, now and until none waits any more.
        Whoever is kept waiting asks for this."""
        self._staff()
        with self._lock:
            is_wanted = self._waiting > self._free and not self._is_watched
            self._is_watched = self._is_watched or is_wanted
        if is_wanted and not self._starts(self._watch):
            self._is_watched = False

    def _watch(self) -> None:
        """Until the next poll nobody may ask again, and that may be an hour away."""
        while True:
            began, worked = time.monotonic(), time.process_time()
            time.sleep(_WATCHES)
            is_idle = time.process_time() - worked < (time.monotonic() - began) / 2
            with self._lock:
                self._more = min(self._more + 2, max(0, MOST_HANDS - self._hands)) if is_idle else self._more
            self._staff()
            with self._lock:
                if self._waiting <= self._free:
                    self._is_watched, self._more = False, 0
                    return

    def _staff(self) -> None:
        with self._lock:
            new = max(0, min(self._waiting - self._free, self._allowed() - self._threads))
            self._threads += new
            self._free += new
        for _ in range(new):
            if not self._starts(self._run):
                with self._lock:
                    self._threads -= 1
                    self._free -= 1

    def _starts(self, work: Work) -> bool:
        """Whether the system grants a thread for it. Where it does not, those that there are go on, and later more.

        That is said once: it comes and goes with each look that hangs.
        """
        try:
            threading.Thread(target=work, name="look", daemon=True).start()
        except RuntimeError:
            if not self._is_short:
                log.warning(
                    "the system grants no further thread, so sources wait for each other: raise the limit of tasks",
                    extra={"action": "look"},
                )
            self._is_short = True
            return False
        return True

    def _allowed(self) -> int:
        """Two more for each that is late: what follows may hang, too, and of many that do all have to begin soon."""
        now = time.monotonic()
        return self._hands + self._more + 2 * sum(now - since > LATE for since in self._at_work.values())

    def _run(self) -> None:
        """Counted as free when it starts, and whenever it waits."""
        me = threading.get_ident()
        while True:
            try:
                work = self._orders.get(timeout=_LINGERS)
            except Empty:
                if self._may_go():
                    return
                continue
            with self._lock:
                self._waiting -= 1
                self._free -= 1
                self._at_work[me] = time.monotonic()
            work()
            with self._lock:
                del self._at_work[me]
                if self._threads > self._allowed():
                    self._threads -= 1
                    return
                self._free += 1

    def _may_go(self) -> bool:
        """Whether nothing has come in the last moment, which counted on this thread."""
        with self._lock:
            if self._waiting:
                return False
            self._threads -= 1
            self._free -= 1
            return True
