"""Files, rows and configurations that once ended a tick or were told wrongly; each docstring says how."""

import gc
import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import NOW, build, cost_row, healthy, job_row, session_row
from watchdog.config.file import Config, ConfigError, for_database
from watchdog.config.reading import load
from watchdog.core.kinds import Kind
from watchdog.core.model import Job
from watchdog.detectors.published import Published
from watchdog.engine import Engine
from watchdog.incidents.wire import findings_document, jobs_document
from watchdog.metrics.state_text import StateText
from watchdog.systems.phantom import cost_ledger
from watchdog.systems.phantom.source import PhantomSource
from watchdog.systems.shared.sqlite_file import Connection, read
from watchdog.systems.shared.unreadable import UnreadableError

Rows = Mapping[str, Sequence[Mapping[str, object]]]


def tick(path: Path, rows: Rows, **options: Any) -> Published:
    """One tick of a whole engine on these rows."""
    return Engine(for_database(build(path, rows, **options))).tick(NOW).published


def with_row(**changes: Any) -> dict[str, list[dict[str, object]]]:
    return {**healthy(), "scheduled_jobs": [job_row(**changes)]}


def kinds(published: Published) -> list[str]:
    return [finding.kind.value for finding in published.findings]


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def metric_names(published: Published) -> set[str]:
    text = b"".join(StateText().render(published)).decode()
    return {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}


# --- crashes: one row, or one damaged byte, ends the tick for every source


@pytest.mark.parametrize("column", ["name", "id"])
def test_a_job_that_is_called_like_a_help_line_does_not_end_the_metrics(column: str, database: Path) -> None:
    """`metrics._split` cuts the rendered text at `# HELP `, which may stand inside a label: ValueError in the tick."""
    published = tick(database, with_row(**{column: "# HELP me"}))
    assert "watchdog_job_info" in metric_names(published)


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
def test_a_one_shot_at_the_end_of_the_calendar_is_invalid(text: str, database: Path) -> None:
    """`phantom_rows._at` lets `astimezone` raise OverflowError, which `read_schedule` does not catch."""
    published = tick(database, with_row(schedule_kind="at", schedule_value=json.dumps({"at": text})))
    assert kinds(published) == ["invalid"]


FAR = "9999-12-31T23:59:59.000Z"


@pytest.mark.parametrize(
    "rows",
    [
        with_row(next_run_at=FAR, consecutive_errors=6),
        with_row(next_run_at=FAR, consecutive_errors=6, schedule_kind="every", schedule_value='{"intervalMs": 60000}'),
        with_row(updated_at=FAR),
        {**healthy(), "sessions": [session_row("id-heartbeat", FAR)]},
        {**healthy(), "cost_events": [cost_row("id-heartbeat", FAR)]},
    ],
    ids=["breaker.py, cron", "breaker.py, every", "lateness.py", "wedged.py", "unrecorded.py"],
)  # fmt: skip
def test_a_date_at_the_end_of_the_calendar_does_not_end_the_tick(rows: Rows, database: Path) -> None:
    """Instants of the file are added to without a guard: OverflowError. `parse_instant` could refuse such years."""
    tick(database, rows)


def test_a_cost_event_with_the_largest_id_does_not_end_the_look(database: Path) -> None:
    """The id after it does not fit into SQLite: OverflowError out of `execute`, here as `max(id) + 1`."""
    rows = healthy()
    rows["cost_events"] = [cost_row("id-heartbeat", "2026-06-10 11:01:00", id=2**63 - 1)]
    path = build(database, rows)
    source = PhantomSource("agent", path)
    assert source.look(NOW).snapshot.problem is None
    change(path, "UPDATE scheduled_jobs SET run_count = 8")
    assert source.look(NOW).snapshot.problem is None


def test_a_damaged_schema_is_unreachable(database: Path) -> None:
    """SQLite's message quotes the damaged bytes; Python's sqlite3 raises UnicodeDecodeError, which nobody catches."""
    content = bytearray(build(database, healthy()).read_bytes())
    content[content.index(b"TABLE scheduled_jobs")] = 0x80
    database.write_bytes(content)
    assert kinds(Engine(for_database(database)).tick(NOW).published) == ["unreachable"]


