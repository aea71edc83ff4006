"""What stands in the configuration of a Phantom agent."""

from collections.abc import Mapping
from dataclasses import field
from datetime import timedelta
from typing import ClassVar, Literal

from watchdog.config.fields import Api, FilePath, Name, Zone
from watchdog.config.sources import Section
from watchdog.core.fields import Duration


class Phantom(Section):
    """A Phantom agent's database file.

    `database`: the SQLite file. `timezone`: the zone in which its process runs, for schedules that name none.
    `look_back`: does nothing any more, for each job's newest runs are found. `api`: the agent's web API, by which a
    revival is heard at once.
    """

    examples: ClassVar[Mapping[str, str]] = {
        "database": "/data/phantom.db",
        "api": '{url: "http://127.0.0.1:3100"}',
    }
    actions: ClassVar = ("revive", "preserve", "pause")
    health_says: ClassVar = ("status", "uptime")

    kind: Literal["phantom"] = "phantom"
    name: Name = "phantom"
    database: FilePath
    timezone: Zone = "UTC"
    look_back: Duration = timedelta(days=7)
    labels: Mapping[str, str] = field(default_factory=dict)
    api: Api | None = None
