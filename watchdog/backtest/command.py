"""From what the command line says to what it prints: configurations, the past, and the replays."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from watchdog.backtest import document, report
from watchdog.backtest.recorded_past import recorded_past
from watchdog.backtest.replay import Progress, replay
from watchdog.backtest.settings_change import changed, setting
from watchdog.backtest.silenced import silences
from watchdog.backtest.verdict import Verdict
from watchdog.config import reading
from watchdog.config.file import Config, for_database
from watchdog.config.sources import Section
from watchdog.config.yaml_file import Document
from watchdog.core.durations import parse_duration
from watchdog.core.instants import parse_instant
from watchdog.systems import system_of
from watchdog.systems.shared.past import PastError, SourcePast

LONG = 20_000
"""From so many runs on the progress is shown, if anybody looks."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One configuration to replay under, and what it is called."""

    name: str
    config: Config


@dataclass(frozen=True, slots=True)
class Backtest:
    """What came of it."""

    pasts: tuple[SourcePast, ...]
    verdicts: tuple[Verdict, ...]
    since: datetime
    until: datetime

    def as_json(self) -> str:
        """For programs."""
        return json.dumps(document.document(self.pasts, self.verdicts, self.since, self.until), indent=2)

    def lines(self) -> Iterator[report.Line]:
        """For people."""
        return report.lines(self.pasts, self.verdicts, self.since, self.until)


def span(since: str, until: str | None, now: datetime) -> tuple[datetime, datetime]:
    """The time to replay: `since` is an instant, or a duration before the end. Raises ValueError, one line."""
    end = _instant(until) if until else now
    try:
        begin = end - parse_duration(since)
    except ValueError:
        begin = _instant(since)
    if begin >= end:
        raise ValueError(f"there is no time between --since {since} and --until {until or 'now'}")
    return begin, end


def _instant(text: str) -> datetime:
    try:
        return parse_instant(text)
    except ValueError:
        raise ValueError(
            f"{text!r} is not an instant; write it like 2026-04-29T05:03:30Z, or --since like 30d"
        ) from None


def scenarios(
    config: Path | None, database: Path | None, state: Path | None, settings: Sequence[str]
) -> list[Scenario]:
    """As configured, and with the settings where there are any. Raises ConfigError and SettingError."""
    wanted = [setting(text) for text in settings]
    if config is not None:
        found_there = reading.read(config)
        data, usual = found_there.mapping, reading.checked(found_there, str(config))
    else:
        usual = for_database(database or Path())
        data = {"sources": [{"database": str(database)}], "state": str(usual.state)}
    found = [Scenario("as configured", usual)]
    if wanted:
        name = f"with {', '.join(one.text for one in wanted)}"
        found.append(Scenario(name, reading.checked(Document(changed(data, wanted)), "--set")))
    if state is not None:
        found = [Scenario(one.name, one.config.but(state=state)) for one in found]
    return found


def backtest(wanted: Sequence[Scenario], since: datetime, until: datetime) -> Backtest:
    """Read the past and replay it under each scenario. Raises PastError, one line."""
    pasts = _pasts(wanted[0].config, since, until)
    verdicts: list[Verdict] = []
    for scenario in wanted:
        config = scenario.config
        same = config.sources == wanted[0].config.sources
        mine = pasts if same else _pasts(config, since, until)
        with _progress(mine, scenario.name, since, until) as progress:
            told = silences(config.state)
            verdicts.append(replay(mine, config, since, until, told, scenario.name, progress))
    return Backtest(pasts, tuple(verdicts), since, until)


def _pasts(config: Config, since: datetime, until: datetime) -> tuple[SourcePast, ...]:
    return tuple(_past(source, config.state, since, until) for source in config.sources)


def _past(source: Section, state: Path, since: datetime, until: datetime) -> SourcePast:
    kept = system_of(source).past(source, state, since, until)
    return kept or recorded_past(source, state, since, until)


@contextmanager
def _progress(pasts: Sequence[SourcePast], name: str, since: datetime, until: datetime) -> Iterator[Progress]:
    """A bar on standard error, for a history that takes a while and a terminal that shows it."""
    if sum(len(past.runs) for past in pasts) < LONG or not sys.stderr.isatty():
        yield lambda at: None
        return
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"replaying {name}", total=(until - since) / timedelta(hours=1))
        shown = since

        def tell(at: datetime) -> None:
            nonlocal shown
            if at - shown >= timedelta(hours=1):
                shown = at
                bar.update(task, completed=(at - since) / timedelta(hours=1))

        yield tell


__all__ = ["Backtest", "PastError", "Scenario", "backtest", "scenarios", "span"]
