"""From what was published to what is written down to be sent: incidents, who was told, and the outbox, in one step."""

from collections.abc import Container, Mapping, Set
from dataclasses import replace
from datetime import datetime, timedelta

from watchdog.config.file import Config
from watchdog.core import faults
from watchdog.core.action import Action, State
from watchdog.core.incident import Incident, Ledger
from watchdog.core.instants import iso
from watchdog.core.message import INCIDENTS, Entry, numbered
from watchdog.core.model import Finding, Job
from watchdog.core.moment import Moment
from watchdog.core.notice import Notice, about
from watchdog.detectors.published import Published
from watchdog.incidents.intention import KINDS, Deed, Intention, about_to_or_done
from watchdog.incidents.ledger import Timing, update
from watchdog.notify import alertmanager, carrying, notices, words
from watchdog.notify.notices import Batch, Before, Matter, World, gathered
from watchdog.notify.plan import Dispatch, Event, People, Plan, plan, targets_for
from watchdog.notify.render import rendered
from watchdog.notify.targets import Target, names_of
from watchdog.notify.voice import Voice, voice_of
from watchdog.state.records import Records
from watchdog.state.store import Store

_NOTICES = "notices"
"""Under which name what recovery has to tell is remembered until it is told."""


class _Unproved(Container[tuple[str, str | None]]):
    """The jobs, with their sources, that are planned and whose newest run was an error."""

    def __init__(self, jobs: Mapping[tuple[str, str], Job]) -> None:
        self._jobs = jobs

    def __contains__(self, key: object) -> bool:
        job = self._jobs.get(key)  # type: ignore[call-overload]
        return job is not None and job.is_unproved


