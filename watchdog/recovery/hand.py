"""The hand: does what was decided, one step after another, each written down before and after.

It runs in a thread of its own: a call to the agent, or a command, may take up to its deadline.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from watchdog import faults
from watchdog.config import Config, Phantom
from watchdog.instants import from_ms, say, to_ms
from watchdog.logs import log
from watchdog.model import At, Every, Unreadable
from watchdog.notify.children import call as run_child
from watchdog.policies import Policy
from watchdog.recovery import rows
from watchdog.recovery.action import Action, Stamp, State
from watchdog.recovery.before_restart import consequences
from watchdog.recovery.decide import DAY, spent_within, used_up
from watchdog.recovery.phantom_api import ApiError, PhantomApi
from watchdog.recovery.records import Preserved, Records
from watchdog.redaction import fit_to_leave
from watchdog.schedule import next_fire
from watchdog.sources.phantom import PhantomSource
from watchdog.sources.phantom_rows import read_schedule
from watchdog.sources.sqlite_file import UnreadableError

LATEST_TIMER = timedelta(hours=1)
"""An armed timer looks again after an hour at most; with none armed it never does (docs/phantom.md, the timer)."""

GRACE = timedelta(minutes=5)
"""How much later than it should a run may begin."""

PROBE_DEADLINE = timedelta(seconds=10)

API_DEADLINE = timedelta(seconds=20)
"""When a call of the agent's API is cut off."""

LINGERS = API_DEADLINE + timedelta(seconds=5)
"""So long after a watchdog has ended the API may still do what that asked: it is asked by a process of its own."""

ASKING = ("api", "pause_resume")
"""The ways through the API. If such an action were taken up at once, it might be refused as somebody else's doing."""

LONGEST = timedelta(minutes=10)
"""No revival by hand takes longer; what was begun before that was left by a command that died."""

_REASON = 300
_MOST_SAID = 4096


class WayFailedError(Exception):
    """One way of reviving did not work; the next may. The text says why, in one line."""


class LeftPausedError(Exception):
    """The job was paused on the way, and could not be put back: no other way may be tried, and a person is needed."""


class TakenError(Exception):
    """Another hand has gone on with the action since this one looked: it is left to that one."""


Clock = Callable[[], Stamp]


