"""Commands that can be pasted as they stand, where they are read."""

import re

PROGRAM = "scheduler-watchdog"

_VERBS = "ack|unack|silences?|unsilence|incidents|revive|restore|approve|recoveries|jobs|check"

_COMMAND = re.compile(
    rf"(?<![\w/-]){PROGRAM} ({_VERBS})(?![\w-])"
    r"(?! (?:-c|--config|--database|--state)\b)"
)


def pasteable(text: str, prefix: str, options: str) -> str:
    """The text with every command of ours in it made complete.

    `prefix`: what has to stand before the program's name, such as `docker exec watchdog`. `options`: what says which
    watchdog is meant, such as `-c /etc/watchdog.yaml`.
    """
    before = f"{prefix} " if prefix else ""
    after = f" {options}" if options else ""
    return _COMMAND.sub(lambda found: f"{before}{found.group()}{after}", text)
