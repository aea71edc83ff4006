"""Sentences for the page: the instants in them as `time` elements, and a name kept apart from the writing around it."""

import re
from urllib.parse import quote

from markupsafe import Markup, escape

from watchdog.cadence.plain_words import INSIDE_A_ZONE
from watchdog.core.instants import SAID, iso, parse_instant

_ICONS = {
    "OK": ("1a6b35", "M4.5 8.5 7 11l4.5-6"),
    "WARNING": ("a86b00", "M8 4v5M8 11v1.5"),
    "CRITICAL": ("b3261e", "M5 5l6 6M11 5l-6 6"),
}
_NO_VERDICT = ("556677", "M8 4v4l3 2")


def prose(text: str, name: str = "") -> Markup:
    """A sentence. `name` is written by whoever made the job, perhaps from right to left: it stays where it stands."""
    before, found, after = _split(text, name)
    isolated = Markup('<bdi class="name" title="{0}">{0}</bdi>').format(found) if found else Markup()
    return _with_times(before) + isolated + _with_times(after)


def _split(text: str, name: str) -> tuple[str, str, str]:
    """The text before the name, the name, and what comes after it; all of it before where the name is not in it."""
    place = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) if name else None
    return (text[: place.start()], name, text[place.end() :]) if place else (text, "", "")


def _with_times(text: str) -> Markup:
    return Markup(SAID.sub(_time, str(escape(text))))  # noqa: S704 - escaped, and only digits are put in


def _time(found: re.Match[str]) -> str:
    try:
        instant = parse_instant(found[1])
    except ValueError:
        return found[0]
    return f'<time class="at" datetime="{iso(instant)}">{found[0]}</time>'


def bounded(text: str, most: int = 300) -> str:
    """Not more than so many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def with_breaks(cadence: str) -> Markup:
    """A schedule in words, whose zone is broken between its parts where it has to be."""
    return Markup("<wbr>").join(INSIDE_A_ZONE.split(cadence))


def icon(verdict: str) -> str:
    """The page's small picture in a tab, by the verdict; empty for none."""
    colour, path = _ICONS.get(verdict, _NO_VERDICT)
    picture = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>"
        f"<circle cx='8' cy='8' r='8' fill='#{colour}'/>"
        f"<path d='{path}' stroke='#fff' stroke-width='2' fill='none' stroke-linecap='round'/></svg>"
    )
    return "data:image/svg+xml," + quote(picture, safe=" ='/:")
