"""The ways to bring a failed Phantom job back (docs/phantom.md): API, SQL and the API, SQL alone, a restart.

And to pause one: API, SQL.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from watchdog.cadence.schedule import next_fire
from watchdog.config.policies import Policy
from watchdog.core import faults
from watchdog.core.action import Action, State, spoken_ways
from watchdog.core.instants import from_ms, say, to_ms
from watchdog.core.model import At, Every, Unreadable
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.phantom import writing
from watchdog.systems.phantom.api import ApiError, PhantomApi
from watchdog.systems.phantom.rows import read_schedule
from watchdog.systems.phantom.section import Phantom
from watchdog.systems.phantom.writing import Row
from watchdog.systems.shared.acting import CannotWriteError, ChangedError, NoRestartLeftError, Restarts
from watchdog.systems.shared.progress import REASON, Progress
from watchdog.systems.shared.sqlite_file import read
from watchdog.systems.shared.unreadable import UnreadableError

API_DEADLINE = timedelta(seconds=20)
"""When a call of the agent's API is cut off."""

LINGERS = API_DEADLINE + timedelta(seconds=5)
"""So long after a watchdog has ended the API may still do what that asked: it is asked by a process of its own."""

LATEST_TIMER = timedelta(hours=1)
"""An armed timer looks again after an hour at most; with none armed it never does (docs/phantom.md, the timer)."""

ASKING = ("api", "pause_resume")
"""The ways through the API. If such an action were taken up at once, it might be refused as somebody else's doing."""


PAUSING = ("api", "sql")
"""The ways to pause a job. By SQL too it is heard at once: each pass reads its rows anew."""


_ONLY_BY_A_RESTART = "the scheduler notices that once it is restarted: it plans nothing else"


def _heard(fire: datetime, latest: datetime) -> str:
    """When a row is run that was changed, which the scheduler notices at the next time for which its timer is set."""
    if fire >= latest:
        return "the scheduler's timer fires before, so it runs then"
    return f"it runs then, or later where the scheduler's timer fires only later, by {say(latest)} at the latest"


class WayFailedError(Exception):
    """One way of reviving did not work; the next may. The text says why, in one line."""


class LeftPausedError(Exception):
    """The job was paused on the way, and could not be put back: no other way may be tried, and a person is needed."""


