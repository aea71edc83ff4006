"""The exposition: names and labels as promised, nothing where nothing is known, the same bytes until a change."""

import gc
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import NOW, build, cost_row, healthy, job_row, session_row
from watchdog.config.file import Channel, Config, Owner, OwnerMatch, for_database
from watchdog.config.settings import Detect
from watchdog.core.fields import Secret
from watchdog.core.kinds import Kind
from watchdog.core.model import Every, Job, Snapshot, Totals
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator
from watchdog.detectors.diagnosis import diagnose
from watchdog.detectors.published import Published, SourceState
from watchdog.engine import Engine
from watchdog.metrics import exposition, state_text
from watchdog.metrics.collection import Metrics
from watchdog.metrics.state_text import StateText
from watchdog.systems.phantom.section import Phantom

SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)

CHANNELS = {name: Channel(url=Secret("slack://hunter2")) for name in ("ops", "mail")}

OF_JOBS: Mapping[str, tuple[str, set[str]]] = {
    "watchdog_job_info": ("gauge", {"job", "schedule", "owner"}),
    "watchdog_job_state": ("gauge", {"state"}),
    "watchdog_job_next_run_timestamp_seconds": ("gauge", set()),
    "watchdog_job_last_run_timestamp_seconds": ("gauge", set()),
    "watchdog_job_deadline_timestamp_seconds": ("gauge", set()),
    "watchdog_job_in_flight_since_timestamp_seconds": ("gauge", set()),
    "watchdog_job_last_run_duration_seconds": ("gauge", set()),
    "watchdog_job_consecutive_errors": ("gauge", set()),
    "watchdog_job_zero_token_streak": ("gauge", set()),
    "watchdog_job_sweep_timestamp_seconds": ("gauge", set()),
    "watchdog_job_runs_total": ("counter", set()),
    "watchdog_job_missed_fires_total": ("counter", set()),
    "watchdog_job_tokens_total": ("counter", {"direction"}),
    "watchdog_job_cost_usd_total": ("counter", set()),
    "watchdog_job_finding": ("gauge", {"kind", "severity"}),
    "watchdog_job_held_up": ("gauge", {"cause"}),
    "watchdog_job_error_info": ("gauge", {"class", "error"}),
}
OTHERS: Mapping[str, tuple[str, set[str]]] = {
    "watchdog_findings": ("gauge", {"source", "kind", "severity"}),
    "watchdog_source_up": ("gauge", {"source"}),
    "watchdog_source_jobs": ("gauge", {"source", "status"}),
    "watchdog_source_last_read_timestamp_seconds": ("gauge", {"source"}),
    "watchdog_source_read_duration_seconds": ("histogram", {"source"}),
    "watchdog_tick_duration_seconds": ("histogram", set()),
    "watchdog_last_tick_timestamp_seconds": ("gauge", set()),
    "watchdog_build_info": ("gauge", {"version"}),
}
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(text: bytes) -> list[Metric]:
    """The families, each told once and all of its lines understood."""
    families = list(text_string_to_metric_families(text.decode()))
    names = [family.name for family in families]
    assert len(names) == len(set(names))
    understood = sum(len(family.samples) for family in families)
    assert understood == sum(bool(line) and not line.startswith("#") for line in text.decode().split("\n"))
    return families


def samples(text: bytes) -> Samples:
    """Every sample by name and labels; none is told twice."""
    found = [sample for family in parsed(text) for sample in family.samples]
    by_key = {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in found}
    assert len(by_key) == len(found)
    return by_key


def value(text: bytes, name: str, **labels: str) -> float | None:
    return samples(text).get((name, tuple(sorted(labels.items()))))


class Watched:
    """An engine and its metrics on one file."""

    def __init__(self, config: Config) -> None:
        self.engine, self.metrics = Engine(config), Metrics()

    def text(self, now: datetime = NOW) -> bytes:
        tick = self.engine.tick(now)
        self.metrics.ticked(tick, now, 0.001)
        return self.metrics.text()


