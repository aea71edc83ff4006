"""The hand: does what was decided, one step after another, each written down before and after.

It runs in a thread of its own: a call to the agent, or a command, may take up to its deadline.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
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
from watchdog.recovery.phantom_api import ApiError, PhantomApi
from watchdog.recovery.records import Preserved, Records
from watchdog.redaction import fit_to_leave
from watchdog.schedule import next_fire
from watchdog.sources.phantom_rows import read_schedule
from watchdog.sources.sqlite_file import UnreadableError

LATEST_TIMER = timedelta(hours=1)
"""An armed timer looks again after an hour at most; with none armed it never does (docs/phantom.md, the timer)."""

GRACE = timedelta(minutes=5)
"""How much later than it should a run may begin."""

PROBE_DEADLINE = timedelta(seconds=10)

_REASON = 300


class WayFailedError(Exception):
    """One way of reviving did not work; the next may. The text says why, in one line."""


Clock = Callable[[], Stamp]


class Hand:
    """Carries actions out on the sources of one configuration."""

    def __init__(self, config: Config, records: Records, clock: Clock) -> None:
        self._records = records
        self._clock = clock
        self._has_recovered = False
        self.use(config)

    def use(self, config: Config) -> None:
        """From now on this configuration holds."""
        self._sources: dict[str, Phantom] = {source.name: source for source in config.sources}
        self._policies = {
            policy.name or f"policies[{index}]": policy for index, policy in enumerate(config.recovery.policies)
        }
        self._apis: dict[str, PhantomApi] = {}

    def turn(self) -> bool:
        """Do what is intended; whether anything was done. After a restart first make sure of what was begun."""
        if not self._has_recovered:
            self._has_recovered = True
            for action in self._records.under_way():
                if action.state is State.BEGUN:
                    self._take_up(action)
        todo = [action for action in self._records.under_way() if action.state is State.INTENDED]
        for action in todo:
            self.carry_out(action)
        return bool(todo)

    # one action

    def carry_out(self, action: Action) -> None:
        """Do one action, to its end or until only the proof is missing."""
        source, policy = self._sources.get(action.source), self._policy(action)
        if source is None or policy is None:
            self._settle(action, State.FAILED, "its source or policy is not in the configuration any more")
            return
        probe = policy.check.http
        if probe and not run_child({"do": "get", "url": probe}, PROBE_DEADLINE)["ok"]:
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
        now = self._clock()
        source = self._sources.get(action.source)
        if action.way == "restart" and source is not None:
            self._acted(action, "the watchdog ended in the middle of a restart; it is not done twice", None)
            return
        if action.kind != "revive" or source is None or action.job_id is None:
            self._settle(action, State.UNKNOWN, "the watchdog ended in the middle of it; it is not done twice")
            return
        try:
            row = rows.look(source.database, action.job_id)
        except UnreadableError as error:
            self._settle(action, State.UNKNOWN, f"the watchdog ended in the middle of it, and now {error}")
            return
        if row is not None and action.way != "restart" and rows.is_as_seen(row, action.seen):
            again = action.stepped(now.at, "the row is as it was: nothing had been done", state=State.INTENDED)
            self._save(replace(again, ways=(again.way, *again.ways)))
        elif row is not None and row.get("status") == "paused" and action.way == "pause_resume":
            self._resume_paused(action, source, row)
        else:
            self._acted(action, "the watchdog ended in the middle of it; the row has changed since", None)

    # revive

    def _revive(self, action: Action, source: Phantom, policy: Policy) -> None:
        """Try the ways that are left, in order, until one has worked."""
        while action.ways:
            way, rest = action.ways[0], action.ways[1:]
            action = self._save(action.stepped(self._clock().at, f"trying {way}", ways=rest, way=way))
            try:
                if self._try(action, way, source, policy):
                    return
            except rows.ChangedError as error:
                self._settle(action, State.REFUSED, str(error))
                return
            except (WayFailedError, ApiError, rows.CannotWriteError, UnreadableError) as error:
                reason = fit_to_leave(str(error), _REASON)
                action = self._save(action.stepped(self._clock().at, f"{way} did not work: {reason}"))
        self._settle(action, State.FAILED, "no way that is allowed worked")

    def _try(self, action: Action, way: str, source: Phantom, policy: Policy) -> bool:
        if way == "restart":
            self._restart(action, source, policy)
            return True
        row = self._as_seen(action, source)
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

    def _forced(self, action: Action, source: Phantom) -> None:
        status = self._api(source).resume(action.job_id or "", force=True)
        faults.point("revived")
        if status != "active":
            raise WayFailedError(f"the API answered, and left the job {status}: this build cannot revive")
        self._acted(action, "the API resumed it, and says that it is active", timedelta())

    def _pause_and_resume(self, action: Action, source: Phantom, row: rows.Row) -> None:
        api = self._api(source)
        now = self._clock()
        if row.get("status") == "active":  # set so before, and not heard
            api.pause(action.job_id or "")
        else:
            rows.set_paused(source.database, action.job_id or "", rows.fingerprint(row), now.at)
        faults.point("paused")
        self._resume(action, source, api, now.at)

    def _resume_paused(self, action: Action, source: Phantom, row: rows.Row) -> None:
        """Go on where a crash left it between the two halves of this way."""
        try:
            paused_at = str(row.get("updated_at"))
            self._resume(action, source, self._api(source), datetime.fromisoformat(f"{paused_at}+00:00"))
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
        self._unpause(action, source, paused_at)
        raise WayFailedError(why)

    def _unpause(self, action: Action, source: Phantom, paused_at: datetime) -> None:
        """A job that stays paused is found by nobody: back to `failed`."""
        try:
            rows.set_failed_again(source.database, action.job_id or "", paused_at, action.seen)
        except (rows.ChangedError, rows.CannotWriteError) as error:
            raise WayFailedError(f"and it could not be put back to failed: {error}") from None

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
        return self._apis.setdefault(source.name, PhantomApi(source.api, timedelta(seconds=20)))

    # restart

    def _restart(self, action: Action, source: Phantom, policy: Policy) -> None:
        """By a command without a shell, or by a call. The job's facts are in environment variables, as data."""
        self._warn(action, source)
        action = self._begin(replace(action, way="restart"))
        if policy.run:
            error = _run(policy.run, _facts(action), policy.deadline)
        elif policy.call:
            order = {"do": "get", "url": policy.call.url, "method": policy.call.method}
            said = run_child(order, policy.deadline)
            error = "" if said["ok"] else str(said["error"])
        else:
            error = "no `run` and no `call` is configured"
        faults.point("restarted")
        if error:
            self._settle(action, State.FAILED, f"the restart did not work: {fit_to_leave(error, _REASON)}")
        else:
            self._acted(action, "the agent was restarted", timedelta(minutes=15))

    def _warn(self, action: Action, source: Phantom) -> None:
        """What a restart destroys is kept before, and told."""
        for kept in preserve_failed(self._records, source, self._clock().at):
            if kept.sweep_at and kept.sweep_at <= self._clock().at:
                log.warning(
                    f"a restart sweeps {kept.name}; its definition is kept: scheduler-watchdog restore {kept.job_id}",
                    extra={"action": "sweep_ahead", "source": source.name, "job_id": kept.job_id},
                )

    # preserve

    def _postpone(self, action: Action, source: Phantom) -> None:
        """Have the row count as changed now, so that the sweep takes it thirty days later."""
        try:
            row = self._as_seen(action, source)
            action = self._begin(action)
            rows.postpone_sweep(source.database, action.job_id or "", rows.fingerprint(row), self._clock().at)
            self._settle(action, State.VERIFIED, "its sweep was moved off by thirty days")
        except rows.ChangedError as error:
            self._settle(action, State.REFUSED, str(error))
        except (rows.CannotWriteError, UnreadableError) as error:
            self._settle(action, State.FAILED, str(error))

    # on record

    def _begin(self, action: Action) -> Action:
        faults.point("before-begun")
        begun = self._save(action.stepped(self._clock().at, "begun", state=State.BEGUN))
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
        self._records.save(action)
        return action


BY_HAND = "by hand"


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


def _run(arguments: tuple[str, ...], facts: Mapping[str, str], deadline: timedelta) -> str:
    """Run a command to its end; why it did not work, or nothing. All of its processes end at the deadline."""
    try:
        process = subprocess.Popen(  # noqa: S603 - the operator's own argument list; facts only in its environment
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=os.environ | facts,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"{arguments[0]}: {error}"
    try:
        _, said = process.communicate(timeout=deadline.total_seconds())
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stderr:
            process.stderr.close()
        return f"{arguments[0]} took longer than {deadline.total_seconds():.0f} s and was ended"
    last = said.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no reason given"]
    return "" if process.returncode == 0 else f"{Path(arguments[0]).name} ended with {process.returncode}: {last[0]}"
