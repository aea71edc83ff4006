"""The verb `replay`: plays a case and says each change, a line each."""

import json
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from watchdog.replay import operator
from watchdog.replay.case import Case, opened
from watchdog.replay.casting import cast
from watchdog.replay.player import Change, Found, Player, Told


def replay(path: Path, config: Path | None, operators: Path | None) -> Iterator[Change]:
    """Every change of a case, in order. Raises CaseError and ConfigError."""
    with tempfile.TemporaryDirectory(prefix="watchdog-replay-") as name, opened(path) as case:
        folder = Path(name)
        (folder / "case").mkdir()
        yield from _player(case, config, operators, folder).play()


def _player(case: Case, config: Path | None, operators: Path | None, folder: Path) -> Player:
    deeds = operator.deeds(operators, lambda file: cast(case, file, folder)) if operators else []
    return Player(case, cast(case, config, folder), folder / "case", deeds)


def as_json(change: Change) -> str:
    """The line for programs."""
    return json.dumps(_document(change), ensure_ascii=False)


def _document(change: Change) -> dict[str, object]:
    at = _iso(change.at)
    if isinstance(change, Told):
        told = {"to": change.to, "severity": change.severity, "what": change.what}
        return {"at": at, "event": "told", **told, "title": change.title, "text": change.text}
    finding = change.finding
    about = {"job_id": finding.job_id, "job": finding.job, "source": finding.source}
    kind = {"kind": finding.kind.value, "severity": finding.severity.value}
    if isinstance(change, Found):
        return {"at": at, "event": change.event, **kind, **about}
    return {"at": at, "event": "would", "action": change.action, **kind, **about}


def _iso(at: datetime) -> str:
    nearest = at.replace(tzinfo=None) + timedelta(microseconds=500)
    return nearest.isoformat(timespec="milliseconds") + "Z"


def as_text(change: Change) -> str:
    """The line for people."""
    at = f"{change.at:%Y-%m-%d %H:%M:%S}"
    if isinstance(change, Told):
        return f"{at}  told {change.to}: {change.title}"
    finding = change.finding
    whose = finding.job or f"the scheduler of {finding.source}"
    if not isinstance(change, Found):
        return f"{at}  would {change.action} {whose}, for it is {finding.kind.value}"
    if change.event == "cleared":
        return f"{at}  clear: {finding.kind.value} of {whose}"
    return f"{at}  {finding.severity.value.upper()} {finding.kind.value}: {finding.summary}"