def watch(path: Path) -> Watched:
    return Watched(for_database(path))


def state_lines(text: bytes) -> list[bytes]:
    """What depends on the watched state alone."""
    names = (b"watchdog_job_", b"watchdog_findings", b"watchdog_source_up", b"watchdog_source_jobs")
    return [line for line in text.split(b"\n") if line.startswith(names)]


def of_job(text: bytes, name: str, job_id: str = "id-heartbeat", **labels: str) -> float | None:
    return value(text, f"watchdog_job_{name}", source="phantom", job_id=job_id, **labels)


def everything() -> dict[str, list[dict[str, object]]]:
    """Rows that have something to say in every family."""
    rows = healthy()
    rows["scheduled_jobs"] += [
        job_row(
            "given-up",
            status="failed",
            next_run_at=None,
            consecutive_errors=10,
            last_run_status="error",
            last_run_error="429 too many requests",
        ),
        job_row("busy", next_run_at="2026-06-10T11:59:00.000Z", last_run_at="2026-06-10T10:59:00.000Z"),
    ]
    rows["sessions"].append(session_row("id-busy", "2026-06-10 11:59:03"))
    rows["cost_events"] += [
        cost_row("id-given-up", f"2026-06-10 10:0{minute}:00", input_tokens=0, output_tokens=0) for minute in range(4)
    ]
    return rows


def with_one_late() -> dict[str, list[dict[str, object]]]:
    """The same, and a job that waits for the run in flight."""
    rows = everything()
    late = job_row("waits", next_run_at="2026-06-10T09:00:00.000Z", last_run_at="2026-06-10T08:00:00.000Z")
    rows["scheduled_jobs"].append(late)
    return rows


def test_every_family_has_the_promised_name_type_and_labels(database: Path) -> None:
    text = watch(build(database, with_one_late())).text()
    types = {family.name + ("_total" if family.type == "counter" else ""): family.type for family in parsed(text)}
    labels: dict[str, set[str]] = {}
    for name, keys in samples(text):
        base = name
        for suffix in ("_bucket", "_count", "_sum"):
            if types.get(name.removesuffix(suffix)) == "histogram":
                base = name.removesuffix(suffix)
        labels.setdefault(base, set()).update({key for key, _ in keys} - {"le"})
    for name, (kind, own) in OF_JOBS.items():
        assert (types[name], labels[name]) == (kind, {"source", "job_id"} | own), name
    for name, (kind, own) in OTHERS.items():
        assert (types[name], labels[name]) == (kind, own), name
    promised = {*OF_JOBS, *OTHERS}
    later = {"watchdog_incidents_open", "watchdog_notifications_total", "watchdog_recoveries_total"}
    about_itself = {
        "watchdog_config_reloads_total",
        "watchdog_outbox_messages",
        "watchdog_state_up",
        "watchdog_outbox_oldest_timestamp_seconds",
        "watchdog_heartbeat_last_success_timestamp_seconds",
    }
    told = {name for name in types if name.startswith("watchdog_")}
    assert told - later - about_itself == promised
    assert all(family.documentation for family in parsed(text))


def test_the_process_tells_of_itself(database: Path) -> None:
    text = watch(build(database, healthy())).text()
    assert value(text, "process_resident_memory_bytes")
    assert value(text, "process_open_fds")


