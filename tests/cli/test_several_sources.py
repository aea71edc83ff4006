"""Where several schedulers are watched, it is said which is meant wherever one of their jobs is named; where one is, it
is not: that needs no name."""

import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.conftest import NOW, build
from tests.recovery.test_brought_back import revived
from tests.support.command import command
from tests.support.site import PAGE, Site, outage
from watchdog.cli import tables
from watchdog.config.file import Config
from watchdog.core.action import State
from watchdog.core.instants import iso
from watchdog.engine import Engine
from watchdog.state.records import Records
from watchdog.systems.phantom.section import Phantom


def watched(folder: Path, names: Sequence[str]) -> Config:
    """Agents of these names, each with a job heartbeat that was given up; its file, and what is in it."""
    facts = [f"{{name: {name}, database: {build(folder / f'{name}.db', outage())}}}" for name in names]
    text = f"sources: [{', '.join(facts)}]\nstate: {folder}/state.db\nchannels: {{ops: 'json://127.0.0.1:9/'}}\n"
    (folder / "watchdog.yaml").write_text(text)
    sources = tuple(Phantom(name=name, database=folder / f"{name}.db") for name in names)
    return Config(sources=sources, state=folder / "state.db")


def said(folder: Path, *arguments: str) -> str:
    """What the command says of it."""
    done = command(*arguments, "-c", folder / "watchdog.yaml")
    assert not done.stderr
    return done.stdout


@pytest.mark.parametrize("names", [("garden",), ("garden", "office")])
def test_the_command_line_names_the_source(tmp_path: Path, names: Sequence[str]) -> None:
    config, is_many = watched(tmp_path, names), len(names) > 1
    site = Site(tmp_path, {}, config=config)
    site.look()
    Records(site.store).add(revived(State.VERIFIED, source="garden"))
    site.close()
    at = ("--since", "2026-06-10T00:00:00Z", "--until", iso(NOW))
    table = StringIO()
    Console(file=table, width=160).print(tables.findings_view(Engine(config).tick(NOW).published, NOW))
    told = [
        said(tmp_path, "incidents"),
        said(tmp_path, "recoveries"),
        said(tmp_path, "backtest", *at),
        table.getvalue(),
    ]
    checked = said(tmp_path, "check", "--now", iso(NOW))
    for name in names:
        assert (f"CRITICAL failed in {name}: heartbeat was given up" in checked) == is_many
        assert bool(re.search(rf"failed +{name} +.*heartbeat was given up", told[0])) == is_many
        assert (f"failed in {name} since" in told[2]) == is_many
        assert (f"failed heartbeat in {name}, to the end" in told[2]) == is_many
        assert bool(re.search(rf"failed +{name} +.*heartbeat was given up", told[3])) == is_many
    assert bool(re.search(r"revive heartbeat +garden", told[1])) == is_many


@pytest.mark.parametrize("names", [("garden",), ("garden", "office")])
def test_the_page_names_it_beside_the_title(tmp_path: Path, names: Sequence[str]) -> None:
    site = Site(tmp_path, {}, config=watched(tmp_path, names))
    site.look()
    Records(site.store).add(revived(source="garden"))
    headings = re.findall(r"<h3.*?</h3>", site.client.get("/", headers=PAGE).text, re.DOTALL)
    site.close()
    for name in names:
        named = [heading for heading in headings if f">{name}</span>" in heading]
        wanted = {"garden": ["was given up", "revive heartbeat"], "office": ["was given up"]}[name]
        assert len(named) == (len(wanted) if len(names) > 1 else 0)
        assert all(words in heading for words, heading in zip(wanted, named, strict=False))
