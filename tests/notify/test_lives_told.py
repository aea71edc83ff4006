"""Whatever happens, in whatever order: what is grave is told in time and once, every beginning has its end, and nobody
reads of a job that is not theirs or that was silenced.

A life is a row of deeds: conditions begin and end, people silence and acknowledge, the configuration changes, the
watchdog begins anew, its store cannot be read, the clock steps.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.telling import DAY, HOUR, MINUTE, SECOND, Office, configured, finding, job
from watchdog.core.kinds import Severity
from watchdog.core.model import Finding
from watchdog.core.silences import is_silenced
from watchdog.notify.plan import Dispatch, Event
from watchdog.notify.spells import LONGEST
from watchdog.notify.words import message

JOBS = ("anchor", "basil", "cedar", "dahlia", "elder")
KINDS = ("failed", "wedged", "failing", "zero_tokens", "undelivered")
ANN, BOB = {"match": {"job": "[abc]*"}, "notify": ["ops"]}, {"match": {}, "notify": ["boss"]}
OWNERS: tuple[dict[str, Any], ...] = (
    {"owners": [ANN, BOB]},
    {"owners": [{"match": {"job": "[de]*"}, "notify": ["ops"]}, BOB]},
    {"owners": [{"match": {}, "notify": ["ops"], "escalate": {"after": "30m", "notify": ["boss"]}}]},
    {"owners": [{"match": {}, "notify": ["ops", "boss"]}]},
)
LENGTHS = (SECOND, 30 * SECOND, 2 * MINUTE, 6 * MINUTE, 20 * MINUTE, 70 * MINUTE, 5 * HOUR, DAY)
MATCHES = ("anchor", "[ab]*", "kind=failed", "severity=warning", "job_id=id-cedar", "source=agent,kind=fail*")

deeds = st.one_of(
    st.tuples(st.just("begin"), st.sampled_from(JOBS), st.sampled_from(KINDS)),
    st.tuples(st.just("begin"), st.sampled_from(JOBS), st.sampled_from(KINDS)),
    st.tuples(st.just("queue"), st.sampled_from(JOBS), st.sampled_from(LENGTHS[3:])),
    st.tuples(st.just("end"), st.sampled_from(JOBS)),
    st.tuples(st.just("give_up"), st.sampled_from(JOBS)),
    st.tuples(st.just("revive"), st.sampled_from(JOBS)),
    st.tuples(st.just("wait"), st.sampled_from(LENGTHS)),
    st.tuples(st.just("wait"), st.sampled_from(LENGTHS)),
    st.tuples(st.just("silence"), st.sampled_from(MATCHES), st.sampled_from(LENGTHS[3:])),
    st.tuples(st.just("acknowledge"), st.integers(1, 4)),
    st.tuples(st.just("give_back"), st.integers(1, 4)),
    st.tuples(st.just("reload"), st.sampled_from(OWNERS)),
    st.tuples(st.just("restart")),
    st.tuples(st.just("blind"), st.sampled_from(LENGTHS[:5])),
    st.tuples(st.just("clock"), st.sampled_from((-2 * DAY, -HOUR, -10 * SECOND, 10 * SECOND, HOUR, 2 * DAY))),
    st.tuples(st.just("delete"), st.sampled_from(JOBS)),
)


@dataclass
class Life:
    """An office, what is so there, and what has been told."""

    office: Office = field(default_factory=lambda: Office(configured(**OWNERS[0])))
    so: dict[tuple[str, str], Finding] = field(default_factory=dict)
    stopped: dict[tuple[str, str], Finding] = field(default_factory=dict)
    """What was so of the jobs that were given up, and is again once they are revived."""
    told: list[tuple[Dispatch, frozenset[str]]] = field(default_factory=list)
    _said: bool = False
    """Whether anybody has said that something need not be told."""

    def __post_init__(self) -> None:
        self.office.jobs = tuple(job(name) for name in JOBS)
        turn = self.office.notifier.turn
        self._listen(turn)
        self.look()

    def _listen(self, turn: Any) -> None:
        """Take down every message at the instant that it is written, with the jobs that are silenced then."""

        def listening(published: Any, now: Any) -> bool:
            written = turn(published, now)
            silences = self.office.store.silences(now)
            hushed = frozenset(name for name in JOBS if self._is_quiet(name, silences, now))
            for dispatch in self.office.notifier.dispatched:
                self._judge(dispatch, hushed)
                self.told.append((dispatch, hushed))
            return bool(written)

        self.office.notifier.turn = listening  # type: ignore[method-assign]

    def _is_quiet(self, name: str, silences: Any, now: Any) -> bool:
        mine = [one for (job_, _), one in self.so.items() if job_ == name]
        return bool(mine) and all(is_silenced(one, silences, now) for one in mine)

    def look(self) -> None:
        self.office.find(*self.so.values())

    # what happens

    def do(self, deed: tuple[Any, ...]) -> None:
        what, *args = deed
        getattr(self, what)(*args)

    def begin(self, name: str, kind: str) -> None:
        if not self._is_there(name) or (name, kind) in self.so:
            return
        self.so[name, kind] = finding(kind, name, since=self.office.now, error_class="transient")
        before = len(self.told)
        self.look()
        waiting = self._who_has_to_hear(name, self.so[name, kind])
        self.office.wait(21 * SECOND)
        for target in waiting:
            assert any(self._names(dispatch, target, name) for dispatch, _ in self.told[before:]), (target, name, kind)

    def _is_there(self, name: str) -> bool:
        return any(one.id == f"id-{name}" for one in self.office.jobs)

    def _who_has_to_hear(self, name: str, found: Finding) -> list[str]:
        """Who has to hear of it within the group's wait: not whoever hears of something as grave in that incident, and
        nobody of what comes and goes."""
        now, notifier = self.office.now, self.office.notifier
        later = self.office.store.silences(now + 30 * SECOND)
        silences = [*self.office.store.silences(now), *later]
        if found.severity is not Severity.CRITICAL or is_silenced(found, silences, now):
            return []
        (incident,) = (
            one for one in notifier.ledger.open if found.key in one.members and one.members[found.key].active
        )
        member = incident.members[found.key]
        if len(member.earlier) > 1 or member.began < now:
            return []
        told = self.office.store.told()
        rows = {target: told.get((incident.id, target)) for target in self._targets(name)}
        return [t for t, row in rows.items() if row is None or row.is_over or row.severity is not Severity.CRITICAL]

    @staticmethod
    def _names(dispatch: Dispatch, target: str, name: str) -> bool:
        return dispatch.target.key == target and any(one.finding.job == name for one in dispatch.members)

    def _targets(self, name: str) -> list[str]:
        owners = self.office.config.owners
        first = name[0]
        for owner in owners:
            pattern = owner.match.job
            if pattern is None or first in pattern.strip("[]*"):
                return list(owner.notify)
        return []

    def _all_targets(self, name: str) -> set[str]:
        escalated = {text for owner in self.office.config.owners if owner.escalate for text in owner.escalate.notify}
        return {*self._targets(name), *escalated}

    def end(self, name: str) -> None:
        self.so = {key: one for key, one in self.so.items() if key[0] != name}
        self.stopped = {key: one for key, one in self.stopped.items() if key[0] != name}
        self.look()

    def queue(self, name: str, length: timedelta) -> None:
        """It waits so long for a run that is no fault, and has run then."""
        key = (name, "overdue")
        if self._is_there(name) and all(job_ != name for job_, _ in self.so):
            self.so[key] = finding("overdue", name, since=self.office.now, under=("in_flight", "long"))
            self.look()
            self.wait(length)
            del self.so[key]
            self.look()

    def give_up(self, name: str) -> None:
        """A job that does nothing any more: nothing else is found of it."""
        mine = {key: one for key, one in self.so.items() if key[0] == name and key[1] != "failed"}
        if mine:
            self.stopped |= mine
            self.so = {key: one for key, one in self.so.items() if key not in mine}
            if (name, "failed") in self.so:
                self.look()
            else:
                self.begin(name, "failed")

    def revive(self, name: str) -> None:
        """It is planned again, and was not well yet."""
        if self.so.pop((name, "failed"), None):
            self.so |= {key: one for key, one in self.stopped.items() if key[0] == name}
            self.stopped = {key: one for key, one in self.stopped.items() if key[0] != name}
            self.look()

    def wait(self, length: timedelta) -> None:
        self.office.wait(length)
        if length > HOUR:
            self._nothing_grave_is_left_out(self.office.now - length)
        if length > LONGEST + 5 * MINUTE:
            self._no_end_is_left_out(self.office.now - LONGEST - 5 * MINUTE)

    def _no_end_is_left_out(self, since: datetime) -> None:
        """What was told, and is over since then, was told to be over: to each to whom it was told."""
        ledger = self.office.notifier.ledger
        given_up = {key[0] for key in self.so if key[1] == "failed"}
        for (number, target), row in self.office.store.told().items():
            members = ledger.incidents[number].members.values() if number in ledger.incidents else ()
            ends = [member.ended_at for member in members]
            names = {member.finding.job for member in members}
            is_over = all(end is not None and end <= since for end in ends)
            assert row.is_over or not is_over or names & given_up, (number, target, ends)

    def _nothing_grave_is_left_out(self, since: datetime) -> None:
        """What is critical and has stood so long is told, whatever else was told of its incident."""
        told, open_ = self.office.store.told(), self.office.notifier.ledger.open
        standing = [(i, m) for i in open_ for m in i.members.values() if m.active and m.began < since]
        for incident, member in standing:
            if member.finding.severity is not Severity.CRITICAL or len(member.earlier) > 1 or self._said:
                continue
            for target in self._targets(member.finding.job or ""):
                row = told.get((incident.id, target))
                assert row is not None, (target, member.finding.key)
                assert member.finding.key in {item.key for item in row.items}, (target, member.finding.key)

    def silence(self, match: str, length: timedelta) -> None:
        self._said = True
        self.office.silence_from_now(match, length)

    def acknowledge(self, incident: int) -> None:
        self._said = True
        known = self.office.notifier.ledger.incidents.get(incident)
        if known is not None and known.is_open:
            self.office.acknowledge(incident)

    def give_back(self, incident: int) -> None:
        self.office.store.unacknowledge(incident, self.office.now, "anna")
        self.office.look()

    def reload(self, sections: dict[str, Any]) -> None:
        self.office.configure(**sections)

    def restart(self) -> None:
        self.office.restart()
        self._listen(self.office.notifier.turn)
        self.office.look()

    def blind(self, length: timedelta) -> None:
        self.office.find(finding("unreachable", None), problem="it cannot be read")
        self.office.wait(length)
        self.look()

    def clock(self, step: timedelta) -> None:
        self.office.now += step
        self.office.look()

    def delete(self, name: str) -> None:
        self.office.jobs = tuple(one for one in self.office.jobs if one.id != f"id-{name}")
        self.end(name)

    # what must hold of each message

    def _judge(self, dispatch: Dispatch, hushed: frozenset[str]) -> None:
        said = message(dispatch, self.office.now)
        ended = [one.finding for one in dispatch.members if dispatch.event is Event.RESOLVED]
        is_queue = dispatch.incident.is_queue
        for one in ended:
            assert (one.job, one.kind) not in self.so, f"it is so: {said.title}"
            assert is_queue or (one.job, "failed") not in self.so, f"it was given up: {said.title}"
        text = " ".join([said.title, said.lead, *said.jobs])
        for name in JOBS:
            if name not in text:
                continue
            if dispatch.event is Event.RESOLVED:
                # that jobs wait is one thing, whichever do: its end names them all
                has_begun = is_queue or any(self._names(d, dispatch.target.key, name) for d, _ in self.told)
                assert has_begun, f"no beginning: {name}"
                continue
            assert dispatch.target.key in self._all_targets(name), f"{name} is not theirs: {text}"
            assert name not in hushed, f"{name} is silenced: {text}"

    # what must hold of them all

    def twice(self) -> Iterator[tuple[str, object]]:
        """What was told twice as news, without an end in between."""
        known: set[object] = set()
        for dispatch, _ in self.told:
            target = dispatch.target.key
            if dispatch.event is Event.RESOLVED:
                mine = {(target, dispatch.incident.id, one.finding.key) for one in dispatch.members}
                known = {one for one in known if one[:3] not in mine}  # type: ignore[index]
                continue
            if dispatch.event is Event.REMINDER:
                continue
            for one in dispatch.news or dispatch.members:
                fact = (target, dispatch.incident.id, one.finding.key, one.began, one.finding.severity)
                if fact in known:
                    yield target, fact
                known.add(fact)

    def unended(self) -> list[tuple[str, str | None]]:
        """Who was told that something of a job, or that jobs wait, began, and not that it is over."""
        left: dict[tuple[str, str | None], bool] = {}
        for dispatch, _ in self.told:
            jobs = [None] if dispatch.incident.is_queue else [one.finding.job for one in dispatch.members]
            for name in jobs:
                left[dispatch.target.key, name] = dispatch.event is not Event.RESOLVED
        return [key for key, is_open in left.items() if is_open]


def lead(life_deeds: list[tuple[Any, ...]]) -> Life:
    """Lead a life, and let all be well for so long that nothing can come back."""
    life = Life()
    for deed in life_deeds:
        life.do(deed)
    for name in JOBS:
        life.end(name)
    for _ in range(4):
        life.wait(DAY)
    return life


def holds(life_deeds: list[tuple[Any, ...]]) -> None:
    life = lead(life_deeds)
    has_stepped = any(deed[0] == "clock" for deed in life_deeds)
    assert has_stepped or list(life.twice()) == []
    assert life.unended() == []


@given(st.lists(deeds, max_size=25))
def test_whatever_happens_all_is_told_in_time_and_once_to_those_whom_it_concerns(
    life_deeds: list[tuple[Any, ...]],
) -> None:
    holds(life_deeds)


@pytest.mark.deep
@given(st.lists(deeds, min_size=20, max_size=60))
def test_the_same_of_long_lives(life_deeds: list[tuple[Any, ...]]) -> None:
    holds(life_deeds)


SAME_TROUBLE = (("failed", "failing", "zero_tokens"), ("wedged", "overdue", "long_run"))
AWAY = (timedelta(), 30 * SECOND, 4 * MINUTE)

lesser = st.lists(st.tuples(st.integers(1, 2), st.sampled_from(LENGTHS[:6]), st.sampled_from(AWAY)), max_size=4)


@given(st.sampled_from(SAME_TROUBLE), lesser, st.sampled_from(LENGTHS), lesser)
def test_a_trouble_that_changes_its_name_and_comes_back_to_it_is_over_once_when_the_job_is_well(
    kinds: tuple[str, ...], before: list[Any], length: timedelta, after: list[Any]
) -> None:
    """Given up and revived, wedged and only late again: the job was never well, so nothing came and went."""
    office = Office(configured())
    office.jobs = (job("anchor"),)
    for number, long, away in [*before, (0, length + MINUTE, timedelta()), *after]:
        office.find(finding(kinds[number], "anchor", since=office.now))
        office.wait(long)
        office.find()
        office.wait(away)
    office.wait(5 * MINUTE + SECOND)
    events = [event for _, event in office.told]
    assert (events.count("opened"), events.count("back"), events.count("resolved")) == (1, 0, 1), events


def test_that_a_job_is_given_up_once_more_after_it_failed_for_a_while_is_told() -> None:
    office = Office(configured())
    office.jobs = (job("anchor"),)
    for kind in ("failing", "failed", "failing", "failed"):
        office.find(finding(kind, "anchor"))
        office.wait(2 * HOUR)
    assert [event for _, event in office.told] == ["opened", "worse", "back"]


@pytest.mark.parametrize("given_up_for", [HOUR, DAY, 3 * DAY, 30 * DAY])
def test_who_was_told_of_something_else_before_the_job_was_given_up_hears_its_end_however_long_that_lasts(
    given_up_for: timedelta,
) -> None:
    """It is an incident of its own, whose end waits for the revival: with its job given up nothing shows that it is
    mended."""
    office = Office(configured(notify={"remind_every": "0s"}))
    office.jobs = (job("anchor"),)
    office.find(finding("wedged", "anchor"))
    office.wait(HOUR)
    office.find(finding("failed", "anchor"))
    office.wait(given_up_for / 2)
    office.restart()
    office.look()
    office.wait(given_up_for / 2)
    office.find()
    office.wait(5 * MINUTE)
    assert [event for _, event in office.told] == ["opened", "opened", "resolved", "resolved"]
    office.wait(3 * DAY)
    assert len(office.notifier.ledger.incidents) == 0


@given(st.sampled_from(LENGTHS), st.sampled_from(LENGTHS[:7]), st.sampled_from(LENGTHS), st.sampled_from(KINDS[2:]))
def test_who_was_told_that_a_job_was_given_up_hears_the_end_however_long_after_it_is_revived(
    before: timedelta, stood: timedelta, proved: timedelta, kind: str
) -> None:
    office = Office(configured())
    office.jobs = (job("anchor"),)
    office.find(finding(kind, "anchor"))
    office.wait(before)
    office.find(finding("failed", "anchor"))
    office.wait(stood + MINUTE)
    office.find(finding(kind, "anchor"))
    office.wait(proved)
    office.find()
    office.wait(5 * MINUTE + SECOND)
    events = [event for _, event in office.told]
    assert (events.count("resolved"), events.count("back")) == (len(office.store.told()), 0), events
