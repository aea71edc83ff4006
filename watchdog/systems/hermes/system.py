"""Hermes Agent, as the rest of the program knows it."""

from typing import TYPE_CHECKING

from watchdog.systems.base import Source, System
from watchdog.systems.hermes.section import Hermes

if TYPE_CHECKING:
    from watchdog.systems.shared.host import Host


class HermesSystem(System[Hermes]):
    """An agent whose gateway keeps its jobs in files of its home folder (docs/hermes.md)."""

    section = Hermes
    process = "gateway"
    place = "home"
    is_folder = True
    usual_places = ("${HERMES_HOME}", "~/.hermes")
    joins_health = True

    def open(self, section: Hermes, host: "Host") -> Source:
        """Its home folder, whichever of the layouts is in use, and the profiles in it."""
        from watchdog.systems.hermes.source import HermesSource

        return HermesSource(section, host)


SYSTEM = HermesSystem()
