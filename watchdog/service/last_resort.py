"""An end that comes whatever hangs: a thread that hears of signals from the interpreter itself, below its handlers.

Handlers run in the main thread, which may stand in the kernel for ever, as on a dead disk under the state file.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

AFTER = 1.7
"""Seconds that an orderly end is given. What is cut off then is as after a crash: written down, and taken up again."""


@contextmanager
def end_in_any_case() -> Iterator[None]:
    """While this lasts, SIGTERM and SIGINT end the process within two seconds."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reader,), name="last resort", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)


def _watch(reader: int) -> None:
    while not {signal.SIGTERM, signal.SIGINT} & set(os.read(reader, 64)):
        pass
    time.sleep(AFTER)
    os._exit(0)
