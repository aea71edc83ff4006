"""Bringing a Hermes job back through its own command. Only the ledger and the file of jobs are believed."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from watchdog.config.policies import Policy
from watchdog.core import faults
from watchdog.core.action import Action, State
from watchdog.core.instants import iso_or_none
from watchdog.core.model import At, Job
from watchdog.core.redaction import fit_to_leave
from watchdog.systems.hermes import cli
from watchdog.systems.hermes.ledger import Ledger, Row
from watchdog.systems.hermes.records import Clock, JobsFile, record_of
from watchdog.systems.hermes.section import Hermes
from watchdog.systems.hermes.source import HermesSource, path_of
from watchdog.systems.shared.acting import ActionKind, ChangedError
from watchdog.systems.shared.command import facts_of
from watchdog.systems.shared.fingerprint import Facts
from watchdog.systems.shared.host import Host
from watchdog.systems.shared.progress import Progress
from watchdog.systems.shared.unreadable import UnreadableError
from watchdog.systems.shared.writer import LiveWriters

ASK_AGAIN = 0.25
"""Seconds between two looks at the ledger."""

EARLIER = timedelta(seconds=2)


def seen_of(job: Job) -> Facts:
    """What of a job must still be so. Its next run is worked out, by what was seen before too: it is left out."""
    return {
        "enabled": job.enabled,
        "status": job.status,
        "in_flight_since": iso_or_none(job.in_flight_since),
        "last_run_at": iso_or_none(job.last_run.started_at if job.last_run else None),
    }


def look(section: Hermes, job_id: str, now: datetime) -> Job | None:
    """The job as it stands now. Raises UnreadableError."""
    snapshot = HermesSource(section, Host(LiveWriters())).look(now).snapshot
    if snapshot.problem is not None:
        raise UnreadableError(snapshot.problem)
    return next((job for job in snapshot.jobs if job.id == job_id), None)


class HermesWays:
    """Acts on the jobs of one home and its profiles."""

    def __init__(
        self,
        progress: Progress,
        section: Hermes,
        kinds: Mapping[str, ActionKind],
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        self._on = progress
        self._section = section
        self._kinds = kinds
        self._pause = pause

    def carry_out(self, action: Action, policy: Policy) -> None:
        """Do it, unless the job is no longer as it was seen."""
        try:
            self._must_be_as_seen(action)
        except ChangedError as error:
            self._on.settle(action, State.REFUSED, f"{error}, so nothing was done")
        except UnreadableError as error:
            self._on.settle(action, State.UNABLE, f"cannot act: {error}")
        else:
            self._go(action, policy.deadline)

    def _must_be_as_seen(self, action: Action) -> None:
        job = look(self._section, action.job_id or "", self._on.now().at)
        if job is None:
            raise ChangedError("the job is gone")
        is_as_seen = job.is_planned if action.kind == "pause" else self._is_as_seen(job, action)
        if not is_as_seen:
            raise ChangedError("the job is no longer as it was seen")
        refusal = self._kinds[action.kind].unfit(job, self._on.now().at)
        if refusal:
            raise ChangedError(refusal)

    def _is_as_seen(self, job: Job, action: Action) -> bool:
        there = seen_of(job)
        return all(there.get(name) == value for name, value in action.seen.items())

    def _go(self, action: Action, deadline: timedelta) -> None:
        profile, _, record_id = (action.job_id or "").rpartition("/")
        way = action.ways[0] if action.ways else action.kind
        action = self._on.begin(replace(action, way=way, ways=(), not_before=None))
        if action.kind == "run_due":
            self._run(action, profile, record_id, deadline)
        else:
            self._switch(action, profile, record_id, deadline)

    # switching off and on

    def _switch(self, action: Action, profile: str, record_id: str, deadline: timedelta) -> None:
        ran = cli.ask(self._section, action.kind, profile, record_id, facts_of(action), deadline)
        faults.point(f"{action.kind}-answered")
        if ran.never_began:
            self._on.settle(action, State.UNABLE, f"cannot act: {fit_to_leave(ran.problem, 200)}{_HINT}")
            return
        is_on = self._is_on(profile, record_id)
        if is_on is None:
            self._on.settle(action, State.UNKNOWN, "the job is gone, so there is nothing to switch")
        elif is_on is (action.kind == "resume"):
            self._on.acted(action, f"the file of jobs has it {'planned' if is_on else 'paused'}", timedelta())
        else:
            said = (ran.out.strip() or ran.err.strip() or "nothing").splitlines()[-1]
            self._on.settle(action, State.FAILED, f"it was not done; Hermes said: {fit_to_leave(said, 200)}")

    def _is_on(self, profile: str, record_id: str) -> bool | None:
        path = path_of(self._section, profile) / "cron/jobs.json"
        records = (record_of(job, Clock()) for job in JobsFile(path).read())
        return next((record.is_planned for record in records if record.id == record_id), None)

    # running

    def _run(self, action: Action, profile: str, record_id: str, deadline: timedelta) -> None:
        """Have it run in a process of its own. A one-shot whose only run is used up would be dropped unrun: it is given
        one more first."""
        since = self._on.now().at - EARLIER
        if self._is_used_up(profile, record_id):
            ran = cli.ask(self._section, "repeat", profile, record_id, facts_of(action), deadline)
            if ran.problem or self._is_used_up(profile, record_id):
                self._on.settle(action, State.FAILED, "it could not be given one more run, and would have been dropped")
                return
            action = self._on.save(action.stepped(self._on.now().at, "it is given one more run"))
        try:
            started = cli.start(self._section, "run_due", profile, record_id, facts_of(action))
        except OSError as error:
            self._on.settle(action, State.UNABLE, f"cannot act: {fit_to_leave(str(error), 200)}{_HINT}")
            return
        row = self._heard(started, profile, record_id, since, deadline)
        faults.point("run_due-answered")
        said = started.said if row is None else ""
        is_over = started.has_ended
        started.leave()
        if row is not None:
            self._told(action, row, profile, record_id)
        elif is_over:
            self._on.settle(action, State.REFUSED, f"no run has begun; Hermes said: {said}")
        else:
            self._on.acted(action, "the command goes on, and no run has begun yet", timedelta())

    def _heard(
        self, started: cli.Started, profile: str, record_id: str, since: datetime, deadline: timedelta
    ) -> Row | None:
        """The row of the run that was asked for, once it has ended or the deadline is reached."""
        ends = time.monotonic() + deadline.total_seconds()
        while True:
            has_ended = started.has_ended
            row = self._row(profile, record_id, since)
            if has_ended or (row is not None and not row.is_open) or time.monotonic() >= ends:
                return row
            self._pause(ASK_AGAIN)

    def _row(self, profile: str, record_id: str, since: datetime) -> Row | None:
        ledger = Ledger(path_of(self._section, profile))
        ledger.look([record_id])
        rows = ledger.rows.get(record_id, {}).values()
        asked = [row for row in rows if row.is_direct and row.claimed_at >= since]
        return max(asked, key=lambda row: row.number, default=None)

    def _told(self, action: Action, row: Row, profile: str, record_id: str) -> None:
        if row.is_open:
            self._on.acted(action, f"it runs, as {row.id} in the ledger", timedelta())
        elif self._is_on(profile, record_id) is None:
            self._on.settle(action, *self._by_ledger(row, profile, record_id))
        else:
            self._on.acted(action, f"the ledger has its run as {row.status}", timedelta())

    def _by_ledger(self, row: Row, profile: str, record_id: str) -> tuple[State, str]:
        """A one-shot that has run is taken away: only the ledger and its session tell of it."""
        if row.status != "completed":
            return State.INEFFECTIVE, f"its run ended as {row.status}, and its record is gone"
        ledger = Ledger(path_of(self._section, profile))
        ledger.look([record_id])
        sessions = ledger.sessions.get(record_id, ())
        if sessions and sessions[0].is_zero:
            return State.INEFFECTIVE, "its run was recorded as completed, and used no tokens"
        return State.VERIFIED, "its run is recorded as completed; the one-shot is done, and its record gone"

    def _is_used_up(self, profile: str, record_id: str) -> bool:
        path = path_of(self._section, profile) / "cron/jobs.json"
        records = (record_of(job, Clock()) for job in JobsFile(path).read())
        return any(
            record.id == record_id and isinstance(record.schedule, At) and record.runs_left == 0 for record in records
        )

    # after a crash

    def take_up(self, action: Action) -> None:
        """The watchdog died in the middle of it: a run is never asked for twice."""
        if action.kind != "run_due":
            try:
                job = look(self._section, action.job_id or "", self._on.now().at)
            except UnreadableError as error:
                self._on.settle(action, State.UNKNOWN, f"the watchdog ended in the middle of it, and now {error}")
                return
            if job is not None and self._is_as_seen(job, action):
                again = action.stepped(
                    self._on.now().at, "the job is as it was: nothing had been done", state=State.INTENDED, way=""
                )
                self._on.leave(replace(again, ways=self._kinds[action.kind].steps))
                return
        self._on.acted(action, "the watchdog ended in the middle of it; whether it was done will show", timedelta())


_HINT = " (`cli` of the source says how it is called)"
