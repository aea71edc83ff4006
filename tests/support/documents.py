"""What people read, taken apart: commands, snippets, links and headings of the documents."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "scheduler-watchdog"
FOLDERS = (".github", "alerts", "bench", "config", "docs", "tests", "watchdog")
COMMENTED = ("*.yaml", "*.service", "Dockerfile")
"""Files whose comments name commands."""
NAMING = ("ln", "pip", "pipx", "uv")
"""Programs to which ours is but a name."""


@dataclass(frozen=True)
class Piece:
    """A part of a document: its text, the page's path from the root, and the line at which it begins."""

    page: str
    line: int
    text: str
    language: str = ""

    @property
    def place(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """Every document in Markdown, but for those of what was installed."""
    found = {*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))}
    return sorted(found)


def fences(page: Path) -> Iterator[Piece]:
    """Each fenced block."""
    for token in _tokens(page):
        if token.type == "fence":
            yield Piece(_name(page), token.map[0] + 1 if token.map else 0, token.content, token.info.strip())


def inline_code(page: Path) -> Iterator[Piece]:
    """Each piece of code within a sentence."""
    for line, child in _children(page):
        if child.type == "code_inline":
            yield Piece(_name(page), line, child.content)


def links(page: Path) -> Iterator[Piece]:
    """Where each link and picture leads."""
    for line, child in _children(page):
        target = child.attrs.get("href") or child.attrs.get("src")
        if target:
            yield Piece(_name(page), line, str(target))
    for token in _tokens(page):
        if token.type == "html_block":
            for found in re.finditer(r"""\b(?:href|src|srcset)=["']([^"']+)""", token.content):
                yield Piece(_name(page), token.map[0] + 1 if token.map else 0, found[1])


def anchors(page: Path) -> set[str]:
    """The names by which a page's headings are linked to, as forges make them."""
    tokens = _tokens(page)
    headings = [tokens[at + 1] for at, token in enumerate(tokens) if token.type == "heading_open"]
    return {_anchor("".join(child.content for child in heading.children or ())) for heading in headings}


def commands(page: Path) -> Iterator[Piece]:
    """Each command line of ours on a page: in blocks for a shell, and within sentences."""
    for block in fences(page):
        if block.language in ("", "sh", "console"):
            for offset, line in enumerate(block.text.splitlines(), 1):
                yield from (Piece(block.page, block.line + offset, one) for one in commands_of(line))
    for code in inline_code(page):
        yield from (Piece(code.page, code.line, one) for one in commands_of(code.text))


def comments(path: Path) -> Iterator[Piece]:
    """Each command line of ours in the comments and entries of a file of configuration."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        text = line.lstrip(" #")
        quoted = re.findall(r"`([^`]+)`", text)
        for one in quoted or [re.split(r" {3,}", text)[0]]:
            yield from (Piece(_name(path), number, found) for found in commands_of(one))


def commented_files() -> list[Path]:
    """What is shipped with commands in its comments."""
    return sorted({*(path for kind in COMMENTED for path in (ROOT / "config").rglob(kind)), ROOT / "Dockerfile"})


def commands_of(line: str) -> Iterator[str]:
    """The commands of ours that a line for a shell runs, each from the program's name on, without a comment."""
    for words in _split(line):
        at = next((at for at, word in enumerate(words) if word.rpartition("/")[2] == PROGRAM), None)
        if at is not None and len(words) > at + 1 and words[0] not in NAMING:
            yield shlex.join([PROGRAM, *words[at + 1 :]])


def _split(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line.removeprefix("$ "), posix=True, punctuation_chars="|&;")
    lexer.whitespace_split = True
    command: list[str] = []
    try:
        for word in lexer:
            if set(word) <= set("|&;"):
                yield command
                command = []
            else:
                command.append(word)
    except ValueError:
        # the beginning of a text that is no line for a shell
        return
    yield command


@cache
def _tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text())


def _children(page: Path) -> Iterator[tuple[int, Token]]:
    line = 0
    for token in _tokens(page):
        line = token.map[0] + 1 if token.map else line
        yield from ((line, child) for child in token.children or ())


def _anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))
