"""Text that a model or a stranger wrote, made fit to leave the process: bounded, on one line, without credentials."""

import re
import unicodedata

from watchdog.core.secret_shapes import BY_NAME, BY_SHAPE, NAMING

HIDDEN = "[redacted]"


def redact(text: str) -> str:
    """The text with whatever looks like a credential replaced."""
    text = BY_SHAPE.sub(_hide, text)
    lower = text.lower()
    return BY_NAME.sub(_hide, text) if any(word in lower for word in NAMING) else text


def _hide(match: re.Match[str]) -> str:
    kept = next((part for part in match.groupdict().values() if part), "")
    return kept + HIDDEN + ("@" if kept.endswith("://") else "")


def one_line(text: str, limit: int) -> str:
    """The text on one line: control and direction marks gone, at most `limit` characters, cut ends shown by `…`.

    Direction marks are left out because they make a name read as another one (Unicode categories Cc, Cf, Zl, Zp).
    """
    head = text[: limit * 4 + 64]
    shown = head if head.isascii() and head.isprintable() else "".join(" " if _is_mark(c) else c for c in head)
    shown = " ".join(shown.split())
    if shown == text and len(shown) <= limit:
        return text  # most are as they should be, and are held once so
    return shown if len(shown) <= limit and len(head) == len(text) else shown[: limit - 1].rstrip() + "…"


def _is_mark(character: str) -> bool:
    if " " <= character <= "~":
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def fit_to_leave(text: str, limit: int) -> str:
    """One line, bounded, without credentials."""
    return _short(text, limit) if len(text) <= _SHORT else one_line(redact(text[: limit * 8 + 256]), limit)


_SHORT = 100
"""Characters of text that is likely to come again and again: names, targets, schedules."""


_KNOWN: dict[int, dict[str, str]] = {}
"""Short texts as they leave, by how long they may be: a plain one takes a third of what a cache of calls does."""

_MOST_KNOWN = 4096


def _short(text: str, limit: int) -> str:
    known = _KNOWN.setdefault(limit, {})
    shown = known.get(text)
    if shown is None:
        if len(known) >= _MOST_KNOWN:
            known.clear()
        shown = known[text] = one_line(redact(text), limit)
    return shown
