"""The JSON schema and the reference of the configuration say what its types say."""

import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.support.command import ROOT, command
from watchdog.cli.described import FILES
from watchdog.config import kinds, meanings, reference, yaml_file
from watchdog.config.schema import definitions, schema
from watchdog.core.durations import parse_duration, write_duration
from watchdog.core.fields import keys

CHECK = jsonschema.Draft202012Validator(schema())
EXAMPLES = sorted(path for path in (ROOT / "config").glob("*.yaml") if path.name != "docker-compose.yaml")
LINE = "# yaml-language-server: $schema=./watchdog.schema.json"
SOURCES = "sources: [{database: /data/phantom.db}]\n"


def problems(text: str) -> list[str]:
    """What an editor would mark."""
    return [f"{error.json_path}: {error.message}" for error in CHECK.iter_errors(yaml_file.parsed(text))]


@pytest.mark.parametrize("name", FILES)
def test_what_describes_it_is_as_make_reference_writes_it(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == FILES[name](), "run: make reference"


def test_the_schema_is_one_and_the_command_prints_it() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert command("validate", "--schema").stdout == (ROOT / "config/watchdog.schema.json").read_text(encoding="utf-8")


def test_no_key_is_without_a_meaning() -> None:
    missing = {
        f"{model.__name__}.{key}"
        for model in meanings.parts()
        for key in keys(model)
        if not meanings.meanings(model).get(key)
    }
    assert missing == set()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_names_the_schema_first_and_keeps_to_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.splitlines()[0] == LINE
    assert problems(text) == []


def test_the_reference_says_nothing_as_python_does() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert not re.search(r": None`|\['", text)


def test_what_the_reference_gives_as_an_example_is_of_the_keys_type() -> None:
    known = schema()["$defs"] | definitions() | {"Config": schema()}
    for model in meanings.parts():
        for key, field in keys(model).items():
            place: dict[str, Any] = {**known[model.__name__]["properties"][key], "$defs": known}
            shown = yaml_file.parsed(reference.example(model, key, field))
            assert isinstance(shown, dict)
            assert list(shown) == [key]
            assert [e.message for e in jsonschema.Draft202012Validator(place).iter_errors(shown[key])] == []


@pytest.mark.parametrize(
    "text",
    [
        "poll: 500ms\nnotify: {hold: 2h30m, gather: 1.5h}",
        "poll: ${POLL}\nnotify: {resolved: '${RESOLVED}', timezone: '${TZ}'}",
        "detect: {failed: off, failing: {errors: 3}, overdue: on, jobs: [{match: quiet-*, overdue: off}]}",
        "channels: {ops: 'ntfys://topic', mail: {url_file: /run/secrets/mail}}",
        "owners: [{notify: [ops], quiet_hours: {from: '22:00', to: '07:00', except: nothing}}]",
        "recovery: {mode: act, policies: [{match: {kind: failed}, action: revive, via: [sql]}]}",
    ],
)
def test_what_the_configuration_takes_the_schema_takes(text: str) -> None:
    assert problems(SOURCES + text) == []


@pytest.mark.parametrize(
    "text",
    [
        "pol: 2s",
        "poll: 2",
        "poll: soon",
        "detect: {failed: 5}",
        "detect: {faild: off}",
        "detect: {failing: {errors: 0}}",
        "recovery: {mode: perhaps}",
        "recovery: {policies: [{action: revive, via: [sqll]}]}",
        "channels: {'a b': 'ntfys://topic'}",
        "owners: [{}]",
    ],
)
def test_what_the_configuration_refuses_the_schema_refuses(text: str) -> None:
    assert problems(SOURCES + text) != []


def test_each_kind_of_source_has_its_own_keys_in_the_schema() -> None:
    assert problems("sources: [{kind: openclaw, state_dir: ~/.openclaw}]") == []
    assert problems("sources: [{kind: openclaw, database: x}]") != []
    assert problems("sources: [{kind: phantm, database: x}]") != []
    assert problems("sources: []") != []
    assert schema()["properties"]["sources"]["items"]["properties"]["kind"]["enum"] == list(kinds.known())


@pytest.mark.parametrize("text", ["0s", "500ms", "90s", "2h30m", "7d", "1d1h1m1s1ms"])
def test_a_duration_is_written_as_it_is_read(text: str) -> None:
    length = parse_duration(text)
    assert parse_duration(write_duration(length)) == length
