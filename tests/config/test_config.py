"""The configuration: what is wrong is told all at once, by file and path, in words that help, and without secrets."""

import json
import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import as_nobody
from tests.support.memory_folder import memory_folder
from tests.support.sections import smallest
from watchdog.config.fields import read_secret
from watchdog.config.file import Config, ConfigError, for_database, parse_address
from watchdog.config.reading import load
from watchdog.config.settings import Detect
from watchdog.core.kinds import Kind
from watchdog.core.model import Job, Unreadable
from watchdog.detectors.lateness import Overdue
from watchdog.detectors.wedged import Wedged
from watchdog.detectors.zero_tokens import ZeroTokens
from watchdog.systems import KINDS
from watchdog.systems.phantom.section import Phantom

SOURCES = "sources: [{kind: phantom, name: phantom, database: /data/phantom.db}]\n"
SECRET = "xoxb-hunter2hunter2"

SAMPLE = """
sources:
  - name: phantom
    kind: phantom
    database: /data/phantom.db
    timezone: UTC
    api: {url: "http://phantom:3100", token_file: FOLDER/phantom_token}
state: /var/lib/watchdog/state.db
http: {listen: "127.0.0.1:9846", token_file: null}
poll: 2s
detect:
  overdue: {cadences: 2, at_grace: 10m}
  zero_tokens: {streak: 3}
  jobs:
    - match: "quiet-*"
      zero_tokens: off
channels:
  ops: "slack://${SLACK_TOKEN}/#ops"
owners:
  - {match: {job: "heartbeat*"}, notify: [ops]}
  - {match: {delivery_target: "U*"}, notify: ["slack://${SLACK_TOKEN}/@{delivery_target}"]}
  - {match: {}, notify: [ops]}
notify: {remind_every: 24h, resolved: true, quiet_hours: {from: "22:00", to: "07:00", timezone: Europe/Berlin, except: critical}}
recovery:
  mode: observe
  policies: []
"""  # noqa: E501


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "watchdog.yaml"


def problems(file: Path, text: str, environment: Mapping[str, str] | None = None) -> list[str]:
    """What is wrong with this text; every line names the file."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, environment or {})
    found = caught.value.problems
    assert found
    assert all(line.startswith(f"{file}: ") and "\n" not in line for line in found)
    return [re.sub(r"^line \d+: (?!the key|not YAML|a key)", "", line.removeprefix(f"{file}: ")) for line in found]


def loaded(file: Path, text: str, environment: Mapping[str, str] | None = None) -> Config:
    file.write_text(text, encoding="utf-8")
    return load(file, environment or {})


def named(name: str) -> Job:
    return Job(id=name, name=name, schedule=Unreadable("", ""))


class TestTheSample:
    @pytest.fixture
    def sample(self, file: Path, tmp_path: Path) -> Config:
        (tmp_path / "phantom_token").write_text("hunter2\n")
        return loaded(file, SAMPLE.replace("FOLDER", str(tmp_path)), {"SLACK_TOKEN": SECRET})

    def test_it_loads_as_it_stands(self, sample: Config) -> None:
        (source,) = sample.sources
        assert isinstance(source, Phantom)
        assert (source.name, source.database, source.timezone) == ("phantom", Path("/data/phantom.db"), "UTC")
        assert source.api is not None
        assert read_secret(source.api.token_file or Path()) == "hunter2"
        assert sample.poll == timedelta(seconds=2)
        assert sample.http.address.is_loopback
        assert sample.notify.remind_every == timedelta(hours=24)
        assert sample.notify.quiet_hours is not None
        assert (sample.notify.quiet_hours.from_, sample.notify.quiet_hours.except_) == ("22:00", "critical")
        assert sample.recovery.mode == "observe"

    def test_its_variables_are_filled_in_and_hidden(self, sample: Config) -> None:
        assert sample.channels["ops"].url is not None
        assert sample.channels["ops"].url.get_secret_value() == f"slack://{SECRET}/#ops"
        assert SECRET not in str(sample.channels) + repr(sample.channels)

    def test_a_pattern_of_its_owner_is_left_as_it_is(self, sample: Config) -> None:
        assert sample.owners[1].notify == (f"slack://{SECRET}/@{{delivery_target}}",)

    def test_its_quiet_jobs_may_run_on_no_tokens(self, sample: Config) -> None:
        assert not sample.detect.of(named("quiet-night")).is_on(Kind.ZERO_TOKENS)
        assert not sample.detect.of(named("QUIET-night")).is_on(Kind.ZERO_TOKENS)
        assert sample.detect.of(named("heartbeat")).is_on(Kind.ZERO_TOKENS)
        assert sample.detect.of(named("quiet-night")).is_on(Kind.OVERDUE)


def test_one_line_is_enough(file: Path) -> None:
    config = loaded(file, "sources: [{database: /data/phantom.db}]")
    assert config.sources == for_database(Path("/data/phantom.db")).sources
    assert str(config.http.address) == "127.0.0.1:9846"
    assert config.http.address.is_loopback


def test_all_problems_are_told_at_once(file: Path) -> None:
    found = problems(
        file,
        """
