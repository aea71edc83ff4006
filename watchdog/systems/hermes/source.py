"""Hermes Agent's cron, read from its home folder and those of its profiles (docs/hermes.md tells how it behaves)."""

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

from watchdog.core.kinds import Kind
from watchdog.core.model import Departed, Process, Snapshot, Traits, Unseen
from watchdog.core.redaction import one_line
from watchdog.systems.base import Look
from watchdog.systems.hermes.gateway import TICKER_LIMIT
from watchdog.systems.hermes.home import STARTING, Home, Part, profiles_of
from watchdog.systems.hermes.section import Hermes
from watchdog.systems.shared.host import Host, NoMemory
from watchdog.systems.shared.plain_file import marks
from watchdog.systems.shared.unreadable import BELIEVED_AFTER, UnreadableError

_MARKS = ("config.yaml", "state.db", "gateway_state.json")
"""By what a folder is a Hermes home, though nobody has made a job in it yet."""


class HermesSource:
    """Watches one home, and the profiles under it."""

    kind = "hermes"

    def __init__(self, settings: Hermes, host: Host | None = None) -> None:
        self.name = settings.name
        self._settings = settings
        self._host = host or Host()
        self._main = Home(settings.home, "", settings.timezone, self._host)
        self._profiles: dict[str, Home] = {}
        self._hidden: str | None = None
        self._folder_marks: object = None
        self._asked_at: datetime | None = None
        self._unread_since: dict[str, datetime] = {}
        self._parts: dict[str, Part] = {}
        self._unseen: tuple[Unseen, ...] = ()
        self._snapshot: Snapshot | None = None

    def warnings(self) -> list[str]:
        """Whether reading as this user could harm a gateway."""
        return [warning for home in self._homes(None) for warning in home.warnings()]

    def look(self, now: datetime) -> Look:
        """The state now; nothing is read of a home in which nothing has changed."""
        began = time.perf_counter()
        before, parts = self._parts, dict[str, Part]()
        problem: str | None = None
        homes = self._homes(now)
        unseen = [_unread("its profiles", self._hidden)] if self._hidden else []
        for home in homes:
            try:
                parts[home.profile] = home.look(now)
                self._unread_since.pop(home.profile, None)
            except UnreadableError as error:
                is_believed = self._is_believed(home, now)
                if home.profile in before and not is_believed:
                    parts[home.profile] = before[home.profile]
                elif is_believed and not home.profile:
                    problem = str(error)
                elif is_believed:
                    unseen.append(_unread(f"the profile {home.profile}", str(error)))
        if problem is not None:
            return self._looked(self._unreadable(problem, now), began)
        self._unread_since = {name: at for name, at in self._unread_since.items() if name in self._names}
        if self._snapshot and not self._snapshot.problem and _are_same(parts, before) and self._unseen == tuple(unseen):
            return Look(self._snapshot, is_new=False)
        self._parts, self._unseen = parts, tuple(unseen)
        return self._looked(self._assembled(parts, self._unseen), began)

    def _looked(self, snapshot: Snapshot, began: float) -> Look:
        is_new = snapshot != self._snapshot
        self._snapshot = snapshot if is_new or self._snapshot is None else self._snapshot
        return Look(self._snapshot, is_new, time.perf_counter() - began)

    # homes

    @property
    def _names(self) -> set[str]:
        return {"", *self._profiles}

    def _homes(self, now: datetime | None) -> list[Home]:
        """The main one and those of the profiles. One without a file of jobs, where others have one, is left out."""
        if self._settings.profiles and self._is_to_be_asked(now):
            self._hidden, names = None, list(self._profiles)
            try:
                names = profiles_of(self._settings.home)
            except UnreadableError as error:
                self._hidden = str(error)
            self._profiles = {name: self._profiles.get(name) or self._profile(name) for name in names}
        homes = list(self._profiles.values())
        is_wanted = self._main.is_there or self._main.was_read or not (homes or self._is_new_home())
        return [self._main, *homes] if is_wanted else homes

    def _is_to_be_asked(self, now: datetime | None) -> bool:
        seen = marks(self._settings.home / "profiles")
        is_due = now is None or self._asked_at is None or abs(now - self._asked_at) >= timedelta(minutes=1)
        if seen == self._folder_marks and not is_due:
            return False
        self._folder_marks, self._asked_at = seen, now
        return True

    def _profile(self, name: str) -> Home:
        return Home(self._settings.home / "profiles" / name, one_line(name, 60), self._settings.timezone, self._host)

    def _is_new_home(self) -> bool:
        is_marked = any(os.path.exists(self._settings.home / name) for name in _MARKS)  # noqa: PTH110 - raises nothing
        return is_marked and not self._main.was_read

    def _is_believed(self, home: Home, now: datetime) -> bool:
        """Whether it could not be read at a look before this one. A single look has no other."""
        since = self._unread_since.setdefault(home.profile, now)
        return isinstance(self._host.memory, NoMemory) or now >= since + BELIEVED_AFTER

    # the snapshot

    def _unreadable(self, reason: str, now: datetime) -> Snapshot:
        before = self._snapshot
        since = before.problem_since if before and before.problem else self._unread_since.get("", now)
        return Snapshot(self.name, self.kind, problem=one_line(reason, 500), problem_since=since)

    def _assembled(self, parts: dict[str, Part], unseen: tuple[Unseen, ...]) -> Snapshot:
        jobs = tuple(job for part in parts.values() for job in part.jobs)
        only = next(iter(parts.values())) if len(parts) == 1 else None
        return Snapshot(
            self.name,
            self.kind,
            jobs,
            departed=Departed(
                deleted={id_: at for part in parts.values() for id_, at in part.deleted.items()},
                ran={id_: at for part in parts.values() for id_, at in part.ran.items()},
            ),
            # a run that its process left is told no sooner than a job a minute is late for it
            traits=Traits(has_one_slot=False, marks_starts=True, catch_up=STARTING, may_be_away=TICKER_LIMIT),
            process=only.process if only else Process(),
            unseen=tuple(dict.fromkeys([*unseen, *(each for part in parts.values() for each in part.unseen)])),
            stands_from={name: part.stands_from for name, part in parts.items() if part.stands_from},
        )


def _are_same(parts: dict[str, Part], before: dict[str, Part]) -> bool:
    return parts.keys() == before.keys() and all(parts[name] is before[name] for name in parts)


def _unread(whose: str, why: str) -> Unseen:
    hides = (Kind.OVERDUE, Kind.STALLED, Kind.FAILING, Kind.VANISHED)
    return Unseen(f"the jobs of {whose} ({why})", hides, "see what is wrong with its folder")


def path_of(section: Hermes, profile: str) -> Path:
    """The home of a profile; of the main one where it is empty."""
    return section.home / "profiles" / profile if profile else section.home
