"""Whether an error text speaks of something that passes, or of something that a person has to mend."""

import re

from watchdog.core.model import ErrorClass

_PERMANENT = re.compile(
    r"""\b(?:40[0-4]|422)\b
      | auth(?:entication|orization)?[ _-]?(?:error|failed|failure) | unauthori[sz]ed | forbidden | permission[ _]denied
      | (?:invalid|incorrect|missing|expired|revoked)\ .{0,20}(?:api[ _-]?key|token|credential)
      | (?:api[ _-]?key|token|credential)s?\ .{0,20}(?:invalid|incorrect|missing|expired|revoked)
      | billing | credit\ balance | insufficient[ _](?:quota|funds|credit) | payment[ _]required | quota[ _]exceeded
      | invalid[ _]request | bad[ _]request | not[ _]found[ _]error | model[ _]not[ _]found | context[ _]length
    """,
    re.IGNORECASE | re.VERBOSE,
)
_TRANSIENT = re.compile(
    r"""\b(?:408|425|429|5\d\d)\b
      | rate[ _-]?limit | too[ _]many[ _]requests | overload | capacity
      | time[ -]?d?[ -]?out | timeout | deadline[ _]exceeded | abort
      | (?:internal|server)[ _](?:server[ _])?error | bad[ _]gateway | (?:temporarily[ _]|service[ _])unavailable
      | econn\w+ | etimedout | enotfound | eai_again | epipe | ehostunreach | enetunreach | socket[ _]hang[ _]up
      | network | connection\ .{0,20}(?:refused|reset|closed|lost|error) | fetch[ _]failed | dns
    """,
    re.IGNORECASE | re.VERBOSE,
)


def classify(text: str | None) -> ErrorClass:
    """The class of an error text. Where both kinds of words stand in it, permanent wins: trying again costs more
    than asking a person."""
    if not text:
        return ErrorClass.UNKNOWN
    if _PERMANENT.search(text):
        return ErrorClass.PERMANENT
    return ErrorClass.TRANSIENT if _TRANSIENT.search(text) else ErrorClass.UNKNOWN
