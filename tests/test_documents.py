"""Whatever the documents tell people to run, to write or to follow works as it stands there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatch
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import pytest
import yaml
from click.testing import CliRunner

from tests.support import documents
from tests.support.documents import ROOT, Piece
from watchdog.cli.verbs import cli
from watchdog.config.file import Config
from watchdog.config.reading import checked
from watchdog.config.yaml_file import load
from watchdog.core.fields import keys
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.state.store import Store

PAGES = documents.pages()
OTHERS = {"scrape_configs", "services", "groups", "apiVersion", "route", "receivers", "jobs", "on", "permissions"}
"""First keys of files that other programs read."""

BEGIN = datetime(2026, 7, 1, 9, 30, tzinfo=UTC)


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


# commands


def _filled(words: list[str]) -> list[str]:
    """With something in the place of what the reader puts in."""
    told = {
        "JOB": "heartbeat",
        "ID": "1",
        "NAME": "heartbeat",
        "MATCH": "heartbeat",
        "CASE": "case.jsonl.gz",
        "VERB": "run",
    }
    return [re.sub(rf"\b({'|'.join(told)})\b(?:\.\.\.|…)?", lambda found: told[found[1]], word) for word in words]


def _stands(words: list[str]) -> click.Context | None:
    """What the command line makes of it. A verb alone may be its name in a sentence."""
    words = [word for word in words if word != "--debug"]
    if words[0] == "help":
        words = [*words[1:2], "--help"]
    if words[0].startswith("-"):
        assert words[0] in ("--help", "-h", "--version"), words
        return None
    verb = cli.commands.get(words[0])
    assert verb, f"there is no verb {words[0]!r}"
    if len(words) == 1 or {"--help", "-h"} & set(words):
        return None
    return verb.make_context(words[0], words[1:])


def _wrong(pieces: Iterator[Piece]) -> list[str]:
    found = []
    for piece in pieces:
        try:
            _stands(_filled(shlex.split(piece.text)[1:]))
        except (AssertionError, click.ClickException) as error:
            found.append(f"{piece.place}: {piece.text}: {getattr(error, 'message', error)}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_command_on_a_page_stands(page: Path) -> None:
    assert not _wrong(documents.commands(page))


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_verb_that_is_named_with_its_arguments_stands(page: Path) -> None:
    """`ack ID` and the like, where the program's name is left out."""
    verbs = {verb for verb in cli.commands if verb not in ("run", "jobs", "check", "replay")}
    named = (code for code in documents.inline_code(page) if code.text.split(" ")[0] in verbs and " " in code.text)
    assert not _wrong(Piece(code.page, code.line, f"{documents.PROGRAM} {code.text}") for code in named)


@pytest.mark.parametrize("path", documents.commented_files(), ids=_name)
def test_every_command_in_a_comment_stands(path: Path) -> None:
    assert not _wrong(documents.comments(path))


def test_commands_are_seen_where_they_stand() -> None:
    """Else the tests above would hold nothing."""
    line = "python3 -m venv x && ~/x/bin/scheduler-watchdog init --notify a://b; sudo scheduler-watchdog jobs # all"
    assert list(documents.commands_of(line)) == ["scheduler-watchdog init --notify a://b", "scheduler-watchdog jobs"]
    assert sum(len(list(documents.commands(page))) for page in PAGES) > 60
    assert sum(len(list(documents.comments(path))) for path in documents.commented_files()) > 5
    for bad in ("scheduler-watchdog chekc", "scheduler-watchdog ack --wrong 1", "scheduler-watchdog jobs"):
        assert _wrong(iter([Piece("x.md", 1, f"{bad} x y")])), bad


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each command of the documents is run: an agent with a failed job, and its watchdog's state."""
    folder = tmp_path_factory.mktemp("home")
    with Simulator(folder / "phantom.db", BEGIN) as simulator:
        simulator.add("heartbeat", {"kind": "every", "intervalMs": 3_600_000})
        simulator.behaviour = lambda name, now: Outcome.failing()
        simulator.run_until(BEGIN + timedelta(hours=9))
    channel = "channels: {ops: json://127.0.0.1:1/}\n"
    text = f"sources: [{{database: {folder}/phantom.db}}]\nstate: {folder}/state.db\n{channel}"
    (folder / "watchdog.yaml").write_text(text)
    Store(folder / "state.db").close()
    return folder