sources:
  - {kind: phantom, name: "a b", databse: /x, timezone: Mars/Olympus}
  - {kind: phantom, database: /y, look_back: 7}
  - {kind: lunar, database: /z}
poll: 1ms
detct: {}
detect:
  overdue: {cadences: 0, at_grace: soon}
  jobs: [{zero_tokens: {streek: 3}}]
http: {listen: "nowhere"}
channels: {ops: {}}
owners: [{notify: []}]
notify: {quiet_hours: {from: "25:00", to: "7", except: nobody}}
recovery: {mode: yolo}
""",
    )
    wanted = {
        "sources[0].name": "pattern",
        "sources[0].database": "is missing",
        "sources[0].databse": "unknown key; did you mean database?",
        "sources[0].timezone": "'Mars/Olympus' is not a time zone; write a name like UTC or Europe/Berlin",
        "sources[1].look_back": "not a duration: 7; write it with a unit, like 90s, 10m, 2h30m or 7d",
        "sources[2].kind": "should be 'phantom'",
        "poll": "must lie between 50ms and 1h",
        "detct": "unknown key; did you mean detect?",
        "detect.overdue.cadences": "greater than or equal to 1",
        "detect.overdue.at_grace": "not a duration: 'soon'",
        "detect.jobs[0].match": "is missing",
        "detect.jobs[0].zero_tokens.streek": "unknown key; did you mean streak?",
        "http.listen": "'nowhere' is not an address with a port; write it like 127.0.0.1:9846",
        "channels.ops": "give ",
        "owners[0].notify": "is empty; name at least one",
        "notify.quiet_hours.from": "hour must be in 0..23",
        "notify.quiet_hours.to": "'7' is not a time of day; write it in quotes, like \"22:00\"",
        "notify.quiet_hours.except": "'critical' or 'nothing'",
        "recovery.mode": "'observe', 'propose' or 'act'",
    }
    told = {line.partition(": ")[0]: line for line in found}
    assert set(told) == set(wanted)
    for place, words in wanted.items():
        assert words in told[place]


def test_what_was_left_empty_is_told_in_words_that_are_no_programmers(file: Path) -> None:
    empty = "is empty; put a value behind the colon"
    assert problems(file, "sources:\n- {name: a, database: }\n- {database: 5}\nstate:\npoll:\nhttp: {listen: }\n") == [
        f"sources[0].database: {empty}",
        "sources[1].database: should be a path, as text",
        f"state: {empty}",
        f"poll: {empty}",
        f"http.listen: {empty}",
    ]


def test_what_is_wrong_beside_an_unknown_word_is_told_with_it(file: Path) -> None:
    """It came in a second round: a source of no known kind was not looked at, nor whom the others name."""
    found = problems(
        file,
        """
