"""Made-up lives of a scheduler for the property tests: jobs of every kind around a night on which clocks change.

What is done to the scheduler (`DEEDS`) leaves it well; `FAULTS` do not.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from hypothesis import strategies as st

from tests.support.harness import DAY, HOUR, MINUTE, MS, POLL, SECOND, Agent, Watch, change, row_of
from watchdog.demo.outcome import Outcome
from watchdog.demo.simulator import Simulator

MOST_WAKES = 600
"""One example goes no further than this: in a repeated hour a job may run again and again."""

CLOCK_CHANGES = {
    "America/New_York": ["2026-03-08T07:00", "2026-11-01T06:00"],
    "Europe/London": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "Australia/Lord_Howe": ["2026-04-04T15:00", "2026-10-03T15:30"],
    "America/Sao_Paulo": ["2018-11-04T03:00", "2019-02-17T02:00"],
    "Asia/Kolkata": ["2026-06-10T18:30", "2024-02-29T00:00"],
}
NIGHTS = [(zone, datetime.fromisoformat(text + "+00:00")) for zone, texts in CLOCK_CHANGES.items() for text in texts]
ZONES = st.sampled_from([*CLOCK_CHANGES, "UTC"])


@dataclass(frozen=True)
class Pace:
    """A kind of life: how long is watched, how often the jobs run, how long a run may take at most."""

    before: timedelta
    length: timedelta
    intervals: tuple[timedelta, ...]
    crons: tuple[str, ...]
    longest: timedelta


BRISK = Pace(
    2 * HOUR,
    7 * HOUR,
    (10 * MINUTE, 17 * MINUTE, 45 * MINUTE, 61.5 * MINUTE, 2 * HOUR),
    (
        *("*/10 * * * *", "*/15 * * * *", "7-59/20 * * * *", "0 * * * *", "30 * * * *", "*/30 0-3 * * *"),
        *("30 2 * * *", "0 2 * * *", "30 1 * * *", "0 0 * * *", "45 23 * * *", "15,45 1,2 * * *"),
        "0 */2 * * MON-FRI,SUN",
    ),
    MINUTE,
)
SLOW = Pace(
    9 * DAY,
    18 * DAY,
    (5 * HOUR, DAY, 7 * DAY),
    (
        *("0 */6 * * *", "30 2 * * *", "0 0 * * *", "30 1 * * SUN", "0 9 * * MON-FRI", "0 0 1 * *"),
        *("0 0 29 2 *", "0 3 L * *", "0 4 * * SUN#1", "15 2,14 * * *"),
    ),
    MINUTE,
)
HASTY = Pace(
    20 * MINUTE,
    HOUR,
    (MINUTE, 90 * SECOND, 5 * MINUTE),
    ("* * * * *", "*/2 * * * *", "*/5 * * * *", "0,30 * * * *", "55-59 * * * *"),
    8 * SECOND,
)

Spec = tuple[object, ...]


@dataclass(frozen=True)
class Deed:
    """Something that is done to the scheduler: `wait` after the deed before it, to the job of that number."""

    what: str
    wait: timedelta
    number: int


@dataclass(frozen=True)
class Life:
    """One healthy scheduler."""

    night: tuple[str, datetime]
    pace: Pace
    offset: timedelta
    phase: timedelta
    poll: timedelta
    jobs: tuple[tuple[Spec, Outcome], ...]
    deeds: tuple[Deed, ...]


DEEDS = ("pause", "resume", "disable", "enable", "run", "chat", "restart", "delete", "add", "edit", "one-shot")
FAULTS = (
    "hang",
    "fail",
    "workless",
    "lost",
    "undelivered",
    "leak",
    "leak-slot",
    "drop-timer",
    "kill",
    "start",
    "break",
)


def outcomes(longest: timedelta) -> st.SearchStrategy[Outcome]:
    lengths = st.sampled_from([SECOND, 1.2 * SECOND, 2.999 * SECOND, 3 * SECOND, 4.5 * SECOND, longest / 2, longest])
    return st.builds(
        Outcome,
        duration=lengths,
        delivery=st.sampled_from(["delivered", "delivered", None, "skipped:channel_none"]),
        delivery_duration=st.sampled_from([timedelta(), 300 * MS, 2 * SECOND, longest / 4]),
    )


def specs(pace: Pace, night: tuple[str, datetime]) -> st.SearchStrategy[Spec]:
    zones = st.one_of(st.just(night[0]), st.just(night[0]), ZONES)
    minutes = st.integers(5, int(pace.length / MINUTE))
    return st.one_of(
        st.tuples(st.just("every"), st.sampled_from(pace.intervals)),
        st.tuples(st.just("cron"), st.sampled_from(pace.crons), zones),
        st.tuples(st.just("cron"), st.sampled_from(pace.crons), zones),
        st.tuples(st.just("at"), st.builds(lambda n: night[1] - pace.before / 2 + n * MINUTE, minutes)),
    )


@st.composite
def lives(
    draw: st.DrawFn, paces: Sequence[Pace] = (BRISK, BRISK, SLOW, HASTY), deeds_of: Sequence[str] = DEEDS
) -> Life:
    night, pace = draw(st.sampled_from(NIGHTS)), draw(st.sampled_from(paces))
    jobs = draw(st.lists(st.tuples(specs(pace, night), outcomes(pace.longest)), min_size=1, max_size=5))
    waits = st.floats(0.02, 0.4).map(lambda share: share * pace.length)
    deeds = draw(st.lists(st.builds(Deed, st.sampled_from(deeds_of), waits, st.integers(0, 4)), max_size=8))
    return Life(
        night,
        pace,
        draw(st.sampled_from([-1.0, -0.3, 0.0])) * pace.before / 2,
        draw(st.integers(0, 1999)) * MS,
        draw(st.sampled_from([POLL, POLL, MS])),
        tuple(jobs),
        tuple(deeds),
    )


FAILS = Outcome(ok=False, duration=8 * SECOND, input_tokens=500, error="Error: 529 overloaded_error")
BAD = {
    "hang": [Outcome.hanging()],
    "fail": [FAILS] * 12,
    "workless": [Outcome.workless()] * 5,
    "lost": [Outcome(delivery_hangs=True)],
    "undelivered": [Outcome(delivery="dropped:channel_not_found")] * 2,
}


class Keeper:
    """Leads one life: does the deeds, and leaves out those that would do harm."""

    def __init__(self, life: Life, path: Path) -> None:
        self.life = life
        self.agent = Agent()
        self.path = path
        start = life.night[1] - life.pace.before + life.offset
        self.sim = Simulator(path, start, behaviour=self.agent, host_zone=life.night[0])
        self.ids: list[tuple[str, str, Spec]] = []
        self.by_hand: set[str] = set()
        for spec, outcome in life.jobs:
            self._add(spec, outcome)

    def _add(self, spec: Spec, outcome: Outcome) -> None:
        if spec[0] == "at" and isinstance(spec[1], datetime) and spec[1] <= self.sim.now:
            return
        name = f"job-{len(self.ids)}"
        self.agent.usual[name] = outcome
        job_id = self.sim.add(name, spec, delete_after_run=len(self.ids) % 2 == 0)
        self.ids.append((name, job_id, spec))

    def do(self, deed: Deed) -> None:
        """One deed, where it leaves the scheduler well; or one fault."""
        with suppress(ConnectionRefusedError):  # the process is down
            self._do(deed)

    def _do(self, deed: Deed) -> None:
        if deed.what == "start":
            self.sim.start()
        elif deed.what in FAULTS:
            self._harm(deed.what, deed.number)
        elif deed.what == "chat":
            self.sim.chat("channel")
        elif deed.what == "add":
            self._add(("every", self.life.pace.intervals[-1]), Outcome(duration=SECOND))
        elif deed.what == "one-shot":
            self._add(("at", self.sim.now + 10 * MINUTE), Outcome(duration=4 * SECOND))
        elif deed.what == "restart":
            self._restart(deed)
        elif self.ids:
            self._do_to_a_job(deed.what, *self.ids[deed.number % len(self.ids)])

    def _do_to_a_job(self, what: str, name: str, job_id: str, spec: Spec) -> None:
        is_past_one_shot = spec[0] == "at" and isinstance(spec[1], datetime) and spec[1] <= self.sim.now
        if what == "resume" and is_past_one_shot:
            return  # stranded
        if what == "run":
            before = len(self.agent.runs)
            self.sim.run_now(job_id)
            self.by_hand |= {f"{name} {run.started_at}" for run in self.agent.runs[before:]}
        elif what == "edit":
            self._edit(job_id)
        else:
            deeds: dict[str, Callable[[str], object]] = {
                "pause": self.sim.pause,
                "resume": self.sim.resume,
                "disable": self.sim.disable,
                "enable": self.sim.enable,
                "delete": self.sim.delete,
            }
            deeds[what](job_id)

    def _edit(self, job_id: str) -> None:
        """Another schedule; the next run stays where it was, which may be long past if the job was disabled.

        A plan of more than a week would leave the job silent for longer than its new schedule explains: stranded.
        """
        planned = row_of(self.path, job_id).get("next_run_at")
        if planned and datetime.fromisoformat(str(planned)) > self.sim.now + 8 * DAY:
            return
        longest = int(self.life.pace.intervals[-1] / MS)
        change(
            self.path,
            "UPDATE scheduled_jobs SET schedule_kind = 'every', schedule_value = ? WHERE id = ? AND status = 'active' "
            "AND schedule_kind <> 'at'",
            f'{{"intervalMs": {longest}}}',
            job_id,
        )
        self.sim.enable(job_id)

    def _harm(self, what: str, number: int) -> None:
        if what == "kill":
            self.sim.kill()
        elif what == "leak-slot":
            self.sim.leak_slot()
        elif what == "drop-timer":
            self.sim.drop_timer()
        elif self.ids:
            name, job_id, _ = self.ids[number % len(self.ids)]
            if what == "leak":
                self.sim.leak_session(job_id)
            elif what == "break":
                change(self.path, "UPDATE scheduled_jobs SET schedule_value = '[]' WHERE id = ?", job_id)
            else:
                self.agent.then(name, *BAD[what])

    def _restart(self, deed: Deed) -> None:
        """A clean one kills no delivery (a duplicate) and no run that it would not begin again."""
        run = self.agent.runs[-1] if self.agent.runs else None
        if run and run.let_go_at and run.let_go_at + SECOND >= self.sim.now:
            is_by_hand = f"{run.job} {run.started_at}" in self.by_hand
            if is_by_hand or run.ended_at is None or run.ended_at <= self.sim.now or self._was_changed(run.job):
                return
        self.sim.restart(downtime=deed.number * 5 * SECOND)

    def _was_changed(self, name: str) -> bool:
        row = row_of(self.path, next(job_id for other, job_id, _ in self.ids if other == name))
        return (row.get("status"), row.get("enabled")) != ("active", 1)


def led(life: Life, folder: Path) -> Iterator[tuple[Keeper, Watch, datetime]]:
    """Leads the life from its beginning; hands over after each wake of the watch."""
    keeper = Keeper(life, folder / "agent.db")
    with keeper.sim:
        end = keeper.sim.now + life.pace.length
        watch = Watch(keeper.sim, keeper.path, poll=life.poll, phase=life.phase)
        for deed in (*life.deeds, None):
            until = min(end, keeper.sim.now + deed.wait) if deed else end
            if until <= keeper.sim.now:
                return
            for wake in watch.each_wake(until):
                yield keeper, watch, wake
                if watch.wakes > MOST_WAKES:
                    return
            if deed:
                keeper.do(deed)


def judged_between(watch: Watch, now: datetime) -> Iterator[datetime]:
    """Instants before anything else happens: at once, and on both sides of the next deadline."""
    event = watch.sim.next_event()
    wanted = [now + MS]
    if watch.look_again_at:
        wanted += [watch.look_again_at - MS, watch.look_again_at, watch.look_again_at + MS]
    yield from (instant for instant in wanted if now < instant and (event is None or instant < event))
