"""The command: how it is begun, and how it ends. Errors are one line on standard error, with exit code 3."""

from __future__ import annotations

import sys
from pathlib import Path

from watchdog.cli import screen_text, serving, streams
from watchdog.cli.endings import EXIT_ERROR, CannotGoOn
from watchdog.core.command_line import PROGRAM, as_asked


def _namesake() -> str | None:
    """What to say if the other package that is imported as `watchdog` is in this environment."""
    # by name alone: what reads the metadata of packages would stay in the service
    there = (found for folder in sys.path for found in Path(folder).glob("watchdog-*.dist-info"))
    other = next(there, None)
    if other is None:
        return None
    version = other.stem.removeprefix("watchdog-")
    return (
        f"another package that is imported as `watchdog` (watchdog {version}, file system events) is installed "
        f"in {sys.prefix}; the two overwrite each other. Install scheduler-watchdog into an environment of its own "
        "(pipx install scheduler-watchdog)"
    )


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    given = sys.argv[1:] if arguments is None else arguments
    is_debug = "--debug" in given
    sys.exit(_run([argument for argument in given if argument != "--debug"], is_debug=is_debug))


def _run(arguments: list[str], *, is_debug: bool) -> int:
    streams.fill()
    screen_text.degrade()
    problem = _namesake()
    try:
        if problem:
            raise CannotGoOn(problem)
        return _done(arguments)
    except CannotGoOn as error:
        return _fail(str(error), error, is_debug=is_debug)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return EXIT_ERROR
    except Exception as error:
        return _fail(f"{type(error).__name__}: {error} (this is a fault of ours)", error, is_debug=is_debug)


def _done(arguments: list[str]) -> int:
    """The service by itself, where it is asked for in the usual words; all else by what reads every command line."""
    plain = serving.plainly_asked(arguments)
    if plain is not None:
        serving.serve(plain)
        return 0
    from watchdog.cli import verbs

    return verbs.do(arguments)


def _fail(message: str, error: Exception, *, is_debug: bool) -> int:
    if is_debug:
        import traceback

        traceback.print_exception(error)
    for line in message.splitlines() or [""]:
        print(f"{PROGRAM}: {as_asked(line, sys.argv)}", file=sys.stderr, flush=True)
    return EXIT_ERROR
