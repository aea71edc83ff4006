"""Commands that can be pasted as they stand, where they are read."""

import re
import shlex
from collections.abc import Collection, Iterator, Sequence

PROGRAM = "scheduler-watchdog"

_VERBS = "ack|unack|silences?|unsilence|incidents|revive|restore|approve|recoveries|jobs|check"

_COMMAND = re.compile(
    rf"(?<![\w/-]){PROGRAM} ({_VERBS})(?![\w-])"
    r"(?! (?:-c|--config|--database|--state|--urls?|--token-file)\b)"
)


_ELSEWHERE = re.compile(
    rf"(?<![\w/-]){PROGRAM} (?:ack|unack|silences?|unsilence|incidents|revive|approve)(?![\w-])"
    r"(?! (?:-c|--(?:config|database|state|urls?|token-file))\b)"
)
"""Those that can be given to a watchdog at an address; one that says which is meant on its own machine is for there."""

_WITHOUT_STATE = re.compile(rf"(?<![\w/-]){PROGRAM} (?:jobs|check)(?![\w-])")


def command(verb: str, *arguments: str) -> str:
    """A command of ours for a shell. An argument is data, such as a job's id: one that begins with `-` is no option."""
    dashes = ["--"] if any(argument.startswith("-") for argument in arguments) else []
    return shlex.join([PROGRAM, verb, *dashes, *arguments])


def asked_with(arguments: Sequence[str]) -> str:
    """The options of a command line that say which watchdog is meant, for the commands that it prints."""
    return next(_given(arguments, ("-c", "--config", "--database", "--state")), "")


def asked_at(url: str, arguments: Sequence[str]) -> str:
    """The options that mean the watchdog at this address, with the token that was given on a command line."""
    return " ".join([shlex.join(["--url", url]), *_given(arguments, ("--token-file",))])


def _given(arguments: Sequence[str], names: Collection[str]) -> Iterator[str]:
    """Those of these options that stand on a command line."""
    for place, text in enumerate(arguments):
        name, is_joined, value = text.partition("=")
        given = value if is_joined else next(iter(arguments[place + 1 :]), "")
        if name in names and given:
            yield shlex.join([name, given])


def as_asked(text: str, arguments: Sequence[str]) -> str:
    """The text of a command that was called with these arguments: what it prints can be pasted after it."""
    options = asked_with(arguments)
    if far := " ".join(_given(arguments, ("--url", "--urls", "--token-file"))):
        return _ELSEWHERE.sub(lambda found: f"{found.group()} {far}", text)
    is_bare = options.startswith("--state") and _WITHOUT_STATE.search(text)
    return text if is_bare else pasteable(text, "", options)


def pasteable(text: str, prefix: str, options: str) -> str:
    """The text with every command of ours in it made complete.

    `prefix`: what has to stand before the program's name, such as `docker exec watchdog`. `options`: what says which
    watchdog is meant, such as `-c /etc/watchdog.yaml`.
    """
    before = f"{prefix} " if prefix else ""
    after = f" {options}" if options else ""
    return _COMMAND.sub(lambda found: f"{before}{found.group()}{after}", text)