sources: [{kind: fantom, database: /x, timezone: Mars/Olympus}]
channels: {me: "json://localhost", ops: "json://localhost"}
owners: [{match: {job: x}, notify: me}, {notify: [mee]}]
recovery: {policies: [{match: {kind: fail}, action: none}]}
""",
    )
    assert [line.partition(" ")[0].rstrip(":") for line in found] == [
        "sources[0].kind",
        "sources[0].timezone",
        "owners[0].notify",
        "owners[1]",
        "recovery.policies[0].match.kind",
    ]
    assert found[0].endswith("; did you mean phantom?")
    assert found[4].endswith("; did you mean failed?")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("poll: 2s\npoll: 3s\n", "line 2: the key 'poll' stands there twice"),
        ("detect: {overdue: {cadences: 1,\n cadences: 2}}\n", "line 2: the key 'cadences' stands there twice"),
        ("http: {on: 1, 'on': 2}\n", "line 1: the key 'on' stands there twice"),
        ("? [a, b]\n: 1\n", "line 1: a key must be text"),
    ],
)
def test_a_key_that_stands_twice_does_not_silently_win(text: str, told: str, file: Path) -> None:
    assert problems(file, text) == [told]


REPEATED = "a0: &a0 [1]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 20))
"""Ten times as much from line to line."""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "it must be a mapping that begins with `sources:`"),
        ("# nothing yet\n", "it must be a mapping that begins with `sources:`"),
        ("- sources\n", "it must be a mapping that begins with `sources:`"),
        ("sources\n", "it must be a mapping that begins with `sources:`"),
        ("sources: [\n", "line 2: not YAML"),
        ("poll: 2s\n\tstate: x\n", "line 2: not YAML"),
        ("a: b: c\n", "line 1: not YAML"),
        ("a: *nowhere\n", "line 1: not YAML"),
        ("a: !!python/object/apply:os.system [id]\n", "line 1: not YAML"),
        ("a: 1\n---\na: 2\n", "not YAML"),
        ("a: \x00\n", "not YAML"),
        ("[" * 5000, "not YAML: "),
        ("a: " + "{a: " * 60 + "1" + "}" * 60, "nested too deeply"),
        ("a: &a [*a]\n", "line 1: not YAML"),
        ('a: !!bool ""\n', "not YAML"),
        ('a: !!int ""\n', "not YAML"),
        ("a: !!timestamp x\n", "not YAML"),
        ("a: 2026-13-45\n", "not YAML"),
        (REPEATED, "more than 200,000 values; does an alias repeat them?"),
    ],
)
def test_what_is_no_such_file_is_told_by_its_line(text: str, told: str, file: Path) -> None:
    (found,) = problems(file, text)
    assert told in found


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, why in ((tmp_path / "nothing.yaml", "No such file"), (tmp_path, "it is a folder, not a file")):
        with pytest.raises(ConfigError, match=f"{path}: cannot be read: {why}"):
            load(path, {})
    (tmp_path / "latin.yaml").write_bytes(b"poll: \xff")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        load(tmp_path / "latin.yaml", {})


def test_a_file_that_may_not_be_read_is_told(reachable: Path) -> None:
    path = reachable / "watchdog.yaml"
    path.write_text(SOURCES)
    path.chmod(0o600)

    def told() -> list[str]:
        try:
            load(path, {})
        except ConfigError as error:
            return error.problems
        return []

    assert as_nobody(told) == [f"{path}: cannot be read: Permission denied"]
    path.chmod(0o644)
    assert as_nobody(told) == []


class TestVariables:
    def test_all_that_are_not_set_are_named_by_place(self, file: Path) -> None:
        found = problems(file, SOURCES + 'channels: {ops: "slack://${A}/${B}", mail: "mailto://${C}"}', {"B": "b"})
        assert found == [
            "channels.ops: the environment variable A is not set",
            "channels.mail: the environment variable C is not set",
        ]

    @pytest.mark.parametrize("name", ["", "1A", "A B", "A-B", "$A"])
    def test_a_name_that_is_none_is_told(self, name: str, file: Path) -> None:
        (found,) = problems(file, SOURCES + f"state: '${{{name}}}'")
        assert found == f"state: ${{{name}}} is not the name of an environment variable"

    def test_an_empty_one_is_set(self, file: Path) -> None:
        assert loaded(file, SOURCES + 'state: "/x${A}"', {"A": ""}).state == Path("/x")

    def test_a_value_is_data_and_never_yaml_or_another_variable(self, file: Path) -> None:
        value = "x}: [1, 2] # ${B} &a"
        assert loaded(file, SOURCES + 'state: "/${A}"', {"A": value}).state == Path(f"/{value}")

    def test_a_dollar_alone_is_left_alone(self, file: Path) -> None:
        assert loaded(file, SOURCES + "state: '/a$B$'", {"B": "b"}).state == Path("/a$B$")


class TestYamlTraps:
    def test_an_unquoted_time_of_day_is_not_taken_for_minutes(self, file: Path) -> None:
        found = problems(file, SOURCES + "notify: {quiet_hours: {from: 22:00, to: 07:00}}")
        assert {line.partition(": ")[0] for line in found} >= {"notify.quiet_hours.from"}

    @pytest.mark.parametrize("text", ["name: no", "name: 0755", "name: 12:30", "name: ~", "database: on"])
    def test_a_word_that_yaml_reads_as_something_else_is_told_by_its_place(self, text: str, file: Path) -> None:
        base = "" if text.startswith("database") else "database: /x, "
        (found,) = problems(file, f"sources: [{{{base}{text}}}]")
        assert found.startswith(f"sources[0].{text.partition(':')[0]}: ")

    @pytest.mark.parametrize("text", ["true", "'2'", "2.5", "no", "0", "-1", "~"])
    def test_a_count_is_a_whole_number(self, text: str, file: Path) -> None:
        (found,) = problems(file, SOURCES + f"detect: {{zero_tokens: {{streak: {text}}}}}")
        assert found.startswith("detect.zero_tokens.streak: ")

    @pytest.mark.parametrize("text", [".nan", "0.5", "-1"])
    def test_a_factor_is_one_or_more(self, text: str, file: Path) -> None:
        (found,) = problems(file, SOURCES + f"detect: {{long_run: {{factor: {text}}}}}")
        assert found.startswith("detect.long_run.factor: ")

    @pytest.mark.parametrize("text", ["off", "no", "false", "'off'", "'No'", "{'on': false}"])
    def test_every_way_to_say_off_is_off(self, text: str, file: Path) -> None:
        detect = loaded(file, SOURCES + f"detect: {{stranded: {text}}}").detect
        assert not detect.of(named("any")).is_on(Kind.STRANDED)

    @pytest.mark.parametrize("text", ["on", "yes", "true", "'on'", "{}", "{'on': true}"])
    def test_every_way_to_say_on_is_on(self, text: str, file: Path) -> None:
        detect = loaded(file, SOURCES + f"detect: {{stranded: {text}}}").detect
        assert detect.of(named("any")).is_on(Kind.STRANDED)

    def test_a_duration_without_a_unit_is_told(self, file: Path) -> None:
        (found,) = problems(file, SOURCES + "poll: 2")
        assert found == "poll: not a duration: 2; write it with a unit, like 90s, 10m, 2h30m or 7d"


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("pol: 2s", "pol: unknown key; did you mean poll?"),
            ("source: []", "source: unknown key; did you mean sources?"),
            ("http: {liste: x}", "http.liste: unknown key; did you mean listen?"),
            ("detect: {overdu: off}", "detect.overdu: unknown key; did you mean overdue?"),
            ("detect: {wedged: {limit: 1h}}", "detect.wedged.limit: unknown key; did you mean run_limit?"),
            ("detect: {jobs: [{match: x, wedge: off}]}", "detect.jobs[0].wedge: unknown key; did you mean wedged?"),
            ("owners: [{notify: ['json://x'], mach: {}}]", "owners[0].mach: unknown key; did you mean match?"),
            ("owners: [{notify: ['a://b'], match: {jobs: x}}]", "owners[0].match.jobs: unknown key; did you mean job?"),
            ("notify: {remind: 1h}", "notify.remind: unknown key; did you mean remind_every?"),
        ],
    )  # fmt: skip
    def test_the_key_that_was_meant_is_named(self, text: str, told: str, file: Path) -> None:
        (found,) = problems(file, SOURCES + text)
        assert found == told

    def test_without_a_near_one_those_that_are_known_are_listed(self, file: Path) -> None:
        (found,) = problems(file, SOURCES + "recovery: {zzz: 1}")
        assert found == "recovery.zzz: unknown key; known here: mode, policies"

    def test_a_switch_of_a_kind_that_is_none_is_told(self, file: Path) -> None:
        (found,) = problems(file, SOURCES + "detect: {lunar: off}")
        assert found.startswith("detect.lunar: unknown key")


class TestSources:
    @pytest.mark.parametrize("text", ["sources: []", "sources: {}", "sources: ~", "poll: 2s"])
    def test_at_least_one_is_needed(self, text: str, file: Path) -> None:
        (found,) = problems(file, text)
        assert found.startswith("sources: ")

    def test_names_differ(self, file: Path) -> None:
        (found,) = problems(file, "sources: [{database: /a}, {database: /b}, {database: /c, name: c}]")
        assert found == "sources: the name 'phantom' is given to 2 sources; names must differ"

    def test_names_differ_also_where_a_source_is_wrong_otherwise(self, file: Path) -> None:
        found = problems(
            file, "sources:\n- {database: /a, name: x}\n- {name: x}\n- {kind: fantom, name: x, database: /c}"
        )
        assert found[0] == "sources: the name 'x' is given to 3 sources; names must differ"
        assert found[1] == "sources[1].database: is missing"
        assert found[2].startswith("sources[2].kind: ")
        assert len(found) == 3

    @pytest.mark.parametrize("name", ["", "a b", "a/b", "a\n", "x" * 101, "ü", '"'])
    def test_a_name_is_fit_for_a_label(self, name: str, file: Path) -> None:
        escaped = name.encode("unicode_escape").decode().replace('"', '\\"')
        (found,) = problems(file, f'sources: [{{database: /a, name: "{escaped}"}}]')
        assert found.startswith("sources[0].name: ")

    @pytest.mark.parametrize("url", ["phantom:3100", "ftp://phantom", "http://", "", "//phantom"])
    def test_an_api_needs_a_web_address(self, url: str, file: Path) -> None:
        (found,) = problems(file, f'sources: [{{database: /a, api: {{url: "{url}"}}}}]')
        assert found == "sources[0].api.url: must be an http:// or https:// address"

    @pytest.mark.parametrize("kind", KINDS)
    def test_every_system_may_have_a_health_address(self, kind: str, file: Path) -> None:
        given = f"{json.dumps(smallest(kind))[:-1]}, health: "
        config = loaded(file, f'sources: [{given}"http://agent:3100/health"}}]')
        assert config.sources[0].health == "http://agent:3100/health"
        (found,) = problems(file, f'sources: [{given}"agent:3100"}}]')
        assert found == "sources[0].health: must be an http:// or https:// address"
        (found,) = problems(file, f'sources: [{given}"http://agent:31OO/health"}}]')
        assert found == "sources[0].health: the port must be a number up to 65535"


class TestSecrets:
    @pytest.mark.parametrize(
        "text",
        [
            'channels: {ops: {url: "slack://SECRET", ulr: 1}}',
            'channels: {ops: {url: "slack://SECRET", url_file: /nowhere}}',
            'channels: {ops: ["slack://SECRET"]}',
            'channels: ["slack://SECRET"]',
            'channels: {"o p s": "slack://SECRET"}',
            'channels: {ops: {url: ["slack://SECRET"]}}',
            'owners: [{notify: "slack://SECRET"}]',
            'owners: [{notify: [{to: "slack://SECRET"}]}]',
            'sources: [{database: /a, api: {url: "SECRET", token_file: /nowhere}}]',
            'recovery: {mode: "SECRET"}',
        ],
    )
    def test_no_error_shows_what_a_variable_holds(self, text: str, file: Path) -> None:
        body = text if text.startswith("sources") else SOURCES + text
        told = problems(file, body.replace("SECRET", "${TOKEN}"), {"TOKEN": SECRET})
        assert SECRET not in "".join(told)

    @pytest.mark.parametrize(
        ("place", "text"),
        [
            ("http.token_file", "http: {token_file: PATH}"),
            ("channels.ops.url_file", "channels: {ops: {url_file: PATH}}"),
        ],
    )
    def test_a_file_that_cannot_be_read_is_named_by_place_and_path(
        self, place: str, text: str, file: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "empty").write_text(" \n\n")
        (tmp_path / "binary").write_bytes(b"\xff\xfe\x00hunter2")
        os.mkfifo(tmp_path / "pipe")
        for name, why in (
            ("nothing", "cannot be read: No such file or directory"),
            ("empty", "is empty"),
            ("binary", "cannot be read: not text"),
            ("", "cannot be read: it is a folder, not a file"),
            ("pipe", "cannot be read: it is a pipe, not a file"),
        ):
            path = tmp_path / name
            (found,) = problems(file, SOURCES + text.replace("PATH", f'"{path}"'))
            assert found == f"{place}: the file {path} {why}"

    def test_a_file_that_may_not_be_read_is_named_and_never_quoted(self, reachable: Path) -> None:
        secret = reachable / "token"
        secret.write_text("hunter2")
        secret.chmod(0o600)
        path = reachable / "watchdog.yaml"
        path.write_text(SOURCES + f"http: {{token_file: {secret}}}")

        def told() -> list[str]:
            try:
                load(path, {})
            except ConfigError as error:
                return error.problems
            return []

        assert as_nobody(told) == [
            f"{path}: line 2: http.token_file: the file {secret} cannot be read: Permission denied"
        ]

    def test_the_first_line_counts_without_its_end(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("\n  hunter2 \r\nsecond\n")
        assert read_secret(tmp_path / "token") == "hunter2"


class TestOverrides:
    def detect(self, file: Path, text: str) -> Detect:
        return loaded(file, SOURCES + text).detect

    def test_an_override_changes_only_what_it_names(self, file: Path) -> None:
        detect = self.detect(
            file,
            """
