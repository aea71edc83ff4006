"""`validate` warns of what is allowed and will not do what it is meant to."""

from pathlib import Path

import pytest

from watchdog.config.reading import load
from watchdog.recovery.advice import advice, unmet

TWO = "sources: [{name: a, database: /dev/null}, {name: b, database: /dev/null}]"
SOURCES = "sources: [{{database: {folder}/phantom.db}}]\n"


def _told(folder: Path, text: str) -> list[str]:
    path = folder / "watchdog.yaml"
    (folder / "phantom.db").touch()
    path.write_text(text if "sources" in text else SOURCES.format(folder=folder) + text)
    if "state:" not in text:
        path.write_text(path.read_text() + f"\nstate: {folder}/state.db\n")
    return [f"{place}: {what}" for place, what in advice(load(path, {}))]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("state: /dev/null/state.db", "state: /dev/null is no folder"),
        ("state: $HOME/state.db", "state: a variable is filled in only in braces: ${HOME}"),
        ("sources: [{database: $DATA/p.db}]", "sources[0].database: a variable is filled in only in braces: ${DATA}"),
        (
            "sources: [{database: /nowhere/p.db}]",
            "sources[0].database: /nowhere/p.db is not there now, or this user may not see it",
        ),
        ("sources: [{kind: openclaw, state_dir: /nowhere}]", "sources[0].state_dir: /nowhere is not there now"),
        ("detect: {failing: {errors: 12}}", "detect.failing.errors: 12 is never reached"),
        ("detect: {jobs: [{match: x, failing: {errors: 10}}]}", "detect.jobs[0].failing.errors: 10 is never reached"),
        (
            "channels: {a: 'json://x'}\nowners: [{notify: [a]}, {match: {job: x}, notify: [a]}]",
            "owners[1]: never reached, for owners[0] before it takes everything",
        ),
        (
            "recovery: {policies: [{match: {kind: failed}, action: revive, via: [api]}]}",
            "recovery.policies[0].via: only ways through the API, and phantom has no `api:`",
        ),
        (
            "recovery: {policies: [{match: {kind: zero_tokens}, action: revive, via: [sql]}]}",
            "recovery.policies[0].match.kind: a job that is zero_tokens is not given up",
        ),
        (
            "recovery: {policies: [{match: {kind: stalled}, action: restart, run: [docker restart phantom]}]}",
            "recovery.policies[0].run: no program is called 'docker restart phantom'; without a shell each argument "
            'stands by itself: ["docker", "restart", "phantom"]',
        ),
        (
            "recovery: {policies: [{match: {kind: failed}, action: command, run: [/no/such/program, '{job_id}']}]}",
            "recovery.policies[0].run: /no/such/program is no program that this user may run; the one that",
        ),
        (
            "recovery: {policies: [{match: {kind: failed}, action: revive, run: [no-such-program, x]}]}",
            "recovery.policies[0].run: no program no-such-program is found here by this user's PATH; where the service",
        ),
        (
            'notify: {quiet_hours: {from: "22:00", to: "22:00", except: nothing}}',
            "notify.quiet_hours: they end when they begin, a day later, so that it is always quiet: nobody is told",
        ),
        (
            'channels: {a: "json://x"}\nowners: [{notify: [a], quiet_hours: {from: "00:00", to: "00:00"}}]',
            "owners[0].quiet_hours: they end when they begin, a day later, so that it is always quiet: only what is",
        ),
        (
            "channels: {a: 'json://x'}\nowners: [{match: {source: fantom}, notify: [a]}, {notify: [a]}]",
            "owners[0].match.source: no source is like 'fantom'; is 'phantom' meant?",
        ),
        (
            "recovery: {policies: [{match: {source: garden}, action: none}]}",
            "recovery.policies[0].match.source: no source is like 'garden'; there is phantom",
        ),
        (
            "channels: {a: 'json://x'}\nowners: [{match: {job: '*', created_by: ann}, notify: [a]}]",
            "owners: of a job that fits none of them nobody is told",
        ),
        (
            f"{TWO}\nrecovery: {{policies: [{{match: {{kind: wedged}}, action: restart, run: ['true']}}]}}",
            "recovery.policies[0].run: this one command would restart whichever of a, b it is for; say under `match` "
            'whose it is, like `source: a`, or `source: "*"` where it restarts them all',
        ),
    ],
)
def test_what_will_not_work_is_said(tmp_path: Path, text: str, wanted: str) -> None:
    assert [line for line in _told(tmp_path, text) if line.startswith(wanted)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "channels: {a: 'json://x'}\nowners: [{match: {job: x}, notify: [a]}, {notify: [a]}]",
        "recovery: {policies: [{match: {kind: failed}, action: revive, via: [sql]}]}",
        "recovery: {policies: [{match: {kind: stalled}, action: restart, run: ['true']}]}",
        "detect: {failing: {errors: 9}}",
        "channels: {a: 'json://x'}\nowners: [{match: {job: '*'}, notify: [a]}]",
        "channels: {a: 'json://x'}\nowners: [{match: {job: x}, notify: [a]}, {match: {source: phan*}, notify: [a]}]",
        'notify: {quiet_hours: {from: "22:00", to: "07:00"}}',
    ],
)
def test_what_works_is_not_warned_of(tmp_path: Path, text: str) -> None:
    assert _told(tmp_path, text) == []