class PhantomWays:
    """Revives and pauses jobs, and moves sweeps off, in one Phantom's file and through its API."""

    def __init__(self, progress: Progress, source: Phantom, restarts: Restarts) -> None:
        self._on = progress
        self._source = source
        self._restarts = restarts
        self._known_api: PhantomApi | None = None

    def carry_out(self, action: Action, policy: Policy) -> None:
        """Revive the job, move its sweep off, or pause it."""
        if action.kind == "preserve":
            self._postpone(action)
        elif self._source.api is None and (action.kind == "pause" or policy.via is None):
            # nobody has asked for the API: that there is none is no fault to be told of
            self._by_ways(replace(action, ways=tuple(way for way in action.ways if way not in ASKING)), policy)
        else:
            self._by_ways(action, policy)

    def _by_ways(self, action: Action, policy: Policy) -> None:
        """Try the ways that are left, in order, until one has worked."""
        while action.ways:
            way, rest = action.ways[0], action.ways[1:]
            # not saved before it is begun: after a crash until then it must be tried yet
            action = action.stepped(self._on.now().at, f"trying it {spoken_ways([way])}", ways=rest, way=way)
            try:
                if self._try(action, way, policy):
                    return
            except ChangedError as error:
                self._on.settle(action, State.REFUSED, str(error))
                return
            except LeftPausedError as error:
                self._on.settle(action, State.FAILED, fit_to_leave(str(error), REASON))
                return
            except (WayFailedError, NoRestartLeftError, ApiError, CannotWriteError, UnreadableError) as error:
                reason = fit_to_leave(str(error), REASON)
                # no longer this way: a restart that was not allowed is none
                action = self._on.save(
                    action.stepped(self._on.now().at, f"{spoken_ways([way])} it did not work: {reason}", way="")
                )
        self._on.settle(action, State.FAILED, "nothing that may be tried has worked")

    def _try(self, action: Action, way: str, policy: Policy) -> bool:
        if way == "restart":
            self._restarts.must_have_left(action, policy)
        row = self._as_seen(action)
        if action.kind == "pause":
            self._pause(self._on.begin(action), way)
            return True
        self._must_not_be_over(row)
        if way == "restart":
            self._restarts.restart(action, policy)
            return True
        action = self._on.begin(action)
        if way == "api":
            self._forced(action)
        elif way == "pause_resume":
            self._pause_and_resume(action, row)
        else:
            self._by_sql(action, row)
        return True

    def _as_seen(self, action: Action) -> Row:
        row = writing.look(self._source.database, action.job_id or "")
        if row is None:
            raise ChangedError("the row is gone, so nothing was done")
        if not writing.is_as_seen(row, action.seen):
            raise ChangedError("the row is no longer as it was seen, so nothing was done")
        return row

    def _must_not_be_over(self, row: Row) -> None:
        """Between the intent and now, an approval for example, a one-shot's time may have passed."""
        if row.get("enabled", 1) == 0:
            raise ChangedError("it is switched off and would not run, so nothing was done")
        schedule = read_schedule(row.get("schedule_kind"), row.get("schedule_value"), self._source.timezone)
        if isinstance(schedule, At) and schedule.at <= self._on.now().at:
            raise ChangedError(f"it was to run once at {say(schedule.at)}; that is over, so nothing was done")

    def _forced(self, action: Action) -> None:
        try:
            status = self._api().resume(action.job_id or "", force=True)
        except ApiError as error:
            if self._took_effect(action, str(error)):
                return
            raise
        faults.point("revived")
        if status != "active":
            raise WayFailedError(f"the API answered, and left the job {status}: this build cannot revive")
        self._on.acted(action, "the API resumed it, and says that it is active", timedelta())

    def _took_effect(self, action: Action, why: str) -> bool:
        """An answer that never came or cannot be read tells nothing; the row does."""
        try:
            row = writing.look(self._source.database, action.job_id or "")
        except UnreadableError:
            return False
        if row is None or row.get("status") != "active" or action.seen.get("status") == "active":
            return False
        self._on.acted(action, f"{fit_to_leave(why, REASON)}; but its row is active now", timedelta())
        return True

    def _pause_and_resume(self, action: Action, row: Row) -> None:
        api = self._api()
        paused_at = action.spent.at
        if row.get("status") == "active":  # set so before, and not heard
            paused_at = self._pause_by_api(action, api)
        else:
            writing.set_paused(self._source.database, action.job_id or "", writing.fingerprint(row), paused_at)
        faults.point("paused")
        self._resume(action, api, paused_at)

    def _pause_by_api(self, action: Action, api: PhantomApi) -> datetime:
        """Pause an active job; when that was, by the scheduler's clock."""
        why = "the API paused it, and its row says otherwise"
        try:
            api.pause(action.job_id or "")
        except ApiError as error:
            why = str(error)  # it may be paused all the same
        try:
            row = writing.look(self._source.database, action.job_id or "") or {}
            if row.get("status") != "paused":
                raise WayFailedError(why)
            return _paused_at(row)
        except (ValueError, UnreadableError):
            raise LeftPausedError("the API paused it, and its row does not say when: resume it by hand") from None

    def _resume_paused(self, action: Action, row: Row) -> None:
        """Go on where a crash left it between the two halves of this way."""
        try:
            self._resume(action, self._api(), _paused_at(row))
        except LeftPausedError as error:
            self._on.settle(action, State.FAILED, fit_to_leave(str(error), REASON))
        except (WayFailedError, ApiError, ValueError) as error:
            self._on.save(
                action.stepped(
                    self._on.now().at,
                    f"it had been paused: {fit_to_leave(str(error), REASON)}",
                    state=State.INTENDED,
                )
            )

    def _resume(self, action: Action, api: PhantomApi, paused_at: datetime) -> None:
        try:
            status = api.resume(action.job_id or "", force=False)
            faults.point("revived")
            if status == "active":
                self._on.acted(
                    action, "paused by SQL and resumed by the API, which says that it is active", timedelta()
                )
                return
            why = f"the API answered, and left the job {status}"
        except ApiError as error:
            why = str(error)
            if self._took_effect(action, why):
                return
        self._unpause(action, paused_at)
        raise WayFailedError(why)

    def _unpause(self, action: Action, paused_at: datetime) -> None:
        """A job that stays paused is found by nobody: back to what it was."""
        try:
            writing.set_failed_again(self._source.database, action.job_id or "", paused_at, action.seen)
        except (ChangedError, CannotWriteError) as error:
            what = f"it was paused, not resumed, and could not be put back ({error})"
            raise LeftPausedError(f"{what}: look at it, and resume it by hand if it is still paused") from None

    def _by_sql(self, action: Action, row: Row) -> None:
        if row.get("status") == "active":
            raise WayFailedError("it is active already, and was not heard")
        now = self._on.now().at
        fire = self._next_fire(row, now)
        timer_may_be_armed = self._has_other_planned_row(action.job_id or "")
        writing.set_active(self._source.database, action.job_id or "", writing.fingerprint(row), fire, now)
        faults.point("revived")
        wait = LATEST_TIMER if timer_may_be_armed else timedelta()
        heard = _heard(fire, now + wait) if timer_may_be_armed else _ONLY_BY_A_RESTART
        self._on.acted(action, f"set active by SQL, due at {say(fire)}; {heard}", max(wait, fire - now))

    def _next_fire(self, row: Row, now: datetime) -> datetime:
        schedule = read_schedule(row.get("schedule_kind"), row.get("schedule_value"), self._source.timezone)
        fire = None if isinstance(schedule, Unreadable) else next_fire(schedule, now)
        if fire is None:
            what = "its time has passed" if isinstance(schedule, At) else "its schedule gives no next run"
            raise WayFailedError(f"{what}, so there is nothing to set")
        return from_ms(to_ms(fire)) if isinstance(schedule, Every) else fire

    def _has_other_planned_row(self, job_id: str) -> bool:
        """Whether a timer can be armed at all: with no planned row none is."""
        query = (
            "SELECT 1 FROM scheduled_jobs WHERE enabled = 1 AND status = 'active' AND next_run_at IS NOT NULL "
            "AND id <> ? LIMIT 1"
        )
        return bool(read(self._source.database, lambda connection: connection.execute(query, (job_id,)).fetchall())[0])

    def _api(self) -> PhantomApi:
        if self._source.api is None:
            raise WayFailedError("no `api` is configured for this source")
        if self._known_api is None:
            self._known_api = PhantomApi(self._source.api, API_DEADLINE)
        return self._known_api

    # pause

    def _pause(self, action: Action, way: str) -> None:
        job_id = action.job_id or ""
        if way == "sql":
            writing.pause(self._source.database, job_id, action.seen, action.spent.at)
            faults.point("paused")
            self._on.acted(action, "paused by SQL", timedelta())
            return
        try:
            status = self._api().pause(job_id)
        except ApiError as error:
            if not self._is_paused(job_id):
                raise
            self._on.acted(action, f"{fit_to_leave(str(error), REASON)}; but its row is paused now", timedelta())
            return
        faults.point("paused")
        if status != "paused":
            raise WayFailedError(f"the API answered, and left the job {status}")
        self._on.acted(action, "the API paused it, and says so", timedelta())

    def _is_paused(self, job_id: str) -> bool:
        """An answer that never came or cannot be read tells nothing; the row does."""
        try:
            row = writing.look(self._source.database, job_id)
        except UnreadableError:
            return False
        return row is not None and row.get("status") == "paused"

    # preserve

    def _postpone(self, action: Action) -> None:
        """Have the row count as changed now, so that the sweep takes it thirty days later."""
        try:
            row = self._as_seen(action)
            action = self._on.begin(action)
            writing.postpone_sweep(
                self._source.database, action.job_id or "", writing.fingerprint(row), action.spent.at
            )
            self._on.settle(action, State.VERIFIED, "its sweep was moved off by thirty days")
        except ChangedError as error:
            self._on.settle(action, State.REFUSED, str(error))
        except (CannotWriteError, UnreadableError) as error:
            self._on.settle(action, State.FAILED, str(error))

    def _take_up_postponed(self, action: Action, row: Row) -> None:
        if writing.is_as_seen(row, {**action.seen, "updated_at": writing.sql_time(action.spent.at)}):
            self._on.settle(action, State.VERIFIED, "its sweep had been moved off by thirty days")
        else:
            self._on.settle(action, State.UNKNOWN, "the watchdog ended in the middle of it; the row has changed since")

    # after a crash

    def take_up(self, action: Action) -> None:
        """The watchdog died in the middle of it. It is done again only if it is known not to have happened."""
        now = self._on.now()
        try:
            row = writing.look(self._source.database, action.job_id or "")
        except UnreadableError as error:
            self._on.settle(action, State.UNKNOWN, f"the watchdog ended in the middle of it, and now {error}")
            return
        if row is not None and action.way != "restart" and writing.is_as_seen(row, action.seen):
            again = action.stepped(now.at, "the row is as it was: nothing had been done", state=State.INTENDED)
            self._on.save(replace(again, ways=(again.way, *again.ways) if again.way else again.ways))
        elif action.kind == "preserve":
            self._take_up_postponed(action, row or {})
        elif row is not None and action.way == "pause_resume" and _is_our_pause(row, action):
            self._resume_paused(action, row)
        else:
            wait = timedelta() if action.kind == "pause" else None
            self._on.acted(action, "the watchdog ended in the middle of it; the row has changed since", wait)


def _is_our_pause(row: Row, action: Action) -> bool:
    """Whether the row is paused as the way through a pause leaves it, and not by a person since."""
    ours = {"status": "paused", "updated_at": writing.sql_time(action.spent.at)}
    is_by_api = action.seen.get("status") == "active"  # its time is the scheduler's
    return writing.is_as_seen(row, {**action.seen, **({"status": "paused"} if is_by_api else ours)})


def _paused_at(row: Row) -> datetime:
    """When the row was paused, as it says itself. Raises ValueError."""
    return datetime.fromisoformat(f"{row.get('updated_at')}+00:00")
