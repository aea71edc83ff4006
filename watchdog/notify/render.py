"""A message as plain text, as Markdown (which becomes Slack's own) and as HTML for mail.

Everything in a message is data from outside: each form escapes all of it, and no mention in it reaches anybody.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Protocol

from markupsafe import escape

from watchdog.core.command_line import PROGRAM
from watchdog.notify.words import Message
from watchdog.systems.base import CAUSE_GONE

_BREAK = "\u200b"
"""A space without width: shows nothing, and ends a mention or a link before it begins."""

_CALLS = re.compile(r"([@<])(?=[\w!?/@#&])|(\])(?=[(\[:])")
"""A mention, a tag, and a link or an image of Markdown: some chats read marks in what they are told is plain text."""

_CALLS_TYPED = re.compile(rf"(?<=\w)@(?!(?:everyone|channel|here|all)\b)|{_CALLS.pattern}", re.IGNORECASE)
"""The same in a command, where an `@` inside a word is part of a name: of `agent@prod.service`, of `root@host`."""

_MARKS = re.compile(r"([\\`\[\]<>~]|(?<!\s)\*|(?<![^\W_])_|_(?![^\W_]))")
"""A star after a space, as in a cron expression, ends nothing, and where none can end nothing begins."""

_ENTITY = re.compile(r"&(?=#?\w+;)")
_LEADING = re.compile(r"^(\d+(?=[.)])|(?=[#+\-=|]))")
"""What means something at the beginning of a line only. It is left alone elsewhere: Slack shows each backslash."""

_JOINTS = re.compile(rf"(then: |{CAUSE_GONE}: |; or |, for example: |, with: )")
"""Between the words and the commands of what there is to do."""

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
    """The message in one form: the one template that all forms share. An empty line stands between its blocks."""
    blocks = [
        [ink.lead(message.lead)],
        [ink.fact(label, text) for label, text in message.facts],
        [ink.listed(message.jobs)] if message.jobs else [],
        [
            *([ink.command(message.command)] if message.command else []),
            *([ink.link(message.link)] if message.link else []),
        ],
        [ink.foot(message.foot)],
    ]
    return "\n\n".join("\n".join(block) for block in blocks if block)


def defused(text: str) -> str:
    """The text with nothing in it that calls anybody or leads anywhere."""
    return _CALLS.sub(rf"\g<0>{_BREAK}", text)


def _typed(text: str) -> str:
    """The same of a command. One of ours has a job's id in it, which is data; another's is the operator's own, or a
    usual one, and whoever pastes it must get each character of it."""
    if f"{PROGRAM} " in text:
        return defused(text)
    return _CALLS_TYPED.sub(lambda found: f"{found[0]}{_BREAK if any(found.groups()) else ''}", text)


def parts_of(text: str) -> Iterator[tuple[str, bool]]:
    """The words and the commands in a text; the flag says that it is a command."""
    before = ""
    for part in _JOINTS.split(text):
        if part:
            yield part, f"{PROGRAM} " in part or before in (", for example: ", ", with: ")
        before = part


class Plain:
    """Plain text."""

    def lead(self, text: str) -> str:
        """The first sentence."""
        return defused(text)

    def fact(self, label: str, text: str) -> str:
        """One labelled fact."""
        said = (_typed(part) if is_command else defused(part) for part, is_command in parts_of(text))
        return f"{label}: {''.join(said)}"

    def listed(self, lines: Iterable[str]) -> str:
        """A list."""
        return "\n".join(f"- {defused(line)}" for line in lines)

    def command(self, text: str) -> str:
        """Something to type."""
        return f"Acknowledge: {text}"

    def link(self, address: str) -> str:
        """Where the page is."""
        return f"Page: {address}"

    def foot(self, text: str) -> str:
        """The small print."""
        return defused(text)


class Markdown:
    """CommonMark, every mark in the data escaped."""

    def lead(self, text: str) -> str:
        """The first sentence."""
        return _marked(text)

    def fact(self, label: str, text: str) -> str:
        """One labelled fact."""
        said = (_code(part) if is_command else _marked(part) for part, is_command in parts_of(text))
        return f"**{label}:** {''.join(said)}  "

    def listed(self, lines: Iterable[str]) -> str:
        """A list."""
        return "\n".join(f"- {_marked(line)}" for line in lines)

    def command(self, text: str) -> str:
        """Something to type."""
        return f"**Acknowledge:** {_code(text)}  "

    def link(self, address: str) -> str:
        """Where the page is."""
        return f"**Page:** {address}  "

    def foot(self, text: str) -> str:
        """The small print."""
        return f"_{_marked(text)}_"


def _code(text: str) -> str:
    """Between as many backticks as it takes to hold those in it."""
    longest = max((len(found) for found in re.findall("`+", text)), default=0)
    fence, room = "`" * (longest + 1), " " if longest else ""
    return f"{fence}{room}{_typed(text)}{room}{fence}"


def _marked(text: str) -> str:
    marked = _MARKS.sub(r"\\\1", _ENTITY.sub(f"&{_BREAK}", defused(text)))
    return _LEADING.sub(r"\1\\", marked)


_WRAPS = "overflow-wrap:anywhere"
"""Long words and commands do not make a phone's page wider."""

_CODE = '<code style="background:#f4f4f4;padding:1px 3px">'


class Html:
    """HTML for mail, without anything that is loaded from elsewhere."""

    def lead(self, text: str) -> str:
        """The first sentence."""
        return f'<p style="font-size:16px;{_WRAPS}">{_safe(text)}</p>'

    def fact(self, label: str, text: str) -> str:
        """One labelled fact."""
        said = (
            f"{_CODE}{_escaped(_typed(part))}</code>" if is_command else _safe(part)
            for part, is_command in parts_of(text)
        )
        return f'<p style="{_WRAPS}"><b>{_safe(label)}:</b> {"".join(said)}</p>'

    def listed(self, lines: Iterable[str]) -> str:
        """A list."""
        return f'<ul style="{_WRAPS}">' + "".join(f"<li>{_safe(line)}</li>" for line in lines) + "</ul>"

    def command(self, text: str) -> str:
        """Something to type."""
        return f'<p style="{_WRAPS}"><b>Acknowledge:</b> {_CODE}{_safe(text)}</code></p>'

    def link(self, address: str) -> str:
        """Where the page is."""
        return f'<p style="{_WRAPS}"><a href="{_escaped(address)}">{_escaped(address)}</a></p>'

    def foot(self, text: str) -> str:
        """The small print."""
        return f'<p style="color:#666;font-size:12px;{_WRAPS}">{_safe(text)}</p>'


def _safe(text: str) -> str:
    return _escaped(defused(text))


def _escaped(text: str) -> str:
    """As the page does it: `html` would bring along the names of all characters, 0.4 MB of them."""
    return str(escape(text))


def rendered(message: Message, type_: str) -> dict[str, str]:
    """The message in all forms, as it stands in the outbox; the channel takes the one that suits it."""
    return {
        "type": type_,
        "title": defused(message.title),
        "text": write(message, Plain())[:LONGEST],
        "markdown": write(message, Markdown()),
        "html": write(message, Html()),
    }