def test_a_file_that_is_removed_amid_a_look_is_unreachable(database: Path) -> None:
    """`explain` asks for the size of a file that may be gone by then: FileNotFoundError."""
    build(database, healthy())

    def query(connection: sqlite3.Connection) -> list[object]:
        database.unlink()
        return connection.execute("SELECT * FROM missing").fetchall()

    with pytest.raises(UnreadableError):
        read(database, query)


def test_a_path_with_a_nul_is_unreachable_or_refused_by_the_configuration(tmp_path: Path) -> None:
    """YAML may hold "\\0"; `os.stat` raises ValueError at it, and `look` promises that no exception comes out."""
    file = tmp_path / "watchdog.yaml"
    file.write_text('sources: [{database: "/data/a\\0b"}]')
    try:
        config = load(file, {})
    except ConfigError:
        return
    assert kinds(Engine(config).tick(NOW).published) == ["unreachable"]


@pytest.mark.parametrize(
    "detect",
    [
        "long_run: {factor: .inf}",
        "long_run: {factor: 1.0e+300}",
        "wedged: {run_limit: 900000000d}",
        "unrecorded: {after: 900000000d}",
        "expiring: {within: 900000000d}",
        "stalled: {started_after: 900000000d}",
        "wedged: {started_after: 900000000d}",
    ],
)
def test_a_threshold_beyond_the_calendar_is_refused_or_survived(detect: str, database: Path, tmp_path: Path) -> None:
    """Accepted by the configuration, then OverflowError in every tick in which such a job is there."""
    rows = healthy()
    rows["scheduled_jobs"] = [
        job_row("busy"),
        job_row("gone", status="failed", next_run_at=None),
        job_row("ended", updated_at="2026-06-10 09:00:00", last_run_at="2026-06-10T08:59:00.000Z"),
        job_row("late", next_run_at="2026-06-10T08:00:00.000Z", last_run_at="2026-06-10T07:00:00.000Z"),
    ]
    idle = "started_after" in detect
    if idle:
        rows["scheduled_jobs"][0] = job_row(
            "busy", last_run_at="2026-06-10T11:30:00Z", updated_at="2026-06-10 11:31:00"
        )
    rows["sessions"] = [session_row("id-busy", "2026-06-10 11:31:00" if idle else "2026-06-10 11:59:00")]
    rows["cost_events"] = [cost_row("id-ended", "2026-06-10 10:00:00"), cost_row("id-busy", "2026-06-10 11:31:00")]
    file = tmp_path / "watchdog.yaml"
    file.write_text(f"sources: [{{database: {json.dumps(str(build(database, rows)))}}}]\ndetect: {{{detect}}}\n")
    try:
        config = load(file, {})
    except ConfigError as error:
        assert "detect." in error.problems[0]  # noqa: PT017
        return
    Engine(config).tick(NOW)


# --- budgets: cost events are never scanned


class Steps:
    """Counts the steps of SQLite's machine on every connection that is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        connect = sqlite3.connect

        def counted(address: Any, /, **options: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(address, **options)
            connection.set_progress_handler(self._step, 1)
            if isinstance(connection, Connection):
                connection.__dict__["set_progress_handler"] = lambda *_: None  # the reader's own would take its place
            return connection

        monkeypatch.setattr(sqlite3, "connect", counted)

    def _step(self) -> int:
        self.count += 1
        return 0

    def of(self, act: Callable[[], object]) -> int:
        """How many it took."""
        self.count = 0
        act()
        assert self.count > 0
        return self.count


def with_old_events(path: Path, size: int) -> Path:
    """The healthy scheduler, and so many cost events of chats of long ago before its own."""
    rows = healthy()
    own, rows["cost_events"] = rows["cost_events"], []
    build(path, rows)
    numbers = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT ?)"
    change(path, f"INSERT INTO cost_events (session_key) {numbers} SELECT 'slack:C1:' || x FROM n", size)
    change(path, "UPDATE cost_events SET created_at = '2026-01-01 00:00:00'")
    for row in own:
        change(path, "INSERT INTO cost_events (session_key, created_at) VALUES (?, ?)", row["session_key"], row["created_at"])  # fmt: skip  # noqa: E501
    return path


def test_the_first_look_finds_its_begin_without_reading_every_cost_event(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`SELECT min(id), max(id)` scans: SQLite takes the short way only for one of the two in a statement.

    7 steps a row here, so 10 million rows take some 70 million steps before the bisection begins. What lies
    further back is walked through afterwards, a stride a look.
    """
    monkeypatch.setattr(cost_ledger, "STRIDE", 50)
    small, large = (with_old_events(database.with_name(f"{size}.db"), size) for size in (100, 40_000))
    steps = Steps(monkeypatch)
    costs = [steps.of(lambda path=path: PhantomSource("agent", path).look(NOW)) for path in (small, large)]  # type: ignore[misc]
    assert costs[1] < costs[0] + 1500