LOOKS = ("check", "jobs", "fires", "incidents", "silences", "recoveries", "validate", "silence", "backtest")
"""Verbs that neither serve, send nor wait."""


def _run(words: list[str], home: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A command of the documents, on this home's files instead of those that it names."""
    files = {"-c": "watchdog.yaml", "--config": "watchdog.yaml", "--database": "phantom.db", "--state": "state.db"}
    put = [str(home / files[before]) if before in files else word for before, word in pairwise(["", *words])]
    monkeypatch.setenv("WATCHDOG_CONFIG", str(home / "watchdog.yaml"))
    done = CliRunner().invoke(cli, put, standalone_mode=False)
    return "" if done.exception is None else f"{type(done.exception).__name__}: {done.exception}"


def _runnable() -> list[str]:
    """Each once, whatever the file is called in it; not those about an incident or a watchdog that are not here."""
    texts = {piece.text for page in PAGES for piece in documents.commands(page)}
    looks = (text for text in texts if text.split(" ")[1] in LOOKS and not re.search(r"--url| \d+$|incident=", text))
    return sorted({re.sub(r"(?<= -c )\S+", "FILE", text) for text in looks})


@pytest.mark.parametrize("text", _runnable())
def test_a_command_that_harms_nothing_runs(text: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = _filled(shlex.split(text)[1:])
    assert _run(words, home, monkeypatch) == ""


@pytest.mark.parametrize("verb", sorted(cli.commands))
def test_every_verb_has_help(verb: str) -> None:
    done = CliRunner().invoke(cli, [verb, "--help"])
    assert done.exit_code == 0
    assert "Usage:" in done.output


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_target_of_make_and_module_of_the_benchmark_is_there(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    texts = [piece.text for piece in (*documents.inline_code(page), *documents.fences(page))]
    named = {word for text in texts for word in re.findall(r"^\s*make ([a-z-]+)", text, re.MULTILINE)}
    assert named <= targets
    modules = {word for text in texts for word in re.findall(r"python -m (bench[\w.]*)", text)}
    for module in modules:
        path = ROOT / module.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), module


def _printed() -> Iterator[Piece]:
    """What the program itself tells people to type: the verb, and the options that stand beside it."""
    typed = re.compile(rf"(?<!install ){documents.PROGRAM} (?!into an environment)([a-z][a-z-]*(?: --?[a-z][a-z-]*)*)")
    for path in sorted((ROOT / "watchdog").rglob("*.py")):
        for number, line in enumerate(path.read_text().splitlines(), 1):
            yield from (Piece(_name(path), number, found) for found in typed.findall(line))


def test_every_verb_and_option_that_the_program_prints_is_there() -> None:
    printed = list(_printed())
    assert len(printed) > 20
    for piece in printed:
        verb, *options = piece.text.split(" ")
        assert verb in cli.commands, f"{piece.place}: {piece.text}"
        known = {name for option in cli.commands[verb].params for name in (*option.opts, *option.secondary_opts)}
        assert set(options) <= {*known, "--help", "--debug"}, f"{piece.place}: {piece.text}"


def test_every_target_of_make_that_the_program_names_is_there() -> None:
    texts = "".join(path.read_text() for path in (ROOT / "watchdog").rglob("*.py"))
    named = set(re.findall(r"\bmake ([a-z]+), in a clone", texts))
    assert named
    assert named <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


# links


BESIDE = {
    "docs/configuration.md",
    "docs/page.md",
    "docs/terminal.md",
    "docs/pictures/page.png",
    "docs/pictures/message.png",
}
"""What comes with the part of the program that it is about, or is made from it: held there, and linked to here."""


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_leads_somewhere(page: Path) -> None:
    dead = []
    for link in documents.links(page):
        parts = urlsplit(link.text)
        if parts.scheme:
            assert parts.scheme in ("http", "https", "mailto"), link.place
            continue
        target = (page.parent / parts.path).resolve() if parts.path else page
        assert target.is_relative_to(ROOT), link.place
        if not target.exists() and str(target.relative_to(ROOT)) in BESIDE:
            continue
        is_there = target.exists()
        if not is_there or (parts.fragment and parts.fragment not in documents.anchors(target)):
            dead.append(f"{link.place}: {link.text}")
    assert not dead


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_file_of_ours_that_is_named_is_there(page: Path) -> None:
    ours = re.compile(rf"(?:{'|'.join(map(re.escape, documents.FOLDERS))})/[\w./-]*[\w/]")
    named = [code for code in documents.inline_code(page) if ours.fullmatch(code.text)]
    assert not [f"{code.place}: {code.text}" for code in named if not (ROOT / code.text).exists()]


def test_the_index_names_every_page() -> None:
    listed = {link.text.partition("#")[0] for link in documents.links(ROOT / "docs/README.md")}
    assert {page.name for page in (ROOT / "docs").glob("*.md")} - {"README.md"} <= listed


# configuration


SNIPPETS = [block for page in PAGES for block in documents.fences(page) if block.language == "yaml"]


def _whole(data: dict[str, Any], watched: object) -> dict[str, Any]:
    """A part of a configuration with what it needs besides: something to watch, and the channels that it names."""
    channels = {"channels": dict.fromkeys(("ops", "mail"), "json://127.0.0.1/")} if "owners" in data else {}
    return {"sources": watched, **channels, **data}


def _watched_before(block: Piece) -> object:
    """What the page's last snippet before this one watches: policies are about that."""
    before = [yaml.safe_load(one.text) for one in SNIPPETS if one.page == block.page and one.line < block.line]
    named = [data["sources"] for data in before if "sources" in data]
    return named[-1] if named else [{"database": "/data/phantom.db"}]


@pytest.mark.parametrize("block", SNIPPETS, ids=lambda block: block.place)
def test_every_snippet_of_a_configuration_is_a_good_one(block: Piece, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("https://example.org/ping")
    text = re.sub(r"(?<=_file: )/run/[\w/]+", str(tmp_path / "secret"), block.text)
    if OTHERS & set(yaml.safe_load(text)):
        assert not set(keys(Config)) & set(yaml.safe_load(text))
        return
    environment = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "filled")
    path = tmp_path / "watchdog.yaml"
    path.write_text(text)
    path.write_text(yaml.safe_dump(_whole(load(path, environment).mapping, _watched_before(block))))
    assert checked(load(path, environment), block.place)


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_section_that_is_written_out_in_a_sentence_is_a_good_one(page: Path, tmp_path: Path) -> None:
    written = re.compile(rf"(?:{'|'.join(set(keys(Config)) - {'sources'})}): \{{.*\}}", re.DOTALL)
    path = tmp_path / "watchdog.yaml"
    for code in documents.inline_code(page):
        if written.fullmatch(code.text) and "…" not in code.text:
            path.write_text(yaml.safe_dump(_whole(yaml.safe_load(code.text), [{"database": "/data/phantom.db"}])))
            assert checked(load(path, {}), code.place)


# what is shipped


def test_what_is_no_module_is_in_the_package() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["watchdog"]
    house = ROOT / "watchdog"
    files = [path for path in house.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    names = [str(path.relative_to(house)) for path in files]
    assert len(names) > 10
    assert not [name for name in names if not any(fnmatch(name, pattern) for pattern in patterns)]


def test_no_page_names_the_host_of_a_package_registry() -> None:
    hosts = re.compile(r"\b(?:pypi\.org|pythonhosted|registry\.npmjs|ghcr\.io|docker\.io|hub\.docker)", re.IGNORECASE)
    assert not [_name(page) for page in PAGES if hosts.search(page.read_text())]


def test_the_sdist_takes_what_the_documents_point_into() -> None:
    kept = (ROOT / "MANIFEST.in").read_text()
    assert {"alerts", "config", "docs"} == set(re.findall(r"^graft (\w+)$", kept, re.MULTILINE))


@pytest.mark.slow
def test_the_package_is_built_and_runs_in_an_empty_home(tmp_path: Path) -> None:
    """In a copy, for it builds into `dist`."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tmp_path / name)
    done = subprocess.run(
        [tmp_path / ".ci/dist"],
        env=os.environ | {"PYTHON": sys.executable},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "built, and tried in an empty home" in done.stdout
