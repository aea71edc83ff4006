"""Beside each store that hangs, floods or breaks whoever reads it, the others are watched as if it were not there."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from tests.conftest import NOW, build, healthy, job_row
from tests.support.command import Running, command, running, until
from tests.support.harness import change
from tests.support.hostile import HOSTILE, Section
from watchdog.config.file import Config
from watchdog.core.instants import iso
from watchdog.core.kinds import Kind
from watchdog.core.model import Job, Snapshot
from watchdog.core.moment import Gap
from watchdog.detectors.diagnosis import Diagnosis, diagnose
from watchdog.detectors.published import Published
from watchdog.engine import Engine
from watchdog.systems.base import Look, Source
from watchdog.systems.shared.crew import Crew, Work
from watchdog.systems.shared.looking import InTurn, OnItsOwn

SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def sections(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Section]:
    """Every hostile store, by what is put there."""
    made = {}
    for number, (what, hostile) in enumerate(HOSTILE.items()):
        folder = tmp_path_factory.mktemp(f"hostile{number}")
        made[what] = {"name": f"bad-{number}", **hostile.make(folder)}
    return made


def _said_of(service: Running, source: str) -> str:
    found = json.loads(service.get(f"/api/v1/findings?source={source}")[1])["findings"]
    return " ".join(each["summary"] for each in found)


def test_all_at_once_they_hold_up_neither_the_good_source_nor_the_end(
    tmp_path: Path, sections: Mapping[str, Section]
) -> None:
    good = build(tmp_path / "good.db", {**healthy(), "scheduled_jobs": [job_row("lost", status="failed")]})
    config = {
        "sources": [*sections.values(), {"name": "good", "kind": "phantom", "database": str(good)}],
        "state": str(tmp_path / "state.db"),
        "http": {"listen": "127.0.0.1:PORT"},
        "poll": "2s",
    }
    (tmp_path / "watchdog.yaml").write_text(json.dumps(config))
    with running(tmp_path) as service:
        until(lambda: ("failed", "lost") in service.findings(), "the good source's finding is there")
        for (what, hostile), section in zip(HOSTILE.items(), sections.values(), strict=True):
            until(lambda: _is_right(hostile.says, _said_of(service, section["name"])), what)  # noqa: B023
        assert service.get("/healthz")[0] == 200
        assert not [line for line in service.log() if "trace" in line]
        service.process.terminate()
        assert service.process.wait(20) == 0


def _is_right(wanted: str, said: str) -> bool:
    """Whether its reason is told, or, where there is nothing to tell, it can be read: at once, or a little later."""
    return wanted in said if wanted else "cannot be read" not in said


@pytest.mark.parametrize("what", [what for what, hostile in HOSTILE.items() if "without end" in what or "pipe" in what])
def test_a_single_check_ends_too(what: str, sections: Mapping[str, Section], tmp_path: Path) -> None:
    file = tmp_path / "watchdog.yaml"
    file.write_text(json.dumps({"sources": [sections[what]]}))
    done = command("check", "-c", file)
    assert done.returncode in (0, 1, 2, 3)
    assert "Traceback" not in done.stderr
    assert HOSTILE[what].says in done.stdout


# --- what hangs where nothing in this program can end it: a source that is played here


class Hanging:
    """Hangs at its second look, until it is let go."""

    kind = "phantom"

    def __init__(self) -> None:
        self.name = "bad"
        self.let_go = Event()
        self.looks = 0

    def look(self, now: datetime) -> Look:
        self.looks += 1
        if self.looks == 2:
            self.let_go.wait()
        return Look(Snapshot(self.name, self.kind), is_new=True, seconds=0.0)

    def warnings(self) -> list[str]:
        return []


class Raising(Hanging):
    """Raises what nobody expects."""

    def look(self, now: datetime) -> Look:
        raise RuntimeError("token=" + "s3cret" * 4)


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    source = Hanging()
    yield source
    source.let_go.set()


def _beside(bad: Source, tmp_path: Path, **options: Any) -> Engine:
    good = build(tmp_path / "good.db", {**healthy(), "scheduled_jobs": [job_row("lost", status="failed")]})
    config = Config.validated({"sources": [{"name": "good", "database": str(good)}, {"name": "bad", "database": "/x"}]})
    sources = (Engine(config).sources[0], bad)
    return Engine(config, sources, lambda source, limit: OnItsOwn(source, limit, patience=0.05, **options))


def _of(published: Published, source: str) -> list[Kind]:
    return [finding.kind for finding in published.findings if finding.source == source]


def test_a_look_that_hangs_is_told_after_its_limit_and_forgotten_when_it_comes_back(
    tmp_path: Path, hanging: Hanging
) -> None:
    engine = _beside(hanging, tmp_path)
    engine.tick(NOW)
    first = engine.tick(NOW + SECOND).published
    assert _of(first, "bad") == []  # it may only be slow
    assert _of(first, "good") == [Kind.FAILED]
    told = until(lambda: _of(engine.tick(NOW + 2 * SECOND).published, "bad"), "it is told")
    assert told == [Kind.UNREACHABLE]
    assert _of(engine.published, "good") == [Kind.FAILED]
    hanging.let_go.set()
    until(lambda: not _of(engine.tick(NOW + 3 * SECOND).published, "bad"), "it is over")
    engine.end()


def test_a_source_that_was_slow_once_is_waited_for_again_as_soon_as_it_is_quick(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever its answer is asked for: a look that took a moment was told a poll late for ever after one slow one."""
    now, rung = [0.0], Event()
    monkeypatch.setattr("watchdog.systems.shared.looking.time.monotonic", lambda: now[0])
    hanging.looks = 1
    looker = OnItsOwn(hanging, timedelta(hours=1), rung.set, patience=60, first_patience=0)
    looker.begin(NOW)
    assert looker.answer(NOW) is None
    hanging.let_go.set()
    assert rung.wait(60)
    now[0] += 600
    assert looker.answer(NOW) is not None
    looker.begin(NOW)
    assert looker.answer(NOW) is not None
    looker.end()


