"""Text that a model or a stranger wrote, made fit to leave the process: bounded, on one line, without credentials."""

import re
import unicodedata

HIDDEN = "[redacted]"

_SECRETS = re.compile(
    r"""(?P<keep1>\b(?:bearer|basic|token)\s+)[A-Za-z0-9._~+/=-]{12,}
      | (?P<keep2>\b(?:api[_-]?key|x-api-key|access[_-]?token|auth[_-]?token|secret|password|passwd|pwd|token)
          ["']?\s*[:=]\s*["']?)[^\s"'&,;]{4,}
      | (?P<keep3>\b[a-z][a-z0-9+.-]{1,20}://)[^\s/@]+@
      | \b(?:sk|pk|rk)-(?:ant-|proj-|live-|test-)?[A-Za-z0-9_-]{12,}
      | \b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{8,}
      | \bxox[a-z]-[A-Za-z0-9-]{8,} | \bxapp-[A-Za-z0-9-]{8,}
      | \bgh[pousr]_[A-Za-z0-9]{16,} | \bgithub_pat_[A-Za-z0-9_]{16,} | \bglpat-[A-Za-z0-9_-]{12,}
      | \bAKIA[0-9A-Z]{12,} | \bAIza[0-9A-Za-z_-]{20,}
      | \beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}(?:\.[A-Za-z0-9_-]+)?
      | hooks\.slack\.com/services/[A-Za-z0-9/]{8,}
    """,
    re.IGNORECASE | re.VERBOSE,
)


def redact(text: str) -> str:
    """The text with whatever looks like a credential replaced."""
    return _SECRETS.sub(_hide, text)


def _hide(match: re.Match[str]) -> str:
    kept = next((part for part in match.groupdict().values() if part), "")
    return kept + HIDDEN + ("@" if match["keep3"] else "")


def one_line(text: str, limit: int) -> str:
    """The text on one line: control and direction marks gone, at most `limit` characters, cut ends shown by `…`.

    Direction marks are left out because they make a name read as another one (Unicode categories Cc, Cf, Zl, Zp).
    """
    head = text[: limit * 4 + 64]
    shown = head if head.isascii() and head.isprintable() else "".join(" " if _is_mark(c) else c for c in head)
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit and len(head) == len(text) else shown[: limit - 1].rstrip() + "…"


def _is_mark(character: str) -> bool:
    if " " <= character <= "~":
        return False
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")


def fit_to_leave(text: str, limit: int) -> str:
    """One line, bounded, without credentials."""
    return one_line(redact(text[: limit * 8 + 256]), limit)