@pytest.mark.parametrize(
    ("match", "said"),
    [
        ("", {"a": "", "b": ""}),
        (", source: b", {"a": "", "b": "bin x"}),
        (", source: '*'", {"a": "bin x", "b": "bin x"}),
    ],
)
def test_nobody_is_given_the_command_that_restarts_another(match: str, said: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "watchdog.yaml"
    policy = f"{{match: {{kind: wedged{match}}}, action: restart, run: [bin, x]}}"
    path.write_text(f"{TWO}\nrecovery: {{policies: [{policy}]}}\n")
    config = load(path, {})
    assert {name: config.restart_of(name) for name in said} == said
    alone = config.but(sources=config.sources[:1])
    assert alone.restart_of("a") == ("" if "b" in match else "bin x")


def test_a_file_of_jobs_is_looked_for_in_its_folder(tmp_path: Path) -> None:
    source = f"sources: [{{kind: json, preset: nanobot, folder: {tmp_path}/workspace}}]"
    jobs = tmp_path / "workspace" / "cron" / "jobs.json"
    jobs.parent.mkdir(parents=True)
    assert _told(tmp_path, source) == [f"sources[0].file: {jobs} is not there now, or this user may not see it"]
    jobs.touch()
    assert _told(tmp_path, source) == []


NAMES = {"phantom": ["heartbeat", "report-daily"]}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "channels: {a: 'json://x'}\nowners: [{match: {job: hartbeat}, notify: [a]}]",
            ["owners[0].match.job: no job is like 'hartbeat' now; is 'heartbeat' meant?"],
        ),
        (
            "recovery: {policies: [{match: {job: report}, action: none}]}",
            ["recovery.policies[0].match.job: no job is like 'report' now; '*report*' would match 1 job"],
        ),
        ("detect: {jobs: [{match: quiet-*, overdue: off}]}", ["detect.jobs[0].match: no job is like 'quiet-*' now"]),
        (
            "channels: {a: 'json://x'}\nowners: [{match: {job: HEART*}, notify: [a]}, {match: {job: report-daily},"
            " notify: [a]}, {match: {created_by: ann}, notify: [a]}]\ndetect: {jobs: [{match: '*', overdue: off}]}",
            [],
        ),
        (
            "recovery: {policies: [{match: {job: x, source: phan*}, action: none}]}",
            ["recovery.policies[0].match.job: "],
        ),
        ("recovery: {policies: [{match: {job: x, source: other}, action: none}]}", []),
        (
            "sources: [{{database: {folder}/phantom.db, expect: [report-*, hearbeat]}}]",
            ["sources[0].expect[1]: no job is like 'hearbeat' now; is 'heartbeat' meant?"],
        ),
    ],
)
def test_a_pattern_that_no_job_is_like_is_told_with_what_is_near(tmp_path: Path, text: str, wanted: list[str]) -> None:
    path = tmp_path / "watchdog.yaml"
    path.write_text(text.format(folder=tmp_path) if "sources" in text else SOURCES.format(folder=tmp_path) + text)
    config = load(path, {})
    told = [f"{place}: {what}" for place, what in unmet(config, NAMES)]
    assert [line.startswith(words) for line, words in zip(told, wanted, strict=True)] == [True] * len(wanted)
    assert list(unmet(config, {})) == []  # nobody knows what stands in a store that cannot be read
