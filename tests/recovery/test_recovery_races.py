"""Between look and act anybody may come: then nothing is done. And two watchdogs never bring one job back twice.

Every call that looks, writes or asks is a boundary, before and after. At a boundary somebody else changes the row, or
the other watchdog goes on. What comes through the scheduler's API is done by the simulator, on a real file.
"""

import itertools
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.amounts import amount
from tests.support.command import PATIENCE, until
from tests.support.harness import change, row_of
from tests.support.memory_folder import memory_folder
from watchdog.config.file import Config
from watchdog.core.action import Action, State
from watchdog.core.clock import Stamp
from watchdog.demo.operations import Answer
from watchdog.demo.simulator import Simulator
from watchdog.engine import Engine
from watchdog.recovery.executor import Executor
from watchdog.recovery.recoverer import Recoverer
from watchdog.state.records import Records
from watchdog.state.store import Store
from watchdog.systems.phantom import api as phantom_api
from watchdog.systems.phantom import writing as rows
from watchdog.systems.shared.unreadable import UnreadableError

NOW = datetime(2026, 6, 10, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

INTERLEAVINGS = amount(few=150, many=600)
"""How many different ones of each kind there are at least."""

WAYS = [ways for n in (1, 2, 3) for ways in itertools.permutations(("api", "pause_resume", "sql"), n)]

Row = Mapping[str, object]
Boundary = Callable[[str], None]


class Scheduler:
    """One job that has failed, and an API that is `up`, `down`, or `deaf`: it does what is asked, and no answer comes.

    `asked`: the row before and after each operation that came through the API.
    """

    def __init__(self, folder: Path, *, stock: bool, api: str) -> None:
        self.path = folder / "phantom.db"
        self.sim = Simulator(self.path, NOW, stock=stock)
        self.job_id = self.sim.add("heartbeat", ("cron", "0 * * * *", "UTC"))
        self.asked: list[tuple[Row, Row]] = []
        self.api = api
        self._lock = threading.Lock()
        self._fail()

    def _fail(self) -> None:
        self.write(
            "UPDATE scheduled_jobs SET status = 'failed', next_run_at = NULL, consecutive_errors = 10, run_count = 10, "
            "last_run_at = '2026-06-10T11:00:00.123Z', last_run_status = 'error', last_run_duration_ms = 60000, "
            "last_run_error = 'Error: 529 overloaded', updated_at = '2026-06-10 11:01:00' WHERE id = ?",
            self.job_id,
        )
        self.write("CREATE TABLE history (id INTEGER PRIMARY KEY, before TEXT, after TEXT)")
        self.write(
            "CREATE TRIGGER remember AFTER UPDATE OF status ON scheduled_jobs WHEN old.status <> new.status "
            "BEGIN INSERT INTO history (before, after) VALUES (old.status, new.status); END"
        )

    def write(self, statement: str, *values: object) -> None:
        """What somebody does to the file by SQL."""
        change(self.path, statement, *values)

    def row(self) -> Row:
        """The job's row; empty if it is gone."""
        return row_of(self.path, self.job_id)

    def changes(self) -> list[tuple[str, str]]:
        """Each change of the status, by whomever."""
        return self._read("SELECT before, after FROM history ORDER BY id")

    def revivals(self) -> int:
        """How often the job was brought to life."""
        return sum(after == "active" for _, after in self.changes())

    def audited(self) -> int:
        """How often the audit log tells of that."""
        query = "SELECT 1 FROM scheduler_audit_log WHERE action IN ('revive', 'resume') AND new_status = 'active'"
        return len(self._read(query))

    def _read(self, query: str) -> list[Any]:
        with closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as connection:
            return connection.execute(query).fetchall()

    def answer(self, order: Mapping[str, Any], deadline: timedelta) -> Mapping[str, Any]:
        """In place of the short-lived process that asks the API."""
        gone = {"ok": False, "error": f"no answer within {deadline}"}
        if self.api == "down":
            return gone
        with self._lock:
            before = self.row()
            said = self._operate(order)
            self.asked.append((before, self.row()))
        return gone if self.api == "deaf" else {"ok": True, "status": said.status, "body": said.body, "cookie": "c"}

    def _operate(self, order: Mapping[str, Any]) -> Answer:
        *_, job_id, verb = map(unquote, order["path"].split("/"))
        if verb == "pause":
            return self.sim.pause(job_id)
        return self.sim.resume(job_id, force=order["body"].get("force") is True)


@contextmanager
def scheduler(*, stock: bool = True, api: str = "up") -> Iterator[Scheduler]:
    """On a file of its own, gone at the end."""
    with memory_folder() as folder:
        agent = Scheduler(Path(folder), stock=stock, api=api)
        with agent.sim:
            yield agent


@contextmanager
def boundaries(agent: Scheduler, at: Boundary) -> Iterator[None]:
    """Whatever looks at the row, writes to it or to the records, or asks the API, passes `at` before and after."""

    def around(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def passing(*arguments: Any) -> Any:
            at(f"before {name}")
            try:
                return function(*arguments)
            finally:
                at(f"after {name}")

        return passing

    with ExitStack() as stack:
        for owner, names in ((rows, ("look", *WRITES)), (Records, ("add", "save"))):
            for name in names:
                stack.enter_context(patch.object(owner, name, around(name, getattr(owner, name))))
        stack.enter_context(patch.object(phantom_api, "run_child", around("ask", agent.answer)))
        yield


WRITES = ("set_paused", "set_failed_again", "set_active")


class Watchdog:
    """One of those that watch the same file, each with records of its own."""

    def __init__(self, agent: Scheduler, ways: Sequence[str], run: Sequence[str] = ()) -> None:
        policy = {"match": {"kind": "failed"}, "action": "revive", "via": list(ways), "run": list(run), "after": "0s"}
        source = {"name": "phantom", "database": str(agent.path), "api": {"url": "http://127.0.0.1:9"}}
        self._config = Config.validated({"sources": [source], "recovery": {"mode": "act", "policies": [policy]}})
        self.store = Store(None)
        self.now = NOW
        self.begin_anew()

    def begin_anew(self) -> None:
        """As after a crash: only what is written down is left."""
        config = self._config
        self._engine = Engine(config)
        self._recoverer = Recoverer(config, Records(self.store), lambda *_: None, lambda *_: None)
        self.hand = Executor(config, Records(self.store), self.stamp)

    def stamp(self) -> Stamp:
        return Stamp(self.now, (self.now - NOW).total_seconds() + 1000, "boot")

    def turn(self) -> None:
        """One turn of the service and of its hand."""
        self._recoverer.turn(self._engine.tick(self.now).published, self.stamp())
        self.hand.turn()

    def actions(self) -> Sequence[Action]:
        return Records(self.store).actions()


# somebody else comes

_LATER = "updated_at = '2026-06-10 11:59:59'"

CHANGES: Mapping[str, Sequence[str]] = {
    "paused": [f"UPDATE scheduled_jobs SET status = 'paused', {_LATER}"],
    "resumed": [
        f"UPDATE scheduled_jobs SET status = 'active', consecutive_errors = 0, {_LATER}, "
        "next_run_at = '2026-06-10T13:00:00.000Z'"
    ],
    "resumed, then paused": [
        f"UPDATE scheduled_jobs SET status = 'paused', consecutive_errors = 0, {_LATER}, "
        "next_run_at = '2026-06-10T13:00:00.000Z'"
    ],
    "completed": [f"UPDATE scheduled_jobs SET status = 'completed', {_LATER}"],
    "edited": [f"""UPDATE scheduled_jobs SET schedule_value = '{{"expr": "5 * * * *", "tz": "UTC"}}', {_LATER}"""],
    "edited in the same second": [
        """UPDATE scheduled_jobs SET schedule_value = '{"expr": "5 * * * *", "tz": "UTC"}'"""
    ],
    "touched": [f"UPDATE scheduled_jobs SET {_LATER}"],
    "switched off": ["UPDATE scheduled_jobs SET enabled = 0"],
    "failed again in the same second": [
        "UPDATE scheduled_jobs SET run_count = 11, last_run_at = '2026-06-10T11:00:00.124Z'"
    ],
    "deleted": ["DELETE FROM scheduled_jobs"],
    "recreated": [
        "CREATE TEMP TABLE kept AS SELECT * FROM scheduled_jobs",
        f"UPDATE kept SET status = 'active', consecutive_errors = 0, run_count = 0, last_run_at = NULL, {_LATER}",
        "DELETE FROM scheduled_jobs",
        "INSERT INTO scheduled_jobs SELECT * FROM kept",
    ],
}


@dataclass(frozen=True)
class Scenario:
    """How the job may be brought back, by which build of the scheduler, and how its API is."""

    ways: tuple[str, ...]
    stock: bool
    api: str


@dataclass
class Race:
    """Somebody makes one change at the boundary of this number; none for None."""

    agent: Scheduler
    statements: Sequence[str] = ()
    turn: int | None = None
    passed: list[str] = field(default_factory=list)
    before: Row = field(default_factory=dict)
    left: Row = field(default_factory=dict)
    asked: int = 0

    def at(self, boundary: str) -> None:
        """Pass a boundary."""
        if len(self.passed) == self.turn:
            self.before, self.asked = self.agent.row(), len(self.agent.asked)
            with closing(sqlite3.connect(self.agent.path, isolation_level=None)) as connection:
                for statement in self.statements:
                    connection.execute(statement)
            self.left = self.agent.row()
        self.passed.append(boundary)

    def next_check(self) -> str:
        """What came first after the change: a look, a guarded write, a question to the API; or nothing."""
        assert self.turn is not None
        return next((what for what in self.passed[self.turn :] if _is_check(what)), "")

    def last_check(self) -> str:
        """What came last before the change."""
        return next((what for what in reversed(self.passed[: self.turn]) if _is_check(what)), "")


def _is_check(boundary: str) -> bool:
    word, _, name = boundary.partition(" ")
    return word == "before" and name in ("look", "ask", *WRITES)


def _run(scenario: Scenario, change_: str = "", turn: int | None = None) -> tuple[Race, Sequence[Action], Row]:
    with scheduler(stock=scenario.stock, api=scenario.api) as agent:
        race, original = Race(agent, CHANGES.get(change_, ()), turn), agent.row()
        with boundaries(agent, race.at):
            watchdog = Watchdog(agent, scenario.ways)
            watchdog.turn()
        if turn is not None and not (turn == 0 and _may_be_revived(race.left)):
            _only_the_scheduler_has_touched_it_since(race)
        return race, watchdog.actions(), original


def _only_the_scheduler_has_touched_it_since(race: Race) -> None:
    """What the other left is there byte for byte, or what the API made of just that, in the one gap it leaves open."""
    expected = race.left
    for before, after in race.agent.asked[race.asked :]:
        assert before == expected
        if after != before:
            assert race.next_check() == "before ask", "it looked, saw the change, and asked all the same"
            assert before["status"] in ("failed", "paused")
            assert after["status"] == "active"
        expected = after
    assert race.agent.row() == expected


@cache
def _boundaries_of(scenario: Scenario) -> int:
    return len(_run(scenario)[0].passed)


def _may_be_revived(row: Row) -> bool:
    return row.get("status") == "failed" and row.get("enabled") == 1


def _is_refused(action: Action) -> bool:
    return action.state is State.REFUSED and "nothing was done" in action.steps[-1].what


def _judge(race: Race, actions: Sequence[Action], original: Row) -> None:
    assert all(action.state.value not in ("proposed", "intended", "begun") for action in actions)
    if race.turn == 0:  # between the tick and the look: what is intended goes by what was seen then
        assert not actions or _is_refused(actions[0]) or _may_be_revived(race.left)
        return
    (action,) = actions
    check, nothing_done = race.next_check(), race.before == original
    if not nothing_done or check in ("", "before ask"):
        return
    if race.last_check() == "before ask" and check == "before look" and race.agent.api != "up":
        # no answer came, so the row was looked at: it tells whether the job is active, and that is all
        assert action.state in (State.REFUSED, State.FAILED, State.ACTED)
        assert action.state is not State.ACTED or race.left["status"] == "active"
        return
    assert _is_refused(action), (race.passed, action)


@pytest.mark.deep
def test_whoever_changes_the_row_between_look_and_act_is_left_alone() -> None:
    seen: set[tuple[Scenario, str, int]] = set()

    @settings(max_examples=INTERLEAVINGS * 6 // 5, deadline=None, derandomize=True, database=None)
    @given(
        st.builds(Scenario, st.sampled_from(WAYS), st.booleans(), st.sampled_from(("up", "down", "deaf"))),
        st.sampled_from(sorted(CHANGES)),
        st.integers(0, 10**6),
    )
    def interleave(scenario: Scenario, change_: str, number: int) -> None:
        turn = number % _boundaries_of(scenario)
        seen.add((scenario, change_, turn))
        _judge(*_run(scenario, change_, turn))

    interleave()
    assert len(seen) >= INTERLEAVINGS


# another watchdog comes


class Baton:
    """Several threads of which only one ever goes on: from boundary to boundary, in the order that is handed in."""

    def __init__(self, order: Sequence[int]) -> None:
        self._order = order
        self._waiting: dict[int, threading.Semaphore] = {}
        self._back = threading.Semaphore(0)
        self.switches = 0

    def at(self, boundary: str) -> None:
        """Give the baton back, and wait for it. What comes after one call is what comes before the next."""
        if boundary.startswith("after"):
            return
        self._back.release()
        self._waiting[threading.get_ident()].acquire()

    def run(self, *lives: Callable[[], None]) -> None:
        """All of them to their ends; what one of them raised is raised."""
        errors: list[BaseException] = []
        threads = [threading.Thread(target=self._live, args=(life, errors), daemon=True) for life in lives]
        for thread in threads:
            thread.start()
            self._back.acquire()
        for place in itertools.count():
            going = [thread for thread in threads if thread.is_alive() and thread.ident in self._waiting]
            if not going:
                break
            ident = going[self._order[place % len(self._order)] % len(going)].ident
            assert ident is not None
            self._waiting[ident].release()
            self._back.acquire()
            self.switches += 1
        for error in errors:
            raise error

    def _live(self, life: Callable[[], None], errors: list[BaseException]) -> None:
        ident = threading.get_ident()
        self._waiting[ident] = threading.Semaphore(0)
        self.at("the start")
        try:
            life()
        except BaseException as error:
            errors.append(error)
        finally:
            del self._waiting[ident]
            self._back.release()


def _two_turns(watchdog: Watchdog) -> None:
    """What is refused may be tried again after a while; so may what failed."""
    for minutes in (0, 45):
        watchdog.now = NOW + minutes * MINUTE
        watchdog.turn()


def _was_revived_once_at_most(agent: Scheduler, watchdogs: Sequence[Watchdog]) -> None:
    actions = [action for watchdog in watchdogs for action in watchdog.actions()]
    assert agent.revivals() <= 1, (agent.changes(), actions)
    assert agent.audited() <= 1
    assert all(action.state.value not in ("proposed", "intended", "begun") for action in actions)
    if agent.revivals() == 1:
        assert agent.row()["status"] == "active"
        assert any(action.state is State.ACTED for action in actions)
    else:
        assert agent.row()["status"] == "failed", "it was left paused"
        assert not any(action.state is State.ACTED for action in actions)


@pytest.mark.deep
def test_two_watchdogs_on_one_database_never_revive_a_job_twice() -> None:
    schedules: set[tuple[object, ...]] = set()
    revived: list[int] = []

    @settings(max_examples=INTERLEAVINGS * 11 // 10, deadline=None, derandomize=True, database=None)
    @given(
        st.tuples(st.sampled_from(WAYS), st.sampled_from(WAYS)),
        st.booleans(),
        st.sampled_from(("up", "down", "deaf")),
        st.lists(st.integers(0, 1), min_size=24, max_size=24),
    )
    def interleave(ways: tuple[tuple[str, ...], tuple[str, ...]], stock: bool, api: str, order: list[int]) -> None:
        with scheduler(stock=stock, api=api) as agent:
            baton = Baton(order)
            one, two = (Watchdog(agent, way) for way in ways)
            with boundaries(agent, baton.at):
                baton.run(lambda: _two_turns(one), lambda: _two_turns(two))
            _was_revived_once_at_most(agent, (one, two))
            schedules.add((ways, stock, api, tuple(order)))
            revived.append(agent.revivals())

    interleave()
    assert len(schedules) >= INTERLEAVINGS
    assert sum(revived) > INTERLEAVINGS / 2, "hardly anything was revived, so nothing was proved"


@pytest.mark.parametrize("ways", [("sql",), ("pause_resume", "sql"), ("api", "pause_resume", "sql")])
@pytest.mark.parametrize("stock", [True, False])
def test_two_watchdogs_in_threads_that_run_as_they_like_revive_a_job_once(ways: tuple[str, ...], stock: bool) -> None:
    for _ in range(8):
        with scheduler(stock=stock) as agent, patch.object(phantom_api, "run_child", agent.answer):
            watchdogs = [Watchdog(agent, ways) for _ in range(2)]
            line = threading.Barrier(len(watchdogs))

            def live(watchdog: Watchdog, line: threading.Barrier = line) -> None:
                line.wait()
                watchdog.turn()

            with ThreadPoolExecutor(len(watchdogs)) as pool:
                list(pool.map(live, watchdogs))
            assert agent.revivals() == 1
            _was_revived_once_at_most(agent, watchdogs)


# the hand itself


def _restarting(folder: Path, names: Sequence[str], run: Sequence[str]) -> Config:
    sources = [{"name": name, "database": str(folder / "phantom.db")} for name in names]
    policy = {"name": "again", "match": {"kind": "wedged"}, "action": "restart", "run": list(run)}
    return Config.validated({"sources": sources, "recovery": {"mode": "act", "policies": [policy]}})


def _restart_of(source: str) -> Action:
    return Action(0, Stamp(NOW, 1000, "boot"), "again", "restart", source, None, None, f"{source}|again")


def test_a_hand_that_takes_over_while_another_is_at_it_restarts_nothing_twice(tmp_path: Path) -> None:
    """As at a reload of the configuration: the hand before is still in the midst of a long command."""
    gate, marks = tmp_path / "gate", tmp_path / "restarts"
    os.mkfifo(gate)
    command = f'echo "$WATCHDOG_SOURCE" >> "{marks}"; [ "$WATCHDOG_SOURCE" = one ] && cat "{gate}"; true'
    with scheduler() as agent, closing_store(tmp_path) as first, closing_store(tmp_path) as second:
        config = _restarting(agent.path.parent, ("one", "two"), ("/bin/sh", "-c", command))
        for name in ("one", "two"):
            Records(first).add(_restart_of(name))
        hands = [Executor(config, Records(store), lambda: Stamp(NOW, 1000, "boot")) for store in (first, second)]
        before = threading.Thread(target=hands[0].turn, daemon=True)
        before.start()
        until(marks.exists, "the first hand restarts the first agent")
        hands[1].turn()
        gate.write_text("go on")
        before.join(PATIENCE)
        assert not before.is_alive()
        assert sorted(marks.read_text().split()) == ["one", "two"]
        assert [action.state for action in Records(first).actions()] == [State.ACTED, State.ACTED]


@contextmanager
def closing_store(folder: Path) -> Iterator[Store]:
    """The state file, shared with others."""
    store = Store(folder / "state.db", exclusive=False)
    try:
        yield store
    finally:
        store.close()


FULL = sqlite3.OperationalError("database or disk is full")


def test_what_could_not_be_written_down_is_taken_up_at_the_next_turn(tmp_path: Path) -> None:
    """The state file fails after the effect: nothing has died, and still the action must not be left as it is."""
    with scheduler() as agent:
        watchdog = Watchdog(agent, ("sql",))
        with boundaries(agent, _Raises(FULL, "before save", after="after set_active").at), pytest.raises(sqlite3.Error):
            watchdog.turn()
        assert [action.state for action in watchdog.actions()] == [State.BEGUN]
        watchdog.turn()
        assert [action.state for action in watchdog.actions()] == [State.ACTED]
        assert agent.changes() == [("failed", "active")]


def test_a_revival_by_hand_that_died_is_taken_up_after_a_while_and_not_before() -> None:
    """The command may be at it still; longer than ten minutes it never takes. It had not begun with any way yet."""
    with scheduler(stock=False) as agent, boundaries(agent, lambda _: None):
        watchdog = Watchdog(agent, ("sql",))
        watchdog.hand.turn()
        Records(watchdog.store).add(_by_hand(agent, ("api", "sql")))
        watchdog.now = NOW + 9 * MINUTE
        watchdog.hand.turn()
        assert agent.changes() == []
        watchdog.now = NOW + 11 * MINUTE
        watchdog.hand.turn()
        assert agent.changes() == [("failed", "active")]
        assert len(agent.asked) == 1, "it was not brought back by the first of its ways"
        assert [action.state for action in watchdog.actions()] == [State.ACTED]


def _by_hand(agent: Scheduler, ways: tuple[str, ...]) -> Action:
    begun, seen = Stamp(NOW, 1000, "boot"), rows.fingerprint(agent.row())
    named = ("by hand", "revive", "phantom", agent.job_id, "heartbeat", "phantom|by hand")
    return Action(0, begun, *named, State.BEGUN, seen=seen, ways=ways)


def test_a_job_is_not_left_paused_while_the_file_cannot_be_read() -> None:
    """No answer came, and the row cannot tell either: it is put back all the same."""
    with scheduler(api="down") as agent:
        original, watchdog = agent.row(), Watchdog(agent, ("pause_resume",))
        with boundaries(agent, _Raises(UnreadableError("it is locked"), "before look", after="after ask").at):
            watchdog.turn()
        assert agent.row() == original
        assert [action.state for action in watchdog.actions()] == [State.FAILED]


@pytest.mark.parametrize("change_", ["resumed", "deleted", "touched"])
def test_a_restart_that_is_to_revive_one_job_is_not_done_when_that_has_changed(tmp_path: Path, change_: str) -> None:
    with scheduler() as agent:
        marks = tmp_path / "restarts"
        watchdog = Watchdog(agent, ("restart",), run=("/bin/sh", "-c", f"echo done >> '{marks}'"))
        race = Race(agent, CHANGES[change_], turn=4)
        with boundaries(agent, race.at):
            watchdog.turn()
        assert race.passed[3] == "after add", "the change came at another place than between intent and act"
        assert not marks.exists()
        assert [_is_refused(action) for action in watchdog.actions()] == [True]


def _begins_anew(agent: Scheduler, watchdog: Watchdog) -> None:
    """After a crash, until nothing of before it can have any effect."""
    watchdog.begin_anew()
    with boundaries(agent, lambda _: None):
        watchdog.turn()
        watchdog.now += MINUTE
        watchdog.turn()


def test_what_was_asked_before_a_crash_and_is_done_after_it_is_our_own_doing() -> None:
    """The process that asks outlives the watchdog: taken up at once, the action would be refused when it is done."""
    with scheduler(stock=False) as agent:
        watchdog = Watchdog(agent, ("api",))
        with boundaries(agent, _Raises(Died(), "before ask").at), pytest.raises(Died):
            watchdog.turn()
        watchdog.begin_anew()
        with boundaries(agent, lambda _: None):
            watchdog.turn()
            assert not agent.asked
            agent.sim.resume(agent.job_id, force=True)
            watchdog.now += MINUTE
            watchdog.turn()
        assert [action.state for action in watchdog.actions()] == [State.ACTED]
        assert agent.changes() == [("failed", "active")]
        assert not agent.asked


def test_a_pause_by_a_person_during_a_crash_is_not_taken_for_our_own() -> None:
    """It died when it was about to pause the job; meanwhile a person revived the job, and paused it."""
    with scheduler() as agent:
        watchdog = Watchdog(agent, ("pause_resume",))
        with boundaries(agent, _Raises(Died(), "before set_paused").at), pytest.raises(Died):
            watchdog.turn()
        for statement in CHANGES["resumed, then paused"]:
            agent.write(statement)
        left = agent.row()
        _begins_anew(agent, watchdog)
        assert agent.row() == left
        assert not agent.asked


def test_a_way_that_is_not_allowed_is_not_taken_after_a_crash_between_two_ways() -> None:
    """The one way that is allowed did not work, which was written down; then it died."""
    with scheduler(api="down") as agent:
        original, watchdog = agent.row(), Watchdog(agent, ("api",))
        with boundaries(agent, _Raises(Died(), "after save", after="after ask").at), pytest.raises(Died):
            watchdog.turn()
        _begins_anew(agent, watchdog)
        assert agent.row() == original
        assert [action.state for action in watchdog.actions()] == [State.FAILED]


@pytest.mark.parametrize("where", ["before save", "after save"])
def test_an_intent_survives_a_crash_before_its_effect(where: str) -> None:
    """It was being tried already, by the only way there is."""
    with scheduler() as agent:
        watchdog = Watchdog(agent, ("sql",))
        with boundaries(agent, _Raises(Died(), where).at), pytest.raises(Died):
            watchdog.turn()
        _begins_anew(agent, watchdog)
        assert agent.changes() == [("failed", "active")]


class Died(Exception):  # noqa: N818 - not an error: the end
    """What a crash does to the code that is running."""


@dataclass
class _Raises:
    """Once, at the first boundary `where` that comes after the boundary `after`."""

    error: Exception
    where: str
    after: str = ""
    is_near: bool = False
    is_over: bool = False

    def at(self, boundary: str) -> None:
        if not self.is_over and (self.is_near or not self.after) and boundary == self.where:
            self.is_over = True
            raise self.error
        self.is_near = self.is_near or boundary == self.after