def test_a_look_at_a_scheduler_that_was_quiet_for_weeks_does_not_scan_either(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`has_end_between` runs that statement twice, at every look after a change, while the newest touch is older than
    the remembered run ends (all jobs paused; only chats write)."""
    path = with_old_events(database, 40_000)
    change(path, "DELETE FROM cost_events WHERE session_key LIKE 'scheduler:%'")
    change(path, "UPDATE sessions SET last_active_at = '2026-02-01 00:00:00'")
    source = PhantomSource("agent", path)
    source.look(NOW)
    change(path, "INSERT INTO cost_events (session_key, created_at) VALUES ('slack:C1:1', '2026-06-10 11:59:00')")
    assert Steps(monkeypatch).of(lambda: source.look(NOW)) < 3000


def test_nothing_is_kept_of_jobs_that_came_and_went(database: Path) -> None:
    """`PhantomSource._jobs` and `_errors` only grow: a one-shot that deletes itself leaves an entry for ever."""
    build(database, healthy())
    source = PhantomSource("agent", database)
    for number in range(20):
        name = f"came and went {number}"
        columns = "(id, name, schedule_kind, schedule_value)"
        change(database, f"INSERT INTO scheduled_jobs {columns} VALUES (?, ?, 'at', '{{}}')", name, name)
        assert len(source.look(NOW).snapshot.jobs) == 2
        change(database, "DELETE FROM scheduled_jobs WHERE id = ?", name)
        assert len(source.look(NOW).snapshot.jobs) == 1
    gc.collect()
    assert sum(isinstance(thing, Job) and thing.name.startswith("came and") for thing in gc.get_objects()) <= 1


# --- what is told


def test_an_empty_file_is_told_as_empty(database: Path) -> None:
    """To SQLite an empty file is an empty database, so `_jobs` speaks first and `explain`'s words are never reached."""
    database.touch()
    problem = PhantomSource("agent", database).look(NOW).snapshot.problem
    assert problem == f"{database} is empty: was it created by mistake, or is it being restored?"


@pytest.mark.parametrize("column", ["id", "session_key", "input_tokens", "output_tokens", "created_at"])
def test_a_missing_column_of_the_cost_events_narrows_and_stops_nothing(column: str, database: Path) -> None:
    """Only the table is asked for, not its columns; the whole source becomes unreachable (contract, conditions)."""
    rows = with_row(status="failed", next_run_at=None)
    is_hidden = column in ("id", "session_key", "created_at")
    expected = ["failed", *(["blind"] if is_hidden else [])]
    assert kinds(tick(database, rows, without=[f"cost_events.{column}"])) == expected


SECRET = "sk-ant-api03-" + "Zm9vYmFyYmF6cXV4"


@pytest.mark.parametrize(
    "changes",
    [
        {"schedule_value": f"token={SECRET}"},
        {"schedule_value": json.dumps({"expr": f"{SECRET} * * * *"})},
        {"schedule_value": json.dumps({"expr": "0 * * * *", "tz": SECRET})},
        {"schedule_kind": "every", "schedule_value": json.dumps({"intervalMs": SECRET})},
        {"schedule_kind": "at", "schedule_value": json.dumps({"at": SECRET})},
        {"schedule_kind": SECRET},
        {"next_run_at": SECRET},
        {"run_count": SECRET},
    ],
    ids=["schedule", "cron", "zone", "interval", "instant", "kind", "date", "count"],
)
def test_a_credential_in_a_broken_row_does_not_leave(changes: dict[str, Any], database: Path) -> None:
    """Problems and the words of an unreadable schedule pass through `one_line` alone, without `redact`."""
    published = tick(database, with_row(**changes))
    said = json.dumps([findings_document(published, NOW), jobs_document(published, NOW)])
    assert SECRET[-12:] not in said
    assert SECRET[-12:] not in b"".join(StateText().render(published)).decode()


def test_a_number_in_a_column_of_dates_is_no_date(database: Path) -> None:
    """`str(1764120110000)` reads as 1764-12-01T00:00: a date in milliseconds becomes one 260 years ago, and late."""
    published = tick(database, with_row(enabled=1, status="active", next_run_at=1764120110000), untyped=True)
    assert kinds(published) == ["invalid"]
    assert "next_run_at is 1764120110000, not a date" in published.findings[0].summary


def test_a_job_beyond_its_breaker_is_not_promised_negative_errors(database: Path) -> None:
    """It says `-2 more errors and the scheduler gives it up` of an active row with 12 errors."""
    (found,) = tick(database, with_row(consecutive_errors=12)).findings
    assert "-" not in found.summary.partition("in a row")[2].partition(" at ")[0]
    left = found.evidence.get("errors_left")
    assert left is None or (isinstance(left, int) and left >= 0)


def test_an_instant_that_cannot_be_read_is_quoted(database: Path) -> None:
    """It says only `month must be in 1..12`: neither that it is the `at`, nor what stands there."""
    rows = with_row(schedule_kind="at", schedule_value='{"at": "2026-13-45T09:00:00Z"}')
    (found,) = tick(database, rows).findings
    assert "2026-13-45T09:00:00Z" in found.summary


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("watchdog_job_zero_token_streak", "cost_events"),
        ("watchdog_job_consecutive_errors", "scheduled_jobs.consecutive_errors"),
    ],
)
def test_where_a_count_is_not_known_there_is_no_sample(name: str, missing: str, database: Path) -> None:
    """Without the table or column it says 0, as if it had looked (contract, metrics: no sample without a value)."""
    assert name not in metric_names(tick(database, healthy(), without=[missing]))