def test_names_owner_and_schedule_stand_on_the_info_alone(database: Path) -> None:
    build(database, healthy())
    owners = (Owner(name="ops", match=OwnerMatch(job="heart*"), notify=("ops",)),)
    text = Watched(Config(sources=(Phantom(database=database),), channels=CHANNELS, owners=owners)).text()
    assert of_job(text, "info", job="heartbeat", schedule="cron 0 * * * * (UTC)", owner="ops") == 1
    assert sum(b'"heartbeat"' in line for line in text.split(b"\n")) == 1


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        ("Error: 429 rate_limit_error", ("transient", "Error: 429 rate_limit_error")),
        (
            "429 too many requests, retry in 37 s (req_011CSxyzABC9)",
            ("transient", "429 too many requests, retry in # s (#)"),
        ),
        ("connect ECONNREFUSED 10.0.0.17:11434", ("transient", "connect ECONNREFUSED #.#.#.#:#")),
        (
            "run 7f3a9c0d-1b2c-4d5e-8f90-0123456789ab: 401 invalid x-api-key",
            ("permanent", "run #: 401 invalid x-api-key"),
        ),
        (
            "401 unauthorized: sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789",
            ("permanent", "401 unauthorized: [redacted]"),
        ),
        ("it said no " * 40, ("unknown", "it said no " * 7 + "it…")),
    ],
)
def test_the_first_words_of_an_error_are_the_same_for_all_errors_like_it(
    error: str, shown: tuple[str, str], database: Path
) -> None:
    rows = healthy()
    failed = {"status": "failed", "next_run_at": None, "consecutive_errors": 10, "last_run_status": "error"}
    rows["scheduled_jobs"] = [
        job_row("given-up", last_run_error=error, **failed),
        job_row("fine", last_run_error=error),
    ]
    found = samples(watch(build(database, rows)).text())
    told = [dict(labels) for sample, labels in found if sample == "watchdog_job_error_info"]
    assert [(each["job_id"], each["class"], each["error"]) for each in told] == [("id-given-up", *shown)]


def test_a_late_job_says_what_keeps_it_waiting(database: Path) -> None:
    text = watch(build(database, with_one_late())).text()
    assert of_job(text, "held_up", "id-waits", cause="in_flight") == 1
    assert of_job(text, "finding", "id-waits", kind="overdue", severity="warning") == 1
    assert sum(line.startswith(b"watchdog_job_held_up{") for line in text.split(b"\n")) == 1


def test_an_owner_without_a_name_is_called_by_channels_and_never_by_an_address(database: Path) -> None:
    build(database, healthy())
    owners = (Owner(notify=("ops", "slack://hunter2/@x", "mail")),)
    text = Watched(Config(sources=(Phantom(database=database),), channels=CHANNELS, owners=owners)).text()
    assert of_job(text, "info", job="heartbeat", schedule="cron 0 * * * * (UTC)", owner="ops,mail") == 1
    assert b"hunter2" not in text


def test_the_values_are_those_of_the_rows(database: Path) -> None:
    text = watch(build(database, everything())).text()
    assert of_job(text, "state", state="active") == 1
    assert of_job(text, "state", "id-given-up", state="failed") == 1
    assert of_job(text, "next_run_timestamp_seconds") == datetime(2026, 6, 10, 13, tzinfo=UTC).timestamp()
    assert of_job(text, "deadline_timestamp_seconds") == datetime(2026, 6, 10, 15, tzinfo=UTC).timestamp()
    started = datetime(2026, 6, 10, 11, 0, 0, 123_000, tzinfo=UTC).timestamp()
    assert of_job(text, "last_run_timestamp_seconds") == pytest.approx(started, abs=0.001)
    in_flight = datetime(2026, 6, 10, 11, 59, 3, tzinfo=UTC).timestamp()
    assert of_job(text, "in_flight_since_timestamp_seconds", "id-busy") == in_flight
    assert of_job(text, "last_run_duration_seconds") == 60
    assert of_job(text, "consecutive_errors", "id-given-up") == 10
    assert of_job(text, "zero_token_streak", "id-given-up") == 4
    assert of_job(text, "zero_token_streak") == 0
    assert of_job(text, "sweep_timestamp_seconds", "id-given-up") == datetime(2026, 7, 10, tzinfo=UTC).timestamp()
    assert of_job(text, "runs_total") == 7
    assert of_job(text, "tokens_total", direction="input") == 7000
    assert of_job(text, "finding", "id-given-up", kind="failed", severity="critical") == 1
    assert value(text, "watchdog_findings", source="phantom", kind="failed", severity="critical") == 1
    assert value(text, "watchdog_findings", source="phantom", kind="overdue", severity="warning") == 0
    assert value(text, "watchdog_source_jobs", source="phantom", status="active") == 2
    assert value(text, "watchdog_source_jobs", source="phantom", status="paused") == 0
    assert value(text, "watchdog_source_up", source="phantom") == 1
    assert value(text, "watchdog_build_info", version=version("scheduler-watchdog")) == 1
    assert value(text, "watchdog_last_tick_timestamp_seconds") == NOW.timestamp()
    assert value(text, "watchdog_source_last_read_timestamp_seconds", source="phantom") == NOW.timestamp()


