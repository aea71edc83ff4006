"""What was probably meant by a word that is not known."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

NAMED = 3
"""Jobs that are named where what was typed may mean several."""


def meant(word: str, known: Iterable[str]) -> str:
    """What was probably meant, as the end of a sentence; empty where nothing is near."""
    from difflib import get_close_matches  # for a mistake only

    by_case = {one.casefold(): one for one in known}
    near = get_close_matches(word.casefold(), by_case, 1)
    return f"; is {by_case[near[0]]!r} meant?" if near else ""


def called_like(word: str, names: Iterable[str]) -> list[str]:
    """The names that a word is a part of, or that it fits as a pattern."""
    wanted = word.casefold()
    return [name for name in names if wanted in name.casefold() or fnmatchcase(name.casefold(), wanted)]


def which_whole(word: str, names: Iterable[str]) -> str:
    """The whole name that was probably meant where a name has to be whole, as the end of a sentence; else empty."""
    known = list(names)
    found = called_like(word, known)
    if len(found) < 2:
        return f"; is {found[0]!r} meant?" if found else meant(word, known)
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"; give the whole name: {', '.join(map(repr, found[:NAMED]))}{more}"


def wider(pattern: str, names: Collection[str]) -> str:
    """What would match where a pattern matches nothing, as the end of a sentence; empty where nothing is near."""
    count = len(called_like(pattern, names))
    many = f"; '*{pattern}*' would match {count} {'job' if count == 1 else 'jobs'}"
    return many if count else meant(pattern, names)
