"""Several watchdogs at once: each is asked beside the others, and what does not answer is said."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from watchdog.remote.client import Document, NotAnsweredError, RefusedError, Remote, address

AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """What a watchdog has answered, or why it has not. `is_namesake`: another one that was asked is called the same."""

    url: str
    document: Document | None = None
    problem: str = ""
    is_namesake: bool = False

    @property
    def instance(self) -> str:
        """What it says that it is called; empty until it has."""
        return str((self.document or {}).get("instance") or "")

    @property
    def name(self) -> str:
        """What it is called; its address until it has said so, and besides where another is called the same."""
        return f"{self.instance} ({self.url})" if self.is_namesake else self.instance or self.url


def ask_all(remotes: Sequence[Remote], question: Callable[[Remote], Document]) -> list[Answer]:
    """Each one's answer, in their order."""

    def ask(remote: Remote) -> Answer:
        try:
            return Answer(remote.url, question(remote))
        except (NotAnsweredError, RefusedError) as error:
            return Answer(remote.url, problem=str(error))

    with ThreadPoolExecutor(max_workers=min(AT_ONCE, max(1, len(remotes)))) as threads:
        answers = list(threads.map(ask, remotes))
    called = Counter(answer.instance for answer in answers if answer.instance)
    return [replace(answer, is_namesake=called[answer.instance] > 1) for answer in answers]


def remotes(urls: Iterable[str], files: Iterable[Path], token: str) -> list[Remote]:
    """Those that are named, each once. Raises ValueError with the place and what is accepted."""
    named = [*urls, *(line for path in files for line in _lines(path))]
    return [Remote(url, token) for url in dict.fromkeys(address(text) for text in named)]


def _lines(path: Path) -> list[str]:
    """The addresses in a file, one a line; what follows a `#` is for people."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not text"
        raise ValueError(f"the file {path} cannot be read: {why}") from None
    lines = (line.split(" #")[0].strip() for line in text.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
