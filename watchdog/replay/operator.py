"""What a person does while a case is played: a JSON list of {"at", "do", "args"}."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from watchdog.config.file import Config
from watchdog.core.durations import parse_duration
from watchdog.core.instants import parse_instant
from watchdog.incidents import verbs
from watchdog.replay.case import CaseError
from watchdog.replay.player import Deed
from watchdog.state.store import Store

Act = Callable[[Store, datetime], Config | None]
Load = Callable[[Path], Config]


def deeds(path: Path, load: Load) -> list[Deed]:
    """The deeds in a file. `load` reads the configuration of a reload. Raises CaseError."""
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CaseError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError:
        raise CaseError(f"{path} is not JSON") from None
    if not isinstance(listed, list):
        raise CaseError(f'{path} is not a list of {{"at", "do", "args"}}')
    return [_deed(path, number, one, load) for number, one in enumerate(listed, 1)]


def _deed(path: Path, number: int, one: object, load: Load) -> Deed:
    try:
        if not isinstance(one, Mapping):
            raise ValueError("it is not an object")
        args = [str(arg) for arg in one.get("args", [])]
        return Deed(parse_instant(str(one.get("at"))), _act(str(one.get("do")), args, load))
    except (ValueError, TypeError) as error:
        raise CaseError(f"{path}: entry {number}: {error}") from None


def _act(do: str, args: Sequence[str], load: Load) -> Act:
    match do, args:
        case "ack", [number]:
            return _acknowledge(int(number))
        case "unack", [number]:
            return _unacknowledge(int(number))
        case "silence", [match, "--for", length]:
            return _silence(match, length)
        case "reload", [file]:
            config = load(Path(file))
            return lambda store, now: config
        case _:
            raise ValueError(
                f"{' '.join([do, *args])!r:.80} is nothing that a person does; ack, unack, silence, reload"
            )


def _acknowledge(number: int) -> Act:
    def act(store: Store, now: datetime) -> None:
        incident = store.ledger().incidents.get(number)
        if incident is not None and incident.is_open:
            verbs.acknowledge(store, number, now)

    return act


def _unacknowledge(number: int) -> Act:
    def act(store: Store, now: datetime) -> None:
        incident = store.ledger().incidents.get(number)
        if incident is not None and incident.is_open and number in store.acknowledgements():
            verbs.unacknowledge(store, number, now)

    return act


def _silence(match: str, length: str) -> Act:
    duration = parse_duration(length)

    def act(store: Store, now: datetime) -> None:
        store.add_silence(verbs.wanted_silence(match, duration, now))

    return act