class Late(InTurn):
    """Its look goes on where it is told so."""

    is_late = False

    def answer(self, now: datetime) -> Look | None:
        return None if self.is_late else super().answer(now)


def test_a_late_look_that_has_found_nothing_new_changes_nothing(tmp_path: Path) -> None:
    path = build(tmp_path / "a.db", {**healthy(), "scheduled_jobs": [job_row(next_run_at=iso(NOW + 60 * SECOND))]})
    config = Config.validated({"sources": [{"name": "a", "database": str(path)}]})
    engine = Engine(config, looked_at_by=Late)
    first = engine.tick(NOW).published
    again = first.look_again_at
    assert again is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Late, "is_late", True)
        late = [engine.tick(NOW + number * SECOND) for number in (1, 2)]
    # nothing is due of what cannot be looked at, and what it said stands
    assert [tick.published.look_again_at for tick in late] == [None, None]
    back = engine.tick(NOW + 3 * SECOND)
    assert not any(tick.has_changed for tick in (*late, back))
    assert (back.published.look_again_at, back.published.version) == (again, first.version)


def test_what_came_due_while_a_look_went_on_is_judged_with_its_answer(tmp_path: Path) -> None:
    path = build(tmp_path / "a.db", {**healthy(), "scheduled_jobs": [job_row(next_run_at=iso(NOW + 60 * SECOND))]})
    config = Config.validated({"sources": [{"name": "a", "database": str(path)}]})
    engine = Engine(config, looked_at_by=Late)
    again = engine.tick(NOW).published.look_again_at
    assert again is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Late, "is_late", True)
        assert not engine.tick(again + SECOND).has_changed
    assert engine.tick(again + 2 * SECOND).has_changed


def test_a_late_look_that_has_come_back_is_taken_without_looking_at_any_other(tmp_path: Path, hanging: Hanging) -> None:
    """Each late look rings for a turn: were all looked at in it, many that are late would ring for ever."""
    rung = Event()
    others = Hanging()
    others.name = "other"
    others.let_go.set()
    config = Config.validated({"sources": [{"name": name, "database": "/x"} for name in ("bad", "other")]})
    engine = Engine(config, (hanging, others), lambda source, limit: OnItsOwn(source, limit, rung.set, patience=0.05))
    for second in range(2):
        engine.tick(NOW + second * SECOND)
    assert engine.collect(NOW + 2 * SECOND).reads == {}
    hanging.let_go.set()
    assert rung.wait(60)
    assert engine.collect(NOW + 3 * SECOND).reads == {"bad": 0.0}
    assert (hanging.looks, others.looks) == (2, 2)
    (state,) = (state for state in engine.published.sources if state.snapshot.source == "bad")
    assert state.read_at == NOW + 3 * SECOND
    assert engine.collect(NOW + 4 * SECOND).reads == {}
    engine.end()


def test_a_late_look_that_comes_back_after_a_sleep_is_judged_by_who_knows_of_the_sleep(
    tmp_path: Path, hanging: Hanging
) -> None:
    engine = _beside(hanging, tmp_path)
    engine.tick(NOW)
    gap = Gap(NOW, NOW + 60 * SECOND, is_sleep=True)
    assert not engine.collect(NOW + 60 * SECOND).has_changed
    assert engine.collect(NOW + 61 * SECOND, [gap]).has_changed
    engine.end()