class Hand:
    """Carries actions out on the sources of one configuration."""

    def __init__(self, config: Config, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._born: Stamp | None = None
        self._left: frozenset[int] = frozenset()
        self._known: dict[int, State] = {}
        self.use(config)

    def use(self, config: Config) -> None:
        """From now on this configuration holds."""
        self._sources: dict[str, Phantom] = {source.name: source for source in config.phantoms}
        self._policies = {
            policy.name or f"policies[{index}]": policy for index, policy in enumerate(config.recovery.policies)
        }
        self._apis: dict[str, PhantomApi] = {}

    def turn(self) -> bool:
        """Do what is intended; whether anything was done. After a restart first make sure of what was begun."""
        begun = [action for action in self._records.under_way() if action.state is State.BEGUN]
        if self._born is None:
            self._born, self._left = self._clock(), frozenset(action.id for action in begun)
        for action in begun:
            if self._is_left_over(action, self._born):
                self._unless_taken(self._take_up, action)
        todo = [action for action in self._records.under_way() if action.state is State.INTENDED]
        for action in todo:
            self._unless_taken(self.carry_out, action)
        return bool(todo)

    def _is_left_over(self, action: Action, born: Stamp) -> bool:
        """Whether nobody is at it any more: not the hand before this one, nor this one, nor a person's command."""
        now = self._clock()
        if action.id in self._known or action.spent.elapsed(now) > LONGEST:
            return True
        return action.id in self._left and (action.way not in ASKING or born.elapsed(now) > LINGERS)

    def _unless_taken(self, do: Callable[[Action], None], action: Action) -> None:
        try:
            do(action)
        except TakenError:
            log.info(f"recovery {action.id} is taken by another hand", extra={"action": "recovery"})

    # one action

    def carry_out(self, action: Action) -> None:
        """Do one action, to its end or until only the proof is missing. Raises TakenError."""
        self._known[action.id] = action.state
        source, policy = self._sources.get(action.source), self._policy(action)
        if source is None or policy is None:
            self._settle(action, State.FAILED, "its source or policy is not in the configuration any more")
            return
        probe = policy.check.http
        if probe and _asked({"do": "get", "url": probe}, PROBE_DEADLINE):
            self._settle(action, State.REFUSED, f"{urlsplit(probe).netloc} is not well yet, so nothing was done")
        elif action.kind == "restart":
            self._restart(action, source, policy)
        elif action.kind == "preserve":
            self._postpone(action, source)
        else:
            self._revive(action, source, policy)

    def _policy(self, action: Action) -> Policy | None:
        if action.policy == BY_HAND:
            return Policy(action="revive", canary=False)
        return self._policies.get(action.policy)

    def _take_up(self, action: Action) -> None:
        """The watchdog died in the middle of it. It is done again only if it is known not to have happened."""
        self._known[action.id] = action.state
        now = self._clock()
        source = self._sources.get(action.source)
        if action.way == "restart" and source is not None:
            self._acted(action, "the watchdog ended in the middle of a restart; it is not done twice", None)
            return
        if action.kind == "restart" or source is None or action.job_id is None:
            self._settle(action, State.UNKNOWN, "the watchdog ended in the middle of it; it is not done twice")
            return
        try:
            row = rows.look(source.database, action.job_id)
        except UnreadableError as error:
            self._settle(action, State.UNKNOWN, f"the watchdog ended in the middle of it, and now {error}")
            return
        if row is not None and action.way != "restart" and rows.is_as_seen(row, action.seen):
            again = action.stepped(now.at, "the row is as it was: nothing had been done", state=State.INTENDED)
            self._save(replace(again, ways=(again.way, *again.ways) if again.way else again.ways))
        elif action.kind == "preserve":
            self._take_up_postponed(action, row or {})
        elif row is not None and action.way == "pause_resume" and _is_our_pause(row, action):
            self._resume_paused(action, source, row)
        else:
            self._acted(action, "the watchdog ended in the middle of it; the row has changed since", None)

    def _take_up_postponed(self, action: Action, row: rows.Row) -> None:
        if rows.is_as_seen(row, {**action.seen, "updated_at": rows.sql_time(action.spent.at)}):
            self._settle(action, State.VERIFIED, "its sweep had been moved off by thirty days")
        else:
            self._settle(action, State.UNKNOWN, "the watchdog ended in the middle of it; the row has changed since")

    # revive

    def _revive(self, action: Action, source: Phantom, policy: Policy) -> None:
        """Try the ways that are left, in order, until one has worked."""
        while action.ways:
            way, rest = action.ways[0], action.ways[1:]
            # not saved before it is begun: after a crash until then it must be tried yet
            action = action.stepped(self._clock().at, f"trying {way}", ways=rest, way=way)
            try:
                if self._try(action, way, source, policy):
                    return
            except rows.ChangedError as error:
                self._settle(action, State.REFUSED, str(error))
                return
            except LeftPausedError as error:
                self._settle(action, State.FAILED, fit_to_leave(str(error), _REASON))
                return
            except (WayFailedError, ApiError, rows.CannotWriteError, UnreadableError) as error:
                reason = fit_to_leave(str(error), _REASON)
                # no longer this way: a restart that was not allowed is none
                action = self._save(action.stepped(self._clock().at, f"{way} did not work: {reason}", way=""))
        self._settle(action, State.FAILED, "no way that is allowed worked")

    def _try(self, action: Action, way: str, source: Phantom, policy: Policy) -> bool:
        if way == "restart":
            self._must_have_restarts_left(action, policy)
        row = self._as_seen(action, source)
        self._must_not_be_over(source, row)
        if way == "restart":
            self._restart(action, source, policy)
            return True
        action = self._begin(action)
        if way == "api":
            self._forced(action, source)
        elif way == "pause_resume":
            self._pause_and_resume(action, source, row)
        else:
            self._by_sql(action, source, row)
        return True

    def _as_seen(self, action: Action, source: Phantom) -> rows.Row:
        row = rows.look(source.database, action.job_id or "")
        if row is None:
            raise rows.ChangedError("the row is gone, so nothing was done")
        if not rows.is_as_seen(row, action.seen):
            raise rows.ChangedError("the row is no longer as it was seen, so nothing was done")
        return row

    def _must_not_be_over(self, source: Phantom, row: rows.Row) -> None:
        """Between the intent and now, an approval for example, a one-shot's time may have passed."""
        if row.get("enabled", 1) == 0:
            raise rows.ChangedError("it is switched off and would not run, so nothing was done")
        schedule = read_schedule(row.get("schedule_kind"), row.get("schedule_value"), source.timezone)
        if isinstance(schedule, At) and schedule.at <= self._clock().at:
            raise rows.ChangedError(f"it was to run once at {say(schedule.at)}; that is over, so nothing was done")

    def _forced(self, action: Action, source: Phantom) -> None:
        try:
            status = self._api(source).resume(action.job_id or "", force=True)
        except ApiError as error:
            if self._took_effect(action, source, str(error)):
                return
            raise
        faults.point("revived")
        if status != "active":
            raise WayFailedError(f"the API answered, and left the job {status}: this build cannot revive")
        self._acted(action, "the API resumed it, and says that it is active", timedelta())

    def _took_effect(self, action: Action, source: Phantom, why: str) -> bool:
        """An answer that never came or cannot be read tells nothing; the row does."""
        try:
            row = rows.look(source.database, action.job_id or "")
        except UnreadableError:
            return False
        if row is None or row.get("status") != "active" or action.seen.get("status") == "active":
            return False
        self._acted(action, f"{fit_to_leave(why, _REASON)}; but its row is active now", timedelta())
        return True

    def _pause_and_resume(self, action: Action, source: Phantom, row: rows.Row) -> None:
        api = self._api(source)
        paused_at = action.spent.at
        if row.get("status") == "active":  # set so before, and not heard
            paused_at = self._pause_by_api(action, source, api)
        else:
            rows.set_paused(source.database, action.job_id or "", rows.fingerprint(row), paused_at)
        faults.point("paused")
        self._resume(action, source, api, paused_at)

    def _pause_by_api(self, action: Action, source: Phantom, api: PhantomApi) -> datetime:
        """Pause an active job; when that was, by the scheduler's clock."""
        why = "the API paused it, and its row says otherwise"
        try:
            api.pause(action.job_id or "")
        except ApiError as error:
            why = str(error)  # it may be paused all the same
        try:
            row = rows.look(source.database, action.job_id or "") or {}
            if row.get("status") != "paused":
                raise WayFailedError(why)
            return _paused_at(row)
        except (ValueError, UnreadableError):
            raise LeftPausedError("the API paused it, and its row does not say when: resume it by hand") from None

    def _resume_paused(self, action: Action, source: Phantom, row: rows.Row) -> None:
        """Go on where a crash left it between the two halves of this way."""
        try:
            self._resume(action, source, self._api(source), _paused_at(row))
        except LeftPausedError as error:
            self._settle(action, State.FAILED, fit_to_leave(str(error), _REASON))
        except (WayFailedError, ApiError, ValueError) as error:
            self._save(
                action.stepped(
                    self._clock().at, f"it had been paused: {fit_to_leave(str(error), _REASON)}", state=State.INTENDED
                )
            )

    def _resume(self, action: Action, source: Phantom, api: PhantomApi, paused_at: datetime) -> None:
        try:
            status = api.resume(action.job_id or "", force=False)
            faults.point("revived")
            if status == "active":
                self._acted(action, "paused by SQL and resumed by the API, which says that it is active", timedelta())
                return
            why = f"the API answered, and left the job {status}"
        except ApiError as error:
            why = str(error)
            if self._took_effect(action, source, why):
                return
        self._unpause(action, source, paused_at)
        raise WayFailedError(why)

    def _unpause(self, action: Action, source: Phantom, paused_at: datetime) -> None:
        """A job that stays paused is found by nobody: back to what it was."""
        try:
            rows.set_failed_again(source.database, action.job_id or "", paused_at, action.seen)
        except (rows.ChangedError, rows.CannotWriteError) as error:
            what = f"it was paused, not resumed, and could not be put back ({error})"
            raise LeftPausedError(f"{what}: look at it, and resume it by hand if it is still paused") from None

    def _by_sql(self, action: Action, source: Phantom, row: rows.Row) -> None:
        if row.get("status") == "active":
            raise WayFailedError("it is active already, and was not heard")
        now = self._clock().at
        fire = self._next_fire(source, row, now)
        timer_may_be_armed = self._has_other_planned_row(source, action.job_id or "")
        rows.set_active(source.database, action.job_id or "", rows.fingerprint(row), fire, now)
        faults.point("revived")
        wait = LATEST_TIMER if timer_may_be_armed else timedelta()
        self._acted(action, f"set active by SQL, due at {say(fire)}; it must be heard yet", max(wait, fire - now))

    def _next_fire(self, source: Phantom, row: rows.Row, now: datetime) -> datetime:
        schedule = read_schedule(row.get("schedule_kind"), row.get("schedule_value"), source.timezone)
        fire = None if isinstance(schedule, Unreadable) else next_fire(schedule, now)
        if fire is None:
            what = "its time has passed" if isinstance(schedule, At) else "its schedule gives no next run"
            raise WayFailedError(f"{what}, so there is nothing to set")
        return from_ms(to_ms(fire)) if isinstance(schedule, Every) else fire

    def _has_other_planned_row(self, source: Phantom, job_id: str) -> bool:
        """Whether a timer can be armed at all: with no planned row none is."""
        from watchdog.sources.sqlite_file import read

        query = (
            "SELECT 1 FROM scheduled_jobs WHERE enabled = 1 AND status = 'active' AND next_run_at IS NOT NULL "
            "AND id <> ? LIMIT 1"
        )
        return bool(read(source.database, lambda connection: connection.execute(query, (job_id,)).fetchall())[0])

    def _api(self, source: Phantom) -> PhantomApi:
        if source.api is None:
            raise WayFailedError("no `api` is configured for this source")
        return self._apis.setdefault(source.name, PhantomApi(source.api, API_DEADLINE))

    # restart

    def _must_have_restarts_left(self, action: Action, policy: Policy) -> None:
        """A restart to have one job heard counts as much as any other of this scheduler: see `Attempts.per_day`."""
        now, attempts = self._clock(), policy.attempts
        others = [other for other in self._records.actions() if other.source == action.source and other.is_restart]
        done = [other for other in others if other.begun and other.id != action.id]
        for most, window in ((attempts.max, attempts.per), (attempts.per_day, DAY)):
            if len(spent_within(done, window, now)) >= most:
                raise WayFailedError(used_up(most, "restart", window))

    def _restart(self, action: Action, source: Phantom, policy: Policy) -> None:
        """By a command without a shell, or by a call. The job's facts are in environment variables, as data."""
        try:
            action = self._warned(action, source)
        except UnreadableError as error:
            self._settle(action, State.FAILED, f"not restarted, for nobody can tell what that would destroy: {error}")
            return
        action = self._begin(replace(action, way="restart"))
        if policy.run:
            problem = _run(policy.run, _facts(action), policy.deadline)
        elif policy.call:
            order = {"do": "get", "url": policy.call.url, "method": policy.call.method}
            problem = _asked(order, policy.deadline)
        else:
            problem = "no `run` and no `call` is configured"
        faults.point("restarted")
        if problem:
            self._settle(action, State.FAILED, f"the restart did not work: {fit_to_leave(problem, _REASON)}")
        else:
            self._acted(action, "the agent was restarted", timedelta(minutes=15))

    def _warned(self, action: Action, source: Phantom) -> Action:
        """What a restart destroys is kept before, and told."""
        now = self._clock().at
        preserve_failed(self._records, source, now)
        snapshot = PhantomSource(source.name, source.database, source.timezone, source.look_back).look(now).snapshot
        for sentence in consequences(snapshot, now):
            log.warning(sentence, extra={"action": "restart_ahead", "source": source.name})
            action = action.stepped(now, sentence)
        return action

    # preserve

    def _postpone(self, action: Action, source: Phantom) -> None:
        """Have the row count as changed now, so that the sweep takes it thirty days later."""
        try:
            row = self._as_seen(action, source)
            action = self._begin(action)
            rows.postpone_sweep(source.database, action.job_id or "", rows.fingerprint(row), action.spent.at)
            self._settle(action, State.VERIFIED, "its sweep was moved off by thirty days")
        except rows.ChangedError as error:
            self._settle(action, State.REFUSED, str(error))
        except (rows.CannotWriteError, UnreadableError) as error:
            self._settle(action, State.FAILED, str(error))

    # on record

    def _begin(self, action: Action) -> Action:
        faults.point("before-begun")
        now = self._clock()
        begun = self._save(action.stepped(now.at, "begun", state=State.BEGUN, begun=now))
        faults.point("begun")
        return begun

    def _acted(self, action: Action, what: str, wait: timedelta | None) -> None:
        now = self._clock().at
        heard_by = now + (wait or timedelta()) + GRACE if wait is not None else now + LATEST_TIMER + GRACE
        self._save(action.stepped(now, what, state=State.ACTED, acted_at=now, heard_by=heard_by))
        _tell(action, "acted", what)
        faults.point("acted")

    def _settle(self, action: Action, state: State, what: str) -> None:
        now = self._clock()
        self._save(action.stepped(now.at, what, state=state, settled=now))
        _tell(action, state.value, what)

    def _save(self, action: Action) -> Action:
        if not self._records.save(action, self._known.get(action.id)):
            raise TakenError(action.id)
        self._known[action.id] = action.state
        if action.state not in (State.INTENDED, State.BEGUN):
            del self._known[action.id]
        return action


BY_HAND = "by hand"


def _is_our_pause(row: rows.Row, action: Action) -> bool:
    """Whether the row is paused as the way through a pause leaves it, and not by a person since."""
    ours = {"status": "paused", "updated_at": rows.sql_time(action.spent.at)}
    is_by_api = action.seen.get("status") == "active"  # its time is the scheduler's
    return rows.is_as_seen(row, {**action.seen, **({"status": "paused"} if is_by_api else ours)})


def _paused_at(row: rows.Row) -> datetime:
    """When the row was paused, as it says itself. Raises ValueError."""
    return datetime.fromisoformat(f"{row.get('updated_at')}+00:00")


def _tell(action: Action, outcome: str, what: str) -> None:
    level = log.warning if outcome in ("failed", "unknown", "refused") else log.info
    facts = {"source": action.source, "job_id": action.job_id, "policy": action.policy, "outcome": outcome}
    level(f"{action.kind} of {action.job or action.source}: {what}", extra={"action": "recovery", **facts})


def preserve_failed(records: Records, source: Phantom, at: datetime) -> list[Preserved]:
    """Keep the whole row of every failed job; what was kept."""
    from watchdog.sources.sqlite_file import read

    def query(connection: object) -> list[dict[str, object]]:
        cursor = connection.execute("SELECT * FROM scheduled_jobs WHERE status = 'failed'")  # type: ignore[attr-defined]
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    kept = [_kept(source.name, row, at) for row in read(source.database, query)[0] if row.get("id") is not None]
    for one in kept:
        records.preserve(one)
    return kept


def _kept(source: str, row: Mapping[str, object], at: datetime) -> Preserved:
    from watchdog.sources.phantom_rows import RowReader

    reader = RowReader(row)
    return Preserved(source, str(row["id"]), reader.text("name") or "", row, at, reader.sweep_at())


def _facts(action: Action) -> dict[str, str]:
    return {
        "WATCHDOG_SOURCE": action.source,
        "WATCHDOG_JOB_ID": action.job_id or "",
        "WATCHDOG_JOB": action.job or "",
        "WATCHDOG_REASON": action.why,
        "WATCHDOG_ACTION": str(action.id),
    }


def _asked(order: Mapping[str, object], deadline: timedelta) -> str:
    """Ask an address; why it did not answer well, or nothing."""
    try:
        said = run_child(order, deadline)
    except OSError as error:  # no process can be started now
        return str(error)
    return "" if said["ok"] else str(said["error"] or "no reason given")


def _run(arguments: tuple[str, ...], facts: Mapping[str, str], deadline: timedelta) -> str:
    """Run a command to its end; why it did not work, or nothing. All of its processes end at the deadline."""
    with tempfile.TemporaryFile() as said:  # not a pipe: what the command leaves running may hold that open
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own argument list; facts only in its environment
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=os.environ | facts,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            return f"{arguments[0]}: {error}"
        try:
            code = process.wait(deadline.total_seconds())
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"{arguments[0]} took longer than {deadline.total_seconds():.0f} s and was ended"
        return "" if code == 0 else f"{Path(arguments[0]).name} ended with {code}: {_last_line(said)}"


def _last_line(said: IO[bytes]) -> str:
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - _MOST_SAID))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else "no reason given"
