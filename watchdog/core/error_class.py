"""Whether an error text speaks of something that passes, or of something that a person has to mend.

A table, read from the top: the first row that fits is the answer. What programs write for programs (statuses, types of
errors, names of the system's errors) goes before words, and what needs a person before what passes. A number is a
status only where it stands as one: those in ids, ports, durations and line numbers mean nothing.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from watchdog.core import error_phrases as phrases
from watchdog.core.model import ErrorClass

LONGEST = 2000
"""Characters of a text that are looked at, half of them at each end."""

_SPACES = re.compile(r" (?![{*?+])")
_GOES_ON = re.compile(r"\n\s*\+")
_EXIT = re.compile(r"\b(?:exit(?:ed)?|signal)\b[^\n\d]{0,20}\d+", re.IGNORECASE)


def _any(lines: str, *, cased: bool = False, inside: bool = False) -> re.Pattern[str]:
    """Any of the phrases, standing by itself; with `inside`, also in the middle of a word."""
    found = [line.strip() for line in _GOES_ON.sub("", lines).splitlines() if line.strip()]
    either = _SPACES.sub(r"[\\s_-]+", "|".join(found).replace("<key>", phrases.KEY))
    alone = either if inside else rf"(?<![^\W_])(?:{either})(?![^\W_])"
    return re.compile(alone, re.DOTALL if cased else re.DOTALL | re.IGNORECASE)


_STATUS = re.compile(
    r"""
      (?: \bhttps?(?:/\d(?:\.\d)?)? | \bstatus | \b(?:status|error|response|result)[ _-]?code | \bcode | \berror(?=\ \d)
        | \bapi[ _-]?(?:status[ _-]?)?error | \b(?:client|server|http|request|upstream|provider)[ _-]?error )
      (?:\\*["'])? [\s:=(\[!]* (?:\b(?:with|an?|the|of|http|error|status|code|response)\b [\s:=(\[]*){0,5} (?:\\*["'])?
      (?P<labelled>[1-5]\d\d) \b
      (?! [.:/-]?\d | [-/]\w | \s*(?:%|ms|s|sec\w*|min\w*|hours?|days?|bytes?|[km]i?b|times?|tokens?|chars?|characters?
            |lines?|rows?|items?|files?|jobs?|results?|records?|messages?|requests?|retries|attempts|of)\b )
    | \b(?:returned|responded|replied|answered|received|rejected|got|gave|failed)
      [\s:(\[]* (?:\b(?:with|by|an?|the|http|error|status|code|response)\b [\s:(\[]*){0,5}
      (?P<answered>[1-5]\d\d) \b
      (?= \s*(?:\Z|[^\w\s.:/%-]|[.:](?:\s|\Z)) | [^\S\n]*\n
        | \s+(?:(?-i:[A-Z])\w*|from|for|on|when|error|status|response|too|during|while)\b )
    | (?:\A|:\s|\A\W{1,3}) (?:\w*error:?\s)? [\[(]? (?P<leading>[1-5]\d\d) \b [\])]?
      (?= \s*(?:\Z|[{"'\[]) | [^\S\n]*\n | \s*[:–—-]\s+\D | \s+\(?(?:status\ code|no\ body)
        | \s+(?-i:[A-Z][A-Za-z]*)(?:[\s':,.]|\Z) )
    | \b (?P<named>[1-5]\d\d) \b [\])]?\s*[:(–—-]?\s*
      (?:too\ many\ requests|unauthori[sz]ed|forbidden|not\ found|bad\ (?:request|gateway)|payment\ required|conflict
        |internal\ server\ error|service\ (?:temporarily\ )?unavailable|gateway\ time-?out|request\ time-?out|gone
        |client\ error|server\ error|overloaded|unprocessable|payload\ too\ large|method\ not\ allowed|rate\ limit)\b
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""A status: behind a word for it, at the beginning of the text or behind a colon, or before its name."""

_PASSING = frozenset({408, 409, 421, 423, 425, 429, 499}) | frozenset(range(500, 600)) - {501, 505, 511, 525, 526}
_LASTING = frozenset(range(400, 500)) - _PASSING | {501, 505, 511, 525, 526}


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of the table: what it is about, and what it makes of a text that it fits."""

    about: str
    means: ErrorClass
    fits: re.Pattern[str] | frozenset[int]

    def holds(self, text: str, status: int | None) -> bool:
        """Whether a text, with its status, is one of these."""
        return status in self.fits if isinstance(self.fits, frozenset) else self.fits.search(text) is not None


_TABLE = (
    _Row("who asks is not known: by status", ErrorClass.PERMANENT, frozenset({401, 402, 407})),
    _Row(
        "who asks is not known: by type and by words",
        ErrorClass.PERMANENT,
        _any(phrases.WHO_ASKS),
    ),
    _Row(
        "never fits, however long it waits",
        ErrorClass.PERMANENT,
        _any(phrases.TOO_LARGE),
    ),
    _Row(
        "says itself when it is over",
        ErrorClass.TRANSIENT,
        _any(phrases.SAYS_WHEN),
    ),
    _Row(
        "nobody has paid",
        ErrorClass.PERMANENT,
        _any(phrases.UNPAID),
    ),
    _Row(
        "refused for now, although its status is that of a refusal",
        ErrorClass.TRANSIENT,
        _any(phrases.REFUSED_FOR_NOW),
    ),
    _Row(
        "a mail server's lasting answer",
        ErrorClass.PERMANENT,
        re.compile(
            r"\b5[0-5]\d[ -]5\.\d{1,3}\.\d{1,3}\b"
            r"|\b5(?:35|5[0134])[ -](?i:\D{0,60}(?:auth|mailbox|user|relay|sender|recipient|reject|address))"
        ),
    ),
    _Row("a mail server's passing answer", ErrorClass.TRANSIENT, re.compile(r"\b4[0-5]\d[ -]4\.\d{1,3}\.\d{1,3}\b")),
    _Row(
        "a provider's own type of a passing error",
        ErrorClass.TRANSIENT,
        _any(phrases.PASSING_TYPES),
    ),
    _Row(
        "a provider's own type of a lasting error",
        ErrorClass.PERMANENT,
        _any(phrases.LASTING_TYPES),
    ),
    _Row(
        "gRPC: passes",
        ErrorClass.TRANSIENT,
        _any(phrases.GRPC_PASSES, cased=True),
    ),
    _Row(
        "gRPC: lasts",
        ErrorClass.PERMANENT,
        _any(phrases.GRPC_LASTS, cased=True),
    ),
    _Row("a status that passes", ErrorClass.TRANSIENT, _PASSING),
    _Row("a status that lasts", ErrorClass.PERMANENT, _LASTING),
    _Row(
        "an error of the system that lasts",
        ErrorClass.PERMANENT,
        _any(phrases.SYSTEM_LASTS),
    ),
    _Row(
        "an error of the system that passes",
        ErrorClass.TRANSIENT,
        _any(phrases.SYSTEM_PASSES),
    ),
    _Row(
        "words for what a person has to mend",
        ErrorClass.PERMANENT,
        _any(phrases.WORDS_LASTING),
    ),
    _Row(
        "words for what passes",
        ErrorClass.TRANSIENT,
        _any(phrases.WORDS_PASSING),
    ),
    _Row(
        "the same in other languages: what a person has to mend",
        ErrorClass.PERMANENT,
        _any(phrases.LANGUAGES_LASTING, inside=True),
    ),
    _Row(
        "the same in other languages: what passes",
        ErrorClass.TRANSIENT,
        _any(phrases.LANGUAGES_PASSING, inside=True),
    ),
)


@lru_cache(maxsize=1024)
def classify(text: str | None) -> ErrorClass:
    """The class of an error text, by the first row of the table that fits; UNKNOWN where none does."""
    if not text:
        return ErrorClass.UNKNOWN
    looked_at = _EXIT.sub(" ", text if len(text) <= LONGEST else f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}")
    status = _status(looked_at)
    return next((row.means for row in _TABLE if row.holds(looked_at, status)), ErrorClass.UNKNOWN)


def _status(text: str) -> int | None:
    found = _STATUS.search(text)
    return None if found is None else int(found[found.lastgroup or 0])
