"""Text for terminals and files whose character set lacks something: it is written plainer, and nothing ends for it."""

import codecs
import sys
from io import TextIOWrapper

_PLAIN = str.maketrans(
    {"└": "\\", "—": "-", "–": "-", "…": "...", "→": "->", "·": "-", "×": "x", "≥": ">=", "≤": "<="}
    | dict.fromkeys("‘’", "'")
    | dict.fromkeys("“”„", '"')
)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    """What to write instead of what cannot be: a plain sign that is like it, or a question mark."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(sign if sign.isascii() else "?" for sign in text), error.end


def degrade() -> None:
    """From now on standard output and error write whatever their character set lacks plainer."""
    codecs.register_error("plainly", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="plainly")
