"""The threads in which sources are looked at: two, for more keep each other from it.

Reading SQLite from Python passes a lock on at each row: two hundred sources are read first in 5 s by one thread, in 6
by two, in 12 by eight, and a thousand with a thread each never. A look that hangs keeps its thread, though, and then
others take its place.
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

_LINGERS = 60.0
"""Seconds that a thread waits for work before it ends."""

Work = Callable[[], None]


class Crew:
    """Does what it is handed in the order in which that came; no exception may come out of it."""

    def __init__(self, hands: int = HANDS) -> None:
        self._hands = hands
        self._orders: SimpleQueue[Work] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._free = 0
        self._at_work: dict[int, float] = {}

    def order(self, work: Work, *, is_slow: bool = False) -> None:
        """Have it done as soon as somebody is free. What was late before is `is_slow`: it has a thread of its own."""
        if is_slow and _started(work):
            return
        self._orders.put(work)
        self.see_to_it()

    def see_to_it(self) -> None:
        """Have others begin where work waits while some are late with theirs. Whoever waits for work asks for this."""
        with self._lock:
            waiting = self._orders.qsize() - self._free
            new = max(0, min(waiting, self._allowed() - self._threads)) if waiting > 0 else 0
            self._threads += new
            self._free += new
        for _ in range(new):
            if not _started(self._run):
                with self._lock:
                    self._threads -= 1
                    self._free -= 1

    def _allowed(self) -> int:
        """Two more for each that is late: what follows may hang, too, and of many that do all have to begin soon."""
        now = time.monotonic()
        return self._hands + 2 * sum(now - since > LATE for since in self._at_work.values())

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
            if not self._orders.empty():
                return False
            self._threads -= 1
            self._free -= 1
            return True


def _started(work: Work) -> bool:
    """Whether there is a thread for it. Where the system gives no more, those that there are go on, and it is tried
    again when somebody waits."""
    try:
        threading.Thread(target=work, name="look", daemon=True).start()
    except RuntimeError as error:
        log.warning(f"no thread to look in: {error}; it is tried again", extra={"action": "look"})
        return False
    return True
