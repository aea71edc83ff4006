"""Many sources in one process: what a change and a scrape cost does not grow with their number."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from shutil import copyfile

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from tests.conftest import NOW, build, healthy, job_row
from tests.support.harness import change
from watchdog.config.file import Config
from watchdog.engine import Engine
from watchdog.metrics import exposition
from watchdog.metrics.collection import Metrics
from watchdog.systems.phantom.section import Phantom

SOURCES = 40
SECOND = timedelta(seconds=1)


def agents(folder: Path, count: int = SOURCES) -> Config:
    first = build(folder / "0.db", healthy())
    paths = [first, *(folder / f"{number}.db" for number in range(1, count))]
    for path in paths[1:]:
        copyfile(first, path)
    return Config(sources=tuple(Phantom(name=f"agent-{path.stem}", database=path) for path in paths))


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """Each time that prometheus-client formats something."""
    calls: list[object] = []

    def count(registry: CollectorRegistry) -> bytes:
        calls.append(registry)
        return generate_latest(registry)

    with monkeypatch.context() as patch:
        patch.setattr(exposition, "generate_latest", count)
        yield calls


def lines(metrics: Metrics, name: str) -> list[str]:
    return [line for line in metrics.text().decode().splitlines() if line.startswith(name)]


def test_a_change_of_one_source_formats_nothing_of_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, metrics = Engine(agents(tmp_path)), Metrics()
    metrics.ticked(engine.tick(NOW), NOW, 0.01)
    metrics.text()
    change(tmp_path / "7.db", "UPDATE scheduled_jobs SET run_count = run_count + 1")
    later = NOW + SECOND
    tick = engine.tick(later)
    assert tick.has_changed
    with counted(monkeypatch) as formatted:
        metrics.ticked(tick, later, 0.01)
        assert formatted == []  # there may be several looks to a scrape
        metrics.text()
    # its job, its state, and how long each of those that were read took
    assert 0 < len(formatted) <= 2 + len(tick.reads)


def test_a_scrape_after_which_nothing_was_read_formats_no_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, metrics = Engine(agents(tmp_path)), Metrics()
    metrics.ticked(engine.tick(NOW), NOW, 0.01)
    metrics.text()
    with counted(monkeypatch) as formatted:
        assert len(lines(metrics, "watchdog_source_last_read_timestamp_seconds{")) == SOURCES
    assert formatted == []


def test_each_source_has_its_own_figures(tmp_path: Path) -> None:
    config = agents(tmp_path, 2)
    engine, metrics = Engine(config), Metrics()
    metrics.ticked(engine.tick(NOW), NOW, 0.01)
    change(tmp_path / "1.db", "UPDATE scheduled_jobs SET status = 'failed', next_run_at = NULL")
    later = NOW + SECOND
    metrics.ticked(engine.tick(later), later, 0.01)
    up = 'watchdog_source_up{source="agent-%d"} 1.0'
    assert lines(metrics, "watchdog_source_up") == [up % 0, up % 1]
    failed = 'watchdog_findings{kind="failed",severity="critical",source="agent-%d"} %d.0'
    assert [line for line in lines(metrics, "watchdog_findings{") if '"failed"' in line] == [
        failed % (0, 0),
        failed % (1, 1),
    ]
    for number in (0, 1):
        (line,) = lines(metrics, f'watchdog_source_last_read_timestamp_seconds{{source="agent-{number}"}}')
        assert float(line.split()[1]) == later.timestamp()
    reads = lines(metrics, "watchdog_source_read_duration_seconds_count")
    assert [int(float(line.split()[1])) >= 1 for line in reads] == [True, True]
    assert int(float(reads[1].split()[1])) > 1


def test_a_source_that_the_configuration_names_no_more_leaves_nothing_behind(tmp_path: Path) -> None:
    config, metrics = agents(tmp_path, 2), Metrics()
    metrics.ticked(Engine(config).tick(NOW), NOW, 0.01)
    assert lines(metrics, "watchdog_source_read_duration_seconds_count{")[1:]
    metrics.ticked(Engine(Config(sources=config.sources[:1])).tick(NOW + SECOND), NOW + SECOND, 0.01)
    assert [line for line in metrics.text().decode().splitlines() if "agent-1" in line] == []


def test_a_name_is_escaped_as_prometheus_wants_it(tmp_path: Path) -> None:
    path = build(tmp_path / "a.db", {"scheduled_jobs": [job_row()]})
    source = Phantom(name='say "hi"', database=path)
    metrics = Metrics()
    metrics.ticked(Engine(Config(sources=(source,))).tick(NOW), NOW, 0.01)
    assert 'watchdog_source_last_read_timestamp_seconds{source="say \\"hi\\""} ' in metrics.text().decode()


def test_what_could_not_be_formatted_is_not_taken_for_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, metrics = Engine(agents(tmp_path, 1)), Metrics()
    metrics.ticked(engine.tick(NOW), NOW, 0.01)
    with monkeypatch.context() as patch:
        patch.setattr(metrics._state, "text", lambda: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                metrics.text()
    assert lines(metrics, "watchdog_job_info{")