detect:
  overdue: {cadences: 4, at_grace: 1h}
  zero_tokens: {streak: 9}
  jobs:
    - {match: "slow-*", overdue: {cadences: 7}, wedged: off}
""",
        )
        rules = detect.of(named("slow-digest"))
        assert (rules[Overdue].cadences, rules[Overdue].at_grace) == (7, timedelta(hours=1))
        assert rules[ZeroTokens].streak == 9
        assert not rules[Wedged].on
        assert rules[Wedged].run_limit == timedelta(minutes=245)
        others = detect.of(named("digest"))
        assert (others[Overdue].cadences, others[Wedged].on) == (4, True)

    def test_of_several_that_fit_the_later_one_wins_value_by_value(self, file: Path) -> None:
        detect = self.detect(
            file,
            """
detect:
  jobs:
    - {match: "*", overdue: {cadences: 5, at_grace: 1m}}
    - {match: "slow-*", overdue: {cadences: 7}}
    - {match: "slow-digest", overdue: off}
    - {match: "other", overdue: {cadences: 9}}
""",
        )
        digest, mail, fast = (detect.of(named(name))[Overdue] for name in ("slow-digest", "slow-mail", "fast"))
        assert (digest.on, digest.cadences, digest.at_grace) == (False, 7, timedelta(minutes=1))
        assert (mail.on, mail.cadences) == (True, 7)
        assert (fast.on, fast.cadences) == (True, 5)

    def test_what_is_off_for_all_can_be_on_for_some(self, file: Path) -> None:
        detect = self.detect(file, "detect: {undelivered: off, jobs: [{match: 'brief', undelivered: on}]}")
        assert not detect.of(named("digest")).is_on(Kind.UNDELIVERED)
        assert detect.of(named("brief")).is_on(Kind.UNDELIVERED)

    @pytest.mark.parametrize("kind", Kind)
    def test_every_kind_can_be_switched_off_for_all_and_for_one(self, kind: Kind, file: Path) -> None:
        assert not self.detect(file, f"detect: {{{kind}: off}}").of(named("a")).is_on(kind)
        detect = self.detect(file, f"detect: {{jobs: [{{match: a, {kind}: off}}]}}")
        assert not detect.of(named("a")).is_on(kind)
        assert detect.of(named("b")).is_on(kind)

    def test_a_pattern_may_hold_what_means_something_elsewhere(self, file: Path) -> None:
        detect = self.detect(file, "detect: {jobs: [{match: '.*+(', failed: off}, {match: 'x[12]', failed: off}]}")
        assert detect.of(named("anything")).is_on(Kind.FAILED)
        assert not detect.of(named(".anything+(")).is_on(Kind.FAILED)
        assert not detect.of(named("X1")).is_on(Kind.FAILED)


@pytest.mark.parametrize(
    ("text", "host", "port", "is_loopback"),
    [
        ("127.0.0.1:9846", "127.0.0.1", 9846, True),
        ("localhost:0", "localhost", 0, True),
        ("[::1]:80", "::1", 80, True),
        (":9846", "0.0.0.0", 9846, False),
        ("0.0.0.0:1", "0.0.0.0", 1, False),
        ("watchdog.local:65535", "watchdog.local", 65535, False),
        ("[2001:db8::1]:443", "2001:db8::1", 443, False),
    ],
)
def test_an_address_is_read(text: str, host: str, port: int, is_loopback: bool) -> None:
    address = parse_address(text)
    assert (address.host, address.port, address.is_loopback) == (host, port, is_loopback)


@pytest.mark.parametrize(
    "text", ["", "9846", "host", "host:", "host:x", "host:65536", "host:-1", "host:٨٠", "host:8 0"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address with a port; write it like"):
        parse_address(text)


WORDS = [
    *("sources", "database", "name", "kind", "detect", "jobs", "match", "overdue", "cadences", "http", "listen", "x"),
    *("channels", "url", "owners", "notify", "quiet_hours", "from", "recovery", "poll"),
]
SCALARS = st.none() | st.booleans() | st.integers(-10, 10) | st.floats() | st.text(max_size=6)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@given(TREES)
def test_no_file_brings_it_down(tree: object) -> None:
    with memory_folder() as folder:
        path = Path(folder) / "watchdog.yaml"
        path.write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
        told = []
        try:
            load(path, {})
        except ConfigError as error:
            told = error.problems
        assert all(line.startswith(f"{path}: ") for line in told)


class TestWhereAndHow:
    def test_each_problem_names_its_line(self, file: Path) -> None:
        file.write_text("sources:\n  - database: /x.db\n    nmae: a\npoll: 9d\nnotify:\n  remind_evry: 2h\n")
        with pytest.raises(ConfigError) as caught:
            load(file, {})
        assert caught.value.problems == [
            f"{file}: line 3: sources[0].nmae: unknown key; did you mean name?",
            f"{file}: line 4: poll: must lie between 50ms and 1h",
            f"{file}: line 6: notify.remind_evry: unknown key; did you mean remind_every?",
        ]

    @pytest.mark.parametrize(
        ("text", "wanted"),
        [
            ("sources: [{database: /x, name: no}]", "sources[0].name: should be text; put it in quotes, for YAML"),
            (SOURCES + "owners: [{notify: ops}]", "owners[0].notify: should be a list; put it in [brackets]"),
            (
                SOURCES + "detect: {jobs: {enabled: on}}",
                "detect.jobs: should be a list like [{match: quiet-*, overdue: off}]; put a dash before each entry",
            ),
            (
                SOURCES + "owners: {notify: [ops]}",
                "owners: should be a list like [{notify: [ops]}]; put a dash before each entry",
            ),
            (SOURCES + "owners: ops", "owners: should be a list like [{notify: [ops]}]"),
            (
                SOURCES + "channels: {ops: {alertmanager: {url: x}}}",
                "channels.ops.alertmanager: should be a list like [http://alertmanager:9093]; put a dash before",
            ),
            (
                "sources:\n  name: phantom",
                "sources: should be a list like [{database: /data/agent.db}]; put a dash before each entry",
            ),
            (
                "sources: [{kind: json, file: /x, jobs: {id: id, enabled: on}}]",
                "sources[0].jobs.enabled: should be where it stands, the name of a field or a path like "
                "state.nextRunAtMs (YAML reads true here; a field that is called so goes in quotes)",
            ),
            (SOURCES + "detect: {failing: 5}", "detect.failing: should be `off`, or a mapping like {errors: …}"),
            (SOURCES + "owners: [{match: {job: *}, notify: [x]}]", "put what begins with such a sign in quotes"),
            (SOURCES.replace("kind: phantom", "kind: phantm"), "did you mean phantom?"),
            (SOURCES + "http: 9846", "http: should be a mapping like {listen: …}"),
            (SOURCES + "channels: [ops]", "channels: should be a mapping like {NAME: …}"),
            (
                SOURCES + "channels:\n  ops ntfys://x",
                "channels: should be a mapping; a colon is missing after the name",
            ),
            (SOURCES + "http:\n  listen 127.0.0.1:1", "http: should be a mapping; a colon is missing after the name"),
            (
                "poll 3s\n" + SOURCES,
                "line 2: not YAML: mapping values are not allowed here; is a colon missing in line 1?",
            ),
            (SOURCES + "poll 3s\n", "not YAML: could not find expected ':'; is a colon missing in line 2?"),
        ],
    )
    def test_the_words_are_an_operators(self, file: Path, text: str, wanted: str) -> None:
        (problem,) = problems(file, text)
        assert wanted in problem

    def test_a_value_of_the_wrong_shape_is_not_shown(self, file: Path) -> None:
        (problem,) = problems(file, SOURCES + f'owners: [{{notify: "slack://{SECRET}/#ops"}}]')
        assert SECRET not in problem

    def test_problems_are_told_in_the_order_of_their_lines_whatever_is_wrong_there(self, file: Path) -> None:
        file.write_text(
            "owners:\n  - {notify: [ops]}\nsources:\n  - database: ${NOWHERE}\nrecvery: {}\n"
            "notify:\n  remind_every: never\nchannels:\n  mail: {}\n"
        )
        with pytest.raises(ConfigError) as caught:
            load(file, {})
        lines = [problem.removeprefix(f"{file}: line ").partition(":")[0] for problem in caught.value.problems]
        assert lines == ["2", "4", "5", "7", "9"]

    def test_what_has_no_line_is_told_last(self, file: Path) -> None:
        file.write_text("poll: 9d\n")
        with pytest.raises(ConfigError) as caught:
            load(file, {})
        assert caught.value.problems == [
            f"{file}: line 1: poll: must lie between 50ms and 1h",
            f"{file}: sources: is missing",
        ]

    def test_keys_that_stand_there_twice_are_told_in_the_order_of_their_lines(self, file: Path) -> None:
        file.write_text("detect:\n  failed: on\n  failed: off\npoll: 2s\npoll: 3s\n")
        with pytest.raises(ConfigError) as caught:
            load(file, {})
        assert [problem.split(": ")[1] for problem in caught.value.problems] == ["line 3", "line 5"]

    def test_what_does_not_fit_together_is_told_beside_what_is_wrong_by_itself(self, file: Path) -> None:
        text = SOURCES + "poll: 9d\nowners: [{notify: [ops]}, {notify: [team]}]\n"
        assert [line.split(" ")[0] for line in problems(file, text)] == ["poll:", "owners[0]", "owners[1]"]

    def test_a_channel_that_is_not_there_is_told_also_beside_a_source_that_cannot_be_one(self, file: Path) -> None:
        file.write_text("sources: [{kind: hermes}]\nowners:\n  - {notify: [ops]}\n")
        with pytest.raises(ConfigError) as caught:
            load(file, {})
        assert caught.value.problems == [
            f"{file}: line 1: sources[0].home: is missing",
            f"{file}: line 3: owners[0] names the channel 'ops', which is not there; known: none",
        ]

    def test_every_key_that_stands_there_twice_is_told(self, file: Path) -> None:
        assert len(problems(file, "sources: []\nsources: []\npoll: 2s\npoll: 2s\n")) == 2

    def test_a_path_in_ones_home_is_found(self, file: Path) -> None:
        assert loaded(file, SOURCES + "state: ~/state.db").state == Path.home() / "state.db"
