"""A message as plain text, as Markdown (which becomes Slack's own) and as HTML for mail.

Everything in a message is data from outside: each form escapes all of it, and no mention in it reaches anybody.
"""

import re
from collections.abc import Iterable
from html import escape
from typing import Protocol

from watchdog.notify.words import Message

_BREAK = "\u200b"
"""A space without width: shows nothing, and ends a mention or a link before it begins."""

_CALLS = re.compile(r"([@<])(?=[\w!?/@#&])|(\])(?=[(\[:])")
"""A mention, a tag, and a link or an image of Markdown: some chats read marks in what they are told is plain text."""

_MARKS = re.compile(r"([\\`*\[\]<>~]|(?<![^\W_])_|_(?![^\W_]))")
_ENTITY = re.compile(r"&(?=#?\w+;)")
_LEADING = re.compile(r"^(\d+(?=[.)])|(?=[#+\-=|]))")
"""What means something at the beginning of a line only. It is left alone elsewhere: Slack shows each backslash."""

LONGEST = 3500
"""Characters of a whole message; several services refuse more than 4,000."""


class Ink(Protocol):
    """How the parts of a message look in one form."""

    def lead(self, text: str) -> str:
        """The first sentence."""

    def fact(self, label: str, text: str) -> str:
        """One labelled fact."""

    def listed(self, lines: Iterable[str]) -> str:
        """A list."""

    def command(self, text: str) -> str:
        """Something to type."""

    def link(self, address: str) -> str:
        """Where the page is."""

    def foot(self, text: str) -> str:
        """The small print."""


def write(message: Message, ink: Ink) -> str:
    """The message in one form: the one template that all forms share."""
    parts = [ink.lead(message.lead)]
    parts += [ink.fact(label, text) for label, text in message.facts]
    if message.jobs:
        parts.append(ink.listed(message.jobs))
    if message.command:
        parts.append(ink.command(message.command))
    if message.link:
        parts.append(ink.link(message.link))
    parts.append(ink.foot(message.foot))
    return "\n".join(parts)


def defused(text: str) -> str:
    """The text with nothing in it that calls anybody or leads anywhere."""
    return _CALLS.sub(rf"\g<0>{_BREAK}", text)


class Plain:
    """Plain text."""

    def lead(self, text: str) -> str:
        """The first sentence."""
        return f"{defused(text)}\n"

    def fact(self, label: str, text: str) -> str:
        """One labelled fact."""
        return f"{label}: {defused(text)}"

    def listed(self, lines: Iterable[str]) -> str:
        """A list."""
        return "\n" + "\n".join(f"- {defused(line)}" for line in lines)

    def command(self, text: str) -> str:
        """Something to type."""
        return f"\nAcknowledge: {text}"

    def link(self, address: str) -> str:
        """Where the page is."""
        return f"Page: {address}"

    def foot(self, text: str) -> str:
        """The small print."""
        return f"\n{defused(text)}"


class Markdown:
    """CommonMark, every mark in the data escaped."""

    def lead(self, text: str) -> str:
        """The first sentence."""
        return f"{_marked(text)}\n"

    def fact(self, label: str, text: str) -> str:
        """One labelled fact."""
        return f"**{label}:** {_marked(text)}  "

    def listed(self, lines: Iterable[str]) -> str:
        """A list."""
        return "\n" + "\n".join(f"- {_marked(line)}" for line in lines) + "\n"

    def command(self, text: str) -> str:
        """Something to type."""
        return f"\n`{text}`\n"

    def link(self, address: str) -> str:
        """Where the page is."""
        return f"**Page:** {address}  "

    def foot(self, text: str) -> str:
        """The small print."""
        return f"\n_{_marked(text)}_"


def _marked(text: str) -> str:
    marked = _MARKS.sub(r"\\\1", _ENTITY.sub(f"&{_BREAK}", defused(text)))
    return _LEADING.sub(r"\1\\", marked)


class Html:
    """HTML for mail, without anything that is loaded from elsewhere."""

    def lead(self, text: str) -> str:
        """The first sentence."""
        return f'<p style="font-size:16px">{_safe(text)}</p>'

    def fact(self, label: str, text: str) -> str:
        """One labelled fact."""
        return f"<p><b>{_safe(label)}:</b> {_safe(text)}</p>"

    def listed(self, lines: Iterable[str]) -> str:
        """A list."""
        return "<ul>" + "".join(f"<li>{_safe(line)}</li>" for line in lines) + "</ul>"

    def command(self, text: str) -> str:
        """Something to type."""
        return f"<p>Acknowledge:</p><pre>{_safe(text)}</pre>"

    def link(self, address: str) -> str:
        """Where the page is."""
        return f'<p><a href="{escape(address)}">{escape(address)}</a></p>'

    def foot(self, text: str) -> str:
        """The small print."""
        return f'<p style="color:#666;font-size:12px">{_safe(text)}</p>'


def _safe(text: str) -> str:
    return escape(defused(text))


def rendered(message: Message, type_: str) -> dict[str, str]:
    """The message in all forms, as it stands in the outbox; the channel takes the one that suits it."""
    return {
        "type": type_,
        "title": defused(message.title),
        "text": write(message, Plain())[:LONGEST],
        "markdown": write(message, Markdown()),
        "html": write(message, Html()),
    }