class Held(Crew):
    """Has nobody free until it is asked to."""

    def __init__(self) -> None:
        super().__init__()
        self.orders: list[Work] = []

    def order(self, work: Work, *, is_slow: bool = False) -> None:
        self.orders.append(work)

    def see_to_it(self) -> None:
        pass


@pytest.mark.parametrize(("waits", "later"), [(40.0, 40 * SECOND), (0.01, 0 * SECOND)])
def test_a_look_that_has_waited_behind_others_knows_how_late_it_is(
    waits: float, later: timedelta, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what was written meanwhile is dated ahead of it, as by a clock that stands apart."""
    seen, at = list[datetime](), [100.0]
    monkeypatch.setattr("watchdog.systems.shared.looking.time.monotonic", lambda: at[0])
    monkeypatch.setattr(Hanging, "look", lambda _, now: seen.append(now))
    crew = Held()
    looker = OnItsOwn(Hanging(), SECOND, crew=crew, first_patience=0)
    looker.begin(NOW)
    at[0] += waits
    assert looker.answer(NOW + later) is None
    for work in crew.orders:
        work()
    assert seen == [NOW + later]


def test_a_source_whose_first_look_goes_on_is_neither_well_nor_told(tmp_path: Path, hanging: Hanging) -> None:
    hanging.looks = 1
    engine = _beside(hanging, tmp_path, first_patience=0.05)
    published = engine.tick(NOW).published
    (state,) = (state for state in published.sources if state.snapshot.source == "bad")
    assert state.read_at is None
    assert state.snapshot.problem
    assert _of(published, "bad") == []
    engine.end()


def test_whatever_a_source_raises_is_its_own_problem_and_holds_no_secret(tmp_path: Path) -> None:
    for looked_at_by in (None, OnItsOwn):
        engine = _beside(Raising(), tmp_path) if looked_at_by else _in_turn(Raising(), tmp_path)
        published = engine.tick(NOW).published
        assert _of(published, "bad") == [Kind.UNREACHABLE]
        (found,) = (finding for finding in published.findings if finding.source == "bad")
        assert "RuntimeError" in found.summary
        assert "s3cret" not in found.summary
        assert _of(published, "good") == [Kind.FAILED]
        assert engine.tick(NOW + SECOND).has_changed is False
        engine.end()
        (tmp_path / "good.db").unlink()


def test_a_rule_that_fails_on_what_one_source_holds_is_that_source_s_problem_until_it_can_be_judged(
    tmp_path: Path, hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging.let_go.set()
    engine = _in_turn(hanging, tmp_path)

    def fails(snapshot: Snapshot, *rest: Any) -> Diagnosis:
        if snapshot.source == "bad" and snapshot.problem is None:
            raise ValueError("max() arg is an empty sequence")
        return diagnose(snapshot, *rest)

    monkeypatch.setattr("watchdog.engine.diagnose", fails)
    published = engine.tick(NOW).published
    assert (_of(published, "good"), _of(published, "bad")) == ([Kind.FAILED], [Kind.UNREACHABLE])
    (told,) = (finding for finding in published.findings if finding.source == "bad")
    assert "judging it broke off: ValueError" in told.summary
    assert engine.tick(NOW + SECOND).has_changed is False
    monkeypatch.undo()
    assert _of(engine.tick(NOW + 2 * SECOND).published, "bad") == []


def test_where_judging_one_job_fails_nothing_stands_of_what_was_found_of_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = build(tmp_path / "a.db", {**healthy(), "scheduled_jobs": [job_row("lost", status="failed"), job_row()]})
    sources = [{"kind": "phantom", "name": "a", "database": str(store)}]
    owners = [{"name": "ann", "notify": ["x"]}]
    engine = Engine(Config.validated({"sources": sources, "owners": owners, "channels": {"x": "ntfy://topic"}}))
    (state,) = engine.tick(NOW).published.sources
    assert (len(state.deadlines), len(state.owners)) == (1, 2)

    def fails(job: Job, _: object) -> None:
        raise ValueError(f"{job.name} is odd")

    monkeypatch.setattr("watchdog.detectors.calm.deadline_of", fails)
    change(store, "UPDATE scheduled_jobs SET run_count = 8 WHERE name = 'heartbeat'")
    (state,) = engine.tick(NOW + SECOND).published.sources
    assert state.snapshot.problem == "judging it broke off: ValueError: heartbeat is odd"
    assert (state.deadlines, state.owners, state.missed) == ({}, {}, {})
    monkeypatch.undo()
    assert _of(engine.tick(NOW + 2 * SECOND).published, "a") == [Kind.FAILED]


def _in_turn(bad: Source, tmp_path: Path) -> Engine:
    engine = _beside(bad, tmp_path)
    return Engine(engine._config, engine.sources)