class Notifier:
    """Carries the incidents from tick to tick. All that a step decides is written in one transaction."""

    def __init__(self, config: Config, store: Store) -> None:
        self._store = store
        self._records = Records(store)
        self._ledger = store.ledger()
        self._told = {
            key: carrying.carried_over(told, self._ledger.incidents.get(key[0])) for key, told in store.told().items()
        }
        self._losses, self._waiting = store.losses, store.waiting()
        self._waiting_at: tuple[int, int, int] | None = None
        self._version = -1
        self._again_at: datetime | None = None
        self._judged_at: datetime | None = None
        self._step = timedelta()
        self._began: datetime | None = None
        self._has_notices = self._is_news = True
        self._matters: dict[Matter, Before] = {}
        self._firing_notices: tuple[tuple[str, Notice], ...] = ()
        self._dispatched: tuple[Dispatch, ...] = ()
        self.use(config)

    def use(self, config: Config) -> None:
        """From now on this configuration holds."""
        self._config = config
        self._timing = Timing(hold=config.notify.hold, gather=config.notify.gather)
        self._voice = voice_of(config)
        self._addresses = names_of(config.people)
        self._alert_channels = {name for name, channel in config.channels.items() if channel.alertmanager}
        self._version = -1

    @property
    def ledger(self) -> Ledger:
        """The incidents as they are now."""
        return self._ledger

    @property
    def look_again_at(self) -> datetime | None:
        """When somebody is to be told something, or an incident is over, without anything new being found."""
        return self._again_at

    @property
    def dispatched(self) -> tuple[Dispatch, ...]:
        """What the last turn wrote down: who is told what."""
        return self._dispatched

    def turn(self, published: Published, now: datetime) -> bool:
        """Take over what was published; whether anything was written down."""
        self._dispatched = ()
        self._write_again()
        if not self._is_needed(published, now):
            return False
        moment = Moment(now)
        self._put_right(now)
        people = self._people(published, now)
        unproved = _Unproved(people.jobs)
        tried = self._records.was_revived
        awaited = {number for (number, _), told in self._told.items() if not told.is_over}
        ledger = update(self._ledger, published.findings, people.blind, moment, self._timing, unproved, tried, awaited)
        concerning = [one for one in ledger.incidents.values() if one.is_open or one.id in awaited]
        made = plan(concerning, self._told, people, moment)
        has_written = self._write(ledger, made, now)
        has_written = self._tell_notices(published, people, moment) or has_written
        # only now: what could not be written is tried again at the next look. What was just told has deadlines of its
        # own, such as its first reminder, which are found by looking once more
        self._version, self._judged_at, self._again_at = published.version, now, now if made.due else moment.next_change
        self._dispatched, self._is_news = tuple(made.due), False
        return has_written

    def _is_needed(self, published: Published, now: datetime) -> bool:
        has_changed = self._store.has_changed()
        is_time = self._again_at is not None and now >= self._again_at
        is_back = self._judged_at is not None and now < self._judged_at
        return self._is_news or published.version != self._version or has_changed or is_time or is_back

    def _write_again(self) -> None:
        """After a part of the state file was lost: what is known here is known for sure."""
        if self._store.losses == self._losses:
            return
        with self._store.transaction():
            self._store.save_incidents(self._ledger.incidents.values())
            self._store.save_told(self._told)
            self._store.add_lost(self._waiting)
        self._losses = self._store.losses

    def waiting(self) -> list[Entry]:
        """The messages that are on their way."""
        mark = self._store.mark
        if mark != self._waiting_at:
            self._waiting, self._waiting_at = self._store.waiting(), mark
        return self._waiting

    def _people(self, published: Published, now: datetime) -> People:
        return People(
            owners=self._config.people,
            rules=self._config.notify,
            jobs=published.jobs,
            labels={source.name: source.labels for source in self._config.sources},
            silences=self._store.silences(now),
            acknowledged={number: at for number, (at, _) in self._store.acknowledgements().items()},
            addresses=self._addresses,
            systems={source.name: source.kind for source in self._config.sources},
            blind=frozenset(state.snapshot.source for state in published.sources if state.snapshot.problem),
            unseen={state.snapshot.source: state.snapshot.unseen for state in published.sources},
            detect=self._config.detect,
            instance=self._config.called,
            restarts={source.name: self._config.restart_of(source.name) for source in self._config.sources},
        )

    def _write(self, ledger: Ledger, made: Plan, now: datetime) -> bool:
        """Incidents, who is told, and the messages: all of it or nothing."""
        changed = [
            incident
            for number, incident in ledger.incidents.items()
            if _matters(incident, self._ledger.incidents.get(number))
        ]
        told = made.noted | {dispatch.key: dispatch.told for dispatch in made.due}
        if changed or told:
            faults.point("found")
            # an Alertmanager is told what fires again and again, by its own poster
            written = [one for one in made.due if one.target.name not in self._alert_channels]
            entries = [self._entry(dispatch, now) for dispatch in written]
            with self._store.transaction():
                self._store.save_incidents(changed)
                self._store.save_told(told)
                faults.point("writing")
                self._store.add_entries(entries)
                self._store.tidy(now)
            faults.point("written")
        self._ledger = ledger
        self._told |= told
        self._told = {key: state for key, state in self._told.items() if key[0] in ledger.incidents}
        return bool(changed or told)

    def _entry(self, dispatch: Dispatch, now: datetime) -> Entry:
        said = words.message(dispatch, now, self._voice.say, self._intended(dispatch, now))
        message = rendered(self._voice.completed(said, dispatch.incident.id), words.severity_type(dispatch))
        return Entry(
            created_at=now,
            incident_id=dispatch.incident.id,
            event=dispatch.event.value,
            target=dispatch.target.key,
            message=message,
            not_before=now,
        )

    def _intended(self, dispatch: Dispatch, now: datetime) -> Intention | Deed | None:
        """What the watchdog itself will do about it, or has just done."""
        if dispatch.event is Event.RESOLVED or self._config.recovery.mode == "observe":
            return None
        head = dispatch.headline
        done = self._records.bearing_on(head.source, head.job_id, KINDS)
        return about_to_or_done(dispatch.incident, head, self._config, done, now)

    def _put_right(self, now: datetime) -> None:
        """After the clock was set nothing comes early, and nothing waits until it has caught up: what this process has
        written down keeps its age, and what lies ahead is so from now on."""
        step, self._step = self._step, timedelta()
        since = self._began or now - step
        self._began = since + step
        if not step and self._judged_at is not None and now >= self._judged_at:
            return
        date = carrying.after_a_step(now, step, min(since, now))
        self._put_silences_right(date, since, now - step if step else self._judged_at, now)
        incidents = self._ledger.incidents
        changed = incidents.keys() if step else carrying.ahead(self._told, incidents, now)
        if changed:
            with self._store.transaction():
                self._date(changed, date)

    def clock_was_set(self, step: timedelta) -> None:
        """By so much, back where it is negative."""
        self._step += step

    def _date(self, numbers: Set[int], date: carrying.Date) -> None:
        """All that was written down of these incidents, by the clock as it is now."""
        known = self._ledger.incidents
        incidents = {number: carrying.dated(known[number], date) for number in numbers & known.keys()}
        told = {key: carrying.told_dated(state, date) for key, state in self._told.items() if key[0] in numbers}
        self._store.save_incidents(incidents.values())
        self._store.save_told(told)
        for number, (at, _) in self._store.acknowledgements().items():
            if date(at) != at:
                self._store.date_acknowledgement(number, date(at))
        self._ledger = replace(self._ledger, incidents={**known, **incidents})
        self._told |= told

    def _put_silences_right(self, date: carrying.Date, since: datetime, seen: datetime | None, now: datetime) -> None:
        """Quiet that somebody has wanted is kept for as long as was left of it, when the clock was last `seen` before
        it was set."""
        if seen is None:
            return
        known = self._store.silences(min(seen, now))
        moved = [silence for silence in known if silence.starts_at >= min(since, now)]
        with self._store.transaction():
            for silence in moved:
                self._store.date_silence(carrying.silence_dated(silence, date, seen, now))

    def announce(
        self,
        finding: Finding,
        title: str,
        lead: str,
        facts: tuple[tuple[str, str], ...],
        now: datetime,
        action: Action | None = None,
    ) -> None:
        """Note what the owner of a finding is to be told, in the caller's transaction; it is gathered and told later.

        What stands before the colon of the title says what kind of news it is.
        """
        matter, _, what = title.partition(": ")
        number, kind = (action.id, action.kind) if action else (None, "")
        notice = Notice(now, matter, what, finding, lead, facts, number, kind, incident=self._incident_of(finding))
        key = f"{iso(now)}|{matter}|{number or finding.job_id}"
        self._store.remember(_NOTICES, _NOTICES, {key: notice}, now)
        self._has_notices = self._is_news = True

    def _tell_notices(self, published: Published, people: People, moment: Moment) -> bool:
        """What recovery has to tell, as far as it is due."""
        self._firing_notices = ()
        if not self._has_notices:
            return False
        pending = self._store.remembered(_NOTICES, _NOTICES, Notice)
        records = self._records

        def is_asked(number: int) -> bool:
            action = records.action(number)
            return action is not None and action.state is State.PROPOSED

        def is_busy(source: str, target: Target) -> bool:
            tried = (about(action) for action in records.under_way())
            mine = (finding for finding in (*tried, *published.to_follow) if finding.source == source)
            return any(target in targets_for(finding, people) for finding in mine)

        alerting = frozenset(self._alert_channels)
        told = gathered(
            pending, World(people, is_busy, is_asked, self._matters, alerting, self._incident_of_each_job()), moment
        )
        if told.changed:
            with self._store.transaction():
                self._store.remember(_NOTICES, _NOTICES, told.changed, moment.at)
                self._store.add_entries(_notice_entry(batch, moment.at, self._voice) for batch in told.batches)
        self._firing_notices = tuple(told.firing)
        self._matters |= told.matters
        self._has_notices = len(pending) > sum(notice is None for notice in told.changed.values())
        return bool(told.batches)

    def _incident_of(self, finding: Finding) -> int | None:
        """The newest open incident about it, else about its job; it may be over already, and remembered."""
        job = (finding.source, finding.job_id)
        known = [one for one in self._ledger.incidents.values() if any((k[0], k[2]) == job for k in one.members)]
        best = max(known, key=lambda one: (one.is_open, finding.key in one.members, one.id), default=None)
        return best.id if best else None

    def _incident_of_each_job(self) -> dict[tuple[str, str | None], int]:
        keys = ((member.finding, incident.id) for incident in self._ledger.open for member in incident.members.values())
        return {(finding.source, finding.job_id): number for finding, number in keys}

    def firing(self, published: Published, now: datetime) -> Mapping[str, Mapping[str, alertmanager.Alert]]:
        """What fires on each Alertmanager channel."""
        if not self._alert_channels:
            return {}
        people = self._people(published, now)
        incidents = self._ledger.open
        return {
            name: alertmanager.wanted(incidents, name, people, self._told, now)
            | alertmanager.of_recovery(
                (notice for to, notice in self._firing_notices if to == name), people, self._voice
            )
            for name in self._alert_channels
        }


def _notice_entry(batch: Batch, now: datetime, voice: Voice) -> Entry:
    numbers = batch.incidents
    said = rendered(voice.completed(notices.message(batch), next(iter(numbers), None)), batch.type)
    if len(numbers) > 1:
        return Entry(now, None, "recovery", batch.target.key, {**said, INCIDENTS: numbered(numbers)}, now)
    return Entry(now, next(iter(numbers), None), "recovery", batch.target.key, said, now)


def _matters(after: Incident, before: Incident | None) -> bool:
    """Whether it has to be written down. Sentences and counts change at every look, and are found again then."""
    return before is None or _essence(after) != _essence(before)


def _essence(incident: Incident) -> object:
    members = {
        key: (m.first_seen, m.began_at, m.graver_at, m.under, m.ended_at, m.is_unproved, m.finding.severity)
        for key, m in incident.members.items()
    }
    return (
        members,
        incident.severity,
        incident.clear_since,
        incident.resolved_at,
        incident.returns,
        incident.merged_into,
    )
