"""What a recording says in place of what it must not hold: names, ids, people, channels, texts.

The same input gives the same pseudonym within one recording, by the order in which they turned up, so nothing can be
worked back from it. What is kept is kept because it is known, never because it looks harmless.
"""

import re
from collections.abc import Callable
from math import isfinite

from watchdog.core.error_class import classify
from watchdog.core.model import ErrorClass

HIDDEN = "…"
"""In place of what nobody needs."""

_INSTANT = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?( ?(Z|[+-]\d\d:?\d\d))?)?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,18}(\.\d{1,9})?", re.ASCII)

_KEPT_WORDS = re.compile(
    r"""\b(?:
        [1-5]\d\d | HTTP | status | code | error | failed | failure
      | (?:rate_limit|overloaded|api|authentication|permission|billing|invalid_request|not_found|timeout|internal_server
         |request_too_large|server|insufficient_quota|context_length_exceeded|invalid_api_key|rate_limit_exceeded
         |quota_exceeded|model_not_found|content_filter|unavailable|resource_exhausted|permission_denied
         |deadline_exceeded|unauthenticated|invalid_argument)(?:_error)?
      | rate[ -]limit(?:ed)? | too[ ]many[ ]requests | overloaded | capacity | timed[ ]out | timeout | aborted
      | internal[ ]server[ ]error | bad[ ]gateway | service[ ]unavailable | gateway[ ]timeout
      | temporarily[ ]unavailable | unauthorized | forbidden | payment[ ]required | billing | credit[ ]balance
      | insufficient | quota | exceeded | invalid | expired | revoked | missing | incorrect
      | api[ ]key | credentials? | bad[ ]request | not[ ]found
      | ECONN(?:RESET|REFUSED|ABORTED) | ETIMEDOUT | ENOTFOUND | EAI_AGAIN | EPIPE | EHOSTUNREACH | ENETUNREACH
      | socket[ ]hang[ ]up | network | connection | refused | reset | closed | fetch[ ]failed | dns
    )\b""",
    re.IGNORECASE | re.VERBOSE | re.ASCII,
)
"""What a text is classed by, and nothing that a person or a model could have said."""

_MOST_WORDS = 12

_STAND_INS = {
    ErrorClass.TRANSIENT: "503 service unavailable",
    ErrorClass.PERMANENT: "401 authentication_error",
    ErrorClass.UNKNOWN: HIDDEN,
}


class Pseudonyms:
    """Those of one recording."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], int] = {}
        self._count: dict[str, int] = {}

    def number(self, sort: str, value: object) -> int:
        """Which of its sort it is, from 1."""
        key = (sort, str(value))
        if key not in self._known:
            self._count[sort] = self._known[key] = self._count.get(sort, 0) + 1
        return self._known[key]

    def name(self, sort: str, value: object) -> str:
        """`job-1`."""
        return f"{sort}-{self.number(sort, value)}"

    def uuid(self, value: object) -> str:
        """One that nobody else has."""
        return f"00000000-0000-4000-8000-{self.number('id', value):012d}"


Role = Callable[[object, Pseudonyms], object]
"""What a recording says of a value. None stays None everywhere: whether there is a value is what is diagnosed by."""


def number(value: object, names: Pseudonyms) -> object:
    """A number, also one that is written as text; anything else is only said to be something else."""
    if isinstance(value, int | float):
        return value if isfinite(value) else None
    return value if isinstance(value, str) and _NUMBER.fullmatch(value) else HIDDEN


def instant(value: object, names: Pseudonyms) -> object:
    """An instant; anything else is only said to be something else."""
    if isinstance(value, str):
        return value if _INSTANT.fullmatch(value) else HIDDEN
    return number(value, names)


def hidden(value: object, names: Pseudonyms) -> object:
    """Nobody needs it."""
    return HIDDEN


def dropped(value: object, names: Pseudonyms) -> object:
    """Not even whether there is one."""
    return None


def named(sort: str) -> Role:
    """Something that has a name."""
    return lambda value, names: names.name(sort, value)


def uuid(value: object, names: Pseudonyms) -> object:
    """An id."""
    return names.uuid(value)


def one_of(*known: str) -> Role:
    """One of the words that its scheduler writes; another one is only said to be another."""
    return lambda value, names: value if value in known else names.name("other", value)


def error(value: object, names: Pseudonyms) -> object:
    """An error text: the words that it is classed by, its class, and whether it is the same as another one."""
    text = str(value)
    kept = " ".join(match[0] for match in list(_KEPT_WORDS.finditer(text))[:_MOST_WORDS])
    wanted = classify(text)
    mark = _letters(names.number("error", text))
    found = (f"{words} [{mark}]" for words in (kept or HIDDEN, _STAND_INS[wanted]))
    return next((words for words in found if classify(words) is wanted), HIDDEN)


def _letters(number: int) -> str:
    """`a`, `b`, …: a number could be taken for a status code."""
    letters = ""
    while number:
        number, digit = divmod(number - 1, 26)
        letters = chr(ord("a") + digit) + letters
    return letters
