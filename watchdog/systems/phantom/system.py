"""Phantom, as the rest of the program knows it."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from watchdog.core.kinds import Kind
from watchdog.systems.base import BRING_BACK, Source, System
from watchdog.systems.phantom.section import Phantom

if TYPE_CHECKING:
    from watchdog.systems.shared.acting import Acting
    from watchdog.systems.shared.host import Host
    from watchdog.systems.shared.past import SourcePast
    from watchdog.systems.shared.recordable import Recordable


class PhantomSystem(System[Phantom]):
    """An agent with one slot, whose jobs stand in an SQLite file (docs/phantom.md)."""

    section = Phantom
    process = "agent"
    restart = "docker restart phantom"
    log = "docker logs --tail 200 phantom"
    aborts = "240 min"
    joins_health = True
    remedies: Mapping[Kind, str] = {Kind.FAILED: BRING_BACK, Kind.EXPIRING: BRING_BACK}
    usual_places = ("data/phantom.db", "/app/data/phantom.db")
    marks = ("*.db", "*.sqlite", "*.sqlite3")
    commands = ("phantom",)
    policies = ({"match": {"kind": "failed", "error_class": "transient"}, "action": "revive", "after": "15m"},)

    def open(self, section: Phantom, host: "Host") -> Source:
        """Its file, read by id and only when it has changed."""
        from watchdog.systems.phantom.source import PhantomSource

        return PhantomSource(section.name, section.database, section.timezone, host)

    def recognised(self, file: Path) -> Mapping[str, object] | None:
        """By its tables; by its name, where it cannot be read."""
        from watchdog.systems.phantom.recognised import is_phantom

        return {"database": str(file)} if is_phantom(file) else None

    def recordable(self, section: Phantom) -> "Recordable":
        """Its database."""
        from watchdog.systems.phantom.recorded import recordable

        return recordable(section.database, section.timezone)

    @property
    def acting(self) -> "Acting[Phantom]":
        """Reviving, and keeping what its sweep takes."""
        from watchdog.systems.phantom.acting import ACTING

        return ACTING

    def past(self, section: Phantom, state: Path | None, since: datetime, until: datetime) -> "SourcePast":
        """Its cost events, its audit log, its rows as they are now, and the watchdog's own record."""
        from watchdog.systems.phantom.past import phantom_past

        return phantom_past(section, state, since, until)


SYSTEM = PhantomSystem()