def test_every_kind_has_a_sample_before_it_was_ever_found(database: Path) -> None:
    text = watch(build(database, healthy())).text()
    kinds = {dict(labels)["kind"] for name, labels in samples(text) if name == "watchdog_findings"}
    assert kinds == {kind.value for kind in Kind}


def test_where_nothing_is_known_there_is_no_sample(database: Path) -> None:
    bare = job_row(last_run_at=None, last_run_status=None, last_run_duration_ms=None, next_run_at=None)
    rows: dict[str, list[dict[str, object]]] = {"scheduled_jobs": [{**bare, "status": "paused"}]}
    text = watch(build(database, rows, without=["scheduled_jobs.run_count"])).text()
    told = {name.removeprefix("watchdog_job_") for name, labels in samples(text) if "job_id" in dict(labels)}
    unknown = {
        "next_run_timestamp_seconds", "last_run_timestamp_seconds", "deadline_timestamp_seconds", "finding",
        "in_flight_since_timestamp_seconds", "last_run_duration_seconds", "sweep_timestamp_seconds", "runs_total",
        "tokens_total", "cost_usd_total",
    }  # fmt: skip
    assert not told & unknown
    assert {"info", "state"} <= told


def test_an_unreadable_source_is_down_and_tells_nothing_of_jobs(database: Path) -> None:
    watched = watch(build(database, healthy()))
    assert of_job(watched.text(), "state", state="active") == 1
    database.rename(database.with_name("away"))
    text = watched.text(NOW + MINUTE)
    assert value(text, "watchdog_source_up", source="phantom") == 0
    assert value(text, "watchdog_findings", source="phantom", kind="unreachable", severity="critical") == 1
    assert not [name for name, _ in samples(text) if name.startswith(("watchdog_job_", "watchdog_source_jobs"))]
    assert value(text, "watchdog_source_last_read_timestamp_seconds", source="phantom") == NOW.timestamp()
    database.with_name("away").rename(database)
    text = watched.text(NOW + 2 * MINUTE)
    assert value(text, "watchdog_source_up", source="phantom") == 1
    last = (NOW + 2 * MINUTE).timestamp()
    assert value(text, "watchdog_source_last_read_timestamp_seconds", source="phantom") == last


def test_a_source_that_was_never_read_has_no_time_of_its_last_read(database: Path) -> None:
    text = watch(database).text()
    assert value(text, "watchdog_source_up", source="phantom") == 0
    assert value(text, "watchdog_source_last_read_timestamp_seconds", source="phantom") is None


def test_a_state_that_a_later_version_invents_is_one_word(database: Path) -> None:
    text = watch(build(database, {"scheduled_jobs": [job_row(status="lunar"), job_row("b", enabled=0)]})).text()
    assert of_job(text, "state", state="unknown") == 1
    assert of_job(text, "state", "id-b", state="disabled") == 1
    assert b"lunar" not in text


