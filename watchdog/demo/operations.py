"""What people and programs can ask of the running scheduler, each answered as its web API would answer."""

from collections.abc import Callable
from dataclasses import dataclass, field

from watchdog.core.instants import from_ms, iso
from watchdog.demo.process import Process
from watchdog.demo.rows import AuditEntry, Job, NewJob
from watchdog.demo.schedules import ScheduleError, ScheduleSpec, decode, encode
from watchdog.demo.stamps import read_stamp

MAX_JOBS = 1_000


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP status, a JSON body, and the headers that go with them."""

    status: int
    body: dict[str, object] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Call:
    """A request that is answered when the run that it started is over.

    `answer` is None until then, and stays None if the process is killed first: then the connection was lost.
    """

    answer: Answer | None = None


class Operations(Process):
    """The process with its web API. `stock` tells the released build from one that can revive a failed job."""

    stock = True

    def add(
        self,
        name: str,
        schedule: ScheduleSpec,
        *,
        enabled: bool = True,
        delivery_channel: str = "slack",
        delivery_target: str = "owner",
        delete_after_run: bool = False,
        created_by: str = "agent",
        task: str = "a task",
    ) -> str:
        """A new job; returns its id. See `schedules.encode` for `schedule`.

        Its next fire is computed from now (none for a one-shot whose time has passed) and the timer is armed. A job
        that the agent made itself leaves no audit row, as in the recordings; one made by anybody else does.
        Raises ScheduleError for a schedule that cannot be read, ValueError for a name in use or too many jobs.
        """
        self._must_be_alive()
        self._must_be_free(name)
        kind, value = encode(schedule)
        next_ms = decode(kind, value, self._host_zone).next_fire(self._now)
        told = (enabled, task, delivery_channel, delivery_target, delete_after_run, created_by)
        job_id = self._rows.insert(NewJob(name, kind, value, next_ms, *told), self._now)
        if created_by != "agent":
            self._rows.audit(AuditEntry(job_id, name, "create", None, "active", created_by), self._now)
        self._wake()
        return job_id

    def pause(self, job_id: str) -> Answer:
        """An active job is paused and keeps its next fire; any other is left, and the answer is 200 all the same.

        A failed one that was asked for leaves an audit row that says so.
        """
        return self._change(job_id, self._pause)

    def resume(self, job_id: str, force: bool = False) -> Answer:
        """A paused job becomes active, with a next fire from now (none for a one-shot whose time has passed).

        A `failed` one does too in a build that can (`stock` is False) and with `force`; that build answers 409 without.
        A stock build answers 200 and leaves it `failed`, which is audited. A `completed` one is never revived.
        """
        return self._change(job_id, lambda job: self._resume(job, force))

    def delete(self, job_id: str) -> Answer:
        """The row is deleted."""
        return self._change(job_id, self._delete)

    def run_now(self, job_id: str) -> Call:
        """Runs the job inside the request: the call is answered when the run is recorded.

        Answered at once with 404, or with 409 while the slot is held or the row is not active. A job whose busy
        flag leaked is skipped silently: 200, and nothing ran (the facts do not tell; it is the harder case to notice).
        The audit row is written when the run is over.
        """
        self._must_be_alive()
        job = self._rows.job(job_id)
        if job is None:
            return Call(Answer(404, {"error": "Job not found"}))
        if self.slot_held or job.status != "active":
            why = "a run is in flight" if self.slot_held else f"the job is {job.status}"
            return Call(Answer(409, {"error": f"cannot run now: {why}"}))
        return self._run_in_request(job)

    def enable(self, job_id: str) -> Answer:
        """Switched on; the next fire is as it was."""
        return self._change(job_id, lambda job: self._switch(job, True))

    def disable(self, job_id: str) -> Answer:
        """Switched off; the next fire is left."""
        return self._change(job_id, lambda job: self._switch(job, False))

    def health(self) -> Answer:
        """`GET /health`. `recentFailures` counts the jobs whose last run was an error: the facts name it only."""
        self._must_be_alive()
        counts = self._rows.counts()
        earliest = self._rows.earliest()
        fire = None if earliest is None else read_stamp(earliest, self._host_zone)
        scheduler: dict[str, object] = {"total": sum(counts.values())}
        scheduler |= {status: counts.get(status, 0) for status in ("active", "paused", "completed", "failed")}
        scheduler |= {"nextFireAt": None if fire is None else iso(from_ms(fire))}
        scheduler |= {"recentFailures": self._rows.last_runs_in_error()}
        uptime = (self._now - self._started_ms) // 1000
        return Answer(200, {"status": "ok", "uptime": uptime, "scheduler": scheduler})

    # how

    def _must_be_alive(self) -> None:
        if not self._alive:
            raise ConnectionRefusedError("the simulated scheduler is not running; call start() first")
        if self.frozen:
            raise TimeoutError("the simulated scheduler is frozen; call thaw() first")

    def _must_be_free(self, name: str) -> None:
        names = self._rows.names()
        if name.lower() in names:
            raise ValueError(f"job {name!r}: the name is in use; choose another")
        if len(names) >= MAX_JOBS:
            raise ValueError(f"job {name!r}: there are {MAX_JOBS} jobs already; delete one first")

    def _change(self, job_id: str, change: Callable[[Job], Answer | None]) -> Answer:
        """Does one operation to a row, arms the timer, and answers with the row as it then is."""
        self._must_be_alive()
        job = self._rows.job(job_id)
        if job is None:
            return Answer(404, {"error": "Job not found"})
        refused = change(job)
        if refused is not None:
            return refused
        self._wake()
        return Answer(200, {"job": self._rows.shown(job_id)})

    def _audit(self, job: Job, action: str, new_status: str | None, detail: str | None = None) -> None:
        entry = AuditEntry(job.id, job.name, action, job.status, new_status, "user", detail)
        self._rows.audit(entry, self._now)

    def _pause(self, job: Job) -> None:
        if job.status == "active":
            self._rows.set_status(job.id, "paused", self._now)
            self._audit(job, "pause", "paused")
        elif job.status == "failed":
            self._audit(job, "pause", "failed")

    def _resume(self, job: Job, force: bool) -> Answer | None:
        if job.status == "failed" and not self.stock and not force:
            return Answer(409, {"error": "the job has failed; resume it with force"})
        if job.status == "paused" or (job.status == "failed" and not self.stock):
            self._rows.revive(job.id, self._next_fire(job), self._now)
            self._audit(job, "resume", "active", "force" if job.status == "failed" else None)
        elif job.status == "failed":
            self._audit(job, "resume", "failed")
        return None

    def _next_fire(self, job: Job) -> int | None:
        try:
            return decode(job.kind, job.value, self._host_zone).next_fire(self._now)
        except ScheduleError:
            return None

    def _delete(self, job: Job) -> None:
        self._rows.delete(job.id)
        self._audit(job, "delete", None)

    def _switch(self, job: Job, enabled: bool) -> None:
        self._rows.set_enabled(job.id, enabled, self._now)

    def _run_in_request(self, job: Job) -> Call:
        call = Call()
        self._executing = True
        if not self._begin(job, lambda: self._answer_run(job, call)):
            self._answer_run(job, call)
        return call

    def _answer_run(self, job: Job, call: Call) -> None:
        self._executing = False
        now = self._rows.job(job.id)
        self._audit(job, "run", now.status if now else None)
        self._wake()
        call.answer = Answer(200, {"job": self._rows.shown(job.id)})
