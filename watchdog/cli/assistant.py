"""`mcp`: which watchdog an assistant is given, and with what it may do there."""

import sys
from importlib.metadata import version
from pathlib import Path

from watchdog.assistant.questions import Questions
from watchdog.cli.endings import CannotGoOn
from watchdog.cli.which import unnamed
from watchdog.config.fields import read_secret
from watchdog.config.file import Address, ConfigError
from watchdog.config.reading import load
from watchdog.core.extras import how_to_add
from watchdog.remote.client import Remote, address


def serve(config: Path | None, url: str | None, token_file: Path | None) -> None:
    """Answer over stdio until its host closes it."""
    if config is None and url is None:
        raise unnamed("--url URL")
    try:
        from watchdog.assistant import server
    except ImportError:
        raise CannotGoOn(f"the tools for assistants are not installed; add them with: {how_to_add('mcp')}") from None
    try:
        found = address(url) if url else _own_address(load(config).http.address) if config else ""
        token = read_secret(token_file) if token_file else ""
    except ConfigError as error:
        raise CannotGoOn("\n".join(error.problems)) from error
    except ValueError as error:
        raise CannotGoOn(str(error)) from None
    if sys.stdin.isatty():
        print(
            "speaks with an assistant that starts it (docs/assistants.md), and waits for one; Ctrl-C ends it",
            file=sys.stderr,
        )
    questions = Questions(Remote(found, token), config)
    server.build(questions, version("scheduler-watchdog"), may_change=bool(token)).run("stdio")


def _own_address(listen: Address) -> str:
    """Where the watchdog of this machine is reached: one that listens everywhere is reached here as well."""
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is not bound here
    host = anywhere.get(listen.host, listen.host)
    return f"http://{Address(host=host, port=listen.port)}"
