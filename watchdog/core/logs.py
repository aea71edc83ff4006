"""Logs: lines for people on a terminal, one JSON object a line otherwise. Every event carries an `action`."""

import atexit
import json
import logging
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime
from queue import Full, Queue
from typing import TextIO

from watchdog.core.instants import iso
from watchdog.core.redaction import fit_to_leave

_STANDARD = set(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {"message", "asctime", "taskName"}
_LENGTH = 2000

log = logging.getLogger("watchdog")


def _facts(record: logging.LogRecord) -> dict[str, object]:
    return {name: fact for name, fact in vars(record).items() if name not in _STANDARD}


def _text(thing: object) -> str:
    return fit_to_leave(str(thing), _LENGTH)


class JsonLines(logging.Formatter):
    """For programs."""

    def format(self, record: logging.LogRecord) -> str:
        """One object: time, level, message, the facts, and an error's text."""
        facts = {name: _plain(fact) for name, fact in _facts(record).items()}
        line = {"time": iso(_at(record)), "level": record.levelname.lower(), "message": _text(record.getMessage())}
        error = {"error": _text(record.exc_info[1]), "trace": self._trace(record)} if record.exc_info else {}
        return json.dumps(line | facts | error, ensure_ascii=False)

    def _trace(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info)[-4000:] if record.exc_info else ""


class Lines(logging.Formatter):
    """For people."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, message, facts."""
        facts = " ".join(f"{name}={_text(fact)}" for name, fact in _facts(record).items() if name != "action")
        head = f"{_at(record):%H:%M:%S} {record.levelname.lower():8}{_text(record.getMessage())}"
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""
        return f"{head}{f'  ({facts})' if facts else ''}{trace}"


def _at(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _plain(fact: object) -> object:
    return fact if fact is None or isinstance(fact, bool | int | float) else _text(fact)


class Beside(logging.Handler):
    """Writes in a thread of its own. Whoever reads the stream may stand still, as a container's log driver does when
    its disk is full; what then waits for it is lost from `most` lines on, and nothing else is held up."""

    def __init__(self, stream: TextIO, most: int = 2_000) -> None:
        super().__init__()
        self._stream = stream
        self._lines: Queue[str] = Queue(most)
        threading.Thread(target=self._write, name="log", daemon=True).start()
        atexit.register(self.drain)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand it over."""
        with suppress(Full):
            self._lines.put_nowait(self.format(record))

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            with suppress(OSError, ValueError):
                self._stream.write(f"{line}\n")
                self._stream.flush()
            self._lines.task_done()

    def drain(self, within: float = 0.3) -> None:
        """Wait until all is written, and no longer than so many seconds."""
        end = time.monotonic() + within
        while self._lines.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.005)


def set_up_beside(*, debug: bool = False) -> None:
    """Log to standard error, which may stop taking anything at any time."""
    set_up(debug=debug)
    handler = Beside(sys.stderr)
    handler.setFormatter(log.handlers[0].formatter)
    log.handlers[:] = [handler]
    logging.getLogger().handlers[:] = [handler]  # what libraries have to say must not wait either


def set_up(stream: TextIO | None = None, *, debug: bool = False) -> None:
    """Log to `stream`, or standard error, in the form that suits it."""
    stream = stream or sys.stderr
    handler = logging.StreamHandler(stream)
    handler.setFormatter(Lines() if stream.isatty() else JsonLines())
    log.handlers[:] = [handler]
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False