# --- configuration


def problems(file: Path, text: str) -> list[str]:
    file.write_text("sources: [{database: /data/phantom.db}]\n" + text)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    return [line.removeprefix(f"{file}: ") for line in caught.value.problems]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "watchdog.yaml"


def test_a_variable_that_is_not_set_does_not_hide_the_other_problems(file: Path) -> None:
    """`validate` finds them all in one go (contract, configuration); an unset variable ends it before the rest."""
    found = problems(file, 'channels: {ops: "slack://${TOKEN}"}\npol: 2s\nstate: "/x${OTHER}"\n')
    assert {line.split(": ")[1] for line in found} == {"channels.ops", "pol", "state"}


@pytest.mark.parametrize("key", ["form", "from_"])
def test_a_suggested_key_is_one_that_can_be_written(key: str, file: Path) -> None:
    """It suggests `from_`, the name inside the program, which is refused in its turn."""
    found = problems(file, f'notify: {{quiet_hours: {{{key}: "22:00", to: "07:00"}}}}')
    assert f"line 2: notify.quiet_hours.{key}: unknown key; did you mean from?" in found


def test_a_section_can_be_switched_off_by_its_own_key(file: Path) -> None:
    """YAML reads the key `on` as true: `detect.wedged[1]: keys should be strings`, and no way to see why."""
    file.write_text("sources: [{database: /x}]\ndetect: {wedged: {on: false}}")
    config = load(file, {})
    assert not config.detect.is_on(Kind.WEDGED)


def test_an_unknown_key_of_a_channel_is_told_with_those_that_are_known(file: Path) -> None:
    """The name of the channel is taken for a key of the model, so nothing is suggested."""
    assert "line 2: channels.ops.ulr: unknown key; did you mean url?" in problems(file, "channels: {ops: {ulr: x}}")


def test_parts_that_are_shared_with_a_yaml_merge_key_can_be_read(file: Path) -> None:
    """`<<` is asked for as a key before it is merged: `could not determine a constructor`."""
    file.write_text(
        "sources: [{database: /x}]\ndetect:\n  wedged: &w {run_limit: 3h}\n  jobs: [{match: a, wedged: {<<: *w}}]"
    )
    assert isinstance(load(file, {}), Config)


def test_the_configuration_shown_in_a_log_holds_no_credential(file: Path) -> None:
    """An owner may be told at an address; it stands in `repr` in clear, unlike a channel's."""
    file.write_text('sources: [{database: /x}]\nowners: [{notify: ["slack://${TOKEN}/@{delivery_target}"]}]')
    assert "hunter2" not in repr(load(file, {"TOKEN": "xoxb-hunter2hunter2"}))