class TestSameBytes:
    def test_the_text_of_the_state_is_the_same_while_the_state_is(self, database: Path) -> None:
        watched = watch(build(database, everything()))
        first = state_lines(watched.text())
        assert first
        for seconds in range(1, 20):
            assert state_lines(watched.text(NOW + seconds * SECOND)) == first

    def test_it_is_rendered_only_after_a_change(self, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        rendered = []
        text = StateText.text

        def note(self: StateText) -> list[bytes]:
            rendered.append(self)
            return text(self)

        monkeypatch.setattr(StateText, "text", note)
        watched = watch(build(database, everything()))
        for seconds in range(10):
            watched.text(NOW + seconds * SECOND)
        assert len(rendered) == 1
        change(database, "UPDATE scheduled_jobs SET run_count = run_count + 1")
        for seconds in range(10, 20):
            watched.text(NOW + seconds * SECOND)
        assert len(rendered) == 2

    def test_a_deadline_that_passes_is_a_change(self, database: Path) -> None:
        watched = watch(build(database, healthy()))
        assert value(watched.text(), "watchdog_findings", source="phantom", kind="stalled", severity="critical") == 0
        late = watched.text(NOW + 3 * HOUR)
        assert value(late, "watchdog_findings", source="phantom", kind="stalled", severity="critical") == 1
        assert of_job(late, "finding", kind="overdue", severity="warning") == 1

    def test_another_watchdog_that_starts_later_says_the_same(self, database: Path) -> None:
        watched = watch(build(database, everything()))
        watched.text()
        change(database, "UPDATE scheduled_jobs SET run_count = run_count + 1")
        kept = state_lines(watched.text(NOW + SECOND))
        assert kept == state_lines(watch(database).text(NOW + SECOND))

    def test_a_job_that_is_gone_leaves_no_sample(self, database: Path) -> None:
        watched = watch(build(database, everything()))
        assert b"id-busy" in watched.text()
        change(database, "DELETE FROM scheduled_jobs WHERE name = 'busy'")
        assert b"id-busy" not in watched.text(NOW + SECOND)
        change(database, "DELETE FROM scheduled_jobs")
        assert b"id-" not in watched.text(NOW + 2 * SECOND)


def change(path: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement, values)


def test_counters_only_grow_while_the_scheduler_works(tmp_path: Path) -> None:
    start = datetime(2026, 6, 10, 4, 30, tzinfo=UTC)
    path = tmp_path / "agent.db"
    outcomes = {"works": Outcome(), "fails": Outcome.failing("Error: 529 overloaded_error: Overloaded")}
    with Simulator(path, start, behaviour=lambda name, _now: outcomes[name]) as agent:
        for name in outcomes:
            agent.add(name, ("every", 20 * MINUTE))
        watched = watch(path)
        before: Samples = {}
        for step in range(24):
            now = start + step * 10 * MINUTE
            agent.run_until(now)
            text = watched.text(now)
            counted = {
                key: count
                for key, count in samples(text).items()
                if key[0].endswith(("_total", "_count", "_bucket", "_sum")) and not key[0].startswith("process_")
            }
            assert set(before) <= set(counted)
            assert all(before[key] <= counted[key] for key in before)
            before = counted
    runs = [count for (name, _), count in before.items() if name == "watchdog_job_runs_total"]
    assert len(runs) == 2
    assert min(runs) >= 5
    assert before[("watchdog_tick_duration_seconds_count", ())] == 24


HOSTILE = [
    '"} 1\nwatchdog_job_state{source="x"',
    "\\",
    "\\n",
    "a\nb",
    "\u2028\u2029\x85\r\x0b\x0c",
    "{{}}",
    "x" * 100_000,
    "\U0001f600" * 500,
    "\u202egnp.exe",
    "é" * 300,
    "",
    " ",
    "# TYPE watchdog_job_state counter",
    "\ud7ff\ue000\ufffd\uffff",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_one_bounded_label(name: str, database: Path) -> None:
    rows = healthy()
    rows["scheduled_jobs"] = [
        job_row(name, id=f"1{name}", created_by=name, delivery_target=name, last_run_error=name, status="failed"),
        job_row(f"{name}2", id=f"2{name}", schedule_kind=name, schedule_value=name, status="active"),
        job_row("calm"),
    ]
    text = watch(build(database, rows)).text()
    found = samples(text)
    assert len({labels for sample, labels in found if sample == "watchdog_job_info"}) == 3
    assert all(len(part) <= 140 for _, labels in found for _, part in labels)
    assert len(max(text.split(b"\n"), key=len)) < 3000


def published(jobs: Iterable[Job]) -> Published:
    snapshot = Snapshot("agent", "phantom", tuple(jobs))
    return Published((SourceState(snapshot, diagnose(snapshot, NOW, Detect()), NOW, NOW),), 1)


PLAIN = st.text(st.characters(codec="utf-8", exclude_characters="#"), max_size=40)


@given(names=st.lists(PLAIN, max_size=4), errors=st.integers(0, 2**63), cost=st.floats(0, allow_infinity=False))
def test_any_names_and_numbers_parse(names: list[str], errors: int, cost: float) -> None:
    jobs = [
        Job(f"{number}", name, Every(HOUR), consecutive_errors=errors, totals=Totals(errors, errors, 0, cost))
        for number, name in enumerate(names)
    ]
    found = samples(b"".join(StateText().render(published(jobs))))
    assert sum(name == "watchdog_job_info" for name, _ in found) == len(names)
    assert all(found[key] == cost for key in found if key[0] == "watchdog_job_cost_usd_total")


JOBS = [
    Job(f"{number}", name, Every(HOUR), status=status, next_run_at=NOW)
    for number in range(12)
    for name, status in (("a", "active"), ("b", "active"), ("b", "failed"))
]

NUMBERED = st.dictionaries(st.integers(0, 11).map(str), st.integers(1, 3))


@st.composite
def a_source(draw: st.DrawFn, name: str) -> SourceState:
    """One source with some jobs, most of them objects that were there before, and what is known of each."""
    jobs = draw(st.lists(st.sampled_from(JOBS), unique_by=lambda job: job.id))
    snapshot = Snapshot(name, "phantom", tuple(jobs), problem=draw(st.sampled_from([None, None, None, "gone"])))
    there = {job.id for job in jobs}
    deadlines, owners, missed = (
        {id_: number for id_, number in draw(NUMBERED).items() if id_ in there} for _ in range(3)
    )
    return SourceState(
        snapshot,
        diagnose(snapshot, NOW, Detect()),
        NOW,
        NOW,
        {id_: NOW + number * HOUR for id_, number in deadlines.items()},
        {id_: f"owner {number}" for id_, number in owners.items()},
        missed,
    )


SOURCES = st.one_of(
    st.tuples(a_source("agent")), st.tuples(a_source("agent"), a_source("other")), st.tuples(a_source("other"))
)


def _without_counters(text: Sequence[bytes]) -> list[bytes]:
    """What a process that has just begun says too: it counts missed fires from there on."""
    return [line for line in b"".join(text).split(b"\n") if not line.startswith(b"watchdog_job_missed_fires_total{")]


@given(st.lists(SOURCES, max_size=6))
def test_however_jobs_come_and_go_and_change_the_text_is_that_of_their_last_state(
    states: list[tuple[SourceState, ...]],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (state_text, exposition):
            patch.setattr(module, "PER_BLOCK", 4)
        text = StateText()
        for state in states:
            now = Published(state, 1)
            assert _without_counters(text.render(now)) == _without_counters(StateText().render(now))


def test_nothing_is_kept_of_jobs_that_are_gone() -> None:
    def alive() -> int:
        gc.collect()
        return sum(isinstance(thing, Job) and thing.name == "came and went" for thing in gc.get_objects())

    text = StateText()
    for number in range(20):
        text.render(published([Job(f"{number}", "came and went", Every(HOUR))]))
    assert alive() == 1
    text.render(published([]))
    assert alive() == 0


def test_two_sources_with_the_same_jobs_are_told_apart(database: Path) -> None:
    other = build(database.with_name("other.db"), healthy())
    build(database, healthy())
    config = Config(sources=(Phantom(database=database), Phantom(name="other", database=other)))
    text = Watched(config).text()
    assert {dict(labels)["source"] for name, labels in samples(text) if name == "watchdog_job_state"} == {
        "phantom",
        "other",
    }
